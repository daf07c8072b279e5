//! The behaviour that every provider has, on real object stores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod subject;

use holdfast_testbed::{CephRgw, LocalStack, Moto, SeaweedFs};
use subject::{Abilities, Buckets};

#[tokio::test(flavor = "multi_thread")]
async fn buckets_on_localstack_behave() {
    let store = LocalStack::shared().await.unwrap().store();
    let abilities = Abilities {
        facets: &[
            "tags",
            "encryption",
            "publicAccessBlock",
            "ownershipControls",
            "versioning",
            "lifecycle",
            "policy",
            "logging",
            "requestPayment",
            "cors",
            "notification",
            "accelerate",
            "website",
            "intelligentTiering",
            "metrics",
            "inventory",
            "analytics",
        ],
        refuses_uploads_under: None,
        crowd: 1_001,
        tags_with_creation: true,
    };
    let buckets = Buckets::on(store, abilities).await;
    holdfast_conformance::run_all(&buckets).await.unwrap();
}

/// Locks can't be taken away again, and both locks and copies are of versions, which then can't be suspended.
#[tokio::test(flavor = "multi_thread")]
async fn locked_and_copied_buckets_on_localstack_behave() {
    let store = LocalStack::shared().await.unwrap().store();
    let abilities = Abilities {
        facets: &["tags", "versioning", "objectLock", "replication"],
        refuses_uploads_under: None,
        crowd: 3,
        tags_with_creation: true,
    };
    let buckets = Buckets::on(store, abilities).await;
    holdfast_conformance::run_all(&buckets).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_on_seaweedfs_behave() {
    let store = SeaweedFs::shared().await.unwrap();
    let abilities = Abilities {
        facets: &[
            "tags",
            "encryption",
            "ownershipControls",
            "versioning",
            "lifecycle",
            "policy",
            "cors",
        ],
        refuses_uploads_under: Some("encryption"),
        crowd: 40,
        tags_with_creation: false,
    };
    let buckets = Buckets::on(store.store(), abilities).await;
    holdfast_conformance::run_all(&buckets).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_on_moto_behave() {
    let store = Moto::shared().await.unwrap();
    let abilities = Abilities {
        facets: &[
            "tags",
            "encryption",
            "publicAccessBlock",
            "ownershipControls",
            "versioning",
            "lifecycle",
            "policy",
            "cors",
            "notification",
            "accelerate",
            "website",
        ],
        refuses_uploads_under: None,
        crowd: 40,
        tags_with_creation: false,
    };
    let buckets = Buckets::on(store.store(), abilities).await;
    holdfast_conformance::run_all(&buckets).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_on_ceph_behave() {
    let store = CephRgw::shared().await.unwrap();
    let abilities = Abilities {
        facets: &[
            "tags",
            "publicAccessBlock",
            "versioning",
            "lifecycle",
            "policy",
            "cors",
            "requestPayment",
        ],
        refuses_uploads_under: Some("publicAccessBlock"),
        crowd: 40,
        tags_with_creation: false,
    };
    let buckets = Buckets::on(store.store(), abilities).await;
    holdfast_conformance::run_all(&buckets).await.unwrap();
}

/// There a lock can be had at the creation only.
#[tokio::test(flavor = "multi_thread")]
async fn locked_buckets_on_ceph_behave() {
    let store = CephRgw::shared().await.unwrap();
    let abilities = Abilities {
        facets: &["tags", "versioning", "objectLock"],
        refuses_uploads_under: None,
        crowd: 3,
        tags_with_creation: false,
    };
    let buckets = Buckets::on(store.store(), abilities).await;
    holdfast_conformance::run_all(&buckets).await.unwrap();
}
