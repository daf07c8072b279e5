//! The only writer.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use holdfast_contract::{Action, Provider, ProviderError, ProviderName, Write};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::lease::CALL;
use crate::step::{Outcome, Plan, PlannedResource, Step};

/// How many resources are written at once.
const CONCURRENT_STEPS: usize = 16;

/// Whether writing may go on. Cloned handles share one answer.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Stops before the next call.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it is stopped.
    pub(crate) async fn stopped(&self) {
        // The sender is ours, so that it can't be gone before.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Waits until `until`, or until it is stopped.
    pub(crate) async fn sleep_until(&self, until: Instant) {
        let _ = tokio::time::timeout_at(until, self.stopped()).await;
    }
}

/// Does every step of `plan` that is ready, each once, and says what became of each call.
///
/// Steps are independent of each other: one that fails stops only its own later stages. After [`Stop::stop`] no
/// further call begins; calls in flight are waited for, none of them longer than what is left of a lease.
pub async fn apply(
    plan: &Plan,
    providers: &BTreeMap<ProviderName, Arc<dyn Provider>>,
    stop: &Stop,
    done: &(dyn Fn(&Outcome) + Send + Sync),
) -> Vec<Outcome> {
    let runs = plan
        .ready()
        .map(|(resource, step)| run(resource, step, providers, stop, done));
    let outcomes: Vec<Vec<Outcome>> = stream::iter(runs)
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
    stop: &Stop,
    done: &(dyn Fn(&Outcome) + Send + Sync),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for stage in &planned.stages {
        if stop.is_stopped() {
            break;
        }
        let results = join_all(stage.iter().map(|write| call(write, providers))).await;
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

async fn call(
    write: &Write,
    providers: &BTreeMap<ProviderName, Arc<dyn Provider>>,
) -> Result<holdfast_contract::Written, ProviderError> {
    let service = || write.key.provider.to_string();
    match providers.get(&write.key.provider) {
        // A call that could outlive the lease might meet another engine's: it is given up before.
        Some(provider) => match tokio::time::timeout(CALL, provider.write(write)).await {
            Ok(result) => result,
            Err(_) => Err(ProviderError::Abandoned {
                service: service(),
                after: CALL,
            }),
        },
        None => Err(ProviderError::Unavailable {
            service: service(),
            message: "it was not opened for this plan".to_owned(),
            source: None,
        }),
    }
}
