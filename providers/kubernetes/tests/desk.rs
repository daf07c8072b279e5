//! Policy resources on a real API server: as they come, and what is told of them.
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

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use holdfast_contract::{
    Desk, FINALIZER, Holder, Notice, PolicyEvent, PolicyId, PolicyResource, ProviderError, ProviderFactory,
    Watched,
};
use holdfast_testbed::Cluster;
use serde_json::{Value as Json, json};
use support::definitions::{install, policy_definition, report_definition};
use support::{Outside, factory, key};

const SOON: Duration = Duration::from_secs(20);

/// A desk of one namespace of a cluster in which Policies are defined.
struct Stage {
    cluster: &'static Cluster,
    outside: Outside,
    namespace: String,
    desk: Arc<dyn Desk>,
}

async fn desk(cluster: &Cluster, namespaces: &[&str]) -> Arc<dyn Desk> {
    let namespaces: BTreeSet<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    factory(cluster.kubeconfig())
        .desk(namespaces, &Holder("replica-1".to_owned()))
        .await
        .unwrap()
}

impl Stage {
    async fn set(prefix: &str) -> Self {
        let cluster = Cluster::shared().await.unwrap();
        let outside = Outside::open(cluster.kubeconfig()).await;
        install(&outside, &policy_definition()).await;
        let namespace = cluster.namespace(prefix).await.unwrap();
        Self {
            cluster,
            outside,
            desk: desk(cluster, &[&namespace]).await,
            namespace,
        }
    }

    fn id(&self, name: &str) -> PolicyId {
        PolicyId {
            namespace: self.namespace.clone(),
            name: name.to_owned(),
        }
    }

    fn path(&self, name: &str) -> String {
        policy_path(&self.namespace, name)
    }

    /// Makes a Policy; returns its uid.
    async fn policy(&self, name: &str) -> String {
        policy(&self.outside, &self.namespace, name, json!({})).await
    }

    async fn get(&self, name: &str) -> Json {
        self.outside.get(&self.path(name)).await.unwrap()
    }

    /// The events of the namespace.
    async fn events(&self) -> Vec<Json> {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.namespace);
        let list = self.outside.get(&path).await.unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// The verbs of the requests to this namespace that `work` makes.
    async fn requests<T>(&self, work: impl Future<Output = T>) -> (T, Vec<String>) {
        let mark = self.cluster.mark().await.unwrap();
        let done = work.await;
        let events = self.cluster.since(mark).await.unwrap();
        let here = events
            .into_iter()
            .filter(|event| event.namespace == self.namespace);
        (done, here.map(|event| event.verb).collect())
    }
}

fn policy_path(namespace: &str, name: &str) -> String {
    format!("/apis/holdfast.dev/v1alpha1/namespaces/{namespace}/policies/{name}")
}

async fn policy(outside: &Outside, namespace: &str, name: &str, metadata: Json) -> String {
    let mut policy = json!({
        "apiVersion": "holdfast.dev/v1alpha1", "kind": "Policy",
        "metadata": metadata, "spec": { "mode": "Enforce" },
    });
    policy["metadata"]["name"] = json!(name);
    let path = policy_path(namespace, "");
    let made = outside.post(path.trim_end_matches('/'), &policy).await.unwrap();
    made["metadata"]["uid"].as_str().unwrap().to_owned()
}

async fn next(events: &mut BoxStream<'static, PolicyEvent>) -> PolicyEvent {
    tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap()
}

async fn changed(events: &mut BoxStream<'static, PolicyEvent>) -> PolicyResource {
    match next(events).await {
        PolicyEvent::Changed(policy) => *policy,
        other => panic!("{other:?}"),
    }
}

