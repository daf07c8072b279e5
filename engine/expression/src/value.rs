//! Values: what expressions take and give.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::{Error, Quantity, TypeName};

/// A value. Cloning is cheap: what is large is shared.
///
/// `==` in Rust compares exactly (`Int(1)` isn't `Double(1.0)`); the language's own `==` compares numbers by value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`. Observed documents never have it as a map's value, see [`Value::from_json`].
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    String(Arc<str>),
    /// Raw bytes.
    Bytes(Arc<[u8]>),
    /// A list.
    List(Arc<Vec<Value>>),
    /// A map, in key order.
    Map(Arc<BTreeMap<MapKey, Value>>),
    /// A span of time, at most 10,000 years either way.
    Duration(time::Duration),
    /// An instant, in UTC.
    Timestamp(time::OffsetDateTime),
    /// A Kubernetes quantity.
    Quantity(Arc<Quantity>),
    /// What `type()` gives.
    Type(TypeName),
    /// A value that may be absent: what `.?` gives.
    Optional(Option<Box<Value>>),
    /// Known only after apply.
    Unknown(Unknown),
    /// Must not be shown. Made by [`Value::sensitive`].
    Sensitive(Sensitive),
    /// What `omit()` gives: the field or element it stands for is left out.
    Omit,
    /// Couldn't be read. Only an expression that uses it fails, and with this error.
    Failed(Arc<Error>),
}

/// A key of a map. Bools come before ints, ints before strings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MapKey {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text.
    String(Arc<str>),
}

/// A value known only after apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The rules and facts it waits for, by address, for messages.
    pub waits_for: Arc<BTreeSet<String>>,
    /// Whether it is sensitive once it is known.
    pub sensitive: bool,
}

impl Unknown {
    /// Waits for these.
    pub fn new<N: Into<String>>(waits_for: impl IntoIterator<Item = N>) -> Self {
        Self {
            waits_for: Arc::new(waits_for.into_iter().map(Into::into).collect()),
            sensitive: false,
        }
    }

    /// Waits for what either waits for.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        if !other.waits_for.is_subset(&self.waits_for) {
            Arc::make_mut(&mut self.waits_for).extend(other.waits_for.iter().cloned());
        }
        self.sensitive |= other.sensitive;
        self
    }
}

/// A value that must not be shown. Its `Debug` and `Display` print `(sensitive value)`.
#[derive(Clone, PartialEq)]
pub struct Sensitive(Box<Value>);

impl Sensitive {
    /// The value itself: the only way out. Whoever calls it answers for where the value goes.
    #[must_use]
    pub fn expose(&self) -> &Value {
        &self.0
    }

    /// The value itself, owned. Whoever calls it answers for where the value goes.
    #[must_use]
    pub fn into_exposed(self) -> Value {
        *self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(sensitive value)")
    }
}

impl fmt::Display for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(sensitive value)")
    }
}

impl Value {
    /// A value that must not be shown. What is sensitive already stays as it is; an unknown value stays unknown and
    /// remembers it; a failed one holds nothing to hide.
    #[must_use]
    pub fn sensitive(value: impl Into<Self>) -> Self {
        match value.into() {
            Self::Unknown(unknown) => Self::Unknown(Unknown {
                sensitive: true,
                ..unknown
            }),
            value @ (Self::Sensitive(_) | Self::Failed(_)) => value,
            value => Self::Sensitive(Sensitive(Box::new(value))),
        }
    }

    /// A value known only after apply, which waits for these.
    pub fn unknown<N: Into<String>>(waits_for: impl IntoIterator<Item = N>) -> Self {
        Self::Unknown(Unknown::new(waits_for))
    }

    /// A list of these.
    pub fn list<V: Into<Self>>(elements: impl IntoIterator<Item = V>) -> Self {
        Self::List(Arc::new(elements.into_iter().map(Into::into).collect()))
    }

    /// A map of these.
    pub fn map<K: Into<MapKey>, V: Into<Self>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value.into()));
        Self::Map(Arc::new(entries.collect()))
    }

    /// A present optional.
    #[must_use]
    pub fn some(value: Self) -> Self {
        Self::Optional(Some(Box::new(value)))
    }

    /// The text of a string, else nothing.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The value of a bool, else nothing.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(bool) = self {
            Some(*bool)
        } else {
            None
        }
    }

    /// The value of an int, else nothing.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        if let Self::Int(int) = self {
            Some(*int)
        } else {
            None
        }
    }

    /// The elements of a list, else nothing.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(elements) = self {
            Some(elements)
        } else {
            None
        }
    }

    /// The entries of a map, else nothing.
    #[must_use]
    pub fn as_map(&self) -> Option<&BTreeMap<MapKey, Self>> {
        if let Self::Map(entries) = self {
            Some(entries)
        } else {
            None
        }
    }

    /// The value under a string key of a map, else nothing. It doesn't look through sensitive values or optionals.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.as_map()?.get(&MapKey::from(name))
    }

    /// The word for what this is, for messages: `int`, `list`, `unknown`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Duration(_) => "duration",
            Self::Timestamp(_) => "timestamp",
            Self::Quantity(_) => "quantity",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional",
            Self::Unknown(_) => "unknown",
            Self::Sensitive(_) => "sensitive",
            Self::Omit => "omit",
            Self::Failed(_) => "failed",
        }
    }
}

impl MapKey {
    /// The text of a string key, else nothing.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The key as a value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Int(int) => Value::Int(*int),
            Self::String(text) => Value::String(Arc::clone(text)),
        }
    }
}

/// The key without quotes.
impl fmt::Display for MapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Int(int) => write!(f, "{int}"),
            Self::String(text) => f.write_str(text),
        }
    }
}

impl From<&str> for MapKey {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for MapKey {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Arc<str>> for MapKey {
    fn from(text: Arc<str>) -> Self {
        Self::String(text)
    }
}

impl From<i64> for MapKey {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<i32> for MapKey {
    fn from(int: i32) -> Self {
        Self::Int(int.into())
    }
}

impl From<bool> for MapKey {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<i32> for Value {
    fn from(int: i32) -> Self {
        Self::Int(int.into())
    }
}

impl From<f64> for Value {
    fn from(double: f64) -> Self {
        Self::Double(double)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::List(Arc::new(elements))
    }
}

impl From<BTreeMap<MapKey, Value>> for Value {
    fn from(entries: BTreeMap<MapKey, Value>) -> Self {
        Self::Map(Arc::new(entries))
    }
}

impl From<Unknown> for Value {
    fn from(unknown: Unknown) -> Self {
        Self::Unknown(unknown)
    }
}
