//! How a cluster is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{
    CredentialSource, Desk, Field, Holder, Kind, Meter, Provider, ProviderConfig, ProviderError,
    ProviderFactory, Roster, ServiceAccount, Shape, StateStore, Value,
};
use http::{HeaderValue, header};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::Mutex;

use crate::account;
use crate::client::Client;
use crate::desk::KubernetesDesk;
use crate::error::SERVICE;
use crate::kind::ObjectKind;
use crate::provider::{KubernetesProvider, Server};
use crate::roster::KubernetesRoster;
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

/// Where requests go, and as whom: what is learnt over one connection says nothing about another identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    connection: Connection,
    /// As whom, by impersonation; none: as whoever the connection signs in.
    account: Option<ServiceAccount>,
}

/// Opens Kubernetes providers.
///
/// Connections are shared, and with them all that is learnt over one: two providers of one [`Connection`] that act as
/// the same account use the same, those of two accounts never. A factory keeps the connections that it has used.
#[derive(Debug)]
pub struct KubernetesFactory {
    default: Connection,
    account: Option<ServiceAccount>,
    settings: Shape,
    meter: Option<Arc<dyn Meter>>,
    servers: Mutex<BTreeMap<Identity, Arc<Server>>>,
    /// Those of all factories that came of one, as long as somebody uses them.
    shared: Arc<Mutex<BTreeMap<Identity, Weak<Server>>>>,
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
            account: None,
            settings: Shape::Object(settings),
            meter: None,
            servers: Mutex::default(),
            shared: Arc::default(),
        }
    }

    /// Has each request measured that goes out over connections made from now on.
    #[must_use]
    pub fn with_meter(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = Some(meter);
        self
    }

    /// A factory whose providers do all that they do as `account`, in the default cluster.
    ///
    /// Whoever the connection signs in needs the permission `impersonate` on that service account, and nothing that the
    /// account itself may do: the server decides by the account's own roles. Providers that name a `kubeconfig` or a
    /// `context` are refused, as those are files and identities of whoever runs this process. State, the roster and
    /// the desk stay the connection's own.
    #[must_use]
    pub fn acting_as(&self, account: ServiceAccount) -> Self {
        Self {
            default: self.default.clone(),
            account: Some(account),
            settings: self.settings.clone(),
            meter: self.meter.clone(),
            servers: Mutex::default(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Ledgers and leases in `namespace` of the default cluster, of policies whose providers this factory opens.
    pub async fn state(&self, namespace: &str) -> Result<Arc<dyn StateStore>, ProviderError> {
        let account = self.account.clone();
        Ok(Arc::new(KubernetesState::new(
            self.own().await?,
            namespace,
            account,
        )))
    }

    /// Which replicas are here, by Leases in `namespace` of the default cluster. Only those of one `group` share policies
    /// out: what text that fits a label says, such as a digest of which policies they enforce.
    pub async fn roster(&self, namespace: &str, group: &str) -> Result<Arc<dyn Roster>, ProviderError> {
        Ok(Arc::new(KubernetesRoster::new(
            self.own().await?,
            namespace,
            group,
        )))
    }

    /// The Policy resources in `namespaces` of the default cluster, or in all of it where none are named; `identity` is
    /// who tells, in events.
    pub async fn desk(
        &self,
        namespaces: BTreeSet<String>,
        identity: &Holder,
    ) -> Result<Arc<dyn Desk>, ProviderError> {
        Ok(Arc::new(KubernetesDesk::new(
            self.own().await?,
            namespaces,
            identity,
        )))
    }

    /// The default cluster, as whoever the connection signs in.
    async fn own(&self) -> Result<Arc<Server>, ProviderError> {
        let identity = Identity {
            connection: self.default.clone(),
            account: None,
        };
        self.server(identity).await
    }

    async fn server(&self, identity: Identity) -> Result<Arc<Server>, ProviderError> {
        let mut servers = self.servers.lock().await;
        if let Some(server) = servers.get(&identity) {
            return Ok(Arc::clone(server));
        }
        let mut shared = self.shared.lock().await;
        shared.retain(|_, server| server.strong_count() > 0);
        let server = if let Some(server) = shared.get(&identity).and_then(Weak::upgrade) {
            server
        } else {
            Arc::new(connect(&identity, self.meter.clone()).await?)
        };
        shared.insert(identity.clone(), Arc::downgrade(&server));
        servers.insert(identity, Arc::clone(&server));
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
        let (kubeconfig, context) = (text("kubeconfig")?, text("context")?);
        if let Some(account) = &self.account
            && (kubeconfig.is_some() || context.is_some())
        {
            return Err(ProviderError::Invalid {
                target: format!("provider {}", config.name),
                message: format!(
                    "this policy acts as ServiceAccount {account} in the cluster that it lies in; leave out \
                     `kubeconfig` and `context`, which are for policies from files"
                ),
                field: None,
            });
        }
        let connection = Connection {
            kubeconfig: kubeconfig
                .map(PathBuf::from)
                .or_else(|| self.default.kubeconfig.clone()),
            context: context.or_else(|| self.default.context.clone()),
        };
        let account = self.account.clone();
        let server = self.server(Identity { connection, account }).await?;
        Ok(Arc::new(KubernetesProvider::new(config.name, server)))
    }
}

async fn connect(identity: &Identity, meter: Option<Arc<dyn Meter>>) -> Result<Server, ProviderError> {
    let config = config(&identity.connection).await?;
    let signed_in = match &config.auth_info.token_file {
        // One that can't be read is told when it is needed.
        Some(path) => tokio::fs::read_to_string(path).await.ok(),
        None => None,
    };
    let signed_in = signed_in.and_then(|token| account::of_token(&token));
    let client = match &identity.account {
        None => Client::new(config)?,
        Some(account) => Client::acting_as(config, account.clone())?,
    };
    Ok(Server::new(client.with_meter(meter), signed_in))
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
