//! One policy: its lease is taken, it is kept, and given back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_contract::{Desk, PolicyId, StateStore};
use holdfast_engine::lease::Lease;
use holdfast_engine::{Engine, KeepOptions, Kept, Stop, Tally, jittered};
use holdfast_policy::{Mode, ValidPolicy};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::clerk::{Clerk, fault_of};
use crate::enforcer::Worlds;
use crate::fault::Fault;
use crate::health::Health;
use crate::reasons::Outlook;
use crate::shares::Shares;
use crate::work::{Actor, Work, removes, retired};

/// How long the calls in flight are waited for when the process is to end. A lease that is given back while one may still
/// take effect would let somebody else begin: else it is left to end by itself.
const LAST_CALLS: Duration = Duration::from_secs(4);
/// How soon what could not be done for a Policy resource itself is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// What all tasks share.
pub(crate) struct Common {
    pub(crate) worlds: Arc<dyn Worlds>,
    pub(crate) desk: Option<Arc<dyn Desk>>,
    pub(crate) shares: Arc<Shares>,
    pub(crate) health: Health,
    pub(crate) permits: Arc<Semaphore>,
    /// The weaker of this and a policy's own counts.
    pub(crate) mode: Mode,
    pub(crate) stop: Stop,
}

/// One policy.
pub(crate) struct Task {
    pub(crate) common: Arc<Common>,
    pub(crate) id: PolicyId,
    pub(crate) work: watch::Receiver<Arc<Work>>,
    pub(crate) trigger: watch::Receiver<u64>,
    /// Stopped when the policy is gone, or the process is to end.
    pub(crate) stop: Stop,
    /// What limits count of what was written: an edit of the policy is no reason to begin anew.
    pub(crate) tally: Tally,
    pub(crate) clerk: Clerk,
}

/// Why a policy is kept no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It has changed.
    Changed,
    /// Its lease was lost.
    Lost,
    /// This replica holds more than its share.
    TooMany,
    /// All that was to go with it is gone.
    Removed,
    /// The policy is gone, or the process is to end.
    Stopped,
}

/// A policy that can be kept.
struct Ready {
    work: Arc<Work>,
    policy: Arc<ValidPolicy>,
    engine: Engine,
}

impl Task {
    /// Attends to the policy until it is gone or the process ends.
    pub(crate) async fn run(mut self) {
        let mut last_good: Option<Arc<Work>> = None;
        self.attends();
        while !self.stop.is_stopped() {
            let Some(ready) = self.ready(&mut last_good, None).await else {
                continue;
            };
            self.hold(ready, &mut last_good).await;
        }
        self.common.shares.leave(&self.id);
        self.common.health.forget(&self.id);
    }

    fn attends(&self) {
        if self.common.mode == Mode::Enforce {
            self.clerk.attends();
        }
    }

    /// What is to be kept now: the policy as it is, or as it was good last. None where nothing can be, after that was told
    /// and something has changed. `lease`: stopped once the lease is lost, where this replica holds it.
    async fn ready(&mut self, last_good: &mut Option<Arc<Work>>, lease: Option<&Stop>) -> Option<Ready> {
        // Where nothing is locked, all tell.
        let tells = lease.is_some() || self.common.mode == Mode::Observe;
        let work = Arc::clone(&self.work.borrow_and_update());
        if self.common.mode == Mode::Observe {
            self.clerk.resume_once(&work);
        }
        // What another Policy of the same name last was, or a file, is nothing to go on with.
        let good = last_good.as_deref();
        if good.is_some_and(|good| !good.is_same_resource(&work)) {
            *last_good = None;
        }
        let fault = match (&work.policy, &work.actor) {
            (Ok(_), Ok(_)) => None,
            (Err(fault), _) => Some(Fault::invalid(fault).goes_on(last_good.is_some())),
            (_, Err(fault)) => Some(Fault::account(fault)),
        };
        if let Some(fault) = fault {
            self.common.health.observed(&self.id);
            if !fault.goes_on {
                *last_good = None;
                self.common.shares.leave(&self.id);
                self.clerk.stalls();
                let is_left = !tells && self.is_left().await;
                if is_left {
                    self.clerk.resume(&work);
                }
                if tells || is_left {
                    self.clerk.fault(&work, fault);
                    self.idle(lease).await;
                }
                self.attends();
                return None;
            }
            if tells {
                self.clerk.fault(&work, fault);
            } else {
                self.clerk.note(fault);
            }
        } else {
            *last_good = Some(Arc::clone(&work));
        }
        // A fault leaves the policy as it was last good; whether it is to go, the latest says, faulty or not.
        let good = last_good.as_ref()?;
        let (Ok(policy), Ok(actor)) = (&good.policy, &good.actor) else {
            return None;
        };
        let mut policy = if work.is_deleting() {
            Arc::new(retired(policy))
        } else {
            Arc::clone(policy)
        };
        let mode = policy.mode.weaker(self.common.mode);
        if mode != policy.mode {
            Arc::make_mut(&mut policy).mode = mode;
        }
        match self.common.worlds.open(actor).await {
            Ok(engine) => Some(Ready { work, policy, engine }),
            Err(error) => {
                let fault = fault_of(&error.into());
                looked_at(&self.common.health, &self.id, &fault);
                if tells {
                    self.clerk.fault(&work, fault);
                } else if !self.common.is_enforced_elsewhere(&self.id, &mut None).await {
                    self.clerk.resume_once(&work);
                    self.clerk.fault(&work, fault);
                } else {
                    self.clerk.leaves();
                    tracing::warn!(policy = %self.id, fault = fault.message, "whoever holds the lease tells");
                }
                self.pause(AGAIN).await;
                None
            }
        }
    }

