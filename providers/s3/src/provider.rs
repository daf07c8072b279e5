//! The provider: one object store, as one identity.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use holdfast_contract::{
    Action, ApiType, Fidelity, Found, Kind, Observation, Preview, Provider, ProviderError, ProviderName,
    Query, Served, Wanted, WatchStream, Watched, Write, Written,
};

use crate::client::Client;
use crate::kind::{BucketKind, KIND};
use crate::{find, observe, write};

/// One object store, as one identity. Cheap to keep: it holds connections, keys and what was learnt of regions.
#[derive(Debug)]
pub(crate) struct S3Provider {
    name: ProviderName,
    kind: Arc<BucketKind>,
    client: Client,
}

impl S3Provider {
    pub(crate) fn new(name: ProviderName, kind: Arc<BucketKind>, client: Client) -> Self {
        Self { name, kind, client }
    }
}

#[async_trait]
impl Provider for S3Provider {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    async fn observe(&self, wanted: &[Wanted]) -> Vec<Result<Observation, ProviderError>> {
        join_all(wanted.iter().map(|wanted| observe::bucket(&self.client, wanted))).await
    }

    async fn find(&self, query: &Query) -> Result<Vec<Found>, ProviderError> {
        if query.kind.as_str() != KIND {
            return Err(ProviderError::Unsupported {
                service: self.client.service(),
                what: query.kind.to_string(),
            });
        }
        find::buckets(&self.client, &self.name, query).await
    }

    /// Nothing: a bucket is of no API type.
    async fn served(
        &self,
        _apis: &[ApiType],
        _refresh: bool,
    ) -> Result<BTreeMap<ApiType, Served>, ProviderError> {
        Ok(BTreeMap::new())
    }

    /// By the kind alone, as the service has no dry run. Sends nothing.
    async fn preview(&self, write: &Write) -> Result<Preview, ProviderError> {
        let differences = match &write.action {
            Action::Create { facets } => facets
                .iter()
                .flat_map(|(facet, desired)| self.kind.compare(facet, desired, None, &write.manager))
                .collect(),
            Action::Set {
                facet,
                desired,
                observed,
            } => self.kind.compare(facet, desired, Some(observed), &write.manager),
            Action::Delete { .. } => Vec::new(),
        };
        Ok(Preview {
            differences,
            fidelity: Fidelity::SchemaChecked,
            conflicts: Vec::new(),
        })
    }

    async fn write(&self, write: &Write) -> Result<Written, ProviderError> {
        match &write.action {
            Action::Create { facets } => write::create(&self.client, &write.key, facets).await,
            Action::Set {
                facet,
                desired,
                observed,
            } => write::set(&self.client, &write.key, facet, desired, observed).await,
            Action::Delete { observed } => write::delete(&self.client, &write.key, observed).await,
        }
    }

    /// None: the service can't push without a queue of its own.
    fn watch(&self, _watched: &Watched) -> Option<WatchStream> {
        None
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        self.client.account().await
    }
}
