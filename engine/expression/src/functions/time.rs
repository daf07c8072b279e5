//! Durations and timestamps.

use time::{OffsetDateTime, UtcOffset};

use super::{Gives, Kind, Overload, Run, Site, argument, unfit};
use crate::error::{Outcome, fault};
use crate::evaluate::Machine;
use crate::instants::{bounded, in_range, parse_duration, parse_timestamp};
use crate::{ErrorKind, Value};

use Kind::{Duration, Int, String as Text, Timestamp};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload::function("days", &[Int], Gives::Duration, days),
    Overload::function("duration", &[Text], Gives::Duration, duration),
    Overload::function("duration", &[Duration], Gives::Duration, duration),
    Overload::function("timestamp", &[Text], Gives::Timestamp, timestamp),
    Overload::function("timestamp", &[Int], Gives::Timestamp, timestamp),
    Overload::function("timestamp", &[Timestamp], Gives::Timestamp, timestamp),
    Overload::method("getHours", &[Duration], Gives::Int, DURATION_HOURS),
    Overload::method("getMinutes", &[Duration], Gives::Int, DURATION_MINUTES),
    Overload::method("getSeconds", &[Duration], Gives::Int, DURATION_SECONDS),
    Overload::method("getMilliseconds", &[Duration], Gives::Int, DURATION_MILLISECONDS),
    Overload::method("getFullYear", &[Timestamp], Gives::Int, YEAR),
    Overload::method("getFullYear", &[Timestamp, Text], Gives::Int, YEAR),
    Overload::method("getMonth", &[Timestamp], Gives::Int, MONTH),
    Overload::method("getMonth", &[Timestamp, Text], Gives::Int, MONTH),
    Overload::method("getDate", &[Timestamp], Gives::Int, DATE),
    Overload::method("getDate", &[Timestamp, Text], Gives::Int, DATE),
    Overload::method("getDayOfMonth", &[Timestamp], Gives::Int, DAY_OF_MONTH),
    Overload::method("getDayOfMonth", &[Timestamp, Text], Gives::Int, DAY_OF_MONTH),
    Overload::method("getDayOfWeek", &[Timestamp], Gives::Int, DAY_OF_WEEK),
    Overload::method("getDayOfWeek", &[Timestamp, Text], Gives::Int, DAY_OF_WEEK),
    Overload::method("getDayOfYear", &[Timestamp], Gives::Int, DAY_OF_YEAR),
    Overload::method("getDayOfYear", &[Timestamp, Text], Gives::Int, DAY_OF_YEAR),
    Overload::method("getHours", &[Timestamp], Gives::Int, HOURS),
    Overload::method("getHours", &[Timestamp, Text], Gives::Int, HOURS),
    Overload::method("getMinutes", &[Timestamp], Gives::Int, MINUTES),
    Overload::method("getMinutes", &[Timestamp, Text], Gives::Int, MINUTES),
    Overload::method("getSeconds", &[Timestamp], Gives::Int, SECONDS),
    Overload::method("getSeconds", &[Timestamp, Text], Gives::Int, SECONDS),
    Overload::method("getMilliseconds", &[Timestamp], Gives::Int, MILLISECONDS),
    Overload::method("getMilliseconds", &[Timestamp, Text], Gives::Int, MILLISECONDS),
];

fn days(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Int(days)] = values else {
        return unfit(site);
    };
    let duration = days
        .checked_mul(86_400)
        .map(time::Duration::seconds)
        .and_then(bounded);
    duration
        .map(Value::Duration)
        .ok_or_else(|| fault(ErrorKind::Overflow, site.span, "the duration is out of range"))
}

fn duration(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    match values {
        [Value::Duration(duration)] => Ok(Value::Duration(*duration)),
        [Value::String(text)] => {
            let duration = if text.len() > LONGEST {
                None
            } else {
                parse_duration(text)
            };
            duration
                .map(Value::Duration)
                .ok_or_else(|| Box::new(not_a_duration(site.span)))
        }
        _ => unfit(site),
    }
}

/// The longest text that is read as a duration or timestamp. None in range needs more.
const LONGEST: usize = 200;

/// The fault of a text that is no duration.
pub(crate) fn not_a_duration(span: crate::Span) -> crate::Error {
    crate::Error::new(ErrorKind::Conversion, span, "this text isn't a duration")
        .with_hint("such as 90d, 1h30m or 1.5s")
}

/// The fault of a text that is no timestamp.
pub(crate) fn not_a_timestamp(span: crate::Span) -> crate::Error {
    crate::Error::new(ErrorKind::Conversion, span, "this text isn't a timestamp")
        .with_hint("such as 2030-01-31T12:00:00Z")
}

