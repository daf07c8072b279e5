//! What is lost and found: ledgers, records, and the buckets that they knew.

use std::time::Duration;

use holdfast_contract::ProviderError;
use holdfast_engine::{Phase, Progress, Report};
use holdfast_memory::{Accident, Operation};
use serde_json::json;
use tokio::time::Instant;

use crate::owners::{WITH_RECORD, buckets, ledger};
use crate::support::Case;
use crate::{bucket, config_map, count, policy, resource, text};

const LONG: Duration = Duration::from_mins(5);

async fn apply(case: &Case, timeout: Duration) -> Report {
    case.apply_watched(timeout, &|_| {}).await
}

/// A case whose ledger and record are gone, and its bucket too where `bucket_too`.
async fn amnesia(bucket_too: bool) -> (Case, String) {
    let case = Case::text(&policy(WITH_RECORD), "");
    assert!(case.apply().await.is_converged());
    let name = buckets(&case).remove(0);
    case.world.lose_ledger(&case.policy.id).unwrap();
    let wipe = |object: &mut holdfast_contract::Value| {
        object
            .as_map_mut()
            .unwrap()
            .insert("data".to_owned(), json!({}).into());
    };
    case.world
        .edit(&config_map("note"), &"object".into(), wipe)
        .unwrap();
    if bucket_too {
        case.world.delete(&bucket(&name)).unwrap();
    }
    case.world.forget_requests();
    (case, name)
}

#[tokio::test(start_paused = true)]
async fn a_first_install_does_not_wait() {
    let case = Case::text(&policy(WITH_RECORD), "");
    let began = Instant::now();
    assert!(apply(&case, LONG).await.is_converged());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(count(&case, Operation::Find), 1);
}

#[tokio::test(start_paused = true)]
async fn where_there_are_signs_of_an_earlier_life_the_search_is_repeated_a_minute_later() {
    let (case, _) = amnesia(true).await;
    let plan = case.plan().await;
    let data = resource(&plan, "data");
    assert_eq!(data.phase, Phase::Pending, "{}", text(&plan));
    assert!(
        data.reason.contains("default/note bears this policy's label")
            && data.reason.contains("a minute later"),
        "{}",
        text(&plan)
    );
    assert_eq!(case.writes(), 0);
    let began = Instant::now();
    let waiting = std::sync::Mutex::new(Vec::new());
    let watcher = |progress: Progress<'_>| {
        if let Progress::Waiting(reasons) = progress {
            waiting.lock().unwrap().extend(reasons);
        }
    };
    case.world.forget_requests();
    let report = case.apply_watched(LONG, &watcher).await;
    assert!(report.is_converged(), "{}", text(&report));
    assert!(began.elapsed() >= Duration::from_mins(1), "{:?}", began.elapsed());
    assert_eq!(count(&case, Operation::Find), 2);
    let waiting = waiting.into_inner().unwrap();
    assert!(
        waiting.iter().any(|(address, _)| address == "data"),
        "{waiting:?}"
    );
    assert_eq!(buckets(&case).len(), 1);
}

/// The store's list lagged at first.
#[tokio::test(start_paused = true)]
async fn what_only_the_second_search_finds_is_ours_and_no_other_is_made() {
    let (case, name) = amnesia(true).await;
    let appears = async {
        tokio::time::sleep(Duration::from_secs(40)).await;
        case.world
            .put(&format!(
                "buckets: {{ {name}: {{ region: us-east-2, tags: {{ cluster: ours, role: backup }} }} }}"
            ))
            .unwrap();
    };
    let (report, ()) = futures::join!(apply(&case, LONG), appears);
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(buckets(&case), [name]);
}

#[tokio::test(start_paused = true)]
async fn what_the_first_search_finds_is_taken_at_once() {
    let (case, name) = amnesia(false).await;
    let began = Instant::now();
    assert!(apply(&case, LONG).await.is_converged());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(buckets(&case), [name]);
}

#[tokio::test(start_paused = true)]
async fn a_run_too_short_for_the_second_search_leaves_it_to_the_next_one() {
    let (case, _) = amnesia(true).await;
    let report = apply(&case, Duration::from_secs(10)).await;
    assert_eq!(
        resource(&report, "data").phase,
        Phase::Pending,
        "{}",
        text(&report)
    );
    assert_eq!(buckets(&case), [""; 0]);
    assert!(ledger(&case).await["madeAnew"].is_string());
    // There is a ledger now, and it knows that it came too late.
    let report = apply(&case, Duration::from_secs(10)).await;
    assert_eq!(
        resource(&report, "data").phase,
        Phase::Pending,
        "{}",
        text(&report)
    );
    tokio::time::sleep(Duration::from_mins(1)).await;
    let began = Instant::now();
    assert!(apply(&case, LONG).await.is_converged());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// A search that fails at first must not be taken for the first of two.
#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_made_before_the_search_succeeds_is_no_proof_of_a_first_install() {
    let (case, _) = amnesia(true).await;
    let denied = ProviderError::Denied {
        action: "s3:ListAllMyBuckets".into(),
        target: "all buckets".into(),
    };
    case.world.fail(Accident::new(Operation::Find, denied).always());
    case.world.delete(&config_map("note")).unwrap();
    case.world
        .put("objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: note, namespace: default, labels: { holdfast.dev/policy: holdfast-system.test } }, data: { other: there } } ]")
        .unwrap();
    let report = apply(&case, Duration::from_secs(10)).await;
    assert_eq!(
        resource(&report, "data").phase,
        Phase::Unknown,
        "{}",
        text(&report)
    );
    case.world.heal();
    let report = apply(&case, Duration::from_secs(10)).await;
    assert_eq!(buckets(&case), [""; 0], "{}", text(&report));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_not_blank_is_a_sign_too() {
    let sandbox = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: note, namespace: default }, data: { provisioned: 'true' } } ]";
    let case = Case::text(&policy(WITH_RECORD), sandbox);
    let plan = case.plan().await;
    assert!(
        resource(&plan, "data")
            .reason
            .contains("default/note has a data already"),
        "{}",
        text(&plan)
    );
}

#[tokio::test]
async fn the_ledger_restores_a_record_and_two_that_differ_stop_the_bucket() {
    let case = Case::text(&policy(WITH_RECORD), "");
    assert!(case.apply().await.is_converged());
    let name = buckets(&case).remove(0);
    let record = |text: &str| {
        let edit = |object: &mut holdfast_contract::Value| {
            object
                .as_map_mut()
                .unwrap()
                .insert("data".to_owned(), json!({"bucket": text}).into());
        };
        case.world
            .edit(&config_map("note"), &"object".into(), edit)
            .unwrap();
    };
    record("");
    assert!(case.apply().await.is_converged());
    let note = case.world.document(&config_map("note")).unwrap();
    assert_eq!(
        note.at(&["data", "bucket"]).unwrap().as_str(),
        Some(name.as_str())
    );
    record("acme-other");
    let report = case.apply().await;
    let data = resource(&report, "data");
    assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
    assert!(
        data.reason.contains("acme-other") && data.reason.contains(&name),
        "{}",
        text(&report)
    );
    assert_eq!(buckets(&case), [name]);
}
