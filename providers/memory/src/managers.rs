//! Fields that other field managers hold, as an API server sees them.

use std::collections::BTreeMap;

use holdfast_contract::{Change, Conflict, Desired, Difference, Facet, Kind, Observed, Path, Segment, Value};

/// Which of `differences` take a field from another manager than `manager`: those that give it another value. What
/// former managers hold whose fields become ours is not taken from anybody.
pub(crate) fn conflicts(
    kind: &dyn Kind,
    facet: &Facet,
    desired: &Desired,
    current: &Observed,
    differences: &[Difference],
    manager: &str,
) -> Vec<Conflict> {
    let root = kind.root_facet();
    let listed = current
        .value(root)
        .and_then(|document| document.at(&["metadata", "managedFields"])?.as_list());
    let mut found = Vec::new();
    for difference in differences {
        if !matches!(difference.change, Change::Replace { .. }) {
            continue;
        }
        // The sets are of the whole object; the paths are of one facet.
        let mut segments = Vec::new();
        if facet != root {
            segments.push(Segment::Key(facet.to_string()));
        }
        segments.extend_from_slice(difference.path.segments());
        for entry in listed.unwrap_or_default() {
            let other = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
            let fields = entry.get("fieldsV1");
            if other != manager
                && !is_former(desired, other, &difference.path)
                && fields.is_some_and(|fields| holds(fields, &segments))
            {
                found.push(Conflict {
                    path: Path::from(difference.path.segments().to_vec()),
                    manager: other.to_owned(),
                });
            }
        }
    }
    found
}

/// Whether what `manager` holds of `path` becomes ours.
fn is_former(desired: &Desired, manager: &str, path: &Path) -> bool {
    desired.take_over.as_ref().is_some_and(|former| {
        let within = |scope: &Vec<Path>| scope.iter().any(|place| path.starts_with(place));
        former.managers.iter().any(|name| name == manager) && former.scope.as_ref().is_none_or(within)
    })
}

/// Forgets managers that hold nothing any more, as an API server does.
pub(crate) fn forget_idle(document: &mut Value) {
    let metadata = document
        .as_map_mut()
        .and_then(|entries| entries.get_mut("metadata"));
    let listed = metadata.and_then(|metadata| metadata.as_map_mut()?.get_mut("managedFields"));
    if let Some(Value::List(entries)) = listed {
        let holds_nothing = |entry: &Value| {
            let fields = entry.get("fieldsV1").and_then(Value::as_map);
            fields.is_some_and(BTreeMap::is_empty)
        };
        entries.retain(|entry| !holds_nothing(entry));
    }
}

/// Whether a set of fields (`FieldsV1`) holds the place, something above it as a whole, or something below it.
fn holds(fields: &Value, segments: &[Segment]) -> bool {
    let (Some((first, rest)), Some(entries)) = (segments.split_first(), fields.as_map()) else {
        return true;
    };
    if !entries.keys().any(|key| key != ".") {
        return true;
    }
    let next = match first {
        Segment::Key(key) => entries.get(&format!("f:{key}")),
        Segment::Item(wanted) => entries
            .iter()
            .find(|(key, _)| is_item(key, wanted))
            .map(|(_, next)| next),
        Segment::Index(_) => None,
    };
    next.is_some_and(|next| holds(next, rest))
}

/// Whether the set's key `k:{…}` means the item. The set has all keys, a path only those that were given.
fn is_item(key: &str, wanted: &[(String, String)]) -> bool {
    let keys = key
        .strip_prefix("k:")
        .and_then(|json| serde_json::from_str(json).ok())
        .map(Value::from_json);
    keys.is_some_and(|keys| {
        wanted
            .iter()
            .all(|(name, text)| keys.get(name).is_some_and(|value| value.to_string() == *text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_place_is_held_by_itself_by_what_is_above_it_and_by_what_is_below() {
        let fields = Value::from_json(json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:selector": {}, "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}},
        }));
        let port = |number: &str| {
            Path::of(&["spec", "ports"]).join(Segment::Item(vec![("port".to_owned(), number.to_owned())]))
        };
        for path in [
            Path::of(&["metadata", "labels", "app"]),
            Path::of(&["metadata", "labels"]),
            Path::of(&["spec", "selector", "app"]),
            port("80").key("name"),
        ] {
            assert!(holds(&fields, path.segments()), "{path}");
        }
        for path in [
            Path::of(&["metadata", "labels", "other"]),
            Path::of(&["spec", "replicas"]),
            port("81"),
            port("80").key("targetPort"),
        ] {
            assert!(!holds(&fields, path.segments()), "{path}");
        }
    }
}
