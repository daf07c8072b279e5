//! How unknown and sensitive values flow from operands to results.

use std::sync::Arc;

use crate::error::{Outcome, fault};
use crate::{Budget, ErrorKind, Span, Unknown, Value};

/// What of the operands so far must show in the result.
///
/// Operands are opened, the result is computed from what was inside unless [`Flow::unknown`] says that it is known
/// only after apply, and then closed.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    unknown: Option<Unknown>,
    pub(crate) sensitive: bool,
}

impl Flow {
    /// The operand without its marks; what is nested in it keeps its own. An unknown operand gives null, which must
    /// not be computed with.
    pub(crate) fn open(&mut self, value: Value, span: Span) -> Outcome {
        match value {
            Value::Sensitive(sensitive) => {
                self.sensitive = true;
                self.open(sensitive.into_exposed(), span)
            }
            Value::Unknown(unknown) => {
                self.wait_for(unknown);
                Ok(Value::Null)
            }
            Value::Failed(error) => Err(Box::new(error.as_ref().clone().at(span))),
            Value::Omit => Err(fault(
                ErrorKind::Type,
                span,
                "`omit()` only leaves something out, nothing works on it",
            )),
            value => Ok(value),
        }
    }

    /// Like [`Flow::open`], for operations that look at all that is inside the operand.
    pub(crate) fn open_deep(&mut self, budget: &mut Budget, value: Value, span: Span) -> Outcome {
        let value = self.open(value, span)?;
        if is_plain(budget, &value, span)? {
            return Ok(value);
        }
        Ok(match value {
            Value::List(elements) => {
                budget.elements(elements.len(), span)?;
                let mut opened = Vec::with_capacity(elements.len());
                for element in elements.iter() {
                    opened.push(self.open_deep(budget, element.clone(), span)?);
                }
                Value::List(Arc::new(opened))
            }
            Value::Map(entries) => {
                budget.elements(entries.len(), span)?;
                let mut opened = std::collections::BTreeMap::new();
                for (key, value) in entries.iter() {
                    opened.insert(key.clone(), self.open_deep(budget, value.clone(), span)?);
                }
                Value::Map(Arc::new(opened))
            }
            Value::Optional(Some(inner)) => Value::some(self.open_deep(budget, *inner, span)?),
            value => value,
        })
    }

    fn wait_for(&mut self, unknown: Unknown) {
        self.unknown = Some(match self.unknown.take() {
            Some(before) => before.union(&unknown),
            None => unknown,
        });
    }

    /// Whether all operands so far are known.
    pub(crate) const fn is_known(&self) -> bool {
        self.unknown.is_none()
    }

    /// The result, where an operand was unknown.
    pub(crate) fn unknown(&mut self) -> Option<Value> {
        let unknown = self.unknown.take()?;
        let sensitive = unknown.sensitive || self.sensitive;
        Some(Value::Unknown(Unknown { sensitive, ..unknown }))
    }

    /// The result with the operands' marks on it.
    pub(crate) fn close(mut self, value: Value) -> Value {
        match self.unknown() {
            Some(unknown) => unknown,
            None if self.sensitive => Value::sensitive(value),
            None => value,
        }
    }
}

/// Whether nothing inside bears a mark.
fn is_plain(budget: &mut Budget, value: &Value, span: Span) -> Outcome<bool> {
    match value {
        Value::List(elements) => {
            budget.step(elements.len(), span)?;
            for element in elements.iter() {
                if !is_plain(budget, element, span)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Value::Map(entries) => {
            budget.step(entries.len(), span)?;
            for value in entries.values() {
                if !is_plain(budget, value, span)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Value::Optional(Some(inner)) => is_plain(budget, inner, span),
        Value::Unknown(_) | Value::Sensitive(_) | Value::Failed(_) | Value::Omit => Ok(false),
        _ => Ok(true),
    }
}

/// What `&&`, `||`, `all` and `exists` know so far.
///
/// One decisive operand settles it, whatever the others are; else what is unknown makes the result unknown, else the
/// first error is raised.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The operand that settles it: `true` for `||` and `exists`, `false` for `&&` and `all`.
    decisive: bool,
    flow: Flow,
    error: Option<Box<crate::Error>>,
}

impl Verdict {
    pub(crate) fn new(decisive: bool, flow: Flow) -> Self {
        Self {
            decisive,
            flow,
            error: None,
        }
    }

    /// Takes another operand, and says whether it settles the matter.
    pub(crate) fn take(&mut self, operand: Outcome, span: Span) -> Outcome<bool> {
        let opened = operand.and_then(|value| {
            let mut own = Flow::default();
            let opened = own.open(value, span)?;
            self.flow.sensitive |= own.sensitive;
            if let Some(unknown) = own.unknown.take() {
                self.flow.wait_for(unknown);
                return Ok(None);
            }
            match opened {
                Value::Bool(bool) => Ok(Some(bool)),
                other => Err(not_a_bool(&other, span)),
            }
        });
        match opened {
            Ok(bool) => Ok(bool == Some(self.decisive)),
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                self.error.get_or_insert(error);
                Ok(false)
            }
        }
    }

    /// The result once an operand has settled it.
    pub(crate) fn settled(self) -> Value {
        let value = Value::Bool(self.decisive);
        if self.flow.sensitive {
            Value::sensitive(value)
        } else {
            value
        }
    }

    /// The result where none has.
    pub(crate) fn open_end(self) -> Outcome {
        match (self.flow.unknown.is_some(), self.error) {
            (false, Some(error)) => Err(error),
            _ => Ok(self.flow.close(Value::Bool(!self.decisive))),
        }
    }
}

pub(crate) fn not_a_bool(value: &Value, span: Span) -> Box<crate::Error> {
    fault(
        ErrorKind::Type,
        span,
        format!("a bool is needed here, and this is of type {}", value.kind()),
    )
}
