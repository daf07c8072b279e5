//! What the tests share: a client of their own, and a provider to test.
#![allow(
    clippy::needless_pass_by_value,
    clippy::unused_self,
    unreachable_pub,
    reason = "a module of several tests, which read better so"
)]

pub mod definitions;
pub mod manifests;
pub mod script;
pub mod watching;

use std::path::Path;
use std::sync::Arc;

use holdfast_contract::{
    Action, ApiType, Desired, Difference, Facet, Guard, Kind, Observation, Observed, Provider,
    ProviderConfig, ProviderError, ProviderFactory, ResourceKey, Value, Wanted, Write,
};
use holdfast_kubernetes::{Connection, KubernetesFactory, ObjectKind};
use holdfast_testbed::Cluster;
use serde_json::{Value as Json, json};

/// As whom the tests write.
pub const US: &str = "holdfast:holdfast-system/test";

/// Makes ring the process's TLS provider.
pub fn install_tls_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Another client than the provider's: raw requests, as a field manager called `outside`.
#[derive(Clone)]
pub struct Outside(kube::Client);

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outside")
    }
}

impl Outside {
    /// A client of a kubeconfig file.
    pub async fn open(kubeconfig: &Path) -> Self {
        install_tls_provider();
        let file = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
        Self(kube::Client::try_from(config).unwrap())
    }

    /// One request.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &Json,
    ) -> Result<Json, String> {
        let join = if path.contains('?') { '&' } else { '?' };
        let uri = match method {
            "GET" | "DELETE" => path.to_owned(),
            _ => format!("{path}{join}fieldManager=outside"),
        };
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = http::Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", content_type)
            .body(bytes)
            .unwrap();
        self.0
            .request::<Json>(request)
            .await
            .map_err(|error| format!("{method} {path}: {error}"))
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Result<Json, String> {
        self.send("GET", path, "application/json", &Json::Null).await
    }

    /// Creates.
    pub async fn post(&self, path: &str, body: &Json) -> Result<Json, String> {
        self.send("POST", path, "application/json", body).await
    }

    /// Merges.
    pub async fn merge(&self, path: &str, body: &Json) -> Result<Json, String> {
        self.send("PATCH", path, "application/merge-patch+json", body)
            .await
    }

    /// Deletes.
    pub async fn delete(&self, path: &str) -> Result<Json, String> {
        self.send("DELETE", path, "application/json", &Json::Null).await
    }
}

/// A factory of a kubeconfig.
pub fn factory(kubeconfig: &Path) -> KubernetesFactory {
    install_tls_provider();
    KubernetesFactory::new(Connection {
        kubeconfig: Some(kubeconfig.to_owned()),
        context: None,
    })
}

/// A provider's configuration that leaves all open.
pub fn config() -> ProviderConfig {
    ProviderConfig {
        account: None,
        name: "kubernetes".into(),
        settings: [].into(),
        credentials: None,
    }
}

/// A provider of a kubeconfig.
pub async fn provider(kubeconfig: &Path) -> Arc<dyn Provider> {
    factory(kubeconfig).open(config()).await.unwrap()
}

/// A key.
pub fn key(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> ResourceKey {
    ResourceKey {
        provider: "kubernetes".into(),
        kind: "kubernetes/Object".into(),
        api: Some(ApiType::new(api_version, kind)),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        region: None,
    }
}

/// The key of a manifest.
pub fn key_of(manifest: &Json) -> ResourceKey {
    let text = |pointer| manifest.pointer(pointer).and_then(Json::as_str);
    key(
        text("/apiVersion").unwrap(),
        text("/kind").unwrap(),
        text("/metadata/namespace"),
        text("/metadata/name").unwrap(),
    )
}

/// A provider with a namespace of its own, and what the engine would do with them, in small.
pub struct Bench {
    pub outside: Outside,
    pub provider: Arc<dyn Provider>,
    pub kind: ObjectKind,
    pub namespace: String,
}

impl Bench {
    pub async fn on(cluster: &Cluster, prefix: &str) -> Self {
        Self {
            outside: Outside::open(cluster.kubeconfig()).await,
            provider: provider(cluster.kubeconfig()).await,
            kind: ObjectKind::new(),
            namespace: cluster.namespace(prefix).await.unwrap(),
        }
    }

    /// The path of a `ConfigMap`.
    pub fn config_map(&self, name: &str) -> String {
        format!("/api/v1/namespaces/{}/configmaps/{name}", self.namespace)
    }

    /// A `ConfigMap`'s manifest.
    pub fn manifest(&self, name: &str, data: Json) -> Json {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": name, "namespace": self.namespace }, "data": data,
        })
    }

    pub async fn try_observe(&self, key: &ResourceKey) -> Result<Observation, ProviderError> {
        observe(self.provider.as_ref(), key).await
    }

    pub async fn observe(&self, key: &ResourceKey) -> Observed {
        match self.try_observe(key).await.unwrap() {
            Observation::Present(observed) => Arc::unwrap_or_clone(observed),
            Observation::Absent => panic!("{key} is absent"),
        }
    }

    /// What a manifest desires of its object's body.
    pub fn desired(&self, manifest: &Json) -> Desired {
        let facets = self.kind.split(Value::from_json(manifest.clone()));
        Desired::new(facets[&Facet::from("object")].clone())
    }

    pub fn creation(&self, manifest: &Json) -> Write {
        let facets = self.kind.split(Value::from_json(manifest.clone()));
        Write {
            key: key_of(manifest),
            action: Action::Create {
                facets: facets
                    .into_iter()
                    .map(|(facet, value)| (facet, Desired::new(value)))
                    .collect(),
            },
            guard: Guard::Absent,
            manager: US.to_owned(),
            force: false,
        }
    }

    pub fn set(&self, observed: &Observed, desired: Desired) -> Write {
        Write {
            key: observed.key.clone(),
            action: Action::Set {
                facet: "object".into(),
                desired: Box::new(desired),
                observed: Arc::new(observed.clone()),
            },
            guard: Guard::Same,
            manager: US.to_owned(),
            force: true,
        }
    }

    pub async fn create(&self, manifest: &Json) -> ResourceKey {
        self.provider.write(&self.creation(manifest)).await.unwrap();
        key_of(manifest)
    }

    pub fn compare(&self, observed: &Observed, desired: &Desired) -> Vec<Difference> {
        self.kind.compare(&"object".into(), desired, Some(observed), US)
    }
}

/// Reads one.
pub async fn observe(provider: &dyn Provider, key: &ResourceKey) -> Result<Observation, ProviderError> {
    let wanted = Wanted {
        key: key.clone(),
        facets: ["object".into()].into(),
    };
    provider.observe(&[wanted]).await.pop().unwrap()
}

/// The places of differences, as people write them.
pub fn places(differences: &[Difference]) -> Vec<String> {
    differences
        .iter()
        .map(|difference| difference.path.to_string())
        .collect()
}
