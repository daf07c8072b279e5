//! `format`: values into text by `%` clauses.

use super::{Gives, Kind, Overload, Site, argument, unfit};
use crate::convert::format_double;
use crate::error::Outcome;
use crate::evaluate::Machine;
use crate::operators::to_double;
use crate::{Error, Value};

pub(super) const FUNCTIONS: &[Overload] =
    &[Overload::method("format", &[Kind::String, Kind::List], Gives::String, format).deep()];

/// Most digits after the point.
const MOST_DIGITS: usize = 100;

/// Digits after the point where a clause doesn't say.
const DEFAULT_DIGITS: usize = 6;

/// What a clause may not be given, without the value.
fn unfit_clause(site: &Site<'_>, clause: char, value: &Value) -> Box<Error> {
    argument(
        site,
        format!("`%{clause}` can't format a value of type {}", value.kind()),
    )
}

fn format(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(pattern), Value::List(arguments)] = values else {
        return unfit(site);
    };
    machine.budget.text(pattern.len(), site.span)?;
    let mut text = String::new();
    let mut letters = pattern.chars();
    let mut arguments = arguments.iter();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let (digits, clause) = clause(site, &mut letters)?;
        if clause == '%' {
            text.push('%');
            continue;
        }
        let Some(value) = arguments.next() else {
            return Err(argument(site, "there are more clauses than values to format"));
        };
        let piece = match clause {
            's' => {
                let mut piece = String::new();
                show(machine, site, value, &mut piece)?;
                piece
            }
            'd' => decimal(site, value)?,
            'f' | 'e' => fixed(site, clause, value, digits)?,
            'b' | 'o' | 'x' | 'X' => radix(machine, site, clause, value)?,
            _ => {
                return Err(argument(
                    site,
                    "a clause is one of %s %d %f %e %b %o %x %X and %%",
                ));
            }
        };
        machine.budget.text(piece.len(), site.span)?;
        text.push_str(&piece);
    }
    if arguments.next().is_some() {
        return Err(argument(site, "there are more values to format than clauses"));
    }
    Ok(Value::from(text))
}

/// The precision and the letter of a clause.
fn clause(site: &Site<'_>, letters: &mut std::str::Chars<'_>) -> Outcome<(usize, char)> {
    let unfinished = || argument(site, "the text to format ends within a clause");
    let mut letter = letters.next().ok_or_else(unfinished)?;
    let mut digits = DEFAULT_DIGITS;
    if letter == '.' {
        digits = 0;
        loop {
            letter = letters.next().ok_or_else(unfinished)?;
            let Some(digit) = letter.to_digit(10) else { break };
            let digit = usize::try_from(digit).unwrap_or(usize::MAX);
            digits = digits.saturating_mul(10).saturating_add(digit);
            if digits > MOST_DIGITS {
                return Err(argument(
                    site,
                    format!("a number has at most {MOST_DIGITS} digits after the point"),
                ));
            }
        }
    }
    Ok((digits, letter))
}

/// `%s`: text as it is, lists and maps with what is in them.
fn show(machine: &mut Machine<'_>, site: &Site<'_>, value: &Value, text: &mut String) -> Outcome<()> {
    machine.budget.step(1, site.span)?;
    match value {
        Value::String(inner) => {
            machine.budget.text(inner.len(), site.span)?;
            text.push_str(inner);
        }
        Value::Bytes(inner) => {
            machine.budget.text(inner.len(), site.span)?;
            text.push_str(&String::from_utf8_lossy(inner));
        }
        Value::List(elements) => {
            let mut separator = "[";
            for element in elements.iter() {
                text.push_str(separator);
                show(machine, site, element, text)?;
                separator = ", ";
            }
            text.push_str(if elements.is_empty() { "[]" } else { "]" });
        }
        Value::Map(entries) => {
            let mut separator = "{";
            for (key, value) in entries.iter() {
                text.push_str(separator);
                show(machine, site, &key.to_value(), text)?;
                text.push_str(": ");
                show(machine, site, value, text)?;
                separator = ", ";
            }
            text.push_str(if entries.is_empty() { "{}" } else { "}" });
        }
        Value::Optional(_) => return Err(unfit_clause(site, 's', value)),
        other => text.push_str(&other.to_string()),
    }
    Ok(())
}

fn decimal(site: &Site<'_>, value: &Value) -> Outcome<String> {
    match value {
        Value::Int(int) => Ok(int.to_string()),
        Value::Double(double) if !double.is_finite() => Ok(format_double(*double)),
        other => Err(unfit_clause(site, 'd', other)),
    }
}

fn fixed(site: &Site<'_>, clause: char, value: &Value, digits: usize) -> Outcome<String> {
    let double = match value {
        Value::Int(int) => to_double(*int),
        Value::Double(double) => *double,
        other => return Err(unfit_clause(site, clause, other)),
    };
    if !double.is_finite() {
        return Ok(format_double(double));
    }
    if clause == 'f' {
        return Ok(format!("{double:.digits$}"));
    }
    // Rust writes `1.5e3`, CEL at least two digits and a sign: `1.5e+03`.
    let text = format!("{double:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, magnitude) = match exponent.strip_prefix('-') {
        Some(magnitude) => ('-', magnitude),
        None => ('+', exponent),
    };
    Ok(format!("{mantissa}e{sign}{magnitude:0>2}"))
}

fn radix(machine: &mut Machine<'_>, site: &Site<'_>, clause: char, value: &Value) -> Outcome<String> {
    let (negative, magnitude) = match value {
        Value::Int(int) => (*int < 0, int.unsigned_abs()),
        Value::Bool(bool) if clause == 'b' => (false, u64::from(*bool)),
        Value::String(text) if matches!(clause, 'x' | 'X') => {
            return hexadecimal(machine, site, text.as_bytes(), clause == 'X');
        }
        Value::Bytes(bytes) if matches!(clause, 'x' | 'X') => {
            return hexadecimal(machine, site, bytes, clause == 'X');
        }
        other => return Err(unfit_clause(site, clause, other)),
    };
    let digits = match clause {
        'b' => format!("{magnitude:b}"),
        'o' => format!("{magnitude:o}"),
        'X' => format!("{magnitude:X}"),
        _ => format!("{magnitude:x}"),
    };
    Ok(if negative { format!("-{digits}") } else { digits })
}

fn hexadecimal(machine: &mut Machine<'_>, site: &Site<'_>, bytes: &[u8], upper: bool) -> Outcome<String> {
    machine.budget.text(bytes.len().saturating_mul(2), site.span)?;
    let digits = bytes.iter().map(|byte| {
        if upper {
            format!("{byte:02X}")
        } else {
            format!("{byte:02x}")
        }
    });
    Ok(digits.collect())
}
