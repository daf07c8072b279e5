//! Parameters and their schemas.

use std::collections::BTreeMap;

use holdfast_expression::{Field, ObjectType, Type};

use super::fields::{Fields, identifier, null, text, wrong_type};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{AdditionalProperties, Parameter, Schema, SchemaType};
use crate::parameters::check_value;
use crate::yaml::{Data, Node};

/// The fields of a schema.
pub(crate) const SCHEMA_FIELDS: &[&str] = &[
    "type",
    "description",
    "default",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "items",
    "properties",
    "required",
    "additionalProperties",
];
/// The fields of a parameter that a schema inside it doesn't have.
const OWN_FIELDS: &[&str] = &["optional", "sensitive"];

pub(super) fn read(spec: &Fields<'_>, faults: &mut Diagnostics) -> BTreeMap<String, Parameter> {
    let mut parameters = BTreeMap::new();
    for (key, node) in spec.entries("parameters", faults) {
        if !identifier(key, "a parameter", faults) {
            continue;
        }
        let known: Vec<&str> = SCHEMA_FIELDS.iter().chain(OWN_FIELDS).copied().collect();
        let Some(fields) = Fields::of(node, "a parameter", &known, faults) else {
            continue;
        };
        let schema = schema(&fields, faults);
        let parameter = Parameter {
            name: key.text.clone(),
            place: key.place.clone(),
            optional: fields.boolean("optional", faults).unwrap_or_default(),
            sensitive: fields.boolean("sensitive", faults).unwrap_or_default(),
            schema,
        };
        if parameter.optional && parameter.schema.default.is_some() {
            let message = "a parameter with a default is never without a value";
            let fault = Diagnostic::error(Code::Conflict, key.place.clone(), message);
            faults.push(fault.with_hint("leave out either `default` or `optional`"));
        }
        parameters.insert(key.text.clone(), parameter);
    }
    parameters
}

fn nested(node: &Node, faults: &mut Diagnostics) -> Schema {
    match Fields::of(node, "a schema", SCHEMA_FIELDS, faults) {
        Some(fields) => schema(&fields, faults),
        None => Schema::default(),
    }
}

