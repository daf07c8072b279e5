//! What the enforcer tells of policies that a real engine enforces on a world in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

#[path = "../../../tests/support/mod.rs"]
mod support;

mod bounds;
mod counts;
mod events;
mod keeping;
mod leaving;
mod replicas;
mod results;
mod resuming;
mod running;
mod seen;
mod status;

use std::sync::Mutex;
use std::time::Duration;

use holdfast_enforcer::status::Standing;
use holdfast_enforcer::story::{News, Story};
use holdfast_engine::{Clock, Progress, Report};
use serde_json::{Value as Json, json};
use support::Case;
use support::fixtures::set;
pub(crate) use support::fixtures::{BUCKET, RUN, TWO_MAPS, bucket, config_map, policy, text};
use time::OffsetDateTime;
use time::macros::datetime;

pub(crate) const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

/// The policy with `rules`, on `sandbox`, at [`NOW`].
pub(crate) fn case(rules: &str, sandbox: &str) -> Case {
    let mut case = Case::text(&policy(rules), sandbox);
    case.engine.clock = Clock::Since(NOW, tokio::time::Instant::now());
    case
}

/// While a `ConfigMap` with the label `run` is there, the Deployment isn't rolled out.
pub(crate) const HELD: &str = "
  facts:
    runs:
      list: { apiVersion: v1, kind: ConfigMap, namespace: default, selector: run=now }
      select: { name: $.metadata.name }
  rules:
    server:
      ensure: kubernetes/Object
      ready: 'true'
      hold:
        while: size(facts.runs) > 0
        message: Backup ${facts.runs[0].name} is in progress
      desired:
        apiVersion: apps/v1
        kind: Deployment
        metadata: { name: server, namespace: default }
        spec:
          replicas: 1
          selector: { matchLabels: { app: server } }
          template:
            metadata: { labels: { app: server } }
            spec: { containers: [ { name: server, image: 'server:2' } ] }
";

/// Somebody changes `data.KEY` of the map `name`.
pub(crate) fn spoil(case: &Case, name: &str, key: &str) {
    set(case, name, key, "hunter2");
}

/// One cycle, as it is told: the report before writes, each write, and the report at the end.
pub(crate) async fn cycle(case: &Case, story: &Mutex<Story>) -> (Report, Vec<News>) {
    let first = case.plan().await;
    let mut news = story.lock().unwrap().report(&first, case.policy.suspend);
    let watcher = |progress: Progress<'_>| {
        if let Progress::Written(outcome, _) = progress {
            story.lock().unwrap().written(outcome);
        }
    };
    let report = case.apply_watched(Duration::from_secs(10), &watcher).await;
    news.extend(story.lock().unwrap().report(&report, case.policy.suspend));
    (report, news)
}

/// Where a policy stands of which nothing but the report is known.
pub(crate) fn standing<'a>(report: Option<&'a Report>, previous: &'a Json) -> Standing<'a> {
    Standing {
        report,
        fault: None,
        generation: 3,
        suspended: false,
        removing: false,
        ledger: "ConfigMap holdfast-system/test",
        reconciled_at: None,
        previous,
        now: NOW,
    }
}

/// The status of a policy that was not told of before.
pub(crate) fn status_of(report: &Report) -> Json {
    holdfast_enforcer::status::status(&standing(Some(report), &json!(null)))
}
