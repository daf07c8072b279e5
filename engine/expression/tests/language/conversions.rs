use crate::gives;

#[test]
fn text_becomes_numbers_and_bools() {
    gives(&[
        ("int('42')", "42"),
        ("int('-1')", "-1"),
        ("int('x')", "Conversion"),
        ("int('1.5')", "Conversion"),
        ("int('')", "Conversion"),
        ("double('1.5')", "1.5"),
        ("double('x')", "Conversion"),
        ("bool('true')", "true"),
        ("bool('F')", "false"),
        ("bool('yes')", "Conversion"),
        ("uint('7')", "7"),
        ("uint('-7')", "Argument"),
    ]);
}

#[test]
fn a_double_becomes_an_int_without_its_fraction() {
    gives(&[
        ("int(1.9)", "1"),
        ("int(-1.9)", "-1"),
        ("int(1e30)", "Overflow"),
        ("int(9223372036854775808.0)", "Overflow"),
        ("int(-9223372036854775808.0)", "Overflow"),
        ("int(0.0/0.0)", "Overflow"),
        ("double(3)", "3"),
        ("type(double(3)) == double", "true"),
    ]);
}

#[test]
fn everything_scalar_becomes_text() {
    gives(&[
        ("string(1)", "\"1\""),
        ("string(1.0)", "\"1\""),
        ("string(1.5)", "\"1.5\""),
        ("string(1e23)", "\"1e23\""),
        ("string(true)", "\"true\""),
        ("string('a')", "\"a\""),
        ("string(b'a')", "\"a\""),
        ("string(b'\\xff')", "Conversion"),
        ("string(duration('1h30m'))", "\"5400s\""),
        ("string(duration('1.5s'))", "\"1.5s\""),
        (
            "string(timestamp('2024-01-02T03:04:05.5+01:00'))",
            "\"2024-01-02T02:04:05.5Z\"",
        ),
        ("string(quantity('1024Mi'))", "\"1Gi\""),
        ("string(dyn([1]))", "Type"),
        ("string(dyn(null))", "Type"),
    ]);
}

#[test]
fn types_are_values() {
    gives(&[
        ("type(1) == int", "true"),
        ("type('a') == string", "true"),
        ("type([]) == list", "true"),
        ("type({}) == map", "true"),
        ("type(null) == null_type", "true"),
        ("type(true)", "bool"),
        ("type(1) == type(1.0)", "false"),
        ("type(type(1)) == type", "true"),
        ("type(duration('1s'))", "duration"),
    ]);
}

#[test]
fn timestamps_and_seconds_convert() {
    gives(&[
        ("int(timestamp('1970-01-01T00:01:00Z'))", "60"),
        ("timestamp(60)", "1970-01-01T00:01:00Z"),
        ("timestamp(9223372036854775807)", "Overflow"),
    ]);
}
