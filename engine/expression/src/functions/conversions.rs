//! From one type to another.

use std::sync::Arc;

use super::{Gives, Kind, Overload, Site, argument, int, unfit};
use crate::convert::format_double;
use crate::error::{Outcome, fault};
use crate::evaluate::Machine;
use crate::instants::{format_duration, format_timestamp};
use crate::operators::{to_double, truncate};
use crate::{Error, ErrorKind, TypeName, Value};

use Kind::{Any, Bool, Bytes, Double, Duration, Int, Quantity, String as Text, Timestamp};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload::function("bool", &[Bool], Gives::Bool, to_bool),
    Overload::function("bool", &[Text], Gives::Bool, to_bool),
    Overload::function("bytes", &[Bytes], Gives::Bytes, to_bytes),
    Overload::function("bytes", &[Text], Gives::Bytes, to_bytes),
    Overload::function("double", &[Kind::Number], Gives::Double, number_to_double),
    Overload::function("double", &[Quantity], Gives::Double, number_to_double),
    Overload::function("double", &[Text], Gives::Double, number_to_double),
    Overload::function("dyn", &[Any], Gives::Dyn, to_dyn),
    Overload::function("int", &[Int], Gives::Int, to_int),
    Overload::function("int", &[Double], Gives::Int, to_int),
    Overload::function("int", &[Text], Gives::Int, to_int),
    Overload::function("int", &[Timestamp], Gives::Int, to_int),
    Overload::function("size", &[Bytes], Gives::Int, size),
    Overload::method("size", &[Bytes], Gives::Int, size),
    Overload::function("string", &[Text], Gives::String, to_string),
    Overload::function("string", &[Bool], Gives::String, to_string),
    Overload::function("string", &[Bytes], Gives::String, to_string),
    Overload::function("string", &[Double], Gives::String, to_string),
    Overload::function("string", &[Duration], Gives::String, to_string),
    Overload::function("string", &[Int], Gives::String, to_string),
    Overload::function("string", &[Quantity], Gives::String, to_string),
    Overload::function("string", &[Timestamp], Gives::String, to_string),
    Overload::function("type", &[Any], Gives::Dyn, to_type),
    Overload::function("uint", &[Int], Gives::Int, to_uint),
    Overload::function("uint", &[Double], Gives::Int, to_uint),
    Overload::function("uint", &[Text], Gives::Int, to_uint),
];

fn unconvertible(site: &Site<'_>) -> Box<Error> {
    let wanted = site.name;
    fault(
        ErrorKind::Conversion,
        site.span,
        format!("this text doesn't stand for a value of type {wanted}"),
    )
}

fn size(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Bytes(bytes)] = values else {
        return unfit(site);
    };
    Ok(int(bytes.len()))
}

fn to_bool(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    match values {
        [Value::Bool(bool)] => Ok(Value::Bool(*bool)),
        [Value::String(text)] => match &**text {
            "true" | "True" | "TRUE" | "t" | "T" | "1" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "F" | "0" => Ok(Value::Bool(false)),
            _ => Err(unconvertible(site)),
        },
        _ => unfit(site),
    }
}

fn to_bytes(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    match values {
        [Value::Bytes(bytes)] => Ok(Value::Bytes(Arc::clone(bytes))),
        [Value::String(text)] => {
            machine.budget.text(text.len(), site.span)?;
            Ok(Value::Bytes(text.as_bytes().into()))
        }
        _ => unfit(site),
    }
}

fn number_to_double(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    Ok(Value::Double(match values {
        [Value::Double(double)] => *double,
        [Value::Int(int)] => to_double(*int),
        [Value::Quantity(quantity)] => quantity.as_double(),
        [Value::String(text)] => {
            machine.budget.scan(text.len(), site.span)?;
            text.parse().map_err(|_| unconvertible(site))?
        }
        _ => return unfit(site),
    }))
}

fn to_dyn(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [value] = values else { return unfit(site) };
    Ok(value.clone())
}

/// Of a double the whole part, of a timestamp the seconds since 1970.
fn to_int(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    Ok(Value::Int(match values {
        [Value::Int(int)] => *int,
        [Value::Double(double)] => {
            // CEL leaves both ends out: next to them, a double can't tell one int from another.
            let int = truncate(*double).filter(|int| *int != i64::MIN);
            int.ok_or_else(|| fault(ErrorKind::Overflow, site.span, "the result is out of range"))?
        }
        [Value::String(text)] => {
            machine.budget.scan(text.len(), site.span)?;
            text.parse().map_err(|_| unconvertible(site))?
        }
        [Value::Timestamp(timestamp)] => timestamp.unix_timestamp(),
        _ => return unfit(site),
    }))
}

/// There is one type of whole numbers; this only refuses those below zero.
fn to_uint(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    match to_int(machine, site, values)? {
        Value::Int(below) if below < 0 => Err(argument(site, "an unsigned int can't be below zero")),
        int => Ok(int),
    }
}

fn to_string(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    Ok(match values {
        [Value::String(text)] => Value::String(Arc::clone(text)),
        [Value::Bool(bool)] => Value::from(bool.to_string()),
        [Value::Int(int)] => Value::from(int.to_string()),
        [Value::Double(double)] => Value::from(format_double(*double)),
        [Value::Duration(duration)] => Value::from(format_duration(*duration)),
        [Value::Timestamp(timestamp)] => Value::from(format_timestamp(*timestamp)),
        [Value::Quantity(quantity)] => Value::from(quantity.to_string()),
        [Value::Bytes(bytes)] => {
            machine.budget.text(bytes.len(), site.span)?;
            let text = std::str::from_utf8(bytes);
            Value::from(
                text.map_err(|_| fault(ErrorKind::Conversion, site.span, "these bytes aren't UTF-8 text"))?,
            )
        }
        _ => return unfit(site),
    })
}

fn to_type(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [value] = values else { return unfit(site) };
    Ok(Value::Type(match value {
        Value::Null => TypeName::Null,
        Value::Bool(_) => TypeName::Bool,
        Value::Int(_) => TypeName::Int,
        Value::Double(_) => TypeName::Double,
        Value::String(_) => TypeName::String,
        Value::Bytes(_) => TypeName::Bytes,
        Value::List(_) => TypeName::List,
        Value::Map(_) => TypeName::Map,
        Value::Duration(_) => TypeName::Duration,
        Value::Timestamp(_) => TypeName::Timestamp,
        Value::Quantity(_) => TypeName::Quantity,
        Value::Type(_) => TypeName::Type,
        Value::Optional(_) => TypeName::Optional,
        // Opening the argument has dealt with all of these.
        Value::Unknown(_) | Value::Sensitive(_) | Value::Omit | Value::Failed(_) => return unfit(site),
    }))
}
