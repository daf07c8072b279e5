//! Lists.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Gives, Kind, Overload, Run, Site, argument, int, unfit};
use crate::ast::Arithmetic;
use crate::error::{Outcome, fault};
use crate::evaluate::{Machine, list_of};
use crate::operators::{self, Order, equal, order};
use crate::{ErrorKind, Value};

use Kind::{Any, Int, List};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload::function("size", &[List], Gives::Int, size),
    Overload::method("size", &[List], Gives::Int, size),
    Overload::method("distinct", &[List], Gives::Same, distinct).deep(),
    Overload::method("first", &[List], Gives::MaybeElement, FIRST),
    Overload::method("flatten", &[List], Gives::Dyn, flatten).deep(),
    Overload::method("flatten", &[List, Int], Gives::Dyn, flatten).deep(),
    Overload::method("indexOf", &[List, Any], Gives::Int, INDEX_OF).deep(),
    Overload::method("isSorted", &[List], Gives::Bool, is_sorted).deep(),
    Overload::method("last", &[List], Gives::MaybeElement, LAST),
    Overload::method("lastIndexOf", &[List, Any], Gives::Int, LAST_INDEX_OF).deep(),
    Overload::function("lists.range", &[Int], Gives::Ints, range),
    Overload::method("max", &[List], Gives::Element, MAX).deep(),
    Overload::method("min", &[List], Gives::Element, MIN).deep(),
    Overload::method("reverse", &[List], Gives::Same, reverse),
    Overload::method("slice", &[List, Int, Int], Gives::Same, slice),
    Overload::method("sort", &[List], Gives::Same, sort).deep(),
    Overload::method("sum", &[List], Gives::Element, sum).deep(),
];

const FIRST: Run = |_, site, values| edge(site, values, <[Value]>::first);
const LAST: Run = |_, site, values| edge(site, values, <[Value]>::last);
const MAX: Run = |machine, site, values| extreme(machine, site, values, Ordering::Greater);
const MIN: Run = |machine, site, values| extreme(machine, site, values, Ordering::Less);
const INDEX_OF: Run = |machine, site, values| position(machine, site, values, false);
const LAST_INDEX_OF: Run = |machine, site, values| position(machine, site, values, true);

fn size(_: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::List(elements)] = values else {
        return unfit(site);
    };
    Ok(int(elements.len()))
}

fn edge(site: &Site<'_>, values: &[Value], pick: fn(&[Value]) -> Option<&Value>) -> Outcome {
    let [Value::List(elements)] = values else {
        return unfit(site);
    };
    Ok(match pick(elements) {
        Some(Value::Failed(error)) => return Err(Box::new(error.as_ref().clone().at(site.span))),
        Some(unknown @ Value::Unknown(_)) => unknown.clone(),
        Some(element) => Value::some(element.clone()),
        None => Value::Optional(None),
    })
}

/// Each element once, where it comes first. Comparing each with each is bounded by the budget.
fn distinct(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::List(elements)] = values else {
        return unfit(site);
    };
    machine.budget.elements(elements.len(), site.span)?;
    let mut kept: Vec<Value> = Vec::new();
    'elements: for element in elements.iter() {
        for earlier in &kept {
            if equal(machine.budget, earlier, element, site.span)? {
                continue 'elements;
            }
        }
        kept.push(element.clone());
    }
    Ok(list_of(kept))
}

fn flatten(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let (elements, depth) = match values {
        [Value::List(elements)] => (elements, 1),
        [Value::List(elements), Value::Int(depth)] => (
            elements,
            usize::try_from(*depth).map_err(|_| argument(site, "the depth is below zero"))?,
        ),
        _ => return unfit(site),
    };
    let mut flat = elements.as_ref().clone();
    machine.budget.elements(flat.len(), site.span)?;
    for _ in 0..depth {
        if !flat.iter().any(|element| matches!(element, Value::List(_))) {
            break;
        }
        let mut next = Vec::new();
        for element in flat {
            match element {
                Value::List(inner) => {
                    machine
                        .budget
                        .elements(inner.len().saturating_add(1), site.span)?;
                    next.extend(inner.iter().cloned());
                }
                other => {
                    machine.budget.elements(1, site.span)?;
                    next.push(other);
                }
            }
        }
        flat = next;
    }
    Ok(list_of(flat))
}

