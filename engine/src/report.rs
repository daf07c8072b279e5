//! The one record that every output comes from: text, JSON, and later a status.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_contract::{Change, Fidelity, PolicyId, ResourceKey};
use holdfast_policy::Place;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use crate::checks::CheckResult;
use crate::clock;
use crate::phase::Phase;
use crate::plan::PROOFS;
use crate::step::{
    Excess, FacetChange, Held, HoldState, MODE_ENFORCE, Plan, PlannedResource, Step, StepVerb,
};

mod text;
mod values;

pub use text::{Style, TextOptions, apply_text, plan_text, short_name};

/// The version of the JSON form. It grows when a field changes its meaning or goes; new fields don't change it.
pub const FORMAT_VERSION: u32 = 1;

/// What a policy's world looks like, and what would change or was changed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Which policy.
    pub policy: PolicyId,
    /// Where it acts, for people: providers, regions, accounts.
    pub subject: Vec<String>,
    /// Requirements that don't hold; if there are any, nothing was read beyond the facts.
    pub unmet: Vec<Unmet>,
    /// Where the ledger will be made, if it isn't there yet and something would be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// Names that will be generated, by address: how they begin.
    pub names: BTreeMap<String, String>,
    /// Every resource, in graph order.
    pub resources: Vec<ResourceReport>,
    /// The results of all checks.
    pub checks: Vec<CheckResult>,
    /// What a person should know beside the resources of the policy: of what has left it and stays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The limit that holds everything up, and what approves this very plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excess: Option<Excess>,
    /// What was written, if anything was asked to be.
    pub applied: Option<Applied>,
    /// The counts.
    pub summary: Summary,
}

/// A requirement that doesn't hold.
#[derive(Clone, Debug, Serialize)]
pub struct Unmet {
    /// Its message, or why it can't be told.
    pub message: String,
    /// Where it stands.
    pub place: Place,
}

/// One resource.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceReport {
    /// Its address in the policy.
    pub address: String,
    /// What it is: `s3/Bucket`, `apps/Deployment`.
    pub what: String,
    /// Which it is, once known.
    pub key: Option<ResourceKey>,
    /// The server's id of it, where it is there and its server gives one. It says nothing to people.
    #[serde(skip)]
    pub uid: Option<String>,
    /// A number for what is desired of it: the same as long as that is the same, within this process.
    #[serde(skip)]
    pub desired: u64,
    /// Where its rule stands.
    pub place: Place,
    /// The file that holds it word for word, if it is a manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<std::sync::Arc<str>>,
    /// Where it stands.
    pub phase: Phase,
    /// Why, in one sentence.
    pub reason: String,
    /// What would be done, if anything.
    pub action: Option<StepVerb>,
    /// What that waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<String>,
    /// What changes, by facet.
    pub facets: Vec<FacetReport>,
    /// Facets that can't be read or written, with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub blocked: BTreeMap<String, String>,
    /// Declared fields of which the server keeps its own value. That is no drift.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<String>,
    /// What the rule's `hold` says of a disruptive change, if it says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldReport>,
    /// How far it is proven that what was there once is gone; left out where it is there, or never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vanished: Option<VanishedReport>,
}

impl ResourceReport {
    /// Whether what would be done is left undone because of `mode: Observe`.
    #[must_use]
    pub fn is_only_observed(&self) -> bool {
        self.action.is_some() && self.waits.iter().any(|waits| waits == MODE_ENFORCE)
    }
}

/// What a rule's `hold` says of a disruptive change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldReport {
    /// What the change disrupts.
    pub disrupts: String,
    /// Whether it waits, or has waited for longer than it may and goes ahead.
    pub state: HoldState,
    /// Why it waits.
    pub why: String,
    /// Since when, as RFC 3339.
    pub since: String,
    /// Until when at the latest, as RFC 3339.
    pub until: String,
    /// How long that is from now.
    #[serde(skip)]
    pub left: Duration,
    /// Where the `hold` stands.
    pub place: Place,
}

/// How far it is proven that what was there once is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VanishedReport {
    /// Whether it is proven.
    pub proven: bool,
    /// When it was neither found by its name nor listed, as the ledger remembers; RFC 3339.
    pub proofs: Vec<String>,
    /// How many of these are needed.
    pub needed: usize,
}

/// What changes in one facet.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FacetReport {
    /// Which.
    pub facet: String,
    /// How sure that is.
    pub fidelity: Fidelity,
    /// What changes.
    pub changes: Vec<ChangeReport>,
    /// Fields that are taken from other field managers, and from whom.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub takes_over: Vec<String>,
    /// Former field managers, of the rule's `takeOver`, whose fields become this policy's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub takes_over_from: Vec<String>,
}

/// One changed place.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeReport {
    /// Where, from the facet's root.
    pub path: String,
    /// How.
    #[serde(flatten)]
    pub change: Change,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where in the policy it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl ChangeReport {
    /// Who wrote it last, where the server tells.
    #[must_use]
    pub fn writer(&self) -> Option<&str> {
        writer(self.note.as_deref()?)
    }
}

