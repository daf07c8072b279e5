//! What was asked for, and what a provider read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::error::ProviderError;
use crate::key::{Facet, ResourceKey};
use crate::path::Path;
use crate::value::Value;

/// Which facets of which resource to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which resource.
    pub key: ResourceKey,
    /// Which facets; whether the resource exists is always read.
    pub facets: BTreeSet<Facet>,
}

/// A version of a resource, as its server counts them. Opaque; only equality means something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Version(pub String);

/// What a read found. That a read failed is an error, and never one of these.
#[derive(Clone, Debug)]
pub enum Observation {
    /// It exists.
    Present(Arc<Observed>),
    /// It is proven not to exist: the service said not found, of this very resource.
    Absent,
}

impl Observation {
    /// What was observed, if it exists.
    #[must_use]
    pub fn present(&self) -> Option<&Arc<Observed>> {
        match self {
            Self::Present(observed) => Some(observed),
            Self::Absent => None,
        }
    }
}

/// A resource that exists, and those of its facets that were asked for.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Which it is; more exact than what was asked with, where the service knows more (a bucket's region).
    pub key: ResourceKey,
    /// The server's id of this very incarnation, if it has one.
    pub uid: Option<String>,
    /// Its version, if the server counts versions.
    pub version: Option<Version>,
    /// Whether it is on its way out (a Kubernetes object with a deletion timestamp).
    pub deleting: bool,
    /// The facets that were read, each on its own: one that can't be read doesn't hide the others.
    pub facets: BTreeMap<Facet, FacetState>,
}

impl Observed {
    /// The document of `facet`, if it was read and is set.
    #[must_use]
    pub fn value(&self, facet: &Facet) -> Option<&Value> {
        match self.facets.get(facet) {
            Some(FacetState::Set(value)) => Some(value),
            _ => None,
        }
    }
}

/// One facet, as read.
#[derive(Clone, Debug)]
pub enum FacetState {
    /// It holds this document.
    Set(Value),
    /// Proven to be unset.
    Unset,
    /// It could not be read; the rest of the resource could.
    Unreadable(ProviderError),
}

impl FacetState {
    /// The document; none when unset or unreadable.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Set(value) => Some(value),
            Self::Unset | Self::Unreadable(_) => None,
        }
    }
}

/// A place of a facet that another writer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Where.
    pub path: Path,
    /// Who holds it.
    pub manager: String,
}
