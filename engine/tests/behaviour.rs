//! What the engine promises, one promise a test, on the real kinds in memory.
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

use holdfast_contract::{ApiType, ProviderError, ResourceKey};
use holdfast_engine::report::{Report, ResourceReport, TextOptions, plan_text};
use holdfast_engine::{Phase, objects};
use holdfast_memory::{Accident, Operation};
use serde_json::json;
use support::Case;

fn policy(rules: &str) -> String {
    format!(
        "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: test }}\nspec:\n  language: 1\n{rules}"
    )
}

fn config_map(name: &str) -> ResourceKey {
    objects::key(&ApiType::new("v1", "ConfigMap"), Some("default"), name)
}

fn bucket(name: &str) -> ResourceKey {
    ResourceKey {
        provider: "s3".into(),
        kind: "s3/Bucket".into(),
        api: None,
        namespace: None,
        name: name.to_owned(),
        region: None,
    }
}

fn text(report: &Report) -> String {
    plan_text(report, TextOptions::default())
}

fn resource<'r>(report: &'r Report, address: &str) -> &'r ResourceReport {
    let found = report
        .resources
        .iter()
        .find(|resource| resource.address == address);
    found.unwrap_or_else(|| panic!("no {address} in\n{}", text(report)))
}

const TWO_MAPS: &str = "
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } } }
    two: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: two, namespace: default }, data: { b: '2' } } }
";

const BUCKET: &str = "
  providers: { s3: { region: us-east-2 } }
  rules:
    data:
      ensure: s3/Bucket
      name: acme-data
      desired:
        versioning: { status: Enabled }
        tags: { owner: us }
";

const GENERATED: &str = "
  providers: { s3: { region: us-east-2 } }
  rules:
    data:
      ensure: s3/Bucket
      name: { generate: acme- }
      adopt: { tags: { cluster: ours, role: backup } }
      desired: { versioning: { status: Enabled } }
";

#[tokio::test]
async fn one_failure_stays_one_failure() {
    let case = Case::text(&policy(TWO_MAPS), "");
    let denied = ProviderError::Denied {
        action: "create configmaps".into(),
        target: "ConfigMap default/one".into(),
    };
    case.world.fail(
        Accident::new(Operation::Create, denied)
            .on("ConfigMap default/one")
            .always(),
    );
    let report = case.apply().await;
    assert_eq!(resource(&report, "one").phase, Phase::Blocked);
    assert!(
        resource(&report, "one").reason.contains("create configmaps"),
        "{}",
        text(&report)
    );
    assert_eq!(resource(&report, "two").phase, Phase::Converged);
}

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
async fn a_transient_failure_is_tried_again() {
    let case = Case::text(&policy(TWO_MAPS), "");
    let busy = ProviderError::Throttled {
        service: "the cluster".into(),
        retry_after: None,
    };
    case.world.fail(Accident::new(Operation::Create, busy).times(2));
    assert!(case.apply().await.is_converged());
}

#[tokio::test]
async fn drift_is_put_back_and_what_is_foreign_stays() {
    let case = Case::text(&policy(TWO_MAPS), "");
    assert!(case.apply().await.is_converged());
    case.world
        .edit(&config_map("one"), &"object".into(), |object| {
            let data = object
                .as_map_mut()
                .unwrap()
                .get_mut("data")
                .unwrap()
                .as_map_mut()
                .unwrap();
            data.insert("a".into(), "changed".into());
            data.insert("theirs".into(), "kept".into());
        })
        .unwrap();
    let plan = case.plan().await;
    assert_eq!(plan.summary.update, 1, "{}", text(&plan));
    assert!(text(&plan).contains("~ data.a: changed -> 1"), "{}", text(&plan));
    assert!(case.apply().await.is_converged());
    let object = case.world.document(&config_map("one")).unwrap();
    assert_eq!(
        object.get("data").unwrap().to_string(),
        r#"{"a":"1","theirs":"kept"}"#
    );
}

