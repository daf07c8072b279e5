//! What a policy that is kept for good does, on the real kinds in memory. Time is paused: hours pass at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod continuity;
mod limits;
mod news;
mod outages;
mod rest;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{ApiType, ResourceKey, Value};
use holdfast_engine::{Clock, KeepOptions, Kept, Phase, Report, Stop, Tally, Timing, objects};
use support::Case;
pub(crate) use support::fixtures::{BUCKET, config_map, policy, set};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

const MINUTE: Duration = Duration::from_mins(1);

pub(crate) const MAP: &str = "
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } } }
";

/// Who looks on while a policy is kept.
pub(crate) struct Onlooker<'c> {
    pub(crate) case: &'c Case,
    pub(crate) trigger: watch::Sender<u64>,
    told: watch::Receiver<Told>,
}

/// What was told so far.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) report: Option<Report>,
    pub(crate) cycles: usize,
    pub(crate) failures: Vec<String>,
    pub(crate) invalid: usize,
    pub(crate) is_invalid: bool,
}

impl Onlooker<'_> {
    /// Waits until what was told is so.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&Told) -> bool) -> Told {
        let found = timeout(MINUTE * 600, self.told.wait_for(|told| is_so(told))).await;
        let found = found.ok().map(|told| told.unwrap().clone());
        found.unwrap_or_else(|| panic!("{what} never came; last: {:?}", self.told.borrow().report))
    }

    /// Waits until everything has converged.
    pub(crate) async fn converged(&mut self) -> Report {
        let told = self
            .until("convergence", |told| {
                told.report.as_ref().is_some_and(Report::is_converged)
            })
            .await;
        told.report.unwrap()
    }

    /// Waits until the resource at `address` is in `phase`.
    pub(crate) async fn phase(&mut self, address: &str, phase: Phase) -> Report {
        let is_there = |told: &Told| {
            let report = told.report.as_ref();
            let mut resources = report.into_iter().flat_map(|report| &report.resources);
            resources.any(|one| one.address == address && one.phase == phase)
        };
        let told = self.until(&format!("{address} {phase}"), is_there).await;
        told.report.unwrap()
    }

    pub(crate) fn told(&self) -> Told {
        self.told.borrow().clone()
    }

    pub(crate) fn cycles(&self) -> usize {
        self.told.borrow().cycles
    }

    /// Waits until `key` is as `is_so` says.
    pub(crate) async fn world(&self, what: &str, key: &ResourceKey, is_so: impl Fn(Option<&Value>) -> bool) {
        let search = async {
            while !is_so(self.case.world.document(key).as_ref()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let found = timeout(MINUTE * 600, search).await;
        assert!(found.is_ok(), "{what} never came");
    }
}

/// Keeps the policy of `case` while `body` looks on.
pub(crate) async fn kept<'c>(case: &'c Case, body: impl AsyncFnOnce(&mut Onlooker<'c>)) {
    kept_on(case, &mut Tally::default(), body).await;
}

/// Keeps the policy of `case`, which was kept before, while `body` looks on.
pub(crate) async fn kept_on<'c>(
    case: &'c Case,
    tally: &mut Tally,
    body: impl AsyncFnOnce(&mut Onlooker<'c>),
) {
    let stop = Stop::default();
    let (trigger, triggered) = watch::channel(0);
    let (telling, told) = watch::channel(Told::default());
    let options = KeepOptions {
        timing: Timing::default(),
        stop: stop.clone(),
        overrides: Vec::new(),
        trigger: triggered,
        permits: Arc::new(Semaphore::new(1)),
    };
    let teller = |kept: Kept<'_>| {
        telling.send_if_modified(|told| {
            match kept {
                Kept::Cycle { report, .. } => {
                    told.report = Some(Report::clone(report));
                    told.cycles += 1;
                }
                Kept::Failed { error, .. } => told.failures.push(error.to_string()),
                Kept::Invalid(_) => {
                    told.invalid += 1;
                    told.is_invalid = true;
                }
                Kept::Valid => told.is_invalid = false,
                Kept::Writing { .. } | Kept::Progress(_) | Kept::Quiet => return false,
            }
            true
        });
    };
    let mut engine = case.engine.clone();
    engine.clock = Clock::steady();
    let mut onlooker = Onlooker { case, trigger, told };
    let looking = async {
        body(&mut onlooker).await;
        stop.stop();
    };
    let ((), ()) = futures::join!(engine.keep(&case.policy, &options, tally, &teller), looking);
}

/// What was asked of the world since it was last asked to forget, in words.
pub(crate) fn requests(case: &Case) -> Vec<String> {
    let requests = case.world.requests();
    requests.iter().map(|request| format!("{request:?}")).collect()
}

/// Whether the `a` of a map is `value`.
pub(crate) fn is(value: &'static str) -> impl Fn(Option<&Value>) -> bool {
    move |document| document.and_then(|document| document.at(&["data", "a"])) == Some(&value.into())
}
