//! What has to be read for a fact, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_contract as contract;
use holdfast_contract::{
    ApiType, Kind, KindName, Locator, NotLocated, ProviderError, ProviderName, Query, Served, Wanted,
};
use holdfast_expression::Value;
use holdfast_policy::{Fact, FactSource, ProviderReference, Template, ValidPolicy};

use crate::evaluate::{Evaluator, NoAnswer};
use crate::objects;
use crate::providers::{self, Providers};
use crate::scope::Roots;

/// What has to be read for a fact.
pub(super) enum Read {
    /// An object.
    Object(Wanted),
    /// A list.
    List(ProviderName, Query),
    /// Nothing: its value is known.
    Value(Value),
    /// Nothing: it can't be there.
    Nothing,
}

/// The object type that a fact is about.
pub(super) fn api_of(source: &FactSource) -> Option<ApiType> {
    match source {
        FactSource::Object { api, .. } | FactSource::Objects { api, .. } | FactSource::Api { api } => {
            Some(api.clone())
        }
        FactSource::Resources { .. } => None,
    }
}

/// What the cluster says of `apis`.
pub(super) async fn served(
    providers: &Providers,
    apis: &BTreeSet<ApiType>,
) -> Result<BTreeMap<ApiType, Served>, ProviderError> {
    let apis: Vec<ApiType> = apis.iter().cloned().collect();
    if apis.is_empty() {
        return Ok(BTreeMap::new());
    }
    providers.cluster()?.served(&apis, false).await
}

/// Tells what has to be read for facts.
pub(super) struct Reader<'r> {
    pub(super) policy: &'r ValidPolicy,
    pub(super) roots: &'r Roots,
    pub(super) evaluator: Evaluator<'r>,
    pub(super) served: &'r Result<BTreeMap<ApiType, Served>, ProviderError>,
}

impl Reader<'_> {
    /// What has to be read for `fact`; its provider is opened.
    pub(super) async fn read(&self, fact: &Fact, providers: &mut Providers) -> Result<Read, NoAnswer> {
        match &fact.source {
            FactSource::Api { api } => Ok(Read::Value(Value::Bool(self.scope(fact, api)? != Served::No))),
            FactSource::Object {
                api,
                namespace,
                name,
                provider,
            } => {
                let scope = self.scope(fact, api)?;
                if scope == Served::No {
                    return Ok(Read::Nothing);
                }
                let provider = self
                    .open(fact, provider.as_ref(), objects::PROVIDER, providers)
                    .await?;
                let desired = self.named(api, namespace.as_ref(), name)?;
                let kind = object_kind(providers, fact)?;
                let served = BTreeMap::from([(api.clone(), scope)]);
                let locator = Locator {
                    provider: &provider,
                    name: None,
                    region: None,
                    desired: &desired,
                    served: &served,
                };
                let key = kind.locate(&locator).map_err(|error| match error {
                    NotLocated::Unknown(unknown) => NoAnswer::Waits(unknown.waits_for),
                    NotLocated::Invalid(message) => NoAnswer::fault(message, &fact.place),
                })?;
                Ok(Read::Object(Wanted {
                    key,
                    facets: kind.facets().iter().cloned().collect(),
                }))
            }
            FactSource::Objects {
                api,
                namespace,
                selector,
                provider,
            } => {
                if self.scope(fact, api)? == Served::No {
                    return Ok(Read::Value(Value::list(Vec::<Value>::new())));
                }
                let provider = self
                    .open(fact, provider.as_ref(), objects::PROVIDER, providers)
                    .await?;
                let mut query = query(objects::kind());
                query.api = Some(api.clone());
                query.namespace = self.text(namespace.as_ref())?;
                query.selector = self.text(selector.as_ref())?;
                Ok(Read::List(provider, query))
            }
            FactSource::Resources {
                kind,
                name_prefix,
                provider,
            } => {
                let provider_type = providers
                    .registry()
                    .kind(kind)
                    .map(|(_, provider_type)| provider_type);
                let missing = || format!("{kind} comes with its provider, which isn't there yet");
                let provider_type = provider_type.ok_or_else(|| NoAnswer::fault(missing(), &fact.place))?;
                let provider = self
                    .open(fact, provider.as_ref(), provider_type, providers)
                    .await?;
                let mut query = query(kind.clone());
                query.name_prefix = self.text(name_prefix.as_ref())?;
                query.read.clone_from(&fact.read);
                Ok(Read::List(provider, query))
            }
        }
    }

    fn scope(&self, fact: &Fact, api: &ApiType) -> Result<Served, NoAnswer> {
        match self.served {
            Ok(served) => Ok(served.get(api).copied().unwrap_or(Served::No)),
            Err(error) => Err(NoAnswer::Unreadable {
                message: error.to_string(),
                place: fact.place.clone(),
            }),
        }
    }

    fn text(&self, template: Option<&Template>) -> Result<Option<String>, NoAnswer> {
        template
            .map(|template| self.evaluator.text(template, self.roots))
            .transpose()
    }

    /// What a document says that names the object and no more.
    fn named(
        &self,
        api: &ApiType,
        namespace: Option<&Template>,
        name: &Template,
    ) -> Result<contract::Value, NoAnswer> {
        let name = self.evaluator.text(name, self.roots)?;
        let namespace = self
            .text(namespace)?
            .map(|namespace| ("namespace", contract::Value::from(namespace)));
        let metadata = std::iter::once(("name", contract::Value::from(name)))
            .chain(namespace)
            .collect();
        Ok([
            ("apiVersion", contract::Value::from(api.api_version.as_str())),
            ("kind", contract::Value::from(api.kind.as_str())),
            ("metadata", metadata),
        ]
        .into_iter()
        .collect())
    }

    async fn open(
        &self,
        fact: &Fact,
        reference: Option<&ProviderReference>,
        provider_type: &str,
        providers: &mut Providers,
    ) -> Result<ProviderName, NoAnswer> {
        let settings =
            providers::settings(self.policy, reference, provider_type, self.evaluator, self.roots)?;
        providers.require(&settings).await;
        match providers.failure(&settings.name) {
            Some(error) => Err(NoAnswer::Unreadable {
                message: error.to_string(),
                place: fact.place.clone(),
            }),
            None => Ok(settings.name),
        }
    }
}

fn query(kind: KindName) -> Query {
    Query {
        kind,
        api: None,
        namespace: None,
        selector: None,
        name_prefix: None,
        read: BTreeSet::new(),
    }
}

fn object_kind(providers: &Providers, fact: &Fact) -> Result<Arc<dyn Kind>, NoAnswer> {
    let kind = providers.registry().kind(&objects::kind()).map(|(kind, _)| kind);
    kind.ok_or_else(|| NoAnswer::fault("there is no provider for objects", &fact.place))
}
