//! Restoring into another cluster, which has a bucket of its own and reads the first one's.

use std::collections::BTreeMap;

use holdfast_e2e::{Stage, until_within};
use holdfast_testbed::Velero;

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
        let arguments = ["--include-namespaces", "shop"];
        let _ = restore(&second, &spare, "all", &arguments).await;
        shop::runs(&second, "shop").await;
        assert_eq!(shop::inventory(&second, "shop").await, goods);
        let _ = second.plan().await.exits(0);

        // The mistake: all of the first cluster over all of the second.
        let arguments = ["--existing-resource-policy", "update"];
        drop(
            spare
                .run(
                    &[
                        &["restore", "create", "mistake", "--from-backup", "all", "--wait"],
                        &arguments[..],
                    ]
                    .concat(),
                )
                .await,
        );
        let plan = second.plan().await;
        println!("{}", plan.stdout);
        let apply = ["apply", "policies/managed-velero", "--yes", "--timeout", "180s"];
        let apply = second.holdfast(&apply).await.exits(0);
        println!("{}", apply.stdout);
        let _ = second.plan().await.exits(0);
        assert_eq!(second.bucket().await, Some(its_own.clone()));
        assert_eq!(second.our_buckets().await, [its_own]);
        let ledger = second.ledger().await.unwrap();
        let first_ledger = first.ledger().await.unwrap();
        assert_ne!(ledger["cluster"], first_ledger["cluster"], "{ledger:#}");

        // Nothing of all this was a request for the first cluster's bucket, beyond what finds out whose it is.
        let requests = second.since(mark).await.s3;
        let writes: Vec<_> = requests
            .iter()
            .filter(|request| request.is_write() && request.path.contains(&bucket))
            .collect();
        assert!(writes.is_empty(), "{writes:?}");
        assert_eq!(self::settings(first, &bucket).await, settings);
        let _ = first.plan().await.exits(0);
        assert_eq!(first.bucket().await, Some(bucket));
    });
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
