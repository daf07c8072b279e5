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