#[tokio::test]
async fn a_name_is_stored_before_anything_is_created_under_it() {
    let case = Case::text(&policy(GENERATED), "");
    assert!(case.apply().await.is_converged());
    let requests = case.world.requests();
    let position = |operation| {
        requests
            .iter()
            .position(|request| request.operation == operation)
            .unwrap()
    };
    assert!(
        position(Operation::Save) < position(Operation::Create),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_bucket_with_all_our_tags_is_adopted_and_no_other_is_made() {
    let sandbox =
        "buckets: { acme-old: { region: us-east-2, tags: { cluster: ours, role: backup, extra: kept } } }";
    let case = Case::text(&policy(GENERATED), sandbox);
    assert!(case.apply().await.is_converged());
    assert_eq!(
        case.world
            .names()
            .iter()
            .filter(|name| name.contains("acme-"))
            .count(),
        1,
        "{:?}",
        case.world.names()
    );
    let tags = case.world.facet(&bucket("acme-old"), &"tags".into()).unwrap();
    assert_eq!(
        tags.to_string(),
        r#"{"cluster":"ours","extra":"kept","role":"backup"}"#
    );
}

/// The predecessor added up the matches of different buckets.
#[tokio::test]
async fn two_buckets_that_bear_half_of_our_tags_each_are_nobodys() {
    let sandbox = "buckets: { acme-a: { region: us-east-2, tags: { cluster: ours } }, acme-b: { region: us-east-2, tags: { role: backup, cluster: other } } }";
    let case = Case::text(&policy(GENERATED), sandbox);
    assert!(case.apply().await.is_converged());
    assert_eq!(
        case.world.facet(&bucket("acme-a"), &"tags".into()).unwrap(),
        json!({"cluster": "ours"}).into()
    );
    assert_eq!(
        case.world.facet(&bucket("acme-b"), &"tags".into()).unwrap(),
        json!({"cluster": "other", "role": "backup"}).into()
    );
}

#[tokio::test]
async fn two_buckets_that_are_ours_are_an_error_that_names_them() {
    let tags = "{ region: us-east-2, tags: { cluster: ours, role: backup } }";
    let case = Case::text(
        &policy(GENERATED),
        &format!("buckets: {{ acme-a: {tags}, acme-b: {tags} }}"),
    );
    let report = case.apply().await;
    assert_eq!(resource(&report, "data").phase, Phase::Blocked);
    assert!(
        resource(&report, "data").reason.contains("acme-a, acme-b"),
        "{}",
        text(&report)
    );
    assert_eq!(
        case.world
            .requests()
            .iter()
            .filter(|request| request.operation == Operation::Create)
            .count(),
        0
    );
}

#[tokio::test]
async fn one_unreadable_candidate_stops_the_minting_and_is_named() {
    let case = Case::text(
        &policy(GENERATED),
        "buckets: { acme-hidden: { region: us-east-2 } }",
    );
    let denied = ProviderError::Denied {
        action: "s3:GetBucketTagging".into(),
        target: "acme-hidden".into(),
    };
    case.world.fail(
        Accident::new(Operation::Observe, denied)
            .on("acme-hidden")
            .of(&"tags".into())
            .always(),
    );
    let report = case.apply().await;
    assert_eq!(
        resource(&report, "data").phase,
        Phase::Unknown,
        "{}",
        text(&report)
    );
    assert!(
        resource(&report, "data").reason.contains("acme-hidden"),
        "{}",
        text(&report)
    );
    assert_eq!(
        case.world
            .requests()
            .iter()
            .filter(|request| request.operation == Operation::Create)
            .count(),
        0
    );
}

#[tokio::test]
async fn a_bucket_that_vanished_is_not_silently_made_again() {
    let case = Case::text(&policy(BUCKET), "");
    assert!(case.apply().await.is_converged());
    case.world.delete(&bucket("acme-data")).unwrap();
    let report = case.apply().await;
    assert_eq!(
        resource(&report, "data").phase,
        Phase::Blocked,
        "{}",
        text(&report)
    );
    assert!(resource(&report, "data").reason.contains("onVanish: Recreate"));
    assert!(case.world.document(&bucket("acme-data")).is_none());
}

#[tokio::test]
async fn a_lagging_store_is_neither_drift_nor_a_fight() {
    let case = Case::text(&policy(BUCKET), "buckets: { acme-data: { region: us-east-2 } }");
    case.world.lag(2);
    assert!(case.apply().await.is_converged());
    let sets = case
        .world
        .requests()
        .iter()
        .filter(|request| request.operation == Operation::Set)
        .count();
    assert_eq!(sets, 2, "each facet is written once");
}

#[tokio::test]
async fn observe_mode_reports_and_never_writes() {
    let case = Case::text(&policy(&format!("  mode: Observe{TWO_MAPS}")), "");
    let report = case.apply().await;
    assert_eq!(resource(&report, "one").phase, Phase::Blocked);
    let writes = case.world.requests().into_iter().filter(|request| {
        matches!(
            request.operation,
            Operation::Create | Operation::Set | Operation::Delete
        )
    });
    assert_eq!(writes.count(), 0);
}

#[tokio::test]
async fn a_deletion_needs_its_allowance_and_its_limit() {
    let forbid = |allow: &str, limits: &str| {
        policy(&format!(
            "  limits: {limits}\n  rules: {{ gone: {{ forbid: kubernetes/Object, allow: {allow}, desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: old, namespace: default }} }} }} }}\n"
        ))
    };
    let sandbox =
        "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: old, namespace: default } } ]";
    let blocked = Case::text(&forbid("[]", "{ deletions: 1 }"), sandbox)
        .apply()
        .await;
    assert!(
        resource(&blocked, "gone").reason.contains("allow: [Delete]"),
        "{}",
        text(&blocked)
    );
    let limited = Case::text(&forbid("[Delete]", "{ deletions: 0 }"), sandbox)
        .apply()
        .await;
    assert!(
        resource(&limited, "gone").reason.contains("the limit is 0"),
        "{}",
        text(&limited)
    );
    let case = Case::text(&forbid("[Delete]", "{ deletions: 1 }"), sandbox);
    assert!(case.apply().await.is_converged());
    assert!(case.world.document(&config_map("old")).is_none());
}

#[tokio::test]
async fn another_policys_object_is_left_alone() {
    let sandbox = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default, labels: { holdfast.dev/policy: other.policy } } } ]";
    let report = Case::text(&policy(TWO_MAPS), sandbox).apply().await;
    assert_eq!(resource(&report, "one").phase, Phase::Blocked);
    assert!(
        resource(&report, "one").reason.contains("other.policy"),
        "{}",
        text(&report)
    );
}

