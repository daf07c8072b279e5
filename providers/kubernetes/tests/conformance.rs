//! The behaviours that every provider has, on a real API server.
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
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use holdfast_conformance::{Crowd, Fault, Planted, Secret, Subject};
use holdfast_contract::{Desired, Facet, Kind, Path, Provider, ProviderError, Query, ResourceKey, Value};
use holdfast_kubernetes::ObjectKind;
use holdfast_testbed::Cluster;
use serde_json::{Value as Json, json};
use support::{Outside, key, provider};

/// What kind of object the suite runs on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flavour {
    /// A custom type with a status subresource.
    Widget,
    /// A custom type whose status is written with the rest.
    Gadget,
    /// A built-in type with defaults, quantities and lists that merge by keys.
    Deployment,
    /// The type that is secret.
    Secret,
}

#[derive(Debug)]
struct Objects {
    flavour: Flavour,
    outside: Outside,
    provider: Arc<dyn Provider>,
    faults: Vec<Fault>,
    kind: ObjectKind,
    namespace: String,
    made: AtomicUsize,
}

impl Objects {
    async fn start(flavour: Flavour) -> Self {
        let cluster = Cluster::shared().await.unwrap();
        let outside = Outside::open(cluster.kubeconfig()).await;
        for (plural, kind, status) in [("widgets", "Widget", true), ("gadgets", "Gadget", false)] {
            define(&outside, plural, kind, status).await;
        }
        let denied = provider(&cluster.kubeconfig_for("alice").unwrap()).await;
        let stranger = provider(&cluster.kubeconfig_with_token("stranger", "wrong").unwrap()).await;
        let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
        let nowhere = cluster.home().write(
            &format!("nowhere-{flavour:?}"),
            text.replace(cluster.url(), "https://127.0.0.1:1"),
        );
        let unreachable = provider(&nowhere.unwrap()).await;
        Self {
            flavour,
            provider: provider(cluster.kubeconfig()).await,
            faults: vec![
                fault("denied", denied, |error| {
                    matches!(error, ProviderError::Denied { .. })
                }),
                fault("refused", stranger, |error| {
                    matches!(error, ProviderError::Unauthenticated { .. })
                }),
                fault("unreachable", unreachable, |error| {
                    matches!(error, ProviderError::Unavailable { .. })
                }),
            ],
            kind: ObjectKind::new(),
            namespace: cluster.namespace("conformance").await.unwrap(),
            made: AtomicUsize::new(0),
            outside,
        }
    }

    fn key(&self, name: &str) -> ResourceKey {
        let (api_version, kind) = match self.flavour {
            Flavour::Widget => ("test.holdfast.dev/v1", "Widget"),
            Flavour::Gadget => ("test.holdfast.dev/v1", "Gadget"),
            Flavour::Deployment => ("apps/v1", "Deployment"),
            Flavour::Secret => ("v1", "Secret"),
        };
        key(api_version, kind, Some(&self.namespace), name)
    }

    fn all(&self) -> String {
        let (api, plural) = match self.flavour {
            Flavour::Widget => ("/apis/test.holdfast.dev/v1", "widgets"),
            Flavour::Gadget => ("/apis/test.holdfast.dev/v1", "gadgets"),
            Flavour::Deployment => ("/apis/apps/v1", "deployments"),
            Flavour::Secret => ("/api/v1", "secrets"),
        };
        format!("{api}/namespaces/{}/{plural}", self.namespace)
    }

    /// Where a facet is written.
    fn path(&self, key: &ResourceKey, facet: &Facet) -> String {
        let part = if facet.as_str() == "status" && self.flavour == Flavour::Widget {
            "/status"
        } else {
            ""
        };
        format!("{}/{}{part}", self.all(), key.name)
    }

