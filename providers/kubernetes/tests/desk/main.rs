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

#[path = "../support/mod.rs"]
mod support;

mod events;
mod policies;
mod reports;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use holdfast_contract::{Desk, Holder, PolicyEvent, PolicyId, PolicyResource};
use holdfast_testbed::Cluster;
use serde_json::{Value as Json, json};
use support::definitions::{install, policy_definition};
use support::{Outside, factory};

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
