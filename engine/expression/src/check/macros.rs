//! Macros: what binds names, or evaluates its arguments only when they are needed.

use std::sync::Arc;

use super::{Checked, Checker, Local};
use crate::ast::{Expr, ExprKind, Name};
use crate::evaluate::not_optional;
use crate::node::{Loop, LoopKind, NodeKind, Variables};
use crate::references::{Path, Segment};
use crate::{Error, ErrorKind, Span, Type};

/// The names of all macros that are called as methods.
pub(super) const NAMES: [&str; 13] = [
    "all",
    "exists",
    "existsOne",
    "exists_one",
    "filter",
    "map",
    "optFlatMap",
    "optMap",
    "or",
    "orValue",
    "transformList",
    "transformMap",
    "transformMapEntry",
];

/// How a loop macro is written.
struct Form {
    kind: LoopKind,
    variables: usize,
    /// Whether a condition stands before the body.
    conditional: bool,
}

fn form(name: &str, arguments: usize) -> Option<Form> {
    let (kind, variables, conditional) = match (name, arguments) {
        ("all", 2) => (LoopKind::All, 1, false),
        ("all", 3) => (LoopKind::All, 2, false),
        ("exists", 2) => (LoopKind::Exists, 1, false),
        ("exists", 3) => (LoopKind::Exists, 2, false),
        ("exists_one" | "existsOne", 2) => (LoopKind::ExistsOne, 1, false),
        ("exists_one" | "existsOne", 3) => (LoopKind::ExistsOne, 2, false),
        ("filter", 2) => (LoopKind::Filter, 1, false),
        ("map", 2) => (LoopKind::List, 1, false),
        ("map", 3) => (LoopKind::List, 1, true),
        ("transformList", 3) => (LoopKind::List, 2, false),
        ("transformList", 4) => (LoopKind::List, 2, true),
        ("transformMap", 3) => (LoopKind::Map, 2, false),
        ("transformMap", 4) => (LoopKind::Map, 2, true),
        ("transformMapEntry", 3) => (LoopKind::Entries, 2, false),
        ("transformMapEntry", 4) => (LoopKind::Entries, 2, true),
        _ => return None,
    };
    Some(Form {
        kind,
        variables,
        conditional,
    })
}

/// How a macro is called, for messages.
fn usage(name: &str) -> Option<&'static str> {
    Some(match name {
        "all" => "list.all(x, condition)",
        "exists" => "list.exists(x, condition)",
        "exists_one" | "existsOne" => "list.exists_one(x, condition)",
        "filter" => "list.filter(x, condition)",
        "map" => "list.map(x, value) or list.map(x, condition, value)",
        "optFlatMap" => "optional.optFlatMap(x, optional)",
        "optMap" => "optional.optMap(x, value)",
        "or" => "optional.or(optional)",
        "orValue" => "optional.orValue(value)",
        "transformList" => "map.transformList(key, value, element)",
        "transformMap" => "map.transformMap(key, value, new value)",
        "transformMapEntry" => "map.transformMapEntry(key, value, {new key: new value})",
        _ => return None,
    })
}

fn misused(span: Span, name: &str, usage: &str) -> Error {
    Error::new(
        ErrorKind::Argument,
        span,
        format!("`{name}` can't be called like this"),
    )
    .with_hint(format!("it is {usage}"))
}

