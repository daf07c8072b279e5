//! From plan to plan until everything holds, nothing moves any more, or the time is up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{Difference, Facet, Holder, ProviderError, Served};
use holdfast_policy::{FactSource, Mode, Parameters, ValidPolicy};
use tokio::time::Instant;

use crate::address::Address;
use crate::apply::{Stop, apply};
use crate::clock::after;
use crate::cycle::{Engine, EngineError, Pass, Session};
use crate::lease::{Lease, Timing};
use crate::phase::{Event, IllegalTransition, Phase};
use crate::report::{Applied, Report};
use crate::step::{HoldState, Mint, Outcome, Plan, StepVerb};

mod fights;
mod looks;
mod note;
mod remember;
mod retries;
mod tally;
mod watching;

use fights::Fights;
use retries::{ATTEMPTS, Retries};

pub use retries::jittered;
pub(crate) use retries::pause;
pub use tally::Tally;

/// How often one facet is written in one run. What still differs after so many writes is changed by somebody else.
const WRITES: u32 = 8;
/// A read that still shows the state before our own write proves nothing for so long: object stores may lag.
const LAG: Duration = Duration::from_mins(2);
/// How long what waits is left alone at first, and at most, before it is read again.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Facts older than this are read again before the next pass.
const FACTS_AGE: Duration = Duration::from_secs(15);

/// How to apply.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// Who applies, for the lease.
    pub holder: Holder,
    /// How the lease is kept.
    pub timing: Timing,
    /// How long to go on.
    pub timeout: Duration,
    /// Whether to wait until what was written is ready.
    pub wait: bool,
    /// Stops it cleanly between calls.
    pub stop: Stop,
}

/// What happens while a policy is applied, for showing progress.
#[derive(Clone, Debug)]
pub enum Progress<'a> {
    /// A call has ended.
    Written(&'a Outcome, &'a str),
    /// A name was stored in the ledger.
    Named(&'a Address, &'a str),
    /// Nothing can be written for now; these are waited for, each with its reason.
    Waiting(Vec<(String, String)>),
}

/// Is told of progress.
pub type Watcher<'w> = dyn Fn(Progress<'_>) + Send + Sync + 'w;

impl Engine {
    /// Brings the world to what `policy` says, pass by pass, under the policy's lease.
    pub async fn apply(
        &self,
        policy: &ValidPolicy,
        parameters: &Parameters,
        options: &ApplyOptions,
        watcher: &Watcher<'_>,
    ) -> Result<Report, EngineError> {
        let started = Instant::now();
        let mut session = Session::open(self, policy, parameters).await?;
        session.await_ready = options.wait;
        let first = session.settled_pass().await?;
        if !first.report.unmet.is_empty() {
            return Ok(Arc::unwrap_or_clone(first.report));
        }
        let may_write = policy.mode == Mode::Enforce && session.blocked().is_none();
        if !may_write || first.report.is_converged() && session.knows(&first.plan) {
            // Nothing to write, so nobody else need be kept from writing.
            let mut report = Arc::unwrap_or_clone(first.report);
            report.applied = Some(Applied::default());
            return Ok(report);
        }
        let lease = Lease::take(
            &self.state,
            &policy.id,
            &options.holder,
            options.timing,
            &options.stop,
        )
        .await?;
        let mut tally = Tally::default();
        let mut run = Run::new(options, watcher, started, &mut tally);
        let result = run.converge(&mut session, first).await;
        lease.release().await;
        let mut report = result?;
        report.applied = Some(run.applied(started));
        Ok(report)
    }
}

/// A write that its service accepted.
struct Mended {
    at: Instant,
    verb: StepVerb,
    differences: Vec<Difference>,
}

/// What one call is about: a facet of a resource; without one, the whole resource.
pub(crate) type What = (Address, Option<Facet>);

