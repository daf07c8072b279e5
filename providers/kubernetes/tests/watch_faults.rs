//! Watches of a server that misbehaves, played by the test.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    reason = "tests, which share a module that each uses a part of"
)]

mod support;

use std::time::Duration;

use holdfast_contract::Watched;
use serde_json::{Value as Json, json};
use support::script::{Reply, Script};
use support::watching::{Watching, query, wanted};
use support::{key, provider};

const LASTS: Duration = Duration::from_mins(5);
/// Longer than a watch that counts as failed.
const A_WHILE: Duration = Duration::from_millis(1200);

fn object(version: &str) -> Json {
    json!({ "metadata": { "name": "x", "namespace": "n", "uid": "u", "resourceVersion": version } })
}

/// A list that holds the object, if `version` is of it, at version 10.
fn list(version: Option<&str>) -> Reply {
    let items: Vec<Json> = version.map(object).into_iter().collect();
    let list = json!({ "metadata": { "resourceVersion": "10" }, "items": items });
    (200, "", list).into()
}

/// A watch that says this and then closes after a time.
fn watch(events: &[Json], closes: Duration) -> Reply {
    let mut body = String::new();
    for event in events {
        body.push_str(&event.to_string());
        body.push('\n');
    }
    Reply {
        code: 200,
        headers: "",
        body,
        closes,
    }
}

fn event(kind: &str, object: Json) -> Json {
    json!({ "type": kind, "object": object })
}

fn status(code: u16) -> Json {
    json!({ "kind": "Status", "code": code, "message": "played" })
}

fn version_of(line: &str) -> Option<&str> {
    line.split("resourceVersion=").nth(1)?.split('&').next()
}

/// What is asked, in short: `list`, `get`, and of a watch the version from which it goes on.
fn asked(script: &Script) -> Vec<String> {
    let requests = script.requests().into_iter();
    requests
        .map(|(_, line)| match version_of(&line) {
            Some(version) => version.to_owned(),
            None if line.contains("/configmaps/") => "get".to_owned(),
            None => "list".to_owned(),
        })
        .collect()
}

async fn begin(script: &Script) -> Watching {
    let one = key("v1", "ConfigMap", Some("n"), "x");
    let watched = Watched {
        wanted: wanted([one]),
        ..Watched::default()
    };
    Watching::begin(provider(&script.kubeconfig).await.as_ref(), &watched)
}

