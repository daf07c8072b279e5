//! The first policy, in memory: from nothing to converged, and back after every drift.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod support;

use holdfast_engine::report::{TextOptions, plan_text};
use support::{Case, root};

fn case() -> Case {
    Case::folder(&root().join("policies/managed-velero"))
}

#[tokio::test]
async fn a_plan_of_nothing_writes_nothing() {
    let case = case();
    let report = case.plan().await;
    assert!(report.summary.has_changes());
    assert_eq!(case.writes(), 0);
}

/// On paused timers, so that a slow machine takes no time.
#[tokio::test(start_paused = true)]
async fn it_converges_and_then_has_nothing_to_do() {
    let case = case();
    let report = case.apply().await;
    assert!(
        report.is_converged(),
        "{}",
        plan_text(&report, TextOptions::default())
    );
    case.world.forget_requests();
    let again = case.plan().await;
    assert!(
        again.is_converged(),
        "{}",
        plan_text(&again, TextOptions::default())
    );
    assert!(case.apply().await.is_converged());
    let writes: Vec<_> = case
        .world
        .requests()
        .into_iter()
        .filter(|request| request.operation.is_write())
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[tokio::test]
async fn the_plan_is_in_graph_order() {
    let report = case().plan().await;
    let place = |address: &str| {
        report
            .resources
            .iter()
            .position(|resource| resource.address == address)
            .unwrap()
    };
    for resource in &report.resources {
        for wait in &resource.waits {
            if let Some(before) = report.resources.iter().position(|other| other.address == *wait) {
                assert!(
                    before < place(&resource.address),
                    "{} stands before {wait}",
                    resource.address
                );
            }
        }
    }
    assert!(place("namespace") < place("install") && place("bucket") < place("credentials"));
}

/// What stood in the status must not be false in between.
#[tokio::test(start_paused = true)]
async fn a_lost_ledger_does_not_make_a_provisioned_bucket_unprovisioned() {
    let case = case();
    assert!(case.apply().await.is_converged());
    case.world.lose_ledger(&case.policy.id).unwrap();
    case.world.forget_requests();
    let plan = case.plan().await;
    assert!(
        plan.is_converged(),
        "{}",
        plan_text(&plan, TextOptions::default())
    );
    let report = case.apply().await;
    assert!(
        report.is_converged(),
        "{}",
        plan_text(&report, TextOptions::default())
    );
    let writes: Vec<String> = case
        .world
        .requests()
        .into_iter()
        .filter(|request| request.operation.is_write())
        .map(|request| request.operation.to_string())
        .filter(|operation| !matches!(operation.as_str(), "acquire" | "release" | "save"))
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
}

/// What a predecessor has left: only its record knows that there was a bucket. Without it, nothing is made in its place.
#[tokio::test]
async fn a_bucket_that_only_the_record_remembers_is_not_made_again() {
    let case = case();
    let definition = root().join("policies/managed-velero/crds/veleroinstalls.yaml");
    let definition = std::fs::read_to_string(definition).unwrap();
    let left = format!(
        "objects:
  -
    {}
  - apiVersion: v1
    kind: Namespace
    metadata: {{ name: openshift-velero }}
  - apiVersion: managed.openshift.io/v1alpha2
    kind: VeleroInstall
    metadata: {{ name: cluster, namespace: openshift-velero }}
    status: {{ storageBucket: {{ name: managed-velero-backups-of-old, provisioned: true }} }}
",
        definition.replace('\n', "\n    ")
    );
    case.world.put(&left).unwrap();
    let report = case.apply().await;
    let said = plan_text(&report, TextOptions::default());
    assert!(
        said.contains("there was a bucket managed-velero-backups-of-old"),
        "{said}"
    );
    let made = case
        .world
        .names()
        .into_iter()
        .filter(|name| name.contains("of-old"))
        .count();
    assert_eq!(made, 0, "{said}");
}
