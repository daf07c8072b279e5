//! The page of guarantees names tests that exist.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use holdfast_e2e::root;

const PAGE: &str = include_str!("../../../docs/guarantees.md");

/// The links from a name in code font to a file: `[`name`](../path)`.
fn links(text: &str) -> Vec<(&str, &str)> {
    text.split("[`")
        .skip(1)
        .filter_map(|rest| {
            let (name, rest) = rest.split_once("`](../")?;
            let (path, _) = rest.split_once(')')?;
            Some((name, path))
        })
        .collect()
}

#[test]
fn every_guarantee_names_a_test_that_is_there() {
    let mut sources: BTreeMap<&str, String> = BTreeMap::new();
    let mut missing = BTreeSet::new();
    for (name, path) in links(PAGE) {
        let source = sources.entry(path).or_insert_with(|| {
            std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
        });
        if !source.contains(&format!("fn {name}(")) {
            missing.insert(format!("{name} in {path}"));
        }
    }
    assert!(
        missing.is_empty(),
        "docs/guarantees.md names what isn't there: {missing:#?}"
    );
}

#[test]
fn each_of_the_ten_promises_has_tests() {
    let chapters: Vec<&str> = PAGE.split("\n## ").skip(1).collect();
    assert_eq!(chapters.len(), 10);
    for (number, chapter) in (1..).zip(chapters) {
        assert!(chapter.starts_with(&format!("{number}. ")), "{chapter}");
        assert!(!links(chapter).is_empty(), "no test shows this: {chapter}");
    }
}
