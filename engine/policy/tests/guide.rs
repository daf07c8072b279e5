//! The whole policies in the guide are valid as they stand there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use holdfast_policy::{load, render, validate};

const GUIDE: &str = include_str!("../../../docs/language.md");

#[test]
fn whole_policies_of_the_guide_are_valid() {
    let blocks = GUIDE.split("```yaml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let policies: Vec<&str> = blocks
        .filter(|block| block.starts_with("apiVersion: holdfast.dev/"))
        .collect();
    assert!(!policies.is_empty(), "the guide has lost its first policy");
    for policy in policies {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policy.yaml"), policy).unwrap();
        let loaded = load(folder.path()).unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)));
        for loaded in loaded {
            if let Err(faults) = validate(&loaded, &support::registry()) {
                panic!("{}", render(&faults, 100, false));
            }
        }
    }
}
