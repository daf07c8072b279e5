use super::*;
use holdfast_contract::{Change, Kind as _};
use serde_json::{Value as Json, json};

use crate::kind::ObjectKind;
use crate::observe::observed as read;

const US: &str = "holdfast:holdfast-system/p";
const THEM: &str = "their-operator";

fn observed(managed_fields: &Json) -> Observed {
    let key = holdfast_contract::ResourceKey {
        provider: "kubernetes".into(),
        kind: crate::kind::NAME.into(),
        api: Some(holdfast_contract::ApiType::new("v1", "ConfigMap")),
        namespace: Some("shop".to_owned()),
        name: "x".to_owned(),
        region: None,
    };
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "x", "namespace": "shop", "uid": "1", "resourceVersion": "7",
            "labels": { "app": "x" },
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u" }],
            "managedFields": managed_fields,
        },
        "data": { "kept": "1", "dropped": "1" },
        "status": { "phase": "Old" },
    });
    read(&key, object).unwrap()
}

fn update(manager: &str, subresource: Option<&str>, fields: &Json) -> Json {
    let mut entry = json!({
        "manager": manager, "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    });
    if let Some(subresource) = subresource {
        entry["subresource"] = json!(subresource);
    }
    entry
}

fn theirs() -> Json {
    json!({
        "f:metadata": {
            "f:labels": { ".": {}, "f:app": {} },
            "f:ownerReferences": { ".": {}, "k:{\"uid\":\"u\"}": {} },
        },
        "f:data": { ".": {}, "f:kept": {}, "f:dropped": {} },
        "f:status": { "f:phase": {} },
    })
}

fn desired(scope: Option<Vec<Path>>) -> Desired {
    let value = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "x", "namespace": "shop", "labels": { "app": "x" } },
        "data": { "kept": "1" },
    });
    Desired {
        take_over: Some(TakeOver {
            managers: vec![THEM.to_owned()],
            scope,
        }),
        ..Desired::new(Value::from_json(value))
    }
}

fn entries(moved: &Moved) -> Vec<Json> {
    let object = moved.observed.value(&OBJECT.into()).unwrap();
    let listed = object.at(&["metadata", "managedFields"]).unwrap();
    let listed = listed.expose_json().unwrap();
    listed.as_array().unwrap().clone()
}

fn lines(found: &[holdfast_contract::Difference]) -> Vec<String> {
    found
        .iter()
        .map(|one| {
            let symbol = match one.change {
                Change::Add { .. } => '+',
                Change::Remove { .. } => '-',
                Change::Replace { .. } => '~',
                Change::Claim => '=',
            };
            format!("{symbol} {}", one.path)
        })
        .collect()
}

#[test]
fn what_a_former_manager_holds_becomes_ours_and_its_status_stays_another_matter() {
    let observed = observed(&json!([update(THEM, None, &theirs())]));
    let moved = moved(&OBJECT.into(), &desired(None), &observed, US).unwrap();
    assert_eq!(moved.managers, [THEM]);
    let entries = entries(&moved);
    assert_eq!(entries.len(), 2, "{entries:#?}");
    assert_eq!(entries[0]["manager"], THEM);
    assert_eq!(entries[0]["fieldsV1"], json!({ "f:status": { "f:phase": {} } }));
    assert_eq!(entries[1]["manager"], US);
    assert_eq!(entries[1]["operation"], "Apply");
    let mut all = theirs();
    all.as_object_mut().unwrap().remove("f:status");
    assert_eq!(entries[1]["fieldsV1"], all);
}

#[test]
fn it_joins_what_we_hold_already() {
    let mut ours = update(US, None, &json!({ "f:data": { "f:kept": {} }, "f:metadata": {} }));
    ours["operation"] = json!("Apply");
    let observed = observed(&json!([
        update(THEM, None, &theirs()),
        ours,
        update("else", None, &theirs())
    ]));
    let moved = moved(&OBJECT.into(), &desired(None), &observed, US).unwrap();
    let entries = entries(&moved);
    let managers: Vec<&str> = entries
        .iter()
        .map(|entry| entry["manager"].as_str().unwrap())
        .collect();
    assert_eq!(managers, [THEM, US, "else"]);
    assert_eq!(
        entries[1]["fieldsV1"]["f:data"],
        json!({ ".": {}, "f:kept": {}, "f:dropped": {} })
    );
    assert_eq!(
        entries[1]["fieldsV1"]["f:metadata"]["."],
        json!({}),
        "held as itself, and in parts"
    );
    assert_eq!(entries[2]["fieldsV1"], theirs(), "others keep what they hold");
}

