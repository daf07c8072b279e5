//! A policy plans alike as a file and as a resource, whose server keeps no order of keys.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

#[path = "support/documents.rs"]
mod documents;
mod support;

use documents::{folders, reversed};
use holdfast_engine::Clock;
use holdfast_engine::Report;
use holdfast_policy::{bundle, load};
use serde_json::Value;
use support::{Case, root};

/// The report without what tells where in the policy something stands, and when it was made.
fn told(report: &Report) -> Value {
    fn without_places(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(without_places),
            Value::Object(fields) => {
                fields.retain(|key, _| !["place", "manifest", "since", "until"].contains(&key.as_str()));
                fields.values_mut().for_each(without_places);
            }
            // Sentences name the place in brackets.
            Value::String(text) => {
                for (start, end) in [("(hold, ", ")"), ("(policy.yaml:", ")"), ("(spec.", ")")] {
                    if let Some((before, rest)) = text.split_once(start) {
                        *text = format!("{before}{}", rest.split_once(end).unwrap().1);
                    }
                }
            }
            _ => {}
        }
    }
    let mut told = serde_json::to_value(report).unwrap();
    without_places(&mut told);
    told
}

#[tokio::test(start_paused = true)]
async fn a_policy_plans_alike_as_a_file_and_as_a_resource_in_any_order_of_keys() {
    let folders = folders(&root());
    assert!(folders.len() > 12, "the policies are gone");
    for folder in folders {
        // Plans hold times.
        let clock = Clock::steady();
        let planned = async |mut case: Case| {
            case.engine.clock = clock;
            told(&case.plan().await)
        };
        let expected = planned(Case::folder(&folder)).await;
        let document = bundle(&load(&folder).unwrap()[0]).unwrap();
        for document in [reversed(&document), document] {
            let found = planned(Case::document(&document, &folder)).await;
            assert_eq!(
                serde_json::to_string_pretty(&found).unwrap(),
                serde_json::to_string_pretty(&expected).unwrap(),
                "{}",
                folder.display()
            );
        }
    }
}

#[tokio::test]
async fn a_plan_tells_of_a_resource_by_its_paths() {
    let folder = root().join("policies/managed-velero");
    let document = bundle(&load(&folder).unwrap()[0]).unwrap();
    let report = Case::document(&document, &folder).plan().await;
    let bucket = report
        .resources
        .iter()
        .find(|one| one.address == "bucket")
        .unwrap();
    assert_eq!(bucket.place.to_string(), "resource spec.rules.bucket.cases[0]");
    assert_eq!(bucket.place.short(), "spec.rules.bucket.cases[0]");
    let manifests = report.resources.iter().filter_map(|one| one.manifest.as_deref());
    let crds: Vec<&str> = manifests.filter(|file| file.starts_with("crds/")).collect();
    assert!(!crds.is_empty());
}
