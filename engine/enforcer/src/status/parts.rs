//! What a status says beside its conditions, each part within bounds of its own.

use std::collections::BTreeMap;

use holdfast_engine::Phase;
use holdfast_engine::checks::Verdict;
use holdfast_engine::report::{Report, ResourceReport};
use holdfast_engine::step::{Excess, StepVerb};
use serde_json::{Map, Value as Json, json};

use super::{BYTES, ENTRIES, Standing, judge};
use crate::reasons::ConditionReason;
use crate::words;

/// What a plan that wants approval and failing checks may take each, in bytes.
const PART: usize = 8 * 1024;
/// So many entries of those.
const PART_ENTRIES: usize = 50;
/// A name has at most so many bytes: those of clusters and stores have 253.
pub(crate) const NAME: usize = 320;
/// A reason in a list has at most so many bytes: the conditions have the most important one whole.
const REASON: usize = 400;
/// So many facets, and so many overridden fields, are named of one resource.
pub(crate) const NAMED: usize = 8;
/// What is kept free for `omitted` and the punctuation around the parts, in bytes.
const SPARE: usize = 256;

pub(super) fn add(status: &mut Map<String, Json>, standing: &Standing<'_>, report: &Report) {
    status.insert("phases".to_owned(), phases(report));
    if let Some(excess) = &report.excess {
        status.insert("plan".to_owned(), plan(report, excess));
    }
    if !report.checks.is_empty() {
        status.insert("checks".to_owned(), checks(report));
    }
    let taken = Json::Object(status.clone()).to_string().len();
    let room = BYTES.saturating_sub(taken).saturating_sub(SPARE);
    let since = since(standing.previous);
    list(
        status,
        "resources",
        ordered(report),
        (ENTRIES, room),
        |(reason, resource)| entry(reason, resource, standing, &since),
    );
}

/// How many resources are what, for the columns of a table: each is counted once.
fn phases(report: &Report) -> Json {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for resource in &report.resources {
        let count = counts.entry(counted_as(resource)).or_default();
        *count = count.saturating_add(1);
    }
    let count = |name| counts.get(name).copied().unwrap_or_default();
    json!({
        "total": report.resources.len(),
        "converged": count("converged"),
        "drifted": count("drifted"),
        "waiting": count("waiting"),
        "failed": count("failed"),
        "skipped": count("skipped"),
    })
}

fn counted_as(resource: &ResourceReport) -> &'static str {
    match resource.phase {
        Phase::Contested | Phase::Failed | Phase::Unknown => "failed",
        // It is known to differ, whatever keeps it from being written.
        _ if resource.action.is_some() => "drifted",
        Phase::Blocked => "failed",
        _ if !resource.blocked.is_empty() => "failed",
        Phase::Absent | Phase::Drifted => "drifted",
        Phase::Applying | Phase::Pending | Phase::Settling => "waiting",
        Phase::Converged => "converged",
        Phase::Skipped => "skipped",
    }
}

fn plan(report: &Report, excess: &Excess) -> Json {
    let mut plan = Map::new();
    plan.insert("hash".to_owned(), json!(words::cut(&excess.approve, NAME)));
    plan.insert("why".to_owned(), json!(words::cut(&excess.why, REASON)));
    let all = report.resources.iter();
    let changes: Vec<_> = all
        .filter_map(|resource| Some((resource, resource.action?)))
        .collect();
    list(
        &mut plan,
        "changes",
        changes,
        (PART_ENTRIES, PART),
        |(resource, verb)| {
            json!({
                "address": words::cut(&resource.address, NAME),
                "what": what(resource),
                "action": action(verb),
            })
        },
    );
    Json::Object(plan)
}

fn checks(report: &Report) -> Json {
    let count = |verdict| {
        report
            .checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    let mut checks = Map::new();
    for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Unknown, Verdict::Skip] {
        checks.insert(verdict.to_string(), json!(count(verdict)));
    }
    let mut failing: Vec<_> = report
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Fail)
        .collect();
    failing.sort_by_key(|check| std::cmp::Reverse(check.severity));
    list(&mut checks, "failing", failing, (PART_ENTRIES, PART), |check| {
        json!({
            "address": words::cut(&check.address, NAME),
            "severity": check.severity.to_string(),
            "message": words::cut(&check.message, REASON),
            "place": words::cut(&check.place.to_string(), NAME),
        })
    });
    Json::Object(checks)
}

