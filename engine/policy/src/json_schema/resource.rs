//! The CustomResourceDefinition of policies: what a cluster's API server knows of them.
//!
//! Made of the same fields as the editor's schema, and looser again: whatever [`validate`](crate::validate) accepts, the
//! server accepts, and stores as it was written. It says no where that is cheap and certain, so that a person is told
//! at once. Fields that it doesn't know are kept rather than dropped in silence: a misspelt `create: false` that is dropped
//! would be a policy that means something else, and an older definition would cut a newer policy down.

use holdfast_contract::Registry;
use serde_json::{Map, Value, json};

use super::fields::{CASE, DEFINITIONS, Holds, PARAMETER, RULE, Row, SCHEMA, SPEC, VARIANT};
use super::{DURATION, add};
use crate::kinds::Kinds;
use crate::model::Allowance;
use crate::read::API_VERSION;

/// The CustomResourceDefinition of policies with the kinds of `registry`, for `apiextensions.k8s.io/v1`.
#[must_use]
pub fn resource_definition(registry: &Registry) -> Value {
    let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
    let column = |name: &str, r#type: &str, path: &str, description: &str| json!({"name": name, "type": r#type, "jsonPath": path, "description": description});
    let ready = |field: &str| format!(".status.conditions[?(@.type==\"Ready\")].{field}");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("policies.{group}")},
        "spec": {
            "group": group,
            "names": {
                "kind": "Policy",
                "listKind": "PolicyList",
                "plural": "policies",
                "singular": "policy",
                "shortNames": ["hfp"],
                "categories": ["holdfast"],
            },
            "scope": "Namespaced",
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    column("Ready", "string", &ready("status"), "Whether all of it holds."),
                    column("Drifted", "integer", ".status.phases.drifted", "How many resources differ or are missing."),
                    column("Failed", "integer", ".status.phases.failed", "How many resources could not be read or written."),
                    column("Message", "string", &ready("message"), "What there is to know first."),
                    column("Age", "date", ".metadata.creationTimestamp", "How long it has been there."),
                ],
                "schema": {"openAPIV3Schema": schema(registry)},
            }],
        },
    })
}

fn schema(registry: &Registry) -> Value {
    let writer = Writer {
        kinds: Kinds::new(registry),
    };
    let mut spec = writer.map(SPEC, &["language"]);
    add(
        &mut spec,
        "description",
        json!("What must hold, and what is needed to tell."),
    );
    json!({
        "type": "object",
        "description": "A policy says which states must hold in a cluster and in object stores. Holdfast observes, compares, and writes what differs until nothing does.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "The version of this form: `holdfast.dev/v1alpha1`."},
            "kind": {"type": "string", "description": "`Policy`."},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status(),
        },
        "x-kubernetes-validations": rules(&[(
            "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
            "a policy's name has at most 63 of a-z, 0-9 and `-`",
        )]),
    })
}

/// What the enforcer says of the policy. It alone writes here, and what it says may grow.
fn status() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let count = |description: &str| json!({"type": "integer", "format": "int64", "description": description});
    json!({
        "type": "object",
        "description": "What is observed, and what is being done about it.",
        // Until somebody has looked: without a condition it would be taken for one that has converged (kstatus, `Compute`).
        "default": {"observedGeneration": -1},
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "observedGeneration": count("The generation of the spec that all of this is about."),
            "phases": {
                "type": "object",
                "description": "How many resources are what; each is counted once.",
                "properties": {
                    "total": count("How many there are."),
                    "converged": count("How many hold."),
                    "drifted": count("How many differ from what is desired, or are missing."),
                    "waiting": count("How many wait, or aren't ready yet."),
                    "failed": count("How many can't be read or written."),
                    "skipped": count("How many their rules leave out."),
                },
            },
            "conditions": {
                "type": "array",
                "description": "Ready, Reconciling and Stalled, as kstatus defines them.",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status"],
                    "properties": {
                        "type": text("Which condition it is."),
                        "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it holds."},
                        "reason": text("Why, as one word from a closed list."),
                        "message": text("Why, for people."),
                        "lastTransitionTime": {"type": "string", "format": "date-time", "description": "Since when."},
                        "observedGeneration": count("The generation of the spec that it is about."),
                    },
                },
            },
        },
    })
}

/// Rules that the server checks, each with what it says where one doesn't hold.
fn rules(rules: &[(&str, &str)]) -> Value {
    rules
        .iter()
        .map(|(rule, message)| json!({"rule": rule, "message": message}))
        .collect()
}

/// What is checked of a map beyond its fields.
fn rules_of(definition: &str) -> &'static [(&'static str, &'static str)] {
    const ONE_VERB: (&str, &str) = (
        "(has(self.ensure) ? 1 : 0) + (has(self.observe) ? 1 : 0) + (has(self.forbid) ? 1 : 0) <= 1",
        "a rule has only one of `ensure`, `observe` and `forbid`",
    );
    match definition {
        "rule" => &[
            ONE_VERB,
            (
                "has(self.ensure) || has(self.observe) || has(self.forbid) || has(self.checks) || has(self.cases)",
                "a rule says what it is about: add `ensure`, `observe` or `forbid` with a kind, or `checks`",
            ),
        ],
        "case" => &[ONE_VERB],
        "fact" => &[(
            "(has(self.object) ? 1 : 0) + (has(self.list) ? 1 : 0) + (has(self.api) ? 1 : 0) == 1",
            "a fact needs one of `object`, `list` and `api`",
        )],
        "valuesFrom" => &[(
            "has(self.configMap) != has(self.secret)",
            "an item of `valuesFrom` has either `configMap` or `secret`",
        )],
        _ => &[],
    }
}

