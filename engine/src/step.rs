//! What `plan` hands to `apply`: plain data that both know, so that neither knows the other.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_contract::{Conflict, Difference, Facet, Fidelity, Path, ResourceKey, Write};
use holdfast_policy::Place;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::address::Address;
use crate::ledger::Removable;
use crate::phase::{Event, Phase};

/// All that would change, in graph order, and what stands in the way.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// One entry for each resource of the graph, in graph order.
    pub resources: Vec<PlannedResource>,
    /// Names that have to be minted and stored before anything else is written.
    pub mints: Vec<Mint>,
    /// The limit that holds everything up, if one does.
    pub excess: Option<Excess>,
    /// By what a person approves this plan, whatever a limit says.
    pub hash: String,
    /// What shows that the policy was applied before, where there is no ledger that says so.
    pub earlier_life: Option<String>,
    /// What to remember of each resource for when it leaves the policy; none: nothing, whatever was remembered.
    pub removable: BTreeMap<Address, Option<Removable>>,
    /// What has left the policy and is to be forgotten.
    pub forgotten: Vec<Forgotten>,
}

/// A resource that the ledger is to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Its address, as it was.
    pub address: Address,
    /// What a person should know about it, if anything.
    pub why: Option<String>,
}

/// A limit that a plan exceeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excess {
    /// How: `3 to delete, and the limit is 0`.
    pub why: String,
    /// What lets exactly this plan run, as the policy's `approve`.
    pub approve: String,
}

impl Plan {
    /// The steps that are ready to be done.
    pub fn ready(&self) -> impl Iterator<Item = (&PlannedResource, &Step)> {
        self.resources.iter().filter_map(|resource| {
            let step = resource.step.as_ref()?;
            step.is_ready().then_some((resource, step))
        })
    }

    /// What only another look will tell, each with the time from which that counts.
    pub fn looks(&self) -> impl Iterator<Item = (&PlannedResource, OffsetDateTime)> {
        self.resources
            .iter()
            .filter_map(|resource| Some((resource, resource.look_again?)))
    }

    /// Whether nothing is left to do and nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mints.is_empty() && self.resources.iter().all(|resource| resource.step.is_none())
    }
}

/// A name that has to be made up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mint {
    /// For which resource.
    pub address: Address,
    /// How the name begins.
    pub prefix: String,
    /// The name of an existing resource that is ours, to be kept instead of a new one.
    pub found: Option<String>,
}

/// A resource as the plan sees it.
#[derive(Clone, Debug)]
pub struct PlannedResource {
    /// Its address.
    pub address: Address,
    /// What it is, for people: `s3/Bucket`, `apps/Deployment`.
    pub what: String,
    /// Which it is, once that is known.
    pub key: Option<ResourceKey>,
    /// The server's id of it, where it is there and its server gives one.
    pub uid: Option<String>,
    /// A number for what is desired of it: the same as long as that is the same, within this process.
    pub desired: u64,
    /// Where its rule stands in the policy.
    pub place: Place,
    /// The file that holds it word for word, if it is a manifest.
    pub manifest: Option<std::sync::Arc<str>>,
    /// Where it stands.
    pub phase: Phase,
    /// Why, in one sentence; for a step, why it is taken.
    pub reason: String,
    /// What would be done; none when nothing.
    pub step: Option<Step>,
    /// Facets that can't be read or written, each with the reason; the others go on.
    pub blocked: BTreeMap<Facet, String>,
    /// Declared fields of which the server keeps its own value.
    pub overridden: Vec<String>,
    /// What the rule's `hold` says of what the step disrupts, if it was asked.
    pub hold: Option<Held>,
    /// Whether it was Converged once.
    pub was_provisioned: bool,
    /// How far it is proven that what was there once is gone; none where it is there, or never was.
    pub vanishing: Option<Vanishing>,
    /// From when on another look at it tells more than this one.
    pub look_again: Option<OffsetDateTime>,
}

