use crate::{evaluate, gives};
use holdfast_expression::Value;

const LATER: &str = "(known after apply)";

#[test]
fn an_unknown_operand_makes_the_result_unknown() {
    let sources = [
        "rules.bucket.name",
        "rules.bucket.name + '-x'",
        "'x-' + rules.bucket.name",
        "rules.bucket.name == 'a'",
        "rules.install.status.phase",
        "rules.install['a'][0]",
        "rules.install.?a.orValue(1)",
        "-rules.install",
        "!rules.install",
        "rules.bucket.name.size()",
        "string(rules.bucket.name)",
        "rules.bucket.name in ['a']",
        "'a' in rules.install",
        "rules.install ? 1 : 2",
        "rules.install.map(x, 1)",
        "rules.install.all(x, true)",
        "[1].filter(x, rules.install)",
        "[1].exists_one(x, rules.install)",
        "{rules.bucket.name: 1}",
        "[?rules.install]",
        "{?'a': rules.install}",
        "has(rules.install.x)",
        "has(rules.bucket.name)",
        "rules.bucket.?name",
        "rules.bucket.?name.hasValue()",
        "[rules.bucket.name].join()",
        "'%s'.format([rules.bucket.name])",
        "[1, rules.bucket.name] == [1, 'x']",
        "[rules.install].sort()",
        "toMap(rules.install)",
        "[1].transformMapEntry(i, v, rules.install)",
        "[0][rules.install]",
        "rules.install < 3",
        "facts.?nope.orValue(rules.install)",
        "cel.bind(x, rules.install, x + 1)",
        "rules.install.optMap(x, 1)",
        "[rules.install].first()",
        "rules.install && rules.install",
        "gcpLabels({'a': rules.bucket.name})",
        "duration(rules.install)",
        "1 + 2 + rules.install + 3",
        "toMap([{'key': rules.install, 'value': 1}])",
    ];
    for source in sources {
        gives(&[(source, LATER)]);
    }
}

#[test]
fn what_does_not_depend_on_it_is_known() {
    gives(&[
        ("rules.install || true", "true"),
        ("true || rules.install", "true"),
        ("rules.install && false", "false"),
        ("false && rules.install", "false"),
        ("true ? 1 : rules.install", "1"),
        ("size([rules.install])", "1"),
        ("[rules.install, 1][1]", "1"),
        ("{'a': rules.install}.size()", "1"),
        ("has({'a': rules.install, 'b': 1}.b)", "true"),
        ("rules.bucket.exists", "false"),
        ("[rules.install, 'a'].exists(x, x == 'a')", "true"),
        ("[rules.install, 'a'].all(x, x == 'b')", "false"),
        ("'a' in [rules.install, 'a']", "true"),
        ("facts.cluster.?id.orValue(rules.install)", "\"demo-x7k2p\""),
        ("'a' in {'a': rules.install}", "true"),
    ]);
}

#[test]
fn it_may_be_nested_in_a_known_list_or_map() {
    gives(&[
        ("[1, rules.install]", "[1, (known after apply)]"),
        ("{'name': rules.bucket.name}", "{\"name\": (known after apply)}"),
        (
            "[1, 2].map(x, x == 1 ? rules.install : x)",
            "[(known after apply), 2]",
        ),
        (
            "merge({'a': rules.install}, {'b': 1})",
            "{\"a\": (known after apply), \"b\": 1}",
        ),
        ("[rules.install] + [1]", "[(known after apply), 1]"),
        (
            "toMap([{'key': 'a', 'value': rules.install}])",
            "{\"a\": (known after apply)}",
        ),
    ]);
}

#[test]
fn unknown_beats_error_when_undecided() {
    gives(&[
        ("rules.install || 1/0 == 1", LATER),
        ("1/0 == 1 || rules.install", LATER),
        ("1/0 == 1 && rules.install", LATER),
        ("[0, 1].all(x, x == 0 ? 1/x == 1 : rules.install)", LATER),
    ]);
}

#[test]
fn an_error_beside_an_unknown_operand_is_an_error() {
    gives(&[
        ("rules.install + facts.nope", "Missing { path: \"facts.nope\" }"),
        ("facts.nope + rules.install", "Missing { path: \"facts.nope\" }"),
        ("[rules.install, 1/0]", "DivideByZero"),
    ]);
}

#[test]
fn it_says_all_that_it_waits_for() {
    let Ok(Value::Unknown(unknown)) = evaluate("rules.bucket.name + '-' + rules.install.x") else {
        panic!("it is unknown")
    };
    let waits_for: Vec<&str> = unknown.waits_for.iter().map(String::as_str).collect();
    assert_eq!(waits_for, ["rules.bucket", "rules.install"]);
    assert!(!unknown.sensitive);
}