fn position(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value], from_end: bool) -> Outcome {
    let [Value::List(elements), wanted] = values else {
        return unfit(site);
    };
    let mut last = None;
    for (index, element) in elements.iter().enumerate() {
        if equal(machine.budget, element, wanted, site.span)? {
            last = Some(index);
            if !from_end {
                break;
            }
        }
    }
    Ok(last.map_or(Value::Int(-1), int))
}

/// The elements, once it is sure that any two of them have an order.
fn comparable<'v>(
    machine: &mut Machine<'_>,
    site: &Site<'_>,
    values: &'v [Value],
) -> Outcome<&'v Arc<Vec<Value>>> {
    let [Value::List(elements)] = values else {
        return Err(argument(site, format!("`{}` needs a list", site.name)));
    };
    machine.budget.step(elements.len(), site.span)?;
    let Some(first) = elements.first() else {
        return Ok(elements);
    };
    for element in elements.iter() {
        machine
            .budget
            .scan(element.as_str().map_or(0, str::len), site.span)?;
        // An element that is ordered with the first, and with itself, is ordered with all that are.
        if !matches!(
            (order(first, element), order(element, element)),
            (Order::Known(_), Order::Known(_))
        ) {
            let message = format!(
                "`{}` can't order a value of type {} here",
                site.name,
                element.kind()
            );
            return Err(fault(ErrorKind::Type, site.span, message));
        }
    }
    Ok(elements)
}

fn ordering(left: &Value, right: &Value) -> Ordering {
    if let Order::Known(ordering) = order(left, right) {
        ordering
    } else {
        Ordering::Equal
    }
}

fn is_sorted(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let elements = comparable(machine, site, values)?;
    Ok(Value::Bool(
        elements.is_sorted_by(|left, right| ordering(left, right).is_le()),
    ))
}

fn extreme(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value], wanted: Ordering) -> Outcome {
    let elements = comparable(machine, site, values)?;
    let best = elements.iter().reduce(|best, next| {
        if ordering(next, best) == wanted {
            next
        } else {
            best
        }
    });
    best.cloned()
        .ok_or_else(|| argument(site, format!("`{}` needs a list that isn't empty", site.name)))
}

/// Sorts without moving what is equal.
fn sort(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let elements = comparable(machine, site, values)?;
    let rounds = elements.len().checked_ilog2().unwrap_or(0);
    let rounds = usize::try_from(rounds).unwrap_or(usize::MAX).saturating_add(1);
    machine
        .budget
        .step(elements.len().saturating_mul(rounds), site.span)?;
    for element in elements.iter() {
        let length = element.as_str().map_or(0, str::len);
        machine.budget.scan(length.saturating_mul(rounds), site.span)?;
    }
    machine.budget.elements(elements.len(), site.span)?;
    let mut sorted = elements.as_ref().clone();
    sorted.sort_by(ordering);
    Ok(list_of(sorted))
}

fn range(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Int(end)] = values else {
        return unfit(site);
    };
    let count = usize::try_from(*end).map_err(|_| argument(site, "the count is below zero"))?;
    machine.budget.elements(count, site.span)?;
    Ok(Value::list(0..*end))
}

fn reverse(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::List(elements)] = values else {
        return unfit(site);
    };
    machine.budget.elements(elements.len(), site.span)?;
    Ok(list_of(elements.iter().rev().cloned().collect()))
}

fn slice(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::List(elements), Value::Int(start), Value::Int(end)] = values else {
        return unfit(site);
    };
    let range = usize::try_from(*start).ok().zip(usize::try_from(*end).ok());
    let Some(part) = range.and_then(|(start, end)| elements.get(start..end)) else {
        return Err(fault(
            ErrorKind::Index,
            site.span,
            "an index given to `slice` is outside the list",
        ));
    };
    machine.budget.elements(part.len(), site.span)?;
    Ok(list_of(part.to_vec()))
}

/// The sum of numbers or durations; of nothing, it is 0.
fn sum(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::List(elements)] = values else {
        return unfit(site);
    };
    let mut total: Option<Value> = None;
    for element in elements.iter() {
        machine.budget.step(1, site.span)?;
        if !matches!(element, Value::Int(_) | Value::Double(_) | Value::Duration(_)) {
            return Err(argument(
                site,
                format!("`sum` can't add a value of type {}", element.kind()),
            ));
        }
        total = Some(match total {
            Some(total) => {
                operators::arithmetic(machine.budget, Arithmetic::Add, site.span, &total, element)?
            }
            None => element.clone(),
        });
    }
    Ok(total.unwrap_or(Value::Int(0)))
}
