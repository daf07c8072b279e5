//! What is known about a value before it is there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A type, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Anything: checked when evaluated.
    Dyn,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A floating-point number.
    Double,
    /// Text.
    String,
    /// Raw bytes.
    Bytes,
    /// A list whose elements are of one type.
    List(Box<Type>),
    /// A map with string keys, whose values are of one type. Maps with other keys are [`Type::Dyn`].
    Map(Box<Type>),
    /// A map with known fields.
    Object(ObjectType),
    /// A span of time.
    Duration,
    /// An instant.
    Timestamp,
    /// A Kubernetes quantity.
    Quantity,
    /// A value that may be absent: what `.?` gives.
    Optional(Box<Type>),
}

/// A map with known fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectType {
    /// The fields by name. Shared, because each expression that names an object takes its type along.
    pub fields: Arc<BTreeMap<String, Field>>,
    /// Whether other fields may be there too. Where not, naming one is a compile-time error.
    pub open: bool,
    /// What messages call it: `facts`, `parameters`.
    pub label: String,
}

/// A field of an [`ObjectType`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its type where it is there.
    pub r#type: Type,
    /// Whether it may be absent. Selecting an absent field is an evaluation error, not a compile-time one.
    pub optional: bool,
}

impl Field {
    /// A field that is always there.
    #[must_use]
    pub const fn required(r#type: Type) -> Self {
        Self {
            r#type,
            optional: false,
        }
    }

    /// A field that may be absent.
    #[must_use]
    pub const fn optional(r#type: Type) -> Self {
        Self {
            r#type,
            optional: true,
        }
    }
}

impl ObjectType {
    /// An object with these fields and no others.
    #[must_use]
    pub fn closed<N: Into<String>>(
        label: impl Into<String>,
        fields: impl IntoIterator<Item = (N, Field)>,
    ) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, field)| (name.into(), field))
            .collect();
        Self {
            fields: Arc::new(fields),
            open: false,
            label: label.into(),
        }
    }

    /// The same object, which may have other fields too.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }
}

impl Type {
    /// A list of this.
    #[must_use]
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    /// A map from strings to this.
    #[must_use]
    pub fn map(value: Self) -> Self {
        Self::Map(Box::new(value))
    }

    /// Perhaps this.
    #[must_use]
    pub fn maybe(inner: Self) -> Self {
        Self::Optional(Box::new(inner))
    }

    /// What is known of a value that is of one of the two types.
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (left, right) if left == right => left,
            (Self::List(left), Self::List(right)) => Self::list(left.join(*right)),
            (Self::Map(left), Self::Map(right)) => Self::map(left.join(*right)),
            (Self::Optional(left), Self::Optional(right)) => Self::maybe(left.join(*right)),
            _ => Self::Dyn,
        }
    }

    pub(crate) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    pub(crate) const fn is_map(&self) -> bool {
        matches!(self, Self::Map(_) | Self::Object(_))
    }

    /// What a loop over this gives: the key or index, and the value. Nothing where it can't be looped over.
    pub(crate) fn entries(&self) -> Option<(Self, Self)> {
        match self {
            Self::Dyn => Some((Self::Dyn, Self::Dyn)),
            Self::List(element) => Some((Self::Int, (**element).clone())),
            Self::Map(value) => Some((Self::String, (**value).clone())),
            Self::Object(object) => {
                let mut types = object.fields.values().map(|field| field.r#type.clone());
                let value = match types.next() {
                    Some(first) if !object.open => types.fold(first, Self::join),
                    _ => Self::Dyn,
                };
                Some((Self::String, value))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dyn => "value",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::List(_) => "list",
            Self::Map(_) | Self::Object(_) => "map",
            Self::Duration => "duration",
            Self::Timestamp => "timestamp",
            Self::Quantity => "quantity",
            Self::Optional(_) => "optional",
        })
    }
}

/// The type of a value at evaluation: what `type()` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TypeName {
    /// `bool`
    Bool,
    /// `bytes`
    Bytes,
    /// `double`
    Double,
    /// `duration`
    Duration,
    /// `int`
    Int,
    /// `list`
    List,
    /// `map`
    Map,
    /// `null_type`
    Null,
    /// `optional_type`
    Optional,
    /// `quantity`
    Quantity,
    /// `string`
    String,
    /// `timestamp`
    Timestamp,
    /// `type`
    Type,
}

impl TypeName {
    const ALL: [Self; 13] = [
        Self::Bool,
        Self::Bytes,
        Self::Double,
        Self::Duration,
        Self::Int,
        Self::List,
        Self::Map,
        Self::Null,
        Self::Optional,
        Self::Quantity,
        Self::String,
        Self::Timestamp,
        Self::Type,
    ];

    /// How expressions spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::Double => "double",
            Self::Duration => "duration",
            Self::Int => "int",
            Self::List => "list",
            Self::Map => "map",
            Self::Null => "null_type",
            Self::Optional => "optional_type",
            Self::Quantity => "quantity",
            Self::String => "string",
            Self::Timestamp => "timestamp",
            Self::Type => "type",
        }
    }

    /// The type with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|candidate| candidate.name() == name)
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
