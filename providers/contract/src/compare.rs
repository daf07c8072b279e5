//! The comparison and the merge that every kind builds on.
//!
//! Both walk the declared document only: what isn't declared is never touched. They mirror each other: the
//! differences of a document merged from a desired one are empty.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Desired;
use crate::difference::{Change, Difference};
use crate::path::{Path, Segment};
use crate::shape::{ListIdentity, Shape};
use crate::value::Value;

/// Where `observed` is not as `desired`, ordered by path. `observed` is none where the facet is unset.
#[must_use]
pub fn differences(desired: &Desired, observed: Option<&Value>, shape: &Shape) -> Vec<Difference> {
    let mut walk = Walk {
        desired,
        found: Vec::new(),
    };
    walk.compare(&Path::root(), &desired.value, observed, shape);
    if let Some(observed) = observed {
        for path in &desired.absent {
            if let Some(old) = observed.at_path(path) {
                walk.push(path.clone(), Change::Remove { old: old.clone() });
            }
        }
    }
    walk.found.sort_by(|a, b| a.path.cmp(&b.path));
    walk.found.dedup_by(|a, b| a.path == b.path);
    walk.found
}

/// The document that holds after `desired` was written over `observed`: foreign content stays.
#[must_use]
pub fn merge(desired: &Desired, observed: Option<&Value>, shape: &Shape) -> Value {
    let mut merged = merged(desired, &Path::root(), &desired.value, observed, shape);
    remove(&mut merged, &desired.absent);
    merged
}

/// Takes what stands at `paths` out of `value`. Places that aren't there are no fault.
pub fn remove(value: &mut Value, paths: &[Path]) {
    // From the back, so that taking out an item doesn't move those that are still to go.
    let ordered: BTreeSet<&Path> = paths.iter().collect();
    for path in ordered.into_iter().rev() {
        if let Some((last, above)) = path.segments().split_last() {
            remove_at(value, above, last);
        }
    }
}

fn remove_at(value: &mut Value, above: &[Segment], last: &Segment) {
    if let Some((first, rest)) = above.split_first() {
        let next = match (value, first) {
            (Value::Map(entries), Segment::Key(key)) => entries.get_mut(key),
            (Value::List(items), Segment::Index(index)) => items.get_mut(*index),
            (Value::List(items), Segment::Item(keys)) => {
                items.iter_mut().find(|item| has_identity(item, keys))
            }
            _ => None,
        };
        if let Some(next) = next {
            remove_at(next, rest, last);
        }
        return;
    }
    match (value, last) {
        (Value::Map(entries), Segment::Key(key)) => {
            entries.remove(key);
        }
        (Value::List(items), Segment::Index(index)) if *index < items.len() => {
            items.remove(*index);
        }
        (Value::List(items), Segment::Item(keys)) => items.retain(|item| !has_identity(item, keys)),
        _ => {}
    }
}

struct Walk<'a> {
    desired: &'a Desired,
    found: Vec<Difference>,
}