async fn all(events: &mut BoxStream<'static, PolicyEvent>) -> Vec<String> {
    match next(events).await {
        PolicyEvent::All(all) => {
            let mut names: Vec<String> = all.iter().map(|policy| policy.id.to_string()).collect();
            names.sort();
            names
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn policies_come_all_at_first_and_then_as_they_change() {
    let stage = Stage::set("policies").await;
    let uid = stage.policy("first").await;
    let mut events = stage.desk.policies();
    assert_eq!(all(&mut events).await, [format!("{}/first", stage.namespace)]);
    let second = stage.policy("second").await;
    let new = changed(&mut events).await;
    assert_eq!((new.id, new.uid), (stage.id("second"), second));
    assert_eq!(
        new.document,
        json!({
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Policy",
            "metadata": { "name": "second", "namespace": stage.namespace },
            "spec": { "mode": "Enforce" },
        })
    );
    let change = json!({
        "metadata": { "annotations": { "holdfast.dev/reconcile-at": "now" } }, "spec": { "suspend": true },
    });
    stage.outside.merge(&stage.path("first"), &change).await.unwrap();
    let first = changed(&mut events).await;
    assert_eq!((first.uid, first.generation), (uid, 2));
    assert_eq!(
        first.document["spec"],
        json!({ "mode": "Enforce", "suspend": true })
    );
    assert_eq!(first.reconcile_at.as_deref(), Some("now"));
    assert!(!first.deleting && !first.finalizer && first.status.is_null());
    stage.outside.delete(&stage.path("second")).await.unwrap();
    let PolicyEvent::Gone(gone) = next(&mut events).await else {
        panic!()
    };
    assert_eq!(gone, stage.id("second"));
}

#[tokio::test]
async fn only_the_namespaces_that_are_named_are_looked_at() {
    let stage = Stage::set("ours").await;
    let others = [
        stage.cluster.namespace("also-ours").await.unwrap(),
        stage.cluster.namespace("not-ours").await.unwrap(),
    ];
    stage.policy("p").await;
    for namespace in &others {
        policy(&stage.outside, namespace, "p", json!({})).await;
    }
    let both = desk(stage.cluster, &[&stage.namespace, &others[0]]).await;
    let expected = [format!("{}/p", others[0]), format!("{}/p", stage.namespace)];
    assert_eq!(all(&mut both.policies()).await, expected);
    let everywhere = desk(stage.cluster, &[]).await;
    let everywhere = all(&mut everywhere.policies()).await;
    for namespace in others.iter().chain([&stage.namespace]) {
        assert!(everywhere.contains(&format!("{namespace}/p")), "{everywhere:?}");
    }
}

#[tokio::test]
async fn that_policies_are_not_defined_is_told_until_they_are() {
    let cluster = Cluster::start().await.unwrap();
    let factory = factory(cluster.kubeconfig());
    let desk = factory
        .desk([].into(), &Holder("replica-1".to_owned()))
        .await
        .unwrap();
    let mut events = desk.policies();
    let PolicyEvent::Failed(error) = next(&mut events).await else {
        panic!()
    };
    assert_eq!(
        error.to_string(),
        "this cluster doesn't serve holdfast.dev/Policy (holdfast.dev/v1alpha1)"
    );
    // Whoever watches types over the same connection wakes the desk; else it looks every minute.
    let types = Watched {
        types: true,
        ..Watched::default()
    };
    let provider = factory.open(support::config()).await.unwrap();
    let types = tokio::spawn(provider.watch(&types).unwrap().for_each(|_| async {}));
    let outside = Outside::open(cluster.kubeconfig()).await;
    install(&outside, &policy_definition()).await;
    let uid = policy(&outside, "default", "p", json!({})).await;
    // It may have been listed before the Policy was made.
    let found = match next(&mut events).await {
        PolicyEvent::All(all) => all.into_iter().next(),
        other => panic!("{other:?}"),
    };
    let found = match found {
        Some(policy) => policy,
        None => changed(&mut events).await,
    };
    assert_eq!(found.uid, uid);
    types.abort();
}

#[tokio::test]
async fn who_may_not_look_at_policies_is_told_what_is_lacking() {
    let stage = Stage::set("denied").await;
    let bob = factory(&stage.cluster.kubeconfig_for("bob").unwrap())
        .desk([stage.namespace.clone()].into(), &Holder("bob".to_owned()))
        .await
        .unwrap();
    let PolicyEvent::Failed(error) = next(&mut bob.policies()).await else {
        panic!()
    };
    assert_eq!(
        error.to_string(),
        format!(
            "access denied: this identity lacks list policies.holdfast.dev on holdfast.dev/Policy {}/*",
            stage.namespace
        )
    );
    let uid = stage.policy("p").await;
    let error = bob
        .write_status(&stage.id("p"), &uid, &json!({}))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("lacks patch policies/status.holdfast.dev on"),
        "{error}"
    );
}

#[tokio::test]
async fn a_status_is_replaced_whole_by_one_request() {
    let stage = Stage::set("status").await;
    let uid = stage.policy("p").await;
    let id = stage.id("p");
    let first = json!({ "observedGeneration": 1, "phases": { "a": "Converged", "b": "Drifted" } });
    stage.desk.write_status(&id, &uid, &first).await.unwrap();
    assert_eq!(stage.get("p").await["status"], first);
    let second = json!({ "observedGeneration": 2, "phases": { "a": "Converged" } });
    let write = stage.desk.write_status(&id, &uid, &second);
    let (written, requests) = stage.requests(write).await;
    written.unwrap();
    let policy = stage.get("p").await;
    assert_eq!(policy["status"], second, "nothing of the first is left");
    assert_eq!(policy["metadata"]["generation"], 1);
    assert_eq!(requests, ["patch"]);
    // The same again changes nothing, not even the version.
    stage.desk.write_status(&id, &uid, &second).await.unwrap();
    assert_eq!(
        stage.get("p").await["metadata"]["resourceVersion"],
        policy["metadata"]["resourceVersion"]
    );
}

#[tokio::test]
async fn a_new_incarnation_is_told_nothing_of_the_old_one() {
    let stage = Stage::set("incarnations").await;
    let id = stage.id("p");
    let old = stage.policy("p").await;
    stage.outside.delete(&stage.path("p")).await.unwrap();
    let status = json!({ "observedGeneration": 1 });
    stage.desk.write_status(&id, &old, &status).await.unwrap();
    stage.desk.set_finalizer(&id, &old, true).await.unwrap();
    let new = stage.policy("p").await;
    stage.desk.write_status(&id, &old, &status).await.unwrap();
    stage.desk.set_finalizer(&id, &old, true).await.unwrap();
    let policy = stage.get("p").await;
    assert_eq!(policy["metadata"]["uid"], json!(new));
    assert!(policy["status"].is_null() && policy["metadata"]["finalizers"].is_null());
}

#[tokio::test]
async fn a_status_that_the_definition_refuses_is_an_error() {
    let stage = Stage::set("unfit").await;
    let uid = stage.policy("p").await;
    let unfit = json!({ "observedGeneration": "one" });
    let error = stage
        .desk
        .write_status(&stage.id("p"), &uid, &unfit)
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Invalid { .. }), "{error}");
}

