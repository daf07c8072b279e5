//! What is done about resources that have left the policy.

use holdfast_contract::{Facet, FacetState, Guard, Observation, Observed, Value};
use holdfast_expression as expression;
use holdfast_policy::{Allowance, Mode, OnRemove, Verb};

use super::deletion::deletion;
use super::{Found, Input, guards, hold};
use crate::graph::{Resource, State};
use crate::ledger::Removable;
use crate::phase::{Event, IllegalTransition, Phase};
use crate::providers::ProviderSettings;
use crate::removal::Leaving;
use crate::step::{Forgotten, LeftAlone, MODE_ENFORCE, Plan, PlannedResource, Step, StepVerb};

/// Why a deletion is planned.
const REASON: &str = "left the policy, which made it; its rule said `onRemove: Delete`";

/// Adds to `plan` what is done about everything that has left the policy.
pub(super) fn plan(input: &Input<'_>, plan: &mut Plan) -> Result<(), IllegalTransition> {
    let mut still_there: Vec<&Leaving<'_>> = Vec::new();
    for leaving in input.leaving {
        let found = match judge(input, leaving, &still_there) {
            Judged::Forget(why) => {
                plan.forgotten.push(Forgotten {
                    address: leaving.address.clone(),
                    why: why.map(|why| format!("{} ({}): {why}", leaving.key, leaving.address)),
                });
                continue;
            }
            Judged::Found(found) => *found,
        };
        still_there.push(leaving);
        let before = input
            .phases
            .get(&leaving.address)
            .copied()
            .unwrap_or(Phase::Unknown);
        let api = leaving.key.api.as_ref();
        plan.resources.push(PlannedResource {
            address: leaving.address.clone(),
            what: api.map_or_else(|| leaving.key.kind.to_string(), ToString::to_string),
            key: Some(leaving.key.clone()),
            uid: super::uid(input, &leaving.key),
            desired: 0,
            place: leaving.place.clone(),
            manifest: None,
            phase: before.next(found.event)?,
            reason: found.reason,
            step: found.step,
            blocked: found.blocked,
            overridden: found.overridden,
            hold: found.hold,
            was_provisioned: true,
            vanishing: None,
            look_again: None,
        });
    }
    Ok(())
}

/// Notes in `plan` what to remember of `resource` for when it leaves the policy, as far as that can be told now.
pub(super) fn remember(input: &Input<'_>, resource: &Resource<'_>, plan: &mut Plan) {
    let Some(variant) = resource.variant.filter(|_| resource.state == State::Active) else {
        return;
    };
    let address = resource.address.clone();
    if variant.on_remove == OnRemove::Retain || resource.verb() != Verb::Ensure {
        plan.removable.insert(address, None);
        return;
    }
    let observed = resource.key.as_ref().and_then(|key| input.snapshot.get(key));
    let Some(Ok(Observation::Present(observed))) = observed else {
        return;
    };
    if !resource.was_made(input.ledger, &observed.key, observed.uid.as_deref()) {
        plan.removable.insert(address, None);
        return;
    }
    let mut settings = input.graph.providers.iter();
    let settings = settings.find(|settings| settings.name == observed.key.provider);
    let Some(store) = settings.map(ProviderSettings::digest) else {
        return;
    };
    let mut entry = Removable::new(&address, &observed.key, store);
    entry.uid.clone_from(&observed.uid);
    entry.identity.clone_from(&resource.identity);
    entry.cascade = variant.allow.contains(&Allowance::Cascade);
    entry.needs = resource.needs.iter().map(ToString::to_string).collect();
    plan.removable.insert(address, Some(entry));
}

enum Judged {
    /// It is no longer ours to remember; the text says why where somebody should know.
    Forget(Option<String>),
    Found(Box<Found>),
}

/// Why the policy can no longer get at it where it was made, if so.
fn out_of_reach(input: &Input<'_>, leaving: &Leaving<'_>, is_there: bool) -> Option<String> {
    match &leaving.settings {
        Err(why) => Some(format!(
            "{why}; put that back until it is deleted, or its rule with `onRemove: Retain` until an apply has \
             forgotten it"
        )),
        Ok(_) => guards::account_of(input, &leaving.key.provider, is_there),
    }
}

