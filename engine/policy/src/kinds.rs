//! The kinds that a policy can name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_contract::{Kind, KindName, Registry, Shape};

/// The kind of cluster objects. The language itself knows it: its documents name themselves, several may stand in one
/// rule, and `manifests` and `templates` hold them.
pub(crate) const OBJECT: &str = "kubernetes/Object";

/// Kinds of providers that aren't there yet: a rule may use them, and the engine refuses where one becomes active.
const PLANNED: &[(&str, &[&str])] = &[("gcs/Bucket", &["name", "region"])];

/// All kinds that a policy can name.
#[derive(Debug)]
pub(crate) struct Kinds {
    registered: BTreeMap<KindName, (Arc<dyn Kind>, &'static str)>,
    settings: BTreeMap<&'static str, Shape>,
}

impl Kinds {
    pub(crate) fn new(registry: &Registry) -> Self {
        let mut registered = BTreeMap::new();
        let mut settings = BTreeMap::new();
        for factory in registry.factories() {
            settings.insert(factory.provider_type(), factory.settings().clone());
            for kind in factory.kinds() {
                registered.insert(kind.name().clone(), (kind, factory.provider_type()));
            }
        }
        Self { registered, settings }
    }

    /// The kind `name`, if its provider is there.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn Kind>> {
        self.registered.get(&KindName::from(name)).map(|(kind, _)| kind)
    }

    /// Whether `name` is a kind whose provider isn't there yet.
    pub(crate) fn is_planned(&self, name: &str) -> bool {
        self.get(name).is_none() && PLANNED.iter().any(|(planned, _)| *planned == name)
    }

    /// Whether `name` is a kind at all.
    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.get(name).is_some() || self.is_planned(name)
    }

    /// All names, those that aren't there yet included.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let registered = self.registered.keys().map(|name| name.as_str().to_owned());
        registered
            .chain(PLANNED.iter().map(|(name, _)| (*name).to_owned()))
            .collect()
    }

    /// What rules may refer to of a resource of this kind, from its identity alone.
    pub(crate) fn attributes(&self, name: &str) -> BTreeSet<String> {
        if let Some(kind) = self.get(name) {
            return kind
                .attribute_names()
                .iter()
                .map(|name| (*name).to_owned())
                .collect();
        }
        let planned = PLANNED.iter().find(|(planned, _)| *planned == name);
        planned
            .into_iter()
            .flat_map(|(_, names)| names.iter().map(|name| (*name).to_owned()))
            .collect()
    }

    /// The provider types, those that aren't there yet included.
    pub(crate) fn provider_types(&self) -> BTreeSet<&str> {
        let planned = PLANNED.iter().filter_map(|(name, _)| provider_type(name));
        self.settings.keys().copied().chain(planned).collect()
    }

    /// The shape of the settings of a provider type; none where it isn't there.
    pub(crate) fn settings(&self, provider_type: &str) -> Option<&Shape> {
        self.settings.get(provider_type)
    }

    /// The kinds whose providers are there, in order of name.
    pub(crate) fn registered(&self) -> impl Iterator<Item = &Arc<dyn Kind>> {
        self.registered.values().map(|(kind, _)| kind)
    }
}

/// `s3` of `s3/Bucket`.
pub(crate) fn provider_type(kind: &str) -> Option<&str> {
    kind.split_once('/').map(|(provider_type, _)| provider_type)
}
