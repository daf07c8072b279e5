//! `kubernetes/Object`: what any object is, without a client.

use std::collections::BTreeMap;

use holdfast_contract::{
    ApiType, Attributes, Desired, Difference, Facet, FacetState, Implied, Kind, KindName, Locator, Mark,
    NotLocated, Observed, Permissions, Readiness, ResourceKey, Scope, Served, Shape, Usage, Value, Yields,
};

use crate::compare::{self, Facts};
use crate::controlled::without_controlled;
use crate::merge;
use crate::owned::Owners;
use crate::takeover::{moved, with_claims};
use crate::{definition, disruption, permissions, secret, status, types};

mod locate;

use locate::locate;

/// The name of the kind.
pub(crate) const NAME: &str = "kubernetes/Object";
/// Everything of an object but its status.
pub(crate) const OBJECT: &str = "object";
/// An object's status.
pub(crate) const STATUS: &str = "status";

/// The label by which a policy finds its own objects again.
pub(crate) const POLICY_LABEL: &str = "holdfast.dev/policy";

/// What the server sets, and an applied document must not hold. Manifests that were read from a cluster do.
const SET_BY_SERVER: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Any Kubernetes object, built-in or custom.
///
/// It has two facets: `object`, the whole document without its status, and `status`, the content of its `status`.
#[derive(Debug)]
pub struct ObjectKind {
    name: KindName,
    shape: Shape,
    facets: [Facet; 2],
    object: Facet,
    status: Facet,
}

impl Default for ObjectKind {
    fn default() -> Self {
        Self::new()
    }
}

impl ObjectKind {
    /// The kind.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: NAME.into(),
            shape: Shape::Map(Box::new(Shape::Any)),
            facets: [OBJECT.into(), STATUS.into()],
            object: OBJECT.into(),
            status: STATUS.into(),
        }
    }

    fn object_of<'a>(&self, observed: &'a Observed) -> Option<&'a Value> {
        observed.value(&self.object)
    }

    /// The document that an apply of `facet` sends; see [`compare::applied`].
    pub(crate) fn applied(
        &self,
        facet: &Facet,
        desired: &Desired,
        observed: Option<&Observed>,
        manager: &str,
    ) -> Value {
        let taken = observed.and_then(|observed| moved(facet, desired, observed, manager));
        let observed = taken.as_ref().map(|moved| &moved.observed).or(observed);
        let owners = self.owners(facet, observed, manager);
        let document = observed.and_then(|observed| observed.value(facet));
        compare::applied(desired, document, &owners)
    }

    /// Where `observed` is not as desired, whatever former managers there are.
    fn compared(
        &self,
        facet: &Facet,
        desired: &Desired,
        observed: Option<&Observed>,
        manager: &str,
    ) -> Vec<Difference> {
        let Some((api, document)) = read(facet, observed) else {
            return merge::creation(desired);
        };
        let owners = self.owners(facet, observed, manager);
        compare::compare(
            desired,
            Facts {
                api,
                document,
                owners: &owners,
            },
        )
    }

    pub(crate) fn owners<'a>(
        &self,
        facet: &Facet,
        observed: Option<&'a Observed>,
        manager: &str,
    ) -> Owners<'a> {
        match observed.and_then(|observed| self.object_of(observed)) {
            Some(object) if facet.as_str() == STATUS => Owners::of_status(object, manager),
            Some(object) => Owners::of_object(object, manager),
            None => Owners::UNKNOWN,
        }
    }

    fn whole(&self, observed: &Observed) -> Value {
        let mut whole = self.object_of(observed).cloned().unwrap_or_else(Value::map);
        if let Some(entries) = whole.as_map_mut() {
            if let Some(metadata) = entries.get_mut("metadata").and_then(Value::as_map_mut) {
                metadata.remove("managedFields");
            }
            if let Some(FacetState::Set(status)) = observed.facets.get(&self.status) {
                entries.insert(STATUS.to_owned(), status.clone());
            }
        }
        whole
    }
}

