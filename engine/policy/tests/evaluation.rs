//! What a valid policy's expressions, templates and trees come to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

mod support;

use holdfast_contract::{Path, Segment, Value};
use holdfast_expression::{self as expression, Bindings, Budget, Context, ErrorKind};
use holdfast_policy::{
    Evaluated, EvaluationError, Truth, ValidPolicy, lay_under, load_text, render, to_expression, validate,
};
use serde_json::json;

fn policy(spec: &str) -> ValidPolicy {
    let header = "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: { name: example }\nspec:\n  language: 1\n";
    let loaded = load_text("policy.yaml", &format!("{header}{spec}"));
    validate(&loaded, &support::registry()).unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)))
}

/// A policy with one rule about an object, whose `data` is `data`.
fn with_data(data: &str) -> ValidPolicy {
    policy(&format!(
        "  parameters: {{ p: {{ optional: true }}, q: {{ optional: true }} }}\n  rules:\n    x:\n      ensure: kubernetes/Object\n      \
         desired:\n        apiVersion: v1\n        kind: ConfigMap\n        metadata: {{ name: x }}\n        data:\n{data}"
    ))
}

fn scope(parameters: serde_json::Value) -> Bindings {
    Bindings::new().with("parameters", expression::Value::from_json(&parameters))
}

fn context() -> Context<'static> {
    Context::at(time::OffsetDateTime::UNIX_EPOCH)
}

fn document(policy: &ValidPolicy, scope: &Bindings) -> Result<Evaluated, EvaluationError> {
    let tree = &policy.rules["x"].variants[0].documents[0].tree;
    Ok(tree.evaluate(scope, &mut Budget::default(), &context())?.unwrap())
}

fn data(policy: &ValidPolicy, parameters: serde_json::Value) -> String {
    document(policy, &scope(parameters))
        .unwrap()
        .value
        .get("data")
        .unwrap()
        .to_string()
}

#[test]
fn a_sole_expression_keeps_its_type_and_others_are_text() {
    let policy =
        with_data("          { a: \"${parameters.p}\", b: \"-${parameters.p}-\", c: \"$${x}\", d: plain }\n");
    assert_eq!(
        data(&policy, json!({"p": 3})),
        r#"{"a":3,"b":"-3-","c":"${x}","d":"plain"}"#
    );
    assert_eq!(
        data(&policy, json!({"p": true})),
        r#"{"a":true,"b":"-true-","c":"${x}","d":"plain"}"#
    );
}