    /// Takes the lease, and keeps the policy and what becomes of it until the lease is given back or lost.
    async fn hold(&mut self, ready: Ready, last_good: &mut Option<Arc<Work>>) {
        // A process that never writes keeps nobody from writing.
        if self.common.mode == Mode::Observe {
            let stop = self.stop.child();
            if self.keep(&ready, &stop).await == End::Removed {
                // To let it go is for somebody who writes.
                self.idle(None).await;
            }
            return;
        }
        let common = Arc::clone(&self.common);
        let lease_stop = self.stop.child();
        common.shares.want(&self.id);
        let store = &ready.engine.state;
        let lease = tokio::select! {
            lease = common.shares.take(store, &self.id, &common.health, &lease_stop) => lease,
            _ = self.work.changed() => return self.work.mark_changed(),
            () = self.stop.stopped() => return,
        };
        self.clerk.held(&ready.work, true);
        let mut ready = ready;
        let end = loop {
            let stop = lease_stop.child();
            match self.keep(&ready, &stop).await {
                End::Changed => match self.ready(last_good, Some(&lease_stop)).await {
                    Some(next) => ready = next,
                    None if lease_stop.is_stopped() && !self.stop.is_stopped() => break End::Lost,
                    None => break End::Changed,
                },
                end => break end,
            }
        };
        self.clerk.held(&ready.work, false);
        self.give_back(lease, end).await;
        if end == End::Removed {
            self.let_go(&ready.work).await;
        }
    }

    async fn give_back(&self, lease: Lease, end: End) {
        if end != End::Lost {
            lease.release().await;
        }
        self.common.shares.gave_back(&self.id);
        if end == End::TooMany {
            tracing::info!(policy = %self.id, "given back: it comes to another replica");
        }
    }

