//! Fields that somebody else, or the server itself, keeps as they will.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use holdfast_contract::Value;
use holdfast_engine::{Phase, Progress};
use holdfast_memory::Operation;
use serde_json::json;

use crate::support::Case;
use crate::support::fixtures::{set, take};
use crate::{BUCKET, bucket, config_map, count, policy, resource, text};

const MAP: &str = "
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1', b: '2' } } }
";

fn data(case: &Case, key: &str) -> String {
    let object = case.world.document(&config_map("one")).unwrap();
    object.at(&["data", key]).unwrap().to_string()
}

#[tokio::test]
async fn a_field_that_is_changed_back_again_and_again_is_left_to_who_does_it_and_the_rest_is_enforced() {
    let case = Case::text(&policy(MAP), "");
    assert!(case.apply().await.is_converged());
    take(&case, "theirs");
    case.world.forget_requests();
    let rounds = AtomicUsize::new(0);
    let fight = |progress: Progress<'_>| {
        if !matches!(progress, Progress::Written(..)) {
            return;
        }
        let round = rounds.fetch_add(1, Ordering::SeqCst);
        if round < 3 {
            take(&case, "theirs");
        }
        if round == 2 {
            set(&case, "one", "b", "spoilt");
        }
    };
    let report = case.apply_watched(Duration::from_secs(10), &fight).await;
    let one = resource(&report, "one");
    assert_eq!(one.phase, Phase::Contested, "{}", text(&report));
    assert!(
        one.reason.contains("data.a") && one.reason.contains("by autoscaler"),
        "{}",
        one.reason
    );
    assert!(!report.is_converged());
    assert_eq!(
        (data(&case, "a").as_str(), data(&case, "b").as_str()),
        ("theirs", "2")
    );
    assert_eq!(
        count(&case, Operation::Set),
        4,
        "three for the field, one for the rest"
    );
}

#[tokio::test]
async fn a_store_that_does_not_tell_who_writes_has_its_facet_left_alone_after_a_while() {
    let case = Case::text(&policy(BUCKET), "");
    assert!(case.apply().await.is_converged());
    let rounds = AtomicUsize::new(0);
    let spoil = || {
        let round = rounds.fetch_add(1, Ordering::SeqCst);
        let edit = |tags: &mut Value| *tags = json!({ "owner": format!("them {round}") }).into();
        case.world
            .edit(&bucket("acme-data"), &"tags".into(), edit)
            .unwrap();
    };
    spoil();
    case.world.forget_requests();
    let fight = |progress: Progress<'_>| {
        if matches!(progress, Progress::Written(..)) {
            spoil();
        }
    };
    let report = case.apply_watched(Duration::from_secs(10), &fight).await;
    assert_eq!(
        resource(&report, "data").phase,
        Phase::Contested,
        "{}",
        text(&report)
    );
    assert!(
        resource(&report, "data").reason.contains("tags.owner"),
        "{}",
        text(&report)
    );
    assert_eq!(count(&case, Operation::Set), 3);
}

/// An admission controller that doesn't take part in dry runs.
#[tokio::test]
async fn what_the_server_itself_keeps_as_it_will_is_no_drift_and_is_told() {
    let sandbox =
        "reactions: [ { on: { kind: ConfigMap, metadata: { name: one } }, set: { data: { a: enforced } } } ]";
    let case = Case::text(&policy(MAP), sandbox);
    let report = case.apply().await;
    let one = resource(&report, "one");
    assert_eq!(one.phase, Phase::Converged, "{}", text(&report));
    assert_eq!(one.overridden, ["data.a"]);
    assert!(report.is_converged());
    assert_eq!(count(&case, Operation::Set), 1, "{}", text(&report));
    assert!(
        text(&report).contains("the server keeps its own value of data.a"),
        "{}",
        text(&report)
    );
}
