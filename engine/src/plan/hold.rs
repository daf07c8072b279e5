//! Holds: disruptive steps wait while a condition holds, each at most for so long.

use std::time::Duration;

use holdfast_contract::Observed;
use holdfast_policy::Hold;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::judge::Judge;
use crate::evaluate::Evaluator;
use crate::scope::Roots;
use crate::step::{Held, HoldState};

impl Judge<'_, '_> {
    /// What the rule's `hold` says of a step that `disrupts` something; none where the rule has none.
    ///
    /// A condition that can't be told holds the step up like one that holds: whoever wrote it meant to be asked
    /// first. The time that it may take runs in both cases, from the first apply that was held up.
    pub(super) fn held(&self, disrupts: String, observed: &Observed) -> Option<Held> {
        let hold = self.resource.variant?.hold.as_ref()?;
        let kind = self.resource.kind.as_ref()?;
        let own = crate::scope::own(kind.as_ref(), observed);
        let roots = self.resource.roots.with("self", own);
        let since = self.resource.held_since(self.input.ledger);
        Some(ask(self.input.evaluator, hold, since, &roots, disrupts))
    }
}

/// What `hold` says of a step that `disrupts` something, and that it holds up `since` then.
pub(super) fn ask(
    evaluator: Evaluator<'_>,
    hold: &Hold,
    since: Option<OffsetDateTime>,
    roots: &Roots,
    disrupts: String,
) -> Held {
    let why = match evaluator.condition(&hold.condition, roots) {
        Ok(false) => None,
        Ok(true) => Some(match &hold.message {
            Some(message) => evaluator
                .text(message, roots)
                .unwrap_or_else(|_| message.source.clone()),
            None => format!("`{}` holds", hold.condition.program.source()),
        }),
        Err(no) => Some(format!(
            "whether it may go ahead can't be told: {}",
            no.sentence()
        )),
    };
    let now = evaluator.context.now;
    // A clock that was wrong once must not hold anything up for longer.
    let since = since.unwrap_or(now).min(now);
    let at_most = time::Duration::try_from(hold.at_most).unwrap_or(time::Duration::MAX);
    let until = since
        .checked_add(at_most)
        .unwrap_or(PrimitiveDateTime::MAX.assume_utc());
    let left = until.unix_timestamp().saturating_sub(now.unix_timestamp());
    let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
    let state = match &why {
        None => HoldState::Free,
        Some(_) if left.is_zero() => HoldState::Overdue,
        Some(_) => HoldState::Waits,
    };
    Held {
        disrupts,
        state,
        why: why.unwrap_or_default(),
        since,
        until,
        left,
        place: hold.place.clone(),
    }
}
