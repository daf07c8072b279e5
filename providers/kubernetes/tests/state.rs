//! Ledgers and leases on a real API server.
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
use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{Held, Holder, PolicyId, ProviderError, StateStore};
use holdfast_testbed::Cluster;
use serde_json::json;
use support::{Outside, factory};

const MINUTE: Duration = Duration::from_mins(1);

fn policy(namespace: &str, name: &str) -> PolicyId {
    PolicyId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn entries(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("ledger.json".to_owned(), value.to_owned())])
}

fn holder(name: &str) -> Holder {
    Holder(name.to_owned())
}

/// A store in a namespace that doesn't exist yet, and another client.
async fn store(namespace: &str) -> (Arc<dyn StateStore>, Outside) {
    let cluster = Cluster::shared().await.unwrap();
    let state = factory(cluster.kubeconfig()).state(namespace).await.unwrap();
    (state, Outside::open(cluster.kubeconfig()).await)
}

#[tokio::test]
async fn a_ledger_is_kept_by_compare_and_swap() {
    let (state, outside) = store("ledgers").await;
    let policy = policy("holdfast-system", "managed-velero");
    assert_eq!(state.load(&policy).await.unwrap(), None);
    let first = state.save(&policy, &entries("1"), None).await.unwrap();
    let stored = state.load(&policy).await.unwrap().unwrap();
    assert_eq!((stored.entries, &stored.version), (entries("1"), &first));
    let again = state.save(&policy, &entries("x"), None).await.unwrap_err();
    assert!(matches!(again, ProviderError::Conflict { .. }), "{again}");
    let path = "/api/v1/namespaces/ledgers/configmaps/managed-velero";
    outside
        .merge(path, &json!({ "metadata": { "labels": { "foreign": "kept" } } }))
        .await
        .unwrap();
    let outdated = state
        .save(&policy, &entries("x"), Some(&first))
        .await
        .unwrap_err();
    assert!(matches!(outdated, ProviderError::Conflict { .. }), "{outdated}");
    let version = state.load(&policy).await.unwrap().unwrap().version;
    let second = state.save(&policy, &entries("2"), Some(&version)).await.unwrap();
    assert_ne!(second, version);
    let object = outside.get(path).await.unwrap();
    let labels = &object["metadata"]["labels"];
    assert_eq!(labels["foreign"], "kept");
    assert_eq!(labels["velero.io/exclude-from-backup"], "true");
    assert_eq!(labels["app.kubernetes.io/managed-by"], "holdfast");
    assert_eq!(labels["holdfast.dev/policy"], "managed-velero");
    assert_eq!(state.place(&policy), "ConfigMap ledgers/managed-velero");
    outside.delete(path).await.unwrap();
    let gone = state
        .save(&policy, &entries("3"), Some(&second))
        .await
        .unwrap_err();
    assert!(matches!(gone, ProviderError::Conflict { .. }), "{gone}");
    assert_eq!(
        state.load(&policy).await.unwrap(),
        None,
        "it was not brought back"
    );
}

