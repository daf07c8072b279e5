//! Keeping a policy for good: cycle after cycle, each begun by what services push, by the clock, or by whoever asks.
//!
//! What was read stays known from cycle to cycle. What services push is taken as it comes, so that a cycle at rest reads
//! nothing of them; what they can't push is read again each [`interval`](ValidPolicy::interval), and before it is written.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{Holder, ProviderError, ProviderName, ResourceKey, Seen, Wanted};
use holdfast_policy::{Diagnostics, Mode, Parameters, Supplied, ValidPolicy};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, timeout};

use crate::apply::Stop;
use crate::converge::{ApplyOptions, Progress, Run, Tally, jittered, pause};
use crate::cycle::{Engine, EngineError, Pass, Session, mark};
use crate::lease::Timing;
use crate::ledger::LedgerError;
use crate::objects;
use crate::report::{Applied, Report};
use crate::values::NoParameters;

mod cycle;
mod due;
mod events;
mod watches;

use due::Due;
use watches::Watches;

/// How long a cycle counts as one that is under way: one that takes longer waits for some service that doesn't answer, and
/// leaves room for others.
const LONG: Duration = Duration::from_secs(5);
/// How often whoever watches over this is told that it is alive, at least.
const QUIET: Duration = Duration::from_secs(10);

/// How to keep a policy.
#[derive(Clone, Debug)]
pub struct KeepOptions {
    /// How the policy's lease is kept, for how long one call may take.
    pub timing: Timing,
    /// Ends it: at once while it waits, between two calls while it writes.
    pub stop: Stop,
    /// Parameters' values that win over the policy's own.
    pub overrides: Vec<Supplied>,
    /// Each change has everything read anew, at once.
    pub trigger: watch::Receiver<u64>,
    /// How many policies may have a cycle under way at once, those aside whose services don't answer for long.
    pub permits: Arc<Semaphore>,
}

/// What happens while a policy is kept.
#[derive(Debug)]
pub enum Kept<'a> {
    /// A cycle is about to write.
    Writing {
        /// What it plans.
        report: &'a Arc<Report>,
        /// For how long it has been under way.
        took: Duration,
    },
    /// What its calls do.
    Progress(Progress<'a>),
    /// A cycle has ended.
    Cycle {
        /// Where everything stands after it, and what it wrote.
        report: &'a Arc<Report>,
        /// How long it took.
        took: Duration,
    },
    /// The parameters aren't right. What was enforced before goes on.
    Invalid(&'a Diagnostics),
    /// The parameters were read, and are right.
    Valid,
    /// Nothing could be told; it is tried again after the pause.
    Failed {
        /// Why.
        error: &'a EngineError,
        /// The pause.
        pause: Duration,
    },
    /// Nothing has happened for a while.
    Quiet,
}

/// Is told what happens.
pub type Teller<'t> = dyn Fn(Kept<'_>) + Send + Sync + 't;

impl Engine {
    /// Keeps the world as `policy` says until `options.stop` is stopped. Whoever calls this holds the policy's lease, or
    /// keeps one that only observes. `tally` is the same each time that the same policy is kept, in whatever version.
    pub async fn keep(
        &self,
        policy: &ValidPolicy,
        options: &KeepOptions,
        tally: &mut Tally,
        teller: &Teller<'_>,
    ) {
        let mut failures: u32 = 0;
        while !options.stop.is_stopped() {
            let begun = Instant::now();
            let Err(error) = self.keep_on(policy, options, tally, teller).await else {
                return;
            };
            // One that comes after a long time of peace is the first of its kind.
            failures = if begun.elapsed() > Duration::from_mins(30) {
                1
            } else {
                failures.saturating_add(1)
            };
            let wait = match &error {
                EngineError::Provider(error) | EngineError::Ledger(LedgerError::Store(error)) => {
                    pause(failures, error)
                }
                _ => jittered(Duration::from_secs(30)),
            };
            teller(Kept::Failed {
                error: &error,
                pause: wait,
            });
            let mut trigger = options.trigger.clone();
            trigger.mark_unchanged();
            rest(wait, &mut trigger, options, teller).await;
        }
    }

    async fn keep_on(
        &self,
        policy: &ValidPolicy,
        options: &KeepOptions,
        tally: &mut Tally,
        teller: &Teller<'_>,
    ) -> Result<(), EngineError> {
        let Some(parameters) = self.right_parameters(policy, options, teller).await else {
            return Ok(());
        };
        let apply = ApplyOptions {
            // The lease is the caller's.
            holder: Holder(String::new()),
            timing: options.timing,
            timeout: Duration::MAX,
            wait: true,
            stop: options.stop.clone(),
        };
        let watcher = |progress: Progress<'_>| teller(Kept::Progress(progress));
        let open = Session::open(self, policy, &parameters);
        let Some(session) = options.stop.unless_stopped(open).await else {
            return Ok(());
        };
        let session = session?;
        let mut keeper = Keeper {
            session,
            run: Run::for_good(&apply, &watcher, tally),
            options,
            trigger: options.trigger.clone(),
            teller,
            sources: self.sources(policy),
            watches: Watches::default(),
            due: Due::new(policy.interval),
        };
        keeper.keep().await
    }

