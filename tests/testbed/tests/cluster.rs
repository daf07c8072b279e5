//! A cluster starts, answers, and tells of every request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::time::Instant;

use holdfast_testbed::{AuditEvent, Cluster, kubectl, kubectl_with_input};

fn of_admin(events: &[AuditEvent], verb: &str, resource: &str) -> Vec<AuditEvent> {
    let wanted =
        |event: &&AuditEvent| event.user == "admin" && event.verb == verb && event.resource == resource;
    events.iter().filter(wanted).cloned().collect()
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
    let events = cluster.since(before).await.unwrap();
    let [event] = of_admin(&events, "create", "configmaps").try_into().unwrap();
    assert_eq!((event.namespace.as_str(), event.code), ("default", 201));
    assert_eq!(event.stage, "ResponseComplete");
    assert!(event.user_agent.starts_with("kubectl"), "{}", event.user_agent);
    assert!(event.timestamp <= event.finished);
    assert!(event.is_write() && !event.dry_run);
}

#[tokio::test]
async fn a_mark_hides_what_came_before() {
    let cluster = Cluster::start().await.unwrap();
    kubectl(
        &cluster,
        &["create", "configmap", "before", "--namespace", "default"],
    )
    .await
    .unwrap();
    let mark = cluster.mark().await.unwrap();
    assert!(of_admin(&cluster.since(mark).await.unwrap(), "create", "configmaps").is_empty());
    assert_eq!(
        of_admin(&cluster.audit().await.unwrap(), "create", "configmaps").len(),
        1
    );
}
