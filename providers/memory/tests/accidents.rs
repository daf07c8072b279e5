//! What a test may ask of the world: failures, lost answers, lag, and what was requested.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{bucket, object, open, world};
use holdfast_contract::{
    Action, Desired, Facet, FacetState, Guard, Observation, Observed, PolicyId, Provider, ProviderError,
    ResourceKey, StateStore, Value, Wanted, Write, Written,
};
use holdfast_memory::{Accident, Operation, World};
use serde_json::json;

fn denied() -> ProviderError {
    ProviderError::Denied {
        action: "s3:GetBucketTagging".to_owned(),
        target: "backups".to_owned(),
    }
}

fn unavailable() -> ProviderError {
    ProviderError::Unavailable {
        service: "s3".to_owned(),
        message: "connection reset".to_owned(),
        source: None,
    }
}

fn tags(owner: &str) -> Desired {
    Desired::new(Value::from_json(json!({ "owner": owner })))
}

fn write(key: &ResourceKey, action: Action, guard: Guard) -> Write {
    Write {
        key: key.clone(),
        action,
        guard,
        manager: "holdfast:holdfast-system/test".to_owned(),
        force: false,
    }
}

async fn create(provider: &dyn Provider, key: &ResourceKey) -> Result<Written, ProviderError> {
    let facets = BTreeMap::from([(Facet::from("tags"), tags("velero"))]);
    provider
        .write(&write(key, Action::Create { facets }, Guard::Absent))
        .await
}

async fn set_tags(
    provider: &dyn Provider,
    observed: Arc<Observed>,
    owner: &str,
) -> Result<Written, ProviderError> {
    let key = observed.key.clone();
    let action = Action::Set {
        facet: "tags".into(),
        desired: Box::new(tags(owner)),
        observed,
    };
    provider.write(&write(&key, action, Guard::Same)).await
}

async fn observe(provider: &dyn Provider, key: &ResourceKey) -> Result<Observation, ProviderError> {
    let wanted = Wanted {
        key: key.clone(),
        facets: ["bucket", "tags", "versioning"].map(Facet::from).into(),
    };
    provider.observe(&[wanted]).await.remove(0)
}

async fn present(provider: &dyn Provider, key: &ResourceKey) -> Arc<Observed> {
    let observation = observe(provider, key).await.unwrap();
    observation.present().unwrap().clone()
}

fn owner(observed: &Arc<Observed>) -> String {
    observed
        .value(&"tags".into())
        .map_or_else(String::new, |tags| tags.get("owner").unwrap().to_string())
}

fn requests(world: &World) -> Vec<String> {
    world.requests().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_request_is_noted_in_order() {
    let world = world();
    let provider = open(&world, "s3", "s3", None).await;
    let policy = PolicyId {
        namespace: "holdfast-system".to_owned(),
        name: "velero".to_owned(),
    };
    let key = bucket("backups");
    assert!(matches!(
        observe(provider.as_ref(), &key).await,
        Ok(Observation::Absent)
    ));
    assert!(
        world
            .requests()
            .iter()
            .all(|request| !request.operation.is_write())
    );
    world.save(&policy, &BTreeMap::new(), None).await.unwrap();
    create(provider.as_ref(), &key).await.unwrap();
    let observed = present(provider.as_ref(), &key).await;
    set_tags(provider.as_ref(), observed, "other").await.unwrap();
    assert_eq!(
        requests(&world),
        [
            "observe s3/Bucket backups",
            "save holdfast-system/velero",
            "create s3/Bucket backups",
            "observe s3/Bucket backups",
            "set s3/Bucket backups tags",
        ]
    );
    world.forget_requests();
    assert_eq!(requests(&world), [] as [&str; 0]);
}

#[tokio::test]
async fn a_failure_befalls_the_request_that_it_waits_for_and_no_other() {
    let world = world();
    let provider = open(&world, "s3", "s3", None).await;
    let (one, other) = (bucket("one"), bucket("other"));
    world.fail(Accident::new(Operation::Create, unavailable()).on("one"));
    create(provider.as_ref(), &other).await.unwrap();
    let error = create(provider.as_ref(), &one).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    assert!(matches!(
        observe(provider.as_ref(), &one).await,
        Ok(Observation::Absent)
    ));
    create(provider.as_ref(), &one).await.unwrap();
}

#[tokio::test]
async fn a_denied_facet_is_unreadable_alone_until_the_world_heals() {
    let world = world();
    let provider = open(&world, "s3", "s3", None).await;
    let key = bucket("backups");
    create(provider.as_ref(), &key).await.unwrap();
    world.fail(
        Accident::new(Operation::Observe, denied())
            .of(&"tags".into())
            .always(),
    );
    for _ in 0..2 {
        let observed = present(provider.as_ref(), &key).await;
        assert!(matches!(
            observed.facets[&Facet::from("tags")],
            FacetState::Unreadable(_)
        ));
        assert!(matches!(
            observed.facets[&Facet::from("versioning")],
            FacetState::Unset
        ));
    }
    world.heal();
    assert_eq!(owner(&present(provider.as_ref(), &key).await), "velero");
}

#[tokio::test]
async fn a_lost_answer_hides_a_write_that_took_effect() {
    let world = world();
    let provider = open(&world, "s3", "s3", None).await;
    let key = bucket("backups");
    world.fail(Accident::new(Operation::Create, unavailable()).after_the_effect());
    let error = create(provider.as_ref(), &key).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    assert_eq!(owner(&present(provider.as_ref(), &key).await), "velero");
}

#[tokio::test]
async fn a_store_that_lags_answers_as_before_the_write_for_a_while() {
    let world = world();
    let provider = open(&world, "s3", "s3", None).await;
    let key = bucket("backups");
    create(provider.as_ref(), &key).await.unwrap();
    let observed = present(provider.as_ref(), &key).await;
    world.lag(2);
    set_tags(provider.as_ref(), observed, "other").await.unwrap();
    let mut owners = Vec::new();
    for _ in 0..4 {
        owners.push(owner(&present(provider.as_ref(), &key).await));
    }
    assert_eq!(owners, ["velero", "velero", "other", "other"]);
}

#[tokio::test]
async fn a_clusters_reads_never_lag() {
    let world = world();
    let provider = open(&world, "kubernetes", "kubernetes", None).await;
    world.lag(5);
    let key = object("v1", "Namespace", None, "shop");
    let document = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    let facets = BTreeMap::from([(Facet::from("object"), Desired::new(Value::from_json(document)))]);
    let creation = write(&key, Action::Create { facets }, Guard::Absent);
    provider.write(&creation).await.unwrap();
    assert!(
        observe(provider.as_ref(), &key)
            .await
            .unwrap()
            .present()
            .is_some()
    );
}
