//! Restoring into another cluster, which has a bucket of its own and reads the first one's.

use std::collections::BTreeMap;

use holdfast_e2e::{Stage, changes, until_within};
use holdfast_testbed::{Action, Request, Rule, Velero};

use crate::{
    shop,
    support::{SOON, back_up, phase, restore, set_up, with_velero},
};

/// All that the policy sets on a bucket, and more.
const SETTINGS: [&str; 9] = [
    "acl",
    "encryption",
    "lifecycle",
    "logging",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "tagging",
    "versioning",
];

#[test]
fn another_cluster_restores_from_the_first_ones_bucket_and_never_takes_it() {
    with_velero(async |first, velero| {
        shop::open(first, "shop", "21").await;
        let goods = shop::inventory(first, "shop").await;
        // All there is: the policy's own objects and, as far as they aren't left out, what the program keeps.
        back_up(first, velero, "all", &["--include-cluster-resources=true"]).await;
        shop::close(first, "shop").await;
        let bucket = first.bucket().await.unwrap();
        let settings = settings(first, &bucket).await;

        let second = first.beside("spare-p4w2n").await;
        let spare = set_up(&second).await;
        let its_own = second.bucket().await.unwrap();
        assert_ne!(its_own, bucket, "two clusters, two buckets");
        let mark = second.mark().await;

        see(&second, &spare, &bucket).await;
        a_restore_that_may_not_write_its_log_is_complete_all_the_same(&second, &spare, &bucket).await;
        assert_eq!(shop::inventory(&second, "shop").await, goods);
        shop::close(&second, "shop").await;
        let _ = restore(&second, &spare, "all", &["--include-namespaces", "shop"]).await;
        shop::runs(&second, "shop").await;
        assert_eq!(shop::inventory(&second, "shop").await, goods);
        let _ = second.plan().await.exits(0);

        all_of_the_first_over_all_of_the_second(&second, &spare, &bucket).await;
        assert_eq!(second.bucket().await, Some(its_own.clone()));
        assert_eq!(second.our_buckets().await, [its_own]);
        let (ledger, firsts) = (second.ledger().await.unwrap(), first.ledger().await.unwrap());
        assert_ne!(ledger["names"], firsts["names"], "{ledger:#}");

        // Nothing of all this was a write to the first cluster's bucket, and Velero wrote no more than restores' logs.
        let of_bucket = |request: &&Request| request.is_write() && request.path.contains(&bucket);
        let all = second.s3.requests();
        let logs = format!("/{bucket}/restores/");
        let others: Vec<_> = all
            .iter()
            .filter(of_bucket)
            .filter(|request| !request.path.starts_with(&logs))
            .collect();
        assert!(others.is_empty(), "{others:?}");
        let ours = second.since(mark).await.s3;
        let ours: Vec<_> = ours.iter().filter(of_bucket).collect();
        assert!(ours.is_empty(), "{ours:?}");
        assert_eq!(self::settings(first, &bucket).await, settings);
        let _ = first.plan().await.exits(0);
        assert_eq!(first.bucket().await, Some(bucket));
    });
}

/// Velero writes a restore's log beside the backup, whatever the location's access mode.
async fn a_restore_that_may_not_write_its_log_is_complete_all_the_same(
    second: &Stage,
    spare: &Velero,
    bucket: &str,
) {
    let denied = Rule::new(Action::error(403, "AccessDenied"));
    second
        .s3
        .inject(denied.method("PUT").path(&format!("/{bucket}/restores/*")));
    let arguments = ["--include-namespaces", "shop", "--wait"];
    let arguments = [
        &["restore", "create", "unlogged", "--from-backup", "all"],
        &arguments[..],
    ]
    .concat();
    spare.run(&arguments).await.unwrap();
    second.s3.heal();
    let unlogged = second
        .object("velero.io/v1", "Restore", "unlogged")
        .await
        .unwrap();
    assert_eq!(unlogged["status"]["phase"], "PartiallyFailed", "{unlogged:#}");
    assert_eq!(unlogged["status"]["errors"], 1, "{unlogged:#}");
    shop::runs(second, "shop").await;
}

/// The mistake: a restore of everything, over what is there.
async fn all_of_the_first_over_all_of_the_second(second: &Stage, spare: &Velero, bucket: &str) {
    let over = ["--existing-resource-policy", "update", "--wait"];
    let arguments = [
        &["restore", "create", "mistake", "--from-backup", "all"],
        &over[..],
    ]
    .concat();
    let said = spare.run(&arguments).await.unwrap();
    println!("{said}");
    let location = second
        .object("velero.io/v1", "BackupStorageLocation", "default")
        .await
        .unwrap();
    assert_eq!(location["spec"]["objectStorage"]["bucket"], bucket, "{said}");
    let plan = changes(&second.plan().await.exits(2).report());
    println!("{plan:#?}");
    let pointed_back = &plan["locations[\"BackupStorageLocation/default\"]"];
    assert!(
        pointed_back
            .iter()
            .any(|place| place == "spec.objectStorage.bucket"),
        "{plan:#?}"
    );
    let apply = ["apply", "policies/managed-velero", "--yes", "--timeout", "180s"];
    let apply = second.holdfast(&apply).await.exits(0);
    println!("{}", apply.stdout);
    let _ = second.plan().await.exits(0);
}

/// Shows the second cluster's Velero the first one's bucket, to read only.
async fn see(second: &Stage, spare: &Velero, bucket: &str) {
    let config = format!(
        "region=us-east-2,s3Url={},s3ForcePathStyle=true,checksumAlgorithm=",
        second.s3.store().endpoint
    );
    let arguments = [
        "backup-location",
        "create",
        "lost",
        "--provider",
        "aws",
        "--bucket",
        bucket,
    ];
    let arguments = [
        &arguments[..],
        &["--access-mode", "ReadOnly", "--config", &config],
    ]
    .concat();
    spare.run(&arguments).await.unwrap();
    until_within(SOON, "the first cluster's bucket is readable", async || {
        phase(second, "lost").await == "Available"
    })
    .await;
    until_within(SOON, "its backups are known", async || {
        second.object("velero.io/v1", "Backup", "all").await.is_some()
    })
    .await;
}

async fn settings(stage: &Stage, bucket: &str) -> BTreeMap<&'static str, String> {
    let mut all = BTreeMap::new();
    for setting in SETTINGS {
        all.insert(setting, stage.store().read(bucket, setting).await);
    }
    all
}
