//! Counting what is sent to external systems.

use std::fmt::Debug;
use std::time::Duration;

/// Is told of each request that providers send, whatever becomes of it.
pub trait Meter: Debug + Send + Sync {
    /// A request has ended.
    fn measure(&self, request: &Measured);
}

/// A request that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The provider's type: `s3`.
    pub provider: &'static str,
    /// What was asked, from a closed list: the API operation of a store, the verb of a cluster.
    pub operation: &'static str,
    /// How it ended, from a closed list: `ok`, `refused` (by the service), `throttled`, `failed` (no answer, or one that
    /// can't be used).
    pub outcome: &'static str,
    /// How long it took, with the whole answer read; of a watch, until it was accepted.
    pub took: Duration,
}
