//! One real thing in the world.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{
    Facet, FacetState, Kind, KindName, Observed, ProviderName, ResourceKey, Value, Version,
};

/// Which real thing: equal for every provider and every version through which it is seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    Object {
        group: String,
        kind: String,
        namespace: Option<String>,
        name: String,
    },
    Other {
        kind: KindName,
        name: String,
    },
}

impl Identity {
    pub(crate) fn of(key: &ResourceKey) -> Self {
        match &key.api {
            Some(api) => Self::Object {
                group: api.group().to_owned(),
                kind: api.kind.clone(),
                namespace: key.namespace.clone(),
                name: key.name.clone(),
            },
            None => Self::Other {
                kind: key.kind.clone(),
                name: key.name.clone(),
            },
        }
    }

    pub(crate) fn namespace(name: &str) -> Self {
        Self::Object {
            group: String::new(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: name.to_owned(),
        }
    }
}

/// One real thing, as its own system keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// As it was first named; the provider in it means nothing.
    pub(crate) key: ResourceKey,
    /// The documents of its facets; one that is missing is unset.
    pub(crate) facets: BTreeMap<Facet, Value>,
    /// Whose it is; none for objects.
    pub(crate) account: Option<String>,
    /// How many things it holds that deleting it would destroy.
    pub(crate) content: u64,
}

impl Resource {
    /// Everything of it, as a read gives it.
    pub(crate) fn observed(&self, kind: &dyn Kind, provider: &ProviderName) -> Observed {
        let all = kind.facets().iter().cloned().collect();
        self.observed_facets(kind, provider, &all)
    }

    /// Those facets of it, as a read gives them. One request reads the whole of an object.
    pub(crate) fn observed_facets(
        &self,
        kind: &dyn Kind,
        provider: &ProviderName,
        wanted: &BTreeSet<Facet>,
    ) -> Observed {
        let root = self.facets.get(kind.root_facet());
        let metadata = |field: &str| {
            let text = root?.at(&["metadata", field])?.as_str()?;
            Some(text.to_owned())
        };
        let is_object = self.key.api.is_some();
        let facets = kind
            .facets()
            .iter()
            .filter(|facet| is_object || wanted.contains(*facet))
            .map(|facet| {
                let state = self.facets.get(facet);
                let state = state.map_or(FacetState::Unset, |value| FacetState::Set(value.clone()));
                (facet.clone(), state)
            })
            .collect();
        Observed {
            key: ResourceKey {
                provider: provider.clone(),
                ..self.key.clone()
            },
            uid: metadata("uid").filter(|_| is_object),
            version: metadata("resourceVersion").filter(|_| is_object).map(Version),
            deleting: is_object && metadata("deletionTimestamp").is_some(),
            facets,
        }
    }
}

/// Sets a field of an object's metadata.
pub(crate) fn set_metadata(document: &mut Value, field: &str, value: Value) {
    if document.as_map().is_none() {
        *document = Value::map();
    }
    let Some(document) = document.as_map_mut() else {
        return;
    };
    let metadata = document.entry("metadata".to_owned()).or_insert_with(Value::map);
    if metadata.as_map().is_none() {
        *metadata = Value::map();
    }
    if let Some(metadata) = metadata.as_map_mut() {
        metadata.insert(field.to_owned(), value);
    }
}
