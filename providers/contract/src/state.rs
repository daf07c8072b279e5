//! Where the engine keeps what it must not forget, and who may write.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::str::FromStr;
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

/// A text that isn't of the form `NAMESPACE/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form NAMESPACE/NAME")]
pub struct NoPolicyId(String);

/// `NAMESPACE/NAME`.
impl FromStr for PolicyId {
    type Err = NoPolicyId;

    fn from_str(text: &str) -> Result<Self, NoPolicyId> {
        let (namespace, name) = text
            .split_once('/')
            .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains('/'))
            .ok_or_else(|| NoPolicyId(text.to_owned()))?;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// `NAMESPACE/NAME`.
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

    /// Who holds the policy's lease, as far as can be told without taking it; none: nobody.
    async fn holder(&self, policy: &PolicyId) -> Result<Option<Holder>, ProviderError>;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policys_id_is_read_as_it_is_shown_and_nothing_else_is() {
        let id: PolicyId = "team-a/web".parse().unwrap();
        assert_eq!((id.namespace.as_str(), id.name.as_str()), ("team-a", "web"));
        assert_eq!(id.to_string(), "team-a/web");
        for text in ["web", "/web", "team-a/", "team-a/web/x"] {
            assert_eq!(text.parse::<PolicyId>(), Err(NoPolicyId(text.to_owned())));
        }
    }
}
