//! The engine's own state: ledgers and leases.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{
    ApiType, Held, Holder, PolicyId, ProviderError, ResourceKey, StateStore, Stored, Version,
};
use tokio::time::Instant;

use crate::accident::{Moment, Operation};
use crate::world::World;
use crate::write::unavailable;

/// The namespace in which a cluster's engine keeps what it must not forget, and of policies that come from files.
const HOME: &str = "holdfast-system";

/// What the engine must not forget about one policy.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) entries: BTreeMap<String, String>,
    pub(crate) version: u64,
}

/// Who may write, and until when. A lease isn't kept in the state file: it ends with the process.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    holder: Holder,
    until: Instant,
}

impl Ledger {
    fn stored(&self) -> Stored {
        Stored {
            entries: self.entries.clone(),
            version: Version(self.version.to_string()),
        }
    }
}

/// Ledgers and leases have a section of their own beside the cluster's objects: a policy whose own namespace isn't
/// made yet has a ledger all the same.
#[async_trait]
impl StateStore for World {
    async fn load(&self, policy: &PolicyId) -> Result<Option<Stored>, ProviderError> {
        tokio::task::yield_now().await;
        let mut state = self.lock();
        state.request(Operation::Load, None, policy, None)?;
        Ok(state.ledgers.get(policy).map(Ledger::stored))
    }

    async fn save(
        &self,
        policy: &PolicyId,
        entries: &BTreeMap<String, String>,
        expected: Option<&Version>,
    ) -> Result<Version, ProviderError> {
        tokio::task::yield_now().await;
        let mut state = self.lock();
        let request = state.request(Operation::Save, None, policy, None)?;
        let current = state.ledgers.get(policy).map(|ledger| ledger.stored().version);
        if current.as_ref() != expected {
            return Err(ProviderError::Conflict {
                key: ledger_key(policy),
            });
        }
        let version = state.count();
        let ledger = Ledger {
            entries: entries.clone(),
            version,
        };
        let version = ledger.stored().version;
        state.ledgers.insert(policy.clone(), ledger);
        state.persist().map_err(unavailable)?;
        state.befall(&request, Moment::After)?;
        Ok(version)
    }

    fn place(&self, policy: &PolicyId) -> String {
        match &self.lock().file {
            Some(file) => format!("ledgers[{policy}] in {}", file.path().display()),
            None => format!("the ledger of {policy} in the sandbox"),
        }
    }

    /// What it would be in a cluster, so that a policy may here what it may there.
    fn ground(&self, policy: &PolicyId) -> Vec<ResourceKey> {
        let Some(kind) = self.lock().object_kind() else {
            return Vec::new();
        };
        let object = |api: ApiType, namespace: Option<&str>, name: &str| ResourceKey {
            provider: "kubernetes".into(),
            kind: kind.name().clone(),
            api: Some(api),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            region: None,
        };
        let name = if policy.namespace == HOME {
            policy.name.clone()
        } else {
            format!("{}.{}", policy.namespace, policy.name)
        };
        vec![
            object(ApiType::new("v1", "ConfigMap"), Some(HOME), &name),
            object(ApiType::new("coordination.k8s.io/v1", "Lease"), Some(HOME), &name),
            object(ApiType::new("v1", "Namespace"), None, HOME),
        ]
    }

    async fn cluster(&self) -> Result<Option<String>, ProviderError> {
        let state = self.lock();
        Ok(state.object_kind().map(|_| state.cluster_uid.clone()))
    }

    async fn acquire(
        &self,
        policy: &PolicyId,
        holder: &Holder,
        duration: Duration,
    ) -> Result<Held, ProviderError> {
        tokio::task::yield_now().await;
        let mut state = self.lock();
        let request = state.request(Operation::Acquire, None, policy, None)?;
        let now = Instant::now();
        if let Some(lease) = state.leases.get(policy).filter(|lease| lease.holder != *holder) {
            let remaining = lease.until.saturating_duration_since(now);
            if !remaining.is_zero() {
                return Ok(Held::Theirs {
                    holder: lease.holder.clone(),
                    remaining,
                });
            }
        }
        let until = now.checked_add(duration).unwrap_or(now);
        let lease = Lease {
            holder: holder.clone(),
            until,
        };
        state.leases.insert(policy.clone(), lease);
        state.befall(&request, Moment::After)?;
        Ok(Held::Ours)
    }

