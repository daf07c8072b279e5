//! One bucket, and always the same: whatever is lost, whoever is killed, whoever else is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use holdfast_e2e::{NAMESPACE, Stage, on_stage, path};
use holdfast_testbed::{Action, Request, Rule};
use serde_json::json;

const APPLY: [&str; 5] = ["apply", "policies/managed-velero", "--yes", "--timeout", "60s"];
const OTHERS: &str = "managed-velero-backups-0d9c1a5e-3b77-4a52-9c86-5f1e2a7b8c90";

fn status() -> String {
    let install = path(
        "managed.openshift.io/v1alpha2",
        "VeleroInstall",
        NAMESPACE,
        "cluster",
    );
    format!("{install}/status")
}

#[test]
fn a_recorded_name_is_recalled_when_the_ledger_is_lost() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        stage.delete_ledger().await;
        let (apply, witness) = stage.witness(&APPLY).await;
        drop(apply.exits(0));
        assert_eq!(stage.our_buckets().await, [bucket.as_str()]);
        assert_eq!(stage.bucket().await.as_deref(), Some(bucket.as_str()));
        assert!(!witness.s3.iter().any(Request::is_write), "{}", witness.lines());
        let ledger = stage.ledger().await.expect("the ledger is made again");
        assert_eq!(ledger["names"]["bucket"], json!(bucket), "{ledger:#}");
    });
}

#[test]
fn the_ledger_restores_a_record_that_was_wiped() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        stage.api.patch(&status(), &json!({ "status": null })).await;
        assert_eq!(stage.bucket().await, None);
        let (apply, witness) = stage.witness(&APPLY).await;
        drop(apply.exits(0));
        assert_eq!(stage.bucket().await.as_deref(), Some(bucket.as_str()));
        assert_eq!(stage.our_buckets().await, [bucket]);
        assert!(!witness.s3.iter().any(Request::is_write), "{}", witness.lines());
    });
}

#[test]
fn a_bucket_that_nobody_remembers_is_found_by_its_tags() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        stage.delete_ledger().await;
        stage.api.patch(&status(), &json!({ "status": null })).await;
        drop(stage.apply().await.exits(0));
        assert_eq!(stage.bucket().await.as_deref(), Some(bucket.as_str()));
        assert_eq!(stage.our_buckets().await, [bucket]);
    });
}

#[test]
fn a_record_and_a_ledger_that_differ_stop_the_bucket_and_name_both() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let patch = json!({ "status": { "storageBucket": { "name": "somebody-elses" } } });
        stage.api.patch(&status(), &patch).await;
        let (plan, witness) = stage
            .witness(&["plan", "policies/managed-velero", "--detailed-exitcode"])
            .await;
        drop(plan.exits(2).says("somebody-elses").says(&bucket));
        assert_eq!(witness.writes(), [""; 0]);
        let (apply, witness) = stage
            .witness(&["apply", "policies/managed-velero", "--yes", "--timeout", "5s"])
            .await;
        drop(apply.exits(2).says("somebody-elses").says(&bucket));
        assert!(!witness.s3.iter().any(Request::is_write), "{}", witness.lines());
        let patch = json!({ "status": { "storageBucket": { "name": bucket } } });
        stage.api.patch(&status(), &patch).await;
        assert_eq!(stage.converged().await, bucket);
    });
}