/// Who a note says wrote it last: `kubectl-edit` of `last written by kubectl-edit, 2026-01-31T10:00:00Z`.
pub(crate) fn writer(note: &str) -> Option<&str> {
    let said = note.strip_prefix("last written by ")?;
    Some(said.split(", ").next().unwrap_or(said))
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Resources made.
    pub created: usize,
    /// Resources changed.
    pub changed: usize,
    /// Resources deleted.
    pub deleted: usize,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// What was done although something spoke against it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// How many resources would be, and are, what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// To be made.
    pub create: usize,
    /// To be changed.
    pub update: usize,
    /// To be deleted.
    pub delete: usize,
    /// To be deleted and made anew.
    pub replace: usize,
    /// Equal, and ready.
    pub unchanged: usize,
    /// Left out by their `when`.
    pub skipped: usize,
    /// Equal but not ready, or waiting.
    pub waiting: usize,
    /// Blocked, Failed, Contested or Unknown.
    pub stuck: usize,
}

impl Summary {
    /// Whether anything would be written.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.create > 0 || self.update > 0 || self.delete > 0 || self.replace > 0
    }
}

impl Report {
    /// Whether everything that the policy wants holds, and could be seen to hold.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        self.unmet.is_empty()
            && !self.summary.has_changes()
            && self.summary.waiting == 0
            && self.summary.stuck == 0
    }
}

/// Counts and describes `plan`.
#[must_use]
pub fn build(policy: &PolicyId, subject: Vec<String>, plan: &Plan, checks: Vec<CheckResult>) -> Report {
    let mut summary = Summary::default();
    for resource in &plan.resources {
        count(resource, &mut summary);
    }
    Report {
        format_version: FORMAT_VERSION,
        policy: policy.clone(),
        subject,
        unmet: Vec::new(),
        ledger: None,
        names: plan
            .mints
            .iter()
            .map(|mint| (mint.address.to_string(), mint.prefix.clone()))
            .collect(),
        resources: plan.resources.iter().map(resource).collect(),
        checks,
        notes: plan
            .forgotten
            .iter()
            .filter_map(|forgotten| forgotten.why.clone())
            .collect(),
        excess: plan.excess.clone(),
        applied: None,
        summary,
    }
}

fn count(resource: &PlannedResource, summary: &mut Summary) {
    let counter = match (&resource.step, resource.phase) {
        (Some(_), Phase::Pending) if waits_for_hold(resource) => &mut summary.waiting,
        (Some(step), _) => match step.verb {
            StepVerb::Create => &mut summary.create,
            StepVerb::Update => &mut summary.update,
            StepVerb::Delete => &mut summary.delete,
            StepVerb::Replace => &mut summary.replace,
        },
        (None, Phase::Converged) => &mut summary.unchanged,
        (None, Phase::Skipped) => &mut summary.skipped,
        (None, Phase::Settling | Phase::Pending | Phase::Applying) => &mut summary.waiting,
        (None, _) => &mut summary.stuck,
    };
    *counter = counter.saturating_add(1);
    // Of a resource that a hold holds up in part, the rest goes ahead.
    if resource.phase != Phase::Pending && waits_for_hold(resource) {
        summary.waiting = summary.waiting.saturating_add(1);
    }
    // A facet that can't be read or written is stuck although the rest of its resource may be fine.
    if !resource.blocked.is_empty() && (resource.step.is_some() || resource.phase == Phase::Converged) {
        summary.stuck = summary.stuck.saturating_add(1);
    }
}

fn waits_for_hold(resource: &PlannedResource) -> bool {
    resource.hold.as_ref().is_some_and(Held::waits)
}

fn hold(held: &Held) -> Option<HoldReport> {
    let Held {
        disrupts,
        state,
        why,
        since,
        until,
        left,
        place,
    } = held;
    let text = |time: &time::OffsetDateTime| time.format(&Rfc3339).unwrap_or_default();
    (*state != HoldState::Free).then(|| HoldReport {
        disrupts: disrupts.clone(),
        state: *state,
        why: why.clone(),
        since: text(since),
        until: text(until),
        left: *left,
        place: place.clone(),
    })
}

fn resource(planned: &PlannedResource) -> ResourceReport {
    let step: Option<&Step> = planned.step.as_ref();
    ResourceReport {
        address: planned.address.to_string(),
        what: planned.what.clone(),
        key: planned.key.clone(),
        uid: planned.uid.clone(),
        desired: planned.desired,
        place: planned.place.clone(),
        manifest: planned.manifest.clone(),
        phase: planned.phase,
        reason: planned.reason.clone(),
        action: step.map(|step| step.verb),
        waits: step.map(|step| step.waits.clone()).unwrap_or_default(),
        facets: step
            .map(|step| step.changes.iter().map(facet).collect())
            .unwrap_or_default(),
        blocked: planned
            .blocked
            .iter()
            .map(|(facet, why)| (facet.to_string(), why.clone()))
            .collect(),
        overridden: planned.overridden.clone(),
        hold: planned.hold.as_ref().and_then(hold),
        vanished: planned.vanishing.as_ref().map(|vanishing| VanishedReport {
            proven: vanishing.proven,
            proofs: vanishing.proofs.iter().copied().map(clock::written).collect(),
            needed: PROOFS,
        }),
    }
}

fn facet(change: &FacetChange) -> FacetReport {
    FacetReport {
        facet: change.facet.to_string(),
        fidelity: change.fidelity,
        changes: change
            .differences
            .iter()
            .map(|(difference, place)| ChangeReport {
                path: difference.path.to_string(),
                change: difference.change.clone(),
                note: difference.note.clone(),
                place: place.clone(),
            })
            .collect(),
        takes_over: change
            .conflicts
            .iter()
            .map(|conflict| format!("{} from {}", conflict.path, conflict.manager))
            .collect(),
        takes_over_from: change.former.clone(),
    }
}
