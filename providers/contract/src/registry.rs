//! Which providers there are, and how one is opened.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::ProviderError;
use crate::key::{KindName, ProviderName};
use crate::kind::Kind;
use crate::provider::Provider;
use crate::shape::Shape;
use crate::value::{Sensitive, Value};

/// Makes providers of one type.
#[async_trait]
pub trait ProviderFactory: Debug + Send + Sync {
    /// `s3`.
    fn provider_type(&self) -> &'static str;

    /// The kinds that its providers serve.
    fn kinds(&self) -> Vec<Arc<dyn Kind>>;

    /// The shape of a policy's settings for it, `type` and `credentials` left aside.
    fn settings(&self) -> &Shape;

    /// Opens one. Reaches the network only if it can't be done later.
    async fn open(&self, config: ProviderConfig) -> Result<Arc<dyn Provider>, ProviderError>;
}

/// How a policy wants a provider to be.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// What the policy calls it.
    pub name: ProviderName,
    /// Its settings, as declared: `region`, `endpoint`, `pathStyle`, `account`.
    pub settings: BTreeMap<String, Value>,
    /// The account or project that it was before, as the ledger remembers: until the service has said who we are, what
    /// belongs to anybody else is somebody else's. None: not known.
    pub account: Option<String>,
    /// How to sign in. The first that is present, chosen by the engine; none: the service's own default chain.
    pub credentials: Option<CredentialSource>,
}

/// Where credentials come from.
#[derive(Clone, Debug)]
pub enum CredentialSource {
    /// The content of a Secret, by key.
    Secret {
        /// The Secret, for messages: `openshift-velero/holdfast-iam-credentials`.
        origin: String,
        /// Its data, decoded from base64 to text where it is text.
        data: BTreeMap<String, Sensitive>,
    },
    /// The process's environment, as the service's own tools read it.
    Environment,
    /// A named profile of the service's own configuration files.
    Profile(String),
}

/// All factories, by type.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    factories: BTreeMap<&'static str, Arc<dyn ProviderFactory>>,
}

impl Registry {
    /// Adds `factory`; one of the same type is replaced.
    #[must_use]
    pub fn with(mut self, factory: Arc<dyn ProviderFactory>) -> Self {
        self.factories.insert(factory.provider_type(), factory);
        self
    }

    /// The factory of `provider_type`.
    #[must_use]
    pub fn factory(&self, provider_type: &str) -> Option<&Arc<dyn ProviderFactory>> {
        self.factories.get(provider_type)
    }

    /// All factories, in order of type.
    pub fn factories(&self) -> impl Iterator<Item = &Arc<dyn ProviderFactory>> {
        self.factories.values()
    }

    /// The kind `name`, and the type of the provider that serves it.
    #[must_use]
    pub fn kind(&self, name: &KindName) -> Option<(Arc<dyn Kind>, &'static str)> {
        self.factories.values().find_map(|factory| {
            let kind = factory.kinds().into_iter().find(|kind| kind.name() == name)?;
            Some((kind, factory.provider_type()))
        })
    }
}
