//! What a scalar without quotes means: the core schema of YAML 1.2.

use super::Data;
use crate::anchor::Style;

/// Resolves a plain scalar. `yes`, `on` and `1:30` are texts; `012` is twelve. Nothing where JSON has no such number.
pub(super) fn resolve(text: &str) -> Option<Data> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ if is_not_finite(text) => return None,
        _ => match number(text) {
            Some(number) => Data::Number(number),
            None => Data::Text(text.to_owned(), Style::Plain),
        },
    })
}

fn is_not_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn number(text: &str) -> Option<serde_json::Number> {
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let positive = text.strip_prefix('+').unwrap_or(text);
        if let Ok(number) = positive.parse::<i64>() {
            return Some(number.into());
        }
        return match positive.parse::<u64>() {
            Ok(number) => Some(number.into()),
            Err(_) => serde_json::Number::from_f64(positive.parse().ok()?),
        };
    }
    is_float(unsigned)
        .then(|| text.parse().ok().and_then(serde_json::Number::from_f64))
        .flatten()
}

fn based(digits: &str, base: u32) -> Option<serde_json::Number> {
    // The standard library would take a sign here.
    if digits.starts_with(['-', '+']) {
        return None;
    }
    i64::from_str_radix(digits, base).ok().map(Into::into)
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let exponent_fits =
        exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            (digits(whole) && (fraction.is_empty() || digits(fraction)))
                || (whole.is_empty() && digits(fraction))
        }
        None => digits(mantissa),
    };
    exponent_fits && mantissa_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match resolve(text) {
            Some(Data::Null) => "null".to_owned(),
            Some(Data::Bool(value)) => value.to_string(),
            Some(Data::Number(number)) => number.to_string(),
            Some(Data::Text(text, _)) => format!("{text:?}"),
            _ => "none".to_owned(),
        }
    }

    #[test]
    fn words_of_older_yaml_are_texts() {
        for word in [
            "y",
            "yes",
            "on",
            "off",
            "No",
            "1:30",
            "1_000",
            "0b1",
            "2026-01-01",
            "0x",
            "1e",
            ".",
            "-",
        ] {
            assert_eq!(shown(word), format!("{word:?}"));
        }
    }

    #[test]
    fn numbers_are_those_of_the_core_schema() {
        let cases = [
            ("012", "12"),
            ("+3", "3"),
            ("-7", "-7"),
            ("0o17", "15"),
            ("0xfF", "255"),
            ("1.50", "1.5"),
            (".5", "0.5"),
            ("1.", "1.0"),
            ("1e3", "1000.0"),
            ("18446744073709551615", "18446744073709551615"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_json_cannot_hold_is_none() {
        assert_eq!(shown(".inf"), "none");
        assert_eq!(shown("-.Inf"), "none");
        assert_eq!(shown(".nan"), "none");
    }
}
