//! The first policy, in memory: from nothing to converged, and back after every drift.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod support;

use holdfast_engine::report::{TextOptions, apply_text, plan_text};
use support::{Case, root};

fn case() -> Case {
    Case::folder(&root().join("policies/managed-velero"))
}

#[tokio::test]
async fn a_plan_of_nothing_writes_nothing() {
    let case = case();
    let report = case.plan().await;
    println!("{}", plan_text(&report, TextOptions::default()));
    assert!(report.summary.has_changes());
    assert_eq!(case.writes(), 0);
}

#[tokio::test]
async fn it_converges_and_then_has_nothing_to_do() {
    let case = case();
    let report = case.apply().await;
    println!("{}", apply_text(&report, TextOptions::default()));
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
