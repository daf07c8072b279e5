//! Faults found before anything is evaluated.

use crate::fault;
use holdfast_expression::{Environment, Field, ObjectType, Program, Type};

fn environment() -> Environment {
    let cluster = ObjectType::closed(
        "facts.cluster",
        [
            ("id", Field::required(Type::String)),
            ("region", Field::optional(Type::String)),
        ],
    );
    let schedule = ObjectType::closed("facts.schedules", [("ttl", Field::optional(Type::String))]);
    let facts = ObjectType::closed(
        "facts",
        [
            ("cluster", Field::required(Type::Object(cluster))),
            ("installer", Field::optional(Type::Dyn)),
            ("schedules", Field::required(Type::list(Type::Object(schedule)))),
            ("count", Field::required(Type::Int)),
            ("labels", Field::required(Type::map(Type::String))),
        ],
    );
    let open = ObjectType::closed("self", [("name", Field::required(Type::String))]).open();
    Environment::new()
        .root("facts", Type::Object(facts))
        .root("self", Type::Object(open))
        .root("parameters", Type::Dyn)
}

fn faults(source: &str) -> Vec<String> {
    match Program::compile(source, &environment()) {
        Ok(program) => vec![format!("none: {:?}", program.result_type())],
        Err(errors) => errors.iter().map(fault).collect(),
    }
}

#[track_caller]
fn one(source: &str, expected: &str) {
    assert_eq!(faults(source), [expected], "{source}");
}

#[test]
fn an_unknown_field_of_a_closed_object_is_an_error_with_the_right_spelling() {
    one(
        "facts.cluser.platform == 'AWS'",
        "0..12: `facts.cluser` isn't defined (did you mean `cluster`?)",
    );
    one(
        "facts.nonsense",
        "0..14: `facts.nonsense` isn't defined (facts: cluster, count, installer, labels, schedules)",
    );
    one(
        "facts['cluser']",
        "0..15: `facts['cluser']` isn't defined (did you mean `cluster`?)",
    );
    one(
        "facts.?cluser",
        "0..13: `facts.?cluser` isn't defined (did you mean `cluster`?)",
    );
    one(
        "has(facts.cluster.regoin)",
        "4..24: `facts.cluster.regoin` isn't defined (did you mean `region`?)",
    );
    one(
        "facts.schedules.map(s, s.tl)",
        "23..27: `s.tl` isn't defined (did you mean `ttl`?)",
    );
    one(
        "facts.?cluster.?nope",
        "0..20: `facts.?cluster.?nope` isn't defined (facts.cluster: id, region)",
    );
}

#[test]
fn an_open_object_may_have_other_fields() {
    assert_eq!(faults("self.spec.x"), ["none: Dyn"]);
    assert_eq!(faults("self.name"), ["none: String"]);
}

#[test]
fn an_unknown_name_is_an_error_with_the_names_there_are() {
    one(
        "fact.cluster",
        "0..4: `fact` isn't defined (did you mean `facts`?)",
    );
    one(
        "x + 1",
        "0..1: `x` isn't defined (names here: facts, parameters, self)",
    );
    one(
        "facts.schedules.map(item, itme.ttl)",
        "26..30: `itme` isn't defined (did you mean `item`?)",
    );
    assert!(Program::compile("x", &Environment::new()).is_err());
}

#[test]
fn a_macro_variable_ends_with_its_macro() {
    one(
        "[1].map(x, x).size() + x",
        "23..24: `x` isn't defined (names here: facts, parameters, self)",
    );
    one(
        "cel.bind(y, y, 1)",
        "12..13: `y` isn't defined (names here: facts, parameters, self)",
    );
}

#[test]
fn an_unknown_function_is_an_error_with_the_right_spelling() {
    one(
        "'a'.lowerASCI()",
        "4..13: there is no method `lowerASCI` (did you mean `lowerAscii`?)",
    );
    one(
        "durration('1s')",
        "0..9: there is no function `durration` (did you mean `duration`?)",
    );
    one(
        "'1s'.duration()",
        "5..13: there is no method `duration` (it is written duration(…), not after a dot)",
    );
    one(
        "startsWith('a', 'b')",
        "0..10: there is no function `startsWith` (it is written after a value and a dot: a.startsWith(…))",
    );
    one(
        "[1].fitler(true)",
        "4..10: there is no method `fitler` (did you mean `filter`?)",
    );
    one(
        "base64.encoed('a')",
        "0..13: there is no function `base64.encoed` (did you mean `base64.encode`?)",
    );
    one("frobnicate()", "0..10: there is no function `frobnicate`");
}