/// Starts an apply that is killed when the store gets its call to make the bucket, before or after that takes effect.
async fn killed_at_the_creation(stage: &Stage, then: Action) {
    let pid = Arc::new(AtomicU32::new(0));
    let victim = Arc::clone(&pid);
    let kill = Action::run(move || {
        let pid = victim.load(Ordering::SeqCst).to_string();
        let status = std::process::Command::new("kill").args(["-9", &pid]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -9 {pid}");
    });
    // The only request with this method and without a query.
    for action in [kill, then] {
        stage.s3.inject(Rule::new(action).method("PUT").query(""));
    }
    let run = stage.begin(&APPLY, &[]);
    pid.store(run.pid(), Ordering::SeqCst);
    let output = run.finish().await;
    assert_eq!(
        output.code, None,
        "it wasn't killed: {}{}",
        output.stdout, output.stderr
    );
    stage.s3.heal();
}

#[test]
fn kill_9_before_the_bucket_is_made_leaves_a_name_and_then_one_bucket() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        killed_at_the_creation(stage, Action::Reset).await;
        assert_eq!(
            stage.our_buckets().await,
            [""; 0],
            "the call didn't reach the store"
        );
        let name = stage
            .bucket()
            .await
            .expect("the name was recorded before the call");

        // The dead one's lease still stands, and says whose it is.
        let refused = stage.holdfast(&APPLY).await.exits(1);
        assert!(
            refused.stderr.contains("holdfast apply on "),
            "{}",
            refused.stderr
        );
        stage.delete_lease().await;
        drop(stage.apply().await.exits(0));
        assert_eq!(stage.our_buckets().await, [name]);
    });
}

#[test]
fn kill_9_after_the_bucket_is_made_leads_to_no_second_one() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        killed_at_the_creation(stage, Action::DropAnswer).await;
        let name = stage
            .bucket()
            .await
            .expect("the name was recorded before the call");
        assert_eq!(
            stage.our_buckets().await,
            [name.as_str()],
            "the call reached the store"
        );
        stage.delete_lease().await;
        drop(stage.apply().await.exits(0));
        assert_eq!(stage.our_buckets().await, [name.as_str()]);
        assert_eq!(stage.bucket().await, Some(name));
        drop(stage.plan().await.exits(0));
    });
}

#[test]
fn an_answer_that_is_lost_leads_to_no_second_bucket() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        stage
            .s3
            .inject(Rule::new(Action::DropAnswer).method("PUT").query("").first(1));
        drop(stage.apply().await.exits(0));
        let name = stage.bucket().await.expect("a recorded name");
        assert_eq!(stage.our_buckets().await, [name]);
    });
}

#[test]
fn another_clusters_bucket_is_never_adopted_nor_touched() {
    on_stage(async |stage| {
        let store = stage.store();
        let before = (
            store.read(OTHERS, "tagging").await,
            store.read(OTHERS, "lifecycle").await,
        );
        stage.forget_the_bucket().await;
        let (apply, witness) = stage.witness(&APPLY).await;
        drop(apply.exits(0));
        let written: Vec<_> = witness
            .s3
            .iter()
            .filter(|request| request.is_write() && request.path.contains(OTHERS))
            .collect();
        assert!(written.is_empty(), "{written:?}");
        assert_ne!(stage.bucket().await.as_deref(), Some(OTHERS));
        assert_eq!(
            (
                store.read(OTHERS, "tagging").await,
                store.read(OTHERS, "lifecycle").await
            ),
            before
        );
    });
}

#[test]
fn a_record_that_names_another_clusters_bucket_is_refused() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let store = stage.store();
        let before = (
            store.read(OTHERS, "tagging").await,
            store.read(OTHERS, "lifecycle").await,
        );
        stage.delete_ledger().await;
        let patch = json!({ "status": { "storageBucket": { "name": OTHERS } } });
        stage.api.patch(&status(), &patch).await;
        let apply = ["apply", "policies/managed-velero", "--yes", "--timeout", "5s"];
        let (apply, witness) = stage.witness(&apply).await;
        drop(apply.exits(2).says("it belongs to another").says("other-9qz4m"));
        assert!(!witness.s3.iter().any(Request::is_write), "{}", witness.lines());
        assert_eq!(
            (
                store.read(OTHERS, "tagging").await,
                store.read(OTHERS, "lifecycle").await
            ),
            before
        );
        stage.delete_ledger().await;
        stage
            .api
            .patch(
                &status(),
                &json!({ "status": { "storageBucket": { "name": bucket } } }),
            )
            .await;
        assert_eq!(stage.converged().await, bucket);
    });
}
