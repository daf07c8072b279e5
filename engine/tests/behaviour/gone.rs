//! What was there once, and is gone.

use std::time::Duration;

use holdfast_engine::{Phase, Progress, Report};
use holdfast_memory::Operation;

use crate::owners::{buckets, ledger};
use crate::support::Case;
use crate::{BUCKET, GENERATED, bucket, count, policy, resource, text};

const SHORT: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_mins(10);

async fn apply(case: &Case, timeout: Duration) -> Report {
    case.apply_watched(timeout, &|_| {}).await
}

/// The number of proofs that a report tells of, and whether they are enough.
fn proofs(report: &Report) -> Option<(usize, bool)> {
    let vanished = resource(report, "data").vanished.as_ref()?;
    assert_eq!(vanished.needed, 3);
    Some((vanished.proofs.len(), vanished.proven))
}

async fn vanished(rules: &str) -> Case {
    let case = Case::text(&policy(rules), "");
    assert!(case.apply().await.is_converged());
    case.world.delete(&bucket("acme-data")).unwrap();
    case.world.forget_requests();
    case
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_gone_only_after_three_proofs_over_five_minutes_and_is_not_silently_made_again() {
    let case = vanished(BUCKET).await;
    let began = tokio::time::Instant::now();
    let waiting = std::sync::Mutex::new(Vec::new());
    let watcher = |progress: Progress<'_>| {
        if let Progress::Waiting(reasons) = progress {
            waiting.lock().unwrap().extend(reasons);
        }
    };
    let report = case.apply_watched(LONG, &watcher).await;
    assert!(began.elapsed() >= Duration::from_mins(5), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_mins(6), "{:?}", began.elapsed());
    assert_eq!(proofs(&report), Some((3, true)), "{}", text(&report));
    let data = resource(&report, "data");
    assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
    assert!(
        data.reason.starts_with("vanished: ") && data.reason.contains("onVanish: Recreate"),
        "{}",
        text(&report)
    );
    assert!(!report.is_converged());
    assert!(case.world.document(&bucket("acme-data")).is_none());
    let waiting = waiting.into_inner().unwrap();
    assert!(
        waiting
            .iter()
            .any(|(address, why)| address == "data" && why.contains("1 of 3 proofs")),
        "{waiting:?}"
    );
    // Each proof is a read of it and a list of all.
    assert_eq!(count(&case, Operation::Find), 3, "{:?}", case.world.requests());
}

#[tokio::test(start_paused = true)]
async fn a_later_apply_goes_on_counting_and_a_plan_tells_how_far_it_is() {
    let case = vanished(BUCKET).await;
    let plan = case.plan().await;
    assert_eq!(proofs(&plan), Some((0, false)), "{}", text(&plan));
    assert_eq!(case.writes(), 0, "a plan counts nothing");
    for count in 1..=2 {
        let began = tokio::time::Instant::now();
        let report = apply(&case, SHORT).await;
        assert_eq!(proofs(&report), Some((count, false)), "{}", text(&report));
        assert_eq!(
            resource(&report, "data").phase,
            Phase::Pending,
            "{}",
            text(&report)
        );
        assert!(
            began.elapsed() < SHORT,
            "it doesn't wait for what is beyond its time"
        );
        // Too soon to be a further proof.
        let again = apply(&case, SHORT).await;
        assert_eq!(proofs(&again), Some((count, false)), "{}", text(&again));
        let plan = case.plan().await;
        assert!(
            text(&plan).contains(&format!("{count} of 3 proofs")),
            "{}",
            text(&plan)
        );
        tokio::time::sleep(Duration::from_secs(150)).await;
    }
    let report = apply(&case, SHORT).await;
    assert_eq!(proofs(&report), Some((3, true)), "{}", text(&report));
    assert_eq!(resource(&report, "data").phase, Phase::Blocked);
    let plan = case.plan().await;
    assert_eq!(proofs(&plan), Some((3, true)), "{}", text(&plan));
    assert!(!plan.is_converged());
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_seen_again_was_never_gone() {
    let case = vanished(BUCKET).await;
    drop(apply(&case, SHORT).await);
    assert_eq!(
        ledger(&case).await["missing"]["data"].as_array().unwrap().len(),
        1
    );
    case.world
        .put("buckets: { acme-data: { region: us-east-2, tags: { owner: us }, versioning: { status: Enabled } } }")
        .unwrap();
    assert!(apply(&case, SHORT).await.is_converged());
    assert!(ledger(&case).await.get("missing").is_none());
    case.world.delete(&bucket("acme-data")).unwrap();
    let report = apply(&case, SHORT).await;
    assert_eq!(proofs(&report), Some((1, false)), "{}", text(&report));
}

#[tokio::test(start_paused = true)]
async fn a_vanished_bucket_that_may_be_made_again_is_made_under_its_name() {
    let rules = GENERATED.replace("      adopt:", "      onVanish: Recreate\n      adopt:");
    let case = Case::text(&policy(&rules), "");
    assert!(case.apply().await.is_converged());
    let names = buckets(&case);
    case.world.delete(&bucket(&names[0])).unwrap();
    case.world.forget_requests();
    let early = apply(&case, SHORT).await;
    assert_eq!(proofs(&early), Some((1, false)), "{}", text(&early));
    assert_eq!(count(&case, Operation::Create), 0, "not before it is proven");
    let report = apply(&case, LONG).await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(buckets(&case), names);
    assert!(ledger(&case).await.get("missing").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_never_finished_is_simply_made() {
    let case = Case::text(&policy(BUCKET), "");
    let began = tokio::time::Instant::now();
    assert!(apply(&case, SHORT).await.is_converged());
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(
        count(&case, Operation::Find),
        0,
        "nothing is listed for what never was"
    );
}

#[tokio::test]
async fn of_an_object_one_answer_is_enough() {
    let rules = crate::TWO_MAPS.replace("one: { ensure", "one: { onVanish: Hold, ensure");
    let case = Case::text(&policy(&rules), "");
    assert!(case.apply().await.is_converged());
    for name in ["one", "two"] {
        case.world.delete(&crate::config_map(name)).unwrap();
    }
    let report = case.apply().await;
    assert_eq!(
        resource(&report, "one").phase,
        Phase::Blocked,
        "{}",
        text(&report)
    );
    assert!(
        resource(&report, "one").reason.starts_with("vanished"),
        "{}",
        text(&report)
    );
    assert_eq!(
        resource(&report, "two").phase,
        Phase::Converged,
        "{}",
        text(&report)
    );
}

/// A clock that was wrong once must not keep a bucket from ever being missed.
#[tokio::test(start_paused = true)]
async fn proofs_from_the_future_are_none() {
    let case = vanished(BUCKET).await;
    drop(apply(&case, SHORT).await);
    let stored = case.engine.state.load(&case.policy.id).await.unwrap().unwrap();
    let mut document = ledger(&case).await;
    document["missing"]["data"] = serde_json::json!([
        "2999-01-01T00:00:00Z",
        "2999-01-02T00:00:00Z",
        "2999-01-03T00:00:00Z"
    ]);
    let entries = [("ledger.json".to_owned(), document.to_string())].into();
    case.engine
        .state
        .save(&case.policy.id, &entries, Some(&stored.version))
        .await
        .unwrap();
    let report = apply(&case, SHORT).await;
    assert_eq!(proofs(&report), Some((1, false)), "{}", text(&report));
}
