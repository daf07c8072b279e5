//! Which replicas are here, on a real API server.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    reason = "tests, which share a module that each uses a part of"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{Holder, PolicyId, ProviderError, Roster};
use holdfast_testbed::Cluster;
use serde_json::{Value as Json, json};
use support::{Outside, factory};

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

fn member(name: &str) -> Holder {
    Holder(name.to_owned())
}

fn members(names: &[&str]) -> BTreeSet<Holder> {
    names.iter().map(|name| member(name)).collect()
}

/// A roster in a namespace that doesn't exist yet, and another client.
async fn roster(namespace: &str) -> (Arc<dyn Roster>, Outside) {
    let cluster = Cluster::shared().await.unwrap();
    let roster = factory(cluster.kubeconfig())
        .roster(namespace, "all")
        .await
        .unwrap();
    (roster, Outside::open(cluster.kubeconfig()).await)
}

fn path(namespace: &str) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
}

/// The Leases of a namespace.
async fn leases(outside: &Outside, namespace: &str) -> Vec<Json> {
    let list = outside.get(&path(namespace)).await.unwrap();
    list["items"].as_array().unwrap().clone()
}

async fn set_renewed(outside: &Outside, namespace: &str, lease: &Json, time: &str) {
    let path = format!(
        "{}/{}",
        path(namespace),
        lease["metadata"]["name"].as_str().unwrap()
    );
    let renewed = json!({ "spec": { "renewTime": time } });
    outside.merge(&path, &renewed).await.unwrap();
}

#[tokio::test]
async fn whoever_announces_itself_is_a_member_until_it_withdraws() {
    let (roster, outside) = roster("roster").await;
    assert_eq!(roster.members().await.unwrap(), members(&[]));
    let names = ["holdfast-7d9c-x2x: 1f0a", "Holdfast-7d9c-x2x: 1f0a", "…"];
    for name in names {
        roster.announce(&member(name), MINUTE).await.unwrap();
    }
    assert_eq!(roster.members().await.unwrap(), members(&names));
    roster.announce(&member(names[0]), MINUTE).await.unwrap();
    let leases = leases(&outside, "roster").await;
    assert_eq!(leases.len(), 3, "a renewal makes no further one");
    for lease in &leases {
        let labels = &lease["metadata"]["labels"];
        assert_eq!(labels["velero.io/exclude-from-backup"], "true");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "holdfast");
        assert!(
            lease["metadata"]["name"]
                .as_str()
                .unwrap()
                .starts_with("holdfast-replica.")
        );
        assert_eq!(lease["spec"]["leaseDurationSeconds"], 60);
    }
    roster.withdraw(&member(names[1])).await.unwrap();
    assert_eq!(roster.members().await.unwrap(), members(&[names[0], names[2]]));
    roster.withdraw(&member(names[1])).await.unwrap();
}

#[tokio::test]
async fn replicas_of_other_policies_are_no_members() {
    let (roster, _) = roster("groups").await;
    let cluster = Cluster::shared().await.unwrap();
    let others = factory(cluster.kubeconfig())
        .roster("groups", "others")
        .await
        .unwrap();
    roster.announce(&member("us"), MINUTE).await.unwrap();
    others.announce(&member("them"), MINUTE).await.unwrap();
    assert_eq!(roster.members().await.unwrap(), members(&["us"]));
    assert_eq!(others.members().await.unwrap(), members(&["them"]));
}

#[tokio::test]
async fn an_announcement_is_one_request_and_so_is_a_look() {
    let (roster, _) = roster("cheap").await;
    let us = member("us");
    roster.announce(&us, MINUTE).await.unwrap();
    let cluster = Cluster::shared().await.unwrap();
    let mark = cluster.mark().await.unwrap();
    roster.announce(&us, MINUTE).await.unwrap();
    roster.members().await.unwrap();
    let events = cluster.since(mark).await.unwrap();
    let ours: Vec<&str> = events
        .iter()
        .filter(|event| event.namespace == "cheap")
        .map(|event| event.verb.as_str())
        .collect();
    assert_eq!(ours, ["patch", "list"]);
}

#[tokio::test]
async fn the_leases_of_policies_are_no_members() {
    let (roster, _) = roster("mixed").await;
    let cluster = Cluster::shared().await.unwrap();
    let state = factory(cluster.kubeconfig()).state("mixed").await.unwrap();
    let policy = PolicyId {
        namespace: "holdfast-system".to_owned(),
        name: "p".to_owned(),
    };
    state.acquire(&policy, &member("us"), MINUTE).await.unwrap();
    roster.announce(&member("us"), MINUTE).await.unwrap();
    roster.announce(&member("them"), MINUTE).await.unwrap();
    assert_eq!(roster.members().await.unwrap(), members(&["us", "them"]));
}

#[tokio::test]
async fn a_member_whose_word_has_expired_is_none() {
    let (roster, outside) = roster("expired").await;
    roster.announce(&member("killed"), MINUTE).await.unwrap();
    roster.announce(&member("here"), MINUTE).await.unwrap();
    for lease in leases(&outside, "expired").await {
        if lease["spec"]["holderIdentity"] == "killed" {
            set_renewed(&outside, "expired", &lease, "2020-01-01T00:00:00.000000Z").await;
        }
    }
    assert_eq!(roster.members().await.unwrap(), members(&["here"]));
    // It may only have a clock that is behind: what it wrote stays, and its next word counts.
    assert_eq!(leases(&outside, "expired").await.len(), 2);
    roster.announce(&member("killed"), MINUTE).await.unwrap();
    assert_eq!(roster.members().await.unwrap(), members(&["here", "killed"]));
}

/// A replica whose clock is far ahead and that is gone: it doesn't stay a member for years.
#[tokio::test]
async fn a_member_that_is_silent_while_one_looks_on_is_none_and_is_forgotten_later() {
    let (roster, outside) = roster("silent").await;
    roster.announce(&member("killed"), SECOND).await.unwrap();
    roster.announce(&member("here"), MINUTE).await.unwrap();
    for lease in leases(&outside, "silent").await {
        if lease["spec"]["holderIdentity"] == "killed" {
            set_renewed(&outside, "silent", &lease, "2999-01-01T00:00:00.000000Z").await;
        }
    }
    assert_eq!(
        roster.members().await.unwrap(),
        members(&["here", "killed"]),
        "it may be here"
    );
    let began = tokio::time::Instant::now();
    while roster.members().await.unwrap() != members(&["here"]) {
        assert!(began.elapsed() < 10 * SECOND);
        tokio::time::sleep(SECOND / 10).await;
    }
    assert!(began.elapsed() >= SECOND);
    while leases(&outside, "silent").await.len() > 1 {
        assert!(began.elapsed() < MINUTE, "what the dead leave piles up");
        assert_eq!(roster.members().await.unwrap(), members(&["here"]));
        tokio::time::sleep(SECOND / 2).await;
    }
    assert!(began.elapsed() >= 10 * SECOND, "not at once");
}

#[tokio::test]
async fn who_may_not_look_is_told_so() {
    let cluster = Cluster::shared().await.unwrap();
    let roster = factory(&cluster.kubeconfig_for("bob").unwrap())
        .roster("default", "all")
        .await
        .unwrap();
    for error in [
        roster.members().await.map(|_| ()).unwrap_err(),
        roster.announce(&member("us"), MINUTE).await.unwrap_err(),
        roster.withdraw(&member("us")).await.unwrap_err(),
    ] {
        assert!(matches!(error, ProviderError::Denied { .. }), "{error}");
    }
}
