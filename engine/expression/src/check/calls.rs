//! Function and method calls.

use super::{Checked, Checker};
use crate::ast::{Expr, ExprKind, Name};
use crate::functions::{self, Overload};
use crate::instants::{parse_duration, parse_timestamp};
use crate::node::{Call, Node, NodeKind};
use crate::{Error, ErrorKind, Quantity, Span, Type, Value, suggest};

/// Names that stand before functions: `base64.encode(…)`.
const NAMESPACES: [&str; 4] = ["base64", "cel", "lists", "optional"];

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        span: Span,
        target: Option<&Expr>,
        function: &Name,
        arguments: &[Expr],
    ) -> Checked {
        let Some(target) = target else {
            if &*function.text == "has" {
                return self.has(span, arguments);
            }
            return self.function(span, &function.text, function.span, None, arguments);
        };
        if let ExprKind::Name(namespace) = &target.kind
            && NAMESPACES.contains(&&**namespace)
            && self.local(namespace).is_none()
            && !self.environment.roots.contains_key(&**namespace)
        {
            let name = format!("{namespace}.{}", function.text);
            let name_span = target.span.to(function.span);
            if name == "cel.bind" {
                return self.bind(span, arguments);
            }
            return self.function(span, &name, name_span, None, arguments);
        }
        if let Some(checked) = self.macro_call(span, target, function, arguments) {
            return checked;
        }
        self.function(span, &function.text, function.span, Some(target), arguments)
    }

    fn function(
        &mut self,
        span: Span,
        name: &str,
        name_span: Span,
        target: Option<&Expr>,
        arguments: &[Expr],
    ) -> Checked {
        let mut nodes = Vec::with_capacity(arguments.len().saturating_add(1));
        let mut types = Vec::with_capacity(arguments.len().saturating_add(1));
        for argument in target.into_iter().chain(arguments) {
            let Checked { node, r#type, .. } = self.value(argument);
            nodes.push(node);
            types.push(r#type);
        }
        let overloads = functions::named(name, target.is_some());
        let Some(first) = overloads.first() else {
            return self.fail(unknown_function(name, name_span, target.is_some()));
        };
        let of_arity: Vec<&'static Overload> = overloads
            .iter()
            .copied()
            .filter(|overload| overload.takes.len() == types.len())
            .collect();
        let fitting: Vec<&'static Overload> = of_arity
            .iter()
            .copied()
            .filter(|overload| overload.accepts_types(&types))
            .collect();
        if fitting.is_empty() {
            let words: Vec<String> = types.iter().map(Type::to_string).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let tried = if of_arity.is_empty() { overloads } else { &of_arity };
            let kind = if of_arity.is_empty() {
                ErrorKind::Argument
            } else {
                ErrorKind::Type
            };
            let error = functions::misfit(span, tried, &words);
            return self.fail(Error { kind, ..error });
        }
        if let Err(error) = self.allowed(name, name_span) {
            return self.fail(error);
        }
        let results = fitting.iter().map(|overload| overload.result(&types));
        let r#type = results.reduce(Type::join).unwrap_or(Type::Dyn);
        let pattern = match (name, nodes.get(1)) {
            (
                "matches" | "find" | "findAll",
                Some(Node {
                    kind: NodeKind::Literal(Value::String(text)),
                    span,
                }),
            ) => functions::compile_pattern(text, *span).map(Some),
            _ => Ok(None),
        };
        let pattern = match pattern {
            Ok(pattern) => pattern,
            Err(error) => return self.fail(error),
        };
        if let Some(constant) = constant(name, &nodes) {
            return match constant {
                Ok(value) => Checked::plain(span, NodeKind::Literal(value), r#type),
                Err(error) => self.fail(error),
            };
        }
        let call = Call {
            name: first.name,
            overloads: fitting,
            arguments: nodes,
            pattern,
        };
        Checked::plain(span, NodeKind::Call(Box::new(call)), r#type)
    }

    /// Whether a restricted function may be called here.
    fn allowed(&self, name: &str, span: Span) -> Result<(), Error> {
        let restricted = |message: &str| Error::new(ErrorKind::Restricted, span, message);
        match name {
            "now" if !self.environment.now => Err(restricted("`now` isn't allowed here").with_hint(
                "time passes, so it would never be the same twice; it is for `stamp`, `hold` and checks",
            )),
            "randomString" if !self.environment.random => {
                Err(restricted("`randomString` isn't allowed here")
                    .with_hint("it would be another one each time; it is for fields under `initial`"))
            }
            "yaml" if self.environment.yaml.is_none() => Err(restricted("`yaml` isn't available here")),
            _ => Ok(()),
        }
    }
}

fn unknown_function(name: &str, span: Span, method: bool) -> Error {
    let error = Error::new(
        ErrorKind::UnknownFunction,
        span,
        format!("there is no function `{name}`"),
    );
    let error = if method && !functions::named(name, false).is_empty() {
        error.with_hint(format!("it is written {name}(…), not after a dot"))
    } else if !method && !functions::named(name, true).is_empty() {
        error.with_hint(format!("it is written after a value and a dot: a.{name}(…)"))
    } else {
        let macros: &[&str] = if method {
            &super::macros::NAMES
        } else {
            &["has", "cel.bind"]
        };
        match suggest(name, functions::names(method).chain(macros.iter().copied())) {
            Some(meant) => error.with_hint(format!("did you mean `{meant}`?")),
            None => error,
        }
    };
    Error {
        message: if method {
            format!("there is no method `{name}`")
        } else {
            error.message
        },
        ..error
    }
}

/// The value of a conversion from a literal, so that a mistake in it shows at once.
fn constant(name: &str, arguments: &[Node]) -> Option<Result<Value, Error>> {
    let [
        Node {
            kind: NodeKind::Literal(Value::String(text)),
            span,
        },
    ] = arguments
    else {
        return None;
    };
    match name {
        "duration" => Some(
            parse_duration(text)
                .map(Value::Duration)
                .ok_or_else(|| functions::not_a_duration(*span)),
        ),
        "timestamp" => Some(
            parse_timestamp(text)
                .map(Value::Timestamp)
                .ok_or_else(|| functions::not_a_timestamp(*span)),
        ),
        "quantity" => {
            let quantity = Quantity::parse(text).map(|quantity| Value::Quantity(quantity.into()));
            Some(quantity.ok_or_else(|| {
                Error::new(ErrorKind::Conversion, *span, "this text isn't a quantity")
                    .with_hint("such as 500m, 2 or 1Gi")
            }))
        }
        _ => None,
    }
}
