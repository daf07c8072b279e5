//! Durations and timestamps as text, and their ranges.

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

/// The largest duration either way, in seconds: about 10,000 years.
pub(crate) const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// Reads a duration: numbers with units, added up, with one sign before all: `1h30m`, `1.5h`, `720h`, `-3s`, `90d`.
///
/// Units are `ns`, `us` (or `µs`), `ms`, `s`, `m`, `h` and `d`, a day of 24 hours. `0` needs no unit. What is finer
/// than a nanosecond is cut off. Nothing where the text isn't a duration, or longer than 10,000 years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos: i128 = 0;
    loop {
        let (amount, after) = number(rest)?;
        let end = after
            .find(|letter: char| letter.is_ascii_digit() || letter == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        nanos = nanos.checked_add(amount.in_units_of(unit_nanos(unit)?)?)?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let nanos = if negative { nanos.checked_neg()? } else { nanos };
    duration_from_nanos(nanos)
}

/// A decimal number as digits before and after the point.
struct Decimal<'t> {
    whole: &'t str,
    fraction: &'t str,
}

impl Decimal<'_> {
    fn in_units_of(&self, unit: i128) -> Option<i128> {
        let whole = if self.whole.is_empty() {
            0
        } else {
            self.whole.parse::<i128>().ok()?
        };
        let mut total = whole.checked_mul(unit)?;
        let mut place = unit;
        for digit in self.fraction.chars() {
            // The remainder of the division is finer than a nanosecond only once the unit itself runs out.
            let digit = i128::from(digit.to_digit(10)?);
            total = total.checked_add(place.checked_mul(digit)?.checked_div(10)?)?;
            place = place.checked_div(10)?;
        }
        Some(total)
    }
}

fn number(text: &str) -> Option<(Decimal<'_>, &str)> {
    let digits = |text: &str| {
        text.find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(text.len())
    };
    let (whole, rest) = text.split_at_checked(digits(text))?;
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at_checked(digits(rest))?,
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    Some((Decimal { whole, fraction }, rest))
}

fn unit_nanos(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    })
}

fn duration_from_nanos(nanos: i128) -> Option<Duration> {
    let seconds = i64::try_from(nanos.checked_div(NANOS_PER_SECOND)?).ok()?;
    let nanos = i32::try_from(nanos.checked_rem(NANOS_PER_SECOND)?).ok()?;
    bounded(Duration::new(seconds, nanos))
}

/// The duration itself where it is within range.
pub(crate) fn bounded(duration: Duration) -> Option<Duration> {
    let seconds = duration.whole_seconds();
    (-MAX_DURATION_SECONDS..=MAX_DURATION_SECONDS)
        .contains(&seconds)
        .then_some(duration)
}

/// Writes a duration as seconds, as CEL does: `5400s`, `-0.25s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let sign = if duration.is_negative() { "-" } else { "" };
    let seconds = duration.whole_seconds().unsigned_abs();
    let nanos = duration.subsec_nanoseconds().unsigned_abs();
    if nanos == 0 {
        return format!("{sign}{seconds}s");
    }
    let fraction = format!("{nanos:09}");
    format!("{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
}

/// Reads an RFC 3339 timestamp of the years 1 to 9999, and turns it to UTC.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<OffsetDateTime> {
    in_range(OffsetDateTime::parse(text, &Rfc3339).ok()?)
}

/// The timestamp in UTC where it is within the years 1 to 9999.
pub(crate) fn in_range(timestamp: OffsetDateTime) -> Option<OffsetDateTime> {
    let timestamp = timestamp.checked_to_offset(UtcOffset::UTC)?;
    (1..=9999).contains(&timestamp.year()).then_some(timestamp)
}

/// Writes a timestamp as RFC 3339 in UTC, with no more fraction than it needs.
#[must_use]
pub fn format_timestamp(timestamp: OffsetDateTime) -> String {
    // Formatting fails for years outside 0 to 9999 only, and values stay within.
    timestamp
        .to_offset(UtcOffset::UTC)
        .format(&Rfc3339)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{format_duration, format_timestamp, parse_duration, parse_timestamp};
    use time::Duration;

    #[test]
    fn durations_add_up_their_parts() {
        assert_eq!(parse_duration("1h30m"), Some(Duration::minutes(90)));
        assert_eq!(parse_duration("1.5h"), Some(Duration::minutes(90)));
        assert_eq!(parse_duration("720h"), Some(Duration::days(30)));
        assert_eq!(parse_duration("90d"), Some(Duration::days(90)));
        assert_eq!(parse_duration("1d12h"), Some(Duration::hours(36)));
        assert_eq!(parse_duration("-3s"), Some(Duration::seconds(-3)));
        assert_eq!(
            parse_duration("1ms1us1ns"),
            Some(Duration::nanoseconds(1_001_001))
        );
        assert_eq!(parse_duration("0.000000001s"), Some(Duration::nanoseconds(1)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "-",
            "1",
            "h",
            "1x",
            "1h ",
            "1h-3m",
            ".s",
            "1 h",
            "999999999999999999999999999999999999999999h",
            "4000000d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_seconds() {
        assert_eq!(format_duration(Duration::minutes(90)), "5400s");
        assert_eq!(format_duration(Duration::milliseconds(-250)), "-0.25s");
    }

    #[test]
    fn timestamps_turn_to_utc() {
        let parsed = parse_timestamp("2024-02-29T12:00:00.5+02:00").unwrap();
        assert_eq!(format_timestamp(parsed), "2024-02-29T10:00:00.5Z");
        assert_eq!(parse_timestamp("2024-02-30T12:00:00Z"), None);
        assert_eq!(parse_timestamp("0000-01-01T00:00:00Z"), None);
    }
}
