//! Tells of one policy: a line in the log for each transition, what is counted, its status, its events, its report.
//!
//! What happens is told in order, as it happens; what goes to the cluster is written by a task of its own, so that nobody
//! who enforces waits for it. Of a status only the latest counts, and one that is the same as the last is not written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast_contract::{Desk, Notice, PolicyId};
use holdfast_engine::{Clock, EngineError, Kept, Phase, Progress, Report};
use serde_json::Value as Json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::fault::Fault;
use crate::metrics::{CycleResult, Metrics};
use crate::notices::notices;
use crate::reasons::ConditionReason;
use crate::results::results;
use crate::status::{Standing, status};
use crate::story::{News, Story};
use crate::words;
use crate::work::Work;

mod known;
mod writer;

pub(crate) use known::Known;
use writer::{Papers, Published, Writer};

/// So many events wait to be told.
const LETTERS: usize = 256;

/// Tells of one policy.
pub(crate) struct Clerk {
    id: PolicyId,
    metrics: Metrics,
    known: watch::Receiver<Known>,
    state: Mutex<State>,
    published: watch::Sender<Published>,
    letters: mpsc::Sender<Notice>,
    writing: Option<JoinHandle<()>>,
}

/// What is known of the policy.
#[derive(Default)]
struct State {
    story: Story,
    /// The version of the policy that it is of.
    version: String,
    ledger: String,
    report: Option<Arc<Report>>,
    /// Whether the report is of what is kept now. Until that was looked at nothing of it is enforced, and what was seen
    /// before says nothing about it.
    is_seen: bool,
    /// What is wrong with the policy as it is now.
    wrong: Option<Fault>,
    /// What is wrong with its parameters' values, until they are right again.
    values: Option<Fault>,
    /// What is in the way of telling how it stands, until it can be told again.
    trouble: Option<Fault>,
    previous: Json,
    /// Of which incarnation what was told before was taken up.
    resumed: Option<String>,
    /// The last request for everything to be read anew that was complied with.
    handled: Option<String>,
    phases: BTreeMap<String, (Phase, String)>,
    /// By what the lines of one cycle are found together.
    trace: String,
}

impl State {
    /// The fault as it is to be told now: what was good last is enforced from when it was looked at.
    fn now(&self, fault: &Fault) -> Fault {
        fault.clone().goes_on(fault.goes_on && self.is_seen)
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        if let Some(writing) = &self.writing {
            writing.abort();
        }
        self.metrics.forget(&self.id);
    }
}

