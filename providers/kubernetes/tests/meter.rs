//! Each request is measured: what the meter has counted is what the server's audit log shows.
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

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use holdfast_contract::{
    Action, ApiType, Guard, Holder, Measured, Meter, PolicyId, ProviderFactory, Query, ServiceAccount,
    Wanted, Watched, Write,
};
use holdfast_testbed::Cluster;
use serde_json::json;
use support::{Bench, config, factory, key, observe};

#[derive(Debug, Default)]
struct Kept {
    new: Mutex<Vec<Measured>>,
    total: AtomicUsize,
}

impl Meter for Kept {
    fn measure(&self, request: &Measured) {
        self.new.lock().unwrap().push(*request);
        self.total.fetch_add(1, Ordering::Relaxed);
    }
}

impl Kept {
    /// How often each operation came to what, since this was asked last.
    fn counts(&self) -> BTreeMap<String, usize> {
        let all = std::mem::take(&mut *self.new.lock().unwrap());
        let mut counts = BTreeMap::new();
        for one in all {
            assert_eq!(one.provider, "kubernetes");
            assert!(one.took > Duration::ZERO && one.took < Duration::from_mins(1));
            *counts
                .entry(format!("{} {}", one.operation, one.outcome))
                .or_default() += 1;
        }
        counts
    }
}

fn counts(all: &[(&str, usize)]) -> BTreeMap<String, usize> {
    all.iter()
        .map(|(what, count)| ((*what).to_owned(), *count))
        .collect()
}

#[tokio::test]
async fn every_request_is_counted_once_as_what_it_was_and_how_it_ended() {
    let cluster = Cluster::start().await.unwrap();
    let bench = Bench::on(&cluster, "metered").await;
    let here = Some(bench.namespace.as_str());
    let meter = Arc::new(Kept::default());
    let factory = factory(cluster.kubeconfig()).with_meter(Arc::clone(&meter) as Arc<dyn Meter>);
    let provider = factory.open(config()).await.unwrap();
    let mark = cluster.mark().await.unwrap();

    let one = key("v1", "ConfigMap", here, "one");
    observe(provider.as_ref(), &one).await.unwrap();
    assert_eq!(meter.counts(), counts(&[("discovery ok", 2), ("get refused", 1)]));
    let creation = bench.creation(&bench.manifest("one", json!({ "a": "b" })));
    provider.preview(&creation).await.unwrap();
    provider.write(&creation).await.unwrap();
    assert_eq!(meter.counts(), counts(&[("dry-run ok", 1), ("apply ok", 1)]));
    let all = Query {
        kind: "kubernetes/Object".into(),
        api: Some(ApiType::new("v1", "ConfigMap")),
        namespace: here.map(str::to_owned),
        selector: None,
        name_prefix: None,
        read: [].into(),
    };
    provider.find(&all).await.unwrap();
    assert_eq!(meter.counts(), counts(&[("list ok", 1)]));
    let observed = bench.observe(&one).await;
    let deletion = Write {
        key: one.clone(),
        action: Action::Delete {
            observed: Arc::new(observed),
        },
        guard: Guard::Same,
        manager: support::US.to_owned(),
        force: false,
    };
    provider.preview(&deletion).await.unwrap();
    provider.write(&deletion).await.unwrap();
    assert_eq!(meter.counts(), counts(&[("dry-run ok", 1), ("delete ok", 1)]));

    let state = factory.state(&bench.namespace).await.unwrap();
    let policy = PolicyId {
        namespace: "team-a".to_owned(),
        name: "p".to_owned(),
    };
    let (us, minute) = (Holder("us".to_owned()), Duration::from_mins(1));
    state.acquire(&policy, &us, minute).await.unwrap();
    state.acquire(&policy, &us, minute).await.unwrap();
    assert_eq!(
        meter.counts(),
        // Our own lease is renewed without being read.
        counts(&[("get refused", 1), ("create ok", 1), ("update ok", 1)])
    );
    let version = state.save(&policy, &BTreeMap::new(), None).await.unwrap();
    state
        .save(&policy, &BTreeMap::new(), Some(&version))
        .await
        .unwrap();
    assert_eq!(meter.counts(), counts(&[("create ok", 1), ("patch ok", 1)]));

    let watched = Watched {
        wanted: vec![Wanted {
            key: one.clone(),
            facets: ["object".into()].into(),
        }],
        ..Watched::default()
    };
    let mut seen = provider.watch(&watched).unwrap();
    seen.next().await.unwrap();
    bench.create(&bench.manifest("one", json!({}))).await;
    tokio::time::timeout(Duration::from_secs(20), seen.next())
        .await
        .unwrap()
        .unwrap();
    let opened = meter.counts();
    assert_eq!(opened.get("watch ok"), Some(&1), "{opened:?}");
    drop(seen);

    // An account that may do nothing: its requests count as well.
    let account = ServiceAccount::new("default", "nobody").unwrap();
    let nobody = factory.acting_as(account).open(config()).await.unwrap();
    observe(nobody.as_ref(), &one).await.unwrap_err();
    assert_eq!(meter.counts(), counts(&[("discovery ok", 2), ("get refused", 1)]));

    // The other witness: as many as the server has seen of this user agent.
    let events = cluster.since(mark).await.unwrap();
    let ours = |agent: &str| agent.starts_with("holdfast/");
    let asked = events.iter().filter(|event| ours(&event.user_agent)).count();
    // The bench's own provider, which isn't measured, asked for the types, read one object and made one.
    let unmeasured = 2 + 1 + 1;
    assert_eq!(asked, meter.total.load(Ordering::Relaxed) + unmeasured);
}

/// A request that nobody waits for any longer was sent all the same.
#[tokio::test]
async fn a_request_that_is_given_up_counts_as_failed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cluster = Cluster::shared().await.unwrap();
    let path = cluster.kubeconfig_with_token("silent", "admin").unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::fs::write(&path, text.replace(cluster.url(), &url)).unwrap();
    let meter = Arc::new(Kept::default());
    let factory = factory(&path).with_meter(Arc::clone(&meter) as Arc<dyn Meter>);
    let state = factory.state("x").await.unwrap();
    let cluster = state.cluster();
    let given_up = tokio::time::timeout(Duration::from_millis(200), cluster).await;
    assert!(given_up.is_err(), "{given_up:?}");
    assert_eq!(meter.counts(), counts(&[("get failed", 1)]));
}
