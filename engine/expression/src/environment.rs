//! What an expression may name, and what it is evaluated with.

use std::collections::BTreeMap;
use std::fmt;

use time::OffsetDateTime;

use crate::{Type, Value};

/// Reads YAML text into a document, for `yaml()`. Its error may quote the text: it is never shown.
pub type YamlDecoder = fn(&str) -> Result<serde_json::Value, String>;

/// What an expression may name: roots with their types, and functions allowed only in some places.
///
/// ```
/// use holdfast_expression::{Environment, Type};
/// let environment = Environment::new().root("parameters", Type::Dyn).allow_now();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub(crate) roots: BTreeMap<String, Type>,
    pub(crate) now: bool,
    pub(crate) random: bool,
    pub(crate) yaml: Option<YamlDecoder>,
}

impl Environment {
    /// No roots, and no restricted function.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a root, or replaces it.
    #[must_use]
    pub fn root(mut self, name: impl Into<String>, r#type: Type) -> Self {
        self.roots.insert(name.into(), r#type);
        self
    }

    /// Allows `now()`.
    #[must_use]
    pub const fn allow_now(mut self) -> Self {
        self.now = true;
        self
    }

    /// Allows `randomString(n)`.
    #[must_use]
    pub const fn allow_random(mut self) -> Self {
        self.random = true;
        self
    }

    /// Makes `yaml(text)` work.
    #[must_use]
    pub const fn yaml(mut self, decoder: YamlDecoder) -> Self {
        self.yaml = Some(decoder);
        self
    }
}

/// Gives the roots' values.
pub trait Scope {
    /// The value of a root, nothing where it isn't there in this place: using it is then a `Missing` error.
    fn root(&self, name: &str) -> Option<Value>;
}

/// Roots in a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bindings(pub BTreeMap<String, Value>);

impl Bindings {
    /// No roots.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a root, or replaces it.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }
}

impl Scope for Bindings {
    fn root(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }
}

/// A source of random bytes, for `randomString`.
pub trait Random: Sync {
    /// Fills the buffer. In production from the system's own source; in tests from a seed.
    fn fill(&self, buffer: &mut [u8]);
}

impl<F: Fn(&mut [u8]) + Sync> Random for F {
    fn fill(&self, buffer: &mut [u8]) {
        self(buffer);
    }
}

/// What the outside world gives to an evaluation. With the same context and scope, the result is the same.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// What `now()` gives.
    pub now: OffsetDateTime,
    /// Where `randomString` takes its letters from; without it, the function is an error.
    pub random: Option<&'c dyn Random>,
}

impl<'c> Context<'c> {
    /// At this time, without random values.
    #[must_use]
    pub const fn at(now: OffsetDateTime) -> Self {
        Self { now, random: None }
    }

    /// With random values.
    #[must_use]
    pub const fn with_random(mut self, random: &'c dyn Random) -> Self {
        self.random = Some(random);
        self
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let random = self.random.map(|_| "…");
        f.debug_struct("Context")
            .field("now", &self.now)
            .field("random", &random)
            .finish()
    }
}
