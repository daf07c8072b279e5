//! One call that changes something.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::desired::Desired;
use crate::key::{Facet, ResourceKey};
use crate::observation::{Observed, Version};

/// One call that changes something. It is planned whole; `apply` leaves nothing to decide.
#[derive(Clone, Debug)]
pub struct Write {
    /// What is written.
    pub key: ResourceKey,
    /// What is done.
    pub action: Action,
    /// What must still be true when the call takes effect.
    pub guard: Guard,
    /// As whom: the field manager of the policy.
    pub manager: String,
    /// Take fields that other managers hold. Only where the plan has shown the conflict.
    pub force: bool,
}

/// What a write does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Make the resource. `facets` are what is desired of it, as far as it is known and may be written now; the provider
    /// includes those that the create call takes ([`Kind::created_with`](crate::Kind::created_with)), and of the others
    /// what can be had at creation only or best; the rest follow as [`Action::Set`].
    Create {
        /// What is desired of each facet.
        facets: BTreeMap<Facet, Desired>,
    },
    /// Bring one facet to what is desired; foreign content of it stays.
    Set {
        /// Which facet.
        facet: Facet,
        /// What is desired of it.
        desired: Box<Desired>,
        /// The resource as it was when this was planned.
        observed: Arc<Observed>,
    },
    /// Delete the resource, never what it holds. Deleting what is absent succeeds.
    Delete {
        /// The resource as it was when this was planned.
        observed: Arc<Observed>,
    },
}

/// What must still be true when a write takes effect; else it is [`Conflict`](crate::ProviderError::Conflict).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Guard {
    /// Nothing exists under this key.
    Absent,
    /// The same incarnation still exists, whatever its version.
    Same,
    /// Exactly this version still stands.
    Version(Version),
}
