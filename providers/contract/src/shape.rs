//! The shape of a document: what may be declared, and how lists are compared.

use std::collections::BTreeMap;

/// What a part of a document may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Anything; nothing is known about it.
    Any,
    /// A boolean.
    Bool,
    /// An integer.
    Integer,
    /// Any number.
    Number,
    /// Text; of a closed list if that is not empty.
    String {
        /// The texts that are allowed.
        one_of: &'static [&'static str],
    },
    /// A map with any keys and values of one shape (tags, labels).
    Map(Box<Shape>),
    /// A map with known fields; others are errors.
    Object(BTreeMap<&'static str, Field>),
    /// A list.
    List {
        /// What each item is.
        item: Box<Shape>,
        /// How two lists compare.
        identity: ListIdentity,
    },
}

/// A known field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it holds.
    pub shape: Shape,
    /// Whether every document must have it.
    pub required: bool,
    /// What it means, in one sentence, with its source; for completion and generated docs.
    pub doc: &'static str,
}

/// How two lists compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListIdentity {
    /// As a whole, in order.
    Atomic,
    /// Item by item, by the fields that identify one. Items that aren't declared are foreign and stay.
    Keyed(&'static [&'static str]),
    /// As a set of scalars: order means nothing, foreign items stay.
    Set,
    /// As a whole, but order means nothing.
    Unordered,
}

impl Shape {
    /// Any text.
    pub const TEXT: Self = Self::String { one_of: &[] };

    /// The shape at the map key `key`.
    #[must_use]
    pub fn field(&self, key: &str) -> &Self {
        match self {
            Self::Object(fields) => fields.get(key).map_or(&Self::Any, |field| &field.shape),
            Self::Map(values) => values,
            _ => &Self::Any,
        }
    }

    /// The shape of a list's items, and how two such lists compare. Lists of unknown shape compare as a whole.
    #[must_use]
    pub fn items(&self) -> (&Self, ListIdentity) {
        match self {
            Self::List { item, identity } => (item, *identity),
            _ => (&Self::Any, ListIdentity::Atomic),
        }
    }
}
