//! The same expressions, evaluated by this crate and by the `cel` crate, where both define what they give.
//!
//! Left out is where the two differ on purpose: here ints and doubles compute together, maps are ordered, `has` is
//! false for a missing step of its path, unsigned ints are ints, and `orValue` doesn't evaluate what it doesn't need.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::sync::Arc;

use holdfast_expression::{Bindings, Budget, Context, Environment, ErrorKind, MapKey, Program, Type, Value};
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

/// Variables of each type, by their first letter. Ints are near where they overflow, texts have letters of all widths.
fn variables() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("i0", json!(0)),
        ("i1", json!(7)),
        ("i2", json!(-3)),
        ("i3", json!(i64::MAX)),
        ("i4", json!(i64::MIN)),
        ("d0", json!(0.0)),
        ("d1", json!(2.5)),
        ("d2", json!(-1e300)),
        ("b0", json!(false)),
        ("b1", json!(true)),
        ("s0", json!("")),
        ("s1", json!("velero")),
        ("s2", json!("é😀x")),
        ("s3", json!("a,b,,c")),
        ("l0", json!([])),
        ("l1", json!([1, 2, 3])),
        ("l2", json!([0, -1, 9_223_372_036_854_775_807_i64])),
        ("m0", json!({})),
        ("m1", json!({"a": 1, "b": 2, "é": -3})),
    ]
}

fn select(choices: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(choices).prop_map(str::to_owned).boxed()
}

/// Expressions of each type, made of expressions of a smaller depth.
struct Typed {
    int: BoxedStrategy<String>,
    double: BoxedStrategy<String>,
    bool: BoxedStrategy<String>,
    text: BoxedStrategy<String>,
    list: BoxedStrategy<String>,
    map: BoxedStrategy<String>,
}

fn leaves() -> Typed {
    Typed {
        int: select(&["i0", "i1", "i2", "i3", "i4", "1", "-2", "0x1F", "100"]),
        double: select(&["d0", "d1", "d2", "1.5", "-0.25", "1e3"]),
        bool: select(&["b0", "b1", "true", "false"]),
        text: select(&["s0", "s1", "s2", "s3", "'a'", "\"\\u00e9\"", "r'\\d'", "'''x'''"]),
        list: select(&["l0", "l1", "l2", "[1, 2]", "[]"]),
        map: select(&["m0", "m1", "{'a': 1}", "{}"]),
    }
}

