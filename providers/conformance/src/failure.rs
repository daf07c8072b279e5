//! What did not hold.

use std::error::Error;
use std::fmt;

use holdfast_contract::{ProviderError, ResourceKey};

/// One behaviour that did not hold, and how that showed.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    behaviour: Option<&'static str>,
    message: String,
}

impl Failure {
    /// A failure that is told by `message`.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            behaviour: None,
            message: message.into(),
        }
    }

    /// `what` was done on `key`, and the provider answered with an error.
    pub(crate) fn provider(what: &str, key: &ResourceKey, error: &ProviderError) -> Self {
        Self::new(format!("{what} {key}: {error}"))
    }

    /// The same failure, of the behaviour `name`.
    #[must_use]
    pub fn of(self, name: &'static str) -> Self {
        Self {
            behaviour: Some(name),
            ..self
        }
    }
}

/// What the subject itself failed to do from outside.
impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new(format!("the test's own client: {message}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(behaviour) = self.behaviour {
            write!(f, "{behaviour}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// As it displays: it is read in the output of a test that unwraps it.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failure {}

/// All behaviours that did not hold on one provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Failures {
    provider: String,
    behaviours: usize,
    found: Vec<Failure>,
}

impl Failures {
    pub(crate) fn from_all(provider: &str, behaviours: usize, found: Vec<Failure>) -> Result<(), Self> {
        if found.is_empty() {
            return Ok(());
        }
        Err(Self {
            provider: provider.to_owned(),
            behaviours,
            found,
        })
    }

    /// Each of them.
    #[must_use]
    pub fn each(&self) -> &[Failure] {
        &self.found
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.found.len();
        write!(
            f,
            "{failed} of {} behaviours don't hold on the provider {}:",
            self.behaviours, self.provider
        )?;
        self.found
            .iter()
            .try_for_each(|failure| write!(f, "\n  {failure}"))
    }
}

/// As it displays: it is read in the output of a test that unwraps it.
impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failures {}
