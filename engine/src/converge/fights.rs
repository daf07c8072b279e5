//! Who keeps changing back what was written, place by place.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_contract::{Difference, Path};
use tokio::time::Instant;

use super::What;
use crate::plan::FIGHTS;

/// Writes of one place that come so close after one another are a fight: somebody changes it back.
const WINDOW: Duration = Duration::from_mins(10);
/// How long a place that is fought over is left alone at first, and at most. One more write follows; if that is changed
/// back as well, twice as long.
const REST: (Duration, Duration) = (Duration::from_mins(10), Duration::from_hours(1));
/// After so long without a write a fight is forgotten.
const FORGOTTEN: Duration = Duration::from_hours(2);

/// How often which place was written lately.
#[derive(Debug, Default)]
pub(super) struct Fights(BTreeMap<What, BTreeMap<Path, Fight>>);

#[derive(Clone, Debug, Default)]
struct Fight {
    writes: Vec<Instant>,
    rests: u32,
    until: Option<Instant>,
}

impl Fight {
    fn forget_old(&mut self, now: Instant) {
        let age = |at: &Instant| now.duration_since(*at);
        if self.writes.last().is_none_or(|last| age(last) >= FORGOTTEN) {
            *self = Self::default();
        }
        let last = self.writes.last().copied();
        self.writes.retain(|at| age(at) < WINDOW || Some(*at) == last);
    }

    fn wrote(&mut self, now: Instant) {
        self.forget_old(now);
        self.writes.push(now);
        let enough = if self.rests > 0 { 1 } else { FIGHTS };
        if self.lately(now) >= enough {
            let rest = REST
                .0
                .saturating_mul(2_u32.saturating_pow(self.rests))
                .min(REST.1);
            self.rests = self.rests.saturating_add(1);
            self.until = now.checked_add(rest);
        }
    }

    /// How many writes there were within the window.
    fn lately(&self, now: Instant) -> u32 {
        let lately = self.writes.iter().filter(|at| now.duration_since(**at) < WINDOW);
        u32::try_from(lately.count()).unwrap_or(u32::MAX)
    }

    /// As many writes as there count for.
    fn count(&self, now: Instant) -> u32 {
        match self.until {
            Some(until) if until > now => FIGHTS,
            // The one write after a rest.
            Some(_) => 0,
            None => self.lately(now),
        }
    }
}

impl Fights {
    /// Notes that `what` was written to mend `differences`.
    pub(super) fn wrote(&mut self, what: &What, differences: &[Difference], now: Instant) {
        let fights = self.0.entry(what.clone()).or_default();
        for difference in differences {
            fights.entry(difference.path.clone()).or_default().wrote(now);
        }
    }

    /// Forgets what is not of those.
    pub(super) fn retain(&mut self, is_known: impl Fn(&What) -> bool) {
        self.0.retain(|what, _| is_known(what));
    }

    /// Forgets what is long over.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, fights| {
            for fight in fights.values_mut() {
                fight.forget_old(now);
            }
            fights.retain(|_, fight| !fight.writes.is_empty());
            !fights.is_empty()
        });
    }

    /// How often the places of everything that is remembered count as written.
    pub(super) fn counts(&self, now: Instant) -> impl Iterator<Item = (&What, BTreeMap<Path, u32>)> {
        self.0.iter().map(move |(what, fights)| {
            let counts = fights
                .iter()
                .map(|(path, fight)| (path.clone(), fight.count(now)));
            (what, counts.collect())
        })
    }

    /// When the next place is to be written once more.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let fights = self.0.values().flat_map(BTreeMap::values);
        fights
            .filter_map(|fight| fight.until.filter(|until| *until > now))
            .min()
    }
}

#[cfg(test)]
mod tests {
    use holdfast_contract::{Change, Value};
    use tokio::time::advance;

    use super::*;
    use crate::address::Address;

    fn what() -> What {
        (Address::of("server"), None)
    }

    fn write(fights: &mut Fights) {
        let difference = Difference {
            path: Path::root(),
            change: Change::Add { new: Value::Null },
            note: None,
        };
        fights.wrote(&what(), &[difference], Instant::now());
    }

    fn is_left(fights: &Fights) -> bool {
        let now = Instant::now();
        fights
            .counts(now)
            .any(|(_, counts)| counts.values().any(|count| *count >= FIGHTS))
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn three_writes_within_ten_minutes_are_a_fight_and_three_in_an_hour_are_not() {
        let mut fights = Fights::default();
        for _ in 0..3 {
            assert!(!is_left(&fights));
            write(&mut fights);
            advance(MINUTE * 20).await;
        }
        assert!(!is_left(&fights));
        for _ in 0..3 {
            advance(MINUTE).await;
            assert!(!is_left(&fights));
            write(&mut fights);
        }
        assert!(is_left(&fights));
    }

    #[tokio::test(start_paused = true)]
    async fn a_fought_place_rests_twice_as_long_each_time_and_at_most_an_hour() {
        let mut fights = Fights::default();
        for _ in 0..3 {
            write(&mut fights);
        }
        for rest in [10, 20, 40, 60, 60] {
            assert_eq!(fights.next(Instant::now()), Some(Instant::now() + MINUTE * rest));
            advance((MINUTE * rest).saturating_sub(Duration::from_secs(1))).await;
            assert!(is_left(&fights));
            advance(Duration::from_secs(1)).await;
            assert!(!is_left(&fights), "one write more");
            write(&mut fights);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fight_that_is_over_is_forgotten() {
        let mut fights = Fights::default();
        for _ in 0..3 {
            write(&mut fights);
        }
        advance(MINUTE * 121).await;
        fights.forget_old(Instant::now());
        assert!(fights.0.is_empty());
    }
}