#[test]
fn a_status_goes_to_whom_a_status_is_applied_as() {
    let status = json!({ "f:status": { "f:phase": {} } });
    let own = observed(&json!([update(THEM, Some("status"), &status)]));
    let moved_own = moved(&STATUS.into(), &desired(None), &own, US).unwrap();
    assert_eq!(entries(&moved_own)[0]["manager"], US);
    assert_eq!(entries(&moved_own)[0]["subresource"], "status");
    assert!(moved(&OBJECT.into(), &desired(None), &own, US).is_none());
    // Of a type that has no status subresource.
    let plain = observed(&json!([update(THEM, None, &theirs())]));
    let moved_plain = moved(&STATUS.into(), &desired(None), &plain, US).unwrap();
    let entries = entries(&moved_plain);
    assert_eq!(entries[1]["manager"], status_manager(US));
    assert_eq!(entries[1].get("subresource"), None);
    assert_eq!(entries[1]["fieldsV1"], status);
    assert_eq!(entries[0]["fieldsV1"].get("f:status"), None);
}

#[test]
fn outside_of_the_scope_nothing_is_taken() {
    let observed = observed(&json!([update(THEM, None, &theirs())]));
    let owner = Path::of(&["metadata", "ownerReferences"]).index(0);
    for (scope, taken) in [
        (Path::of(&["data"]), json!({ "f:data": theirs()["f:data"] })),
        (
            owner,
            json!({ "f:metadata": { "f:ownerReferences": { "k:{\"uid\":\"u\"}": {} } } }),
        ),
        (
            Path::of(&["data", "dropped"]),
            json!({ "f:data": { "f:dropped": {} } }),
        ),
    ] {
        let moved = moved(&OBJECT.into(), &desired(Some(vec![scope])), &observed, US).unwrap();
        assert_eq!(entries(&moved)[1]["fieldsV1"], taken);
        assert_eq!(entries(&moved)[0]["manager"], THEM);
        assert_eq!(
            entries(&moved)[0]["fieldsV1"]["f:metadata"]["f:labels"],
            theirs()["f:metadata"]["f:labels"]
        );
    }
    let elsewhere = desired(Some(vec![Path::of(&["binaryData"])]));
    assert!(moved(&OBJECT.into(), &elsewhere, &observed, US).is_none());
    assert!(moved(&OBJECT.into(), &desired(Some(Vec::new())), &observed, US).is_none());
}

#[test]
fn what_is_not_declared_of_it_shows_as_a_removal_and_the_rest_as_a_claim() {
    let kind = ObjectKind::new();
    let observed = observed(&json!([update(THEM, None, &theirs())]));
    let facet: Facet = OBJECT.into();
    let found = kind.compare(&facet, &desired(None), Some(&observed), US);
    assert_eq!(
        lines(&found),
        [
            "= data",
            "- data.dropped",
            "= metadata",
            "- metadata.ownerReferences[u]"
        ]
    );
    assert_eq!(kind.taken_over(&facet, &desired(None), &observed, US), [THEM]);
    let scoped = desired(Some(vec![Path::of(&["metadata"])]));
    let found = kind.compare(&facet, &scoped, Some(&observed), US);
    assert!(!lines(&found).contains(&"- data.dropped".to_owned()), "{found:?}");
}

#[test]
fn what_others_hold_too_stays_and_the_former_manager_gives_it_up() {
    let kind = ObjectKind::new();
    let mut ours = update(
        US,
        None,
        &json!({ "f:data": { "f:kept": {} }, "f:metadata": { "f:labels": { "f:app": {} } } }),
    );
    ours["operation"] = json!("Apply");
    let shared = json!({ "f:data": { "f:dropped": {} } });
    let observed = observed(&json!([
        ours,
        update(THEM, None, &shared),
        update("else", None, &shared)
    ]));
    let found = kind.compare(&OBJECT.into(), &desired(None), Some(&observed), US);
    assert_eq!(lines(&found), ["= "], "a write, and no change of the object");
}

#[test]
fn merged_there_is_nothing_left_to_take() {
    let kind = ObjectKind::new();
    let before = observed(&json!([update(THEM, None, &theirs())]));
    let facet: Facet = OBJECT.into();
    let merged = kind.merge(&facet, &desired(None), Some(&before), US);
    assert!(merged.at(&["data", "dropped"]).is_none());
    let mut after = before;
    after.facets.insert(facet.clone(), FacetState::Set(merged));
    assert_eq!(kind.compare(&facet, &desired(None), Some(&after), US), []);
    assert!(kind.taken_over(&facet, &desired(None), &after, US).is_empty());
}

#[test]
fn a_value_that_is_set_once_is_kept_when_it_becomes_ours() {
    let kind = ObjectKind::new();
    let observed = observed(&json!([update(THEM, None, &theirs())]));
    let mut desired = desired(None);
    desired.value = Value::from_json(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "labels": { "app": "x" } },
        "data": { "kept": "1", "dropped": "another" },
    }));
    desired.initial = vec![Path::of(&["data", "dropped"])];
    let applied = kind.applied(&OBJECT.into(), &desired, Some(&observed), US);
    assert_eq!(
        applied.at(&["data", "dropped"]),
        Some(&Value::from("1")),
        "an apply without it would remove it"
    );
}
