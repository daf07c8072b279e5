//! What facts, variables and providers need of one another.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::ProviderName;
use holdfast_expression::Segment;

use super::cycles::{self, Needs};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::kinds::{Kinds, OBJECT, provider_type};
use crate::model::{
    Fact, FactSource, ProviderDeclaration, ProviderReference, Reference, Requirement, Rule, Variable,
};
use crate::place::Place;

/// Puts variables in order, says which facts come before which, and reports loops.
pub(crate) fn order(
    facts: &mut BTreeMap<String, Fact>,
    variables: Vec<Variable>,
    providers: &BTreeMap<ProviderName, ProviderDeclaration>,
    faults: &mut Diagnostics,
) -> Vec<Variable> {
    let mut needs: Needs<String> = Needs::new();
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for variable in &variables {
        let name = format!("variables.{}", variable.name);
        places.insert(name.clone(), variable.place.clone());
        needs.insert(name, named(&variable.tree.references()));
    }
    for provider in providers.values() {
        let name = format!("providers.{}", provider.name);
        places.insert(name.clone(), provider.place.clone());
        needs.insert(name, named(&provider.references()));
    }
    for fact in facts.values() {
        let name = format!("facts.{}", fact.name);
        places.insert(name.clone(), fact.place.clone());
        let mut needed = named(&fact.references());
        needed.extend(provider_of(fact, providers).map(|provider| format!("providers.{provider}")));
        needs.insert(name, needed);
    }
    let (ordered, loops) = cycles::order(&needs);
    for looped in &loops {
        let Some(place) = looped.first().and_then(|first| places.get(first)) else {
            continue;
        };
        let message = format!("these need each other: {}", cycles::shown(looped));
        faults.push(
            Diagnostic::error(Code::Cycle, place.clone(), message).with_hint("one of them must do without"),
        );
    }
    for fact in facts.values_mut() {
        fact.after = facts_before(&format!("facts.{}", fact.name), &needs);
    }
    let mut by_name: BTreeMap<String, Variable> = variables
        .into_iter()
        .map(|variable| (format!("variables.{}", variable.name), variable))
        .collect();
    ordered.iter().filter_map(|name| by_name.remove(name)).collect()
}

fn named(references: &[Reference]) -> BTreeSet<String> {
    let computed = references
        .iter()
        .filter(|reference| matches!(reference.root.as_str(), "facts" | "variables"));
    computed
        .filter_map(|reference| Some(format!("{}.{}", reference.root, reference.name()?)))
        .collect()
}

/// The declared provider that a fact is read through, where that is written out.
fn provider_of<'p>(
    fact: &Fact,
    providers: &'p BTreeMap<ProviderName, ProviderDeclaration>,
) -> Option<&'p ProviderName> {
    let (reference, kind) = match &fact.source {
        FactSource::Object { provider, .. } | FactSource::Objects { provider, .. } => {
            (provider.as_ref(), OBJECT)
        }
        FactSource::Resources { provider, kind, .. } => (provider.as_ref(), kind.as_str()),
        FactSource::Api { .. } => (None, OBJECT),
    };
    match reference {
        Some(ProviderReference::Named(name)) => providers
            .get_key_value(&ProviderName::from(name.literal()?))
            .map(|(name, _)| name),
        Some(ProviderReference::Inline(_)) => None,
        None => {
            let wanted = provider_type(kind)?;
            providers
                .iter()
                .find(|(_, provider)| provider.provider_type == wanted)
                .map(|(name, _)| name)
        }
    }
}

/// The facts that come before `name`, by way of anything but other facts.
fn facts_before(name: &str, needs: &Needs<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<&String> = needs.get(name).into_iter().flatten().collect();
    while let Some(next) = waiting.pop() {
        if let Some(fact) = next.strip_prefix("facts.") {
            found.insert(fact.to_owned());
        } else if seen.insert(next) {
            waiting.extend(needs.get(next).into_iter().flatten());
        }
    }
    found
}

/// Says of each fact that lists a provider's resources which of their parts expressions look at.
pub(crate) fn parts_read(
    facts: &mut BTreeMap<String, Fact>,
    variables: &[Variable],
    require: &[Requirement],
    rules: &BTreeMap<String, Rule>,
    kinds: &Kinds,
) {
    let mut references: Vec<Reference> = variables
        .iter()
        .flat_map(|variable| variable.tree.references())
        .collect();
    references.extend(require.iter().flat_map(Requirement::references));
    for rule in rules.values() {
        let all = rule.references();
        let over: Vec<&str> = rule
            .for_each
            .iter()
            .flat_map(|over| over.program.references())
            .filter_map(|reference| match reference.path.as_slice() {
                [Segment::Field(root), Segment::Field(name), ..] if root == "facts" => Some(name.as_str()),
                _ => None,
            })
            .collect();
        // What is said of an item is said of each fact that the rule goes over.
        for reference in all.iter().filter(|reference| reference.root == "each") {
            for name in &over {
                let item = [Segment::Field((*name).to_owned()), Segment::Dynamic];
                let path = item
                    .into_iter()
                    .chain(reference.path.iter().skip(1).cloned())
                    .collect();
                references.push(Reference {
                    root: "facts".to_owned(),
                    path,
                    ..reference.clone()
                });
            }
        }
        references.extend(all);
    }
    for fact in facts.values_mut() {
        let FactSource::Resources { kind, .. } = &fact.source else {
            continue;
        };
        let known = kinds.attributes(kind.as_str());
        let selected = fact
            .select
            .values()
            .filter_map(|select| select.path.leading_names().into_iter().next());
        let named = references
            .iter()
            .filter(|reference| reference.root == "facts" && reference.name() == Some(&fact.name))
            .filter_map(|reference| reference.step(2).map(str::to_owned));
        let parts = if fact.select.is_empty() {
            named.collect::<BTreeSet<_>>()
        } else {
            selected.collect()
        };
        fact.read = parts
            .into_iter()
            .filter(|part| !known.contains(part) && part != "name" && part != "region")
            .collect();
    }
}
