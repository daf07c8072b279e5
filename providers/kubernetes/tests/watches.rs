//! Watches, on a real API server.
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

use holdfast_contract::{ProviderError, ResourceKey, Watched};
use holdfast_testbed::{AuditEvent, Cluster, Mark};
use serde_json::{Value as Json, json};
use support::watching::{Watching, query, wanted};
use support::{Bench, key, provider};

const MARK: &str = "holdfast-system.test";
const LABEL: [&str; 3] = ["metadata", "labels", "holdfast.dev/policy"];

/// Names of objects: `o0` and so on.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("o{index}")).collect()
}

struct Ground {
    bench: Bench,
    cluster: &'static Cluster,
}

impl Ground {
    async fn new(prefix: &str) -> Self {
        let cluster = Cluster::shared().await.unwrap();
        Self {
            bench: Bench::on(cluster, prefix).await,
            cluster,
        }
    }

    fn keys(&self, count: usize) -> Vec<ResourceKey> {
        let key = |name: String| key("v1", "ConfigMap", Some(&self.bench.namespace), &name);
        names(count).into_iter().map(key).collect()
    }

    fn own(&self, count: usize) -> Watched {
        Watched {
            own: wanted(self.keys(count)),
            mark: Some(MARK.to_owned()),
            ..Watched::default()
        }
    }

    fn begin(&self, watched: &Watched) -> Watching {
        Watching::begin(self.bench.provider.as_ref(), watched)
    }

    /// Somebody makes a `ConfigMap`, with the mark or without.
    async fn make(&self, name: &str, mark: Option<&str>) {
        let mut manifest = self.bench.manifest(name, json!({ "a": "1" }));
        if let Some(mark) = mark {
            manifest["metadata"]["labels"] = json!({ "holdfast.dev/policy": mark });
        }
        let all = format!("/api/v1/namespaces/{}/configmaps", self.bench.namespace);
        self.bench.outside.post(&all, &manifest).await.unwrap();
    }

    async fn merge(&self, name: &str, change: Json) {
        let path = self.bench.config_map(name);
        self.bench.outside.merge(&path, &change).await.unwrap();
    }

    async fn relabel(&self, name: &str, mark: Option<&str>) {
        self.merge(
            name,
            json!({ "metadata": { "labels": { "holdfast.dev/policy": mark } } }),
        )
        .await;
    }

    async fn delete(&self, name: &str) {
        let path = self.bench.config_map(name);
        self.bench.outside.delete(&path).await.unwrap();
    }

    /// The provider's requests since then in the namespace.
    async fn requests(&self, mark: Mark) -> Vec<AuditEvent> {
        let events = self.cluster.since(mark).await.unwrap().into_iter();
        events
            .filter(|event| {
                event.user_agent.starts_with("holdfast/") && event.namespace == self.bench.namespace
            })
            .collect()
    }
}

fn count(events: &[AuditEvent], verb: &str, query: &str) -> usize {
    let is_meant = |event: &&AuditEvent| event.verb == verb && event.uri.contains(query);
    events.iter().filter(is_meant).count()
}

#[tokio::test]
async fn many_of_ones_own_are_one_list_and_watch_by_the_mark() {
    let ground = Ground::new("marked").await;
    for name in names(5) {
        ground.make(&name, Some(MARK)).await;
    }
    ground.make("unnamed", Some(MARK)).await;
    ground.make("foreign", None).await;
    let mark = ground.cluster.mark().await.unwrap();
    let mut watching = ground.begin(&ground.own(5));
    watching
        .until("all are told", |watching| watching.last.len() == 5)
        .await;
    ground.merge("unnamed", json!({ "data": { "a": "2" } })).await;
    ground.merge("foreign", json!({ "data": { "a": "2" } })).await;
    ground.merge("o3", json!({ "data": { "a": "2" } })).await;
    watching
        .until("the change", |watching| {
            watching.text("o3", &["data", "a"]).as_deref() == Some("2")
        })
        .await;
    assert_eq!(watching.told.len(), 6, "{:?}", watching.told);
    let requests = ground.requests(mark).await;
    let selector = "labelSelector=holdfast.dev%2Fpolicy%3Dholdfast-system.test";
    assert_eq!(count(&requests, "list", selector), 1, "{requests:?}");
    assert_eq!(count(&requests, "watch", selector), 1, "{requests:?}");
    assert_eq!(requests.len(), 2, "{requests:?}");
}

