//! Diagnostics for people, in the form that rustc made known.

use std::collections::BTreeSet;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::place::{Place, Source};

/// Lines longer than this aren't shown: a document on one line says nothing to a reader.
const LONGEST_LINE: usize = 2_000;

/// All diagnostics with the lines that they are about, and a last line that counts them. `width` is the terminal's, in
/// columns.
#[must_use]
pub fn render(diagnostics: &Diagnostics, width: usize, colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.term_width(width.max(40));
    let mut text = String::new();
    for item in diagnostics.items() {
        text.push_str(&renderer.render(&[group(item, diagnostics, width)]));
        text.push_str("\n\n");
    }
    text.push_str(&summary(diagnostics));
    text.push('\n');
    text
}

/// `2 errors and 1 warning in 1 file`.
fn summary(diagnostics: &Diagnostics) -> String {
    let items = diagnostics.items();
    let count = |severity| items.iter().filter(|item| item.severity == severity).count();
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let mut parts = Vec::new();
    if errors > 0 || warnings == 0 {
        parts.push(counted(errors, "error"));
    }
    if warnings > 0 {
        parts.push(counted(warnings, "warning"));
    }
    let files: BTreeSet<_> = items.iter().map(|item| item.place.origin()).collect();
    format!("{} in {}", parts.join(" and "), counted(files.len(), "file"))
}

fn group<'d>(item: &'d Diagnostic, diagnostics: &'d Diagnostics, width: usize) -> Group<'d> {
    let level = match item.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(item.message.as_str()).id(item.code.id());
    let source = diagnostics.sources().of(&item.place);
    let Some((source, span)) = source.and_then(|source| Some((source, marked(source, &item.place)?))) else {
        let mut group = Group::with_title(title).element(origin(&item.place));
        if !item.hint.is_empty() {
            group = group.element(Level::HELP.message(item.hint.as_str()));
        }
        return group;
    };
    let beside = fits_beside(item, &span, width);
    let mut marks = vec![(
        AnnotationKind::Primary,
        span,
        beside.then_some(item.hint.as_str()),
    )];
    let mut elsewhere = Vec::new();
    for (place, label) in &item.secondary {
        match marked(source, place).filter(|_| place.origin() == item.place.origin()) {
            Some(span) => marks.push((AnnotationKind::Context, span, Some(label.as_str()))),
            None => elsewhere.push((place, label)),
        }
    }
    let mut group = title.element(snippet(source, marks));
    if !beside && !item.hint.is_empty() {
        group = group.element(Level::HELP.message(item.hint.as_str()));
    }
    for (place, label) in elsewhere {
        let source = diagnostics.sources().of(place);
        group = match source.and_then(|source| Some((source, marked(source, place)?))) {
            Some((source, span)) => group.element(snippet(
                source,
                vec![(AnnotationKind::Context, span, Some(label.as_str()))],
            )),
            None => group.element(Level::NOTE.message(format!("{place}: {label}"))),
        };
    }
    group
}

type Mark<'m> = (AnnotationKind, Range<usize>, Option<&'m str>);

/// The lines from the first mark to the last: the renderer's work grows with the text that it is given.
fn snippet<'s>(source: &'s Source, marks: Vec<Mark<'s>>) -> Snippet<'s, Annotation<'s>> {
    let text = source.text();
    let first = marks
        .iter()
        .map(|(_, span, _)| span.start)
        .min()
        .unwrap_or_default();
    let last = marks
        .iter()
        .map(|(_, span, _)| span.end)
        .max()
        .unwrap_or_default();
    let from = line_start(text, first);
    let rest = text.get(last..).unwrap_or_default();
    let to = last.saturating_add(rest.find('\n').unwrap_or(rest.len()));
    let line = source.place(from, from).line;
    let mut snippet = Snippet::source(text.get(from..to).unwrap_or_default())
        .line_start(usize::try_from(line).unwrap_or(usize::MAX))
        .path(source.whole().to_string());
    for (kind, span, label) in marks {
        let span = span.start.saturating_sub(from)..span.end.saturating_sub(from);
        snippet = snippet.annotation(kind.span(span).label(label));
    }
    snippet
}

/// Where the line that holds `offset` starts.
fn line_start(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    before.rfind('\n').map_or(0, |at| at.saturating_add(1))
}

/// Whether the hint is short enough to stand beside the mark; else it stands on a line of its own.
fn fits_beside(item: &Diagnostic, lines: &Range<usize>, width: usize) -> bool {
    /// Hints of this length are read at a glance, even where they reach over the edge.
    const SHORT: usize = 36;
    /// The line's number and the bar before the line.
    const MARGIN: usize = 8;
    let length = item.hint.chars().count();
    let marked = lines.end.saturating_sub(lines.start);
    let column = usize::try_from(item.place.column).unwrap_or(usize::MAX);
    let needed = [MARGIN, column, marked, length]
        .into_iter()
        .fold(0, usize::saturating_add);
    length > 0 && (length <= SHORT || needed <= width)
}

fn origin(place: &Place) -> annotate_snippets::Origin<'static> {
    annotate_snippets::Origin::path(place.to_string())
}

/// The bytes to mark: the place's, on its first line. None where there is no line, or one too long to be shown.
fn marked(source: &Source, place: &Place) -> Option<Range<usize>> {
    if place.line == 0 {
        return None;
    }
    let text = source.text();
    let rest = text.get(place.span.start..place.span.end)?;
    let end = place
        .span
        .start
        .saturating_add(rest.find('\n').unwrap_or(rest.len()));
    let line = text
        .get(line_start(text, place.span.start)..)?
        .lines()
        .next()
        .unwrap_or_default();
    (line.len() <= LONGEST_LINE).then_some(place.span.start..end)
}
