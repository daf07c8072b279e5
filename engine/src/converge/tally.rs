//! What was written lately, as limits count it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::address::Address;
use crate::step::StepVerb;

/// So long after a write, what comes has nothing to do with it if all has converged. What waits is read again each half
/// minute at least, so that the pieces of one change are not further apart.
const CALM: Duration = Duration::from_mins(1);
/// The same where not all has converged, as after a storm that a limit has stopped: long enough for somebody to hear of
/// it, and for the rest of the storm to come, so that it is more than the limit allows. Something may never converge, and
/// what drifts now and then must not meet a limit because of that.
const TROUBLE: Duration = Duration::from_mins(10);

/// What was written lately, as a policy's limits count it.
///
/// A cycle may end after milliseconds, and what comes in pieces has a cycle for each. Whoever keeps a policy therefore
/// counts on, from cycle to cycle and from one version of the policy to the next: each write for a minute where all has
/// converged, and else for ten. So what drifts now and then is always put back, and a storm comes to its end at the limit.
///
/// It is kept by this process alone. A process that starts, or takes a policy over, begins at nothing: what a storm may
/// write is the limit for each time that the lease changes hands. That is rare, and who crashes over and over waits longer
/// each time, while to store it would cost a write of the ledger for each repair. What was approved is in the ledger.
#[derive(Debug, Default)]
pub struct Tally {
    done: BTreeMap<(StepVerb, Address), Instant>,
    has_converged: bool,
}

impl Tally {
    /// What was done to what.
    pub(crate) fn done(&self) -> BTreeSet<(StepVerb, Address)> {
        self.done.keys().cloned().collect()
    }

    /// Counts what was done to `address`.
    pub(crate) fn count(&mut self, verb: StepVerb, address: &Address, at: Instant) {
        self.done.insert((verb, address.clone()), at);
    }

    /// What was made and has been seen to be as desired is finished: what is done to it from now on are changes.
    pub(crate) fn finish(&mut self, proven: &BTreeSet<&Address>) {
        self.done
            .retain(|(verb, address), _| *verb != StepVerb::Create || !proven.contains(address));
    }

    /// Notes whether all has converged.
    pub(crate) fn looked(&mut self, has_converged: bool) {
        self.has_converged = has_converged;
    }

    /// Forgets what counts no longer.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        let counts = self.counts_for();
        self.done.retain(|_, at| now.duration_since(*at) < counts);
    }

    /// When the next write counts no longer.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.done.values().min()?.checked_add(self.counts_for())
    }

    fn counts_for(&self) -> Duration {
        if self.has_converged { CALM } else { TROUBLE }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn counts_for(has_converged: bool, wait: Duration) {
        let mut tally = Tally::default();
        tally.count(StepVerb::Update, &Address::of("one"), Instant::now());
        tally.looked(has_converged);
        assert_eq!(tally.next(), Some(Instant::now() + wait));
        advance(wait.saturating_sub(SECOND)).await;
        tally.forget_old(Instant::now());
        assert!(!tally.done().is_empty());
        advance(SECOND).await;
        tally.forget_old(Instant::now());
        assert!(tally.done().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_counts_for_a_minute_where_all_has_converged_and_else_for_ten() {
        counts_for(true, CALM).await;
        counts_for(false, TROUBLE).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_again_and_again_counts_once() {
        let mut tally = Tally::default();
        for name in ["one", "two", "one", "one"] {
            tally.count(StepVerb::Delete, &Address::of(name), Instant::now());
            tally.looked(true);
            advance(CALM / 3).await;
            tally.forget_old(Instant::now());
        }
        let done = tally.done();
        assert_eq!(done.len(), 1, "{done:?}");
    }
}
