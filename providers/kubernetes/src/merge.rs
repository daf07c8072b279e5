//! What a server would hold after an apply, for the store in memory.

use std::collections::BTreeMap;

use holdfast_contract::{Change, Desired, Difference, Path, Segment, Value, remove};

use crate::compare::{Facts, applied, compare, field_of};
use crate::lists::{self, Identity, Type};
use crate::owned::{Owners, is_applied_by, is_item};
use crate::types;

/// A facet's document after `desired` was applied over it.
///
/// As server-side apply with force: what is declared is so, what we held and no longer declare is gone, all else
/// stays. Lists of unknown kind are replaced as a whole.
pub(crate) fn merge(desired: &Desired, facts: Facts<'_>) -> Value {
    let body = applied(desired, Some(facts.document), facts.owners);
    let kind = type_of(facts);
    let mut document = lay(kind, &Path::root(), &body, Some(facts.document), facts.owners);
    let gone: Vec<Path> = compare(desired, facts)
        .into_iter()
        .filter(|difference| matches!(difference.change, Change::Remove { .. }))
        .map(|difference| difference.path)
        .collect();
    remove(&mut document, &gone);
    document
}

fn type_of(facts: Facts<'_>) -> Type<'_> {
    Type {
        kind: &facts.api.kind,
        built_in: types::is_built_in(facts.api),
    }
}

fn lay(kind: Type<'_>, path: &Path, wanted: &Value, there: Option<&Value>, owners: &Owners<'_>) -> Value {
    let Some(there) = there else {
        return wanted.clone();
    };
    match (wanted, there) {
        (Value::Map(wanted), Value::Map(there)) => {
            let mut result = there.clone();
            for (key, value) in wanted {
                let laid = lay(kind, &path.key(key), value, there.get(key), &owners.field(key));
                result.insert(key.clone(), laid);
            }
            Value::Map(result)
        }
        (Value::List(items), Value::List(there)) => {
            let known = if items.is_empty() { there } else { items };
            match lists::identity(kind, field_of(path), known, owners) {
                Identity::Keyed(keys) => lay_keyed(kind, path, &keys, items, there, owners),
                Identity::Set => {
                    let mut result = there.clone();
                    for value in items {
                        if !result.iter().any(|old| old.exposed() == value.exposed()) {
                            result.push(value.clone());
                        }
                    }
                    Value::List(result)
                }
                Identity::Atomic => wanted.clone(),
            }
        }
        _ => wanted.clone(),
    }
}

fn lay_keyed(
    kind: Type<'_>,
    path: &Path,
    keys: &[String],
    wanted: &[Value],
    there: &[Value],
    owners: &Owners<'_>,
) -> Value {
    let (Some(wanted_by), Some(there_by)) = (lists::keyed(wanted, keys), lists::keyed(there, keys)) else {
        return Value::List(wanted.to_vec());
    };
    let mut laid: Vec<Value> = wanted_by
        .iter()
        .map(|(id, item)| {
            let old = there_by
                .iter()
                .find(|(other, _)| other == id)
                .map(|(_, old)| *old);
            let place = path.join(Segment::Item(lists::place_of(item, keys)));
            lay(kind, &place, item, old, &owners.item(item))
        })
        .collect();
    // Declared items take the places that declared items have, in the declared order; those of others stay put.
    let mut next = laid.drain(..);
    let mut result: Vec<Value> = there_by
        .iter()
        .filter_map(|(id, old)| {
            let declared = wanted_by.iter().any(|(other, _)| other == id);
            if declared {
                next.next()
            } else {
                Some((*old).clone())
            }
        })
        .collect();
    result.extend(next);
    Value::List(result)
}

/// `managedFields` after `desired` was applied over the object: our entry as the declared fields, everybody else's
/// without what the apply has changed.
pub(crate) fn managed_fields(desired: &Desired, facts: Facts<'_>, merged: &Value, manager: &str) -> Value {
    let body = applied(desired, Some(facts.document), facts.owners);
    let changed: Vec<Path> = compare(desired, facts)
        .into_iter()
        .filter(|difference| difference.change != Change::Claim)
        .map(|difference| difference.path)
        .collect();
    let listed = facts
        .document
        .at(&["metadata", "managedFields"])
        .and_then(Value::as_list);
    let mut entries: Vec<Value> = listed
        .unwrap_or_default()
        .iter()
        .filter(|entry| !is_applied_by(entry, manager))
        .cloned()
        .collect();
    for entry in &mut entries {
        if let Some(Value::Map(fields)) = entry.as_map_mut().and_then(|entry| entry.get_mut("fieldsV1")) {
            for path in &changed {
                release(fields, path.segments(), facts.document);
            }
        }
    }
    let after = Facts {
        document: merged,
        ..facts
    };
    entries.push(entry(&body, after, manager));
    Value::List(entries)
}

/// The entry of `manager` for having applied `body`, which made the document of `facts`.
pub(crate) fn entry(body: &Value, facts: Facts<'_>, manager: &str) -> Value {
    let mut set = set_of(
        type_of(facts),
        &Path::root(),
        body,
        Some(facts.document),
        facts.owners,
    );
    if let Some(fields) = set.as_map_mut() {
        fields.remove("f:apiVersion");
        fields.remove("f:kind");
        if let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_map_mut) {
            metadata.remove("f:name");
            metadata.remove("f:namespace");
            if metadata.is_empty() {
                fields.remove("f:metadata");
            }
        }
    }
    [
        ("manager", Value::from(manager)),
        ("operation", Value::from("Apply")),
        ("apiVersion", Value::from(facts.api.api_version.as_str())),
        ("fieldsType", Value::from("FieldsV1")),
        ("fieldsV1", set),
    ]
    .into_iter()
    .collect()
}

