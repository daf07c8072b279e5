//! Holdfast's policy language: YAML with positions in, a checked policy out.
//!
//! Two stages. [`load`] reads a policy's document and the files that it names, and is the only one that touches the
//! file system. [`validate`] is pure: it takes what was loaded and what is known about kinds, and gives a
//! [`ValidPolicy`], in which every name is defined, every expression is compiled, every document fits its kind and
//! nothing needs itself; or all that is wrong, at once, each fault with its place and what to do about it.
//!
//! A valid policy computes nothing by itself. The engine gives its expressions, templates and trees a scope and a
//! budget, and gets values back together with the places that they come from.
#![deny(clippy::arithmetic_side_effects)]

mod anchor;
mod bundle;
mod check;
mod code;
mod convert;
mod diagnostic;
mod evaluate;
mod glob;
mod json_path;
mod json_schema;
mod kinds;
mod load;
mod model;
mod parameters;
mod place;
mod read;
mod render;
mod yaml;

use holdfast_contract::Registry;

pub use bundle::bundle;
pub use check::shape::check_evaluated;
pub use code::Code;
pub use convert::{NoDocument, from_expression, to_expression};
pub use diagnostic::{Diagnostic, Diagnostics, LONGEST_SUMMARY, Severity};
pub use evaluate::{Evaluated, EvaluationError, Origins, Truth, each_items, lay_under};
pub use json_path::{PathQuery, Select, SeveralFound};
pub use json_schema::{json_schema, resource_definition};
pub use load::{Loaded, load, load_document, load_text};
pub use model::*;
pub use parameters::{Parameters, Supplied, resolve_parameters};
pub use place::{Place, Source, Sources};
pub use render::render;

/// Checks what was loaded against what is known about kinds. Pure: it touches neither files nor the network.
///
/// # Errors
/// All that is wrong, ordered by place.
pub fn validate(loaded: &Loaded, registry: &Registry) -> Result<ValidPolicy, Diagnostics> {
    read::read(loaded, registry)
}

/// Two cases of one rule hold at once: what the engine says where that shows only when they are evaluated.
#[must_use]
pub fn two_cases_hold(rule: &Rule, first: &Variant, second: &Variant) -> Diagnostic {
    let message = format!("two cases of `{}` hold at once", rule.key);
    let place = |variant: &Variant| {
        variant
            .when
            .as_ref()
            .map_or_else(|| variant.place.clone(), |when| when.place.clone())
    };
    Diagnostic::error(Code::AmbiguousCases, place(second), message)
        .with_hint("at most one may hold")
        .with_secondary(place(first), "this one holds too")
}
