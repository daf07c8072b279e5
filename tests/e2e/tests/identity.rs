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

use holdfast_e2e::{NAMESPACE, Stage, on_stage, path, resource};
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
        // What stood in the status stands: `provisioned` is never false in between.
        let written = witness.kubernetes.iter().filter(|event| event.is_write());
        let records: Vec<_> = written
            .filter(|event| event.resource == "veleroinstalls")
            .collect();
        assert!(records.is_empty(), "{records:?}");
        let ledger = stage.ledger().await.expect("the ledger is made again");
        assert_eq!(ledger["names"]["bucket"], json!(bucket), "{ledger:#}");
        assert_eq!(ledger["accounts"]["s3"], "000000000000", "{ledger:#}");
        assert!(ledger["cluster"].is_string(), "{ledger:#}");
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

const SHORT: [&str; 5] = ["apply", "policies/managed-velero", "--yes", "--timeout", "8s"];
const PLAN: [&str; 3] = ["plan", "policies/managed-velero", "--detailed-exitcode"];

#[test]
fn a_ledger_of_another_cluster_or_account_is_refused_in_one_sentence() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        // There is something to repair.
        stage.store().unset(&bucket, "publicAccessBlock").await;
        let own = stage.ledger().await.expect("a ledger");
        for (part, theirs, says) in [
            (
                "cluster",
                json!("00000000-0000-4000-8000-00000000beef"),
                "belongs to another cluster (00000000-0000-4000-8000-00000000beef",
            ),
            (
                "accounts",
                json!({ "s3": "111122223333" }),
                "is of account 111122223333, and these credentials of s3 are account 000000000000's",
            ),
        ] {
            stage.edit_ledger(|ledger| ledger[part] = theirs).await;
            let (plan, witness) = stage.witness(&PLAN).await;
            drop(plan.exits(2).says(says));
            assert_eq!(witness.writes(), [""; 0], "{part}");
            let (apply, witness) = stage.witness(&SHORT).await;
            drop(apply.exits(2).says(says));
            assert!(!witness.s3.iter().any(Request::is_write), "{}", witness.lines());
            stage.edit_ledger(|ledger| *ledger = own.clone()).await;
        }
        assert_eq!(stage.converged().await, bucket);
    });
}

#[test]
fn a_bucket_is_gone_only_after_three_proofs_and_none_is_made_in_its_place() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        // Not to be found, and listed all the same: that proves nothing.
        stage.s3.inject(
            Rule::new(Action::status(404))
                .method("HEAD")
                .path(&format!("/{bucket}")),
        );
        stage
            .s3
            .inject(Rule::new(Action::error(404, "NoSuchBucket")).path(&format!("/{bucket}")));
        drop(
            stage
                .holdfast(&SHORT)
                .await
                .exits(2)
                .says("the list of all has it"),
        );
        stage.s3.heal();
        drop(stage.plan().await.exits(0));
        assert!(stage.ledger().await.unwrap().get("missing").is_none());

        stage.store().delete(&bucket).await;
        for count in 1..=3 {
            let apply = stage.holdfast(&SHORT).await.exits(2);
            let proofs = stage.ledger().await.unwrap()["missing"]["bucket"].clone();
            assert_eq!(proofs.as_array().map(Vec::len), Some(count), "{proofs}");
            let (plan, witness) = stage
                .witness(&[
                    "plan",
                    "policies/managed-velero",
                    "--detailed-exitcode",
                    "--output",
                    "json",
                ])
                .await;
            let report = plan.exits(2).report();
            assert_eq!(witness.writes(), [""; 0]);
            let vanished = &resource(&report, "bucket")["vanished"];
            assert_eq!(
                vanished["proofs"].as_array().map(Vec::len),
                Some(count),
                "{vanished}"
            );
            assert_eq!(vanished["proven"], count == 3, "{vanished}");
            if count < 3 {
                drop(apply.says(&format!("{count} of 3 proofs")));
                // As if that had been three minutes ago.
                stage
                    .edit_ledger(|ledger| {
                        for proof in ledger["missing"]["bucket"].as_array_mut().unwrap() {
                            *proof = json!(earlier(proof.as_str().unwrap()));
                        }
                    })
                    .await;
            } else {
                drop(
                    apply
                        .says("vanished: it was there, and is gone")
                        .says("onVanish: Recreate"),
                );
            }
        }
        assert_eq!(stage.our_buckets().await, [""; 0]);
        assert_eq!(
            stage.bucket().await.as_deref(),
            Some(bucket.as_str()),
            "its name stays"
        );
        stage.forget_the_bucket().await;
    });
}

