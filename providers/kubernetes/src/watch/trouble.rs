//! What has gone wrong with a watch, and when to tell of it.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use holdfast_contract::ProviderError;
use tokio::time::Instant;

use crate::client::pause;

/// While the server can't be reached, the pause between two tries grows to that after so many: 13 s. Each is one
/// request, and whoever waits for the server wants to know soon.
const OUTAGE_PAUSES: u32 = 6;
/// For how long what was told before stays good enough while the server can't be reached.
const OUTAGE: Duration = Duration::from_mins(1);
/// For how long it does while the server refuses: one that has just started may refuse what it grants a moment later.
const REFUSAL: Duration = Duration::from_secs(5);
/// The longest wait that is granted to a server that asks for one: who is told nothing of it goes by what is old.
const ASKED_MAX: Duration = Duration::from_mins(10);

/// What has gone wrong lately.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    /// In a row.
    failures: u32,
    /// No request before.
    pub(super) not_before: Option<Instant>,
    told: Option<Discriminant<ProviderError>>,
    /// Whether there is something told that is good enough for a while.
    is_known: bool,
}

impl Trouble {
    /// Counts a failure of `now`, after which nothing is asked for `wait` at least, as far as that is granted; whether it
    /// has to be told.
    pub(super) fn add(&mut self, error: &ProviderError, wait: Duration, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        let transient = error.is_transient();
        let failures = if transient {
            self.failures.min(OUTAGE_PAUSES)
        } else {
            self.failures
        };
        let wait = wait.min(ASKED_MAX);
        self.not_before = Some(now + pause(failures).max(wait));
        let grace = match error {
            _ if !self.is_known => Duration::ZERO,
            _ if transient => OUTAGE,
            ProviderError::Denied { .. } | ProviderError::Unauthenticated { .. } => REFUSAL,
            _ => Duration::ZERO,
        };
        let is_news = match self.told {
            // What is unknown already doesn't become more so.
            Some(told) => told != discriminant(error) && !transient,
            None => true,
        };
        // Until the wait is over nobody is told anything else.
        let due = is_news && now.duration_since(since).saturating_add(wait) >= grace;
        if due {
            self.told = Some(discriminant(error));
            self.is_known = false;
        }
        due
    }

    /// Counts what is no failure unless it goes on and on.
    pub(super) fn add_expiry(&mut self, now: Instant) {
        if self.failures > 0 {
            self.not_before = Some(now + pause(self.failures));
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// All that there is has been told.
    pub(super) fn told_all(&mut self) {
        self.told = None;
        self.is_known = true;
    }

    /// It works again.
    pub(super) fn end(&mut self) {
        self.since = None;
        self.failures = 0;
    }

    /// Whether nothing has gone wrong since it worked last.
    pub(super) fn is_over(&self) -> bool {
        self.since.is_none()
    }

    /// Whether an error was told last.
    pub(super) fn is_told(&self) -> bool {
        self.told.is_some()
    }
}

#[cfg(test)]
mod tests {
    use holdfast_contract::ApiType;

    use super::*;
    use crate::error::{lost, not_served};

    fn denied() -> ProviderError {
        ProviderError::Denied {
            action: "watch configmaps".to_owned(),
            target: "all".to_owned(),
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// After how many seconds of one failure each second it is told.
    fn told_after(error: &ProviderError) -> Option<u64> {
        let (begun, mut trouble) = (Instant::now(), Trouble::default());
        trouble.told_all();
        (0..600).find(|second| trouble.add(error, Duration::ZERO, begun + seconds(*second)))
    }

    #[test]
    fn what_is_known_is_good_enough_for_as_long_as_the_error_allows() {
        assert_eq!(told_after(&lost("reset")), Some(60));
        assert_eq!(told_after(&denied()), Some(5));
        assert_eq!(told_after(&not_served(&ApiType::new("v1", "X"))), Some(0));
    }

    #[test]
    fn an_outage_that_ends_is_never_told_and_the_next_has_a_minute_of_its_own() {
        let (begun, mut trouble) = (Instant::now(), Trouble::default());
        trouble.told_all();
        for outage in 0..5 {
            for second in [0, 20, 59] {
                let now = begun + seconds(outage * 60 + second);
                assert!(!trouble.add(&lost("reset"), Duration::ZERO, now));
            }
            trouble.end();
        }
    }

    #[test]
    fn an_error_is_told_once_until_all_is_told_or_the_reason_is_another() {
        let (begun, mut trouble) = (Instant::now(), Trouble::default());
        let mut add = |error: &ProviderError| trouble.add(error, Duration::ZERO, begun);
        assert!(add(&lost("reset")), "nothing was known");
        assert!(!add(&lost("reset again")));
        assert!(add(&denied()), "there is something to be done about it");
        assert!(!add(&denied()));
        assert!(!add(&lost("reset")), "unknown it is already");
        trouble.told_all();
        trouble.end();
        assert!(!trouble.add(&lost("reset"), Duration::ZERO, begun + seconds(300)));
    }

    #[test]
    fn pauses_grow_and_an_outage_is_looked_at_more_often_than_a_refusal() {
        let pause_after = |error: &ProviderError, failures: u32, wait: Duration| {
            let (now, mut trouble) = (Instant::now(), Trouble::default());
            for _ in 0..failures {
                trouble.add(error, wait, now);
            }
            trouble.not_before.unwrap() - now
        };
        assert!(pause_after(&denied(), 1, Duration::ZERO) < seconds(1));
        assert!(pause_after(&denied(), 20, Duration::ZERO) >= seconds(30));
        let outage = pause_after(&lost("reset"), 20, Duration::ZERO);
        assert!(outage >= seconds(5) && outage < seconds(13), "{outage:?}");
        assert_eq!(pause_after(&lost("reset"), 1, seconds(90)), seconds(90));
    }

    #[test]
    fn a_wait_without_measure_is_cut_short_and_a_long_one_is_told_at_once() {
        let tells = |wait: Duration| {
            let (now, mut trouble) = (Instant::now(), Trouble::default());
            trouble.told_all();
            let told = trouble.add(&lost("throttled"), wait, now);
            (told, trouble.not_before.unwrap() - now)
        };
        assert_eq!(tells(seconds(59)), (false, seconds(59)));
        assert_eq!(tells(seconds(60)), (true, seconds(60)));
        assert_eq!(tells(seconds(86_400)), (true, ASKED_MAX));
        assert_eq!(tells(Duration::MAX), (true, ASKED_MAX));
    }

    #[test]
    fn one_expiry_costs_no_pause_and_many_do() {
        let (now, mut trouble) = (Instant::now(), Trouble::default());
        trouble.add_expiry(now);
        assert_eq!(trouble.not_before, None);
        trouble.add_expiry(now);
        assert!(trouble.not_before.is_some_and(|at| at > now));
    }
}
