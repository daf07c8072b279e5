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
mod results;
mod running;
mod status;

use std::sync::Mutex;
use std::time::Duration;

use holdfast_contract::{ApiType, ResourceKey, Value};
use holdfast_enforcer::status::Standing;
use holdfast_enforcer::story::{News, Story};
use holdfast_engine::report::{TextOptions, plan_text};
use holdfast_engine::{Clock, Progress, Report, objects};
use serde_json::{Value as Json, json};
use support::Case;
use time::OffsetDateTime;
use time::macros::datetime;

pub(crate) const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

/// The policy with `rules`, on `sandbox`, at [`NOW`].
pub(crate) fn case(rules: &str, sandbox: &str) -> Case {
    let mut case = Case::text(&policy(rules), sandbox);
    case.engine.clock = Clock::Since(NOW, tokio::time::Instant::now());
    case
}

pub(crate) fn policy(rules: &str) -> String {
    format!(
        "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: test }}\nspec:\n  language: 1\n{rules}"
    )
}

pub(crate) const TWO_MAPS: &str = "
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } } }
    two: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: two, namespace: default }, data: { b: '2' } } }
";

pub(crate) const BUCKET: &str = "
  providers: { s3: { region: us-east-2 } }
  rules:
    data:
      ensure: s3/Bucket
      name: acme-data
      desired:
        versioning: { status: Enabled }
        tags: { owner: us }
";

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

pub(crate) const RUN: &str = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: nightly, namespace: default, labels: { run: now } } } ]";

pub(crate) fn config_map(name: &str) -> ResourceKey {
    objects::key(&ApiType::new("v1", "ConfigMap"), Some("default"), name)
}

pub(crate) fn bucket(name: &str) -> ResourceKey {
    ResourceKey {
        provider: "s3".into(),
        kind: "s3/Bucket".into(),
        api: None,
        namespace: None,
        name: name.to_owned(),
        region: None,
    }
}

/// Somebody changes `data.KEY` of the map `name`.
pub(crate) fn spoil(case: &Case, name: &str, key: &str) {
    let edit = |object: &mut Value| {
        let data = object.as_map_mut().unwrap().get_mut("data").unwrap();
        data.as_map_mut().unwrap().insert(key.into(), "hunter2".into());
    };
    case.world
        .edit(&config_map(name), &"object".into(), edit)
        .unwrap();
}

pub(crate) fn text(report: &Report) -> String {
    plan_text(report, TextOptions::default())
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
    let report = case.apply_for(Duration::from_secs(10), true, &watcher).await;
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