impl Clerk {
    pub(crate) fn new(
        id: PolicyId,
        metrics: Metrics,
        desk: Option<Arc<dyn Desk>>,
        known: watch::Receiver<Known>,
    ) -> Self {
        let (published, publishing) = watch::channel(Published::default());
        let (letters, posted) = mpsc::channel(LETTERS);
        let writing = desk.map(|desk| {
            let writer = Writer {
                id: id.clone(),
                desk,
                published: publishing,
                posted,
                known: known.clone(),
            };
            tokio::spawn(writer.run())
        });
        Self {
            id,
            metrics,
            known,
            state: Mutex::new(State {
                trace: trace(),
                ..State::default()
            }),
            published,
            letters,
            writing,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// The policy is to be enforced as `work` says from now on; its ledger is kept at `ledger`.
    pub(crate) fn begin(&self, work: &Work, ledger: &str) {
        let mut state = self.state();
        state.is_seen = false;
        ledger.clone_into(&mut state.ledger);
        if state.version != work.version {
            state.version.clone_from(&work.version);
            state.story.edited();
        }
        if work.policy.is_ok() && work.actor.is_ok() {
            state.wrong = None;
            state.values = None;
        }
    }

    /// The policy can't be enforced as it is.
    pub(crate) fn fault(&self, work: &Work, fault: Fault) {
        let mut state = self.state();
        self.log(&state, &fault);
        self.take(&mut state, work, fault);
    }

    /// A line for a fault, unless it was the last one to be logged as well.
    fn log(&self, state: &State, fault: &Fault) {
        let known = [&state.wrong, &state.values, &state.trouble];
        if known.into_iter().flatten().any(|known| known == fault) {
            return;
        }
        let policy = &self.id;
        let reason = fault.reason.name();
        let what = &fault.message;
        if state.now(fault).goes_on {
            tracing::error!(%policy, reason, fault = what, "not enforced as it is now, but as it was before");
        } else {
            tracing::error!(%policy, reason, fault = what, "not enforced");
        }
    }

    /// Takes a fault for what stands in the way, and tells of it.
    fn take(&self, state: &mut State, work: &Work, fault: Fault) {
        state.handled = self.known().reconcile_at;
        let told = state.now(&fault);
        let news = state.story.fault(&told);
        if fault.reason.is_passing() {
            state.trouble = Some(fault);
        } else {
            state.wrong = Some(fault);
        }
        self.publish(state, work, &news);
    }

    /// The same where somebody else enforces it, as it was good last, and tells of that: for the day on which this replica
    /// does.
    pub(crate) fn note(&self, fault: Fault) {
        self.state().wrong = Some(fault);
    }

    /// This replica is one of those that may come to enforce the policy. Until it does it says that it doesn't: where nobody
    /// says anything, no alert tells that nobody enforces it.
    pub(crate) fn attends(&self) {
        self.metrics.held(&self.id, false);
    }

    /// The policy can't be enforced as it is, by its own fault: that this replica doesn't is nothing to be alarmed by.
    pub(crate) fn stalls(&self) {
        self.metrics.stalled(&self.id);
    }

    /// This replica enforces the policy from now on, or no longer.
    pub(crate) fn held(&self, work: &Work, is_held: bool) {
        tracing::info!(policy = %self.id, held = is_held, "lease");
        self.metrics.held(&self.id, is_held);
        let mut state = self.state();
        if is_held {
            self.take_up(&mut state, work);
        } else {
            state.resumed = None;
        }
        self.published.send_modify(|published| published.pass(is_held));
    }

    /// This replica is to tell although it doesn't hold the lease: from what was told before, by whomever.
    pub(crate) fn resume(&self, work: &Work) {
        self.take_up(&mut self.state(), work);
        self.published.send_modify(|published| published.pass(false));
    }

    /// The same, unless it told last itself.
    pub(crate) fn resume_once(&self, work: &Work) {
        let is_resumed = self.state().resumed.as_deref() == Some(work.uid());
        if !is_resumed {
            self.resume(work);
        }
    }

    /// Somebody else tells.
    pub(crate) fn leaves(&self) {
        self.state().resumed = None;
    }

    /// The story goes on from what whoever told it before has told.
    fn take_up(&self, state: &mut State, work: &Work) {
        state.is_seen = false;
        state.previous = self.known().status;
        state.story = Story::new(&state.previous, work.generation());
        let text = |key| state.previous.get(key).and_then(Json::as_str).map(str::to_owned);
        let (handled, ledger) = (text("lastHandledReconcileAt"), text("ledger"));
        state.handled = handled;
        if state.ledger.is_empty() {
            state.ledger = ledger.unwrap_or_default();
        }
        state.version.clone_from(&work.version);
        state.resumed = Some(work.uid().to_owned());
    }

    /// Tells what happens while it is kept.
    pub(crate) fn kept(&self, work: &Work, kept: &Kept<'_>) {
        let policy = &self.id;
        match kept {
            Kept::Quiet => {}
            Kept::Writing { report, took } => {
                let mut state = self.state();
                self.transitions(&mut state, report, *took);
                let news = self.look(&mut state, work, report);
                self.publish(&mut state, work, &news);
            }
            Kept::Progress(progress) => self.progress(progress),
            Kept::Cycle { report, took } => {
                self.metrics.cycle(result(report), *took);
                let mut state = self.state();
                state.trouble = None;
                // One that was under way when somebody asked had read some of it before.
                let known = self.known();
                if known.asked.is_none_or(|asked| asked.elapsed() >= *took) {
                    state.handled = known.reconcile_at;
                }
                self.transitions(&mut state, report, *took);
                let news = self.look(&mut state, work, report);
                self.publish(&mut state, work, &news);
                state.trace = trace();
            }
            Kept::Invalid(faults) => {
                let mut state = self.state();
                let fault = Fault::invalid(faults.summary()).goes_on(state.is_seen);
                self.log(&state, &fault);
                state.handled = self.known().reconcile_at;
                let news = state.story.fault(&fault);
                state.values = Some(fault);
                self.publish(&mut state, work, &news);
            }
            Kept::Valid => {
                let mut state = self.state();
                if state.values.take().is_some() {
                    self.publish(&mut state, work, &[]);
                }
            }
            Kept::Failed { error, pause } => {
                self.metrics.failed();
                let seconds = pause.as_secs();
                tracing::error!(%policy, %error, seconds, "how it stands can't be told; it is tried again");
                let mut state = self.state();
                state.is_seen = false;
                if let Some(fault) = Fault::of(error) {
                    self.take(&mut state, work, fault);
                }
            }
        }
    }

    /// Takes a report for what is known, and says what of it is news.
    fn look(&self, state: &mut State, work: &Work, report: &Arc<Report>) -> Vec<News> {
        let suspended = work.policy.as_ref().is_ok_and(|policy| policy.suspend);
        let mut news = state.story.report(report, suspended);
        if work.is_deleting() {
            news.extend(state.story.removal(words::kept_back(report, suspended)));
        }
        self.metrics.report(&self.id, report);
        self.metrics.news(&self.id, &news);
        state.report = Some(Arc::clone(report));
        state.is_seen = true;
        news
    }

    /// Hands out what there is to be told.
    fn publish(&self, state: &mut State, work: &Work, news: &[News]) {
        let fault = state
            .wrong
            .as_ref()
            .or(state.values.as_ref())
            .or(state.trouble.as_ref())
            .map(|fault| state.now(fault));
        // While something stands in the way, what was seen last may be shown beside it; by itself it would be taken for how
        // the policy stands.
        let is_told = state.is_seen || fault.is_some();
        let report = state.report.as_deref().filter(|_| is_told);
        let standing = Standing {
            report,
            fault: fault.as_ref(),
            generation: work.generation(),
            suspended: work.policy.as_ref().is_ok_and(|policy| policy.suspend),
            removing: work.is_deleting(),
            ledger: &state.ledger,
            reconciled_at: state.handled.as_deref(),
            previous: &state.previous,
            now: Clock::System.now(),
        };
        self.metrics.ready(&self.id, standing.readiness());
        let Some(resource) = &work.resource else { return };
        let status = status(&standing);
        for notice in notices(&self.id, &resource.uid, news) {
            // Nobody listens where there is no cluster to tell, and a cluster that takes nothing for long misses some.
            let _ = self.letters.try_send(notice);
        }
        let papers = Papers {
            uid: resource.uid.clone(),
            status: status.clone(),
            results: report.map(results),
        };
        state.previous = status;
        self.published
            .send_if_modified(|published| published.replace(papers));
    }

    fn progress(&self, progress: &Progress<'_>) {
        let policy = &self.id;
        match progress {
            Progress::Written(outcome, what) => {
                let trace = {
                    let mut state = self.state();
                    state.story.written(outcome);
                    state.trace.clone()
                };
                let (rule, resource) = (&outcome.address.rule, outcome.address.to_string());
                let facet = outcome.facet.as_ref().map(ToString::to_string);
                let verb = outcome.verb;
                match &outcome.result {
                    Ok(_) => tracing::info!(%policy, rule, resource, facet, what, ?verb, trace, "written"),
                    Err(error) => {
                        tracing::warn!(%policy, rule, resource, facet, what, ?verb, %error, trace, "not written");
                    }
                }
            }
            Progress::Named(address, name) => {
                tracing::info!(%policy, rule = address.rule, resource = %address, name, "named");
            }
            Progress::Waiting(_) => {}
        }
    }

    /// A line for each resource that stands elsewhere than before.
    fn transitions(&self, state: &mut State, report: &Report, took: Duration) {
        let policy = &self.id;
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let trace = &state.trace;
        if report.unmet.is_empty() != state.report.as_ref().is_none_or(|before| before.unmet.is_empty()) {
            for unmet in &report.unmet {
                let place = unmet.place.to_string();
                tracing::warn!(%policy, place, requirement = unmet.message, trace, "a requirement doesn't hold");
            }
        }
        let now: BTreeMap<String, (Phase, String)> = report
            .resources
            .iter()
            .map(|one| {
                let reason = match one.phase {
                    Phase::Drifted => words::drift(one),
                    _ => one.reason.clone(),
                };
                (one.address.clone(), (one.phase, reason))
            })
            .collect();
        for (resource, (phase, reason)) in &now {
            let before = state.phases.get(resource);
            let is_same = |(before, why): &(Phase, String)| {
                before == phase && (why == reason || *phase == Phase::Converged)
            };
            if before.is_some_and(is_same) {
                continue;
            }
            let before = before.map(|(before, _)| before.to_string());
            let rule = resource.split(['[', '.']).next();
            let phase = phase.to_string();
            tracing::info!(%policy, rule, resource, before, phase, reason, milliseconds, trace, "phase");
        }
        state.phases = now;
    }
}

/// How a cycle that came to this report has ended.
fn result(report: &Report) -> CycleResult {
    let failed = |phase: &Phase| matches!(phase, Phase::Failed | Phase::Unknown);
    if report.resources.iter().any(|resource| failed(&resource.phase)) {
        CycleResult::Error
    } else if report.applied.is_some() || report.summary.waiting > 0 {
        CycleResult::Requeue
    } else {
        CycleResult::Success
    }
}

fn trace() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// What a failure of the engine means for the policy, where it means something.
pub(crate) fn fault_of(error: &EngineError) -> Fault {
    let message = error.to_string();
    Fault::of(error).unwrap_or_else(|| Fault::new(ConditionReason::Unreachable, message))
}
