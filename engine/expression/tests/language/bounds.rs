//! Hostile expressions end with an error, soon, on a small stack, without a big allocation.

use std::time::{Duration, Instant};

use crate::{NOW, environment, evaluate_in, scope};
use holdfast_expression::{Bindings, Budget, Context, ErrorKind, MAX_SOURCE, Program, Value, closing_brace};

/// Half of the stack that a test thread or a tokio worker has.
const SMALL_STACK: usize = 1 << 20;

fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(SMALL_STACK)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

#[track_caller]
fn exhausts(source: &str) {
    let start = Instant::now();
    let result = evaluate_in(source, &scope(), &mut Budget::default());
    let kind = result.as_ref().map_err(|error| error.kind.clone());
    assert!(matches!(kind, Err(ErrorKind::Budget)), "{source}: {kind:?}");
    assert!(
        start.elapsed() < Duration::from_mins(2),
        "{source} took {:?}",
        start.elapsed()
    );
}

#[test]
fn a_hostile_expression_runs_out_of_budget() {
    let doubled = |times: usize| {
        (0..times).fold("'aaaaaaaaaaaaaaaa'".to_owned(), |inner, _| {
            format!("cel.bind(a, {inner}, a + a)")
        })
    };
    for source in [
        "lists.range(9223372036854775807)",
        "lists.range(2000000)",
        "lists.range(10000).map(x, lists.range(10000))",
        "lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, true)))",
        "lists.range(100000).distinct()",
        "lists.range(50000).map(x, x * -1).exists(x, lists.range(50000).exists(y, y == x - 1))",
        "cel.bind(s, lists.range(200000).map(x, 'x').join(), s.replace('', s))",
        "cel.bind(s, lists.range(10000).map(x, 'x').join(), lists.range(10000).map(x, s + s))",
        "cel.bind(s, lists.range(10000).map(x, 'x').join(), lists.range(100000).map(x, s).join(s))",
        "cel.bind(s, lists.range(100000).map(x, '%s').join(), s.format(lists.range(100000).map(x, s)))",
        "cel.bind(s, lists.range(100000).map(x, 'x').join(), lists.range(1000).map(x, s.split('')))",
        "cel.bind(s, lists.range(60000).map(x, '01').join(), lists.range(100).all(x, s.matches('[01]*1[01]{400}$')))",
        "cel.bind(l, lists.range(1000), lists.range(1000).all(x, l == l && l == l))",
        "lists.range(100).map(x, lists.range(10000)).flatten().map(x, [x]).flatten(9223372036854775807).sort()",
        "cel.bind(s, lists.range(100000).map(x, 'x').join(), lists.range(100000).all(x, s.contains('y') || true))",
        "lists.range(100000).map(x, base64.encode(string(lists.range(1000).map(x, 'x').join())))",
    ] {
        exhausts(source);
    }
    exhausts(&doubled(25));
}

#[test]
fn patterns_have_bounds() {
    exhausts("'a'.matches('((a{100}){100}){100}')");
    exhausts("'a'.matches(string('((a{100}){100}){100}'))");
    exhausts(&format!("'a'.matches('{}')", "a".repeat(1001)));
    let linear =
        "cel.bind(s, lists.range(5000).map(x, 'a').join(), s.matches('^(a+)+$') && !s.matches('^(a+)+b$'))";
    assert_eq!(crate::show(linear), "true");
}

#[test]
fn the_source_text_has_a_longest_length() {
    let long = format!("'{}'", "a".repeat(MAX_SOURCE));
    let errors = Program::compile(&long, &environment()).unwrap_err();
    assert_eq!(errors[0].kind, ErrorKind::Budget);
    assert_eq!(errors[0].message, "this expression is longer than 16 KiB");
    assert!(Program::compile(&format!("'{}'", "a".repeat(MAX_SOURCE - 2)), &environment()).is_ok());
}

#[test]
fn long_chains_evaluate_and_deep_ones_are_refused_on_a_small_stack() {
    on_a_small_stack(|| {
        assert_eq!(crate::show(&vec!["1"; 1000].join("+")), "1000");
        assert_eq!(crate::show(&vec!["false"; 1000].join("||")), "false");
        assert_eq!(crate::show(&vec!["true"; 1000].join("&&")), "true");
        assert_eq!(crate::show(&vec!["'a'"; 1000].join("+")).len(), 1002);
        for deep in [
            format!("facts{}", ".a".repeat(1000)),
            format!("{}true", "true?1:".repeat(1000)),
            format!("{}true", "!".repeat(1000)),
            format!("{}1{}", "(".repeat(1000), ")".repeat(1000)),
            format!("{}1{}", "[".repeat(1000), "]".repeat(1000)),
            format!("{}1{}", "{'a':".repeat(1000), "}".repeat(1000)),
            format!("{}1{}", "size(".repeat(1000), ")".repeat(1000)),
            format!("facts{}", "[0]".repeat(1000)),
            vec!["1"; 1000].join("=="),
            format!("{}1{}", "[1].map(x,".repeat(500), ")".repeat(500)),
            format!("facts{}", ".size()".repeat(1000)),
        ] {
            let errors = Program::compile(&deep, &environment()).unwrap_err();
            assert_eq!(errors[0].kind, ErrorKind::Budget, "{deep}");
        }
    });
}

