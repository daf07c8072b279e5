//! Holding a policy's lease while it is written.

use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{Held, Holder, PolicyId, ProviderError, StateStore};
use tokio::task::JoinHandle;

use crate::apply::Stop;
use crate::moment::Moment;

/// How soon a renewal that failed is tried again, at the latest.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How a lease is kept. A call that begins just before no further one may is over before the lease is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

impl Default for Timing {
    /// That of a single run: 60, 30 and 10 s.
    fn default() -> Self {
        Self {
            duration: Duration::from_mins(1),
            renew_deadline: Duration::from_secs(30),
            retry_period: Duration::from_secs(10),
        }
    }
}

impl Timing {
    /// A lease is ours for `duration` without a renewal; it is renewed every `retry_period`; without a renewal for
    /// `renew_deadline` no further call begins.
    ///
    /// # Errors
    /// They must be in this order, each at least a second from the next.
    pub fn new(duration: Duration, renew_deadline: Duration, retry_period: Duration) -> Result<Self, String> {
        let apart = Duration::from_secs(1);
        let is_less = |less: Duration, more: Duration| less.saturating_add(apart) <= more;
        if !is_less(renew_deadline, duration) {
            return Err(
                "the lease must last longer than its renewal may take, by a second at least".to_owned(),
            );
        }
        if retry_period.is_zero() || !is_less(retry_period, renew_deadline) {
            return Err(
                "a renewal must be tried more often than it has to succeed, by a second at least".to_owned(),
            );
        }
        Ok(Self {
            duration,
            renew_deadline,
            retry_period,
        })
    }

    /// How long a lease is ours without a renewal.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.duration
    }

    /// How often it is renewed, and how often one that is somebody else's is looked at.
    #[must_use]
    pub fn retry_period(self) -> Duration {
        self.retry_period
    }

    /// The longest that one call may take: what remains of the lease when no further call begins.
    #[must_use]
    pub fn call(self) -> Duration {
        self.duration.saturating_sub(self.renew_deadline)
    }
}

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
    timing: Timing,
    stop: Stop,
    renewal: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease of `policy`. When it can't be renewed any more, `stop` is stopped.
    pub async fn take(
        store: &Arc<dyn StateStore>,
        policy: &PolicyId,
        holder: &Holder,
        timing: Timing,
        stop: &Stop,
    ) -> Result<Self, LeaseError> {
        let asked = Moment::now();
        match store.acquire(policy, holder, timing.duration).await? {
            Held::Ours => {}
            Held::Theirs { holder, remaining } => {
                return Err(LeaseError::Held {
                    holder: holder.0,
                    remaining,
                });
            }
        }
        let renewal = Renewal {
            store: Arc::clone(store),
            policy: policy.clone(),
            holder: holder.clone(),
            timing,
            stop: stop.clone(),
        };
        let end = asked.plus(timing.renew_deadline);
        stop.stop_at(Some(end));
        let renewal = tokio::spawn(renewal.keep(end));
        Ok(Self {
            store: Arc::clone(store),
            policy: policy.clone(),
            holder: holder.clone(),
            timing,
            stop: stop.clone(),
            renewal,
        })
    }

    /// Gives it back. Where that fails it ends by itself; and where a call was given up within its duration that may take
    /// effect all the same, so that whoever has it next doesn't begin before that.
    pub async fn release(self) {
        self.renewal.abort();
        self.stop.stop_at(None);
        if self.stop.is_in_doubt(self.timing.duration) {
            tracing::warn!(policy = %self.policy, "a call was given up without an answer: the lease ends by itself");
            return;
        }
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

/// Renews a lease.
struct Renewal {
    store: Arc<dyn StateStore>,
    policy: PolicyId,
    holder: Holder,
    timing: Timing,
    stop: Stop,
}

impl Renewal {
    /// Renews until the lease is lost, or can't be renewed in time: then `stop` is stopped, by this process's own clock.
    /// Without a renewal that is at `end`.
    async fn keep(self, mut end: Moment) {
        let Self {
            store,
            policy,
            holder,
            timing,
            stop,
        } = self;
        let mut pause = timing.retry_period;
        loop {
            tokio::time::sleep_until(Moment::now().plus(pause).instant.min(end.instant)).await;
            if end.has_come() {
                tracing::warn!(%policy, "the lease can't be renewed: no further write begins");
                return stop.stop();
            }
            pause = RETRY_AFTER.min(timing.retry_period);
            let attempt = Moment::now();
            let limit = attempt.plus(timing.retry_period).instant.min(end.instant);
            let renewed = store.acquire(&policy, &holder, timing.duration);
            match tokio::time::timeout_at(limit, renewed).await {
                Ok(Ok(Held::Ours)) => {
                    end = attempt.plus(timing.renew_deadline);
                    stop.stop_at(Some(end));
                    pause = timing.retry_period;
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
}