#[tokio::test]
async fn what_a_selector_does_not_show_is_read_before_it_is_absent() {
    let ground = Ground::new("missing").await;
    for name in names(4) {
        ground.make(&name, Some(MARK)).await;
    }
    // There, but without the mark; `o5` isn't there.
    ground.make("o4", None).await;
    let mark = ground.cluster.mark().await.unwrap();
    let mut watching = ground.begin(&ground.own(6));
    watching
        .until("all are told", |watching| watching.last.len() == 6)
        .await;
    assert!(
        watching.is_present("o4") && watching.is_absent("o5"),
        "{:?}",
        watching.told
    );
    ground.delete("o1").await;
    watching
        .until("the deletion", |watching| watching.is_absent("o1"))
        .await;
    let requests = ground.requests(mark).await;
    assert_eq!(count(&requests, "get", "/configmaps/"), 3, "{requests:?}");
    // Put back, it is told as well.
    ground.make("o1", Some(MARK)).await;
    watching
        .until("the creation", |watching| watching.is_present("o1"))
        .await;
}

#[tokio::test]
async fn one_that_loses_its_label_is_no_absence_and_is_watched_on_until_it_bears_it_again() {
    let ground = Ground::new("relabelled").await;
    for name in names(5) {
        ground.make(&name, Some(MARK)).await;
    }
    let mut watching = ground.begin(&ground.own(5));
    watching
        .until("all are told", |watching| watching.last.len() == 5)
        .await;
    for others in [None, Some("holdfast-system.other")] {
        ground.relabel("o2", others).await;
        watching
            .until("the loss of the label", |watching| {
                watching.is_present("o2") && watching.text("o2", &LABEL).as_deref() == others
            })
            .await;
        // Without it, it is still seen.
        let value = format!("without {others:?}");
        ground.merge("o2", json!({ "data": { "a": value } })).await;
        watching
            .until("a change without the label", |watching| {
                watching.text("o2", &["data", "a"]).as_ref() == Some(&value)
            })
            .await;
        ground.relabel("o2", Some(MARK)).await;
        watching
            .until("the label is back", |watching| {
                watching.text("o2", &LABEL).as_deref() == Some(MARK)
            })
            .await;
    }
    assert_eq!(watching.count("absent"), 0, "{:?}", watching.told);
    // From here on the selector alone shows it.
    let mark = ground.cluster.mark().await.unwrap();
    ground.merge("o2", json!({ "data": { "a": "last" } })).await;
    watching
        .until("the last change", |watching| {
            watching.text("o2", &["data", "a"]).as_deref() == Some("last")
        })
        .await;
    assert_eq!(ground.requests(mark).await.len(), 0);
    ground.delete("o2").await;
    watching
        .until("the deletion", |watching| watching.is_absent("o2"))
        .await;
}

