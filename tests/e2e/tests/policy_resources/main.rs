//! Policies as resources of a cluster: the definition that its API server is given, and what becomes of policies in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

#[path = "../../../../engine/tests/support/documents.rs"]
mod documents;
mod faults;

use std::path::Path;
use std::sync::Arc;

use documents::folders;
use holdfast_contract::Registry;
use holdfast_e2e::{Output, root, sandbox};
use holdfast_kubernetes::{Connection, KubernetesFactory};
use holdfast_policy::{Loaded, load_document, render, validate};
use holdfast_s3::S3Factory;
use holdfast_testbed::{Cluster, Error, kubectl, kubectl_with_input};
use serde_json::{Value, json};

const CRD: &str = "charts/holdfast/crds/policies.yaml";

/// A cluster that knows policies, and a namespace of its own on it.
async fn cluster() -> (&'static Cluster, String) {
    let cluster = Cluster::shared().await.unwrap();
    let file = root().join(CRD);
    let file = file.to_str().unwrap();
    // What the server has to remark of a definition, it says as a warning.
    let arguments = ["apply", "--server-side", "--warnings-as-errors", "-f", file];
    kubectl(cluster, &arguments).await.unwrap();
    let established = [
        "wait",
        "--for=condition=Established",
        "crd/policies.holdfast.dev",
        "--timeout=30s",
    ];
    kubectl(cluster, &established).await.unwrap();
    (cluster, cluster.namespace("policies").await.unwrap())
}

fn registry() -> Registry {
    Registry::default()
        .with(Arc::new(KubernetesFactory::new(Connection::default())))
        .with(Arc::new(S3Factory::new()))
}

