//! Documents as trees of values, two of which no plain JSON has: unknown and sensitive.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Serialize, Serializer};

use crate::path::{Path, Segment};

/// A document, or a part of one.
///
/// Maps are ordered by key, so that the same input always prints the same bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// JSON null. In a `desired` document it means "undeclared", and is removed before anything compares it.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, as JSON has it.
    Number(serde_json::Number),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Value>),
    /// A map with text keys.
    Map(BTreeMap<String, Value>),
    /// Known only after a write.
    Unknown(Unknown),
    /// Never shown.
    Sensitive(Sensitive),
}

/// A value that is known only after something else was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// What it waits for, as addresses or references a person knows: `rules.bucket.name`.
    pub waits_for: BTreeSet<String>,
    /// Whether it will be sensitive once it is known.
    pub sensitive: bool,
}

/// A value that no output may show. `Debug`, `Display` and `Serialize` all give `(sensitive value)`.
#[derive(Clone, PartialEq)]
pub struct Sensitive(Box<Value>);

impl Sensitive {
    /// Seals `value`. Sealing twice is sealing once.
    #[must_use]
    pub fn new(value: Value) -> Self {
        match value {
            Value::Sensitive(sealed) => sealed,
            plain => Self(Box::new(plain)),
        }
    }

    /// The content, for comparing it or for the one request that sends it. Never for a message.
    #[must_use]
    pub fn expose(&self) -> &Value {
        &self.0
    }
}

/// What stands in every output in place of a sensitive value.
pub(crate) const REDACTED: &str = "(sensitive value)";
/// What stands in every output in place of an unknown value.
pub(crate) const UNKNOWN: &str = "(known after apply)";

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Unknown and sensitive values serialize as their placeholder texts.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::String(value) => serializer.serialize_str(value),
            Self::List(items) => items.serialize(serializer),
            Self::Map(entries) => entries.serialize(serializer),
            Self::Unknown(_) => serializer.serialize_str(UNKNOWN),
            Self::Sensitive(_) => serializer.serialize_str(REDACTED),
        }
    }
}

/// Compact JSON, with the placeholders in place of what is unknown or sensitive.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(text),
            Self::Unknown(_) => f.write_str(UNKNOWN),
            Self::Sensitive(_) => f.write_str(REDACTED),
            other => f.write_str(&serde_json::to_string(other).map_err(|_| fmt::Error)?),
        }
    }
}

impl Value {
    /// An empty map.
    #[must_use]
    pub fn map() -> Self {
        Self::Map(BTreeMap::new())
    }