fn deeper(inner: &Typed) -> Typed {
    let Typed {
        int,
        double,
        bool,
        text,
        list,
        map,
    } = inner;
    let (int, double, bool, text) = (int.clone(), double.clone(), bool.clone(), text.clone());
    let (list, map) = (list.clone(), map.clone());
    let arithmetic = select(&["+", "-", "*", "/", "%"]);
    let arithmetic_of_doubles = select(&["+", "-", "*", "/"]);
    let comparison = select(&["==", "!=", "<", "<=", ">", ">="]);
    let equality = select(&["==", "!="]);
    let key = select(&["a", "b", "é", "c"]);
    let binary =
        |left: &BoxedStrategy<String>, operator: &BoxedStrategy<String>, right: &BoxedStrategy<String>| {
            (left.clone(), operator.clone(), right.clone())
                .prop_map(|(l, o, r)| format!("({l} {o} {r})"))
                .boxed()
        };
    let condition = |value: &BoxedStrategy<String>| {
        (bool.clone(), value.clone(), value.clone())
            .prop_map(|(c, t, e)| format!("({c} ? {t} : {e})"))
            .boxed()
    };
    Typed {
        int: prop_oneof![
            binary(&int, &arithmetic, &int),
            condition(&int),
            text.clone().prop_map(|t| format!("size({t})")),
            text.clone().prop_map(|t| format!("{t}.size()")),
            list.clone().prop_map(|l| format!("{l}.size()")),
            map.clone().prop_map(|m| format!("size({m})")),
            int.clone().prop_map(|i| format!("-({i})")),
            (list.clone(), int.clone()).prop_map(|(l, i)| format!("{l}[{i}]")),
            (map.clone(), key.clone()).prop_map(|(m, k)| format!("{m}['{k}']")),
            (map.clone(), key.clone()).prop_map(|(m, k)| format!("{m}[?'{k}'].orValue(0)")),
            (text.clone(), text.clone()).prop_map(|(t, p)| format!("{t}.indexOf({p})")),
            (text.clone(), text.clone()).prop_map(|(t, p)| format!("{t}.lastIndexOf({p})")),
            double.clone().prop_map(|d| format!("int({d})")),
            int.clone(),
        ]
        .boxed(),
        double: prop_oneof![
            binary(&double, &arithmetic_of_doubles, &double),
            condition(&double),
            int.clone().prop_map(|i| format!("double({i})")),
            double.clone().prop_map(|d| format!("-({d})")),
            double.clone(),
        ]
        .boxed(),
        bool: prop_oneof![
            binary(&int, &comparison, &int),
            binary(&double, &comparison, &double),
            binary(&text, &comparison, &text),
            binary(&list, &equality, &list),
            binary(&map, &equality, &map),
            binary(&bool, &select(&["&&", "||"]), &bool),
            binary(&int, &select(&["in"]), &list),
            binary(&text, &select(&["in"]), &map),
            bool.clone().prop_map(|b| format!("!({b})")),
            condition(&bool),
            (
                text.clone(),
                select(&["contains", "startsWith", "endsWith"]),
                text.clone()
            )
                .prop_map(|(t, f, p)| format!("{t}.{f}({p})")),
            (text.clone(), select(&["[a-z]+", "^.$", "é|x", "^$"]))
                .prop_map(|(t, p)| format!("{t}.matches('{p}')")),
            (
                list.clone(),
                select(&["all", "exists", "exists_one"]),
                int.clone()
            )
                .prop_map(|(l, f, i)| format!("{l}.{f}(x, x / ({i}) > 0)")),
            (map.clone(), select(&["all", "exists"]), text.clone())
                .prop_map(|(m, f, t)| format!("{m}.{f}(k, k < {t})")),
            (map.clone(), key.clone()).prop_map(|(m, k)| format!("('{k}' in {m})")),
            bool.clone(),
        ]
        .boxed(),
        text: prop_oneof![
            binary(&text, &select(&["+"]), &text),
            condition(&text),
            int.clone().prop_map(|i| format!("string({i})")),
            bool.clone().prop_map(|b| format!("string({b})")),
            (
                text.clone(),
                select(&["lowerAscii", "upperAscii", "trim", "reverse"])
            )
                .prop_map(|(t, f)| format!("{t}.{f}()")),
            (text.clone(), text.clone(), text.clone()).prop_map(|(t, a, b)| format!("{t}.replace({a}, {b})")),
            (text.clone(), int.clone()).prop_map(|(t, i)| format!("{t}.charAt({i})")),
            (text.clone(), int.clone(), int.clone()).prop_map(|(t, a, b)| format!("{t}.substring({a}, {b})")),
            (text.clone(), text.clone()).prop_map(|(t, s)| format!("{t}.split({s}).join('|')")),
            text.clone(),
        ]
        .boxed(),
        list: prop_oneof![
            binary(&list, &select(&["+"]), &list),
            condition(&list),
            (int.clone(), int.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (list.clone(), arithmetic.clone(), int.clone())
                .prop_map(|(l, o, i)| format!("{l}.map(x, x {o} {i})")),
            (list.clone(), int.clone()).prop_map(|(l, i)| format!("{l}.filter(x, x > {i})")),
            (list.clone(), int.clone(), int.clone())
                .prop_map(|(l, a, b)| format!("{l}.map(x, x > {a}, x - {b})")),
            list.clone(),
        ]
        .boxed(),
        map: prop_oneof![
            condition(&map),
            (key.clone(), int.clone()).prop_map(|(k, i)| format!("{{'{k}': {i}}}")),
            (text.clone(), int.clone(), int.clone()).prop_map(|(t, a, b)| format!("{{{t}: {a}, 'b': {b}}}")),
            map.clone(),
        ]
        .boxed(),
    }
}

fn any_type(typed: Typed) -> BoxedStrategy<String> {
    prop_oneof![
        typed.int,
        typed.double,
        typed.bool,
        typed.text,
        typed.list,
        typed.map
    ]
    .boxed()
}

/// What the other implementation gives, as a value of ours.
fn translate(value: &cel::Value) -> Value {
    match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(bool) => Value::Bool(*bool),
        cel::Value::Int(int) => Value::Int(*int),
        cel::Value::Float(double) => Value::Double(*double),
        cel::Value::String(text) => Value::from(text.as_str()),
        cel::Value::List(elements) => Value::list(elements.iter().map(translate)),
        cel::Value::Map(map) => Value::map(map.map.iter().map(|(key, value)| {
            let key = match key {
                cel::objects::Key::Int(int) => MapKey::Int(*int),
                cel::objects::Key::Bool(bool) => MapKey::Bool(*bool),
                cel::objects::Key::String(text) => MapKey::from(text.as_str()),
                cel::objects::Key::Uint(_) => panic!("no key is unsigned"),
            };
            (key, translate(value))
        })),
        other => panic!("no expression gives {other:?}"),
    }
}

