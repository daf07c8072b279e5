//! What is to be done about something that exists and is to be as declared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_contract::{Action, Change, Difference, Facet, Observed, Path, ProviderError, Readiness, Write};
use holdfast_policy::{Allowance, OnConflict, Verb};

use super::judge::Judge;
use super::{Found, guards};
use crate::diff::{Differing, FacetComparison};
use crate::evaluate::NoAnswer;
use crate::phase::Event;
use crate::step::{FacetChange, LeftAlone, Step, StepVerb};

/// What a difference means after our own write.
enum AfterWrite {
    /// It is new.
    News,
    /// It may be the state before the write.
    Stale,
    /// The server took the write and dropped it; the text says what.
    NotKept(String),
    /// The server took the write and keeps its own value, as nobody else holds these places.
    Overridden(Vec<Path>),
}

/// After so many writes of one place in ten minutes, somebody who changes it back once more is left to have it for a
/// while.
pub(crate) const FIGHTS: u32 = 3;

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
    /// What somebody keeps changing back, with a sentence each.
    contested: BTreeMap<Facet, String>,
    /// Fields of which the server keeps its own value.
    overridden: Vec<String>,
}

impl Judge<'_, '_> {
    /// It exists.
    pub(super) fn present(&self, observed: &Arc<Observed>) -> Found {
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
        let mut sorted = self.sorted(observed);
        let overridden = std::mem::take(&mut sorted.overridden);
        let mut found = self.decided(sorted, observed);
        found.overridden = overridden;
        found
    }