pub(crate) struct Run<'r> {
    options: &'r ApplyOptions,
    watcher: &'r Watcher<'r>,
    deadline: Instant,
    facts_read: Instant,
    poll: Duration,
    /// What this run or cycle has done.
    counts: BTreeMap<StepVerb, BTreeSet<Address>>,
    /// What limits count.
    pub(crate) tally: &'r mut Tally,
    /// What failed, and when it is tried again.
    retries: Retries,
    /// Who changes back what was written.
    fights: Fights,
    /// How often what was written.
    writes: BTreeMap<What, u32>,
    /// How often reads that failed for the moment were made again.
    read_again: u32,
    /// Whether something was written since all facts were read.
    facts_are_old: bool,
    /// What was written, when, and to mend which differences.
    written: BTreeMap<What, Mended>,
    last_waiting: Vec<(String, String)>,
    asked_types: bool,
    /// The facts that were read for the pass at hand, and not before; none: all of them.
    fresh_facts: Option<BTreeSet<String>>,
    /// What was done although something spoke against it, in the order in which it was.
    warnings: Vec<String>,
}

impl<'r> Run<'r> {
    fn new(
        options: &'r ApplyOptions,
        watcher: &'r Watcher<'r>,
        started: Instant,
        tally: &'r mut Tally,
    ) -> Self {
        Self {
            options,
            watcher,
            deadline: after(started, options.timeout),
            facts_read: started,
            poll: POLL.0,
            counts: BTreeMap::new(),
            tally,
            retries: Retries::default(),
            fights: Fights::default(),
            writes: BTreeMap::new(),
            read_again: 0,
            facts_are_old: false,
            written: BTreeMap::new(),
            last_waiting: Vec::new(),
            asked_types: false,
            fresh_facts: None,
            warnings: Vec::new(),
        }
    }

    /// That of a policy that is kept for good.
    pub(crate) fn for_good(
        options: &'r ApplyOptions,
        watcher: &'r Watcher<'r>,
        tally: &'r mut Tally,
    ) -> Self {
        Self {
            retries: Retries::for_good(),
            ..Self::new(options, watcher, Instant::now(), tally)
        }
    }

    /// Begins to count anew what is written.
    pub(crate) fn start_counting(&mut self, now: Instant) {
        self.counts.clear();
        self.tally.forget_old(now);
        self.writes.clear();
        self.warnings.clear();
        self.fights.forget_old(now);
    }

    /// Forgets what was done to resources that there are no more.
    pub(crate) fn retain(&mut self, addresses: &BTreeSet<&Address>) {
        let is_known = |(address, _): &What| addresses.contains(address);
        self.retries.retain(is_known);
        self.fights.retain(is_known);
        self.written.retain(|what, _| is_known(what));
    }

