//! Where one resource stands, and what would be done about it.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{
    Action, Desired, Difference, Facet, Guard, Observation, Observed, Path, Readiness, Write,
};
use holdfast_expression as expression;
use holdfast_policy::{Allowance, Mode, OnConflict, Requirement, Verb, to_expression};

use super::needs::desired_fidelity;
use super::{Found, Input, guards};
use crate::address::Address;
use crate::diff::{Differing, FacetComparison};
use crate::evaluate::NoAnswer;
use crate::graph::{Naming, Resource, State, is_unserved};
use crate::phase::{Event, Phase};
use crate::step::{Step, StepVerb};

/// What a difference means after our own write.
enum AfterWrite {
    /// It is new.
    News,
    /// It may be the state before the write.
    Stale,
    /// The server took the write and dropped it; the text says what.
    NotKept(String),
}

/// Judges one resource.
pub(super) struct Judge<'j, 'a> {
    pub(super) input: &'j Input<'a>,
    pub(super) resource: &'j Resource<'a>,
    pub(super) phases: &'j BTreeMap<Address, Phase>,
}

impl Judge<'_, '_> {
    pub(super) fn judge(&self) -> Found {
        let resource = self.resource;
        match &resource.state {
            State::Skipped => return Found::new(Event::LeftOut, "its `when` is false"),
            State::Blocked(why) => return Found::new(Event::Refused, why.clone()),
            State::Open(no) => return open(no),
            State::Active => {}
        }
        let Some(key) = &resource.key else {
            return match &resource.naming {
                Naming::Mint { .. } => self.absent(),
                Naming::Search { .. } | Naming::Open => Found::new(Event::Waits, "waits for its name"),
                Naming::Known | Naming::Unrecorded(_) => Found::new(Event::ReadFailed, "it has no name"),
            };
        };
        let refused =
            guards::own_ground(self.input, resource).or_else(|| guards::shared(self.input, resource));
        if let Some(why) = refused {
            return Found::new(Event::Refused, why);
        }
        if is_unserved(resource, self.input.served) {
            let api = key.api.as_ref().map(ToString::to_string).unwrap_or_default();
            if resource.verb() == Verb::Forbid {
                return Found::new(Event::FoundEqual, format!("this cluster doesn't serve {api}"));
            }
            let defined = self.unmet_needs(&resource.needs);
            if defined.is_empty() {
                return Found::new(
                    Event::Waits,
                    format!("waits for {api}, which this cluster doesn't serve"),
                );
            }
            return self.absent();
        }
        match self.input.snapshot.get(key) {
            None => Found::new(Event::ReadFailed, "it was not read"),
            Some(Err(error)) => Found::new(Event::ReadFailed, error.to_string()),
            Some(Ok(Observation::Absent)) if resource.verb() == Verb::Forbid => {
                Found::new(Event::FoundEqual, "it isn't there")
            }
            Some(Ok(Observation::Absent)) => self.absent(),
            Some(Ok(Observation::Present(observed))) => self.present(observed),
        }
    }

