//! Functions allowed only in some places. The checker sees to that.

use super::{Gives, Kind, Overload, Site, argument, unfit};
use crate::error::{Outcome, fault};
use crate::evaluate::Machine;
use crate::instants::in_range;
use crate::{ErrorKind, Value};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload::function("now", &[], Gives::Timestamp, now),
    Overload::function("randomString", &[Kind::Int], Gives::String, random_string),
];

fn now(machine: &mut Machine<'_>, site: &Site<'_>, _: &[Value]) -> Outcome {
    let now = in_range(machine.context.now);
    now.map(Value::Timestamp)
        .ok_or_else(|| fault(ErrorKind::Overflow, site.span, "the clock is out of range"))
}

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Longest random text.
const LONGEST: usize = 1024;

/// Letters and digits, each as likely as any other. It is sensitive, since it is made for passwords.
fn random_string(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::Int(length)] = values else {
        return unfit(site);
    };
    let length = usize::try_from(*length).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| argument(site, format!("a random text has 0 to {LONGEST} letters")))?;
    let Some(random) = machine.context.random else {
        return Err(fault(
            ErrorKind::Restricted,
            site.span,
            "there is no source of random values here",
        ));
    };
    machine.budget.text(length, site.span)?;
    let mut text = String::with_capacity(length);
    let mut buffer = [0; 64];
    while text.len() < length {
        machine.budget.step(buffer.len(), site.span)?;
        random.fill(&mut buffer);
        // 248 is the largest multiple of 62 in a byte: what is above would favour the first letters.
        let fair = buffer.iter().filter(|byte| **byte < 248);
        let letters = fair.filter_map(|byte| LETTERS.get(usize::from(byte.checked_rem(62)?)));
        let missing = length.saturating_sub(text.len());
        text.extend(letters.take(missing).copied().map(char::from));
    }
    Ok(Value::sensitive(text))
}