/// Nests as deep as is allowed, in every way there is, and makes sure that all of it fits.
#[test]
fn the_deepest_nesting_evaluates_on_a_small_stack() {
    on_a_small_stack(|| {
        let nest = |open: &str, inner: &str, close: &str| {
            let deepest = (1..80)
                .rev()
                .map(|times| format!("{}{inner}{}", open.repeat(times), close.repeat(times)));
            let program = deepest
                .into_iter()
                .find_map(|source| Program::compile(&source, &environment()).ok());
            let program = program.unwrap_or_else(|| panic!("{open}{inner}{close} compiles"));
            assert!(
                program.source().matches(open).count() >= 4,
                "{}",
                program.source()
            );
            let value = program.evaluate(&scope(), &mut Budget::default(), &Context::at(NOW));
            drop(value);
            program.source().matches(open).count()
        };
        assert!(nest("[", "1", "]") >= 60);
        nest("{'a':", "1", "}");
        nest("(", "1", ")");
        nest("1+(2*(", "3", "))");
        nest("!", "true", "");
        nest("-(", "1", ")");
        nest("[1].map(x,", "x", ")");
        nest("[1].all(x,true&&", "true", ")");
        nest("[1].exists_one(x,1==1&&", "true", ")");
        nest("{'a':1}.transformMapEntry(k,v,", "{'a':1}", ")");
        nest("true?", "1", ":2");
        nest("false?1:", "2", "");
        nest("cel.bind(x,", "1", ",x)");
        nest("cel.bind(x,1,", "x", ")");
        nest("string(", "1", ")");
        nest("facts.?nope.orValue(", "1", ")");
        nest("optional.of(1).optMap(x,", "x", ")");
        nest("facts[", "'cluster'", "]");
        nest("true||(false&&(1==(2+(3*dyn(", "4", ")))))");
        nest("has(facts[", "'cluster'", "].id)");
        nest("[?optional.of(", "1", ")]");
        nest("", "facts", ".cluster");
        nest("(1 in [", "1", "])");
    });
}

#[test]
fn values_do_not_grow_deeper_from_one_expression_to_the_next() {
    on_a_small_stack(|| {
        let source = format!("{}each{}", "[".repeat(50), "]".repeat(50));
        let program = Program::compile(&source, &environment()).unwrap();
        let mut value = Value::from(1);
        for _ in 0..10 {
            let scope = Bindings::new().with("each", value.clone());
            match program.evaluate(&scope, &mut Budget::default(), &Context::at(NOW)) {
                Ok(next) => value = next,
                Err(error) => {
                    assert_eq!(
                        (error.kind, error.message.as_str()),
                        (ErrorKind::Budget, "this is nested too deeply")
                    );
                    return;
                }
            }
        }
        panic!("the value is nested without end");
    });
}

#[test]
fn a_budget_bounds_several_evaluations_together() {
    let mut budget = Budget {
        steps: 1000,
        bytes: 1_000_000,
    };
    let before = budget.clone();
    evaluate_in("lists.range(100).map(x, x)", &scope(), &mut budget).unwrap();
    assert!(budget.steps < before.steps && budget.bytes < before.bytes);
    let runs = (0..100)
        .take_while(|_| evaluate_in("lists.range(100).map(x, x)", &scope(), &mut budget).is_ok())
        .count();
    assert!(runs < 10, "{runs} runs");
}

#[test]
fn a_fleet_fits_into_the_default_budget() {
    let bucket = |number: i64| {
        Value::map([
            ("name", Value::from(format!("acme-prod-{number}"))),
            ("tags", Value::map([("team", "a")])),
        ])
    };
    let facts = Value::map([("buckets", Value::list((0..20_000).map(bucket)))]);
    let scope = Bindings::new().with("facts", facts);
    let source = "facts.buckets.filter(b, !('holdfast-exempt' in b.?tags.orValue({}))).size()";
    let value = evaluate_in(source, &scope, &mut Budget::default());
    assert_eq!(value, Ok(Value::Int(20_000)));
}

#[test]
fn documents_inside_text_are_bounded() {
    assert!(
        matches!(evaluate_in("json(facts.text)", &Bindings::new().with("facts", Value::map([("text", "[".repeat(100_000))])), &mut Budget::default()), Err(error) if error.kind == ErrorKind::Conversion)
    );
    exhausts("json('[' + lists.range(300000).map(x, '1').join(',') + ']')");
}

#[test]
fn a_template_without_end_is_searched_once() {
    let text = format!("${{{}", "{".repeat(1_000_000));
    assert!(closing_brace(&text, 2).is_err());
}
