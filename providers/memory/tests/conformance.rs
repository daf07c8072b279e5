//! The memory provider passes the suite that every provider passes, with the real kinds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;
#[path = "common/subject.rs"]
mod subject;

use holdfast_conformance::run_all;

#[tokio::test]
async fn custom_objects_behave() {
    let subject = subject::custom_objects(&|provider| provider).await;
    run_all(&subject).await.unwrap();
}

#[tokio::test]
async fn secrets_behave() {
    let subject = subject::secrets(&|provider| provider).await;
    run_all(&subject).await.unwrap();
}

#[tokio::test]
async fn buckets_behave() {
    let subject = subject::buckets(&|provider| provider).await;
    run_all(&subject).await.unwrap();
}
