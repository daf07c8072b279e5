//! What is read, and what a read that failed means.

use holdfast_contract::ProviderError;
use holdfast_engine::Phase;
use holdfast_memory::{Accident, Operation};

use crate::support::Case;
use crate::{BUCKET, GENERATED, NoCluster, TWO_MAPS, bucket, config_map, count, policy, resource, text};

#[tokio::test]
async fn a_failed_read_is_unknown_and_never_absent() {
    let case = Case::text(&policy(TWO_MAPS), "");
    let down = ProviderError::Unavailable {
        service: "the cluster".into(),
        message: "timeout".into(),
        source: None,
    };
    case.world.fail(
        Accident::new(Operation::Observe, down)
            .on("ConfigMap default/one")
            .always(),
    );
    let report = case.plan().await;
    assert_eq!(resource(&report, "one").phase, Phase::Unknown);
    assert!(resource(&report, "one").action.is_none());
    assert_eq!(resource(&report, "two").phase, Phase::Absent);
}

#[tokio::test]
async fn an_unreadable_facet_is_blocked_alone() {
    let case = Case::text(&policy(BUCKET), "buckets: { acme-data: { region: us-east-2 } }");
    let denied = ProviderError::Denied {
        action: "s3:GetBucketVersioning".into(),
        target: "acme-data".into(),
    };
    case.world.fail(
        Accident::new(Operation::Observe, denied)
            .of(&"versioning".into())
            .always(),
    );
    let report = case.apply().await;
    let data = resource(&report, "data");
    assert!(
        data.blocked["versioning"].contains("s3:GetBucketVersioning"),
        "{}",
        text(&report)
    );
    assert_eq!(
        case.world
            .facet(&bucket("acme-data"), &"tags".into())
            .unwrap()
            .to_string(),
        r#"{"owner":"us"}"#
    );
}

#[tokio::test]
async fn a_check_on_what_could_not_be_read_is_unknown_and_does_not_fail() {
    let rules = "  providers: { s3: { region: us-east-2 } }
  rules:
    data:
      observe: s3/Bucket
      name: acme-data
      checks:
        - that: self.?accountPublicAccessBlock.?blockPublicAcls.orValue(false)
        - that: self.?versioning.?status.orValue('') == 'Enabled'
";
    let sandbox = "buckets: { acme-data: { region: us-east-2 } }";
    let verdicts = |report: &holdfast_engine::Report| -> Vec<String> {
        let checks = report.checks.iter();
        checks.map(|check| check.verdict.to_string()).collect()
    };
    let case = Case::text(&policy(rules), sandbox);
    assert_eq!(verdicts(&case.plan().await), ["fail", "fail"]);
    let unsupported = ProviderError::Unsupported {
        service: "S3 at 127.0.0.1".into(),
        what: "accountPublicAccessBlock".into(),
    };
    case.world.fail(
        Accident::new(Operation::Observe, unsupported)
            .of(&"accountPublicAccessBlock".into())
            .always(),
    );
    let report = case.plan().await;
    assert_eq!(verdicts(&report), ["unknown", "fail"]);
    let told = &report.checks[0].message;
    assert!(
        told.contains("does not support accountPublicAccessBlock"),
        "{told}"
    );
}

#[tokio::test]
async fn a_policy_gate_stops_it_before_anything_is_read() {
    let rules = format!("  require: [ {{ that: 'false', message: not here }} ]{TWO_MAPS}");
    let case = Case::text(&policy(&rules), "");
    let report = case.apply().await;
    assert_eq!(report.unmet[0].message, "not here");
    let objects = case
        .world
        .requests()
        .into_iter()
        .filter(|request| request.operation == Operation::Observe)
        .count();
    assert_eq!((objects, case.writes()), (0, 0));
}

#[tokio::test]
async fn secrets_show_in_no_report() {
    let rules = "  rules: { secret: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: Secret, metadata: { name: s, namespace: default }, stringData: { password: hunter2-desired } } } }\n";
    let sandbox = "objects: [ { apiVersion: v1, kind: Secret, metadata: { name: s, namespace: default }, data: { password: aHVudGVyMi1vYnNlcnZlZA== } } ]";
    let case = Case::text(&policy(rules), sandbox);
    let report = case.plan().await;
    assert_eq!(report.summary.update, 1, "{}", text(&report));
    let shown = format!(
        "{}{}{report:?}",
        text(&report),
        serde_json::to_string(&report).unwrap()
    );
    for secret in ["hunter2", "aHVudGVy"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("(sensitive value)"));
}

