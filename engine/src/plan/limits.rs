//! The blast radius: over a limit everything is blocked, until that very plan is approved.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::Input;
use crate::address::Address;
use crate::clock;
use crate::phase::{Event, IllegalTransition, Phase};
use crate::step::{Excess, Plan, StepVerb};

/// Blocks every step of `plan` if it exceeds a cap and isn't approved.
pub(super) fn enforce(input: &Input<'_>, plan: &mut Plan) -> Result<(), IllegalTransition> {
    let Some(mut why) = excess(input, plan) else {
        return Ok(());
    };
    if input.approve == Some(plan.hash.as_str()) {
        return Ok(());
    }
    let used = input.ledger.used_approval();
    if let Some((hash, at)) = used.filter(|(hash, _)| input.approve == Some(hash)) {
        let at = clock::written(at);
        let _ = write!(
            why,
            "; the approval {hash} was used on {at}, and approves nothing more"
        );
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

/// How many resources count.
struct Count {
    all: u64,
    /// How many of them are done already.
    done: u64,
}

impl Count {
    /// Whether there are more than `limit`, and something is still to be done.
    fn exceeds(&self, limit: u32) -> bool {
        self.all > u64::from(limit) && self.all > self.done
    }

    /// `3 to change, 1 of them done already`, where `what` is `3 to change`.
    fn says(&self, what: &str) -> String {
        match self.done {
            0 => what.to_owned(),
            done => format!("{what}, {done} of them done already"),
        }
    }
}

/// Which cap is exceeded, if one is.
///
/// What is done in several passes counts together, but for what was approved. What was just made is not changed by being
/// finished; to delete it is a deletion all the same. What is replaced counts as a change and as a deletion: what the old
/// one held is gone. What is made counts as nothing: it takes nothing away.
fn excess(input: &Input<'_>, plan: &Plan) -> Option<String> {
    let limits = input.limits;
    let is_done = |verb, address: &Address| input.done.contains(&(verb, address.clone()));
    let is_made =
        |address: &Address| is_done(StepVerb::Create, address) && !is_done(StepVerb::Replace, address);
    let count = |verbs: &[StepVerb]| {
        let counts = |address: &Address, verb| {
            verbs.contains(&verb) && !(verb == StepVerb::Update && is_made(address))
        };
        let planned: BTreeSet<&Address> = plan
            .ready()
            .filter(|(resource, step)| counts(&resource.address, step.verb))
            .filter(|(resource, step)| {
                !input
                    .ledger
                    .is_approved(input.approve, &resource.address, step.verb)
            })
            .map(|(resource, _)| &resource.address)
            .collect();
        let done: BTreeSet<&Address> = input
            .done
            .iter()
            .filter(|(verb, address)| counts(address, *verb))
            .map(|(_, address)| address)
            .filter(|address| !planned.contains(address))
            .collect();
        let number = |addresses: &BTreeSet<&Address>| u64::try_from(addresses.len()).unwrap_or(u64::MAX);
        Count {
            all: number(&planned).saturating_add(number(&done)),
            done: number(&done),
        }
    };
    let deletions = count(&[StepVerb::Delete, StepVerb::Replace]);
    if deletions.exceeds(limits.deletions) {
        let says = deletions.says(&format!("{} to delete", deletions.all));
        return Some(format!("{says}, and the limit is {}", limits.deletions));
    }
    let changes = count(&[StepVerb::Update, StepVerb::Delete, StepVerb::Replace]);
    if let Some(limit) = limits.changes.filter(|limit| changes.exceeds(*limit)) {
        let says = changes.says(&format!("{} to change", changes.all));
        return Some(format!("{says}, and the limit is {limit}"));
    }
    let all = u64::try_from(plan.resources.len()).unwrap_or(u64::MAX);
    let percent = limits.percent?;
    let over = changes.all.saturating_mul(100) > all.saturating_mul(u64::from(percent));
    (over && changes.all > changes.done).then(|| {
        let says = changes.says(&format!("{} of {all} to change", changes.all));
        format!("{says}, and the limit is {percent} percent")
    })
}

/// The hash by which a person approves a plan: of what is done to what, also later when what it waits for is there.
/// Not of when it is done, of stamps, or of what the policy only reports. But of the approval that was used before: a plan
/// that says the same once more is another one.
pub(super) fn hash(input: &Input<'_>, plan: &Plan) -> String {
    let mut digest = Sha256::new();
    if let Some((used, _)) = input.ledger.used_approval() {
        digest.update(format!("after {used}\n"));
    }
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
