//! What something waits for, so that it is read again.

use std::collections::BTreeSet;

use holdfast_contract::Wanted;
use holdfast_policy::Hold;

use super::Session;
use crate::evaluate::NoAnswer;
use crate::graph::{ResourceGraph, State};
use crate::removal::Leaving;
use crate::step::Plan;

/// What the holds of a pass were decided by.
#[derive(Default)]
pub(super) struct Holds {
    /// Whether one holds something up.
    pub(super) held: bool,
    pub(super) facts: BTreeSet<String>,
    pub(super) looked_at: Vec<Wanted>,
}

impl Session<'_> {
    /// What the holds that were asked in `plan` were decided by.
    pub(super) fn holds(&self, graph: &ResourceGraph<'_>, leaving: &[Leaving<'_>], plan: &Plan) -> Holds {
        let mut holds = Holds::default();
        for planned in &plan.resources {
            let Some(asked) = &planned.hold else { continue };
            holds.held |= asked.waits();
            let own = graph
                .get(&planned.address)
                .and_then(|resource| resource.variant?.hold.as_ref());
            let left = leaving.iter().find(|leaving| leaving.address == planned.address);
            let hold = own.or_else(|| left?.hold);
            let references = hold.map(Hold::references).unwrap_or_default();
            holds.facts.extend(self.policy.facts_behind(&references));
            let looked_at = graph.resources.iter().filter(|other| {
                references.iter().any(|reference| match reference.root.as_str() {
                    "self" => other.address == planned.address,
                    "rules" => reference.name() == Some(other.address.rule.as_str()),
                    _ => false,
                })
            });
            holds.looked_at.extend(looked_at.filter_map(|other| {
                Some(Wanted {
                    key: other.key.clone()?,
                    facets: other.wanted.clone(),
                })
            }));
        }
        holds
    }
}

/// The fact that a resource waits for, if it waits for one.
pub(super) fn open_fact(state: &State) -> Option<String> {
    let State::Open(NoAnswer::Missing { path, .. }) = state else {
        return None;
    };
    let mut parts = path.split(['.', '[', '?']).filter(|part| !part.is_empty());
    (parts.next() == Some("facts"))
        .then(|| parts.next().map(str::to_owned))
        .flatten()
}
