//! Objects that others write too, on a real cluster with its controllers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod definitions;
mod fixed;
mod hooks;
mod many;
mod writers;

use std::collections::BTreeMap;

use holdfast_e2e::{Ground, Policy, Witness, changes, path};
use serde_json::{Value, json};

/// A policy of these rules in a namespace of the same name, applied.
async fn applied<'g>(ground: &'g Ground, name: &str, rules: &str) -> Policy<'g> {
    let policy = prepared(ground, name, rules).await;
    drop(policy.apply().await.exits(0));
    at_rest(ground, &policy).await;
    policy
}

/// The same, not applied yet.
async fn prepared<'g>(ground: &'g Ground, name: &str, rules: &str) -> Policy<'g> {
    ground
        .api
        .create("/api/v1/namespaces", &json!({ "metadata": { "name": name } }))
        .await;
    let policy = ground.policy(name);
    policy.write(rules);
    policy
}

/// A plan has nothing to do, and an apply writes nothing of the policy's objects.
async fn at_rest(ground: &Ground, policy: &Policy<'_>) {
    assert_eq!(changes(&policy.plan().await), BTreeMap::new());
    let mark = ground.mark().await;
    drop(policy.apply().await.exits(0));
    let witness = ground.since(mark).await;
    assert_eq!(policy.writes(&witness), [""; 0], "{}", lines(&witness));
}

fn lines(witness: &Witness) -> String {
    format!("{}\n{}", witness.summary(), witness.lines())
}

/// A namespaced object, which is there.
#[track_caller]
fn live<'g>(
    ground: &'g Ground,
    place: (&str, &str),
    namespace: &str,
    name: &str,
) -> impl Future<Output = Value> + 'g {
    let path = path(place.0, place.1, namespace, name);
    async move {
        ground
            .api
            .get(&path)
            .await
            .unwrap_or_else(|| panic!("{path} is not there"))
    }
}

/// The phase of the resource at `address`, and the reason.
#[track_caller]
fn stands(report: &Value, address: &str) -> (String, String) {
    let resource = holdfast_e2e::resource(report, address);
    let text = |key: &str| resource[key].as_str().unwrap_or_default().to_owned();
    (text("phase"), text("reason"))
}

/// The reason for which the object's body at `address` is Blocked.
#[track_caller]
fn blocked(report: &Value, address: &str) -> String {
    let resource = holdfast_e2e::resource(report, address);
    let reason = resource["blocked"]["object"].as_str();
    reason
        .unwrap_or_else(|| panic!("{address} is not blocked: {report:#}"))
        .to_owned()
}
