//! What leaves the policy: what of it is deleted, and all that is not.

use std::time::Duration;

use holdfast_contract::{ApiType, ProviderError, ResourceKey};
use holdfast_engine::{Phase, objects};
use holdfast_memory::{Accident, Operation};
use serde_json::json;

use crate::support::Case;
use crate::{bucket, config_map, count, deleted, policy, resource, text};

fn map(rule: &str, name: &str, more: &str) -> String {
    format!(
        "    {rule}: {{ ensure: kubernetes/Object, {more} desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default }} }} }}\n"
    )
}

fn rules(limits: &str, rules: &[String]) -> String {
    policy(&format!("  limits: {limits}\n  rules:\n{}", rules.concat()))
}

const DELETE: &str = "onRemove: Delete,";
const ONE_DELETION: &str = "{ deletions: 1 }";

fn keep() -> String {
    map("keep", "keep", "")
}

/// `one`, made by a policy that no longer has it.
async fn left(more: &str, limits: &str) -> Case {
    let case = Case::text(&rules("{}", &[keep(), map("one", "one", more)]), "");
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    case.world.forget_requests();
    case.with_policy(&rules(limits, &[keep()]))
}

fn is_there(case: &Case, name: &str) -> bool {
    case.world.document(&config_map(name)).is_some()
}

#[tokio::test]
async fn what_leaves_the_policy_stays_unless_its_rule_said_otherwise_and_is_forgotten() {
    let case = left("", ONE_DELETION).await;
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert!(is_there(&case, "one"));
    let other = case.with_policy(&rules("{}", &[keep(), map("later", "later", "")]));
    other.apply().await;
    assert_eq!(case.ledger().await["created"]["one"], json!(null));
}

#[tokio::test]
async fn what_the_policy_made_goes_with_its_rule_within_the_limit() {
    let case = left(DELETE, "{}").await;
    let plan = case.plan().await;
    assert_eq!(plan.summary.delete, 1);
    let report = case.apply().await;
    assert!(is_there(&case, "one"));
    let why = &resource(&report, "one").reason;
    assert!(why.contains("1 to delete, and the limit is 0"), "{why}");
    assert!(text(&report).contains("approve: "), "{}", text(&report));
    let case = case.with_policy(&rules(ONE_DELETION, &[keep()]));
    assert!(text(&case.plan().await).contains("- ConfigMap default/one"));
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert!(!is_there(&case, "one") && is_there(&case, "keep"));
    let ledger = case.ledger().await;
    assert_eq!(
        (&ledger["removable"], &ledger["created"]["one"]),
        (&json!(null), &json!(null))
    );
}

#[tokio::test]
async fn what_was_there_before_stays() {
    let sandbox =
        "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default } } ]";
    let case = Case::text(&rules("{}", &[keep(), map("one", "one", DELETE)]), sandbox);
    assert!(case.apply().await.is_converged());
    let case = case.with_policy(&rules(ONE_DELETION, &[keep()]));
    assert!(case.apply().await.is_converged());
    assert!(is_there(&case, "one"));
}

#[tokio::test]
async fn another_incarnation_stays_and_is_told_of() {
    let case = left(DELETE, ONE_DELETION).await;
    case.world.delete(&config_map("one")).unwrap();
    case.world
        .put("objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default } } ]")
        .unwrap();
    assert!(case.plan().await.notes[0].contains("another one stands in its place"));
    let report = case.apply().await;
    assert!(is_there(&case, "one"));
    assert_eq!(count(&case, Operation::Delete), 0, "{}", text(&report));
    let warnings = report.applied.unwrap().warnings;
    assert!(warnings[0].contains("did not make"), "{warnings:?}");
    assert_eq!(case.ledger().await["removable"], json!(null));
}

/// What others made anew under our name while the rule was still there.
#[tokio::test]
async fn what_others_made_anew_is_not_taken_for_ours() {
    let case = Case::text(&rules("{}", &[keep(), map("one", "one", DELETE)]), "");
    assert!(case.apply().await.is_converged());
    case.world.delete(&config_map("one")).unwrap();
    case.world
        .put("objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default } } ]")
        .unwrap();
    assert!(case.apply().await.is_converged());
    let case = case.with_policy(&rules(ONE_DELETION, &[keep()]));
    assert!(case.apply().await.is_converged());
    assert!(is_there(&case, "one"));
}

