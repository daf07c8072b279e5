//! Where the engine keeps what it must not forget, and who may write.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::error::ProviderError;
use crate::key::ResourceKey;
use crate::observation::Version;

/// Which policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PolicyId {
    /// Its namespace; `holdfast-system` for a file.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A ledger as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its entries. Their names are letters, digits, `-`, `_` and `.`, as a `ConfigMap` takes them.
    pub entries: BTreeMap<String, String>,
    /// The version to name when it is replaced.
    pub version: Version,
}

/// Where a policy's ledger and its lease are kept. All writes are compare-and-swap.
#[async_trait]
pub trait StateStore: Debug + Send + Sync {
    /// The ledger of `policy`; none is a proof that there is none.
    async fn load(&self, policy: &PolicyId) -> Result<Option<Stored>, ProviderError>;

    /// Replaces the ledger if it still stands at `expected`; none: only if there is none yet.
    /// Otherwise [`Conflict`](ProviderError::Conflict), and nothing changed.
    async fn save(
        &self,
        policy: &PolicyId,
        entries: &BTreeMap<String, String>,
        expected: Option<&Version>,
    ) -> Result<Version, ProviderError>;

    /// Where the ledger is kept, for people: `ConfigMap holdfast-system/managed-velero`.
    fn place(&self, policy: &PolicyId) -> String;

    /// The objects that it keeps the state of `policy` in, the namespace that those lie in, and the service accounts that
    /// all is done as, where they are known: as resources of the cluster. No policy may manage these: it would saw off
    /// what it stands on. Empty outside of a cluster.
    fn ground(&self, policy: &PolicyId) -> Vec<ResourceKey> {
        let _ = policy;
        Vec::new()
    }

    /// The uid of the cluster that this store lies in; none outside of a cluster.
    async fn cluster(&self) -> Result<Option<String>, ProviderError>;

    /// Takes the policy's lease for `duration`, or says who has it. Taking one's own lease again renews it.
    async fn acquire(
        &self,
        policy: &PolicyId,
        holder: &Holder,
        duration: Duration,
    ) -> Result<Held, ProviderError>;

    /// Gives the lease back. What somebody else holds stays theirs.
    async fn release(&self, policy: &PolicyId, holder: &Holder) -> Result<(), ProviderError>;
}

/// Who holds a lease: unique to one run of one process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Holder(pub String);

/// The answer to taking a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// It is ours for the whole duration.
    Ours,
    /// Somebody else has it.
    Theirs {
        /// Who.
        holder: Holder,
        /// For how long it can still be theirs without a renewal.
        remaining: Duration,
    },
}
