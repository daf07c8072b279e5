//! Sharing the policies out among replicas, evenly, by their leases.
//!
//! Each replica knows which policies there are and which replicas are here, and so how many of them come to it. It takes
//! leases until it holds as many, and gives the last ones back when it holds more. Who takes which is left to chance and to
//! the leases; what a dead replica held falls to the others as its leases end.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_contract::{Holder, PolicyId, Roster, StateStore};
use holdfast_engine::lease::{Lease, LeaseError};
use holdfast_engine::{Stop, Timing};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::health::Health;

/// The share of this replica.
#[derive(Debug)]
pub(crate) struct Shares {
    pub(crate) holder: Holder,
    pub(crate) timing: Timing,
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Policies that somebody has to hold.
    wanted: BTreeSet<PolicyId>,
    /// Those that this replica holds, or is about to take.
    held: BTreeSet<PolicyId>,
    /// The replicas that are here; none: not known, and nothing is left to others.
    members: BTreeSet<Holder>,
}

impl State {
    /// How many policies come to `holder`.
    fn target(&self, holder: &Holder) -> usize {
        let place = self.members.iter().position(|member| member == holder);
        let Some(place) = place else {
            return self.wanted.len();
        };
        let (policies, members) = (self.wanted.len(), self.members.len());
        let share = policies.checked_div(members).unwrap_or(policies);
        let rest = policies.checked_rem(members).unwrap_or_default();
        share.saturating_add(usize::from(place < rest))
    }
}

impl Shares {
    pub(crate) fn new(holder: Holder, timing: Timing) -> Self {
        Self {
            holder,
            timing,
            state: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }

    /// Makes a change. Whoever waits for one is woken if it made a difference, as it says, and else sleeps on: one that
    /// waits tries again whenever it is woken.
    fn change(&self, change: impl FnOnce(&mut State) -> bool) -> bool {
        let is_changed = change(&mut self.state());
        if is_changed {
            self.changes.send_replace(());
        }
        is_changed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has to hold `policy` from now on.
    pub(crate) fn want(&self, policy: &PolicyId) {
        self.change(|state| state.wanted.insert(policy.clone()));
    }

    /// Nobody has to hold `policy` any more.
    pub(crate) fn leave(&self, policy: &PolicyId) {
        self.change(|state| {
            let was_wanted = state.wanted.remove(policy);
            state.held.remove(policy) || was_wanted
        });
    }

    /// This replica holds `policy` no longer.
    pub(crate) fn gave_back(&self, policy: &PolicyId) {
        self.change(|state| state.held.remove(policy));
    }

    /// These replicas are here.
    fn are_here(&self, members: BTreeSet<Holder>) {
        self.change(|state| {
            let is_changed = state.members != members;
            if is_changed {
                let names: Vec<&str> = members.iter().map(|member| member.0.as_str()).collect();
                tracing::info!(replicas = members.len(), names = ?names, "the policies are shared out");
                state.members = members;
            }
            is_changed
        });
    }

    fn reserve(&self, policy: &PolicyId) -> bool {
        self.change(|state| {
            let room = state.held.len() < state.target(&self.holder);
            room && state.held.insert(policy.clone())
        })
    }

    /// Takes the lease of `policy` once it is free and comes to this replica. When it is lost, `stop` is stopped.
    pub(crate) async fn take(
        &self,
        store: &Arc<dyn StateStore>,
        policy: &PolicyId,
        health: &Health,
        stop: &Stop,
    ) -> Lease {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if !self.reserve(policy) {
                // It comes to somebody else, as far as can be told here.
                health.observed(policy);
                health.rests(policy);
                // It can't close: a sender is ours.
                let _ = changes.changed().await;
                continue;
            }
            health.moves(policy);
            // Should this be given up in the middle, what is reserved must not stay so.
            let reserved = Reserved(self, policy);
            match Lease::take(store, policy, &self.holder, self.timing, stop).await {
                Ok(lease) => {
                    std::mem::forget(reserved);
                    return lease;
                }
                Err(LeaseError::Held { holder, .. }) => {
                    tracing::debug!(%policy, holder, "somebody else holds the lease");
                    health.observed(policy);
                }
                Err(LeaseError::Store(error)) => tracing::warn!(%policy, %error, "the lease can't be taken"),
            }
            drop(reserved);
            let pause = holdfast_engine::jittered(self.timing.retry_period());
            sleep(pause).await;
        }
    }

    /// Returns once this replica holds more than its share, and `policy` is one that it is to give back.
    pub(crate) async fn too_many(&self, policy: &PolicyId) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            {
                let state = self.state();
                let kept = state.held.iter().take(state.target(&self.holder));
                if !kept.into_iter().any(|held| held == policy) {
                    return;
                }
            }
            let _ = changes.changed().await;
        }
    }

    /// Says again and again that this replica is here, and asks who else is.
    pub(crate) async fn follow(&self, roster: &dyn Roster, stop: &Stop) {
        while !stop.is_stopped() {
            let said = roster.announce(&self.holder, self.timing.duration()).await;
            let asked = match said {
                Ok(()) => roster.members().await,
                Err(error) => Err(error),
            };
            match asked {
                Ok(mut members) => {
                    // What was just said may not show yet.
                    members.insert(self.holder.clone());
                    self.are_here(members);
                }
                Err(error) => tracing::warn!(%error, "which replicas there are can't be told"),
            }
            let pause = holdfast_engine::jittered(self.timing.retry_period());
            stop.sleep(pause).await;
        }
    }
}

