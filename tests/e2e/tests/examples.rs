//! Every policy that is shipped, in the sandbox: valid, planned, applied, kept.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;

use holdfast_e2e::{changes, root, sandbox};

fn examples() -> Vec<String> {
    let folder = root().join("examples");
    let entries = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut examples: Vec<_> = entries.map(|name| format!("examples/{name}")).collect();
    examples.push("policies/managed-velero".to_owned());
    examples.sort();
    examples
}

fn snapshot_name(policy: &str) -> String {
    policy.rsplit('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn every_shipped_policy_is_valid() {
    for policy in examples() {
        let validate = sandbox(&["validate", &policy]).await.exits(0);
        assert!(
            validate.stdout.contains(" is valid: "),
            "{policy}: {}",
            validate.stdout
        );
        assert_eq!(validate.stderr, "", "{policy}");
    }
}

#[tokio::test]
async fn every_shipped_policy_plans_as_it_did() {
    for policy in examples() {
        let plan = sandbox(&["plan", &policy, "--sandbox"]).await.exits(0);
        assert_eq!(plan.stderr, "", "{policy}");
        insta::assert_snapshot!(snapshot_name(&policy), without_times(&plan.stdout));
    }
}

#[tokio::test]
async fn a_plan_is_the_same_however_often_it_is_made() {
    for policy in examples() {
        let first = sandbox(&["plan", &policy, "--sandbox", "--output", "json"])
            .await
            .exits(0);
        let second = sandbox(&["plan", &policy, "--sandbox", "--output", "json"])
            .await
            .exits(0);
        let [first, second] = [first, second].map(|plan| without_times(&plan.stdout));
        assert!(first == second, "{policy}");
    }
}

#[tokio::test]
async fn every_shipped_policy_converges_and_its_plan_is_then_empty() {
    let folder = tempfile::tempdir().unwrap();
    for policy in examples() {
        let state = state(folder.path(), &policy);
        let apply = sandbox(&["apply", &policy, &state]).await.exits(0);
        assert!(apply.stdout.contains(" converged."), "{policy}: {}", apply.stdout);
        let plan = sandbox(&["plan", &policy, &state, "--detailed-exitcode"])
            .await
            .exits(0);
        let plan = plan.says("Plan: 0 to create, 0 to change, 0 to delete; ");
        drop(plan);
        let again = sandbox(&["apply", &policy, &state]).await.exits(0);
        drop(again.says("Apply: 0 created, 0 changed, 0 deleted in "));
    }
}

#[tokio::test]
async fn drift_that_a_person_types_into_the_state_file_shows_up_and_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "policies/managed-velero";
    let state = state(folder.path(), policy);
    drop(sandbox(&["apply", policy, &state]).await.exits(0));
    let file = folder.path().join("managed-velero.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    for from in ["days: 90", "value: /plugins"] {
        assert!(text.contains(from), "no {from} in\n{text}");
    }
    let drifted = text
        .replace("days: 90", "days: 30")
        .replace("value: /plugins", "value: /elsewhere");
    std::fs::write(&file, &drifted).unwrap();

    let plan = sandbox(&["plan", policy, &state, "--detailed-exitcode"])
        .await
        .exits(2);
    insta::assert_snapshot!("drift", without_times(&without_names(&plan.stdout)));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        drifted,
        "a plan writes nothing"
    );
    let json = sandbox(&["plan", policy, &state, "--output", "json"])
        .await
        .exits(0);
    let changed = changes(&json.report());
    assert_eq!(changed.len(), 2, "{changed:?}");

    drop(
        sandbox(&["apply", policy, &state])
            .await
            .exits(0)
            .says("0 created, 2 changed, 0 deleted"),
    );
    let mended = std::fs::read_to_string(&file).unwrap();
    assert!(
        mended.contains("days: 90") && !mended.contains("days: 30") && mended.contains("value: /plugins")
    );
    drop(
        sandbox(&["plan", policy, &state, "--detailed-exitcode"])
            .await
            .exits(0),
    );
}

/// What an owner can set is seen in the plan.
#[tokio::test]
async fn parameters_reach_the_plan() {
    let plan = ["plan", "policies/managed-velero", "--sandbox", "--output", "json"];
    let set = [
        "--set",
        "expiryDays=30",
        "--set",
        "manageAccess=false",
        "--set",
        "tags={\"cost\":\"4711\"}",
    ];
    let plan = sandbox(&[&plan[..], &set].concat()).await.exits(0);
    let changed = changes(&plan.report());
    assert!(
        !changed.keys().any(|address| address.starts_with("access")),
        "{changed:?}"
    );
    assert!(plan.stdout.contains("\"4711\"") && plan.stdout.contains("\"new\": 30,"));
}

/// The wrong use of the program, and what it says.
#[tokio::test]
async fn wrong_usage_is_an_error_like_any_other() {
    drop(sandbox(&["plan"]).await.exits(1).says("PATH"));
    drop(
        sandbox(&["plan", "policies/nowhere", "--sandbox"])
            .await
            .exits(3)
            .says("policies/nowhere"),
    );
    drop(
        sandbox(&["plan", "examples/bucket", "--sandbox", "--set", "nam=x"])
            .await
            .exits(3)
            .says("name"),
    );
    let apply = sandbox(&["apply", "examples/bucket", "--kubeconfig", "/nonexistent"]).await;
    drop(apply.exits(1));
}

fn state(folder: &Path, policy: &str) -> String {
    let file = folder.join(format!("{}.yaml", snapshot_name(policy)));
    format!("--sandbox={}", file.display())
}

/// The time at which a plan is made is one of the things that go into it.
fn without_times(text: &str) -> String {
    let shape = |part: &str| -> String {
        part.chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect()
    };
    let (mut out, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        let time = rest
            .get(..20)
            .filter(|part| shape(part) == "0000-00-00T00:00:00Z");
        let skipped = if time.is_some() {
            out.push_str("(a time)");
            20
        } else {
            out.push(next);
            next.len_utf8()
        };
        rest = rest.get(skipped..).unwrap_or_default();
    }
    out
}

/// Generated names differ from run to run.
fn without_names(text: &str) -> String {
    let mut parts = text.split("managed-velero-backups-");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == '-' || c == '…');
        out.push_str("managed-velero-backups-…");
        out.push_str(rest);
    }
    out
}
