//! Whatever is given for a policy, the answer is a policy or faults: soon, and never a panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::fmt::Write;
use std::time::{Duration, Instant};

use holdfast_policy::{Code, load_text, render, validate};
use proptest::prelude::*;

const EXAMPLES: &[&str] = &[
    include_str!("policies/managed-velero/policy.yaml"),
    include_str!("policies/mixed/policy.yaml"),
    include_str!("policies/velero/policy.yaml"),
    include_str!("policies/guardrails/policy.yaml"),
    include_str!("faults/unquoted_ternary/policy.yaml"),
    include_str!("faults/tag/policy.yaml"),
];

/// The codes of what is wrong with `text`. Rendering is part of it: places must lie within the text.
fn codes(text: &str) -> Vec<Code> {
    match validate(&load_text("policy.yaml", text), &support::registry()) {
        Ok(_) => Vec::new(),
        Err(faults) => {
            assert!(!render(&faults, 100, false).is_empty());
            faults.items().iter().map(|fault| fault.code).collect()
        }
    }
}

fn header() -> String {
    "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: { name: example }\nspec:\n  language: 1\n"
        .to_owned()
}

/// Between the second that each takes on an idle machine, without optimisation, and the hours that one without its bound
/// would take. Far from both: a busy machine is no fault.
const SOON: Duration = Duration::from_mins(2);

fn ends_soon_with(text: &str, code: Code) {
    let start = Instant::now();
    let codes = codes(text);
    assert!(codes.contains(&code), "{codes:?}");
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[test]
fn a_huge_text_ends_soon() {
    ends_soon_with(&"a".repeat(50 * 1024 * 1024), Code::TooLarge);
    ends_soon_with(&format!("a: [{}]", "[1, 2], ".repeat(200_000)), Code::TooLarge);
}

#[test]
fn bombs_end_soon() {
    ends_soon_with(&format!("a: {}", "[".repeat(1_000_000)), Code::TooDeep);
    ends_soon_with(&format!("a: {}", "{ a: ".repeat(500_000)), Code::TooDeep);
    let mut text = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        writeln!(
            text,
            "b{level}: &a{level} [{}]",
            vec![format!("*a{}", level - 1); 10].join(", ")
        )
        .unwrap();
    }
    ends_soon_with(&text, Code::AliasBomb);
}

#[test]
fn many_faults_end_soon() {
    let mut text = header() + "  variables:\n";
    for number in 0..5_000 {
        writeln!(text, "    v{number}: ${{facts.f{number}}}").unwrap();
    }
    ends_soon_with(&text, Code::Undefined);
    let mut text = header()
        + "  variables:
";
    for number in 0..5_000 {
        writeln!(text, "    v{number}: ${{a ? b : c}}").unwrap();
    }
    ends_soon_with(&text, Code::Yaml);
}

#[test]
fn a_thousand_rules_that_use_one_another_are_valid_soon() {
    let mut text = header() + "  rules:\n";
    for number in 0..1_000 {
        let before = if number == 0 {
            "first".to_owned()
        } else {
            format!("${{rules.r{}.name}}", number - 1)
        };
        writeln!(
            text,
            "    r{number}: {{ ensure: s3/Bucket, name: \"r{number}\", desired: {{ tags: {{ before: \"{before}\" }} }} }}"
        )
        .unwrap();
    }
    let start = Instant::now();
    assert_eq!(codes(&text), []);
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[test]
fn a_long_line_of_templates_ends_soon() {
    let items = "\"${parameters.a}\", ".repeat(20_000);
    let text = format!(
        "{}  parameters: {{ a: {{ type: string }} }}\n  variables: {{ v: [ {items} ] }}\n",
        header()
    );
    let start = Instant::now();
    assert_eq!(codes(&text), []);
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        codes(&text);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        codes(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_words_of_yaml_are_answered(words in proptest::collection::vec(
        prop::sample::select(vec![
            "spec:", "rules:", "\n", "\n  ", "\n    ", "- ", "{ ", " }", "[", "]", ", ", "a: ", "? ", "!x ", "&a ", "*a", "${", "}",
            "|", ">-", "'", "\"", "#", "---", "~", "é", "\t", "when: ", "desired: ", "$when: ", "$forEach: ", "x.y", "..", "\\",
        ]), 0..60)
    ) {
        codes(&(header() + "  " + &words.concat()));
    }

    #[test]
    fn a_policy_with_a_part_replaced_is_answered(
        which in 0..EXAMPLES.len(), at in any::<prop::sample::Index>(), length in 0usize..40, new in "[ -~\\n]{0,12}"
    ) {
        let text = EXAMPLES[which];
        let mut start = at.index(text.len());
        while !text.is_char_boundary(start) { start -= 1; }
        let mut end = (start + length).min(text.len());
        while !text.is_char_boundary(end) { end += 1; }
        codes(&format!("{}{new}{}", &text[..start], &text[end..]));
    }

    #[test]
    fn a_policy_cut_short_is_answered(which in 0..EXAMPLES.len(), at in any::<prop::sample::Index>()) {
        let text = EXAMPLES[which];
        let mut end = at.index(text.len());
        while !text.is_char_boundary(end) { end -= 1; }
        codes(&text[..end]);
    }
}
