//! Where one resource stands, and what would be done about it.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{Action, Desired, Facet, Guard, Observation, Observed, Write};
use holdfast_expression as expression;
use holdfast_policy::{Allowance, Mode, Requirement, Verb};

use super::needs::desired_fidelity;
use super::{Found, Input, guards, vanish};
use crate::address::Address;
use crate::evaluate::NoAnswer;
use crate::graph::{Naming, Resource, State, is_unserved};
use crate::phase::{Event, Phase};
use crate::step::{MODE_ENFORCE, Step, StepVerb};

/// Judges one resource.
pub(super) struct Judge<'j, 'a> {
    pub(super) input: &'j Input<'a>,
    pub(super) resource: &'j Resource<'a>,
    pub(super) phases: &'j BTreeMap<Address, Phase>,
    /// Those whose steps a hold holds up.
    pub(super) held: &'j BTreeSet<Address>,
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
        if let Some(why) = guards::account(self.input, resource) {
            return Found::new(Event::Refused, why);
        }
        let Some(key) = &resource.key else {
            return match &resource.naming {
                Naming::Again { from, sign } => Found::new(
                    Event::Waits,
                    format!(
                        "no bucket of ours was found, and yet {sign}: the search is repeated a minute later, as \
                         stores may lag, before a name is made up"
                    ),
                )
                .again(*from),
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
            Some(Err(error)) => Found::new(guards::unread(error), error.to_string()),
            Some(Ok(Observation::Absent)) if resource.verb() == Verb::Forbid => {
                Found::new(Event::FoundEqual, "it isn't there")
            }
            Some(Ok(Observation::Absent)) => self.absent(),
            Some(Ok(Observation::Present(observed))) => self.present(observed),
        }
    }

    /// It is proven missing, and is to be there.
    pub(super) fn absent(&self) -> Found {
        let resource = self.resource;
        let Some(variant) = resource.variant.filter(|variant| variant.verb == Verb::Ensure) else {
            return Found::new(Event::LeftOut, "it isn't there");
        };
        if !variant.create {
            return Found::new(Event::LeftOut, "it isn't there, and `create` is false");
        }
        if let Some(found) = self.after_whole(&[StepVerb::Create], "created, and not to be seen yet") {
            return found;
        }
        if let Some(why) = guards::dangerous_creation(resource) {
            return Found::new(Event::Refused, why);
        }
        let vanishing = match vanish::judge(self.input, resource) {
            Ok(vanishing) => vanishing,
            Err(found) => return *found,
        };
        let changes = resource
            .facets
            .iter()
            .filter(|(_, desired)| desired.value.as_map().is_none_or(|entries| !entries.is_empty()))
            .filter(|(facet, _)| !resource.lockouts.contains_key(*facet))
            .map(|(facet, desired)| {
                self.change(facet, self.additions(facet, desired), desired_fidelity(desired))
            })
            .collect();
        let mut waits: BTreeSet<String> = self.unmet_needs(&resource.needs);
        waits.extend(self.name_waits());
        let known: BTreeMap<Facet, Desired> = resource
            .facets
            .iter()
            .filter(|(facet, desired)| !desired.value.has_unknown() && self.facet_gate(facet, None).is_none())
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
        let reason = if vanishing.is_some() {
            "vanished, and is made again: `onVanish: Recreate`"
        } else {
            "doesn't exist"
        };
        let mut found = Found::new(Event::FoundAbsent, reason).with(step);
        found.vanishing = vanishing;
        found.blocked.clone_from(&resource.lockouts);
        found
    }

    /// What our own creation or deletion in this run means, if there was one.
    pub(super) fn after_whole(&self, verbs: &[StepVerb], fresh: &str) -> Option<Found> {
        let whole = (self.resource.address.clone(), None);
        let accepted = self.input.accepted.get(&whole);
        if accepted.is_some_and(|accepted| accepted.fresh && verbs.contains(&accepted.verb)) {
            return Some(Found::new(Event::FoundUnready, fresh));
        }
        let left_alone = self.input.left_alone.get(&whole)?;
        Some(Found::new(left_alone.event(), left_alone.why.clone()))
    }

    pub(super) fn allows(&self, allowance: Allowance) -> bool {
        let allow = self.resource.variant.map(|variant| &variant.allow);
        allow.is_some_and(|allow| allow.contains(&allowance))
    }

    /// Why the whole policy or this resource may not be written, if so.
    pub(super) fn held_back(&self, step: &mut Step) -> Option<Found> {
        if let Some(why) = self.input.blocked {
            return Some(Found::new(Event::Refused, why));
        }
        if self.resource.mode == Mode::Observe {
            step.waits = vec![MODE_ENFORCE.to_owned()];
            return Some(Found::new(
                Event::Refused,
                "mode is Observe: reported, not written",
            ));
        }
        None
    }

    /// The message of the first gate of this rule that doesn't hold and holds up all of it. What isn't there yet is
    /// held up by the gates of the facets that come with its creation, too.
    pub(super) fn gate(&self, observed: Option<&Observed>) -> Option<String> {
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
    pub(super) fn unmet(&self, gate: &Requirement, observed: Option<&Observed>) -> Option<String> {
        let roots = match (observed, &self.resource.kind) {
            (Some(observed), Some(kind)) => self
                .resource
                .roots
                .with("self", crate::scope::own(kind.as_ref(), observed)),
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

    /// The message of the first gate of this facet alone that doesn't hold.
    ///
    /// Nothing opens the gate of what would shut this program out.
    pub(super) fn facet_gate(&self, facet: &Facet, observed: Option<&Observed>) -> Option<String> {
        if let Some(why) = self.resource.lockouts.get(facet) {
            return Some(why.clone());
        }
        let gates = self.resource.variant.map(|variant| &variant.require)?;
        gates
            .iter()
            .filter(|gate| gate.facets.contains(facet))
            .find_map(|gate| self.unmet(gate, observed))
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
