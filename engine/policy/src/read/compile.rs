//! Expressions, templates and trees: from text to what can be evaluated.

use std::collections::BTreeSet;

use holdfast_contract::{Unknown, Value};
use holdfast_expression::{Environment, Error, ErrorKind, Program, Span, Type, closing_brace};

use super::fields::{text, wrong_type};
use crate::anchor::Anchor;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::json_path::PathQuery;
use crate::model::{Entry, Expression, Part, Template, Tree, TreeNode};
use crate::place::Place;
use crate::yaml::{Data, Key, Node};

/// Compiles the bare expression at `node`, the value of `key`.
pub(super) fn expression(
    node: &Node,
    key: &str,
    environment: &Environment,
    faults: &mut Diagnostics,
) -> Option<Expression> {
    let source = match &node.data {
        Data::Text(text, _) => text.as_str(),
        Data::Bool(true) => "true",
        Data::Bool(false) => "false",
        Data::Broken => return None,
        _ => return wrong_type(node, key, "an expression", faults),
    };
    if source.trim_start().starts_with("${") {
        let place = node.anchor().place(Span::new(0, source.len()));
        let message = format!("`{key}` is an expression by itself");
        let bare = source
            .trim()
            .trim_start_matches("${")
            .trim_end_matches('}')
            .trim();
        let fault = Diagnostic::error(Code::TemplateInExpression, place, message);
        faults.push(fault.with_hint(format!("write it without braces: {bare}")));
        return None;
    }
    if let Some(at) = source.find("${") {
        let place = node.anchor().place(Span::new(at, at.saturating_add(2)));
        let message = format!("`{key}` is an expression by itself; it has no `${{`");
        let fault = Diagnostic::error(Code::TemplateInExpression, place, message);
        faults.push(fault.with_hint("use the name as it is, or join texts with `+`"));
        return None;
    }
    compile(source, node.anchor(), node.place.clone(), environment, faults)
}

/// Compiles the bare expression at `node`, the value of `key`, which is true or false.
pub(super) fn condition(
    node: &Node,
    key: &str,
    environment: &Environment,
    faults: &mut Diagnostics,
) -> Option<Expression> {
    let compiled = expression(node, key, environment, faults)?;
    let r#type = compiled.program.result_type();
    if !matches!(r#type, Type::Bool | Type::Dyn) {
        let message = format!("`{key}` must be true or false, and this is of type {type}");
        faults.push(Diagnostic::error(
            Code::ExpressionType,
            compiled.place.clone(),
            message,
        ));
    }
    Some(compiled)
}

/// Compiles `source`, which stands at `anchor`.
pub(super) fn compile(
    source: &str,
    anchor: Anchor,
    place: Place,
    environment: &Environment,
    faults: &mut Diagnostics,
) -> Option<Expression> {
    match Program::compile(source, environment) {
        Ok(program) => Some(Expression {
            program,
            place,
            anchor,
        }),
        Err(errors) => {
            for error in errors {
                faults.push(expression_fault(&error, anchor.place(error.span)));
            }
            None
        }
    }
}

/// A fault of an expression, as one of the policy.
fn expression_fault(error: &Error, place: Place) -> Diagnostic {
    let code = match error.kind {
        ErrorKind::Syntax => Code::Expression,
        ErrorKind::Type => Code::ExpressionType,
        ErrorKind::UnknownField | ErrorKind::UnknownName => Code::Undefined,
        ErrorKind::UnknownFunction => Code::UndefinedFunction,
        ErrorKind::Restricted => Code::NotHere,
        ErrorKind::Budget => Code::Budget,
        ErrorKind::Sensitive => Code::SensitiveValue,
        _ => Code::Evaluation,
    };
    let fault = Diagnostic::error(code, place, error.message.clone());
    fault.with_hint(error.hint.clone().unwrap_or_default())
}

