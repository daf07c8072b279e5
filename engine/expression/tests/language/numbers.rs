use crate::gives;

#[test]
fn ints_add_subtract_multiply_and_divide() {
    gives(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 3 - 2", "5"),
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("7 % 3", "1"),
        ("-7 % 3", "-1"),
        ("7 % -3", "1"),
        ("- -3", "3"),
        ("-(3)", "-3"),
        ("0x10 + 1u", "17"),
        ("2 * 3 / 4 % 5", "1"),
        ("1 - 2 + 3", "2"),
    ]);
}

#[test]
fn int_overflow_is_an_error() {
    gives(&[
        ("9223372036854775807 + 1", "Overflow"),
        ("-9223372036854775808 - 1", "Overflow"),
        ("9223372036854775807 * 2", "Overflow"),
        ("-(-9223372036854775808)", "Overflow"),
        ("-9223372036854775808 / -1", "Overflow"),
        ("-9223372036854775808 % -1", "Overflow"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
    ]);
}

#[test]
fn an_int_divided_by_zero_is_an_error_and_a_double_is_infinite() {
    gives(&[
        ("1 / 0", "DivideByZero"),
        ("1 % 0", "DivideByZero"),
        ("1.0 / 0.0", "+Inf"),
        ("1 / 0.0", "+Inf"),
        ("0.0 / 0.0", "NaN"),
    ]);
}

#[test]
fn ints_and_doubles_compute_together_as_doubles() {
    gives(&[
        ("1 + 0.5", "1.5"),
        ("3 / 2.0", "1.5"),
        ("2.5 * 2", "5"),
        ("type(1 + 1.0) == double", "true"),
        ("type(1 + 1) == int", "true"),
        ("5.5 % 2.0", "Type"),
    ]);
}

#[test]
fn numbers_compare_by_amount_without_rounding() {
    gives(&[
        ("1 == 1.0", "true"),
        ("1 < 1.5", "true"),
        ("2 > 1.5", "true"),
        ("-1 == -1.0", "true"),
        ("-1 > -1.5", "true"),
        ("9007199254740993 == 9007199254740992.0", "false"),
        ("9007199254740993 > 9007199254740992.0", "true"),
        ("9223372036854775807 < 9223372036854775808.0", "true"),
        ("-9223372036854775808 == -9223372036854775808.0", "true"),
        ("1 < 1.0/0.0", "true"),
        ("1 > -1.0/0.0", "true"),
    ]);
}

#[test]
fn what_is_no_number_equals_nothing_and_has_no_order() {
    gives(&[
        ("0.0/0.0 == 0.0/0.0", "false"),
        ("0.0/0.0 != 0.0/0.0", "true"),
        ("0.0/0.0 < 1", "false"),
        ("1 < 0.0/0.0", "false"),
        ("0.0/0.0 >= 1.0", "false"),
    ]);
}

#[test]
fn different_types_are_unequal_without_an_error() {
    gives(&[
        ("1 == '1'", "false"),
        ("1 != '1'", "true"),
        ("true == 1", "false"),
        ("null == 0", "false"),
        ("null == null", "true"),
        ("[] == {}", "false"),
        ("'a' == b'a'", "false"),
        ("duration('1s') == 1", "false"),
    ]);
}

#[test]
fn an_order_between_types_is_an_error() {
    gives(&[
        ("dyn(1) < dyn('1')", "Type"),
        ("dyn(true) < dyn(1)", "Type"),
        ("dyn([1]) < dyn([2])", "Type"),
        ("dyn(null) <= dyn(null)", "Type"),
    ]);
}

#[test]
fn text_bools_and_bytes_have_an_order() {
    gives(&[
        ("'a' < 'b'", "true"),
        ("'Z' < 'a'", "true"),
        ("'z' < 'é'", "true"),
        ("'a' <= 'a'", "true"),
        ("false < true", "true"),
        ("b'a' < b'b'", "true"),
        ("'10' < '9'", "true"),
    ]);
}

#[test]
fn comparisons_join_from_the_left() {
    gives(&[
        ("1 == 1 == true", "true"),
        ("1 < 2 == true", "true"),
        ("1 + 1 < 3", "true"),
    ]);
}
