//! Documents against the shapes of their kinds.

use std::collections::BTreeMap;

use holdfast_contract::{Field, Shape, Unknown, Value};
use holdfast_expression::{Type, suggest};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::evaluate::{Evaluated, Origins};
use crate::model::{Template, Tree, TreeNode, Verb};
use crate::place::Place;

/// Whether a document must be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// What is required may be missing: something else is laid under it.
    Partial,
    /// What is required is there.
    Whole,
}

/// Checks an evaluated document against the shape of its kind: unknown fields, values of the wrong type, words that
/// aren't allowed, fields that are missing. What is unknown is left alone.
#[must_use]
pub fn check_evaluated(document: &Evaluated, shape: &Shape, what: &str) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let walk = Walk {
        what,
        strictness: Strictness::Whole,
    };
    walk.value(&document.value, &document.origins, shape, "", &mut faults);
    faults
}

/// Checks what of `tree` is known before anything is computed.
pub(crate) fn check(
    tree: &Tree,
    shape: &Shape,
    what: &str,
    strictness: Strictness,
    faults: &mut Diagnostics,
) {
    let outlined = outline(tree);
    let mut found = Vec::new();
    Walk { what, strictness }.value(&outlined.value, &outlined.origins, shape, "", &mut found);
    types(tree, shape, "", &mut found);
    for fault in found {
        faults.push(fault);
    }
}

/// The document as far as it is written out: what is computed is unknown.
pub(crate) fn outline(tree: &Tree) -> Evaluated {
    let mut origins = Origins::leaf(tree.place.clone());
    let value = match &tree.node {
        TreeNode::Literal(value) => value.clone(),
        TreeNode::Template(_) => computed(),
        TreeNode::List(items) => {
            let mut values = Vec::new();
            for item in items {
                let outlined = outline(item);
                values.push(outlined.value);
                origins.items.push(outlined.origins);
            }
            Value::List(values)
        }
        TreeNode::Map { entries, .. } => {
            let mut values = BTreeMap::new();
            for entry in entries {
                let Some(key) = entry.key.literal() else {
                    continue;
                };
                let Evaluated {
                    value,
                    origins: mut below,
                } = outline(&entry.value);
                below.key = Some(entry.key.place.clone());
                values.insert(key.to_owned(), value);
                origins.entries.insert(key.to_owned(), below);
            }
            Value::Map(values)
        }
    };
    Evaluated { value, origins }
}

fn computed() -> Value {
    Value::Unknown(Unknown::default())
}

struct Walk<'w> {
    what: &'w str,
    strictness: Strictness,
}

impl Walk<'_> {
    fn value(
        &self,
        value: &Value,
        origins: &Origins,
        shape: &Shape,
        name: &str,
        faults: &mut Vec<Diagnostic>,
    ) {
        let value = value.exposed();
        if matches!(value, Value::Unknown(_) | Value::Null) {
            return;
        }
        match (shape, value) {
            (Shape::Object(fields), Value::Map(entries)) => self.object(entries, origins, fields, faults),
            (Shape::Map(item), Value::Map(entries)) => {
                for (key, value) in entries {
                    let below = origins.entries.get(key).unwrap_or(origins);
                    self.value(value, below, item, key, faults);
                }
            }
            (Shape::List { item, .. }, Value::List(items)) => {
                for (index, value) in items.iter().enumerate() {
                    let below = origins.items.get(index).unwrap_or(origins);
                    self.value(value, below, item, name, faults);
                }
            }
            (Shape::String { one_of }, Value::String(word)) if !one_of.is_empty() => {
                if !one_of.contains(&word.as_str()) {
                    faults.push(not_one_of(word, one_of, name, &origins.place));
                }
            }
            (Shape::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {}
            (Shape::Any, _)
            | (Shape::Bool, Value::Bool(_))
            | (Shape::Number, Value::Number(_))
            | (Shape::String { .. }, Value::String(_)) => {}
            _ => faults.push(wrong_type(name, shape, described(value), &origins.place)),
        }
    }

    fn object(
        &self,
        entries: &BTreeMap<String, Value>,
        origins: &Origins,
        fields: &BTreeMap<&'static str, Field>,
        faults: &mut Vec<Diagnostic>,
    ) {
        for (key, value) in entries {
            let below = origins.entries.get(key).unwrap_or(origins);
            if let Some(field) = fields.get(key.as_str()) {
                self.value(value, below, &field.shape, key, faults);
            } else {
                let place = below.key.clone().unwrap_or_else(|| below.place.clone());
                faults.push(unknown_field(key, fields, self.what, place));
            }
        }
        if self.strictness == Strictness::Partial {
            return;
        }
        for (name, _) in fields
            .iter()
            .filter(|(name, field)| field.required && !entries.contains_key(**name))
        {
            let message = format!("`{name}` is missing");
            let place = origins.key.clone().unwrap_or_else(|| origins.place.clone());
            faults.push(Diagnostic::error(Code::MissingField, place, message));
        }
    }
}