fn judge(input: &Input<'_>, leaving: &Leaving<'_>, dependents: &[&Leaving<'_>]) -> Judged {
    let found = |event, reason: String| Judged::Found(Box::new(Found::new(event, reason)));
    let Some(kind) = &leaving.kind else {
        return found(
            Event::Refused,
            format!(
                "left the policy, and stays: this version knows no {}",
                leaving.key.kind
            ),
        );
    };
    let read = input.snapshot.get(&leaving.key);
    if let Some(why) = out_of_reach(input, leaving, matches!(read, Some(Ok(Observation::Present(_))))) {
        return found(Event::Refused, format!("left the policy, and stays: {why}"));
    }
    let observed = match read {
        None => return found(Event::ReadFailed, "left the policy, and was not read".to_owned()),
        Some(Err(error)) => {
            return found(
                Event::ReadFailed,
                format!("left the policy, and can't be read: {error}"),
            );
        }
        Some(Ok(Observation::Absent)) => return Judged::Forget(None),
        Some(Ok(Observation::Present(observed))) => observed,
    };
    if let Some(why) = not_ours(input, leaving, observed) {
        return match why {
            Ok(why) => Judged::Forget(Some(format!("left the policy, and stays: {why}"))),
            Err(why) => found(Event::ReadFailed, format!("left the policy, and {why}")),
        };
    }
    if observed.deleting {
        return found(Event::FoundUnready, "it is being deleted".to_owned());
    }
    let whole = (leaving.address.clone(), None);
    if input.accepted.get(&whole).is_some_and(|accepted| accepted.fresh) {
        return found(Event::FoundUnready, "deleted, and still to be seen".to_owned());
    }
    let cascade = kind.cascades(&observed.key).filter(|_| !leaving.entry.cascade);
    let refused = guards::own_ground_of(input, &leaving.key)
        .map(LeftAlone::refused)
        .or_else(|| input.left_alone.get(&whole).cloned())
        .or_else(|| {
            let why = cascade?;
            let why = format!("left the policy, and stays: {why}, and its rule didn't allow `Cascade`");
            Some(LeftAlone::refused(why))
        });
    if let Some(left_alone) = refused {
        return found(left_alone.event(), left_alone.why);
    }
    let mut waits: Vec<String> = dependents
        .iter()
        .filter(|other| other.entry.needs.contains(&leaving.address.to_string()))
        .map(|other| format!("{} to be gone", other.address))
        .collect();
    waits.extend(
        leaving
            .unnamed
            .iter()
            .map(|open| format!("{open} to be known, which may mean it too")),
    );
    let mut step = Step {
        verb: StepVerb::Delete,
        changes: Vec::new(),
        stages: Vec::new(),
        waits,
    };
    if let Some(why) = input.blocked {
        return Judged::Found(Box::new(Found::new(Event::Refused, why).with(step)));
    }
    if input.mode == Mode::Observe {
        step.waits = vec![MODE_ENFORCE.to_owned()];
        let observe = Found::new(Event::Refused, "mode is Observe: reported, not written");
        return Judged::Found(Box::new(observe.with(step)));
    }
    let asked = leaving.hold.map(|declared| {
        let instance = leaving.address.instance.as_deref().unwrap_or_default();
        let each = expression::Value::map([("key", expression::Value::from(instance))]);
        let own = crate::scope::own(kind.as_ref(), observed);
        let roots = input.graph.roots.with("each", each).with("self", own);
        let since = input.ledger.held_since(&leaving.address);
        hold::ask(input.evaluator, declared, since, &roots, "deletes it".to_owned())
    });
    let mut result = if let Some(asked) = asked.as_ref().filter(|asked| asked.waits()) {
        Found::new(Event::Waits, asked.sentence())
    } else {
        if step.waits.is_empty() {
            step.stages = deletion(observed, Guard::Same, input.manager);
        }
        Found::new(Event::FoundDifferent, REASON)
    };
    result.step = Some(step);
    result.hold = asked;
    Judged::Found(Box::new(result))
}

/// Why what stands there isn't what this policy made, if so; an error where that can't be told.
fn not_ours(input: &Input<'_>, leaving: &Leaving<'_>, observed: &Observed) -> Option<Result<String, String>> {
    if observed.uid != leaving.entry.uid {
        return Some(Ok(
            "another one stands in its place, which this policy did not make".to_owned(),
        ));
    }
    let marked = leaving.kind.as_ref().and_then(|kind| kind.marked_by(observed));
    if let Some(other) = marked.filter(|mark| mark != input.mark) {
        return Some(Ok(format!("it belongs to another policy now, {other}")));
    }
    let facet = Facet::from("tags");
    if leaving.entry.identity.is_empty() {
        return None;
    }
    if let Some(FacetState::Unreadable(error)) = observed.facets.get(&facet) {
        return Some(Err(format!("whether it is still ours can't be told: {error}")));
    }
    let tags = observed.value(&facet);
    leaving.entry.identity.iter().find_map(|(key, ours)| {
        let theirs = tags.and_then(|tags| tags.get(key)).and_then(Value::as_str);
        (theirs != Some(ours.as_str())).then(|| Ok(format!("it no longer bears our tag {key}: {ours}")))
    })
}
