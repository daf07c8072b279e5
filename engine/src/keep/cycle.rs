//! One cycle: passes and writes, until there is nothing left to do but to wait.

use super::{
    Duration, EngineError, Instant, Keeper, Kept, Mode, Pass, ProviderName, ResourceKey, Run, Session,
    Wanted, timeout,
};
use crate::phase::Phase;
use crate::step::Plan;
use std::collections::BTreeSet;

/// A cycle has at most so many passes: what is still to do then is done in the next, so that a policy that goes round in
/// circles leaves room for others.
const PASSES: usize = 64;
/// What a service can't push is read again before it is written, if it was read before that.
const FRESH: Duration = Duration::from_secs(15);
/// A pass that reads for so long is given up and begun anew after a pause: its services answer too slowly for what the policy
/// looks at, and whoever watches over this process must not take that for a loop that is stuck.
const SLOW: Duration = Duration::from_mins(10);

impl Keeper<'_> {
    /// Where everything stands after it; none if it was stopped before it knew.
    pub(super) async fn cycle(&mut self, begun: Instant) -> Result<Option<Pass>, EngineError> {
        self.run.begin(&mut self.session);
        let Some(mut pass) = self.look().await? else {
            return Ok(None);
        };
        let mut asked_types = false;
        let mut read_again = false;
        for _ in 0..PASSES {
            if !self.may_write() || !pass.report.unmet.is_empty() {
                Run::see(&mut self.session, &pass.plan);
                return Ok(Some(pass));
            }
            let noted = self.run.note_pass(&mut self.session, &pass.plan).await?;
            let idle = pass.plan.mints.is_empty() && pass.plan.ready().next().is_none();
            let types = pass.stale_types && !asked_types;
            if idle && !noted && !types && self.session.save_ledger().await? {
                return Ok(Some(pass));
            }
            if types {
                asked_types = true;
                self.session.forget_unserved();
            }
            if !idle {
                if !read_again && self.forget_old(&pass, begun) {
                    read_again = true;
                } else {
                    (self.teller)(Kept::Writing {
                        report: &pass.report,
                        took: begun.elapsed(),
                    });
                    self.run.warn(&pass.plan);
                    self.run.write(&mut self.session, &pass.plan).await?;
                    asked_types = false;
                }
            }
            self.run.show_writes(&mut self.session);
            let Some(next) = self.look().await? else {
                // What was written must be known to whoever goes on with it.
                self.session.save_at_last().await?;
                return Ok(None);
            };
            pass = next;
        }
        self.session.save_at_last().await?;
        Ok(Some(pass))
    }

    /// One pass; none if it was stopped: reads are given up then, so that a service which doesn't answer holds up nobody
    /// who waits for the end.
    async fn look(&mut self) -> Result<Option<Pass>, EngineError> {
        let stop = &self.options.stop;
        if stop.is_stopped() {
            return Ok(None);
        }
        let pass = timeout(SLOW, self.session.settled_pass());
        let pass = stop.unless_stopped(pass).await.filter(|_| !stop.is_stopped());
        pass.map(|pass| pass.unwrap_or(Err(EngineError::Slow(SLOW))))
            .transpose()
    }

    pub(super) fn may_write(&self) -> bool {
        self.session.policy.mode == Mode::Enforce && self.session.blocked().is_none()
    }

    /// Forgets what a write is about to be decided by and may be old: what no service pushes and was read some time ago,
    /// and what a hold looks at, as a watch may lag. Whether there is such.
    fn forget_old(&mut self, pass: &Pass, begun: Instant) -> bool {
        let is_held = pass.plan.ready().any(|(resource, _)| resource.hold.is_some());
        let holds = is_held && !pass.hold_facts.is_empty();
        if holds {
            self.session.forget_facts(Some(&pass.hold_facts));
        }
        let is_old = begun.duration_since(self.due.read) >= FRESH;
        let ready = pass.plan.ready().filter(|_| is_old);
        let keys: BTreeSet<ResourceKey> = ready
            .filter_map(|(resource, _)| resource.key.clone())
            .filter(|key| !self.pushes(&key.provider))
            .collect();
        for key in &keys {
            self.session.snapshot.forget(key, None);
        }
        holds || !keys.is_empty()
    }

    /// Forgets all that no service pushes, so that it is read again.
    pub(super) fn forget_unpushed(&mut self, now: Instant) {
        let providers = &self.session.providers;
        let open = providers.open().keys().filter(|name| !self.pushes(name));
        // What could not be opened may be by now.
        let unpushed: Vec<ProviderName> = open.chain(providers.failed()).cloned().collect();
        for name in &unpushed {
            self.session.snapshot.forget_provider(name);
        }
        self.session.snapshot.forget_all_looks();
        let lists: Vec<String> = self
            .session
            .fact_lists
            .iter()
            .filter(|(_, (provider, _))| !self.pushes(provider))
            .map(|(name, _)| name.clone())
            .collect();
        for name in lists {
            self.session.snapshot.forget_list(&name);
        }
        self.session.providers.forget_failures();
        self.due.read = now;
    }

    /// Forgets all that the pass did not look at: a policy is kept for months, and what it looks at changes.
    pub(super) fn forget_unwanted(&mut self, pass: &Pass) {
        let session = &mut self.session;
        let looked_at = pass.looked_at.iter().map(|(wanted, _)| &wanted.key);
        let facts = session.fact_keys.values().chain(&self.sources);
        let keys: BTreeSet<_> = looked_at
            .chain(facts)
            .chain(session.providers.secrets())
            .collect();
        // One that was stopped by its requirements looked at nothing, and goes on where it was; but what isn't watched
        // meanwhile has to be read again.
        if pass.report.unmet.is_empty() {
            let resources = pass.plan.resources.iter();
            let addresses: BTreeSet<_> = resources.map(|resource| &resource.address).collect();
            let lists = session.fact_lists.keys().collect();
            session.snapshot.retain(&addresses, &lists);
            session
                .left_alone
                .retain(|(address, _), _| addresses.contains(address));
            self.run.retain(&addresses);
        }
        session.snapshot.retain_observed(&keys);
    }

    /// What of a pass is not settled, and no service tells when it is.
    pub(super) fn is_polled(&self, pass: &Pass) -> bool {
        let unready = |wanted: &Wanted| !self.pushes(&wanted.key.provider);
        let open = |fact: &String| {
            let list = self.session.fact_lists.get(fact);
            list.is_some_and(|(provider, _)| !self.pushes(provider))
        };
        pass.stale_types || pass.unready.iter().any(unready) || pass.open_facts.iter().any(open)
    }

    /// Forgets what [`Self::is_polled`], so that it is read again.
    pub(super) fn forget_polled(&mut self, pass: &Pass) {
        for wanted in &pass.unready {
            if !self.pushes(&wanted.key.provider) {
                self.session.snapshot.forget(&wanted.key, None);
            }
        }
        for fact in &pass.open_facts {
            let list = self.session.fact_lists.get(fact);
            if list.is_some_and(|(provider, _)| !self.pushes(provider)) {
                self.session.snapshot.forget_list(fact);
            }
        }
        if pass.stale_types {
            self.session.forget_unserved();
        }
    }
}

