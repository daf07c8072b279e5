//! Which conditions hold, and why.

use holdfast_engine::Phase;
use holdfast_engine::report::{Report, ResourceReport};
use holdfast_engine::step::{HoldState, StepVerb};

use super::Standing;
use crate::reasons::{ConditionReason, Outlook};
use crate::words;

/// The reason and the message of a condition.
pub(super) type Why = (ConditionReason, String);

/// The conditions.
pub(super) struct Judged {
    /// Of `Ready`, whatever its status is.
    pub(super) ready: Why,
    /// Of `Reconciling`, if it is true.
    pub(super) reconciling: Option<Why>,
    /// Of `Stalled`, if it is true.
    pub(super) stalled: Option<Why>,
}

impl Judged {
    /// All conditions have one reason.
    fn one(reason: ConditionReason, message: String) -> Self {
        let ready = (reason, message);
        let of = |outlook| (reason.outlook() == outlook).then(|| ready.clone());
        Self {
            reconciling: of(Outlook::Reconciling),
            stalled: of(Outlook::Stalled),
            ready,
        }
    }
}

pub(super) fn judge(standing: &Standing<'_>) -> Judged {
    if let Some(fault) = standing.fault {
        return Judged::one(fault.reason, fault.sentence());
    }
    if standing.suspended && !standing.removing {
        let message = "suspended: nothing is written until `suspend` is false";
        return Judged::one(ConditionReason::Suspended, message.to_owned());
    }
    let Some(report) = standing.report else {
        return Judged::one(ConditionReason::NotObserved, "not observed yet".to_owned());
    };
    if !report.unmet.is_empty() {
        return Judged::one(ConditionReason::RequirementUnmet, words::unmet(&report.unmet));
    }
    if standing.removing
        && let Some(why) = words::kept_back(report, standing.suspended)
    {
        let reason = if standing.suspended {
            ConditionReason::Suspended
        } else {
            ConditionReason::OnlyObserved
        };
        return Judged {
            ready: (ConditionReason::Removing, why.clone()),
            reconciling: None,
            stalled: Some((reason, why)),
        };
    }
    if let Some(excess) = &report.excess {
        return Judged::one(ConditionReason::LimitExceeded, words::excess(excess));
    }
    let mut judged = resources(report);
    if standing.removing {
        let message = match judged.ready {
            (ConditionReason::Converged, _) => "to be deleted, and nothing is left to go with it".to_owned(),
            (_, left) => format!("to be deleted, and what goes with it first: {left}"),
        };
        judged.ready = (ConditionReason::Removing, message);
        if judged.stalled.is_none() {
            judged.reconciling = Some(judged.ready.clone());
        }
    }
    judged
}

/// By what is to be said of the resources.
fn resources(report: &Report) -> Judged {
    let all = report.resources.iter();
    let open: Vec<(ConditionReason, &ResourceReport)> = all
        .filter_map(|resource| Some((of(resource)?, resource)))
        .collect();
    // The heaviest, and of several the first in the policy's order.
    let heaviest = |wanted: &dyn Fn(ConditionReason) -> bool| {
        let mut wanted: Vec<_> = open.iter().filter(|(reason, _)| wanted(*reason)).collect();
        wanted.sort_by_key(|(reason, _)| *reason);
        let ((reason, resource), others) = wanted.split_first()?;
        Some((*reason, message(*reason, resource, others.len())))
    };
    let Some(ready) = heaviest(&|_| true) else {
        return Judged::one(ConditionReason::Converged, words::converged(report));
    };
    let waits = |reason| reason == ConditionReason::Waiting;
    let goes_on = |reason: ConditionReason| reason.outlook() == Outlook::Reconciling && !waits(reason);
    let mut reconciling = heaviest(&goes_on);
    // While anything goes on by itself, what it will come to is not known. What only waits, waits for what is stalled.
    let stalled = match reconciling {
        None => heaviest(&|reason| reason.outlook() == Outlook::Stalled),
        Some(_) => None,
    };
    if stalled.is_none() {
        reconciling = reconciling.or_else(|| heaviest(&waits));
    }
    Judged {
        ready,
        reconciling,
        stalled,
    }
}

