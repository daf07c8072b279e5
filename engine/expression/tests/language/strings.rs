use crate::gives;

#[test]
fn length_and_indexes_count_code_points() {
    gives(&[
        ("'héllo'.size()", "5"),
        ("size('😀😀')", "2"),
        ("'é😀x'.charAt(1)", "\"😀\""),
        ("'é😀x'.charAt(3)", "\"\""),
        ("'é😀x'.charAt(4)", "Index"),
        ("'a'.charAt(-1)", "Index"),
        ("'é😀x'.substring(1)", "\"😀x\""),
        ("'é😀x'.substring(1, 2)", "\"😀\""),
        ("'abc'.substring(3)", "\"\""),
        ("'abc'.substring(2, 1)", "Index"),
        ("'abc'.substring(0, 4)", "Index"),
        ("'é😀x'.indexOf('x')", "2"),
        ("'é😀x'.lastIndexOf('x')", "2"),
        ("'é😀'.reverse()", "\"😀é\""),
    ]);
}

#[test]
fn parts_are_found() {
    gives(&[
        ("'velero'.contains('ler')", "true"),
        ("'velero'.contains('')", "true"),
        ("'velero'.startsWith('vel')", "true"),
        ("'velero'.endsWith('ro')", "true"),
        ("'velero'.endsWith('vel')", "false"),
        ("'abcab'.indexOf('ab')", "0"),
        ("'abcab'.indexOf('ab', 1)", "3"),
        ("'abcab'.indexOf('x')", "-1"),
        ("'abc'.indexOf('')", "0"),
        ("'abc'.indexOf('', 2)", "2"),
        ("'abc'.indexOf('a', 4)", "Index"),
        ("'abcab'.lastIndexOf('ab')", "3"),
        ("'abcab'.lastIndexOf('ab', 2)", "0"),
        ("'abcab'.lastIndexOf('ab', 3)", "3"),
        ("'abc'.lastIndexOf('')", "3"),
        ("'abc'.lastIndexOf('x')", "-1"),
        ("'éaé'.lastIndexOf('é', 1)", "0"),
    ]);
}

#[test]
fn case_changes_ascii_letters_only() {
    gives(&[
        ("'TacoCÉ'.lowerAscii()", "\"tacocÉ\""),
        ("'tacoé'.upperAscii()", "\"TACOé\""),
    ]);
}

#[test]
fn replace_takes_all_or_a_number_of_them() {
    gives(&[
        ("'hello'.replace('l', 'L')", "\"heLLo\""),
        ("'hello'.replace('l', 'L', 1)", "\"heLlo\""),
        ("'hello'.replace('l', 'L', 0)", "\"hello\""),
        ("'hello'.replace('l', 'L', -1)", "\"heLLo\""),
        ("'ab'.replace('', '-')", "\"-a-b-\""),
        ("'ab'.replace('', '-', 2)", "\"-a-b\""),
        ("'aaa'.replace('aa', 'b')", "\"ba\""),
    ]);
}

#[test]
fn split_and_join_are_inverse() {
    gives(&[
        ("'a,b,c'.split(',')", "[\"a\", \"b\", \"c\"]"),
        ("'a,b,c'.split(',', 2)", "[\"a\", \"b,c\"]"),
        ("'a,b'.split(',', 0)", "[]"),
        ("'a,b'.split(',', 1)", "[\"a,b\"]"),
        ("'a,b'.split(',', -1)", "[\"a\", \"b\"]"),
        ("'aé'.split('')", "[\"a\", \"é\"]"),
        ("'abc'.split('', 2)", "[\"a\", \"bc\"]"),
        ("''.split(',')", "[\"\"]"),
        ("''.split('')", "[]"),
        ("['a', 'b'].join()", "\"ab\""),
        ("['a', 'b'].join('-')", "\"a-b\""),
        ("[].join('-')", "\"\""),
        ("[1].join()", "Argument"),
        ("'a,b,c'.split(',').join(',')", "\"a,b,c\""),
    ]);
}

