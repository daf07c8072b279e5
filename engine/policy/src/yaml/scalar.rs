//! What a scalar without quotes means: the core schema of YAML 1.2.

use super::Data;
use crate::anchor::Style;

/// Why a plain scalar has no meaning that everybody shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ambiguous {
    /// JSON has no such number.
    NotJson,
    /// Digits after a zero: decimal by YAML 1.2, octal by YAML 1.1, which kubectl reads.
    LeadingZero,
}

/// Resolves a plain scalar. `yes`, `on` and `1:30` are texts.
pub(super) fn resolve(text: &str) -> Result<Data, Ambiguous> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ if is_not_finite(text) => return Err(Ambiguous::NotJson),
        _ if has_leading_zero(text) => return Err(Ambiguous::LeadingZero),
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

/// Up to seven, it is the same number both ways.
fn has_leading_zero(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = unsigned.trim_start_matches('0');
    digits.len() < unsigned.len()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() > 1 || matches!(digits, "8" | "9"))
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
            Ok(Data::Null) => "null".to_owned(),
            Ok(Data::Bool(value)) => value.to_string(),
            Ok(Data::Number(number)) => number.to_string(),
            Ok(Data::Text(text, _)) => format!("{text:?}"),
            Ok(_) => "no scalar".to_owned(),
            Err(why) => format!("{why:?}"),
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
            ("0", "0"),
            ("00", "0"),
            ("-007", "-7"),
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
    fn what_json_cannot_hold_is_nothing() {
        for text in [".inf", "-.Inf", ".nan"] {
            assert_eq!(shown(text), "NotJson", "{text}");
        }
    }

    #[test]
    fn a_number_that_two_versions_of_yaml_read_as_two_is_neither() {
        for text in ["0400", "012", "-0644", "08", "09", "0123456789012", "0089"] {
            assert_eq!(shown(text), "LeadingZero", "{text}");
        }
        assert_eq!(shown("0.5"), "0.5");
        assert_eq!(shown("0400m"), "\"0400m\"");
    }
}