fn schema(fields: &Fields<'_>, faults: &mut Diagnostics) -> Schema {
    let r#type = fields
        .choice("type", SchemaType::NAMES, faults)
        .and_then(SchemaType::parse);
    let mut schema = Schema {
        r#type,
        description: fields.text("description", faults).unwrap_or_default().to_owned(),
        default: None,
        one_of: fields.items("enum", faults).iter().map(Node::to_value).collect(),
        pattern: pattern(fields, faults),
        minimum: fields.number("minimum", faults),
        maximum: fields.number("maximum", faults),
        min_length: fields.count("minLength", faults),
        max_length: fields.count("maxLength", faults),
        min_items: fields.count("minItems", faults),
        max_items: fields.count("maxItems", faults),
        items: fields.get("items").map(|node| Box::new(nested(node, faults))),
        properties: BTreeMap::new(),
        required: fields
            .texts("required", faults)
            .into_iter()
            .map(|(_, name)| name.to_owned())
            .collect(),
        additional: AdditionalProperties::Unsaid,
    };
    for (key, node) in fields.entries("properties", faults) {
        schema.properties.insert(key.text.clone(), nested(node, faults));
    }
    if let Some(node) = fields.get("additionalProperties") {
        schema.additional = match &node.data {
            Data::Bool(true) => AdditionalProperties::Any,
            Data::Bool(false) => AdditionalProperties::None,
            Data::Map(_) => AdditionalProperties::Of(Box::new(nested(node, faults))),
            _ => wrong_type(node, "additionalProperties", "true, false or a schema", faults)
                .unwrap_or_default(),
        };
    }
    misplaced(fields, r#type, faults);
    if let Some(node) = fields.get("default") {
        check_value(&schema, "default", node, faults);
        schema.default = Some(node.to_value());
    }
    schema
}

fn pattern(fields: &Fields<'_>, faults: &mut Diagnostics) -> Option<regex::Regex> {
    let node = fields.get("pattern")?;
    let written = text(node, "pattern", faults)?;
    let built = regex::RegexBuilder::new(written).size_limit(1024 * 1024).build();
    if built.is_err() {
        let message = format!("`{written}` isn't a pattern");
        let fault = Diagnostic::error(Code::InvalidValue, node.place.clone(), message);
        faults.push(fault.with_hint("patterns are RE2's: no look-around, no back-references"));
    }
    built.ok()
}

/// Reports what says nothing about values of the schema's type.
fn misplaced(fields: &Fields<'_>, r#type: Option<SchemaType>, faults: &mut Diagnostics) {
    let Some(r#type) = r#type else {
        return;
    };
    let groups: [(&[&str], &[SchemaType]); 4] = [
        (&["pattern", "minLength", "maxLength"], &[SchemaType::String]),
        (
            &["minimum", "maximum"],
            &[SchemaType::Integer, SchemaType::Number],
        ),
        (&["items", "minItems", "maxItems"], &[SchemaType::Array]),
        (
            &["properties", "required", "additionalProperties"],
            &[SchemaType::Object],
        ),
    ];
    for (names, types) in groups {
        if types.contains(&r#type) {
            continue;
        }
        for name in names {
            if let Some((key, _)) = fields.node().entry(name) {
                let message = format!("`{name}` says nothing about type {}", r#type.as_str());
                faults.push(Diagnostic::error(Code::Conflict, key.place.clone(), message));
            }
        }
    }
}

/// The type that a value of this schema has in expressions.
pub(crate) fn schema_type(schema: &Schema, label: &str) -> Type {
    match schema.r#type {
        // A number may be written as an integer, which is then one.
        None | Some(SchemaType::Number) => Type::Dyn,
        Some(SchemaType::Boolean) => Type::Bool,
        Some(SchemaType::Integer) => Type::Int,
        Some(SchemaType::String) => Type::String,
        Some(SchemaType::Array) => {
            let item = schema
                .items
                .as_ref()
                .map_or(Type::Dyn, |item| schema_type(item, &format!("{label}[…]")));
            Type::list(item)
        }
        Some(SchemaType::Object) => {
            if schema.properties.is_empty() {
                return match &schema.additional {
                    AdditionalProperties::Of(value) => Type::map(schema_type(value, label)),
                    _ => Type::Dyn,
                };
            }
            let fields = schema.properties.iter().map(|(name, property)| {
                let r#type = schema_type(property, &format!("{label}.{name}"));
                let there = schema.required.contains(name) || property.default.is_some();
                (
                    name.clone(),
                    Field {
                        r#type,
                        optional: !there,
                    },
                )
            });
            let object = ObjectType::closed(label, fields);
            match schema.additional {
                AdditionalProperties::Any | AdditionalProperties::Of(_) => Type::Object(object.open()),
                AdditionalProperties::None | AdditionalProperties::Unsaid => Type::Object(object),
            }
        }
    }
}

/// The type of `parameters`.
pub(super) fn parameters_type(parameters: &BTreeMap<String, Parameter>) -> Type {
    let fields = parameters.iter().map(|(name, parameter)| {
        let r#type = schema_type(&parameter.schema, &format!("parameters.{name}"));
        (
            name.clone(),
            Field {
                r#type,
                optional: parameter.optional,
            },
        )
    });
    Type::Object(ObjectType::closed("parameters", fields))
}

/// The values that the policy itself carries.
pub(super) fn values(
    spec: &Fields<'_>,
    parameters: &BTreeMap<String, Parameter>,
    faults: &mut Diagnostics,
) -> BTreeMap<String, (holdfast_contract::Value, crate::place::Place)> {
    let mut values = BTreeMap::new();
    let Some(node) = spec.get("values") else {
        return values;
    };
    for (key, node) in spec.entries("values", faults) {
        let Some(parameter) = parameters.get(&key.text) else {
            faults.push(crate::parameters::unknown_parameter(
                &key.text,
                key.place.clone(),
                parameters,
            ));
            continue;
        };
        check_value(&parameter.schema, &key.text, node, faults);
        values.insert(key.text.clone(), (node.to_value(), node.place.clone()));
    }
    for (key, value) in node.entries().unwrap_or_default() {
        if matches!(value.data, Data::Null) && !parameters.contains_key(&key.text) {
            faults.push(null(key));
        }
    }
    values
}
