//! What has happened to a policy, told once: the difference between what is known of it and what is reported now.
//!
//! It is the one place where happenings are found. Events, counts of drift and repairs, and lines of the log come from it.
//! At rest nothing happens, and a process that takes over from another goes on where the policy's status says that the
//! other was, so that nothing is told twice.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::ResourceKey;
use holdfast_engine::Phase;
use holdfast_engine::checks::Verdict;
use holdfast_engine::report::{Report, ResourceReport};
use holdfast_engine::step::{HoldState, Outcome, StepVerb};
use serde_json::Value as Json;

use crate::fault::Fault;
use crate::reasons::{ConditionReason, EventReason, Outlook};
use crate::words;

mod resource;
mod resumed;

use resource::Seen;
pub(crate) use resource::differs;
use resumed::Gaps;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What.
    pub reason: EventReason,
    /// The address of the resource that it is about; none: the policy as a whole.
    pub address: Option<String>,
    /// That resource, once it is known.
    pub key: Option<ResourceKey>,
    /// The server's id of it, if that is known.
    pub uid: Option<String>,
    /// What was done to it.
    pub verb: Option<StepVerb>,
    /// Where it stands now.
    pub phase: Option<Phase>,
    /// A sentence for people. Never holds the content of a document.
    pub sentence: String,
}

impl News {
    fn of_policy(reason: EventReason, sentence: String) -> Self {
        Self {
            reason,
            address: None,
            key: None,
            uid: None,
            verb: None,
            phase: None,
            sentence,
        }
    }

    fn of(reason: EventReason, resource: &ResourceReport, sentence: &str) -> Self {
        Self {
            reason,
            address: Some(resource.address.clone()),
            key: resource.key.clone(),
            uid: resource.uid.clone(),
            verb: None,
            phase: Some(resource.phase),
            sentence: format!("{}: {sentence}", words::title(resource)),
        }
    }
}

/// What is known of one policy, to tell what is news.
///
/// It wants to see everything, in order: each report before what it plans is written, each outcome of a write, and the
/// report at the end of each cycle.
#[derive(Debug, Default)]
pub struct Story {
    resources: BTreeMap<String, Seen>,
    /// What the checks say that fail, by address and place.
    failing: BTreeMap<(String, String), String>,
    /// The hash of the plan that a limit holds up.
    limit: Option<String>,
    /// What keeps the policy as a whole from being enforced, as it was told.
    told: Option<(ConditionReason, String)>,
    /// Whether it was told that nothing is written at all.
    blocked: bool,
    /// What was told of what has left the policy.
    notes: Vec<String>,
    /// What keeps the policy from going, as it was told.
    kept_back: Option<String>,
    ready: bool,
    /// What was told and isn't in the status that it goes on from, until there is a report.
    gaps: Option<Gaps>,
}

impl Story {
    /// The policy is another now. What differs from it is no drift.
    pub fn edited(&mut self) {
        self.resources.values_mut().for_each(Seen::edit);
        self.told = None;
        self.ready = false;
    }

    /// A write has ended.
    pub fn written(&mut self, outcome: &Outcome) {
        if outcome.result.is_ok() {
            let seen = self.resources.entry(outcome.address.to_string()).or_default();
            seen.written.insert(outcome.verb);
        }
    }

    /// What stands in the way of the policy as a whole.
    pub fn fault(&mut self, fault: &Fault) -> Vec<News> {
        self.ready = false;
        let news = self.tell(fault.event(), fault.reason, &fault.sentence());
        news.into_iter().collect()
    }

    /// What the policy's world looks like now; `suspended`: it is only looked at, as the policy says.
    pub fn report(&mut self, report: &Report, suspended: bool) -> Vec<News> {
        let mut news = Vec::new();
        if report.unmet.is_empty() {
            self.told = None;
            self.limit(report, &mut news);
            self.whole(report, suspended, &mut news);
            let gaps = self.gaps.take();
            self.each(report, gaps.as_ref(), &mut news);
            self.checks(report, gaps.as_ref(), &mut news);
            self.left(report, &mut news);
        } else {
            let unmet = words::unmet(&report.unmet);
            let unmet = self.tell(
                EventReason::RequirementUnmet,
                ConditionReason::RequirementUnmet,
                &unmet,
            );
            news.extend(unmet);
        }
        self.readiness(report, &mut news);
        news
    }

    /// The policy is to be deleted, and `why` it can't go, if so.
    pub(crate) fn removal(&mut self, why: Option<String>) -> Option<News> {
        let known = why.as_deref().map(as_told);
        let news = why.filter(|_| self.kept_back != known);
        self.kept_back = known;
        news.map(|why| News::of_policy(EventReason::PolicyStalled, why))
    }

