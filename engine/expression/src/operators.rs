//! Arithmetic and comparison of known values.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::ast::{Arithmetic, Relation};
use crate::error::{Outcome, fault};
use crate::instants::{bounded, in_range};
use crate::{Budget, Error, ErrorKind, MapKey, Span, Value};

/// The double nearest to an int.
#[allow(
    clippy::cast_precision_loss,
    reason = "ints and doubles compute together as doubles"
)]
pub(crate) const fn to_double(int: i64) -> f64 {
    int as f64
}

/// 2^63, the first double above all ints.
const ABOVE_INTS: f64 = 9_223_372_036_854_775_808.0;

/// The whole part of a double, where that is an int.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked before")]
pub(crate) fn truncate(double: f64) -> Option<i64> {
    (-ABOVE_INTS..ABOVE_INTS)
        .contains(&double)
        .then_some(double as i64)
}

/// The int that a number is, nothing where it isn't whole.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(int) => Some(*int),
        Value::Double(double) if double.fract() == 0.0 => truncate(*double),
        _ => None,
    }
}

/// The key that a value can stand for.
pub(crate) fn key_of(value: &Value) -> Option<MapKey> {
    match value {
        Value::Bool(bool) => Some(MapKey::Bool(*bool)),
        Value::String(text) => Some(MapKey::String(Arc::clone(text))),
        number => whole(number).map(MapKey::Int),
    }
}

fn overflow(span: Span) -> Box<Error> {
    fault(ErrorKind::Overflow, span, "the result is out of range")
}

pub(crate) fn negate(value: &Value, span: Span) -> Outcome {
    match value {
        Value::Int(int) => int.checked_neg().map(Value::Int).ok_or_else(|| overflow(span)),
        Value::Double(double) => Ok(Value::Double(-double)),
        Value::Duration(duration) => duration
            .checked_neg()
            .map(Value::Duration)
            .ok_or_else(|| overflow(span)),
        other => Err(unfit_negation(other.kind(), span)),
    }
}

pub(crate) fn unfit_negation(kind: &str, span: Span) -> Box<Error> {
    fault(
        ErrorKind::Type,
        span,
        format!("`-` doesn't work on a value of type {kind}"),
    )
}

pub(crate) fn arithmetic(
    budget: &mut Budget,
    operator: Arithmetic,
    at: Span,
    left: &Value,
    right: &Value,
) -> Outcome {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => int_arithmetic(operator, at, *left, *right),
        (Value::Double(left), Value::Double(right)) => double_arithmetic(operator, at, *left, *right),
        (Value::Int(left), Value::Double(right)) => double_arithmetic(operator, at, to_double(*left), *right),
        (Value::Double(left), Value::Int(right)) => double_arithmetic(operator, at, *left, to_double(*right)),
        _ => match operator {
            Arithmetic::Add => add(budget, at, left, right),
            Arithmetic::Subtract => subtract(at, left, right),
            _ => Err(unfit(operator, at, left, right)),
        },
    }
}

fn int_arithmetic(operator: Arithmetic, at: Span, left: i64, right: i64) -> Outcome {
    if right == 0 && matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) {
        return Err(fault(
            ErrorKind::DivideByZero,
            at,
            "an int can't be divided by zero",
        ));
    }
    let result = match operator {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Remainder => left.checked_rem(right),
    };
    result.map(Value::Int).ok_or_else(|| overflow(at))
}

fn double_arithmetic(operator: Arithmetic, at: Span, left: f64, right: f64) -> Outcome {
    Ok(Value::Double(match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => return Err(fault(ErrorKind::Type, at, "`%` works on ints only")),
    }))
}

fn add(budget: &mut Budget, at: Span, left: &Value, right: &Value) -> Outcome {
    match (left, right) {
        (Value::String(left), Value::String(right)) => {
            budget.text(left.len().saturating_add(right.len()), at)?;
            Ok(Value::from([left.as_ref(), right.as_ref()].concat()))
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            budget.text(left.len().saturating_add(right.len()), at)?;
            Ok(Value::Bytes([left.as_ref(), right.as_ref()].concat().into()))
        }
        (Value::List(left), Value::List(right)) => {
            budget.elements(left.len().saturating_add(right.len()), at)?;
            Ok(Value::List(Arc::new(
                left.iter().chain(right.iter()).cloned().collect(),
            )))
        }
        (Value::Duration(left), Value::Duration(right)) => {
            let sum = left.checked_add(*right).and_then(bounded);
            sum.map(Value::Duration).ok_or_else(|| overflow(at))
        }
        (Value::Timestamp(timestamp), Value::Duration(duration))
        | (Value::Duration(duration), Value::Timestamp(timestamp)) => {
            let sum = timestamp.checked_add(*duration).and_then(in_range);
            sum.map(Value::Timestamp).ok_or_else(|| overflow(at))
        }
        _ => Err(unfit(Arithmetic::Add, at, left, right)),
    }
}

