//! Bounds that make every expression end soon, in bounded memory.

use crate::error::{Outcome, fault};
use crate::{Error, ErrorKind, Span, Value};

/// Longest source text of an expression, in bytes.
pub const MAX_SOURCE: usize = 16 * 1024;

/// Deepest nesting of an expression: each bracket, operator, field and call counts one, chains of one sort of
/// arithmetic and of `&&` or `||` count one altogether. Chosen so that recursion fits in half of the 2 MiB stack
/// that a thread has, in a build without optimisation.
pub const MAX_NESTING: usize = 64;

/// Deepest nesting of lists and maps in the result of an evaluation.
pub const MAX_VALUE_NESTING: usize = 200;

/// What one evaluation may still use.
///
/// It is taken from as the evaluation goes on, so one budget can bound several evaluations together. A step is some
/// 50 to 100 nanoseconds: one node of the expression, one element compared or moved, 16 bytes of text searched. Bytes count
/// all that is ever allocated for results, whether still held or not, and are taken before the allocation.
///
/// ```
/// use holdfast_expression::Budget;
/// assert_eq!(Budget::default(), Budget { steps: 1_000_000, bytes: 16 * 1024 * 1024 });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Steps left.
    pub steps: u64,
    /// Bytes left.
    pub bytes: u64,
}

impl Default for Budget {
    /// A million steps, which filter a list of tens of thousands of items, and 16 MiB.
    fn default() -> Self {
        Self {
            steps: 1_000_000,
            bytes: 16 * 1024 * 1024,
        }
    }
}

/// What an element of a list, or an entry of a map, is counted as.
const ELEMENT_BYTES: u64 = 32;

/// As how many elements a part of a copied value counts: it stands in nodes that have room to spare.
const COPIED_ELEMENTS: usize = 3;

impl Budget {
    /// Takes steps.
    pub(crate) fn step(&mut self, steps: usize, span: Span) -> Outcome<()> {
        let Some(left) = self.steps.checked_sub(widen(steps)) else {
            self.steps = 0;
            return Err(exhausted(span, "this takes too many steps"));
        };
        self.steps = left;
        Ok(())
    }

    /// Takes the steps for looking at `bytes` bytes of text.
    pub(crate) fn scan(&mut self, bytes: usize, span: Span) -> Outcome<()> {
        self.step(bytes.div_euclid(16), span)
    }

    /// Takes memory for `bytes` bytes of text, and the steps to fill it.
    ///
    /// # Errors
    /// There isn't so much left.
    pub fn text(&mut self, bytes: usize, span: Span) -> Result<(), Box<Error>> {
        self.scan(bytes, span)?;
        self.allocate(widen(bytes), span)
    }

    /// Takes memory for `elements` list elements or map entries, and the steps to fill it.
    ///
    /// # Errors
    /// There isn't so much left.
    pub fn elements(&mut self, elements: usize, span: Span) -> Result<(), Box<Error>> {
        self.step(elements, span)?;
        self.allocate(widen(elements).saturating_mul(ELEMENT_BYTES), span)
    }

    /// Takes the memory of a copy of `value` that shares nothing with it, nor with itself, and the steps to make it.
    ///
    /// # Errors
    /// There isn't so much left.
    pub fn copy(&mut self, value: &Value, span: Span) -> Result<(), Box<Error>> {
        self.elements(COPIED_ELEMENTS, span)?;
        match value {
            Value::String(text) => self.text(text.len(), span),
            Value::Bytes(bytes) => self.text(bytes.len(), span),
            Value::List(elements) => elements.iter().try_for_each(|element| self.copy(element, span)),
            Value::Map(entries) => entries.iter().try_for_each(|(key, value)| {
                self.text(key.as_str().map_or(0, str::len), span)?;
                self.copy(value, span)
            }),
            Value::Optional(Some(inner)) => self.copy(inner, span),
            Value::Sensitive(sensitive) => self.copy(sensitive.expose(), span),
            Value::Unknown(unknown) => self.elements(unknown.waits_for.len(), span),
            _ => Ok(()),
        }
    }

    /// Refuses a value nested deeper than [`MAX_VALUE_NESTING`]: values are compared, shown and freed by recursion, and those of
    /// one evaluation are nested in those of the next.
    ///
    /// # Errors
    /// It is nested deeper, or the steps to look at all of it aren't left.
    pub fn nesting(&mut self, value: &Value, span: Span) -> Result<(), Box<Error>> {
        self.levels(value, MAX_VALUE_NESTING, span)
    }

    fn levels(&mut self, value: &Value, levels: usize, span: Span) -> Result<(), Box<Error>> {
        self.step(1, span)?;
        let Some(below) = levels.checked_sub(1) else {
            return Err(too_deep(span));
        };
        match value {
            Value::List(elements) => elements
                .iter()
                .try_for_each(|value| self.levels(value, below, span)),
            Value::Map(entries) => entries
                .values()
                .try_for_each(|value| self.levels(value, below, span)),
            Value::Optional(Some(inner)) => self.levels(inner, below, span),
            Value::Sensitive(sensitive) => self.levels(sensitive.expose(), below, span),
            _ => Ok(()),
        }
    }

    fn allocate(&mut self, bytes: u64, span: Span) -> Outcome<()> {
        let Some(left) = self.bytes.checked_sub(bytes) else {
            self.bytes = 0;
            return Err(exhausted(span, "this takes too much memory"));
        };
        self.bytes = left;
        Ok(())
    }
}

fn widen(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn exhausted(span: Span, message: &str) -> Box<Error> {
    let hint = "look at fewer items, or build smaller values";
    Box::new(Error::new(ErrorKind::Budget, span, message).with_hint(hint))
}

/// Too much nesting, of source text or of a value.
pub(crate) fn too_deep(span: Span) -> Box<Error> {
    fault(ErrorKind::Budget, span, "this is nested too deeply")
}
