//! Searching for buckets, where the store, or the way to it, misbehaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod subject;

use holdfast_contract::{ProviderError, Query, ResourceKey};
use holdfast_testbed::{Action as Fault, Answer, RequestLog, Rule};
use serde_json::json;
use subject::calls::{creation, localstack};
use subject::{fresh_key, open};

#[tokio::test]
async fn a_search_tells_which_part_of_which_bucket_it_could_not_read() {
    let store = localstack().await;
    let provider = open(store, &[]).await;
    let prefix = format!("search-{:08x}-", getrandom::u32().unwrap());
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        let key = ResourceKey {
            name: format!("{prefix}{name}"),
            ..fresh_key()
        };
        let region = if name == "a" { "eu-west-1" } else { "us-east-1" };
        let there = open(store, &[("region", region.into())]).await;
        there.write(&creation(&key, json!({"is": name}))).await.unwrap();
        keys.push(key);
    }
    let log = RequestLog::start(store).await.unwrap();
    log.inject(
        Rule::new(Fault::error(403, "AccessDenied"))
            .path(&format!("/{}", keys[1].name))
            .query("tagging"),
    );
    let query = Query {
        kind: "s3/Bucket".into(),
        api: None,
        namespace: None,
        selector: None,
        name_prefix: Some(prefix),
        read: ["tags".to_owned()].into(),
    };
    let through = open(log.store(), &[]).await;
    let found = through.find(&query).await.unwrap();
    let described: Vec<String> = found.iter().map(|found| found.document.to_string()).collect();
    assert_eq!(described.len(), 3);
    assert!(
        described[0].contains(r#""region":"eu-west-1","tags":{"is":"a"}"#),
        "{described:?}"
    );
    assert!(
        !described[1].contains("tags") && described[2].contains(r#""is":"c""#),
        "{described:?}"
    );
    assert!(matches!(
        found[1].unreadable["tags"],
        ProviderError::Denied { .. }
    ));
    assert!(found[0].unreadable.is_empty() && found[2].unreadable.is_empty());
    // A list that is cut short is no list.
    log.heal();
    log.inject(Rule::new(Fault::Truncate(300)).path("/"));
    assert!(through.find(&query).await.is_err());
    drop(provider);
}

#[tokio::test]
async fn a_search_that_goes_round_in_a_circle_ends() {
    let store = localstack().await;
    let log = RequestLog::start(store).await.unwrap();
    let page = "<ListAllMyBucketsResult><Buckets><Bucket><Name>abc</Name><BucketRegion>us-east-1</BucketRegion></Bucket></Buckets><ContinuationToken>again</ContinuationToken></ListAllMyBucketsResult>";
    log.inject(Rule::new(Fault::Answer(Answer {
        status: 200,
        headers: Vec::new(),
        body: page.to_owned(),
    })));
    let provider = open(log.store(), &[]).await;
    let query = Query {
        kind: "s3/Bucket".into(),
        api: None,
        namespace: None,
        selector: None,
        name_prefix: None,
        read: std::collections::BTreeSet::new(),
    };
    let answer = provider.find(&query).await;
    assert!(
        matches!(answer, Err(ProviderError::Unavailable { .. })),
        "{answer:?}"
    );
    assert_eq!(log.requests().len(), 2);
}
