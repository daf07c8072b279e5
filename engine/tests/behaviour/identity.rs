//! Whose a resource is, and which name it has.

use holdfast_contract::{ApiType, ProviderError};
use holdfast_engine::{Phase, objects};
use holdfast_memory::{Accident, Operation};
use serde_json::json;

use crate::support::Case;
use crate::{GENERATED, TWO_MAPS, bucket, count, policy, resource, text};

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