#[tokio::test]
async fn a_finalizer_keeps_a_policy_until_it_is_taken_away() {
    let stage = Stage::set("finalizers").await;
    let id = stage.id("p");
    let uid = policy(
        &stage.outside,
        &stage.namespace,
        "p",
        json!({ "finalizers": ["example.com/theirs"] }),
    )
    .await;
    let mut events = stage.desk.policies();
    all(&mut events).await;
    stage.desk.set_finalizer(&id, &uid, true).await.unwrap();
    assert!(changed(&mut events).await.finalizer);
    let again = stage.desk.set_finalizer(&id, &uid, true);
    let (again, requests) = stage.requests(again).await;
    again.unwrap();
    assert_eq!(requests, ["get"], "nothing is written twice");
    assert_eq!(
        stage.get("p").await["metadata"]["finalizers"],
        json!(["example.com/theirs", FINALIZER])
    );
    stage.outside.delete(&stage.path("p")).await.unwrap();
    let leaving = changed(&mut events).await;
    assert!(leaving.deleting && leaving.finalizer);
    stage.desk.set_finalizer(&id, &uid, false).await.unwrap();
    let finalizers = &stage.get("p").await["metadata"]["finalizers"];
    assert_eq!(finalizers, &json!(["example.com/theirs"]), "theirs stays");
    // What is on its way out takes no further one, and needs none.
    stage.desk.set_finalizer(&id, &uid, true).await.unwrap();
    let none = json!({ "metadata": { "finalizers": null } });
    stage.outside.merge(&stage.path("p"), &none).await.unwrap();
    assert!(stage.outside.get(&stage.path("p")).await.is_err());
    stage.desk.set_finalizer(&id, &uid, false).await.unwrap();
}

/// Ten others write the same list meanwhile: no finalizer is lost.
#[tokio::test]
async fn finalizers_that_others_add_at_the_same_time_stay() {
    let stage = Stage::set("races").await;
    let uid = stage.policy("p").await;
    let id = stage.id("p");
    let others = async {
        for number in 0..10 {
            let mut policy = stage.get("p").await;
            loop {
                let finalizers = policy["metadata"]["finalizers"].as_array().cloned();
                let mut finalizers = finalizers.unwrap_or_default();
                finalizers.push(json!(format!("example.com/{number}")));
                let version = &policy["metadata"]["resourceVersion"];
                let patch = json!({ "metadata": { "resourceVersion": version, "finalizers": finalizers } });
                if stage.outside.merge(&stage.path("p"), &patch).await.is_ok() {
                    break;
                }
                policy = stage.get("p").await;
            }
        }
    };
    let ours = async {
        // Put in and taken out by turns, so that it often is written while theirs are.
        for present in [true, false, true, false, true] {
            while let Err(error) = stage.desk.set_finalizer(&id, &uid, present).await {
                assert!(matches!(error, ProviderError::Conflict { .. }), "{error}");
            }
        }
    };
    futures::join!(others, ours);
    let finalizers = stage.get("p").await["metadata"]["finalizers"].clone();
    let finalizers: BTreeSet<&str> = finalizers
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    assert!(
        finalizers.contains(FINALIZER) && finalizers.len() == 11,
        "{finalizers:?}"
    );
}