#[tokio::test]
async fn two_rules_on_one_object_are_both_refused() {
    let rules = TWO_MAPS.replace("name: two", "name: one");
    let report = Case::text(&policy(&rules), "").apply().await;
    for address in ["one", "two"] {
        assert_eq!(
            resource(&report, address).phase,
            Phase::Blocked,
            "{}",
            text(&report)
        );
    }
}

#[tokio::test]
async fn a_policy_cannot_manage_what_it_stands_on() {
    let rules = "  rules: { self: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: Namespace, metadata: { name: holdfast-system } } } }\n";
    let report = Case::text(&policy(rules), "").apply().await;
    assert_eq!(
        resource(&report, "self").phase,
        Phase::Blocked,
        "{}",
        text(&report)
    );
}

#[tokio::test]
async fn a_ledger_of_another_cluster_stops_everything() {
    let case = Case::text(&policy(TWO_MAPS), "");
    assert!(case.apply().await.is_converged());
    case.world
        .put("cluster: { uid: 00000000-0000-4000-8000-00000000beef }\n")
        .unwrap();
    case.world.delete(&config_map("one")).unwrap();
    let report = case.apply().await;
    assert_eq!(
        resource(&report, "one").phase,
        Phase::Blocked,
        "{}",
        text(&report)
    );
    assert!(resource(&report, "one").reason.contains("another cluster"));
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

fn count(case: &Case, operation: Operation) -> usize {
    let requests = case.world.requests();
    requests
        .iter()
        .filter(|request| request.operation == operation)
        .count()
}

#[tokio::test]
async fn a_bucket_whose_tags_cannot_be_read_is_not_known_to_be_ours_and_is_not_written() {
    let case = Case::text(&policy(GENERATED), "");
    let applied = case.apply().await;
    let name = resource(&applied, "data").key.as_ref().unwrap().name.clone();
    case.world
        .edit(&bucket(&name), &"versioning".into(), |versioning| {
            *versioning = json!({"status": "Suspended"}).into();
        })
        .unwrap();
    let denied = ProviderError::Denied {
        action: "s3:GetBucketTagging".into(),
        target: name.clone(),
    };
    case.world.fail(
        Accident::new(Operation::Observe, denied)
            .of(&"tags".into())
            .always(),
    );
    case.world.forget_requests();
    let report = case.apply().await;
    let data = resource(&report, "data");
    assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
    assert!(data.reason.contains("s3:GetBucketTagging"), "{}", text(&report));
    assert_eq!(count(&case, Operation::Set), 0);
}

#[tokio::test]
async fn objects_of_one_name_in_two_namespaces_are_two_resources() {
    let rules = "
  rules:
    maps:
      ensure: kubernetes/Object
      desired:
        - { apiVersion: v1, kind: ConfigMap, metadata: { name: same, namespace: default } }
        - { apiVersion: v1, kind: ConfigMap, metadata: { name: same, namespace: other } }
        - { apiVersion: v1, kind: ConfigMap, metadata: { name: alone, namespace: default } }
";
    let sandbox = "objects: [ { apiVersion: v1, kind: Namespace, metadata: { name: other } } ]";
    let case = Case::text(&policy(rules), sandbox);
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    let addresses: Vec<&str> = report
        .resources
        .iter()
        .map(|resource| resource.address.as_str())
        .collect();
    assert_eq!(
        addresses,
        [
            r#"maps["ConfigMap/alone"]"#,
            r#"maps["ConfigMap/default/same"]"#,
            r#"maps["ConfigMap/other/same"]"#
        ]
    );
    let other = objects::key(&ApiType::new("v1", "ConfigMap"), Some("other"), "same");
    assert!(case.world.document(&other).is_some());
}

#[tokio::test]
async fn one_object_twice_in_a_rule_is_refused_and_not_dropped() {
    let one = "{ apiVersion: v1, kind: ConfigMap, metadata: { name: same, namespace: default } }";
    let rules = format!("  rules: {{ maps: {{ ensure: kubernetes/Object, desired: [ {one}, {one} ] }} }}\n");
    let report = Case::text(&policy(&rules), "").plan().await;
    assert_eq!(report.summary.stuck, 2, "{}", text(&report));
}

const GONE: &str = "
  limits: { deletions: 1 }
  rules:
    gone:
      forbid: kubernetes/Object
      allow: [Delete]
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: old, namespace: default } }
";

