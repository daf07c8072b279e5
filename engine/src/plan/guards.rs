//! What may not be touched, whatever a policy says.

use holdfast_contract::{
    Action, Danger, Difference, Facet, FacetState, Observation, Observed, ProviderError, ProviderName,
    ResourceKey, Value, Write,
};
use holdfast_policy::Verb;

use super::Input;
use crate::diff::Differing;
use crate::graph::{Resource, is_same};
use crate::phase::Event;

/// Why a policy may not have this at all, if so: what it stands on itself.
pub(super) fn own_ground(input: &Input<'_>, resource: &Resource<'_>) -> Option<String> {
    if resource.verb() == Verb::Observe {
        return None;
    }
    own_ground_of(input, resource.key.as_ref()?)
}

/// Why a policy may not write `key`, if it stands on that itself.
///
/// Whatever the policy calls the provider: two may reach one cluster.
pub(super) fn own_ground_of(input: &Input<'_>, key: &ResourceKey) -> Option<String> {
    let api = key.api.as_ref()?;
    let what = match (api.group(), api.kind.as_str()) {
        _ if input.ground.iter().any(|own| is_object(own, key)) => key.to_string(),
        ("holdfast.dev", _) => "policies".to_owned(),
        ("apiextensions.k8s.io", "CustomResourceDefinition") if key.name.ends_with(".holdfast.dev") => {
            "the definition of policies".to_owned()
        }
        ("", "Namespace") if key.name == input.policy.namespace => "its own namespace".to_owned(),
        ("coordination.k8s.io", "Lease") if is_at_home(input, key) => {
            "the leases by which policies are shared out".to_owned()
        }
        _ => return None,
    };
    Some(format!(
        "a policy can't manage {what}: it would saw off what it stands on"
    ))
}

/// Whether both mean an object of one type, namespace and name.
fn is_object(own: &ResourceKey, key: &ResourceKey) -> bool {
    let own = ResourceKey {
        provider: key.provider.clone(),
        ..own.clone()
    };
    is_same(&own, key)
}

/// Whether `key` lies in the namespace that the state is kept in.
fn is_at_home(input: &Input<'_>, key: &ResourceKey) -> bool {
    let namespace = |own: &&ResourceKey| {
        own.api
            .as_ref()
            .is_some_and(|api| (api.group(), api.kind.as_str()) == ("", "Namespace"))
    };
    let mut homes = input.ground.iter().filter(namespace);
    homes.any(|home| Some(&home.name) == key.namespace.as_ref())
}

/// So many of those that mean one thing are named.
const NAMED: usize = 3;

/// Why two rules that mean one thing may both not write it, if so.
pub(super) fn shared(input: &Input<'_>, resource: &Resource<'_>) -> Option<String> {
    let key = resource.key.as_ref()?;
    let mut others: Vec<String> = input
        .graph
        .meaning(key)
        .filter(|other| other.address != resource.address && other.verb() != Verb::Observe)
        .map(|other| other.address.to_string())
        .take(NAMED.saturating_add(1))
        .collect();
    // Each of thousands would name thousands.
    if others.len() > NAMED {
        others.truncate(NAMED);
        others.push("and more".to_owned());
    }
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
    if resource.identity.is_empty() {
        return None;
    }
    // Identity tags are ours, or wholly unset, before the first write. Unread ones may be anybody's.
    if let Some(FacetState::Unreadable(error)) = observed.facets.get(&"tags".into()) {
        return Some(format!("whether it is ours can't be told: {error}"));
    }
    let tags = observed.value(&"tags".into());
    let mut missing = Vec::new();
    for (key, ours) in &resource.identity {
        let Some(theirs) = tags.and_then(|tags| tags.get(key)).and_then(Value::as_str) else {
            missing.push(key.as_str());
            continue;
        };
        let was_ours = || {
            let mut former = resource.former_identities.iter();
            former.any(|identity| identity.get(key).is_some_and(|ours| theirs == ours))
        };
        if theirs != ours && !was_ours() {
            return Some(format!(
                "it belongs to another: its tag {key} is {theirs}, ours is {ours}"
            ));
        }
    }
    // On what is known to be ours, a tag that somebody took away is drift.
    let is_known = resource.was_provisioned(input.ledger) || resource.was_created(input.ledger);
    (!is_known && !missing.is_empty() && missing.len() < resource.identity.len()).then(|| {
        format!(
            "whether it is ours can't be told: it bears only a part of the tags by which it would be, and not {}; \
             add what is missing, or take the others away too",
            missing.join(", ")
        )
    })
}

/// Why nothing of this resource may be written as whoever is signed in to its provider, if so.
pub(super) fn account(input: &Input<'_>, resource: &Resource<'_>) -> Option<String> {
    if resource.verb() == Verb::Observe {
        return None;
    }
    // What is there was read as that account's own. Only what is to be made could come to be in another one.
    let key = resource.key.as_ref();
    let is_there = key
        .and_then(|key| input.snapshot.get(key))
        .is_some_and(|read| matches!(read, Ok(Observation::Present(_))));
    account_of(input, resource.provider.as_ref()?, is_there)
}

/// As [`account`], of what lies with `provider` and was read as there or not.
pub(super) fn account_of(input: &Input<'_>, provider: &ProviderName, is_there: bool) -> Option<String> {
    let place = input.ledger_place;
    let bound = input.ledger.account(provider)?;
    let unknown = match input.accounts.get(provider)? {
        Ok(Some(now)) if now == bound => return None,
        Ok(Some(now)) => {
            return Some(format!(
                "the ledger {place} is of account {bound}, and these credentials of {provider} are account {now}'s"
            ));
        }
        Ok(None) => "its service can't say".to_owned(),
        Err(error) => error.to_string(),
    };
    (!is_there).then(|| {
        format!(
            "the ledger {place} is of account {bound}, and whose these credentials of {provider} are can't be told: \
             {unknown}"
        )
    })
}

/// What it means that a resource could not be read: somebody else's is not for us, whatever comes.
pub(super) fn unread(error: &ProviderError) -> Event {
    match error {
        ProviderError::Foreign { .. } => Event::Refused,
        _ => Event::ReadFailed,
    }
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
    let last = resource.last_set(input.ledger, facet);
    let is_first = last.is_none() && resource.was_created(input.ledger);
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

/// Why a facet is not written again that the store did not keep when it was written last, if so.
pub(super) fn not_kept(
    input: &Input<'_>,
    resource: &Resource<'_>,
    facet: &Facet,
    differing: &Differing,
) -> Option<String> {
    let declared = &resource.facets.get(facet)?.value;
    let dropped = input.ledger.dropped(&resource.address, facet, declared)?;
    let place = |difference: &Difference| {
        if difference.path.is_root() {
            facet.to_string()
        } else {
            format!("{facet}.{}", difference.path)
        }
    };
    let differences = &differing.differences;
    differences
        .iter()
        .all(|difference| dropped.contains(&place(difference)))
        .then(|| {
            let fields: Vec<String> = differences.iter().map(place).collect();
            format!("the store does not keep {}", fields.join(", "))
        })
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