fn timestamp(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    match values {
        [Value::Timestamp(timestamp)] => Ok(Value::Timestamp(*timestamp)),
        [Value::String(text)] => {
            let timestamp = if text.len() > LONGEST {
                None
            } else {
                parse_timestamp(text)
            };
            timestamp
                .map(Value::Timestamp)
                .ok_or_else(|| Box::new(not_a_timestamp(site.span)))
        }
        [Value::Int(seconds)] => {
            let timestamp = OffsetDateTime::from_unix_timestamp(*seconds)
                .ok()
                .and_then(in_range);
            timestamp
                .map(Value::Timestamp)
                .ok_or_else(|| fault(ErrorKind::Overflow, site.span, "the timestamp is out of range"))
        }
        _ => unfit(site),
    }
}

const DURATION_HOURS: Run = |_, site, values| of_duration(site, values, time::Duration::whole_hours);
const DURATION_MINUTES: Run = |_, site, values| of_duration(site, values, time::Duration::whole_minutes);
const DURATION_SECONDS: Run = |_, site, values| of_duration(site, values, time::Duration::whole_seconds);
/// The milliseconds within the second, as the CEL specification says, unlike hours, minutes and seconds.
const DURATION_MILLISECONDS: Run =
    |_, site, values| of_duration(site, values, |duration| i64::from(duration.subsec_milliseconds()));

fn of_duration(site: &Site<'_>, values: &[Value], part: fn(time::Duration) -> i64) -> Outcome {
    let [Value::Duration(duration)] = values else {
        return unfit(site);
    };
    Ok(Value::Int(part(*duration)))
}

const YEAR: Run = |_, site, values| of_timestamp(site, values, |at| at.year().into());
/// From 0.
const MONTH: Run = |_, site, values| {
    of_timestamp(site, values, |at| {
        i64::from(u8::from(at.month())).saturating_sub(1)
    })
};
/// From 1.
const DATE: Run = |_, site, values| of_timestamp(site, values, |at| at.day().into());
/// From 0.
const DAY_OF_MONTH: Run =
    |_, site, values| of_timestamp(site, values, |at| i64::from(at.day()).saturating_sub(1));
/// Sunday is 0.
const DAY_OF_WEEK: Run =
    |_, site, values| of_timestamp(site, values, |at| at.weekday().number_days_from_sunday().into());
/// From 0.
const DAY_OF_YEAR: Run =
    |_, site, values| of_timestamp(site, values, |at| i64::from(at.ordinal()).saturating_sub(1));
const HOURS: Run = |_, site, values| of_timestamp(site, values, |at| at.hour().into());
const MINUTES: Run = |_, site, values| of_timestamp(site, values, |at| at.minute().into());
const SECONDS: Run = |_, site, values| of_timestamp(site, values, |at| at.second().into());
const MILLISECONDS: Run = |_, site, values| of_timestamp(site, values, |at| at.millisecond().into());

fn of_timestamp(site: &Site<'_>, values: &[Value], part: fn(OffsetDateTime) -> i64) -> Outcome {
    let at = match values {
        [Value::Timestamp(timestamp)] => Some(*timestamp),
        [Value::Timestamp(timestamp), Value::String(zone)] => {
            let Some(offset) = offset(zone) else {
                let error = argument(site, "this isn't an offset from UTC");
                return Err(Box::new(error.with_hint(
                    "`UTC` or such as `+02:00`; names of zones aren't known here",
                )));
            };
            timestamp.checked_to_offset(offset)
        }
        _ => return unfit(site),
    };
    let at = at.ok_or_else(|| fault(ErrorKind::Overflow, site.span, "the timestamp is out of range"))?;
    Ok(Value::Int(part(at)))
}

/// `UTC`, `Z`, or hours and minutes: `+02:00`, `-08:00`, `02:00`.
fn offset(zone: &str) -> Option<UtcOffset> {
    if zone == "UTC" || zone == "Z" {
        return Some(UtcOffset::UTC);
    }
    let (sign, unsigned) = match zone.strip_prefix('-') {
        Some(rest) => (-1_i8, rest),
        None => (1, zone.strip_prefix('+').unwrap_or(zone)),
    };
    let (hours, minutes) = unsigned.split_once(':')?;
    let two_digits = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            text.parse::<i8>().ok()?.checked_mul(sign)
        } else {
            None
        }
    };
    UtcOffset::from_hms(two_digits(hours)?, two_digits(minutes)?, 0).ok()
}