/// Compiles the template at `node`, the value of `key`: a text, also one without anything to compute.
pub(super) fn template(
    node: &Node,
    key: &str,
    environment: &Environment,
    faults: &mut Diagnostics,
) -> Option<Template> {
    let source = text(node, key, faults)?;
    parts(source, &node.anchor(), node.place.clone(), environment, faults)
}

fn key_template(
    key: &Key,
    node: &Node,
    environment: &Environment,
    faults: &mut Diagnostics,
) -> Option<Template> {
    if !key.text.contains("${") {
        return Some(literal_key(key));
    }
    parts(
        &key.text,
        &key.anchor(&node.source),
        key.place.clone(),
        environment,
        faults,
    )
}

/// A key in which nothing is computed.
fn literal_key(key: &Key) -> Template {
    Template {
        parts: Box::default(),
        place: key.place.clone(),
        source: key.text.clone(),
    }
}

/// Splits `source` at its `${…}`, which are found by tokens, and compiles each. `$${` is a literal `${`.
fn parts(
    source: &str,
    anchor: &Anchor,
    place: Place,
    environment: &Environment,
    faults: &mut Diagnostics,
) -> Option<Template> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    let mut whole = true;
    while let Some(rest) = source.get(at..) {
        let Some(found) = rest.find("${") else {
            literal.push_str(rest);
            break;
        };
        let open = at.saturating_add(found);
        let before = rest.get(..found).unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            literal.push_str(before);
            literal.push_str("${");
            at = open.saturating_add(2);
            continue;
        }
        literal.push_str(before);
        let start = open.saturating_add(2);
        let end = match closing_brace(source, start) {
            Ok(end) => end,
            Err(error) => {
                faults.push(unclosed(&error, anchor));
                return None;
            }
        };
        if !literal.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut literal).into()));
        }
        let inner = source.get(start..end).unwrap_or_default();
        let inner_anchor = anchor.skip(start);
        let inner_place = inner_anchor.place(Span::new(0, inner.len()));
        match compile(inner, inner_anchor, inner_place, environment, faults) {
            Some(expression) => parts.push(Part::Expression(Box::new(expression))),
            None => whole = false,
        }
        at = end.saturating_add(1);
    }
    if !literal.is_empty() && literal != source {
        parts.push(Part::Text(literal.into()));
    }
    whole.then(|| Template {
        parts: parts.into(),
        place,
        source: source.to_owned(),
    })
}

fn unclosed(error: &Error, anchor: &Anchor) -> Diagnostic {
    let fault = Diagnostic::error(Code::Template, anchor.place(error.span), error.message.clone());
    fault.with_hint(error.hint.clone().unwrap_or_default())
}

/// How a tree is compiled.
pub(super) struct TreeCompiler<'e> {
    /// For what isn't covered by `random_under`.
    pub(super) environment: &'e Environment,
    /// The same with `randomString`, and the places under which that is allowed.
    pub(super) random: Option<(&'e Environment, Vec<Vec<String>>)>,
    /// The same with what `$forEach` brings.
    pub(super) each: &'e dyn Fn(&Environment) -> Environment,
}