/// A variable for the other implementation, with signed ints only.
fn foreign(json: &serde_json::Value) -> cel::Value {
    match json {
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) => cel::Value::Int(int),
            None => cel::Value::Float(number.as_f64().unwrap()),
        },
        serde_json::Value::Bool(bool) => cel::Value::Bool(*bool),
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(elements) => {
            cel::Value::List(Arc::new(elements.iter().map(foreign).collect()))
        }
        serde_json::Value::Object(fields) => {
            let entries = fields
                .iter()
                .map(|(key, value)| (key.clone().into(), foreign(value)));
            cel::Value::Map(cel::objects::Map {
                map: Arc::new(entries.collect()),
            })
        }
        serde_json::Value::Null => cel::Value::Null,
    }
}

/// Evaluates on both sides; nothing where one of them refuses to try.
struct Both {
    environment: Environment,
    bindings: Bindings,
    other: Arc<cel::Env>,
}

impl Both {
    fn new() -> Self {
        let mut environment = Environment::new();
        let mut bindings = Bindings::new();
        for (name, value) in variables() {
            environment = environment.root(name, Type::Dyn);
            bindings = bindings.with(name, Value::from_json(&value));
        }
        let mut other = cel::Env::stdlib();
        other
            .add_extension(cel::extensions::strings)
            .expect("the strings extension fits the standard library");
        Self {
            environment,
            bindings,
            other: Arc::new(other),
        }
    }

    fn ours(&self, source: &str) -> Result<Value, ErrorKind> {
        let program = Program::compile(source, &self.environment).map_err(|errors| errors[0].kind.clone())?;
        let context = Context::at(time::OffsetDateTime::UNIX_EPOCH);
        program
            .evaluate(&self.bindings, &mut Budget::default(), &context)
            .map_err(|error| error.kind)
    }

    fn theirs(&self, source: &str) -> Result<Value, String> {
        let program = self
            .other
            .compile(source)
            .map_err(|errors| format!("{errors:?}"))?;
        let mut context = cel::Context::with_env(Arc::clone(&self.other));
        for (name, value) in variables() {
            context.add_variable_from_value(name, foreign(&value));
        }
        program
            .execute(&context)
            .map(|value| translate(&value))
            .map_err(|error| error.to_string())
    }

    /// What is different, if anything is. Both failing is the same, whatever the fault.
    fn difference(&self, source: &str) -> Option<String> {
        let (ours, theirs) = (self.ours(source), self.theirs(source));
        let is_same = match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => ours == theirs || (is_nan(ours) && is_nan(theirs)),
            (Err(_), Err(_)) => true,
            // A comparison with what is no number is false here, as the CEL specification says.
            (Ok(_), Err(fault)) => fault.contains("applied to '(double, double)'"),
            _ => false,
        };
        (!is_same).then(|| format!("{source}\n  ours   {ours:?}\n  theirs {theirs:?}"))
    }
}

fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Double(double) if double.is_nan())
}

/// The other parser needs much stack.
fn on_a_large_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .stack_size(256 << 20)
        .spawn(run)
        .expect("a thread starts");
    thread
        .join()
        .unwrap_or_else(|fault| std::panic::resume_unwind(fault));
}

#[test]
fn both_give_the_same_for_random_expressions() {
    on_a_large_stack(|| {
        let both = Both::new();
        let strategy = any_type(deeper(&deeper(&leaves())));
        let config = Config {
            cases: 3000,
            failure_persistence: None,
            ..Config::default()
        };
        let found = TestRunner::new(config).run(&strategy, |source| {
            both.difference(&source)
                .map_or(Ok(()), |difference| Err(TestCaseError::fail(difference)))
        });
        if let Err(error) = found {
            panic!("{error}");
        }
    });
}

