//! The normal form of a document: what servers rewrite is written one way, so that equal things compare equal.

use std::collections::BTreeMap;

use holdfast_contract::{Desired, Path, Segment, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::schema::{Content, Element};
use crate::table::{Document, Row};

/// Before a name that stands in for a missing one. No document of the service can hold this character.
const UNNAMED: char = '\u{1}';

/// `value`, a document of `row`, in normal form.
pub(crate) fn document(row: &Row, value: &Value) -> Value {
    let mut result = match &row.document {
        Document::Xml(elements) | Document::Acl(elements) => group(elements, value),
        Document::Tags => match value {
            Value::Map(tags) => Value::Map(
                tags.iter()
                    .map(|(key, value)| (key.clone(), as_text(value)))
                    .collect(),
            ),
            other => other.clone(),
        },
        Document::Policy => value.clone(),
    };
    if row.facet == "lifecycle"
        && let Some(Value::List(rules)) = result.as_map_mut().and_then(|entries| entries.get_mut("rules"))
    {
        for (index, rule) in rules.iter_mut().enumerate() {
            lifecycle_rule(rule, index);
        }
    }
    result
}

/// What is desired, in normal form, with the places that only make sense as a whole marked as exact.
///
/// A lifecycle rule's filter and expiration are such places: the service takes one of several fields, and one field
/// more or less means other objects. So is a default encryption without KMS, where a key that is left over is an
/// error.
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
    let rules = result
        .value
        .get("rules")
        .and_then(Value::as_list)
        .unwrap_or_default();
    let mut exact = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        match (row.facet, rule.get("id")) {
            ("lifecycle", Some(id)) => {
                let place = Path::of(&["rules"]).join(Segment::Item(vec![("id".to_owned(), id.to_string())]));
                exact.extend([place.key("filter"), place.key("expiration")]);
            }
            ("encryption", _)
                if rule
                    .at(&["applyServerSideEncryptionByDefault", "sseAlgorithm"])
                    .and_then(Value::as_str)
                    == Some("AES256") =>
            {
                exact.push(
                    Path::of(&["rules"])
                        .index(index)
                        .key("applyServerSideEncryptionByDefault"),
                );
            }
            _ => {}
        }
    }
    result.exact.extend(exact);
    result
}

/// `value` as the service may be given it: without the names that stood in for missing ones, and without empty lists.
pub(crate) fn written(value: Value) -> Value {
    match value {
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .filter(|(key, value)| !is_stand_in(key, value))
                .map(|(key, value)| (key, written(value)))
                .filter(|(_, value)| !matches!(value, Value::List(items) if items.is_empty()))
                .collect(),
        ),
        Value::List(items) => Value::List(items.into_iter().map(written).collect()),
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
        (Content::Struct(elements), _) => group(elements, value),
        (Content::Repeated(item, _) | Content::Wrapped(_, item, _), Value::List(items)) => {
            items.iter().map(|value| content_of(item, value)).collect()
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
        .map(|moment| moment.to_offset(time::UtcOffset::UTC))
        .and_then(|moment| moment.replace_nanosecond(0).ok())
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| text.to_owned())
}

/// A rule as newer clients write it: named, its prefix in a filter, a filter of several conditions under `and`.
fn lifecycle_rule(rule: &mut Value, index: usize) {
    let Some(fields) = rule.as_map_mut() else {
        return;
    };
    // Without a name a rule can't be told from others; the place serves until it is written back without one.
    let named = fields.get("id").is_some_and(|id| id.as_str() != Some(""));
    if !named {
        fields.insert(
            "id".to_owned(),
            Value::from(format!("{UNNAMED}rule {}", index + 1)),
        );
    }
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
