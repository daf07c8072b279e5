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

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{
    Action, ApiType, Found, Guard, Held, Holder, Observation, PolicyId, Preview, Provider, ProviderError,
    ProviderName, Query, Served, StateStore, Wanted, WatchStream, Watched, Write, Written,
};
use holdfast_engine::lease::{Lease, Timing};
use holdfast_engine::step::{Outcome, Plan, PlannedResource, Step, StepVerb};
use holdfast_engine::{Address, Phase, Stop, apply, objects};
use holdfast_memory::{Accident, Operation, World};
use holdfast_policy::Place;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

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

/// A service that is asked before it is written, as part of one call, and never answers the second.
#[derive(Debug)]
struct Silent {
    name: ProviderName,
    /// Is there once the first is answered.
    answer: Semaphore,
    /// How often it was sent the second.
    written: AtomicUsize,
}

impl Silent {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            name: ProviderName::from("kubernetes"),
            answer: Semaphore::new(0),
            written: AtomicUsize::new(0),
        })
    }

    /// What a call does that may begin now, under `stop`.
    async fn called(self: &Arc<Self>, stop: &Stop) -> Vec<Outcome> {
        let provider: Arc<dyn Provider> = Arc::clone(self) as _;
        let providers = BTreeMap::from([(self.name.clone(), provider)]);
        apply::apply(&creation(), &providers, Timing::default().call(), stop, &|_| {}).await
    }
}

#[async_trait]
impl Provider for Silent {
    fn name(&self) -> &ProviderName {
        &self.name
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
        let _answered = self.answer.acquire().await;
        self.written.fetch_add(1, Ordering::Relaxed);
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
    let outcomes = Silent::new().called(&Stop::default()).await;
    assert!(
        begun.elapsed() <= LEASE + Duration::from_millis(200),
        "{:?} after the lease was taken, {last_call:?} of them before the call",
        begun.elapsed()
    );
    assert_eq!(errors(&outcomes), [GIVEN_UP]);
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_between_two_requests_of_a_call_never_sends_the_second() {
    let (world, stop) = (World::new(&support::registry()), Stop::default());
    let lease = taken(&world, &stop).await;
    let service = Silent::new();
    let stopped = async {
        // The answer to the first comes in time, and the process goes on long after: the lease is another's by then.
        service.answer.add_permits(1);
        tokio::time::advance(2 * LEASE).await;
    };
    let (outcomes, ()) = futures::join!(service.called(&stop), stopped);
    assert_eq!(service.written.load(Ordering::Relaxed), 0);
    assert_eq!(errors(&outcomes), [GIVEN_UP]);
    assert_eq!(service.called(&stop).await.len(), 0, "and no other call begins");
    drop(lease);
}

const GIVEN_UP: &str = "kubernetes gave no answer within 30 s; whether it was done, the next look tells";

fn errors(outcomes: &[Outcome]) -> Vec<String> {
    let errors = outcomes
        .iter()
        .map(|outcome| outcome.result.as_ref().unwrap_err().to_string());
    errors.collect()
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

/// What somebody else is told who wants the lease now.
async fn wanted(world: &World) -> Held {
    let them = Holder("them".to_owned());
    world.acquire(&policy(), &them, LEASE).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lease_under_which_a_call_was_given_up_is_left_to_end_by_itself() {
    let (world, stop) = (World::new(&support::registry()), Stop::default());
    for is_dropped in [false, true] {
        let lease = taken(&world, &stop).await;
        // Who writes has a stop of its own, as where a policy is kept.
        let (service, own) = (Silent::new(), stop.child());
        let call = service.called(&own);
        if is_dropped {
            assert!(timeout(Duration::from_secs(4), call).await.is_err());
        } else {
            assert_eq!(errors(&call.await), [GIVEN_UP]);
        }
        lease.release().await;
        assert!(matches!(wanted(&world).await, Held::Theirs { .. }));
        sleep(LEASE).await;
        assert_eq!(wanted(&world).await, Held::Ours);
        world
            .release(&policy(), &Holder("them".to_owned()))
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_given_back_where_a_call_was_given_up_long_ago() {
    let (world, stop) = (World::new(&support::registry()), Stop::default());
    let lease = taken(&world, &stop).await;
    assert_eq!(errors(&Silent::new().called(&stop).await), [GIVEN_UP]);
    sleep(LEASE).await;
    lease.release().await;
    assert_eq!(wanted(&world).await, Held::Ours);
}
