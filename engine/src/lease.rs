//! Holding a policy's lease while it is written.

use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{Held, Holder, PolicyId, ProviderError, StateStore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::apply::Stop;

/// How long a lease is ours without a renewal.
const DURATION: Duration = Duration::from_mins(1);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How soon a renewal that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Without a renewal for so long, no further call begins.
const STOP_AFTER: Duration = Duration::from_secs(30);
/// The longest that one call may take: what remains of the lease when no further call begins.
pub(crate) const CALL: Duration = DURATION.saturating_sub(STOP_AFTER);

/// Why a policy can't be written now.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else writes it.
    #[error("{holder} is enforcing this policy; it can be taken over in {} s if it stops", remaining.as_secs().max(1))]
    Held {
        /// Who.
        holder: String,
        /// For how long it can still be theirs without a renewal.
        remaining: Duration,
    },
    /// The lease could not be read or written.
    #[error("the policy's lease can't be taken: {0}")]
    Store(#[from] ProviderError),
}

/// A lease that is ours, renewed until it is released.
#[derive(Debug)]
pub struct Lease {
    store: Arc<dyn StateStore>,
    policy: PolicyId,
    holder: Holder,
    renewal: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease of `policy`. When it can't be renewed any more, `stop` is stopped.
    pub async fn take(
        store: &Arc<dyn StateStore>,
        policy: &PolicyId,
        holder: &Holder,
        stop: &Stop,
    ) -> Result<Self, LeaseError> {
        match store.acquire(policy, holder, DURATION).await? {
            Held::Ours => {}
            Held::Theirs { holder, remaining } => {
                return Err(LeaseError::Held {
                    holder: holder.0,
                    remaining,
                });
            }
        }
        let renewal = tokio::spawn(renew(
            Arc::clone(store),
            policy.clone(),
            holder.clone(),
            stop.clone(),
        ));
        Ok(Self {
            store: Arc::clone(store),
            policy: policy.clone(),
            holder: holder.clone(),
            renewal,
        })
    }

    /// Gives it back. Where that fails it ends by itself.
    pub async fn release(self) {
        self.renewal.abort();
        if let Err(error) = self.store.release(&self.policy, &self.holder).await {
            tracing::debug!(policy = %self.policy, %error, "the lease was not released and ends by itself");
        }
    }
}

/// A lease that is dropped without being given back is renewed no more, and ends by itself.
impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Renews until the lease is lost, or can't be renewed in time: then `stop` is stopped, by this process's own clock.
async fn renew(store: Arc<dyn StateStore>, policy: PolicyId, holder: Holder, stop: Stop) {
    let mut renewed = Instant::now();
    let mut pause = RENEW_EVERY;
    loop {
        let end = after(renewed, STOP_AFTER);
        tokio::time::sleep_until(after(Instant::now(), pause).min(end)).await;
        let attempt = Instant::now();
        if attempt >= end {
            tracing::warn!(%policy, "the lease can't be renewed: no further write begins");
            return stop.stop();
        }
        pause = RETRY_AFTER;
        let limit = after(attempt, RENEW_EVERY).min(end);
        match tokio::time::timeout_at(limit, store.acquire(&policy, &holder, DURATION)).await {
            Ok(Ok(Held::Ours)) => {
                renewed = attempt;
                pause = RENEW_EVERY;
            }
            Ok(Ok(Held::Theirs { holder, .. })) => {
                tracing::warn!(%policy, holder = %holder.0, "the lease was lost: no further write begins");
                return stop.stop();
            }
            Ok(Err(error)) => tracing::debug!(%policy, %error, "the lease was not renewed"),
            Err(_) => tracing::debug!(%policy, "the lease was not renewed in time"),
        }
    }
}

fn after(instant: Instant, duration: Duration) -> Instant {
    instant.checked_add(duration).unwrap_or(instant)
}
