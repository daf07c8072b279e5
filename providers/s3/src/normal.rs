//! The normal form of a document: what servers rewrite is written one way, so that equal things compare equal.

use std::collections::BTreeMap;

use holdfast_contract::{Desired, ListIdentity, Path, Segment, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::lock;
use crate::schema::{Content, Element};
use crate::table::{Document, Row};

/// Before a name that stands in for a missing one. No document of the service can hold this character.
const UNNAMED: char = '\u{1}';

/// How items of the service's lists are told apart.
const BY_ID: ListIdentity = ListIdentity::Keyed(&["id"]);

/// `value`, a document of `row`, in normal form.
pub(crate) fn document(row: &Row, value: &Value) -> Value {
    let mut result = match &row.document {
        Document::Tags => match value {
            Value::Map(tags) => Value::Map(
                tags.iter()
                    .map(|(key, value)| (key.clone(), as_text(value)))
                    .collect(),
            ),
            other => other.clone(),
        },
        Document::Policy => value.clone(),
        _ => group(row.elements(), value),
    };
    if row.facet == "lifecycle"
        && let Some(Value::List(rules)) = result.as_map_mut().and_then(|entries| entries.get_mut("rules"))
    {
        rules.iter_mut().for_each(lifecycle_rule);
    }
    if row.facet == lock::FACET
        && let Some(Value::Map(rule)) = result.as_map_mut().and_then(|entries| entries.get_mut("rule"))
        && let Some(Value::Map(retention)) = rule.get_mut("defaultRetention")
    {
        // Some stores write out the one of the two spans that wasn't asked for.
        retention.retain(|_, value| value.as_i64() != Some(0));
    }
    result
}

/// What is desired, in normal form, with the places that the table compares whole marked as exact.
///
/// So is a default encryption without KMS, where a key that is left over is an error.
pub(crate) fn desired(row: &Row, desired: &Desired, observed: Option<&Value>) -> Desired {
    let mut result = desired.clone();
    result.value = document(row, &desired.value);
    if let Some(entries) = result.value.as_map_mut() {
        // An empty list asks for nothing where nothing is.
        entries.retain(|key, value| {
            !matches!(value, Value::List(items) if items.is_empty())
                || observed.is_some_and(|observed| observed.get(key).is_some())
        });
    }
    if let Some(observed) = observed {
        without_idle_conditions(row.elements(), &mut result.value, observed);
    }
    whole_places(row.elements(), &result.value, &Path::root(), &mut result.exact);
    if row.facet == "encryption" {
        let rules = result.value.get("rules").and_then(Value::as_list);
        let without_kms = |rule: &Value| {
            rule.at(&["applyServerSideEncryptionByDefault", "sseAlgorithm"])
                .and_then(Value::as_str)
                == Some("AES256")
        };
        let places = rules.unwrap_or_default().iter().enumerate();
        let places = places.filter(|(_, rule)| without_kms(rule)).map(|(index, _)| {
            Path::of(&["rules"])
                .index(index)
                .key("applyServerSideEncryptionByDefault")
        });
        result.exact.extend(places);
    }
    result
}

/// The places under `path` that compare whole, of those that `value` declares.
fn whole_places(elements: &[Element], value: &Value, path: &Path, found: &mut Vec<Path>) {
    for element in elements {
        let Some(value) = value.get(element.name) else {
            continue;
        };
        let path = path.key(element.name);
        if element.whole {
            found.push(path.clone());
        }
        match &element.content {
            Content::Struct(inner) => whole_places(inner, value, &path, found),
            Content::Repeated(Content::Struct(inner), identity)
            | Content::Wrapped(_, Content::Struct(inner), identity) => {
                for (index, item) in value.as_list().unwrap_or_default().iter().enumerate() {
                    let place = match item.get("id") {
                        Some(id) if *identity == BY_ID => {
                            path.join(Segment::Item(vec![("id".to_owned(), id.to_string())]))
                        }
                        _ => path.index(index),
                    };
                    whole_places(inner, item, &place, found);
                }
            }
            _ => {}
        }
    }
}

/// Leaves out of `desired` conditions without content, where the item that is there has none: both mean all objects.
fn without_idle_conditions(elements: &[Element], desired: &mut Value, observed: &Value) {
    for element in elements {
        let Content::Repeated(Content::Struct(inner), BY_ID) = &element.content else {
            continue;
        };
        let there = observed.get(element.name).and_then(Value::as_list);
        let Some(Value::List(items)) = desired.as_map_mut().and_then(|d| d.get_mut(element.name)) else {
            continue;
        };
        for item in items {
            let same = |other: &&Value| other.get("id") == item.get("id");
            let Some(old) = there.unwrap_or_default().iter().find(same) else {
                continue;
            };
            for part in inner
                .iter()
                .filter(|part| part.whole && old.get(part.name).is_none())
            {
                if item.get(part.name).is_some_and(is_empty_map)
                    && let Some(fields) = item.as_map_mut()
                {
                    fields.remove(part.name);
                }
            }
        }
    }
}

fn is_empty_map(value: &Value) -> bool {
    value.as_map().is_some_and(BTreeMap::is_empty)
}

/// `value` as the service may be given it: without the names that stood in for missing ones, without empty lists, and,
/// in settings of which there are many, without conditions that hold for everything.
pub(crate) fn written(row: &Row, mut value: Value) -> Value {
    if let (Document::Listed(list), Some(entries)) = (&row.document, value.as_map_mut())
        && let Some(Value::List(items)) = entries.get_mut(list.name)
    {
        for fields in items.iter_mut().filter_map(Value::as_map_mut) {
            fields.retain(|key, value| key != "filter" || !is_empty_map(value));
        }
    }
    without_stand_ins(value)
}

fn without_stand_ins(value: Value) -> Value {
    match value {
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .filter(|(key, value)| !is_stand_in(key, value))
                .map(|(key, value)| (key, without_stand_ins(value)))
                .filter(|(_, value)| !matches!(value, Value::List(items) if items.is_empty()))
                .collect(),
        ),
        Value::List(items) => Value::List(items.into_iter().map(without_stand_ins).collect()),
        other => other,
    }
}

