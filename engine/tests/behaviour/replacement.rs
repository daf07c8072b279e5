//! What can't be changed on what exists: when it is deleted and made anew, and when it is not.

use std::time::Duration;

use holdfast_contract::{ProviderError, ResourceKey, Value};
use holdfast_engine::{Phase, Progress};
use holdfast_memory::{Accident, Operation};
use serde_json::json;

use crate::support::Case;
use crate::{config_map, count, policy, resource, text};

const RULES: &str = "
  limits: { deletions: 1 }
  rules:
    one:
      ensure: kubernetes/Object
      allow: [Replace]
      onVanish: Hold
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } }
";

fn immutable(key: &ResourceKey) -> ProviderError {
    ProviderError::Immutable {
        key: key.clone(),
        fields: vec!["data.a".to_owned()],
    }
}

/// Converged once, then changed from outside in a field that can't be changed back.
async fn changed(rules: &str) -> Case {
    let case = Case::text(&policy(rules), "");
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    let key = config_map("one");
    case.world
        .edit(&key, &"object".into(), |object| {
            let data = object.as_map_mut().unwrap().get_mut("data").unwrap();
            data.as_map_mut().unwrap().insert("a".into(), "changed".into());
        })
        .unwrap();
    let refused = Accident::new(Operation::Preview, immutable(&key));
    case.world.fail(refused.on("ConfigMap default/one").always());
    case.world.forget_requests();
    case
}

fn a(case: &Case) -> Option<String> {
    let object = case.world.document(&config_map("one"))?;
    object
        .at(&["data", "a"])
        .and_then(Value::as_str)
        .map(str::to_owned)
}

#[tokio::test]
async fn without_the_allowance_the_fields_and_the_allowance_are_named() {
    let case = changed(&RULES.replace("allow: [Replace]", "allow: []")).await;
    let report = case.apply().await;
    let one = resource(&report, "one");
    assert_eq!(one.phase, Phase::Blocked);
    let why = &one.blocked["object"];
    assert!(
        why.contains("data.a") && why.contains("allow: [Replace]"),
        "{why}"
    );
    assert_eq!(count(&case, Operation::Delete), 0);
    assert_eq!(a(&case).as_deref(), Some("changed"));
}

#[tokio::test]
async fn it_is_deleted_and_made_anew() {
    let case = changed(RULES).await;
    let plan = case.plan().await;
    assert_eq!(plan.summary.replace, 1);
    assert!(
        text(&plan).contains("-/+ ConfigMap default/one") && text(&plan).contains("1 to replace"),
        "{}",
        text(&plan)
    );
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(a(&case).as_deref(), Some("1"));
    let applied = report.applied.unwrap();
    assert_eq!((applied.created, applied.changed, applied.deleted), (0, 1, 0));
    assert_eq!(case.ledger().await["replaced"], json!(null));
}

#[tokio::test]
async fn a_replacement_needs_room_for_a_deletion_and_for_a_change() {
    let case = changed(&RULES.replace("deletions: 1", "deletions: 0")).await;
    let report = case.apply().await;
    assert!(
        resource(&report, "one")
            .reason
            .contains("1 to delete, and the limit is 0"),
        "{}",
        text(&report)
    );
    assert_eq!(count(&case, Operation::Delete), 0);
    let case = changed(&RULES.replace("deletions: 1", "deletions: 1, changes: 0")).await;
    let report = case.apply().await;
    assert!(
        resource(&report, "one")
            .reason
            .contains("1 to change, and the limit is 0"),
        "{}",
        text(&report)
    );
    assert_eq!(count(&case, Operation::Delete), 0);
}