#[test]
fn trim_takes_blanks_of_all_sorts() {
    gives(&[("' \\t\\n\\u2003x y\\u2003 '.trim()", "\"x y\"")]);
}

#[test]
fn patterns_search_anywhere() {
    gives(&[
        ("'velero-1'.matches('[0-9]')", "true"),
        ("'velero'.matches('^[0-9]+$')", "false"),
        ("matches('abc', 'b')", "true"),
        ("'a1b22'.find('[0-9]+')", "\"1\""),
        ("'ab'.find('[0-9]+')", "\"\""),
        ("'a1b22'.findAll('[0-9]+')", "[\"1\", \"22\"]"),
        ("'a1b22'.findAll('[0-9]+', 1)", "[\"1\"]"),
        ("'x'.findAll('[0-9]+')", "[]"),
        ("'é'.matches('^.$')", "true"),
        ("'x'.matches(string('('))", "Argument"),
        ("'x'.matches('(')", "Argument"),
    ]);
}

#[test]
fn format_fills_in_values() {
    gives(&[
        ("'%s is %d'.format(['a', 1])", "\"a is 1\""),
        ("'%s'.format([[1, 'a', {'k': null}]])", "\"[1, a, {k: null}]\""),
        ("'%.2f'.format([1.005])", "\"1.00\""),
        ("'%f'.format([1.5])", "\"1.500000\""),
        ("'%.3e'.format([1234.5])", "\"1.234e+03\""),
        ("'%e'.format([0.5])", "\"5.000000e-01\""),
        ("'%x %X'.format([255, 255])", "\"ff FF\""),
        ("'%x'.format(['hi'])", "\"6869\""),
        ("'%o'.format([8])", "\"10\""),
        ("'%b'.format([5])", "\"101\""),
        ("'%b'.format([true])", "\"1\""),
        ("'%d'.format([-5])", "\"-5\""),
        ("'%x'.format([-255])", "\"-ff\""),
        ("'100%%'.format([])", "\"100%\""),
        ("'%s'.format([duration('90s')])", "\"90s\""),
        ("'%s %s'.format([true, 1.5])", "\"true 1.5\""),
        ("'%s'.format([])", "Argument"),
        ("''.format([1])", "Argument"),
        ("'%q'.format([1])", "Argument"),
        ("'%'.format([])", "Argument"),
        ("'%d'.format(['x'])", "Argument"),
        ("'%.101f'.format([1.0])", "Argument"),
    ]);
}

#[test]
fn plus_joins_text() {
    gives(&[
        ("'a' + 'b' + 'c'", "\"abc\""),
        ("b'a' + b'\\x01'", "b\"a\\u{1}\""),
        ("dyn('a') + dyn(1)", "Type"),
    ]);
}

#[test]
fn base64_goes_both_ways() {
    gives(&[
        ("base64.encode(b'hello')", "\"aGVsbG8=\""),
        ("base64.encode('hello')", "\"aGVsbG8=\""),
        ("base64.decode('aGVsbG8=')", "b\"hello\""),
        ("base64.decode('aGVsbG8')", "b\"hello\""),
        ("string(base64.decode('aGk='))", "\"hi\""),
        ("base64.decode('?')", "Conversion"),
    ]);
}

#[test]
fn literals_come_in_all_their_forms() {
    gives(&[
        ("'a\\u00e9\\x41\\101\\n' == \"aéAA\\n\"", "true"),
        (r"r'\d' == '\\d'", "true"),
        ("'''it's''' == \"it's\"", "true"),
        ("b'é'.size()", "2"),
        ("'é'.size()", "1"),
        ("bytes('é') == b'é'", "true"),
        ("size(b'\\xff')", "1"),
    ]);
}

#[test]
fn json_and_yaml_become_values() {
    gives(&[
        (
            "json('{\"a\": [1, 2.5, null], \"b\": null}')",
            "{\"a\": [1, 2.5, null]}",
        ),
        ("json('{')", "Conversion"),
        ("yaml('{\"a\": 1}').a", "1"),
        ("json('18446744073709551615') > 0", "true"),
        ("has(json('{\"b\": null}').b)", "false"),
    ]);
}
