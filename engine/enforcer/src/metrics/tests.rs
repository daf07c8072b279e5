#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;

fn policy(name: &str) -> PolicyId {
    PolicyId {
        namespace: "holdfast-system".to_owned(),
        name: name.to_owned(),
    }
}

fn request(operation: &'static str, outcome: &'static str, milliseconds: u64) -> Measured {
    Measured {
        provider: "s3",
        operation,
        outcome,
        took: Duration::from_millis(milliseconds),
    }
}

fn happened(metrics: &Metrics, name: &str, reason: EventReason, address: &str) {
    let news = News {
        reason,
        address: Some(address.to_owned()),
        key: None,
        uid: None,
        verb: (reason == EventReason::DriftRepaired).then_some(StepVerb::Update),
        phase: None,
        sentence: String::new(),
    };
    metrics.news(&policy(name), &[news]);
}

/// The lines that hold `part`, but for those that describe.
fn lines(metrics: &Metrics, part: &str) -> Vec<String> {
    let text = metrics.text();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(part));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_process_that_has_done_nothing_yet_shows_zeros_and_its_version() {
    insta::assert_snapshot!(Metrics::new("1.2.3").text());
}

#[test]
fn cycles_are_counted_by_how_they_ended_and_errors_once_more() {
    let metrics = Metrics::new("1.2.3");
    metrics.cycle(CycleResult::Success, Duration::from_millis(4));
    metrics
        .clone()
        .cycle(CycleResult::Error, Duration::from_millis(400));
    assert_eq!(
        lines(&metrics, "reconcile_"),
        [
            r#"controller_runtime_reconcile_total{controller="policy",result="success"} 1"#,
            r#"controller_runtime_reconcile_total{controller="policy",result="error"} 1"#,
            r#"controller_runtime_reconcile_total{controller="policy",result="requeue"} 0"#,
            r#"controller_runtime_reconcile_errors_total{controller="policy"} 1"#,
        ]
        .into_iter()
        .map(str::to_owned)
        .chain(lines(&metrics, "time_seconds"))
        .collect::<Vec<_>>()
    );
    // What was given up says nothing about how long a cycle takes.
    metrics.failed();
    let errors = lines(&metrics, "reconcile_errors_total");
    assert!(errors[0].ends_with(" 2"), "{errors:?}");
    let fast = lines(&metrics, r#"le="0.005""#);
    assert_eq!(
        fast,
        [r#"controller_runtime_reconcile_time_seconds_bucket{le="0.005",controller="policy"} 1"#]
    );
    assert!(
        lines(&metrics, "time_seconds_count")[0].ends_with(" 2"),
        "{}",
        metrics.text()
    );
}

#[test]
fn requests_are_counted_by_provider_operation_and_outcome() {
    let metrics = Metrics::new("1.2.3");
    for (outcome, milliseconds) in [("ok", 3), ("ok", 300), ("throttled", 20)] {
        metrics.measure(&request("GetBucketTagging", outcome, milliseconds));
    }
    metrics.measure(&request("HeadBucket", "failed", 40_000));
    assert_eq!(
        lines(&metrics, "requests_total"),
        [
            r#"holdfast_provider_requests_total{provider="s3",operation="GetBucketTagging",outcome="ok"} 2"#,
            r#"holdfast_provider_requests_total{provider="s3",operation="GetBucketTagging",outcome="throttled"} 1"#,
            r#"holdfast_provider_requests_total{provider="s3",operation="HeadBucket",outcome="failed"} 1"#,
        ]
    );
    let infinite = lines(&metrics, r#"le="+Inf",provider="s3",operation="HeadBucket""#);
    assert!(infinite[0].ends_with(" 1"), "{}", metrics.text());
    let largest = lines(&metrics, r#"le="30.0",provider="s3",operation="HeadBucket""#);
    assert!(largest[0].ends_with(" 0"), "{}", metrics.text());
}

#[test]
fn what_belongs_to_a_policy_goes_with_it() {
    let metrics = Metrics::new("1.2.3");
    for name in ["one", "two"] {
        metrics.held(&policy(name), true);
        metrics.ready(&policy(name), Some(name == "one"));
        happened(&metrics, name, EventReason::DriftDetected, r#"guard["team-a"]"#);
        happened(&metrics, name, EventReason::DriftDetected, r#"guard["team-b"]"#);
        happened(&metrics, name, EventReason::DriftRepaired, r#"guard["team-b"]"#);
    }
    let of = |name: &str| lines(&metrics, &format!("policy=\"holdfast-system/{name}\""));
    assert_eq!(
        of("two"),
        [
            r#"holdfast_policy_held{policy="holdfast-system/two"} 1"#,
            r#"holdfast_policy_ready{policy="holdfast-system/two"} 0"#,
            r#"holdfast_drift_detected_total{policy="holdfast-system/two",rule="guard"} 2"#,
            r#"holdfast_repairs_total{policy="holdfast-system/two",rule="guard",verb="update"} 1"#,
        ]
    );
    metrics.forget(&policy("two"));
    assert_eq!(of("two"), Vec::<String>::new());
    assert_eq!(of("one").len(), 4);
}

#[test]
fn who_loses_a_policys_lease_says_no_more_about_its_state() {
    let metrics = Metrics::new("1.2.3");
    metrics.held(&policy("one"), true);
    metrics.ready(&policy("one"), Some(true));
    metrics.held(&policy("one"), false);
    assert_eq!(
        lines(&metrics, "policy_"),
        [r#"holdfast_policy_held{policy="holdfast-system/one"} 0"#]
    );
}

#[test]
fn the_same_counts_give_the_same_bytes() {
    let count = |names: &[&str]| {
        let metrics = Metrics::new("1.2.3");
        for name in names {
            metrics.held(&policy(name), true);
            happened(&metrics, name, EventReason::DriftDetected, name);
        }
        metrics.text()
    };
    assert_eq!(count(&["a", "b", "c", "d"]), count(&["d", "b", "a", "c"]));
}