#[tokio::test]
async fn what_is_being_deleted_is_not_deleted_again() {
    let sandbox = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: old, namespace: default, deletionTimestamp: '2026-01-01T00:00:00Z' } } ]";
    let report = Case::text(&policy(GONE), sandbox).plan().await;
    assert_eq!(
        resource(&report, "gone").phase,
        Phase::Settling,
        "{}",
        text(&report)
    );
    assert!(resource(&report, "gone").action.is_none());
}

#[tokio::test]
async fn a_refused_deletion_is_tried_once() {
    let sandbox =
        "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: old, namespace: default } } ]";
    let case = Case::text(&policy(GONE), sandbox);
    let denied = ProviderError::Denied {
        action: "delete configmaps".into(),
        target: "ConfigMap default/old".into(),
    };
    case.world
        .fail(Accident::new(Operation::Delete, denied).times(50));
    let report = case.apply().await;
    assert_eq!(count(&case, Operation::Delete), 1);
    assert_eq!(resource(&report, "gone").phase, Phase::Blocked);
    assert!(
        resource(&report, "gone").reason.contains("delete configmaps"),
        "{}",
        text(&report)
    );
}

#[tokio::test]
async fn no_name_is_minted_for_what_is_not_to_be_created() {
    let rules = GENERATED.replace("      adopt:", "      create: false\n      adopt:");
    let case = Case::text(&policy(&rules), "");
    assert!(case.apply().await.is_converged());
    case.world
        .put("buckets: { acme-late: { region: us-east-2, tags: { cluster: ours, role: backup } } }")
        .unwrap();
    let report = case.apply().await;
    let key = resource(&report, "data")
        .key
        .as_ref()
        .map(|key| key.name.as_str());
    assert_eq!(key, Some("acme-late"), "{}", text(&report));
}

#[tokio::test]
async fn a_gate_of_a_facet_that_comes_with_the_creation_holds_that_up() {
    let rules = BUCKET.replace(
        "      desired:",
        "      require: [ { that: 'false', message: not yet, facets: [tags] } ]\n      desired:",
    );
    let case = Case::text(&policy(&rules), "");
    let report = case.apply().await;
    assert_eq!(
        resource(&report, "data").phase,
        Phase::Pending,
        "{}",
        text(&report)
    );
    assert_eq!(resource(&report, "data").reason, "not yet");
    assert_eq!(count(&case, Operation::Create), 0);
}

#[tokio::test]
async fn a_rule_keeps_what_is_known_of_it_under_its_former_key() {
    let mut case = Case::text(&policy(BUCKET), "");
    assert!(case.apply().await.is_converged());
    let renamed = BUCKET.replace("    data:", "    store:\n      formerly: [data]");
    case.policy = Case::text(&policy(&renamed), "").policy;
    case.world.delete(&bucket("acme-data")).unwrap();
    let report = case.apply().await;
    assert_eq!(
        resource(&report, "store").phase,
        Phase::Blocked,
        "{}",
        text(&report)
    );
    assert!(case.world.document(&bucket("acme-data")).is_none());
}

/// A cluster that can't be reached.
#[derive(Debug)]
struct NoCluster(holdfast_contract::Shape);

