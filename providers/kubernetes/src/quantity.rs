//! Resource quantities: `1000m` is `1`, `1Gi` is `1024Mi`.
//!
//! Format: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use holdfast_contract::{ApiType, Path, Segment, Value};

/// Whether `a` and `b` are quantities of the same amount, exactly. What can't be computed exactly is not the same.
pub(crate) fn same_amount(a: &Value, b: &Value) -> bool {
    match (nano_of(a), nano_of(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// Whether quantities stand at `path` of an object of the built-in type `api`.
///
/// Only there may two different texts be the same value: `"1000m"` in a `ConfigMap` is not `"1"`.
pub(crate) fn is_quantity_place(api: &ApiType, path: &Path) -> bool {
    if matches!(
        api.kind.as_str(),
        "ConfigMap" | "CustomResourceDefinition" | "Secret"
    ) {
        return false;
    }
    let keys: Vec<&str> = path
        .segments()
        .iter()
        .filter_map(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) | Segment::Item(_) => None,
        })
        .collect();
    if keys.first() == Some(&"metadata") || keys.contains(&"annotations") || keys.contains(&"labels") {
        return false;
    }
    match keys.as_slice() {
        [.., "divisor" | "sizeLimit"]
        | [
            ..,
            "allocatable" | "capacity" | "hard" | "limits" | "overhead" | "requests" | "used",
            _,
        ] => true,
        [
            ..,
            "default" | "defaultRequest" | "max" | "maxLimitRequestRatio" | "min",
            _,
        ] => api.kind == "LimitRange",
        [.., "target", "averageValue" | "value"] => api.kind == "HorizontalPodAutoscaler",
        _ => false,
    }
}

/// The amount in billionths.
fn nano_of(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => nano(text),
        Value::Number(number) => nano(&number.to_string()),
        _ => None,
    }
}

fn nano(text: &str) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    // Zeros at the end of a fraction say nothing, and would only make the arithmetic overflow.
    let fraction = fraction.trim_end_matches('0');
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let decimals = i32::try_from(fraction.len()).ok()?;
    let (factor, exponent) = scale(suffix)?;
    let amount = ten_to(
        digits.checked_mul(factor)?,
        9_i32.checked_add(exponent)?.checked_sub(decimals)?,
    )?;
    Some(if negative { -amount } else { amount })
}

/// A suffix as a factor and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "" => (1, 0),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => (1, suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

/// `digits` times ten to the `exponent`, if that is a whole number that fits.
fn ten_to(digits: i128, exponent: i32) -> Option<i128> {
    if digits == 0 {
        return Some(0);
    }
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 {
        digits.checked_mul(power)
    } else {
        (digits % power == 0).then_some(digits / power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn same(a: impl Into<serde_json::Value>, b: impl Into<serde_json::Value>) -> bool {
        same_amount(&Value::from_json(a.into()), &Value::from_json(b.into()))
    }

    #[test]
    fn the_same_amount_in_other_words_is_the_same() {
        assert!(same("1000m", "1"));
        assert!(same("1Gi", "1024Mi"));
        assert!(same("0.5", "500m"));
        assert!(same("1e3", "1k"));
        assert!(same("1.50", "1500m"));
        assert!(same(".5", "500m"));
        assert!(same("128Mi", "134217728"));
        assert!(same(json!(2), "2000m"));
        assert!(same("0", "0Gi"));
        assert!(same("-1", "-1000m"));
    }

    #[test]
    fn another_amount_or_no_quantity_is_not_the_same() {
        assert!(!same("1", "2"));
        assert!(!same("1M", "1Mi"));
        assert!(!same("1", "-1"));
        assert!(!same("x", "x"));
        assert!(!same("", "0"));
        assert!(!same("1..2", "1.2"));
        assert!(!same("1 Gi", "1Gi"));
        assert!(!same("1e99", "1e99"), "what doesn't fit is left to the server");
        assert!(!same("0.1n", "0.1n"), "so is what is finer than a billionth");
    }

    #[test]
    fn quantities_stand_only_where_the_api_has_them() {
        let place = |kind, keys: &[&str]| is_quantity_place(&ApiType::new("v1", kind), &Path::of(keys));
        assert!(place(
            "Pod",
            &["spec", "containers", "resources", "requests", "cpu"]
        ));
        assert!(place("ResourceQuota", &["spec", "hard", "pods"]));
        assert!(place("Pod", &["spec", "volumes", "emptyDir", "sizeLimit"]));
        assert!(!place("ConfigMap", &["data", "requests", "cpu"]));
        assert!(!place("Pod", &["metadata", "annotations", "limits", "cpu"]));
        assert!(!place("Pod", &["spec", "nodeName"]));
    }

    proptest! {
        #[test]
        fn milli_units_are_thousandths(amount in 0_i64..1_000_000_000) {
            let milli = format!("{amount}000m");
            prop_assert!(same(amount.to_string(), milli.clone()));
            prop_assert!(!same((amount + 1).to_string(), milli));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,24}") {
            let _ = nano(&text);
        }
    }
}
