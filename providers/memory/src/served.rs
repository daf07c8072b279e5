//! Which types the cluster serves.

use std::collections::{BTreeMap, BTreeSet};

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

    fn defined(&self, kind: &dyn Kind, api: &ApiType) -> Option<Scope> {
        self.definitions(kind)
            .find_map(|(defined, scope)| (defined == *api).then_some(scope))
    }

    /// What definitions in the world bring that are ready: one that isn't Established serves nothing yet.
    fn definitions<'a>(&'a self, kind: &'a dyn Kind) -> impl Iterator<Item = (ApiType, Scope)> + 'a {
        let provider = ProviderName::from("memory");
        self.resources
            .values()
            .filter(|resource| resource.key.kind == *kind.name())
            .flat_map(move |resource| {
                let document = resource.facets.get(kind.root_facet());
                let defined = document.map(|document| kind.defines(&resource.key, document));
                let defined = defined.filter(|defined| {
                    !defined.is_empty() && kind.ready(&resource.observed(kind, &provider)) == Readiness::Ready
                });
                defined.unwrap_or_default()
            })
    }

    /// The types that are served here and not on every server.
    pub(crate) fn own_types(&self) -> BTreeSet<ApiType> {
        let kind = self.object_kind();
        let defined = kind.iter().flat_map(|kind| self.definitions(kind.as_ref()));
        let defined = defined.map(|(api, _)| api);
        defined.chain(self.serves.keys().cloned()).collect()
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