fn is_stand_in(key: &str, value: &Value) -> bool {
    key == "id" && value.as_str().is_some_and(|id| id.starts_with(UNNAMED))
}

fn group(elements: &[Element], value: &Value) -> Value {
    let Value::Map(entries) = value else {
        return value.clone();
    };
    Value::Map(
        entries
            .iter()
            .map(|(key, value)| {
                let content = elements
                    .iter()
                    .find(|element| element.name == key)
                    .map(|element| &element.content);
                (
                    key.clone(),
                    content.map_or_else(|| value.clone(), |c| content_of(c, value)),
                )
            })
            .collect(),
    )
}

fn content_of(content: &Content, value: &Value) -> Value {
    match (content, value) {
        (Content::Text(_) | Content::Attribute, _) => as_text(value),
        (Content::Integer, Value::String(text)) => text
            .trim()
            .parse::<i64>()
            .map_or_else(|_| value.clone(), Value::from),
        (Content::Bool, Value::String(text)) => match text.trim() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => value.clone(),
        },
        (Content::Date, Value::String(text)) => Value::from(date(text)),
        (Content::Struct(elements), _) => match group(elements, value) {
            Value::Map(conditions) if elements.iter().any(|element| element.name == "and") => {
                filter(&conditions)
            }
            other => other,
        },
        (Content::Repeated(item, identity) | Content::Wrapped(_, item, identity), Value::List(items)) => {
            let normal = |(index, value)| {
                let mut value = content_of(item, value);
                if *identity == BY_ID {
                    name(&mut value, index);
                }
                value
            };
            items.iter().enumerate().map(normal).collect()
        }
        _ => value.clone(),
    }
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::from(value.to_string()),
        other => other.clone(),
    }
}

/// `2030-01-01`, `2030-01-01T00:00:00Z` and `2030-01-01T00:00:00.000Z` are the same moment; the second is the normal
/// form. What is no date stays as it is.
fn date(text: &str) -> String {
    let full = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    OffsetDateTime::parse(&full, &Rfc3339)
        .ok()
        .and_then(|moment| moment.checked_to_offset(time::UtcOffset::UTC))
        .and_then(|moment| moment.replace_nanosecond(0).ok())
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| text.to_owned())
}

/// Without a name an item can't be told from others; its place serves until it is written back without one.
fn name(item: &mut Value, index: usize) {
    if let Some(fields) = item.as_map_mut()
        && fields.get("id").is_none_or(|id| id.as_str() == Some(""))
    {
        let name = format!("{UNNAMED}item {}", index + 1);
        fields.insert("id".to_owned(), Value::from(name));
    }
}

/// A rule as newer clients write it: its prefix in a filter.
fn lifecycle_rule(rule: &mut Value) {
    let Some(fields) = rule.as_map_mut() else {
        return;
    };
    if let Some(prefix) = fields.remove("prefix") {
        fields
            .entry("filter".to_owned())
            .or_insert_with(|| [("prefix", prefix)].into_iter().collect());
    }
    if let Some(Value::Map(conditions)) = fields.get("filter") {
        let normal = filter(conditions);
        fields.insert("filter".to_owned(), normal);
    }
    if let Some(Value::Map(expiration)) = fields.get_mut("expiration")
        && expiration.len() > 1
    {
        // Some stores write out what wasn't asked for.
        expiration.retain(|key, value| key != "expiredObjectDeleteMarker" || *value != Value::Bool(false));
    }
}

/// No condition is `{}`, one stands by itself, several stand under `and`; an empty prefix is no condition.
fn filter(conditions: &BTreeMap<String, Value>) -> Value {
    let mut flat = conditions.clone();
    let mut tags = Vec::new();
    if let Some(Value::Map(all)) = flat.get("and").cloned() {
        flat.remove("and");
        flat.extend(all);
    }
    if let Some(Value::List(items)) = flat.remove("tags") {
        tags.extend(items);
    }
    if let Some(tag) = flat.remove("tag") {
        tags.push(tag);
    }
    if flat.get("prefix").and_then(Value::as_str) == Some("") {
        flat.remove("prefix");
    }
    tags.sort_by_cached_key(ToString::to_string);
    tags.dedup();
    let count = flat.len() + tags.len();
    match tags.as_slice() {
        [] => {}
        [tag] if count == 1 => {
            flat.insert("tag".to_owned(), tag.clone());
        }
        _ => {
            flat.insert("tags".to_owned(), Value::List(tags));
        }
    }
    if count > 1 {
        return [("and", Value::Map(flat))].into_iter().collect();
    }
    Value::Map(flat)
}
