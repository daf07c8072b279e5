//! Whatever is changed by hand is seen for what it is, and put back; whatever isn't ours stays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;

use holdfast_e2e::{NAMESPACE, Output, Stage, changes, on_stage, path};
use serde_json::{Value, json};

const PRIVATE: &str = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
     <IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>false</BlockPublicPolicy>\
     <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
const KMS: &str = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
     <SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>\
     </ServerSideEncryptionConfiguration>";
const WRITER: &str = "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>\
     </OwnershipControls>";
const SUSPENDED: &str = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
/// What somebody else keeps in the bucket's lifecycle.
const FOREIGN_RULE: &str = "<Rule><ID>somebody else's</ID><Filter><Prefix>logs/</Prefix></Filter>\
     <Status>Enabled</Status><Expiration><Days>400</Days></Expiration></Rule>";
/// What somebody else allows in the bucket's policy.
const FOREIGN_SID: &str = "SomebodyElses";

/// One bucket under test: how to plan and apply it, and its name.
struct Bucket<'s> {
    stage: &'s Stage,
    name: String,
    policy: &'static str,
}

impl Bucket<'_> {
    async fn run(&self, command: &[&str]) -> Output {
        let endpoint = self.stage.s3.store().endpoint.as_str();
        let mut arguments = vec![command[0], self.policy];
        arguments.extend(&command[1..]);
        self.stage
            .begin(&arguments, &[("AWS_ENDPOINT_URL_S3", endpoint)])
            .finish()
            .await
    }

    /// A plan shows that the bucket's `facet` is changed and nothing else; an apply puts it back; a plan is empty.
    #[track_caller]
    fn expect(&self, facet: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let plan = self
                .run(&["plan", "--detailed-exitcode", "--output", "json"])
                .await
                .exits(2);
            let changed = changes(&plan.report());
            let only = changed.get("bucket").is_some_and(|places| {
                !places.is_empty()
                    && places
                        .iter()
                        .all(|place| place.starts_with(&format!("{facet}: ")))
            });
            assert!(only && changed.len() == 1, "{place}: {facet}: {changed:?}");
            let apply = self.run(&["apply", "--yes"]).await.exits(0);
            assert!(
                apply.stdout.contains("0 created, 1 changed, 0 deleted"),
                "{place}: {}",
                apply.stdout
            );
            let plan = self
                .run(&["plan", "--detailed-exitcode", "--output", "json"])
                .await
                .exits(0);
            assert_eq!(changes(&plan.report()), BTreeMap::new(), "{place}: {facet}");
        }
    }

    async fn drift(&self, setting: &str, document: &str) {
        self.stage.store().write(&self.name, setting, document).await;
    }

    /// Rewrites the document of `setting` as the store has it.
    async fn edit(&self, setting: &str, from: &str, to: &str) {
        let document = self.stage.store().read(&self.name, setting).await;
        assert!(document.contains(from), "no {from} in {document}");
        self.drift(setting, &document.replace(from, to)).await;
    }
}

