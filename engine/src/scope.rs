//! What expressions may see: parameters, facts, variables, rules, `each` and `self`.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::{FacetState, Kind, Observed};
use holdfast_expression::{Error, ErrorKind, MapKey, Scope, Span, Value};
use holdfast_policy::to_expression;

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

/// What `self` is in an expression about what was observed: a part that could not be read is an error where it is used,
/// and never missing.
#[must_use]
pub fn own(kind: &dyn Kind, observed: &Observed) -> Value {
    let whole = to_expression(&kind.document(observed));
    let unread: Vec<(MapKey, Value)> = observed
        .facets
        .iter()
        .filter_map(|(facet, state)| match state {
            FacetState::Unreadable(error) => {
                let name = facet.as_str();
                Some((MapKey::from(name), unreadable(&format!("self.{name}"), error)))
            }
            FacetState::Set(_) | FacetState::Unset => None,
        })
        .collect();
    match whole {
        Value::Map(entries) if !unread.is_empty() => {
            let known = entries.iter().map(|(key, value)| (key.clone(), value.clone()));
            Value::map(known.chain(unread))
        }
        other => other,
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
