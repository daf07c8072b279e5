//! What may not be touched, whatever a policy says.

use holdfast_contract::{Observed, ProviderError, Value};
use holdfast_policy::OnVanish;

use super::Input;
use crate::graph::Resource;
use crate::objects;

/// Why an existing resource isn't ours to write, if so.
pub(super) fn foreign(input: &Input<'_>, resource: &Resource<'_>, observed: &Observed) -> Option<String> {
    let kind = resource.kind.as_ref()?;
    if let Some(other) = kind.marked_by(observed).filter(|other| other != input.mark) {
        return Some(format!("it belongs to another policy, {other}"));
    }
    // Identity tags are ours, or wholly unset, before the first write.
    let tags = observed.value(&"tags".into());
    for (key, ours) in &resource.identity {
        let theirs = tags.and_then(|tags| tags.get(key)).and_then(Value::as_str);
        if let Some(theirs) = theirs.filter(|theirs| theirs != ours) {
            return Some(format!("it belongs to another: its tag {key} is {theirs}, ours is {ours}"));
        }
    }
    None
}

/// Why what was there once, and is gone, is not simply made again.
pub(super) fn vanished(input: &Input<'_>, resource: &Resource<'_>) -> Option<String> {
    let variant = resource.variant?;
    let is_object = resource.kind.as_ref().is_some_and(|kind| kind.name().as_str() == objects::KIND);
    let on_vanish = variant.on_vanish.unwrap_or(if is_object { OnVanish::Recreate } else { OnVanish::Hold });
    let was_there = input.ledger.provisioned(&resource.address);
    (was_there && on_vanish == OnVanish::Hold).then(|| {
        "it was there, and is gone with all that it held; `onVanish: Recreate` makes an empty one in its place".to_owned()
    })
}

/// What a server's refusal means for a person.
pub(super) fn refusal(error: &ProviderError) -> String {
    match error {
        ProviderError::Immutable { fields, .. } => {
            format!("{} can't be changed on what exists; `allow: [Replace]` would delete it and make it anew", fields.join(", "))
        }
        other => other.to_string(),
    }
}
