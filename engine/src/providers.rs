//! Opening the providers that a pass needs, each once, with the first credentials that are present.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_contract::{
    CredentialSource, Observation, Provider, ProviderConfig, ProviderError, ProviderName, Registry,
    ResourceKey, Sensitive, Value, Version, Wanted,
};
use holdfast_policy::{Credential, ProviderDeclaration, ProviderReference, Tree, ValidPolicy};
use sha2::{Digest, Sha256};

use crate::evaluate::{Evaluator, NoAnswer};
use crate::objects;
use crate::scope::Roots;

/// A provider as a rule or fact means it, with its settings evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSettings {
    /// Its name: the policy's, or its type.
    pub name: ProviderName,
    /// Its type.
    pub provider_type: String,
    /// Its settings.
    pub settings: BTreeMap<String, Value>,
    /// How to sign in, the first that is present; none: as the service's own tools do.
    pub credentials: Option<Vec<Credential>>,
}

impl ProviderSettings {
    /// The region that it names, if it names one.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.settings.get("region").and_then(Value::as_str)
    }

    /// What its settings are, but for the region, in which only what has none yet is looked for.
    #[must_use]
    pub fn digest(&self) -> String {
        let settings: BTreeMap<&String, &Value> = self
            .settings
            .iter()
            .filter(|(name, _)| *name != "region")
            .collect();
        let digest = Sha256::digest(format!("{} {settings:?}", self.provider_type).as_bytes());
        crate::digest::hex(&digest, 8)
    }
}

/// Which provider `reference` means, for something that providers of `provider_type` serve.
pub fn settings(
    policy: &ValidPolicy,
    reference: Option<&ProviderReference>,
    provider_type: &str,
    evaluator: Evaluator<'_>,
    roots: &Roots,
) -> Result<ProviderSettings, NoAnswer> {
    let declaration = match reference {
        Some(ProviderReference::Inline(declaration)) => {
            let mut settings = evaluated(declaration, evaluator, roots)?;
            // An inline provider has no name of its own: what it is made of tells it from others.
            let digest = Sha256::digest(format!("{settings:?}").as_bytes());
            let short = crate::digest::hex(&digest, 4);
            settings.name = format!("{provider_type}-{short}").as_str().into();
            return Ok(settings);
        }
        Some(ProviderReference::Named(name)) => {
            let text = evaluator.text(name, roots)?;
            let declared = policy.providers.get(&ProviderName::from(text.as_str()));
            Some(
                declared
                    .ok_or_else(|| NoAnswer::fault(format!("no provider is called `{text}`"), &name.place))?,
            )
        }
        None => policy
            .providers
            .values()
            .find(|declaration| declaration.provider_type == provider_type),
    };
    match declaration {
        Some(declaration) => evaluated(declaration, evaluator, roots),
        None => Ok(ProviderSettings {
            name: provider_type.into(),
            provider_type: provider_type.to_owned(),
            settings: BTreeMap::new(),
            credentials: None,
        }),
    }
}

/// The provider `name` as the policy has it now, for something that providers of `provider_type` serve; none if it has no
/// such.
pub fn named(
    policy: &ValidPolicy,
    name: &ProviderName,
    provider_type: &str,
    evaluator: Evaluator<'_>,
    roots: &Roots,
) -> Result<Option<ProviderSettings>, NoAnswer> {
    match policy.providers.get(name) {
        Some(declaration) if declaration.provider_type == provider_type => {
            evaluated(declaration, evaluator, roots).map(Some)
        }
        None if name.as_str() == provider_type => settings(policy, None, provider_type, evaluator, roots)
            .map(|settings| Some(settings).filter(|settings| settings.name == *name)),
        Some(_) | None => Ok(None),
    }
}

fn evaluated(
    declaration: &ProviderDeclaration,
    evaluator: Evaluator<'_>,
    roots: &Roots,
) -> Result<ProviderSettings, NoAnswer> {
    let known = |tree: &Tree| {
        let value = evaluator
            .tree(tree, roots)?
            .map_or_else(Value::map, |evaluated| evaluated.value);
        let waits = value.waits_for();
        if waits.is_empty() {
            Ok(value)
        } else {
            Err(NoAnswer::Waits(waits))
        }
    };
    let settings = match known(&declaration.settings)?.without_nulls() {
        Value::Map(entries) => entries,
        _ => BTreeMap::new(),
    };
    let credentials = match &declaration.credentials {
        Some(tree) => {
            let list =
                Credential::list(&known(tree)?).map_err(|error| NoAnswer::fault(error, &tree.place))?;
            Some(list)
        }
        None => None,
    };
    Ok(ProviderSettings {
        name: declaration.name.clone(),
        provider_type: declaration.provider_type.clone(),
        settings,
        credentials,
    })
}