#[test]
fn what_has_no_value_is_left_out() {
    let policy = with_data(
        "          { a: \"${parameters.?p}\", list: [ \"${parameters.?p}\", x, \"${parameters.?q == optional.none() ? omit() : 'y'}\" ], \"${parameters.?p.orValue('k')}\": 1 }\n",
    );
    assert_eq!(data(&policy, json!({})), r#"{"k":1,"list":["x"]}"#);
    assert_eq!(
        data(&policy, json!({"p": "v", "q": 1})),
        r#"{"a":"v","list":["v","x","y"],"v":1}"#
    );
}

#[test]
fn conditions_and_loops_shape_maps_and_lists() {
    let policy = with_data(
        "          map: { $when: has(parameters.p), a: 1 }\n          \
         list: [ { $when: has(parameters.p), a: 1 }, { $forEach: parameters.q, $when: each.value != 'y', name: \"${each.value}\" } ]\n          \
         all: { $forEach: parameters.q, \"${each.key}-key\": \"${each.value}\" }\n",
    );
    assert_eq!(
        data(&policy, json!({"q": ["x", "y", "z"]})),
        r#"{"all":{"x-key":"x","y-key":"y","z-key":"z"},"list":[{"name":"x"},{"name":"z"}]}"#
    );
    assert_eq!(
        data(&policy, json!({"p": 0, "q": {"k": "v"}})),
        r#"{"all":{"k-key":"v"},"list":[{"a":1},{"name":"v"}],"map":{"a":1}}"#
    );
}

#[test]
fn a_loop_that_gives_a_key_twice_is_an_error() {
    let policy = with_data("          { $forEach: parameters.q, same: \"${each.value}\" }\n");
    let error = document(&policy, &scope(json!({"q": ["a", "b"]}))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "policy.yaml:15:11: the key `same` comes out twice"
    );
}

#[test]
fn something_missing_names_its_path_and_place() {
    let policy = with_data("          a: x-${parameters.p}\n");
    let error = document(&policy, &scope(json!({}))).unwrap_err();
    assert_eq!(error.missing(), Some("parameters.p"));
    assert_eq!(error.place.to_string(), "policy.yaml:15:18");
}

#[test]
fn an_optional_without_a_value_inside_text_is_missing() {
    let policy = with_data("          a: x-${parameters.?p}\n");
    let error = document(&policy, &scope(json!({}))).unwrap_err();
    assert_eq!(error.missing(), Some("parameters.?p"));
}

#[test]
fn null_lists_and_maps_do_not_stand_inside_text() {
    let policy = with_data("          a: x-${parameters.p}\n");
    for (value, message) in [
        (json!([1]), "a list can't stand inside text"),
        (json!({"a": 1}), "a map can't stand inside text"),
    ] {
        let error = document(&policy, &scope(json!({ "p": value }))).unwrap_err();
        assert_eq!(
            (error.error.kind, error.error.message.as_str()),
            (ErrorKind::Type, message)
        );
    }
}

#[test]
fn unknown_values_say_what_they_wait_for() {
    let policy = with_data(
        "          { a: \"${parameters.p}\", b: \"x-${parameters.p}\", c: { $when: parameters.p == 'x', d: 1 } }\n",
    );
    let parameters = expression::Value::map([("p", expression::Value::unknown(["rules.bucket.name"]))]);
    let value = document(&policy, &Bindings::new().with("parameters", parameters))
        .unwrap()
        .value;
    assert_eq!(
        value.waits_for().into_iter().collect::<Vec<_>>(),
        ["rules.bucket.name"]
    );
    assert_eq!(
        value.get("data").unwrap().to_string(),
        r#"{"a":"(known after apply)","b":"(known after apply)","c":"(known after apply)"}"#
    );
}

#[test]
fn sensitive_values_stay_sealed_and_are_refused_as_keys_and_conditions() {
    let secret = expression::Value::sensitive("hunter2");
    let sealed = Bindings::new().with("parameters", expression::Value::map([("p", secret)]));
    let policy = with_data("          { a: \"${parameters.p}\", b: \"x-${parameters.p}\" }\n");
    let value = document(&policy, &sealed).unwrap().value;
    assert_eq!(
        value.get("data").unwrap().to_string(),
        r#"{"a":"(sensitive value)","b":"(sensitive value)"}"#
    );
    assert_eq!(value.expose_json().unwrap()["data"]["b"], json!("x-hunter2"));
    for data in [
        "          { \"${parameters.p}\": 1 }\n",
        "          { a: { $when: \"parameters.p == 'x'\" } }\n",
    ] {
        let error = document(&with_data(data), &sealed).unwrap_err();
        assert_eq!(error.error.kind, ErrorKind::Sensitive);
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn a_value_that_could_not_be_read_is_told_apart() {
    let why = expression::Error::new(
        ErrorKind::Unreadable,
        expression::Span::default(),
        "access denied",
    );
    let failed = expression::Value::Failed(std::sync::Arc::new(why));
    let scope = Bindings::new().with("parameters", expression::Value::map([("p", failed)]));
    let error = document(&with_data("          a: ${parameters.p}\n"), &scope).unwrap_err();
    assert_eq!(error.error.kind, ErrorKind::Unreadable);
    assert_eq!(error.place.line, 15);
}

#[test]
fn each_part_of_a_document_knows_where_it_comes_from() {
    let policy = with_data(
        "          rules:\n          - { id: one, days: 3 }\n          - { id: two, days: \"${parameters.p}\" }\n          whole: ${parameters.q}\n",
    );
    let evaluated = document(&policy, &scope(json!({"p": 1, "q": {"deep": [1]}}))).unwrap();
    let place = |path: Path| evaluated.origin(&path).to_string();
    assert_eq!(
        place(Path::of(&["data", "rules"]).index(0).key("days")),
        "policy.yaml:16:30"
    );
    let two = Segment::Item(vec![("id".to_owned(), "two".to_owned())]);
    assert_eq!(
        place(Path::of(&["data", "rules"]).join(two).key("days")),
        "policy.yaml:17:30"
    );
    assert_eq!(
        place(Path::of(&["data", "whole", "deep"]).index(0)),
        "policy.yaml:18:18"
    );
    assert_eq!(
        evaluated.origins.entries["kind"]
            .key
            .as_ref()
            .unwrap()
            .to_string(),
        "policy.yaml:12:9"
    );
}

/// A document shares nothing with the values that it shows.
#[test]
fn a_document_takes_memory_for_each_copy_of_a_value() {
    let scope = scope(serde_json::json!({ "p": "x".repeat(100_000) }));
    let whole = "          a: \"${[parameters.p, parameters.p, parameters.p]}\"\n";
    let within = "          a: \"${parameters.p}-${parameters.p}-${parameters.p}\"\n";
    let each = "          a: [ { $forEach: \"[1, 2, 3]\", b: \"${parameters.p}\" } ]\n";
    for data in [whole, within, each] {
        let policy = with_data(data);
        let mut budget = Budget::default();
        let before = budget.bytes;
        let tree = &policy.rules["x"].variants[0].documents[0].tree;
        tree.evaluate(&scope, &mut budget, &context()).unwrap();
        assert!(before - budget.bytes > 300_000, "{data}: {budget:?}");
        let mut small = Budget {
            bytes: 250_000,
            ..Budget::default()
        };
        let over = tree.evaluate(&scope, &mut small, &context()).unwrap_err();
        assert_eq!(over.error.kind, ErrorKind::Budget, "{data}");
    }
}

#[test]
fn a_document_without_an_expression_takes_memory_too() {
    let policy = with_data("          { a: [ 1, 2, 3 ], b: { c: plain } }\n");
    let mut budget = Budget::default();
    let before = budget.clone();
    let tree = &policy.rules["x"].variants[0].documents[0].tree;
    tree.evaluate(&Bindings::new(), &mut budget, &context()).unwrap();
    assert!(
        before.bytes - budget.bytes > 1000 && budget.steps < before.steps,
        "{budget:?}"
    );
}

#[test]
fn defaults_lie_under_a_document_and_null_refuses_them() {
    let policy = policy(
        "  defaults: { kubernetes/Object: { metadata: { namespace: y, labels: { a: one, b: two } } } }\n  rules:\n    x:\n      \
         ensure: kubernetes/Object\n      desired: { apiVersion: v1, kind: Pod, metadata: { name: x, labels: { a: mine, b: null } } }\n",
    );
    let kind = holdfast_contract::KindName::from("kubernetes/Object");
    let default = policy.defaults[&kind]
        .evaluate(&Bindings::new(), &mut Budget::default(), &context())
        .unwrap()
        .unwrap();
    let laid = lay_under(document(&policy, &Bindings::new()).unwrap(), &default);
    assert_eq!(
        laid.value.clone().without_nulls().to_string(),
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"mine"},"name":"x","namespace":"y"}}"#
    );
    assert_eq!(
        laid.origin(&Path::of(&["metadata", "namespace"])).to_string(),
        "policy.yaml:6:59"
    );
}

