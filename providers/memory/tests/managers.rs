//! Field managers: who holds what is taken from nobody unless the write says so.

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
    Action, Desired, Facet, Guard, Observed, Preview, Provider, ProviderError, ResourceKey, Value, Wanted,
    Write, Written,
};
use serde_json::json;

const OURS: &str = "holdfast:holdfast-system/test";

fn key() -> ResourceKey {
    object("v1", "ConfigMap", Some("default"), "settings")
}

fn desired(data: &serde_json::Value) -> Desired {
    Desired::new(Value::from_json(json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "default"}, "data": data})))
}

fn write(action: Action, guard: Guard, manager: &str, force: bool) -> Write {
    Write {
        key: key(),
        action,
        guard,
        manager: manager.to_owned(),
        force,
    }
}

async fn observed(provider: &dyn Provider) -> Arc<Observed> {
    let wanted = Wanted {
        key: key(),
        facets: [Facet::from("object")].into(),
    };
    let observation = provider.observe(&[wanted]).await.remove(0).unwrap();
    observation.present().unwrap().clone()
}

async fn set(
    provider: &dyn Provider,
    data: &serde_json::Value,
    manager: &str,
    force: bool,
) -> (Preview, Result<Written, ProviderError>) {
    let action = Action::Set {
        facet: "object".into(),
        desired: Box::new(desired(data)),
        observed: observed(provider).await,
    };
    let write = write(action, Guard::Same, manager, force);
    (
        provider.preview(&write).await.unwrap(),
        provider.write(&write).await,
    )
}

#[tokio::test]
async fn a_field_that_somebody_else_holds_is_taken_only_by_force() {
    let world = world();
    let provider = open(&world, "kubernetes", "kubernetes", None).await;
    let provider = provider.as_ref();
    let facets = BTreeMap::from([(Facet::from("object"), desired(&json!({"ours": "1"})))]);
    let creation = write(Action::Create { facets }, Guard::Absent, OURS, false);
    provider.write(&creation).await.unwrap();

    let (preview, written) = set(provider, &json!({"theirs": "1"}), "kubectl", false).await;
    assert!(preview.conflicts.is_empty(), "{preview:?}");
    written.unwrap();

    let (preview, written) = set(provider, &json!({"ours": "2", "theirs": "2"}), OURS, false).await;
    let conflicts: Vec<String> = preview
        .conflicts
        .iter()
        .map(|conflict| format!("{} of {}", conflict.path, conflict.manager))
        .collect();
    assert_eq!(conflicts, ["data.theirs of kubectl"]);
    let error = written.unwrap_err();
    assert!(matches!(error, ProviderError::Conflict { .. }), "{error}");
    let data = |observed: &Observed| {
        observed
            .value(&"object".into())
            .unwrap()
            .get("data")
            .unwrap()
            .to_string()
    };
    assert_eq!(data(&*observed(provider).await), r#"{"ours":"1","theirs":"1"}"#);

    let (_, written) = set(provider, &json!({"ours": "2", "theirs": "2"}), OURS, true).await;
    written.unwrap();
    assert_eq!(data(&*observed(provider).await), r#"{"ours":"2","theirs":"2"}"#);
    let (preview, written) = set(provider, &json!({"ours": "3", "theirs": "3"}), OURS, false).await;
    assert!(
        preview.conflicts.is_empty(),
        "what was taken is ours: {preview:?}"
    );
    written.unwrap();
}

#[tokio::test]
async fn what_we_held_and_no_longer_declare_goes() {
    let world = world();
    let provider = open(&world, "kubernetes", "kubernetes", None).await;
    let provider = provider.as_ref();
    let facets = BTreeMap::from([(
        Facet::from("object"),
        desired(&json!({"kept": "1", "dropped": "1"})),
    )]);
    let creation = write(Action::Create { facets }, Guard::Absent, OURS, false);
    provider.write(&creation).await.unwrap();
    set(provider, &json!({"kept": "1"}), OURS, false).await.1.unwrap();
    let document = world.document(&key()).unwrap();
    assert_eq!(document.get("data").unwrap().to_string(), r#"{"kept":"1"}"#);
    assert!(world.document(&bucket("none")).is_none());
}
