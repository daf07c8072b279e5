//! Text, by code point.

use super::{Gives, Kind, Overload, Run, Site, argument, int, unfit};
use crate::error::{Outcome, fault};
use crate::evaluate::{Machine, list_of};
use crate::{ErrorKind, Value};

use Kind::{Int, List, String as Text};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload::function("size", &[Text], Gives::Int, size),
    Overload::method("size", &[Text], Gives::Int, size),
    Overload::method("charAt", &[Text, Int], Gives::String, char_at),
    Overload::method("contains", &[Text, Text], Gives::Bool, contains),
    Overload::method("endsWith", &[Text, Text], Gives::Bool, ends_with),
    Overload::method("indexOf", &[Text, Text], Gives::Int, index_of),
    Overload::method("indexOf", &[Text, Text, Int], Gives::Int, index_of),
    Overload::method("join", &[List], Gives::String, join).deep(),
    Overload::method("join", &[List, Text], Gives::String, join).deep(),
    Overload::method("lastIndexOf", &[Text, Text], Gives::Int, last_index_of),
    Overload::method("lastIndexOf", &[Text, Text, Int], Gives::Int, last_index_of),
    Overload::method("lowerAscii", &[Text], Gives::String, LOWER_ASCII),
    Overload::method("replace", &[Text, Text, Text], Gives::String, replace),
    Overload::method("replace", &[Text, Text, Text, Int], Gives::String, replace),
    Overload::method("reverse", &[Text], Gives::String, reverse),
    Overload::method("split", &[Text, Text], Gives::Strings, split),
    Overload::method("split", &[Text, Text, Int], Gives::Strings, split),
    Overload::method("startsWith", &[Text, Text], Gives::Bool, starts_with),
    Overload::method("substring", &[Text, Int], Gives::String, substring),
    Overload::method("substring", &[Text, Int, Int], Gives::String, substring),
    Overload::method("trim", &[Text], Gives::String, trim),
    Overload::method("upperAscii", &[Text], Gives::String, UPPER_ASCII),
];

const LOWER_ASCII: Run = |machine, site, values| map_text(machine, site, values, str::to_ascii_lowercase);
const UPPER_ASCII: Run = |machine, site, values| map_text(machine, site, values, str::to_ascii_uppercase);

fn map_text(
    machine: &mut Machine<'_>,
    site: &Site<'_>,
    values: &[Value],
    change: fn(&str) -> String,
) -> Outcome {
    let [Value::String(text)] = values else {
        return unfit(site);
    };
    machine.budget.text(text.len(), site.span)?;
    Ok(Value::from(change(text)))
}

fn size(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text)] = values else {
        return unfit(site);
    };
    machine.budget.scan(text.len(), site.span)?;
    Ok(int(text.chars().count()))
}

fn out_of_range(site: &Site<'_>) -> Box<crate::Error> {
    fault(
        ErrorKind::Index,
        site.span,
        format!("an index given to `{}` is outside the text", site.name),
    )
}

/// The byte offset of the code point at `index`; that of the end where it is the number of code points.
fn offset(text: &str, index: i64, site: &Site<'_>) -> Outcome<usize> {
    let index = usize::try_from(index).map_err(|_| out_of_range(site))?;
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.into_iter().nth(index).ok_or_else(|| out_of_range(site))
}

/// How many code points come before a byte offset.
fn position(text: &str, offset: usize) -> Value {
    int(text.get(..offset).unwrap_or_default().chars().count())
}

fn char_at(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text), Value::Int(index)] = values else {
        return unfit(site);
    };
    machine.budget.scan(text.len(), site.span)?;
    let rest = text.get(offset(text, *index, site)?..).unwrap_or_default();
    Ok(Value::from(
        rest.chars().next().map(String::from).unwrap_or_default(),
    ))
}

fn contains(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text), Value::String(part)] = values else {
        return unfit(site);
    };
    machine
        .budget
        .scan(text.len().saturating_add(part.len()), site.span)?;
    Ok(Value::Bool(text.contains(&**part)))
}

fn starts_with(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text), Value::String(part)] = values else {
        return unfit(site);
    };
    Ok(Value::Bool(text.starts_with(&**part)))
}

fn ends_with(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text), Value::String(part)] = values else {
        return unfit(site);
    };
    Ok(Value::Bool(text.ends_with(&**part)))
}

fn index_of(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let (text, part, from) = match values {
        [Value::String(text), Value::String(part)] => (text, part, 0),
        [Value::String(text), Value::String(part), Value::Int(from)] => (text, part, *from),
        _ => return unfit(site),
    };
    machine
        .budget
        .scan(text.len().saturating_add(part.len()), site.span)?;
    let start = offset(text, from, site)?;
    let found = text.get(start..).unwrap_or_default().find(&**part);
    Ok(found.map_or(Value::Int(-1), |at| position(text, start.saturating_add(at))))
}

