//! The results of a `PolicyReport`.

use std::time::Duration;

use holdfast_contract::{PolicyEvent, ProviderError};
use holdfast_enforcer::results::results;
use serde_json::json;
use tokio::time::sleep;

use crate::running::{enforced, resource};
use crate::{BUCKET, TWO_MAPS, case, config_map, policy, spoil};

const CHECKED: &str = "
  rules:
    one:
      ensure: kubernetes/Object
      checks:
        - { that: 'true', message: fine }
        - { that: self.metadata.labels.team == 'a', message: belongs to team a }
        - { that: 'false', severity: critical, controls: [CIS-1.2, SOC-3], message: to be mended }
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } }
    none:
      when: 'false'
      ensure: kubernetes/Object
      checks: [ { that: 'true', message: nothing to check } ]
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: none, namespace: default } }
";

fn shown(results: &serde_json::Value) -> String {
    serde_json::to_string_pretty(results).unwrap()
}

#[tokio::test]
async fn checks_and_drift_are_results_the_bad_ones_first() {
    let case = case(CHECKED, "");
    case.apply().await;
    spoil(&case, "one", "a");
    let report = case.plan().await;
    let results = results(&report);
    insta::assert_snapshot!(shown(&results));
    assert!(!shown(&results).contains("hunter2"));
    assert_eq!(
        results,
        holdfast_enforcer::results::results(&case.plan().await),
        "and stay the same"
    );
}

#[tokio::test]
async fn under_observe_drift_is_a_warning() {
    let case = case(CHECKED, "");
    case.apply().await;
    case.world.delete(&config_map("one")).unwrap();
    let case = case.with_policy(&policy(&format!("  mode: Observe\n{CHECKED}")));
    let results = results(&case.plan().await);
    assert_eq!(results[0]["result"], "warn");
    assert!(
        results[0]["message"].as_str().unwrap().ends_with("is gone"),
        "{}",
        shown(&results)
    );
}

#[tokio::test]
async fn what_is_no_object_of_the_cluster_is_not_referred_to() {
    let case = case(BUCKET, "buckets: { acme-data: { region: us-east-2 } }");
    let results = results(&case.plan().await);
    assert_eq!(results[0]["rule"], "data");
    assert_eq!(results[0].get("resources"), None);
    let converged = case.apply().await;
    assert_eq!(holdfast_enforcer::results::results(&converged), json!([]));
}

/// The fields that the published type has, and the values that it takes.
#[tokio::test]
async fn results_have_the_fields_of_the_published_type() {
    let case = case(CHECKED, "");
    case.apply().await;
    spoil(&case, "one", "a");
    let fields = [
        "source",
        "policy",
        "rule",
        "category",
        "severity",
        "result",
        "scored",
        "resources",
        "message",
        "properties",
    ];
    for result in results(&case.plan().await).as_array().unwrap() {
        for field in result.as_object().unwrap().keys() {
            assert!(fields.contains(&field.as_str()), "{field}");
        }
        assert!(["pass", "fail", "warn", "error", "skip"].contains(&result["result"].as_str().unwrap()));
        let severity = result["severity"].as_str().unwrap();
        assert!(["critical", "high", "low", "medium", "info"].contains(&severity));
        let properties = result["properties"].as_object().unwrap();
        assert!(properties.values().all(serde_json::Value::is_string));
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_that_could_not_be_written_is_tried_again_and_no_status_for_it() {
    let down = || ProviderError::Unavailable {
        service: "the cluster".into(),
        message: "no route".into(),
        source: None,
    };
    for refused in [Err(down()), Ok(false)] {
        let case = case(TWO_MAPS, "");
        enforced(&case, false, async |outside| {
            // What is to be made, and that it is there.
            for _ in 0..2 {
                outside.answer_report(refused.clone());
            }
            outside.say(PolicyEvent::All(vec![*resource(&case, "1")]));
            outside.condition("Ready", "Converged").await;
            sleep(Duration::from_secs(20)).await;
            let mut reports = outside.told();
            reports.retain(|(what, _)| *what == "report");
            assert_eq!(reports.len(), 2, "{reports:#?}");
            sleep(Duration::from_mins(15)).await;
            assert_eq!(outside.told(), reports[1..], "{refused:?}");
            sleep(Duration::from_mins(30)).await;
            assert_eq!(outside.told(), [], "{refused:?}");
        })
        .await;
    }
}
