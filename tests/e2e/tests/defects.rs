//! What the operator before this one did wrong with S3, each shown to be impossible here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;

use holdfast_e2e::{NAMESPACE, changes, on_stage, path, resource};
use holdfast_testbed::{Action, Answer, Request, Rule};
use serde_json::json;

const APPLY: [&str; 5] = ["apply", "policies/managed-velero", "--yes", "--timeout", "60s"];
const KMS: &str = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
     <SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>arn:aws:kms:us-east-2:000000000000:key/own</KMSMasterKeyID>\
     </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>\
     </ServerSideEncryptionConfiguration>";

/// It added up the matching tags of all buckets, and took the last one it had seen.
#[test]
fn tags_of_several_buckets_do_not_add_up_to_one_that_is_ours() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        let store = stage.store();
        let (one, other) = ("half-by-location", "half-by-cluster");
        let tags = json!({ "region": "us-east-2", "tags": { "velero.io/backup-location": "default" } });
        store.create(one, &tags).await;
        let tags = json!({ "region": "us-east-2", "tags": { "velero.io/infrastructureName": "demo-x7k2p" } });
        store.create(other, &tags).await;
        let before = (store.tags(one).await, store.tags(other).await);
        let (apply, witness) = stage.witness(&APPLY).await;
        drop(apply.exits(0));
        let bucket = stage.bucket().await.unwrap();
        assert!(bucket != one && bucket != other, "{bucket}");
        let touched = witness
            .s3
            .iter()
            .filter(|request| request.is_write() && request.path.contains("half-by"));
        assert_eq!(touched.count(), 0, "{}", witness.lines());
        assert_eq!((store.tags(one).await, store.tags(other).await), before);
        store.delete(one).await;
        store.delete(other).await;
    });
}

/// It deleted all tags and wrote its own two.
#[test]
fn tags_are_merged_and_never_deleted_in_between() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let store = stage.store();
        store
            .retag(&bucket, |tags| {
                tags.insert("owner".into(), "somebody".into());
                tags.remove("velero.io/backup-location");
            })
            .await;
        let (apply, witness) = stage.witness(&APPLY).await;
        drop(apply.exits(0));
        let tags = store.tags(&bucket).await;
        assert_eq!(
            tags.get("owner").map(String::as_str),
            Some("somebody"),
            "{tags:?}"
        );
        assert_eq!(
            tags.get("velero.io/backup-location").map(String::as_str),
            Some("default"),
            "{tags:?}"
        );
        assert!(
            !witness.s3.iter().any(|request| request.method == "DELETE"),
            "{}",
            witness.lines()
        );
    });
}

/// It wrote whole documents without reading what stood there.
#[test]
fn a_stronger_encryption_and_the_rules_of_others_stay() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let store = stage.store();
        let before = store.read(&bucket, "encryption").await;
        store.write(&bucket, "encryption", KMS).await;
        let rule = "<Rule><ID>own</ID><Filter><Prefix>own/</Prefix></Filter><Status>Enabled</Status>\
             <Expiration><Days>7</Days></Expiration></Rule>";
        store
            .write(
                &bucket,
                "lifecycle",
                &format!("<LifecycleConfiguration>{rule}</LifecycleConfiguration>"),
            )
            .await;
        drop(stage.apply().await.exits(0));
        let encryption = store.read(&bucket, "encryption").await;
        assert!(
            encryption.contains("aws:kms") && encryption.contains(":key/own"),
            "{encryption}"
        );
        let lifecycle = store.read(&bucket, "lifecycle").await;
        for id in ["own", "Backup Expiry", "Incomplete Uploads"] {
            assert!(lifecycle.contains(&format!("<ID>{id}</ID>")), "{lifecycle}");
        }
        drop(stage.plan().await.exits(0));
        store.write(&bucket, "encryption", &before).await;
    });
}

