//! Who owns what: clusters, accounts, and whoever else bears a name.

use holdfast_contract::{ApiType, ProviderError};
use holdfast_engine::Phase;
use holdfast_memory::{Accident, Operation};
use serde_json::json;

use crate::support::Case;
use crate::{BUCKET, GENERATED, TWO_MAPS, bucket, config_map, count, policy, resource, text};

/// The buckets whose names were generated.
pub(crate) fn buckets(case: &Case) -> Vec<String> {
    let names = case.world.names().into_iter();
    names
        .filter_map(|name| Some(name.split_once("s3/Bucket ")?.1.to_owned()))
        .filter(|name| name.starts_with("acme-"))
        .collect()
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
async fn a_ledger_of_another_account_stops_what_lies_in_it_and_nothing_else() {
    let rules = format!(
        "{GENERATED}    map: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: one, namespace: default }} }} }}\n"
    );
    let case = Case::text(&policy(&rules), "account: '111122223333'");
    assert!(case.apply().await.is_converged());
    let ours = buckets(&case);
    // Other credentials: the bucket isn't theirs, and none must be made with them.
    case.world.put("account: '999988887777'").unwrap();
    case.world.delete(&config_map("one")).unwrap();
    case.world.forget_requests();
    for report in [case.plan().await, case.apply().await] {
        let data = resource(&report, "data");
        assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
        assert!(
            data.reason.contains("is of account 111122223333") && data.reason.contains("999988887777"),
            "{}",
            text(&report)
        );
    }
    assert_eq!(buckets(&case), ours);
    assert!(case.world.document(&config_map("one")).is_some());
    case.world.put("account: '111122223333'").unwrap();
    assert!(case.apply().await.is_converged());
}

#[tokio::test]
async fn another_accounts_bucket_is_refused_in_one_sentence() {
    let sandbox = "buckets: { acme-data: { region: us-east-2, account: '999988887777' } }";
    let case = Case::text(&policy(BUCKET), sandbox);
    let report = case.apply().await;
    let data = resource(&report, "data");
    assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
    assert!(data.reason.contains("another account"), "{}", text(&report));
    assert_eq!(count(&case, Operation::Set), 0);
}

#[tokio::test]
async fn a_name_that_somebody_else_has_taken_since_is_left_to_them() {
    let case = Case::text(&policy(GENERATED), "");
    assert!(case.apply().await.is_converged());
    let name = buckets(&case).remove(0);
    case.world.delete(&bucket(&name)).unwrap();
    for (theirs, says) in [
        ("account: '999988887777'", "another account"),
        ("tags: { cluster: other }", "its tag cluster is other"),
    ] {
        case.world
            .put(&format!(
                "buckets: {{ {name}: {{ region: us-east-2, {theirs} }} }}"
            ))
            .unwrap();
        let report = case.apply().await;
        let data = resource(&report, "data");
        assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
        assert!(data.reason.contains(says), "{}", text(&report));
        assert_eq!(buckets(&case), [name.as_str()], "none is made beside it");
    }
}

/// Of a bucket that only the record knows.
#[tokio::test]
async fn a_bucket_with_a_part_of_our_tags_is_nobodys_to_take() {
    let case = Case::text(&policy(GENERATED), "");
    assert!(case.apply().await.is_converged());
    let name = buckets(&case).remove(0);
    let retag = |tags: serde_json::Value| {
        let edit = |document: &mut holdfast_contract::Value| *document = tags.clone().into();
        case.world.edit(&bucket(&name), &"tags".into(), edit).unwrap();
    };
    // What is known to be ours is mended.
    retag(json!({"cluster": "ours"}));
    assert!(case.apply().await.is_converged());

    let recorded = RECORDED.replace("NAME", &name);
    let sandbox =
        |tags: &str| format!("{recorded}\nbuckets: {{ {name}: {{ region: us-east-2, tags: {tags} }} }}");
    let part = Case::text(&policy(WITH_RECORD), &sandbox("{ cluster: ours }"));
    let report = part.apply().await;
    let data = resource(&report, "data");
    assert_eq!(data.phase, Phase::Blocked, "{}", text(&report));
    assert!(
        data.reason.contains("only a part of the tags") && data.reason.contains("role"),
        "{}",
        text(&report)
    );
    assert_eq!(
        part.world.facet(&bucket(&name), &"versioning".into()),
        None,
        "nothing is written"
    );
    for tags in ["{ extra: kept }", "{ cluster: ours, role: backup }"] {
        let whole = Case::text(&policy(WITH_RECORD), &sandbox(tags));
        let report = whole.apply().await;
        assert!(report.is_converged(), "{tags}: {}", text(&report));
    }
}

/// A rule whose generated name is recorded in an annotation.
pub(crate) const WITH_RECORD: &str = "
  providers: { s3: { region: us-east-2 } }
  rules:
    note:
      ensure: kubernetes/Object
      desired:
        apiVersion: v1
        kind: ConfigMap
        metadata: { name: note, namespace: default }
        data: { bucket: '${rules.data.name}', provisioned: '${string(rules.data.provisioned)}' }
    data:
      ensure: s3/Bucket
      name: { generate: acme-, record: rules.note.data.bucket }
      adopt: { tags: { cluster: ours, role: backup } }
      desired: { versioning: { status: Enabled } }
";
pub(crate) const RECORDED: &str = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: note, namespace: default }, data: { bucket: NAME, provisioned: 'false' } } ]";