    fn decided(&self, sorted: Sorted, observed: &Arc<Observed>) -> Found {
        let Sorted {
            mut blocked,
            stale,
            changes,
            waits,
            mut writes,
            disruptive,
            immutable,
            contested,
            overridden: _,
        } = sorted;
        if changes.is_empty() && blocked.is_empty() && stale.is_empty() && !contested.is_empty() {
            let fights: Vec<String> = contested.into_values().collect();
            return Found::new(Event::Fought, fights.join("; "));
        }
        blocked.extend(contested);
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
            } else if blocked.keys().all(|facet| self.keeps_failing(facet)) {
                let whys: BTreeSet<&str> = blocked.values().map(String::as_str).collect();
                let whys: Vec<&str> = whys.into_iter().collect();
                Found::new(Event::KeepsFailing, whys.join("; "))
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

    fn sorted(&self, observed: &Arc<Observed>) -> Sorted {
        let resource = self.resource;
        let empty = BTreeMap::new();
        let comparisons = self.input.comparisons.get(&resource.address).unwrap_or(&empty);
        let mut sorted = Sorted::default();
        for (facet, comparison) in comparisons {
            match comparison {
                FacetComparison::Equal => {}
                FacetComparison::Overridden(places) => sorted.overridden.extend(self.names(facet, places)),
                FacetComparison::Unreadable(error) => {
                    sorted.blocked.insert(facet.clone(), error.to_string());
                }
                FacetComparison::Different(differing) => {
                    let left = self.without_fights(facet, differing);
                    let differing = match &left {
                        None => differing,
                        Some((left, why)) => {
                            sorted.contested.insert(facet.clone(), why.clone());
                            if left.differences.is_empty() {
                                continue;
                            }
                            left
                        }
                    };
                    match self.after_write(facet, differing) {
                        AfterWrite::News => {}
                        AfterWrite::Overridden(places) => {
                            sorted.overridden.extend(self.names(facet, &places));
                            continue;
                        }
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

    fn equal(&self, observed: &Arc<Observed>) -> Found {
        if !self.input.await_ready {
            return Found::new(Event::FoundEqual, "");
        }
        match self.readiness(observed) {
            Readiness::Ready => Found::new(Event::FoundEqual, ""),
            Readiness::NotYet(why) | Readiness::Failed(why) => Found::new(Event::FoundUnready, why),
        }
    }

    fn readiness(&self, observed: &Arc<Observed>) -> Readiness {
        let (Some(variant), Some(kind)) = (self.resource.variant, &self.resource.kind) else {
            return Readiness::Ready;
        };
        let Some(ready) = &variant.ready else {
            return kind.ready(observed);
        };
        let own = crate::scope::own(kind.as_ref(), observed);
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

    /// Why a write of `facet` is left alone, if it is.
    fn left_alone(&self, facet: &Facet) -> Option<&LeftAlone> {
        let whole = (self.resource.address.clone(), None);
        let this = (self.resource.address.clone(), Some(facet.clone()));
        let left_alone = self.input.left_alone;
        left_alone.get(&this).or_else(|| left_alone.get(&whole))
    }

    fn keeps_failing(&self, facet: &Facet) -> bool {
        self.left_alone(facet)
            .is_some_and(|left_alone| left_alone.is_passing)
    }

    /// Why one facet may not be written, if so.
    fn facet_refusal(&self, facet: &Facet, differing: &Differing) -> Option<String> {
        if let Some(error) = &differing.refused {
            return Some(guards::refusal(error));
        }
        if let Some(left_alone) = self.left_alone(facet) {
            return Some(left_alone.why.clone());
        }
        let observed = match &differing.write.action {
            Action::Set { observed, .. } => Some(observed.as_ref()),
            _ => None,
        };
        guards::not_kept(self.input, self.resource, facet, differing)
            .or_else(|| self.facet_gate(facet, observed))
            .or_else(|| guards::dangerous(self.input, self.resource, facet, &differing.write))
    }

    /// What a difference means in the light of our own last write of that facet.
    fn after_write(&self, facet: &Facet, differing: &Differing) -> AfterWrite {
        let now = &differing.differences;
        let this = (self.resource.address.clone(), Some(facet.clone()));
        let Some(accepted) = self.input.accepted.get(&this) else {
            return AfterWrite::News;
        };
        let before = &accepted.differences;
        if now.is_empty() || !now.iter().all(|difference| before.contains(difference)) {
            // A third value: somebody else wrote.
            return AfterWrite::News;
        }
        if self.tells_managers(facet) {
            if now
                .iter()
                .any(|difference| taken_by(differing, difference).is_some())
            {
                return AfterWrite::News;
            }
            if now
                .iter()
                .all(|difference| matches!(difference.change, Change::Replace { .. }))
            {
                return AfterWrite::Overridden(
                    now.iter().map(|difference| difference.path.clone()).collect(),
                );
            }
        } else if now.len() == before.len() && accepted.fresh {
            return AfterWrite::Stale;
        }
        let fields: Vec<String> = now.iter().map(|difference| difference.path.to_string()).collect();
        AfterWrite::NotKept(format!(
            "the server accepted the write and did not keep {}",
            fields.join(", ")
        ))
    }

    /// Whether the server tells who holds which place of a facet, and doesn't lag.
    fn tells_managers(&self, facet: &Facet) -> bool {
        let kind = self.resource.kind.as_ref();
        kind.is_some_and(|kind| kind.wants_preview(facet))
    }

    /// `differing` without the places that somebody keeps changing back, and who does; none where nobody does.
    ///
    /// Where nobody can tell who holds which place, one that is fought over leaves the whole facet to them.
    fn without_fights(&self, facet: &Facet, differing: &Differing) -> Option<(Box<Differing>, String)> {
        let this = (self.resource.address.clone(), Some(facet.clone()));
        let writes = &self.input.accepted.get(&this)?.writes;
        let fought: Vec<&Difference> = differing
            .differences
            .iter()
            .filter(|difference| writes.get(&difference.path).is_some_and(|count| *count >= FIGHTS))
            .collect();
        if fought.is_empty() {
            return None;
        }
        let fights: Vec<String> = fought
            .iter()
            .map(|difference| {
                let who = taken_by(differing, difference).unwrap_or_else(|| "somebody".to_owned());
                let names = self.names(facet, std::slice::from_ref(&difference.path));
                format!(
                    "{} was changed back after each of {FIGHTS} writes, by {who}, and is left to them for now",
                    names.join(", ")
                )
            })
            .collect();
        let places: Vec<Path> = fought.iter().map(|difference| difference.path.clone()).collect();
        let mut left = differing.clone();
        if self.tells_managers(facet) {
            leave(&mut left, &places);
        } else {
            left.differences.clear();
        }
        Some((Box::new(left), fights.join("; ")))
    }

    /// Places as people name them, from the resource's root.
    fn names(&self, facet: &Facet, places: &[Path]) -> Vec<String> {
        let kind = self.resource.kind.as_ref();
        let is_root = kind.is_some_and(|kind| kind.root_facet() == facet);
        places
            .iter()
            .map(|place| match (is_root, place.is_root()) {
                (true, _) => place.to_string(),
                (false, true) => facet.to_string(),
                (false, false) => format!("{facet}.{place}"),
            })
            .collect()
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
        let mut left = differing.clone();
        leave(&mut left, &theirs);
        (!left.differences.is_empty()).then_some((left.differences, left.write))
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

/// Leaves `places` to others: they are neither shown nor written.
fn leave(differing: &mut Differing, places: &[Path]) {
    let is_left = |path: &Path| places.iter().any(|place| path.starts_with(place));
    if let Action::Set { desired, .. } = &mut differing.write.action {
        holdfast_contract::remove(&mut desired.value, places);
    }
    differing
        .differences
        .retain(|difference| !is_left(&difference.path));
    differing.conflicts.retain(|conflict| !is_left(&conflict.path));
}

/// Who took a place, where the server tells: the manager that holds it, else what is known of its last writer.
fn taken_by(differing: &Differing, difference: &Difference) -> Option<String> {
    let mut holders = differing.conflicts.iter();
    let holder = holders.find(|conflict| conflict.path == difference.path);
    let holder = holder.map(|conflict| conflict.manager.clone());
    holder.or_else(|| Some(crate::report::writer(difference.note.as_deref()?)?.to_owned()))
}
