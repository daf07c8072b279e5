//! Pure cases, one folder each under `cases/`: a policy, the world it meets, and the plan that comes of it.
//!
//! `UPDATE_EXPECTED=1 cargo test -p holdfast-engine --test cases` writes each `plan.txt` anew; read what changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod support;

use std::path::Path;

use holdfast_engine::report::{TextOptions, plan_text};
use support::Case;

#[tokio::test]
async fn every_case_plans_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() > 5, "the cases are gone");
    let mut wrong = Vec::new();
    for folder in folders {
        let case = Case::folder(&folder);
        let report = case.plan().await;
        let plan = plan_text(&report, TextOptions::default());
        assert_eq!(case.writes(), 0, "a plan writes nothing");
        assert_eq!(
            plan,
            plan_text(&case.plan().await, TextOptions::default()),
            "the same input gives the same plan"
        );
        let file = folder.join("plan.txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&file, &plan).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if plan != expected {
            wrong.push(format!(
                "{}\n--- expected\n{expected}\n--- planned\n{plan}",
                folder.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