#[tokio::test]
async fn a_process_that_ends_between_deletion_and_creation_leaves_what_the_next_makes_again() {
    let case = changed(RULES).await;
    let down = ProviderError::Denied {
        action: "create configmaps".into(),
        target: "default".into(),
    };
    case.world.fail(Accident::new(Operation::Create, down).always());
    case.apply_watched(Duration::from_millis(500), &|_| {}).await;
    assert_eq!(a(&case), None, "it is gone, and was not made");
    assert_eq!(case.ledger().await["replaced"], json!(["one"]));
    case.world.heal();
    // `onVanish: Hold` is for what others took away.
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(a(&case).as_deref(), Some("1"));
    case.world.delete(&config_map("one")).unwrap();
    let report = case.apply().await;
    assert_eq!(
        resource(&report, "one").phase,
        Phase::Blocked,
        "{}",
        text(&report)
    );
}

#[tokio::test]
async fn what_holds_more_than_itself_needs_the_allowance_for_that_too() {
    let rules = |allow: &str| {
        RULES
            .replace("[Replace]", allow)
            .replace("kind: ConfigMap", "kind: Secret")
            .replace("data: { a: '1' }", "stringData: { a: '1' }")
    };
    for (allow, deletions) in [("[Replace]", 0), ("[Replace, Cascade]", 1)] {
        let case = Case::text(
            &policy(&rules(allow)),
            "objects: [ { apiVersion: v1, kind: Secret, metadata: { name: one, namespace: default }, data: { a: b2xk } } ]",
        );
        let refused = Accident::new(Operation::Preview, immutable(&config_map("one")));
        case.world.fail(refused.on("Secret default/one").always());
        let report = case.apply().await;
        assert_eq!(count(&case, Operation::Delete), deletions, "{}", text(&report));
        if deletions == 0 {
            let why = &resource(&report, "one").reason;
            assert!(why.contains("allow: [Replace, Cascade]"), "{why}");
        }
    }
}

#[tokio::test]
async fn nothing_is_deleted_that_could_not_be_made_at_once() {
    let never = RULES.replace("onVanish: Hold", "create: false");
    let sandbox = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '0' } } ]";
    let gated = RULES.replace(
        "onVanish: Hold",
        "require: [ { that: \"has(self.data)\", message: no } ]",
    );
    let waits = RULES.replace("data: { a: '1' }", "data: { a: '${rules.later.observed.data.x}' }").replace(
        "  rules:\n",
        "  rules:\n    later: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: later, namespace: nowhere } } }\n",
    );
    for rules in [never, gated, waits] {
        let case = Case::text(&policy(&rules), sandbox);
        let refused = Accident::new(Operation::Preview, immutable(&config_map("one")));
        case.world.fail(refused.on("ConfigMap default/one").always());
        let report = case.apply_watched(Duration::from_secs(1), &|_| {}).await;
        assert_eq!(count(&case, Operation::Delete), 0, "{}", text(&report));
    }
}

#[tokio::test]
async fn what_was_changed_since_the_plan_is_not_deleted() {
    let case = changed(RULES).await;
    let now = std::sync::atomic::AtomicBool::new(true);
    // The first deletion finds another version, as somebody wrote meanwhile; it is planned anew.
    let conflict = ProviderError::Conflict {
        key: config_map("one"),
    };
    case.world
        .fail(Accident::new(Operation::Delete, conflict).times(1));
    let watcher = |progress: Progress<'_>| {
        if let Progress::Written(outcome, _) = progress
            && outcome.result.is_err()
        {
            now.store(false, std::sync::atomic::Ordering::SeqCst);
            assert!(a(&case).is_some());
        }
    };
    let report = case.apply_watched(Duration::from_secs(10), &watcher).await;
    assert!(report.is_converged(), "{}", text(&report));
    assert!(!now.load(std::sync::atomic::Ordering::SeqCst));
}

#[tokio::test]
async fn a_replacement_waits_for_a_hold() {
    let rules = RULES.replace("onVanish: Hold", "hold: { while: 'true', message: busy }");
    let case = changed(&rules).await;
    let report = case.apply_watched(Duration::from_millis(300), &|_| {}).await;
    assert_eq!(resource(&report, "one").phase, Phase::Pending);
    assert_eq!(count(&case, Operation::Delete), 0);
}
