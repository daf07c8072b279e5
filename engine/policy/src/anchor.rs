//! Where each byte of a scalar's content stands in the file that it was read from.

use std::fmt;
use std::sync::Arc;

use holdfast_expression::Span;

use crate::place::{Place, Source};

/// Ties a text to the place that it was read from, byte by byte.
#[derive(Clone)]
pub(crate) struct Anchor {
    source: Arc<Source>,
    /// Where the whole content stands.
    whole: Place,
    /// Where runs begin: an offset in the content, and the offset in the source that it stands at. Within a run the
    /// two go in step. Ordered by content offset.
    runs: Arc<[(usize, usize)]>,
    /// The offset in the content at which this text starts.
    start: usize,
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchor({})", self.place(Span::default()))
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes.
    Plain,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|` or `>`.
    Block,
}

impl Anchor {
    /// Ties `content` to the place `whole` of `source`, where it is written in `style`.
    pub(crate) fn new(source: &Arc<Source>, whole: &Place, style: Style, content: &str) -> Self {
        let written = source
            .text()
            .get(whole.span.start..whole.span.end)
            .unwrap_or_default();
        let runs = align(written, whole.span.start, style, content);
        Self {
            source: Arc::clone(source),
            whole: whole.clone(),
            runs: runs.into(),
            start: 0,
        }
    }

    /// The same for the part of the content that starts at `offset`.
    pub(crate) fn skip(&self, offset: usize) -> Self {
        Self {
            start: self.start.saturating_add(offset),
            ..self.clone()
        }
    }

    /// The place of `span` of the text.
    pub(crate) fn place(&self, span: Span) -> Place {
        let start = self.offset(span.start);
        // The end is where the last byte ends, so that a fold after it isn't part of the place.
        let end = if span.end > span.start {
            self.offset(span.end.saturating_sub(1)).saturating_add(1)
        } else {
            start
        };
        self.source.place_within(&self.whole, start, self.boundary(end))
    }

    fn offset(&self, content: usize) -> usize {
        let content = content.saturating_add(self.start);
        let after = self.runs.partition_point(|(at, _)| *at <= content);
        match self.runs.get(after.saturating_sub(1)) {
            Some((at, stands)) => stands.saturating_add(content.saturating_sub(*at)),
            None => content,
        }
    }

    /// The next end of a character.
    fn boundary(&self, mut offset: usize) -> usize {
        while offset < self.source.text().len() && !self.source.text().is_char_boundary(offset) {
            offset = offset.saturating_add(1);
        }
        offset
    }
}

/// Walks over what is written and what it means at once. Each character that isn't blank must be found again, so the
/// walk is back in step after each fold, escape and indentation.
fn align(written: &str, offset: usize, style: Style, content: &str) -> Vec<(usize, usize)> {
    // The place of a block is its text, without the indicators that stand before it.
    let mut at = usize::from(matches!(style, Style::Single | Style::Double));
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let mut expected = None;
    for (index, character) in content.char_indices() {
        let blank = character.is_whitespace();
        if !blank {
            at = skip_blanks(written, at, style);
        }
        let rest = written.get(at..).unwrap_or_default();
        let length = match (rest.chars().next(), style) {
            (Some('\\'), Style::Double) => escape_length(rest),
            (Some('\''), Style::Single) => 2,
            (Some(found), _) if !blank || found.is_whitespace() => found.len_utf8(),
            _ => 0,
        };
        let stands = offset.saturating_add(at);
        if expected != Some(stands) {
            runs.push((index, stands));
        }
        at = at.saturating_add(length);
        expected = (length == character.len_utf8()).then(|| offset.saturating_add(at));
    }
    runs
}

fn skip_blanks(written: &str, mut at: usize, style: Style) -> usize {
    loop {
        let rest = written.get(at..).unwrap_or_default();
        let blank: usize = rest
            .chars()
            .take_while(|c| c.is_whitespace())
            .map(char::len_utf8)
            .sum();
        at = at.saturating_add(blank);
        // An escaped end of line means nothing.
        let rest = written.get(at..).unwrap_or_default();
        if style == Style::Double && (rest.starts_with("\\\n") || rest.starts_with("\\\r")) {
            at = at.saturating_add(1);
        } else {
            return at;
        }
    }
}

fn escape_length(rest: &str) -> usize {
    let length: usize = match rest.chars().nth(1) {
        Some('x') => 4,
        Some('u') => 6,
        Some('U') => 10,
        Some(other) => other.len_utf8().saturating_add(1),
        None => 1,
    };
    length.min(rest.len())
}

#[cfg(test)]
#[allow(clippy::string_slice, clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use super::*;

    fn found(written: &str, style: Style, content: &str, part: &str) -> String {
        let text = format!("key: {written}\n");
        let source = Source::new("p.yaml", text.clone());
        let anchor = Anchor::new(&source, &source.place(5, 5 + written.len()), style, content);
        let start = content.find(part).unwrap();
        let place = anchor.place(Span::new(start, start + part.len()));
        format!(
            "{}:{} {}",
            place.line,
            place.column,
            &text[place.span.start..place.span.end]
        )
    }

    #[test]
    fn plain_and_quoted_texts_are_found() {
        assert_eq!(found("a.b == c", Style::Plain, "a.b == c", "c"), "1:13 c");
        assert_eq!(found("\"a.b\"", Style::Double, "a.b", "b"), "1:9 b");
        assert_eq!(found("'it''s b'", Style::Single, "it's b", "b"), "1:13 b");
    }

    #[test]
    fn escapes_are_counted_as_they_are_written() {
        assert_eq!(
            found(r#""a\"\u00e4 b c""#, Style::Double, "a\"ä b c", "c"),
            "1:19 c"
        );
    }

    #[test]
    fn folded_lines_are_found_on_their_own_line() {
        assert_eq!(
            found("one\n  two three\n", Style::Block, "one two three", "three"),
            "2:7 three"
        );
        assert_eq!(found("a:\n      b\n", Style::Block, "a:\n  b\n", "b"), "2:7 b");
        assert_eq!(found("one\n  two", Style::Plain, "one two", "two"), "2:3 two");
        assert_eq!(
            found("\"one \\\n  two\"", Style::Double, "one two", "two"),
            "2:3 two"
        );
    }
}
