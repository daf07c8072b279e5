//! Moments that come for a machine that was asleep, too.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, timeout_at};

use crate::clock::after;

/// A moment, by two clocks: it has come when either says so.
///
/// The runtime's clock stands still while the machine is suspended. Those who wait for a lease of ours count on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// By the clock that timers go by.
    pub(crate) instant: Instant,
    /// By the clock that goes on while the machine sleeps.
    uptime: Duration,
}

impl Moment {
    /// This one.
    pub(crate) fn now() -> Self {
        Self {
            instant: Instant::now(),
            uptime: Duration::try_from(clock_gettime(SLEEPLESS)).unwrap_or_default(),
        }
    }

    /// The one that is so much later.
    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self {
            instant: after(self.instant, duration),
            uptime: self.uptime.saturating_add(duration),
        }
    }

    /// Whether it has come.
    pub(crate) fn has_come(self) -> bool {
        let now = Self::now();
        self.instant <= now.instant || self.uptime <= now.uptime
    }

    /// What comes of `work` before this moment; none if nothing did.
    ///
    /// The clocks are looked at each time before `work` goes on, and not only when a timer is due: a process that was
    /// stopped between two requests of one call finds the answer to the first when it wakes, and mustn't send the
    /// second, which would come before the timer is asked.
    pub(crate) async fn unless_past<T>(self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let guarded = poll_fn(|context| {
            if self.has_come() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        });
        timeout_at(self.instant, guarded).await.ok().flatten()
    }
}

/// The clock that goes on while the machine sleeps. What Linux calls monotonic stands still then.
#[cfg(target_os = "linux")]
const SLEEPLESS: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const SLEEPLESS: ClockId = ClockId::Monotonic;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn a_moment_has_come_when_either_clock_says_so() {
        let now = Moment::now();
        let later = now.plus(HOUR);
        assert!(now.has_come() && !later.has_come());
        let slept = Moment {
            uptime: now.uptime,
            ..later
        };
        assert!(slept.has_come(), "the machine was asleep");
        tokio::time::advance(HOUR).await;
        assert!(later.has_come());
    }

    #[tokio::test(start_paused = true)]
    async fn work_does_not_go_on_once_its_moment_has_come() {
        let end = Moment::now().plus(HOUR);
        assert_eq!(end.unless_past(async { 1 }).await, Some(1));
        assert_eq!(end.unless_past(std::future::pending::<u8>()).await, None);
        assert_eq!(end.unless_past(async { 1 }).await, None, "although it is ready");
    }
}
