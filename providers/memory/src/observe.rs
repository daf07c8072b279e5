//! Reads.

use std::sync::Arc;

use holdfast_contract::{FacetState, Observation, ProviderError, ProviderName, ResourceKey, Wanted};

use crate::accident::{Moment, Operation, Request};
use crate::resource::{Identity, Resource};
use crate::world::State;

pub(crate) fn observe(
    state: &mut State,
    provider: &ProviderName,
    account: &str,
    wanted: &Wanted,
) -> Result<Observation, ProviderError> {
    let key = &wanted.key;
    let request = state.request(Operation::Observe, Some(provider), key, None)?;
    let mut observation = look(state, provider, account, wanted)?;
    if let Observation::Present(observed) = &mut observation {
        for (facet, document) in &mut Arc::make_mut(observed).facets {
            let about = Request {
                facet: Some(facet.clone()),
                ..request.clone()
            };
            if let Err(error) = state.befall(&about, Moment::Before) {
                *document = FacetState::Unreadable(error);
            }
        }
    }
    Ok(observation)
}

/// What is there, without a request.
pub(crate) fn look(
    state: &mut State,
    provider: &ProviderName,
    account: &str,
    wanted: &Wanted,
) -> Result<Observation, ProviderError> {
    let key = &wanted.key;
    let kind = state.kind(&key.kind)?;
    state.must_serve(key)?;
    let Some(resource) = state.read(&Identity::of(key)) else {
        return Ok(Observation::Absent);
    };
    must_be_ours(&resource, account)?;
    let mut observed = resource.observed_facets(kind.as_ref(), provider, &wanted.facets);
    // A version of the type that was asked for, not the one under which it was made.
    observed.key.api.clone_from(&key.api);
    Ok(Observation::Present(Arc::new(observed)))
}

impl State {
    /// Whether an object of this type could exist at all.
    pub(crate) fn must_serve(&self, key: &ResourceKey) -> Result<(), ProviderError> {
        match &key.api {
            Some(api) if self.scope(api).is_none() => Err(ProviderError::NotServed { api: api.clone() }),
            _ => Ok(()),
        }
    }
}

/// Another account's bucket is there, and not for us.
pub(crate) fn must_be_ours(resource: &Resource, account: &str) -> Result<(), ProviderError> {
    match &resource.account {
        Some(owner) if owner != account => Err(ProviderError::Foreign {
            target: resource.key.to_string(),
            message: "it is of another account".to_owned(),
        }),
        _ => Ok(()),
    }
}
