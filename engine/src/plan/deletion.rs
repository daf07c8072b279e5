//! What must not be there, and is; and what can't be changed, and is made anew.

use std::sync::Arc;

use holdfast_contract::{Action, Guard, Observed, Write};
use holdfast_policy::Allowance;

use super::judge::Judge;
use super::{Found, guards};
use crate::phase::Event;
use crate::step::{FacetChange, Step, StepVerb};

impl Judge<'_, '_> {
    /// It must not be there, and is.
    pub(super) fn forbidden(&self, observed: &Arc<Observed>) -> Found {
        let Some(kind) = &self.resource.kind else {
            return Found::new(Event::ReadFailed, "its kind isn't known");
        };
        if observed.deleting {
            return Found::new(Event::FoundUnready, "it is being deleted");
        }
        if let Some(found) = self.after_whole(&[StepVerb::Delete], "deleted, and still to be seen") {
            return found;
        }
        if !self.allows(Allowance::Delete) {
            return Found::new(Event::Refused, "it is there; deleting it needs `allow: [Delete]`");
        }
        if let Some(why) = kind.cascades(&observed.key)
            && !self.allows(Allowance::Cascade)
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
            waits: self.unmet_needs(&self.ordered_after()).into_iter().collect(),
        };
        if let Some(gate) = self.gate(Some(observed)) {
            return Found::new(Event::Waits, gate).with(step);
        }
        if let Some(found) = self.held_back(&mut step) {
            return found.with(step);
        }
        if !step.waits.is_empty() {
            return Found::new(Event::FoundDifferent, "must not be there").with(step);
        }
        let hold = self.held("deletes it".to_owned(), observed);
        if let Some(waits) = hold.as_ref().filter(|hold| hold.waits()) {
            let mut found = Found::new(Event::Waits, waits.sentence()).with(step);
            found.hold = hold;
            return found;
        }
        step.stages = deletion(observed, Guard::Same, self.input.manager);
        let mut found = Found::new(Event::FoundDifferent, "must not be there").with(step);
        found.hold = hold;
        found
    }

    /// It differs in `fields`, which can't be changed on what exists, and the rule allows to replace it: it is deleted
    /// now, and the next pass finds it missing and makes it. Nothing is deleted that could not be made at once.
    pub(super) fn replaced(
        &self,
        observed: &Arc<Observed>,
        fields: &[String],
        changes: Vec<FacetChange>,
    ) -> Found {
        let (Some(kind), Some(variant)) = (&self.resource.kind, self.resource.variant) else {
            return Found::new(Event::ReadFailed, "its kind isn't known");
        };
        if let Some(found) = self.after_whole(&[StepVerb::Replace], "deleted, and still to be seen") {
            return found;
        }
        let fields = fields.join(", ");
        let reason = format!("{fields} can't be changed on what exists: it is deleted, and made anew");
        if !variant.create {
            let why = format!(
                "{fields} can't be changed on what exists, and with `create: false` it would not be made anew"
            );
            return Found::new(Event::Refused, why);
        }
        if let Some(why) = kind.cascades(&observed.key)
            && !self.allows(Allowance::Cascade)
        {
            let why = format!(
                "{fields} can't be changed on what exists, and {why}: to replace it needs `allow: [Replace, Cascade]`"
            );
            return Found::new(Event::Refused, why);
        }
        if let Some(why) = guards::dangerous_creation(self.resource) {
            return Found::new(Event::Refused, why);
        }
        let mut waits = self.unmet_needs(&self.resource.needs);
        waits.extend(self.name_waits());
        waits.extend(
            self.resource
                .facets
                .values()
                .flat_map(|facet| facet.value.waits_for()),
        );
        let mut step = Step {
            verb: StepVerb::Replace,
            changes,
            stages: Vec::new(),
            waits: waits.into_iter().collect(),
        };
        if let Some(gate) = self.gate(Some(observed)).or_else(|| self.gate(None)) {
            return Found::new(Event::Waits, gate).with(step);
        }
        if let Some(found) = self.held_back(&mut step) {
            return found.with(step);
        }
        let hold = self.held("deletes it, and makes it anew".to_owned(), observed);
        if let Some(waits) = hold.as_ref().filter(|hold| hold.waits()) {
            let mut found = Found::new(Event::Waits, waits.sentence()).with(step);
            found.hold = hold;
            return found;
        }
        if step.waits.is_empty() {
            // What is deleted is just what the plan has shown.
            let guard = observed.version.clone().map_or(Guard::Same, Guard::Version);
            step.stages = deletion(observed, guard, self.input.manager);
        }
        let mut found = Found::new(Event::FoundDifferent, reason).with(step);
        found.hold = hold;
        found
    }
}

/// The one call that deletes `observed`.
pub(super) fn deletion(observed: &Arc<Observed>, guard: Guard, manager: &str) -> Vec<Vec<Write>> {
    vec![vec![Write {
        key: observed.key.clone(),
        action: Action::Delete {
            observed: Arc::clone(observed),
        },
        guard,
        manager: manager.to_owned(),
        force: false,
    }]]
}
