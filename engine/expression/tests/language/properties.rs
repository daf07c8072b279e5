//! What holds for any input.

use crate::{NOW, environment, scope};
use holdfast_expression::{Budget, Context, Program, Value, closing_brace, format_duration, parse_duration};
use proptest::prelude::*;

/// Pieces of the language in any order: more of them get past the lexer than of random letters.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1",
        "2.5",
        "'a'",
        "b'x'",
        "true",
        "null",
        "facts",
        "x",
        "parameters",
        "rules",
        ".",
        ".?",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "?",
        ":",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "!",
        "&&",
        "||",
        "==",
        "<",
        " in ",
        "has",
        "cluster",
        "numbers",
        "map",
        "all",
        "exists",
        "filter",
        "size",
        "orValue",
        "format",
        "replace",
        "join",
        "cel",
        "bind",
        "optMap",
        "install",
        "password",
        "lists",
        "range",
        "sum",
        "sort",
        "'%s'",
        "string",
        "duration",
        "omit",
        "[?",
        "transformMap",
        "login",
        "\"",
        "'''",
        "\\",
        "//",
        "\n",
        "0x",
        "9223372036854775807",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Expressions that compile more often than not, of all sorts of values.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-7",
        "2.5",
        "'a'",
        "'é'",
        "true",
        "false",
        "null",
        "facts.cluster.id",
        "facts.numbers",
        "facts.nope",
        "facts.denied",
        "rules.install",
        "rules.key",
        "parameters.password",
        "parameters.keys",
        "[]",
        "{}",
        "facts.?nope",
        "facts.?cluster",
        "duration('1h')",
        "omit()",
        "facts.schedules",
        "9223372036854775807",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        let triple = (inner.clone(), inner.clone(), inner.clone());
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", ">=", "in", "&&", "||",
        ]);
        let function = prop::sample::select(vec![
            "size",
            "string",
            "int",
            "double",
            "type",
            "dyn",
            "bool",
            "toMap",
            "json",
            "duration",
            "gcpLabels",
            "optional.of",
        ]);
        let method = prop::sample::select(vec![
            "size()",
            "sum()",
            "sort()",
            "distinct()",
            "flatten()",
            "first()",
            "join()",
            "reverse()",
            "?a",
            "hasValue()",
            "id",
            "max()",
            "isSorted()",
        ]);
        let looped = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
        prop_oneof![
            (pair.clone(), operator)
                .prop_map(|((left, right), operator)| format!("dyn({left}) {operator} dyn({right})")),
            triple
                .prop_map(|(condition, then, otherwise)| format!("dyn({condition}) ? {then} : {otherwise}")),
            (inner.clone(), function).prop_map(|(inner, function)| format!("{function}(dyn({inner}))")),
            (inner.clone(), method).prop_map(|(inner, method)| format!("dyn({inner}).{method}")),
            (pair.clone(), looped)
                .prop_map(|((range, body), looped)| format!("dyn({range}).{looped}(x, dyn({body}) == x)")),
            pair.clone()
                .prop_map(|(left, right)| format!("[{left}, {right}]")),
            pair.clone()
                .prop_map(|(left, right)| format!("{{'k': {left}, 'l': {right}}}")),
            pair.clone()
                .prop_map(|(left, right)| format!("dyn({left}).orValue({right})")),
            pair.clone()
                .prop_map(|(left, right)| format!("cel.bind(y, {left}, [y, {right}])")),
            pair.prop_map(|(left, right)| format!("dyn({left})[dyn({right})]")),
            inner.prop_map(|inner| format!("!dyn({inner})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_compiles_or_is_refused(source in "\\PC{0,60}") {
        if let Err(errors) = Program::compile(&source, &environment()) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(error.span.start <= error.span.end && error.span.end <= source.len());
                prop_assert!(source.is_char_boundary(error.span.start) && source.is_char_boundary(error.span.end));
            }
        }
    }

    #[test]
    fn any_tokens_compile_or_are_refused_and_evaluate_within_budget(source in pieces()) {
        if let Ok(program) = Program::compile(&source, &environment()) {
            let mut budget = Budget { steps: 10_000, bytes: 100_000 };
            let _ = program.evaluate(&scope(), &mut budget, &Context::at(NOW));
        }
    }

    #[test]
    fn evaluation_is_bounded_and_deterministic(source in expression(), steps in 0_u64..500) {
        let Ok(program) = Program::compile(&source, &environment()) else { return Ok(()) };
        let mut budget = Budget { steps, bytes: 10_000 };
        let run = |budget: &mut Budget| format!("{:?}", program.evaluate(&scope(), budget, &Context::at(NOW)));
        let first = run(&mut budget.clone());
        prop_assert_eq!(&first, &run(&mut budget), "twice the same");
        prop_assert!(!first.contains("hunter2") && !first.contains("k1"), "{}", first);
    }

    #[test]
    fn a_result_that_shows_no_mark_is_the_same_whatever_the_secrets(source in expression()) {
        let Ok(program) = Program::compile(&source, &environment()) else { return Ok(()) };
        let run = |password: Value, keys: Value, login: Value| {
            let parameters = [("password", password), ("keys", keys), ("login", login)];
            let parameters = Value::map(parameters.map(|(name, secret)| (name, Value::sensitive(secret))));
            let scope = scope().with("parameters", parameters);
            program.evaluate(&scope, &mut Budget::default(), &Context::at(NOW)).ok().map(|value| value.to_string())
        };
        let shown = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.contains("(sensitive value)"));
        let one = run("hunter2".into(), Value::list(["k1", "k2"]), Value::map([("pin", 1)]));
        let other = run("7".into(), Value::list([7]), Value::map([("id", "x"), ("a", "y")]));
        if shown(&one) && shown(&other) {
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn a_known_result_stays_the_same_whatever_the_unknown_becomes(source in expression(), place in 0_usize..8) {
        let Ok(program) = Program::compile(&source, &environment()) else { return Ok(()) };
        let run = |install: Value| {
            let scope = scope().with("rules", Value::map([("install", install), ("key", Value::from("k"))]));
            program.evaluate(&scope, &mut Budget::default(), &Context::at(NOW))
        };
        let Ok(before) = run(Value::unknown(["rules.install"])) else { return Ok(()) };
        if format!("{before:?}").contains("Unknown") {
            return Ok(());
        }
        let later = [
            Value::from(1), Value::from("a"), Value::from(true), Value::from(false), Value::Null, Value::list([1, 2]),
            Value::map([("id", "x")]), Value::Duration(time::Duration::HOUR),
        ];
        // What was left aside may still turn out to be an error.
        if let Ok(after) = run(later[place].clone()) {
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn strings_survive_quoting(text in "\\PC{0,20}") {
        let quoted = format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        prop_assert_eq!(crate::evaluate(&quoted), Ok(Value::from(text)));
    }

    #[test]
    fn a_template_ends_where_its_expression_does(source in expression(), after in "\\PC{0,10}") {
        let text = format!("${{{source}}}{after}");
        prop_assert_eq!(closing_brace(&text, 2), Ok(source.len() + 2));
    }

    #[test]
    fn durations_survive_their_text(seconds in -315_576_000_000_i64..315_576_000_000, nanos in 0_i32..1_000_000_000) {
        let duration = time::Duration::new(seconds, if seconds < 0 { -nanos } else { nanos });
        prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
    }

    #[test]
    fn json_survives_both_ways(numbers in prop::collection::vec(any::<i64>(), 0..5), text in "\\PC{0,10}") {
        let json = serde_json::json!({"numbers": numbers, "text": text});
        prop_assert_eq!(Value::from_json(&json).to_json(), Ok(json));
    }
}
