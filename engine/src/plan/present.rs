//! What is to be done about something that exists and is to be as declared.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{Action, Difference, Facet, Observed, Path, ProviderError, Readiness, Write};
use holdfast_policy::{Allowance, OnConflict, Verb, to_expression};

use super::judge::Judge;
use super::{Found, guards};
use crate::diff::{Differing, FacetComparison};
use crate::evaluate::NoAnswer;
use crate::phase::Event;
use crate::step::{FacetChange, Step, StepVerb};

/// What a difference means after our own write.
enum AfterWrite {
    /// It is new.
    News,
    /// It may be the state before the write.
    Stale,
    /// The server took the write and dropped it; the text says what.
    NotKept(String),
}

/// The facets of what exists, by what is to be done about them.
#[derive(Default)]
struct Sorted {
    /// They can't be brought to what is desired, each with the reason.
    blocked: BTreeMap<Facet, String>,
    /// They were written, and the old value is still to be seen.
    stale: Vec<String>,
    changes: Vec<FacetChange>,
    /// What changes wait for.
    waits: BTreeSet<String>,
    /// The changes that wait for nothing.
    writes: Vec<(Facet, Write)>,
    /// What changes disrupt.
    disruptive: BTreeMap<Facet, String>,
    /// Fields that can't be changed on what exists, where the rule allows to replace it.
    immutable: Vec<String>,
}

impl Judge<'_, '_> {
    /// It exists.
    pub(super) fn present(&self, observed: &Observed) -> Found {
        let resource = self.resource;
        if let Some(why) = guards::foreign(self.input, resource, observed) {
            return Found::new(Event::Refused, why);
        }
        match resource.verb() {
            Verb::Forbid => return self.forbidden(observed),
            Verb::Observe | Verb::Check => return Found::new(Event::FoundEqual, "observed"),
            Verb::Ensure => {}
        }
        if observed.deleting {
            return Found::new(Event::FoundUnready, "it is being deleted");
        }
        let Sorted {
            blocked,
            stale,
            changes,
            waits,
            mut writes,
            disruptive,
            immutable,
        } = self.sorted(observed);
        if !immutable.is_empty() {
            let mut found = self.replaced(observed, &immutable, changes);
            found.blocked = blocked;
            return found;
        }
        if changes.is_empty() {
            let mut found = if !stale.is_empty() {
                let what = stale.join(", ");
                Found::new(
                    Event::FoundUnready,
                    format!("{what}: written, and the old value is still to be seen"),
                )
            } else if blocked.is_empty() {
                self.equal(observed)
            } else {
                Found::new(
                    Event::Refused,
                    "some of its facets can't be brought to what is desired",
                )
            };
            found.blocked = blocked;
            return found;
        }
        let mut step = Step {
            verb: StepVerb::Update,
            changes,
            stages: Vec::new(),
            waits: waits.into_iter().collect(),
        };
        if let Some(gate) = self.gate(Some(observed)) {
            let mut found = Found::new(Event::Waits, gate).with(step);
            found.blocked = blocked;
            return found;
        }
        if let Some(mut found) = self.held_back(&mut step) {
            found.blocked = blocked;
            return found.with(step);
        }
        let disrupts: Vec<&str> = disruptive.values().map(String::as_str).collect();
        let hold = (!disrupts.is_empty())
            .then(|| self.held(disrupts.join(", "), observed))
            .flatten();
        let reason = self.drift_reason(&step);
        let waits = hold.as_ref().filter(|hold| hold.waits());
        // One facet is one call: where a part of it is held up, all of it waits.
        writes.retain(|(facet, _)| waits.is_none() || !disruptive.contains_key(facet));
        step.stages = self.stages(writes);
        let mut found = match waits.filter(|_| !step.is_ready()) {
            Some(hold) => Found::new(Event::Waits, hold.sentence()),
            None => Found::new(Event::FoundDifferent, reason),
        };
        found.step = Some(step);
        found.blocked = blocked;
        found.hold = hold;
        found
    }

    fn sorted(&self, observed: &Observed) -> Sorted {
        let resource = self.resource;
        let empty = BTreeMap::new();
        let comparisons = self.input.comparisons.get(&resource.address).unwrap_or(&empty);
        let mut sorted = Sorted::default();
        for (facet, comparison) in comparisons {
            match comparison {
                FacetComparison::Equal => {}
                FacetComparison::Unreadable(error) => {
                    sorted.blocked.insert(facet.clone(), error.to_string());
                }
                FacetComparison::Different(differing) => {
                    match self.after_write(facet, &differing.differences) {
                        AfterWrite::News => {}
                        AfterWrite::Stale => {
                            sorted.stale.push(facet.to_string());
                            continue;
                        }
                        AfterWrite::NotKept(why) => {
                            sorted.blocked.insert(facet.clone(), why);
                            continue;
                        }
                    }
                    let unyielded = self.yielded(differing);
                    let Some((differences, write)) = unyielded else {
                        continue;
                    };
                    if let Some(ProviderError::Immutable { fields, .. }) = &differing.refused
                        && self.allows(Allowance::Replace)
                    {
                        sorted.immutable.extend(fields.iter().cloned());
                        let change = self.change(facet, differences, differing.fidelity);
                        sorted.changes.push(change);
                        continue;
                    }
                    if let Some(why) = self.facet_refusal(facet, differing) {
                        sorted.blocked.insert(facet.clone(), why);
                        continue;
                    }
                    let kind = resource.kind.as_ref();
                    let disrupts = kind.and_then(|kind| kind.disrupts(&observed.key, facet, &differences));
                    sorted
                        .disruptive
                        .extend(disrupts.map(|disrupts| (facet.clone(), disrupts)));
                    let mut change = self.change(facet, differences, differing.fidelity);
                    change.conflicts.clone_from(&differing.conflicts);
                    change.former.clone_from(&differing.former);
                    sorted.changes.push(change);
                    let mut facet_waits = self.name_waits();
                    facet_waits.extend(self.desired_waits(facet));
                    if let Some(needs) = resource.facet_needs.get(facet) {
                        facet_waits.extend(self.unmet_needs(needs));
                    }
                    if facet_waits.is_empty() {
                        sorted.writes.push((facet.clone(), write));
                    }
                    sorted.waits.extend(facet_waits);
                }
            }
        }
        sorted
    }