#[tokio::test]
async fn what_another_policy_has_taken_up_stays() {
    let case = left(DELETE, ONE_DELETION).await;
    case.world
        .edit(&config_map("one"), &"object".into(), |object| {
            let metadata = object.as_map_mut().unwrap().get_mut("metadata").unwrap();
            let labels = metadata.as_map_mut().unwrap().get_mut("labels").unwrap();
            labels
                .as_map_mut()
                .unwrap()
                .insert("holdfast.dev/policy".into(), "other.policy".into());
        })
        .unwrap();
    case.apply().await;
    assert!(is_there(&case, "one"));
    assert_eq!(count(&case, Operation::Delete), 0);
}

#[tokio::test]
async fn a_change_of_mind_before_it_leaves_counts() {
    let case = Case::text(&rules("{}", &[keep(), map("one", "one", DELETE)]), "");
    case.apply().await;
    let case = case.with_policy(&rules("{}", &[keep(), map("one", "one", "")]));
    case.apply().await;
    let retained = case.with_policy(&rules(ONE_DELETION, &[keep()]));
    assert!(retained.apply().await.is_converged());
    assert!(is_there(&case, "one"));
    // And the other way round, by an apply that has nothing else to do.
    let case = Case::text(&rules("{}", &[keep(), map("one", "one", "")]), "");
    case.apply().await;
    case.with_policy(&rules("{}", &[keep(), map("one", "one", DELETE)]))
        .apply()
        .await;
    let gone = case.with_policy(&rules(ONE_DELETION, &[keep()]));
    assert!(gone.apply().await.is_converged());
    assert!(!is_there(&case, "one"));
}

#[tokio::test]
async fn skipping_and_renaming_remove_nothing() {
    for rules_now in [
        rules(
            ONE_DELETION,
            &[keep(), map("one", "one", "onRemove: Delete, when: 'false',")],
        ),
        rules(
            ONE_DELETION,
            &[keep(), map("first", "one", "onRemove: Delete, formerly: [one],")],
        ),
        rules(ONE_DELETION, &[keep(), map("moved", "one", DELETE)]),
        rules(ONE_DELETION, &[keep(), map("one", "two", DELETE)]),
    ] {
        let case = left(DELETE, "{}").await.with_policy(&rules_now);
        let report = case.apply().await;
        assert!(report.is_converged(), "{}", text(&report));
        assert!(is_there(&case, "one"), "{rules_now}");
    }
    // Under its new name it still goes when that leaves.
    let renamed = map("first", "one", "onRemove: Delete, formerly: [one],");
    let case = left(DELETE, "{}")
        .await
        .with_policy(&rules("{}", &[keep(), renamed]));
    case.apply().await;
    let case = case.with_policy(&rules(ONE_DELETION, &[keep()]));
    assert!(case.apply().await.is_converged());
    assert!(!is_there(&case, "one"));
}

const EACH: &str = "
  limits: { deletions: 9 }
  facts:
    sources:
      list: { apiVersion: v1, kind: ConfigMap, namespace: default, selector: role=source }
      select: { name: $.metadata.name }
  rules:
    copies:
      forEach: facts.sources
      key: each.value.name
      onRemove: Delete
      ensure: kubernetes/Object
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: 'copy-of-${each.key}', namespace: default } }
";

fn source(name: &str) -> String {
    format!(
        "{{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default, labels: {{ role: source }} }} }}"
    )
}

async fn copies() -> Case {
    let case = Case::text(
        &policy(EACH),
        &format!("objects: [ {}, {} ]", source("a"), source("b")),
    );
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    case
}

#[tokio::test]
async fn an_instance_goes_when_its_list_was_read_whole_and_lacks_it() {
    let case = copies().await;
    case.world.delete(&config_map("a")).unwrap();
    let plan = case.plan().await;
    assert_eq!(plan.summary.delete, 1, "{}", text(&plan));
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert!(!is_there(&case, "copy-of-a") && is_there(&case, "copy-of-b"));
}

