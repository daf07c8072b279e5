//! The I/O for one external system.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use crate::difference::Difference;
use crate::error::ProviderError;
use crate::key::{ApiType, KindName, ProviderName, ResourceKey};
use crate::observation::{Conflict, Observation, Observed, Wanted};
use crate::value::Value;
use crate::watch::{WatchStream, Watched};
use crate::write::Write;

/// The I/O for one external system.
///
/// Every call is safe to cancel at any await: a cancelled read has no effect, a cancelled write either took effect
/// whole or not at all as far as the service makes that possible, and the next observation tells which. Retries of
/// transient failures happen inside, bounded and with jitter, and nowhere else.
#[async_trait]
pub trait Provider: Debug + Send + Sync {
    /// What the policy calls it.
    fn name(&self) -> &ProviderName;

    /// Reads every one of `wanted`, concurrently, and answers in the same order, one answer for each.
    ///
    /// [`Observation::Absent`] is a proof. A denied, redirected, failed or partial read is an error, and so is a kind
    /// that the server doesn't know. A facet that alone can't be read is
    /// [`FacetState::Unreadable`](crate::FacetState::Unreadable).
    async fn observe(&self, wanted: &[Wanted]) -> Vec<Result<Observation, ProviderError>>;

    /// All that matches `query`: every page was read, or it is an error.
    async fn find(&self, query: &Query) -> Result<Vec<Found>, ProviderError>;

    /// Which of `apis` the server knows. `refresh` asks it anew; otherwise what it said last is good enough.
    async fn served(
        &self,
        apis: &[ApiType],
        refresh: bool,
    ) -> Result<BTreeMap<ApiType, Served>, ProviderError>;

    /// What `write` would do, by the service's own word where it has a dry run. Writes nothing.
    ///
    /// A dry run that is refused is not a failure: the answer's fidelity is then [`Fidelity::Predicted`].
    async fn preview(&self, write: &Write) -> Result<Preview, ProviderError>;

    /// Does it. Idempotent: the same write twice leaves what it leaves once.
    ///
    /// Success proves nothing about the resource: only the next observation does.
    async fn write(&self, write: &Write) -> Result<Written, ProviderError>;

    /// Whether the service pushes: whether [`watch`](Self::watch) gives a stream, whatever is to be watched.
    fn pushes(&self) -> bool {
        false
    }

    /// What `watched` names as it changes, the present state first; none when the service can't push.
    fn watch(&self, watched: &Watched) -> Option<WatchStream>;

    /// Who the service says we are, where it can say: an account or project number.
    async fn account(&self) -> Result<Option<String>, ProviderError>;
}

/// What to search for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query {
    /// The kind.
    pub kind: KindName,
    /// The object's type, for kinds that stand for more than one.
    pub api: Option<ApiType>,
    /// Only in this namespace; none: everywhere.
    pub namespace: Option<String>,
    /// A label selector, as `kubectl` takes it.
    pub selector: Option<String>,
    /// Only names that start so.
    pub name_prefix: Option<String>,
    /// Which further parts of each to read (`tags`), each at the cost of a request where the list doesn't hold it.
    pub read: BTreeSet<String>,
}

/// One of what was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which it is.
    pub key: ResourceKey,
    /// What is known of it: an object's whole document; a bucket's `name`, `region`, `arn` and the parts asked for.
    pub document: Value,
    /// All of it as a read of just this one would have observed it, where the list tells that much.
    pub observed: Option<Arc<Observed>>,
    /// Parts that were asked for and could not be read.
    pub unreadable: BTreeMap<String, ProviderError>,
}

/// Whether and how a server knows a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Served {
    /// It knows the type.
    Yes(Scope),
    /// It doesn't.
    No,
}

/// Where objects of a type live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// In the whole cluster.
    Cluster,
    /// In a namespace each.
    Namespaced,
}

/// How sure a planned change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fidelity {
    /// The server itself said what the write would do.
    ServerVerified,
    /// The document fits the kind's schema.
    SchemaChecked,
    /// Computed here; the server could not be asked.
    Predicted,
    /// Something in it is known only after another write.
    Unknown,
}

/// What a write would do.
#[derive(Clone, Debug)]
pub struct Preview {
    /// What would change; empty: the server holds the two for equal.
    pub differences: Vec<Difference>,
    /// How sure that is.
    pub fidelity: Fidelity,
    /// Fields that other managers hold and that the write would take from them.
    pub conflicts: Vec<Conflict>,
}

/// What a service said of a write.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The key under which it now stands, where the service made it more exact.
    pub key: Option<ResourceKey>,
    /// The server's id of the incarnation that it made, where it has one.
    pub uid: Option<String>,
    /// Fields that the service dropped in silence, where its answer shows that.
    pub unsupported: Vec<String>,
}
