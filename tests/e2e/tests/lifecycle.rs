//! What is deleted, what is made anew, and what waits, on a real API server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use holdfast_e2e::{Output, STATE, Stage, on_stage, path, resource};
use serde_json::{Value, json};

/// One apply of a policy whose `spec`, without its language, is `spec`; nobody else's fields are near it.
async fn apply(stage: &Stage, name: &str, mut spec: Value) -> Output {
    spec["language"] = json!(1);
    let policy = json!({
        "apiVersion": "holdfast.dev/v1alpha1", "kind": "Policy", "metadata": { "name": name }, "spec": spec,
    });
    let file = stage.home().join(format!("{name}.yaml"));
    std::fs::write(&file, policy.to_string()).unwrap();
    let file = file.display().to_string();
    stage
        .holdfast(&["apply", &file, "--yes", "--timeout", "30s"])
        .await
}

/// Begins without what an earlier run of the policy has made.
async fn without(stage: &Stage, policy: &str, made: &[String]) {
    for path in made {
        stage.api.delete(path).await;
    }
    stage.api.delete(&path("v1", "ConfigMap", STATE, policy)).await;
    stage
        .api
        .delete(&path("coordination.k8s.io/v1", "Lease", STATE, policy))
        .await;
}

fn server(app: &str, allow: &[&str], limit: u32) -> Value {
    json!({
        "limits": { "deletions": limit },
        "rules": { "server": {
            "ensure": "kubernetes/Object",
            "ready": "true",
            "allow": allow,
            "desired": {
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "name": "replaced", "namespace": "default" },
                "spec": {
                    "replicas": 0,
                    "selector": { "matchLabels": { "app": app } },
                    "template": {
                        "metadata": { "labels": { "app": app } },
                        "spec": { "containers": [ { "name": "server", "image": "example.com/server:1" } ] },
                    },
                },
            },
        } },
    })
}

#[test]
fn a_selector_that_the_server_does_not_let_change_is_changed_by_replacing_where_that_is_allowed() {
    on_stage(async |stage| {
        let deployment = path("apps/v1", "Deployment", "default", "replaced");
        without(stage, "replaced", std::slice::from_ref(&deployment)).await;
        drop(apply(stage, "replaced", server("a", &[], 0)).await.exits(0));
        let before = stage.api.get(&deployment).await.unwrap();

        let refused = apply(stage, "replaced", server("b", &[], 1)).await.exits(2);
        drop(refused.says("spec.selector").says("allow: [Replace]"));
        let limited = apply(stage, "replaced", server("b", &["Replace"], 0))
            .await
            .exits(2);
        drop(limited.says("1 to delete, and the limit is 0").says("approve: "));
        let untouched = stage.api.get(&deployment).await.unwrap();
        assert_eq!(untouched["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(untouched["spec"], before["spec"]);

        drop(
            apply(stage, "replaced", server("b", &["Replace"], 1))
                .await
                .exits(0),
        );
        let after = stage.api.get(&deployment).await.unwrap();
        assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(after["spec"]["selector"]["matchLabels"]["app"], "b");
    });
}

fn maps(names: &[&str], approve: Option<&str>) -> Value {
    let rules: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| {
            let desired = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("lifecycle-{name}"), "namespace": "default" } });
            let rule = json!({ "ensure": "kubernetes/Object", "onRemove": "Delete", "desired": desired });
            ((*name).to_owned(), rule)
        })
        .collect();
    let mut spec = json!({ "rules": rules });
    if let Some(approve) = approve {
        spec["approve"] = json!(approve);
    }
    spec
}

#[test]
fn what_leaves_the_policy_goes_once_that_is_approved_and_another_incarnation_stays() {
    on_stage(async |stage| {
        let map = |name: &str| path("v1", "ConfigMap", "default", &format!("lifecycle-{name}"));
        let all = ["keep", "gone", "foreign"];
        without(stage, "lifecycle", &all.map(map)).await;
        drop(apply(stage, "lifecycle", maps(&all, None)).await.exits(0));
        stage.api.delete(&map("foreign")).await;
        let theirs = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "lifecycle-foreign", "namespace": "default" } });
        stage
            .api
            .create("/api/v1/namespaces/default/configmaps", &theirs)
            .await;

        let held = apply(stage, "lifecycle", maps(&["keep"], None)).await.exits(2);
        assert!(stage.api.get(&map("gone")).await.is_some());
        let (_, rest) = held.stdout.split_once("approve: ").expect("the hash is shown");
        let approve: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
        let approved = apply(stage, "lifecycle", maps(&["keep"], Some(&approve))).await;
        drop(approved.exits(0).says("deleted"));
        assert!(stage.api.get(&map("gone")).await.is_none());
        assert!(stage.api.get(&map("keep")).await.is_some());
        assert!(
            stage.api.get(&map("foreign")).await.is_some(),
            "somebody else made it anew"
        );
    });
}

#[test]
fn a_rollout_waits_for_its_hold_on_a_real_server() {
    on_stage(async |stage| {
        let deployment = path("apps/v1", "Deployment", "default", "replaced");
        let busy = path("v1", "ConfigMap", "default", "busy");
        without(stage, "replaced", &[deployment.clone(), busy.clone()]).await;
        let held = |image: &str| {
            let mut spec = server("a", &[], 0);
            spec["facts"] = json!({ "runs": { "list": { "apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "selector": "run" } } });
            let rule = &mut spec["rules"]["server"];
            rule["hold"] = json!({ "while": "size(facts.runs) > 0", "message": "a run is in progress" });
            rule["desired"]["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
            spec
        };
        drop(
            apply(stage, "replaced", held("example.com/server:1"))
                .await
                .exits(0),
        );
        let run = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "busy", "namespace": "default", "labels": { "run": "now" } } });
        stage
            .api
            .create("/api/v1/namespaces/default/configmaps", &run)
            .await;
        let mut spec = held("example.com/server:2");
        spec["rules"]["server"]["desired"]["metadata"]["labels"] = json!({ "tier": "a" });
        let end = async {
            holdfast_e2e::until("the hold is in the ledger", async || {
                let ledger = stage.api.get(&path("v1", "ConfigMap", STATE, "replaced")).await;
                ledger.is_some_and(|ledger| ledger["data"]["ledger.json"].to_string().contains("held"))
            })
            .await;
            let there = stage.api.get(&deployment).await.unwrap();
            let image = &there["spec"]["template"]["spec"]["containers"][0]["image"];
            assert_eq!(image, "example.com/server:1");
            stage.api.delete(&busy).await;
        };
        let (applied, ()) = tokio::join!(apply(stage, "replaced", spec), end);
        drop(applied.exits(0).says("a run is in progress"));
        let after = stage.api.get(&deployment).await.unwrap();
        assert_eq!(
            after["spec"]["template"]["spec"]["containers"][0]["image"],
            "example.com/server:2"
        );
    });
}

/// Only what a server really keeps otherwise is told: words that mean the same are not.
#[test]
fn the_shipped_policy_declares_nothing_that_a_real_server_keeps_otherwise() {
    on_stage(async |stage| {
        stage.converged().await;
        let plan = stage.plan().await.exits(0).report();
        for resource in plan["resources"].as_array().unwrap() {
            assert_eq!(resource.get("overridden"), None, "{resource}");
        }
        assert_eq!(resource(&plan, "bucket")["phase"], "Converged");
    });
}
