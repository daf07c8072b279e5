//! Which types the cluster serves.

use std::collections::BTreeMap;

use holdfast_contract::{ApiType, Kind, ProviderError, ProviderName, Readiness, Scope, Served};

use crate::accident::Operation;
use crate::provider::MemoryProvider;
use crate::world::State;

impl State {
    /// Where objects of `api` live; none: it isn't served.
    pub(crate) fn scope(&self, api: &ApiType) -> Option<Scope> {
        let kind = self.object_kind()?;
        match kind.scope(api) {
            Some(Served::Yes(scope)) => return Some(scope),
            Some(Served::No) => return None,
            None => {}
        }
        if let Some(scope) = self.serves.get(api) {
            return Some(*scope);
        }
        self.defined(kind.as_ref(), api)
    }

    /// By a definition in the world that is ready: one that isn't Established serves nothing yet.
    fn defined(&self, kind: &dyn Kind, api: &ApiType) -> Option<Scope> {
        let provider = ProviderName::from("memory");
        self.resources
            .values()
            .filter(|resource| resource.key.kind == *kind.name())
            .find_map(|resource| {
                let document = resource.facets.get(kind.root_facet())?;
                let defined = kind.defines(&resource.key, document);
                let (_, scope) = defined.into_iter().find(|(defined, _)| defined == api)?;
                let ready = kind.ready(&resource.observed(kind, &provider)) == Readiness::Ready;
                ready.then_some(scope)
            })
    }
}

pub(crate) fn served(
    provider: &MemoryProvider,
    apis: &[ApiType],
) -> Result<BTreeMap<ApiType, Served>, ProviderError> {
    let mut state = provider.world.lock();
    state.request(Operation::Served, Some(&provider.name), &"types", None)?;
    Ok(apis
        .iter()
        .map(|api| {
            let scope = state.scope(api).filter(|_| provider.is_cluster());
            (api.clone(), scope.map_or(Served::No, Served::Yes))
        })
        .collect())
}