/// The policy of `rules` can't tell whether it may make its bucket while the cluster can't be reached.
async fn no_bucket_is_made_without_a_cluster(rules: &str) {
    let mut case = Case::text(&policy(rules), "");
    case.engine.registry = case
        .engine
        .registry
        .clone()
        .with(std::sync::Arc::new(NoCluster(holdfast_contract::Shape::Any)));
    let report = case.apply().await;
    assert_eq!(
        resource(&report, "data").phase,
        Phase::Unknown,
        "{}",
        text(&report)
    );
    assert_eq!(count(&case, Operation::Create), 0);
}

#[tokio::test]
async fn facts_of_a_cluster_that_cannot_be_reached_are_not_absent() {
    let rules = format!(
        "  facts: {{ marker: {{ object: {{ apiVersion: v1, kind: ConfigMap, namespace: default, name: marker }}, optional: true }} }}{}",
        BUCKET.replace("    data:", "    data:\n      when: '!has(facts.marker)'")
    );
    no_bucket_is_made_without_a_cluster(&rules).await;
}

#[tokio::test]
async fn a_secret_of_a_cluster_that_cannot_be_reached_is_not_passed_over() {
    let rules = BUCKET.replace(
        "{ region: us-east-2 }",
        "{ region: us-east-2, credentials: [ { secret: { name: keys } }, environment ] }",
    );
    no_bucket_is_made_without_a_cluster(&rules).await;
}

#[tokio::test]
async fn what_our_own_writes_do_to_facts_is_seen_before_the_end() {
    let rules = "
  facts:
    sources:
      list: { apiVersion: v1, kind: ConfigMap, namespace: default, selector: role=source }
      select: { name: $.metadata.name }
  rules:
    source:
      ensure: kubernetes/Object
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: source, namespace: default, labels: { role: source } } }
    copies:
      forEach: facts.sources
      key: each.value.name
      ensure: kubernetes/Object
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: 'copy-of-${each.key}', namespace: default } }
";
    let case = Case::text(&policy(rules), "");
    assert!(case.apply().await.is_converged());
    let plan = case.plan().await;
    assert!(plan.is_converged(), "{}", text(&plan));
    assert!(case.world.document(&config_map("copy-of-source")).is_some());
}

#[tokio::test]
async fn a_read_that_fails_for_the_moment_is_made_again() {
    for target in ["ConfigMap default/one", "s3/Bucket acme-data"] {
        let rules = format!("{BUCKET}{}", TWO_MAPS.replace("\n  rules:\n", ""));
        let case = Case::text(&policy(&rules), "");
        let down = ProviderError::Unavailable {
            service: "the service".into(),
            message: "timeout".into(),
            source: None,
        };
        case.world
            .fail(Accident::new(Operation::Observe, down).on(target).times(1));
        let report = case.apply().await;
        assert!(report.is_converged(), "{}", text(&report));
    }
}

#[tokio::test]
async fn a_search_that_fails_for_the_moment_is_made_again() {
    let case = Case::text(&policy(GENERATED), "");
    let busy = ProviderError::Throttled {
        service: "s3".into(),
        retry_after: None,
    };
    case.world.fail(Accident::new(Operation::Find, busy).times(1));
    assert!(case.apply().await.is_converged());
}

#[tokio::test]
async fn a_fact_is_read_through_the_provider_that_it_names() {
    let rules = format!(
        "  providers: {{ other: {{ type: kubernetes }} }}\n  facts: {{ marker: {{ object: {{ apiVersion: v1, kind: ConfigMap, namespace: default, name: marker, provider: other }}, optional: true }} }}{TWO_MAPS}"
    );
    let case = Case::text(&policy(&rules), "");
    case.plan().await;
    let requests = case.world.requests();
    let read = requests
        .iter()
        .find(|request| request.target == "ConfigMap default/marker")
        .unwrap();
    assert_eq!(read.provider, Some("other".into()));
}

#[tokio::test]
async fn what_looks_at_anothers_phase_has_an_empty_plan_after_an_apply() {
    let rules = "
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default } } }
    two: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: two, namespace: default }, data: { one: '${rules.one.phase}', done: '${string(rules.one.converged)}' } } }
";
    let case = Case::text(&policy(rules), "");
    assert!(case.apply().await.is_converged());
    let plan = case.plan().await;
    assert!(plan.is_converged(), "{}", text(&plan));
    let two = case.world.document(&config_map("two")).unwrap();
    assert_eq!(
        two.get("data").unwrap().to_string(),
        r#"{"done":"true","one":"Converged"}"#
    );
}
