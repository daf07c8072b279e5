//! Optionals, except what evaluates its argument only when it is needed.

use super::{Gives, Kind, Overload, Site, unfit};
use crate::error::{Outcome, fault};
use crate::evaluate::Machine;
use crate::{ErrorKind, Value};

use Kind::{Any, Optional};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload::function("omit", &[], Gives::Dyn, omit),
    Overload::function("optional.none", &[], Gives::MaybeSame, none),
    Overload::function("optional.of", &[Any], Gives::MaybeSame, of),
    Overload::function("optional.ofNonZeroValue", &[Any], Gives::MaybeSame, of_non_zero),
    Overload::method("hasValue", &[Optional], Gives::Bool, has_value),
    Overload::method("value", &[Optional], Gives::Inner, value),
];

#[allow(
    clippy::unnecessary_wraps,
    reason = "all functions of the table have one signature"
)]
fn omit(_: &mut Machine<'_>, _: &Site<'_>, _: &[Value]) -> Outcome {
    Ok(Value::Omit)
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "all functions of the table have one signature"
)]
fn none(_: &mut Machine<'_>, _: &Site<'_>, _: &[Value]) -> Outcome {
    Ok(Value::Optional(None))
}

fn of(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [value] = values else { return unfit(site) };
    Ok(Value::some(value.clone()))
}

fn of_non_zero(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [value] = values else { return unfit(site) };
    let is_zero = match value {
        Value::Null | Value::Bool(false) | Value::Int(0) | Value::Optional(None) => true,
        Value::Double(double) => *double == 0.0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(elements) => elements.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        Value::Duration(duration) => duration.is_zero(),
        Value::Quantity(quantity) => quantity.sign() == 0,
        _ => false,
    };
    Ok(if is_zero {
        Value::Optional(None)
    } else {
        Value::some(value.clone())
    })
}

fn has_value(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Optional(inner)] = values else {
        return unfit(site);
    };
    Ok(Value::Bool(inner.is_some()))
}

fn value(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    match values {
        [Value::Optional(Some(inner))] => Ok(inner.as_ref().clone()),
        [Value::Optional(None)] => {
            let text = site.span.text(machine.source);
            let path = text
                .rsplit_once(".value")
                .map_or(text, |(operand, _)| operand)
                .to_owned();
            Err(fault(
                ErrorKind::Missing { path },
                site.span,
                "this optional has no value",
            ))
        }
        _ => unfit(site),
    }
}