/// The providers that are open. What could not be opened stays an error for all that need it.
#[derive(Debug)]
pub struct Providers {
    registry: Registry,
    namespace: String,
    open: BTreeMap<ProviderName, Arc<dyn Provider>>,
    failed: BTreeMap<ProviderName, ProviderError>,
    /// The accounts that they were signed in to before.
    accounts: BTreeMap<String, String>,
    /// The Secrets that were looked at to sign in.
    secrets: BTreeMap<ResourceKey, Used>,
}

/// A Secret that was looked at to sign in.
#[derive(Debug, Default)]
struct Used {
    /// By which providers.
    by: BTreeSet<ProviderName>,
    read: Reading,
}

/// What was read of a Secret.
#[derive(Debug, Default)]
enum Reading {
    /// It wasn't, as another came first.
    #[default]
    None,
    /// It could not be.
    Failed,
    /// The version that it had; none where it wasn't there.
    At(Option<Version>),
}

impl Providers {
    /// None is open yet. `namespace` is where a Secret without a namespace lies.
    #[must_use]
    pub fn new(registry: Registry, namespace: &str) -> Self {
        Self {
            registry,
            namespace: namespace.to_owned(),
            open: BTreeMap::new(),
            failed: BTreeMap::new(),
            accounts: BTreeMap::new(),
            secrets: BTreeMap::new(),
        }
    }

