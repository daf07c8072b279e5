//! What rules need of one another.

use std::collections::{BTreeMap, BTreeSet};

use super::cycles::{self, Needs};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::kinds::{Kinds, OBJECT};
use crate::model::{Reference, Rule, Variant};

/// A part of a rule that others, or other parts, may need.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Its name and what follows from it.
    Identity,
    /// One top-level field of its document.
    Field(String),
    /// That it is there.
    Exists,
    /// All of it, as it should be.
    Whole,
}

type Node = (String, Part);

/// Reports rules that need each other so that none can be first.
///
/// A reference needs what gives its value and no more: two buckets may name each other, an object's `status` may say
/// what a bucket is called whose name is recorded there.
pub(crate) fn refuse_loops(rules: &BTreeMap<String, Rule>, kinds: &Kinds, faults: &mut Diagnostics) {
    let mut needs: Needs<Node> = Needs::new();
    for rule in rules.values() {
        parts(rule, rules, kinds, &mut needs);
    }
    let (_, loops) = cycles::order(&needs);
    let mut told: BTreeSet<String> = BTreeSet::new();
    for looped in loops {
        let names: Vec<String> = looped.into_iter().map(|(rule, _)| rule).collect();
        let Some(rule) = names.first().and_then(|name| rules.get(name)) else {
            continue;
        };
        let message = format!("these rules need each other: {}", cycles::shown(&names));
        if told.insert(message.clone()) {
            let fault = Diagnostic::error(Code::Cycle, rule.place.clone(), message);
            faults.push(
                fault.with_hint("a name or an ARN may be used both ways; what a rule has become may not"),
            );
        }
    }
}

fn parts(rule: &Rule, rules: &BTreeMap<String, Rule>, kinds: &Kinds, needs: &mut Needs<Node>) {
    let node = |part: Part| (rule.key.clone(), part);
    let mut need = |from: Part, to: Node| {
        needs.entry((rule.key.clone(), from)).or_default().insert(to);
    };
    let targets = |references: &[Reference]| -> Vec<Node> {
        references
            .iter()
            .filter_map(|reference| target(reference, rules, kinds))
            .collect()
    };
    need(Part::Whole, node(Part::Exists));
    need(Part::Exists, node(Part::Identity));
    for to in targets(&rule.own_references()) {
        need(Part::Identity, to);
    }
    for after in &rule.after {
        need(Part::Exists, (after.rule.clone(), Part::Whole));
    }
    for variant in &rule.variants {
        for to in targets(&variant.identity_references()) {
            need(Part::Identity, to);
        }
        let gates = variant.require.iter().filter(|gate| gate.facets.is_empty());
        let gates: Vec<Reference> = gates.flat_map(crate::model::Requirement::references).collect();
        let mut first = targets(&gates);
        first.extend(targets(
            &variant
                .adopt
                .iter()
                .flat_map(|adopt| adopt.tree.references())
                .collect::<Vec<_>>(),
        ));
        for to in first {
            need(Part::Exists, to);
        }
        for (field, reference) in variant.document_references() {
            let Some(to) = target(&reference, rules, kinds) else {
                continue;
            };
            match field {
                Some(field) if !created_with(variant, &field, kinds) => {
                    need(Part::Field(field.clone()), to);
                    need(Part::Field(field.clone()), node(Part::Exists));
                    need(Part::Whole, node(Part::Field(field)));
                }
                _ => need(Part::Exists, to),
            }
        }
    }
}

/// Whether a top-level field of the document is needed to create the resource.
fn created_with(variant: &Variant, field: &str, kinds: &Kinds) -> bool {
    let Some(name) = &variant.kind else {
        return true;
    };
    if name.as_str() == OBJECT {
        return field != "status";
    }
    let Some(kind) = kinds.get(name.as_str()) else {
        return false;
    };
    // A field that is a facet of its own can be written later; any other belongs to the resource itself.
    let is_facet = kind.facets().iter().any(|facet| facet.as_str() == field);
    let with = kind.created_with().iter().any(|facet| facet.as_str() == field);
    !is_facet || with || kind.root_facet().as_str() == field
}

/// What gives a reference its value.
fn target(reference: &Reference, rules: &BTreeMap<String, Rule>, kinds: &Kinds) -> Option<Node> {
    if reference.root != "rules" {
        return None;
    }
    let name = reference.name()?;
    let rule = rules.get(name)?;
    // With instances the key comes between the rule and the attribute.
    let attribute = reference.step(if rule.for_each.is_some() { 2 } else { 1 });
    let names = |attribute: &str| {
        rule.variants.iter().any(|variant| {
            variant
                .kind
                .as_ref()
                .is_some_and(|kind| kinds.attributes(kind.as_str()).contains(attribute))
        })
    };
    let part = match attribute {
        Some("exists") => Part::Exists,
        Some(attribute) if names(attribute) => Part::Identity,
        // Of a rule with instances, only which there are.
        None if rule.for_each.is_some() => Part::Identity,
        _ => Part::Whole,
    };
    Some((name.to_owned(), part))
}
