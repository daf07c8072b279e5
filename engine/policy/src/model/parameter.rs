//! A policy's typed inputs.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::Value;

use super::Template;
use crate::place::Place;

/// A typed input.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it is defined.
    pub place: Place,
    /// What its values look like, its default included.
    pub schema: Schema,
    /// Whether it may have no value at all: it is then absent.
    pub optional: bool,
    /// Whether its value is never shown.
    pub sensitive: bool,
}

/// What a value looks like: the subset of `OpenAPI` v3 that a parameter is written in.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Its type; none: any.
    pub r#type: Option<SchemaType>,
    /// What it means.
    pub description: String,
    /// The value where none is given.
    pub default: Option<Value>,
    /// The values that are allowed; empty: all.
    pub one_of: Vec<Value>,
    /// What text must match somewhere.
    pub pattern: Option<regex::Regex>,
    /// The least number.
    pub minimum: Option<f64>,
    /// The greatest number.
    pub maximum: Option<f64>,
    /// The least characters of a text.
    pub min_length: Option<u64>,
    /// The most characters of a text.
    pub max_length: Option<u64>,
    /// The fewest items of a list.
    pub min_items: Option<u64>,
    /// The most items of a list.
    pub max_items: Option<u64>,
    /// What a list's items look like.
    pub items: Option<Box<Schema>>,
    /// What a map's known entries look like.
    pub properties: BTreeMap<String, Schema>,
    /// The entries that a map must have.
    pub required: BTreeSet<String>,
    /// What other entries a map may have.
    pub additional: AdditionalProperties,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaType {
    /// A list.
    Array,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A map.
    Object,
    /// Text.
    String,
}

impl SchemaType {
    /// All types, as they are written.
    pub const NAMES: &'static [&'static str] = &["array", "boolean", "integer", "number", "object", "string"];

    /// The type of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "array" => Self::Array,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "object" => Self::Object,
            "string" => Self::String,
            _ => return None,
        })
    }

    /// How it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Object => "object",
            Self::String => "string",
        }
    }
}

/// What entries a map may have beside its known ones.
#[derive(Clone, Debug, Default)]
pub enum AdditionalProperties {
    /// None where some are known, else any.
    #[default]
    Unsaid,
    /// Any.
    Any,
    /// None.
    None,
    /// Those that look so.
    Of(Box<Schema>),
}

/// A `ConfigMap` or Secret from which parameters are filled.
#[derive(Clone, Debug)]
pub struct ValuesFrom {
    /// Which of the two.
    pub source: ValuesSource,
    /// Its namespace; none: the policy's.
    pub namespace: Option<Template>,
    /// Its name.
    pub name: Template,
    /// Whether it may be missing.
    pub optional: bool,
    /// The one key of it that holds parameters as YAML; none: each key is a parameter.
    pub key: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// What holds parameters' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValuesSource {
    /// A `ConfigMap`.
    ConfigMap,
    /// A Secret. It may fill sensitive parameters only.
    Secret,
}
