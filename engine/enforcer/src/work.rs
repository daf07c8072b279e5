//! What a task is to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::{PolicyId, PolicyResource, ServiceAccount};
use holdfast_policy::{OnRemove, Rule, Supplied, ValidPolicy};

/// As whom a policy acts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Actor {
    /// The account by which everything in the cluster is read and written; none: as this process itself.
    pub account: Option<ServiceAccount>,
    /// Whether it may sign in to stores by what this process has of its own: its environment, its files.
    pub ambient: bool,
}

impl Actor {
    /// This process itself.
    pub const ITSELF: Self = Self {
        account: None,
        ambient: true,
    };
}

/// A policy that is to be enforced.
#[derive(Clone, Debug)]
pub struct Work {
    /// Which.
    pub id: PolicyId,
    /// The policy; else what is wrong with it, in a sentence.
    pub policy: Result<Arc<ValidPolicy>, String>,
    /// Parameters' values that win over its own.
    pub overrides: Vec<Supplied>,
    /// As whom it acts; else why nobody can.
    pub actor: Result<Actor, String>,
    /// The Policy resource that it is; none: a file.
    pub resource: Option<Incarnation>,
    /// What tells two works of one policy apart.
    pub version: String,
}

/// Which Policy resource it is, and in which state of its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incarnation {
    /// Its uid.
    pub uid: String,
    /// How often its spec has changed.
    pub generation: i64,
    /// Whether it is to be deleted.
    pub deleting: bool,
    /// Whether it is kept until what is to go with it is gone.
    pub finalizer: bool,
}

impl Incarnation {
    /// That of `resource`.
    #[must_use]
    pub fn of(resource: &PolicyResource) -> Self {
        Self {
            uid: resource.uid.clone(),
            generation: resource.generation,
            deleting: resource.deleting,
            finalizer: resource.finalizer,
        }
    }

    /// Whether there is the same to do for both.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.uid, self.generation, self.deleting) == (&other.uid, other.generation, other.deleting)
    }
}

impl Work {
    /// How often the spec of the Policy resource has changed; 0 of a file.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.resource.as_ref().map_or(0, |resource| resource.generation)
    }

    /// The uid of the Policy resource; empty of a file.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.resource
            .as_ref()
            .map_or("", |resource| resource.uid.as_str())
    }

    /// Whether both are of one Policy resource, or both of a file.
    #[must_use]
    pub fn is_same_resource(&self, other: &Self) -> bool {
        self.uid() == other.uid()
    }

    /// Whether the policy is on its way out.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.resource.as_ref().is_some_and(|resource| resource.deleting)
    }
}

/// Whether something has to be done before the policy may go: some rule says that what it made goes with it.
#[must_use]
pub fn removes(policy: &ValidPolicy) -> bool {
    policy.rules.values().any(goes)
}

fn goes(rule: &Rule) -> bool {
    let mut variants = rule.variants.iter();
    variants.any(|variant| variant.on_remove == OnRemove::Delete)
}

/// The policy without its rules: what they made leaves it, and goes where they say so now.
#[must_use]
pub fn retired(policy: &ValidPolicy) -> ValidPolicy {
    let stays = policy.rules.values().filter(|rule| !goes(rule));
    let keys = stays.flat_map(|rule| std::iter::once(&rule.key).chain(&rule.formerly));
    ValidPolicy {
        retained: keys.cloned().collect(),
        rules: BTreeMap::new(),
        require: Vec::new(),
        ..policy.clone()
    }
}
