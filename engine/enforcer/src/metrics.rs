//! What is counted, for Prometheus.
//!
//! Labels say which policy, rule, provider and operation, never more: no error's text, no series for each instance of a
//! `forEach`. What there are of these is bounded by the policies themselves, and what belongs to a policy goes with it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast_contract::{Measured, Meter, PolicyId};
use holdfast_engine::Phase;
use holdfast_engine::report::Report;
use holdfast_engine::step::StepVerb;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::reasons::EventReason;
use crate::story::News;

mod exposition;

use exposition::Exposition;

/// The type of what [`Metrics::text`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the durations of cycles, in seconds: from one that finds all in watch caches to one that waits for a cloud.
const CYCLE_SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];
/// Bounds of the durations of requests, in seconds: a call is given up after 30.
const REQUEST_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// More vanished resources than this of one policy have no series of their own.
const VANISHED: usize = 50;

/// How a cycle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CycleResult {
    /// All that could be read was judged, and nothing is left to do but what the next event or interval brings.
    Success,
    /// The policy could not be judged at all, or a read or write of it failed.
    Error,
    /// It goes on by itself before the next interval: something was written, or is waited for.
    Requeue,
}

impl CycleResult {
    /// All results.
    pub const ALL: [Self; 3] = [Self::Error, Self::Requeue, Self::Success];

    fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Requeue => "requeue",
        }
    }
}

/// What is counted. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    counts: Arc<Mutex<Counts>>,
    registry: Arc<Registry>,
}

/// All that is counted.
#[derive(Debug)]
struct Counts {
    version: String,
    cycles: BTreeMap<CycleResult, u64>,
    cycle_seconds: Histogram,
    policies: BTreeMap<String, OfPolicy>,
    requests: BTreeMap<(&'static str, &'static str), OfOperation>,
}

/// What is counted of one policy.
#[derive(Debug, Default)]
struct OfPolicy {
    /// None where no lease is taken: nothing is written here, or the policy can't be enforced as it is.
    held: Option<bool>,
    /// None where it isn't known here, or where it is as somebody asked for.
    ready: Option<bool>,
    phases: BTreeMap<(String, Phase), i64>,
    vanished: Vec<String>,
    drifts: BTreeMap<String, u64>,
    repairs: BTreeMap<(String, StepVerb), u64>,
}

/// What is counted of one operation of a provider.
#[derive(Debug)]
struct OfOperation {
    outcomes: BTreeMap<&'static str, u64>,
    seconds: Histogram,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Nothing counted yet, by this version of the program.
    #[must_use]
    pub fn new(version: &str) -> Self {
        let counts = Arc::new(Mutex::new(Counts {
            version: version.to_owned(),
            cycles: CycleResult::ALL.into_iter().map(|result| (result, 0)).collect(),
            cycle_seconds: Histogram::new(CYCLE_SECONDS),
            policies: BTreeMap::new(),
            requests: BTreeMap::new(),
        }));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Exposition(counts.clone())));
        Self {
            counts,
            registry: Arc::new(registry),
        }
    }

    /// A cycle of some policy has ended.
    pub fn cycle(&self, result: CycleResult, took: Duration) {
        let mut counts = self.counts();
        increase(counts.cycles.entry(result).or_default());
        counts.cycle_seconds.observe(took.as_secs_f64());
    }

    /// One could not even begin, or was given up: how long a cycle takes is not told by it.
    pub fn failed(&self) {
        increase(self.counts().cycles.entry(CycleResult::Error).or_default());
    }

    /// Whether this process holds the policy's lease. Of a policy that it doesn't hold it knows nothing: whoever does
    /// tells the rest.
    pub fn held(&self, policy: &PolicyId, held: bool) {
        let mut counts = self.counts();
        let of = counts.of(policy);
        of.held = Some(held);
        if !held {
            of.ready = None;
            of.phases.clear();
            of.vanished.clear();
        }
    }

    /// The policy can't be enforced as it is. That nobody holds its lease then is no news, and no replica's fault.
    pub fn stalled(&self, policy: &PolicyId) {
        self.counts().of(policy).held = None;
    }

    /// Whether the policy's status says that it is ready; none where that is not what somebody asked for, as while it is
    /// suspended.
    pub fn ready(&self, policy: &PolicyId, ready: Option<bool>) {
        self.counts().of(policy).ready = ready;
    }

    /// What the policy's world looks like now.
    pub fn report(&self, policy: &PolicyId, report: &Report) {
        let mut phases: BTreeMap<(String, Phase), i64> = BTreeMap::new();
        for resource in &report.resources {
            let count = phases
                .entry((rule(&resource.address).to_owned(), resource.phase))
                .or_default();
            *count = count.saturating_add(1);
        }
        let vanished = report.resources.iter().filter(|resource| {
            let vanished = resource.vanished.as_ref();
            vanished.is_some_and(|vanished| vanished.proven)
        });
        let vanished = vanished
            .map(|resource| resource.address.clone())
            .take(VANISHED)
            .collect();
        let mut counts = self.counts();
        let of = counts.of(policy);
        of.vanished = vanished;
        if report.unmet.is_empty() {
            // What has left the policy is counted no longer.
            let is_there = |rule: &str| phases.keys().any(|(there, _)| there == rule);
            of.drifts.retain(|rule, _| is_there(rule));
            of.repairs.retain(|(rule, _), _| is_there(rule));
        }
        of.phases = phases;
    }

    /// What has happened to the policy's resources: what of it is drift, and what a repair.
    pub fn news(&self, policy: &PolicyId, news: &[News]) {
        let mut counts = self.counts();
        for news in news {
            let Some(address) = &news.address else { continue };
            let rule = rule(address).to_owned();
            match (news.reason, news.verb) {
                (EventReason::DriftDetected, _) => {
                    increase(counts.of(policy).drifts.entry(rule).or_default());
                }
                (EventReason::DriftRepaired, Some(verb)) => {
                    increase(counts.of(policy).repairs.entry((rule, verb)).or_default());
                }
                _ => {}
            }
        }
    }

    /// The policy is gone, and all that was counted of it goes with it.
    pub fn forget(&self, policy: &PolicyId) {
        self.counts().policies.remove(&policy.to_string());
    }

    /// All of it, as [`CONTENT_TYPE`] says.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter for Metrics {
    fn measure(&self, request: &Measured) {
        let Measured {
            provider,
            operation,
            outcome,
            took,
        } = *request;
        let mut counts = self.counts();
        let of = counts
            .requests
            .entry((provider, operation))
            .or_insert_with(|| OfOperation {
                outcomes: BTreeMap::new(),
                seconds: Histogram::new(REQUEST_SECONDS),
            });
        increase(of.outcomes.entry(outcome).or_default());
        of.seconds.observe(took.as_secs_f64());
    }
}

impl Counts {
    fn of(&mut self, policy: &PolicyId) -> &mut OfPolicy {
        self.policies.entry(policy.to_string()).or_default()
    }
}

fn increase(count: &mut u64) {
    *count = count.saturating_add(1);
}

/// The rule of an address: `guard` of `guard["team-a"]`.
fn rule(address: &str) -> &str {
    address.split_once('[').map_or(address, |(rule, _)| rule)
}

#[cfg(test)]
mod tests;
