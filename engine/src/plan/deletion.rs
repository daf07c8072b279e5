//! What must not be there, and is.

use holdfast_contract::{Action, Guard, Observed, Write};
use holdfast_policy::Allowance;

use super::Found;
use super::judge::Judge;
use crate::phase::Event;
use crate::step::{Step, StepVerb};

impl Judge<'_, '_> {
    /// It must not be there, and is.
    pub(super) fn forbidden(&self, observed: &Observed) -> Found {
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
        step.stages = vec![vec![Write {
            key: observed.key.clone(),
            action: Action::Delete {
                observed: Box::new(observed.clone()),
            },
            guard: Guard::Same,
            manager: self.input.manager.to_owned(),
            force: false,
        }]];
        let mut found = Found::new(Event::FoundDifferent, "must not be there").with(step);
        found.hold = hold;
        found
    }
}
