//! From nothing to converged, and what that costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::time::Duration;

use holdfast_e2e::{NAMESPACE, Stage, on_stage, path};
use holdfast_testbed::{Action, Rule, round_trips};
use serde_json::Value;

const PLAN: [&str; 2] = ["plan", "policies/managed-velero"];
const APPLY: [&str; 5] = ["apply", "policies/managed-velero", "--yes", "--timeout", "30s"];

/// The story of a cluster's first day, told in the order in which it happens.
#[test]
fn managed_velero_goes_from_nothing_to_converged_and_stays_there() {
    on_stage(async |stage| {
        a_plan_of_what_is_not_there_yet_writes_nothing(stage).await;
        one_apply_makes_all_of_it(stage).await;
        the_bucket_is_as_the_policy_says(stage).await;
        what_the_program_keeps_stays_out_of_backups(stage).await;
        a_plan_after_the_apply_is_empty_and_cheap(stage).await;
        a_second_apply_writes_nothing(stage).await;
        what_others_need_no_longer_be_awaited(stage).await;
    });
}

async fn a_plan_of_what_is_not_there_yet_writes_nothing(stage: &Stage) {
    let (plan, witness) = stage.witness(&PLAN).await;
    let plan = plan
        .exits(0)
        .says("Nothing was written.")
        .says("to create, 0 to change, 0 to delete");
    assert_eq!(witness.writes(), [""; 0], "{}", plan.stdout);
    assert!(!witness.kubernetes.is_empty(), "the witness saw nothing at all");
    let (pending, witness) = stage.witness(&[PLAN[0], PLAN[1], "--detailed-exitcode"]).await;
    drop(pending.exits(2));
    assert_eq!(witness.writes(), [""; 0]);
}

async fn one_apply_makes_all_of_it(stage: &Stage) {
    let (apply, witness) = stage.witness(&APPLY).await;
    let apply = apply.exits(0).says("converged.");
    println!("from nothing to converged: {}", witness.summary());
    println!("{}", apply.stdout);
    // About 118; on a machine that does other things too, some more for what isn't ready at once.
    assert!(
        witness.kubernetes.len() <= 135,
        "{}\n{}",
        witness.summary(),
        witness.lines()
    );
    assert!(
        witness.s3.len() <= 40,
        "{}\n{}",
        witness.summary(),
        witness.lines()
    );

    // The bucket's name stands in VeleroInstall's status before the store hears of it.
    let recorded = witness
        .kubernetes
        .iter()
        .filter(|event| {
            event.is_write() && event.resource == "veleroinstalls" && event.subresource == "status"
        })
        .map(|event| event.finished)
        .min()
        .expect("the name is recorded");
    let made: Vec<_> = witness
        .s3
        .iter()
        .filter(|request| request.method == "PUT" && request.query.is_empty())
        .collect();
    assert_eq!(made.len(), 1, "one bucket is made, by one call: {made:?}");
    assert!(recorded < made[0].started, "{}", witness.lines());
    let bucket = stage.bucket().await.expect("a recorded name");
    assert_eq!(made[0].path.trim_matches('/'), bucket);
    assert_eq!(stage.our_buckets().await, [bucket]);

    let available = stage
        .object("apps/v1", "Deployment", "velero")
        .await
        .expect("Velero runs");
    assert_eq!(available["status"]["availableReplicas"], 1);
    let install = stage
        .object("managed.openshift.io/v1alpha2", "VeleroInstall", "cluster")
        .await
        .unwrap();
    assert_eq!(install["status"]["storageBucket"]["provisioned"], true);
    assert!(install["status"]["storageBucket"]["lastSyncTimestamp"].is_string());
}

async fn the_bucket_is_as_the_policy_says(stage: &Stage) {
    let bucket = stage.bucket().await.expect("a recorded name");
    let store = stage.store();
    let tags = store.tags(&bucket).await;
    for (key, value) in [
        ("velero.io/backup-location", "default"),
        ("velero.io/infrastructureName", "demo-x7k2p"),
        ("team", "platform"),
        ("environment", "demo"),
    ] {
        assert_eq!(tags.get(key).map(String::as_str), Some(value), "{tags:?}");
    }
    assert!(store.read(&bucket, "encryption").await.contains("AES256"));
    assert_eq!(
        store
            .read(&bucket, "publicAccessBlock")
            .await
            .matches("true")
            .count(),
        4
    );
    assert!(
        store
            .read(&bucket, "ownershipControls")
            .await
            .contains("BucketOwnerEnforced")
    );
    let lifecycle = store.read(&bucket, "lifecycle").await;
    assert!(
        lifecycle.contains("<Days>90</Days>") && lifecycle.contains("<DaysAfterInitiation>7</"),
        "{lifecycle}"
    );
    assert!(store.read(&bucket, "location").await.contains("us-east-2"));
}

async fn what_the_program_keeps_stays_out_of_backups(stage: &Stage) {
    for (api_version, kind) in [("v1", "ConfigMap"), ("coordination.k8s.io/v1", "Lease")] {
        let kept = stage
            .api
            .get(&path(api_version, kind, "holdfast-system", "managed-velero"))
            .await;
        let kept = kept.unwrap_or_else(|| panic!("no {kind}"));
        assert_eq!(
            kept["metadata"]["labels"]["velero.io/exclude-from-backup"], "true",
            "{kept:#}"
        );
    }
    let ledger = stage.ledger().await.expect("a ledger");
    assert_eq!(
        ledger["names"]["bucket"].as_str(),
        stage.bucket().await.as_deref(),
        "{ledger:#}"
    );
}

async fn a_plan_after_the_apply_is_empty_and_cheap(stage: &Stage) {
    // Requests that are made at once overlap whatever else the machine does.
    stage
        .s3
        .inject(Rule::new(Action::Delay(Duration::from_millis(500))));
    let (plan, witness) = stage.witness(&[PLAN[0], PLAN[1], "--detailed-exitcode"]).await;
    stage.s3.heal();
    let plan = plan
        .says("Plan: 0 to create, 0 to change, 0 to delete; ")
        .exits(0);
    println!("a plan of the converged state: {}", witness.summary());
    println!("{}", plan.stdout);
    assert_eq!(witness.writes(), [""; 0]);
    assert!(
        witness.kubernetes.len() <= 30,
        "{}\n{}",
        witness.summary(),
        witness.lines()
    );
    let dry_runs: Vec<_> = witness.kubernetes.iter().filter(|event| event.dry_run).collect();
    assert!(dry_runs.is_empty(), "{dry_runs:?}");
    assert_eq!(round_trips(&witness.s3), 1, "{}", witness.lines());
}

async fn a_second_apply_writes_nothing(stage: &Stage) {
    let versions = |objects: Vec<Value>| -> Vec<Value> {
        objects
            .into_iter()
            .map(|object| object["metadata"]["generation"].clone())
            .collect()
    };
    let deployments = path("apps/v1", "Deployment", NAMESPACE, "");
    let before = versions(stage.api.list(&deployments).await);
    let (apply, witness) = stage.witness(&APPLY).await;
    let apply = apply.exits(0).says("0 created, 0 changed, 0 deleted");
    assert_eq!(witness.writes_beside_the_lease(), [""; 0], "{}", apply.stdout);
    assert_eq!(versions(stage.api.list(&deployments).await), before);
}

async fn what_others_need_no_longer_be_awaited(stage: &Stage) {
    let (apply, witness) = stage
        .witness(&["apply", "policies/managed-velero", "--yes", "--no-wait"])
        .await;
    drop(apply.exits(0));
    assert_eq!(witness.writes_beside_the_lease(), [""; 0]);
}
