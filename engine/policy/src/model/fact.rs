//! What a policy reads.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{ApiType, KindName};

use super::{ProviderReference, Reference, Template};
use crate::json_path::Select;
use crate::place::Place;

/// A read-only observation.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// Where it is defined.
    pub place: Place,
    /// What is read.
    pub source: FactSource,
    /// Whether it may be missing without an error.
    pub optional: bool,
    /// What is picked from what is read, or from each item of a list; empty: the whole.
    pub select: BTreeMap<String, Select>,
    /// Of a list of a provider's resources: the parts beyond name, region and ARN that expressions may look at.
    pub read: BTreeSet<String>,
    /// Facts that must be read first, because its own place, or its provider's settings, are made of them.
    pub after: BTreeSet<String>,
}

/// What is read for a fact.
#[derive(Clone, Debug)]
pub enum FactSource {
    /// One object of a cluster.
    Object {
        /// Its type.
        api: ApiType,
        /// Its namespace; none for cluster-wide objects.
        namespace: Option<Template>,
        /// Its name.
        name: Template,
        /// The provider to read it through; none: the policy's only one for clusters.
        provider: Option<ProviderReference>,
    },
    /// Objects of a cluster.
    Objects {
        /// Their type. A type that isn't served gives an empty list.
        api: ApiType,
        /// Their namespace; none: all.
        namespace: Option<Template>,
        /// A label selector as `kubectl` takes it.
        selector: Option<Template>,
        /// The provider to read them through; none: the policy's only one for clusters.
        provider: Option<ProviderReference>,
    },
    /// Resources of another provider.
    Resources {
        /// Their kind.
        kind: KindName,
        /// How their names start; none: all.
        name_prefix: Option<Template>,
        /// The provider to read them through; none: the policy's only one of that type.
        provider: Option<ProviderReference>,
    },
    /// Whether the server, or this policy, knows a type: a boolean.
    Api {
        /// The type.
        api: ApiType,
    },
}

impl Fact {
    /// What its place is made of.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let (templates, provider): (Vec<&Option<Template>>, _) = match &self.source {
            FactSource::Object {
                api: _,
                namespace,
                name,
                provider,
            } => {
                let mut references = name.references();
                references.extend(namespace.iter().flat_map(Template::references));
                references.extend(provider.iter().flat_map(ProviderReference::references));
                return references;
            }
            FactSource::Objects {
                api: _,
                namespace,
                selector,
                provider,
            } => (vec![namespace, selector], provider),
            FactSource::Resources {
                kind: _,
                name_prefix,
                provider,
            } => (vec![name_prefix], provider),
            FactSource::Api { api: _ } => return Vec::new(),
        };
        let own = templates.into_iter().flatten().flat_map(Template::references);
        own.chain(provider.iter().flat_map(ProviderReference::references))
            .collect()
    }
}
