//! No call outlives the lease under which it began. Time is paused: nothing here waits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{
    Action, ApiType, Found, Guard, Holder, Observation, PolicyId, Preview, Provider, ProviderError,
    ProviderName, Query, Served, StateStore, Wanted, WatchStream, Watched, Write, Written,
};
use holdfast_engine::lease::{Lease, Timing};
use holdfast_engine::step::{Plan, PlannedResource, Step, StepVerb};
use holdfast_engine::{Address, Phase, Stop, apply, objects};
use holdfast_memory::{Accident, Operation, World};
use holdfast_policy::Place;
use tokio::time::{Instant, sleep};

/// How long a lease lasts without a renewal, as docs/security.md says.
const LEASE: Duration = Duration::from_mins(1);

fn policy() -> PolicyId {
    PolicyId {
        namespace: "holdfast-system".to_owned(),
        name: "test".to_owned(),
    }
}

async fn taken(world: &World, stop: &Stop) -> Lease {
    let store: Arc<dyn StateStore> = Arc::new(world.clone());
    Lease::take(
        &store,
        &policy(),
        &Holder("us".to_owned()),
        Timing::default(),
        stop,
    )
    .await
    .unwrap()
}

fn unavailable() -> ProviderError {
    ProviderError::Unavailable {
        service: "the cluster".to_owned(),
        message: "no route".to_owned(),
        source: None,
    }
}

/// When `stop` is stopped, from now.
async fn stopped(stop: &Stop, at_most: Duration) -> Option<Duration> {
    let begun = Instant::now();
    while begun.elapsed() <= at_most {
        if stop.is_stopped() {
            return Some(begun.elapsed());
        }
        sleep(Duration::from_millis(100)).await;
    }
    None
}

/// A service that takes what it is sent and never answers.
#[derive(Debug)]
struct Silent(ProviderName);

#[async_trait]
impl Provider for Silent {
    fn name(&self) -> &ProviderName {
        &self.0
    }

    async fn observe(&self, _wanted: &[Wanted]) -> Vec<Result<Observation, ProviderError>> {
        std::future::pending().await
    }

    async fn find(&self, _query: &Query) -> Result<Vec<Found>, ProviderError> {
        std::future::pending().await
    }

    async fn served(
        &self,
        _apis: &[ApiType],
        _refresh: bool,
    ) -> Result<BTreeMap<ApiType, Served>, ProviderError> {
        std::future::pending().await
    }

    async fn preview(&self, _write: &Write) -> Result<Preview, ProviderError> {
        std::future::pending().await
    }

    async fn write(&self, _write: &Write) -> Result<Written, ProviderError> {
        std::future::pending().await
    }

    fn watch(&self, _watched: &Watched) -> Option<WatchStream> {
        None
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        std::future::pending().await
    }
}

fn creation() -> Plan {
    let key = objects::key(&ApiType::new("v1", "ConfigMap"), Some("default"), "one");
    Plan {
        resources: vec![PlannedResource {
            address: Address::of("one"),
            what: "ConfigMap".to_owned(),
            key: Some(key.clone()),
            uid: None,
            desired: 0,
            place: Place::of_file("policy.yaml"),
            manifest: None,
            phase: Phase::Absent,
            reason: String::new(),
            step: Some(Step {
                verb: StepVerb::Create,
                changes: Vec::new(),
                stages: vec![vec![Write {
                    key,
                    action: Action::Create {
                        facets: BTreeMap::new(),
                    },
                    guard: Guard::Absent,
                    manager: "test".to_owned(),
                    force: false,
                }]],
                waits: Vec::new(),
            }),
            blocked: BTreeMap::new(),
            overridden: Vec::new(),
            hold: None,
            was_provisioned: false,
            vanishing: None,
            look_again: None,
        }],
        mints: Vec::new(),
        earlier_life: None,
        excess: None,
        hash: String::new(),
        removable: BTreeMap::new(),
        forgotten: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_stops_nothing() {
    let (world, stop) = (World::new(&support::registry()), Stop::default());
    let lease = taken(&world, &stop).await;
    assert_eq!(stopped(&stop, 10 * LEASE).await, None);
    lease.release().await;
}

#[tokio::test(start_paused = true)]
async fn renewals_that_fail_for_a_while_are_made_up_for() {
    let (world, stop) = (World::new(&support::registry()), Stop::default());
    let _lease = taken(&world, &stop).await;
    world.fail(Accident::new(Operation::Acquire, unavailable()).times(5));
    assert_eq!(stopped(&stop, 2 * LEASE).await, None);
}

#[tokio::test(start_paused = true)]
async fn without_renewals_no_call_begins_that_could_outlive_the_lease() {
    let (world, stop) = (World::new(&support::registry()), Stop::default());
    let lease = taken(&world, &stop).await;
    world.fail(Accident::new(Operation::Acquire, unavailable()).always());
    let begun = Instant::now();
    let last_call = stopped(&stop, LEASE)
        .await
        .expect("it stops before the lease ends");
    // The worst case: a call begins at the last moment, and its service never answers.
    let name = ProviderName::from("kubernetes");
    let providers: BTreeMap<ProviderName, Arc<dyn Provider>> =
        BTreeMap::from([(name.clone(), Arc::new(Silent(name)) as Arc<dyn Provider>)]);
    let outcomes = apply::apply(
        &creation(),
        &providers,
        Timing::default().call(),
        &Stop::default(),
        &|_| {},
    )
    .await;
    assert!(
        begun.elapsed() <= LEASE + Duration::from_millis(200),
        "{:?} after the lease was taken, {last_call:?} of them before the call",
        begun.elapsed()
    );
    let errors: BTreeSet<String> = outcomes
        .iter()
        .map(|outcome| outcome.result.as_ref().unwrap_err().to_string())
        .collect();
    assert_eq!(
        errors,
        ["kubernetes gave no answer within 30 s; whether it was done, the next look tells".to_owned()].into()
    );
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_else_has_taken_stops_writing_at_the_next_renewal() {
    let (world, stop) = (World::new(&support::registry()), Stop::default());
    let _lease = taken(&world, &stop).await;
    world.release(&policy(), &Holder("us".to_owned())).await.unwrap();
    world
        .acquire(&policy(), &Holder("them".to_owned()), LEASE)
        .await
        .unwrap();
    let after = stopped(&stop, LEASE).await.expect("it stops");
    assert!(after <= Duration::from_secs(11), "{after:?}");
}
