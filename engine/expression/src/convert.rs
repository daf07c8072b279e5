//! Values to and from JSON, and for people.

use std::fmt;
use std::sync::Arc;

use crate::instants::{format_duration, format_timestamp};
use crate::{MapKey, Value};

/// Why a value has no JSON form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A value that couldn't be read.
    #[error("it couldn't be read")]
    Failed,
    /// An optional without a value, at the top.
    #[error("it is an optional without a value")]
    Empty,
    /// An infinite double, or one that is no number.
    #[error("JSON has no such number")]
    NotFinite,
    /// `omit()` at the top.
    #[error("it is left out")]
    Omit,
    /// A sensitive value, which only `expose` lets out.
    #[error("it is sensitive")]
    Sensitive,
    /// A type, as `type()` gives it.
    #[error("it is a type")]
    Type,
    /// A value known only after apply.
    #[error("it is known only after apply")]
    Unknown,
}

impl Value {
    /// The value of a JSON document.
    ///
    /// Missing is absent, never null: an entry of an object that is null isn't taken over. Null stays null in lists
    /// and at the top. Integers are ints, also where another tool would read them unsigned; those outside 64 bits
    /// are doubles.
    #[must_use]
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(bool) => Self::Bool(*bool),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::from(text.as_str()),
            serde_json::Value::Array(elements) => Self::list(elements.iter().map(Self::from_json)),
            serde_json::Value::Object(fields) => {
                let present = fields.iter().filter(|(_, value)| !value.is_null());
                Self::map(present.map(|(key, value)| (key.as_str(), Self::from_json(value))))
            }
        }
    }

    /// The JSON document of a value.
    ///
    /// Durations, timestamps and quantities become their strings, bytes become base64 text, keys become strings, an
    /// optional becomes its value. Inside lists and maps, `omit()` and optionals without a value are left out.
    ///
    /// # Errors
    ///
    /// Anything in it that is unknown, sensitive or failed, and what JSON can't express.
    pub fn to_json(&self) -> Result<serde_json::Value, JsonError> {
        Ok(match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(bool) => (*bool).into(),
            Self::Int(int) => (*int).into(),
            Self::Double(double) => serde_json::Number::from_f64(*double)
                .ok_or(JsonError::NotFinite)?
                .into(),
            Self::String(text) => text.as_ref().into(),
            Self::Bytes(bytes) => crate::functions::encode_base64(bytes).into(),
            Self::List(elements) => {
                let kept = elements.iter().filter(|element| !element.is_left_out());
                kept.map(Self::to_json).collect::<Result<Vec<_>, _>>()?.into()
            }
            Self::Map(entries) => {
                let kept = entries.iter().filter(|(_, value)| !value.is_left_out());
                let fields = kept.map(|(key, value)| Ok((key.to_string(), value.to_json()?)));
                serde_json::Value::Object(fields.collect::<Result<_, JsonError>>()?)
            }
            Self::Duration(duration) => format_duration(*duration).into(),
            Self::Timestamp(timestamp) => format_timestamp(*timestamp).into(),
            Self::Quantity(quantity) => quantity.to_string().into(),
            Self::Optional(Some(value)) => value.to_json()?,
            Self::Optional(None) => return Err(JsonError::Empty),
            Self::Type(_) => return Err(JsonError::Type),
            Self::Unknown(_) => return Err(JsonError::Unknown),
            Self::Sensitive(_) => return Err(JsonError::Sensitive),
            Self::Omit => return Err(JsonError::Omit),
            Self::Failed(_) => return Err(JsonError::Failed),
        })
    }

    /// Whether a list or map that would hold this holds nothing in its place: `omit()`, or an optional without a
    /// value.
    #[must_use]
    pub const fn is_left_out(&self) -> bool {
        matches!(self, Self::Omit | Self::Optional(None))
    }
}