    /// The parameters, once they are right; none if it was stopped before.
    async fn right_parameters(
        &self,
        policy: &ValidPolicy,
        options: &KeepOptions,
        teller: &Teller<'_>,
    ) -> Option<Parameters> {
        let mut trigger = options.trigger.clone();
        let mut failures: u32 = 0;
        while !options.stop.is_stopped() {
            let parameters = self.read_parameters(policy, &options.overrides);
            let NoParameters { faults, unread } = match options.stop.unless_stopped(parameters).await? {
                Ok(parameters) => {
                    teller(Kept::Valid);
                    return Some(parameters);
                }
                Err(no) => no,
            };
            failures = failures.saturating_add(1);
            // Not watched: nothing is enforced that would have to be quiet.
            let mut wait = jittered(Duration::from_secs(u64::from(failures.min(6)).saturating_mul(5)));
            match unread.filter(ProviderError::is_transient) {
                Some(error) => {
                    wait = pause(failures, &error);
                    teller(Kept::Failed {
                        error: &error.into(),
                        pause: wait,
                    });
                }
                None => teller(Kept::Invalid(&faults)),
            }
            rest(wait, &mut trigger, options, teller).await;
        }
        None
    }
}

/// A policy that is kept, and all that is known of its world.
struct Keeper<'k> {
    session: Session<'k>,
    run: Run<'k>,
    options: &'k KeepOptions,
    trigger: watch::Receiver<u64>,
    teller: &'k Teller<'k>,
    /// Where parameters' values come from.
    sources: BTreeSet<ResourceKey>,
    watches: Watches,
    due: Due,
}

impl Keeper<'_> {
    async fn keep(&mut self) -> Result<(), EngineError> {
        while !self.options.stop.is_stopped() {
            let Some(permit) = permit(self.options, self.teller).await else {
                return Ok(());
            };
            let begun = Instant::now();
            // Whoever asks is complied with by the cycle that begins next.
            if self.due.ask <= begun && self.trigger.has_changed().unwrap_or_default() {
                self.trigger.mark_unchanged();
                self.forget_all().await;
            }
            let pass = {
                let cycle = self.cycle(begun);
                tokio::pin!(cycle);
                let soon = timeout(LONG, &mut cycle).await;
                drop(permit);
                match soon {
                    Ok(pass) => pass?,
                    Err(_) => cycle.await?,
                }
            };
            let Some(mut pass) = pass else { return Ok(()) };
            let applied = Some(self.run.applied(begun)).filter(|applied| *applied != untouched(applied));
            if applied.is_some() {
                Arc::make_mut(&mut pass.report).applied = applied;
            }
            (self.teller)(Kept::Cycle {
                report: &pass.report,
                took: begun.elapsed(),
            });
            self.follow(&pass);
            self.forget_unwanted(&pass);
            self.plan_next(&pass);
            self.wait(&pass).await;
        }
        Ok(())
    }

    /// Watches what the pass has looked at.
    fn follow(&mut self, pass: &Pass) {
        let session = &self.session;
        let mark = mark(&session.policy.id);
        let mut wishes = watches::Wishes::default();
        for (wanted, is_own) in &pass.looked_at {
            wishes.one(wanted.clone(), *is_own, &mark);
        }
        let single = session.fact_keys.values().chain(&self.sources);
        for key in single.chain(session.providers.secrets()) {
            let wanted = Wanted {
                key: key.clone(),
                facets: BTreeSet::from([objects::facet()]),
            };
            wishes.one(wanted, false, &mark);
        }
        for (provider, query) in session.fact_lists.values() {
            wishes.list(provider, query);
        }
        wishes.types(&ProviderName::from(objects::PROVIDER));
        self.watches.follow(wishes, session.providers.open());
    }

    /// Whether `provider` tells by itself what changes.
    fn pushes(&self, provider: &ProviderName) -> bool {
        let provider = self.session.providers.open().get(provider);
        provider.is_some_and(|provider| provider.pushes())
    }
}

/// Waits until a cycle may begin; none if it was stopped before.
async fn permit<'k>(
    options: &'k KeepOptions,
    teller: &Teller<'_>,
) -> Option<Result<SemaphorePermit<'k>, AcquireError>> {
    let permit = options.permits.acquire();
    tokio::pin!(permit);
    loop {
        tokio::select! {
            permit = &mut permit => return Some(permit),
            () = options.stop.stopped() => return None,
            () = tokio::time::sleep(QUIET) => teller(Kept::Quiet),
        }
    }
}

/// Waits for so long, unless it is stopped or somebody asks for everything anew before.
async fn rest(
    wait: Duration,
    trigger: &mut watch::Receiver<u64>,
    options: &KeepOptions,
    teller: &Teller<'_>,
) {
    let end = tokio::time::sleep(wait);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = options.stop.stopped() => return,
            () = &mut end => return,
            Ok(()) = trigger.changed() => return,
            () = tokio::time::sleep(QUIET) => teller(Kept::Quiet),
        }
    }
}

/// What a cycle that did nothing has to show.
fn untouched(applied: &Applied) -> Applied {
    Applied {
        milliseconds: applied.milliseconds,
        ..Applied::default()
    }
}
