//! Kubernetes quantities: `500m`, `1Gi`, `2.5`, `1e3`.

use std::cmp::Ordering;
use std::fmt;

/// A Kubernetes quantity, held exactly to a billionth. Quantities compare by amount: `1000m` equals `1`.
#[derive(Clone, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Which suffixes a quantity is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `k`, `M`, `G`, …
    Decimal,
    /// `Ki`, `Mi`, `Gi`, …
    Binary,
    /// `e3`, `e6`, …
    Exponent,
}

const ONE: i128 = 1_000_000_000;
const KIBI: i128 = 1024;

/// Decimal suffixes with the power of ten of their unit in billionths, largest first.
const DECIMAL: [(&str, u32); 10] = [
    ("E", 27),
    ("P", 24),
    ("T", 21),
    ("G", 18),
    ("M", 15),
    ("k", 12),
    ("", 9),
    ("m", 6),
    ("u", 3),
    ("n", 0),
];

/// Binary suffixes with their power of 1024, largest first.
const BINARY: [(&str, u32); 6] = [("Ei", 6), ("Pi", 5), ("Ti", 4), ("Gi", 3), ("Mi", 2), ("Ki", 1)];

/// The longest text that is read as a quantity. No quantity in range needs more.
const LONGEST: usize = 80;

impl Quantity {
    /// Reads a quantity as Kubernetes does: a signed decimal number and a suffix or exponent.
    ///
    /// What is finer than a billionth is rounded away from zero, as Kubernetes does. Nothing where the text is no
    /// quantity, or above about 10^29.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = unsigned
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at_checked(end)?;
        let (scale, divisor_power, format) = unit(suffix)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let digits: String = [whole, fraction.trim_end_matches('0')].concat();
        let digits = if digits.is_empty() {
            0
        } else {
            digits.parse::<i128>().ok()?
        };
        let places = u32::try_from(fraction.trim_end_matches('0').len()).ok()?;
        let scaled = digits.checked_mul(scale)?;
        let divisor = 10_i128.checked_pow(places.checked_add(divisor_power)?)?;
        let rounded_up = i128::from(scaled.checked_rem(divisor)? != 0);
        let nanos = scaled.checked_div(divisor)?.checked_add(rounded_up)?;
        Some(Self {
            nanos: if negative { nanos.checked_neg()? } else { nanos },
            format,
        })
    }

    /// The whole number, where this is one that fits.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        if self.nanos.checked_rem(ONE)? == 0 {
            i64::try_from(self.nanos.checked_div(ONE)?).ok()
        } else {
            None
        }
    }

    /// The nearest floating-point number.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "the result is documented as the nearest double"
    )]
    pub fn as_double(&self) -> f64 {
        self.nanos as f64 / ONE as f64
    }

    /// -1, 0 or 1.
    #[must_use]
    pub fn sign(&self) -> i64 {
        i64::try_from(self.nanos.signum()).unwrap_or_default()
    }

    /// The sum, written like this one. Nothing where it is out of range.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        Some(Self {
            nanos: self.nanos.checked_add(other.nanos)?,
            format: self.format,
        })
    }

    /// The difference, written like this one. Nothing where it is out of range.
    #[must_use]
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        Some(Self {
            nanos: self.nanos.checked_sub(other.nanos)?,
            format: self.format,
        })
    }
}

impl From<i64> for Quantity {
    fn from(int: i64) -> Self {
        // An i64 times a billion is far within an i128.
        Self {
            nanos: i128::from(int).saturating_mul(ONE),
            format: Format::Decimal,
        }
    }
}

/// A suffix as what to multiply by, what power of ten to divide by, and how it is written.
fn unit(suffix: &str) -> Option<(i128, u32, Format)> {
    if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some((KIBI.checked_pow(*power)?.checked_mul(ONE)?, 0, Format::Binary));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((10_i128.checked_pow(*power)?, 0, Format::Decimal));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
    let power = exponent.checked_add(9)?;
    let magnitude = power.unsigned_abs();
    if power >= 0 {
        Some((10_i128.checked_pow(magnitude)?, 0, Format::Exponent))
    } else {
        Some((1, magnitude, Format::Exponent))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// The canonical form: no fraction, and the largest suffix that loses nothing.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divided = |unit: i128| match self.nanos.checked_rem(unit) {
            Some(0) => self.nanos.checked_div(unit),
            _ => None,
        };
        if self.nanos == 0 {
            return f.write_str("0");
        }
        if self.format == Format::Binary {
            for (suffix, power) in BINARY {
                let unit = KIBI.checked_pow(power).and_then(|unit| unit.checked_mul(ONE));
                if let Some(amount) = unit.and_then(divided) {
                    return write!(f, "{amount}{suffix}");
                }
            }
        }
        for (suffix, power) in DECIMAL {
            let Some(amount) = 10_i128.checked_pow(power).and_then(divided) else {
                continue;
            };
            return match (self.format, i64::from(power).saturating_sub(9)) {
                // Kubernetes writes binary amounts below a kibibyte without a suffix, not as `1k`.
                (Format::Binary, exponent) if exponent > 0 => match divided(ONE) {
                    Some(whole) => write!(f, "{whole}"),
                    None => write!(f, "{amount}{suffix}"),
                },
                (Format::Exponent, 0) => write!(f, "{amount}"),
                (Format::Exponent, exponent) => write!(f, "{amount}e{exponent}"),
                _ => write!(f, "{amount}{suffix}"),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    fn parse(text: &str) -> Quantity {
        Quantity::parse(text).unwrap_or_else(|| panic!("{text} is a quantity"))
    }

    #[test]
    fn amounts_compare_across_suffixes() {
        assert_eq!(parse("1000m"), parse("1"));
        assert_eq!(parse("1Ki"), parse("1024"));
        assert_eq!(parse("1.5Gi"), parse("1536Mi"));
        assert_eq!(parse("1e3"), parse("1k"));
        assert_eq!(parse("1E"), parse("1e18"));
        assert_eq!(parse("-0.5"), parse("-500m"));
        assert!(parse("500M") < parse("500Mi"));
    }

    #[test]
    fn the_canonical_form_is_the_largest_suffix_that_loses_nothing() {
        for (text, canonical) in [
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("0.5", "500m"),
            ("1024Ki", "1Mi"),
            ("1.5Gi", "1536Mi"),
            ("12000", "12k"),
            ("1e3", "1e3"),
            ("0Gi", "0"),
            ("0.5Ki", "512"),
            ("1000Ki", "1000Ki"),
            ("-2000", "-2k"),
        ] {
            assert_eq!(parse(text).to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn finer_than_a_billionth_is_rounded_away_from_zero() {
        assert_eq!(parse("0.0000000001"), parse("1n"));
        assert_eq!(parse("-0.0000000001"), parse("-1n"));
        assert_eq!(parse("1e-30"), parse("1n"));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.2.3",
            "1gi",
            "1 Gi",
            "Gi",
            "1e",
            "1e1.5",
            "1e999999",
            "99999999999999999999999999999999999Ei",
        ] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
        assert!(Quantity::parse(&"1".repeat(1_000_000)).is_none());
    }

    #[test]
    fn a_whole_amount_is_an_int() {
        assert_eq!(parse("2k").as_int(), Some(2000));
        assert_eq!(parse("1500m").as_int(), None);
        assert_eq!(parse("100E").as_int(), None);
    }
}
