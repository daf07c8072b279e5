//! What happens to objects while it runs.

use std::time::{Duration, Instant};

use holdfast_e2e::{Ground, on_ground, path, until};
use serde_json::json;

/// A policy with a namespace and one map in it, whose `a` is `value`.
pub(crate) fn one_map(name: &str, value: &str) -> String {
    format!(
        "space: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: Namespace, metadata: {{ name: {name} }} \
         }} }}\none: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: one \
         }}, data: {{ a: '{value}' }} }} }}"
    )
}

/// Waits until the map's `a` is `value`.
pub(crate) async fn becomes(ground: &Ground, name: &str, value: &str) {
    let place = path("v1", "ConfigMap", name, "one");
    until(&format!("{place} is {value}"), async || {
        let map = ground.api.get(&place).await.unwrap_or_default();
        map["data"]["a"] == value
    })
    .await;
}

#[test]
fn drift_is_put_back_while_it_runs_and_what_is_not_declared_stays() {
    on_ground(async |ground| {
        let policy = ground.policy("run-drift");
        policy.write(&one_map("run-drift", "1"));
        let enforcer = ground.enforce(&[&policy.path()]);
        enforcer.reaches("one", "Converged").await;
        let begun = Instant::now();
        let change = json!({ "data": { "a": "spoilt", "b": "2" } });
        ground
            .api
            .patch(&path("v1", "ConfigMap", "run-drift", "one"), &change)
            .await;
        becomes(ground, "run-drift", "1").await;
        println!("put back after {:?}", begun.elapsed());
        let map = ground
            .api
            .get(&path("v1", "ConfigMap", "run-drift", "one"))
            .await
            .unwrap();
        assert_eq!(map["data"]["b"], "2", "what isn't declared stays");
        drop(enforcer.end().await);
    });
}

#[test]
fn a_field_that_somebody_keeps_changing_back_is_left_to_them_and_the_rest_is_enforced() {
    on_ground(async |ground| {
        let policy = ground.policy("run-fight");
        policy.write(&one_map("run-fight", "1"));
        let enforcer = ground.enforce(&[&policy.path()]);
        enforcer.reaches("one", "Converged").await;
        let place = path("v1", "ConfigMap", "run-fight", "one");
        let theirs = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "one", "namespace": "run-fight" }, "data": { "a": "theirs" } });
        for _ in 0..3 {
            ground.api.apply(&place, "somebody", &theirs).await;
            becomes(ground, "run-fight", "1").await;
        }
        ground.api.apply(&place, "somebody", &theirs).await;
        enforcer.reaches("one", "Contested").await;
        assert!(enforcer.log().contains("by somebody"), "{}", enforcer.log());
        // Another field of the same object is put back all the same.
        let label = json!({ "metadata": { "labels": { "holdfast.dev/policy": null } } });
        ground.api.patch(&place, &label).await;
        until("its label is back", async || {
            let map = ground.api.get(&place).await.unwrap_or_default();
            map["metadata"]["labels"]["holdfast.dev/policy"] == "holdfast-system.run-fight"
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let map = ground.api.get(&place).await.unwrap();
        assert_eq!(map["data"]["a"], "theirs");
        drop(enforcer.end().await);
    });
}

#[test]
fn a_deployment_is_settling_until_it_is_available_and_what_needs_it_waits() {
    on_ground(async |ground| {
        let policy = ground.policy("run-ready");
        policy.write(
            "space: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: Namespace, metadata: { name: run-ready } \
             } }\nserver: { ensure: kubernetes/Object, desired: { apiVersion: apps/v1, kind: Deployment, metadata: { name: \
             server }, spec: { selector: { matchLabels: { app: server } }, template: { metadata: { labels: { app: server } \
             }, spec: { nodeSelector: { run-ready: here }, containers: [ { name: server, image: localhost/server } ] } } } \
             } }\nafter: { ensure: kubernetes/Object, when: rules.server.converged, desired: { apiVersion: v1, kind: \
             ConfigMap, metadata: { name: after } } }",
        );
        let enforcer = ground.enforce(&[&policy.path()]);
        enforcer.reaches("server", "Settling").await;
        let place = path("apps/v1", "Deployment", "run-ready", "server");
        until("the controllers have seen it", async || {
            let server = ground.api.get(&place).await.unwrap_or_default();
            server["status"]["unavailableReplicas"] == 1
        })
        .await;
        let is_there = enforcer.lines().into_iter().any(|line| {
            line["phase"] == "Converged" && (line["resource"] == "server" || line["resource"] == "after")
        });
        assert!(!is_there, "{}", enforcer.log());
        for node in ground.api.list("/api/v1/nodes").await {
            let place = path("v1", "Node", "", node["metadata"]["name"].as_str().unwrap());
            let label = json!({ "metadata": { "labels": { "run-ready": "here" } } });
            ground.api.patch(&place, &label).await;
        }
        enforcer.reaches("server", "Converged").await;
        let server = ground.api.get(&place).await.unwrap();
        assert_eq!(server["status"]["availableReplicas"], 1, "{server:#}");
        enforcer.reaches("after", "Converged").await;
        drop(enforcer.end().await);
    });
}

#[test]
fn a_type_that_comes_later_is_noticed() {
    on_ground(async |ground| {
        let policy = ground.policy("run-types");
        policy.write(
            "space: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: Namespace, metadata: { name: run-types } \
             } }\nwidget: { ensure: kubernetes/Object, desired: { apiVersion: run.example.com/v1, kind: Widget, metadata: { \
             name: one }, spec: { size: 3 } } }",
        );
        let enforcer = ground.enforce(&[&policy.path()]);
        enforcer.reaches("widget", "Pending").await;
        let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": "widgets.run.example.com" },
            "spec": {
                "group": "run.example.com", "scope": "Namespaced",
                "names": { "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList" },
                "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
            },
        });
        let all = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        ground.api.create(all, &definition).await;
        until("the widget is there", async || {
            let place = "/apis/run.example.com/v1/namespaces/run-types/widgets/one";
            ground.api.get(place).await.is_some()
        })
        .await;
        drop(enforcer.end().await);
        ground.api.delete(&format!("{all}/widgets.run.example.com")).await;
    });
}
