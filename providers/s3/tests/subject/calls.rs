//! What the tests ask of a provider, in few words.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::{
    Action, Desired, Facet, Guard, Observation, Observed, Provider, ProviderError, ResourceKey, Value,
    Wanted, Write,
};
use holdfast_testbed::{LocalStack, ObjectStore, Request, RequestLog};

use super::fresh_key;

/// The facets that a backup bucket has.
pub const MANAGED: [&str; 7] = [
    "encryption",
    "lifecycle",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "tags",
    "versioning",
];

pub async fn localstack() -> &'static ObjectStore {
    LocalStack::shared().await.unwrap().store()
}

pub fn wanted(key: &ResourceKey, facets: &[&str]) -> Wanted {
    Wanted {
        key: key.clone(),
        facets: facets.iter().map(|facet| Facet::from(*facet)).collect(),
    }
}

pub async fn observe(
    provider: &dyn Provider,
    key: &ResourceKey,
    facets: &[&str],
) -> Result<Observation, ProviderError> {
    provider.observe(&[wanted(key, facets)]).await.remove(0)
}

pub async fn present(provider: &dyn Provider, key: &ResourceKey, facets: &[&str]) -> Observed {
    match observe(provider, key, facets).await.unwrap() {
        Observation::Present(observed) => Arc::unwrap_or_clone(observed),
        Observation::Absent => panic!("{key} is absent"),
    }
}

pub fn write(key: &ResourceKey, action: Action) -> Write {
    Write {
        key: key.clone(),
        action,
        guard: Guard::Same,
        manager: "holdfast:test/faults".to_owned(),
        force: false,
    }
}

pub fn creation(key: &ResourceKey, tags: serde_json::Value) -> Write {
    let facets = BTreeMap::from([(Facet::from("tags"), Desired::new(Value::from_json(tags)))]);
    write(key, Action::Create { facets })
}

pub fn setting(facet: &str, document: serde_json::Value, observed: &Observed) -> Write {
    write(
        &observed.key,
        Action::Set {
            facet: facet.into(),
            desired: Box::new(Desired::new(Value::from_json(document))),
            observed: Arc::new(observed.clone()),
        },
    )
}

pub async fn made(store: &ObjectStore) -> ResourceKey {
    let key = fresh_key();
    store.done("PUT", &format!("/{}", key.name), "").await.unwrap();
    key
}

pub fn writes(log: &RequestLog) -> Vec<String> {
    log.requests()
        .into_iter()
        .filter(Request::is_write)
        .map(|request| format!("{} {}", request.method, request.query))
        .collect()
}
