//! The language, rule by rule: what each expression gives, or which fault it raises.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod bounds;
mod checks;
mod collections;
mod conversions;
mod examples;
mod instants;
mod logic;
mod macros;
mod missing;
mod numbers;
mod optionals;
mod properties;
mod quantities;
mod references;
mod restricted;
mod sensitive;
mod strings;
mod unknown;

use holdfast_expression::{
    Bindings, Budget, Context, Environment, Error, ErrorKind, Program, Scope, Span, Type, Value,
};
use serde_json::json;

/// 2024-02-29T12:30:45.678Z
const NOW: time::OffsetDateTime = time::macros::datetime!(2024-02-29 12:30:45.678 UTC);

/// All roots, with nothing known about their types.
fn environment() -> Environment {
    let roots = ["parameters", "facts", "variables", "rules", "each", "self"];
    roots
        .into_iter()
        .fold(Environment::new().yaml(decode), |environment, root| {
            environment.root(root, Type::Dyn)
        })
}

/// JSON is YAML too, and enough of it here.
fn decode(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Values of all sorts, also those that are unknown, sensitive, failed, or left out.
fn scope() -> Bindings {
    let unreadable = Error::new(
        ErrorKind::Unreadable,
        Span::default(),
        "facts.denied couldn't be read",
    );
    let facts = Value::from_json(&json!({
        "cluster": {"id": "demo-x7k2p", "platform": "AWS", "tags": [{"key": "team", "value": "a"}]},
        "schedules": [{"name": "daily", "ttl": "720h"}, {"name": "weekly"}],
        "numbers": [3, 1, 2],
        "empty": [],
    }));
    let mut facts = facts.as_map().unwrap().clone();
    facts.insert("denied".into(), Value::Failed(unreadable.into()));
    let parameters = Value::map([
        ("namespace", Value::from("velero")),
        ("expiryDays", Value::from(90)),
        ("password", Value::sensitive("hunter2")),
        ("keys", Value::sensitive(Value::from_json(&json!(["k1", "k2"])))),
        (
            "login",
            Value::sensitive(Value::from_json(&json!({"user": "root", "pin": 1234}))),
        ),
    ]);
    let rules = Value::map([
        (
            "bucket",
            Value::map([
                ("name", Value::unknown(["rules.bucket"])),
                ("exists", Value::from(false)),
            ]),
        ),
        ("install", Value::unknown(["rules.install"])),
        ("key", Value::sensitive(Value::unknown(["rules.key"]))),
    ]);
    Bindings::new()
        .with("facts", Value::from(facts))
        .with("parameters", parameters)
        .with("rules", rules)
}

fn evaluate_in(source: &str, scope: &dyn Scope, budget: &mut Budget) -> Result<Value, Error> {
    let program = Program::compile(source, &environment()).map_err(|mut errors| errors.remove(0))?;
    program.evaluate(scope, budget, &Context::at(NOW))
}

fn evaluate(source: &str) -> Result<Value, Error> {
    evaluate_in(source, &scope(), &mut Budget::default())
}

/// The value as text, or the sort of fault.
fn show(source: &str) -> String {
    match evaluate(source) {
        Ok(value) => value.to_string(),
        Err(error) => format!("{:?}", error.kind),
    }
}

/// Checks many expressions, and tells all that differ at once.
#[track_caller]
fn gives(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(source, expected)| (source, expected, show(source)))
        .filter(|(_, expected, found)| found != *expected)
        .map(|(source, expected, found)| format!("{source}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A fault as `start..end: message (hint)`.
fn fault(error: &Error) -> String {
    let hint = error
        .hint
        .as_ref()
        .map(|hint| format!(" ({hint})"))
        .unwrap_or_default();
    format!(
        "{}..{}: {}{hint}",
        error.span.start, error.span.end, error.message
    )
}