/// Three minutes before a time as the ledger writes it.
fn earlier(time: &str) -> String {
    use time::format_description::well_known::Rfc3339;
    let time = time::OffsetDateTime::parse(time, &Rfc3339).unwrap() - time::Duration::minutes(3);
    time.format(&Rfc3339).unwrap()
}

#[test]
fn where_all_memory_is_lost_no_bucket_is_made_before_a_second_search() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        stage.delete_ledger().await;
        stage.api.patch(&status(), &json!({ "status": null })).await;
        stage.store().delete(&bucket).await;
        let (plan, witness) = stage.witness(&PLAN).await;
        drop(
            plan.exits(2)
                .says("bears this policy's label")
                .says("the search is repeated a minute later"),
        );
        assert_eq!(witness.writes(), [""; 0]);
        let (apply, witness) = stage.witness(&SHORT).await;
        drop(apply.exits(2).says("the search is repeated a minute later"));
        assert!(!witness.s3.iter().any(Request::is_write), "{}", witness.lines());
        assert!(stage.ledger().await.unwrap()["madeAnew"].is_string());
        // As if that had been long ago.
        stage
            .edit_ledger(|ledger| ledger["madeAnew"] = json!("2026-01-01T00:00:00Z"))
            .await;
        drop(stage.apply().await.exits(0));
        assert_eq!(stage.our_buckets().await.len(), 1);
    });
}

#[test]
fn a_store_that_shows_the_old_value_for_a_while_is_neither_drift_nor_a_fight() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        stage.store().unset(&bucket, "publicAccessBlock").await;
        // From the look before our write on, and for some looks after it.
        for number in 2..=6 {
            let rule = Rule::new(Action::Stale).method("GET").path(&format!("/{bucket}"));
            stage.s3.inject(rule.query("publicAccessBlock").nth(number));
        }
        let (apply, witness) = stage.witness(&APPLY).await;
        drop(apply.exits(0).says("the old value is still to be seen"));
        let writes: Vec<_> = witness.s3.iter().filter(|request| request.is_write()).collect();
        assert_eq!(writes.len(), 1, "{}", witness.lines());
        drop(stage.plan().await.exits(0));
    });
}

#[test]
fn what_the_programs_state_is_kept_in_is_no_policys_to_manage() {
    on_stage(async |stage| {
        let folder = stage.home().join("own-ground");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("policy.yaml");
        std::fs::write(
            &file,
            "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: { name: own }\nspec:\n  language: 1\n  rules:\n    \
             ledger: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: own, namespace: kept } } }\n    \
             lease: { ensure: kubernetes/Object, desired: { apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: { name: own, namespace: kept } } }\n    \
             home: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: Namespace, metadata: { name: kept } } }\n",
        )
        .unwrap();
        let file = file.display().to_string();
        let plan = ["plan", &file, "--output", "json", "--state-namespace", "kept"];
        let report = stage.holdfast(&plan).await.exits(0).report();
        for address in ["ledger", "lease", "home"] {
            let resource = resource(&report, address);
            assert_eq!(resource["phase"], "Blocked", "{resource:#}");
            assert!(
                resource["reason"]
                    .as_str()
                    .unwrap()
                    .contains("it would saw off what it stands on"),
                "{resource:#}"
            );
        }
        // Elsewhere they are objects like any other.
        let report = stage.holdfast(&plan[..4]).await.exits(0).report();
        assert_eq!(resource(&report, "home")["action"], "create", "{report:#}");
    });
}