fn unknown_field(key: &str, fields: &BTreeMap<&'static str, Field>, what: &str, place: Place) -> Diagnostic {
    let fault = Diagnostic::error(Code::UnknownField, place, format!("unknown field `{key}`"));
    match suggest(key, fields.keys().copied()) {
        Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
        None if fields.len() <= 16 => {
            let names: Vec<&str> = fields.keys().copied().collect();
            fault.with_hint(format!("fields: {}", names.join(", ")))
        }
        None => fault.with_hint(format!("{what} has no such field here")),
    }
}

fn not_one_of(word: &str, one_of: &[&'static str], name: &str, place: &Place) -> Diagnostic {
    let message = format!("`{word}` isn't a value of `{name}`");
    let fault = Diagnostic::error(Code::InvalidValue, place.clone(), message);
    match suggest(word, one_of.iter().copied()) {
        Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
        None => fault.with_hint(format!("one of {}", one_of.join(", "))),
    }
}

fn wrong_type(name: &str, shape: &Shape, found: &str, place: &Place) -> Diagnostic {
    let expected = match shape {
        Shape::Any => "anything",
        Shape::Bool => "true or false",
        Shape::Integer => "a whole number",
        Shape::Number => "a number",
        Shape::String { .. } => "text",
        Shape::Map(_) | Shape::Object(_) => "a map",
        Shape::List { .. } => "a list",
    };
    let message = match name {
        "" => format!("this must be {expected}, not {found}"),
        name => format!("`{name}` must be {expected}, not {found}"),
    };
    let fault = Diagnostic::error(Code::WrongType, place.clone(), message);
    match (shape, found) {
        (Shape::String { .. }, "a number" | "a boolean") => {
            fault.with_hint("quote it, or convert it with string(…)")
        }
        _ => fault,
    }
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Unknown(_) => "unknown",
        Value::Sensitive(_) => "sensitive",
    }
}

/// Checks the types of expressions, as far as they are known, against the scalars of a shape.
fn types(tree: &Tree, shape: &Shape, name: &str, faults: &mut Vec<Diagnostic>) {
    match &tree.node {
        TreeNode::Literal(_) => {}
        TreeNode::Template(template) => template_type(template, shape, name, faults),
        TreeNode::List(items) => {
            let (item_shape, _) = shape.items();
            for item in items {
                types(item, item_shape, name, faults);
            }
        }
        TreeNode::Map { entries, .. } => {
            for entry in entries {
                let key = entry.key.literal().unwrap_or_default();
                types(&entry.value, shape.field(key), key, faults);
            }
        }
    }
}