/// It set 90 days whatever the backups' time to live.
#[test]
fn an_expiry_that_is_shorter_than_a_schedules_time_to_live_is_held_up_alone() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let store = stage.store();
        let schedule = json!({
            "apiVersion": "velero.io/v1", "kind": "Schedule", "metadata": { "name": "quarterly" },
            "spec": { "schedule": "0 3 * * *", "template": { "ttl": "2880h0m0s" } },
        });
        let schedules = path("velero.io/v1", "Schedule", NAMESPACE, "");
        stage.api.create(&schedules, &schedule).await;
        store.unset(&bucket, "lifecycle").await;
        store.unset(&bucket, "ownershipControls").await;
        let apply = stage
            .holdfast(&["apply", "policies/managed-velero", "--yes", "--timeout", "10s"])
            .await
            .exits(2);
        drop(apply.says("bucket.lifecycle").says("Schedule quarterly"));
        assert_eq!(
            store
                .read(&bucket, "lifecycle")
                .await
                .matches("Backup Expiry")
                .count(),
            0
        );
        assert!(
            store
                .read(&bucket, "ownershipControls")
                .await
                .contains("BucketOwnerEnforced")
        );
        let blocked = resource(&stage.plan().await.exits(2).report(), "bucket")["blocked"].clone();
        assert_eq!(
            blocked.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["lifecycle"]
        );
        // An owner who says so gets both.
        let longer = stage
            .holdfast(&[&APPLY[..], &["--set", "expiryDays=120"]].concat())
            .await;
        drop(longer.exits(0));
        assert!(
            store
                .read(&bucket, "lifecycle")
                .await
                .contains("<Days>120</Days>")
        );
        stage.api.delete(&format!("{schedules}/quarterly")).await;
        // The way back to 90 days would let what is there expire earlier than it was promised.
        let shorter = stage.plan().await.exits(2);
        assert!(
            shorter.stdout.contains("allow: [ShortenRetention]"),
            "{}",
            shorter.stdout
        );
        stage.forget_the_bucket().await;
        stage.converged().await;
    });
}

/// A cluster that restores another one's backups knows them all, and has a bucket of its own.
#[test]
fn a_backup_that_lies_in_another_bucket_holds_up_no_expiry_of_this_one() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let location = json!({
            "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation", "metadata": { "name": "lost" },
            "spec": { "provider": "aws", "accessMode": "ReadOnly", "objectStorage": { "bucket": "another-clusters" } },
        });
        let backup = json!({
            "apiVersion": "velero.io/v1", "kind": "Backup", "metadata": { "name": "yearly" },
            "spec": { "storageLocation": "lost", "ttl": "8760h0m0s" },
        });
        let locations = path("velero.io/v1", "BackupStorageLocation", NAMESPACE, "");
        let backups = path("velero.io/v1", "Backup", NAMESPACE, "");
        stage.api.create(&locations, &location).await;
        stage.api.create(&backups, &backup).await;
        stage.store().unset(&bucket, "lifecycle").await;
        let _ = stage.apply().await.exits(0);
        let lifecycle = stage.store().read(&bucket, "lifecycle").await;
        assert!(lifecycle.contains("Backup Expiry"), "{lifecycle}");

        let backup = format!("{backups}/yearly");
        let here = json!({ "spec": { "storageLocation": "default" } });
        stage.api.patch(&backup, &here).await;
        stage.store().unset(&bucket, "lifecycle").await;
        let held_up = stage
            .holdfast(&["apply", "policies/managed-velero", "--yes", "--timeout", "10s"])
            .await;
        drop(held_up.exits(2).says("bucket.lifecycle").says("Backup yearly"));
        stage.api.delete(&backup).await;
        stage.api.delete(&format!("{locations}/lost")).await;
        let _ = stage.apply().await.exits(0);
    });
}

/// It crashed on an error that wasn't the service's own.
#[test]
fn an_answer_that_is_not_s3s_is_an_error_and_no_crash() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let page = |status| {
            Action::Answer(Answer {
                status,
                headers: vec![("content-type".into(), "text/html".into())],
                body: "<html><body>Somebody's gateway</body>".into(),
            })
        };
        for action in [
            page(404),
            page(403),
            page(200),
            Action::Truncate(20),
            Action::Reset,
        ] {
            let what = format!("{action:?}");
            stage.s3.heal();
            stage.s3.inject(Rule::new(action));
            let (plan, witness) = stage
                .witness(&["plan", "policies/managed-velero", "--output", "json"])
                .await;
            let plan = plan.exits(0);
            assert!(!plan.stderr.contains("panicked"), "{what}: {}", plan.stderr);
            let report = plan.report();
            assert!(
                !changes(&report).contains_key("bucket"),
                "{what}: {:?}",
                changes(&report)
            );
            assert_ne!(resource(&report, "bucket")["phase"], "Converged", "{what}");
            assert_eq!(witness.writes(), [""; 0], "{what}");
        }
        stage.s3.heal();
        assert_eq!(stage.converged().await, bucket);
    });
}

