//! Policy resources: where they come in, and where what happens to them is told.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value as Json;

use crate::error::ProviderError;
use crate::key::ResourceKey;
use crate::state::{Holder, PolicyId};

/// A Policy that is an object of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyResource {
    /// Its namespace and name.
    pub id: PolicyId,
    /// The server's id of this incarnation.
    pub uid: String,
    /// How often its spec has changed.
    pub generation: i64,
    /// Whether it is to be deleted, once its finalizers are gone.
    pub deleting: bool,
    /// Whether it bears [`FINALIZER`].
    pub finalizer: bool,
    /// What its annotation [`RECONCILE_AT`] says: whenever that changes, everything is to be read anew at once.
    pub reconcile_at: Option<String>,
    /// It, as a policy's file would hold it: `apiVersion`, `kind`, the name and namespace of `metadata`, `spec`.
    pub document: Json,
    /// Its status, as last written; null if it has none.
    pub status: Json,
}

/// Keeps a Policy that is to be deleted until what must go with it is gone.
pub const FINALIZER: &str = "holdfast.dev/removal";
/// The annotation by which a person asks for everything to be read anew at once.
pub const RECONCILE_AT: &str = "holdfast.dev/reconcile-at";

/// What happens to Policy resources.
#[derive(Clone, Debug)]
pub enum PolicyEvent {
    /// All that there are: the first that is told, and again whenever changes may have been missed. It is a proof: while
    /// some namespace can't be read, those of the others come as changed ones before.
    All(Vec<PolicyResource>),
    /// What may be read was told: each namespace has answered, some that they may not be read, but not all of them. It is no
    /// proof; told once at most, and only before [`All`](Self::All).
    Read,
    /// One is new, or has changed.
    Changed(Box<PolicyResource>),
    /// One is gone.
    Gone(PolicyId),
    /// They can't be watched for the moment; tried again after a growing pause.
    Failed(ProviderError),
}

/// Something that people should see among the events of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// The Policy that it is of.
    pub policy: PolicyId,
    /// The Policy's uid.
    pub uid: String,
    /// The object that it is about as well, if it lies in a namespace.
    pub object: Option<ResourceKey>,
    /// The object's uid, as it was observed. Without it the object gets no event of its own: what describes an object shows
    /// only those that bear its uid, and whoever tells may write events where the policy's account can't even look.
    pub object_uid: Option<String>,
    /// Whether it is a warning.
    pub warning: bool,
    /// From a closed, documented list: `DriftRepaired`.
    pub reason: &'static str,
    /// What was being done, from a closed list: `Repair`.
    pub action: &'static str,
    /// A sentence for people. Never holds the content of a document.
    pub note: String,
}

/// Where Policy resources come in, and where what happens to them is told.
#[async_trait]
pub trait Desk: Debug + Send + Sync {
    /// All Policy resources that may be enforced, then each change. It never ends by itself.
    fn policies(&self) -> BoxStream<'static, PolicyEvent>;

    /// Replaces the status of the Policy, if it is still the incarnation `uid`; of one that is gone nothing is told, and
    /// that is no error.
    async fn write_status(&self, policy: &PolicyId, uid: &str, status: &Json) -> Result<(), ProviderError>;

    /// Adds [`FINALIZER`] to the Policy, or takes it away, if it is still the incarnation `uid`. Idempotent.
    async fn set_finalizer(&self, policy: &PolicyId, uid: &str, present: bool) -> Result<(), ProviderError>;

    /// Publishes `results`, of the form that `PolicyReport` (`wgpolicyk8s.io/v1alpha2`) calls `results`, as the report of
    /// the Policy, which goes with it; false where the cluster has no such type, and nothing was written.
    async fn write_report(&self, policy: &PolicyId, uid: &str, results: &Json)
    -> Result<bool, ProviderError>;

    /// Makes an event of `notice`. The same again within a while raises its count.
    async fn tell(&self, notice: &Notice) -> Result<(), ProviderError>;
}

/// Which processes share the policies out among them. Nobody's lock: the policies' leases are.
#[async_trait]
pub trait Roster: Debug + Send + Sync {
    /// Says that `member` is here, and will be for `lasting`. Saying it again renews it.
    async fn announce(&self, member: &Holder, lasting: Duration) -> Result<(), ProviderError>;

    /// Says that `member` leaves.
    async fn withdraw(&self, member: &Holder) -> Result<(), ProviderError>;

    /// Who is here: those whose last word still counts.
    async fn members(&self) -> Result<BTreeSet<Holder>, ProviderError>;
}
