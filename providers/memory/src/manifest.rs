//! Objects as whole manifests, and as the facets of their kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::{ApiType, Facet, Kind, ProviderName, ResourceKey, Scope, Value};

use crate::error::SandboxError;
use crate::resource::{Identity, Resource, set_metadata};
use crate::world::State;

/// The time of every creation. A world without a clock gives the same bytes each time.
const TIME: &str = "2026-01-01T00:00:00Z";

impl State {
    /// The whole manifest of an object, its secrets in plain: for reactions and for the state file only.
    pub(crate) fn manifest(&self, identity: &Identity) -> Option<(Arc<dyn Kind>, serde_json::Value)> {
        let resource = self.resources.get(identity)?;
        resource.key.api.as_ref()?;
        let kind = self.kinds.get(&resource.key.kind)?;
        let observed = resource.observed(kind.as_ref(), &ProviderName::from("memory"));
        let mut manifest = kind.document(&observed).expose_json()?;
        // For people it is noise; here it must come through.
        let managed = resource
            .facets
            .get(kind.root_facet())?
            .at(&["metadata", "managedFields"]);
        if let Some(managed) = managed.and_then(Value::expose_json)
            && let Some(metadata) = manifest
                .get_mut("metadata")
                .and_then(serde_json::Value::as_object_mut)
        {
            metadata.insert("managedFields".to_owned(), managed);
        }
        Some((kind.clone(), manifest))
    }

    /// The object that a manifest describes, its key as the cluster has it.
    pub(crate) fn resource_of(
        &self,
        manifest: &serde_json::Value,
    ) -> Result<(Arc<dyn Kind>, Resource), SandboxError> {
        let unfit = |what: &str| SandboxError::Unfit(what.to_owned());
        let kind = self
            .object_kind()
            .ok_or_else(|| unfit("there is no cluster among the providers"))?;
        let text = |keys: &[&str]| {
            let found = keys.iter().try_fold(manifest, |value, key| value.get(*key));
            found
                .and_then(serde_json::Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let api = ApiType::new(
            text(&["apiVersion"]).ok_or_else(|| unfit("an object needs `apiVersion`"))?,
            text(&["kind"]).ok_or_else(|| unfit("an object needs `kind`"))?,
        );
        let name = text(&["metadata", "name"]).ok_or_else(|| unfit("an object needs `metadata.name`"))?;
        let namespace = text(&["metadata", "namespace"]);
        match (self.scope(&api), namespace) {
            (Some(Scope::Namespaced), None) => {
                return Err(unfit(&format!("a {} needs `metadata.namespace`", api.kind)));
            }
            (Some(Scope::Cluster), Some(_)) => {
                return Err(unfit(&format!("a {} lives in no namespace", api.kind)));
            }
            _ => {}
        }
        let key = ResourceKey {
            provider: "memory".into(),
            kind: kind.name().clone(),
            api: Some(api),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            region: None,
        };
        let resource = Resource {
            key,
            facets: facets_of(kind.as_ref(), manifest),
            account: None,
            content: 0,
        };
        Ok((kind, resource))
    }
}

/// Gives a new object what a server gives it, unless it brings it along.
pub(crate) fn born(document: &mut Value, key: &ResourceKey, number: u64) {
    if let (Some(api), Some(entries)) = (&key.api, document.as_map_mut()) {
        entries.insert("apiVersion".to_owned(), Value::from(api.api_version.as_str()));
        entries.insert("kind".to_owned(), Value::from(api.kind.as_str()));
    }
    let given = [
        ("creationTimestamp", Value::from(TIME)),
        ("generation", Value::from(1_i64)),
        ("resourceVersion", Value::from(number.to_string())),
        (
            "uid",
            Value::from(format!("00000000-0000-4000-8000-{number:012x}")),
        ),
    ];
    for (field, value) in given {
        if document.at(&["metadata", field]).is_none() {
            set_metadata(document, field, value);
        }
    }
    set_metadata(document, "name", Value::from(key.name.as_str()));
    if let Some(namespace) = &key.namespace {
        set_metadata(document, "namespace", Value::from(namespace.as_str()));
    }
}

/// The facets of a whole manifest. What the server sets belongs to the object's own facet, also where a policy may
/// not declare it.
pub(crate) fn facets_of(kind: &dyn Kind, manifest: &serde_json::Value) -> BTreeMap<Facet, Value> {
    const GIVEN: [&str; 7] = [
        "creationTimestamp",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "uid",
    ];
    let mut facets = kind.split(Value::from_json(manifest.clone()).without_nulls());
    let document = facets.entry(kind.root_facet().clone()).or_default();
    let metadata = manifest.get("metadata");
    for field in GIVEN {
        let value = metadata.and_then(|metadata| metadata.get(field));
        if let Some(value) = value.filter(|value| !value.is_null()) {
            set_metadata(document, field, Value::from_json(value.clone()));
        }
    }
    facets
}

pub(crate) fn without_metadata(document: Option<&Value>) -> BTreeMap<String, Value> {
    let mut entries = document.and_then(Value::as_map).cloned().unwrap_or_default();
    entries.remove("metadata");
    entries
}
