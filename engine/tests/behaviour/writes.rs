//! What is written, and what is not.

use holdfast_contract::ProviderError;
use holdfast_engine::Phase;
use holdfast_memory::{Accident, Operation};

use crate::support::Case;
use crate::{BUCKET, TWO_MAPS, bucket, config_map, count, policy, resource, text};

const GONE: &str = "
  limits: { deletions: 1 }
  rules:
    gone:
      forbid: kubernetes/Object
      allow: [Delete]
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: old, namespace: default } }
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
async fn observe_mode_takes_no_lease_and_makes_no_ledger() {
    let sandbox = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } }, { apiVersion: v1, kind: ConfigMap, metadata: { name: two, namespace: default }, data: { b: '2' } } ]";
    for sandbox in ["", sandbox] {
        let case = Case::text(&policy(&format!("  mode: Observe{TWO_MAPS}")), sandbox);
        case.apply().await;
        assert_eq!(case.writes(), 0, "{:?}", case.world.requests());
    }
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

const EXPIRY: &str = "
  parameters: { days: { type: integer, default: 90 } }
  providers: { s3: { region: us-east-2 } }
  rules:
    data:
      ensure: s3/Bucket
      name: acme-data
      desired:
        lifecycle: { rules: [ { id: old, status: Enabled, filter: {}, expiration: { days: '${parameters.days}' } } ] }
        versioning: { status: Enabled }
";

fn days(case: &Case) -> Option<i64> {
    let lifecycle = case.world.facet(&bucket("acme-data"), &"lifecycle".into())?;
    let rules = lifecycle.get("rules")?.as_list()?.first()?.clone();
    rules.at(&["expiration", "days"])?.as_i64()
}

#[tokio::test]
async fn an_expiry_on_a_bucket_that_we_did_not_make_needs_its_allowance() {
    let there = "buckets: { acme-data: { region: us-east-2 } }";
    let case = Case::text(&policy(EXPIRY), there);
    let report = case.apply().await;
    let why = &resource(&report, "data").blocked["lifecycle"];
    assert!(
        why.contains("expire objects after 90 days") && why.contains("allow: [ShortenRetention]"),
        "{why}"
    );
    assert_eq!(days(&case), None);
    assert!(
        case.world
            .facet(&bucket("acme-data"), &"versioning".into())
            .is_some(),
        "the rest goes on"
    );
    let allowed = EXPIRY.replace(
        "name: acme-data",
        "name: acme-data\n      allow: [ ShortenRetention ]",
    );
    let case = Case::text(&policy(&allowed), there);
    assert!(case.apply().await.is_converged());
    assert_eq!(days(&case), Some(90));
}

#[tokio::test]
async fn what_we_set_is_restored_and_a_shorter_wish_is_refused() {
    let case = Case::text(&policy(EXPIRY), "");
    assert!(
        case.apply().await.is_converged(),
        "a bucket of our own may be given its first settings"
    );
    let edit = |days: i64| {
        let rules = serde_json::json!({"rules": [{"id": "old", "status": "Enabled", "filter": {}, "expiration": {"days": days}}]});
        case.world
            .edit(&bucket("acme-data"), &"lifecycle".into(), |value| {
                *value = rules.into();
            })
            .unwrap();
    };
    edit(365);
    assert!(
        case.apply().await.is_converged(),
        "what the ledger says we set is restored"
    );
    assert_eq!(days(&case), Some(90));
    let shorter = Case::text(&policy(&EXPIRY.replace("default: 90", "default: 7")), "");
    let shorter = Case {
        world: case.world.clone(),
        engine: case.engine.clone(),
        ..shorter
    };
    let report = shorter.apply().await;
    assert!(
        resource(&report, "data").blocked["lifecycle"].contains("ShortenRetention"),
        "{}",
        text(&report)
    );
    assert_eq!(days(&case), Some(90));
}

const LOCKED: &str = "
  parameters: { days: { type: integer, default: 7 }, ready: { type: boolean, default: true } }
  providers: { s3: { region: us-east-2 } }
  rules:
    data:
      ensure: s3/Bucket
      name: acme-data
      allow: [ ]
      desired:
        versioning: { status: Enabled }
        objectLock:
          objectLockEnabled: Enabled
          rule: { defaultRetention: { mode: COMPLIANCE, days: '${parameters.days}' } }
";

fn allowing(what: &str) -> String {
    policy(&LOCKED.replace("allow: [ ]", &format!("allow: [ {what} ]")))
}

#[tokio::test]
async fn what_nobody_can_undo_needs_its_allowance_at_the_creation_too() {
    for (allowed, missing) in [
        ("Delete", "EnableObjectLock"),
        ("LockRetention", "EnableObjectLock"),
        ("EnableObjectLock", "LockRetention"),
    ] {
        let case = Case::text(&allowing(allowed), "");
        let report = case.apply().await;
        let found = resource(&report, "data");
        assert_eq!(found.phase, Phase::Blocked, "{}", text(&report));
        let needed = format!("needs `allow: [{missing}]`");
        assert!(found.reason.contains(&needed), "{}", found.reason);
        assert!(
            case.world.facet(&bucket("acme-data"), &"bucket".into()).is_none(),
            "a bucket without the lock that was asked for isn't what was asked for"
        );
    }
    let case = Case::text(&allowing("EnableObjectLock, LockRetention"), "");
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
}

#[tokio::test]
async fn what_nobody_can_undo_needs_its_allowance_on_what_we_made_and_to_restore_it() {
    let case = Case::text(&allowing("EnableObjectLock, LockRetention"), "");
    assert!(case.apply().await.is_converged());
    let then = |text: &str| Case {
        world: case.world.clone(),
        engine: case.engine.clone(),
        ..Case::text(text, "")
    };
    let longer = allowing("EnableObjectLock").replace("default: 7", "default: 30");
    let report = then(&longer).apply().await;
    let why = &resource(&report, "data").blocked["objectLock"];
    assert!(
        why.contains("locked for 30 days") && why.contains("LockRetention"),
        "{why}"
    );
    // Somebody took the default away; who no longer allows it doesn't get it back unasked.
    case.world
        .edit(&bucket("acme-data"), &"objectLock".into(), |value| {
            *value = serde_json::json!({"objectLockEnabled": "Enabled"}).into();
        })
        .unwrap();
    let report = then(&allowing("EnableObjectLock")).apply().await;
    let why = &resource(&report, "data").blocked["objectLock"];
    assert!(why.contains("LockRetention"), "{why}");
    assert!(then(&allowing("LockRetention")).apply().await.is_converged());
}
