//! A server that misbehaves, played by the test.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    reason = "tests, which share a module that each uses a part of"
)]

mod support;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use holdfast_contract::{Observation, PolicyId, ProviderError};
use serde_json::{Value as Json, json};
use support::{factory, key, observe, provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// One answer: code, further headers, body. None: the connection is closed without one.
type Answer = Option<(u16, &'static str, Json)>;

/// A server that gives each request after discovery the next of its answers, and the last one for ever.
struct Script {
    kubeconfig: PathBuf,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn play(name: &str, answers: Vec<Answer>) -> Self {
        Self::play_with(name, answers, "Current").await
    }

    async fn play_with(name: &str, answers: Vec<Answer>, freshness: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut next = 0;
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                // One request a connection: that it is closed is said in the answer.
                while !complete(&request) {
                    match socket.read(&mut buffer).await {
                        Ok(0) | Err(_) => break,
                        Ok(read) => request.extend_from_slice(&buffer[..read]),
                    }
                }
                let text = String::from_utf8_lossy(&request);
                let line = text.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
                let answer = match line.as_str() {
                    "GET /api" => Some((200, "", discovery("", "v1", "configmaps", "ConfigMap", "Current"))),
                    "GET /apis" => Some((200, "", discovery("x.dev", "v1", "xs", "X", freshness))),
                    _ => {
                        kept.lock().unwrap().push(line);
                        let answer = answers[next.min(answers.len() - 1)].clone();
                        next += 1;
                        answer
                    }
                };
                if let Some((code, headers, body)) = answer {
                    let body = body.to_string();
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {code} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
                    );
                    let _ = socket.write_all((head + &body).as_bytes()).await;
                }
            }
        });
        let kubeconfig =
            std::env::temp_dir().join(format!("holdfast-{name}-{}.kubeconfig", std::process::id()));
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{ "name": "x", "cluster": { "server": url } }],
            "users": [{ "name": "x", "user": { "token": "t" } }],
            "contexts": [{ "name": "x", "context": { "cluster": "x", "user": "x" } }],
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { kubeconfig, seen }
    }

    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    async fn observe(&self) -> Result<Observation, ProviderError> {
        let key = key("v1", "ConfigMap", Some("n"), "x");
        observe(provider(&self.kubeconfig).await.as_ref(), &key).await
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")?
            .trim()
            .parse::<usize>()
            .ok()
    });
    body.len() >= length.unwrap_or(0)
}

fn discovery(group: &str, version: &str, plural: &str, kind: &str, freshness: &str) -> Json {
    let resources = match freshness {
        "Stale" => json!([]),
        _ => {
            json!([{ "resource": plural, "scope": "Namespaced", "verbs": ["get"], "responseKind": { "kind": kind } }])
        }
    };
    json!({ "kind": "APIGroupDiscoveryList", "items": [{
        "metadata": { "name": group },
        "versions": [{ "version": version, "freshness": freshness, "resources": resources }],
    }]})
}

fn object() -> Json {
    json!({ "metadata": { "name": "x", "namespace": "n", "uid": "u", "resourceVersion": "1" } })
}

#[tokio::test]
async fn a_throttled_read_waits_as_it_was_asked_to() {
    let script = Script::play(
        "throttled",
        vec![
            Some((429, "retry-after: 1\r\n", json!({}))),
            Some((200, "", object())),
        ],
    )
    .await;
    let begun = Instant::now();
    assert!(matches!(script.observe().await, Ok(Observation::Present(_))));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(script.seen(), 2);
}

#[tokio::test]
async fn a_long_wait_is_left_to_the_caller() {
    let script = Script::play("asked", vec![Some((429, "retry-after: 3600\r\n", json!({})))]).await;
    let error = script.observe().await.unwrap_err();
    let ProviderError::Throttled { retry_after, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(retry_after, Some(Duration::from_hours(1)));
    assert_eq!(script.seen(), 1);
}

#[tokio::test]
async fn passing_failures_of_a_read_are_tried_again_and_lasting_ones_are_no_absence() {
    let passing = vec![
        Some((503, "", json!({}))),
        None,
        Some((500, "", json!({}))),
        Some((200, "", object())),
    ];
    let script = Script::play("passing", passing).await;
    assert!(matches!(script.observe().await, Ok(Observation::Present(_))));
    assert_eq!(script.seen(), 4);
    let script = Script::play("lasting", vec![Some((504, "", json!({})))]).await;
    let error = script.observe().await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    assert_eq!(script.seen(), 5, "tries are bounded");
}

#[tokio::test]
async fn a_refused_token_is_read_anew_once() {
    let script = Script::play(
        "renewed",
        vec![Some((401, "", json!({}))), Some((200, "", object()))],
    )
    .await;
    assert!(matches!(script.observe().await, Ok(Observation::Present(_))));
    let script = Script::play("refused", vec![Some((401, "", json!({})))]).await;
    let error = script.observe().await.unwrap_err();
    assert!(matches!(error, ProviderError::Unauthenticated { .. }), "{error}");
    assert_eq!(script.seen(), 2);
}

#[tokio::test]
async fn not_every_404_is_an_absence() {
    let of = |body: Json| async move {
        Script::play("missing", vec![Some((404, "", body))])
            .await
            .observe()
            .await
    };
    let status =
        |details: Json| json!({ "kind": "Status", "code": 404, "reason": "NotFound", "details": details });
    let absent = of(status(json!({ "name": "x", "kind": "configmaps" }))).await;
    assert!(matches!(absent, Ok(Observation::Absent)));
    for other in [
        json!("404 page not found"),
        status(json!({})),
        status(json!({ "name": "y", "kind": "configmaps" })),
    ] {
        let answer = of(other.clone()).await;
        assert!(answer.is_err(), "{other}: {answer:?}");
    }
}

#[tokio::test]
async fn a_type_whose_own_server_is_down_is_not_unknown() {
    let script = Script::play_with("stale", vec![Some((200, "", object()))], "Stale").await;
    let provider = provider(&script.kubeconfig).await;
    let error = observe(provider.as_ref(), &key("x.dev/v1", "X", Some("n"), "x"))
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    let error = observe(provider.as_ref(), &key("y.dev/v1", "Y", Some("n"), "x"))
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::NotServed { .. }), "{error}");
}

#[tokio::test]
async fn a_new_ledger_is_not_sent_twice_when_its_answer_is_lost() {
    let script = Script::play("lost", vec![None]).await;
    let state = factory(&script.kubeconfig)
        .state("holdfast-system")
        .await
        .unwrap();
    let policy = PolicyId {
        namespace: "holdfast-system".to_owned(),
        name: "p".to_owned(),
    };
    let error = state.save(&policy, &[].into(), None).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    assert_eq!(script.seen(), 1);
}