#[test]
fn a_case_is_laid_over_its_rule() {
    let policy = policy(
        "  rules:\n    x:\n      desired: { a: { one: 1, list: [ 1 ] }, kept: true }\n      ensure: kubernetes/Object\n      checks: [ { that: true } ]\n      \
         cases:\n        - { when: \"1 > 2\", desired: { apiVersion: v1, kind: A, metadata: { name: a }, a: { two: 2, list: [ 2 ] } } }\n        \
         - { when: \"2 > 1\", desired: { apiVersion: v1, kind: B, metadata: { name: b } }, allow: [ Delete ] }\n",
    );
    let rule = &policy.rules["x"];
    assert_eq!(rule.variants.len(), 2);
    let first =
        rule.variants[0].documents[0]
            .tree
            .evaluate(&Bindings::new(), &mut Budget::default(), &context());
    assert_eq!(
        first.unwrap().unwrap().value.get("a").unwrap().to_string(),
        r#"{"list":[2],"one":1,"two":2}"#
    );
    assert!(rule.variants[0].allow.is_empty());
    assert_eq!(rule.variants[1].allow.len(), 1);
    assert_eq!(rule.variants[1].checks.len(), 1);
    let when = rule.variants[1].when.as_ref().unwrap();
    assert_eq!(
        when.holds(&Bindings::new(), &mut Budget::default(), &context()),
        Ok(Truth::Yes)
    );
    let two = holdfast_policy::two_cases_hold(rule, &rule.variants[0], &rule.variants[1]);
    assert_eq!(
        two.to_string(),
        "policy.yaml:13:19: two cases of `x` hold at once (at most one may hold)"
    );
}