#[test]
fn arguments_are_counted_and_their_types_checked() {
    one(
        "'a'.startsWith(1)",
        "0..17: `startsWith` can't be called as string.startsWith(int) (it is string.startsWith(string))",
    );
    one(
        "'a'.startsWith()",
        "0..16: `startsWith` can't be called as string.startsWith() (it is string.startsWith(string))",
    );
    one(
        "facts.count.size()",
        "0..18: `size` can't be called as int.size() (it is bytes.size(), or list.size(), or map.size(), or string.size())",
    );
    one(
        "facts.cluster.?region.lowerAscii()",
        "0..34: `lowerAscii` can't be called as optional.lowerAscii() (unwrap the optional with `.orValue(…)`)",
    );
    one(
        "days('1')",
        "0..9: `days` can't be called as days(string) (it is days(int))",
    );
}

#[test]
fn operators_between_types_that_do_not_fit_are_errors() {
    one(
        "'a' + 1",
        "4..5: `+` doesn't work between string and int (turn it into text with string(…))",
    );
    one("'a' - 'b'", "4..5: `-` doesn't work between string and string");
    one("[1] + {}", "4..5: `+` doesn't work between list and map");
    one(
        "facts.cluster.?region + 'a'",
        "22..23: `+` doesn't work between optional and string (unwrap the optional with `.orValue(…)`)",
    );
    one("1 < 'a'", "0..7: `<` doesn't work between int and string");
    one("[1] < [2]", "0..9: `<` doesn't work between list and list");
    one("5.5 % 2", "4..5: `%` doesn't work between double and int");
    one(
        "'a' in 'abc'",
        "7..12: `in` looks into a list or a map, and this is of type string",
    );
    one("-'a'", "0..4: `-` doesn't work on a value of type string");
    assert_eq!(faults("1 == 'a'"), ["none: Bool"]);
}

#[test]
fn where_a_bool_is_needed_only_a_bool_will_do() {
    one(
        "1 && true",
        "0..1: a bool is needed here, and this is of type int",
    );
    one(
        "true || 'x'",
        "8..11: a bool is needed here, and this is of type string",
    );
    one("!1", "1..2: a bool is needed here, and this is of type int");
    one(
        "facts.count ? 1 : 2",
        "0..11: a bool is needed here, and this is of type int",
    );
    one(
        "[1].filter(x, x)",
        "14..15: a bool is needed here, and this is of type int",
    );
    one(
        "facts.?installer && true",
        "0..16: a bool is needed here, and this is of type optional (unwrap the optional with `.orValue(…)`)",
    );
}

#[test]
fn fields_and_elements_are_of_maps_and_lists() {
    one(
        "facts.count.x",
        "12..13: `x` can't be a field here: this is of type int",
    );
    one(
        "facts.schedules.size",
        "16..20: `size` can't be a field here: this is of type list (call it: `.size(…)`)",
    );
    one(
        "facts.schedules['a']",
        "16..19: an index of a list is an int, and this is of type string",
    );
    one(
        "facts.labels[1]",
        "13..14: the keys here are strings, and this is of type int",
    );
    one(
        "facts.count[0]",
        "0..14: only lists and maps have elements, and this is of type int",
    );
    one(
        "{1.5: 1}",
        "1..4: a key is a string, an int or a bool, and this is of type double",
    );
    one(
        "{'a': 1, ?'b': 1}",
        "15..16: `?` is for optionals, and this is of type int (put a `?` before the name of what may be absent: a.?b.?(…))",
    );
}

