//! What would be written, in order, each step with its reason, and what stands in the way of the rest: pure.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{
    ApiType, Facet, Observation, PolicyId, ProviderError, ProviderName, ResourceKey, Served,
};
use holdfast_policy::{Limits, Mode};
use time::OffsetDateTime;

use crate::address::Address;
use crate::diff::Comparisons;
use crate::evaluate::Evaluator;
use crate::graph::{Naming, Resource, ResourceGraph, State};
use crate::ledger::Ledger;
use crate::observe::Snapshot;
use crate::phase::{Event, IllegalTransition, Phase};
use crate::removal::Leaving;
use crate::step::{Accepted, Held, LeftAlone, Mint, Plan, PlannedResource, Step, StepVerb, Vanishing};

mod deletion;
mod guards;
mod hold;
mod judge;
mod limits;
mod needs;
mod present;
mod removal;
mod vanish;

use judge::Judge;

pub(crate) use guards::refusal;
pub(crate) use present::FIGHTS;
pub(crate) use vanish::PROOFS;

/// What each provider's service says of who is signed in; none: it can't say.
pub type Accounts = BTreeMap<ProviderName, Result<Option<String>, ProviderError>>;

/// All that a plan is built from. The same input gives the same plan.
#[derive(Debug)]
pub struct Input<'a> {
    /// Which policy.
    pub policy: &'a PolicyId,
    /// Whether the policy writes.
    pub mode: Mode,
    /// What has left the policy, each before those that it needs.
    pub leaving: &'a [Leaving<'a>],
    /// The resources, in order.
    pub graph: &'a ResourceGraph<'a>,
    /// What was read.
    pub snapshot: &'a Snapshot,
    /// How the two compare.
    pub comparisons: &'a Comparisons,
    /// What must not be forgotten.
    pub ledger: &'a Ledger,
    /// What the cluster says of object types.
    pub served: &'a BTreeMap<ApiType, Served>,
    /// Where each resource stood after the pass before, and after the writes since.
    pub phases: &'a BTreeMap<Address, Phase>,
    /// The objects that the policy's own state is kept in, and what those lie in.
    pub ground: &'a [ResourceKey],
    /// Which account or project each provider is signed in to, as far as its service says.
    pub accounts: &'a Accounts,
    /// What shows that the policy was applied before, where there is no ledger that says so.
    pub earlier_life: Option<&'a str>,
    /// Where the ledger is kept, for people.
    pub ledger_place: &'a str,
    /// The policy's field manager.
    pub manager: &'a str,
    /// By what the policy's things are marked.
    pub mark: &'a str,
    /// Caps for one cycle.
    pub limits: &'a Limits,
    /// The hash of a plan that may run although it exceeds a cap.
    pub approve: Option<&'a str>,
    /// What was done already that counts together with this, and that nobody has approved.
    pub done: &'a BTreeSet<(StepVerb, Address)>,
    /// Why nothing at all may be written, if so.
    pub blocked: Option<&'a str>,
    /// The writes of this run that were accepted; without a facet, of the whole resource.
    pub accepted: &'a BTreeMap<(Address, Option<Facet>), Accepted>,
    /// Writes that are left alone; without a facet, of the whole resource.
    pub left_alone: &'a BTreeMap<(Address, Option<Facet>), LeftAlone>,
    /// Whether being ready is awaited; else being equal is enough.
    pub await_ready: bool,
    /// Evaluates expressions.
    pub evaluator: Evaluator<'a>,
}

/// Builds the plan.
pub fn build(input: &Input<'_>) -> Result<Plan, IllegalTransition> {
    let mut plan = Plan {
        earlier_life: input.earlier_life.map(str::to_owned),
        ..Plan::default()
    };
    let mut phases: BTreeMap<Address, Phase> = BTreeMap::new();
    let mut held: BTreeSet<Address> = BTreeSet::new();
    for resource in &input.graph.resources {
        if let (State::Active, Naming::Mint { prefix, found }) = (&resource.state, &resource.naming)
            && resource.mode == Mode::Enforce
            && (found.is_some() || resource.variant.is_some_and(|variant| variant.create))
            && input.blocked.is_none()
            && guards::account(input, resource).is_none()
        {
            let mint = Mint {
                address: resource.address.clone(),
                prefix: prefix.clone(),
                found: found.clone(),
            };
            plan.mints.push(mint);
        }
        let found = Judge {
            input,
            resource,
            phases: &phases,
            held: &held,
        }
        .judge();
        let before = input
            .phases
            .get(&resource.address)
            .copied()
            .unwrap_or(Phase::Unknown);
        let phase = before.next(found.event)?;
        phases.insert(resource.address.clone(), phase);
        if found.hold.as_ref().is_some_and(Held::waits) {
            held.insert(resource.address.clone());
        }
        removal::remember(input, resource, &mut plan);
        plan.resources.push(PlannedResource {
            address: resource.address.clone(),
            what: resource.what.clone(),
            key: observed_key(input, resource),
            uid: resource.key.as_ref().and_then(|key| uid(input, key)),
            desired: resource.fingerprint(),
            place: resource.place().clone(),
            manifest: resource.manifest.clone(),
            phase,
            reason: found.reason,
            step: found.step,
            blocked: found.blocked,
            overridden: found.overridden,
            hold: found.hold,
            was_provisioned: resource.was_provisioned(input.ledger),
            vanishing: found.vanishing,
            look_again: found.look_again,
        });
    }
    removal::plan(input, &mut plan)?;
    plan.hash = limits::hash(input, &plan);
    limits::enforce(input, &mut plan)?;
    Ok(plan)
}

fn observed_key(input: &Input<'_>, resource: &Resource<'_>) -> Option<holdfast_contract::ResourceKey> {
    let key = resource.key.as_ref()?;
    match input.snapshot.get(key) {
        Some(Ok(Observation::Present(observed))) => Some(observed.key.clone()),
        _ => Some(key.clone()),
    }
}

/// The server's id of what is there, if it gives one.
fn uid(input: &Input<'_>, key: &ResourceKey) -> Option<String> {
    match input.snapshot.get(key) {
        Some(Ok(Observation::Present(observed))) => observed.uid.clone(),
        _ => None,
    }
}

/// What was found of one resource.
struct Found {
    event: Event,
    reason: String,
    step: Option<Step>,
    blocked: BTreeMap<Facet, String>,
    overridden: Vec<String>,
    hold: Option<Held>,
    vanishing: Option<Vanishing>,
    look_again: Option<OffsetDateTime>,
}

impl Found {
    fn new(event: Event, reason: impl Into<String>) -> Self {
        Self {
            event,
            reason: reason.into(),
            step: None,
            blocked: BTreeMap::new(),
            overridden: Vec::new(),
            hold: None,
            vanishing: None,
            look_again: None,
        }
    }

    /// Another look, from `at` on, will tell more.
    fn again(mut self, at: OffsetDateTime) -> Self {
        self.look_again = Some(at);
        self
    }

    fn with(mut self, step: Step) -> Self {
        self.step = Some(step);
        self
    }
}