#[test]
fn every_setting_of_the_backup_bucket_is_put_back_and_what_is_not_ours_stays() {
    on_stage(async |stage| {
        let name = stage.converged().await;
        let bucket = Bucket {
            stage,
            name,
            policy: "policies/managed-velero",
        };
        let store = stage.store();
        store
            .retag(&bucket.name, |tags| {
                drop(tags.insert("cost-centre".into(), "4711".into()));
            })
            .await;
        bucket
            .edit(
                "lifecycle",
                "</LifecycleConfiguration>",
                &format!("{FOREIGN_RULE}</LifecycleConfiguration>"),
            )
            .await;
        let plan = stage.plan().await.exits(0);
        assert_eq!(
            changes(&plan.report()),
            BTreeMap::new(),
            "what isn't declared is no drift"
        );

        bucket.drift("publicAccessBlock", PRIVATE).await;
        bucket.expect("publicAccessBlock").await;
        store.unset(&bucket.name, "publicAccessBlock").await;
        bucket.expect("publicAccessBlock").await;
        bucket.drift("ownershipControls", WRITER).await;
        bucket.expect("ownershipControls").await;
        bucket
            .edit("lifecycle", "<Days>90</Days>", "<Days>30</Days>")
            .await;
        bucket.expect("lifecycle").await;
        bucket
            .drift(
                "lifecycle",
                &format!("<LifecycleConfiguration>{FOREIGN_RULE}</LifecycleConfiguration>"),
            )
            .await;
        bucket.expect("lifecycle").await;
        store
            .retag(&bucket.name, |tags| {
                drop(tags.insert("team".into(), "other".into()));
            })
            .await;
        bucket.expect("tags").await;
        store
            .retag(&bucket.name, |tags| {
                drop(tags.remove("velero.io/backup-location"));
            })
            .await;
        bucket.expect("tags").await;

        assert_eq!(
            store
                .tags(&bucket.name)
                .await
                .get("cost-centre")
                .map(String::as_str),
            Some("4711")
        );
        let lifecycle = store.read(&bucket.name, "lifecycle").await;
        assert!(
            lifecycle.contains("somebody else's") && lifecycle.contains("<Days>400</Days>"),
            "{lifecycle}"
        );
    });
}

