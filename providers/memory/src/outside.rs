//! What others do to the world, without a request of ours: the other clients of the tests.

use std::collections::BTreeMap;

use holdfast_contract::{Facet, Kind, PolicyId, ProviderName, ResourceKey, Value};

use crate::error::SandboxError;
use crate::resource::Identity;
use crate::world::World;

impl World {
    /// The document of a facet as it stands; none where it is unset or the resource is absent.
    #[must_use]
    pub fn facet(&self, key: &ResourceKey, facet: &Facet) -> Option<Value> {
        let state = self.lock();
        state
            .resources
            .get(&Identity::of(key))?
            .facets
            .get(facet)
            .cloned()
    }

    /// The whole resource as one document, its secrets sealed.
    #[must_use]
    pub fn document(&self, key: &ResourceKey) -> Option<Value> {
        let state = self.lock();
        let resource = state.resources.get(&Identity::of(key))?;
        let kind = state.kinds.get(&resource.key.kind)?;
        Some(kind.document(&resource.observed(kind.as_ref(), &ProviderName::from("memory"))))
    }

    /// The names of all resources of a kind, as people name them, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let state = self.lock();
        state.resources.values().map(|one| one.key.to_string()).collect()
    }

    /// Somebody edits a facet. A facet that is unset is given as an empty map; one that ends as null is unset then.
    pub fn edit(
        &self,
        key: &ResourceKey,
        facet: &Facet,
        edit: impl FnOnce(&mut Value),
    ) -> Result<(), SandboxError> {
        let identity = Identity::of(key);
        self.change(|state| {
            let kind = state.kind(&key.kind).map_err(|error| unfit(&error))?;
            let resource = state.resources.get(&identity).ok_or_else(|| absent(key))?;
            let mut value = resource.facets.get(facet).cloned().unwrap_or_else(Value::map);
            edit(&mut value);
            if value == Value::Null {
                state.unset(kind.as_ref(), &identity, facet);
            } else {
                state.update(kind.as_ref(), &identity, BTreeMap::from([(facet.clone(), value)]));
            }
            Ok(())
        })
    }

    /// Somebody makes objects and buckets, in the format of `sandbox.yaml`; those that exist are replaced.
    pub fn put(&self, yaml: &str) -> Result<(), SandboxError> {
        self.load_sandbox(yaml, "outside")?;
        self.change(|_| Ok(()))
    }

    /// Somebody deletes a resource, whatever it holds. What is absent stays so.
    pub fn delete(&self, key: &ResourceKey) -> Result<(), SandboxError> {
        self.change(|state| {
            let kind = state.kind(&key.kind).map_err(|error| unfit(&error))?;
            state.remove(kind.as_ref(), &Identity::of(key));
            Ok(())
        })
    }

    /// The ledger of `policy` is lost.
    pub fn lose_ledger(&self, policy: &PolicyId) -> Result<(), SandboxError> {
        self.change(|state| {
            state.ledgers.remove(policy);
            Ok(())
        })
    }

    /// Somebody puts so many things into a bucket, or takes all of them out.
    pub fn fill(&self, key: &ResourceKey, content: u64) -> Result<(), SandboxError> {
        self.change(|state| {
            let resource = state
                .resources
                .get_mut(&Identity::of(key))
                .ok_or_else(|| absent(key))?;
            resource.content = content;
            Ok(())
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&mut crate::world::State) -> Result<(), SandboxError>,
    ) -> Result<(), SandboxError> {
        let mut state = self.lock();
        let result = change(&mut state).and_then(|()| state.persist());
        drop(state);
        self.notify();
        result
    }
}

impl crate::world::State {
    /// Takes a facet away altogether.
    fn unset(&mut self, kind: &dyn Kind, identity: &Identity, facet: &Facet) {
        let Some(resource) = self.resources.get_mut(identity) else {
            return;
        };
        if resource.facets.remove(facet).is_some() {
            // Counted as a change of the whole, which moves the version.
            let root = kind.root_facet();
            let mut document = resource.facets.get(root).cloned().unwrap_or_default();
            crate::resource::set_metadata(&mut document, "resourceVersion", Value::Null);
            if resource.key.api.is_some() {
                self.update(kind, identity, BTreeMap::from([(root.clone(), document)]));
            }
        }
    }
}

fn absent(key: &ResourceKey) -> SandboxError {
    SandboxError::Unfit(format!("{key} isn't there"))
}

fn unfit(error: &holdfast_contract::ProviderError) -> SandboxError {
    SandboxError::Unfit(error.to_string())
}
