use crate::{evaluate, fault, gives};

#[test]
fn a_question_mark_makes_what_is_absent_an_empty_optional() {
    gives(&[
        ("facts.?cluster.?id", "optional.of(\"demo-x7k2p\")"),
        ("facts.?nope", "optional.none()"),
        ("facts.?nope.deeper.still", "optional.none()"),
        ("facts.?cluster.nope", "optional.none()"),
        ("facts.cluster.?tags[0].key.orValue('')", "\"team\""),
        ("facts.?nope[0]", "optional.none()"),
        ("facts.numbers[?0]", "optional.of(3)"),
        ("facts.numbers[?9]", "optional.none()"),
        ("facts.cluster[?'id']", "optional.of(\"demo-x7k2p\")"),
        ("facts.cluster[?'x'].y.z", "optional.none()"),
        ("{'a': null}.?a", "optional.of(null)"),
        ("facts.cluster.id.?x", "Type"),
    ]);
}

#[test]
fn or_value_evaluates_its_argument_only_when_needed() {
    gives(&[
        ("facts.?nope.orValue(7)", "7"),
        ("facts.cluster.?id.orValue(1/0)", "\"demo-x7k2p\""),
        ("facts.?nope.orValue(1/0)", "DivideByZero"),
        ("facts.?a.?b.orValue('c')", "\"c\""),
        ("facts.cluster.?labels.orValue([])", "[]"),
    ]);
}

#[test]
fn or_value_on_a_plain_value_is_an_error_with_a_hint() {
    let error = evaluate("facts.cluster.id.orValue('x')").unwrap_err();
    assert_eq!(
        fault(&error),
        "0..16: `orValue` is for optionals, and this is of type string \
         (put a `?` before the name of what may be absent: a.?b.orValue(…))"
    );
}

#[test]
fn optionals_chain() {
    gives(&[
        ("optional.none().or(optional.of(1))", "optional.of(1)"),
        ("optional.of(1).or(dyn(1/0))", "optional.of(1)"),
        ("optional.none().or(optional.none())", "optional.none()"),
        ("optional.of(1).hasValue()", "true"),
        ("optional.none().hasValue()", "false"),
        ("optional.of(1).value()", "1"),
        ("facts.?nope.value()", "Missing { path: \"facts.?nope\" }"),
        ("optional.ofNonZeroValue('')", "optional.none()"),
        ("optional.ofNonZeroValue(0)", "optional.none()"),
        ("optional.ofNonZeroValue([1])", "optional.of([1])"),
        ("optional.of(1) == optional.of(1.0)", "true"),
        ("optional.of(1) == optional.none()", "false"),
        ("optional.of(1) == 1", "false"),
        (
            "facts.cluster.?id.optMap(x, x + '!')",
            "optional.of(\"demo-x7k2p!\")",
        ),
        ("facts.?nope.optMap(x, x + 1)", "optional.none()"),
        (
            "facts.?cluster.optFlatMap(c, c.?id)",
            "optional.of(\"demo-x7k2p\")",
        ),
        ("facts.?cluster.optFlatMap(c, c.?nope)", "optional.none()"),
        ("dyn(1).optMap(x, x)", "Type"),
    ]);
}

#[test]
fn an_optional_result_is_an_optional() {
    assert_eq!(
        evaluate("parameters.?kmsKey"),
        Ok(holdfast_expression::Value::Optional(None))
    );
}