impl TreeCompiler<'_> {
    /// Compiles the tree at `node`. What doesn't compile is reported, and unknown in the tree, so that the rest of it can
    /// be checked too.
    pub(super) fn tree(&self, node: &Node, faults: &mut Diagnostics) -> Tree {
        self.node(node, &mut Vec::new(), self.environment, faults)
    }

    fn node(
        &self,
        node: &Node,
        path: &mut Vec<String>,
        environment: &Environment,
        faults: &mut Diagnostics,
    ) -> Tree {
        let compiled = match &node.data {
            Data::Text(text, _) if text.contains("${") => {
                let environment = self.at(path, environment);
                let template = parts(text, &node.anchor(), node.place.clone(), environment, faults);
                template.map_or_else(unreadable, |template| TreeNode::Template(Box::new(template)))
            }
            Data::List(items) => TreeNode::List(
                items
                    .iter()
                    .map(|item| self.node(item, path, environment, faults))
                    .collect(),
            ),
            Data::Map(entries) => self.map(node, entries, path, environment, faults),
            Data::Broken => unreadable(),
            _ => TreeNode::Literal(node.to_value()),
        };
        Tree {
            place: node.place.clone(),
            node: compiled,
        }
    }

    fn at<'s>(&'s self, path: &[String], environment: &'s Environment) -> &'s Environment {
        match &self.random {
            Some((random, under)) if under.iter().any(|place| path.starts_with(place)) => random,
            _ => environment,
        }
    }

    fn map(
        &self,
        node: &Node,
        entries: &[(Key, Node)],
        path: &mut Vec<String>,
        environment: &Environment,
        faults: &mut Diagnostics,
    ) -> TreeNode {
        let over = node.get("$forEach");
        let for_each = over.and_then(|node| expression(node, "$forEach", environment, faults));
        let inner = over.map(|_| (self.each)(environment));
        let environment = inner.as_ref().unwrap_or(environment);
        let when = node
            .get("$when")
            .and_then(|node| condition(node, "$when", environment, faults));
        let mut compiled = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if matches!(key.text.as_str(), "$when" | "$forEach") {
                continue;
            }
            let template = key_template(key, node, environment, faults);
            path.push(key.text.clone());
            let value = self.node(value, path, environment, faults);
            path.pop();
            if let Some(key) = template {
                compiled.push(Entry { key, value });
            }
        }
        TreeNode::Map {
            when: when.map(Box::new),
            for_each: for_each.map(Box::new),
            entries: compiled,
        }
    }
}

/// What stands for a part that didn't compile: the policy is never valid with it.
fn unreadable() -> TreeNode {
    TreeNode::Literal(Value::Unknown(Unknown::default()))
}

/// A tree in which nothing is computed: a manifest.
pub(super) fn verbatim(node: &Node) -> Tree {
    let compiled = match &node.data {
        Data::List(items) => TreeNode::List(items.iter().map(verbatim).collect()),
        Data::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| Entry {
                key: literal_key(key),
                value: verbatim(value),
            });
            TreeNode::Map {
                when: None,
                for_each: None,
                entries: entries.collect(),
            }
        }
        Data::Null | Data::Broken => TreeNode::Literal(Value::Null),
        _ => TreeNode::Literal(node.to_value()),
    };
    Tree {
        place: node.place.clone(),
        node: compiled,
    }
}

/// Reads the `JSONPath` at `node`.
pub(super) fn path(node: &Node, key: &str, faults: &mut Diagnostics) -> Option<PathQuery> {
    let source = text(node, key, faults)?;
    path_text(source, &node.anchor(), node.place.clone(), faults)
}

/// Reads the `JSONPath` `source`, which stands at `anchor`.
pub(super) fn path_text(
    source: &str,
    anchor: &Anchor,
    place: Place,
    faults: &mut Diagnostics,
) -> Option<PathQuery> {
    match PathQuery::parse(source, place) {
        Ok(query) => Some(query),
        Err(error) => {
            let message = format!("`{source}` isn't a JSONPath");
            let fault = Diagnostic::error(Code::JsonPath, anchor.place(error.span), message);
            faults.push(fault.with_hint(error.hint));
            None
        }
    }
}

/// Reports each use of `rules` among `references`, where there are none.
pub(super) fn refuse_rules(
    references: impl IntoIterator<Item = crate::model::Reference>,
    what: &str,
    faults: &mut Diagnostics,
) {
    let mut seen = BTreeSet::new();
    for reference in references {
        if reference.root == "rules" && seen.insert(reference.place.clone()) {
            let message = format!("{what} can't use rules");
            let fault = Diagnostic::error(Code::NotHere, reference.place, message);
            faults.push(
                fault.with_hint("it is computed before any rule is; name the rule where the value is needed"),
            );
        }
    }
}