    /// What failed, and may be tried again by now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<What> {
        self.retries.due(now)
    }

    /// When what failed, or is fought over, may be tried again.
    pub(crate) fn next_try(&self, now: Instant) -> Option<Instant> {
        let tries = [self.retries.next(), self.fights.next(now)];
        tries.into_iter().flatten().min()
    }

    /// Has whatever failed be tried again at once.
    pub(crate) fn try_all_again(&mut self) {
        self.retries = Retries::for_good();
    }

    /// Forgets the writes of what was seen to be as desired since: what differs from now on is news. Where a store may
    /// still show what was before the write, that is remembered for as long as it may.
    pub(crate) fn forget_written(&mut self, session: &Session<'_>, proven: &BTreeSet<&Address>) {
        let now = Instant::now();
        self.written.retain(|(address, _), mended| {
            !proven.contains(address)
                || now.duration_since(mended.at) < LAG && !session.tells_versions(address)
        });
        self.writes.retain(|(address, _), _| !proven.contains(address));
        self.tally.finish(proven);
    }

    pub(crate) fn applied(&self, started: Instant) -> Applied {
        let count = |verb| self.counts.get(&verb).map_or(0, BTreeSet::len);
        let of = |verb| self.counts.get(&verb).cloned().unwrap_or_default();
        let (created, updated, replaced) =
            (of(StepVerb::Create), of(StepVerb::Update), of(StepVerb::Replace));
        let made: BTreeSet<Address> = created.difference(&replaced).cloned().collect();
        let changed: BTreeSet<&Address> = updated.difference(&made).chain(&replaced).collect();
        Applied {
            created: made.len(),
            changed: changed.len(),
            deleted: count(StepVerb::Delete),
            milliseconds: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            stopped: self.options.stop.is_stopped(),
            warnings: self.warnings.clone(),
        }
    }

    async fn converge(&mut self, session: &mut Session<'_>, first: Pass) -> Result<Report, EngineError> {
        let mut pass = first;
        loop {
            self.remember_leaving(session, &pass.plan);
            let news = Self::remember(session, &pass.plan);
            let held = Self::remember_holds(session, &pass.plan);
            let looked = Self::remember_looks(session, &pass.plan);
            if held || looked {
                // What was seen is worth as much as the time that passes after it.
                session.save_ledger().await?;
            }
            let ready = pass.plan.ready().next().is_some();
            let idle = pass.plan.mints.is_empty() && !ready;
            let settled =
                idle && !news && !looked && (pass.report.is_converged() || !self.may_change(session, &pass));
            if settled && !self.facts_are_old {
                session.save_at_last().await?;
                return Ok(Arc::unwrap_or_clone(pass.report));
            }
            if self.options.stop.is_stopped() || Instant::now() >= self.deadline {
                session.save_at_last().await?;
                return Ok(Arc::unwrap_or_clone(pass.report));
            }
            let mut wrote = false;
            if pass.stale_types {
                session.forget_unserved();
            }
            if settled {
                // What was written may have changed what the facts say: the end is what they say then.
                self.forget_facts(session);
            } else if idle && pass.stale_types && !self.asked_types {
                // What defines them is ready, so that they should be there at once; if not, they are waited for.
                self.asked_types = true;
            } else if idle && (news || looked) {
                // What is provisioned now may be what somebody is to be told: the next pass sees.
            } else if idle {
                self.wait(session, &pass).await;
            } else if let Some(old) = self.old_hold_facts(&pass) {
                // Whether a disruptive step may go ahead is decided by what is so now, not by what was a while ago.
                self.read_before_write(session, old);
                pass = session.settled_pass().await?;
                continue;
            } else {
                self.warn(&pass.plan);
                self.write(session, &pass.plan).await?;
                wrote = true;
                self.poll = POLL.0;
                self.asked_types = false;
            }
            self.refresh(session, &pass, wrote);
            pass = session.settled_pass().await?;
        }
    }

    /// Whether something that is waited for may come without our writing.
    fn may_change(&self, session: &Session<'_>, pass: &Pass) -> bool {
        if self.read_again < ATTEMPTS && session.snapshot.has_passing_failures() {
            return true;
        }
        if self.next_look(session, pass).is_some() {
            return true;
        }
        if !self.options.wait {
            // Then only what our own writes bring about is waited for.
            return pass.stale_types || (!self.written.is_empty() && !pass.unready.is_empty());
        }
        pass.held || pass.stale_types || !pass.unready.is_empty() || !pass.open_facts.is_empty()
    }

    /// The facts by which a hold lets a step go ahead, as far as they were read for an earlier pass.
    fn old_hold_facts(&self, pass: &Pass) -> Option<BTreeSet<String>> {
        let fresh = self.fresh_facts.as_ref()?;
        let old: BTreeSet<String> = pass.hold_facts.difference(fresh).cloned().collect();
        (!old.is_empty()).then_some(old)
    }

    fn read_before_write(&mut self, session: &mut Session<'_>, old: BTreeSet<String>) {
        session.forget_facts(Some(&old));
        self.fresh_facts.get_or_insert_default().extend(old);
    }

    /// Keeps the warnings of what is about to be written.
    pub(crate) fn warn(&mut self, plan: &Plan) {
        for (resource, _) in plan.ready() {
            let Some(held) = &resource.hold else { continue };
            if held.state != HoldState::Overdue {
                continue;
            }
            let warning = format!(
                "{}: went ahead although {}: it had waited for longer than `atMost`",
                resource.address, held.why
            );
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    pub(crate) async fn write(&mut self, session: &mut Session<'_>, plan: &Plan) -> Result<(), EngineError> {
        session.remember_approval(plan);
        for mint in &plan.mints {
            let name = name(mint);
            session.ledger.remember_name(&mint.address, &name);
        }
        session.remember_recorded(plan);
        // Under a name that was made up here nobody else creates: should the answer of the create call be lost, what
        // it made is known to be ours.
        for (resource, step) in plan.ready() {
            if step.verb == StepVerb::Create && session.ledger.name(&resource.address).is_some() {
                let id = resource.key.as_ref().map(ToString::to_string).unwrap_or_default();
                session.ledger.remember_created(&resource.address, &id);
            }
        }
        // Should this process end between the deletion and the creation, what is gone must not be taken for vanished.
        for (resource, step) in plan.ready() {
            if step.verb == StepVerb::Replace {
                session.ledger.remember_replaced(&resource.address);
            }
        }
        // Names, and what is already known to be ours, are stored before anything is written under them.
        if !session.save_ledger().await? {
            return Ok(());
        }
        for mint in &plan.mints {
            let name = session.ledger.name(&mint.address).unwrap_or_default();
            (self.watcher)(Progress::Named(&mint.address, name));
        }
        let whats: BTreeMap<&Address, String> = plan
            .resources
            .iter()
            .map(|resource| {
                let what = resource
                    .key
                    .as_ref()
                    .map_or_else(|| resource.what.clone(), ToString::to_string);
                (&resource.address, what)
            })
            .collect();
        let watcher = self.watcher;
        let done = |outcome: &Outcome| {
            let what = whats
                .get(&outcome.address)
                .map(String::as_str)
                .unwrap_or_default();
            watcher(Progress::Written(outcome, what));
        };
        let outcomes = apply(
            plan,
            session.providers.open(),
            self.options.timing.call(),
            &self.options.stop,
            &done,
        )
        .await;
        moved(&mut session.phases, &outcomes)?;
        for outcome in outcomes {
            self.note(session, plan, outcome);
        }
        Ok(())
    }

    /// What is to be read again before the next pass.
    fn refresh(&mut self, session: &mut Session<'_>, pass: &Pass, wrote: bool) {
        let now = Instant::now();
        if now.duration_since(self.facts_read) >= FACTS_AGE {
            self.forget_facts(session);
        } else if wrote {
            // What is waited for is looked at when there is nothing left to do but to wait.
            self.fresh_facts = Some(BTreeSet::new());
        } else {
            session.forget_facts(Some(&pass.open_facts));
            self.fresh_facts = Some(pass.open_facts.clone());
        }
        self.show_writes(session);
    }

    fn forget_facts(&mut self, session: &mut Session<'_>) {
        self.facts_read = Instant::now();
        self.facts_are_old = false;
        self.fresh_facts = None;
        session.forget_facts(None);
    }

    /// Waits until something that is waited for may have changed.
    async fn wait(&mut self, session: &mut Session<'_>, pass: &Pass) {
        let waiting: Vec<(String, String)> = pass
            .report
            .resources
            .iter()
            .filter(|resource| !resource.reason.is_empty() && !matches!(resource.phase, Phase::Skipped))
            .filter(|resource| {
                let held = resource.phase == Phase::Pending && resource.hold.is_some();
                held || resource.action.is_none() && resource.phase != Phase::Converged
            })
            .map(|resource| (resource.address.clone(), resource.reason.clone()))
            .collect();
        if waiting != self.last_waiting {
            (self.watcher)(Progress::Waiting(waiting.clone()));
            self.last_waiting = waiting;
        }
        let until = after(Instant::now(), self.poll).min(self.deadline);
        self.poll = self.poll.saturating_mul(2).min(POLL.1);
        if let Some(at) = self.next_look(session, pass)
            && pass.unready.is_empty()
            && pass.open_facts.is_empty()
            && !pass.stale_types
            && !session.snapshot.has_passing_failures()
        {
            // Nothing else can change, so that nothing else is looked at.
            self.options.stop.sleep_until(at).await;
            Self::look_again(session, pass);
            return;
        }
        let pushed = watching::watch(
            session.providers.open(),
            &pass.unready,
            &session.snapshot,
            until,
            &self.options.stop,
        )
        .await;
        let keys: BTreeSet<_> = pushed.iter().map(|(wanted, _)| wanted.key.clone()).collect();
        for (wanted, result) in pushed {
            session.snapshot.keep(&wanted, result);
        }
        if session.snapshot.forget_passing_failures() {
            self.read_again = self.read_again.saturating_add(1);
            session.providers.forget_failures();
            session.accounts.retain(|_, account| account.is_ok());
        }
        Self::look_again(session, pass);
        for wanted in &pass.unready {
            if !keys.contains(&wanted.key) {
                session.snapshot.forget(&wanted.key, None);
            }
        }
    }
}

/// What the calls of a step mean for where its resource stands: the worst of them counts.
fn moved(phases: &mut BTreeMap<Address, Phase>, outcomes: &[Outcome]) -> Result<(), IllegalTransition> {
    let mut ends: BTreeMap<&Address, Event> = BTreeMap::new();
    for outcome in outcomes {
        let end = match &outcome.result {
            Ok(_) => Event::WriteFinished,
            Err(ProviderError::Abandoned { .. }) => Event::WriteAbandoned,
            Err(error) if error.is_refusal() => Event::WriteRefused,
            Err(_) => Event::WriteFailed,
        };
        let worst = ends.entry(&outcome.address).or_insert(end);
        if *worst == Event::WriteFinished {
            *worst = end;
        }
    }
    for (address, end) in ends {
        let before = phases.get(address).copied().unwrap_or(Phase::Unknown);
        phases.insert(address.clone(), before.next(Event::WriteStarted)?.next(end)?);
    }
    Ok(())
}

/// The name for `mint`: that of what was found, or a new one that nobody has.
fn name(mint: &Mint) -> String {
    mint.found
        .clone()
        .unwrap_or_else(|| format!("{}{}", mint.prefix, uuid::Uuid::new_v4()))
}

impl Session<'_> {
    /// Forgets that types are not served, so that the cluster is asked anew.
    pub(crate) fn forget_unserved(&mut self) {
        self.refresh_types = true;
        self.served.retain(|_, served| *served != Served::No);
    }

    fn forget(&mut self, key: &holdfast_contract::ResourceKey, facet: Option<&Facet>) {
        let facets = facet.map(|facet| BTreeSet::from([facet.clone()]));
        self.snapshot.forget(key, facets.as_ref());
        // A new type is served once its definition is established.
        self.served
            .retain(|_, served| *served != holdfast_contract::Served::No);
    }

    /// Forgets facts, so that they are read again: those named, or all.
    pub(crate) fn forget_facts(&mut self, names: Option<&BTreeSet<String>>) {
        for (name, fact) in &self.policy.facts {
            if names.is_some_and(|names| !names.contains(name)) {
                continue;
            }
            match fact.source {
                FactSource::Object { .. } => {
                    if let Some(key) = self.fact_keys.get(name) {
                        self.snapshot.forget(key, None);
                    }
                }
                FactSource::Objects { .. } | FactSource::Resources { .. } => self.snapshot.forget_list(name),
                FactSource::Api { .. } => {}
            }
        }
    }
}