#[tokio::test]
async fn no_instance_goes_while_its_list_cannot_be_read_or_its_rule_waits_or_is_skipped() {
    let denied = ProviderError::Denied {
        action: "list configmaps".into(),
        target: "default".into(),
    };
    let case = copies().await;
    case.world.delete(&config_map("a")).unwrap();
    case.world.fail(Accident::new(Operation::Find, denied).always());
    case.apply().await;
    assert!(is_there(&case, "copy-of-a"));
    case.world.heal();
    let waits = EACH.replace("forEach: facts.sources", "forEach: facts.missing.list").replace(
        "  facts:\n",
        "  facts:\n    missing: { object: { apiVersion: v1, kind: ConfigMap, namespace: default, name: missing }, optional: true }\n",
    );
    let skipped = EACH.replace("      forEach:", "      when: 'false'\n      forEach:");
    let unserved = EACH.replace(
        "apiVersion: v1, kind: ConfigMap, namespace: default, selector: role=source",
        "apiVersion: example.com/v1, kind: Source, namespace: default",
    );
    for rules in [waits, skipped, unserved] {
        let case = case.with_policy(&policy(&rules));
        case.apply_watched(Duration::from_millis(500), &|_| {}).await;
        assert!(
            is_there(&case, "copy-of-a") && is_there(&case, "copy-of-b"),
            "{rules}"
        );
    }
}

#[tokio::test]
async fn an_object_of_several_goes_when_it_is_no_longer_declared_but_not_when_a_condition_leaves_it_out() {
    let many = |documents: &str| {
        policy(&format!(
            "  limits: {{ deletions: 1 }}\n  parameters: {{ two: {{ type: boolean, default: true }} }}\n  rules: {{ maps: {{ ensure: kubernetes/Object, onRemove: Delete, desired: [ {documents} ] }} }}\n"
        ))
    };
    let map = |name: &str, more: &str| {
        format!(
            "{{ {more} apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default }} }}"
        )
    };
    let (one, two, three) = (map("one", ""), map("two", ""), map("three", ""));
    let case = Case::text(&many(&format!("{one}, {two}, {three}")), "");
    assert!(case.apply().await.is_converged());
    let left_out = map("two", "$when: '!parameters.two',");
    let case = case.with_policy(&many(&format!("{one}, {left_out}, {three}")));
    assert!(case.apply().await.is_converged());
    assert!(is_there(&case, "two"), "skipping never removes");
    let case = case.with_policy(&many(&format!("{one}, {three}")));
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert!(!is_there(&case, "two") && is_there(&case, "one"));
}

#[tokio::test]
async fn what_takes_more_along_stays_without_its_allowance() {
    let namespace = |more: &str| {
        format!(
            "    team: {{ ensure: kubernetes/Object, onRemove: Delete, {more} desired: {{ apiVersion: v1, kind: Namespace, metadata: {{ name: team }} }} }}\n"
        )
    };
    let key: ResourceKey = objects::key(&ApiType::new("v1", "Namespace"), None, "team");
    for (more, stays) in [("", true), ("allow: [Cascade],", false)] {
        let case = Case::text(&rules("{}", &[keep(), namespace(more)]), "");
        assert!(case.apply().await.is_converged());
        let case = case.with_policy(&rules(ONE_DELETION, &[keep()]));
        let report = case.apply().await;
        assert_eq!(case.world.document(&key).is_some(), stays, "{}", text(&report));
        if stays {
            let team = resource(&report, "team");
            assert_eq!(team.phase, Phase::Blocked);
            assert!(team.reason.contains("deletes everything in it") && team.reason.contains("Cascade"));
        }
    }
}

#[tokio::test]
async fn what_needed_another_goes_before_it() {
    let both = [
        keep(),
        "    team: { ensure: kubernetes/Object, onRemove: Delete, allow: [Cascade], desired: { apiVersion: v1, kind: Namespace, metadata: { name: team } } }\n".to_owned(),
        "    member: { ensure: kubernetes/Object, onRemove: Delete, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: member, namespace: team } } }\n".to_owned(),
    ];
    let case = Case::text(&rules("{}", &both), "");
    assert!(case.apply().await.is_converged());
    let case = case.with_policy(&rules("{ deletions: 2 }", &[keep()]));
    case.world.forget_requests();
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(deleted(&case), ["ConfigMap team/member", "Namespace team"]);
}

const STORE: &str = "
  limits: { deletions: 1 }
  providers: { s3: { region: us-east-2 } }
  rules:
    keep: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: keep, namespace: default } } }
";
const DATA: &str = "    data: { ensure: s3/Bucket, name: acme-data, onRemove: Delete, desired: { versioning: { status: Enabled } } }\n";