    /// It is proven missing, and is to be there.
    fn absent(&self) -> Found {
        let resource = self.resource;
        let Some(variant) = resource.variant.filter(|variant| variant.verb == Verb::Ensure) else {
            return Found::new(Event::LeftOut, "it isn't there");
        };
        if !variant.create {
            return Found::new(Event::LeftOut, "it isn't there, and `create` is false");
        }
        if let Some(found) = self.after_whole("created, and not to be seen yet") {
            return found;
        }
        if let Some(why) = guards::vanished(self.input, resource) {
            return Found::new(Event::Refused, why);
        }
        let changes = resource
            .facets
            .iter()
            .filter(|(_, desired)| desired.value.as_map().is_none_or(|entries| !entries.is_empty()))
            .map(|(facet, desired)| {
                self.change(facet, self.additions(facet, desired), desired_fidelity(desired))
            })
            .collect();
        let mut waits: BTreeSet<String> = self.unmet_needs(&resource.needs);
        waits.extend(self.name_waits());
        let known: BTreeMap<Facet, Desired> = resource
            .facets
            .iter()
            .filter(|(_, desired)| !desired.value.has_unknown())
            .map(|(facet, desired)| (facet.clone(), desired.clone()))
            .collect();
        if let Some(kind) = &resource.kind {
            let needed = std::iter::once(kind.root_facet()).chain(kind.created_with());
            for facet in needed.filter_map(|facet| resource.facets.get(facet)) {
                waits.extend(facet.value.waits_for());
            }
        }
        let mut step = Step {
            verb: StepVerb::Create,
            changes,
            stages: Vec::new(),
            waits: waits.into_iter().collect(),
        };
        if let Some(gate) = self.gate(None) {
            return Found::new(Event::Waits, gate).with(step);
        }
        if let Some(found) = self.held_back(&mut step) {
            return found.with(step);
        }
        if step.waits.is_empty()
            && let Some(key) = &resource.key
        {
            step.stages = vec![vec![Write {
                key: key.clone(),
                action: Action::Create { facets: known },
                guard: Guard::Absent,
                manager: self.input.manager.to_owned(),
                force: false,
            }]];
        }
        Found::new(Event::FoundAbsent, "doesn't exist").with(step)
    }

