//! What the suite runs on.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{Desired, Facet, Kind, Path, Provider, ProviderError, Query, ResourceKey, Value};

/// The result of something done by the test's own client; the error is told to a person.
pub type Outside<T> = Result<T, String>;

/// One kind on one provider, with another client that reaches the same external system.
///
/// All that is named `…_outside` is done by that other client, never by the provider under test.
#[async_trait]
pub trait Subject: Debug + Send + Sync {
    /// The provider under test.
    fn provider(&self) -> &dyn Provider;

    /// The kind under test.
    fn kind(&self) -> &dyn Kind;

    /// As whom the suite writes.
    fn manager(&self) -> &'static str {
        "holdfast:holdfast-system/conformance"
    }

    /// How long to wait for what a service does in its own time.
    fn patience(&self) -> Duration {
        Duration::from_secs(15)
    }

    /// The key of a resource that has never existed and can be created at once: where it needs a namespace, that
    /// exists.
    async fn fresh(&self) -> Outside<ResourceKey>;

    /// The whole `desired` document of the resource `key`: every facet that this service supports, each with at
    /// least one declared field.
    fn desired(&self, key: &ResourceKey) -> Value;

    /// Another document for `facet`, which differs from the first in what it declares; none where a facet can't be
    /// changed after creation.
    fn changed(&self, key: &ResourceKey, facet: &Facet) -> Option<Desired>;

    /// Changes something of `facet` that [`Subject::desired`] declares. False: nobody can change it.
    async fn change_outside(&self, key: &ResourceKey, facet: &Facet) -> Outside<bool>;

    /// Plants content in `facet` that nothing here declares, and says where. Empty: the facet has no place for any.
    async fn plant_outside(&self, key: &ResourceKey, facet: &Facet) -> Outside<Vec<Planted>>;

    /// Deletes the resource, and returns when it is gone.
    async fn delete_outside(&self, key: &ResourceKey) -> Outside<()>;

    /// Puts content into the resource which deleting it would destroy. False: this kind holds none.
    async fn fill_outside(&self, _key: &ResourceKey) -> Outside<bool> {
        Ok(false)
    }

    /// Providers whose service refuses, redirects or can't be reached.
    fn faults(&self) -> Vec<Fault>;

    /// A provider that may read everything but one facet; none: the service has no permissions of that grain.
    fn facet_fault(&self) -> Option<FacetFault> {
        None
    }

    /// A resource of a type that the server doesn't know; none: the service has but one.
    fn unserved(&self) -> Option<ResourceKey> {
        None
    }

    /// Something secret that a resource of this kind can hold; none: it can't.
    fn secret(&self, _key: &ResourceKey) -> Option<Secret> {
        None
    }

    /// More resources than one page of a list holds, and the query that means just them; none: the service can't
    /// be searched for this kind.
    async fn crowd(&self) -> Outside<Option<Crowd>>;

    /// Places in the document of `facet` that change by themselves when another facet is written (a resource
    /// version), and so don't count when a facet is checked for being untouched.
    fn volatile(&self, _facet: &Facet) -> Vec<Path> {
        Vec::new()
    }

    /// Whether the provider can watch this kind.
    fn watches(&self) -> bool;

    /// After at most how many polls of one write it is dropped; a write that ends sooner ends the range.
    fn cancellation_points(&self) -> usize {
        24
    }
}

/// Foreign content, and where it stands in the facet's document.
#[derive(Clone, Debug)]
pub struct Planted {
    /// Where.
    pub path: Path,
    /// What.
    pub value: Value,
}

/// A provider whose reads must be errors.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What is wrong with it, for messages: `denied`, `unreachable`, `redirected without a region`.
    pub name: &'static str,
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// Whether an error tells the caller what he may do about this fault.
    pub is_expected: fn(&ProviderError) -> bool,
}

/// A provider that is denied one facet.
#[derive(Clone, Debug)]
pub struct FacetFault {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// The facet that it may not read.
    pub facet: Facet,
}

/// A document with something secret in it.
#[derive(Clone, Debug)]
pub struct Secret {
    /// The whole `desired` document, the secret in plain.
    pub desired: Value,
    /// The secret in every form in which it could show: as it is, in base64.
    pub texts: Vec<String>,
}

/// More resources than one page holds.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Means all of them and nothing else.
    pub query: Query,
    /// Which they are. They exist when [`Subject::crowd`] returns.
    pub keys: BTreeSet<ResourceKey>,
}
