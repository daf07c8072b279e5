//! Where something stands in a policy's files.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use holdfast_expression::Span;
use serde::{Serialize, Serializer};

/// A place in a file, or in a resource of which nobody sees a file: what every part of a policy and every diagnostic
/// carries.
///
/// Places order by file, then by path, then by position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, as the user named it; `-` for standard input, `--set` for a flag; `NAMESPACE/NAME` of a resource.
    pub file: Arc<str>,
    /// The field: of a resource, and of text that a policy carries under `files`. Empty for what has lines of its own.
    pub path: Arc<str>,
    /// The line, counted from 1; 0 where the file or field as a whole is meant.
    pub line: u32,
    /// The column, counted from 1 in characters; 0 where none is meant.
    pub column: u32,
    /// The byte range in the text.
    pub span: Span,
}

/// `policy.yaml:58:70`, or the file alone; `holdfast-system/managed-velero spec.rules.bucket`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
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
            path: Arc::default(),
            line: 0,
            column: 0,
            span: Span::default(),
        }
    }

    /// The same for somebody who knows which policy it is about: `policy.yaml:58`, `spec.rules.bucket`.
    #[must_use]
    pub fn short(&self) -> String {
        let mut short = if self.path.is_empty() {
            self.file.rsplit('/').next().unwrap_or(&self.file).to_owned()
        } else {
            self.path.to_string()
        };
        if self.line > 0 {
            let _ = write!(short, ":{}", self.line);
        }
        short
    }

    /// The file that it stands in, if that isn't the one of the policy itself, whose place, or that of a part of it, is
    /// `policy`.
    #[must_use]
    pub fn file_beside(&self, policy: &Self) -> Option<Arc<str>> {
        if self.file != policy.file {
            return Some(Arc::clone(&self.file));
        }
        let carried = self.path.strip_prefix(CARRIED)?.strip_suffix("\"]")?;
        Some(carried.into())
    }

    /// Where a map that stands at `self` lacks something: at its first key, as the whole is much to point at; of a
    /// resource, the map's own path.
    pub(crate) fn or_first<'p>(&'p self, first: Option<&'p Self>) -> &'p Self {
        match first {
            Some(first) if self.path.is_empty() || self.line > 0 => first,
            _ => self,
        }
    }

    /// What the text is called that it stands in.
    pub(crate) fn origin(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.file), Arc::clone(&self.path))
    }
}

/// How the path of a text starts that a policy carries itself.
const CARRIED: &str = "spec.files[\"";

/// A text that can say where a byte of it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    name: Arc<str>,
    path: Arc<str>,
    text: Box<str>,
    /// The offset at which each line starts. None where it has but one line, and nobody sees that: a value of a resource.
    lines: Vec<usize>,
    /// Whether columns mean something to whoever reads of a place: not within a value, which may be written in many ways.
    columns: bool,
}

/// The texts that a policy was read from, for showing diagnostics.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<(Arc<str>, Arc<str>), Arc<Source>>);

impl Sources {
    /// Makes `source` known.
    pub fn add(&mut self, source: &Arc<Source>) {
        let origin = (Arc::clone(&source.name), Arc::clone(&source.path));
        self.0.insert(origin, Arc::clone(source));
    }

    /// Makes all of `other` known.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The text in which `place` stands.
    #[must_use]
    pub fn of(&self, place: &Place) -> Option<&Arc<Source>> {
        self.0.get(&place.origin())
    }

    /// All of them, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.0.values()
    }
}

impl Source {
    /// The text `text` of a file, called `name` in messages.
    #[must_use]
    pub fn new(name: &str, text: impl Into<Box<str>>) -> Arc<Self> {
        Self::of_lines(name.into(), Arc::default(), text.into())
    }

    /// The text of the file `file` that the policy called `name` carries.
    pub(crate) fn carried(name: &Arc<str>, file: &str, text: &str) -> Arc<Self> {
        let path = format!("{CARRIED}{file}\"]");
        Self::of_lines(Arc::clone(name), path.into(), text.into())
    }

    /// The text that stands at `path` of a resource.
    pub(crate) fn of_value(name: &Arc<str>, path: &Arc<str>, text: &str) -> Arc<Self> {
        let lines = if text.contains('\n') {
            starts(text)
        } else {
            Vec::new()
        };
        Arc::new(Self {
            name: Arc::clone(name),
            path: Arc::clone(path),
            text: text.into(),
            lines,
            columns: false,
        })
    }

    fn of_lines(name: Arc<str>, path: Arc<str>, text: Box<str>) -> Arc<Self> {
        let lines = starts(&text);
        Arc::new(Self {
            name,
            path,
            text,
            lines,
            columns: true,
        })
    }

    /// What messages call the file or resource.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The whole of it.
    pub(crate) fn whole(&self) -> Place {
        Place {
            file: Arc::clone(&self.name),
            path: Arc::clone(&self.path),
            line: 0,
            column: 0,
            span: Span::new(0, self.text.len()),
        }
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
        if !self.columns {
            return Place {
                line: count(line),
                span: Span::new(start, end.clamp(start, self.text.len())),
                ..self.whole()
            };
        }
        let line_start = self
            .lines
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let before = self.text.get(line_start..start).unwrap_or_default();
        Place {
            line: count(line),
            column: count(before.chars().count()).saturating_add(1),
            span: Span::new(start, end.clamp(start, self.text.len())),
            ..self.whole()
        }
    }

    /// The same, for bytes within `known`, which takes time by the length of that only and not of its line.
    pub(crate) fn place_within(&self, known: &Place, start: usize, end: usize) -> Place {
        if !self.columns {
            return self.place(start, end);
        }
        let start = start.clamp(known.span.start, self.text.len());
        let between = self.text.get(known.span.start..start).unwrap_or_default();
        let (line, column) = match between.rsplit_once('\n') {
            Some((before, last)) => {
                let lines = count(before.matches('\n').count()).saturating_add(1);
                (
                    known.line.saturating_add(lines),
                    count(last.chars().count()).saturating_add(1),
                )
            }
            None => (
                known.line,
                known.column.saturating_add(count(between.chars().count())),
            ),
        };
        let span = Span::new(start, end.clamp(start, self.text.len()));
        Place {
            line,
            column,
            span,
            ..self.whole()
        }
    }
}

/// A count of lines or columns, as places hold it: no text that is read has more.
pub(crate) fn count(lines: usize) -> u32 {
    u32::try_from(lines).unwrap_or(u32::MAX)
}

/// The offset at which each line of `text` starts.
fn starts(text: &str) -> Vec<usize> {
    let starts = text
        .match_indices('\n')
        .map(|(offset, _)| offset.saturating_add(1));
    std::iter::once(0).chain(starts).collect()
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
