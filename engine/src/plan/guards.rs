//! What may not be touched, whatever a policy says.

use holdfast_contract::{
    Action, Danger, Facet, FacetState, Observed, ProviderError, ResourceKey, Value, Write,
};
use holdfast_policy::{OnVanish, Verb};

use super::Input;
use crate::graph::{Resource, is_same};
use crate::objects;

/// Why a policy may not have this at all, if so: what it stands on itself.
pub(super) fn own_ground(input: &Input<'_>, resource: &Resource<'_>) -> Option<String> {
    if resource.verb() == Verb::Observe {
        return None;
    }
    own_ground_of(input, resource.key.as_ref()?)
}

/// Why a policy may not write `key`, if it stands on that itself.
pub(super) fn own_ground_of(input: &Input<'_>, key: &ResourceKey) -> Option<String> {
    let api = key.api.as_ref()?;
    let here = key.namespace.as_deref() == Some(input.policy.namespace.as_str());
    let what = match (api.group(), api.kind.as_str()) {
        ("holdfast.dev", _) => "policies",
        ("apiextensions.k8s.io", "CustomResourceDefinition") if key.name.ends_with(".holdfast.dev") => {
            "the definition of policies"
        }
        ("", "Namespace") if key.name == input.policy.namespace => "its own namespace",
        ("", "ConfigMap") | ("coordination.k8s.io", "Lease") if here && key.name == input.policy.name => {
            "its own ledger and lease"
        }
        _ => return None,
    };
    Some(format!(
        "a policy can't manage {what}: it would saw off what it stands on"
    ))
}

/// Why two rules that mean one thing may both not write it, if so.
pub(super) fn shared(input: &Input<'_>, resource: &Resource<'_>) -> Option<String> {
    let key = resource.key.as_ref()?;
    let others: Vec<String> = input
        .graph
        .resources
        .iter()
        .filter(|other| other.address != resource.address && other.verb() != Verb::Observe)
        .filter(|other| other.key.as_ref().is_some_and(|other| is_same(other, key)))
        .map(|other| other.address.to_string())
        .collect();
    (resource.verb() != Verb::Observe && !others.is_empty()).then(|| {
        format!(
            "{} means the same {key}: one rule may, not two",
            others.join(", ")
        )
    })
}

/// Why an existing resource isn't ours to write, if so.
pub(super) fn foreign(input: &Input<'_>, resource: &Resource<'_>, observed: &Observed) -> Option<String> {
    let kind = resource.kind.as_ref()?;
    if let Some(other) = kind.marked_by(observed).filter(|other| other != input.mark) {
        return Some(format!("it belongs to another policy, {other}"));
    }
    // Identity tags are ours, or wholly unset, before the first write. Unread ones may be anybody's.
    if !resource.identity.is_empty()
        && let Some(FacetState::Unreadable(error)) = observed.facets.get(&"tags".into())
    {
        return Some(format!("whether it is ours can't be told: {error}"));
    }
    let tags = observed.value(&"tags".into());
    for (key, ours) in &resource.identity {
        let theirs = tags.and_then(|tags| tags.get(key)).and_then(Value::as_str);
        if let Some(theirs) = theirs.filter(|theirs| theirs != ours) {
            return Some(format!(
                "it belongs to another: its tag {key} is {theirs}, ours is {ours}"
            ));
        }
    }
    None
}

/// Why what was there once, and is gone, is not simply made again.
pub(super) fn vanished(input: &Input<'_>, resource: &Resource<'_>) -> Option<String> {
    let variant = resource.variant?;
    if resource.is_replaced(input.ledger) {
        return None;
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
    (resource.was_provisioned(input.ledger) && on_vanish == OnVanish::Hold).then(|| {
        "it was there, and is gone with all that it held; `onVanish: Recreate` makes an empty one in its place".to_owned()
    })
}

/// Why a write endangers what exists without being allowed to, if so.
///
/// What the ledger says this policy set may be restored, and what it created may be given its first settings; but not
/// what nobody can undo.
pub(super) fn dangerous(
    input: &Input<'_>,
    resource: &Resource<'_>,
    facet: &Facet,
    write: &Write,
) -> Option<String> {
    let Action::Set {
        desired, observed, ..
    } = &write.action
    else {
        return None;
    };
    let kind = resource.kind.as_ref()?;
    let last = input.ledger.last_set(&resource.address, facet);
    let is_first = last.is_none() && input.ledger.created(&resource.address);
    // What endangers nothing beyond what this policy set before only restores that.
    let restores = || {
        let last = last.as_ref();
        last.is_some_and(|last| kind.dangers(facet, desired, Some(last)).is_empty())
    };
    kind.dangers(facet, desired, observed.value(facet))
        .into_iter()
        .filter(|danger| !is_allowed(resource, danger))
        .find(|danger| danger.irreversible || !(is_first || restores()))
        .map(|danger| needed(&danger))
}

/// Why creating it does what nobody can undo without being allowed to, if so.
pub(super) fn dangerous_creation(resource: &Resource<'_>) -> Option<String> {
    let kind = resource.kind.as_ref()?;
    resource
        .facets
        .iter()
        .flat_map(|(facet, desired)| kind.dangers(facet, desired, None))
        .find(|danger| danger.irreversible && !is_allowed(resource, danger))
        .map(|danger| needed(&danger))
}

fn is_allowed(resource: &Resource<'_>, danger: &Danger) -> bool {
    let allow = resource.variant.map(|variant| &variant.allow);
    allow.is_some_and(|allow| {
        allow
            .iter()
            .any(|allowed| allowed.to_string() == danger.allowance)
    })
}

fn needed(danger: &Danger) -> String {
    format!("{}: that needs `allow: [{}]`", danger.what, danger.allowance)
}

/// What a server's refusal means for a person.
pub(crate) fn refusal(error: &ProviderError) -> String {
    match error {
        ProviderError::Immutable { fields, .. } => {
            format!(
                "{} can't be changed on what exists; `allow: [Replace]` lets it be deleted and made anew",
                fields.join(", ")
            )
        }
        other => other.to_string(),
    }
}