#[tokio::test]
async fn where_many_lack_the_label_all_are_watched_until_they_bear_it() {
    let ground = Ground::new("unmarked").await;
    for name in names(8) {
        ground.make(&name, None).await;
    }
    let mark = ground.cluster.mark().await.unwrap();
    let mut watching = ground.begin(&ground.own(10));
    watching
        .until("all are told", |watching| watching.last.len() == 10)
        .await;
    ground.merge("o7", json!({ "data": { "a": "2" } })).await;
    ground.make("o8", None).await;
    watching
        .until("changes without the label", |watching| {
            watching.text("o7", &["data", "a"]).as_deref() == Some("2") && watching.is_present("o8")
        })
        .await;
    let requests = ground.requests(mark).await;
    assert_eq!(count(&requests, "watch", "labelSelector"), 1, "{requests:?}");
    let all = requests
        .iter()
        .filter(|event| event.verb == "watch" && !event.uri.contains("Selector"));
    assert_eq!(all.count(), 1, "{requests:?}");
    let mark = ground.cluster.mark().await.unwrap();
    for name in names(9) {
        ground.relabel(&name, Some(MARK)).await;
    }
    watching
        .until("all bear the label", |watching| {
            names(9)
                .iter()
                .all(|name| watching.text(name, &LABEL).as_deref() == Some(MARK))
        })
        .await;
    // The next change comes by the selector, which is the only watch then.
    ground.merge("o0", json!({ "data": { "a": "3" } })).await;
    watching
        .until("a change with the label", |watching| {
            watching.text("o0", &["data", "a"]).as_deref() == Some("3")
        })
        .await;
    watching.during(Duration::from_millis(300)).await;
    let requests = ground.requests(mark).await;
    assert_eq!(count(&requests, "watch", "labelSelector"), 1, "{requests:?}");
}

#[tokio::test]
async fn secrets_are_watched_one_by_one() {
    let ground = Ground::new("secrets").await;
    let keys: Vec<ResourceKey> = names(5)
        .iter()
        .map(|name| key("v1", "Secret", Some(&ground.bench.namespace), name))
        .collect();
    let mark = ground.cluster.mark().await.unwrap();
    let watched = Watched {
        own: wanted(keys),
        ..ground.own(0)
    };
    let mut watching = ground.begin(&watched);
    watching
        .until("all are told", |watching| watching.last.len() == 5)
        .await;
    let requests = ground.requests(mark).await;
    assert_eq!(requests.len(), 10, "{requests:?}");
    assert!(
        requests
            .iter()
            .all(|event| event.uri.contains("fieldSelector=metadata.name%3Do"))
    );
}

#[tokio::test]
async fn a_list_is_told_whole_and_then_by_what_comes_and_goes() {
    let ground = Ground::new("listed").await;
    for name in ["a-1", "a-2", "b-1"] {
        ground.make(name, Some("x")).await;
    }
    ground.make("a-0", None).await;
    let of = key("v1", "ConfigMap", Some(&ground.bench.namespace), "");
    let watched = Watched {
        lists: vec![query(&of, Some("holdfast.dev/policy in (x)"), Some("a-"))],
        ..Watched::default()
    };
    let mut watching = ground.begin(&watched);
    let holds = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    watching
        .until("the list", |watching| watching.list.is_some())
        .await;
    assert_eq!(watching.list, holds(&["a-1", "a-2"]));
    ground.make("b-2", Some("x")).await;
    ground.make("a-3", Some("x")).await;
    ground.relabel("a-1", None).await;
    ground.delete("a-2").await;
    watching
        .until("all changes", |watching| watching.list == holds(&["a-3"]))
        .await;
    ground.merge("a-3", json!({ "data": { "a": "2" } })).await;
    watching
        .until("the change", |watching| watching.count("listed: a-3") == 2)
        .await;
    assert_eq!(watching.lists, 1);
    assert_eq!(watching.count("b-"), 0);
}

#[tokio::test]
async fn a_denied_watch_is_told_once() {
    let ground = Ground::new("denied").await;
    let alice = provider(&ground.cluster.kubeconfig_for("alice").unwrap()).await;
    let of = key("v1", "ConfigMap", Some(&ground.bench.namespace), "");
    let watched = Watched {
        wanted: wanted([key("v1", "Service", Some(&ground.bench.namespace), "one")]),
        lists: vec![query(&of, None, None)],
        types: true,
        ..ground.own(5)
    };
    let mut watching = Watching::begin(alice.as_ref(), &watched);
    watching
        .until("all are told", |watching| {
            watching.last.len() == 6 && watching.lists == 1
        })
        .await;
    watching.during(Duration::from_secs(3)).await;
    let is_denied = |result: &Result<_, ProviderError>| matches!(result, Err(ProviderError::Denied { .. }));
    assert!(watching.last.values().all(is_denied), "{:?}", watching.told);
    assert_eq!(
        (watching.told.len(), watching.types),
        (7, 0),
        "{:?}",
        watching.told
    );
}

