//! Definitions of types that somebody else keeps, or that are ahead of ours.
//!
//! Whatever narrows a definition destroys data: objects lose the fields that it no longer has, at their next write. So
//! one that has more than ours is left as it is, and so is one that belongs to somebody. Ours is then only what must
//! be there.

use std::collections::BTreeMap;

use holdfast_contract::{Desired, Path, Value, Yields};

use crate::owned::{Owners, appliers};

/// How many places are named.
const NAMED_MAX: usize = 3;
/// How deep schemas are compared. No server takes a deeper one.
const DEPTH_MAX: usize = 100;

/// Why the definition `live` is left as it is, if it is.
pub(crate) fn yields(desired: &Desired, live: &Value, manager: &str) -> Option<Yields> {
    let more = beyond(live, &desired.value);
    let former = desired
        .take_over
        .as_ref()
        .map(|former| former.managers.as_slice())
        .unwrap_or_default();
    // Where the policy says that nobody may own it, a reference to an owner makes nobody its owner.
    let disowned = desired
        .absent
        .contains(&Path::of(&["metadata", "ownerReferences"]));
    let why = match owner(live, manager, former, disowned) {
        Some(owner) => format!("it belongs to {owner}"),
        None if more.is_empty() => return None,
        None => format!("it has {}, which ours lacks", named(&more)),
    };
    let lacks = beyond(&desired.value, live);
    Some(Yields {
        why,
        lacks: (!lacks.is_empty()).then(|| named(&lacks)),
    })
}

fn named(places: &[String]) -> String {
    let shown: Vec<&str> = places.iter().take(NAMED_MAX).map(String::as_str).collect();
    let rest = places.len().saturating_sub(shown.len());
    let mut text = shown.join(", ");
    if rest > 0 {
        text = format!("{text} and {rest} more");
    }
    text
}

/// Who keeps `live` other than the policy of `manager`: whoever applies it as its own, or is said to own it. That
/// somebody once wrote it (a `kubectl` at a time, an installer that is gone) makes nobody its owner.
fn owner(live: &Value, manager: &str, former: &[String], disowned: bool) -> Option<String> {
    let annotation = |key: &str| live.at(&["metadata", "annotations", key]).and_then(Value::as_str);
    if let Some(release) = annotation("meta.helm.sh/release-name") {
        return Some(format!("the Helm release {release}"));
    }
    let is_managed = live.at(&["metadata", "labels", "olm.managed"]);
    if is_managed.and_then(Value::as_str) == Some("true") {
        return Some("the Operator Lifecycle Manager".to_owned());
    }
    let references = live.at(&["metadata", "ownerReferences"]).and_then(Value::as_list);
    let references = references.filter(|_| !disowned);
    if let Some(reference) = references.unwrap_or_default().first() {
        let text = |key| reference.get(key).and_then(Value::as_str).unwrap_or_default();
        return Some(format!("{} {}", text("kind"), text("name")));
    }
    let ours = Owners::of_object(live, manager).field("spec");
    if ours.field("versions").ours.any() {
        return None;
    }
    let appliers = appliers(live, &["spec", "versions"]).into_iter();
    // Whoever is taken over is no longer its owner.
    appliers
        .map(str::to_owned)
        .find(|applier| !former.contains(applier))
}

/// What the definition `one` has and `other` lacks: versions, fields, values of enumerations.
fn beyond(one: &Value, other: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let (one, other) = (versions(one), versions(other));
    for (name, version) in one {
        let Some(counterpart) = other.get(name) else {
            found.push(format!("version {name}"));
            continue;
        };
        let is_served = |version: &Value| version.get("served").and_then(Value::as_bool) == Some(true);
        if is_served(version) && !is_served(counterpart) {
            found.push(format!("version {name} served"));
        }
        let schema = |version: &'_ Value| {
            version
                .at(&["schema", "openAPIV3Schema"])
                .cloned()
                .unwrap_or_default()
        };
        fields(&schema(version), &schema(counterpart), name, 0, &mut found);
    }
    found
}

