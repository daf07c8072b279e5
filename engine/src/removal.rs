//! What has left the policy: resources that it made, that are to go with their rule, and that no rule means any more.
//!
//! Only what the ledger says so of is looked at: made by this policy, and recorded with `onRemove: Delete`. That a list
//! could not be read, that a rule waits or is Skipped, or that it was renamed, is no leaving.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_contract::{Kind, Registry, ResourceKey, Wanted};
use holdfast_policy::{Hold, Place, Rule, TreeNode, ValidPolicy};

use crate::address::Address;
use crate::evaluate::Evaluator;
use crate::facts::Facts;
use crate::graph::{Resource, ResourceGraph, State};
use crate::ledger::{Ledger, Removable};
use crate::providers::{self, ProviderSettings};

/// A resource that has left the policy.
#[derive(Clone, Debug)]
pub struct Leaving<'p> {
    /// Its address, as it was.
    pub address: Address,
    /// What the ledger knows of it.
    pub entry: Removable,
    /// Which it is.
    pub key: ResourceKey,
    /// The provider by which it is reached; else why it can't be.
    pub settings: Result<ProviderSettings, String>,
    /// Its kind; none if this version has no such kind.
    pub kind: Option<Arc<dyn Kind>>,
    /// The `hold` of its rule, where that is still there and only this instance is gone.
    pub hold: Option<&'p Hold>,
    /// Where its rule stands, or the policy.
    pub place: Place,
    /// Resources of the policy that can't be named yet: one of them may turn out to be this very one.
    pub unnamed: BTreeSet<String>,
}

impl Leaving<'_> {
    /// What is to be read of it.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let kind = self.kind.as_ref();
        let facets = kind.map(|kind| {
            let root = std::iter::once(kind.root_facet());
            root.chain(kind.created_with()).cloned().collect()
        });
        Wanted {
            key: self.key.clone(),
            facets: facets.unwrap_or_default(),
        }
    }
}

/// What has left the policy, each before those that it needs.
///
/// A list of a type that the cluster doesn't serve looks empty, and proves nothing.
#[must_use]
pub fn leaving<'p>(
    policy: &'p ValidPolicy,
    registry: &Registry,
    graph: &ResourceGraph<'_>,
    facts: &Facts,
    ledger: &Ledger,
    evaluator: Evaluator<'_>,
) -> Vec<Leaving<'p>> {
    let mut left: Vec<Leaving<'p>> = Vec::new();
    for entry in ledger.removable() {
        let key = entry.key();
        let address = entry.address();
        if policy.retained.contains(&address.rule) {
            continue;
        }
        let rule = rule_of(policy, &address.rule);
        if graph.meaning(&key).next().is_some()
            || rule.is_some_and(|rule| may_stay(policy, graph, facts, rule, &address, evaluator))
        {
            continue;
        }
        let unnamed = graph.resources.iter().filter(|resource| {
            resource.key.is_none()
                && matches!(resource.state, State::Open(_))
                && resource.kind.as_ref().is_none_or(|kind| *kind.name() == key.kind)
        });
        let settings = settings(policy, registry, graph, entry, evaluator);
        left.push(Leaving {
            settings,
            unnamed: unnamed.map(|resource| resource.address.to_string()).collect(),
            kind: registry.kind(&key.kind).map(|(kind, _)| kind),
            hold: rule.and_then(|rule| rule.variants.iter().find_map(|variant| variant.hold.as_ref())),
            place: rule.map_or_else(|| policy.place.clone(), |rule| rule.place.clone()),
            entry: entry.clone(),
            address,
            key,
        });
    }
    sorted(left)
}

/// The provider that reaches `entry` where it was made.
fn settings(
    policy: &ValidPolicy,
    registry: &Registry,
    graph: &ResourceGraph<'_>,
    entry: &Removable,
    evaluator: Evaluator<'_>,
) -> Result<ProviderSettings, String> {
    let key = entry.key();
    let used = graph
        .providers
        .iter()
        .find(|settings| settings.name == key.provider);
    let found = match (used, registry.kind(&key.kind)) {
        (Some(used), _) => Some(used.clone()),
        (None, Some((_, provider_type))) => {
            providers::named(policy, &key.provider, provider_type, evaluator, &graph.roots).map_err(|no| {
                format!(
                    "its provider `{}` can't be opened: {}",
                    key.provider,
                    no.sentence()
                )
            })?
        }
        (None, None) => None,
    };
    let found = found.ok_or_else(|| format!("the policy no longer has its provider `{}`", key.provider))?;
    if found.digest() == entry.store {
        Ok(found)
    } else {
        Err(format!(
            "the provider `{}` is no longer what it was made by",
            key.provider
        ))
    }
}

/// The rule that `key` is, or was before it was renamed.
fn rule_of<'p>(policy: &'p ValidPolicy, key: &str) -> Option<&'p Rule> {
    let renamed = || {
        policy
            .rules
            .values()
            .find(|rule| rule.formerly.iter().any(|former| former == key))
    };
    policy.rules.get(key).or_else(renamed)
}

/// Whether what stood at `address` may still be meant by its rule, or isn't known not to be.
fn may_stay(
    policy: &ValidPolicy,
    graph: &ResourceGraph<'_>,
    facts: &Facts,
    rule: &Rule,
    address: &Address,
    evaluator: Evaluator<'_>,
) -> bool {
    // Skipping never removes. A `when` that looks at `each` says nothing of an instance that is gone.
    if let Some(when) = &rule.when
        && !when.references().iter().any(|reference| reference.root == "each")
        && evaluator.condition(when, &graph.roots) != Ok(true)
    {
        return true;
    }
    let own: Vec<&Resource<'_>> = graph.of_rule(&rule.key).collect();
    if let Some(items) = &rule.for_each {
        let lists = policy.facts_behind(&items.references());
        let is_open = own.iter().any(|resource| resource.address.instance.is_none());
        if is_open || !lists.is_disjoint(&facts.unserved) {
            return true;
        }
    }
    let checked = graph
        .checks
        .iter()
        .any(|only| only.address.rule == rule.key && only.address.instance == address.instance);
    let instance: Vec<&Resource<'_>> = own
        .into_iter()
        .filter(|resource| resource.address.instance == address.instance)
        .collect();
    if instance.is_empty() {
        return checked;
    }
    // The instance is there. Of several documents one may be gone; one that is left out by a condition stays.
    let [variant] = rule.variants.as_slice() else {
        return true;
    };
    let conditional = variant
        .documents
        .iter()
        .any(|document| match &document.tree.node {
            TreeNode::Map { when, for_each, .. } => when.is_some() || for_each.is_some(),
            _ => true,
        });
    let settled = instance
        .iter()
        .all(|resource| resource.state == State::Active && resource.key.is_some());
    address.object.is_none() || conditional || !settled
}

/// Each before those that it needs: what was made last goes first.
fn sorted(mut left: Vec<Leaving<'_>>) -> Vec<Leaving<'_>> {
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let needed: BTreeSet<String> = left
            .iter()
            .flat_map(|one| one.entry.needs.iter().cloned())
            .collect();
        let (first, rest): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|one| !needed.contains(&one.address.to_string()));
        if first.is_empty() {
            ordered.extend(rest);
            break;
        }
        ordered.extend(first);
        left = rest;
    }
    ordered
}