    /// From plain JSON.
    #[must_use]
    pub fn from_json(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(value) => Self::Number(value),
            serde_json::Value::String(value) => Self::String(value),
            serde_json::Value::Array(items) => Self::List(items.into_iter().map(Self::from_json).collect()),
            serde_json::Value::Object(entries) => Self::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, Self::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// Plain JSON **with the content of sensitive values**, for the one request that sends it; `None` while a part
    /// is unknown.
    #[must_use]
    pub fn expose_json(&self) -> Option<serde_json::Value> {
        Some(match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => serde_json::Value::Bool(*value),
            Self::Number(value) => serde_json::Value::Number(value.clone()),
            Self::String(value) => serde_json::Value::String(value.clone()),
            Self::List(items) => {
                serde_json::Value::Array(items.iter().map(Self::expose_json).collect::<Option<_>>()?)
            }
            Self::Map(entries) => serde_json::Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| Some((key.clone(), value.expose_json()?)))
                    .collect::<Option<_>>()?,
            ),
            Self::Unknown(_) => return None,
            Self::Sensitive(sealed) => sealed.expose().expose_json()?,
        })
    }

    /// The value itself, a sensitive one opened, for comparing only.
    #[must_use]
    pub fn exposed(&self) -> &Self {
        match self {
            Self::Sensitive(sealed) => sealed.expose(),
            other => other,
        }
    }

    /// Seals this value.
    #[must_use]
    pub fn sealed(self) -> Self {
        Self::Sensitive(Sensitive::new(self))
    }

    /// Whether this is, or holds, something sensitive.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        match self {
            Self::Sensitive(_) => true,
            Self::Unknown(unknown) => unknown.sensitive,
            Self::List(items) => items.iter().any(Self::is_sensitive),
            Self::Map(entries) => entries.values().any(Self::is_sensitive),
            _ => false,
        }
    }

    /// What the unknown parts of this value wait for; empty when all of it is known.
    #[must_use]
    pub fn waits_for(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.collect_waits(&mut found);
        found
    }

    fn collect_waits(&self, found: &mut BTreeSet<String>) {
        match self {
            Self::Unknown(unknown) => found.extend(unknown.waits_for.iter().cloned()),
            Self::List(items) => items.iter().for_each(|item| item.collect_waits(found)),
            Self::Map(entries) => entries.values().for_each(|value| value.collect_waits(found)),
            Self::Sensitive(sealed) => sealed.expose().collect_waits(found),
            _ => {}
        }
    }

    /// Whether a part of it is known only after a write.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::List(items) => items.iter().any(Self::has_unknown),
            Self::Map(entries) => entries.values().any(Self::has_unknown),
            Self::Sensitive(sealed) => sealed.expose().has_unknown(),
            _ => false,
        }
    }

    /// The entry `key` of a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self.exposed() {
            Self::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    /// What stands at `keys`, each a map key.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// What stands at `path`.
    #[must_use]
    pub fn at_path(&self, path: &Path) -> Option<&Self> {
        path.segments()
            .iter()
            .try_fold(self, |value, segment| match (value.exposed(), segment) {
                (Self::Map(entries), Segment::Key(key)) => entries.get(key),
                (Self::List(items), Segment::Index(index)) => items.get(*index),
                (Self::List(items), Segment::Item(keys)) => items.iter().find(|item| {
                    keys.iter()
                        .all(|(key, text)| item.get(key).is_some_and(|v| v.to_string() == *text))
                }),
                _ => None,
            })
    }

    /// The text, if this is one. A sensitive text is not given.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, if this is one.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(value) => value.as_i64(),
            _ => None,
        }
    }

    /// The items, if this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if this is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entries, if this is a map.
    pub fn as_map_mut(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The same document without its nulls: in a map a null means "undeclared". Nulls in lists stay.
    #[must_use]
    pub fn without_nulls(self) -> Self {
        match self {
            Self::Map(entries) => Self::Map(
                entries
                    .into_iter()
                    .filter(|(_, value)| *value != Self::Null)
                    .map(|(key, value)| (key, value.without_nulls()))
                    .collect(),
            ),
            Self::List(items) => Self::List(items.into_iter().map(Self::without_nulls).collect()),
            Self::Sensitive(sealed) => sealed.expose().clone().without_nulls().sealed(),
            other => other,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        Self::from_json(value)
    }
}

impl<V: Into<Value>> FromIterator<V> for Value {
    fn from_iter<I: IntoIterator<Item = V>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        Self::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sensitive_value_never_prints() {
        let secret = Value::from_json(json!({"password": "hunter2"})).sealed();
        let holder: Value = [("data", secret)].into_iter().collect();
        let printed = format!("{holder} {holder:?} {}", serde_json::to_string(&holder).unwrap());
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("(sensitive value)"));
    }

    #[test]
    fn an_unknown_value_names_what_it_waits_for() {
        let unknown = Unknown {
            waits_for: ["rules.bucket.name".to_owned()].into(),
            sensitive: false,
        };
        let holder: Value = [("bucket", Value::Unknown(unknown))].into_iter().collect();
        assert_eq!(holder.to_string(), r#"{"bucket":"(known after apply)"}"#);
        assert_eq!(
            holder.waits_for().into_iter().collect::<Vec<_>>(),
            ["rules.bucket.name"]
        );
        assert_eq!(holder.expose_json(), None);
    }

    #[test]
    fn nulls_are_dropped_from_maps_and_kept_in_lists() {
        let value = Value::from_json(json!({"a": null, "b": [null, {"c": null}]})).without_nulls();
        assert_eq!(value.to_string(), r#"{"b":[null,{}]}"#);
    }
}
