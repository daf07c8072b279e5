//! Where something stands in a policy's files.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use holdfast_expression::Span;
use serde::{Serialize, Serializer};

/// A place in a file: what every part of a policy and every diagnostic carries.
///
/// Places order by file, then by position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, as the user named it; `-` for standard input, `--set` for a flag.
    pub file: Arc<str>,
    /// The line, counted from 1; 0 where only the file is meant.
    pub line: usize,
    /// The column, counted from 1 in characters; 0 where only the file is meant.
    pub column: usize,
    /// The byte range in the file's text.
    pub span: Span,
}

/// `policy.yaml:58:70`, or the file alone.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Place {
    /// The file as a whole.
    #[must_use]
    pub fn of_file(file: &str) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            span: Span::default(),
        }
    }
}

/// The text of one file, which can say where a byte of it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    name: Arc<str>,
    text: String,
    /// The offset at which each line starts.
    lines: Vec<usize>,
}

/// The texts that a policy was read from, by name, for showing diagnostics.
pub type Sources = BTreeMap<Arc<str>, Arc<Source>>;

impl Source {
    /// The text `text`, called `name` in messages.
    #[must_use]
    pub fn new(name: &str, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let starts = text
            .match_indices('\n')
            .map(|(offset, _)| offset.saturating_add(1));
        let lines = std::iter::once(0).chain(starts).collect();
        Arc::new(Self {
            name: name.into(),
            text,
            lines,
        })
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of the bytes from `start` to just before `end`.
    #[must_use]
    pub fn place(&self, start: usize, end: usize) -> Place {
        let start = start.min(self.text.len());
        let line = self.lines.partition_point(|offset| *offset <= start);
        let line_start = self
            .lines
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let before = self.text.get(line_start..start).unwrap_or_default();
        Place {
            file: Arc::clone(&self.name),
            line,
            column: before.chars().count().saturating_add(1),
            span: Span::new(start, end.clamp(start, self.text.len())),
        }
    }

    /// The same, for bytes within `known`, which takes time by the length of that only and not of its line.
    pub(crate) fn place_within(&self, known: &Place, start: usize, end: usize) -> Place {
        let start = start.clamp(known.span.start, self.text.len());
        let between = self.text.get(known.span.start..start).unwrap_or_default();
        let (line, column) = match between.rsplit_once('\n') {
            Some((before, last)) => {
                let lines = before.matches('\n').count().saturating_add(1);
                (
                    known.line.saturating_add(lines),
                    last.chars().count().saturating_add(1),
                )
            }
            None => (known.line, known.column.saturating_add(between.chars().count())),
        };
        let span = Span::new(start, end.clamp(start, self.text.len()));
        Place {
            file: Arc::clone(&self.name),
            line,
            column,
            span,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let source = Source::new("p.yaml", "ä: 1\nöö: x\n");
        assert_eq!(source.place(0, 1).to_string(), "p.yaml:1:1");
        assert_eq!(source.place(12, 13).to_string(), "p.yaml:2:5");
        assert_eq!(source.place(900, 901).to_string(), "p.yaml:3:1");
    }
}
