//! Each fault is what a client sees, and what the store doesn't.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use holdfast_testbed::{Action, Answer, LocalStack, ObjectStore, RequestLog, Rule, round_trips};

/// A bucket of the test's own, and a proxy in front of its store.
async fn bucket(name: &str) -> (&'static ObjectStore, RequestLog, String) {
    let store = LocalStack::shared().await.unwrap().store();
    store.done("PUT", &format!("/{name}"), "").await.unwrap();
    (store, RequestLog::start(store).await.unwrap(), format!("/{name}"))
}

async fn tags(store: &ObjectStore, bucket: &str) -> String {
    store
        .send("GET", &format!("{bucket}?tagging"), "")
        .await
        .unwrap()
        .1
}

fn tagging(key: &str) -> String {
    format!("<Tagging><TagSet><Tag><Key>{key}</Key><Value>x</Value></Tag></TagSet></Tagging>")
}

#[tokio::test]
async fn the_nth_call_is_answered_by_the_rule_and_the_others_by_the_store() {
    let (_, log, bucket) = bucket("nth-call").await;
    let slow_down = Answer {
        status: 503,
        headers: vec![("Retry-After".into(), "2".into())],
        body: "<Error><Code>SlowDown</Code></Error>".into(),
    };
    log.inject(
        Rule::new(Action::Answer(slow_down))
            .method("HEAD")
            .path(&bucket)
            .nth(2),
    );
    let client = reqwest::Client::new();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = client
            .head(format!("{}{bucket}", log.store().endpoint))
            .send()
            .await
            .unwrap();
        seen.push((
            answer.status().as_u16(),
            answer
                .headers()
                .get("retry-after")
                .map(|value| value.to_str().unwrap().to_owned()),
        ));
    }
    assert_eq!(seen, [(200, None), (503, Some("2".into())), (200, None)]);
    let faults: Vec<_> = log.requests().iter().map(|request| request.fault).collect();
    assert_eq!(faults, [None, Some("answer"), None]);
}

#[tokio::test]
async fn an_error_answer_is_an_s3_document() {
    let (_, log, bucket) = bucket("error-answer").await;
    log.inject(Rule::new(Action::error(403, "AccessDenied")).query("tagging"));
    let (status, body) = log
        .store()
        .send("GET", &format!("{bucket}?tagging"), "")
        .await
        .unwrap();
    assert_eq!(status, 403);
    assert!(body.contains("<Code>AccessDenied</Code>"), "{body}");
    log.heal();
    assert!(tags(log.store(), &bucket).await.contains("NoSuchTagSet"));
}

#[tokio::test]
async fn a_reset_request_never_reaches_the_store() {
    let (store, log, bucket) = bucket("reset").await;
    log.inject(Rule::new(Action::Reset).method("PUT"));
    let error = log
        .store()
        .send("PUT", &format!("{bucket}?tagging"), &tagging("a"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Connection reset by peer"), "{error}");
    assert!(tags(store, &bucket).await.contains("NoSuchTagSet"));
    let requests = log.requests();
    assert_eq!((requests[0].status, requests[0].fault), (None, Some("reset")));
}

#[tokio::test]
async fn a_dropped_answer_leaves_its_effect() {
    let (store, log, bucket) = bucket("dropped").await;
    log.inject(Rule::new(Action::DropAnswer).method("PUT").first(1));
    let error = log
        .store()
        .send("PUT", &format!("{bucket}?tagging"), &tagging("kept"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Connection reset by peer"), "{error}");
    assert!(tags(store, &bucket).await.contains("<Key>kept</Key>"));
}

#[tokio::test]
async fn a_truncated_body_is_an_error_for_the_client() {
    let (store, log, bucket) = bucket("truncated").await;
    store
        .done("PUT", &format!("{bucket}?tagging"), &tagging("whole"))
        .await
        .unwrap();
    log.inject(Rule::new(Action::Truncate(20)).method("GET").first(1));
    let mut answer = reqwest::get(format!("{}{bucket}?tagging", log.store().endpoint))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.chunk().await.unwrap().unwrap().len(), 20);
    answer.chunk().await.unwrap_err();
    assert_eq!(log.requests()[0].answer.len(), 20);
    assert!(tags(log.store(), &bucket).await.contains("<Key>whole</Key>"));
}

#[tokio::test]
async fn a_stale_answer_is_that_of_before_the_write() {
    let (_, log, bucket) = bucket("stale").await;
    let before = tags(log.store(), &bucket).await;
    log.inject(
        Rule::new(Action::Stale)
            .method("GET")
            .path(&bucket)
            .query("tagging")
            .first(2),
    );
    log.store()
        .done("PUT", &format!("{bucket}?tagging"), &tagging("new"))
        .await
        .unwrap();
    assert_eq!(tags(log.store(), &bucket).await, before);
    assert_eq!(tags(log.store(), &bucket).await, before);
    assert!(tags(log.store(), &bucket).await.contains("<Key>new</Key>"));
}

#[tokio::test]
async fn a_delay_ends_with_its_time() {
    let (_, log, bucket) = bucket("delayed").await;
    let delay = Duration::from_millis(300);
    log.inject(
        Rule::new(Action::Delay(delay))
            .path(&bucket)
            .during(Duration::from_millis(400)),
    );
    let started = Instant::now();
    tags(log.store(), &bucket).await;
    assert!(started.elapsed() >= delay);
    tokio::time::sleep(Duration::from_millis(200)).await;
    tags(log.store(), &bucket).await;
    let faults: Vec<_> = log.requests().iter().map(|request| request.fault).collect();
    assert_eq!(faults, [Some("delay"), None]);
}

#[tokio::test]
async fn a_callback_runs_before_the_store_sees_the_request() {
    let (_, log, bucket) = bucket("callback").await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    log.inject(
        Rule::new(Action::run(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }))
        .method("PUT")
        .from(2),
    );
    log.inject(Rule::new(Action::Reset).method("PUT").nth(3));
    for call in 1..=3 {
        let sent = log
            .store()
            .send("PUT", &format!("{bucket}?tagging"), &tagging("x"))
            .await;
        assert_eq!(sent.is_ok(), call < 3, "{sent:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_request_takes_effect_though_its_client_is_killed() {
    let (store, log, bucket) = bucket("killed").await;
    let (through, sent) = (log.store().clone(), format!("{bucket}?tagging"));
    log.inject(Rule::new(Action::Delay(Duration::from_millis(200))).method("PUT"));
    let client = tokio::spawn(async move { through.send("PUT", &sent, &tagging("survives")).await });
    while log.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Closes its connection, as killing its process does.
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    while log.requests()[0].finished.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(tags(store, &bucket).await.contains("<Key>survives</Key>"));
}

#[tokio::test]
async fn round_trips_tell_concurrent_requests_from_serial_ones() {
    let (_, log, bucket) = bucket("round-trips").await;
    log.inject(Rule::new(Action::Delay(Duration::from_millis(100))));
    let store = log.store();
    tokio::join!(tags(store, &bucket), tags(store, &bucket), tags(store, &bucket));
    assert_eq!(round_trips(&log.requests()), 1);
    tags(store, &bucket).await;
    assert_eq!(round_trips(&log.requests()), 2);
}
