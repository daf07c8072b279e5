//! Writes, and what they would do.

use std::collections::BTreeMap;

use holdfast_contract::{
    Action, Desired, Difference, Facet, Fidelity, Guard, Kind, Observed, Preview, ProviderError, ResourceKey,
    Scope, Write, Written,
};

use crate::accident::{Moment, Operation};
use crate::error::SandboxError;
use crate::managers::{conflicts, forget_idle};
use crate::observe::must_be_ours;
use crate::provider::MemoryProvider;
use crate::resource::{Identity, Resource};
use crate::world::State;

/// Where a bucket lies if nobody says where.
const REGION: &str = "us-east-1";

pub(crate) fn write(provider: &MemoryProvider, write: &Write) -> Result<Written, ProviderError> {
    let mut state = provider.world.lock();
    let account = provider.signed_in_to(&state);
    let (operation, facet) = match &write.action {
        Action::Create { .. } => (Operation::Create, None),
        Action::Set { facet, .. } => (Operation::Set, Some(facet)),
        Action::Delete { .. } => (Operation::Delete, None),
    };
    let request = state.request(operation, Some(&provider.name), &write.key, facet)?;
    let kind = state.kind(&write.key.kind)?;
    let call = Call {
        provider,
        account: &account,
        kind: kind.as_ref(),
        write,
    };
    let written = match &write.action {
        Action::Create { facets } => call.create(&mut state, facets)?,
        Action::Set {
            facet,
            desired,
            observed,
        } => call.set(&mut state, facet, desired, observed)?,
        Action::Delete { observed } => call.delete(&mut state, observed)?,
    };
    let kept = state.persist();
    let answered = state.befall(&request, Moment::After);
    drop(state);
    provider.world.notify();
    kept.map_err(unavailable)?;
    answered.map(|()| written)
}

pub(crate) fn preview(provider: &MemoryProvider, write: &Write) -> Result<Preview, ProviderError> {
    let mut state = provider.world.lock();
    let facet = match &write.action {
        Action::Set { facet, .. } => Some(facet),
        Action::Create { .. } | Action::Delete { .. } => None,
    };
    state.request(Operation::Preview, Some(&provider.name), &write.key, facet)?;
    let kind = state.kind(&write.key.kind)?;
    let account = provider.signed_in_to(&state);
    let call = Call {
        provider,
        account: &account,
        kind: kind.as_ref(),
        write,
    };
    let current = state
        .resources
        .get(&Identity::of(&write.key))
        .map(|resource| resource.observed(kind.as_ref(), &provider.name));
    let (facets, is_creation): (Vec<(&Facet, &Desired)>, bool) = match &write.action {
        Action::Create { facets } => (facets.iter().collect(), true),
        Action::Set { facet, desired, .. } => (vec![(facet, desired)], false),
        Action::Delete { .. } => (Vec::new(), false),
    };
    let current = current.as_ref().filter(|_| !is_creation);
    // What a server would refuse it can't verify.
    let refused = call.has_its_place(&state).is_err() || (facet.is_some() && current.is_none());
    let mut preview = Preview {
        differences: Vec::new(),
        fidelity: if refused {
            Fidelity::Predicted
        } else {
            Fidelity::ServerVerified
        },
        conflicts: Vec::new(),
    };
    for (facet, desired) in facets {
        let fidelity = if desired.value.has_unknown() {
            Fidelity::Unknown
        } else if kind.wants_preview(facet) {
            Fidelity::ServerVerified
        } else {
            Fidelity::SchemaChecked
        };
        preview.fidelity = preview.fidelity.max(fidelity);
        let found = would_differ(kind.as_ref(), facet, desired, current, &write.manager);
        if let Some(current) = current {
            let taken = conflicts(kind.as_ref(), facet, desired, current, &found, &write.manager);
            preview.conflicts.extend(taken);
        }
        preview.differences.extend(found);
    }
    Ok(preview)
}

/// What a write would change: nothing, if the world would then hold what it holds now.
fn would_differ(
    kind: &dyn Kind,
    facet: &Facet,
    desired: &Desired,
    current: Option<&Observed>,
    manager: &str,
) -> Vec<Difference> {
    let found = kind.compare(facet, desired, current, manager);
    if found.is_empty() || desired.value.has_unknown() {
        return found;
    }
    let merged = kind.merge(facet, desired, current, manager);
    if current.and_then(|current| current.value(facet)) == Some(&merged) {
        return Vec::new();
    }
    found
}

struct Call<'a> {
    provider: &'a MemoryProvider,
    account: &'a str,
    kind: &'a dyn Kind,
    write: &'a Write,
}

