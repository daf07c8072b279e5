//! Fields, indexes, and whether they are there.

use super::Machine;
use crate::error::{Outcome, fault};
use crate::flow::Flow;
use crate::node::{Node, NodeKind};
use crate::operators::{key_of, whole};
use crate::{ErrorKind, MapKey, Span, Value};

/// What a step of a path finds.
enum Found {
    Value(Value),
    Nothing,
}

impl Machine<'_> {
    pub(super) fn select(&mut self, node: &Node, operand: &Node, key: &MapKey, optional: bool) -> Outcome {
        let value = self.evaluate(operand)?;
        let mut flow = Flow::default();
        let Some((value, optional)) = open_operand(&mut flow, value, optional, operand.span)? else {
            return Ok(flow.close(Value::Optional(None)));
        };
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        let found = field(&value, key, node.span)?;
        self.conclude(node, flow, found, optional, key.as_str())
    }

    pub(super) fn index(&mut self, node: &Node, operand: &Node, index: &Node, optional: bool) -> Outcome {
        let value = self.evaluate(operand)?;
        let mut flow = Flow::default();
        let opened = open_operand(&mut flow, value, optional, operand.span)?;
        let at = self.evaluate(index)?;
        let at = flow.open(at, index.span)?;
        let Some((value, optional)) = opened else {
            return Ok(flow.close(Value::Optional(None)));
        };
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        let found = element(&value, &at, node.span, index.span)?;
        if matches!(value, Value::List(_)) && whole(&at).is_some_and(i64::is_negative) && !optional {
            return Err(fault(
                ErrorKind::Index,
                index.span,
                "an index of a list is never below zero",
            ));
        }
        self.conclude(node, flow, found, optional, None)
    }

    /// The result of a selection: an optional where it may be absent.
    fn conclude(
        &self,
        node: &Node,
        flow: Flow,
        found: Found,
        optional: bool,
        field: Option<&str>,
    ) -> Outcome {
        Ok(flow.close(match found {
            // Whether it is there is as unknown as the value itself.
            Found::Value(unknown @ Value::Unknown(_)) => unknown,
            Found::Value(value) if optional => Value::some(value),
            Found::Value(value) => value,
            Found::Nothing if optional => Value::Optional(None),
            Found::Nothing => return Err(self.missing(node.span, field)),
        }))
    }

    /// Whether a selection finds something: false as soon as any step of its path is missing.
    pub(super) fn has(&mut self, selection: &Node) -> Outcome {
        let mut flow = Flow::default();
        let found = self.presence(selection, &mut flow)?;
        Ok(flow.close(match found {
            Found::Value(Value::Unknown(unknown)) => Value::Unknown(unknown),
            Found::Value(_) => Value::Bool(true),
            Found::Nothing => Value::Bool(false),
        }))
    }

    fn presence(&mut self, node: &Node, flow: &mut Flow) -> Outcome<Found> {
        self.budget.step(1, node.span)?;
        let (NodeKind::Select { operand, .. } | NodeKind::Index { operand, .. }) = &node.kind else {
            return Ok(Found::Value(self.evaluate(node)?));
        };
        let Found::Value(value) = self.presence(operand, flow)? else {
            return Ok(Found::Nothing);
        };
        let Some((value, _)) = open_operand(flow, value, true, operand.span)? else {
            return Ok(Found::Nothing);
        };
        match &node.kind {
            // The null that stands for an unknown operand must not be looked into.
            _ if !flow.is_known() => Ok(Found::Value(Value::Null)),
            NodeKind::Select { key, .. } => field(&value, key, node.span),
            NodeKind::Index { index, .. } => {
                let at = self.evaluate(index)?;
                let at = flow.open(at, index.span)?;
                if flow.is_known() {
                    element(&value, &at, node.span, index.span)
                } else {
                    Ok(Found::Value(Value::Null))
                }
            }
            _ => Ok(Found::Nothing),
        }
    }
}

/// Opens an operand, also out of an optional: once something in a path may be absent, so may all that follows.
fn open_operand(flow: &mut Flow, value: Value, optional: bool, span: Span) -> Outcome<Option<(Value, bool)>> {
    Ok(match flow.open(value, span)? {
        Value::Optional(None) => None,
        Value::Optional(Some(inner)) => Some((flow.open(*inner, span)?, true)),
        value => Some((value, optional)),
    })
}

fn field(value: &Value, key: &MapKey, span: Span) -> Outcome<Found> {
    match value {
        Value::Map(entries) => found(entries.get(key), span),
        other => {
            let message = format!("`{key}` can't be a field here: this is of type {}", other.kind());
            Err(fault(ErrorKind::Type, span, message))
        }
    }
}

fn element(value: &Value, at: &Value, span: Span, at_span: Span) -> Outcome<Found> {
    match value {
        Value::Map(entries) => match key_of(at) {
            Some(key) => found(entries.get(&key), span),
            None if matches!(at, Value::Double(_)) => Ok(Found::Nothing),
            None => Err(fault(
                ErrorKind::Type,
                at_span,
                format!("a key can't be of type {}", at.kind()),
            )),
        },
        Value::List(elements) => {
            let Some(index) = whole(at) else {
                let message = format!("an index of a list is an int, and this is of type {}", at.kind());
                return Err(fault(ErrorKind::Type, at_span, message));
            };
            found(
                usize::try_from(index).ok().and_then(|index| elements.get(index)),
                span,
            )
        }
        other => {
            let message = format!(
                "only lists and maps have elements, and this is of type {}",
                other.kind()
            );
            Err(fault(ErrorKind::Type, span, message))
        }
    }
}

fn found(value: Option<&Value>, span: Span) -> Outcome<Found> {
    match value {
        None | Some(Value::Omit) => Ok(Found::Nothing),
        Some(Value::Failed(error)) => Err(Box::new(error.as_ref().clone().at(span))),
        Some(value) => Ok(Found::Value(value.clone())),
    }
}