    fn equal(&self, observed: &Observed) -> Found {
        if !self.input.await_ready {
            return Found::new(Event::FoundEqual, "");
        }
        match self.readiness(observed) {
            Readiness::Ready => Found::new(Event::FoundEqual, ""),
            Readiness::NotYet(why) | Readiness::Failed(why) => Found::new(Event::FoundUnready, why),
        }
    }

    fn readiness(&self, observed: &Observed) -> Readiness {
        let (Some(variant), Some(kind)) = (self.resource.variant, &self.resource.kind) else {
            return Readiness::Ready;
        };
        let Some(ready) = &variant.ready else {
            return kind.ready(observed);
        };
        let own = to_expression(&kind.document(observed));
        match self
            .input
            .evaluator
            .condition(ready, &self.resource.roots.with("self", own))
        {
            Ok(true) => Readiness::Ready,
            Ok(false) => Readiness::NotYet(format!("not ready: {}", ready.program.source())),
            Err(NoAnswer::Missing { path, .. }) => {
                Readiness::NotYet(format!("not ready: {path} isn't there yet"))
            }
            Err(no) => Readiness::NotYet(no.sentence()),
        }
    }

    /// Why one facet may not be written, if so.
    fn facet_refusal(&self, facet: &Facet, differing: &Differing) -> Option<String> {
        if let Some(error) = &differing.refused {
            return Some(guards::refusal(error));
        }
        let whole = (self.resource.address.clone(), None);
        let this = (self.resource.address.clone(), Some(facet.clone()));
        if let Some(why) = self
            .input
            .refused
            .get(&this)
            .or_else(|| self.input.refused.get(&whole))
        {
            return Some(why.clone());
        }
        let observed = match &differing.write.action {
            Action::Set { observed, .. } => Some(observed.as_ref()),
            _ => None,
        };
        self.facet_gate(facet, observed)
            .or_else(|| guards::dangerous(self.input, self.resource, facet, &differing.write))
    }

    /// What a difference means in the light of our own last write of that facet.
    fn after_write(&self, facet: &Facet, now: &[Difference]) -> AfterWrite {
        let this = (self.resource.address.clone(), Some(facet.clone()));
        let Some(accepted) = self.input.accepted.get(&this) else {
            return AfterWrite::News;
        };
        let before = &accepted.differences;
        if now.is_empty() || !now.iter().all(|difference| before.contains(difference)) {
            // A third value: somebody else wrote.
            return AfterWrite::News;
        }
        let may_lag = self
            .resource
            .kind
            .as_ref()
            .is_some_and(|kind| !kind.wants_preview(facet));
        if now.len() == before.len() && may_lag && accepted.fresh {
            return AfterWrite::Stale;
        }
        let fields: Vec<String> = now.iter().map(|difference| difference.path.to_string()).collect();
        AfterWrite::NotKept(format!(
            "the server accepted the write and did not keep {}",
            fields.join(", ")
        ))
    }

    /// The differences and the write of a facet, without what is left to other managers; none if nothing is left.
    fn yielded(&self, differing: &Differing) -> Option<(Vec<Difference>, Write)> {
        let mut write = differing.write.clone();
        if differing.conflicts.is_empty() {
            return Some((differing.differences.clone(), write));
        }
        let on_conflict = self
            .resource
            .variant
            .map(|variant| variant.on_conflict)
            .unwrap_or_default();
        if on_conflict == OnConflict::Take {
            write.force = true;
            return Some((differing.differences.clone(), write));
        }
        let theirs: Vec<Path> = differing
            .conflicts
            .iter()
            .map(|conflict| conflict.path.clone())
            .collect();
        if let Action::Set { desired, .. } = &mut write.action {
            holdfast_contract::remove(&mut desired.value, &theirs);
        }
        let differences: Vec<Difference> = differing
            .differences
            .iter()
            .filter(|difference| !theirs.iter().any(|path| difference.path.starts_with(path)))
            .cloned()
            .collect();
        (!differences.is_empty()).then_some((differences, write))
    }

    fn stages(&self, writes: Vec<(Facet, Write)>) -> Vec<Vec<Write>> {
        let Some(kind) = &self.resource.kind else {
            return Vec::new();
        };
        let mut left = writes;
        let mut stages = Vec::new();
        while !left.is_empty() {
            let waiting: Vec<Facet> = left.iter().map(|(facet, _)| facet.clone()).collect();
            let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|(facet, _)| {
                kind.written_after(facet)
                    .iter()
                    .all(|before| !waiting.contains(before))
            });
            if now.is_empty() {
                stages.push(later.into_iter().map(|(_, write)| write).collect());
                break;
            }
            stages.push(now.into_iter().map(|(_, write)| write).collect());
            left = later;
        }
        stages
    }
}
