//! How a story goes on from a status, which has no room for all that was told.

use holdfast_engine::checks::CheckResult;
use holdfast_policy::CheckSeverity;

use super::{BTreeMap, ConditionReason, Json, Phase, ResourceReport, Seen, Story, words};
use crate::status::NAME;

/// What of a report was told and isn't in the status that tells where the policy stood: what that had no room for, or has
/// by a shorter name.
#[derive(Debug)]
pub(super) struct Gaps {
    /// Failing checks were left out, and none that is worse than this.
    checks: Option<CheckSeverity>,
    /// Resources in trouble were left out.
    resources: bool,
}

impl Gaps {
    /// Of a policy that was reported on.
    fn of(status: &Json) -> Option<Self> {
        status.get("phases")?;
        let checks = status.get("checks").unwrap_or(&Json::Null);
        let worst = items(checks, "failing")
            .last()
            .and_then(|last| text(last, "severity"));
        let worst = [CheckSeverity::Low, CheckSeverity::Medium, CheckSeverity::High]
            .into_iter()
            .find(|severity| Some(severity.to_string()) == worst);
        Some(Self {
            checks: checks
                .get("omitted")
                .map(|_| worst.unwrap_or(CheckSeverity::Critical)),
            resources: status.get("omitted").is_some() && last_in_trouble(status).is_some(),
        })
    }

    /// Whether that check may have failed before.
    pub(super) fn hide(&self, check: &CheckResult) -> bool {
        let is_named =
            words::is_whole(&check.address, NAME) && words::is_whole(&check.place.to_string(), NAME);
        !is_named || self.checks.is_some_and(|worst| check.severity <= worst)
    }

    /// Takes what `seen` lacks of `resource` for told, where it may have been so before.
    pub(super) fn fill(&self, seen: &mut Seen, resource: &ResourceReport) {
        if !seen.is_new() {
            seen.fill(resource);
        } else if self.resources || !words::is_whole(&resource.address, NAME) {
            *seen = Seen::told(resource);
        }
    }
}

impl Story {
    /// Goes on where `status` says that the policy, of that generation now, was seen last; null: it never was.
    #[must_use]
    pub fn new(status: &Json, generation: i64) -> Self {
        let resources = items(status, "resources").iter();
        let resources = resources.filter_map(|entry| Some((text(entry, "address")?, Seen::before(entry)?)));
        let failing = items(status.get("checks").unwrap_or(&Json::Null), "failing").iter();
        let failing = failing.filter_map(|check| {
            let said = text(check, "message").unwrap_or_default();
            Some(((text(check, "address")?, text(check, "place")?), said))
        });
        let ready = items(status, "conditions")
            .iter()
            .find(|condition| text(condition, "type").as_deref() == Some("Ready"));
        let of_ready = |key| ready.and_then(|ready| text(ready, key)).unwrap_or_default();
        let reason = ConditionReason::ALL
            .into_iter()
            .find(|reason| reason.name() == of_ready("reason"));
        let mut story = Self {
            resources: resources.collect::<BTreeMap<_, _>>(),
            failing: failing.collect(),
            limit: status.get("plan").and_then(|plan| text(plan, "hash")),
            told: reason.map(|reason| (reason, of_ready("message"))),
            blocked: is_held_up(status, reason),
            notes: Vec::new(),
            kept_back: (reason == Some(ConditionReason::Removing)).then(|| of_ready("message")),
            ready: match reason {
                Some(ConditionReason::Converged) => true,
                Some(ConditionReason::Suspended) => holds(status),
                _ => false,
            },
            gaps: Gaps::of(status),
        };
        if status.get("observedGeneration").and_then(Json::as_i64) != Some(generation) {
            story.edited();
        }
        story
    }
}

fn text(value: &Json, key: &str) -> Option<String> {
    value.get(key).and_then(Json::as_str).map(str::to_owned)
}

fn items<'a>(value: &'a Json, key: &str) -> &'a [Json] {
    let items = value.get(key).and_then(Json::as_array);
    items.map(Vec::as_slice).unwrap_or_default()
}

/// The last resource of the list, if it isn't as it should be: those that are come after it.
fn last_in_trouble(status: &Json) -> Option<&Json> {
    let last = items(status, "resources").last();
    last.filter(|entry| entry.get("since").is_some())
}

/// Whether something held all writes up at once. It isn't always what the condition says: others weigh more.
fn is_held_up(status: &Json, reason: Option<ConditionReason>) -> bool {
    let is_asked_for = matches!(
        reason,
        Some(ConditionReason::Suspended | ConditionReason::OnlyObserved)
    );
    if is_asked_for || status.get("plan").is_some() {
        return false;
    }
    let is = |entry: &Json, phase: Phase| text(entry, "phase") == Some(phase.to_string());
    let is_listed = items(status, "resources")
        .iter()
        .any(|entry| is(entry, Phase::Blocked) && entry.get("action").is_some());
    // Of the blocked some may be left out, where none or only some of them are listed.
    let last = last_in_trouble(status).filter(|_| status.get("omitted").is_some());
    is_listed || last.is_some_and(|last| is(last, Phase::Blocked) || is(last, Phase::Contested))
}

/// Whether all resources hold, or have nothing to hold.
fn holds(status: &Json) -> bool {
    let count = |name: &str| {
        let count = status.get("phases").and_then(|phases| phases.get(name));
        count.and_then(Json::as_u64)
    };
    let counts = [count("total"), count("converged"), count("skipped")];
    matches!(counts, [Some(total), Some(converged), Some(skipped)] if total == converged.saturating_add(skipped))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_keeps_a_policy_from_going_is_told_once_however_long_it_is() {
        let why = format!("to be deleted, and with it {}\n", "ü".repeat(1000));
        let said = words::cut(&why, words::LONGEST);
        let ready = json!({ "type": "Ready", "reason": "Removing", "message": said });
        let status = json!({ "observedGeneration": 3, "conditions": [ready] });
        let mut story = Story::new(&status, 3);
        assert_eq!(story.removal(Some(why.clone())), None);
        assert_eq!(story.removal(None), None);
        assert_eq!(story.removal(Some(why.clone())).unwrap().sentence, why);
    }
}
