//! Every fault of a policy is told with its place, its line and a hint, word for word as in `faults/<case>/expected.txt`.
//!
//! `UPDATE_EXPECTED=1` writes those files anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use holdfast_policy::{Diagnostics, load, render, validate};

/// What `holdfast validate` would say of the policy in `folder`.
fn said(folder: &Path) -> String {
    let loaded = match load(folder) {
        Ok(loaded) => loaded,
        Err(faults) => return relative(&render(&faults, 100, false), folder),
    };
    let mut all = String::new();
    for loaded in loaded {
        match validate(&loaded, &support::registry()) {
            Err(faults) => all.push_str(&render(&faults, 100, false)),
            Ok(policy) => {
                let mut notes = Diagnostics::new();
                policy.sources.iter().for_each(|source| notes.add_source(source));
                policy.warnings.iter().for_each(|note| notes.push(note.clone()));
                all.push_str("valid\n\n");
                all.push_str(&render(&notes, 100, false));
            }
        }
    }
    relative(&all, folder)
}

/// The text with paths as seen from `folder`.
fn relative(text: &str, folder: &Path) -> String {
    text.replace(&format!("{}/", folder.display()), "")
        .replace(&folder.display().to_string(), ".")
}

#[test]
fn every_fault_is_told_as_expected() {
    let mut cases: Vec<PathBuf> = fs::read_dir("tests/faults")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    assert!(cases.len() > 40, "the cases are gone");
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    for case in cases {
        let said = said(&case);
        let file = case.join("expected.txt");
        if update {
            fs::write(&file, &said).unwrap();
        } else if fs::read_to_string(&file).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", case.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "UPDATE_EXPECTED=1 writes these anew:\n\n{}",
        wrong.join("\n\n")
    );
}