#[async_trait::async_trait]
impl holdfast_contract::ProviderFactory for NoCluster {
    fn provider_type(&self) -> &'static str {
        "kubernetes"
    }

    fn kinds(&self) -> Vec<std::sync::Arc<dyn holdfast_contract::Kind>> {
        vec![std::sync::Arc::new(holdfast_kubernetes::ObjectKind::new())]
    }

    fn settings(&self) -> &holdfast_contract::Shape {
        &self.0
    }

    async fn open(
        &self,
        _config: holdfast_contract::ProviderConfig,
    ) -> Result<std::sync::Arc<dyn holdfast_contract::Provider>, ProviderError> {
        Err(ProviderError::Unavailable {
            service: "the cluster".into(),
            message: "no route".into(),
            source: None,
        })
    }
}

#[tokio::test]
async fn facts_of_a_cluster_that_cannot_be_reached_are_not_absent() {
    let rules = format!(
        "  facts: {{ marker: {{ object: {{ apiVersion: v1, kind: ConfigMap, namespace: default, name: marker }}, optional: true }} }}{}",
        BUCKET.replace("    data:", "    data:\n      when: '!has(facts.marker)'")
    );
    let mut case = Case::text(&policy(&rules), "");
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
async fn a_secret_of_a_cluster_that_cannot_be_reached_is_not_passed_over() {
    let rules = BUCKET.replace(
        "{ region: us-east-2 }",
        "{ region: us-east-2, credentials: [ { secret: { name: keys } }, environment ] }",
    );
    let mut case = Case::text(&policy(&rules), "");
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
async fn observe_mode_takes_no_lease_and_makes_no_ledger() {
    let sandbox = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } }, { apiVersion: v1, kind: ConfigMap, metadata: { name: two, namespace: default }, data: { b: '2' } } ]";
    for sandbox in ["", sandbox] {
        let case = Case::text(&policy(&format!("  mode: Observe{TWO_MAPS}")), sandbox);
        case.apply().await;
        assert_eq!(case.writes(), 0, "{:?}", case.world.requests());
    }
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
async fn a_field_that_is_changed_back_again_and_again_is_not_fought_over_without_end() {
    let case = Case::text(&policy(TWO_MAPS), "");
    assert!(case.apply().await.is_converged());
    let spoil = |value: String| {
        let edit = |object: &mut holdfast_contract::Value| {
            let data = object.as_map_mut().unwrap().get_mut("data").unwrap();
            data.as_map_mut().unwrap().insert("a".into(), value.into());
        };
        case.world
            .edit(&config_map("one"), &"object".into(), edit)
            .unwrap();
    };
    spoil("theirs".into());
    case.world.forget_requests();
    let options = holdfast_engine::ApplyOptions {
        holder: holdfast_contract::Holder("test".into()),
        timeout: std::time::Duration::from_secs(2),
        wait: true,
        stop: holdfast_engine::Stop::default(),
    };
    let parameters = case
        .engine
        .parameters(&case.policy, case.engine.evaluator(), &[])
        .await
        .unwrap();
    let rounds = std::sync::atomic::AtomicUsize::new(0);
    let watcher = |progress: holdfast_engine::Progress<'_>| {
        if let holdfast_engine::Progress::Written(..) = progress {
            let round = rounds.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            spoil(format!("theirs {round}"));
        }
    };
    let report = case
        .engine
        .apply(&case.policy, &parameters, &options, &watcher)
        .await
        .unwrap();
    let sets = count(&case, Operation::Set);
    assert!((3..10).contains(&sets), "{sets}");
    assert_eq!(
        resource(&report, "one").phase,
        Phase::Blocked,
        "{}",
        text(&report)
    );
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
async fn a_limit_holds_for_all_passes_of_a_run_together() {
    let forbid = |name: &str, more: &str| {
        format!(
            "    {name}: {{ forbid: kubernetes/Object, allow: [Delete], {more} desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default }} }} }}\n"
        )
    };
    let rules = format!(
        "  limits: {{ deletions: 1 }}\n  rules:\n{}{}",
        forbid("one", ""),
        forbid("two", "when: '!rules.one.exists',")
    );
    let object = |name: &str| {
        format!("{{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default }} }}")
    };
    let sandbox = format!("objects: [ {}, {} ]", object("one"), object("two"));
    let case = Case::text(&policy(&rules), &sandbox);
    let report = case.apply().await;
    assert_eq!(count(&case, Operation::Delete), 1);
    assert!(
        resource(&report, "two").reason.contains("the limit is 1"),
        "{}",
        text(&report)
    );
}

#[tokio::test]
async fn what_a_run_makes_is_not_a_change_when_it_is_finished() {
    let rules = format!("  limits: {{ changes: 0 }}{BUCKET}");
    let report = Case::text(&policy(&rules), "").apply().await;
    assert!(report.is_converged(), "{}", text(&report));
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