    fn document(&self, key: &ResourceKey, value: u32) -> Json {
        let metadata = json!({
            "name": key.name, "namespace": key.namespace,
            "labels": { "declared": "yes" }, "annotations": { "a.b/c": "x" },
        });
        let api = key.api.clone().unwrap();
        let body = match self.flavour {
            Flavour::Widget | Flavour::Gadget => json!({
                "spec": { "size": value, "parts": [{ "id": "a", "count": value }, { "id": "b" }], "words": ["x", "y"] },
                "status": { "phase": format!("phase-{value}") },
            }),
            Flavour::Deployment => json!({
                "spec": {
                    "replicas": value,
                    "selector": { "matchLabels": { "app": "x" } },
                    "template": {
                        "metadata": { "labels": { "app": "x" } },
                        "spec": { "containers": [{
                            "name": "c", "image": "example.org/c:1", "args": ["a", "b"],
                            "ports": [{ "containerPort": 80 }, { "containerPort": 80, "protocol": "UDP" }],
                            "env": [{ "name": "A", "value": "1" }, { "name": "EMPTY", "value": "" }],
                            "resources": { "requests": { "cpu": "1000m", "memory": "1024Mi" } },
                        }]},
                    },
                },
            }),
            Flavour::Secret => {
                json!({ "type": "Opaque", "stringData": { "password": format!("secret-{value}") } })
            }
        };
        let mut document = json!({ "apiVersion": api.api_version, "kind": api.kind, "metadata": metadata });
        document
            .as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        document
    }

    fn facet(&self, key: &ResourceKey, value: u32, facet: &Facet) -> Option<Desired> {
        let document = Value::from_json(self.document(key, value));
        self.kind.split(document).remove(facet).map(Desired::new)
    }
}

fn fault(name: &'static str, provider: Arc<dyn Provider>, is_expected: fn(&ProviderError) -> bool) -> Fault {
    Fault {
        name,
        provider,
        is_expected,
    }
}

/// Makes a type and waits until it is served. Several tests may do so at once.
async fn define(outside: &Outside, plural: &str, kind: &str, status: bool) {
    let mut version = json!({
        "name": "v1", "served": true, "storage": true,
        "schema": { "openAPIV3Schema": { "type": "object", "properties": {
            "spec": { "type": "object", "properties": {
                "size": { "type": "integer" },
                "note": { "type": "string" },
                "words": { "type": "array", "items": { "type": "string" }, "x-kubernetes-list-type": "set" },
                "parts": {
                    "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
                    "items": { "type": "object", "required": ["id"], "properties": {
                        "id": { "type": "string" }, "count": { "type": "integer", "default": 7 },
                    }},
                },
            }},
            "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
        }}},
    });
    if status {
        version["subresources"] = json!({ "status": {} });
    }
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.test.holdfast.dev") },
        "spec": {
            "group": "test.holdfast.dev", "scope": "Namespaced",
            "names": { "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List") },
            "versions": [version],
        },
    });
    let all = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    if let Err(error) = outside.post(all, &definition).await {
        assert!(error.contains("already exists"), "{error}");
    }
    for _ in 0..400 {
        let listed = outside.get("/apis/test.holdfast.dev/v1").await;
        let served = listed.is_ok_and(|list| {
            list["resources"]
                .as_array()
                .unwrap()
                .iter()
                .any(|resource| resource["name"] == plural)
        });
        if served
            && outside
                .get(&format!("/apis/test.holdfast.dev/v1/{plural}"))
                .await
                .is_ok()
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{plural} aren't served");
}

