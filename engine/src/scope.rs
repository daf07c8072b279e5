//! What expressions may see: parameters, facts, variables, rules, `each` and `self`.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_expression::{Error, ErrorKind, Scope, Span, Value};

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
        Self {
            shared: Arc::new(shared),
            own: BTreeMap::new(),
        }
    }

    /// The same with `name` in front.
    #[must_use]
    pub fn with(&self, name: &'static str, value: Value) -> Self {
        let mut own = self.own.clone();
        own.insert(name, value);
        Self {
            shared: Arc::clone(&self.shared),
            own,
        }
    }
}

impl Scope for Roots {
    fn root(&self, name: &str) -> Option<Value> {
        self.own.get(name).or_else(|| self.shared.get(name)).cloned()
    }
}

/// A value whose use is an error: it could not be read.
#[must_use]
pub fn unreadable(what: &str, why: &impl ToString) -> Value {
    failed(
        ErrorKind::Unreadable,
        format!("{what} can't be read: {}", why.to_string()),
    )
}

/// A value whose use is an error.
#[must_use]
pub fn failed(kind: ErrorKind, message: String) -> Value {
    Value::Failed(Arc::new(Error::new(kind, Span::default(), message)))
}

/// A value that isn't there: its use is a `Missing` error that names `path`.
#[must_use]
pub fn missing(path: &str) -> Value {
    failed(
        ErrorKind::Missing {
            path: path.to_owned(),
        },
        format!("`{path}` isn't there"),
    )
}
