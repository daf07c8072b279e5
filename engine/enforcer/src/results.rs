//! The results of a `PolicyReport`: what checks found, and what has drifted.
//!
//! The names are those of `PolicyReportResult` of `wgpolicyk8s.io/v1alpha2`, as published in kubernetes-sigs/
//! wg-policy-prototypes, `policy-report/apis/wgpolicyk8s.io/v1alpha2/policyreport_types.go`: `source`, `policy`, `rule`,
//! `category`, `severity` (critical, high, medium, low or info), `result` (pass, fail, warn, error or skip), `scored`,
//! `resources` (object references), `message` and `properties` (text by text). `timestamp` is left out: results say what
//! is so, and the report is written only when that changes.

use holdfast_engine::checks::{CheckResult, Verdict};
use holdfast_engine::report::{Report, ResourceReport};
use serde_json::{Map, Value as Json, json};

use crate::status::{BYTES, ENTRIES, fitting};
use crate::story::differs;
use crate::words;

/// Who says so.
const SOURCE: &str = "holdfast";
/// A name has at most so many bytes.
const NAME: usize = 320;

/// The results of `report`: those first that aren't good, then in the policy's order. At most [`ENTRIES`] of them and
/// [`BYTES`]; a last one says how many there are beyond.
#[must_use]
pub fn results(report: &Report) -> Json {
    let drifted = report.resources.iter().filter(|resource| differs(resource));
    let mut all: Vec<Json> = drifted.map(|resource| drift(report, resource)).collect();
    all.extend(report.checks.iter().map(|result| check(report, result)));
    all.sort_by_key(|result| match result.get("result").and_then(Json::as_str) {
        Some("fail") => 0,
        Some("warn") => 1,
        Some("error") => 2,
        Some("pass") => 3,
        _ => 4,
    });
    let last = |omitted: usize| {
        let mut last = base(report, "", "report");
        last.insert("result".to_owned(), json!("skip"));
        last.insert(
            "message".to_owned(),
            json!(format!("{omitted} more results are left out")),
        );
        Json::Object(last)
    };
    let room = BYTES.saturating_sub(last(usize::MAX).to_string().len());
    let (mut kept, omitted) = fitting(all, (ENTRIES.saturating_sub(1), room), |result| result);
    if omitted > 0 {
        kept.push(last(omitted));
    }
    Json::Array(kept)
}

fn drift(report: &Report, resource: &ResourceReport) -> Json {
    let mut result = base(report, &resource.address, "drift");
    // Under `mode: Observe` a difference is what is asked about, and nobody has failed to mend it.
    let verdict = if resource.is_only_observed() {
        "warn"
    } else {
        "fail"
    };
    result.insert("severity".to_owned(), json!("medium"));
    result.insert("result".to_owned(), json!(verdict));
    result.insert("scored".to_owned(), json!(true));
    let sentence = format!("{}: {}", words::title(resource), words::drift(resource));
    result.insert("message".to_owned(), json!(words::cut(&sentence, words::LONGEST)));
    about(&mut result, resource);
    let place = words::cut(&resource.place.short(), NAME);
    result.insert(
        "properties".to_owned(),
        json!({ "phase": resource.phase.to_string(), "place": place }),
    );
    Json::Object(result)
}

fn check(report: &Report, check: &CheckResult) -> Json {
    let mut result = base(report, &check.address, "check");
    let verdict = match check.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Unknown => "error",
        Verdict::Skip => "skip",
    };
    result.insert("severity".to_owned(), json!(check.severity.to_string()));
    result.insert("result".to_owned(), json!(verdict));
    result.insert("scored".to_owned(), json!(true));
    // A check's message is about its failure.
    if matches!(check.verdict, Verdict::Fail | Verdict::Unknown) {
        result.insert(
            "message".to_owned(),
            json!(words::cut(&check.message, words::LONGEST)),
        );
    }
    if let Some(resource) = report
        .resources
        .iter()
        .find(|resource| resource.address == check.address)
    {
        about(&mut result, resource);
    }
    let mut properties = Map::new();
    if !check.controls.is_empty() {
        properties.insert(
            "controls".to_owned(),
            json!(words::cut(&check.controls.join(", "), NAME)),
        );
    }
    properties.insert("place".to_owned(), json!(words::cut(&check.place.short(), NAME)));
    result.insert("properties".to_owned(), Json::Object(properties));
    Json::Object(result)
}

fn base(report: &Report, rule: &str, category: &str) -> Map<String, Json> {
    let mut result = Map::new();
    result.insert("source".to_owned(), json!(SOURCE));
    result.insert("policy".to_owned(), json!(report.policy.to_string()));
    if !rule.is_empty() {
        result.insert("rule".to_owned(), json!(words::cut(rule, NAME)));
    }
    result.insert("category".to_owned(), json!(category));
    result
}

/// Names the object that a result is about, if it is one of the cluster.
fn about(result: &mut Map<String, Json>, resource: &ResourceReport) {
    let Some(key) = &resource.key else { return };
    let Some(api) = &key.api else { return };
    let mut reference = Map::new();
    reference.insert("apiVersion".to_owned(), json!(api.api_version));
    reference.insert("kind".to_owned(), json!(api.kind));
    if let Some(namespace) = &key.namespace {
        reference.insert("namespace".to_owned(), json!(namespace));
    }
    reference.insert("name".to_owned(), json!(key.name));
    result.insert("resources".to_owned(), json!([reference]));
}