fn last_index_of(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let (text, part, last) = match values {
        [Value::String(text), Value::String(part)] => (text, part, None),
        [Value::String(text), Value::String(part), Value::Int(last)] => (text, part, Some(*last)),
        _ => return unfit(site),
    };
    machine
        .budget
        .scan(text.len().saturating_add(part.len()), site.span)?;
    // The match may start no later than the given index, so it ends no later than that and its own length.
    let end = match last {
        Some(last) => offset(text, last, site)?
            .saturating_add(part.len())
            .min(text.len()),
        None => text.len(),
    };
    let end = (0..=end)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or_default();
    let found = text.get(..end).unwrap_or_default().rfind(&**part);
    Ok(found.map_or(Value::Int(-1), |at| position(text, at)))
}

/// How often something may be done; below zero means without limit.
fn limit(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn replace(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let (text, from, to, count) = match values {
        [Value::String(text), Value::String(from), Value::String(to)] => (text, from, to, usize::MAX),
        [
            Value::String(text),
            Value::String(from),
            Value::String(to),
            Value::Int(count),
        ] => (text, from, to, limit(*count)),
        _ => return unfit(site),
    };
    // An empty needle is found before each code point and at the end.
    machine.budget.scan(text.len(), site.span)?;
    let found = text.matches(&**from).take(count).count();
    machine.budget.text(
        text.len().saturating_add(found.saturating_mul(to.len())),
        site.span,
    )?;
    Ok(Value::from(text.replacen(&**from, to, found)))
}

fn split(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let (text, separator, count) = match values {
        [Value::String(text), Value::String(separator)] => (text, separator, usize::MAX),
        [Value::String(text), Value::String(separator), Value::Int(count)] => {
            (text, separator, limit(*count))
        }
        _ => return unfit(site),
    };
    machine.budget.text(text.len(), site.span)?;
    if count == 0 {
        return Ok(list_of(Vec::new()));
    }
    // Between code points there is an empty text, but none before the first and after the last.
    let between = text.matches(&**separator).count();
    let pieces = if separator.is_empty() {
        text.chars().count()
    } else {
        between.saturating_add(1)
    }
    .min(count);
    machine.budget.elements(pieces, site.span)?;
    if !separator.is_empty() {
        return Ok(Value::list(text.splitn(pieces, &**separator)));
    }
    let mut parts = Vec::with_capacity(pieces);
    let mut rest: &str = text;
    while let Some(letter) = rest.chars().next() {
        let is_last = parts.len().saturating_add(1) == pieces;
        let (part, after) = rest.split_at_checked(letter.len_utf8()).unwrap_or((rest, ""));
        parts.push(Value::from(if is_last { rest } else { part }));
        rest = if is_last { "" } else { after };
    }
    Ok(list_of(parts))
}

fn join(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let (elements, separator): (_, &str) = match values {
        [Value::List(elements)] => (elements, ""),
        [Value::List(elements), Value::String(separator)] => (elements, separator),
        _ => return unfit(site),
    };
    machine.budget.step(elements.len(), site.span)?;
    let mut length = separator.len().saturating_mul(elements.len());
    for element in elements.iter() {
        let Value::String(text) = element else {
            return Err(argument(
                site,
                format!(
                    "`join` joins strings, and there is a value of type {}",
                    element.kind()
                ),
            ));
        };
        length = length.saturating_add(text.len());
    }
    machine.budget.text(length, site.span)?;
    let parts: Vec<&str> = elements.iter().filter_map(Value::as_str).collect();
    Ok(Value::from(parts.join(separator)))
}

fn reverse(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text)] = values else {
        return unfit(site);
    };
    machine.budget.text(text.len(), site.span)?;
    Ok(Value::from(text.chars().rev().collect::<String>()))
}

fn substring(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let (text, from, to) = match values {
        [Value::String(text), Value::Int(from)] => (text, offset(text, *from, site)?, text.len()),
        [Value::String(text), Value::Int(from), Value::Int(to)] => {
            (text, offset(text, *from, site)?, offset(text, *to, site)?)
        }
        _ => return unfit(site),
    };
    machine.budget.text(text.len(), site.span)?;
    text.get(from..to)
        .map(Value::from)
        .ok_or_else(|| out_of_range(site))
}

fn trim(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text)] = values else {
        return unfit(site);
    };
    machine.budget.text(text.len(), site.span)?;
    Ok(Value::from(text.trim()))
}
