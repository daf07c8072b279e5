//! Values for parameters: checked against their schemas, and laid over one another.

mod resolve;

use std::collections::BTreeMap;

use holdfast_expression::suggest;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{AdditionalProperties, Parameter, Schema, SchemaType};
use crate::place::Place;
use crate::yaml::{Data, Key, Node};

pub use resolve::{Parameters, Supplied, resolve_parameters};

/// Checks the value at `node`, called `name`, against `schema`. Messages never quote the value, which may be secret.
pub(crate) fn check_value(schema: &Schema, name: &str, node: &Node, faults: &mut Diagnostics) {
    if matches!(node.data, Data::Broken) {
        return;
    }
    if let Some(expected) = schema.r#type.filter(|expected| !is_of(*expected, &node.data)) {
        let message = format!(
            "`{name}` must be {}, not {}",
            described(expected),
            node.described()
        );
        faults.push(Diagnostic::error(
            Code::ParameterValue,
            node.place.clone(),
            message,
        ));
        return;
    }
    let mut refuse = |message: String, hint: String| {
        faults.push(Diagnostic::error(Code::ParameterValue, node.place.clone(), message).with_hint(hint));
    };
    if !schema.one_of.is_empty() && !schema.one_of.contains(&node.to_value()) {
        let allowed: Vec<String> = schema.one_of.iter().map(ToString::to_string).collect();
        let near = node
            .text()
            .and_then(|word| suggest(word, allowed.iter().map(String::as_str)));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of {}", allowed.join(", ")),
        };
        refuse(format!("`{name}` isn't one of the values allowed"), hint);
    }
    match &node.data {
        Data::Text(text, _) => {
            if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
                refuse(
                    format!("`{name}` doesn't match its pattern"),
                    format!("it must match {pattern}"),
                );
            }
            let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            bounds(
                name,
                "characters",
                length,
                schema.min_length,
                schema.max_length,
                &mut refuse,
            );
        }
        Data::Number(number) => {
            let value = number.as_f64().unwrap_or(f64::NAN);
            if let Some(least) = schema.minimum.filter(|least| value < *least) {
                refuse(format!("`{name}` is less than {least}"), String::new());
            }
            if let Some(most) = schema.maximum.filter(|most| value > *most) {
                refuse(format!("`{name}` is more than {most}"), String::new());
            }
        }
        Data::List(items) => {
            let length = u64::try_from(items.len()).unwrap_or(u64::MAX);
            bounds(
                name,
                "items",
                length,
                schema.min_items,
                schema.max_items,
                &mut refuse,
            );
            if let Some(item_schema) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    check_value(item_schema, &format!("{name}[{index}]"), item, faults);
                }
            }
        }
        Data::Map(entries) => check_entries(schema, name, node, entries, faults),
        Data::Null | Data::Bool(_) | Data::Broken => {}
    }
}

fn check_entries(
    schema: &Schema,
    name: &str,
    node: &Node,
    entries: &[(Key, Node)],
    faults: &mut Diagnostics,
) {
    for (key, value) in entries {
        let below = format!("{name}.{}", key.text);
        match (schema.properties.get(&key.text), &schema.additional) {
            (Some(property), _) => check_value(property, &below, value, faults),
            (None, AdditionalProperties::Of(property)) => check_value(property, &below, value, faults),
            (None, AdditionalProperties::None) => faults.push(unknown_entry(schema, name, key)),
            (None, AdditionalProperties::Unsaid) if !schema.properties.is_empty() => {
                faults.push(unknown_entry(schema, name, key));
            }
            _ => {}
        }
    }
    for required in &schema.required {
        let has_default = schema
            .properties
            .get(required)
            .is_some_and(|property| property.default.is_some());
        if !has_default && node.get(required).is_none() {
            let message = format!("`{name}` needs `{required}`");
            faults.push(Diagnostic::error(
                Code::ParameterValue,
                node.place.clone(),
                message,
            ));
        }
    }
}

fn unknown_entry(schema: &Schema, name: &str, key: &Key) -> Diagnostic {
    let message = format!("`{name}` has no `{}`", key.text);
    let fault = Diagnostic::error(Code::ParameterValue, key.place.clone(), message);
    match suggest(&key.text, schema.properties.keys().map(String::as_str)) {
        Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
        None => fault,
    }
}

fn bounds(
    name: &str,
    what: &str,
    count: u64,
    least: Option<u64>,
    most: Option<u64>,
    refuse: &mut dyn FnMut(String, String),
) {
    if let Some(least) = least.filter(|least| count < *least) {
        refuse(
            format!("`{name}` has {count} {what}; at least {least} are needed"),
            String::new(),
        );
    }
    if let Some(most) = most.filter(|most| count > *most) {
        refuse(
            format!("`{name}` has {count} {what}; at most {most} are allowed"),
            String::new(),
        );
    }
}

fn is_of(expected: SchemaType, data: &Data) -> bool {
    match (expected, data) {
        (SchemaType::Array, Data::List(_))
        | (SchemaType::Boolean, Data::Bool(_))
        | (SchemaType::Number, Data::Number(_))
        | (SchemaType::Object, Data::Map(_))
        | (SchemaType::String, Data::Text(..)) => true,
        (SchemaType::Integer, Data::Number(number)) => number.is_i64() || number.is_u64(),
        _ => false,
    }
}

fn described(expected: SchemaType) -> &'static str {
    match expected {
        SchemaType::Array => "a list",
        SchemaType::Boolean => "true or false",
        SchemaType::Integer => "a whole number",
        SchemaType::Number => "a number",
        SchemaType::Object => "a map",
        SchemaType::String => "text",
    }
}

/// A value for a parameter that the policy doesn't have.
pub(crate) fn unknown_parameter(
    name: &str,
    place: Place,
    parameters: &BTreeMap<String, Parameter>,
) -> Diagnostic {
    let fault = Diagnostic::error(
        Code::ParameterUnknown,
        place,
        format!("the policy has no parameter `{name}`"),
    );
    match suggest(name, parameters.keys().map(String::as_str)) {
        Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
        None if parameters.is_empty() => fault.with_hint("it has none"),
        None => {
            let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
            fault.with_hint(format!("parameters: {}", names.join(", ")))
        }
    }
}