fn notice(stage: &Stage, uid: &str) -> Notice {
    Notice {
        policy: stage.id("p"),
        uid: uid.to_owned(),
        object: None,
        object_uid: None,
        warning: false,
        reason: "DriftRepaired",
        action: "Repair",
        note: "ConfigMap shop/settings was put back".to_owned(),
    }
}

#[tokio::test]
async fn the_same_event_again_raises_its_count_and_another_is_another() {
    let stage = Stage::set("events").await;
    let uid = stage.policy("p").await;
    let first = notice(&stage, &uid);
    for _ in 0..3 {
        stage.desk.tell(&first).await.unwrap();
    }
    let events = stage.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!(event["series"]["count"], 3);
    assert_eq!(
        event["regarding"],
        json!({
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "Policy", "namespace": stage.namespace, "name": "p",
            "uid": uid,
        })
    );
    assert_eq!(
        (&event["type"], &event["reason"], &event["action"], &event["note"]),
        (
            &json!("Normal"),
            &json!("DriftRepaired"),
            &json!("Repair"),
            &json!(first.note)
        )
    );
    assert_eq!(event["reportingController"], "holdfast.dev/holdfast");
    assert_eq!(event["reportingInstance"], "replica-1");
    let other = Notice {
        note: "x".repeat(5000),
        warning: true,
        ..first.clone()
    };
    stage.desk.tell(&other).await.unwrap();
    let events = stage.events().await;
    assert_eq!(events.len(), 2);
    let long = events.iter().find(|event| event["type"] == "Warning").unwrap();
    assert_eq!(long["note"].as_str().unwrap().len(), 1024);
    // One that the server has dropped meanwhile is told anew.
    for event in events {
        let name = event["metadata"]["name"].as_str().unwrap();
        let path = format!(
            "/apis/events.k8s.io/v1/namespaces/{}/events/{name}",
            stage.namespace
        );
        stage.outside.delete(&path).await.unwrap();
    }
    stage.desk.tell(&first).await.unwrap();
    assert_eq!(stage.events().await.len(), 1);
}

#[tokio::test]
async fn an_event_about_an_object_stands_with_both() {
    let stage = Stage::set("objects").await;
    let uid = stage.policy("p").await;
    let there = stage.cluster.namespace("there").await.unwrap();
    let about = Notice {
        object: Some(key("v1", "ConfigMap", Some(&there), "settings")),
        object_uid: Some("42".to_owned()),
        ..notice(&stage, &uid)
    };
    stage.desk.tell(&about).await.unwrap();
    stage.desk.tell(&about).await.unwrap();
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "namespace": there, "name": "settings", "uid": "42",
    });
    let here = stage.events().await;
    assert_eq!(here.len(), 1);
    assert_eq!(
        (&here[0]["related"], &here[0]["regarding"]["kind"]),
        (&object, &json!("Policy"))
    );
    let path = format!("/apis/events.k8s.io/v1/namespaces/{there}/events");
    let on_objects = async || {
        let list = stage.outside.get(&path).await.unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let told = on_objects().await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["regarding"], &told[0]["related"]["kind"]),
        (&object, &json!("Policy"))
    );
    assert_eq!(told[0]["series"]["count"], 2);
    // What nobody has seen has none of its own, and neither has what lies in no namespace.
    let unseen = Notice {
        object: Some(key("v1", "Secret", Some(&there), "unseen")),
        note: "access denied".to_owned(),
        ..notice(&stage, &uid)
    };
    stage.desk.tell(&unseen).await.unwrap();
    assert_eq!(on_objects().await.len(), 1);
    let cluster_wide = Notice {
        object: Some(key("v1", "Namespace", None, "shop")),
        object_uid: Some("43".to_owned()),
        note: "Namespace shop was put back".to_owned(),
        ..notice(&stage, &uid)
    };
    stage.desk.tell(&cluster_wide).await.unwrap();
    assert_eq!(stage.events().await.len(), 3);
    let default = stage
        .outside
        .get("/apis/events.k8s.io/v1/namespaces/default/events");
    let default = default.await.unwrap();
    let ours = |event: &&Json| event["regarding"]["kind"] == "Namespace";
    assert_eq!(
        default["items"].as_array().unwrap().iter().filter(ours).count(),
        0
    );
}

