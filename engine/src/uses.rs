//! What the parts of a policy look at: found once for all passes, as a policy may have thousands of documents.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_policy::{Reference, Rule, ValidPolicy, Variant};

/// What each part of a policy uses of the rest.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    /// By rule, that of each of its variants.
    rules: BTreeMap<String, Vec<VariantUses>>,
    sees_phases: bool,
}

/// What a variant uses.
#[derive(Clone, Debug)]
pub struct VariantUses {
    /// What its identity uses of other rules.
    pub identity: Vec<Reference>,
    /// What its documents use of other rules, with the top-level field that uses it; none: the whole document.
    pub documents: Vec<(Option<String>, Reference)>,
    /// The parts of what is observed that its expressions look at; none: all.
    pub observed: Option<BTreeSet<String>>,
}

impl Uses {
    /// What the parts of `policy` use.
    #[must_use]
    pub fn of(policy: &ValidPolicy) -> Self {
        let rules = policy.rules.iter().map(|(key, rule)| {
            let variants = rule.variants.iter().map(VariantUses::of);
            (key.clone(), variants.collect())
        });
        let mut references = policy.rules.values().flat_map(Rule::references);
        Self {
            rules: rules.collect(),
            sees_phases: references.any(|reference| sees_phase(&reference)),
        }
    }

    /// What `variant` of `rule` uses.
    #[must_use]
    pub fn variant(&self, rule: &Rule, variant: &Variant) -> Option<&VariantUses> {
        let place = rule.variants.iter().position(|one| std::ptr::eq(one, variant))?;
        self.rules.get(&rule.key)?.get(place)
    }

    /// Whether some expression looks at where a rule's resources stand.
    #[must_use]
    pub fn sees_phases(&self) -> bool {
        self.sees_phases
    }
}

impl VariantUses {
    fn of(variant: &Variant) -> Self {
        let is_rule = |reference: &Reference| reference.root == "rules";
        let mut identity = variant.identity_references();
        identity.retain(is_rule);
        let mut documents = variant.document_references();
        documents.retain(|(_, reference)| is_rule(reference));
        Self {
            identity,
            documents,
            observed: variant.observed_facets(),
        }
    }
}

fn sees_phase(reference: &Reference) -> bool {
    reference.root == "rules"
        && (1..4).any(|step| matches!(reference.step(step), Some("phase" | "converged")))
}