#[tokio::test]
async fn where_only_names_may_be_read_each_is_watched_by_itself() {
    let ground = Ground::new("by-name").await;
    let names = names(5);
    for name in &names {
        ground.make(name, Some(MARK)).await;
    }
    let rbac = format!(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{}",
        ground.bench.namespace
    );
    let role = json!({ "metadata": { "name": "some" }, "rules": [{
        "apiGroups": [""], "resources": ["configmaps"], "resourceNames": names, "verbs": ["get", "list", "watch"],
    }]});
    let binding = json!({
        "metadata": { "name": "some" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob" }],
    });
    ground
        .bench
        .outside
        .post(&format!("{rbac}/roles"), &role)
        .await
        .unwrap();
    ground
        .bench
        .outside
        .post(&format!("{rbac}/rolebindings"), &binding)
        .await
        .unwrap();
    let bob = provider(&ground.cluster.kubeconfig_for("bob").unwrap()).await;
    let mut watching = Watching::begin(bob.as_ref(), &ground.own(5));
    watching
        .until("all are told", |watching| {
            names.iter().all(|name| watching.is_present(name))
        })
        .await;
    ground.merge("o4", json!({ "data": { "a": "2" } })).await;
    watching
        .until("the change", |watching| {
            watching.text("o4", &["data", "a"]).as_deref() == Some("2")
        })
        .await;
}

#[tokio::test]
async fn at_rest_nothing_is_asked() {
    let ground = Ground::new("rest").await;
    for name in names(5) {
        ground.make(&name, Some(MARK)).await;
    }
    let of = key("v1", "Service", Some(&ground.bench.namespace), "");
    let watched = Watched {
        wanted: wanted([
            key("v1", "Namespace", None, &ground.bench.namespace),
            key(
                "none.test/v1",
                "Unserved",
                Some(&ground.bench.namespace),
                "unserved",
            ),
        ]),
        lists: vec![
            query(&of, None, None),
            query(&key("none.test/v1", "Other", None, ""), None, None),
        ],
        types: true,
        ..ground.own(6)
    };
    // An account of its own, as other tests' requests are in the same log.
    let namespace = &ground.bench.namespace;
    let account = json!({ "metadata": { "name": "resting" } });
    let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    ground.bench.outside.post(&accounts, &account).await.unwrap();
    let binding = json!({
        "metadata": { "name": namespace },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": "resting", "namespace": namespace }],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    ground.bench.outside.post(bindings, &binding).await.unwrap();
    let token = ground
        .cluster
        .service_account_token(namespace, "resting")
        .await
        .unwrap();
    let config = ground.cluster.kubeconfig_with_token("resting", &token).unwrap();
    let user = format!("system:serviceaccount:{namespace}:resting");

    let begun = ground.cluster.mark().await.unwrap();
    let mut watching = Watching::begin(provider(&config).await.as_ref(), &watched);
    watching
        .until("all are told", |watching| {
            watching.last.len() == 8 && watching.lists == 2
        })
        .await;
    watching.during(Duration::from_millis(500)).await;
    let resting = ground.cluster.mark().await.unwrap();
    let of_ours = |events: Vec<AuditEvent>| -> Vec<String> {
        let ours = events.into_iter().filter(|event| event.user == user);
        ours.map(|event| format!("{} {}", event.verb, event.uri))
            .collect()
    };
    let at_start = of_ours(ground.cluster.since(begun).await.unwrap());
    // Lists and watches of own objects, the namespace, services and definitions; a read of what is missing; discovery
    // at the start, once more for the types that weren't there, and once more after the definitions were listed.
    assert!(at_start.len() <= 4 * 2 + 1 + 3 * 2, "{at_start:#?}");
    watching.during(Duration::from_secs(5)).await;
    let at_rest = of_ours(ground.cluster.since(resting).await.unwrap());
    assert!(at_rest.is_empty(), "{at_rest:#?}");
    assert_eq!(watching.count("doesn't serve"), 2, "{:?}", watching.told);
}