#[tokio::test]
async fn policies_of_one_name_have_ledgers_of_their_own() {
    let (state, _) = store("namesakes").await;
    let (file, other) = (policy("holdfast-system", "p"), policy("team-a", "p"));
    state.save(&file, &entries("1"), None).await.unwrap();
    state.save(&other, &entries("2"), None).await.unwrap();
    assert_eq!(state.load(&file).await.unwrap().unwrap().entries, entries("1"));
    assert_eq!(state.load(&other).await.unwrap().unwrap().entries, entries("2"));
    // A file may be called what another's object is called: that is said, not mixed up.
    let error = state
        .load(&policy("holdfast-system", "team-a.p"))
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn somebody_elses_config_map_is_no_ledger() {
    let (state, outside) = store("default").await;
    let object = json!({ "metadata": { "name": "foreign-settings" }, "data": { "a": "b" } });
    outside
        .post("/api/v1/namespaces/default/configmaps", &object)
        .await
        .unwrap();
    let error = state
        .load(&policy("holdfast-system", "foreign-settings"))
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn a_lease_has_one_holder_at_a_time() {
    let (state, outside) = store("leases").await;
    let policy = policy("holdfast-system", "p");
    let (a, b) = (holder("a"), holder("b"));
    assert_eq!(state.holder(&policy).await.unwrap(), None);
    assert_eq!(state.acquire(&policy, &a, MINUTE).await.unwrap(), Held::Ours);
    assert_eq!(state.holder(&policy).await.unwrap(), Some(a.clone()));
    let Held::Theirs { holder, remaining } = state.acquire(&policy, &b, MINUTE).await.unwrap() else {
        panic!()
    };
    assert_eq!(holder, a);
    assert!(remaining <= MINUTE && remaining > MINUTE / 2, "{remaining:?}");
    assert_eq!(
        state.acquire(&policy, &a, MINUTE).await.unwrap(),
        Held::Ours,
        "renewed"
    );
    state.release(&policy, &b).await.unwrap();
    assert!(matches!(
        state.acquire(&policy, &b, MINUTE).await.unwrap(),
        Held::Theirs { .. }
    ));
    state.release(&policy, &a).await.unwrap();
    assert_eq!(state.holder(&policy).await.unwrap(), None, "given back");
    assert_eq!(state.acquire(&policy, &b, MINUTE).await.unwrap(), Held::Ours);
    let lease = outside
        .get("/apis/coordination.k8s.io/v1/namespaces/leases/leases/p")
        .await
        .unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "b");
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 60);
    assert_eq!(
        lease["metadata"]["labels"]["velero.io/exclude-from-backup"],
        "true"
    );
}

#[tokio::test]
async fn a_lease_that_nobody_has_touched_is_renewed_without_being_read() {
    let (state, outside) = store("renewals").await;
    let cluster = Cluster::shared().await.unwrap();
    let policy = policy("holdfast-system", "p");
    let (a, b) = (holder("a"), holder("b"));
    let path = "/apis/coordination.k8s.io/v1/namespaces/renewals/leases/p";
    let renewed_at = async || outside.get(path).await.unwrap()["spec"]["renewTime"].clone();
    // What a renewal by `a` asks for.
    let asked = async || {
        let mark = cluster.mark().await.unwrap();
        let held = state.acquire(&policy, &a, MINUTE).await.unwrap();
        let mut events = cluster.since(mark).await.unwrap();
        events.retain(|event| event.namespace == "renewals" && event.resource == "leases");
        let verbs: Vec<String> = events.into_iter().map(|event| event.verb).collect();
        (held, verbs.join(" "))
    };
    assert_eq!(asked().await.0, Held::Ours);
    for _ in 0..2 {
        let before = renewed_at().await;
        assert_eq!(asked().await, (Held::Ours, "update".to_owned()));
        assert_ne!(renewed_at().await, before);
    }
    let labels = json!({ "metadata": { "labels": { "foreign": "kept" } } });
    outside.merge(path, &labels).await.unwrap();
    assert_eq!(asked().await, (Held::Ours, "update get update".to_owned()));
    assert_eq!(
        outside.get(path).await.unwrap()["metadata"]["labels"]["foreign"],
        "kept"
    );
    outside.delete(path).await.unwrap();
    assert_eq!(asked().await, (Held::Ours, "update get create".to_owned()));
    // Another process has taken it, by hand of somebody who knows better.
    let taken = json!({ "spec": { "holderIdentity": "b" } });
    outside.merge(path, &taken).await.unwrap();
    let (held, verbs) = asked().await;
    assert!(
        matches!(&held, Held::Theirs { holder, .. } if *holder == b),
        "{held:?}"
    );
    assert_eq!(verbs, "update get");
    assert_eq!(outside.get(path).await.unwrap()["spec"]["holderIdentity"], "b");
    assert_eq!(asked().await.1, "get", "what is theirs is only looked at");
}

