//! Searching for objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::{ApiType, Found, Kind as _, ProviderError, ProviderName, Query, ResourceKey};
use serde_json::Value as Json;

use crate::client::encoded;
use crate::kind::ObjectKind;
use crate::observe::{list, observed};
use crate::provider::Server;

/// All objects that match `query`, ordered by namespace and name, each as [`Kind::fact`](holdfast_contract::Kind::fact)
/// shows it: of a Secret no data. Every page was read, or it is an error.
pub(crate) async fn find(
    server: &Server,
    provider: &ProviderName,
    query: &Query,
) -> Result<Vec<Found>, ProviderError> {
    let api = api_of(query)?;
    let resource = server.discovery.resource(&server.client, api).await?;
    // By key: a list that had to be begun anew gives some twice, and the last is the newest.
    let mut items: BTreeMap<ResourceKey, Json> = BTreeMap::new();
    list(
        &server.client,
        &resource,
        query.namespace.as_deref(),
        &selector(query.selector.as_deref()),
        |item| {
            if let Some(key) = key_of(provider, query, &item) {
                items.insert(key, item);
            }
        },
    )
    .await?;
    items
        .into_iter()
        .map(|(key, item)| found(&server.kind, key, item))
        .collect()
}

/// The type that `query` searches.
pub(crate) fn api_of(query: &Query) -> Result<&ApiType, ProviderError> {
    query.api.as_ref().ok_or_else(|| ProviderError::Invalid {
        target: query.kind.to_string(),
        message: "a search for objects names their apiVersion and kind".to_owned(),
        field: None,
    })
}

/// What a request for those with `labels` adds to its query.
pub(crate) fn selector(labels: Option<&str>) -> String {
    labels.map_or_else(String::new, |labels| {
        format!("&labelSelector={}", encoded(labels))
    })
}

/// Which object `item` is, if its name is one that `query` wants.
pub(crate) fn key_of(provider: &ProviderName, query: &Query, item: &Json) -> Option<ResourceKey> {
    let text = |pointer| item.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
    let prefix = query.name_prefix.as_deref().unwrap_or_default();
    Some(ResourceKey {
        provider: provider.clone(),
        kind: query.kind.clone(),
        api: query.api.clone(),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name").filter(|name| name.starts_with(prefix))?,
        region: None,
    })
}

/// An object, as a search gives it.
pub(crate) fn found(kind: &ObjectKind, key: ResourceKey, item: Json) -> Result<Found, ProviderError> {
    let observed = observed(&key, item)?;
    Ok(Found {
        key,
        document: kind.fact(&observed),
        observed: Some(Arc::new(observed)),
        unreadable: BTreeMap::new(),
    })
}
