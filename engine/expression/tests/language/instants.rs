use crate::gives;

#[test]
fn durations_have_units_up_to_days() {
    gives(&[
        ("duration('1h30m')", "5400s"),
        ("duration('1.5h')", "5400s"),
        ("duration('720h') == duration('30d')", "true"),
        ("duration('1d12h')", "129600s"),
        ("duration('-3s')", "-3s"),
        ("duration('5ms')", "0.005s"),
        ("duration('7us')", "0.000007s"),
        ("duration('9ns')", "0.000000009s"),
        ("duration('90')", "Conversion"),
        ("duration(string('x'))", "Conversion"),
        ("duration('0')", "0s"),
        ("days(90) == duration('90d')", "true"),
        ("days(-1)", "-86400s"),
        ("days(9223372036854775807)", "Overflow"),
        ("days(4000000)", "Overflow"),
        ("duration(duration('1s'))", "1s"),
    ]);
}

#[test]
fn durations_add_and_compare() {
    gives(&[
        ("duration('1h') + duration('30m')", "5400s"),
        ("duration('1h') - duration('2h')", "-3600s"),
        ("-duration('1h')", "-3600s"),
        ("duration('719h') < days(30)", "true"),
        ("duration('1h') == duration('60m')", "true"),
        (
            "duration('315576000000s') + duration('315576000000s')",
            "Overflow",
        ),
        (
            "facts.schedules.all(s, duration(s.?ttl.orValue('720h')) < days(90))",
            "true",
        ),
    ]);
}

#[test]
fn parts_of_durations_are_whole_units_and_the_milliseconds_of_the_second() {
    gives(&[
        ("duration('90m').getHours()", "1"),
        ("duration('90m').getMinutes()", "90"),
        ("duration('90m').getSeconds()", "5400"),
        ("duration('123.321456789s').getMilliseconds()", "321"),
        ("duration('-90m').getHours()", "-1"),
    ]);
}

#[test]
fn timestamps_move_by_durations() {
    gives(&[
        (
            "timestamp('2024-02-28T23:00:00Z') + duration('2h')",
            "2024-02-29T01:00:00Z",
        ),
        (
            "duration('2h') + timestamp('2024-02-28T23:00:00Z')",
            "2024-02-29T01:00:00Z",
        ),
        (
            "timestamp('2024-03-01T00:00:00Z') - duration('1d')",
            "2024-02-29T00:00:00Z",
        ),
        (
            "timestamp('2024-03-01T00:00:00Z') - timestamp('2024-02-29T00:00:00Z')",
            "86400s",
        ),
        ("timestamp('9999-12-31T23:59:59Z') + duration('1s')", "Overflow"),
        ("timestamp('0001-01-01T00:00:00Z') - duration('1s')", "Overflow"),
        (
            "timestamp('2024-01-01T00:00:00Z') < timestamp('2024-01-01T00:00:00.001Z')",
            "true",
        ),
        (
            "timestamp('2024-01-01T02:00:00+02:00') == timestamp('2024-01-01T00:00:00Z')",
            "true",
        ),
        (
            "timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z')",
            "315537897599s",
        ),
        ("timestamp('yesterday')", "Conversion"),
        ("timestamp(timestamp(0))", "1970-01-01T00:00:00Z"),
    ]);
}

#[test]
fn parts_of_timestamps_count_as_cel_says() {
    let at = "timestamp('2024-02-29T12:30:45.678Z')";
    for (part, expected) in [
        ("getFullYear()", "2024"),
        ("getMonth()", "1"),
        ("getDate()", "29"),
        ("getDayOfMonth()", "28"),
        ("getDayOfWeek()", "4"),
        ("getDayOfYear()", "59"),
        ("getHours()", "12"),
        ("getMinutes()", "30"),
        ("getSeconds()", "45"),
        ("getMilliseconds()", "678"),
        ("getHours('+02:00')", "14"),
        ("getHours('-08:00')", "4"),
        ("getHours('02:00')", "14"),
        ("getHours('UTC')", "12"),
        ("getMinutes('+05:45')", "15"),
        ("getDate('+13:00')", "1"),
        ("getHours('Europe/Berlin')", "Argument"),
        ("getHours('+2')", "Argument"),
        ("getHours('+99:00')", "Argument"),
    ] {
        gives(&[(&format!("{at}.{part}"), expected)]);
    }
    gives(&[
        ("timestamp('2024-03-03T00:00:00Z').getDayOfWeek()", "0"),
        ("timestamp('9999-12-31T23:00:00Z').getDate('+23:00')", "Overflow"),
    ]);
}