impl Kind for ObjectKind {
    fn name(&self) -> &KindName {
        &self.name
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn facets(&self) -> &[Facet] {
        &self.facets
    }

    fn root_facet(&self) -> &Facet {
        &self.object
    }

    fn split(&self, desired: Value) -> BTreeMap<Facet, Value> {
        split(desired)
    }

    fn locate(&self, locator: &Locator<'_>) -> Result<ResourceKey, NotLocated> {
        locate(&self.name, locator)
    }

    fn attributes(&self, key: &ResourceKey) -> Attributes {
        let mut attributes = Attributes::from([("name", Value::from(key.name.as_str()))]);
        if let Some(namespace) = &key.namespace {
            attributes.insert("namespace", Value::from(namespace.as_str()));
        }
        attributes
    }

    fn attribute_names(&self) -> &[&'static str] {
        &["name", "namespace"]
    }

    fn implied(&self, key: &ResourceKey) -> Implied {
        let namespace = key.namespace.as_deref();
        Implied {
            api: key.api.clone().filter(|api| !types::is_built_in(api)),
            namespace: namespace
                .filter(|name| !types::is_everywhere(name))
                .map(str::to_owned),
        }
    }

    fn defines(&self, key: &ResourceKey, desired: &Value) -> Vec<(ApiType, Scope)> {
        if key.api.as_ref().is_some_and(types::is_crd) {
            defined_by(desired)
        } else {
            Vec::new()
        }
    }

    fn scope(&self, api: &ApiType) -> Option<Served> {
        types::scope(api)
    }

    fn created_with(&self) -> &[Facet] {
        std::slice::from_ref(&self.object)
    }

    fn written_after(&self, facet: &Facet) -> &[Facet] {
        if facet.as_str() == STATUS {
            std::slice::from_ref(&self.object)
        } else {
            &[]
        }
    }

    fn compare(
        &self,
        facet: &Facet,
        desired: &Desired,
        observed: Option<&Observed>,
        manager: &str,
    ) -> Vec<Difference> {
        let Some(taken) = observed.and_then(|observed| moved(facet, desired, observed, manager)) else {
            return self.compared(facet, desired, observed, manager);
        };
        let found = self.compared(facet, desired, Some(&taken.observed), manager);
        with_claims(found, self.compared(facet, desired, observed, manager))
    }

    fn keeps_managers(&self) -> bool {
        true
    }

    fn taken_over(
        &self,
        facet: &Facet,
        desired: &Desired,
        observed: &Observed,
        manager: &str,
    ) -> Vec<String> {
        moved(facet, desired, observed, manager)
            .map(|moved| moved.managers)
            .unwrap_or_default()
    }

    fn wants_preview(&self, _facet: &Facet) -> bool {
        true
    }

    /// As server-side apply with force. The body's `metadata.managedFields` are kept; those of a status are not, as
    /// they stand in the other facet.
    fn merge(&self, facet: &Facet, desired: &Desired, observed: Option<&Observed>, manager: &str) -> Value {
        let taken = observed.and_then(|observed| moved(facet, desired, observed, manager));
        let observed = taken.as_ref().map(|moved| &moved.observed).or(observed);
        let owners = self.owners(facet, observed, manager);
        let nothing = Value::map();
        let api = observed.and_then(|observed| observed.key.api.clone());
        let api = api
            .or_else(|| api_of(&desired.value))
            .unwrap_or_else(|| ApiType::new("", ""));
        let document = read(facet, observed).map(|(_, document)| document);
        let facts = Facts {
            api: &api,
            document: document.unwrap_or(&nothing),
            owners: &owners,
        };
        let mut merged = match document {
            Some(_) => merge::merge(desired, facts),
            None => desired.value.clone(),
        };
        if facet.as_str() == OBJECT {
            let fields = match document {
                Some(_) => merge::managed_fields(desired, facts, &merged, manager),
                None => std::iter::once(merge::entry(&desired.value, facts, manager)).collect(),
            };
            let entries = merged.as_map_mut();
            let metadata =
                entries.map(|entries| entries.entry("metadata".to_owned()).or_insert_with(Value::map));
            if let Some(metadata) = metadata.and_then(Value::as_map_mut) {
                metadata.insert("managedFields".to_owned(), fields);
            }
        }
        merged
    }

    fn ready(&self, observed: &Observed) -> Readiness {
        match (&observed.key.api, self.object_of(observed)) {
            _ if observed.deleting => Readiness::NotYet("it is being deleted".to_owned()),
            (Some(api), Some(body)) => {
                let status = observed.facets.get(&self.status).and_then(FacetState::value);
                status::readiness(api, body, status)
            }
            _ => Readiness::NotYet("it couldn't be read".to_owned()),
        }
    }

    fn document(&self, observed: &Observed) -> Value {
        self.whole(observed)
    }

    fn fact(&self, observed: &Observed) -> Value {
        let whole = self.whole(observed);
        match &observed.key.api {
            Some(api) => secret::shown(api, whole),
            None => whole,
        }
    }

    fn found_fact(&self, document: Value) -> Value {
        match api_of(&document) {
            Some(api) => secret::shown(&api, document),
            None => document,
        }
    }

    fn mark(&self, mut desired: Value, mark: &Mark) -> Value {
        if let Some(Value::Map(metadata)) = desired
            .as_map_mut()
            .and_then(|entries| entries.get_mut("metadata"))
            && let Value::Map(labels) = metadata.entry("labels".to_owned()).or_insert_with(Value::map)
        {
            labels.insert(POLICY_LABEL.to_owned(), Value::from(mark.policy.as_str()));
        }
        desired
    }

    fn marked_by(&self, observed: &Observed) -> Option<String> {
        let label = self
            .object_of(observed)?
            .at(&["metadata", "labels", POLICY_LABEL])?;
        label.as_str().map(str::to_owned)
    }

    fn disrupts(&self, key: &ResourceKey, facet: &Facet, differences: &[Difference]) -> Option<String> {
        let api = key.api.as_ref().filter(|_| *facet == self.object)?;
        disruption::of(api, differences)
    }

    fn yields(&self, facet: &Facet, desired: &Desired, observed: &Observed, manager: &str) -> Option<Yields> {
        let (api, live) = read(facet, Some(observed))?;
        (facet == &self.object && types::is_crd(api))
            .then(|| definition::yields(desired, live, manager))
            .flatten()
    }

    fn permissions(&self, usages: &[Usage]) -> Permissions {
        permissions::permissions(usages)
    }

    fn cascades(&self, key: &ResourceKey) -> Option<&'static str> {
        let api = key.api.as_ref()?;
        match (api.group(), api.kind.as_str()) {
            ("", "Namespace") => Some("deleting a namespace deletes everything in it"),
            ("", "PersistentVolume") => Some("deleting a volume can delete the data on it"),
            ("", "PersistentVolumeClaim") => {
                Some("deleting a volume claim can delete the data on its volume")
            }
            ("", "Secret") => Some("what a Secret holds may exist nowhere else"),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                Some("deleting a definition deletes all objects of its type")
            }
            _ => None,
        }
    }
}

