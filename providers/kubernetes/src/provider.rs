//! The provider: one API server, as one identity.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use holdfast_contract::{
    ApiType, Found, Observation, Preview, Provider, ProviderError, ProviderName, Query, Served,
    ServiceAccount, Wanted, WatchStream, Watched, Write, Written,
};

use crate::client::Client;
use crate::discovery::Discovery;
use crate::kind::ObjectKind;
use crate::preview::Verdicts;
use crate::{find, observe, preview, watch, write};

/// A connection, with what is learnt over it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) client: Client,
    /// For leases, which are lost if they wait for anything else.
    pub(crate) leases: Client,
    /// For ledgers, which all that a policy does waits for.
    pub(crate) ledgers: Client,
    /// The service account that the connection signs in, where its token tells.
    pub(crate) signed_in: Option<ServiceAccount>,
    pub(crate) discovery: Discovery,
    pub(crate) unlisted: observe::Unlisted,
    pub(crate) kind: ObjectKind,
    pub(crate) verdicts: Verdicts,
    pub(crate) definitions: watch::Definitions,
}

impl Server {
    pub(crate) fn new(client: Client, signed_in: Option<ServiceAccount>) -> Self {
        Self {
            leases: client.lane(),
            ledgers: client.lane(),
            client,
            signed_in,
            discovery: Discovery::default(),
            unlisted: observe::Unlisted::default(),
            kind: ObjectKind::new(),
            verdicts: Verdicts::default(),
            definitions: watch::Definitions::default(),
        }
    }
}

/// The objects of one cluster.
#[derive(Debug)]
pub(crate) struct KubernetesProvider {
    name: ProviderName,
    server: Arc<Server>,
    /// As of how many news of types it was last told which are served.
    types_known: Mutex<Option<u64>>,
}

impl KubernetesProvider {
    pub(crate) fn new(name: ProviderName, server: Arc<Server>) -> Self {
        Self {
            name,
            server,
            types_known: Mutex::default(),
        }
    }
}

#[async_trait]
impl Provider for KubernetesProvider {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    async fn observe(&self, wanted: &[Wanted]) -> Vec<Result<Observation, ProviderError>> {
        observe::observe(&self.server, wanted).await
    }

    async fn find(&self, query: &Query) -> Result<Vec<Found>, ProviderError> {
        find::find(&self.server, &self.name, query).await
    }

    async fn served(
        &self,
        apis: &[ApiType],
        refresh: bool,
    ) -> Result<BTreeMap<ApiType, Served>, ProviderError> {
        let client = &self.server.client;
        let (served, news) = self.server.discovery.served_as_of(client, apis, refresh).await?;
        *self.types_known.lock().unwrap_or_else(PoisonError::into_inner) = Some(news);
        Ok(served)
    }

    async fn preview(&self, write: &Write) -> Result<Preview, ProviderError> {
        preview::preview(&self.server, write).await
    }

    async fn write(&self, write: &Write) -> Result<Written, ProviderError> {
        write::write(&self.server, write).await
    }

    fn pushes(&self) -> bool {
        true
    }

    fn watch(&self, watched: &Watched) -> Option<WatchStream> {
        let known = *self.types_known.lock().unwrap_or_else(PoisonError::into_inner);
        Some(watch::watch(&self.server, &self.name, watched, known))
    }

    /// A cluster has no number of its own; its id is the [`StateStore`](holdfast_contract::StateStore)'s to tell.
    async fn account(&self) -> Result<Option<String>, ProviderError> {
        Ok(None)
    }
}
