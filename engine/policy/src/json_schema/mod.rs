//! A JSON Schema of the policy document, for completion and hints in editors.
//!
//! It is looser than [`validate`](crate::validate), which alone decides: an editor can't compile expressions.

mod fields;
mod resource;

use fields::{CASE, DEFINITIONS, Holds, PARAMETER, RULE, Row, SCHEMA, SPEC, VARIANT};
use holdfast_contract::{Registry, Shape};
use serde_json::{Map, Value, json};

use crate::kinds::Kinds;
use crate::model::Allowance;
use crate::read::API_VERSION;

pub use resource::resource_definition;

/// What a duration looks like: in what a server or an editor checks, which is less than the language does.
const DURATION: &str = "^[+-]?(([0-9]*[.]?[0-9]*(ns|us|µs|μs|ms|s|m|h|d))+|0)$";

/// The schema of policies with the kinds and providers of `registry`.
#[must_use]
pub fn json_schema(registry: &Registry) -> Value {
    let kinds = Kinds::new(registry);
    let mut definitions = Map::new();
    for (name, rows, required) in DEFINITIONS {
        definitions.insert((*name).to_owned(), object(rows, required, &kinds));
    }
    definitions.insert("schema".to_owned(), object(SCHEMA, &[], &kinds));
    definitions.insert(
        "parameter".to_owned(),
        object(&[SCHEMA, PARAMETER].concat(), &[], &kinds),
    );
    definitions.insert(
        "allow".to_owned(),
        json!({"type": "array", "items": {"enum": Allowance::NAMES}}),
    );
    definitions.insert(
        "name".to_owned(),
        json!({"anyOf": [
            {"type": "string"},
            {"type": "object", "properties": {"generate": {"type": "string"}, "record": {"type": "string"}},
             "required": ["generate"], "additionalProperties": false},
        ]}),
    );
    definitions.insert("provider".to_owned(), provider(registry));
    let mut rule = object(&[VARIANT, RULE].concat(), &[], &kinds);
    add(&mut rule, "allOf", desired_by_kind(&kinds));
    definitions.insert("rule".to_owned(), rule);
    let mut case = object(&[CASE, VARIANT].concat(), &["when"], &kinds);
    add(&mut case, "allOf", desired_by_kind(&kinds));
    definitions.insert("case".to_owned(), case);
    for kind in kinds.registered() {
        definitions.insert(kind.name().as_str().to_owned(), shape(kind.shape()));
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Holdfast policy",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": "Policy"},
            "metadata": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}}},
            "spec": object(SPEC, &["language"], &kinds),
            "status": {},
        },
        "additionalProperties": false,
        "definitions": definitions,
    })
}

