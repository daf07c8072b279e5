//! Between the values of expressions and those of documents.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::{Sensitive, Unknown, Value};
use holdfast_expression as expression;

/// A document's value as one that expressions use. Nulls in maps are left out: missing is absent, never null.
#[must_use]
pub fn to_expression(value: &Value) -> expression::Value {
    match value {
        Value::Null => expression::Value::Null,
        Value::Bool(value) => expression::Value::Bool(*value),
        Value::Number(number) => expression::Value::from_json(&serde_json::Value::Number(number.clone())),
        Value::String(text) => expression::Value::from(text.as_str()),
        Value::List(items) => expression::Value::list(items.iter().map(to_expression)),
        Value::Map(entries) => {
            let present = entries.iter().filter(|(_, value)| **value != Value::Null);
            expression::Value::map(present.map(|(key, value)| (key.as_str(), to_expression(value))))
        }
        Value::Unknown(unknown) => expression::Value::Unknown(unknown_to_expression(unknown)),
        Value::Sensitive(sealed) => expression::Value::sensitive(to_expression(sealed.expose())),
    }
}

fn unknown_to_expression(unknown: &Unknown) -> expression::Unknown {
    let mut converted = expression::Unknown::new(unknown.waits_for.iter().cloned());
    converted.sensitive = unknown.sensitive;
    converted
}

/// What an expression's value is in a document: `None` where it is left out.
///
/// Durations, timestamps and quantities become their texts, bytes base64 text, an optional its value.
///
/// # Errors
/// The part of it that no document can hold.
pub fn from_expression(value: &expression::Value) -> Result<Option<Value>, NoDocument> {
    Ok(Some(match value {
        expression::Value::Omit | expression::Value::Optional(None) => return Ok(None),
        expression::Value::Optional(Some(value)) => return from_expression(value),
        expression::Value::List(items) => {
            let items = items.iter().map(from_expression).filter_map(Result::transpose);
            Value::List(items.collect::<Result<_, _>>()?)
        }
        expression::Value::Map(entries) => {
            let mut converted = BTreeMap::new();
            for (key, value) in entries.iter() {
                if let Some(value) = from_expression(value)? {
                    converted.insert(key.to_string(), value);
                }
            }
            Value::Map(converted)
        }
        expression::Value::Unknown(unknown) => Value::Unknown(Unknown {
            waits_for: unknown.waits_for.as_ref().clone(),
            sensitive: unknown.sensitive,
        }),
        expression::Value::Sensitive(sealed) => match from_expression(sealed.expose())? {
            Some(value) => Value::Sensitive(Sensitive::new(value)),
            None => return Ok(None),
        },
        expression::Value::Failed(error) => return Err(NoDocument::Failed(Arc::clone(error))),
        scalar => match scalar.to_json() {
            Ok(json) => Value::from_json(json),
            Err(error) => return Err(NoDocument::NotJson(error)),
        },
    }))
}

/// Why a value can't stand in a document.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoDocument {
    /// It couldn't be read.
    #[error("{0}")]
    Failed(Arc<expression::Error>),
    /// JSON has nothing like it.
    #[error("this can't stand in a document: {0}")]
    NotJson(expression::JsonError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_and_sensitive_values_stay_what_they_are() {
        let waits = Unknown {
            waits_for: ["rules.x.name".to_owned()].into(),
            sensitive: true,
        };
        let value: Value = [
            ("a", Value::Unknown(waits)),
            ("b", Value::from("secret").sealed()),
            ("c", Value::from_json(json!([1, 2.5, "x", {"d": true}]))),
        ]
        .into_iter()
        .collect();
        assert_eq!(from_expression(&to_expression(&value)), Ok(Some(value)));
    }

    #[test]
    fn nulls_and_what_is_left_out_are_absent() {
        let value = Value::from_json(json!({"a": null, "b": 1}));
        assert_eq!(
            from_expression(&to_expression(&value)),
            Ok(Some(Value::from_json(json!({"b": 1}))))
        );
        let list = expression::Value::list([
            expression::Value::Omit,
            expression::Value::Optional(None),
            expression::Value::some(expression::Value::Int(1)),
        ]);
        assert_eq!(from_expression(&list), Ok(Some(Value::from_json(json!([1])))));
    }
}
