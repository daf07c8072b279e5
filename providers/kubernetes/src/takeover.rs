//! Taking over from former field managers: whose entries of `managedFields` become ours.
//!
//! A writer that used Update leaves an entry that holds every field it ever set. An apply that leaves such a field out
//! doesn't remove it: the entry still holds it. Moved to our own Apply entry, the same sets say that the fields were
//! ours, and an apply removes what it no longer declares, owner references too. Moving changes nothing but
//! `managedFields`: no new generation, no rollout.

use std::collections::BTreeMap;

use holdfast_contract::{
    Change, Desired, Difference, Facet, FacetState, Observed, Path, Segment, TakeOver, Value,
};

use crate::kind::{OBJECT, STATUS};
use crate::owned::{is_item, status_manager};

/// The key under which a set holds the status.
const STATUS_KEY: &str = "f:status";
/// The key under which a node of a set holds itself.
const ITSELF: &str = ".";

type Fields = BTreeMap<String, Value>;

/// An object as it is once the former managers' entries are moved.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    /// The object, with the moved `managedFields`.
    pub(crate) observed: Observed,
    /// The former managers that held something.
    pub(crate) managers: Vec<String>,
}

/// `observed` after moving what the former managers of `desired` hold of `facet` to `manager`; none where they hold
/// nothing of it.
pub(crate) fn moved(facet: &Facet, desired: &Desired, observed: &Observed, manager: &str) -> Option<Moved> {
    let take_over = desired.take_over.as_ref()?;
    let object = observed.value(&OBJECT.into())?;
    let listed = object.at(&["metadata", "managedFields"])?.as_list()?;
    let document = observed.value(facet);
    let mut kept: Vec<Value> = Vec::new();
    let mut taken: Vec<(Target, Value, Fields)> = Vec::new();
    let mut managers: Vec<String> = Vec::new();
    for entry in listed {
        let (holder, part) = match (text(entry, "manager"), fields_of(entry)) {
            (Some(holder), Some(fields)) if is_former(take_over, holder, manager) => {
                (holder, part_of(facet, fields, take_over, document))
            }
            _ => {
                kept.push(entry.clone());
                continue;
            }
        };
        let Some(part) = part else {
            kept.push(entry.clone());
            continue;
        };
        if let Some(rest) = fields_of(entry).and_then(|fields| without(fields, &part)) {
            kept.push(with_fields(entry, rest));
        }
        let subresource = text(entry, "subresource");
        taken.push((Target::of(facet, subresource, manager), entry.clone(), part));
        if !managers.iter().any(|known| known == holder) {
            managers.push(holder.to_owned());
        }
    }
    if taken.is_empty() {
        return None;
    }
    for (target, from, part) in taken {
        match kept.iter_mut().find(|entry| target.is(entry)) {
            Some(own) => {
                let union = union(fields_of(own).cloned().unwrap_or_default(), part);
                *own = with_fields(own, union);
            }
            None => kept.push(target.entry(&from, part)),
        }
    }
    let mut observed = observed.clone();
    if let Some(FacetState::Set(object)) = observed.facets.get_mut(&OBJECT.into())
        && let Some(metadata) = object
            .as_map_mut()
            .and_then(|entries| entries.get_mut("metadata"))
        && let Some(metadata) = metadata.as_map_mut()
    {
        metadata.insert("managedFields".to_owned(), Value::List(kept));
    }
    Some(Moved { observed, managers })
}

