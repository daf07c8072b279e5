//! Stores that lag behind our own writes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use holdfast_engine::{Phase, Progress};
use holdfast_memory::Operation;
use serde_json::json;
use tokio::time::Instant;

use crate::support::Case;
use crate::{BUCKET, bucket, count, policy, resource, text};

/// A case whose bucket has another owner's tag than the policy says.
async fn drifted() -> Case {
    let case = Case::text(&policy(BUCKET), "");
    assert!(case.apply().await.is_converged());
    own(&case, "them");
    case.world.forget_requests();
    case
}

fn own(case: &Case, owner: &str) {
    let edit = |tags: &mut holdfast_contract::Value| *tags = json!({ "owner": owner }).into();
    case.world
        .edit(&bucket("acme-data"), &"tags".into(), edit)
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_shows_the_old_value_for_a_while_is_asked_again_and_not_written_again() {
    let case = drifted().await;
    case.world.lag(12);
    let began = Instant::now();
    let waiting = std::sync::Mutex::new(Vec::new());
    let watcher = |progress: Progress<'_>| {
        if let Progress::Waiting(reasons) = progress {
            waiting.lock().unwrap().extend(reasons);
        }
    };
    let report = case.apply_watched(Duration::from_mins(5), &watcher).await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(count(&case, Operation::Set), 1);
    assert!(began.elapsed() < Duration::from_mins(2), "{:?}", began.elapsed());
    let waiting = waiting.into_inner().unwrap();
    assert!(
        waiting
            .iter()
            .any(|(_, why)| why.contains("the old value is still to be seen")),
        "{waiting:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_third_value_is_drift_however_fresh_our_write_is() {
    let case = drifted().await;
    let writes = AtomicUsize::new(0);
    let watcher = |progress: Progress<'_>| {
        if let Progress::Written(..) = progress
            && writes.fetch_add(1, Ordering::SeqCst) == 0
        {
            own(&case, "others");
        }
    };
    let began = Instant::now();
    let report = case.apply_watched(Duration::from_mins(5), &watcher).await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(count(&case, Operation::Set), 2);
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
}

/// Two minutes are more than any store lags: then it was not kept.
#[tokio::test(start_paused = true)]
async fn an_old_value_that_stays_is_told_after_two_minutes() {
    let case = drifted().await;
    let watcher = |progress: Progress<'_>| {
        if let Progress::Written(..) = progress {
            own(&case, "them");
        }
    };
    let began = Instant::now();
    let report = case.apply_watched(Duration::from_mins(5), &watcher).await;
    assert!(began.elapsed() >= Duration::from_mins(2), "{:?}", began.elapsed());
    let data = resource(&report, "data");
    assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
    assert!(
        data.blocked["tags"].contains("did not keep owner"),
        "{}",
        text(&report)
    );
    assert_eq!(count(&case, Operation::Set), 1);
}
