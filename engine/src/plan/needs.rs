//! What a step waits for, and what it changes.

use std::collections::BTreeSet;

use holdfast_contract::{Change, Desired, Difference, Facet, Fidelity, Observation, Path, Value};

use super::judge::Judge;
use crate::address::Address;
use crate::graph::Naming;
use crate::phase::Phase;
use crate::step::{FacetChange, Step};

impl Judge<'_, '_> {
    /// What must be there first and isn't, as people name it.
    pub(super) fn unmet_needs(&self, needs: &BTreeSet<Address>) -> BTreeSet<String> {
        let after: BTreeSet<&str> = self
            .resource
            .rule
            .after
            .iter()
            .map(|after| after.rule.as_str())
            .collect();
        needs
            .iter()
            .filter(|need| match self.phases.get(*need) {
                None | Some(Phase::Converged | Phase::Skipped) => false,
                // What exists and merely differs holds nobody up, unless the policy orders it so by hand.
                Some(Phase::Drifted | Phase::Contested | Phase::Blocked | Phase::Failed) => {
                    after.contains(need.rule.as_str()) || !self.exists(need)
                }
                // A hold holds up its own rule's steps, not those that come after it for other reasons.
                Some(Phase::Pending) if self.held.contains(*need) => after.contains(need.rule.as_str()),
                Some(Phase::Settling) => {
                    after.contains(need.rule.as_str()) || self.input.graph.defines_types(need)
                }
                Some(_) => true,
            })
            .map(ToString::to_string)
            .collect()
    }

    /// What the policy puts in front by hand.
    pub(super) fn ordered_after(&self) -> BTreeSet<Address> {
        let after = &self.resource.rule.after;
        let needs = self.resource.needs.iter();
        needs
            .filter(|need| after.iter().any(|after| after.rule == need.rule))
            .cloned()
            .collect()
    }

    fn exists(&self, address: &Address) -> bool {
        let key = self
            .input
            .graph
            .get(address)
            .and_then(|resource| resource.key.as_ref());
        key.and_then(|key| self.input.snapshot.get(key))
            .is_some_and(|result| matches!(result, Ok(Observation::Present(_))))
    }

    pub(super) fn name_waits(&self) -> BTreeSet<String> {
        match &self.resource.naming {
            Naming::Known => BTreeSet::new(),
            Naming::Unrecorded(record) => BTreeSet::from([format!("its name to stand in {record}")]),
            Naming::Again { .. } | Naming::Mint { .. } | Naming::Search { .. } | Naming::Open => {
                BTreeSet::from(["its name".to_owned()])
            }
        }
    }

    pub(super) fn desired_waits(&self, facet: &Facet) -> BTreeSet<String> {
        self.resource
            .facets
            .get(facet)
            .map(|desired| desired.value.waits_for())
            .unwrap_or_default()
    }

    /// What a creation adds, leaf by leaf, so that each has its own place in the policy.
    pub(super) fn additions(&self, facet: &Facet, desired: &Desired) -> Vec<Difference> {
        let Some(kind) = &self.resource.kind else {
            return Vec::new();
        };
        let mut leaves = Vec::new();
        for difference in kind.compare(facet, desired, None, self.input.manager) {
            match difference.change {
                Change::Add { new } => add_leaves(difference.path, new, &mut leaves),
                _ => leaves.push(difference),
            }
        }
        leaves
    }

    pub(super) fn change(
        &self,
        facet: &Facet,
        differences: Vec<Difference>,
        fidelity: Fidelity,
    ) -> FacetChange {
        let declared = self.resource.declared();
        let differences = differences
            .into_iter()
            .map(|difference| {
                let path = self.resource.in_whole(facet, &difference.path);
                let place = declared.as_ref().map(|declared| declared.origin(&path).clone());
                (difference, place)
            })
            .collect();
        FacetChange {
            facet: facet.clone(),
            differences,
            fidelity,
            conflicts: Vec::new(),
            former: Vec::new(),
        }
    }

    pub(super) fn drift_reason(&self, step: &Step) -> String {
        let changes = || step.changes.iter().flat_map(|change| &change.differences);
        let former: BTreeSet<&str> = step
            .changes
            .iter()
            .flat_map(|change| change.former.iter().map(String::as_str))
            .collect();
        if !former.is_empty() {
            let former: Vec<&str> = former.into_iter().collect();
            return format!("takes over from {}", former.join(" and "));
        }
        if changes().all(|(difference, _)| difference.change == Change::Claim) {
            return "is as desired already, and will be held by this policy".to_owned();
        }
        if self.resource.was_provisioned(self.input.ledger) {
            "changed since it converged".to_owned()
        } else {
            "differs".to_owned()
        }
    }
}

fn add_leaves(path: Path, value: Value, leaves: &mut Vec<Difference>) {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                add_leaves(path.key(&key), value, leaves);
            }
        }
        Value::List(items) if items.iter().any(|item| matches!(item, Value::Map(_))) => {
            for (index, item) in items.into_iter().enumerate() {
                add_leaves(path.index(index), item, leaves);
            }
        }
        leaf => leaves.push(Difference::new(path, Change::Add { new: leaf })),
    }
}

pub(super) fn desired_fidelity(desired: &Desired) -> Fidelity {
    if desired.value.has_unknown() {
        Fidelity::Unknown
    } else {
        Fidelity::SchemaChecked
    }
}
