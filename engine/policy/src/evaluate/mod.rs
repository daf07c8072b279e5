//! Evaluating expressions, templates and trees: values together with the places they come from.

mod text;
mod tree;

use std::collections::BTreeMap;

use holdfast_contract::{Path, Segment, Unknown, Value};
use holdfast_expression::{self as expression, Error, ErrorKind};

use crate::place::Place;

/// An expression that couldn't be evaluated, and where in the policy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}: {error}")]
pub struct EvaluationError {
    /// Where.
    pub place: Place,
    /// Why. Its span is within the expression, not within the file.
    pub error: Error,
}

impl EvaluationError {
    fn new(place: Place, kind: ErrorKind, message: &str) -> Self {
        Self {
            place,
            error: Error::new(kind, expression::Span::default(), message),
        }
    }

    fn of(place: &Place, error: Error) -> Self {
        Self {
            place: place.clone(),
            error,
        }
    }

    /// The path that isn't there, where that is the reason.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        match &self.error.kind {
            ErrorKind::Missing { path } => Some(path),
            _ => None,
        }
    }
}

/// Whether a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    Yes,
    /// It doesn't.
    No,
    /// That is known only after a write.
    Unknown(Unknown),
}

/// A document, and the places that its parts come from.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The document.
    pub value: Value,
    /// Where its parts come from.
    pub origins: Origins,
}

/// Where a part of a document, and the parts below it, come from. A part that an expression gave as a whole has
/// nothing below.
#[derive(Clone, Debug)]
pub struct Origins {
    /// Where the value stands.
    pub place: Place,
    /// Where its key stands, if it is an entry of a map.
    pub key: Option<Place>,
    /// The entries of a map.
    pub entries: BTreeMap<String, Origins>,
    /// The items of a list.
    pub items: Vec<Origins>,
}

impl Origins {
    pub(crate) fn leaf(place: Place) -> Self {
        Self {
            place,
            key: None,
            entries: BTreeMap::new(),
            items: Vec::new(),
        }
    }
}

impl Evaluated {
    /// Where the part at `path` comes from: the deepest part on the way to it whose place is known.
    #[must_use]
    pub fn origin(&self, path: &Path) -> &Place {
        let mut origins = &self.origins;
        let mut value = Some(&self.value);
        for segment in path.segments() {
            let (below, next) = match segment {
                Segment::Key(key) => (origins.entries.get(key), value.and_then(|value| value.get(key))),
                Segment::Index(index) => (
                    origins.items.get(*index),
                    value.and_then(Value::as_list).and_then(|items| items.get(*index)),
                ),
                Segment::Item(keys) => {
                    let items = value.and_then(Value::as_list).unwrap_or_default();
                    let found = items.iter().position(|item| {
                        keys.iter()
                            .all(|(key, text)| item.get(key).is_some_and(|value| value.to_string() == *text))
                    });
                    (
                        found.and_then(|index| origins.items.get(index)),
                        found.and_then(|index| items.get(index)),
                    )
                }
            };
            let Some(below) = below else {
                break;
            };
            origins = below;
            value = next;
        }
        &origins.place
    }
}

/// Lays `default` under `document`: maps merge, and where both say something the document wins, with null too.
#[must_use]
pub fn lay_under(document: Evaluated, default: &Evaluated) -> Evaluated {
    let Evaluated {
        mut value,
        mut origins,
    } = document;
    merge_under(&mut value, &mut origins, &default.value, &default.origins);
    Evaluated { value, origins }
}

fn merge_under(value: &mut Value, origins: &mut Origins, default: &Value, default_origins: &Origins) {
    let (Value::Map(entries), Value::Map(defaults)) = (value, default) else {
        return;
    };
    for (key, default) in defaults {
        let from = default_origins.entries.get(key).unwrap_or(default_origins);
        if let Some(entry) = entries.get_mut(key) {
            if let Some(origins) = origins.entries.get_mut(key) {
                merge_under(entry, origins, default, from);
            }
        } else {
            entries.insert(key.clone(), default.clone());
            origins.entries.insert(key.clone(), from.clone());
        }
    }
}

/// What `each` is for each item of `over`: a list's texts key themselves, and so do a map's entries. `None` where it
/// is neither.
#[must_use]
pub fn each_items(over: &expression::Value) -> Option<Vec<(Option<expression::Value>, expression::Value)>> {
    match over {
        expression::Value::List(items) => Some(
            items
                .iter()
                .map(|item| (item.as_str().map(|_| item.clone()), item.clone()))
                .collect(),
        ),
        expression::Value::Map(entries) => Some(
            entries
                .iter()
                .map(|(key, value)| (Some(key.to_value()), value.clone()))
                .collect(),
        ),
        _ => None,
    }
}

fn to_unknown(unknown: &expression::Unknown) -> Unknown {
    Unknown {
        waits_for: unknown.waits_for.as_ref().clone(),
        sensitive: unknown.sensitive,
    }
}
