//! YAML as a tree in which every node knows its place.

mod document;
mod parse;
mod recover;
mod scalar;

use std::sync::Arc;

use holdfast_contract::Value;

use crate::anchor::{Anchor, Style};
use crate::place::{Place, Source};

pub(crate) use document::from_json;
pub(crate) use parse::{MAX_BYTES, Parsed, parse};

/// A node of a document.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where it stands.
    pub(crate) place: Place,
    /// The file it was read from.
    pub(crate) source: Arc<Source>,
    /// What it is.
    pub(crate) data: Data,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// Nothing, or a null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Text, with how it is written.
    Text(String, Style),
    /// A list.
    List(Vec<Node>),
    /// A map in the order in which it is written, without duplicates.
    Map(Vec<(Key, Node)>),
    /// What couldn't be read. The fault is reported already, so nothing more is said about it.
    Broken,
}

/// A map's key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Its text. A key that isn't text, such as `80` or `true`, is taken as it is written.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) place: Place,
    /// How it is written.
    pub(crate) style: Style,
}

impl Node {
    /// The entry at `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The entry at `key` with its key, if this is a map that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<(&Key, &Self)> {
        let entry = self.entries()?.iter().find(|(found, _)| found.text == key)?;
        Some((&entry.0, &entry.1))
    }

    /// The entries, if this is a map.
    pub(crate) fn entries(&self) -> Option<&[(Key, Self)]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// What it is, for people: `a list`.
    pub(crate) fn described(&self) -> &'static str {
        match &self.data {
            Data::Null => "null",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Text(..) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
            Data::Broken => "unreadable",
        }
    }

    /// Where a field of this map is missed.
    pub(crate) fn head(&self) -> &Place {
        let first = self.entries().and_then(<[_]>::first);
        self.place.or_first(first.map(|(key, _)| &key.place))
    }

    /// Ties its text to its place.
    pub(crate) fn anchor(&self) -> Anchor {
        match &self.data {
            Data::Text(text, style) => Anchor::new(&self.source, &self.place, *style, text),
            _ => Anchor::new(&self.source, &self.place, Style::Plain, ""),
        }
    }

    /// The document as a value, without regard to templates.
    pub(crate) fn to_value(&self) -> Value {
        match &self.data {
            Data::Null | Data::Broken => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(value) => Value::Number(value.clone()),
            Data::Text(text, _) => Value::String(text.clone()),
            Data::List(items) => Value::List(items.iter().map(Self::to_value).collect()),
            Data::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(key, node)| (key.text.clone(), node.to_value()))
                    .collect(),
            ),
        }
    }

    /// The document as it is written: templates too, and the order of keys.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.data {
            Data::Null | Data::Broken => serde_json::Value::Null,
            Data::Bool(value) => serde_json::Value::Bool(*value),
            Data::Number(value) => serde_json::Value::Number(value.clone()),
            Data::Text(text, _) => serde_json::Value::String(text.clone()),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Map(entries) => serde_json::Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.text.clone(), node.to_json()))
                    .collect(),
            ),
        }
    }
}

impl Key {
    /// Ties its text to its place.
    pub(crate) fn anchor(&self, source: &Arc<Source>) -> Anchor {
        Anchor::new(source, &self.place, self.style, &self.text)
    }
}

/// Reads one YAML document as plain JSON: what `yaml()` does in expressions.
pub(crate) fn to_json(text: &str) -> Result<serde_json::Value, String> {
    let source = Source::new("", text);
    let Parsed { documents, faults } = parse(&source);
    if let Some(fault) = faults.into_iter().next() {
        return Err(fault.message);
    }
    match documents.as_slice() {
        [] => Ok(serde_json::Value::Null),
        [document] => document
            .to_value()
            .expose_json()
            .ok_or_else(|| "not a document".to_owned()),
        _ => Err("more than one document".to_owned()),
    }
}