/// The set of fields that an apply of `value` holds; `there` is what it made.
fn set_of(kind: Type<'_>, path: &Path, value: &Value, there: Option<&Value>, owners: &Owners<'_>) -> Value {
    match value.exposed() {
        Value::Map(entries) if entries.is_empty() => empty_set(there),
        Value::List(items) if items.is_empty() => empty_set(there),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| {
                    let there = there.and_then(|there| there.get(key));
                    let set = set_of(kind, &path.key(key), value, there, &owners.field(key));
                    (format!("f:{key}"), set)
                })
                .collect(),
        ),
        Value::List(items) => match lists::identity(kind, field_of(path), items, owners) {
            Identity::Keyed(keys) => items_set(kind, path, &keys, items, owners).unwrap_or_else(Value::map),
            Identity::Set => items
                .iter()
                .filter_map(|item| Some((format!("v:{}", item.expose_json()?), Value::map())))
                .collect(),
            Identity::Atomic => Value::map(),
        },
        _ => Value::map(),
    }
}

/// The set of an empty map or list: held as itself, not with all that others have put into it.
fn empty_set(there: Option<&Value>) -> Value {
    let filled = match there {
        Some(Value::Map(there)) => !there.is_empty(),
        Some(Value::List(there)) => !there.is_empty(),
        _ => false,
    };
    if filled {
        [(".", Value::map())].into_iter().collect()
    } else {
        Value::map()
    }
}

fn items_set(
    kind: Type<'_>,
    path: &Path,
    keys: &[String],
    items: &[Value],
    owners: &Owners<'_>,
) -> Option<Value> {
    let mut sets = BTreeMap::new();
    for (id, item) in lists::keyed(items, keys)? {
        let place = path.join(Segment::Item(lists::place_of(item, keys)));
        let mut set = set_of(kind, &place, item, None, &owners.item(item));
        if let Some(set) = set.as_map_mut() {
            set.insert(".".to_owned(), Value::map());
        }
        let id: BTreeMap<String, Value> = id.into_iter().collect();
        sets.insert(format!("k:{}", Value::Map(id)), set);
    }
    Some(Value::Map(sets))
}

/// Takes what stands at `path` out of a set, and what is left empty by that. `there` is the document it is a set of.
fn release(fields: &mut BTreeMap<String, Value>, path: &[Segment], there: &Value) {
    let Some((first, rest)) = path.split_first() else {
        fields.clear();
        return;
    };
    let next = there.at_path(&Path::from(vec![first.clone()]));
    let key = match (first, next) {
        (Segment::Key(name), _) => Some(format!("f:{name}")),
        (_, Some(item)) => fields.keys().find(|key| is_item(key, item)).cloned(),
        (_, None) => None,
    };
    let Some(key) = key else { return };
    let emptied = match fields.get_mut(&key) {
        None => return,
        // Held as a whole: one changed part is all of it.
        Some(Value::Map(inner)) if !inner.is_empty() && !rest.is_empty() => {
            release(inner, rest, next.unwrap_or(&Value::Null));
            inner.keys().all(|key| key == ".")
        }
        Some(_) => true,
    };
    if emptied {
        fields.remove(&key);
    }
}

/// The differences of writing an object that isn't there: all of it.
pub(crate) fn creation(desired: &Desired) -> Vec<Difference> {
    vec![Difference::new(
        Path::root(),
        Change::Add {
            new: desired.value.clone(),
        },
    )]
}