/// A policy that is reserved until its lease is taken.
struct Reserved<'s>(&'s Shares, &'s PolicyId);

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.0.gave_back(self.1);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use futures::poll;
    use holdfast_contract::Registry;
    use holdfast_memory::World;

    use super::*;

    fn holders(names: &[&str]) -> BTreeSet<Holder> {
        names.iter().map(|name| Holder((*name).to_owned())).collect()
    }

    fn policy(name: &str) -> PolicyId {
        PolicyId {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        }
    }

    fn world() -> Arc<dyn StateStore> {
        Arc::new(World::new(&Registry::default()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_to_which_a_policy_does_not_come_rests_until_that_may_change() {
        let (health, stop, one) = (Health::default(), Stop::default(), policy("p"));
        let shares = Shares::new(Holder("b".to_owned()), Timing::default());
        let store = world();
        shares.are_here(holders(&["a", "b"]));
        shares.want(&one);
        let mut changes = shares.changes.subscribe();
        let mut taking = pin!(shares.take(&store, &one, &health, &stop));
        for _ in 0..60 {
            // It is of one of the two, and nothing that is said now is news.
            shares.want(&one);
            shares.are_here(holders(&["a", "b"]));
            shares.gave_back(&one);
            shares.leave(&policy("another"));
            assert!(poll!(&mut taking).is_pending());
            tokio::time::advance(Duration::from_secs(10)).await;
            assert!(
                !changes.has_changed().unwrap(),
                "it woke itself, and whoever waits"
            );
        }
        assert_eq!(health.live(), Ok(()));

        changes.mark_unchanged();
        shares.are_here(holders(&["b"]));
        let began = tokio::time::Instant::now();
        taking.await.release().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_takes_a_policy_at_once_when_its_share_grows() {
        let (health, stop) = (Health::default(), Stop::default());
        let shares = Shares::new(Holder("b".to_owned()), Timing::default());
        let store = world();
        let one = policy("p");
        shares.are_here(holders(&["a", "b"]));
        shares.want(&one);
        let mut taking = pin!(shares.take(&store, &one, &health, &stop));
        assert!(poll!(&mut taking).is_pending());
        let began = tokio::time::Instant::now();
        shares.want(&policy("q"));
        taking.await.release().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "at once");
    }

    #[test]
    fn sixty_policies_make_twenty_for_each_of_three_and_a_rest_goes_to_the_first() {
        let holders = holders(&["a", "b", "c"]);
        for (policies, shares) in [
            (60, [20, 20, 20]),
            (61, [21, 20, 20]),
            (2, [1, 1, 0]),
            (0, [0, 0, 0]),
        ] {
            let wanted = (0..policies).map(|number| policy(&format!("p{number}")));
            let state = State {
                wanted: wanted.collect(),
                held: BTreeSet::new(),
                members: holders.clone(),
            };
            let targets: Vec<usize> = holders.iter().map(|holder| state.target(holder)).collect();
            assert_eq!(targets, shares);
        }
    }

    #[test]
    fn a_replica_that_knows_of_nobody_takes_all() {
        let state = State {
            wanted: BTreeSet::from([policy("p")]),
            ..State::default()
        };
        assert_eq!(state.target(&Holder("a".to_owned())), 1);
    }
}
