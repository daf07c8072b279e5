//! Maps, and what turns into them.

use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;

use super::{Gives, Kind, Overload, Site, argument, int, unfit};
use crate::error::Outcome;
use crate::evaluate::Machine;
use crate::flow::Flow;
use crate::{MapKey, Value};

use Kind::{List, Map};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload::function("size", &[Map], Gives::Int, size),
    Overload::method("size", &[Map], Gives::Int, size),
    Overload::function("gcpLabels", &[Map], Gives::StringMap, gcp_labels).deep(),
    Overload::function("merge", &[Map, Map], Gives::Map, merge),
    Overload::function("toMap", &[List], Gives::Map, to_map),
];

fn size(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Map(entries)] = values else {
        return unfit(site);
    };
    Ok(int(entries.len()))
}

/// All entries of both maps; where both have a key, the right one's value as a whole.
fn merge(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Map(left), Value::Map(right)] = values else {
        return unfit(site);
    };
    machine
        .budget
        .elements(left.len().saturating_add(right.len()), site.span)?;
    let mut merged = left.as_ref().clone();
    merged.extend(right.iter().map(|(key, value)| (key.clone(), value.clone())));
    Ok(Value::from(merged))
}

/// The map of a list of `{ key, value }`, as tags come from the cloud. Of two with one key, the later wins.
fn to_map(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::List(elements)] = values else {
        return unfit(site);
    };
    machine.budget.elements(elements.len(), site.span)?;
    let (key_name, value_name) = (MapKey::from("key"), MapKey::from("value"));
    let mut flow = Flow::default();
    let mut map = BTreeMap::new();
    for element in elements.iter() {
        let element = flow.open(element.clone(), site.span)?;
        let (key, value) = match &element {
            Value::Map(entry) => (entry.get(&key_name), entry.get(&value_name)),
            _ => (None, None),
        };
        let key = key.map(|key| flow.open(key.clone(), site.span)).transpose()?;
        if !flow.is_known() {
            continue;
        }
        let (Some(Value::String(key)), Some(value)) = (key, value) else {
            let message =
                "`toMap` needs a list of maps that each have a `key`, which is a string, and a `value`";
            return Err(argument(site, message));
        };
        map.insert(MapKey::String(key), value.clone());
    }
    Ok(flow.close(Value::from(map)))
}

/// Longest key or value of a label there.
const LONGEST_LABEL: usize = 63;

/// The map as labels that Google Cloud takes.
fn gcp_labels(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Map(entries)] = values else {
        return unfit(site);
    };
    machine.budget.elements(entries.len(), site.span)?;
    let mut labels = BTreeMap::new();
    for (key, value) in entries.iter() {
        let (MapKey::String(key), Value::String(value)) = (key, value) else {
            return Err(argument(site, "labels have keys and values that are strings"));
        };
        machine
            .budget
            .text(key.len().saturating_add(value.len()), site.span)?;
        match labels.entry(MapKey::from(label(key))) {
            btree_map::Entry::Vacant(entry) => entry.insert(Value::from(label(value))),
            btree_map::Entry::Occupied(_) => return Err(argument(site, "two keys become the same label")),
        };
    }
    Ok(Value::Map(Arc::new(labels)))
}

/// Lower-case; each run of characters outside `a-z`, `0-9`, `-` and `_` becomes one `-`; cut at 63.
fn label(text: &str) -> String {
    let mut label = String::new();
    let mut in_run = false;
    for letter in text.chars().flat_map(char::to_lowercase) {
        let is_allowed = matches!(letter, 'a'..='z' | '0'..='9' | '-' | '_');
        if is_allowed {
            label.push(letter);
        } else if !in_run {
            label.push('-');
        }
        in_run = !is_allowed;
        if label.len() == LONGEST_LABEL {
            break;
        }
    }
    label
}
