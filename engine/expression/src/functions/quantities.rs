//! Kubernetes quantities.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Gives, Kind, Overload, Run, Site, unfit};
use crate::error::{Outcome, fault};
use crate::evaluate::Machine;
use crate::{ErrorKind, Quantity, Value};

use Kind::{Int, Quantity as Amount, String as Text};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload::function("isQuantity", &[Text], Gives::Bool, is_quantity),
    Overload::function("quantity", &[Text], Gives::Quantity, quantity),
    Overload::method("add", &[Amount, Amount], Gives::Quantity, ADD),
    Overload::method("add", &[Amount, Int], Gives::Quantity, ADD),
    Overload::method("asApproximateFloat", &[Amount], Gives::Double, as_double),
    Overload::method("asInteger", &[Amount], Gives::Int, as_int),
    Overload::method("compareTo", &[Amount, Amount], Gives::Int, compare_to),
    Overload::method("isGreaterThan", &[Amount, Amount], Gives::Bool, IS_GREATER),
    Overload::method("isInteger", &[Amount], Gives::Bool, is_int),
    Overload::method("isLessThan", &[Amount, Amount], Gives::Bool, IS_LESS),
    Overload::method("sign", &[Amount], Gives::Int, sign),
    Overload::method("sub", &[Amount, Amount], Gives::Quantity, SUB),
    Overload::method("sub", &[Amount, Int], Gives::Quantity, SUB),
];

const ADD: Run = |_, site, values| combine(site, values, Quantity::checked_add);
const SUB: Run = |_, site, values| combine(site, values, Quantity::checked_sub);
const IS_GREATER: Run = |_, site, values| Ok(Value::Bool(compare(site, values)?.is_gt()));
const IS_LESS: Run = |_, site, values| Ok(Value::Bool(compare(site, values)?.is_lt()));

fn is_quantity(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text)] = values else {
        return unfit(site);
    };
    Ok(Value::Bool(Quantity::parse(text).is_some()))
}

fn quantity(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text)] = values else {
        return unfit(site);
    };
    let parsed = Quantity::parse(text);
    let parsed =
        parsed.ok_or_else(|| fault(ErrorKind::Conversion, site.span, "this text isn't a quantity"))?;
    Ok(Value::Quantity(Arc::new(parsed)))
}

fn combine(site: &Site<'_>, values: &[Value], with: fn(&Quantity, &Quantity) -> Option<Quantity>) -> Outcome {
    let result = match values {
        [Value::Quantity(left), Value::Quantity(right)] => with(left, right),
        [Value::Quantity(left), Value::Int(right)] => with(left, &Quantity::from(*right)),
        _ => return unfit(site),
    };
    let result = result.ok_or_else(|| fault(ErrorKind::Overflow, site.span, "the result is out of range"))?;
    Ok(Value::Quantity(Arc::new(result)))
}

fn compare(site: &Site<'_>, values: &[Value]) -> Outcome<Ordering> {
    match values {
        [Value::Quantity(left), Value::Quantity(right)] => Ok(left.cmp(right)),
        _ => Err(fault(
            ErrorKind::Type,
            site.span,
            "quantities compare with quantities only",
        )),
    }
}

fn compare_to(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    Ok(Value::Int(match compare(site, values)? {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

fn as_int(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Quantity(quantity)] = values else {
        return unfit(site);
    };
    let int = quantity.as_int().map(Value::Int);
    int.ok_or_else(|| {
        fault(
            ErrorKind::Conversion,
            site.span,
            "this quantity isn't a whole number that fits an int",
        )
    })
}

fn is_int(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Quantity(quantity)] = values else {
        return unfit(site);
    };
    Ok(Value::Bool(quantity.as_int().is_some()))
}

fn as_double(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Quantity(quantity)] = values else {
        return unfit(site);
    };
    Ok(Value::Double(quantity.as_double()))
}

fn sign(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Quantity(quantity)] = values else {
        return unfit(site);
    };
    Ok(Value::Int(quantity.sign()))
}
