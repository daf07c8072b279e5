//! What the parts of a policy look at: found once for all passes, as a policy may have thousands of documents.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_policy::{Name, Reference, Rule, ValidPolicy, Variant};

use crate::objects;

/// What each part of a policy uses of the rest.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    /// By rule, that of each of its variants.
    rules: BTreeMap<String, Vec<VariantUses>>,
    /// The rules that some expression looks at; none: one looks at all of them.
    seen: Option<BTreeSet<String>>,
    sees_phases: bool,
    generates_names: bool,
    /// By rule, those whose names it records.
    recorded_by: BTreeMap<String, Vec<String>>,
}

/// What a variant uses.
#[derive(Clone, Debug)]
pub struct VariantUses {
    /// What its identity uses of other rules.
    pub identity: Vec<Reference>,
    /// What its documents use of other rules, with the top-level field that uses it; none: the whole document.
    pub documents: Vec<(Option<String>, Reference)>,
    /// Whether its documents stand in the policy as they are: no expression has a say in them.
    pub is_literal: bool,
    /// The parts of what is observed that its expressions look at; none: all.
    pub observed: Option<BTreeSet<String>>,
}

impl Uses {
    /// What the parts of `policy` use.
    #[must_use]
    pub fn of(policy: &ValidPolicy) -> Self {
        let rules = policy.rules.iter().map(|(key, rule)| {
            let variants = rule.variants.iter();
            let variants = variants.map(|variant| VariantUses::of(policy, variant));
            (key.clone(), variants.collect())
        });
        let mut references = policy.references();
        references.retain(|reference| reference.root == "rules");
        let seen = references
            .iter()
            .map(|reference| reference.name().map(str::to_owned));
        Self {
            rules: rules.collect(),
            seen: seen.collect(),
            sees_phases: references.iter().any(sees_phase),
            generates_names: generates_names(policy),
            recorded_by: recorded_by(policy),
        }
    }

    /// Whether some expression may look at `rules.RULE`.
    #[must_use]
    pub fn sees(&self, rule: &str) -> bool {
        self.seen.as_ref().is_none_or(|seen| seen.contains(rule))
    }

    /// What `variant` of `rule` uses.
    #[must_use]
    pub fn variant(&self, rule: &Rule, variant: &Variant) -> Option<&VariantUses> {
        let place = rule.variants.iter().position(|one| std::ptr::eq(one, variant))?;
        self.rules.get(&rule.key)?.get(place)
    }

    /// Whether some name is made up.
    #[must_use]
    pub fn generates_names(&self) -> bool {
        self.generates_names
    }

    /// The rules whose names `rule` records.
    #[must_use]
    pub fn recorded_by(&self, rule: &str) -> &[String] {
        self.recorded_by.get(rule).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether some expression looks at where a rule's resources stand.
    #[must_use]
    pub fn sees_phases(&self) -> bool {
        self.sees_phases
    }
}

impl VariantUses {
    fn of(policy: &ValidPolicy, variant: &Variant) -> Self {
        let is_rule = |reference: &Reference| reference.root == "rules";
        let mut identity = variant.identity_references();
        identity.retain(is_rule);
        let mut documents = variant.document_references();
        documents.retain(|(_, reference)| is_rule(reference));
        Self {
            identity,
            documents,
            is_literal: is_literal(policy, variant),
            observed: variant.observed_facets(),
        }
    }
}

/// Whether no expression has a say in the documents of `variant`, nor in how they are written.
fn is_literal(policy: &ValidPolicy, variant: &Variant) -> bool {
    let kind = variant.kind.clone().unwrap_or_else(objects::kind);
    let default = policy.defaults.get(&kind);
    let documents = variant.documents.iter().map(|document| &document.tree);
    let mut trees = documents.chain(default);
    trees.all(|tree| {
        let mut is_literal = true;
        tree.visit(&mut |_| is_literal = false);
        is_literal
    }) && variant.mode.is_none()
        && variant.stamp.is_empty()
}

fn generates_names(policy: &ValidPolicy) -> bool {
    let mut variants = policy.rules.values().flat_map(|rule| &rule.variants);
    variants.any(|variant| matches!(variant.name, Some(Name::Generate { .. })))
}

fn recorded_by(policy: &ValidPolicy) -> BTreeMap<String, Vec<String>> {
    let mut recorded_by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in policy.rules.values() {
        let names = rule.variants.iter().filter_map(|variant| variant.name.as_ref());
        let records = names.filter_map(|name| match name {
            Name::Generate { record, .. } => record.as_ref(),
            Name::Given(_) => None,
        });
        let places: BTreeSet<&String> = records.map(|record| &record.rule).collect();
        for place in places {
            recorded_by
                .entry(place.clone())
                .or_default()
                .push(rule.key.clone());
        }
    }
    recorded_by
}

/// Whether what is used of a rule is where it stands.
fn sees_phase(reference: &Reference) -> bool {
    (1..4).any(|step| matches!(reference.step(step), Some("phase" | "converged")))
}
