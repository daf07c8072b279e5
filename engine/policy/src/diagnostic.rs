//! What is wrong with a policy, and where.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;

use crate::code::Code;
use crate::place::{Place, Source, Sources};

/// The longest [summary](Diagnostics::summary), in characters: it goes into a condition of a status, where people read
/// it in a column of a table.
pub const LONGEST_SUMMARY: usize = 1_000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The policy can't be used.
    Error,
    /// The policy can be used, but a part of it does nothing yet, or likely not what is meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What, for machines.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What, for people: one sentence without a full stop.
    pub message: String,
    /// What to do about it, shown beside the place; empty where nothing helps.
    pub hint: String,
    /// Other places that belong to it, each with what it is.
    pub secondary: Vec<(Place, String)>,
}

impl Diagnostic {
    /// An error without a hint.
    #[must_use]
    pub fn error(code: Code, place: Place, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code,
            severity: Severity::Error,
            place,
            message,
            hint: String::new(),
            secondary: Vec::new(),
        }
    }

    /// A warning without a hint.
    #[must_use]
    pub fn warning(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, place, message)
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same with another place that belongs to it.
    #[must_use]
    pub fn with_secondary(mut self, place: Place, label: impl Into<String>) -> Self {
        self.secondary.push((place, label.into()));
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

/// All that is wrong with a policy, at once, and the texts to show it in.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    #[serde(skip)]
    sources: Sources,
}

impl Diagnostics {
    /// Nothing is wrong yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `diagnostic`.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.items.push(diagnostic);
    }

    /// Adds all of `other`.
    pub fn append(&mut self, other: Self) {
        self.items.extend(other.items);
        self.sources.append(other.sources);
    }

    /// Makes the text known, so that places in it can be shown with their lines.
    pub fn add_source(&mut self, source: &Arc<Source>) {
        self.sources.add(source);
    }

    /// All of them. After [`Diagnostics::sort`] by place.
    #[must_use]
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// The texts to show them in.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|item| item.severity == Severity::Error)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The first error, for where there is room for a line of text: `spec.rules.bucket: unknown field `x` (…), and 2
    /// more`. At most [`LONGEST_SUMMARY`] characters.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut errors = self.items.iter().filter(|item| item.severity == Severity::Error);
        let Some(first) = errors.next() else {
            return String::new();
        };
        let more = match errors.count() {
            0 => String::new(),
            count => format!(", and {count} more"),
        };
        let mut text = format!("{}: {}", first.place.short(), first.message);
        if !first.hint.is_empty() {
            let _ = write!(text, " ({})", first.hint);
        }
        // What a policy says stands in messages, and may hold anything.
        let line: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let room = LONGEST_SUMMARY.saturating_sub(more.chars().count());
        if line.chars().count() <= room {
            return line + &more;
        }
        let cut: String = line.chars().take(room.saturating_sub(1)).collect();
        format!("{cut}…{more}")
    }

    /// Takes the lines away, so that only the files are named: for values that may not be shown.
    pub(crate) fn hide_lines(&mut self) {
        for item in &mut self.items {
            item.place = Place::of_file(&item.place.file);
            item.secondary.clear();
        }
    }

    /// Orders them by place, and drops those that say the same of the same place.
    pub fn sort(&mut self) {
        self.items
            .sort_by(|a, b| (&a.place, a.code, &a.message).cmp(&(&b.place, b.code, &b.message)));
        self.items
            .dedup_by(|a, b| a.place == b.place && a.code == b.code && a.message == b.message);
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            items: vec![diagnostic],
            sources: Sources::default(),
        }
    }
}

/// One line for each, without the source's lines; for those see [`render`](crate::render).
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, item) in self.items.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