impl Walk<'_> {
    fn push(&mut self, path: Path, change: Change) {
        self.found.push(Difference::new(path, change));
    }

    fn compare(&mut self, path: &Path, desired: &Value, observed: Option<&Value>, shape: &Shape) {
        let Some(observed) = observed else {
            self.push(path.clone(), Change::Add { new: desired.clone() });
            return;
        };
        if !path.is_root() && self.desired.initial.contains(path) {
            return;
        }
        match (desired, observed) {
            (Value::Map(wanted), Value::Map(there)) => {
                for (key, value) in wanted {
                    self.compare(&path.key(key), value, there.get(key), shape.field(key));
                }
                if self.is_exact(path) {
                    for (key, old) in there.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
                        self.push(path.key(key), Change::Remove { old: old.clone() });
                    }
                }
            }
            (Value::List(wanted), Value::List(there)) => self.compare_lists(path, wanted, there, shape),
            (wanted, there) => {
                if !same_scalar(wanted, there) {
                    self.push(path.clone(), replaced(there, wanted));
                }
            }
        }
    }

    fn compare_lists(&mut self, path: &Path, wanted: &[Value], there: &[Value], shape: &Shape) {
        let (item_shape, identity) = shape.items();
        match identity {
            ListIdentity::Keyed(keys) => {
                if let (Some(wanted), Some(there)) = (keyed(wanted, keys), keyed(there, keys)) {
                    for (identity, value) in &wanted {
                        let place = path.join(Segment::Item(identity.clone()));
                        self.compare(&place, value, there.get(identity).copied(), item_shape);
                    }
                    if self.is_exact(path) {
                        for (identity, old) in there.iter().filter(|(id, _)| !wanted.contains_key(*id)) {
                            let place = path.join(Segment::Item(identity.clone()));
                            self.push(place, Change::Remove { old: (*old).clone() });
                        }
                    }
                    return;
                }
                self.compare_whole(path, wanted, there, same_value);
            }
            ListIdentity::Set => {
                for (index, value) in wanted.iter().enumerate() {
                    if !there.iter().any(|old| same_value(value, old)) {
                        self.push(path.index(index), Change::Add { new: value.clone() });
                    }
                }
                if self.is_exact(path) {
                    for (index, old) in there.iter().enumerate() {
                        if !wanted.iter().any(|value| same_value(value, old)) {
                            self.push(path.index(index), Change::Remove { old: old.clone() });
                        }
                    }
                }
            }
            ListIdentity::Unordered => self.compare_whole(path, wanted, there, same_value_in_any_order),
            ListIdentity::Atomic => {
                if wanted.len() == there.len() {
                    // The same number of items: say which field of which item differs.
                    for (index, (value, old)) in wanted.iter().zip(there).enumerate() {
                        self.compare(&path.index(index), value, Some(old), item_shape);
                    }
                } else {
                    self.compare_whole(path, wanted, there, same_value);
                }
            }
        }
    }

    fn compare_whole(
        &mut self,
        path: &Path,
        wanted: &[Value],
        there: &[Value],
        same: fn(&Value, &Value) -> bool,
    ) {
        let (wanted, there) = (Value::List(wanted.to_vec()), Value::List(there.to_vec()));
        if !same(&wanted, &there) {
            self.push(path.clone(), replaced(&there, &wanted));
        }
    }

    fn is_exact(&self, path: &Path) -> bool {
        self.desired.exact.iter().any(|exact| path.starts_with(exact))
    }
}

fn replaced(old: &Value, new: &Value) -> Change {
    // If one side is a secret, both are: a diff must not show what it replaces either.
    if old.is_sensitive() || new.is_sensitive() {
        let new = if new.has_unknown() {
            new.clone()
        } else {
            new.clone().sealed()
        };
        return Change::Replace {
            old: old.clone().sealed(),
            new,
        };
    }
    Change::Replace {
        old: old.clone(),
        new: new.clone(),
    }
}

fn same_scalar(a: &Value, b: &Value) -> bool {
    match (a.exposed(), b.exposed()) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Unknown(_), _) | (_, Value::Unknown(_)) => false,
        (a @ (Value::Map(_) | Value::List(_)), b @ (Value::Map(_) | Value::List(_))) => same_value(a, b),
        (a, b) => a == b,
    }
}

/// Deep equality: every key on both sides, every item in order.
fn same_value(a: &Value, b: &Value) -> bool {
    match (a.exposed(), b.exposed()) {
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same_value(value, other)))
        }
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (a, b) => same_scalar(a, b),
    }
}

fn same_value_in_any_order(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_list(), b.as_list()) else {
        return same_value(a, b);
    };
    let mut left: Vec<&Value> = b.iter().collect();
    a.len() == b.len()
        && a.iter().all(|value| {
            left.iter()
                .position(|other| same_value(value, other))
                .is_some_and(|index| {
                    left.swap_remove(index);
                    true
                })
        })
}