impl Call<'_> {
    fn key(&self) -> &ResourceKey {
        &self.write.key
    }

    fn conflict(&self) -> ProviderError {
        ProviderError::Conflict {
            key: self.key().clone(),
        }
    }

    fn invalid(&self, message: impl Into<String>) -> ProviderError {
        ProviderError::Invalid {
            target: self.key().to_string(),
            message: message.into(),
            field: None,
        }
    }

    fn create(&self, state: &mut State, facets: &BTreeMap<Facet, Desired>) -> Result<Written, ProviderError> {
        let key = self.key();
        let identity = Identity::of(key);
        self.has_its_place(state)?;
        if let Some(existing) = state.resources.get(&identity) {
            must_be_ours(existing, self.account)?;
            return Err(self.conflict());
        }
        if self.write.guard != Guard::Absent {
            return Err(self.conflict());
        }
        let root = self.kind.root_facet();
        let mut made = BTreeMap::new();
        for (facet, desired) in facets {
            if facet == root || self.kind.created_with().contains(facet) {
                made.insert(facet.clone(), self.merged(facet, desired, None)?);
            }
        }
        made.entry(root.clone())
            .or_insert_with(holdfast_contract::Value::map);
        let is_object = key.api.is_some();
        let region = key.region.clone().or_else(|| self.provider.region.clone());
        let key = ResourceKey {
            region: (!is_object).then(|| region.unwrap_or_else(|| REGION.to_owned())),
            ..key.clone()
        };
        let resource = Resource {
            key: key.clone(),
            facets: made,
            account: (!is_object).then(|| self.account.to_owned()),
            content: 0,
        };
        state.insert(self.kind, resource);
        let made = state.resources.get(&identity);
        Ok(Written {
            uid: made.and_then(|made| made.observed(self.kind, &self.provider.name).uid),
            key: Some(key),
            unsupported: Vec::new(),
        })
    }

    /// An object needs a type that is served, and a namespace that exists, if its type lives in one.
    fn has_its_place(&self, state: &State) -> Result<(), ProviderError> {
        let key = self.key();
        let Some(api) = &key.api else {
            return Ok(());
        };
        let scope = state
            .scope(api)
            .ok_or_else(|| ProviderError::NotServed { api: api.clone() })?;
        match (scope, &key.namespace) {
            (Scope::Namespaced, None) => Err(self.invalid(format!("a {} needs a namespace", api.kind))),
            (Scope::Cluster, Some(_)) => Err(self.invalid(format!("a {} lives in no namespace", api.kind))),
            (Scope::Namespaced, Some(namespace))
                if !state.resources.contains_key(&Identity::namespace(namespace)) =>
            {
                Err(self.invalid(format!("namespaces \"{namespace}\" not found")))
            }
            _ => Ok(()),
        }
    }

    fn set(
        &self,
        state: &mut State,
        facet: &Facet,
        desired: &Desired,
        planned_on: &Observed,
    ) -> Result<Written, ProviderError> {
        state.must_serve(self.key())?;
        let identity = Identity::of(self.key());
        let Some(resource) = state.resources.get(&identity) else {
            return Err(self.conflict());
        };
        must_be_ours(resource, self.account)?;
        let current = resource.observed(self.kind, &self.provider.name);
        self.guarded(&current, planned_on)?;
        // Where versions aren't counted, the facet's own document stands in for one.
        if current.version.is_none()
            && planned_on.facets.contains_key(facet)
            && planned_on.value(facet) != current.value(facet)
        {
            return Err(self.conflict());
        }
        let merged = self.merged(facet, desired, Some(&current))?;
        let manager = &self.write.manager;
        let found = would_differ(self.kind, facet, desired, Some(&current), manager);
        if !self.write.force && !conflicts(self.kind, facet, desired, &current, &found, manager).is_empty() {
            return Err(self.conflict());
        }
        state.update(self.kind, &identity, BTreeMap::from([(facet.clone(), merged)]));
        Ok(Written::default())
    }

    fn delete(&self, state: &mut State, planned_on: &Observed) -> Result<Written, ProviderError> {
        state.must_serve(self.key())?;
        let identity = Identity::of(self.key());
        let Some(resource) = state.resources.get(&identity) else {
            return Ok(Written::default());
        };
        must_be_ours(resource, self.account)?;
        self.guarded(&resource.observed(self.kind, &self.provider.name), planned_on)?;
        if resource.content > 0 {
            let message = format!("it is not empty: it holds {} objects", resource.content);
            return Err(self.invalid(message));
        }
        state.remove(self.kind, &identity);
        Ok(Written::default())
    }

    fn guarded(&self, current: &Observed, planned_on: &Observed) -> Result<(), ProviderError> {
        let same = planned_on.uid.is_none() || planned_on.uid == current.uid;
        let holds = match &self.write.guard {
            Guard::Absent => false,
            Guard::Same => same,
            Guard::Version(version) => same && current.version.as_ref() == Some(version),
        };
        if holds { Ok(()) } else { Err(self.conflict()) }
    }

    fn merged(
        &self,
        facet: &Facet,
        desired: &Desired,
        current: Option<&Observed>,
    ) -> Result<holdfast_contract::Value, ProviderError> {
        if desired.value.has_unknown() {
            return Err(self.invalid(format!("a part of {facet} isn't known yet")));
        }
        let mut merged = self.kind.merge(facet, desired, current, &self.write.manager);
        if self.key().api.is_some() {
            forget_idle(&mut merged);
        }
        Ok(merged)
    }
}

/// The world holds it, its file doesn't.
pub(crate) fn unavailable(error: SandboxError) -> ProviderError {
    ProviderError::Unavailable {
        service: "the sandbox's state file".to_owned(),
        message: error.to_string(),
        source: Some(std::sync::Arc::new(error)),
    }
}
