//! A cluster starts, answers, and tells of every request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::time::Instant;

use holdfast_testbed::{AuditEvent, Cluster, fixtures, kubectl, kubectl_with_input};

/// The events of one kind in one namespace, as other tests use the cluster too.
fn of(events: Vec<AuditEvent>, namespace: &str, resource: &str) -> Vec<AuditEvent> {
    let wanted = |event: &AuditEvent| event.namespace == namespace && event.resource == resource;
    events.into_iter().filter(wanted).collect()
}

#[tokio::test]
async fn a_request_is_in_the_audit_as_soon_as_it_is_answered() {
    let started = Instant::now();
    let cluster = Cluster::start().await.unwrap();
    println!("ready after {:?}", started.elapsed());
    let before = cluster.mark().await.unwrap();
    kubectl(
        &cluster,
        &["create", "configmap", "seen", "--namespace", "default"],
    )
    .await
    .unwrap();
    let events = of(cluster.since(before).await.unwrap(), "default", "configmaps");
    let [event] = events.try_into().unwrap();
    assert_eq!(
        (event.verb.as_str(), event.user.as_str(), event.code),
        ("create", "admin", 201)
    );
    assert_eq!(event.stage, "ResponseComplete");
    assert!(event.user_agent.starts_with("kubectl"), "{}", event.user_agent);
    assert!(event.timestamp <= event.finished);
    assert!(event.is_write() && !event.dry_run);
}

#[tokio::test]
async fn a_mark_hides_what_came_before() {
    let cluster = Cluster::shared().await.unwrap();
    let namespace = cluster.namespace("mark").await.unwrap();
    kubectl(
        cluster,
        &["create", "configmap", "before", "--namespace", &namespace],
    )
    .await
    .unwrap();
    let mark = cluster.mark().await.unwrap();
    assert!(of(cluster.since(mark).await.unwrap(), &namespace, "configmaps").is_empty());
    assert_eq!(
        of(cluster.audit().await.unwrap(), &namespace, "configmaps").len(),
        1
    );
}

#[tokio::test]
async fn what_stores_nothing_is_no_write() {
    let cluster = Cluster::shared().await.unwrap();
    let namespace = cluster.namespace("no-write").await.unwrap();
    let mark = cluster.mark().await.unwrap();
    let dry_run = [
        "create",
        "configmap",
        "dry",
        "--dry-run=server",
        "--namespace",
        &namespace,
    ];
    kubectl(cluster, &dry_run).await.unwrap();
    kubectl(
        cluster,
        &["auth", "can-i", "create", "pods", "--namespace", &namespace],
    )
    .await
    .unwrap();
    kubectl(cluster, &["get", "configmaps", "--namespace", &namespace])
        .await
        .unwrap();
    let events = cluster.since(mark).await.unwrap();
    let dry: Vec<_> = of(events.clone(), &namespace, "configmaps")
        .into_iter()
        .filter(|event| event.dry_run)
        .collect();
    assert_eq!(dry.len(), 1, "{events:#?}");
    assert!(
        events
            .iter()
            .any(|event| event.resource == "selfsubjectaccessreviews"),
        "{events:#?}"
    );
    let writes: Vec<_> = events
        .iter()
        .filter(|event| event.is_write() && event.namespace == namespace)
        .collect();
    assert!(writes.is_empty(), "{writes:#?}");
}

#[tokio::test]
async fn a_service_account_may_do_what_its_role_says_and_no_more() {
    let cluster = Cluster::shared().await.unwrap();
    let namespace = cluster.namespace("rbac").await.unwrap();
    let account = format!("--serviceaccount={namespace}:reader");
    for args in [
        &["create", "serviceaccount", "reader"][..],
        &[
            "create",
            "role",
            "reader",
            "--verb=get,list",
            "--resource=configmaps",
        ],
        &["create", "rolebinding", "reader", "--role=reader", &account],
    ] {
        kubectl(cluster, &[args, &["--namespace", &namespace]].concat())
            .await
            .unwrap();
    }
    let mark = cluster.mark().await.unwrap();
    let token = cluster.service_account_token(&namespace, "reader").await.unwrap();
    let events = of(cluster.since(mark).await.unwrap(), &namespace, "serviceaccounts");
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.subresource.as_str(), event.is_write()))
        .collect();
    assert_eq!(seen, [("token", false)]);
    let path = cluster.kubeconfig_with_token("reader", &token).unwrap();
    let path = path.to_str().unwrap();
    kubectl(
        cluster,
        &[
            "--kubeconfig",
            path,
            "get",
            "configmaps",
            "--namespace",
            &namespace,
        ],
    )
    .await
    .unwrap();
    let denied = kubectl(
        cluster,
        &["--kubeconfig", path, "get", "secrets", "--namespace", &namespace],
    )
    .await;
    assert!(denied.unwrap_err().to_string().contains("Forbidden"));
}

#[tokio::test]
async fn a_user_without_roles_is_denied() {
    let cluster = Cluster::shared().await.unwrap();
    let path = cluster.kubeconfig_for("alice").unwrap();
    let denied = kubectl(
        cluster,
        &["--kubeconfig", path.to_str().unwrap(), "get", "namespaces"],
    )
    .await
    .unwrap_err();
    assert!(denied.to_string().contains("alice"), "{denied}");
}

#[tokio::test]
async fn velero_is_known_once_its_definitions_are_applied() {
    let cluster = Cluster::shared().await.unwrap();
    let files = fixtures::velero_crds().unwrap();
    assert_eq!(files.len(), 13);
    let mut text = String::new();
    for file in files {
        text += &std::fs::read_to_string(file).unwrap();
    }
    kubectl_with_input(cluster, &["create", "-f", "-"], &text)
        .await
        .unwrap();
    let location = "customresourcedefinition/backupstoragelocations.velero.io";
    kubectl(
        cluster,
        &["wait", "--for=condition=Established", "--timeout=30s", location],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_full_cluster_rolls_out_deployments_and_removes_namespaces() {
    let started = Instant::now();
    let cluster = Cluster::start_full().await.unwrap();
    println!("ready after {:?}", started.elapsed());
    let namespace = cluster.namespace("full").await.unwrap();
    let within = ["--namespace", namespace.as_str()];
    let deployment = [
        "create",
        "deployment",
        "web",
        "--image=example.test/web:1",
        "--replicas=2",
    ];
    kubectl(&cluster, &[&deployment[..], &within].concat())
        .await
        .unwrap();
    let rolled_out = ["rollout", "status", "deployment/web", "--timeout=60s"];
    kubectl(&cluster, &[&rolled_out[..], &within].concat())
        .await
        .unwrap();
    kubectl(
        &cluster,
        &["delete", "namespace", &namespace, "--wait", "--timeout=60s"],
    )
    .await
    .unwrap();
}
