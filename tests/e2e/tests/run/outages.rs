//! Servers that don't answer, and credentials that change.

use std::time::Duration;

use holdfast_e2e::{Api, on_own_ground, on_stage, path, until};
use serde_json::json;

use crate::objects::{becomes, one_map};

/// Fewer lines than this tell of an outage of 20 s, however often the server is asked meanwhile.
const LINES_MAX: usize = 12;

#[test]
fn an_api_server_that_is_gone_for_twenty_seconds_and_starts_again_ends_nothing() {
    on_own_ground(async |ground| {
        let policy = ground.policy("run-restart");
        policy.write(&one_map("run-restart", "1"));
        let path_of_policy = policy.path();
        // As the chart says it.
        let enforcer = ground.enforce_with(&[&path_of_policy], &[("RUST_LOG", "info")]);
        enforcer.reaches("one", "Converged").await;
        let begun = enforcer.lines().len();
        ground.cluster.stop_api_server();
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(enforcer.is_alive());
        let said = enforcer.lines().split_off(begun);
        assert!(said.len() <= LINES_MAX, "{said:#?}");
        ground.cluster.start_api_server_again().await.unwrap();
        ground.api = Api::new(&ground.cluster, "by-hand");
        let place = path("v1", "ConfigMap", "run-restart", "one");
        ground
            .api
            .patch(&place, &json!({ "data": { "a": "spoilt" } }))
            .await;
        becomes(ground, "run-restart", "1").await;
        drop(enforcer.end().await);
    });
}

#[test]
fn an_api_server_that_does_not_answer_for_twenty_seconds_ends_nothing() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let enforcer = stage.enforce("policies/managed-velero", &[]);
        enforcer.reaches("server", "Converged").await;
        stage.freeze_api_server(true);
        tokio::time::sleep(Duration::from_secs(20)).await;
        stage.freeze_api_server(false);
        let place = path("v1", "Service", "openshift-velero", "velero-metrics");
        until("the server answers", async || {
            stage.api.get(&place).await.is_some()
        })
        .await;
        stage.api.delete(&place).await;
        until("what was deleted is there again", async || {
            stage.api.get(&place).await.is_some()
        })
        .await;
        assert_eq!(stage.our_buckets().await, [bucket]);
        drop(enforcer.end().await);
    });
}

#[test]
fn a_secret_that_is_rotated_signs_the_next_cycle() {
    on_stage(async |stage| {
        let folder = stage.home().join("rotated");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join("policy.yaml"),
            "apiVersion: holdfast.dev/v1alpha1
kind: Policy
metadata: { name: rotated }
spec:
  language: 1
  interval: 1h
  providers: { s3: { region: us-east-2, credentials: [{ secret: { namespace: default, name: rotated } }] } }
  rules:
    data: { ensure: s3/Bucket, name: acme-rotated, desired: { tags: { owner: us } } }
",
        )
        .unwrap();
        let keys = |id: &str| json!({ "aws_access_key_id": id, "aws_secret_access_key": "hunter2" });
        let secret = json!({ "metadata": { "name": "rotated" }, "stringData": keys("AKIAFIRST") });
        stage
            .api
            .create("/api/v1/namespaces/default/secrets", &secret)
            .await;
        let enforcer = stage.enforce(&folder.display().to_string(), &[]);
        enforcer.reaches("data", "Converged").await;
        stage.s3.clear();
        let rotated = json!({ "stringData": keys("AKIASECOND") });
        stage
            .api
            .patch(&path("v1", "Secret", "default", "rotated"), &rotated)
            .await;
        until("the store is asked with the new key", async || {
            let requests = stage.s3.requests();
            requests
                .iter()
                .any(|request| request.key_id.as_deref() == Some("AKIASECOND"))
        })
        .await;
        assert!(!enforcer.log().contains("hunter2"));
        drop(enforcer.end().await);
        stage
            .api
            .delete(&path("v1", "Secret", "default", "rotated"))
            .await;
    });
}