/// The type and the document of `facet`, if it is set.
fn read<'a>(facet: &Facet, observed: Option<&'a Observed>) -> Option<(&'a ApiType, &'a Value)> {
    let observed = observed?;
    Some((observed.key.api.as_ref()?, observed.value(facet)?))
}

/// The type that a document says it is of.
pub(crate) fn api_of(document: &Value) -> Option<ApiType> {
    let text = |key| document.get(key).and_then(Value::as_str);
    Some(ApiType::new(text("apiVersion")?, text("kind")?))
}

fn split(desired: Value) -> BTreeMap<Facet, Value> {
    let api = api_of(&desired).unwrap_or_else(|| ApiType::new("", ""));
    let object = secret::without_string_data(&api, secret::sealed(&api, desired));
    let mut object = without_controlled(&api, object);
    let mut facets = BTreeMap::new();
    if let Some(entries) = object.as_map_mut() {
        if let Some(metadata) = entries.get_mut("metadata").and_then(Value::as_map_mut) {
            metadata.retain(|key, _| !SET_BY_SERVER.contains(&key.as_str()));
        }
        if let Some(status) = entries.remove(STATUS)
            && !(is_empty(&status) || types::is_built_in(&api) && is_hollow(&status))
        {
            facets.insert(STATUS.into(), status);
        }
    }
    facets.insert(OBJECT.into(), object);
    facets
}

fn is_empty(status: &Value) -> bool {
    status.as_map().is_some_and(BTreeMap::is_empty)
}

/// A status that generators write for want of a better one: `{conditions: [], acceptedNames: {kind: ""}}`.
fn is_hollow(status: &Value) -> bool {
    match status {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.values().all(is_hollow),
        Value::Bool(_) | Value::Unknown(_) | Value::Sensitive(_) => false,
    }
}

/// The types that a CRD's document makes the server serve.
pub(crate) fn defined_by(definition: &Value) -> Vec<(ApiType, Scope)> {
    let spec = |keys: &[&str]| definition.get("spec").and_then(|spec| spec.at(keys));
    let (Some(group), Some(kind)) = (
        spec(&["group"]).and_then(Value::as_str),
        spec(&["names", "kind"]).and_then(Value::as_str),
    ) else {
        return Vec::new();
    };
    let scope = match spec(&["scope"]).and_then(Value::as_str) {
        Some("Cluster") => Scope::Cluster,
        Some("Namespaced") => Scope::Namespaced,
        _ => return Vec::new(),
    };
    let versions = spec(&["versions"]).and_then(Value::as_list).unwrap_or_default();
    versions
        .iter()
        .filter(|version| version.get("served").and_then(Value::as_bool) == Some(true))
        .filter_map(|version| version.get("name")?.as_str())
        .map(|version| (ApiType::new(&format!("{group}/{version}"), kind), scope))
        .collect()
}

#[cfg(test)]
mod tests;
