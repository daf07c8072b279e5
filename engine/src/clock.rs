//! What time it is, for what is counted over minutes and remembered from run to run.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

/// What time it is.
#[derive(Clone, Copy, Debug, Default)]
pub enum Clock {
    /// The system's time.
    #[default]
    System,
    /// So late at that instant, and going on as the runtime's own timers do: under a test's paused timers hours pass at
    /// once.
    Since(OffsetDateTime, Instant),
}

impl Clock {
    /// The system's time as it is now, going on with the runtime's timers.
    #[must_use]
    pub fn steady() -> Self {
        Self::Since(OffsetDateTime::now_utc(), Instant::now())
    }

    /// The time, to the second: clusters keep no more.
    #[must_use]
    pub fn now(self) -> OffsetDateTime {
        let now = match self {
            Self::System => OffsetDateTime::now_utc(),
            Self::Since(then, at) => time::Duration::try_from(at.elapsed())
                .ok()
                .and_then(|passed| then.checked_add(passed))
                .unwrap_or(then),
        };
        now.replace_nanosecond(0).unwrap_or(now)
    }
}

/// The instant `wait` after `instant`; `instant` itself where a clock can't show so late a time.
pub(crate) fn after(instant: Instant, wait: Duration) -> Instant {
    instant.checked_add(wait).unwrap_or(instant)
}

/// A time as RFC 3339.
pub(crate) fn written(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// A time of the day, for people who read it within hours.
pub(crate) fn shown(at: OffsetDateTime) -> String {
    format!("{:02}:{:02}:{:02} UTC", at.hour(), at.minute(), at.second())
}
