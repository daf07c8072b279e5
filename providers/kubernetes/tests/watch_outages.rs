//! Watches when the server, its types, or the way to it come and go.
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

use std::time::Duration;

use holdfast_contract::{ResourceKey, Watched};
use holdfast_testbed::{AuditEvent, Cluster, Mark};
use serde_json::{Value as Json, json};
use support::watching::{Watching, query, wanted};
use support::{Bench, key, provider};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn definition(group: &str) -> Json {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("things.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}],
        },
    })
}

/// The provider's own requests, watches left out.
async fn requests(cluster: &Cluster, mark: Mark) -> Vec<AuditEvent> {
    let events = cluster.since(mark).await.unwrap().into_iter();
    events
        .filter(|event| event.user_agent.starts_with("holdfast/") && event.verb != "watch")
        .collect()
}

/// Makes an object as soon as its type is served.
async fn make(bench: &Bench, path: &str, object: &Json) {
    for _ in 0..400 {
        match bench.outside.post(path, object).await {
            Ok(_) => return,
            Err(error) if error.contains("already exists") => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
    panic!("{path} never takes it");
}

#[tokio::test]
async fn a_type_that_comes_and_goes_is_noticed_and_what_is_of_it_is_not_absent_without_it() {
    let cluster = Cluster::start().await.unwrap();
    let bench = Bench::on(&cluster, "types").await;
    let one = key("come.test/v1", "Thing", Some(&bench.namespace), "one");
    let many = (0..5).map(|index| ResourceKey {
        name: format!("m{index}"),
        ..one.clone()
    });
    let watched = Watched {
        wanted: wanted([one.clone()]),
        own: wanted(many),
        mark: Some("test".to_owned()),
        lists: vec![query(&one, None, None)],
        types: true,
    };
    let mut watching = Watching::begin(bench.provider.as_ref(), &watched);
    let is_unserved =
        |watching: &Watching| watching.last.values().all(Result::is_err) && watching.list.is_none();
    watching
        .until("it isn't served", |watching| {
            watching.last.len() == 6 && watching.lists == 1
        })
        .await;
    assert!(is_unserved(&watching), "{:?}", watching.told);
    let (things, mut manifest) = (
        format!("/apis/come.test/v1/namespaces/{}/things", bench.namespace),
        json!({ "apiVersion": "come.test/v1", "kind": "Thing", "metadata": { "name": "one" } }),
    );
    for round in 0..2 {
        let mark = cluster.mark().await.unwrap();
        let types = watching.types;
        bench
            .outside
            .post(DEFINITIONS, &definition("come.test"))
            .await
            .unwrap();
        watching
            .until("it is served", |watching| {
                watching.last.values().all(Result::is_ok) && watching.list.is_some()
            })
            .await;
        assert!(watching.types > types);
        assert!(watching.is_absent("m3"), "{:?}", watching.told);
        make(&bench, &things, &manifest).await;
        watching
            .until("what is of it", |watching| {
                watching.is_present("one") && watching.list.as_ref().is_some_and(|list| list.len() == 1)
            })
            .await;
        bench
            .outside
            .delete(&format!("{DEFINITIONS}/things.come.test"))
            .await
            .unwrap();
        watching.until("it is gone", is_unserved).await;
        assert!(
            watching.is_unserved("one") && watching.is_unserved("m3"),
            "{:?}",
            watching.told
        );
        // Nothing is asked again and again.
        watching.during(Duration::from_secs(3)).await;
        let asked = requests(&cluster, mark).await;
        let lists = asked.iter().filter(|event| event.verb == "list").count();
        assert!(
            lists <= 16 && asked.len() <= 60,
            "round {round}: {} requests: {asked:#?}",
            asked.len()
        );
        let mark = cluster.mark().await.unwrap();
        watching.during(Duration::from_secs(3)).await;
        let asked = requests(&cluster, mark).await;
        assert!(asked.is_empty(), "{asked:#?}");
        manifest["data"] = json!({ "round": round });
    }
}

#[tokio::test]
async fn definitions_of_other_types_ask_nothing_of_the_server() {
    let cluster = Cluster::start().await.unwrap();
    let bench = Bench::on(&cluster, "types").await;
    let one = key("wanted.test/v1", "Thing", Some(&bench.namespace), "one");
    let watched = Watched {
        wanted: wanted([one]),
        types: true,
        ..Watched::default()
    };
    let mut watching = Watching::begin(bench.provider.as_ref(), &watched);
    watching
        .until("it isn't served", |watching| watching.is_unserved("one"))
        .await;
    watching.during(Duration::from_millis(500)).await;
    let mark = cluster.mark().await.unwrap();
    bench
        .outside
        .post(DEFINITIONS, &definition("other.test"))
        .await
        .unwrap();
    watching.until("types", |watching| watching.types > 0).await;
    watching.during(Duration::from_secs(2)).await;
    let asked = requests(&cluster, mark).await;
    assert!(asked.is_empty(), "{asked:#?}");
    assert_eq!(watching.told.len(), 1);
}

#[tokio::test]
async fn types_that_came_before_the_watch_began_are_told_once_it_has() {
    let cluster = Cluster::start().await.unwrap();
    let bench = Bench::on(&cluster, "types").await;
    let types = Watched {
        types: true,
        ..Watched::default()
    };
    let begin = || Watching::begin(bench.provider.as_ref(), &types);
    bench.provider.served(&[], true).await.unwrap();
    // Nobody watches yet.
    let one = json!({ "apiVersion": "first.test/v1", "kind": "Thing", "metadata": { "name": "one" } });
    let things = |group: &str| format!("/apis/{group}/v1/namespaces/{}/things", bench.namespace);
    bench
        .outside
        .post(DEFINITIONS, &definition("first.test"))
        .await
        .unwrap();
    make(&bench, &things("first.test"), &one).await;
    let mut first = begin();
    first.until("the first type", |watching| watching.types > 0).await;
    // Somebody watches, and another has not looked since.
    bench.provider.served(&[], true).await.unwrap();
    bench
        .outside
        .post(DEFINITIONS, &definition("second.test"))
        .await
        .unwrap();
    let told = first.types;
    first
        .until("the second type", |watching| watching.types > told)
        .await;
    // Until nothing more comes of it.
    first.during(Duration::from_secs(1)).await;
    let mut second = begin();
    second
        .until("the second type", |watching| watching.types > 0)
        .await;
    // Who has looked since isn't told.
    bench.provider.served(&[], true).await.unwrap();
    let mut third = begin();
    third.during(Duration::from_secs(1)).await;
    assert_eq!(third.types, 0);
}

#[tokio::test]
async fn a_server_that_stops_and_starts_again_makes_nothing_unknown_and_loses_no_change() {
    let mut cluster = Cluster::start().await.unwrap();
    let bench = Bench::on(&cluster, "restart").await;
    for index in 0..6 {
        bench
            .create(&bench.manifest(&format!("o{index}"), json!({ "a": "1" })))
            .await;
    }
    let config_map = |name: &str| key("v1", "ConfigMap", Some(&bench.namespace), name);
    let watched = Watched {
        wanted: wanted(["o0", "none"].map(config_map)),
        own: wanted(["o1", "o2", "o3", "o4"].map(config_map)),
        lists: vec![query(&config_map(""), None, Some("o"))],
        types: true,
        ..Watched::default()
    };
    let mut watching = Watching::begin(bench.provider.as_ref(), &watched);
    watching
        .until("all are told", |watching| {
            watching.last.len() == 6 && watching.list.is_some()
        })
        .await;
    cluster.stop_api_server();
    watching.during(Duration::from_secs(4)).await;
    cluster.start_api_server_again().await.unwrap();
    let outside = support::Outside::open(cluster.kubeconfig()).await;
    // Some of these come before the provider is back.
    let change = json!({ "data": { "a": "2" } });
    for name in ["o0", "o3"] {
        outside.merge(&bench.config_map(name), &change).await.unwrap();
    }
    outside.delete(&bench.config_map("o2")).await.unwrap();
    watching
        .until("all changes", |watching| {
            let is_changed = |name| watching.text(name, &["data", "a"]).as_deref() == Some("2");
            is_changed("o0")
                && is_changed("o3")
                && watching.is_absent("o2")
                && watching.list.as_ref().is_some_and(|list| list.len() == 5)
        })
        .await;
    let errors = watching
        .told
        .iter()
        .filter(|told| !told.contains("present") && !told.contains("absent"));
    let errors: Vec<_> = errors.filter(|told| !told.starts_with("listed")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    // Types that come are still noticed.
    let types = watching.types;
    outside
        .post(DEFINITIONS, &definition("later.test"))
        .await
        .unwrap();
    watching.until("types", |watching| watching.types > types).await;
}

#[tokio::test]
async fn what_happens_while_the_way_is_shut_is_told_though_its_history_is_gone() {
    let cluster = Cluster::start_with(&["--watch-cache=false"]).await.unwrap();
    let bench = Bench::on(&cluster, "compaction").await;
    for index in 0..6 {
        bench
            .create(&bench.manifest(&format!("o{index}"), json!({ "a": "1" })))
            .await;
    }
    let (gate, config) = cluster.gate("admin").await.unwrap();
    let config_map = |name: &str| key("v1", "ConfigMap", Some(&bench.namespace), name);
    let watched = Watched {
        wanted: wanted(["o0"].map(config_map)),
        own: wanted(["o1", "o2", "o3", "o4"].map(config_map)),
        lists: vec![query(&config_map(""), None, Some("o"))],
        ..Watched::default()
    };
    let mut watching = Watching::begin(provider(&config).await.as_ref(), &watched);
    watching
        .until("all are told", |watching| {
            watching.last.len() == 5 && watching.list.is_some()
        })
        .await;
    for (value, compacts) in [("2", false), ("3", true)] {
        gate.shut();
        let change = json!({ "data": { "a": value } });
        for name in ["o0", "o3"] {
            bench
                .outside
                .merge(&bench.config_map(name), &change)
                .await
                .unwrap();
        }
        if compacts {
            bench.outside.delete(&bench.config_map("o2")).await.unwrap();
            cluster.compact().await.unwrap();
        }
        let (lists, mark) = (watching.lists, cluster.mark().await.unwrap());
        gate.open();
        watching
            .until("all changes", |watching| {
                let is_changed = |name| watching.text(name, &["data", "a"]).as_deref() == Some(value);
                is_changed("o0") && is_changed("o3") && (!compacts || watching.is_absent("o2"))
            })
            .await;
        watching
            .until("the list", |watching| !compacts || watching.lists > lists)
            .await;
        let asked = requests(&cluster, mark).await;
        let listed = asked.iter().filter(|event| event.verb == "list").count();
        assert_eq!(listed, if compacts { 2 } else { 0 }, "{asked:#?}");
    }
    assert_eq!(
        watching.list.as_ref().map(std::collections::BTreeSet::len),
        Some(5)
    );
    assert_eq!(watching.count("can't be reached"), 0, "{:?}", watching.told);
}
