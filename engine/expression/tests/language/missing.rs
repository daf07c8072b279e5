use crate::{evaluate, fault, gives};
use holdfast_expression::ErrorKind;

#[test]
fn what_is_missing_is_named_by_its_path() {
    for (source, path) in [
        ("facts.cluster.region", "facts.cluster.region"),
        ("facts.cluster.region + '-1'", "facts.cluster.region"),
        ("facts.nope.deeper", "facts.nope"),
        ("facts['nope']", "facts['nope']"),
        ("facts.schedules.map(s, s.ttl)", "s.ttl"),
        ("each.key", "each"),
        ("facts.schedules[1].ttl", "facts.schedules[1].ttl"),
        ("facts.schedules[7].ttl", "facts.schedules[7]"),
    ] {
        let error = evaluate(source).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Missing { path: path.into() }, "{source}");
        assert_eq!(error.span.text(source), path);
    }
    let error = evaluate("'x' + facts.cluster.region").unwrap_err();
    assert_eq!(
        fault(&error),
        "6..26: `facts.cluster.region` isn't there (if it may be absent: `.?region` and `.orValue(…)`, or has(…) before)"
    );
}

#[test]
fn has_is_false_as_soon_as_a_step_is_missing() {
    gives(&[
        ("has(facts.cluster)", "true"),
        ("has(facts.cluster.region)", "false"),
        ("has(facts.nope.a.b.c)", "false"),
        ("has(facts.cluster.tags)", "true"),
        ("has(facts.schedules[0].ttl)", "true"),
        ("has(facts.schedules[1].ttl)", "false"),
        ("has(facts.schedules[7].ttl)", "false"),
        ("has(facts['nope'].x)", "false"),
        ("has(each.key)", "Missing { path: \"each\" }"),
        ("has(facts.?nope.x)", "false"),
        ("has({'a': null}.a)", "true"),
        ("has(facts.cluster.id.x)", "Type"),
        ("has({'a': omit()}.a)", "false"),
    ]);
}

#[test]
fn an_error_inside_an_index_is_no_missing_step() {
    gives(&[
        ("has(facts.schedules[1/0].ttl)", "DivideByZero"),
        ("has(facts[facts.nope].x)", "Missing { path: \"facts.nope\" }"),
    ]);
}

#[test]
fn an_unreadable_value_fails_only_what_uses_it() {
    gives(&[
        ("facts.cluster.id", "\"demo-x7k2p\""),
        ("facts.denied", "Unreadable"),
        ("facts.denied.x", "Unreadable"),
        ("has(facts.denied)", "Unreadable"),
        ("facts.?denied.orValue(1)", "Unreadable"),
        ("facts.denied || true", "true"),
        ("size(facts)", "5"),
        ("facts.map(k, k)[1]", "\"denied\""),
        ("facts['denied']", "Unreadable"),
        ("facts == {}", "Unreadable"),
    ]);
    let error = evaluate("'x' == facts.denied").unwrap_err();
    assert_eq!(fault(&error), "7..19: facts.denied couldn't be read");
}
