//! Gates and checks: what must hold before a write, and what should hold after.

use holdfast_contract::{Facet, Kind};
use holdfast_expression::{Environment, suggest};

use super::compile::{condition, template};
use super::fields::Fields;
use super::rule::settled;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Check, CheckSeverity, Requirement};
use crate::place::Place;

/// Says that `word` is no facet of `kind`, if it isn't.
pub(super) fn known_facet(word: &str, place: &Place, kind: &dyn Kind, faults: &mut Diagnostics) {
    let facets: Vec<&str> = kind.facets().iter().map(Facet::as_str).collect();
    if facets.contains(&word) {
        return;
    }
    let message = format!("{} has no facet `{word}`", kind.name());
    let hint = match suggest(word, facets.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("facets: {}", facets.join(", ")),
    };
    faults.push(Diagnostic::error(Code::InvalidValue, place.clone(), message).with_hint(hint));
}

/// Reads gates: the policy's, or a rule's.
pub(super) fn requirements(
    fields: &Fields<'_>,
    environment: &Environment,
    kind: Option<&dyn Kind>,
    faults: &mut Diagnostics,
) -> Vec<Requirement> {
    let mut requirements = Vec::new();
    for node in fields.items("require", faults) {
        let known: &[&str] = &["that", "message", "facets"];
        let Some(fields) = Fields::of(node, "a requirement", known, faults) else {
            continue;
        };
        let that = fields
            .required("that", faults)
            .and_then(|node| condition(node, "that", environment, faults));
        let message = fields.required("message", faults);
        let message = message.and_then(|node| template(node, "message", environment, faults));
        let facets = fields.texts("facets", faults);
        if let Some(kind) = kind {
            for (node, facet) in &facets {
                known_facet(facet, &node.place, kind, faults);
            }
        }
        let facets = facets.into_iter().map(|(_, facet)| Facet::from(facet)).collect();
        if let Some((that, message)) = that.zip(message) {
            requirements.push(Requirement {
                that,
                message,
                facets,
                place: node.place.clone(),
            });
        }
    }
    requirements
}

/// Reads checks.
pub(super) fn checks(fields: &Fields<'_>, environment: &Environment, faults: &mut Diagnostics) -> Vec<Check> {
    let mut checks = Vec::new();
    for node in fields.items("checks", faults) {
        let known: &[&str] = &["that", "message", "severity", "controls"];
        let Some(fields) = Fields::of(node, "a check", known, faults) else {
            continue;
        };
        let that = fields
            .required("that", faults)
            .and_then(|node| condition(node, "that", environment, faults));
        let message = fields
            .get("message")
            .map(|node| template(node, "message", environment, faults));
        let severity = fields.choice("severity", CheckSeverity::NAMES, faults);
        let controls = fields
            .texts("controls", faults)
            .into_iter()
            .map(|(_, name)| name.to_owned())
            .collect();
        if let Some((that, message)) = that.zip(settled(message)) {
            checks.push(Check {
                that,
                message,
                severity: severity.and_then(CheckSeverity::parse).unwrap_or_default(),
                controls,
                place: node.place.clone(),
            });
        }
    }
    checks
}
