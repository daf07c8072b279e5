//! The provider: one of possibly many that see the same world.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use holdfast_contract::{
    ApiType, Found, Kind, Observation, Preview, Provider, ProviderError, ProviderName, Query, Served, Wanted,
    WatchStream, Watched, Write, Written,
};

use crate::world::{State, World};
use crate::{find, observe, served, watch, write};

/// A provider on a [`World`], with a real provider's kinds.
#[derive(Clone, Debug)]
pub struct MemoryProvider {
    pub(crate) name: ProviderName,
    pub(crate) world: World,
    pub(crate) kinds: Vec<Arc<dyn Kind>>,
    pub(crate) region: Option<String>,
    pub(crate) account: Option<String>,
}

impl MemoryProvider {
    /// Whether it stands in for a cluster, which has types, versions and watches.
    pub(crate) fn is_cluster(&self) -> bool {
        let namespace = ApiType::new("v1", "Namespace");
        self.kinds.iter().any(|kind| kind.scope(&namespace).is_some())
    }

    /// The account as which it is signed in.
    pub(crate) fn signed_in_to(&self, state: &State) -> String {
        self.account.clone().unwrap_or_else(|| state.account.clone())
    }
}

#[async_trait]
impl Provider for MemoryProvider {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    async fn observe(&self, wanted: &[Wanted]) -> Vec<Result<Observation, ProviderError>> {
        // Like a request on a wire, every call gives others their turn, and a caller the chance to drop it.
        tokio::task::yield_now().await;
        let mut state = self.world.lock();
        let account = self.signed_in_to(&state);
        wanted
            .iter()
            .map(|wanted| observe::observe(&mut state, &self.name, &account, wanted))
            .collect()
    }

    async fn find(&self, query: &Query) -> Result<Vec<Found>, ProviderError> {
        tokio::task::yield_now().await;
        find::find(self, query)
    }

    async fn served(
        &self,
        apis: &[ApiType],
        _refresh: bool,
    ) -> Result<BTreeMap<ApiType, Served>, ProviderError> {
        tokio::task::yield_now().await;
        served::served(self, apis)
    }

    async fn preview(&self, write: &Write) -> Result<Preview, ProviderError> {
        tokio::task::yield_now().await;
        write::preview(self, write)
    }

    async fn write(&self, write: &Write) -> Result<Written, ProviderError> {
        tokio::task::yield_now().await;
        let written = write::write(self, write);
        tokio::task::yield_now().await;
        written
    }

    fn pushes(&self) -> bool {
        self.is_cluster()
    }

    fn watch(&self, watched: &Watched) -> Option<WatchStream> {
        self.pushes().then(|| watch::watch(self, watched))
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        Ok((!self.is_cluster()).then(|| self.signed_in_to(&self.world.lock())))
    }
}
