//! What is told while a real engine keeps a policy for good. Time is paused: hours pass at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_contract::ProviderError;
use holdfast_enforcer::fault::Fault;
use holdfast_enforcer::story::{News, Story};
use holdfast_engine::{Clock, KeepOptions, Kept, Progress, Stop, Tally, Timing};
use holdfast_memory::{Accident, Operation};
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::support::Case;
use crate::{BUCKET, TWO_MAPS, case, spoil};

/// What was told of a policy that is kept.
struct Told {
    news: Mutex<Vec<News>>,
    cycles: watch::Sender<usize>,
}

impl Told {
    fn reasons(&self) -> Vec<&'static str> {
        self.news
            .lock()
            .unwrap()
            .iter()
            .map(|news| news.reason.name())
            .collect()
    }

    /// Waits until all of `reasons` were told, in this order, and nothing else.
    async fn until(&self, reasons: &[&str]) {
        let mut cycles = self.cycles.subscribe();
        let told = timeout(
            Duration::from_hours(5),
            cycles.wait_for(|_| self.reasons() == reasons),
        )
        .await;
        assert!(told.is_ok(), "{:#?}", self.news.lock().unwrap());
        self.news.lock().unwrap().clear();
    }
}

/// What a story has to tell of what happens.
fn news(story: &mut Story, kept: &Kept<'_>, suspended: bool) -> Vec<News> {
    match kept {
        Kept::Writing { report, .. } | Kept::Cycle { report, .. } => story.report(report, suspended),
        Kept::Progress(Progress::Written(outcome, _)) => {
            story.written(outcome);
            Vec::new()
        }
        Kept::Invalid(faults) => story.fault(&Fault::invalid(faults.summary())),
        Kept::Failed { error, .. } => {
            let fault = Fault::of(error);
            fault.map(|fault| story.fault(&fault)).unwrap_or_default()
        }
        Kept::Progress(_) | Kept::Quiet | Kept::Valid => Vec::new(),
    }
}

async fn kept(case: &Case, body: impl AsyncFnOnce(&Told)) {
    let (stop, (_trigger, trigger)) = (Stop::default(), watch::channel(0));
    let options = KeepOptions {
        timing: Timing::default(),
        stop: stop.clone(),
        overrides: Vec::new(),
        trigger,
        permits: Arc::new(Semaphore::new(1)),
    };
    let told = Told {
        news: Mutex::default(),
        cycles: watch::Sender::new(0),
    };
    let story = Mutex::new(Story::new(&json!(null), 3));
    let teller = |kept: Kept<'_>| {
        let news = news(&mut story.lock().unwrap(), &kept, case.policy.suspend);
        told.news.lock().unwrap().extend(news);
        told.cycles
            .send_modify(|cycles| *cycles += usize::from(matches!(kept, Kept::Cycle { .. })));
    };
    let mut engine = case.engine.clone();
    engine.clock = Clock::steady();
    let body = async {
        body(&told).await;
        stop.stop();
    };
    let mut tally = Tally::default();
    futures::join!(engine.keep(&case.policy, &options, &mut tally, &teller), body);
}

#[tokio::test(start_paused = true)]
async fn drift_is_told_with_its_repair_and_at_rest_nothing_is() {
    let case = case(TWO_MAPS, "");
    kept(&case, async |told| {
        told.until(&["Created", "Created", "PolicyReady"]).await;
        tokio::time::sleep(Duration::from_hours(24)).await;
        told.until(&[]).await;
        for _ in 0..2 {
            spoil(&case, "one", "a");
            told.until(&["DriftDetected", "DriftRepaired"]).await;
            tokio::time::sleep(Duration::from_hours(1)).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_for_hours_is_told_once() {
    let case = case(BUCKET, "");
    kept(&case, async |told| {
        told.until(&["Created", "PolicyReady"]).await;
        let down = ProviderError::Unavailable {
            service: "the store".into(),
            message: "no route".into(),
            source: None,
        };
        case.world
            .fail(Accident::new(Operation::Observe, down).on("acme-data").always());
        told.until(&["Unreadable"]).await;
        tokio::time::sleep(Duration::from_hours(6)).await;
        told.until(&[]).await;
        case.world.heal();
        told.until(&["PolicyReady"]).await;
    })
    .await;
}
