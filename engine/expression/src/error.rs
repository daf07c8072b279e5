//! What can be wrong with an expression, when it is compiled and when it is evaluated.

use crate::Span;

/// A fault of one expression, with its place.
///
/// Messages are our own words. Those of an evaluation never contain operand values, which could be secrets; they
/// may quote the expression's source text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What sort of fault it is.
    pub kind: ErrorKind,
    /// Where in the expression.
    pub span: Span,
    /// One sentence without a full stop.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

/// The sorts of faults. Callers decide by this, never by the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument of the right type that the function can't take, such as a bad pattern; or the wrong number of them.
    Argument,
    /// The evaluation took more steps or memory than its budget, or the expression is too long or nested too deep.
    /// Never absorbed by `||` and `&&`.
    Budget,
    /// A value has no counterpart in the type it is converted to.
    Conversion,
    /// An int divided by zero.
    DivideByZero,
    /// An index below zero, or outside a text or of what `slice` takes. A list that isn't that long is `Missing` its
    /// element: it may still grow.
    Index,
    /// Something isn't there. Missing is absent, so what it means is the caller's to say.
    Missing {
        /// The path to what is missing, as the expression spells it: `facts.cluster.region`, `self.ports[0]`.
        path: String,
    },
    /// A number, duration or timestamp is out of range.
    Overflow,
    /// A function that isn't allowed in this place.
    Restricted,
    /// A sensitive value where none may be. Evaluation itself never raises it; it is here for callers.
    Sensitive,
    /// The text isn't an expression.
    Syntax,
    /// An operator or function doesn't take values of these types.
    Type,
    /// A field that a closed object doesn't have.
    UnknownField,
    /// No function has this name.
    UnknownFunction,
    /// No root or macro variable has this name.
    UnknownName,
    /// A value that couldn't be read: the expression used a [`Value::Failed`](crate::Value::Failed).
    Unreadable,
}

impl Error {
    /// A fault without a hint.
    #[must_use]
    pub fn new(kind: ErrorKind, span: Span, message: impl Into<String>) -> Self {
        Self {
            kind,
            span,
            message: message.into(),
            hint: None,
        }
    }

    /// The same fault with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same fault at another place.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// Whether no `||`, `&&` or macro may absorb it.
    pub(crate) fn is_fatal(&self) -> bool {
        self.kind == ErrorKind::Budget
    }
}

/// What an evaluation step gives. Boxed because it is returned through every level of recursion.
pub(crate) type Outcome<T = crate::Value> = Result<T, Box<Error>>;

/// A boxed fault, for the evaluator.
pub(crate) fn fault(kind: ErrorKind, span: Span, message: impl Into<String>) -> Box<Error> {
    Box::new(Error::new(kind, span, message))
}