#[tokio::test]
async fn a_bucket_goes_only_while_it_is_empty() {
    for content in [0, 3] {
        let case = Case::text(&policy(&format!("{STORE}{DATA}")), "");
        assert!(case.apply().await.is_converged());
        case.world.fill(&bucket("acme-data"), content).unwrap();
        let case = case.with_policy(&policy(STORE));
        let report = case.apply_watched(Duration::from_secs(3), &|_| {}).await;
        let there = case.world.document(&bucket("acme-data")).is_some();
        assert_eq!(there, content > 0, "{}", text(&report));
        if there {
            let data = resource(&report, "data");
            assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
            assert!(data.reason.contains("not empty"), "{}", data.reason);
        }
    }
}

#[tokio::test]
async fn with_another_accounts_credentials_nothing_goes_and_nothing_is_forgotten() {
    let case = Case::text(&policy(&format!("{STORE}{DATA}")), "account: '111122223333'");
    assert!(case.apply().await.is_converged());
    let case = case.with_policy(&policy(STORE));
    case.world.put("account: '999988887777'").unwrap();
    for report in [case.plan().await, case.apply().await] {
        let data = resource(&report, "data");
        assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
        assert!(
            data.reason.contains("is of account 111122223333") && data.reason.contains("999988887777"),
            "{}",
            data.reason
        );
    }
    case.world.put("account: '111122223333'").unwrap();
    assert!(case.apply().await.is_converged());
    assert!(case.world.document(&bucket("acme-data")).is_none());
}

#[tokio::test]
async fn what_can_no_longer_be_reached_where_it_was_made_stays_and_is_told_of() {
    for providers in [
        "",
        "  providers: { s3: { region: us-east-2, endpoint: 'https://elsewhere.example' } }\n",
    ] {
        let case = Case::text(
            &policy(&format!(
                "{}{DATA}",
                STORE.replace("region: us-east-2", "region: us-east-2, account: '111122223333'")
            )),
            "",
        );
        let report = case.apply().await;
        assert!(report.is_converged(), "{}", text(&report));
        let other = STORE.replace("  providers: { s3: { region: us-east-2 } }\n", providers);
        let case = case.with_policy(&policy(&other));
        let report = case.apply().await;
        let data = resource(&report, "data");
        assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
        assert!(
            data.reason.contains("stays") && data.reason.contains("`s3`"),
            "{}",
            data.reason
        );
        assert!(case.world.document(&bucket("acme-data")).is_some());
    }
}

#[tokio::test]
async fn a_failed_read_removes_nothing() {
    let case = left(DELETE, ONE_DELETION).await;
    let denied = ProviderError::Denied {
        action: "get configmaps".into(),
        target: "default/one".into(),
    };
    case.world.fail(
        Accident::new(Operation::Observe, denied)
            .on("ConfigMap default/one")
            .always(),
    );
    let report = case.apply_watched(Duration::from_secs(2), &|_| {}).await;
    assert_eq!(resource(&report, "one").phase, Phase::Unknown);
    assert!(is_there(&case, "one"));
    assert_ne!(
        case.ledger().await["removable"],
        json!(null),
        "nothing is forgotten"
    );
}

#[tokio::test]
async fn what_cannot_be_named_yet_may_be_the_very_one_and_is_waited_for() {
    let case = left(DELETE, ONE_DELETION).await;
    let unnamed = policy(
        "  limits: { deletions: 1 }
  facts: { name: { object: { apiVersion: v1, kind: ConfigMap, namespace: default, name: missing }, optional: true } }
  rules:
    maybe: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: '${facts.name.data.x}', namespace: default } } }
",
    );
    let case = case.with_policy(&unnamed);
    let report = case.apply_watched(Duration::from_millis(500), &|_| {}).await;
    assert!(is_there(&case, "one"));
    assert!(
        resource(&report, "one").waits[0].contains("maybe"),
        "{}",
        text(&report)
    );
}

#[tokio::test]
async fn observe_mode_removes_nothing() {
    let case = left(DELETE, "{}").await;
    let case = case.with_policy(&policy(&format!(
        "  mode: Observe\n  limits: {ONE_DELETION}\n  rules:\n{}",
        keep()
    )));
    case.apply().await;
    assert!(is_there(&case, "one"));
}