    /// Keeps the policy until something ends that; calls in flight have ended then.
    async fn keep(&mut self, ready: &Ready, stop: &Stop) -> End {
        if !self.bind(ready).await {
            self.pause(AGAIN).await;
            return End::Changed;
        }
        let removed = Stop::default();
        self.clerk.begin(&ready.work, &ready.engine.state.place(&self.id));
        let is_leaving = ready.work.is_deleting();
        // What is told is about the policy as it is now, even where that is wrong.
        let about = Mutex::new(Arc::clone(&ready.work));
        let clerk = &self.clerk;
        let health = &self.common.health;
        let teller = |kept: Kept<'_>| {
            health.moves(&self.id);
            match &kept {
                Kept::Cycle { report, .. } => {
                    health.observed(&self.id);
                    if is_leaving && report.unmet.is_empty() && report.resources.is_empty() {
                        removed.stop();
                    }
                }
                Kept::Invalid(_) => health.observed(&self.id),
                Kept::Failed { error, .. } => looked_at(health, &self.id, &fault_of(error)),
                Kept::Writing { .. } | Kept::Progress(_) | Kept::Quiet | Kept::Valid => {}
            }
            let about = Arc::clone(&about.lock().unwrap_or_else(PoisonError::into_inner));
            clerk.kept(&about, &kept);
        };
        let options = KeepOptions {
            timing: self.common.shares.timing,
            stop: stop.clone(),
            overrides: ready.work.overrides.clone(),
            trigger: self.trigger.clone(),
            permits: Arc::clone(&self.common.permits),
        };
        let mut work = self.work.clone();
        let keeping = ready
            .engine
            .keep(&ready.policy, &options, &mut self.tally, &teller);
        let mut keeping = Box::pin(keeping);
        let end = loop {
            tokio::select! {
                () = &mut keeping => return if self.stop.is_stopped() { End::Stopped } else { End::Lost },
                _ = work.changed() => {
                    let now = Arc::clone(&work.borrow_and_update());
                    let Some(fault) = wrong_edit(&ready.work, &now) else {
                        break End::Changed;
                    };
                    *about.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&now);
                    clerk.fault(&now, fault);
                }
                () = self.stop.stopped() => break End::Stopped,
                () = removed.stopped() => break End::Removed,
                () = self.common.shares.too_many(&self.id), if self.common.mode == Mode::Enforce => break End::TooMany,
            }
        };
        stop.stop();
        match timeout(LAST_CALLS, &mut keeping).await {
            Ok(()) => end,
            Err(_) if self.stop.is_stopped() => {
                tracing::warn!(policy = %self.id, "a call in flight is given up: the lease ends by itself");
                End::Lost
            }
            Err(_) => {
                keeping.await;
                end
            }
        }
    }

    /// Sees to it that a Policy resource can't go before what is to go with it, and can where nothing is; whether that was
    /// done.
    async fn bind(&self, ready: &Ready) -> bool {
        let (Some(desk), Some(resource)) = (&self.common.desk, &ready.work.resource) else {
            return true;
        };
        // One that only observes removes nothing.
        let needed = removes(&ready.policy) && ready.policy.mode == Mode::Enforce;
        if resource.deleting || resource.finalizer == needed || self.common.mode == Mode::Observe {
            return true;
        }
        let done = desk.set_finalizer(&self.id, &resource.uid, needed).await;
        if let Err(error) = &done {
            self.clerk.fault(&ready.work, fault_of(&error.clone().into()));
        }
        done.is_ok()
    }

    /// Lets a Policy resource go, as all that was to go with it is gone.
    async fn let_go(&mut self, work: &Work) {
        if let (Some(desk), Some(resource)) = (&self.common.desk, &work.resource) {
            if let Err(error) = desk.set_finalizer(&self.id, &resource.uid, false).await {
                self.clerk.fault(work, fault_of(&error.into()));
                return self.pause(AGAIN).await;
            }
            tracing::info!(policy = %self.id, "removed: nothing that was to go with it is left");
        }
        self.idle(None).await;
    }

    /// Waits until the policy has changed, or is gone, or the `lease` is lost.
    async fn idle(&mut self, lease: Option<&Stop>) {
        self.common.health.rests(&self.id);
        tokio::select! {
            _ = self.work.changed() => self.work.mark_changed(),
            () = lease.unwrap_or(&self.stop).stopped() => {}
        }
    }

    /// Waits until nobody holds the policy's lease: whoever does may enforce it as it was good last, of which this replica
    /// knows nothing, and tells. False where the policy has changed before, or is gone.
    async fn is_left(&mut self) -> bool {
        let (common, id) = (Arc::clone(&self.common), self.id.clone());
        let left = async move {
            let mut store = None;
            let mut looks_at_none = 0_u32;
            // A lease that was held may go from hand to hand: that nobody has it at one time means nothing then.
            let mut wanted = 1;
            loop {
                common.health.moves(&id);
                if common.is_enforced_elsewhere(&id, &mut store).await {
                    (looks_at_none, wanted) = (0, 2);
                } else {
                    looks_at_none = looks_at_none.saturating_add(1);
                }
                if looks_at_none >= wanted {
                    return;
                }
                sleep(jittered(common.shares.timing.retry_period())).await;
            }
        };
        tokio::select! {
            () = left => true,
            _ = self.work.changed() => {
                self.work.mark_changed();
                false
            }
            () = self.stop.stopped() => false,
        }
    }

    async fn pause(&mut self, pause: Duration) {
        self.common.health.moves(&self.id);
        tokio::select! {
            _ = self.work.changed() => self.work.mark_changed(),
            () = self.stop.sleep(pause) => {}
        }
    }
}

impl Common {
    /// Whether another replica holds the policy's lease, as far as is known; it may, where that can't be told for now.
    /// `store`: where leases lie, once that was opened; it remembers what it has seen of them.
    async fn is_enforced_elsewhere(
        &self,
        policy: &PolicyId,
        store: &mut Option<Arc<dyn StateStore>>,
    ) -> bool {
        let holder = async {
            let opened = match store.take() {
                Some(opened) => opened,
                None => self.worlds.open(&Actor::ITSELF).await?.state,
            };
            store.insert(opened).holder(policy).await
        };
        match holder.await {
            Ok(holder) => holder.is_some_and(|holder| holder != self.shares.holder),
            Err(error) => {
                tracing::warn!(%policy, %error, "who holds the lease can't be told");
                // Where it may not be looked at, nobody can take it.
                error.is_transient()
            }
        }
    }
}

/// What waits for somebody was looked at, too: one policy that is wrong must not keep this replica, and with it a rollout,
/// from becoming ready. What can't be reached was not.
fn looked_at(health: &Health, policy: &PolicyId, fault: &Fault) {
    if fault.reason.outlook() == Outlook::Stalled {
        health.observed(policy);
    }
}

/// What is wrong with `now`, if that leaves what is enforced of `before` just as it is: nothing of it begins anew, and what
/// rests goes on resting.
fn wrong_edit(before: &Work, now: &Work) -> Option<Fault> {
    let is_same = before.is_same_resource(now) && before.is_deleting() == now.is_deleting();
    let fault = now.policy.as_ref().err().filter(|_| is_same)?;
    Some(Fault::invalid(fault).goes_on(true))
}