fn subtract(at: Span, left: &Value, right: &Value) -> Outcome {
    match (left, right) {
        (Value::Duration(left), Value::Duration(right)) => {
            let difference = left.checked_sub(*right).and_then(bounded);
            difference.map(Value::Duration).ok_or_else(|| overflow(at))
        }
        (Value::Timestamp(timestamp), Value::Duration(duration)) => {
            let earlier = timestamp.checked_sub(*duration).and_then(in_range);
            earlier.map(Value::Timestamp).ok_or_else(|| overflow(at))
        }
        (Value::Timestamp(left), Value::Timestamp(right)) => Ok(Value::Duration(distance(*left, *right))),
        _ => Err(unfit(Arithmetic::Subtract, at, left, right)),
    }
}

/// The time from one instant to another.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "both are within the years 1 to 9999, so it can't overflow"
)]
fn distance(later: time::OffsetDateTime, earlier: time::OffsetDateTime) -> time::Duration {
    later - earlier
}

fn unfit(operator: Arithmetic, at: Span, left: &Value, right: &Value) -> Box<Error> {
    Box::new(unfit_types(operator.symbol(), at, left.kind(), right.kind()))
}

/// An operator between types that it doesn't work on.
pub(crate) fn unfit_types(symbol: &str, at: Span, left: &str, right: &str) -> Error {
    let error = Error::new(
        ErrorKind::Type,
        at,
        format!("`{symbol}` doesn't work between {left} and {right}"),
    );
    match (symbol, left, right) {
        ("+", "string", "int" | "double" | "bool" | "quantity" | "duration" | "timestamp")
        | ("+", "int" | "double" | "bool" | "quantity" | "duration" | "timestamp", "string") => {
            error.with_hint("turn it into text with string(…)")
        }
        (_, "optional", _) | (_, _, "optional") => error.with_hint("unwrap the optional with `.orValue(…)`"),
        _ => error,
    }
}

pub(crate) fn relation(
    budget: &mut Budget,
    relation: Relation,
    span: Span,
    left: &Value,
    right: &Value,
) -> Outcome<bool> {
    let wanted: fn(Ordering) -> bool = match relation {
        Relation::Equal => return equal(budget, left, right, span),
        Relation::Unequal => return Ok(!equal(budget, left, right, span)?),
        Relation::Less => Ordering::is_lt,
        Relation::LessOrEqual => Ordering::is_le,
        Relation::Greater => Ordering::is_gt,
        Relation::GreaterOrEqual => Ordering::is_ge,
        Relation::In => return Err(Box::new(unfit_types("in", span, left.kind(), right.kind()))),
    };
    if let (Value::String(left), Value::String(right)) = (left, right) {
        budget.scan(left.len().min(right.len()), span)?;
    }
    match order(left, right) {
        Order::Known(ordering) => Ok(wanted(ordering)),
        // A double that is no number is neither less nor greater than another.
        Order::Unordered => Ok(false),
        Order::Unfit => Err(Box::new(unfit_types(
            relation.symbol(),
            span,
            left.kind(),
            right.kind(),
        ))),
    }
}

/// How two values stand to one another.
pub(crate) enum Order {
    Known(Ordering),
    /// One of them is a double that is no number.
    Unordered,
    /// Values of their types have no order.
    Unfit,
}

/// Orders two values of one type; numbers by amount, text by code point, false before true.
pub(crate) fn order(left: &Value, right: &Value) -> Order {
    let ordering = match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Int(left), Value::Double(right)) => compare(*left, *right),
        (Value::Double(left), Value::Int(right)) => compare(*right, *left).map(Ordering::reverse),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        // The order of UTF-8 bytes is that of code points.
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
        (Value::Quantity(left), Value::Quantity(right)) => Some(left.cmp(right)),
        _ => return Order::Unfit,
    };
    ordering.map_or(Order::Unordered, Order::Known)
}

/// Compares an int with a double by amount, without rounding the int.
fn compare(int: i64, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    Some(match truncate(double) {
        Some(whole) => int.cmp(&whole).then(0.0_f64.total_cmp(&(double.fract() + 0.0))),
        None if double > 0.0 => Ordering::Less,
        None => Ordering::Greater,
    })
}

/// Deep equality. Numbers are equal by amount; values of different types are unequal, which is no error.
pub(crate) fn equal(budget: &mut Budget, left: &Value, right: &Value, span: Span) -> Outcome<bool> {
    budget.step(1, span)?;
    Ok(match (left, right) {
        (Value::Null, Value::Null) | (Value::Optional(None), Value::Optional(None)) => true,
        (Value::String(left), Value::String(right)) => {
            budget.scan(left.len().min(right.len()), span)?;
            left == right
        }
        (Value::List(left), Value::List(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.iter().zip(right.iter()) {
                if !equal(budget, left, right, span)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(left), Value::Map(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (key, left) in left.iter() {
                match right.get(key) {
                    Some(right) if equal(budget, left, right, span)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Value::Optional(Some(left)), Value::Optional(Some(right))) => equal(budget, left, right, span)?,
        (Value::Type(left), Value::Type(right)) => left == right,
        _ => matches!(order(left, right), Order::Known(Ordering::Equal)),
    })
}