    /// It exists.
    fn present(&self, observed: &Observed) -> Found {
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
        let empty = BTreeMap::new();
        let comparisons = self.input.comparisons.get(&resource.address).unwrap_or(&empty);
        let mut blocked = BTreeMap::new();
        let mut stale = Vec::new();
        let mut changes = Vec::new();
        let mut waits: BTreeSet<String> = BTreeSet::new();
        let mut writes: Vec<(Facet, Write)> = Vec::new();
        for (facet, comparison) in comparisons {
            match comparison {
                FacetComparison::Equal => {}
                FacetComparison::Unreadable(error) => {
                    blocked.insert(facet.clone(), error.to_string());
                }
                FacetComparison::Different(differing) => {
                    match self.after_write(facet, &differing.differences) {
                        AfterWrite::News => {}
                        AfterWrite::Stale => {
                            stale.push(facet.to_string());
                            continue;
                        }
                        AfterWrite::NotKept(why) => {
                            blocked.insert(facet.clone(), why);
                            continue;
                        }
                    }
                    let unyielded = self.yielded(differing);
                    let Some((differences, write)) = unyielded else {
                        continue;
                    };
                    if let Some(why) = self.facet_refusal(facet, differing) {
                        blocked.insert(facet.clone(), why);
                        continue;
                    }
                    let mut change = self.change(facet, differences, differing.fidelity);
                    change.conflicts.clone_from(&differing.conflicts);
                    change.former.clone_from(&differing.former);
                    changes.push(change);
                    let mut facet_waits = self.name_waits();
                    facet_waits.extend(self.desired_waits(facet));
                    if let Some(needs) = resource.facet_needs.get(facet) {
                        facet_waits.extend(self.unmet_needs(needs));
                    }
                    if facet_waits.is_empty() {
                        writes.push((facet.clone(), write));
                    }
                    waits.extend(facet_waits);
                }
            }
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
        let reason = self.drift_reason(&step);
        step.stages = self.stages(writes);
        let mut found = Found::new(Event::FoundDifferent, reason).with(step);
        found.blocked = blocked;
        found
    }

    /// What our own creation or deletion in this run means, if there was one.
    fn after_whole(&self, fresh: &str) -> Option<Found> {
        let whole = (self.resource.address.clone(), None);
        if self
            .input
            .accepted
            .get(&whole)
            .is_some_and(|accepted| accepted.fresh)
        {
            return Some(Found::new(Event::FoundUnready, fresh));
        }
        let why = self.input.refused.get(&whole)?;
        Some(Found::new(Event::Refused, why.clone()))
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

    /// It must not be there, and is.
    fn forbidden(&self, observed: &Observed) -> Found {
        let Some(kind) = &self.resource.kind else {
            return Found::new(Event::ReadFailed, "its kind isn't known");
        };
        if observed.deleting {
            return Found::new(Event::FoundUnready, "it is being deleted");
        }
        if let Some(found) = self.after_whole("deleted, and still to be seen") {
            return found;
        }
        let allow = self.resource.variant.map(|variant| &variant.allow);
        let allows = |allowance| allow.is_some_and(|allow| allow.contains(&allowance));
        if !allows(Allowance::Delete) {
            return Found::new(Event::Refused, "it is there; deleting it needs `allow: [Delete]`");
        }
        if let Some(why) = kind.cascades(&observed.key)
            && !allows(Allowance::Cascade)
        {
            return Found::new(
                Event::Refused,
                format!("{why}: that needs `allow: [Delete, Cascade]`"),
            );
        }
        let mut step = Step {
            verb: StepVerb::Delete,
            changes: Vec::new(),
            stages: Vec::new(),
            waits: Vec::new(),
        };
        if let Some(gate) = self.gate(Some(observed)) {
            return Found::new(Event::Waits, gate).with(step);
        }
        if let Some(found) = self.held_back(&mut step) {
            return found.with(step);
        }
        step.stages = vec![vec![Write {
            key: observed.key.clone(),
            action: Action::Delete {
                observed: Box::new(observed.clone()),
            },
            guard: Guard::Same,
            manager: self.input.manager.to_owned(),
            force: false,
        }]];
        Found::new(Event::FoundDifferent, "must not be there").with(step)
    }

    /// Why the whole policy or this resource may not be written, if so.
    fn held_back(&self, step: &mut Step) -> Option<Found> {
        if let Some(why) = self.input.blocked {
            return Some(Found::new(Event::Refused, why));
        }
        if self.resource.mode == Mode::Observe {
            step.waits = vec!["mode Enforce".to_owned()];
            return Some(Found::new(
                Event::Refused,
                "mode is Observe: reported, not written",
            ));
        }
        None
    }

    /// The message of the first gate of this rule that doesn't hold and holds up all of it. What isn't there yet is
    /// held up by the gates of the facets that come with its creation, too.
    fn gate(&self, observed: Option<&Observed>) -> Option<String> {
        let variant = self.resource.variant?;
        let kind = self.resource.kind.as_ref();
        let created = |facet: &Facet| {
            kind.is_some_and(|kind| kind.root_facet() == facet || kind.created_with().contains(facet))
        };
        variant
            .require
            .iter()
            .filter(|gate| gate.facets.is_empty() || observed.is_none() && gate.facets.iter().any(created))
            .find_map(|gate| self.unmet(gate, observed))
    }

    /// The message of `gate` if it doesn't hold.
    fn unmet(&self, gate: &Requirement, observed: Option<&Observed>) -> Option<String> {
        let roots = match (observed, &self.resource.kind) {
            (Some(observed), Some(kind)) => self
                .resource
                .roots
                .with("self", to_expression(&kind.document(observed))),
            _ => self.resource.roots.with(
                "self",
                expression::Value::map(Vec::<(&str, expression::Value)>::new()),
            ),
        };
        let message = || {
            self.input
                .evaluator
                .text(&gate.message, &roots)
                .unwrap_or_else(|_| gate.message.source.clone())
        };
        match self.input.evaluator.condition(&gate.that, &roots) {
            Ok(true) => None,
            Ok(false) => Some(message()),
            Err(no) => Some(format!("{} ({})", message(), no.sentence())),
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
        let gates = self
            .resource
            .variant
            .map(|variant| variant.require.as_slice())
            .unwrap_or_default();
        let observed = match &differing.write.action {
            Action::Set { observed, .. } => Some(observed.as_ref()),
            _ => None,
        };
        gates
            .iter()
            .filter(|gate| gate.facets.contains(facet))
            .find_map(|gate| self.unmet(gate, observed))
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

fn open(no: &NoAnswer) -> Found {
    let event = match no {
        NoAnswer::Waits(_) | NoAnswer::Missing { .. } => Event::Waits,
        NoAnswer::Unreadable { .. } => Event::ReadFailed,
        NoAnswer::Fault { .. } => Event::Refused,
    };
    Found::new(event, no.sentence())
}
