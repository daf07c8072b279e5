//! Counting what is sent to external systems.

use std::fmt::Debug;
use std::time::{Duration, Instant};

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

/// A request under way. It is measured when this goes: as [`ended`](Self::ended) says, or as `failed` where nobody waited
/// for its end.
#[derive(Debug)]
pub struct Measuring<'a> {
    meter: &'a dyn Meter,
    provider: &'static str,
    operation: &'static str,
    outcome: &'static str,
    since: Instant,
}

impl<'a> Measuring<'a> {
    /// A request that begins now.
    pub fn begun(meter: &'a dyn Meter, provider: &'static str, operation: &'static str) -> Self {
        Self {
            meter,
            provider,
            operation,
            outcome: "failed",
            since: Instant::now(),
        }
    }

    /// It has ended now, as [`Measured::outcome`] has it.
    pub fn ended(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Measuring<'_> {
    fn drop(&mut self) {
        self.meter.measure(&Measured {
            provider: self.provider,
            operation: self.operation,
            outcome: self.outcome,
            took: self.since.elapsed(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Measured>>);

    impl Meter for Kept {
        fn measure(&self, request: &Measured) {
            self.0.lock().unwrap().push(*request);
        }
    }

    #[test]
    fn a_request_is_measured_once_whatever_becomes_of_it() {
        let meter = Kept::default();
        Measuring::begun(&meter, "s3", "GetBucketAcl").ended("refused");
        drop(Measuring::begun(&meter, "s3", "ListBuckets"));
        let kept = meter.0.lock().unwrap();
        let short: Vec<_> = kept.iter().map(|one| (one.operation, one.outcome)).collect();
        assert_eq!(short, [("GetBucketAcl", "refused"), ("ListBuckets", "failed")]);
    }
}
