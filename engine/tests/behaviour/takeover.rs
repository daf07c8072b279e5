//! Taking over from a former field manager.

use holdfast_contract::ProviderError;
use holdfast_engine::Phase;
use holdfast_memory::{Accident, Operation};
use serde_json::json;

use crate::support::Case;
use crate::{config_map, policy, resource, text};

/// What an operator of old has left behind: written by Update, so that its entry holds every field.
const LEFT: &str = r#"
objects:
  - apiVersion: v1
    kind: ConfigMap
    metadata:
      name: settings
      namespace: default
      ownerReferences: [{ apiVersion: v1, kind: Pod, name: old-operator-0, uid: u1 }]
      managedFields:
        - manager: old-operator
          operation: Update
          apiVersion: v1
          time: "2026-01-01T00:00:00Z"
          fieldsType: FieldsV1
          fieldsV1:
            f:metadata: { f:ownerReferences: { ".": {}, 'k:{"uid":"u1"}': {} } }
            f:data: { ".": {}, f:mode: {}, f:accessKey: {}, f:changed: {} }
        - manager: somebody-else
          operation: Update
          apiVersion: v1
          time: "2026-01-02T00:00:00Z"
          fieldsType: FieldsV1
          fieldsV1: { f:data: { f:theirs: {} } }
    data: { mode: fast, accessKey: stale, changed: before, theirs: kept }
"#;

fn rules(more: &str) -> String {
    policy(&format!(
        "
  rules:
    settings:
      ensure: kubernetes/Object
      {more}
      desired:
        apiVersion: v1
        kind: ConfigMap
        metadata: {{ name: settings, namespace: default }}
        data: {{ mode: fast, changed: after }}
"
    ))
}

#[tokio::test]
async fn what_a_former_manager_set_and_nobody_declares_is_removed() {
    let case = Case::text(&rules("takeOver: { managers: [old-operator] }"), LEFT);
    let plan = case.plan().await;
    let said = text(&plan);
    for line in [
        "takes over from old-operator",
        "- data.accessKey: stale",
        "~ data.changed: before -> after",
        "- metadata.ownerReferences[u1]",
    ] {
        assert!(said.contains(line), "{line} isn't in\n{said}");
    }
    assert!(!said.contains("theirs") && !said.contains("takes data"), "{said}");
    assert_eq!(
        resource(&plan, "settings").facets[0].takes_over_from,
        ["old-operator"]
    );
    assert_eq!(case.writes(), 0);
    assert!(case.apply().await.is_converged());
    let object = case.world.document(&config_map("settings")).unwrap();
    assert_eq!(
        object.get("data").unwrap().expose_json().unwrap(),
        json!({ "mode": "fast", "changed": "after", "theirs": "kept" })
    );
    let owners = object
        .at(&["metadata", "ownerReferences"])
        .and_then(|owners| owners.as_list());
    assert!(owners.is_none_or(<[_]>::is_empty), "{object}");

    // With nothing of it left there is nothing more to say.
    let again = case.plan().await;
    assert!(again.is_converged(), "{}", text(&again));
    assert!(!text(&again).contains("old-operator"));
}

#[tokio::test]
async fn without_it_what_a_former_manager_set_stays() {
    let case = Case::text(&rules(""), LEFT);
    let plan = case.plan().await;
    assert!(!text(&plan).contains("- data.accessKey"), "{}", text(&plan));
    assert!(case.apply().await.is_converged());
    let object = case.world.document(&config_map("settings")).unwrap();
    assert!(object.at(&["data", "accessKey"]).is_some());
}

#[tokio::test]
async fn its_scope_bounds_what_is_taken_over() {
    let more = "takeOver: { managers: [old-operator], scope: [$.metadata.ownerReferences] }";
    let case = Case::text(&rules(more), LEFT);
    let plan = case.plan().await;
    assert!(
        text(&plan).contains("- metadata.ownerReferences[u1]"),
        "{}",
        text(&plan)
    );
    assert!(!text(&plan).contains("accessKey"), "{}", text(&plan));
    assert!(case.apply().await.is_converged());
    assert_eq!(resource(&case.plan().await, "settings").phase, Phase::Converged);
}

/// The object that records a name may be deleted at any time: by who owned it before, for one.
#[tokio::test]
async fn a_name_that_only_its_record_knows_is_kept_before_anything_is_written() {
    let rules = "
  providers: { s3: { region: us-east-2 } }
  rules:
    record:
      ensure: kubernetes/Object
      desired:
        apiVersion: v1
        kind: ConfigMap
        metadata: { name: record, namespace: default }
        data: { bucket: \"${rules.data.name}\" }
    data:
      ensure: s3/Bucket
      name: { generate: acme-, record: rules.record.data.bucket }
      adopt: { tags: { cluster: ours } }
      desired: { versioning: { status: Enabled } }
";
    let world = "
objects:
  - apiVersion: v1
    kind: ConfigMap
    metadata: { name: record, namespace: default }
    data: { bucket: acme-of-old }
buckets:
  acme-of-old: { region: us-east-2, tags: { cluster: ours } }
";
    let case = Case::text(&policy(rules), world);
    let denied = ProviderError::Denied {
        action: "write".into(),
        target: "anything".into(),
    };
    case.world.fail(Accident::new(Operation::Set, denied).always());
    let report = case.apply().await;
    assert!(!report.is_converged(), "{}", text(&report));
    assert_eq!(case.ledger().await["names"]["data"], json!("acme-of-old"));
}
