//! What was backed up comes back, whatever became of the bucket's settings in between.

use holdfast_e2e::{NAMESPACE, changes, path};

use crate::{
    shop,
    support::{back_up, contents, restore, with_velero},
};

const DRIFTED_LIFECYCLE: &str = "<LifecycleConfiguration><Rule><ID>Backup Expiry</ID>\
    <Filter><Prefix>backups/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>\
    </Rule></LifecycleConfiguration>";

#[test]
fn a_namespace_comes_back_from_before_and_from_after_a_repair_of_the_bucket() {
    with_velero(async |stage, velero| {
        shop::open(stage, "shop", "17").await;
        let monday = shop::inventory(stage, "shop").await;
        assert!(monday.len() >= 6, "{:?}", monday.keys());
        back_up(stage, velero, "monday", &["--include-namespaces", "shop"]).await;
        shop::close(stage, "shop").await;
        shop::open(stage, "shop", "12").await;
        let tuesday = shop::inventory(stage, "shop").await;
        back_up(stage, velero, "tuesday", &["--include-namespaces", "shop"]).await;
        let before = contents(velero, "monday", &stage.home()).await;
        shop::close(stage, "shop").await;

        let bucket = stage.bucket().await.unwrap();
        let store = stage.store();
        store.write(&bucket, "lifecycle", DRIFTED_LIFECYCLE).await;
        store.unset(&bucket, "publicAccessBlock").await;
        store.unset(&bucket, "encryption").await;
        store
            .retag(&bucket, |tags| drop(tags.remove("velero.io/backup-location")))
            .await;
        let plan = stage.plan().await.exits(2).report();
        let [(address, places)] = &changes(&plan).into_iter().collect::<Vec<_>>()[..] else {
            panic!("{plan:#}");
        };
        assert_eq!(address, "bucket");
        for facet in ["encryption", "lifecycle", "publicAccessBlock", "tags"] {
            assert!(
                places.iter().any(|place| place.starts_with(facet)),
                "{facet}: {places:?}"
            );
        }
        let _ = stage.apply().await.exits(0).says("1 changed, 0 deleted");
        let _ = stage.plan().await.exits(0);

        assert_eq!(contents(velero, "monday", &stage.home()).await, before);
        let _ = restore(stage, velero, "monday", &[]).await;
        shop::runs(stage, "shop").await;
        assert_eq!(shop::inventory(stage, "shop").await, monday);

        shop::close(stage, "shop").await;
        let _ = restore(stage, velero, "tuesday", &[]).await;
        shop::runs(stage, "shop").await;
        let restored = shop::inventory(stage, "shop").await;
        assert_eq!(restored, tuesday);
        assert_ne!(restored["ConfigMap stock"], monday["ConfigMap stock"]);

        // Backups are data, and their objects in the cluster are Velero's: ours to leave alone.
        let _ = stage.plan().await.exits(0);
        let backups = stage
            .api
            .list(&path("velero.io/v1", "Backup", NAMESPACE, ""))
            .await;
        assert!(backups.len() >= 2, "{backups:?}");
    });
}

#[test]
fn a_deletion_asked_of_velero_empties_the_bucket_of_that_backup_alone() {
    with_velero(async |stage, velero| {
        shop::open(stage, "stall", "3").await;
        for backup in ["kept", "dropped"] {
            back_up(stage, velero, backup, &["--include-namespaces", "stall"]).await;
        }
        velero
            .run(&["backup", "delete", "dropped", "--confirm"])
            .await
            .unwrap();
        holdfast_e2e::until_within(crate::support::SOON, "the backup is deleted", async || {
            stage.object("velero.io/v1", "Backup", "dropped").await.is_none()
        })
        .await;
        let bucket = stage.bucket().await.unwrap();
        let keys = stage.store().keys(&bucket).await;
        assert!(
            keys.iter().any(|key| key.starts_with("backups/kept/")),
            "{keys:?}"
        );
        assert!(
            !keys.iter().any(|key| key.starts_with("backups/dropped/")),
            "{keys:?}"
        );
        let _ = stage.plan().await.exits(0);
        shop::close(stage, "stall").await;
    });
}
