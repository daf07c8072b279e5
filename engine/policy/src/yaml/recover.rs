//! What to say of a text that isn't YAML, and how to read on.

use std::sync::Arc;

use holdfast_expression::Span;

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::place::{Place, Source};
use crate::yaml::scalar::Ambiguous;

/// A text from which the values that can't be read are blanked out, one after another.
pub(super) struct Recovered<'s> {
    source: &'s Arc<Source>,
    patched: Option<String>,
    broken: Vec<Span>,
    faults: Vec<Diagnostic>,
}

/// More lines than this aren't blanked out: each takes another run.
const MAX_PATCHES: usize = 20;

impl<'s> Recovered<'s> {
    pub(super) fn new(source: &'s Arc<Source>) -> Self {
        Self {
            source,
            patched: None,
            broken: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(super) fn text(&self) -> &str {
        self.patched.as_deref().unwrap_or(self.source.text())
    }

    /// The places that were blanked out.
    pub(super) fn broken(&self) -> &[Span] {
        &self.broken
    }

    pub(super) fn into_faults(self) -> Vec<Diagnostic> {
        self.faults
    }

    /// Reports `fault`, which stopped the reading at `offset`, and says whether there is a text to go on with.
    pub(super) fn patch(&mut self, fault: Diagnostic, offset: usize) -> bool {
        let recognised = matches!(fault.code, Code::Yaml | Code::Tag) && !fault.hint.is_empty();
        // What follows from a blanked value isn't a fault of the text.
        if recognised || self.faults.is_empty() {
            self.faults.push(fault);
        }
        if !recognised || self.broken.len() >= MAX_PATCHES {
            return false;
        }
        let Some(span) = value_on_line(self.source.text(), offset) else {
            return false;
        };
        let text = self.text();
        let (Some(before), Some(after)) = (text.get(..span.start), text.get(span.end..)) else {
            return false;
        };
        if self.broken.contains(&span) {
            return false;
        }
        let blank = " ".repeat(span.end.saturating_sub(span.start).saturating_sub(1));
        self.patched = Some(format!("{before}~{blank}{after}"));
        self.broken.push(span);
        true
    }
}

/// The value on the line of `offset`: what follows its first `: `, without a comma that ends the line. None where it
/// opens or closes a bracket that the line doesn't.
fn value_on_line(text: &str, offset: usize) -> Option<Span> {
    let (start, line) = line_at(text, offset);
    let at = line.find(": ").map(|at| at.saturating_add(2))?;
    let value = line.get(at..)?.trim_end();
    let value = value.strip_suffix(',').unwrap_or(value);
    let count = |open: char, close: char| {
        value.chars().filter(|c| *c == open).count() == value.chars().filter(|c| *c == close).count()
    };
    let balanced = count('{', '}') && count('[', ']');
    let start = start.saturating_add(at);
    (balanced && !value.is_empty()).then(|| Span::new(start, start.saturating_add(value.len())))
}

/// The line that holds `offset`, and where it starts.
fn line_at(text: &str, offset: usize) -> (usize, &str) {
    let offset = offset.min(text.len());
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at.saturating_add(1));
    let line = text
        .get(start..)
        .and_then(|rest| rest.lines().next())
        .unwrap_or_default();
    (start, line)
}

/// The fault that the parser met at `offset`, in our words where the cause is known.
pub(super) fn not_yaml(source: &Source, offset: usize, info: &str) -> (Diagnostic, usize) {
    let (start, line) = line_at(source.text(), offset);
    let at = |part: usize, length: usize| {
        let start = start.saturating_add(part);
        source.place(start, start.saturating_add(length))
    };
    if let Some(part) = unquoted(line, ": !").or_else(|| unquoted(line, "- !")) {
        let part = part.saturating_add(2);
        let rest = line.get(part..).unwrap_or_default().trim_end();
        return (tag_fault(source, at(part, rest.len()), rest), start);
    }
    if let Some(part) = unquoted(line, "${") {
        let rest = line.get(part..).unwrap_or_default();
        let length = rest
            .find('}')
            .map_or(rest.trim_end().len(), |end| end.saturating_add(1));
        let fault = Diagnostic::error(
            Code::Yaml,
            at(part, length),
            "this expression can't stand here unquoted",
        );
        return (
            fault.with_hint("quote it, as \"${…}\", or put it on a line of its own after `>-`"),
            start,
        );
    }
    let place = source.place(offset, offset.saturating_add(1));
    let mut fault = Diagnostic::error(Code::Yaml, place, format!("this isn't YAML: {info}"));
    if line.starts_with('\t') || line.trim_start_matches(' ').starts_with('\t') {
        fault = fault.with_hint("indent with spaces; YAML doesn't take tabs");
    }
    // Without a hint reading ends here, so what is said of the place is all there is.
    (fault, start)
}

/// Where `part` stands in `line`, outside of quotes and comments.
fn unquoted(line: &str, part: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut before = ' ';
    for (at, character) in line.char_indices() {
        match quote {
            Some(open) => quote = (open != character).then_some(open),
            None if character == '#' && before == ' ' => return None,
            None if matches!(character, '"' | '\'') && matches!(before, ' ' | '[' | '{' | ',') => {
                quote = Some(character);
            }
            None if line.get(at..).is_some_and(|rest| rest.starts_with(part)) => return Some(at),
            None => {}
        }
        before = character;
    }
    None
}

/// The plain scalar `text` at `place` means nothing that everybody agrees on.
pub(super) fn scalar_fault(why: Ambiguous, text: &str, place: Place) -> Diagnostic {
    let fault = |message: String| Diagnostic::error(Code::InvalidValue, place, message);
    match why {
        Ambiguous::NotJson => {
            fault(format!("`{text}` can't be written in JSON")).with_hint("quote it if a text is meant")
        }
        Ambiguous::LeadingZero => {
            let decimal = text.trim_start_matches(['-', '+']).trim_start_matches('0');
            let octal = if decimal.contains(['8', '9']) {
                String::new()
            } else {
                format!("write 0o{decimal} for an octal number; ")
            };
            fault(format!(
                "`{text}` is octal to some readers of YAML, kubectl among them, and decimal to others"
            ))
            .with_hint(format!(
                "{octal}write {decimal} for a decimal number; quote it if a text is meant"
            ))
        }
    }
}

/// A tag stands at `place`, written as `written`.
pub(super) fn tag_fault(source: &Source, place: Place, written: &str) -> Diagnostic {
    let (start, line) = line_at(source.text(), place.span.start);
    let from = place.span.start.saturating_sub(start);
    let rest = line.get(from..).unwrap_or(written).trim_end();
    let looks_computed = written.contains(['(', '.', '&', '|']) || rest.contains(['(', '&', '|']);
    let message = format!("`{written}` reads as a YAML tag");
    let fault = Diagnostic::error(Code::Tag, place, message);
    if looks_computed {
        let quoted = expression_text(rest);
        fault.with_hint(format!("quote the expression: \"{}\"", quoted.replace('"', "'")))
    } else {
        fault.with_hint("policies have no tags; quote it if a text is meant")
    }
}

/// The expression at the start of `rest`: up to a comma or a closing brace that isn't its own.
fn expression_text(rest: &str) -> &str {
    let mut open: usize = 0;
    for (at, character) in rest.char_indices() {
        match character {
            '(' | '[' | '{' => open = open.saturating_add(1),
            ',' | ')' | ']' | '}' if open == 0 => return rest.get(..at).unwrap_or(rest).trim_end(),
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    rest
}
