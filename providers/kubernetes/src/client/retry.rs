//! What is tried again, and after which wait.

use std::time::Duration;

use holdfast_contract::ProviderError;
use http::{HeaderMap, header};

use super::call::{Failure, Repeatable};

/// The wait before the second try; it doubles with each, and half of it is left to chance.
const BACKOFF: Duration = Duration::from_millis(200);
/// The longest wait that is obeyed here. A longer one is the caller's to wait for.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How long to wait before the next try; none: trying again is not for us.
pub(super) fn wait(repeatable: Repeatable, failure: &Failure, tried: u32) -> Option<Duration> {
    let backoff = BACKOFF * 2_u32.saturating_pow(tried - 1);
    let backoff = varied(backoff);
    let Failure::Refused(status) = failure else {
        let again = matches!(failure, Failure::Lost(ProviderError::Unavailable { .. }))
            && repeatable != Repeatable::Once;
        return again.then_some(backoff);
    };
    let again = match status.code {
        429 => true,
        503 | 504 => repeatable != Repeatable::Once,
        // Not 501, and not on writes: a webhook that fails answers so, too, and was asked for nothing in vain.
        500 | 502 => repeatable == Repeatable::Read && !status.is_misfit(),
        _ => false,
    };
    match status.retry_after() {
        _ if !again => None,
        Some(asked) if asked > WAIT_MAX => None,
        Some(asked) => Some(asked.max(backoff)),
        None => Some(backoff),
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    // Without randomness there is no jitter, and nothing worse.
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

/// `BACKOFF` times two to the `failures`, at most a minute, with jitter.
pub(crate) fn pause(failures: u32) -> Duration {
    let longest = (BACKOFF * 2_u32.saturating_pow(failures.min(9))).min(Duration::from_mins(1));
    varied(longest)
}

/// From half of `longest` on, by chance.
pub(crate) fn varied(longest: Duration) -> Duration {
    longest / 2 + longest.mul_f64(chance() / 2.0)
}

/// For how many seconds the server asks to wait.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Status, lost};

    fn refused(code: u16, after: Option<u64>) -> Failure {
        Failure::Refused(Box::new(Status {
            code,
            seconds_of_header: after,
            ..Status::default()
        }))
    }

    #[test]
    fn what_is_tried_again_depends_on_what_it_was() {
        let again = |repeatable, failure: &Failure| wait(repeatable, failure, 1).is_some();
        for repeatable in [Repeatable::Read, Repeatable::Idempotent, Repeatable::Once] {
            assert!(again(repeatable, &refused(429, None)), "the server did nothing");
            assert!(!again(repeatable, &refused(409, None)) && !again(repeatable, &refused(403, None)));
        }
        let gone = Failure::Lost(lost("reset"));
        assert!(again(Repeatable::Idempotent, &gone) && again(Repeatable::Idempotent, &refused(503, None)));
        assert!(!again(Repeatable::Once, &gone) && !again(Repeatable::Once, &refused(503, None)));
        assert!(
            again(Repeatable::Read, &refused(500, None))
                && !again(Repeatable::Idempotent, &refused(500, None))
        );
    }

    #[test]
    fn the_servers_wait_is_obeyed_and_a_long_one_is_left_to_the_caller() {
        let wait = |after| wait(Repeatable::Read, &refused(429, Some(after)), 1);
        assert_eq!(wait(3), Some(Duration::from_secs(3)));
        assert_eq!(wait(60), None);
    }

    #[test]
    fn no_wait_that_a_server_asks_for_is_longer_than_an_hour_wherever_it_says_so() {
        for (asked, taken) in [(90, 90), (86_400, 3600), (u64::MAX, 3600)] {
            let taken = Some(Duration::from_secs(taken));
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, asked.into());
            let by_header = Status {
                seconds_of_header: retry_after(&headers),
                ..Status::default()
            };
            assert_eq!(by_header.retry_after(), taken);
            let body = serde_json::json!({ "details": { "retryAfterSeconds": asked } });
            let by_body: Status = serde_json::from_value(body).unwrap();
            assert_eq!(by_body.retry_after(), taken);
        }
    }

    #[test]
    fn waits_grow_and_vary_within_bounds() {
        for tried in 1..5 {
            let full = BACKOFF * 2_u32.pow(tried - 1);
            let wait = wait(Repeatable::Read, &refused(503, None), tried).unwrap();
            assert!(wait >= full / 2 && wait <= full, "{tried}: {wait:?}");
        }
    }
}