#[tokio::test]
async fn people_see_the_events_of_a_policy() {
    let stage = Stage::set("described").await;
    let uid = stage.policy("p").await;
    let told = notice(&stage, &uid);
    stage.desk.tell(&told).await.unwrap();
    stage.desk.tell(&told).await.unwrap();
    let described = ["describe", "policies.holdfast.dev", "p", "-n", &stage.namespace];
    let described = holdfast_testbed::kubectl(stage.cluster, &described)
        .await
        .unwrap();
    let line = described.lines().find(|line| line.contains("DriftRepaired"));
    let line = line.unwrap_or_else(|| panic!("{described}"));
    assert!(line.contains("x2 over") && line.contains(&told.note), "{line}");
}

#[tokio::test]
async fn a_report_is_written_where_the_cluster_has_its_type_and_goes_with_the_policy() {
    let cluster = Cluster::start().await.unwrap();
    let outside = Outside::open(cluster.kubeconfig()).await;
    install(&outside, &policy_definition()).await;
    let uid = policy(&outside, "default", "p", json!({})).await;
    let id = PolicyId {
        namespace: "default".to_owned(),
        name: "p".to_owned(),
    };
    let results = json!([
        { "policy": "p", "rule": "expiry", "result": "fail", "severity": "high", "source": "holdfast" },
        { "policy": "p", "rule": "bucket", "result": "pass", "source": "holdfast" },
    ]);
    let early = desk(&cluster, &[]).await;
    assert!(!early.write_report(&id, &uid, &results).await.unwrap());
    let mark = cluster.mark().await.unwrap();
    assert!(!early.write_report(&id, &uid, &results).await.unwrap());
    let requests = cluster.since(mark).await.unwrap();
    assert!(requests.is_empty(), "asked again for each: {requests:?}");

    install(&outside, &report_definition()).await;
    let desk = desk(&cluster, &[]).await;
    assert!(desk.write_report(&id, &uid, &results).await.unwrap());
    let path = "/apis/wgpolicyk8s.io/v1alpha2/namespaces/default/policyreports/p";
    let report = outside.get(path).await.unwrap();
    assert_eq!(report["results"], results);
    assert_eq!(
        report["summary"],
        json!({ "pass": 1, "fail": 1, "warn": 0, "error": 0, "skip": 0 })
    );
    assert_eq!(
        report["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "holdfast"
    );
    let owner = json!([{ "apiVersion": "holdfast.dev/v1alpha1", "kind": "Policy", "name": "p", "uid": uid }]);
    assert_eq!(report["metadata"]["ownerReferences"], owner);
    // The same again changes nothing; what somebody else has changed is put back; fewer results are fewer.
    desk.write_report(&id, &uid, &results).await.unwrap();
    let again = outside.get(path).await.unwrap();
    assert_eq!(
        again["metadata"]["resourceVersion"],
        report["metadata"]["resourceVersion"]
    );
    outside.merge(path, &json!({ "results": [] })).await.unwrap();
    desk.write_report(&id, &uid, &results).await.unwrap();
    assert_eq!(outside.get(path).await.unwrap()["results"], results);
    desk.write_report(&id, &uid, &json!([results[1]])).await.unwrap();
    let fewer = outside.get(path).await.unwrap();
    assert_eq!(
        (&fewer["results"], &fewer["summary"]["fail"]),
        (&json!([results[1]]), &json!(0))
    );
    // Somebody else's stays.
    let theirs = json!({
        "apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport", "metadata": { "name": "q" },
        "results": [], "summary": { "pass": 7 },
    });
    let all = path.trim_end_matches("/p");
    outside.post(all, &theirs).await.unwrap();
    let foreign = PolicyId {
        name: "q".to_owned(),
        ..id.clone()
    };
    let error = desk.write_report(&foreign, &uid, &results).await.unwrap_err();
    assert!(matches!(error, ProviderError::Foreign { .. }), "{error}");
    assert_eq!(
        outside.get(&format!("{all}/q")).await.unwrap()["summary"]["pass"],
        7
    );
    // And once the type is gone again, nothing is written, and that is no error.
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/policyreports.wgpolicyk8s.io";
    outside.delete(definition).await.unwrap();
    while outside.get(all).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!desk.write_report(&id, &uid, &results).await.unwrap());
}