#[test]
fn variables_keep_the_types_of_expressions_and_come_in_order() {
    let policy = policy(
        "  variables:\n    late: ${variables.early + duration('1h')}\n    early: ${duration('30m')}\n    map: { $when: \"1 > 2\", a: 1 }\n    list: [ \"${omit()}\", { secret: { name: x } } ]\n",
    );
    let names: Vec<&str> = policy
        .variables
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    assert_eq!(names, ["early", "late", "list", "map"]);
    let compute = |name: &str, scope: &Bindings| {
        policy
            .variable(name)
            .unwrap()
            .tree
            .compute(scope, &mut Budget::default(), &context())
            .unwrap()
    };
    let early = compute("early", &Bindings::new());
    let scope = Bindings::new().with("variables", expression::Value::map([("early", early)]));
    assert_eq!(
        compute("late", &scope),
        expression::Value::Duration(time::Duration::minutes(90))
    );
    assert_eq!(compute("map", &scope), expression::Value::Omit);
    assert_eq!(
        compute("list", &scope),
        to_expression(&Value::from_json(json!([{"secret": {"name": "x"}}])))
    );
}

#[test]
fn a_document_may_become_several() {
    let policy = policy(
        "  parameters: { p: { optional: true } }\n  rules:\n    x: { ensure: kubernetes/Object, desired: [ { $forEach: parameters.p, apiVersion: v1, kind: Pod, metadata: { name: \"${each.value}\" } } ] }\n",
    );
    let tree = &policy.rules["x"].variants[0].documents[0].tree;
    let all = |scope: &Bindings| {
        tree.evaluate_all(scope, &mut Budget::default(), &context())
            .unwrap()
    };
    let (documents, unknown) = all(&scope(json!({"p": ["a", "b"]})));
    assert_eq!((documents.len(), unknown), (2, None));
    let waits = expression::Value::map([("p", expression::Value::unknown(["rules.y.observed"]))]);
    let (documents, unknown) = all(&Bindings::new().with("parameters", waits));
    assert_eq!((documents.len(), unknown.unwrap().waits_for.len()), (0, 1));
}

#[test]
fn an_evaluated_document_is_checked_against_its_shape() {
    let policy = policy(
        "  parameters: { p: {} }\n  rules:\n    x: { ensure: s3/Bucket, name: b, desired: { lifecycle: { rules: [ { expiration: { days: \"${parameters.p}\" } } ] } } }\n",
    );
    let kind = support::registry()
        .kind(policy.rules["x"].variants[0].kind.as_ref().unwrap())
        .unwrap()
        .0;
    let found = |parameters| {
        let evaluated = document(&policy, &scope(parameters)).unwrap();
        let faults = holdfast_policy::check_evaluated(&evaluated, kind.shape(), "s3/Bucket");
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(found(json!({"p": 3})), Vec::<String>::new());
    assert_eq!(
        found(json!({"p": "3"})),
        ["policy.yaml:8:93: `days` must be a whole number, not text"]
    );
}