fn versions(definition: &Value) -> BTreeMap<&str, &Value> {
    let versions = definition.at(&["spec", "versions"]).and_then(Value::as_list);
    versions
        .unwrap_or_default()
        .iter()
        .filter_map(|version| Some((version.get("name")?.as_str()?, version)))
        .collect()
}

/// What the schema `one` takes and `other` doesn't.
fn fields(one: &Value, other: &Value, place: &str, depth: usize, found: &mut Vec<String>) {
    if depth > DEPTH_MAX {
        return;
    }
    if is_open(other) {
        // Any field at all is kept, whether it is described or not. What is described may still be an enumeration.
        return values(one, other, place, found);
    }
    if is_open(one) {
        found.push(format!("any field below {place}"));
    }
    values(one, other, place, found);
    let map = |schema: &Value| {
        schema
            .get("properties")
            .and_then(Value::as_map)
            .cloned()
            .unwrap_or_default()
    };
    let theirs = map(other);
    for (name, schema) in map(one) {
        let place = format!("{place}.{name}");
        match theirs.get(&name).or_else(|| {
            other
                .get("additionalProperties")
                .filter(|more| more.as_map().is_some())
        }) {
            Some(counterpart) => fields(&schema, counterpart, &place, depth.saturating_add(1), found),
            None if is_bookkeeping(&name, depth) => {}
            None => found.push(format!("field {place}")),
        }
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
        let Some(schema) = one.get(key).filter(|schema| schema.as_map().is_some()) else {
            continue;
        };
        match other.get(key).filter(|schema| schema.as_map().is_some()) {
            Some(counterpart) => {
                fields(
                    schema,
                    counterpart,
                    &format!("{place}{suffix}"),
                    depth.saturating_add(1),
                    found,
                );
            }
            None if key == "additionalProperties" => found.push(format!("any field below {place}")),
            None => {}
        }
    }
}

/// Fields that every object has, whether its schema names them or not.
fn is_bookkeeping(name: &str, depth: usize) -> bool {
    depth == 0 && matches!(name, "apiVersion" | "kind" | "metadata")
}

fn is_open(schema: &Value) -> bool {
    let is_true = |key: &str| schema.get(key).and_then(Value::as_bool) == Some(true);
    is_true("x-kubernetes-preserve-unknown-fields") || is_true("additionalProperties")
}

fn values(one: &Value, other: &Value, place: &str, found: &mut Vec<String>) {
    let list = |schema: &Value| schema.get("enum").and_then(Value::as_list).map(<[Value]>::to_vec);
    let Some(theirs) = list(other) else { return };
    match list(one) {
        None => found.push(format!("any value of {place}")),
        Some(ours) => found.extend(
            ours.iter()
                .filter(|value| !theirs.contains(value))
                .map(|value| format!("value {value} of {place}")),
        ),
    }
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "tests that read better so")]
mod tests {
    use super::*;
    use serde_json::json;

    const US: &str = "holdfast:holdfast-system/p";

    fn definition(versions: serde_json::Value) -> serde_json::Value {
        json!({ "metadata": { "name": "xs.acme.dev" }, "spec": { "group": "acme.dev", "versions": versions } })
    }

    fn version(name: &str, spec: serde_json::Value) -> serde_json::Value {
        let schema =
            json!({ "type": "object", "properties": { "spec": { "type": "object", "properties": spec } } });
        json!({ "name": name, "served": true, "schema": { "openAPIV3Schema": schema } })
    }

    fn told(ours: serde_json::Value, live: serde_json::Value) -> Option<(String, Option<String>)> {
        let yields = yields(&Desired::new(Value::from_json(ours)), &Value::from_json(live), US)?;
        Some((yields.why, yields.lacks))
    }