/// How far it is proven that what was there once is gone: not found by its name, and not in a complete list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vanishing {
    /// When it was proven, as the ledger remembers.
    pub proofs: Vec<OffsetDateTime>,
    /// What was seen now, where that is a further proof.
    pub fresh: Option<OffsetDateTime>,
    /// Whether the remembered proofs are enough.
    pub proven: bool,
}

/// What a rule's `hold` says of a disruptive step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What the step disrupts: `rolls out new pods`.
    pub disrupts: String,
    /// Whether it may go ahead.
    pub state: HoldState,
    /// Why not; empty where nothing speaks against it.
    pub why: String,
    /// Since when it is held up.
    pub since: OffsetDateTime,
    /// When it goes ahead at the latest.
    pub until: OffsetDateTime,
    /// How long that is from now.
    pub left: Duration,
    /// Where the `hold` stands.
    pub place: Place,
}

/// Whether a disruptive step may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HoldState {
    /// Its condition doesn't hold.
    Free,
    /// Its condition holds, or can't be told.
    Waits,
    /// Its condition still holds, and has held for longer than it may.
    Overdue,
}

impl Held {
    /// Whether the step has to wait.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.state == HoldState::Waits
    }

    /// Why the step waits, in one sentence that doesn't change while the clock goes on.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "{} (hold, {}); goes ahead when it ends",
            self.why,
            self.place.short()
        )
    }
}

/// What a step of a rule that only observes waits for.
pub const MODE_ENFORCE: &str = "mode Enforce";

/// One planned change of one resource.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it does.
    pub verb: StepVerb,
    /// What changes, by facet.
    pub changes: Vec<FacetChange>,
    /// The calls, in stages: those of one stage are made at once, those of the next after them. Empty while it waits.
    pub stages: Vec<Vec<Write>>,
    /// What it waits for; empty when it is ready.
    pub waits: Vec<String>,
}

impl Step {
    /// Whether it can be done now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.stages.is_empty()
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepVerb {
    /// Makes the resource.
    Create,
    /// Changes it.
    Update,
    /// Deletes it.
    Delete,
    /// Deletes it, to be made anew by the next pass: what differs can't be changed on what exists.
    Replace,
}

/// What changes in one facet.
#[derive(Clone, Debug)]
pub struct FacetChange {
    /// Which facet.
    pub facet: Facet,
    /// What changes, each with its place in the policy.
    pub differences: Vec<(Difference, Option<Place>)>,
    /// How sure that is.
    pub fidelity: Fidelity,
    /// Fields that are taken from other field managers.
    pub conflicts: Vec<Conflict>,
    /// Former managers whose fields become this policy's.
    pub former: Vec<String>,
}

/// A write of this run that its service accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// What it did.
    pub verb: StepVerb,
    /// What it was to mend.
    pub differences: Vec<Difference>,
    /// How often each place counts as written lately.
    pub writes: BTreeMap<Path, u32>,
    /// Whether it is so recent that a read which still shows the state before it proves nothing.
    pub fresh: bool,
}

/// Why a write isn't made, although something differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    /// Why, in one sentence.
    pub why: String,
    /// Whether it failed for the moment only; else somebody has to change something first.
    pub is_passing: bool,
}

impl LeftAlone {
    /// Until somebody changes something.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_passing: false,
        }
    }

    /// What that says of its resource.
    #[must_use]
    pub fn event(&self) -> Event {
        if self.is_passing {
            Event::KeepsFailing
        } else {
            Event::Refused
        }
    }
}

impl Accepted {
    /// A write of which nothing is known any more but that there was one.
    #[must_use]
    pub fn long_ago() -> Self {
        Self {
            verb: StepVerb::Update,
            differences: Vec::new(),
            writes: BTreeMap::new(),
            fresh: false,
        }
    }
}

/// What became of one call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// For which resource.
    pub address: Address,
    /// Which facet was written; none for the creation or deletion of the whole.
    pub facet: Option<Facet>,
    /// What it did.
    pub verb: StepVerb,
    /// What the service said.
    pub result: Result<holdfast_contract::Written, holdfast_contract::ProviderError>,
}
