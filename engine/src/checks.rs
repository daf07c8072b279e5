//! Checks: what a policy wants to be told, and never a gate.

use std::fmt;

use holdfast_policy::{Check, CheckSeverity, Place};
use serde::Serialize;

use crate::address::Address;
use crate::evaluate::{Evaluator, NoAnswer};
use crate::scope::Roots;

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckResult {
    /// Of which rule or instance.
    pub address: String,
    /// What it found.
    pub verdict: Verdict,
    /// Its message; for an unknown one, why it can't be told.
    pub message: String,
    /// How bad a failure is.
    pub severity: CheckSeverity,
    /// The controls that it stands for.
    pub controls: Vec<String>,
    /// Where it stands.
    pub place: Place,
}

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It doesn't.
    Fail,
    /// It can't be told.
    Unknown,
    /// There is nothing to check.
    Skip,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Skip => "skip",
        })
    }
}

/// Runs `checks` on what `roots` show.
#[must_use]
pub fn run(address: &Address, checks: &[Check], roots: &Roots, evaluator: Evaluator<'_>) -> Vec<CheckResult> {
    checks
        .iter()
        .map(|check| one(address, check, roots, evaluator))
        .collect()
}

/// The results of `checks` where there is nothing to check.
#[must_use]
pub fn skip(address: &Address, checks: &[Check]) -> Vec<CheckResult> {
    checks
        .iter()
        .map(|check| {
            result(
                address,
                check,
                Verdict::Skip,
                check.that.program.source().to_owned(),
            )
        })
        .collect()
}

fn one(address: &Address, check: &Check, roots: &Roots, evaluator: Evaluator<'_>) -> CheckResult {
    match evaluator.condition(&check.that, roots) {
        Ok(holds) => {
            let verdict = if holds { Verdict::Pass } else { Verdict::Fail };
            let message = match &check.message {
                Some(template) => evaluator
                    .text(template, roots)
                    .unwrap_or_else(|_| template.source.clone()),
                None => check.that.program.source().to_owned(),
            };
            result(address, check, verdict, message)
        }
        Err(no) => result(address, check, Verdict::Unknown, unknown(check, &no)),
    }
}

fn unknown(check: &Check, no: &NoAnswer) -> String {
    let what = check
        .message
        .as_ref()
        .map_or_else(|| check.that.program.source().to_owned(), |m| m.source.clone());
    format!("{what}: can't be told, {}", no.sentence())
}

fn result(address: &Address, check: &Check, verdict: Verdict, message: String) -> CheckResult {
    CheckResult {
        address: address.to_string(),
        verdict,
        message,
        severity: check.severity,
        controls: check.controls.clone(),
        place: check.place.clone(),
    }
}
