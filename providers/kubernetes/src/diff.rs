//! What a dry run would change, field by field.

use holdfast_contract::{Change, Difference, Path, Segment, Value};

use crate::compare::{field_of, replaced, same_scalar};
use crate::lists::{self, Identity, Type};
use crate::owned::Owners;

/// What differs with every write, and says nothing of the content.
const BOOKKEEPING: [&str; 5] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
];

/// A `DaemonSet`'s generation from the time before all objects had one: the server counts on with each change.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Where `after` is not as `before`, both ways. `owners` tells how lists compare.
pub(crate) fn diff(kind: Type<'_>, before: &Value, after: &Value, owners: &Owners<'_>) -> Vec<Difference> {
    let mut walk = Walk {
        kind,
        found: Vec::new(),
    };
    walk.node(&Path::root(), Some(before), Some(after), owners);
    walk.found.sort_by(|a, b| a.path.cmp(&b.path));
    walk.found
}

struct Walk<'a> {
    kind: Type<'a>,
    found: Vec<Difference>,
}

impl Walk<'_> {
    fn push(&mut self, path: &Path, change: Change) {
        self.found.push(Difference::new(path.clone(), change));
    }

    fn node(&mut self, path: &Path, before: Option<&Value>, after: Option<&Value>, owners: &Owners<'_>) {
        match (before, after) {
            (None, None) => {}
            (None, Some(new)) => self.push(path, Change::Add { new: new.clone() }),
            (Some(old), None) => self.push(path, Change::Remove { old: old.clone() }),
            (Some(Value::Map(before)), Some(Value::Map(after))) => {
                let keys = before
                    .keys()
                    .chain(after.keys().filter(|key| !before.contains_key(*key)));
                for key in keys.filter(|key| !is_bookkeeping(path, key)) {
                    self.node(
                        &path.key(key),
                        before.get(key),
                        after.get(key),
                        &owners.field(key),
                    );
                }
            }
            (Some(Value::List(before)), Some(Value::List(after))) => self.lists(path, before, after, owners),
            (Some(old), Some(new)) => {
                if !same_scalar(old, new) {
                    self.push(path, replaced(old, new));
                }
            }
        }
    }

    fn lists(&mut self, path: &Path, before: &[Value], after: &[Value], owners: &Owners<'_>) {
        let known = if after.is_empty() { before } else { after };
        let whole = |items: &[Value]| Value::List(items.to_vec());
        match lists::identity(self.kind, field_of(path), known, owners) {
            Identity::Keyed(keys) => {
                if let (Some(old), Some(new)) = (lists::keyed(before, &keys), lists::keyed(after, &keys)) {
                    let places: Vec<usize> = new
                        .iter()
                        .filter_map(|(id, _)| old.iter().position(|(other, _)| other == id))
                        .collect();
                    if places.is_sorted() {
                        self.keyed(path, &keys, &old, &new, owners);
                        return;
                    }
                }
                self.push(path, replaced(&whole(before), &whole(after)));
            }
            Identity::Set => {
                let has = |items: &[Value], value: &Value| items.iter().any(|item| same_scalar(item, value));
                for (index, old) in before.iter().enumerate().filter(|(_, old)| !has(after, old)) {
                    self.push(&path.index(index), Change::Remove { old: old.clone() });
                }
                for (index, new) in after.iter().enumerate().filter(|(_, new)| !has(before, new)) {
                    self.push(&path.index(index), Change::Add { new: new.clone() });
                }
            }
            Identity::Atomic if before.len() == after.len() => {
                for (index, (old, new)) in before.iter().zip(after).enumerate() {
                    self.node(&path.index(index), Some(old), Some(new), &owners.item(new));
                }
            }
            Identity::Atomic => self.push(path, replaced(&whole(before), &whole(after))),
        }
    }

    fn keyed(
        &mut self,
        path: &Path,
        keys: &[String],
        before: &[lists::Keyed<'_>],
        after: &[lists::Keyed<'_>],
        owners: &Owners<'_>,
    ) {
        let place = |item: &Value| path.join(Segment::Item(lists::place_of(item, keys)));
        for (id, old) in before {
            let new = after.iter().find(|(other, _)| other == id).map(|(_, new)| *new);
            self.node(&place(old), Some(old), new, &owners.item(old));
        }
        for (id, new) in after {
            if !before.iter().any(|(other, _)| other == id) {
                self.push(&place(new), Change::Add { new: (*new).clone() });
            }
        }
    }
}

fn is_bookkeeping(path: &Path, key: &str) -> bool {
    *path == Path::of(&["metadata"]) && BOOKKEEPING.contains(&key)
        || *path == Path::of(&["metadata", "annotations"]) && key == TEMPLATE_GENERATION
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(before: serde_json::Value, after: serde_json::Value) -> Vec<String> {
        let kind = Type {
            kind: "Pod",
            built_in: true,
        };
        diff(
            kind,
            &Value::from_json(before),
            &Value::from_json(after),
            &Owners::UNKNOWN,
        )
        .iter()
        .map(|difference| match &difference.change {
            Change::Add { new } => format!("+ {}: {new}", difference.path),
            Change::Remove { old } => format!("- {}: {old}", difference.path),
            Change::Replace { old, new } => format!("~ {}: {old} -> {new}", difference.path),
            Change::Claim => format!("! {}", difference.path),
        })
        .collect()
    }

    #[test]
    fn each_changed_field_is_named_and_bookkeeping_is_not() {
        let before = json!({
            "metadata": { "generation": 1, "annotations": { TEMPLATE_GENERATION: "1" }, "labels": { "a": "1", "gone": "x" } },
            "spec": { "env": [{ "name": "A", "value": "1" }, { "name": "B" }], "args": ["x"] },
        });
        let after = json!({
            "metadata": { "generation": 2, "annotations": { TEMPLATE_GENERATION: "2" }, "labels": { "a": "2" } },
            "spec": { "env": [{ "name": "A", "value": "2" }, { "name": "B" }, { "name": "C" }], "args": ["x", "y"] },
        });
        assert_eq!(
            lines(before.clone(), after),
            [
                "~ metadata.labels.a: 1 -> 2",
                "- metadata.labels.gone: x",
                r#"~ spec.args: ["x"] -> ["x","y"]"#,
                "~ spec.env[A].value: 1 -> 2",
                r#"+ spec.env[C]: {"name":"C"}"#,
            ]
        );
        assert_eq!(lines(before.clone(), before), [""; 0]);
    }

    #[test]
    fn another_order_of_keyed_items_is_a_change() {
        let spec = |names: [&str; 2]| json!({ "env": names.map(|name| json!({ "name": name })) });
        assert_eq!(lines(spec(["A", "B"]), spec(["B", "A"])).len(), 1);
    }
}