    async fn holder(&self, policy: &PolicyId) -> Result<Option<Holder>, ProviderError> {
        tokio::task::yield_now().await;
        let mut state = self.lock();
        state.request(Operation::Holder, None, policy, None)?;
        let now = Instant::now();
        let lease = state.leases.get(policy).filter(|lease| lease.until > now);
        Ok(lease.map(|lease| lease.holder.clone()))
    }

    async fn release(&self, policy: &PolicyId, holder: &Holder) -> Result<(), ProviderError> {
        tokio::task::yield_now().await;
        let mut state = self.lock();
        state.request(Operation::Release, None, policy, None)?;
        if state
            .leases
            .get(policy)
            .is_some_and(|lease| lease.holder == *holder)
        {
            state.leases.remove(policy);
        }
        Ok(())
    }
}

/// For messages: a ledger isn't a resource of any kind.
fn ledger_key(policy: &PolicyId) -> ResourceKey {
    ResourceKey {
        provider: "memory".into(),
        kind: "Ledger".into(),
        api: None,
        namespace: Some(policy.namespace.clone()),
        name: policy.name.clone(),
        region: None,
    }
}

#[cfg(test)]
mod tests {
    use holdfast_contract::Registry;

    use super::*;

    fn policy() -> PolicyId {
        PolicyId {
            namespace: "holdfast-system".to_owned(),
            name: "velero".to_owned(),
        }
    }

    fn entries(name: &str) -> BTreeMap<String, String> {
        [("bucket".to_owned(), name.to_owned())].into()
    }

    #[tokio::test]
    async fn a_ledger_is_replaced_only_at_the_version_that_was_read() {
        let world = World::new(&Registry::default());
        let policy = policy();
        assert_eq!(world.load(&policy).await.unwrap(), None);
        let first = world.save(&policy, &entries("a"), None).await.unwrap();
        let twice = world.save(&policy, &entries("b"), None).await.unwrap_err();
        assert!(matches!(twice, ProviderError::Conflict { .. }), "{twice}");
        let second = world.save(&policy, &entries("b"), Some(&first)).await.unwrap();
        let stale = world
            .save(&policy, &entries("c"), Some(&first))
            .await
            .unwrap_err();
        assert!(matches!(stale, ProviderError::Conflict { .. }), "{stale}");
        let stored = world.load(&policy).await.unwrap().unwrap();
        assert_eq!(stored.entries, entries("b"));
        assert_eq!(stored.version, second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_one_holders_until_it_ends_or_is_given_back() {
        let world = World::new(&Registry::default());
        let (policy, minute) = (policy(), Duration::from_mins(1));
        let [one, other] = ["one", "other"].map(|name| Holder(name.to_owned()));
        assert_eq!(world.acquire(&policy, &one, minute).await.unwrap(), Held::Ours);
        let refused = world.acquire(&policy, &other, minute).await.unwrap();
        let theirs = Held::Theirs {
            holder: one.clone(),
            remaining: minute,
        };
        assert_eq!(refused, theirs);
        assert_eq!(world.holder(&policy).await.unwrap(), Some(one.clone()));
        world.release(&policy, &other).await.unwrap();
        assert_eq!(world.acquire(&policy, &one, minute).await.unwrap(), Held::Ours);
        tokio::time::advance(minute).await;
        assert_eq!(world.holder(&policy).await.unwrap(), None);
        assert_eq!(world.acquire(&policy, &other, minute).await.unwrap(), Held::Ours);
        world.release(&policy, &other).await.unwrap();
        assert_eq!(world.acquire(&policy, &one, minute).await.unwrap(), Held::Ours);
    }
}
