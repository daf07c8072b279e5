//! Searching for objects.

use std::collections::BTreeMap;

use holdfast_contract::{Found, Kind as _, ProviderError, ProviderName, Query, ResourceKey};
use serde_json::Value as Json;

use crate::client::encoded;
use crate::observe::{list, observed};
use crate::provider::Server;

/// All objects that match `query`, ordered by namespace and name, each as [`Kind::fact`](holdfast_contract::Kind::fact)
/// shows it: of a Secret no data. Every page was read, or it is an error.
pub(crate) async fn find(
    server: &Server,
    provider: &ProviderName,
    query: &Query,
) -> Result<Vec<Found>, ProviderError> {
    let Some(api) = &query.api else {
        return Err(ProviderError::Invalid {
            target: query.kind.to_string(),
            message: "a search for objects names their apiVersion and kind".to_owned(),
            field: None,
        });
    };
    let resource = server.discovery.resource(&server.client, api).await?;
    let selector = match &query.selector {
        Some(selector) => format!("&labelSelector={}", encoded(selector)),
        None => String::new(),
    };
    let prefix = query.name_prefix.as_deref().unwrap_or_default();
    // By key: a list that had to be begun anew gives some twice, and the last is the newest.
    let mut items: BTreeMap<ResourceKey, Json> = BTreeMap::new();
    list(
        &server.client,
        &resource,
        query.namespace.as_deref(),
        &selector,
        |item| {
            let text = |pointer| item.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
            let Some(name) = text("/metadata/name").filter(|name| name.starts_with(prefix)) else {
                return;
            };
            let key = ResourceKey {
                provider: provider.clone(),
                kind: query.kind.clone(),
                api: Some(api.clone()),
                namespace: text("/metadata/namespace"),
                name,
                region: None,
            };
            items.insert(key, item);
        },
    )
    .await?;
    items
        .into_iter()
        .map(|(key, item)| {
            let observed = observed(&key, item)?;
            Ok(Found {
                key,
                document: server.kind.fact(&observed),
                observed: Some(Box::new(observed)),
                unreadable: BTreeMap::new(),
            })
        })
        .collect()
}
