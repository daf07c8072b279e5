//! How a cluster is reached.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{
    CredentialSource, Field, Kind, Provider, ProviderConfig, ProviderError, ProviderFactory, Shape,
    StateStore, Value,
};
use http::{HeaderValue, header};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::Mutex;

use crate::client::Client;
use crate::error::SERVICE;
use crate::kind::ObjectKind;
use crate::provider::{KubernetesProvider, Server};
use crate::state::KubernetesState;

/// As whom every request says that it comes.
const USER_AGENT: &str = concat!("holdfast/", env!("CARGO_PKG_VERSION"));
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Which cluster, and as whom.
///
/// With neither field set, as `kubectl` finds it: `$KUBECONFIG`, `~/.kube/config`; else the Pod's own service account.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// A kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; none: its current one.
    pub context: Option<String>,
}

/// Opens Kubernetes providers. Connections are shared: two providers of one [`Connection`] use the same.
#[derive(Debug)]
pub struct KubernetesFactory {
    default: Connection,
    settings: Shape,
    servers: Mutex<BTreeMap<Connection, Arc<Server>>>,
}

impl KubernetesFactory {
    /// A factory whose providers reach `default` where their settings don't say otherwise.
    #[must_use]
    pub fn new(default: Connection) -> Self {
        let field = |doc| Field {
            shape: Shape::TEXT,
            required: false,
            doc,
        };
        let settings = BTreeMap::from([
            (
                "context",
                field("A context of the kubeconfig; its current one by default."),
            ),
            (
                "kubeconfig",
                field("A kubeconfig file; by default as kubectl finds it."),
            ),
        ]);
        Self {
            default,
            settings: Shape::Object(settings),
            servers: Mutex::default(),
        }
    }

    /// Ledgers and leases in `namespace` of the default cluster.
    pub async fn state(&self, namespace: &str) -> Result<Arc<dyn StateStore>, ProviderError> {
        let server = self.server(self.default.clone()).await?;
        Ok(Arc::new(KubernetesState::new(server, namespace)))
    }

    async fn server(&self, connection: Connection) -> Result<Arc<Server>, ProviderError> {
        let mut servers = self.servers.lock().await;
        if let Some(server) = servers.get(&connection) {
            return Ok(Arc::clone(server));
        }
        let server = Arc::new(Server::new(Client::new(config(&connection).await?)?));
        servers.insert(connection, Arc::clone(&server));
        Ok(server)
    }
}

#[async_trait]
impl ProviderFactory for KubernetesFactory {
    fn provider_type(&self) -> &'static str {
        "kubernetes"
    }

    fn kinds(&self) -> Vec<Arc<dyn Kind>> {
        vec![Arc::new(ObjectKind::new())]
    }

    fn settings(&self) -> &Shape {
        &self.settings
    }

    /// Reads the kubeconfig; reaches no network, unless a plugin of the kubeconfig does to sign in.
    async fn open(&self, config: ProviderConfig) -> Result<Arc<dyn Provider>, ProviderError> {
        if let Some(CredentialSource::Secret { .. } | CredentialSource::Profile(_)) = config.credentials {
            return Err(ProviderError::Unsupported {
                service: "a Kubernetes provider".to_owned(),
                what: "credentials of its own: a kubeconfig or the Pod's service account signs in".to_owned(),
            });
        }
        let text = |key: &str| match config.settings.get(key) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            None => Ok(None),
            Some(_) => Err(ProviderError::Invalid {
                target: format!("provider {}", config.name),
                message: format!("its {key} is not a text"),
                field: None,
            }),
        };
        let connection = Connection {
            kubeconfig: text("kubeconfig")?
                .map(PathBuf::from)
                .or_else(|| self.default.kubeconfig.clone()),
            context: text("context")?.or_else(|| self.default.context.clone()),
        };
        let server = self.server(connection).await?;
        Ok(Arc::new(KubernetesProvider::new(config.name, server)))
    }
}

async fn config(connection: &Connection) -> Result<kube::Config, ProviderError> {
    let options = KubeConfigOptions {
        context: connection.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = match (&connection.kubeconfig, &connection.context) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error.to_string()))?;
            kube::Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(|error| unusable(&error.to_string()))
        }
        (None, Some(_)) => kube::Config::from_kubeconfig(&options)
            .await
            .map_err(|error| unusable(&error.to_string())),
        (None, None) => kube::Config::infer().await.map_err(|_| {
            unusable("there is no kubeconfig ($KUBECONFIG, ~/.kube/config), and this is no Pod of a cluster")
        }),
    };
    let mut config = config?;
    // Below a retrying client, waits and counts of our own would be wrong: only one place retries.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    // A watch is silent for as long as nothing happens; each other request has its own limit.
    config.read_timeout = None;
    config
        .headers
        .push((header::USER_AGENT, HeaderValue::from_static(USER_AGENT)));
    Ok(config)
}

fn unusable(message: &str) -> ProviderError {
    ProviderError::Unavailable {
        service: SERVICE.to_owned(),
        message: message.to_owned(),
        source: None,
    }
}
