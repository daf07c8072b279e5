//! List and map literals, and `in`.

use std::collections::BTreeMap;

use super::{Machine, list_of, not_optional};
use crate::error::{Outcome, fault};
use crate::flow::{Flow, Verdict};
use crate::node::{Entry, Item, Node};
use crate::operators::{self, key_of};
use crate::{ErrorKind, MapKey, Span, Value};

impl Machine<'_> {
    pub(super) fn list(&mut self, span: Span, items: &[Item]) -> Outcome {
        self.budget.elements(items.len(), span)?;
        let mut flow = Flow::default();
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let value = self.evaluate(&item.value)?;
            let value = if item.optional {
                Self::optional(&mut flow, value, item.value.span)?
            } else {
                Some(value)
            };
            values.extend(value.filter(|value| !matches!(value, Value::Omit)));
        }
        Ok(flow.close(list_of(values)))
    }

    pub(super) fn map(&mut self, span: Span, entries: &[Entry]) -> Outcome {
        self.budget.elements(entries.len(), span)?;
        let mut flow = Flow::default();
        let mut map = BTreeMap::new();
        for entry in entries {
            let key = self.evaluate(&entry.key)?;
            let key = flow.open(key, entry.key.span)?;
            let value = self.evaluate(&entry.value)?;
            let value = if entry.optional {
                Self::optional(&mut flow, value, entry.value.span)?
            } else {
                Some(value)
            };
            if !flow.is_known() {
                continue;
            }
            let key = map_key(&key, entry.key.span)?;
            if let Some(value) = value.filter(|value| !matches!(value, Value::Omit)) {
                insert(&mut map, key, value, entry.key.span)?;
            }
        }
        Ok(flow.close(Value::from(map)))
    }

    /// The value of an optional element or entry, nothing where it has none.
    fn optional(flow: &mut Flow, value: Value, span: Span) -> Outcome<Option<Value>> {
        match flow.open(value, span)? {
            Value::Optional(inner) => Ok(inner.map(|inner| *inner)),
            _ if !flow.is_known() => Ok(None),
            other => Err(not_optional("?", other.kind(), span)),
        }
    }

    /// Whether a list has an equal element, or a map such a key. An element found settles it, whatever the others.
    pub(super) fn within(&mut self, span: Span, left: &Node, right: &Node) -> Outcome {
        let mut flow = Flow::default();
        let value = self.evaluate(left)?;
        let wanted = flow.open_deep(self.budget, value, left.span)?;
        let value = self.evaluate(right)?;
        let range = flow.open(value, right.span)?;
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        match range {
            Value::Map(entries) => {
                let is_there = match key_of(&wanted) {
                    Some(key) => !matches!(entries.get(&key), None | Some(Value::Omit)),
                    None => false,
                };
                Ok(flow.close(Value::Bool(is_there)))
            }
            Value::List(elements) => {
                let mut verdict = Verdict::new(true, flow);
                for element in elements.iter() {
                    let mut own = Flow::default();
                    let equal = own
                        .open_deep(self.budget, element.clone(), right.span)
                        .and_then(|element| {
                            Ok(own.close(Value::Bool(operators::equal(
                                self.budget,
                                &wanted,
                                &element,
                                span,
                            )?)))
                        });
                    if verdict.take(equal, right.span)? {
                        return Ok(verdict.settled());
                    }
                }
                verdict.open_end()
            }
            other => {
                let message = format!(
                    "`in` looks into a list or a map, and this is of type {}",
                    other.kind()
                );
                Err(fault(ErrorKind::Type, right.span, message))
            }
        }
    }
}

/// The key of a map literal or of an entry that a macro makes.
pub(crate) fn map_key(value: &Value, span: Span) -> Outcome<MapKey> {
    match value {
        Value::Bool(bool) => Ok(MapKey::Bool(*bool)),
        Value::Int(int) => Ok(MapKey::Int(*int)),
        Value::String(text) => Ok(MapKey::String(text.clone())),
        other => {
            let message = format!(
                "a key is a string, an int or a bool, and this is of type {}",
                other.kind()
            );
            Err(fault(ErrorKind::Type, span, message))
        }
    }
}

/// Adds an entry whose key must be new.
pub(crate) fn insert(
    map: &mut BTreeMap<MapKey, Value>,
    key: MapKey,
    value: Value,
    span: Span,
) -> Outcome<()> {
    match map.insert(key, value) {
        None => Ok(()),
        Some(_) => Err(fault(ErrorKind::Argument, span, "this key is there twice")),
    }
}