async fn play(name: &str, reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Script {
    Script::reply_with(name, move |number, _| Some(reply(number)), "Current").await
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_where_it_ended_without_a_list() {
    let script = play("ends", |number| match number {
        0 => list(Some("7")),
        1 => watch(&[event("MODIFIED", object("12"))], A_WHILE),
        // A bookmark is a newer version, too.
        2 => watch(
            &[event(
                "BOOKMARK",
                json!({ "metadata": { "resourceVersion": "20" } }),
            )],
            A_WHILE,
        ),
        _ => watch(&[event("MODIFIED", object("21"))], LASTS),
    })
    .await;
    let mut watching = begin(&script).await;
    watching
        .until("the last", |watching| watching.count("present 21") == 1)
        .await;
    assert_eq!(asked(&script), ["list", "10", "12", "20"]);
    assert_eq!(watching.told, ["x: present 7", "x: present 12", "x: present 21"]);
}

#[tokio::test]
async fn a_version_that_is_gone_is_followed_by_a_list() {
    let script = play("gone", |number| match number {
        0 | 2 | 4 => list(Some(["7", "8", "9"][number / 2])),
        // Told as an event, and as an answer.
        1 => watch(&[event("ERROR", status(410))], LASTS),
        3 => (410, "", status(410)).into(),
        _ => watch(&[], LASTS),
    })
    .await;
    let mut watching = begin(&script).await;
    watching
        .until("the last list", |watching| watching.count("present 9") == 1)
        .await;
    assert_eq!(asked(&script), ["list", "10", "list", "10", "list", "10"]);
    assert!(
        watching.told.iter().all(|told| told.contains("present")),
        "{:?}",
        watching.told
    );
}

#[tokio::test]
async fn what_is_deleted_is_read_before_it_is_absent() {
    let script = play("deleted", |number| match number {
        0 => list(Some("7")),
        1 => watch(&[event("DELETED", object("12"))], LASTS),
        // The server can't tell; then it is there again.
        2..=6 => (503, "", status(503)).into(),
        7 => list(Some("14")),
        _ => watch(&[], LASTS),
    })
    .await;
    let mut watching = begin(&script).await;
    watching
        .until("it is there", |watching| watching.count("present 14") == 1)
        .await;
    assert_eq!(watching.count("absent"), 0, "{:?}", watching.told);
    assert_eq!(watching.count("can't be reached"), 1, "{:?}", watching.told);
}

#[tokio::test]
async fn a_throttled_watch_waits_as_it_was_asked_to() {
    let script = play("throttled-watch", |number| match number {
        0 => list(None),
        1 => (429, "retry-after: 2\r\n", json!({})).into(),
        _ => watch(&[event("ADDED", object("11"))], LASTS),
    })
    .await;
    let mut watching = begin(&script).await;
    watching
        .until("it is there", |watching| watching.is_present("x"))
        .await;
    assert_eq!(watching.told, ["x: absent", "x: present 11"]);
    let requests = script.requests();
    assert!(requests[2].0 - requests[1].0 >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_wait_without_measure_is_told_at_once_and_ends_after_ten_minutes() {
    for (name, headers, details) in [
        ("day", "retry-after: 86400\r\n", json!({})),
        ("ages", "retry-after: 18446744073709551615\r\n", json!({})),
        ("told", "", json!({ "retryAfterSeconds": u64::MAX })),
    ] {
        let throttled =
            json!({ "kind": "Status", "code": 429, "reason": "TooManyRequests", "details": details });
        let script = play(&format!("wait-{name}"), move |number| match number {
            0 => list(Some("7")),
            1 => watch(&[], A_WHILE),
            2 => (429, headers, throttled.clone()).into(),
            3 => list(Some("8")),
            _ => watch(&[event("MODIFIED", object("12"))], LASTS),
        })
        .await;
        let mut watching = begin(&script).await;
        watching
            .until("the wait is told", |watching| watching.told.len() > 1)
            .await;
        assert!(
            watching.told[1].contains("asks to slow down"),
            "{:?}",
            watching.told
        );
        tokio::time::pause();
        tokio::time::advance(Duration::from_mins(10)).await;
        tokio::time::resume();
        watching
            .until("the change", |watching| watching.count("present 12") == 1)
            .await;
        assert_eq!(watching.count("present 8"), 1, "{:?}", watching.told);
    }
}

#[tokio::test]
async fn a_list_whose_watch_has_to_wait_for_long_is_not_told_as_what_there_is() {
    let script = play("wait-first", |number| match number {
        0 => list(Some("7")),
        _ => (429, "retry-after: 300\r\n", json!({})).into(),
    })
    .await;
    let mut watching = begin(&script).await;
    watching.during(Duration::from_secs(2)).await;
    assert_eq!(watching.told, ["x: the Kubernetes API asks to slow down"]);
}

#[tokio::test]
async fn watches_that_end_at_once_are_begun_at_growing_intervals() {
    let script = play("short", |number| match number {
        0 => list(Some("7")),
        _ => watch(&[], Duration::ZERO),
    })
    .await;
    let mut watching = begin(&script).await;
    watching.during(Duration::from_secs(5)).await;
    let seen = script.seen();
    assert!((4..=9).contains(&seen), "{seen} requests in 5 s");
    assert_eq!(watching.told, ["x: present 7"]);
}

#[tokio::test]
async fn what_may_be_listed_but_not_watched_is_told_once() {
    let denial = "configmaps is forbidden: User \"u\" cannot watch resource \"configmaps\" in API group \"\"";
    let script = play("unwatchable", move |number| match number % 2 {
        0 => list(Some("7")),
        _ => (
            403,
            "",
            json!({ "kind": "Status", "code": 403, "reason": "Forbidden", "message": denial }),
        )
            .into(),
    })
    .await;
    let mut watching = begin(&script).await;
    watching.during(Duration::from_secs(4)).await;
    assert_eq!(
        watching.told,
        ["x: access denied: this identity lacks watch configmaps on ConfigMap n/x"]
    );
    assert!((4..=12).contains(&script.seen()), "{}", script.seen());
}

#[tokio::test]
async fn a_type_that_cannot_be_watched_says_so_and_is_left_alone() {
    let script = play("method", |number| match number % 2 {
        0 => list(Some("7")),
        _ => (
            405,
            "",
            json!({ "kind": "Status", "code": 405, "reason": "MethodNotAllowed" }),
        )
            .into(),
    })
    .await;
    let of = key("v1", "ConfigMap", Some("n"), "");
    let watched = Watched {
        lists: vec![query(&of, None, None)],
        ..Watched::default()
    };
    let mut watching = Watching::begin(provider(&script.kubeconfig).await.as_ref(), &watched);
    watching.during(Duration::from_secs(3)).await;
    assert_eq!(
        watching.told,
        ["list: the Kubernetes API does not support watching configmaps"]
    );
    assert_eq!(script.seen(), 2);
}

#[tokio::test]
async fn an_event_that_is_no_json_is_followed_by_a_list() {
    let script = play("garbage", |number| match number {
        0 => list(Some("7")),
        1 => Reply {
            body: "<html>\n".to_owned(),
            ..watch(&[], LASTS)
        },
        2 => list(Some("8")),
        _ => watch(&[], LASTS),
    })
    .await;
    let mut watching = begin(&script).await;
    watching
        .until("the list", |watching| watching.count("present 8") == 1)
        .await;
    assert_eq!(watching.told, ["x: present 7", "x: present 8"]);
}

#[tokio::test]
async fn a_server_that_was_never_reached_is_told_once() {
    let script = Script::play("nothing", vec![None]).await;
    let mut watching = begin(&script).await;
    watching.during(Duration::from_secs(12)).await;
    assert_eq!(watching.count("can't be reached"), 1, "{:?}", watching.told);
    assert_eq!(watching.told.len(), 1);
}
