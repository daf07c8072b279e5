//! The guide to moving here from another Velero, and to leaving again: its commands, as they stand there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use holdfast_e2e::{NAMESPACE, Stage, on_stage, path, until};
use holdfast_testbed::{Request, fixtures, kubectl_with_input};
use serde_json::json;

const PAGE: &str = include_str!("../../../docs/migrating.md");
const POLICY: &str = "policies/managed-velero";
const OLD_BUCKET: &str = "backups-of-before";

/// Runs a command that stands in the guide, but for what differs from reader to reader.
async fn documented(stage: &Stage, command: &str) -> String {
    assert!(
        PAGE.contains(&format!("$ {command}\n")),
        "not in the guide: {command}"
    );
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    stage.kubectl(&words).await
}

/// The document that a command of the guide takes from its input.
fn document_of(command: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("$ {command} <<END\n")).expect(command);
    rest.split_once("\nEND\n").expect("it ends").0
}

fn deployment(namespace: &str, name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "main", "image": "registry.example/main:1" }] },
            },
        },
    })
}

#[test]
fn a_velero_of_another_make_stays_beside_and_its_backups_are_read() {
    on_stage(async |stage| {
        // What another installation leaves: upstream's own definitions, its Deployments, and a bucket.
        for file in fixtures::velero_crds().unwrap() {
            let file = file.display().to_string();
            stage
                .kubectl(&["delete", "--ignore-not-found", "-f", &file])
                .await;
            stage.kubectl(&["create", "-f", &file]).await;
        }
        stage.kubectl(&["create", "namespace", "openshift-adp"]).await;
        for name in ["openshift-adp-controller-manager", "velero"] {
            let all = path("apps/v1", "Deployment", "openshift-adp", "");
            stage
                .api
                .create(all.trim_end_matches('/'), &deployment("openshift-adp", name))
                .await;
        }
        stage
            .store()
            .create(OLD_BUCKET, &json!({ "region": "us-east-2" }))
            .await;

        documented(
            stage,
            "kubectl -n openshift-adp scale deployment openshift-adp-controller-manager --replicas=0",
        )
        .await;
        documented(
            stage,
            "kubectl -n openshift-adp scale deployment velero --replicas=0",
        )
        .await;
        let bucket = stage.converged().await;
        assert_ne!(bucket, OLD_BUCKET);

        let location = document_of("kubectl apply -f -").replace("THE-OLD-BUCKET", OLD_BUCKET);
        kubectl_with_input(&stage.cluster, &["apply", "-f", "-"], &location)
            .await
            .unwrap();
        documented(stage, "kubectl -n openshift-velero get backups").await;
        until("the former location is looked at", async || {
            let former = stage
                .object("velero.io/v1", "BackupStorageLocation", "former")
                .await;
            former.is_some_and(|former| former["status"]["phase"] == "Available")
        })
        .await;
        drop(stage.plan().await.exits(0));
        let former = stage
            .object("velero.io/v1", "BackupStorageLocation", "former")
            .await
            .expect("it stays");
        assert_eq!(former["spec"]["objectStorage"]["bucket"], OLD_BUCKET);
        assert_eq!(former["spec"]["accessMode"], "ReadOnly");
        for name in ["openshift-adp-controller-manager", "velero"] {
            let old = stage
                .api
                .get(&path("apps/v1", "Deployment", "openshift-adp", name))
                .await
                .expect("it stays");
            assert_eq!(old["spec"]["replicas"], 0, "{name}");
        }
    });
}

#[test]
fn what_the_policy_made_stays_when_it_is_let_go_and_is_found_again() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        documented(
            stage,
            "kubectl -n holdfast-system delete configmap managed-velero",
        )
        .await;
        documented(
            stage,
            "kubectl -n holdfast-system delete lease managed-velero --ignore-not-found",
        )
        .await;
        let kept = [
            ("apps/v1", "Deployment", "velero"),
            ("velero.io/v1", "BackupStorageLocation", "default"),
            ("managed.openshift.io/v1alpha2", "VeleroInstall", "cluster"),
        ];
        for (api_version, kind, name) in kept {
            assert!(
                stage.object(api_version, kind, name).await.is_some(),
                "{kind} {name}"
            );
        }
        assert_eq!(stage.our_buckets().await, [bucket.as_str()]);
        let (apply, witness) = stage
            .witness(&["apply", POLICY, "--yes", "--timeout", "90s"])
            .await;
        drop(apply.exits(0));
        assert_eq!(stage.bucket().await, Some(bucket));
        assert!(!witness.s3.iter().any(Request::is_write), "{}", witness.lines());
    });
}

#[test]
fn the_way_back_to_the_operator_finds_the_record_and_the_lock_and_ends_the_policys_turn() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let record = documented(
            stage,
            "kubectl -n openshift-velero get veleroinstall cluster -o jsonpath='{.status.storageBucket}'",
        )
        .await;
        assert!(record.contains(&bucket), "{record}");
        documented(
            stage,
            "kubectl -n openshift-velero delete configmap managed-velero-operator-lock",
        )
        .await;
        // The operator, as it was left behind: at rest.
        let all = path("apps/v1", "Deployment", NAMESPACE, "");
        let mut operator = deployment(NAMESPACE, "managed-velero-operator");
        operator["spec"]["replicas"] = json!(0);
        stage.api.create(all.trim_end_matches('/'), &operator).await;
        documented(
            stage,
            "kubectl -n openshift-velero scale deployment managed-velero-operator --replicas=1",
        )
        .await;
        let (plan, witness) = stage.witness(&["plan", POLICY]).await;
        drop(plan.exits(2).says("the Managed Velero Operator still runs here"));
        assert_eq!(witness.writes(), [""; 0]);
        stage
            .kubectl(&["-n", NAMESPACE, "delete", "deployment", "managed-velero-operator"])
            .await;
        assert_eq!(stage.converged().await, bucket);
    });
}