/// As an expression would spell it, where it can be shown.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Int(int) => write!(f, "{int}"),
            Self::Double(double) => f.write_str(&format_double(*double)),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => write!(f, "b{:?}", String::from_utf8_lossy(bytes)),
            Self::List(elements) => {
                f.write_str("[")?;
                let mut separator = "";
                for element in elements.iter() {
                    write!(f, "{separator}{element}")?;
                    separator = ", ";
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                let mut separator = "";
                for (key, value) in entries.iter() {
                    write!(f, "{separator}{}: {value}", key.to_value())?;
                    separator = ", ";
                }
                f.write_str("}")
            }
            Self::Duration(duration) => f.write_str(&format_duration(*duration)),
            Self::Timestamp(timestamp) => f.write_str(&format_timestamp(*timestamp)),
            Self::Quantity(quantity) => write!(f, "{quantity}"),
            Self::Type(name) => write!(f, "{name}"),
            Self::Optional(Some(value)) => write!(f, "optional.of({value})"),
            Self::Optional(None) => f.write_str("optional.none()"),
            Self::Unknown(_) => f.write_str("(known after apply)"),
            Self::Sensitive(sensitive) => write!(f, "{sensitive}"),
            Self::Omit => f.write_str("omit()"),
            Self::Failed(_) => f.write_str("(could not be read)"),
        }
    }
}

/// A double as text: plain digits for ordinary sizes, an exponent for others, no point where it is whole.
pub(crate) fn format_double(double: f64) -> String {
    if double.is_nan() {
        return "NaN".into();
    }
    if double.is_infinite() {
        return if double > 0.0 {
            "+Inf".into()
        } else {
            "-Inf".into()
        };
    }
    let size = double.abs();
    if double == 0.0 || (1e-7..1e21).contains(&size) {
        format!("{double}")
    } else {
        format!("{double:e}")
    }
}

impl From<&MapKey> for Value {
    fn from(key: &MapKey) -> Self {
        key.to_value()
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::String(text)
    }
}

#[cfg(test)]
mod tests {
    use super::JsonError;
    use crate::{MapKey, Value};
    use serde_json::json;

    #[test]
    fn a_null_field_is_absent_and_a_null_element_stays() {
        let value = Value::from_json(&json!({"a": null, "b": [null, 1]}));
        assert_eq!(
            value,
            Value::map([("b", Value::list([Value::Null, Value::Int(1)]))])
        );
    }

    #[test]
    fn integers_are_ints_and_those_out_of_range_are_doubles() {
        assert_eq!(Value::from_json(&json!(42_u64)), Value::Int(42));
        assert_eq!(
            Value::from_json(&json!(u64::MAX)),
            Value::Double(18_446_744_073_709_551_615.0)
        );
        assert_eq!(Value::from_json(&json!(1.0)), Value::Double(1.0));
    }

    #[test]
    fn plain_values_come_back_from_json() {
        let json = json!({"list": [1, 2.5, "x", true], "map": {"k": "v"}});
        assert_eq!(Value::from_json(&json).to_json(), Ok(json));
    }

    #[test]
    fn durations_timestamps_and_quantities_become_their_strings() {
        let value = Value::list([
            Value::Duration(time::Duration::minutes(90)),
            Value::Timestamp(time::OffsetDateTime::UNIX_EPOCH),
            Value::Quantity(crate::Quantity::parse("1024Ki").unwrap().into()),
            Value::Bytes(b"hi".to_vec().into()),
        ]);
        assert_eq!(
            value.to_json(),
            Ok(json!(["5400s", "1970-01-01T00:00:00Z", "1Mi", "aGk="]))
        );
    }

    #[test]
    fn what_cannot_be_shown_has_no_json_form() {
        let nested = |value: Value| Value::list([Value::map([("k", value)])]).to_json();
        assert_eq!(nested(Value::sensitive("s3cret")), Err(JsonError::Sensitive));
        assert_eq!(nested(Value::unknown(["rules.bucket"])), Err(JsonError::Unknown));
        assert_eq!(nested(Value::Double(f64::NAN)), Err(JsonError::NotFinite));
        assert_eq!(Value::Omit.to_json(), Err(JsonError::Omit));
    }

    #[test]
    fn what_is_left_out_leaves_no_trace_in_json() {
        let value = Value::map([
            ("a", Value::Omit),
            ("b", Value::Optional(None)),
            ("c", Value::some(1.into())),
        ]);
        assert_eq!(value.to_json(), Ok(json!({"c": 1})));
    }

    #[test]
    fn keys_become_strings_in_json() {
        let value = Value::map([(MapKey::Int(1), Value::Bool(true))]);
        assert_eq!(value.to_json(), Ok(json!({"1": true})));
    }

    #[test]
    fn a_sensitive_value_shows_nowhere() {
        let value = Value::map([("password", Value::list([Value::sensitive("hunter2")]))]);
        for text in [format!("{value}"), format!("{value:?}"), format!("{value:#?}")] {
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("(sensitive value)"), "{text}");
        }
    }
}