fn template_type(template: &Template, shape: &Shape, name: &str, faults: &mut Vec<Diagnostic>) {
    let found = match template.sole() {
        Some(expression) => type_described(expression.program.result_type()),
        None => Some("text"),
    };
    let Some(found) = found else {
        return;
    };
    let fits = match shape {
        Shape::Any => true,
        Shape::Bool => found == "a boolean",
        Shape::Integer | Shape::Number => found == "a number",
        Shape::String { .. } => found == "text",
        Shape::Map(_) | Shape::Object(_) => found == "a map",
        Shape::List { .. } => found == "a list",
    };
    if !fits {
        faults.push(wrong_type(name, shape, found, &template.place));
    }
}

fn type_described(r#type: &Type) -> Option<&'static str> {
    Some(match r#type {
        Type::Dyn | Type::Null => return None,
        Type::Bool => "a boolean",
        Type::Int | Type::Double => "a number",
        Type::String | Type::Bytes | Type::Duration | Type::Timestamp | Type::Quantity => "text",
        Type::List(_) => "a list",
        Type::Map(_) | Type::Object(_) => "a map",
        Type::Optional(inner) => return type_described(inner),
    })
}

/// Checks that an object's document says what it is and what it is called, as far as that is written out.
pub(crate) fn check_object(tree: &Tree, verb: Verb, faults: &mut Diagnostics) {
    let TreeNode::Map { entries, .. } = &tree.node else {
        if !matches!(tree.node, TreeNode::Template(_)) {
            faults.push(Diagnostic::error(
                Code::WrongType,
                tree.place.clone(),
                "an object is a map",
            ));
        }
        return;
    };
    let computed_keys = entries.iter().any(|entry| entry.key.literal().is_none());
    let place = tree.place.or_first(entries.first().map(|entry| &entry.key.place));
    let missing = |what: &str| {
        let message = format!("an object needs its `{what}`");
        Diagnostic::error(Code::MissingField, place.clone(), message)
    };
    if computed_keys {
        return;
    }
    for name in ["apiVersion", "kind"] {
        match tree.get(name) {
            None => faults.push(missing(name)),
            Some(found) => must_be_text(found, name, faults),
        }
    }
    let Some(metadata) = tree.get("metadata") else {
        faults.push(missing("metadata.name"));
        return;
    };
    if let Some(generate) = metadata.get("generateName") {
        let message = "an object needs a name that stays the same";
        let fault = Diagnostic::error(Code::InvalidValue, generate.place.clone(), message);
        faults.push(fault.with_hint("each `generateName` would make another object; give it a `name`"));
        return;
    }
    if let TreeNode::Map { entries, .. } = &metadata.node {
        let computed = entries.iter().any(|entry| entry.key.literal().is_none());
        match metadata.get("name") {
            None if !computed => faults.push(missing("metadata.name")),
            Some(found) => must_be_text(found, "metadata.name", faults),
            None => {}
        }
    }
    for name in [
        "uid",
        "resourceVersion",
        "managedFields",
        "creationTimestamp",
        "generation",
    ] {
        if let (Verb::Ensure, Some(found)) = (verb, metadata.get(name))
            && !matches!(found.node, TreeNode::Literal(Value::Null))
        {
            let message = format!("`metadata.{name}` is the server's to set");
            faults.push(Diagnostic::error(
                Code::InvalidValue,
                found.place.clone(),
                message,
            ));
        }
    }
}

fn must_be_text(tree: &Tree, name: &str, faults: &mut Diagnostics) {
    let found = match &tree.node {
        TreeNode::Literal(Value::String(_) | Value::Unknown(_)) => return,
        TreeNode::Literal(value) => described(value),
        TreeNode::Template(template) => match template.sole() {
            Some(expression) => match type_described(expression.program.result_type()) {
                None | Some("text") => return,
                Some(found) => found,
            },
            None => return,
        },
        TreeNode::List(_) => "a list",
        TreeNode::Map { .. } => "a map",
    };
    faults.push(wrong_type(name, &Shape::TEXT, found, &tree.place));
}
