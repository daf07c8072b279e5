//! What an expression refers to.

use crate::Span;

/// A static path from a root, as long as it is written.
///
/// `rules.bucket[each.key].name` is one path with a [`Segment::Dynamic`] in it, and `each.key` another. A macro
/// variable stands for what it runs over: in `facts.buckets.filter(b, b.size > 0)`, `b.size` is the path
/// `facts.buckets.<dynamic>.size`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The root first, always a [`Segment::Field`].
    pub path: Vec<Segment>,
    /// Where the path is written.
    pub span: Span,
    /// Whether the end of the path may be absent without an error, because it stands in `has()` or after `.?`.
    pub guarded: bool,
    /// How many segments from the root must be there; all of them, unless it is guarded.
    pub required: usize,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// `.name`
    Field(String),
    /// `["name"]` or `[0]`
    Index(Index),
    /// An index that is computed, or any element.
    Dynamic,
}

/// An index written as a literal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Index {
    /// `[0]`
    Int(i64),
    /// `["name"]`
    String(String),
}

/// A path that may still grow.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) segments: Vec<Segment>,
    /// Set once the rest may be absent.
    pub(crate) required: Option<usize>,
}

impl Path {
    pub(crate) fn root(name: &str) -> Self {
        Self {
            segments: vec![Segment::Field(name.to_owned())],
            required: None,
        }
    }

    pub(crate) fn step(mut self, segment: Segment, optional: bool) -> Self {
        if optional {
            self.guard(self.segments.len());
        }
        self.segments.push(segment);
        self
    }

    /// Says that no more than `required` segments must be there.
    pub(crate) fn guard(&mut self, required: usize) {
        self.required = Some(self.required.map_or(required, |before| before.min(required)));
    }

    pub(crate) fn finish(self, span: Span) -> Reference {
        let required = self.required.unwrap_or(self.segments.len());
        Reference {
            guarded: self.required.is_some(),
            required,
            path: self.segments,
            span,
        }
    }
}