type Identity = Vec<(String, String)>;

/// The items by identity; none where an item lacks a key or two share one, as then no item can be told apart.
fn keyed<'a>(items: &'a [Value], keys: &[&str]) -> Option<BTreeMap<Identity, &'a Value>> {
    let mut found = BTreeMap::new();
    for item in items {
        let identity = identity_of(item, keys)?;
        if found.insert(identity, item).is_some() {
            return None;
        }
    }
    Some(found)
}

fn identity_of(item: &Value, keys: &[&str]) -> Option<Identity> {
    let mut identity = Vec::new();
    for key in keys {
        match item.get(key) {
            Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => {
                identity.push(((*key).to_owned(), value.to_string()));
            }
            // Of several keys some may have defaults (a port's protocol): those given identify it.
            None if keys.len() > 1 => {}
            _ => return None,
        }
    }
    (!identity.is_empty()).then_some(identity)
}

fn has_identity(item: &Value, keys: &[(String, String)]) -> bool {
    keys.iter()
        .all(|(key, text)| item.get(key).is_some_and(|value| value.to_string() == *text))
}

fn merged(desired: &Desired, path: &Path, wanted: &Value, observed: Option<&Value>, shape: &Shape) -> Value {
    let Some(there) = observed else {
        return wanted.clone();
    };
    if !path.is_root() && desired.initial.contains(path) {
        return there.clone();
    }
    let exact = desired.exact.iter().any(|exact| path.starts_with(exact));
    match (wanted, there) {
        (Value::Map(wanted), Value::Map(there)) => {
            let mut result = if exact { BTreeMap::new() } else { there.clone() };
            for (key, value) in wanted {
                let merged = merged(desired, &path.key(key), value, there.get(key), shape.field(key));
                result.insert(key.clone(), merged);
            }
            Value::Map(result)
        }
        (Value::List(wanted), Value::List(there)) => merged_list(desired, path, wanted, there, shape, exact),
        _ => wanted.clone(),
    }
}

fn merged_list(
    desired: &Desired,
    path: &Path,
    wanted: &[Value],
    there: &[Value],
    shape: &Shape,
    exact: bool,
) -> Value {
    let (item_shape, identity) = shape.items();
    match identity {
        ListIdentity::Keyed(keys) => {
            let (Some(wanted_by), Some(there_by)) = (keyed(wanted, keys), keyed(there, keys)) else {
                return Value::List(wanted.to_vec());
            };
            // What is there keeps its place, so that a write moves nothing that it needn't.
            let mut result = Vec::new();
            for item in there {
                let id = identity_of(item, keys).unwrap_or_default();
                match wanted_by.get(&id) {
                    Some(value) => {
                        let place = path.join(Segment::Item(id));
                        result.push(merged(desired, &place, value, Some(item), item_shape));
                    }
                    None if exact => {}
                    None => result.push(item.clone()),
                }
            }
            for item in wanted {
                if identity_of(item, keys).is_some_and(|id| !there_by.contains_key(&id)) {
                    result.push(item.clone());
                }
            }
            Value::List(result)
        }
        ListIdentity::Set => {
            let mut result = if exact { Vec::new() } else { there.to_vec() };
            for value in wanted {
                if !result.iter().any(|old| same_value(value, old)) {
                    result.push(value.clone());
                }
            }
            Value::List(result)
        }
        ListIdentity::Atomic if wanted.len() == there.len() => Value::List(
            wanted
                .iter()
                .zip(there)
                .enumerate()
                .map(|(index, (value, old))| {
                    merged(desired, &path.index(index), value, Some(old), item_shape)
                })
                .collect(),
        ),
        ListIdentity::Atomic | ListIdentity::Unordered => Value::List(wanted.to_vec()),
    }
}

#[cfg(test)]
mod tests;