/// `found`, what taking over changes, and what of `local` is as desired already and is to be ours.
///
/// There is always something: even if no value changes, the former managers give up what they held. Others hold it as
/// well, or the server makes the same again as its default.
pub(crate) fn with_claims(mut found: Vec<Difference>, local: Vec<Difference>) -> Vec<Difference> {
    for claim in local.into_iter().filter(|one| one.change == Change::Claim) {
        if found.iter().all(|one| one.path != claim.path) {
            found.push(claim);
        }
    }
    if found.is_empty() {
        found.push(Difference::new(Path::root(), Change::Claim));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Whether `holder` is one of those whose fields become ours.
fn is_former(take_over: &TakeOver, holder: &str, manager: &str) -> bool {
    holder != manager
        && holder != status_manager(manager)
        && take_over.managers.iter().any(|former| former == holder)
}

/// The entry of ours that something is moved to.
#[derive(Clone, Debug)]
struct Target {
    manager: String,
    subresource: Option<&'static str>,
}

impl Target {
    /// For what an entry of `subresource` holds of `facet`. A status that was written through the object itself is one
    /// of a type without a status subresource.
    fn of(facet: &Facet, subresource: Option<&str>, manager: &str) -> Self {
        match (facet.as_str(), subresource) {
            (STATUS, Some(STATUS)) => Self {
                manager: manager.to_owned(),
                subresource: Some(STATUS),
            },
            (STATUS, _) => Self {
                manager: status_manager(manager),
                subresource: None,
            },
            _ => Self {
                manager: manager.to_owned(),
                subresource: None,
            },
        }
    }

    fn is(&self, entry: &Value) -> bool {
        text(entry, "operation") == Some("Apply")
            && text(entry, "manager") == Some(&self.manager)
            && text(entry, "subresource") == self.subresource
    }

    fn entry(&self, from: &Value, fields: Fields) -> Value {
        let mut entry = from.as_map().cloned().unwrap_or_default();
        entry.insert("manager".to_owned(), Value::from(self.manager.as_str()));
        entry.insert("operation".to_owned(), Value::from("Apply"));
        entry.remove("subresource");
        if let Some(subresource) = self.subresource {
            entry.insert("subresource".to_owned(), Value::from(subresource));
        }
        entry.insert("fieldsV1".to_owned(), Value::Map(fields));
        Value::Map(entry)
    }
}

fn text<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn fields_of(entry: &Value) -> Option<&Fields> {
    entry.get("fieldsV1").and_then(Value::as_map)
}

fn with_fields(entry: &Value, fields: Fields) -> Value {
    let mut entry = entry.as_map().cloned().unwrap_or_default();
    entry.insert("fieldsV1".to_owned(), Value::Map(fields));
    Value::Map(entry)
}

/// What `fields` hold of `facet`, and within the scope; none if that is nothing.
fn part_of(facet: &Facet, fields: &Fields, take_over: &TakeOver, document: Option<&Value>) -> Option<Fields> {
    if facet.as_str() == STATUS {
        let status = fields.get(STATUS_KEY)?.as_map()?;
        let part = match &take_over.scope {
            Some(scope) if !scope.iter().any(Path::is_root) => {
                Some(within(status, scope, document)).filter(|part| !part.is_empty())?
            }
            _ => status.clone(),
        };
        return Some([(STATUS_KEY.to_owned(), Value::Map(part))].into());
    }
    let mut part = fields.clone();
    part.remove(STATUS_KEY);
    if let Some(scope) = &take_over.scope {
        part = within(&part, scope, document);
    }
    (!part.is_empty()).then_some(part)
}

/// The part of a set that lies at or below one of `scope`. `document` is what it is a set of.
///
/// What is held as one value can't be taken in part, and stays where it is.
fn within(fields: &Fields, scope: &[Path], document: Option<&Value>) -> Fields {
    let nothing = Value::map();
    scope
        .iter()
        .map(|path| at(fields, path.segments(), document.unwrap_or(&nothing)))
        .fold(Fields::new(), union)
}

/// The part of a set at `path`, with the way down to it.
fn at(fields: &Fields, path: &[Segment], document: &Value) -> Fields {
    let Some((first, rest)) = path.split_first() else {
        return fields.clone();
    };
    let next = document.at_path(&Path::from(vec![first.clone()]));
    let key = match (first, next) {
        (Segment::Key(name), _) => Some(format!("f:{name}")),
        (_, Some(item)) => fields.keys().find(|key| is_item(key, item)).cloned(),
        (_, None) => None,
    };
    let found = key.and_then(|key| Some((fields.get(&key)?.as_map()?, key)));
    let Some((inner, key)) = found else {
        return Fields::new();
    };
    if rest.is_empty() {
        return [(key, Value::Map(inner.clone()))].into();
    }
    let inner = at(inner, rest, next.unwrap_or(&Value::Null));
    if inner.is_empty() {
        return Fields::new();
    }
    [(key, Value::Map(inner))].into()
}

/// All that either of two sets holds.
fn union(mut one: Fields, other: Fields) -> Fields {
    for (key, theirs) in other {
        let joined = match (one.remove(&key), theirs) {
            (Some(Value::Map(ours)), Value::Map(theirs)) => Value::Map(joined(ours, theirs)),
            (_, theirs) => theirs,
        };
        one.insert(key, joined);
    }
    one
}

/// One node of two sets. Where one holds it as itself and the other parts of it, both are said.
fn joined(mut one: Fields, mut other: Fields) -> Fields {
    let itself = || [(ITSELF.to_owned(), Value::map())];
    match (one.is_empty(), other.is_empty()) {
        (true, false) => one.extend(itself()),
        (false, true) => other.extend(itself()),
        _ => {}
    }
    union(one, other)
}

/// What is left of a set without `part` of it; none if that is nothing.
fn without(fields: &Fields, part: &Fields) -> Option<Fields> {
    let rest: Fields = fields
        .iter()
        .filter_map(|(key, held)| {
            let rest = match (part.get(key), held) {
                (None, held) => held.clone(),
                (Some(Value::Map(gone)), Value::Map(held)) if gone != held => {
                    Value::Map(without(held, gone)?)
                }
                (Some(_), _) => return None,
            };
            Some((key.clone(), rest))
        })
        .collect();
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests;
