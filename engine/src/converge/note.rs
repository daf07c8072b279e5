//! What the calls of a run mean for the passes to come.

use std::collections::BTreeMap;

use holdfast_contract::{Action, Difference, Facet, ProviderError, Value};
use tokio::time::Instant;

use super::{LAG, Mended, Run, WRITES};
use crate::address::Address;
use crate::cycle::Session;
use crate::objects;
use crate::step::{Accepted, LeftAlone, Outcome, Plan, PlannedResource, Step, StepVerb};

impl Run<'_> {
    /// What an outcome means for the passes to come.
    pub(super) fn note(&mut self, session: &mut Session<'_>, plan: &Plan, outcome: Outcome) {
        let Outcome {
            address,
            facet,
            verb,
            result,
        } = outcome;
        let planned = plan.resources.iter().find(|resource| resource.address == address);
        let Some(planned) = planned else { return };
        let Some(key) = &planned.key else { return };
        let what = (address.clone(), facet.clone());
        // An accepted write and a refused one are both followed by a fresh look.
        session.forget(key, facet.as_ref());
        match result {
            Ok(written) => {
                self.counts.entry(verb).or_default().insert(address.clone());
                if !session.is_approved(&address, verb) {
                    self.tally.count(verb, &address, Instant::now());
                }
                self.retries.succeeded(&what);
                self.facts_are_old = !session.policy.facts.is_empty();
                let writes = self.writes.entry(what.clone()).or_default();
                *writes = writes.saturating_add(1);
                if *writes >= WRITES {
                    let why = format!(
                        "it differed again after each of {WRITES} writes: somebody else keeps changing it"
                    );
                    session.left_alone.insert(what.clone(), LeftAlone::refused(why));
                    self.retries.rest(&what);
                }
                if verb == StepVerb::Create {
                    session.ledger.remember_created(&address, &key.to_string());
                    session.ledger.remember_made(&address, key, written.uid.clone());
                    session.ledger.forget_replaced(&address);
                    session.ledger.remember_missing(&address, &[]);
                }
                if let Some((facet, declared)) = set_by(planned, facet.as_ref())
                    && session.is_unversioned(key, facet)
                {
                    session.ledger.remember_set(&address, facet, declared);
                    session
                        .ledger
                        .remember_dropped(&address, facet, &written.unsupported);
                }
                if !written.unsupported.is_empty() {
                    let fields = written.unsupported.join(", ");
                    let why = format!("the store does not keep {fields}");
                    session.left_alone.insert(what.clone(), LeftAlone::refused(why));
                }
                let differences = planned.step.as_ref();
                let differences = differences.map(|step| differences_of(step, facet.as_ref()));
                let differences = differences.unwrap_or_default();
                let at = Instant::now();
                self.fights.wrote(&what, &differences, at);
                let mended = Mended {
                    at,
                    verb,
                    differences,
                };
                self.written.insert(what, mended);
            }
            // The name was made up here, nothing was ever kept under it, and it is somebody else's: another one will do.
            Err(ProviderError::Foreign { .. })
                if verb == StepVerb::Create
                    && session.ledger.name(&address) == Some(key.name.as_str())
                    && !planned.was_provisioned
                    && session.ledger.give_up_name(&address) => {}
            Err(error) => {
                // Without an answer it may have been done.
                let is_open = matches!(
                    error,
                    ProviderError::Abandoned { .. } | ProviderError::Unavailable { .. }
                );
                if is_open && verb != StepVerb::Create && !session.is_approved(&address, verb) {
                    self.tally.count(verb, &address, Instant::now());
                }
                if let Some(why) = self.retries.failed(&what, &error, session.engine.clock) {
                    session.left_alone.insert(what, why);
                }
            }
        }
    }

    /// Shows the session what was written, and how often.
    pub(crate) fn show_writes(&self, session: &mut Session<'_>) {
        let now = Instant::now();
        session.done = self.tally.done();
        session.accepted = self
            .written
            .iter()
            .map(|(what, mended)| {
                let accepted = Accepted {
                    verb: mended.verb,
                    differences: mended.differences.clone(),
                    writes: BTreeMap::new(),
                    fresh: now.duration_since(mended.at) < LAG,
                };
                (what.clone(), accepted)
            })
            .collect();
        for (what, writes) in self.fights.counts(now) {
            let accepted = session.accepted.entry(what.clone());
            accepted.or_insert_with(Accepted::long_ago).writes = writes;
        }
    }
}

/// What a planned write of `facet` declares; none where the facets are made along with the whole.
fn set_by<'p>(planned: &'p PlannedResource, facet: Option<&Facet>) -> Option<(&'p Facet, &'p Value)> {
    let wanted = facet?;
    let mut writes = planned.step.as_ref()?.stages.iter().flatten();
    writes.find_map(|write| match &write.action {
        Action::Set { facet, desired, .. } if facet == wanted => Some((facet, &desired.value)),
        _ => None,
    })
}

fn differences_of(step: &Step, facet: Option<&Facet>) -> Vec<Difference> {
    let changes = step
        .changes
        .iter()
        .filter(|change| facet.is_none_or(|facet| change.facet == *facet));
    changes
        .flat_map(|change| {
            change
                .differences
                .iter()
                .map(|(difference, _)| difference.clone())
        })
        .collect()
}

impl Session<'_> {
    /// Whether the server of what is at `address` counts versions, so that a read never shows what was before a write.
    pub(super) fn tells_versions(&self, address: &Address) -> bool {
        let rule = self.policy.rules.get(&address.rule);
        let kinds = rule.into_iter().flat_map(|rule| &rule.variants);
        kinds
            .filter_map(|variant| variant.kind.as_ref())
            .all(|kind| kind.as_str() == objects::KIND)
    }

    /// Whether nobody but the ledger remembers who set a facet: servers that take dry runs keep field managers.
    fn is_unversioned(&self, key: &holdfast_contract::ResourceKey, facet: &Facet) -> bool {
        let kind = self.providers.registry().kind(&key.kind);
        kind.is_some_and(|(kind, _)| !kind.wants_preview(facet))
    }
}