    /// What keeps the policy as a whole from being enforced, if that is news.
    fn tell(&mut self, event: EventReason, reason: ConditionReason, message: &str) -> Option<News> {
        let now = as_told(message);
        let is_known = self.told.as_ref().is_some_and(|(known, told)| {
            // What passes may be worded in many ways, one after another.
            *known == reason && (reason.outlook() == Outlook::Reconciling || *told == now)
        });
        self.told = Some((reason, now));
        (!is_known).then(|| News::of_policy(event, message.to_owned()))
    }

    fn limit(&mut self, report: &Report, news: &mut Vec<News>) {
        let hash = report.excess.as_ref().map(|excess| excess.approve.clone());
        if let Some(excess) = &report.excess
            && hash != self.limit
        {
            news.push(News::of_policy(EventReason::LimitExceeded, words::excess(excess)));
        }
        self.limit = hash;
    }

    /// What holds all writes up at once, which isn't told for each resource.
    fn whole(&mut self, report: &Report, suspended: bool, news: &mut Vec<News>) {
        let mut resources = report.resources.iter();
        let held_up = resources.find(|resource| {
            let is_blocked = resource.phase == Phase::Blocked && resource.action.is_some();
            is_blocked && !resource.is_only_observed()
        });
        let held_up = held_up.filter(|_| report.excess.is_none() && !suspended);
        if let Some(resource) = held_up
            && !self.blocked
        {
            let sentence = format!("nothing is written: {}", resource.reason);
            news.push(News::of_policy(EventReason::Blocked, sentence));
        }
        self.blocked = held_up.is_some();
    }

    fn each(&mut self, report: &Report, gaps: Option<&Gaps>, news: &mut Vec<News>) {
        let mut before = std::mem::take(&mut self.resources);
        for resource in &report.resources {
            let mut seen = before.remove(&resource.address).unwrap_or_default();
            if let Some(gaps) = gaps {
                gaps.fill(&mut seen, resource);
            }
            seen.see(resource, news);
            self.resources.insert(resource.address.clone(), seen);
        }
        // What has left the policy is no longer reported once it is gone.
        let deleted = before
            .into_values()
            .filter(|seen| seen.written.contains(&StepVerb::Delete));
        news.extend(deleted.filter_map(|seen| seen.leaves).map(|leaves| *leaves));
    }

    fn checks(&mut self, report: &Report, gaps: Option<&Gaps>, news: &mut Vec<News>) {
        let mut failing = BTreeMap::new();
        for check in &report.checks {
            let key = (check.address.clone(), check.place.to_string());
            let said = self.failing.get(&key).cloned();
            let told = match (check.verdict, &said) {
                (Verdict::Fail, None) if gaps.is_some_and(|gaps| gaps.hide(check)) => None,
                (Verdict::Fail, None) => Some((EventReason::CheckFailed, words::check(check))),
                (Verdict::Pass, Some(said)) => Some((EventReason::CheckPassed, words::passed(check, said))),
                _ => None,
            };
            match check.verdict {
                Verdict::Fail => drop(failing.insert(key, check.message.clone())),
                Verdict::Pass => {}
                // Whether it still fails can't be told.
                Verdict::Unknown | Verdict::Skip => failing.extend(said.map(|said| (key, said))),
            }
            let Some((reason, sentence)) = told else { continue };
            let mut resources = report.resources.iter();
            let resource = resources.find(|resource| resource.address == check.address);
            news.push(News {
                address: Some(check.address.clone()),
                key: resource.and_then(|resource| resource.key.clone()),
                uid: resource.and_then(|resource| resource.uid.clone()),
                ..News::of_policy(reason, sentence)
            });
        }
        self.failing = failing;
    }

    /// What has left the policy and stays, which is reported once, when that is found.
    fn left(&mut self, report: &Report, news: &mut Vec<News>) {
        let new = report.notes.iter().filter(|note| !self.notes.contains(note));
        news.extend(new.map(|note| News::of_policy(EventReason::LeftBehind, note.clone())));
        self.notes.clone_from(&report.notes);
    }

    fn readiness(&mut self, report: &Report, news: &mut Vec<News>) {
        let ready = report.is_converged();
        // Where all that happened is that drift was put right, that was told.
        let is_repair = news
            .iter()
            .any(|news| matches!(news.reason, EventReason::DriftRepaired | EventReason::DriftGone));
        // Of a policy that is to go there is nothing left to be ready.
        let is_empty = report.resources.is_empty() && report.checks.is_empty();
        if ready && !self.ready && !is_repair && !is_empty {
            news.push(News::of_policy(
                EventReason::PolicyReady,
                words::converged(report),
            ));
        }
        self.ready = ready;
    }
}

/// A message as conditions have it: what is told is compared with that, as the next process has nothing else.
fn as_told(message: &str) -> String {
    words::cut(message, words::LONGEST)
}
