//! What expressions may see: parameters, facts, variables, rules, `each` and `self`.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract as contract;
use holdfast_expression::{Error, ErrorKind, MapKey, Scope, Span, Value};

/// The roots, shared between all expressions of one pass; `each` and `self` are added for a moment.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    shared: Arc<BTreeMap<String, Value>>,
    own: BTreeMap<&'static str, Value>,
}

impl Roots {
    /// The roots that all expressions of a pass share.
    #[must_use]
    pub fn new(shared: BTreeMap<String, Value>) -> Self {
        Self { shared: Arc::new(shared), own: BTreeMap::new() }
    }

    /// The same with `name` in front.
    #[must_use]
    pub fn with(&self, name: &'static str, value: Value) -> Self {
        let mut own = self.own.clone();
        own.insert(name, value);
        Self { shared: Arc::clone(&self.shared), own }
    }
}

impl Scope for Roots {
    fn root(&self, name: &str) -> Option<Value> {
        self.own.get(name).or_else(|| self.shared.get(name)).cloned()
    }
}

/// A document as expressions see it: sensitive parts tainted, nulls absent.
#[must_use]
pub fn to_expression(value: &contract::Value) -> Value {
    match value {
        contract::Value::Null => Value::Null,
        contract::Value::Bool(value) => Value::Bool(*value),
        contract::Value::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Double(number.as_f64().unwrap_or_default()),
        },
        contract::Value::String(text) => Value::from(text.as_str()),
        contract::Value::List(items) => Value::list(items.iter().map(to_expression)),
        contract::Value::Map(entries) => Value::map(
            entries
                .iter()
                .filter(|(_, value)| **value != contract::Value::Null)
                .map(|(key, value)| (MapKey::from(key.as_str()), to_expression(value))),
        ),
        contract::Value::Unknown(unknown) => {
            let value = Value::unknown(unknown.waits_for.iter().cloned());
            if unknown.sensitive { Value::sensitive(value) } else { value }
        }
        contract::Value::Sensitive(sealed) => Value::sensitive(to_expression(sealed.expose())),
    }
}

/// A value whose use is an error: it could not be read.
#[must_use]
pub fn unreadable(what: &str, why: &impl ToString) -> Value {
    failed(ErrorKind::Unreadable, format!("{what} can't be read: {}", why.to_string()))
}

/// A value whose use is an error.
#[must_use]
pub fn failed(kind: ErrorKind, message: String) -> Value {
    Value::Failed(Arc::new(Error::new(kind, Span::default(), message)))
}

/// A value that isn't there: its use is a `Missing` error that names `path`.
#[must_use]
pub fn missing(path: &str) -> Value {
    failed(ErrorKind::Missing { path: path.to_owned() }, format!("`{path}` isn't there"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn observed_nulls_are_absent_and_integers_are_ints() {
        let value = to_expression(&contract::Value::from_json(json!({"a": null, "b": 1, "c": 1.5})));
        assert!(value.field("a").is_none());
        assert_eq!(value.field("b"), Some(&Value::Int(1)));
        assert_eq!(value.field("c"), Some(&Value::Double(1.5)));
    }

    #[test]
    fn secrets_stay_tainted() {
        let value = to_expression(&contract::Value::from("hunter2").sealed());
        assert!(!format!("{value:?}").contains("hunter2"));
    }
}