#[async_trait]
impl Subject for Objects {
    fn provider(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    fn kind(&self) -> &dyn Kind {
        &self.kind
    }

    async fn fresh(&self) -> Result<ResourceKey, String> {
        Ok(self.key(&format!("x-{}", self.made.fetch_add(1, Ordering::Relaxed))))
    }

    fn desired(&self, key: &ResourceKey) -> Value {
        Value::from_json(self.document(key, 1))
    }

    fn changed(&self, key: &ResourceKey, facet: &Facet) -> Option<Desired> {
        self.facet(key, 2, facet)
    }

    async fn change_outside(&self, key: &ResourceKey, facet: &Facet) -> Result<bool, String> {
        let patch = match (self.flavour, facet.as_str()) {
            (_, "status") => json!({ "status": { "phase": "changed" } }),
            (Flavour::Widget | Flavour::Gadget, _) => json!({ "spec": { "size": 99 } }),
            (Flavour::Deployment, _) => json!({ "spec": { "replicas": 9 } }),
            (Flavour::Secret, _) => json!({ "data": { "password": "Y2hhbmdlZA==" } }),
        };
        self.outside
            .merge(&self.path(key, facet), &patch)
            .await
            .map(|_| true)
    }

    async fn plant_outside(&self, key: &ResourceKey, facet: &Facet) -> Result<Vec<Planted>, String> {
        let planted = |keys: &[&str], value: &str| Planted {
            path: Path::of(keys),
            value: Value::from(value),
        };
        let (patch, places) = match (self.flavour, facet.as_str()) {
            (_, "status") => (
                json!({ "status": { "foreign": "f" } }),
                vec![planted(&["foreign"], "f")],
            ),
            (Flavour::Widget | Flavour::Gadget, _) => (
                json!({ "metadata": { "labels": { "foreign": "f" } }, "spec": { "note": "n" } }),
                vec![
                    planted(&["metadata", "labels", "foreign"], "f"),
                    planted(&["spec", "note"], "n"),
                ],
            ),
            _ => (
                json!({ "metadata": { "labels": { "foreign": "f" }, "annotations": { "foreign": "g" } } }),
                vec![
                    planted(&["metadata", "labels", "foreign"], "f"),
                    planted(&["metadata", "annotations", "foreign"], "g"),
                ],
            ),
        };
        self.outside
            .merge(&self.path(key, facet), &patch)
            .await
            .map(|_| places)
    }

    async fn delete_outside(&self, key: &ResourceKey) -> Result<(), String> {
        self.outside
            .delete(&self.path(key, &"object".into()))
            .await
            .map(|_| ())
    }

    fn faults(&self) -> Vec<Fault> {
        self.faults.clone()
    }

    fn unserved(&self) -> Option<ResourceKey> {
        Some(key("test.holdfast.dev/v1", "Nothing", Some(&self.namespace), "x"))
    }

    fn secret(&self, key: &ResourceKey) -> Option<Secret> {
        (self.flavour == Flavour::Secret).then(|| {
            let mut desired = self.document(key, 1);
            desired["stringData"] = json!({ "password": "hunter2-correct-horse" });
            Secret {
                desired: Value::from_json(desired),
                texts: vec![
                    "hunter2-correct-horse".to_owned(),
                    "aHVudGVyMi1jb3JyZWN0LWhvcnNl".to_owned(),
                ],
            }
        })
    }

    async fn crowd(&self) -> Result<Option<Crowd>, String> {
        let keys: BTreeSet<ResourceKey> = (0..520)
            .map(|index| self.key(&format!("crowd-{index}")))
            .collect();
        let documents: Vec<Json> = keys
            .iter()
            .map(|key| {
                let mut document = self.document(key, 1);
                document["metadata"]["labels"] = json!({ "crowd": "yes" });
                document
            })
            .collect();
        for some in documents.chunks(20) {
            let all = self.all();
            futures::future::try_join_all(some.iter().map(|document| self.outside.post(&all, document)))
                .await?;
        }
        let api = self.key("").api;
        Ok(Some(Crowd {
            query: Query {
                kind: "kubernetes/Object".into(),
                api,
                namespace: Some(self.namespace.clone()),
                selector: Some("crowd in (yes)".to_owned()),
                name_prefix: Some("crowd-".to_owned()),
                read: BTreeSet::new(),
            },
            keys,
        }))
    }

    fn volatile(&self, facet: &Facet) -> Vec<Path> {
        match facet.as_str() {
            "object" => ["generation", "managedFields", "resourceVersion"]
                .map(|field| Path::of(&["metadata", field]))
                .to_vec(),
            _ => Vec::new(),
        }
    }

    fn watches(&self) -> bool {
        true
    }
}

async fn conforms(flavour: Flavour) {
    let subject = Objects::start(flavour).await;
    if let Err(failures) = holdfast_conformance::run_all(&subject).await {
        panic!("{failures}");
    }
}

#[tokio::test]
async fn custom_objects_with_a_status_subresource_behave() {
    conforms(Flavour::Widget).await;
}

#[tokio::test]
async fn custom_objects_without_a_status_subresource_behave() {
    conforms(Flavour::Gadget).await;
}

#[tokio::test]
async fn deployments_behave() {
    conforms(Flavour::Deployment).await;
}

#[tokio::test]
async fn secrets_behave() {
    conforms(Flavour::Secret).await;
}
