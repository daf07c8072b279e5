//! What only another look tells, minutes later: whether a bucket is gone, whether a search finds what a first one didn't.

use std::time::Duration;

use holdfast_contract::Observation;
use tokio::time::Instant;

use super::{Pass, Run};
use crate::cycle::Session;
use crate::phase::Phase;
use crate::step::{Plan, PlannedResource, Vanishing};

impl Run<'_> {
    /// When the next look that tells more is to be made, if that is before the end of this run.
    pub(super) fn next_look(&self, session: &Session<'_>, pass: &Pass) -> Option<Instant> {
        let next = pass.plan.looks().map(|(_, from)| from).min()?;
        let now = session.engine.clock.now().unix_timestamp();
        let wait = u64::try_from(next.unix_timestamp().saturating_sub(now)).unwrap_or_default();
        let at = Instant::now().checked_add(Duration::from_secs(wait))?;
        (self.options.wait && at < self.deadline).then_some(at)
    }

    /// Forgets what is to be looked at again now.
    pub(crate) fn look_again(session: &mut Session<'_>, pass: &Pass) {
        let now = session.engine.clock.now();
        for (resource, _) in pass.plan.looks().filter(|(_, from)| *from <= now) {
            session.snapshot.forget_looks(&resource.address);
            if let Some(key) = &resource.key {
                session.snapshot.forget(key, None);
            }
        }
    }

    /// Notes what was seen to be gone, or to be there again; whether there was anything to note.
    pub(crate) fn remember_looks(session: &mut Session<'_>, plan: &Plan) -> bool {
        let mut noted = false;
        for resource in &plan.resources {
            let address = &resource.address;
            let mut proofs = session.ledger.missing(address);
            match &resource.vanishing {
                Some(Vanishing {
                    proofs: known,
                    fresh: Some(fresh),
                    ..
                }) => {
                    proofs.clone_from(known);
                    proofs.push(*fresh);
                }
                Some(_) => continue,
                None if proofs.is_empty() || !session.is_there(resource) => continue,
                None => proofs.clear(),
            }
            session.ledger.remember_missing(address, &proofs);
            noted = true;
        }
        noted
    }
}

impl Session<'_> {
    /// Whether it is as desired, as its server's word is always new, and only not ready yet.
    pub(crate) fn is_equal_and_unready(&self, resource: &PlannedResource) -> bool {
        resource.phase == Phase::Settling
            && resource.step.is_none()
            && self.policy.rules.contains_key(&resource.address.rule)
            && self.tells_versions(&resource.address)
            && self.is_there(resource)
    }

    /// Whether it was read, and is there.
    fn is_there(&self, resource: &PlannedResource) -> bool {
        let read = resource.key.as_ref().and_then(|key| self.snapshot.get(key));
        matches!(read, Some(Ok(Observation::Present(_))))
    }
}
