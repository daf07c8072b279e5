use super::parse;

fn message(source: &str) -> String {
    let error = parse(source).unwrap_err();
    let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!(
        "{}..{}: {}{hint}",
        error.span.start, error.span.end, error.message
    )
}

#[test]
fn faults_of_syntax_are_told_in_plain_words() {
    assert_eq!(message(""), "0..0: an expression is missing here");
    assert_eq!(
        message("1 +"),
        "3..3: a value is expected here, but the expression ends"
    );
    assert_eq!(
        message("(1"),
        "2..2: `)` is expected here, but the expression ends"
    );
    assert_eq!(message("1 2"), "2..3: the expression is complete before `2`");
    assert_eq!(
        message("a and b"),
        "2..5: the expression is complete before `and` (write `&&`)"
    );
    assert_eq!(message("not a"), "0..3: there is no operator `not` (write `!`)");
    assert_eq!(
        message("a.true"),
        "2..6: `true` can't be a field name here (write ['true'] instead of .true)"
    );
    assert_eq!(
        message("[1, 'x' 2]"),
        "8..9: `]` is expected here, but there is `2`"
    );
    assert_eq!(message("{1}"), "2..3: `:` is expected here, but there is `}`");
    assert_eq!(message("let"), "0..3: `let` is a reserved word");
    assert_eq!(message("9223372036854775808"), "0..19: this int is out of range");
}

#[test]
fn the_smallest_int_can_be_written() {
    assert!(parse("-9223372036854775808").is_ok());
    assert!(parse("-9223372036854775809").is_err());
}

#[test]
fn reserved_words_are_legal_after_a_dot() {
    assert!(parse("a.namespace.for.if").is_ok());
}

#[test]
fn trailing_commas_are_allowed() {
    assert!(parse("[1, 2,]").is_ok());
    assert!(parse("{'a': 1,}").is_ok());
    assert!(parse("[,]").is_err());
}

#[test]
fn a_long_chain_is_not_deep() {
    assert_eq!(parse(&vec!["1"; 1000].join("+")).unwrap().depth, 2);
    assert_eq!(parse(&vec!["a"; 1000].join("||")).unwrap().depth, 2);
}

#[test]
fn deep_nesting_ends_with_an_error_on_a_small_stack() {
    let deep = [
        format!("{}1{}", "(".repeat(5000), ")".repeat(5000)),
        format!("{}1{}", "[".repeat(5000), "]".repeat(5000)),
        format!("{}a", "!".repeat(5000)),
        format!("{}a", "-".repeat(5000)),
        format!("a{}", ".a".repeat(5000)),
        format!("a{}", "[0]".repeat(5000)),
        format!("{}1", "a?b:".repeat(2000)),
        format!("{}1{}", "a?".repeat(2000), ":1".repeat(2000)),
        format!("{}1", "a||b&&c==d+e*-f(".repeat(1000)),
        vec!["1"; 1000].join("=="),
        format!("{}a{}", "(".repeat(60), ".a)".repeat(60).repeat(2)),
    ];
    let parsed = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
        for source in deep {
            assert!(parse(&source).is_err(), "{source}");
        }
    });
    parsed.unwrap().join().unwrap();
}