impl Checker<'_> {
    /// `has(a.b)`.
    pub(super) fn has(&mut self, span: Span, arguments: &[Expr]) -> Checked {
        let [
            Expr {
                kind: ExprKind::Select { optional: false, .. },
                ..
            },
        ] = arguments
        else {
            return self.fail(misused(
                span,
                "has",
                "has(a.b), with the field that may be absent; for a key: 'b' in a",
            ));
        };
        let mut checked = Checked::faulty(span);
        for argument in arguments {
            checked = self.node(argument);
            if let Some(path) = &mut checked.path {
                path.guard(1);
            }
            checked = self.settle(checked);
        }
        Checked::plain(span, NodeKind::Has(Box::new(checked.node)), Type::Bool)
    }

    /// A macro that is called as a method, if this is one.
    pub(super) fn macro_call(
        &mut self,
        span: Span,
        target: &Expr,
        name: &Name,
        arguments: &[Expr],
    ) -> Option<Checked> {
        let usage = usage(&name.text)?;
        if let Some(form) = form(&name.text, arguments.len()) {
            return Some(self.looped(span, target, name, &form, arguments, usage));
        }
        Some(match (&*name.text, arguments) {
            ("or", [fallback]) => self.fallback(span, target, fallback, name, false),
            ("orValue", [fallback]) => self.fallback(span, target, fallback, name, true),
            ("optMap" | "optFlatMap", [variable, body]) => {
                self.optional_map(span, target, name, variable, body, usage)
            }
            _ => self.fail(misused(span, &name.text, usage)),
        })
    }

    fn looped(
        &mut self,
        span: Span,
        target: &Expr,
        name: &Name,
        form: &Form,
        arguments: &[Expr],
        usage: &str,
    ) -> Checked {
        let range = self.value(target);
        let Some((key, value)) = range.r#type.entries() else {
            let message = format!(
                "`{}` runs over a list or a map, and this is of type {}",
                name.text, range.r#type
            );
            let error = Error::new(ErrorKind::Type, range.node.span, message);
            return self.fail(match range.r#type {
                Type::Optional(_) => error.with_hint("unwrap the optional: `.orValue([])`"),
                _ => error,
            });
        };
        let (names, rest) = arguments
            .split_at_checked(form.variables)
            .unwrap_or((arguments, &[]));
        let mut declared = Vec::new();
        for variable in names {
            match variable_name(variable) {
                Some(name) if declared.contains(&name) => {
                    let message = "the two names must differ";
                    return self.fail(Error::new(ErrorKind::Argument, variable.span, message));
                }
                Some(name) => declared.push(name),
                None => return self.fail(misused(span, &name.text, usage)),
            }
        }
        let scope = self.locals.len();
        let element = range
            .elements
            .clone()
            .map(|path| path.step(Segment::Dynamic, false));
        let is_map = range.r#type.is_map();
        let variables = match declared.as_slice() {
            [first, second] => {
                let first = self.bind_local(first, key.clone(), None);
                Variables::Two(first, self.bind_local(second, value.clone(), element))
            }
            [only] if is_map => Variables::One(self.bind_local(only, key.clone(), None)),
            // Of what isn't known to be a list, the variable may also be a key.
            [only] => Variables::One(self.bind_local(only, value.clone(), element)),
            _ => return self.fail(misused(span, &name.text, usage)),
        };
        let (condition, body) = match rest {
            [condition, body] if form.conditional => (Some(self.bool(condition).node), body),
            [body] => (None, body),
            _ => return self.fail(misused(span, &name.text, usage)),
        };
        let is_condition = matches!(
            form.kind,
            LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne | LoopKind::Filter
        );
        let body = if is_condition {
            self.bool(body)
        } else {
            self.value(body)
        };
        self.locals.truncate(scope);
        self.nests |= matches!(form.kind, LoopKind::List | LoopKind::Map | LoopKind::Entries);
        let r#type = match form.kind {
            LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne => Type::Bool,
            LoopKind::Filter => Type::list(if is_map { key } else { value }),
            LoopKind::List => Type::list(body.r#type),
            LoopKind::Map if is_map => Type::map(body.r#type),
            LoopKind::Map | LoopKind::Entries => Type::Dyn,
        };
        let elements = if form.kind == LoopKind::Filter && !is_map {
            range.elements
        } else {
            None
        };
        let looped = Loop {
            kind: form.kind,
            range: range.node,
            variables,
            condition,
            body: body.node,
        };
        Checked {
            elements,
            ..Checked::plain(span, NodeKind::Loop(Box::new(looped)), r#type)
        }
    }

    /// Brings a macro variable into scope and gives its slot.
    fn bind_local(&mut self, name: &Arc<str>, r#type: Type, path: Option<Path>) -> usize {
        let slot = self.locals.len();
        self.locals.push(Local {
            name: Arc::clone(name),
            r#type,
            path,
        });
        self.slots = self.slots.max(self.locals.len());
        slot
    }

    /// `cel.bind(name, value, body)`.
    pub(super) fn bind(&mut self, span: Span, arguments: &[Expr]) -> Checked {
        let misused = misused(span, "cel.bind", "cel.bind(name, value, expression)");
        let [variable, value, body] = arguments else {
            return self.fail(misused);
        };
        let Some(name) = variable_name(variable) else {
            return self.fail(misused);
        };
        let value = self.node(value);
        let path = value.path.clone();
        let value = self.settle(value);
        let scope = self.locals.len();
        let slot = self.bind_local(name, value.r#type, path.or(value.elements));
        let body = self.value(body);
        self.locals.truncate(scope);
        let kind = NodeKind::Bind {
            slot,
            value: Box::new(value.node),
            body: Box::new(body.node),
        };
        Checked {
            elements: body.elements,
            ..Checked::plain(span, kind, body.r#type)
        }
    }

    fn fallback(&mut self, span: Span, target: &Expr, fallback: &Expr, name: &Name, unwrap: bool) -> Checked {
        let operand = self.value(target);
        let fallback = self.value(fallback);
        let r#type = match operand.r#type {
            Type::Dyn => Type::Dyn,
            Type::Optional(inner) if unwrap => inner.join(fallback.r#type),
            optional @ Type::Optional(_) => optional.join(fallback.r#type),
            other => {
                return self.fail(*not_optional(&name.text, &other.to_string(), operand.node.span));
            }
        };
        let (operand_node, fallback) = (Box::new(operand.node), Box::new(fallback.node));
        let kind = NodeKind::Fallback {
            operand: operand_node,
            fallback,
            unwrap,
        };
        Checked {
            elements: operand.elements,
            ..Checked::plain(span, kind, r#type)
        }
    }

    fn optional_map(
        &mut self,
        span: Span,
        target: &Expr,
        name: &Name,
        variable: &Expr,
        body: &Expr,
        usage: &str,
    ) -> Checked {
        let flat = &*name.text == "optFlatMap";
        let operand = self.value(target);
        let inner = match operand.r#type {
            Type::Dyn => Type::Dyn,
            Type::Optional(inner) => *inner,
            other => return self.fail(*not_optional(&name.text, &other.to_string(), operand.node.span)),
        };
        let Some(variable) = variable_name(variable) else {
            return self.fail(misused(span, &name.text, usage));
        };
        let scope = self.locals.len();
        let slot = self.bind_local(variable, inner, operand.elements);
        let body = self.value(body);
        self.locals.truncate(scope);
        let r#type = match body.r#type {
            optional @ (Type::Optional(_) | Type::Dyn) if flat => optional,
            other if flat => {
                return self.fail(*not_optional(&name.text, &other.to_string(), body.node.span));
            }
            other => Type::maybe(other),
        };
        self.nests = true;
        let (operand, body) = (Box::new(operand.node), Box::new(body.node));
        Checked::plain(
            span,
            NodeKind::OptionalMap {
                operand,
                slot,
                body,
                flat,
            },
            r#type,
        )
    }
}

/// The name that an argument declares.
fn variable_name(argument: &Expr) -> Option<&Arc<str>> {
    if let ExprKind::Name(name) = &argument.kind {
        Some(name)
    } else {
        None
    }
}
