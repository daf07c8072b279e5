//! From positioned YAML to the model: each part of a policy has a file that reads it.

mod cases;
mod compile;
mod environments;
mod facts;
mod fields;
mod gates;
mod hints;
mod parameters;
mod policy;
mod providers;
mod rule;
mod variant;

pub(crate) use policy::{API_VERSION, DEFAULT_NAMESPACE, read};
pub(crate) use providers::check_reference;
#[cfg(test)]
pub(crate) use {parameters::SCHEMA_FIELDS, policy::SPEC_FIELDS, rule::RULE_FIELDS, variant::VARIANT_FIELDS};
