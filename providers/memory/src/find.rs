//! Searches.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::{Facet, Found, Kind, Observed, ProviderError, Query, ResourceKey, Value};

use crate::accident::{Moment, Operation, Request};
use crate::provider::MemoryProvider;
use crate::resource::{Identity, Resource};
use crate::selector::Selector;
use crate::world::State;

pub(crate) fn find(provider: &MemoryProvider, query: &Query) -> Result<Vec<Found>, ProviderError> {
    let mut state = provider.world.lock();
    state.request(Operation::Find, Some(&provider.name), &target_of(query), None)?;
    look(&mut state, provider, query)
}

fn target_of(query: &Query) -> String {
    query
        .api
        .as_ref()
        .map_or_else(|| query.kind.to_string(), ToString::to_string)
}

/// What there is, without a request.
pub(crate) fn look(
    state: &mut State,
    provider: &MemoryProvider,
    query: &Query,
) -> Result<Vec<Found>, ProviderError> {
    let account = provider.signed_in_to(state);
    let kind = state.kind(&query.kind)?;
    if let Some(api) = query.api.as_ref().filter(|api| state.scope(api).is_none()) {
        return Err(ProviderError::NotServed { api: api.clone() });
    }
    let selector = match &query.selector {
        Some(text) => Some(Selector::parse(text).map_err(|message| ProviderError::Invalid {
            target: target_of(query),
            message,
            field: None,
        })?),
        None => None,
    };
    let identities: Vec<Identity> = state.resources.keys().cloned().collect();
    let mut found = Vec::new();
    for identity in identities {
        let Some(resource) = state.read(&identity) else {
            continue;
        };
        let is_ours = resource.account.as_ref().is_none_or(|owner| *owner == account);
        if is_ours && is_meant(&resource, kind.as_ref(), query, selector.as_ref()) {
            found.push(describe(state, provider, kind.as_ref(), &resource, query));
        }
    }
    Ok(found)
}

fn is_meant(resource: &Resource, kind: &dyn Kind, query: &Query, selector: Option<&Selector>) -> bool {
    let key = &resource.key;
    let is_of_type = match (&key.api, &query.api) {
        (Some(one), Some(other)) => one.group() == other.group() && one.kind == other.kind,
        (None, None) => true,
        _ => false,
    };
    key.kind == query.kind
        && is_of_type
        && (query.namespace.is_none() || key.namespace == query.namespace)
        && query
            .name_prefix
            .as_ref()
            .is_none_or(|prefix| key.name.starts_with(prefix.as_str()))
        && selector.is_none_or(|selector| selector.matches(&labels(resource, kind)))
}

fn labels(resource: &Resource, kind: &dyn Kind) -> BTreeMap<String, String> {
    let document = resource.facets.get(kind.root_facet());
    let labels = document.and_then(|document| document.at(&["metadata", "labels"])?.as_map());
    labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn describe(
    state: &mut State,
    provider: &MemoryProvider,
    kind: &dyn Kind,
    resource: &Resource,
    query: &Query,
) -> Found {
    let observed = resource.observed(kind, &provider.name);
    let key = ResourceKey {
        api: query.api.clone(),
        ..observed.key.clone()
    };
    if key.api.is_some() {
        return Found {
            document: kind.document(&observed),
            observed: Some(Arc::new(Observed {
                key: key.clone(),
                ..observed
            })),
            key,
            unreadable: BTreeMap::new(),
        };
    }
    let mut document: BTreeMap<String, Value> = kind
        .attributes(&key)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let mut unreadable = BTreeMap::new();
    for part in &query.read {
        let facet = Facet::from(part.as_str());
        let request = Request {
            operation: Operation::Observe,
            provider: Some(provider.name.clone()),
            target: key.to_string(),
            facet: Some(facet.clone()),
        };
        match (state.befall(&request, Moment::Before), observed.value(&facet)) {
            (Err(error), _) => {
                unreadable.insert(part.clone(), error);
            }
            (Ok(()), Some(value)) => {
                document.insert(part.clone(), value.clone());
            }
            (Ok(()), None) => {}
        }
    }
    Found {
        key,
        document: Value::Map(document),
        observed: None,
        unreadable,
    }
}