/// It read the tags of every bucket of the account, one after the other, and gave up at the first that it couldn't.
#[test]
fn a_bucket_of_others_that_cannot_be_read_holds_up_no_search() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        stage
            .s3
            .inject(Rule::new(Action::error(403, "AccessDenied")).path("/acme-web-assets"));
        stage.converged().await;
        let list = stage.s3.requests();
        let list = list
            .iter()
            .find(|request| request.path == "/")
            .expect("the buckets are listed");
        assert!(list.has_query("max-buckets"), "in pages: {list:?}");
    });
}

#[test]
fn a_bucket_that_could_be_ours_and_cannot_be_read_lets_no_new_one_be_made() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        let others = "managed-velero-backups-0d9c1a5e-3b77-4a52-9c86-5f1e2a7b8c90";
        stage
            .s3
            .inject(Rule::new(Action::error(403, "AccessDenied")).path(&format!("/{others}")));
        let (apply, witness) = stage
            .witness(&["apply", "policies/managed-velero", "--yes", "--timeout", "5s"])
            .await;
        drop(apply.exits(2).says(others));
        assert!(!witness.s3.iter().any(Request::is_write), "{}", witness.lines());
        stage.s3.heal();
        stage.converged().await;
    });
}

/// It asked for the location `EU` as it stands, which is no region.
#[test]
fn the_legacy_location_eu_is_eu_west_1() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        let store = stage.store();
        let tags =
            json!({ "velero.io/backup-location": "default", "velero.io/infrastructureName": "demo-x7k2p" });
        store
            .create("made-long-ago", &json!({ "region": "eu-west-1", "tags": tags }))
            .await;
        let answer = |body: &str| {
            Action::Answer(Answer {
                status: 200,
                headers: vec![("content-type".into(), "application/xml".into())],
                body: body.to_owned(),
            })
        };
        // As old stores answer: no region in the list, and the old name of the location.
        let list = "<ListAllMyBucketsResult><Buckets><Bucket><Name>made-long-ago</Name></Bucket></Buckets></ListAllMyBucketsResult>";
        stage.s3.inject(Rule::new(answer(list)).path("/").method("GET"));
        let location =
            "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">EU</LocationConstraint>";
        stage.s3.inject(Rule::new(answer(location)).query("location"));
        let endpoint = stage.s3.store().endpoint.clone();
        let variables = [("AWS_ENDPOINT_URL_S3", endpoint.as_str())];
        let plan = stage
            .begin(&["plan", "examples/audit", "--output", "json"], &variables)
            .finish()
            .await
            .exits(0);
        let report = plan.report();
        let found = resource(&report, "bucket[\"made-long-ago\"]");
        assert_eq!(found["key"]["region"], "eu-west-1", "{found:#}");
        assert_eq!(found["phase"], "Converged", "{found:#}");
        stage.s3.heal();
        store.delete("made-long-ago").await;
    });
}

/// It took a fresh install for an error, and wrote the status twice for nothing.
#[test]
fn a_first_install_records_the_name_once_and_says_nothing_of_errors() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        let (apply, witness) = stage.witness(&APPLY).await;
        let apply = apply.exits(0);
        assert_eq!(apply.stderr, "");
        assert!(
            !apply.stdout.contains('!') && !apply.stdout.contains("error"),
            "{}",
            apply.stdout
        );
        let recorded: Vec<_> = witness
            .kubernetes
            .iter()
            .filter(|event| {
                event.is_write() && event.resource == "veleroinstalls" && event.subresource == "status"
            })
            .collect();
        // The name with `provisioned: false`, and `provisioned: true` at the end.
        assert_eq!(recorded.len(), 2, "{recorded:#?}");
    });
}

/// It compared with what the server had filled in, and wrote again and again.
#[test]
fn what_the_server_fills_in_is_no_difference() {
    on_stage(async |stage| {
        stage.converged().await;
        let velero = async || {
            stage
                .object("apps/v1", "Deployment", "velero")
                .await
                .expect("Velero is there")
        };
        let before = velero().await;
        let filled = &before["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
        assert_eq!(filled, 30, "the server fills in what nobody declares");
        for _ in 0..3 {
            let plan = stage.plan().await.exits(0);
            assert_eq!(changes(&plan.report()), BTreeMap::new());
            drop(
                stage
                    .apply()
                    .await
                    .exits(0)
                    .says("0 created, 0 changed, 0 deleted"),
            );
        }
        assert_eq!(
            velero().await["metadata"]["generation"],
            before["metadata"]["generation"]
        );
    });
}
