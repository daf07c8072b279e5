//! A service that doesn't answer at all: what many wait for is not waited for by each of them anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast_contract::ProviderError;
use tokio::time::Instant;

use crate::call::Lost;

/// So many requests in a row, all their attempts without an answer of any kind, make a place silent.
const ENOUGH: u32 = 4;
/// For so long nothing is read there then; after that requests find out by themselves whether it answers again.
const REST: Duration = Duration::from_secs(5);

/// Which of the places that requests go to are silent.
#[derive(Debug, Default)]
pub(crate) struct Silence(Mutex<BTreeMap<String, Heard>>);

#[derive(Debug, Default)]
struct Heard {
    /// How many answers there were, whatever they said.
    answers: u64,
    /// How many requests in a row ended without one.
    unanswered: u32,
    /// Until when it is left alone, and what the last of them came to.
    silent: Option<(Instant, Lost)>,
}

impl Silence {
    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a request to `place` would come to in the end, if that is silent.
    pub(crate) fn at(&self, place: &str) -> Option<Lost> {
        let places = self.places();
        let (until, lost) = places.get(place)?.silent.as_ref()?;
        (Instant::now() < *until).then(|| lost.clone())
    }

    /// How many answers came from `place` so far.
    pub(crate) fn answers(&self, place: &str) -> u64 {
        self.places().get(place).map_or(0, |heard| heard.answers)
    }

    /// Notes that an answer has begun.
    pub(crate) fn answered(&self, place: &str) {
        let mut places = self.places();
        let heard = places.entry(place.to_owned()).or_default();
        *heard = Heard {
            answers: heard.answers.saturating_add(1),
            ..Heard::default()
        };
    }

    /// Notes that a request is `lost` for good; when it began there had been so many `answers`. One that others were
    /// answered beside tells nothing of the place.
    pub(crate) fn unanswered(&self, place: &str, answers: u64, lost: &Lost) {
        if !matches!(lost, Lost::Connection(_) | Lost::Slow(_)) {
            return;
        }
        let mut places = self.places();
        let heard = places.entry(place.to_owned()).or_default();
        if heard.answers != answers {
            return;
        }
        heard.unanswered = heard.unanswered.saturating_add(1);
        if heard.unanswered >= ENOUGH {
            heard.silent = Some((Instant::now() + REST, lost.clone()));
        }
    }
}

/// How it ended last that something was fetched which one fetches for all.
#[derive(Debug, Default)]
pub(crate) struct Failed(Mutex<Option<(Instant, ProviderError)>>);

impl Failed {
    fn last(&self) -> MutexGuard<'_, Option<(Instant, ProviderError)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that it failed now.
    pub(crate) fn note(&self, error: &ProviderError) {
        *self.last() = Some((Instant::now(), error.clone()));
    }

    /// How it failed while somebody waited for it who has `asked` then.
    pub(crate) fn since(&self, asked: Instant) -> Option<ProviderError> {
        let last = self.last();
        let (at, error) = last.as_ref()?;
        (*at >= asked).then(|| error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "eu-west-1";

    fn lose(silence: &Silence, count: u32) {
        for _ in 0..count {
            let answers = silence.answers(PLACE);
            silence.unanswered(PLACE, answers, &Lost::Slow(REST));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_silent_for_some_seconds_after_some_requests_in_a_row() {
        let silence = Silence::default();
        lose(&silence, ENOUGH - 1);
        assert!(silence.at(PLACE).is_none());
        lose(&silence, 1);
        assert!(matches!(silence.at(PLACE), Some(Lost::Slow(REST))));
        assert!(silence.at("us-east-1").is_none(), "another place");
        tokio::time::advance(REST).await;
        assert!(silence.at(PLACE).is_none());
        lose(&silence, 1);
        assert!(silence.at(PLACE).is_some(), "it still is");
        silence.answered(PLACE);
        assert!(silence.at(PLACE).is_none());
        lose(&silence, ENOUGH - 1);
        assert!(silence.at(PLACE).is_none());
    }

    #[test]
    fn a_place_that_answers_others_or_answers_badly_is_not_silent() {
        let silence = Silence::default();
        for _ in 0..10 {
            let answers = silence.answers(PLACE);
            silence.answered(PLACE);
            silence.unanswered(PLACE, answers, &Lost::Slow(REST));
            silence.unanswered(PLACE, silence.answers(PLACE), &Lost::TooLarge);
        }
        assert!(silence.at(PLACE).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_that_of_whoever_asked_before_it() {
        let (failed, before) = (Failed::default(), Instant::now());
        assert!(failed.since(before).is_none());
        tokio::time::advance(REST).await;
        failed.note(&crate::credentials::missing("none".to_owned()));
        assert!(failed.since(before).is_some());
        tokio::time::advance(REST).await;
        assert!(failed.since(Instant::now()).is_none());
    }
}
