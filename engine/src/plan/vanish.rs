//! What was there once and isn't found any more.
//!
//! One answer proves little: a store may lag, and an outage may look like absence. Gone is what was neither found by
//! its name nor in a complete list, three times over five minutes. An object's server counts versions, so that of an
//! object one answer is enough.

use holdfast_policy::OnVanish;
use time::{Duration, OffsetDateTime};

use super::{Found, Input};
use crate::clock::shown;
use crate::graph::Resource;
use crate::objects;
use crate::phase::Event;
use crate::step::Vanishing;

/// So many proofs are needed.
pub(crate) const PROOFS: usize = 3;
/// A proof counts that is at least so much later than the one before: three of them take five minutes.
const APART: Duration = Duration::seconds(150);

/// What it means that `resource` is absent: what may be made, with the proofs that it had vanished if it had; else what
/// is found instead.
pub(super) fn judge(input: &Input<'_>, resource: &Resource<'_>) -> Result<Option<Vanishing>, Box<Found>> {
    let Some(variant) = resource
        .variant
        .filter(|_| resource.was_provisioned(input.ledger))
    else {
        return Ok(None);
    };
    // It was us who deleted it, to make it anew.
    if resource.is_replaced(input.ledger) {
        return Ok(None);
    }
    let is_object = resource
        .kind
        .as_ref()
        .is_some_and(|kind| kind.name().as_str() == objects::KIND);
    let on_vanish = variant.on_vanish.unwrap_or(if is_object {
        OnVanish::Recreate
    } else {
        OnVanish::Hold
    });
    if is_object {
        return match on_vanish {
            OnVanish::Recreate => Ok(None),
            OnVanish::Hold => Err(Found::new(
                Event::Refused,
                "vanished: it was there, and is gone; `onVanish: Recreate` makes it again",
            )
            .into()),
        };
    }
    let unread = |why: String| Box::new(Found::new(Event::ReadFailed, why));
    let seen = match input.snapshot.absence(&resource.address) {
        Some((at, Ok(false))) => *at,
        Some((_, Ok(true))) => {
            return Err(unread(
                "it isn't found by its name, and yet the list of all has it".to_owned(),
            ));
        }
        Some((_, Err(error))) => return Err(unread(format!("whether it is gone can't be told: {error}"))),
        None => return Err(unread("whether it is gone was not looked at".to_owned())),
    };
    let vanishing = proofs(input, resource, seen);
    if !vanishing.proven {
        let next = vanishing
            .fresh
            .or(vanishing.proofs.last().copied())
            .unwrap_or(seen);
        let mut found = Found::new(Event::Waits, counting(&vanishing)).again(next.saturating_add(APART));
        found.vanishing = Some(vanishing);
        return Err(found.into());
    }
    match on_vanish {
        OnVanish::Recreate => Ok(Some(vanishing)),
        OnVanish::Hold => {
            let since = vanishing
                .proofs
                .first()
                .map(|first| crate::clock::written(*first));
            let why = format!(
                "vanished: it was there, and is gone with all that it held, as was proven {} times since {}; \
                 `onVanish: Recreate` makes an empty one in its place",
                vanishing.proofs.len(),
                since.unwrap_or_default(),
            );
            let mut found = Found::new(Event::Refused, why);
            found.vanishing = Some(vanishing);
            Err(found.into())
        }
    }
}

/// The remembered proofs, and whether what was `seen` is a further one.
fn proofs(input: &Input<'_>, resource: &Resource<'_>, seen: OffsetDateTime) -> Vanishing {
    let mut proofs = resource
        .known_as()
        .map(|address| input.ledger.missing(&address))
        .find(|proofs| !proofs.is_empty())
        .unwrap_or_default();
    // Proofs of a time that is still to come were made by a clock that was wrong.
    if proofs.iter().any(|proof| *proof > seen) {
        proofs.clear();
    }
    let proven = proofs.len() >= PROOFS;
    let is_further = proofs
        .last()
        .is_none_or(|last| last.saturating_add(APART) <= seen);
    Vanishing {
        fresh: (!proven && is_further).then_some(seen),
        proofs,
        proven,
    }
}

fn counting(vanishing: &Vanishing) -> String {
    let count = vanishing.proofs.len();
    let so_far = match vanishing.proofs.last() {
        None => String::new(),
        Some(last) => format!(", the last at {}", shown(*last)),
    };
    format!(
        "it was there and isn't found: {count} of {PROOFS} proofs that it is gone are remembered{so_far}; \
         `apply` counts them, over five minutes"
    )
}
