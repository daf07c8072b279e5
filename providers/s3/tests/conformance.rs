//! The behaviour that every provider has, on real object stores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod subject;

use holdfast_testbed::{LocalStack, SeaweedFs};
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
        encrypts: true,
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
        encrypts: true,
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
        encrypts: false,
        crowd: 40,
        tags_with_creation: false,
    };
    let buckets = Buckets::on(store.store(), abilities).await;
    holdfast_conformance::run_all(&buckets).await.unwrap();
}