#[test]
fn every_setting_of_a_lone_bucket_is_put_back_and_what_is_not_ours_stays() {
    on_stage(async |stage| {
        let bucket = Bucket {
            stage,
            name: "acme-reports".into(),
            policy: "examples/bucket",
        };
        let store = stage.store();
        drop(bucket.run(&["apply", "--yes"]).await.exits(0));
        // By hand: another's statement, tag and rule.
        let mut policy: Value = serde_json::from_str(&store.read(&bucket.name, "policy").await).unwrap();
        policy["Statement"].as_array_mut().unwrap().push(json!({
            "Sid": FOREIGN_SID, "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::000000000000:root" },
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-reports/*",
        }));
        bucket.drift("policy", &policy.to_string()).await;
        store
            .retag(&bucket.name, |tags| {
                drop(tags.insert("cost-centre".into(), "4711".into()));
            })
            .await;
        bucket
            .edit(
                "lifecycle",
                "</LifecycleConfiguration>",
                &format!("{FOREIGN_RULE}</LifecycleConfiguration>"),
            )
            .await;
        let plan = bucket
            .run(&["plan", "--detailed-exitcode", "--output", "json"])
            .await
            .exits(0);
        assert_eq!(
            changes(&plan.report()),
            BTreeMap::new(),
            "what isn't declared is no drift"
        );

        bucket.drift("encryption", KMS).await;
        bucket.expect("encryption").await;
        bucket.drift("publicAccessBlock", PRIVATE).await;
        bucket.expect("publicAccessBlock").await;
        bucket.drift("ownershipControls", WRITER).await;
        bucket.expect("ownershipControls").await;
        bucket.drift("versioning", SUSPENDED).await;
        bucket.expect("versioning").await;
        bucket.edit("policy", "\"Deny\"", "\"Allow\"").await;
        bucket.expect("policy").await;
        let mut policy: Value = serde_json::from_str(&store.read(&bucket.name, "policy").await).unwrap();
        policy["Statement"]
            .as_array_mut()
            .unwrap()
            .retain(|statement| statement["Sid"] == FOREIGN_SID);
        bucket.drift("policy", &policy.to_string()).await;
        bucket.expect("policy").await;
        bucket
            .edit(
                "lifecycle",
                "<NoncurrentDays>30</NoncurrentDays>",
                "<NoncurrentDays>3</NoncurrentDays>",
            )
            .await;
        bucket.expect("lifecycle").await;
        store.retag(&bucket.name, |tags| drop(tags.remove("owner"))).await;
        bucket.expect("tags").await;

        assert_eq!(
            store
                .tags(&bucket.name)
                .await
                .get("cost-centre")
                .map(String::as_str),
            Some("4711")
        );
        assert!(
            store
                .read(&bucket.name, "lifecycle")
                .await
                .contains("somebody else's")
        );
        assert!(store.read(&bucket.name, "policy").await.contains(FOREIGN_SID));
    });
}

/// What is done to an object by hand, and the place that a plan then names.
struct Edit {
    api_version: &'static str,
    kind: &'static str,
    name: &'static str,
    patch: Value,
    place: &'static str,
}

fn edits() -> Vec<Edit> {
    let edit = |api_version, kind, name, patch, place| Edit {
        api_version,
        kind,
        name,
        patch,
        place,
    };
    let label = json!({ "metadata": { "labels": { "component": "other" } } });
    vec![
        edit(
            "v1",
            "Namespace",
            NAMESPACE,
            label.clone(),
            "metadata.labels.component",
        ),
        edit(
            "v1",
            "ServiceAccount",
            "velero",
            label,
            "metadata.labels.component",
        ),
        edit(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            "velero-openshift-velero",
            json!({ "subjects": [{ "kind": "ServiceAccount", "name": "other", "namespace": NAMESPACE }] }),
            "subjects",
        ),
        edit(
            "apps/v1",
            "Deployment",
            "velero",
            json!({ "spec": { "replicas": 0 } }),
            "spec.replicas",
        ),
        edit(
            "v1",
            "Service",
            "velero-metrics",
            json!({ "spec": { "selector": { "deploy": "other" } } }),
            "spec.selector",
        ),
        edit(
            "v1",
            "ConfigMap",
            "trusted-ca-bundle",
            json!({ "metadata": { "labels": { "config.openshift.io/inject-trusted-cabundle": null } } }),
            "metadata.labels",
        ),
        edit(
            "monitoring.coreos.com/v1",
            "ServiceMonitor",
            "velero-metrics",
            json!({ "spec": { "endpoints": [{ "port": "other" }] } }),
            "spec.endpoints",
        ),
        edit(
            "velero.io/v1",
            "BackupStorageLocation",
            "default",
            json!({ "spec": { "objectStorage": { "bucket": "someone-elses" } } }),
            "spec.objectStorage.bucket",
        ),
        edit(
            "velero.io/v1",
            "VolumeSnapshotLocation",
            "default",
            json!({ "spec": { "config": { "region": "eu-west-1" } } }),
            "spec.config.region",
        ),
        edit(
            "cloudcredential.openshift.io/v1",
            "CredentialsRequest",
            "velero-iam-credentials",
            json!({ "spec": { "providerSpec": { "kind": "OtherSpec" } } }),
            "spec.providerSpec.kind",
        ),
        edit(
            "managed.openshift.io/v1alpha2",
            "VeleroInstall",
            "cluster",
            json!({ "metadata": { "labels": { "component": null } } }),
            "metadata.labels",
        ),
    ]
}

fn object_path(edit: &Edit) -> String {
    let cluster_wide = ["Namespace", "ClusterRoleBinding"].contains(&edit.kind);
    path(
        edit.api_version,
        edit.kind,
        if cluster_wide { "" } else { NAMESPACE },
        edit.name,
    )
}

#[test]
fn every_object_that_is_changed_by_hand_is_put_back_and_what_is_not_ours_stays() {
    on_stage(async |stage| {
        stage.converged().await;
        let foreign = json!({ "metadata": {
            "labels": { "acme.example/owner": "somebody" },
            "annotations": { "acme.example/note": "not ours" },
        } });
        for edit in edits() {
            stage.api.patch(&object_path(&edit), &foreign).await;
        }
        let plan = stage.plan().await.exits(0);
        assert_eq!(
            changes(&plan.report()),
            BTreeMap::new(),
            "what isn't declared is no drift"
        );
        for edit in edits() {
            let what = format!("{} {}", edit.kind, edit.name);
            stage.api.patch(&object_path(&edit), &edit.patch).await;
            let plan = stage.plan().await.exits(2);
            let changed = changes(&plan.report());
            let places: Vec<_> = changed.values().flatten().collect();
            let only = !places.is_empty() && places.iter().all(|place| place.starts_with(edit.place));
            assert!(changed.len() == 1 && only, "{what}: {changed:?}");
            let apply = stage.apply().await.exits(0);
            assert!(
                apply.stdout.contains("0 created, 1 changed, 0 deleted"),
                "{what}: {}",
                apply.stdout
            );
        }
        let plan = stage.plan().await.exits(0);
        assert_eq!(changes(&plan.report()), BTreeMap::new());
        for edit in edits() {
            let kept = stage.api.get(&object_path(&edit)).await.expect("it is there");
            assert_eq!(
                kept["metadata"]["labels"]["acme.example/owner"], "somebody",
                "{}",
                edit.kind
            );
            assert_eq!(
                kept["metadata"]["annotations"]["acme.example/note"], "not ours",
                "{}",
                edit.kind
            );
        }
    });
}

#[test]
fn every_object_that_is_deleted_by_hand_is_made_again() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        for edit in edits().into_iter().filter(|edit| edit.kind != "Namespace") {
            let what = format!("{} {}", edit.kind, edit.name);
            stage.api.delete(&object_path(&edit)).await;
            let plan = stage.plan().await.exits(2);
            let changed = changes(&plan.report());
            let made: Vec<_> = changed
                .iter()
                .filter(|(_, what)| what.as_slice() == ["create"])
                .collect();
            assert_eq!(made.len(), 1, "{what}: {changed:?}");
            // While the name isn't recorded, what shows it waits for it.
            let alone = changed.len() == 1 || edit.kind == "VeleroInstall";
            assert!(alone, "{what}: {changed:?}");
            drop(
                stage
                    .apply()
                    .await
                    .exits(0)
                    .says("1 created, 0 changed, 0 deleted"),
            );
            assert!(stage.api.get(&object_path(&edit)).await.is_some(), "{what}");
        }
        assert_eq!(stage.our_buckets().await, [bucket], "no second bucket");
    });
}

#[test]
fn definitions_that_are_changed_or_deleted_by_hand_are_put_back_with_all_that_went_with_them() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let crd = |name: &str| path("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name);
        let columns = async |name: &str| {
            let crd = stage.api.get(&crd(name)).await.expect("it is there");
            crd["spec"]["versions"][0]["additionalPrinterColumns"].clone()
        };
        let wanted = columns("schedules.velero.io").await;
        let mut versions =
            stage.api.get(&crd("schedules.velero.io")).await.unwrap()["spec"]["versions"].clone();
        versions[0]["additionalPrinterColumns"][0]["jsonPath"] = json!(".spec.other");
        stage
            .api
            .patch(
                &crd("schedules.velero.io"),
                &json!({ "spec": { "versions": versions } }),
            )
            .await;
        let plan = stage.plan().await.exits(2);
        let changed = changes(&plan.report());
        assert_eq!(changed.len(), 1, "{changed:?}");
        drop(stage.apply().await.exits(0));
        assert_eq!(columns("schedules.velero.io").await, wanted);

        // With its definition VeleroInstall goes, and the recorded name: the ledger knows it still.
        for name in [
            "veleroinstalls.managed.openshift.io",
            "backupstoragelocations.velero.io",
        ] {
            stage.api.delete(&crd(name)).await;
        }
        drop(stage.apply().await.exits(0));
        assert_eq!(stage.bucket().await.as_deref(), Some(bucket.as_str()));
        assert_eq!(stage.our_buckets().await, [bucket], "no second bucket");
        drop(stage.plan().await.exits(0));
    });
}