/// Why a resource keeps the policy from being ready, if it does.
pub(super) fn of(resource: &ResourceReport) -> Option<ConditionReason> {
    let vanished = resource.vanished.as_ref().is_some_and(|vanished| vanished.proven);
    let is_held = resource
        .hold
        .as_ref()
        .is_some_and(|hold| hold.state == HoldState::Waits);
    match resource.phase {
        Phase::Blocked if vanished => Some(ConditionReason::BucketVanished),
        Phase::Blocked if resource.is_only_observed() => Some(ConditionReason::OnlyObserved),
        Phase::Blocked => Some(ConditionReason::Blocked),
        Phase::Contested => Some(ConditionReason::Contested),
        Phase::Failed => Some(ConditionReason::Failed),
        Phase::Unknown => Some(ConditionReason::Unreadable),
        _ if !resource.blocked.is_empty() => Some(ConditionReason::Blocked),
        _ if is_held => Some(ConditionReason::Held),
        Phase::Pending => Some(ConditionReason::Waiting),
        _ if waits_for_others(resource) => Some(ConditionReason::Waiting),
        Phase::Settling => Some(ConditionReason::Settling),
        Phase::Absent | Phase::Applying | Phase::Drifted => Some(ConditionReason::Progressing),
        Phase::Converged | Phase::Skipped => resource.action.map(|_| ConditionReason::Progressing),
    }
}

/// What is so of `resource`, and of how many `others` something.
fn message(reason: ConditionReason, resource: &ResourceReport, others: usize) -> String {
    let (address, why) = blocked_part(resource).unwrap_or_else(|| (resource.address.clone(), why(resource)));
    let sentence = match reason {
        ConditionReason::Contested => format!(
            "{address} is contested: {why}; end that, or leave the field to them with `onConflict: Yield`"
        ),
        ConditionReason::Blocked => format!("{address} is blocked: {why}"),
        ConditionReason::Failed => format!("{address} failed, and is tried again: {why}"),
        ConditionReason::Unreadable => format!("{address} can't be read, and is tried again: {why}"),
        ConditionReason::OnlyObserved => format!("{address} differs, and is left so: {why}"),
        ConditionReason::Progressing => {
            let what = match resource.action {
                Some(StepVerb::Create) => "to be created",
                Some(StepVerb::Delete) => "to be deleted",
                Some(StepVerb::Replace) => "to be deleted and made anew",
                Some(StepVerb::Update) | None => "to be changed",
            };
            format!("{address} is {what}: {why}")
        }
        ConditionReason::Settling => format!("{address} isn't ready: {why}"),
        _ if why.starts_with("waits ") || reason == ConditionReason::BucketVanished => {
            format!("{address} {why}")
        }
        _ => format!("{address} waits: {why}"),
    };
    match others {
        0 => sentence,
        1 => format!("{sentence}; and 1 more resource doesn't hold"),
        _ => format!("{sentence}; and {others} more resources don't hold"),
    }
}

/// The address and the reason of the only part of a resource that can't be read or written.
fn blocked_part(resource: &ResourceReport) -> Option<(String, String)> {
    let mut blocked = resource.blocked.iter();
    let (facet, why) = blocked
        .next()
        .filter(|_| of(resource) == Some(ConditionReason::Blocked))?;
    blocked
        .next()
        .is_none()
        .then(|| (format!("{}.{facet}", resource.address), why.clone()))
}

/// Why a resource is where it is: of one of which only a part can't be brought about, why that can't.
pub(super) fn why(resource: &ResourceReport) -> String {
    if let Some(hold) = &resource.hold
        && hold.state == HoldState::Waits
        && resource.phase != Phase::Pending
    {
        return words::held(hold);
    }
    if waits_for_others(resource) {
        return format!("waits for {}", resource.waits.join(", "));
    }
    let mut blocked = resource.blocked.iter();
    match (blocked.next(), blocked.count()) {
        (None, _) => resource.reason.clone(),
        (Some((facet, why)), 0) => format!("{facet}: {why}"),
        (Some((facet, why)), more) => format!("{facet}: {why}, and {more} more of its parts"),
    }
}

/// Whether its step waits for other resources. What is refused doesn't wait.
fn waits_for_others(resource: &ResourceReport) -> bool {
    resource.action.is_some() && !resource.waits.is_empty() && resource.phase != Phase::Blocked
}
