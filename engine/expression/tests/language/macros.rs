use crate::gives;

#[test]
fn all_and_exists_absorb_errors_once_settled() {
    gives(&[
        ("[1, 2].all(x, x > 0)", "true"),
        ("[1, 2].all(x, x > 1)", "false"),
        ("[].all(x, false)", "true"),
        ("[0, 1].all(x, 1/x > 5)", "false"),
        ("[0, 1].all(x, 1/x > 0)", "DivideByZero"),
        ("[1, 2].exists(x, x > 1)", "true"),
        ("[].exists(x, true)", "false"),
        ("[0, 1].exists(x, 1/x == 1)", "true"),
        ("[0, 1].exists(x, 1/x == 7)", "DivideByZero"),
        ("[1].all(x, dyn(x))", "Type"),
    ]);
}

#[test]
fn exists_one_needs_exactly_one_and_absorbs_nothing() {
    gives(&[
        ("[1, 2, 3].exists_one(x, x > 2)", "true"),
        ("[1, 2, 3].exists_one(x, x > 1)", "false"),
        ("[].existsOne(x, true)", "false"),
        ("[0, 1].exists_one(x, 1/x == 1)", "DivideByZero"),
    ]);
}

#[test]
fn map_and_filter_make_lists() {
    gives(&[
        ("[1, 2].map(x, x * 2)", "[2, 4]"),
        ("[1, 2, 3].map(x, x > 1, x * 2)", "[4, 6]"),
        ("[1, 2, 3].filter(x, x != 2)", "[1, 3]"),
        ("facts.schedules.map(s, s.name)", "[\"daily\", \"weekly\"]"),
        ("[0].map(x, 1/x)", "DivideByZero"),
        ("[0].filter(x, 1/x == 0)", "DivideByZero"),
    ]);
}

#[test]
fn over_a_map_one_variable_is_the_key() {
    gives(&[
        ("{'b': 1, 'a': 2}.map(k, k)", "[\"a\", \"b\"]"),
        ("{'b': 1, 'a': 2}.filter(k, k > 'a')", "[\"b\"]"),
        ("{'a': 1}.all(k, k == 'a')", "true"),
        ("{'a': 1}.exists(k, k == 'b')", "false"),
    ]);
}

#[test]
fn two_variables_are_index_and_value_or_key_and_value() {
    gives(&[
        ("[5, 6].all(i, v, v == i + 5)", "true"),
        ("[5, 6].exists(i, v, i == 1 && v == 6)", "true"),
        ("[5, 6].existsOne(i, v, v > 5)", "true"),
        ("[5, 6].transformList(i, v, [i, v])", "[[0, 5], [1, 6]]"),
        ("[5, 6].transformList(i, v, v > 5, i)", "[1]"),
        ("{'a': 1, 'b': 2}.transformList(k, v, k)", "[\"a\", \"b\"]"),
        (
            "{'a': 1, 'b': 2}.transformMap(k, v, v * 2)",
            "{\"a\": 2, \"b\": 4}",
        ),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v)", "{\"b\": 2}"),
        ("['x'].transformMap(i, v, v)", "{0: \"x\"}"),
        (
            "{'a': 'x', 'b': 'y'}.transformMapEntry(k, v, {v: k})",
            "{\"x\": \"a\", \"y\": \"b\"}",
        ),
        ("['a', 'b'].transformMapEntry(i, v, i > 0, {v: i})", "{\"b\": 1}"),
        ("['a', 'b'].transformMapEntry(i, v, {'k': v})", "Argument"),
        ("['a'].transformMapEntry(i, v, dyn(1))", "Type"),
        ("{'a': 1}.exists(k, v, k == 'a' && v == 1)", "true"),
    ]);
}

#[test]
fn macro_variables_nest_and_shadow() {
    gives(&[
        ("[1, 2].map(x, [10, 20].map(y, x + y))", "[[11, 21], [12, 22]]"),
        ("[1].map(x, [2].map(x, x))", "[[2]]"),
        ("[[1], [2]].map(x, x.map(x, x + 1))", "[[2], [3]]"),
        ("[1].map(facts, facts)", "[1]"),
        ("[1].map(x, cel.bind(y, x + 1, y * y))", "[4]"),
        ("[1, 2].map(x, [x].exists(y, y == x))", "[true, true]"),
    ]);
}

#[test]
fn bind_names_a_value() {
    gives(&[
        ("cel.bind(x, 1 + 1, x * x)", "4"),
        (
            "cel.bind(id, facts.cluster.id, id + '-' + id)",
            "\"demo-x7k2p-demo-x7k2p\"",
        ),
        ("cel.bind(x, 1/0, 1)", "DivideByZero"),
    ]);
}

#[test]
fn macros_run_over_lists_and_maps_only() {
    gives(&[
        ("dyn('abc').map(x, x)", "Type"),
        ("dyn(1).all(x, true)", "Type"),
        ("dyn(null).exists(x, true)", "Type"),
    ]);
}