impl Run<'_> {
    /// Begins a cycle: what limits count goes on from those before, and what has rested may be tried again.
    fn begin(&mut self, session: &mut Session<'_>) {
        let now = Instant::now();
        self.start_counting(now);
        session.ledger.end_old_approval(session.engine.clock.now());
        for what in self.due(now) {
            session.left_alone.remove(&what);
        }
        self.show_writes(session);
    }

    /// Notes where everything stands, where nothing is to be written.
    fn see(session: &mut Session<'_>, plan: &Plan) {
        session.phases = plan
            .resources
            .iter()
            .map(|resource| (resource.address.clone(), resource.phase))
            .collect();
    }

    /// Notes what a pass has found, and forgets the writes that it has proven; whether there is news that another pass
    /// should see.
    async fn note_pass(&mut self, session: &mut Session<'_>, plan: &Plan) -> Result<bool, EngineError> {
        self.remember_leaving(session, plan);
        let news = Self::remember(session, plan);
        let held = Self::remember_holds(session, plan);
        let looked = Self::remember_looks(session, plan);
        if held || looked {
            session.save_ledger().await?;
        }
        let proven: BTreeSet<_> = plan
            .resources
            .iter()
            .filter(|one| one.overridden.is_empty() && one.blocked.is_empty())
            .filter(|one| one.phase == Phase::Converged || session.is_equal_and_unready(one))
            .map(|one| &one.address)
            .collect();
        self.forget_written(session, &proven);
        Ok(news || looked)
    }
}
