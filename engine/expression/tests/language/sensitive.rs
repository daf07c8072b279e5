use crate::{evaluate, gives};
use holdfast_expression::{Unknown, Value};

const HIDDEN: &str = "(sensitive value)";

#[test]
fn a_sensitive_operand_makes_the_result_sensitive() {
    for source in [
        "parameters.password",
        "parameters.password + '-x'",
        "'x-' + parameters.password",
        "parameters.password == 'hunter2'",
        "parameters.password != 'x'",
        "parameters.login.user",
        "parameters.login['pin']",
        "parameters.login.pin + 1",
        "-parameters.login.pin",
        "parameters.login.pin < 5000",
        "parameters.password.size()",
        "parameters.password.startsWith('h')",
        "base64.encode(parameters.password)",
        "parameters.password in ['a']",
        "'k1' in parameters.keys",
        "'user' in parameters.login",
        "has(parameters.login.user)",
        "has(parameters.login.nope)",
        "parameters.?login.user",
        "parameters.login.?nope",
        "parameters.login.?nope.orValue(1)",
        "parameters.?password.orValue('x') + 'y'",
        "parameters.password == 'x' ? 1 : 2",
        "parameters.keys.size()",
        "parameters.keys.map(k, 1)",
        "parameters.keys.filter(k, true)",
        "parameters.keys.all(k, k != '')",
        "parameters.keys.exists(k, k == 'k1')",
        "parameters.keys.exists_one(k, k == 'k1')",
        "['a'].filter(x, x == parameters.password)",
        "['a'].exists(x, x == parameters.password)",
        "parameters.login.transformMap(k, v, v)",
        "parameters.keys.join(',')",
        "[parameters.password].join(',')",
        "'%s'.format([parameters.password])",
        "[parameters.password] == ['x']",
        "{parameters.password: 1}",
        "[1, 2][parameters.login.pin - 1234]",
        "parameters.keys[0]",
        "parameters.keys.first()",
        "json(string(parameters.login.pin))",
        "cel.bind(x, parameters.password, x + x)",
        "!(parameters.password == 'x')",
        "parameters.login == {}",
        "[?parameters.login.?user]",
        "[parameters.login.pin].sum()",
        "[parameters.login.pin, 3].max()",
        "parameters.login.?user.optMap(u, u + '!')",
        "type(parameters.password)",
        "parameters.password == 'x' || true",
        "parameters.password == 'x' && true",
    ] {
        gives(&[(source, HIDDEN)]);
    }
}

#[test]
fn that_a_sensitive_parameter_is_set_is_no_secret() {
    gives(&[
        ("has(parameters.password)", "true"),
        ("has(parameters.nope)", "false"),
        ("parameters.?password.hasValue()", "true"),
        ("'password' in parameters", "true"),
        ("size(parameters)", "5"),
    ]);
}

#[test]
fn only_what_holds_it_is_sensitive() {
    gives(&[
        ("[1, parameters.password]", "[1, (sensitive value)]"),
        (
            "{'a': 1, 'b': parameters.password}",
            "{\"a\": 1, \"b\": (sensitive value)}",
        ),
        ("{'a': 1, 'b': parameters.password}.a", "1"),
        ("parameters.namespace", "\"velero\""),
        ("true || parameters.password == 'x'", "true"),
        ("[1, parameters.password].size()", "2"),
        (
            "merge({'a': parameters.password}, {'b': 1})",
            "{\"a\": (sensitive value), \"b\": 1}",
        ),
    ]);
}

#[test]
fn elements_of_a_sensitive_list_are_sensitive_in_the_loop() {
    let Ok(Value::Sensitive(list)) = evaluate("parameters.keys.map(k, k + '!')") else {
        panic!("it is sensitive")
    };
    let elements = list.expose().as_list().unwrap();
    assert!(
        elements
            .iter()
            .all(|element| matches!(element, Value::Sensitive(_))),
        "{elements:?}"
    );
}

#[test]
fn the_content_is_kept_and_comes_out_by_expose_only() {
    let Ok(Value::Sensitive(secret)) = evaluate("'x-' + parameters.password") else {
        panic!("it is sensitive")
    };
    assert_eq!(secret.expose(), &Value::from("x-hunter2"));
    assert_eq!(
        format!("{secret} {secret:?}"),
        "(sensitive value) (sensitive value)"
    );
}

#[test]
fn what_is_unknown_too_remembers_that_it_is_sensitive() {
    for source in [
        "rules.key",
        "rules.key + 'x'",
        "rules.install + parameters.password",
        "parameters.password + rules.install",
        "rules.key || parameters.password == 'x'",
        "rules.install == parameters.password",
        "parameters.keys.filter(k, rules.install)",
    ] {
        let Ok(Value::Unknown(Unknown { sensitive, .. })) = evaluate(source) else {
            panic!("{source} is unknown")
        };
        assert!(sensitive, "{source}");
    }
}

#[test]
fn no_fault_shows_an_operand() {
    for source in [
        "int(parameters.password)",
        "parameters.password + 1",
        "json(parameters.password)",
        "yaml(parameters.password)",
        "duration(parameters.password)",
        "timestamp(parameters.password)",
        "quantity(parameters.password)",
        "'x'.matches('(' + parameters.password)",
        "base64.decode(parameters.password + '?')",
        "facts[parameters.password]",
        "parameters.login[parameters.password]",
        "parameters.password.charAt(99)",
        "parameters.password < 3",
        "parameters.password ? 1 : 2",
        "'%d'.format([parameters.password])",
        "[parameters.password, 1].max()",
        "parameters.password.nope",
        "gcpLabels({'a': 1, parameters.password: 2})",
        "timestamp(0).getHours(parameters.password)",
        "bool(parameters.password)",
        "toMap([parameters.password])",
    ] {
        let error = evaluate(source).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2"), "{source}: {text}");
    }
}