#[test]
fn macros_say_how_they_are_called() {
    one(
        "has(parameters)",
        "0..15: `has` can't be called like this (it is has(a.b), with the field that may be absent; for a key: 'b' in a)",
    );
    one(
        "has(parameters[?'y'])",
        "0..21: `has` can't be called like this (it is has(a.b), with the field that may be absent; for a key: 'b' in a)",
    );
    one(
        "has(parameters.?x)",
        "0..18: `has` can't be called like this (it is has(a.b), with the field that may be absent; for a key: 'b' in a)",
    );
    one(
        "[1].map(1, 2)",
        "0..13: `map` can't be called like this (it is list.map(x, value) or list.map(x, condition, value))",
    );
    one(
        "[1].all(x)",
        "0..10: `all` can't be called like this (it is list.all(x, condition))",
    );
    one("[1].all(x, x, true)", "11..12: the two names must differ");
    one(
        "1.map(x, x)",
        "0..1: `map` runs over a list or a map, and this is of type int",
    );
    one(
        "facts.?installer.map(x, x)",
        "0..16: `map` runs over a list or a map, and this is of type optional (unwrap the optional: `.orValue([])`)",
    );
    one(
        "cel.bind(1, 2, 3)",
        "0..17: `cel.bind` can't be called like this (it is cel.bind(name, value, expression))",
    );
    one(
        "facts.count.orValue(1)",
        "0..11: `orValue` is for optionals, and this is of type int (put a `?` before the name of what may be absent: a.?b.orValue(…))",
    );
}

#[test]
fn a_mistake_in_a_literal_shows_at_once() {
    one(
        "duration('90x')",
        "9..14: this text isn't a duration (such as 90d, 1h30m or 1.5s)",
    );
    one(
        "timestamp('today')",
        "10..17: this text isn't a timestamp (such as 2030-01-31T12:00:00Z)",
    );
    one(
        "quantity('1gb')",
        "9..14: this text isn't a quantity (such as 500m, 2 or 1Gi)",
    );
    one(
        "'a'.matches('(')",
        "12..15: this isn't a regular expression (it is RE2 syntax, without look-around and back-references)",
    );
}

#[test]
fn all_faults_are_found_at_once() {
    assert_eq!(
        faults("facts.cluser + fact.x && 'a'.lower()"),
        [
            "0..12: `facts.cluser` isn't defined (did you mean `cluster`?)",
            "15..19: `fact` isn't defined (did you mean `facts`?)",
            "29..34: there is no method `lower`",
        ]
    );
}

#[test]
fn types_are_inferred() {
    for (source, expected) in [
        ("facts.cluster.id", "String"),
        ("facts.count + 1", "Int"),
        ("facts.count + 0.5", "Double"),
        ("facts.cluster.?region", "Optional(String)"),
        ("facts.cluster.?region.orValue('x')", "String"),
        ("facts.?cluster.region", "Optional(String)"),
        ("facts.?cluster.?region", "Optional(String)"),
        ("facts.schedules.map(s, s.?ttl.orValue('1h'))", "List(String)"),
        ("facts.labels.transformMap(k, v, v + 'x')", "Map(String)"),
        ("facts.labels.filter(k, true)", "List(String)"),
        ("true ? 1 : 2", "Int"),
        ("true ? 1 : 'a'", "Dyn"),
        ("'a,b'.split(',')", "List(String)"),
        ("[1, 2].max()", "Int"),
        ("parameters.x + 'a'", "String"),
        ("parameters.x == 1", "Bool"),
        ("{'a': 1}", "Map(Int)"),
        ("{1: 'a'}", "Dyn"),
        ("[]", "List(Dyn)"),
        ("[1, 'a']", "List(Dyn)"),
        ("facts.labels.x", "String"),
        ("facts.labels[?'x']", "Optional(String)"),
        ("days(1) + timestamp(0)", "Timestamp"),
        ("cel.bind(x, 1, x)", "Int"),
        ("null", "Null"),
        ("[1].first()", "Optional(Int)"),
        ("[1].first().value()", "Int"),
        ("merge({'a': 1}, facts.labels)", "Map(Dyn)"),
        ("size('a')", "Int"),
        ("optional.of(1)", "Optional(Int)"),
        ("facts.cluster.?id.optMap(i, i.size())", "Optional(Int)"),
    ] {
        assert_eq!(faults(source), [format!("none: {expected}")], "{source}");
    }
}