    /// The Secrets that were looked at to sign in.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &ResourceKey> {
        self.secrets.keys()
    }

    /// Whether the Secret `key`, which is at `version` now, is another than it was when providers signed in by it.
    pub(crate) fn is_rotated(&self, key: &ResourceKey, version: Option<&Version>) -> bool {
        match self.secrets.get(key).map(|used| &used.read) {
            Some(Reading::At(read)) => read.as_ref() != version,
            // Now it can be.
            Some(Reading::Failed) => true,
            Some(Reading::None) | None => false,
        }
    }

    /// Closes the providers that signed in by the Secret `key`, or looked for it, so that they are opened anew.
    pub(crate) fn sign_out(&mut self, key: &ResourceKey) -> BTreeSet<ProviderName> {
        let names = self.secrets.remove(key).map(|used| used.by).unwrap_or_default();
        self.open.retain(|name, _| !names.contains(name));
        self.failed.retain(|name, _| !names.contains(name));
        names
    }

    /// Says which accounts they were signed in to before, to those that are opened from now on.
    pub fn expect_accounts(&mut self, accounts: &BTreeMap<String, String>) {
        self.accounts.clone_from(accounts);
    }

    /// Those that are open, by name.
    #[must_use]
    pub fn open(&self) -> &BTreeMap<ProviderName, Arc<dyn Provider>> {
        &self.open
    }

    /// The registry that they come from.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Why `name` could not be opened.
    #[must_use]
    pub fn failure(&self, name: &ProviderName) -> Option<&ProviderError> {
        self.failed.get(name)
    }

    /// Those that could not be opened.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &ProviderName> {
        self.failed.keys()
    }

    /// Forgets what could not be opened, so that it is tried again.
    pub fn forget_failures(&mut self) {
        self.failed.clear();
    }

    /// Opens what `settings` describes, unless it is open or has failed already.
    pub async fn require(&mut self, settings: &ProviderSettings) {
        if self.open.contains_key(&settings.name) || self.failed.contains_key(&settings.name) {
            return;
        }
        self.note_secrets(settings);
        let mut read = Vec::new();
        let opened = self.try_open(settings, &mut read).await;
        for (key, reading) in read {
            self.secrets.entry(key).or_default().read = reading;
        }
        match opened {
            Ok(provider) => {
                self.open.insert(settings.name.clone(), provider);
            }
            Err(error) => {
                self.failed.insert(settings.name.clone(), error);
            }
        }
    }

    /// The cluster's provider; one that could not be opened says nothing about what is in the cluster.
    pub fn cluster(&self) -> Result<&Arc<dyn Provider>, ProviderError> {
        let name = ProviderName::from(objects::PROVIDER);
        self.open.get(&name).ok_or_else(|| {
            self.failed
                .get(&name)
                .cloned()
                .unwrap_or_else(|| ProviderError::Unavailable {
                    service: "the cluster".to_owned(),
                    message: "it was not opened".to_owned(),
                    source: None,
                })
        })
    }

    /// `read`: the Secrets that it looked at.
    async fn try_open(
        &self,
        settings: &ProviderSettings,
        read: &mut Vec<(ResourceKey, Reading)>,
    ) -> Result<Arc<dyn Provider>, ProviderError> {
        let factory =
            self.registry
                .factory(&settings.provider_type)
                .ok_or_else(|| ProviderError::Unsupported {
                    service: "this version".to_owned(),
                    what: format!("the provider `{}`, which comes later", settings.provider_type),
                })?;
        let credentials = match &settings.credentials {
            Some(list) => Some(self.first_present(&settings.name, list, read).await?),
            None => None,
        };
        let config = ProviderConfig {
            name: settings.name.clone(),
            settings: settings.settings.clone(),
            account: self.accounts.get(settings.name.as_str()).cloned(),
            credentials,
        };
        factory.open(config).await
    }

    fn note_secrets(&mut self, settings: &ProviderSettings) {
        for credential in settings.credentials.iter().flatten() {
            if let Credential::Secret { namespace, name } = credential {
                let namespace = namespace.as_deref().unwrap_or(&self.namespace);
                let key = objects::key(&objects::secret(), Some(namespace), name);
                let used = self.secrets.entry(key).or_default();
                used.by.insert(settings.name.clone());
            }
        }
    }

    /// The first of `list` that is present. `environment` and `profile` always are: the provider says what they lack.
    async fn first_present(
        &self,
        provider: &ProviderName,
        list: &[Credential],
        read: &mut Vec<(ResourceKey, Reading)>,
    ) -> Result<CredentialSource, ProviderError> {
        let mut missing = Vec::new();
        for credential in list {
            match credential {
                Credential::Environment => return Ok(CredentialSource::Environment),
                Credential::Profile(name) => return Ok(CredentialSource::Profile(name.clone())),
                Credential::Secret { namespace, name } => {
                    let namespace = namespace.as_deref().unwrap_or(&self.namespace);
                    match self.secret(namespace, name, read).await? {
                        Some(source) => return Ok(source),
                        None => missing.push(format!("{namespace}/{name}")),
                    }
                }
            }
        }
        Err(ProviderError::Unauthenticated {
            service: provider.to_string(),
            message: format!(
                "none of its credentials is there: Secret {}",
                missing.join(", Secret ")
            ),
        })
    }

    async fn secret(
        &self,
        namespace: &str,
        name: &str,
        read: &mut Vec<(ResourceKey, Reading)>,
    ) -> Result<Option<CredentialSource>, ProviderError> {
        let cluster = self.cluster()?;
        let key = objects::key(&objects::secret(), Some(namespace), name);
        let wanted = Wanted {
            key,
            facets: [objects::facet()].into(),
        };
        let mut results = cluster.observe(std::slice::from_ref(&wanted)).await;
        let found = results.pop().transpose();
        let reading = match &found {
            Ok(Some(Observation::Present(observed))) => Reading::At(observed.version.clone()),
            Ok(Some(Observation::Absent) | None) => Reading::At(None),
            Err(_) => Reading::Failed,
        };
        read.push((wanted.key, reading));
        let Some(Observation::Present(observed)) = found? else {
            return Ok(None);
        };
        let data = observed
            .value(&objects::facet())
            .and_then(|document| document.get("data"));
        let data = data.map(objects::secret_texts).unwrap_or_default();
        let data: BTreeMap<String, Sensitive> = data
            .into_iter()
            .map(|(key, text)| (key, Sensitive::new(Value::String(text))))
            .collect();
        Ok(Some(CredentialSource::Secret {
            origin: format!("{namespace}/{name}"),
            data,
        }))
    }
}
