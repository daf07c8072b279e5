//! What is counted of real reports.

use std::sync::Mutex;
use std::time::Duration;

use holdfast_enforcer::metrics::Metrics;
use holdfast_enforcer::story::Story;
use serde_json::json;

use crate::{BUCKET, bucket, case, config_map, cycle, spoil, standing};

const RULES: &str = "
  rules:
    maps:
      forEach: \"['a', 'b', 'c']\"
      ensure: kubernetes/Object
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: '${each.key}', namespace: default }, data: { a: '1' } }
    never:
      when: 'false'
      ensure: kubernetes/Object
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: never, namespace: default } }
";

/// The series of policies.
fn series(metrics: &Metrics) -> String {
    let text = metrics.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("policy=\"")).collect();
    lines.join("\n")
}

#[tokio::test]
async fn resources_are_counted_by_rule_and_phase_and_drift_once_however_long_it_lasts() {
    let (metrics, story) = (Metrics::new("1.2.3"), Mutex::new(Story::new(&json!(null), 3)));
    let case = case(RULES, "");
    metrics.held(&case.policy.id, true);
    let nothing = json!(null);
    for round in 0..3 {
        let (report, news) = cycle(&case, &story).await;
        metrics.report(&case.policy.id, &report);
        metrics.news(&case.policy.id, &news);
        metrics.ready(&case.policy.id, standing(Some(&report), &nothing).readiness());
        if round == 0 {
            spoil(&case, "a", "a");
            case.world.delete(&config_map("b")).unwrap();
        }
    }
    insta::assert_snapshot!(series(&metrics));
    metrics.forget(&case.policy.id);
    assert_eq!(series(&metrics), "");
}

#[tokio::test(start_paused = true)]
async fn a_vanished_bucket_has_a_series_as_long_as_it_is_gone() {
    let metrics = Metrics::new("1.2.3");
    let case = case(BUCKET, "");
    let gone = |metrics: &Metrics| {
        series(metrics).contains(r#"bucket_vanished{policy="holdfast-system/test",address="data"} 1"#)
    };
    metrics.report(&case.policy.id, &case.apply().await);
    assert!(!series(&metrics).contains("vanished"), "{}", series(&metrics));
    case.world.delete(&bucket("acme-data")).unwrap();
    metrics.report(&case.policy.id, &case.apply().await);
    assert!(!gone(&metrics), "not before it is proven");
    let proven = case.apply_watched(Duration::from_mins(10), &|_| {}).await;
    metrics.report(&case.policy.id, &proven);
    assert!(gone(&metrics), "{}", series(&metrics));
    case.world.put("buckets: { acme-data: { region: us-east-2, tags: { owner: us }, versioning: { status: Enabled } } }").unwrap();
    metrics.report(&case.policy.id, &case.apply().await);
    assert!(!series(&metrics).contains("vanished"), "{}", series(&metrics));
}