struct Writer {
    kinds: Kinds,
}

impl Writer {
    /// A map with the fields `rows`.
    fn map(&self, rows: &[Row], required: &[&str]) -> Value {
        let mut properties = Map::new();
        for (name, holds, doc) in rows {
            // What isn't there yet is refused with a word about that.
            if doc.starts_with("Reserved") {
                continue;
            }
            // People read the definition too: what a field means comes first.
            let mut schema = match holds {
                // Its type can't tell, as there are two.
                Holds::Expression => json!({"description": format!("{doc} An expression.")}),
                _ => json!({"description": doc}),
            };
            if let (Some(described), Value::Object(more)) = (schema.as_object_mut(), self.field(name, *holds))
            {
                described.extend(more);
            }
            properties.insert((*name).to_owned(), nullable(schema));
        }
        let mut map = free();
        add(&mut map, "properties", Value::Object(properties));
        if !required.is_empty() {
            add(&mut map, "required", json!(required));
        }
        map
    }

    fn field(&self, name: &str, holds: Holds) -> Value {
        match (name, holds) {
            ("language", _) => json!({"type": "integer", "format": "int64", "enum": [1]}),
            ("approve", _) => json!({"type": "string", "minLength": 1}),
            ("serviceAccountName", _) => {
                json!({"type": "string", "maxLength": 253, "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"})
            }
            ("interval", _) => json!({
                "type": "string",
                "pattern": DURATION,
                "x-kubernetes-validations": rules(&[(
                    "self.contains('d') || duration(self) >= duration('10s')",
                    "cloud state isn't read more often than every 10s",
                )]),
            }),
            ("managers", _) => json!({"type": "array", "minItems": 1, "items": {"type": "string"}}),
            ("files", _) => {
                json!({"type": "object", "additionalProperties": nullable(self.held(Holds::Text))})
            }
            _ => self.held(holds),
        }
    }

    fn held(&self, holds: Holds) -> Value {
        match holds {
            // An expression may be written as true or false, and what has one type only is typed.
            Holds::Any | Holds::Expression => json!({"x-kubernetes-preserve-unknown-fields": true}),
            Holds::Bool => json!({"type": "boolean"}),
            Holds::Count => json!({"type": "integer", "format": "int64", "minimum": 0}),
            Holds::Number => json!({"type": "number"}),
            Holds::Text => json!({"type": "string"}),
            Holds::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Holds::Duration => json!({"type": "string", "pattern": DURATION}),
            Holds::Word(words) => json!({"type": "string", "enum": words}),
            Holds::Kind => json!({"type": "string", "enum": self.kinds.names()}),
            Holds::Free => free(),
            Holds::One(name) => self.defined(name),
            Holds::List(name) => json!({"type": "array", "items": self.defined(name)}),
            Holds::Map(name) => json!({
                "type": "object",
                "additionalProperties": nullable(self.defined(name)),
                "x-kubernetes-validations": rules(&[(
                    "self.all(key, key.matches('^[a-z][A-Za-z0-9]*$') && !(key in ['true', 'false', 'null', 'in']))",
                    "keys match [a-z][A-Za-z0-9]*, so that expressions can name them",
                )]),
            }),
        }
    }

    fn defined(&self, name: &str) -> Value {
        let mut schema = match name {
            "rule" => self.map(&[VARIANT, RULE].concat(), &[]),
            "case" => self.map(&[CASE, VARIANT].concat(), &["when"]),
            "parameter" => self.map(&[SCHEMA, PARAMETER].concat(), &[]),
            "allow" => json!({"type": "array", "items": {"type": "string", "enum": Allowance::NAMES}}),
            // Settings differ by type, and what they hold may be computed.
            "provider" => free(),
            // What is inside of schemas is schemas again, which has no end; a name is a text or a map.
            "schema" | "name" => return json!({"x-kubernetes-preserve-unknown-fields": true}),
            _ => match DEFINITIONS.iter().find(|(found, ..)| *found == name) {
                Some((_, rows, required)) => self.map(rows, required),
                None => free(),
            },
        };
        if name == "adopt" {
            // Either tags or labels. They are maps or computed, so that no rule can speak of them.
            add(&mut schema, "minProperties", json!(1));
            add(&mut schema, "maxProperties", json!(1));
        }
        let checked = rules_of(name);
        if !checked.is_empty() {
            add(&mut schema, "x-kubernetes-validations", rules(checked));
        }
        schema
    }
}

/// The same, or null. A server drops nulls where they can't be, and `mode:` with nothing after it would then enforce;
/// kept, it is a fault that is told of.
fn nullable(mut schema: Value) -> Value {
    add(&mut schema, "nullable", json!(true));
    schema
}

/// A map of anything.
fn free() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}