    #[test]
    fn what_is_ahead_of_ours_is_left_and_what_is_behind_is_not() {
        let small = definition(json!([version("v1", json!({ "a": { "type": "string" } }))]));
        let large = definition(json!([
            version(
                "v1",
                json!({ "a": { "type": "string" }, "b": { "type": "string" } })
            ),
            version("v2", json!({})),
        ]));
        assert_eq!(told(large.clone(), small.clone()), None, "ours widens it");
        assert_eq!(told(small.clone(), small.clone()), None);
        let (why, lacks) = told(small, large).unwrap();
        assert_eq!(why, "it has field v1.spec.b, version v2, which ours lacks");
        assert_eq!(lacks, None, "it does all that ours does");
    }

    #[test]
    fn a_value_and_an_open_place_count_too() {
        let of = |schema: serde_json::Value| definition(json!([version("v1", json!({ "a": schema }))]));
        let why = |ours, live| told(of(ours), of(live)).map(|(why, _)| why).unwrap_or_default();
        let mode = |values: &[&str]| json!({ "type": "string", "enum": values });
        assert_eq!(
            why(mode(&["x"]), mode(&["x", "y"])),
            "it has value y of v1.spec.a, which ours lacks"
        );
        assert_eq!(why(mode(&["x", "y"]), mode(&["x"])), "");
        assert_eq!(
            why(mode(&["x"]), json!({ "type": "string" })),
            "it has any value of v1.spec.a, which ours lacks"
        );
        let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        assert_eq!(
            why(json!({ "type": "object" }), open.clone()),
            "it has any field below v1.spec.a, which ours lacks"
        );
        let described = json!({ "type": "object", "properties": { "b": { "type": "string" } } });
        assert_eq!(
            why(open, described),
            "",
            "an open place takes what any other takes"
        );
        let items = |schema: serde_json::Value| json!({ "type": "array", "items": schema });
        let both = json!({ "type": "object", "properties": { "b": {}, "c": {} } });
        let one = json!({ "type": "object", "properties": { "b": {} } });
        assert_eq!(
            why(items(one), items(both)),
            "it has field v1.spec.a[].c, which ours lacks"
        );
    }

    #[test]
    fn one_that_belongs_to_somebody_is_left_and_what_it_lacks_is_told() {
        let ours = definition(json!([version("v1", json!({})), version("v2", json!({}))]));
        let theirs = |metadata: serde_json::Value| {
            let mut theirs = definition(json!([version("v1", json!({}))]));
            theirs["metadata"] = metadata;
            theirs
        };
        let applied = |manager: &str, operation: &str| {
            json!({ "managedFields": [{
                "manager": manager, "operation": operation, "fieldsV1": { "f:spec": { "f:versions": {} } },
            }]})
        };
        let helm = json!({ "annotations": { "meta.helm.sh/release-name": "velero" } });
        let owned = json!({ "ownerReferences": [{ "kind": "Operator", "name": "o", "uid": "u" }] });
        for (metadata, owner) in [
            (helm, "the Helm release velero"),
            (
                json!({ "labels": { "olm.managed": "true" } }),
                "the Operator Lifecycle Manager",
            ),
            (owned, "Operator o"),
            (applied("argocd-controller", "Apply"), "argocd-controller"),
        ] {
            let (why, lacks) = told(ours.clone(), theirs(metadata)).unwrap();
            assert_eq!(why, format!("it belongs to {owner}"));
            assert_eq!(lacks.as_deref(), Some("version v2"));
        }
        for nobodys in [
            json!({}),
            applied("kubectl-create", "Update"),
            applied(US, "Apply"),
        ] {
            assert_eq!(told(ours.clone(), theirs(nobodys)), None);
        }
    }

    #[test]
    fn where_nobody_may_own_it_a_reference_makes_no_owner() {
        let same = || definition(json!([version("v1", json!({}))]));
        let mut live = same();
        live["metadata"] = json!({ "ownerReferences": [{ "kind": "Operator", "name": "o", "uid": "u" }] });
        let mut desired = Desired::new(Value::from_json(same()));
        assert!(yields(&desired, &Value::from_json(live.clone()), US).is_some());
        desired.absent = vec![Path::of(&["metadata", "ownerReferences"])];
        assert_eq!(yields(&desired, &Value::from_json(live), US), None);
    }
}
