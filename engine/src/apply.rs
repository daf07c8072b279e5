//! The only writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::stream;
use futures::{FutureExt, StreamExt};
use holdfast_contract::{Action, Provider, ProviderError, ProviderName, Write, Written};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::moment::Moment;
use crate::step::{Outcome, Plan, PlannedResource, Step};

/// How many resources are written at once.
const CONCURRENT_STEPS: usize = 16;

/// Whether writing may go on. Cloned handles share one answer.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    own: Arc<watch::Sender<State>>,
    /// What is stopped along with it.
    above: Option<Arc<Stop>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    stopped: bool,
    /// From when on it counts as stopped, whoever was too late to say so.
    at: Option<Moment>,
    /// When a call was last given up that may take effect all the same.
    in_doubt: Option<Moment>,
}

impl State {
    fn is_stopped(self) -> bool {
        self.stopped || self.at.is_some_and(Moment::has_come)
    }
}

impl Stop {
    /// Stops before the next call.
    pub fn stop(&self) {
        self.own.send_modify(|state| state.stopped = true);
    }

    /// One that is stopped along with this one, and can be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            own: Arc::default(),
            above: Some(Arc::new(self.clone())),
        }
    }

    /// Stops at `at`, unless another time is said before. A process that was asleep then finds itself stopped.
    pub(crate) fn stop_at(&self, at: Option<Moment>) {
        self.own.send_modify(|state| state.at = at);
    }

    /// Notes, here and above, that a call was given up that may take effect all the same.
    fn doubt(&self) {
        let now = Moment::now();
        for stop in std::iter::successors(Some(self), |stop| stop.above.as_deref()) {
            // Nobody waits for this.
            stop.own.send_if_modified(|state| {
                state.in_doubt = Some(now);
                false
            });
        }
    }

    /// Whether a call was given up in the last `duration` that may take effect all the same.
    pub(crate) fn is_in_doubt(&self, duration: Duration) -> bool {
        let given_up = self.own.borrow().in_doubt;
        given_up.is_some_and(|given_up| !given_up.plus(duration).has_come())
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.own.borrow().is_stopped() || self.above.as_ref().is_some_and(|above| above.is_stopped())
    }

    /// Returns once it is stopped.
    pub async fn stopped(&self) {
        let above = std::iter::successors(self.above.as_deref(), |stop| stop.above.as_deref());
        let all = above.chain([self]).map(|stop| Box::pin(stop.stopped_itself()));
        futures::future::select_all(all).await;
    }

    /// The same, whatever becomes of those above it.
    async fn stopped_itself(&self) {
        let mut states = self.own.subscribe();
        loop {
            let state = *states.borrow_and_update();
            if state.is_stopped() {
                return;
            }
            let changed = states.changed();
            match state.at {
                Some(at) => drop(tokio::time::timeout_at(at.instant, changed).await),
                None => drop(changed.await),
            }
        }
    }

    /// What comes of `work`; none if it was stopped before: then it is given up in the middle.
    pub(crate) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.stopped() => None,
        }
    }

    /// Waits for so long, or until it is stopped.
    pub async fn sleep(&self, wait: Duration) {
        let _ = tokio::time::timeout(wait, self.stopped()).await;
    }

    /// Waits until `until`, or until it is stopped.
    pub(crate) async fn sleep_until(&self, until: Instant) {
        let _ = tokio::time::timeout_at(until, self.stopped()).await;
    }
}

/// Does every step of `plan` that is ready, each once, and says what became of each call.
///
/// Steps are independent of each other: one that fails stops only its own later stages. After [`Stop::stop`] no
/// further call begins; calls in flight are waited for, none of them longer than `longest`, which is what is left of a
/// lease: of one that is given up then, no further request is sent.
pub async fn apply(
    plan: &Plan,
    providers: &BTreeMap<ProviderName, Arc<dyn Provider>>,
    longest: Duration,
    stop: &Stop,
    done: &(dyn Fn(&Outcome) + Send + Sync),
) -> Vec<Outcome> {
    let runs = plan
        .ready()
        // Boxed, as the compiler can't tell that the bare futures are `Send`.
        .map(|(resource, step)| run(resource, step, providers, longest, stop, done).boxed());
    let outcomes: Vec<Vec<Outcome>> = stream::iter(runs.collect::<Vec<_>>())
        .buffer_unordered(CONCURRENT_STEPS)
        .collect()
        .await;
    let mut outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    outcomes.sort_by(|a, b| (&a.address, &a.facet).cmp(&(&b.address, &b.facet)));
    outcomes
}

async fn run(
    resource: &PlannedResource,
    planned: &Step,
    providers: &BTreeMap<ProviderName, Arc<dyn Provider>>,
    longest: Duration,
    stop: &Stop,
    done: &(dyn Fn(&Outcome) + Send + Sync),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for stage in &planned.stages {
        // Counted from before it is asked whether a call may begin.
        let begun = Moment::now();
        if stop.is_stopped() {
            break;
        }
        let calls = stage.iter().map(|write| async {
            let mut flight = Flight(Some(stop));
            let result = call(write, providers, begun, longest).await;
            if !matches!(result, Err(ProviderError::Abandoned { .. })) {
                flight.0 = None;
            }
            result
        });
        let results = join_all(calls).await;
        for (write, result) in stage.iter().zip(results) {
            let facet = match &write.action {
                Action::Set { facet, .. } => Some(facet.clone()),
                Action::Create { .. } | Action::Delete { .. } => None,
            };
            let outcome = Outcome {
                address: resource.address.clone(),
                facet,
                verb: planned.verb,
                result,
            };
            done(&outcome);
            outcomes.push(outcome);
        }
        if outcomes.iter().any(|outcome| outcome.result.is_err()) {
            break;
        }
    }
    outcomes
}

/// A call in flight. One that ends before it has its answer, or is dropped, leaves a doubt.
struct Flight<'s>(Option<&'s Stop>);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let Some(stop) = self.0 {
            stop.doubt();
        }
    }
}

async fn call(
    write: &Write,
    providers: &BTreeMap<ProviderName, Arc<dyn Provider>>,
    begun: Moment,
    longest: Duration,
) -> Result<Written, ProviderError> {
    let service = || write.key.provider.to_string();
    match providers.get(&write.key.provider) {
        // A call that could outlive the lease might meet another engine's: it is given up before.
        Some(provider) => match begun.plus(longest).unless_past(provider.write(write)).await {
            Some(result) => result,
            None => Err(ProviderError::Abandoned {
                service: service(),
                after: longest,
            }),
        },
        None => Err(ProviderError::Unavailable {
            service: service(),
            message: "it was not opened for this plan".to_owned(),
            source: None,
        }),
    }
}