#[test]
fn both_give_the_same_for_chosen_expressions() {
    on_a_large_stack(|| {
        let both = Both::new();
        let sources = [
            "1 + 2 * 3 - 4 / 2 % 3",
            "-7 / 2",
            "-7 % 3",
            "7 % -3",
            "i3 + 1",
            "i4 - 1",
            "-i4",
            "i4 / -1",
            "i4 % -1",
            "1 / 0",
            "1 % 0",
            "1.0 / 0.0",
            "1 == 1.0",
            "1 < 1.5",
            "'1' == 1",
            "null == null",
            "[1] == [1.0]",
            "'é' < 'z'",
            "true || 1/0 > 0",
            "1/0 > 0 || true",
            "false && 1/0 > 0",
            "1/0 > 0 && false",
            "true ? 1 : 1/0",
            "b0 ? 1/0 : 2",
            "[1, 2].all(x, 1/(x - 1) > 5)",
            "[1, 2].exists(x, 1/(x - 1) == 1)",
            "[].all(x, false)",
            "[].exists(x, true)",
            "has({'a': 1}.a)",
            "has({'a': 1}.b)",
            "m1.a",
            "m1.zz",
            "'a' in m1",
            "2 in l1",
            "{1: 'x'}[1]",
            "[1][1]",
            "[1][-1]",
            "'a\\nb'.size()",
            "b'é' == bytes('é')",
            "'\\U0001F600'.size()",
            "\"\"\"a\"b\"\"\"",
            "r'\\n'.size()",
            "string(1.5)",
            "int('12')",
            "int('x')",
            "double('1e3')",
            "bool('true')",
            "int(1.9)",
            "int(-1.9)",
            "int(1e30)",
            "size(b'abc')",
            "{'a': 1, 'a': 2}",
            "optional.of(1).orValue(2)",
            "optional.none().orValue(2)",
            "m1.?zz.orValue(5)",
            "m1[?'a'].orValue(5)",
            "[?m1.?a, ?m1.?zz]",
            "{?'x': m1.?a, ?'y': m1.?zz}",
            "optional.of(1).hasValue()",
            "optional.of(3).optMap(x, x + 1).value()",
            "'a,b,c'.split(',', 2)",
            "'a,b'.split(',', 0)",
            "'ab'.split('')",
            "'hello'.replace('l', 'L', 1)",
            "'ab'.replace('', '-')",
            "'abc'.substring(3)",
            "'abc'.substring(4)",
            "'abc'.charAt(3)",
            "'abc'.charAt(4)",
            "'abcab'.indexOf('ab', 1)",
            "'abcab'.lastIndexOf('ab', 2)",
            "'%s-%d-%.2f'.format(['a', 1, 1.5])",
            "'%x %X %o %b'.format([255, 255, 8, 5])",
            "'%e'.format([1234.5])",
            "'%s'.format([[1, 2]])",
            "[1, 2, 3].map(x, x > 1, x * 2)",
            "[[1, 2], [3]].map(l, l.map(x, x + 1))",
            "duration('1h30m') == duration('90m')",
            "duration('1h') + duration('30m') == duration('1.5h')",
            "timestamp('2024-02-29T12:00:00Z') + duration('24h') == timestamp('2024-03-01T12:00:00Z')",
            "timestamp('2024-02-29T12:30:45.678Z').getMonth()",
            "timestamp('2024-02-29T12:30:45.678Z').getDayOfYear()",
            "timestamp('2024-02-29T12:30:45.678Z').getDayOfWeek()",
            "timestamp('2024-02-29T12:30:45.678Z').getDate()",
            "timestamp('2024-02-29T12:30:45.678Z').getDayOfMonth()",
            "timestamp('2024-02-29T12:30:45.678Z').getMilliseconds()",
            "timestamp('2024-02-29T12:30:45.678Z').getHours('+02:00')",
            "duration('123.321456789s').getSeconds()",
            "duration('90m').getHours()",
            "duration('90m').getMinutes()",
            "duration('1x') == duration('1s')",
            "timestamp('x') == timestamp('y')",
            "type(1) == int",
            "type('a') == string",
            "type([]) == list",
            "cel.bind(x, 1, x)",
            "a.b.c",
            "nope(1)",
            "1 +",
            "'a' + 1 == 2",
            "!1",
            "-'a' == 'b'",
        ];
        // Where the other one has no such function, or rounds otherwise.
        let known = ["cel.bind(x, 1, x)"];
        let differences = sources.into_iter().filter(|source| !known.contains(source));
        let differences: Vec<String> = differences.filter_map(|source| both.difference(source)).collect();
        assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    });
}
