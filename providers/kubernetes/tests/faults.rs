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

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_contract::{Held, Holder, Observation, PolicyId, ProviderError};
use holdfast_kubernetes::KubernetesFactory;
use serde_json::{Value as Json, json};
use support::script::{Reply, Script};
use support::{factory, key, observe, provider};

impl Script {
    async fn observe(&self) -> Result<Observation, ProviderError> {
        let key = key("v1", "ConfigMap", Some("n"), "x");
        observe(provider(&self.kubeconfig).await.as_ref(), &key).await
    }
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
    let policy = policy(0);
    let error = state.save(&policy, &[].into(), None).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    assert_eq!(script.seen(), 1);
}

fn policy(number: usize) -> PolicyId {
    PolicyId {
        namespace: "holdfast-system".to_owned(),
        name: format!("p{number}"),
    }
}

/// A server that answers only requests that are of `answered`, and a factory with which ledgers are loaded and statuses
/// written, more of them than are sent at once.
async fn hung(name: &str, answered: &'static str) -> (Script, KubernetesFactory) {
    let reply = move |_, line: &str| {
        let object = json!({ "metadata": { "name": "p0", "resourceVersion": "1" }, "items": [] });
        let missing = json!({ "kind": "Status", "code": 404, "reason": "NotFound",
            "details": { "name": "p0", "kind": answered.trim_start_matches('/') } });
        Some(match line {
            line if !line.contains(answered) => Reply {
                closes: Duration::from_mins(5),
                ..(200, "", json!({})).into()
            },
            line if line.ends_with("/p0") => (404, "", missing).into(),
            _ => (200, "", object).into(),
        })
    };
    let script = Script::reply_with(name, reply, "Current").await;
    let factory = factory(&script.kubeconfig);
    let state = factory.state("holdfast-system").await.unwrap();
    let desk = factory.desk([].into(), &us()).await.unwrap();
    for number in 1..20 {
        let (state, desk) = (Arc::clone(&state), Arc::clone(&desk));
        tokio::spawn(async move {
            let (policy, status) = (policy(number), json!({}));
            tokio::join!(state.load(&policy), desk.write_status(&policy, "u", &status))
        });
    }
    let hangs = |(_, line): &(Instant, String)| !line.contains(answered);
    while script.requests().into_iter().filter(hangs).count() < 8 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (script, factory)
}

fn us() -> Holder {
    Holder("us".to_owned())
}

#[tokio::test]
async fn leases_are_taken_and_replicas_known_while_every_other_request_hangs() {
    let (_script, factory) = hung("leases", "/leases").await;
    let state = factory.state("holdfast-system").await.unwrap();
    let roster = factory.roster("holdfast-system", "all").await.unwrap();
    let minute = Duration::from_mins(1);
    let ours = async {
        let (policy, us) = (policy(0), us());
        tokio::join!(
            state.acquire(&policy, &us, minute),
            roster.announce(&us, minute),
            roster.members()
        )
    };
    let done = tokio::time::timeout(Duration::from_secs(5), ours).await;
    assert!(matches!(done, Ok((Ok(Held::Ours), Ok(()), Ok(_)))), "{done:?}");
}

#[tokio::test]
async fn a_ledger_is_read_while_statuses_hang() {
    let (_script, factory) = hung("ledgers", "/configmaps").await;
    let state = factory.state("holdfast-system").await.unwrap();
    let policy = policy(0);
    let ledger = tokio::time::timeout(Duration::from_secs(5), state.load(&policy)).await;
    assert!(matches!(ledger, Ok(Ok(None))), "{ledger:?}");
}

#[tokio::test]
async fn whoever_waits_to_try_again_holds_up_nobody() {
    let reply = |_, line: &str| {
        Some(match line {
            line if line.ends_with("/x") => (200, "", object()).into(),
            _ => (429, "retry-after: 9\r\n", json!({})).into(),
        })
    };
    let script = Script::reply_with("waiting", reply, "Current").await;
    let provider = provider(&script.kubeconfig).await;
    for number in 0..20 {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move {
            let key = key("v1", "ConfigMap", Some("n"), &format!("slow-{number}"));
            observe(provider.as_ref(), &key).await
        });
    }
    while script.seen() < 8 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let one = key("v1", "ConfigMap", Some("n"), "x");
    let answer = tokio::time::timeout(Duration::from_secs(5), observe(provider.as_ref(), &one)).await;
    assert!(matches!(answer, Ok(Ok(Observation::Present(_)))), "{answer:?}");
}
