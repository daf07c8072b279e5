//! Evaluation of a checked expression.

mod collections;
mod loops;
mod select;

use std::sync::Arc;

use crate::ast::Relation;
use crate::error::{Outcome, fault};
use crate::flow::{Flow, Verdict, not_a_bool};
use crate::functions::Site;
use crate::node::{Call, Node, NodeKind};
use crate::{Budget, Context, ErrorKind, Scope, Span, Value, YamlDecoder, operators};

pub(crate) use collections::map_key;

/// One evaluation.
pub(crate) struct Machine<'a> {
    pub(crate) scope: &'a dyn Scope,
    pub(crate) budget: &'a mut Budget,
    pub(crate) context: &'a Context<'a>,
    pub(crate) source: &'a str,
    pub(crate) yaml: Option<YamlDecoder>,
    /// Macro variables, by slot.
    pub(crate) locals: Vec<Value>,
}

impl Machine<'_> {
    /// The value of a node. It only dispatches, so that a level of recursion takes little stack.
    pub(crate) fn evaluate(&mut self, node: &Node) -> Outcome {
        self.budget.step(1, node.span)?;
        match &node.kind {
            NodeKind::Literal(value) => Ok(value.clone()),
            NodeKind::Root(name) => self.root(name, node.span),
            NodeKind::Local(slot) => self.local(*slot, node.span),
            NodeKind::Select {
                operand,
                key,
                optional,
            } => self.select(node, operand, key, *optional),
            NodeKind::Index {
                operand,
                index,
                optional,
            } => self.index(node, operand, index, *optional),
            NodeKind::Has(selection) => self.has(selection),
            NodeKind::List(items) => self.list(node.span, items),
            NodeKind::Map(entries) => self.map(node.span, entries),
            NodeKind::Not(operand) => self.not(operand),
            NodeKind::Negate(operand) => self.negate(node.span, operand),
            NodeKind::Logic { any, operands } => self.logic(*any, operands),
            NodeKind::Arithmetic { .. } => self.arithmetic(node),
            NodeKind::Relation {
                relation: Relation::In,
                left,
                right,
            } => self.within(node.span, left, right),
            NodeKind::Relation {
                relation,
                left,
                right,
            } => self.relation(node.span, *relation, left, right),
            NodeKind::Conditional {
                condition,
                then,
                otherwise,
            } => self.conditional(condition, then, otherwise),
            NodeKind::Call(call) => self.call(node.span, call),
            NodeKind::Fallback {
                operand,
                fallback,
                unwrap,
            } => self.fallback(operand, fallback, *unwrap),
            NodeKind::Bind { slot, value, body } => self.bind(*slot, value, body),
            NodeKind::OptionalMap {
                operand,
                slot,
                body,
                flat,
            } => self.optional_map(operand, *slot, body, *flat),
            NodeKind::Loop(looped) => self.run_loop(node.span, looped),
        }
    }

    fn root(&self, name: &str, span: Span) -> Outcome {
        match self.scope.root(name) {
            Some(Value::Failed(error)) => Err(Box::new(error.as_ref().clone().at(span))),
            Some(value) => Ok(value),
            None => Err(self.missing(span, None)),
        }
    }

    fn local(&self, slot: usize, span: Span) -> Outcome {
        match self.locals.get(slot) {
            Some(Value::Failed(error)) => Err(Box::new(error.as_ref().clone().at(span))),
            Some(value) => Ok(value.clone()),
            None => Ok(Value::Null),
        }
    }

    pub(crate) fn set_local(&mut self, slot: usize, value: Value) {
        if let Some(local) = self.locals.get_mut(slot) {
            *local = value;
        }
    }

    fn not(&mut self, operand: &Node) -> Outcome {
        let value = self.evaluate(operand)?;
        let mut flow = Flow::default();
        let value = flow.open(value, operand.span)?;
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        match value {
            Value::Bool(bool) => Ok(flow.close(Value::Bool(!bool))),
            other => Err(not_a_bool(&other, operand.span)),
        }
    }

    fn negate(&mut self, span: Span, operand: &Node) -> Outcome {
        let value = self.evaluate(operand)?;
        let mut flow = Flow::default();
        let value = flow.open(value, operand.span)?;
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        Ok(flow.close(operators::negate(&value, span)?))
    }

    fn logic(&mut self, any: bool, operands: &[Node]) -> Outcome {
        let mut verdict = Verdict::new(any, Flow::default());
        for operand in operands {
            let value = self.evaluate(operand);
            if verdict.take(value, operand.span)? {
                return Ok(verdict.settled());
            }
        }
        verdict.open_end()
    }

    fn arithmetic(&mut self, node: &Node) -> Outcome {
        let NodeKind::Arithmetic { first, rest } = &node.kind else {
            return Ok(Value::Null);
        };
        let mut flow = Flow::default();
        let value = self.evaluate(first)?;
        let mut total = flow.open(value, first.span)?;
        for (operator, at, operand) in rest {
            let value = self.evaluate(operand)?;
            let value = flow.open(value, operand.span)?;
            if flow.is_known() {
                total = operators::arithmetic(self.budget, *operator, *at, &total, &value)?;
            }
        }
        Ok(flow.close(total))
    }

    fn relation(&mut self, span: Span, relation: Relation, left: &Node, right: &Node) -> Outcome {
        let mut flow = Flow::default();
        let is_deep = matches!(relation, Relation::Equal | Relation::Unequal);
        let mut open = |machine: &mut Self, operand: &Node| {
            let value = machine.evaluate(operand)?;
            if is_deep {
                flow.open_deep(machine.budget, value, operand.span)
            } else {
                flow.open(value, operand.span)
            }
        };
        let left = open(self, left)?;
        let right = open(self, right)?;
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        Ok(flow.close(Value::Bool(operators::relation(
            self.budget,
            relation,
            span,
            &left,
            &right,
        )?)))
    }

    fn conditional(&mut self, condition: &Node, then: &Node, otherwise: &Node) -> Outcome {
        let value = self.evaluate(condition)?;
        let mut flow = Flow::default();
        let value = flow.open(value, condition.span)?;
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        match value {
            Value::Bool(true) => Ok(flow.close(self.evaluate(then)?)),
            Value::Bool(false) => Ok(flow.close(self.evaluate(otherwise)?)),
            other => Err(not_a_bool(&other, condition.span)),
        }
    }

    fn call(&mut self, span: Span, call: &Call) -> Outcome {
        let mut flow = Flow::default();
        let mut values = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            let value = self.evaluate(argument)?;
            values.push(flow.open(value, argument.span)?);
        }
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        let Some(overload) = call.overloads.iter().find(|overload| overload.accepts(&values)) else {
            return Err(crate::functions::mismatch(call, span, &values));
        };
        if overload.deep {
            for value in &mut values {
                *value = flow.open_deep(self.budget, std::mem::replace(value, Value::Null), span)?;
            }
            if let Some(unknown) = flow.unknown() {
                return Ok(unknown);
            }
        }
        let site = Site {
            name: call.name,
            span,
            pattern: call.pattern.as_ref(),
        };
        Ok(flow.close((overload.run)(self, &site, &values)?))
    }

    fn fallback(&mut self, operand: &Node, fallback: &Node, unwrap: bool) -> Outcome {
        let value = self.evaluate(operand)?;
        let mut flow = Flow::default();
        let value = flow.open(value, operand.span)?;
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        let result = match value {
            Value::Optional(Some(inner)) if unwrap => Self::used(*inner, operand.span)?,
            some @ Value::Optional(Some(_)) => some,
            Value::Optional(None) => self.evaluate(fallback)?,
            other => {
                return Err(not_optional(
                    if unwrap { "orValue" } else { "or" },
                    other.kind(),
                    operand.span,
                ));
            }
        };
        Ok(flow.close(result))
    }

    /// A value taken out of another: what couldn't be read is raised now.
    fn used(value: Value, span: Span) -> Outcome {
        if let Value::Failed(error) = value {
            Err(Box::new(error.as_ref().clone().at(span)))
        } else {
            Ok(value)
        }
    }

    fn bind(&mut self, slot: usize, value: &Node, body: &Node) -> Outcome {
        let value = self.evaluate(value)?;
        self.set_local(slot, value);
        self.evaluate(body)
    }

    fn optional_map(&mut self, operand: &Node, slot: usize, body: &Node, flat: bool) -> Outcome {
        let value = self.evaluate(operand)?;
        let mut flow = Flow::default();
        let value = flow.open(value, operand.span)?;
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        let inner = match value {
            Value::Optional(Some(inner)) => *inner,
            Value::Optional(None) => return Ok(flow.close(Value::Optional(None))),
            other => {
                return Err(not_optional(
                    if flat { "optFlatMap" } else { "optMap" },
                    other.kind(),
                    operand.span,
                ));
            }
        };
        self.set_local(
            slot,
            if flow.sensitive {
                Value::sensitive(inner)
            } else {
                inner
            },
        );
        let result = self.evaluate(body)?;
        Ok(flow.close(if flat { result } else { Value::some(result) }))
    }

    /// What a missing path raises.
    pub(crate) fn missing(&self, span: Span, field: Option<&str>) -> Box<crate::Error> {
        let path = span.text(self.source);
        let error = fault(
            ErrorKind::Missing {
                path: path.to_owned(),
            },
            span,
            format!("`{path}` isn't there"),
        );
        match field {
            Some(field) => Box::new(error.with_hint(format!(
                "if it may be absent: `.?{field}` and `.orValue(…)`, or has(…) before"
            ))),
            None => error,
        }
    }
}

/// What a method of optionals raises on something else.
pub(crate) fn not_optional(method: &str, kind: &str, span: Span) -> Box<crate::Error> {
    let message = format!("`{method}` is for optionals, and this is of type {kind}");
    Box::new(
        crate::Error::new(ErrorKind::Type, span, message).with_hint(format!(
            "put a `?` before the name of what may be absent: a.?b.{method}(…)"
        )),
    )
}

/// A list of what was gathered.
pub(crate) fn list_of(values: Vec<Value>) -> Value {
    Value::List(Arc::new(values))
}
