//! The blast radius: over a limit everything is blocked, until that very plan is approved.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::Input;
use crate::address::Address;
use crate::phase::{Event, IllegalTransition, Phase};
use crate::step::{Excess, Plan, StepVerb};

/// Blocks every step of `plan` if it exceeds a cap and isn't approved.
pub(super) fn enforce(input: &Input<'_>, plan: &mut Plan) -> Result<(), IllegalTransition> {
    let Some(why) = excess(input, plan) else {
        return Ok(());
    };
    if input.approve == Some(plan.hash.as_str()) {
        return Ok(());
    }
    plan.mints.clear();
    for resource in &mut plan.resources {
        let Some(step) = resource.step.as_mut().filter(|step| !step.stages.is_empty()) else {
            continue;
        };
        step.stages.clear();
        resource.phase = resource.phase.next(Event::Refused)?;
        resource.reason = format!("held up by a limit: {why}");
    }
    plan.excess = Some(Excess {
        why,
        approve: plan.hash.clone(),
    });
    Ok(())
}

/// Which cap is exceeded, if one is.
///
/// What is done in several passes counts together, but for what was approved. What this run itself made is not changed
/// by being finished. What is replaced counts as a change and as a deletion: what the old one held is gone.
fn excess(input: &Input<'_>, plan: &Plan) -> Option<String> {
    let limits = input.limits;
    let nothing = BTreeSet::new();
    let done = |verb| input.done.get(&verb).unwrap_or(&nothing);
    let made: BTreeSet<&Address> = done(StepVerb::Create)
        .difference(done(StepVerb::Replace))
        .collect();
    let count = |verbs: &[StepVerb]| {
        let planned = plan
            .ready()
            .map(|(resource, step)| (&resource.address, step.verb));
        let done = input
            .done
            .iter()
            .flat_map(|(verb, addresses)| addresses.iter().map(|address| (address, *verb)));
        let counted: BTreeSet<&Address> = planned
            .chain(done)
            .filter(|(_, verb)| verbs.contains(verb))
            .filter(|(address, verb)| !input.approved.contains(&((*address).clone(), *verb)))
            .map(|(address, _)| address)
            .filter(|address| !made.contains(address))
            .collect();
        u32::try_from(counted.len()).unwrap_or(u32::MAX)
    };
    let changes = count(&[StepVerb::Update, StepVerb::Delete, StepVerb::Replace]);
    let deletions = count(&[StepVerb::Delete, StepVerb::Replace]);
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

/// The hash by which a person approves a plan: of what is done to what, also later when what it waits for is there.
/// Not of when it is done, of stamps, or of what the policy only reports.
pub(super) fn hash(input: &Input<'_>, plan: &Plan) -> String {
    let mut digest = Sha256::new();
    for resource in &plan.resources {
        let Some(step) = resource
            .step
            .as_ref()
            .filter(|_| resource.phase != Phase::Blocked)
        else {
            continue;
        };
        digest.update(format!(
            "{} {:?} {:?}\n",
            resource.address, step.verb, resource.key
        ));
        let stamps = input
            .graph
            .get(&resource.address)
            .map(|resource| &resource.stamps);
        for change in &step.changes {
            let stamps = stamps.and_then(|stamps| stamps.get(&change.facet));
            for (difference, _) in &change.differences {
                if stamps.is_some_and(|stamps| stamps.contains(&difference.path)) {
                    continue;
                }
                digest.update(format!(
                    "{} {} {:?}\n",
                    change.facet, difference.path, difference.change
                ));
            }
        }
    }
    crate::digest::hex(&digest.finalize(), 8)
}
