//! Regular expressions, in time linear in the text.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use super::{Gives, Kind, Overload, Site, argument, unfit};
use crate::error::Outcome;
use crate::evaluate::{Machine, list_of};
use crate::{Error, ErrorKind, Span, Value};

use Kind::{Int, String as Text};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload::function("matches", &[Text, Text], Gives::Bool, matches),
    Overload::method("matches", &[Text, Text], Gives::Bool, matches),
    Overload::method("find", &[Text, Text], Gives::String, find),
    Overload::method("findAll", &[Text, Text], Gives::Strings, find_all),
    Overload::method("findAll", &[Text, Text, Int], Gives::Strings, find_all),
];

/// Longest pattern, in bytes.
const LONGEST: usize = 1000;

/// Largest compiled pattern, in bytes.
const LARGEST: usize = 512 * 1024;

/// Compiles a pattern. The fault doesn't quote it: it may have been computed from a secret.
pub(crate) fn compile_pattern(pattern: &str, span: Span) -> Result<Regex, Error> {
    if pattern.len() > LONGEST {
        let message = format!("this pattern is longer than {LONGEST} bytes");
        return Err(Error::new(ErrorKind::Budget, span, message));
    }
    let built = RegexBuilder::new(pattern)
        .size_limit(LARGEST)
        .dfa_size_limit(LARGEST)
        .nest_limit(50)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Error::new(ErrorKind::Budget, span, "this pattern is too large"),
        _ => Error::new(ErrorKind::Argument, span, "this isn't a regular expression")
            .with_hint("it is RE2 syntax, without look-around and back-references"),
    })
}

/// The pattern compiled, and the steps taken for searching the text with it.
fn prepare<'n>(
    machine: &mut Machine<'_>,
    site: &Site<'n>,
    text: &str,
    pattern: &str,
) -> Outcome<Cow<'n, Regex>> {
    // A repetition count makes a pattern larger than its text shows. Per byte of text the search takes, at worst,
    // time in proportion to the pattern.
    let weight = if pattern.contains('{') {
        16
    } else {
        pattern.len().div_euclid(16).saturating_add(1)
    };
    machine
        .budget
        .step(text.len().saturating_mul(weight), site.span)?;
    if let Some(compiled) = site.pattern {
        return Ok(Cow::Borrowed(compiled));
    }
    machine.budget.step(2000, site.span)?;
    Ok(Cow::Owned(compile_pattern(pattern, site.span)?))
}

fn matches(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text), Value::String(pattern)] = values else {
        return unfit(site);
    };
    Ok(Value::Bool(prepare(machine, site, text, pattern)?.is_match(text)))
}

/// The first match, empty where there is none.
fn find(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text), Value::String(pattern)] = values else {
        return unfit(site);
    };
    let pattern = prepare(machine, site, text, pattern)?;
    let found = pattern.find(text).map_or("", |found| found.as_str());
    machine.budget.text(found.len(), site.span)?;
    Ok(Value::from(found))
}

fn find_all(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let (text, pattern, count) = match values {
        [Value::String(text), Value::String(pattern)] => (text, pattern, usize::MAX),
        [Value::String(text), Value::String(pattern), Value::Int(count)] => (
            text,
            pattern,
            usize::try_from(*count).map_err(|_| argument(site, "the count is below zero"))?,
        ),
        _ => return unfit(site),
    };
    let pattern = prepare(machine, site, text, pattern)?;
    let mut all = Vec::new();
    for found in pattern.find_iter(text).take(count) {
        machine.budget.elements(1, site.span)?;
        machine.budget.text(found.len(), site.span)?;
        all.push(Value::from(found.as_str()));
    }
    Ok(list_of(all))
}