#[tokio::test]
async fn a_made_up_name_that_is_taken_is_given_up_for_another_one() {
    let case = Case::text(&policy(WITH_RECORD), "");
    let taken = ProviderError::Foreign {
        target: "the bucket".into(),
        message: "the name is taken by another account".into(),
    };
    case.world
        .fail(Accident::new(Operation::Create, taken.clone()).through(&"s3".into()));
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    let [name] = &buckets(&case)[..] else {
        panic!("{:?}", case.world.names())
    };
    let ledger = ledger(&case).await;
    assert_eq!(ledger["names"]["data"], json!(name));
    assert_ne!(ledger["taken"]["data"][0], json!(name));
    let note = case.world.document(&config_map("note")).unwrap();
    assert_eq!(
        note.at(&["data", "bucket"]).unwrap().as_str(),
        Some(name.as_str()),
        "the record follows"
    );

    // Not without end, and never where something was kept under it.
    let always = Case::text(&policy(GENERATED), "");
    always
        .world
        .fail(Accident::new(Operation::Create, taken.clone()).always());
    let report = always.apply().await;
    assert_eq!(
        resource(&report, "data").phase,
        Phase::Blocked,
        "{}",
        text(&report)
    );
    assert!(count(&always, Operation::Create) <= 4);
}

/// What the ledger holds.
pub(crate) async fn ledger(case: &Case) -> serde_json::Value {
    let stored = case.engine.state.load(&case.policy.id).await.unwrap().unwrap();
    serde_json::from_str(&stored.entries["ledger.json"]).unwrap()
}

#[tokio::test]
async fn a_ledger_is_bound_to_its_cluster_and_its_accounts_also_when_it_is_made_anew() {
    let case = Case::text(&policy(WITH_RECORD), "account: '111122223333'");
    assert!(case.apply().await.is_converged());
    let before = ledger(&case).await;
    assert_eq!(before["accounts"], json!({"s3": "111122223333"}));
    case.world.lose_ledger(&case.policy.id).unwrap();
    assert!(case.apply().await.is_converged());
    let after = ledger(&case).await;
    for part in ["accounts", "cluster", "names", "provisioned"] {
        assert_eq!(after[part], before[part], "{part}");
    }
}

#[tokio::test]
async fn a_rule_keeps_what_is_known_of_it_under_its_former_key() {
    let generated = GENERATED.replace("      adopt: { tags: { cluster: ours, role: backup } }\n", "");
    let mut case = Case::text(&policy(&generated), "");
    assert!(case.apply().await.is_converged());
    let [name] = &buckets(&case)[..] else {
        panic!("{:?}", case.world.names())
    };
    let before = ledger(&case).await;
    let renamed = generated.replace("    data:", "    store:\n      formerly: [data]");
    case.policy = Case::text(&policy(&renamed), "").policy;
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(buckets(&case), [name.as_str()], "the same one");
    let tags = case.world.facet(&bucket(name), &"tags".into()).unwrap();
    assert_eq!(tags.get("holdfast-rule").unwrap().as_str(), Some("store"));
    let after = ledger(&case).await;
    for part in ["names", "created"] {
        assert_eq!(after[part]["store"], before[part]["data"], "{part}: {after:#}");
    }
    assert_eq!(
        after["set"]["store.versioning"], before["set"]["data.versioning"],
        "{after:#}"
    );
    assert_eq!(after["provisioned"], json!(["data", "store"]));
    // Also where nothing but its tags is left to know it by.
    let mut case = Case::text(&policy(&generated), "");
    assert!(case.apply().await.is_converged());
    let first = buckets(&case);
    case.world.lose_ledger(&case.policy.id).unwrap();
    case.policy = Case::text(&policy(&renamed), "").policy;
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(buckets(&case), first);
}

#[tokio::test]
async fn an_object_of_the_state_is_nobodys_to_manage() {
    let cluster = ApiType::new("v1", "ConfigMap");
    let own = holdfast_engine::objects::key(&cluster, Some("holdfast-system"), "test");
    let rules = "  rules: { self: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: test, namespace: holdfast-system } } } }\n";
    let case = Case::text(&policy(rules), "");
    let report = case.apply().await;
    assert_eq!(
        resource(&report, "self").phase,
        Phase::Blocked,
        "{}",
        text(&report)
    );
    assert!(case.world.document(&own).is_none());
}