#[tokio::test]
async fn an_expired_lease_is_taken_over() {
    let (state, outside) = store("expiries").await;
    let policy = policy("holdfast-system", "p");
    let (a, b) = (holder("a"), holder("b"));
    assert_eq!(state.acquire(&policy, &a, MINUTE).await.unwrap(), Held::Ours);
    let path = "/apis/coordination.k8s.io/v1/namespaces/expiries/leases/p";
    let past = json!({ "spec": { "renewTime": "2020-01-01T00:00:00.000000Z" } });
    outside.merge(path, &past).await.unwrap();
    assert_eq!(state.acquire(&policy, &b, MINUTE).await.unwrap(), Held::Ours);
    assert!(matches!(
        state.acquire(&policy, &a, MINUTE).await.unwrap(),
        Held::Theirs { .. }
    ));
    let lease = outside.get(path).await.unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
}

/// A holder whose clock is far ahead and that is gone: its lease ends, too.
#[tokio::test]
async fn a_lease_that_is_not_renewed_while_one_looks_on_expires() {
    let (state, outside) = store("watched").await;
    let policy = policy("holdfast-system", "p");
    state
        .acquire(&policy, &holder("a"), Duration::from_secs(1))
        .await
        .unwrap();
    let path = "/apis/coordination.k8s.io/v1/namespaces/watched/leases/p";
    let ahead = json!({ "spec": { "renewTime": "2999-01-01T00:00:00.000000Z" } });
    outside.merge(path, &ahead).await.unwrap();
    let b = holder("b");
    let mut tries = 0;
    while let Held::Theirs { remaining, .. } = state.acquire(&policy, &b, MINUTE).await.unwrap() {
        tries += 1;
        assert!(tries < 5);
        tokio::time::sleep(remaining).await;
    }
    assert!(tries > 0, "it was theirs at first");
}

/// However many want it at the same moment, one has it.
#[tokio::test]
async fn of_many_that_take_a_lease_at_once_one_has_it() {
    let (state, _) = store("races").await;
    let policy = policy("holdfast-system", "p");
    let takers = (0..8).map(|index| {
        let (state, policy) = (&state, &policy);
        async move { state.acquire(policy, &holder(&index.to_string()), MINUTE).await }
    });
    let held = futures::future::join_all(takers).await;
    let ours = held.iter().filter(|held| matches!(held, Ok(Held::Ours))).count();
    assert_eq!(ours, 1, "{held:?}");
    for held in held {
        assert!(
            matches!(held, Ok(_) | Err(ProviderError::Conflict { .. })),
            "{held:?}"
        );
    }
}

#[tokio::test]
async fn a_cluster_is_known_by_its_uid_and_a_denied_ledger_is_not_a_missing_one() {
    let (state, outside) = store("identities").await;
    let namespace = outside.get("/api/v1/namespaces/kube-system").await.unwrap();
    assert_eq!(
        state.cluster().await.unwrap().as_deref(),
        namespace["metadata"]["uid"].as_str()
    );
    let cluster = Cluster::shared().await.unwrap();
    let alice = factory(&cluster.kubeconfig_for("alice").unwrap())
        .state("identities")
        .await
        .unwrap();
    let policy = policy("holdfast-system", "p");
    for error in [
        alice.load(&policy).await.map(|_| ()).unwrap_err(),
        alice.cluster().await.map(|_| ()).unwrap_err(),
        alice
            .acquire(&policy, &holder("a"), MINUTE)
            .await
            .map(|_| ())
            .unwrap_err(),
        alice
            .save(&policy, &entries("1"), None)
            .await
            .map(|_| ())
            .unwrap_err(),
    ] {
        assert!(matches!(error, ProviderError::Denied { .. }), "{error}");
    }
}
