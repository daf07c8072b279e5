//! managed-velero, kept.

use holdfast_e2e::{Enforcer, NAMESPACE, Stage, on_stage, path, until};
use serde_json::{Value, json};

const POLICY: &str = "policies/managed-velero";

/// managed-velero at work, converged, and the name of its bucket.
async fn kept(stage: &Stage) -> (Enforcer, String) {
    let bucket = stage.converged().await;
    let enforcer = stage.enforce(POLICY, &[]);
    enforcer.reaches("server", "Converged").await;
    enforcer.reaches("bucket", "Converged").await;
    (enforcer, bucket)
}

#[test]
fn from_nothing_it_installs_velero_and_makes_one_bucket() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        let enforcer = stage.enforce(POLICY, &[]);
        enforcer
            .reaches("metrics[\"ServiceMonitor/velero-metrics\"]", "Converged")
            .await;
        enforcer.reaches("bucket", "Converged").await;
        enforcer.reaches("server", "Converged").await;
        assert_eq!(stage.our_buckets().await.len(), 1);
        let plan = enforcer.end().await;
        assert_eq!(plan.code, Some(0), "{}", plan.stderr);
        drop(stage.plan().await.exits(0));
    });
}

#[test]
fn drift_of_every_object_is_put_back_while_it_runs() {
    on_stage(async |stage| {
        let (enforcer, _) = kept(stage).await;
        let report = stage.plan().await.exits(0).report();
        let mut spoilt = 0;
        for resource in report["resources"].as_array().unwrap() {
            let key = &resource["key"];
            let (Some(api), Some(kind), Some(name)) = (
                key["api"]["apiVersion"].as_str(),
                key["api"]["kind"].as_str(),
                key["name"].as_str(),
            ) else {
                continue;
            };
            if resource["phase"] != "Converged" || resource["reason"] == "observed" {
                continue;
            }
            let place = path(api, kind, key["namespace"].as_str().unwrap_or_default(), name);
            let label = "/metadata/labels/holdfast.dev~1policy";
            let Some(before) = stage
                .api
                .get(&place)
                .await
                .filter(|object| object.pointer(label).is_some())
            else {
                continue;
            };
            let gone = json!({ "metadata": { "labels": { "holdfast.dev/policy": null } } });
            stage.api.patch(&place, &gone).await;
            until(&format!("{place} bears its label again"), async || {
                let now = stage.api.get(&place).await.unwrap_or_default();
                now.pointer(label) == before.pointer(label)
            })
            .await;
            spoilt += 1;
        }
        assert!(spoilt > 25, "{spoilt} objects were spoilt");
        drop(enforcer.end().await);
        drop(stage.plan().await.exits(0));
    });
}

#[test]
fn what_is_deleted_is_made_again_while_it_runs() {
    on_stage(async |stage| {
        let (enforcer, bucket) = kept(stage).await;
        for (api, kind, name) in [
            ("velero.io/v1", "BackupStorageLocation", "default"),
            ("velero.io/v1", "VolumeSnapshotLocation", "default"),
            ("apps/v1", "Deployment", "velero"),
            ("v1", "Service", "velero-metrics"),
            (
                "cloudcredential.openshift.io/v1",
                "CredentialsRequest",
                "velero-iam-credentials",
            ),
            ("managed.openshift.io/v1alpha2", "VeleroInstall", "cluster"),
        ] {
            let place = path(api, kind, NAMESPACE, name);
            let uid = |object: &Value| object["metadata"]["uid"].as_str().map(str::to_owned);
            let before = stage.api.get(&place).await.as_ref().and_then(uid);
            stage.api.delete(&place).await;
            until(&format!("{place} is there again"), async || {
                let now = stage.api.get(&place).await.as_ref().and_then(uid);
                now.is_some() && now != before
            })
            .await;
        }
        until("the bucket's name is recorded again", async || {
            stage.bucket().await.as_ref() == Some(&bucket)
        })
        .await;
        assert_eq!(stage.our_buckets().await, [bucket]);
        drop(enforcer.end().await);
    });
}

#[test]
fn a_definition_that_is_deleted_is_put_back_and_what_was_of_its_type_too() {
    on_stage(async |stage| {
        let (enforcer, _) = kept(stage).await;
        let definition =
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/backupstoragelocations.velero.io";
        let location = path("velero.io/v1", "BackupStorageLocation", NAMESPACE, "default");
        stage.api.delete(definition).await;
        until("the location is there again", async || {
            stage.api.get(definition).await.is_some() && stage.api.get(&location).await.is_some()
        })
        .await;
        drop(enforcer.end().await);
        drop(stage.apply().await.exits(0));
    });
}

#[test]
fn drift_of_every_setting_of_the_bucket_is_put_back_while_it_runs() {
    const OPEN: &str = "<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls>\
         <IgnorePublicAcls>false</IgnorePublicAcls><BlockPublicPolicy>false</BlockPublicPolicy>\
         <RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
    const WRITER: &str = "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>\
         </OwnershipControls>";
    const SHORT: &str = "<LifecycleConfiguration><Rule><ID>Backup Expiry</ID><Filter><Prefix>backups/</Prefix></Filter>\
         <Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";
    on_stage(async |stage| {
        let (enforcer, bucket) = kept(stage).await;
        let store = stage.store();
        store.write(&bucket, "publicAccessBlock", OPEN).await;
        store.write(&bucket, "ownershipControls", WRITER).await;
        store.write(&bucket, "lifecycle", SHORT).await;
        store
            .retag(&bucket, |tags| drop(tags.remove("velero.io/backup-location")))
            .await;
        // Not to wait for the interval, which is minutes.
        enforcer.signal("HUP");
        until("all of it is as it was", async || {
            let block = store.read(&bucket, "publicAccessBlock").await;
            let owners = store.read(&bucket, "ownershipControls").await;
            let lifecycle = store.read(&bucket, "lifecycle").await;
            let tags = store.tags(&bucket).await;
            block.matches("true").count() == 4
                && owners.contains("BucketOwnerEnforced")
                && lifecycle.contains("<Days>90</Days>")
                && lifecycle.contains("Incomplete Uploads")
                && tags.contains_key("velero.io/backup-location")
        })
        .await;
        drop(enforcer.end().await);
        drop(stage.plan().await.exits(0));
    });
}
