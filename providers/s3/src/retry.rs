//! The one place that tries again.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::{Answer, Lost};
use crate::error::Refusal;

/// How often a request is sent at most.
const ATTEMPTS: u32 = 4;
/// The longest pause before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(150);
/// No pause is longer, unless the service asks for it.
const MAX_PAUSE: Duration = Duration::from_secs(3);
/// All attempts and pauses together take no longer.
const DEADLINE: Duration = Duration::from_secs(25);

/// Whether a request may be sent again when it isn't known whether it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Yes: twice leaves what once leaves.
    Safe,
    /// No: only where the service refused it before it did anything.
    OnlyRefused,
}

/// What an attempt came to.
enum Outcome {
    /// There is nothing to try again.
    Final,
    /// The service refused it for now, and did nothing.
    Refused(Option<Duration>),
    /// Whether it took effect isn't known.
    InDoubt,
}

/// Sends by `attempt` until that succeeds, is finally refused, or the attempts or the time are used up; then the last
/// answer is given.
pub(crate) async fn until_final<F, A>(repeat: Repeat, mut attempt: F) -> Result<Answer, Lost>
where
    F: FnMut() -> A,
    A: Future<Output = Result<Answer, Lost>>,
{
    let end = Instant::now() + DEADLINE;
    let mut number = 1;
    loop {
        let result = tokio::time::timeout_at(end, attempt())
            .await
            .unwrap_or(Err(Lost::Slow(DEADLINE)));
        let asked = match outcome(&result) {
            Outcome::Refused(asked) => asked,
            Outcome::InDoubt if repeat == Repeat::Safe => None,
            Outcome::Final | Outcome::InDoubt => return result,
        };
        let pause = pause(number).max(asked.unwrap_or_default());
        if number >= ATTEMPTS || pause >= end.duration_since(Instant::now()) {
            return result;
        }
        tokio::time::sleep(pause).await;
        number += 1;
    }
}

fn outcome(result: &Result<Answer, Lost>) -> Outcome {
    let answer = match result {
        Ok(answer) => answer,
        Err(Lost::Connection(_) | Lost::Slow(_)) => return Outcome::InDoubt,
        Err(Lost::TooLarge | Lost::Refused(_)) => return Outcome::Final,
    };
    if answer.status.is_success() {
        return Outcome::Final;
    }
    let Refusal {
        status,
        code,
        retry_after,
        ..
    } = &answer.refusal();
    match (*status, code.as_str()) {
        (429 | 503, _) | (_, "SlowDown" | "OperationAborted" | "RequestTimeout") => {
            Outcome::Refused(*retry_after)
        }
        (500 | 502 | 504, _) => Outcome::InDoubt,
        _ => Outcome::Final,
    }
}

/// Between half and the whole of a pause that doubles with each attempt, so that many callers don't come back at once.
fn pause(number: u32) -> Duration {
    let longest = FIRST_PAUSE
        .saturating_mul(1 << number.saturating_sub(1).min(10))
        .min(MAX_PAUSE);
    // Without randomness the pause is as good, only not spread.
    let spread = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    longest.mul_f64(0.5 + spread / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    fn answer(status: u16, code: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from(format!("<Error><Code>{code}</Code></Error>")),
        }
    }

    async fn attempts(repeat: Repeat, of: impl Fn(u32) -> Result<Answer, Lost>) -> u32 {
        let count = Cell::new(0);
        let _ = until_final(repeat, || {
            count.set(count.get() + 1);
            std::future::ready(of(count.get()))
        })
        .await;
        count.get()
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again_and_what_is_final_is_not() {
        for (status, code, expected) in [
            (503, "SlowDown", 4),
            (409, "OperationAborted", 4),
            (500, "InternalError", 4),
            (200, "", 1),
            (403, "AccessDenied", 1),
            (404, "NoSuchBucket", 1),
            (409, "BucketNotEmpty", 1),
        ] {
            let count = attempts(Repeat::Safe, |_| Ok(answer(status, code))).await;
            assert_eq!(count, expected, "{status} {code}");
        }
        let lost = |_| Err(Lost::Connection("reset".to_owned()));
        assert_eq!(attempts(Repeat::Safe, lost).await, 4);
        let silent = |_| Err(Lost::Slow(DEADLINE));
        assert_eq!(attempts(Repeat::Safe, silent).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_doubt_is_not_repeated_where_that_is_unsafe() {
        assert_eq!(
            attempts(Repeat::OnlyRefused, |_| Ok(answer(500, "InternalError"))).await,
            1
        );
        let lost = |_| Err(Lost::Connection("reset".to_owned()));
        assert_eq!(attempts(Repeat::OnlyRefused, lost).await, 1);
        assert_eq!(
            attempts(Repeat::OnlyRefused, |_| Ok(answer(503, "SlowDown"))).await,
            4
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_asked_for_is_kept_or_given_up() {
        let asks = |seconds: &'static str| {
            move |number: u32| {
                let mut answer = answer(if number == 1 { 503 } else { 200 }, "SlowDown");
                answer
                    .headers
                    .insert("retry-after", http::HeaderValue::from_static(seconds));
                Ok(answer)
            }
        };
        let start = Instant::now();
        assert_eq!(attempts(Repeat::Safe, asks("5")).await, 2);
        assert!(start.elapsed() >= Duration::from_secs(5));
        assert_eq!(attempts(Repeat::Safe, asks("600")).await, 1);
        assert_eq!(attempts(Repeat::Safe, asks("18446744073709551615")).await, 1);
    }
}
