//! Whole policies are valid, and say what they should.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use std::path::Path;

use holdfast_policy::{ValidPolicy, load, render, validate};

fn policy(name: &str) -> ValidPolicy {
    let path = Path::new("tests/policies").join(name);
    let loaded = load(&path).unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)));
    assert_eq!(loaded.len(), 1);
    validate(&loaded[0], &support::registry())
        .unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)))
}

#[test]
fn fleet_is_valid() {
    policy("fleet");
}
#[test]
fn guardrails_is_valid() {
    policy("guardrails");
}
#[test]
fn managed_velero_is_valid() {
    policy("managed-velero");
}
#[test]
fn mixed_is_valid() {
    policy("mixed");
}
#[test]
fn velero_is_valid() {
    policy("velero");
}
