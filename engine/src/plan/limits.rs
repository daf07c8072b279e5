//! The blast radius: over a limit everything is blocked, until that very plan is approved.

use std::collections::BTreeSet;

use holdfast_policy::Limits;
use sha2::{Digest, Sha256};

use super::Input;
use crate::address::Address;
use crate::phase::{Event, IllegalTransition};
use crate::step::{Plan, StepVerb};

/// Blocks every step of `plan` if it exceeds a cap and isn't approved.
pub(super) fn enforce(input: &Input<'_>, plan: &mut Plan) -> Result<(), IllegalTransition> {
    let Some(excess) = excess(input, plan) else {
        return Ok(());
    };
    let hash = hash(plan);
    if input.approved || input.approve == Some(hash.as_str()) {
        return Ok(());
    }
    plan.mints.clear();
    for resource in &mut plan.resources {
        let Some(step) = resource.step.as_mut().filter(|step| !step.stages.is_empty()) else {
            continue;
        };
        step.stages.clear();
        resource.phase = resource.phase.next(Event::Refused)?;
        resource.reason = format!("{excess}; `approve: {hash}` lets this plan run");
    }
    Ok(())
}

/// What is done in several passes counts together; what this run itself made is not changed by being finished.
fn excess(input: &Input<'_>, plan: &Plan) -> Option<String> {
    let limits: &Limits = input.limits;
    let count = |verbs: &[StepVerb]| {
        let planned = plan.ready().filter(|(_, step)| verbs.contains(&step.verb));
        let planned = planned.map(|(resource, _)| &resource.address);
        let done = verbs.iter().filter_map(|verb| input.done.get(verb)).flatten();
        let all: BTreeSet<&Address> = planned.chain(done).collect();
        let made = input.done.get(&StepVerb::Create);
        let others = all
            .iter()
            .filter(|address| made.is_none_or(|made| !made.contains(**address)));
        u32::try_from(others.count()).unwrap_or(u32::MAX)
    };
    let (changes, deletions) = (
        count(&[StepVerb::Update, StepVerb::Delete]),
        count(&[StepVerb::Delete]),
    );
    if deletions > limits.deletions {
        return Some(format!(
            "{deletions} to delete, and the limit is {}",
            limits.deletions
        ));
    }
    if let Some(limit) = limits.changes.filter(|limit| changes > *limit) {
        return Some(format!("{changes} to change, and the limit is {limit}"));
    }
    let all = u32::try_from(plan.resources.len()).unwrap_or(u32::MAX);
    let percent = limits.percent?;
    let over = u64::from(changes).saturating_mul(100) > u64::from(all).saturating_mul(u64::from(percent));
    over.then(|| format!("{changes} of {all} to change, and the limit is {percent} percent"))
}

/// The hash by which a person approves a plan: of what it does, not of when or in which order it was found.
#[must_use]
pub fn hash(plan: &Plan) -> String {
    let mut digest = Sha256::new();
    for resource in &plan.resources {
        let Some(step) = &resource.step else { continue };
        digest.update(format!(
            "{} {:?} {:?}\n",
            resource.address, step.verb, resource.key
        ));
        for change in &step.changes {
            for (difference, _) in &change.differences {
                digest.update(format!(
                    "{} {} {:?}\n",
                    change.facet, difference.path, difference.change
                ));
            }
        }
    }
    crate::digest::hex(&digest.finalize(), 8)
}