/// The policy in `folder` as a resource of `namespace`.
async fn bundled(folder: &Path, namespace: &str) -> Value {
    let Output { stdout, .. } = sandbox(&["bundle", folder.to_str().unwrap(), "--namespace", namespace])
        .await
        .exits(0);
    serde_saphyr::from_str(&stdout).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

fn policy(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "Policy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    })
}

async fn create(cluster: &Cluster, document: &Value) -> Result<String, Error> {
    let arguments = ["create", "--warnings-as-errors", "-f", "-"];
    kubectl_with_input(cluster, &arguments, &document.to_string()).await
}

/// The document of the Policy as the server has it now, with what the engine looks at.
async fn read(cluster: &Cluster, namespace: &str, name: &str) -> Value {
    let found = kubectl(cluster, &["get", "hfp", name, "-n", namespace, "-o", "json"])
        .await
        .unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    policy(namespace, name, &found["spec"])
}

fn loaded(document: &Value) -> Loaded {
    let metadata = &document["metadata"];
    let name = format!(
        "{}/{}",
        metadata["namespace"].as_str().unwrap(),
        metadata["name"].as_str().unwrap()
    );
    load_document(&name, document)
}

#[tokio::test]
async fn the_schemas_that_lie_here_are_what_the_program_prints() {
    for (arguments, file) in [
        (&["schema", "--crd"][..], CRD),
        (&["schema"], "docs/policy.schema.json"),
    ] {
        let printed = sandbox(arguments).await.exits(0).stdout;
        let there = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(there == printed, "{file} is out of date: run `make docs`");
    }
}

#[tokio::test]
async fn the_definition_is_accepted_and_explains_itself() {
    let (cluster, _) = cluster().await;
    let explained = |path: &'static str| async move { kubectl(cluster, &["explain", path]).await.unwrap() };
    let spec = explained("hfp.spec").await;
    assert!(spec.contains("serviceAccountName\t<string>"), "{spec}");
    assert!(
        spec.contains("What must be so. Their order means nothing."),
        "{spec}"
    );
    let rules = explained("policy.spec.rules").await;
    assert!(rules.contains("onRemove\t<string>"), "{rules}");
    assert!(rules.contains("enum: Retain, Delete"), "{rules}");
    let case = explained("policy.spec.rules.cases.hold").await;
    assert!(case.contains("While it holds, disruptive steps wait."), "{case}");
}

#[tokio::test]
async fn every_policy_comes_back_as_it_was_written_and_is_valid() {
    let (cluster, namespace) = cluster().await;
    let folders = folders(&root());
    assert!(folders.len() > 12, "the policies are gone");
    for folder in folders {
        let document = bundled(&folder, &namespace).await;
        create(cluster, &document).await.unwrap();
        let name = document["metadata"]["name"].as_str().unwrap();
        let found = read(cluster, &namespace, name).await;
        assert_eq!(found["spec"], document["spec"], "{}", folder.display());
        if let Err(faults) = validate(&loaded(&found), &registry()) {
            panic!("{}\n{}", folder.display(), render(&faults, 100, false));
        }
    }
}

#[tokio::test]
async fn whatever_the_language_takes_the_server_takes_and_keeps() {
    let (cluster, namespace) = cluster().await;
    let document = bundled(Path::new("tests/e2e/policies/everything.yaml"), &namespace).await;
    create(cluster, &document).await.unwrap();
    let found = read(cluster, &namespace, "everything").await;
    assert_eq!(found["spec"], document["spec"]);
}

#[tokio::test]
async fn a_table_of_policies_says_how_they_stand() {
    let (cluster, namespace) = cluster().await;
    create(cluster, &policy(&namespace, "one", &json!({"language": 1})))
        .await
        .unwrap();
    // Nobody has looked at it yet: whoever waits for it must not take it for one that has converged.
    let fresh = ["get", "hfp", "one", "-n", &namespace, "-o", "jsonpath={.status}"];
    assert_eq!(
        kubectl(cluster, &fresh).await.unwrap(),
        r#"{"observedGeneration":-1}"#
    );
    let status = json!({"status": {
        "observedGeneration": 1,
        "phases": {"total": 2, "converged": 1, "drifted": 1, "waiting": 0, "failed": 0, "skipped": 0},
        "resources": [{"address": "server", "phase": "Pending"}],
        "conditions": [
            {"type": "Stalled", "status": "False", "reason": "Fine", "message": "", "lastTransitionTime": "2026-11-28T03:00:00Z"},
            {"type": "Ready", "status": "False", "reason": "Waits", "message": "server waits: backup in progress", "lastTransitionTime": "2026-11-28T03:00:00Z", "observedGeneration": 1},
        ],
    }});
    let patch = status.to_string();
    let arguments = [
        "patch",
        "hfp",
        "one",
        "-n",
        &namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ];
    kubectl(cluster, &arguments).await.unwrap();
    let table = kubectl(cluster, &["get", "holdfast", "-n", &namespace])
        .await
        .unwrap();
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| {
            line.split("   ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        lines[0],
        ["NAME", "READY", "DRIFTED", "FAILED", "MESSAGE", "AGE"],
        "{table}"
    );
    assert_eq!(
        lines[1][..5],
        ["one", "False", "1", "0", "server waits: backup in progress"],
        "{table}"
    );
    // What the definition doesn't know of the status is kept, and what a spec says can't be changed by a status.
    let found = kubectl(cluster, &["get", "hfp", "one", "-n", &namespace, "-o", "json"])
        .await
        .unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["status"], status["status"]);
    assert_eq!(found["metadata"]["generation"], 1);
}

#[tokio::test]
async fn a_bundle_is_one_document_that_people_can_read() {
    let bundle = sandbox(&["bundle", "examples/manifests", "--namespace", "shop"])
        .await
        .exits(0);
    insta::assert_snapshot!("bundle__manifests", bundle.stdout);
    assert_eq!(bundle.stderr, "");
    let wrong = sandbox(&["bundle", "engine/policy/tests/faults/missing_manifest"])
        .await
        .exits(3);
    assert_eq!(wrong.stdout, "");
    let _ = wrong.says("there is no file");
    let several = sandbox(&["bundle", "examples"]).await.exits(3);
    let _ = several.says("there are several policies here");
}

#[tokio::test]
async fn a_bundle_of_the_largest_policy_can_be_applied_as_it_is() {
    let bundle = sandbox(&["bundle", "policies/managed-velero"]).await.exits(0);
    assert_eq!(
        bundle.stderr, "",
        "kubectl apply repeats it all in an annotation of at most 256 KiB"
    );
    assert!(bundle.stdout.contains("namespace: holdfast-system"));
}
