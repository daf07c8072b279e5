//! Whether all of it is alive and ready.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast_contract::PolicyId;
use tokio::time::Instant;

use crate::http::Source;
use crate::metrics::Metrics;

/// A task that has not moved for so long is stuck: no cycle takes as long, as each call has a limit.
const STUCK: Duration = Duration::from_mins(15);

/// Whether the enforcer is alive and ready. Cloned handles tell the same.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The sources of policies that have not told all that they have yet.
    unread: Vec<&'static str>,
    /// When the loop that takes policies from their sources came round last; none before it began.
    came_round: Option<Instant>,
    tasks: BTreeMap<PolicyId, Pulse>,
}

#[derive(Clone, Copy, Debug)]
struct Pulse {
    /// When it moved last; none while it has nothing to do but to wait for somebody.
    moved: Option<Instant>,
    observed: bool,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which sources of policies have to be read first.
    pub(crate) fn expect(&self, source: &'static str) {
        self.state().unread.push(source);
    }

    /// Says that a source was read.
    pub(crate) fn read(&self, source: &'static str) {
        self.state().unread.retain(|unread| *unread != source);
    }

    /// The loop that takes policies from their sources comes round.
    pub(crate) fn comes_round(&self) {
        self.state().came_round = Some(Instant::now());
    }

    /// The task of `policy` moves.
    pub(crate) fn moves(&self, policy: &PolicyId) {
        self.pulse(policy, |pulse| pulse.moved = Some(Instant::now()));
    }

    /// The task of `policy` waits for somebody, for as long as it takes.
    pub(crate) fn rests(&self, policy: &PolicyId) {
        self.pulse(policy, |pulse| pulse.moved = None);
    }

    /// It is known how `policy` stands, here or elsewhere.
    pub(crate) fn observed(&self, policy: &PolicyId) {
        self.pulse(policy, |pulse| pulse.observed = true);
    }

    /// The policy is gone.
    pub(crate) fn forget(&self, policy: &PolicyId) {
        self.state().tasks.remove(policy);
    }

    fn pulse(&self, policy: &PolicyId, change: impl FnOnce(&mut Pulse)) {
        let mut state = self.state();
        let pulse = state.tasks.entry(policy.clone()).or_insert(Pulse {
            moved: None,
            observed: false,
        });
        change(pulse);
    }

    /// Whether every loop comes round; else which doesn't.
    ///
    /// # Errors
    /// A loop that is stuck, with the time since it moved.
    pub fn live(&self) -> Result<(), String> {
        let state = self.state();
        let stuck = |what: &dyn Display, moved: Option<Instant>| {
            let still = moved?.elapsed();
            (still >= STUCK).then(|| format!("{what} has not moved for {} s", still.as_secs()))
        };
        let mut tasks = state.tasks.iter();
        let first = stuck(&"what takes policies from their sources", state.came_round)
            .or_else(|| tasks.find_map(|(policy, pulse)| stuck(policy, pulse.moved)));
        first.map_or(Ok(()), Err)
    }

    /// Whether all policies are known, and each was looked at once; else what is missing.
    ///
    /// # Errors
    /// What is missing.
    pub fn ready(&self) -> Result<(), String> {
        let state = self.state();
        if let Some(source) = state.unread.first() {
            return Err(format!("{source} have not been read yet"));
        }
        let unseen: Vec<&PolicyId> = state
            .tasks
            .iter()
            .filter(|(_, pulse)| !pulse.observed)
            .map(|(policy, _)| policy)
            .collect();
        match unseen.as_slice() {
            [] => Ok(()),
            [one] => Err(format!("{one} has not been looked at yet")),
            [one, more @ ..] => Err(format!(
                "{one} and {} more have not been looked at yet",
                more.len()
            )),
        }
    }
}

/// What probes and scrapers are told.
#[derive(Clone, Debug)]
pub struct Probes {
    /// Whether it is alive and ready.
    pub health: Health,
    /// What is counted.
    pub metrics: Metrics,
}

impl Source for Probes {
    fn live(&self) -> Result<(), String> {
        self.health.live()
    }

    fn ready(&self) -> Result<(), String> {
        self.health.ready()
    }

    fn metrics(&self) -> String {
        self.metrics.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str) -> PolicyId {
        PolicyId {
            namespace: "holdfast-system".to_owned(),
            name: name.to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_stuck_fails_liveness_and_one_that_waits_does_not() {
        let health = Health::default();
        health.moves(&policy("a"));
        health.rests(&policy("b"));
        assert_eq!(health.live(), Ok(()));
        tokio::time::advance(STUCK).await;
        let stuck = "holdfast-system/a has not moved for 900 s".to_owned();
        assert_eq!(health.live(), Err(stuck));
        health.moves(&policy("a"));
        assert_eq!(health.live(), Ok(()));
        health.comes_round();
        tokio::time::advance(STUCK / 2).await;
        health.moves(&policy("a"));
        assert_eq!(health.live(), Ok(()));
        tokio::time::advance(STUCK / 2).await;
        let stuck = "what takes policies from their sources has not moved for 900 s".to_owned();
        assert_eq!(health.live(), Err(stuck));
    }

    #[tokio::test]
    async fn it_is_ready_once_every_source_was_read_and_every_policy_was_looked_at() {
        let health = Health::default();
        health.expect("files");
        health.moves(&policy("a"));
        assert_eq!(health.ready(), Err("files have not been read yet".to_owned()));
        health.read("files");
        let unseen = "holdfast-system/a has not been looked at yet".to_owned();
        assert_eq!(health.ready(), Err(unseen));
        health.observed(&policy("a"));
        assert_eq!(health.ready(), Ok(()));
        health.rests(&policy("b"));
        health.forget(&policy("b"));
        assert_eq!(health.ready(), Ok(()));
    }
}