fn add(schema: &mut Value, key: &str, value: Value) {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

fn object(rows: &[Row], required: &[&str], kinds: &Kinds) -> Value {
    let properties: Map<String, Value> = rows
        .iter()
        .map(|(name, holds, doc)| {
            let mut schema = held(*holds, kinds);
            // Beside a reference, other words are ignored in this draft.
            if schema.get("$ref").is_some() {
                schema = json!({"allOf": [schema]});
            }
            add(&mut schema, "description", json!(doc));
            ((*name).to_owned(), schema)
        })
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn held(holds: Holds, kinds: &Kinds) -> Value {
    let definition = |name: &str| json!({"$ref": format!("#/definitions/{name}")});
    match holds {
        Holds::Any => json!({}),
        Holds::Bool => json!({"type": "boolean"}),
        Holds::Count => json!({"type": "integer", "minimum": 0}),
        Holds::Number => json!({"type": "number"}),
        Holds::Text => json!({"type": "string"}),
        Holds::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Holds::Duration => json!({"type": "string", "pattern": DURATION}),
        Holds::Expression => json!({"type": ["string", "boolean"]}),
        Holds::Word(words) => json!({"enum": words}),
        Holds::One(name) => definition(name),
        Holds::List(name) => json!({"type": "array", "items": definition(name)}),
        Holds::Map(name) => json!({
            "type": "object",
            "propertyNames": {"pattern": "^[a-z][A-Za-z0-9]*$"},
            "additionalProperties": definition(name),
        }),
        Holds::Free => json!({"type": "object"}),
        Holds::Kind => json!({"enum": kinds.names()}),
    }
}

/// `desired` as the kind beside it wants it.
fn desired_by_kind(kinds: &Kinds) -> Value {
    let of_kind = kinds
        .registered()
        .filter(|kind| *kind.shape() != Shape::Any)
        .flat_map(|kind| {
            let name = kind.name().as_str().to_owned();
            ["ensure", "observe", "forbid"].into_iter().map(move |verb| {
                // `/` is written `~1` in a pointer.
                let pointer = format!("#/definitions/{}", name.replace('/', "~1"));
                json!({
                    "if": {"properties": {verb: {"const": name}}, "required": [verb]},
                    "then": {"properties": {"desired": {"anyOf": [{"$ref": pointer}, {"type": "string"}]}}},
                })
            })
        });
    Value::Array(of_kind.collect())
}

fn provider(registry: &Registry) -> Value {
    let mut properties = Map::new();
    let types: Vec<&str> = registry
        .factories()
        .map(|factory| factory.provider_type())
        .collect();
    properties.insert(
        "type".to_owned(),
        json!({"enum": types, "description": "Its type, where its name isn't one."}),
    );
    properties.insert(
        "credentials".to_owned(),
        json!({"description": "How to sign in: `environment`, `{ secret: { namespace, name } }`, `{ profile: NAME }`; the first that is present."}),
    );
    for factory in registry.factories() {
        if let Shape::Object(fields) = factory.settings() {
            for (name, field) in fields {
                let mut schema = shape(&field.shape);
                add(&mut schema, "description", json!(field.doc));
                properties.insert((*name).to_owned(), schema);
            }
        }
    }
    json!({"type": "object", "properties": properties})
}

/// A document's shape. Wherever a scalar, list or map belongs, a text with `${…}` may stand.
fn shape(wanted: &Shape) -> Value {
    let or_computed =
        |schema: Value| json!({"anyOf": [schema, {"type": "string", "pattern": "\\$\\{"}, {"type": "null"}]});
    match wanted {
        Shape::Any => json!({}),
        Shape::Bool => or_computed(json!({"type": "boolean"})),
        Shape::Integer => or_computed(json!({"type": "integer"})),
        Shape::Number => or_computed(json!({"type": "number"})),
        Shape::String { one_of: [] } => json!({"type": ["string", "null"]}),
        Shape::String { one_of } => or_computed(json!({"enum": one_of})),
        Shape::Map(values) => or_computed(json!({"type": "object", "additionalProperties": shape(values)})),
        Shape::List { item, .. } => or_computed(json!({"type": "array", "items": shape(item)})),
        Shape::Object(fields) => {
            let properties: Map<String, Value> = fields
                .iter()
                .map(|(name, field)| {
                    let mut schema = shape(&field.shape);
                    if !field.doc.is_empty() {
                        add(&mut schema, "description", json!(field.doc));
                    }
                    ((*name).to_owned(), schema)
                })
                .collect();
            or_computed(json!({
                "type": "object",
                "properties": properties,
                "patternProperties": {"^\\$(when|forEach)$": {"type": ["string", "boolean"]}, "\\$\\{": {}},
                "additionalProperties": false,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::read::{RULE_FIELDS, SCHEMA_FIELDS, SPEC_FIELDS, VARIANT_FIELDS};

    #[test]
    fn the_schema_has_the_fields_that_are_read_and_no_others() {
        for (rows, fields) in [
            (SPEC, SPEC_FIELDS),
            (RULE, RULE_FIELDS),
            (VARIANT, VARIANT_FIELDS),
            (SCHEMA, SCHEMA_FIELDS),
        ] {
            let described: BTreeSet<&str> = rows.iter().map(|(name, ..)| *name).collect();
            let read: BTreeSet<&str> = fields.iter().copied().collect();
            assert_eq!(described, read);
        }
    }

    #[test]
    fn every_reference_is_defined() {
        let schema = json_schema(&Registry::default());
        let mut waiting = vec![&schema];
        let mut references = 0;
        while let Some(value) = waiting.pop() {
            match value {
                Value::Object(fields) => {
                    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                        references += 1;
                        assert!(
                            schema.pointer(reference.trim_start_matches('#')).is_some(),
                            "{reference}"
                        );
                    }
                    waiting.extend(fields.values());
                }
                Value::Array(items) => waiting.extend(items),
                _ => {}
            }
        }
        assert!(references > 10);
    }
}
