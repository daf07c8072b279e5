//! Object stores start and answer, through the recording proxy too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::time::Instant;

use holdfast_testbed::{CephRgw, LocalStack, Moto, ObjectStore, RequestLog, SeaweedFs};

async fn lists_what_it_made(store: &ObjectStore) {
    assert_eq!(store.send("PUT", "/backups", "").await.unwrap().0, 200);
    let (status, body) = store.send("GET", "/", "").await.unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("<Name>backups</Name>"), "{body}");
}

#[tokio::test]
async fn localstack_lists_a_bucket_that_was_made() {
    let started = Instant::now();
    let server = LocalStack::start().await.unwrap();
    println!("ready after {:?}", started.elapsed());
    lists_what_it_made(server.store()).await;
}

#[tokio::test]
async fn seaweedfs_lists_a_bucket_that_was_made() {
    let started = Instant::now();
    let server = SeaweedFs::start().await.unwrap();
    println!("ready after {:?}", started.elapsed());
    lists_what_it_made(server.store()).await;
}

#[tokio::test]
async fn moto_lists_a_bucket_that_was_made() {
    let started = Instant::now();
    let server = Moto::start().await.unwrap();
    println!("ready after {:?}", started.elapsed());
    lists_what_it_made(server.store()).await;
}

#[tokio::test]
async fn ceph_lists_a_bucket_that_was_made() {
    let started = Instant::now();
    let server = CephRgw::start().await.unwrap();
    println!("ready after {:?}", started.elapsed());
    lists_what_it_made(server.store()).await;
}

#[tokio::test]
async fn seaweedfs_refuses_a_wrong_secret() {
    let store = SeaweedFs::shared().await.unwrap().store();
    let wrong = ObjectStore {
        secret_key: "wrong".into(),
        ..store.clone()
    };
    let (status, body) = wrong.send("GET", "/", "").await.unwrap();
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("SignatureDoesNotMatch"), "{body}");
}

#[tokio::test]
async fn a_signature_stays_valid_through_the_proxy() {
    let log = RequestLog::start(SeaweedFs::shared().await.unwrap().store())
        .await
        .unwrap();
    let client = log.store();
    assert_eq!(client.send("PUT", "/signed", "").await.unwrap().0, 200);
    let body = "<Tagging><TagSet><Tag><Key>a b</Key><Value>c</Value></Tag></TagSet></Tagging>";
    let (status, answer) = client
        .send("PUT", "/signed/a%20key%2Bplus?tagging", body)
        .await
        .unwrap();
    // There is no such object; that it is missed means that the signature was accepted.
    assert_eq!(status, 404, "{answer}");
    let (status, answer) = client
        .send("GET", "/signed?list-type=2&prefix=a%2Fb", "")
        .await
        .unwrap();
    assert_eq!(status, 200, "{answer}");
    let requests = log.requests();
    let lines: Vec<_> = requests
        .iter()
        .map(|each| format!("{} {}?{} {:?}", each.method, each.path, each.query, each.status))
        .collect();
    assert_eq!(
        lines,
        [
            "PUT /signed? Some(200)",
            "PUT /signed/a%20key%2Bplus?tagging Some(404)",
            "GET /signed?list-type=2&prefix=a%2Fb Some(200)"
        ]
    );
    assert_eq!(requests[1].body, body.as_bytes());
    assert!(
        requests
            .iter()
            .all(|each| each.headers["authorization"] == "(redacted)")
    );
    assert!(requests.iter().all(|each| each.finished.unwrap() >= each.started));
}
