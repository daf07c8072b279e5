//! Writes that failed: when they are tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_contract::ProviderError;
use tokio::time::Instant;

use super::What;
use crate::clock::{Clock, shown};
use crate::plan::refusal;
use crate::step::LeftAlone;

/// How often a write that failed for the moment is tried at once, beside the provider's own retries.
pub(super) const ATTEMPTS: u32 = 4;
/// How long a policy that is kept leaves a write alone that failed for the moment, at first; it doubles with each.
const PASSING: Duration = Duration::from_secs(1);
/// The same for a write that was refused: somebody has to change something first.
const REFUSED: Duration = Duration::from_secs(30);
/// The longest that a write is left alone, what a service itself asks for aside.
const LONGEST: Duration = Duration::from_mins(10);
/// The longest wait that a service is granted.
const ASKED: Duration = Duration::from_hours(1);

/// When writes that failed are tried again: in one run soon, or not at all; where a policy is kept for good, after a
/// pause that grows with each failure in a row, a part of it left to chance.
#[derive(Debug, Default)]
pub(super) struct Retries {
    for_good: bool,
    failed: BTreeMap<What, Failed>,
}

#[derive(Debug)]
struct Failed {
    in_a_row: u32,
    until: Option<Instant>,
}

impl Retries {
    /// Those of a policy that is kept for good.
    pub(super) fn for_good() -> Self {
        Self {
            for_good: true,
            failed: BTreeMap::new(),
        }
    }

    /// Notes that `what` failed; why it is left alone from now on, if it isn't tried again at once.
    pub(super) fn failed(&mut self, what: &What, error: &ProviderError, clock: Clock) -> Option<LeftAlone> {
        let failed = self.failed.entry(what.clone()).or_insert(Failed {
            in_a_row: 0,
            until: None,
        });
        failed.in_a_row = failed.in_a_row.saturating_add(1);
        let few = failed.in_a_row < ATTEMPTS;
        let why = if error.is_transient() {
            error.to_string()
        } else {
            refusal(error)
        };
        let left_alone = |why| LeftAlone {
            why,
            is_passing: error.is_transient(),
        };
        if !self.for_good {
            return (!few || !error.is_transient()).then(|| left_alone(why));
        }
        // It changed since it was observed: the next look is all that it takes.
        if few && matches!(error, ProviderError::Conflict { .. }) {
            return None;
        }
        let pause = pause(failed.in_a_row, error);
        failed.until = Instant::now().checked_add(pause);
        let seconds = i64::try_from(pause.as_secs()).unwrap_or(i64::MAX);
        let at = clock.now().saturating_add(time::Duration::seconds(seconds));
        Some(left_alone(format!("{why}; it is tried again at {}", shown(at))))
    }

    /// Has `what` left alone for as long as anything is, although it could be written.
    pub(super) fn rest(&mut self, what: &What) {
        if self.for_good {
            let until = Instant::now().checked_add(LONGEST);
            self.failed.insert(what.clone(), Failed { in_a_row: 0, until });
        }
    }

    /// Notes that `what` was written.
    pub(super) fn succeeded(&mut self, what: &What) {
        self.failed.remove(what);
    }

    /// Forgets what is not of those.
    pub(super) fn retain(&mut self, is_known: impl Fn(&What) -> bool) {
        self.failed.retain(|what, _| is_known(what));
    }

    /// What may be tried again by now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<What> {
        let mut due = Vec::new();
        for (what, failed) in &mut self.failed {
            if failed.until.is_some_and(|until| until <= now) {
                failed.until = None;
                due.push(what.clone());
            }
        }
        due
    }

    /// When the next may be.
    pub(super) fn next(&self) -> Option<Instant> {
        self.failed.values().filter_map(|failed| failed.until).min()
    }
}

/// How long something that has failed so often in a row is left alone.
pub(crate) fn pause(in_a_row: u32, error: &ProviderError) -> Duration {
    let first = if error.is_transient() { PASSING } else { REFUSED };
    let doubled = first.saturating_mul(2_u32.saturating_pow(in_a_row.saturating_sub(1).min(16)));
    let pause = jittered(doubled.min(LONGEST));
    match error {
        ProviderError::Throttled {
            retry_after: Some(asked),
            ..
        } => pause.max((*asked).min(ASKED)),
        _ => pause,
    }
}

/// From three quarters of `duration` to all of it, by chance: many that failed together don't come back together.
#[must_use]
pub fn jittered(duration: Duration) -> Duration {
    let chance = getrandom::u32().unwrap_or(u32::MAX) >> 16;
    let part = duration.checked_div(4).unwrap_or_default();
    let cut = part
        .saturating_mul(chance)
        .checked_div(1 << 16)
        .unwrap_or_default();
    duration.saturating_sub(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    fn what() -> What {
        (Address::of("bucket"), None)
    }

    fn throttled(after: Option<u64>) -> ProviderError {
        ProviderError::Throttled {
            service: "the store".to_owned(),
            retry_after: after.map(Duration::from_secs),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_with_each_failure_in_a_row_and_end_with_a_success() {
        let mut retries = Retries::for_good();
        for doubled in [1, 2, 4, 8] {
            let left = retries.failed(&what(), &throttled(None), Clock::System).unwrap();
            assert!(left.is_passing && left.why.contains("tried again at"), "{left:?}");
            let pause = retries.next().unwrap() - Instant::now();
            let full = Duration::from_secs(doubled);
            assert!(pause <= full && pause >= full * 3 / 4, "{pause:?}");
            assert!(retries.due(Instant::now()).is_empty());
            tokio::time::advance(full).await;
            assert_eq!(retries.due(Instant::now()), [what()]);
        }
        retries.succeeded(&what());
        retries.failed(&what(), &throttled(None), Clock::System).unwrap();
        assert!(retries.next().unwrap() - Instant::now() <= PASSING);
    }

    #[test]
    fn a_service_that_asks_for_a_wait_is_granted_it_and_not_for_ever() {
        assert!(pause(1, &throttled(Some(90))) >= Duration::from_secs(90));
        assert_eq!(pause(1, &throttled(Some(1_000_000))), ASKED);
        for in_a_row in [1, 2, 10, u32::MAX] {
            assert!(pause(in_a_row, &throttled(None)) <= LONGEST);
        }
    }

    #[test]
    fn a_single_run_tries_what_failed_for_the_moment_a_few_times_at_once() {
        let mut retries = Retries::default();
        for _ in 1..ATTEMPTS {
            assert_eq!(retries.failed(&what(), &throttled(None), Clock::System), None);
        }
        assert!(retries.failed(&what(), &throttled(None), Clock::System).is_some());
        assert_eq!(retries.next(), None);
    }
}
