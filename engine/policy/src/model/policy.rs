//! The policy as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use holdfast_contract::{Facet, KindName, PolicyId, ProviderName, Value};
use serde::Serialize;

use super::{Expression, Fact, Parameter, ProviderDeclaration, Reference, Rule, Template, Tree, ValuesFrom};
use crate::diagnostic::Diagnostic;
use crate::place::{Place, Sources};

/// A policy in which every name is defined, every expression compiles, and every document fits its kind.
#[derive(Clone, Debug)]
pub struct ValidPolicy {
    /// Its namespace and name; a file without a namespace is in `holdfast-system`.
    pub id: PolicyId,
    /// Where it starts.
    pub place: Place,
    /// The version of the language it is written in.
    pub language: u32,
    /// Whether it writes.
    pub mode: Mode,
    /// How often cloud state is read again.
    pub interval: Duration,
    /// Caps for one cycle.
    pub limits: Limits,
    /// Whether it is paused.
    pub suspend: bool,
    /// The hash of a plan that a limit held up and that may now run.
    pub approve: Option<String>,
    /// The account that a Policy resource acts as.
    pub service_account_name: Option<String>,
    /// Its typed inputs.
    pub parameters: BTreeMap<String, Parameter>,
    /// Parameters' values that the policy itself carries, checked against their schemas, not yet defaulted.
    pub values: BTreeMap<String, (Value, Place)>,
    /// `ConfigMap`s and Secrets from which parameters are filled, in order; a later one wins.
    pub values_from: Vec<ValuesFrom>,
    /// What it reads.
    pub facts: BTreeMap<String, Fact>,
    /// Its named expressions, each after those that it uses.
    pub variables: Vec<Variable>,
    /// Its gates: until all hold nothing is written.
    pub require: Vec<Requirement>,
    /// Its providers, by the name it gives them. A type that isn't named here is opened with no settings.
    pub providers: BTreeMap<ProviderName, ProviderDeclaration>,
    /// By kind: what is laid under every `desired` of it, with [`lay_under`](crate::lay_under).
    pub defaults: BTreeMap<KindName, Tree>,
    /// Its rules by key.
    pub rules: BTreeMap<String, Rule>,
    /// The keys of rules that it had, and whose resources stay although it hasn't them any more, whatever was remembered.
    pub retained: BTreeSet<String>,
    /// What is no fault and yet worth knowing: what it uses of the language that isn't there yet, which the engine refuses
    /// where it becomes active; and what may not do what was meant.
    pub warnings: Vec<Diagnostic>,
    /// The texts it was read from, for showing places.
    pub sources: Sources,
}

/// Whether a policy or a rule writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Mode {
    /// Report, never write.
    Observe,
    /// Make it so.
    #[default]
    Enforce,
}

impl Mode {
    /// All modes, as they are written.
    pub const NAMES: &'static [&'static str] = &["Enforce", "Observe"];

    /// The mode of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "Enforce" => Some(Self::Enforce),
            "Observe" => Some(Self::Observe),
            _ => None,
        }
    }

    /// The weaker of the two: a rule may weaken its policy's mode, never strengthen it.
    #[must_use]
    pub fn weaker(self, other: Self) -> Self {
        self.min(other)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "Enforce",
            Self::Observe => "Observe",
        })
    }
}

/// Caps for one cycle. Over a cap nothing is done until the plan is approved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most changes; none: no cap.
    pub changes: Option<u32>,
    /// Most deletions; none unless said otherwise.
    pub deletions: u32,
    /// Most changes, in percent of all resources; none: no cap.
    pub percent: Option<u32>,
}

/// A named expression. It may use parameters, facts and other variables.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where it is defined.
    pub place: Place,
    /// What it stands for; [`Tree::compute`] gives its value.
    pub tree: Tree,
}

/// A gate.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// What must hold.
    pub that: Expression,
    /// What to say when it doesn't.
    pub message: Template,
    /// The facets whose writes it holds up; empty: all.
    pub facets: BTreeSet<Facet>,
    /// Where it stands.
    pub place: Place,
}

impl ValidPolicy {
    /// The variable `name`.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// All that its rules, gates, providers and defaults use.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let rules = self.rules.values().flat_map(Rule::references);
        let gates = self.require.iter().flat_map(Requirement::references);
        let providers = self.providers.values();
        let providers = providers.flat_map(ProviderDeclaration::references);
        let defaults = self.defaults.values().flat_map(Tree::references);
        rules.chain(gates).chain(providers).chain(defaults).collect()
    }

    /// The facts that `references` need, by way of variables too.
    #[must_use]
    pub fn facts_behind(&self, references: &[Reference]) -> BTreeSet<String> {
        let mut facts = BTreeSet::new();
        let mut waiting: Vec<Reference> = references.to_vec();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        while let Some(reference) = waiting.pop() {
            match reference.root.as_str() {
                "facts" => facts.extend(reference.name().map(str::to_owned)),
                "variables" => {
                    let variable = reference.name().and_then(|name| self.variable(name));
                    if let Some(variable) = variable.filter(|variable| seen.insert(variable.name.clone())) {
                        waiting.extend(variable.tree.references());
                    }
                }
                _ => {}
            }
        }
        facts
    }
}
