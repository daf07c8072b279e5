//! Policy resources as they come.

use futures::StreamExt;
use holdfast_contract::{Holder, PolicyEvent, ProviderFactory, Watched};
use holdfast_testbed::Cluster;
use serde_json::json;

use crate::support::definitions::{install, policy_definition};
use crate::support::{self, Outside, factory};
use crate::{Stage, all, changed, desk, next, policy};

#[tokio::test]
async fn policies_come_all_at_first_and_then_as_they_change() {
    let stage = Stage::set("policies").await;
    let uid = stage.policy("first").await;
    let mut events = stage.desk.policies();
    assert_eq!(all(&mut events).await, [format!("{}/first", stage.namespace)]);
    let second = stage.policy("second").await;
    let new = changed(&mut events).await;
    assert_eq!((new.id, new.uid), (stage.id("second"), second));
    assert_eq!(
        new.document,
        json!({
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Policy",
            "metadata": { "name": "second", "namespace": stage.namespace },
            "spec": { "mode": "Enforce" },
        })
    );
    let change = json!({
        "metadata": { "annotations": { "holdfast.dev/reconcile-at": "now" } }, "spec": { "suspend": true },
    });
    stage.outside.merge(&stage.path("first"), &change).await.unwrap();
    let first = changed(&mut events).await;
    assert_eq!((first.uid, first.generation), (uid, 2));
    assert_eq!(
        first.document["spec"],
        json!({ "mode": "Enforce", "suspend": true })
    );
    assert_eq!(first.reconcile_at.as_deref(), Some("now"));
    assert!(!first.deleting && !first.finalizer && first.status.is_null());
    stage.outside.delete(&stage.path("second")).await.unwrap();
    let PolicyEvent::Gone(gone) = next(&mut events).await else {
        panic!()
    };
    assert_eq!(gone, stage.id("second"));
}

#[tokio::test]
async fn only_the_namespaces_that_are_named_are_looked_at() {
    let stage = Stage::set("ours").await;
    let others = [
        stage.cluster.namespace("also-ours").await.unwrap(),
        stage.cluster.namespace("not-ours").await.unwrap(),
    ];
    stage.policy("p").await;
    for namespace in &others {
        policy(&stage.outside, namespace, "p", json!({})).await;
    }
    let both = desk(stage.cluster, &[&stage.namespace, &others[0]]).await;
    let expected = [format!("{}/p", others[0]), format!("{}/p", stage.namespace)];
    assert_eq!(all(&mut both.policies()).await, expected);
    let everywhere = desk(stage.cluster, &[]).await;
    let everywhere = all(&mut everywhere.policies()).await;
    for namespace in others.iter().chain([&stage.namespace]) {
        assert!(everywhere.contains(&format!("{namespace}/p")), "{everywhere:?}");
    }
}

#[tokio::test]
async fn that_policies_are_not_defined_is_told_until_they_are() {
    let cluster = Cluster::start().await.unwrap();
    let factory = factory(cluster.kubeconfig());
    let desk = factory
        .desk([].into(), &Holder("replica-1".to_owned()))
        .await
        .unwrap();
    let mut events = desk.policies();
    let PolicyEvent::Failed(error) = next(&mut events).await else {
        panic!()
    };
    assert_eq!(
        error.to_string(),
        "this cluster doesn't serve holdfast.dev/Policy (holdfast.dev/v1alpha1)"
    );
    // Whoever watches types over the same connection wakes the desk; else it looks every minute.
    let types = Watched {
        types: true,
        ..Watched::default()
    };
    let provider = factory.open(support::config()).await.unwrap();
    let types = tokio::spawn(provider.watch(&types).unwrap().for_each(|_| async {}));
    let outside = Outside::open(cluster.kubeconfig()).await;
    install(&outside, &policy_definition()).await;
    let uid = policy(&outside, "default", "p", json!({})).await;
    // It may have been listed before the Policy was made.
    let found = match next(&mut events).await {
        PolicyEvent::All(all) => all.into_iter().next(),
        other => panic!("{other:?}"),
    };
    let found = match found {
        Some(policy) => policy,
        None => changed(&mut events).await,
    };
    assert_eq!(found.uid, uid);
    types.abort();
}

#[tokio::test]
async fn who_may_not_look_at_policies_is_told_what_is_lacking() {
    let stage = Stage::set("denied").await;
    let bob = factory(&stage.cluster.kubeconfig_for("bob").unwrap())
        .desk([stage.namespace.clone()].into(), &Holder("bob".to_owned()))
        .await
        .unwrap();
    let PolicyEvent::Failed(error) = next(&mut bob.policies()).await else {
        panic!()
    };
    assert_eq!(
        error.to_string(),
        format!(
            "access denied: this identity lacks list policies.holdfast.dev on holdfast.dev/Policy {}/*",
            stage.namespace
        )
    );
    let uid = stage.policy("p").await;
    let error = bob
        .write_status(&stage.id("p"), &uid, &json!({}))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("lacks patch policies/status.holdfast.dev on"),
        "{error}"
    );
}