/// The resources, those first that keep the policy from being ready, by weight; else in the policy's order.
fn ordered(report: &Report) -> Vec<(Option<ConditionReason>, &ResourceReport)> {
    let all = report.resources.iter();
    let mut ordered: Vec<_> = all.map(|resource| (judge::of(resource), resource)).collect();
    ordered.sort_by_key(|(reason, _)| (reason.is_none(), *reason));
    ordered
}

/// Since when each resource of the last status is in its phase.
fn since(previous: &Json) -> BTreeMap<(&str, &str), &str> {
    let entries = previous.get("resources").and_then(Json::as_array);
    let entries = entries.into_iter().flatten().filter_map(|entry| {
        let text = |key| entry.get(key).and_then(Json::as_str);
        Some(((text("address")?, text("phase")?), text("since")?))
    });
    entries.collect()
}

fn entry(
    reason: Option<ConditionReason>,
    resource: &ResourceReport,
    standing: &Standing<'_>,
    since: &BTreeMap<(&str, &str), &str>,
) -> Json {
    let address = words::cut(&resource.address, NAME);
    let phase = resource.phase.to_string();
    let mut entry = Map::new();
    if reason.is_some() {
        let why = judge::why(resource);
        if !why.is_empty() {
            entry.insert("reason".to_owned(), json!(words::cut(&why, REASON)));
        }
        let known = since.get(&(address.as_str(), phase.as_str()));
        let since = known.map_or_else(|| standing.now(), |since| (*since).to_owned());
        entry.insert("since".to_owned(), json!(since));
    }
    if let Some(verb) = resource.action {
        entry.insert("action".to_owned(), json!(action(verb)));
    }
    if !resource.blocked.is_empty() {
        let facets = resource
            .blocked
            .keys()
            .take(NAMED)
            .map(|facet| words::cut(facet, NAME));
        entry.insert("blocked".to_owned(), facets.collect());
    }
    if !resource.overridden.is_empty() {
        let fields = resource
            .overridden
            .iter()
            .take(NAMED)
            .map(|field| words::cut(field, NAME));
        entry.insert("overridden".to_owned(), fields.collect());
    }
    if let Some(hold) = &resource.hold {
        entry.insert(
            "hold".to_owned(),
            json!({ "state": hold.state, "until": hold.until }),
        );
    }
    if let Some(vanished) = &resource.vanished {
        entry.insert("vanished".to_owned(), json!(vanished));
    }
    let mut head = Map::new();
    head.insert("address".to_owned(), json!(address));
    head.insert("what".to_owned(), json!(what(resource)));
    head.insert("phase".to_owned(), json!(phase));
    head.extend(entry);
    Json::Object(head)
}

fn what(resource: &ResourceReport) -> String {
    let what = resource
        .key
        .as_ref()
        .map_or_else(|| resource.what.clone(), ToString::to_string);
    words::cut(&what, NAME)
}

fn action(verb: StepVerb) -> &'static str {
    match verb {
        StepVerb::Create => "create",
        StepVerb::Update => "update",
        StepVerb::Delete => "delete",
        StepVerb::Replace => "replace",
    }
}

/// Puts `items` under `key` of `into`, as many of the first as there is room for, and counts the others as `omitted`;
/// nothing where there are none.
fn list<T>(
    into: &mut Map<String, Json>,
    key: &str,
    items: Vec<T>,
    (most, room): (usize, usize),
    shown: impl Fn(T) -> Json,
) {
    let (kept, omitted) = fitting(items, (most, room), shown);
    if !kept.is_empty() || omitted > 0 {
        into.insert(key.to_owned(), Json::Array(kept));
    }
    if omitted > 0 {
        into.insert("omitted".to_owned(), json!(omitted));
    }
}

/// The first of `items` as they are `shown`, `most` of them and `room` bytes of JSON at most, and how many there are
/// beyond.
pub(crate) fn fitting<T>(
    items: Vec<T>,
    (most, room): (usize, usize),
    shown: impl Fn(T) -> Json,
) -> (Vec<Json>, usize) {
    let mut left = room;
    let all = items.len();
    let kept: Vec<Json> = items
        .into_iter()
        .take(most)
        .map(shown)
        .take_while(|entry| {
            // With the comma after it.
            let size = entry.to_string().len().saturating_add(1);
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        })
        .collect();
    let omitted = all.saturating_sub(kept.len());
    (kept, omitted)
}
