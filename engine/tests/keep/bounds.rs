//! Bounds: what a policy that misbehaves, or is stopped in the middle, may not do.

use std::sync::atomic::{AtomicBool, Ordering};

use holdfast_contract::ProviderError;
use holdfast_engine::{Progress, Tally};
use holdfast_memory::Operation;
use tokio::time::{Instant, sleep};

use super::*;

fn map(name: &str, after: &str) -> String {
    format!(
        "    {name}: {{ ensure: kubernetes/Object, {after} desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default }}, data: {{ a: '1' }} }} }}\n"
    )
}

/// Each is made after the one before.
fn chain(length: usize) -> String {
    let one = |number: usize| {
        let before = number.checked_sub(1);
        let after = before.map_or_else(String::new, |before| format!("after: [m{before}], "));
        map(&format!("m{number}"), &after)
    };
    (0..length).map(one).collect()
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_longer_than_a_cycle_has_passes_goes_on_at_once() {
    let case = Case::text(&policy(&format!("  interval: 6h\n  rules:\n{}", chain(66))), "");
    kept(&case, async |onlooker| {
        let begun = Instant::now();
        onlooker.converged().await;
        assert!(begun.elapsed() < MINUTE, "{:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_all_the_time_has_everything_read_anew_every_few_seconds() {
    let case = Case::text(&policy(BUCKET), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        sleep(MINUTE).await;
        let before = onlooker.cycles();
        for _ in 0..1000 {
            onlooker.trigger.send_modify(|count| *count += 1);
            sleep(Duration::from_millis(30)).await;
        }
        let cycles = onlooker.cycles() - before;
        assert!((5..=8).contains(&cycles), "{cycles} in half a minute");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_news_is_one_cycle_and_one_without_end_a_few_each_second() {
    let case = Case::text(&policy(MAP), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        let second = Duration::from_secs(1);
        for (changes, least, most) in [(10, 1, 1), (300, 8, 14)] {
            sleep(second * 5).await;
            let before = onlooker.cycles();
            for number in 0..changes {
                // Nobody's drift, and so nothing that is written is news in turn.
                set(&case, "one", "b", &number.to_string());
                sleep(Duration::from_millis(10)).await;
            }
            sleep(second).await;
            let cycles = onlooker.cycles() - before;
            assert!(
                (least..=most).contains(&cycles),
                "{changes} changes: {cycles} cycles"
            );
        }
    })
    .await;
}

/// Keeps the policy of `case` until `is_end` says so of what happens.
async fn kept_until(case: &Case, permits: usize, is_end: impl Fn(&Kept<'_>) -> bool + Send + Sync) {
    let stop = Stop::default();
    let (_trigger, trigger) = watch::channel(0);
    let options = KeepOptions {
        timing: Timing::default(),
        stop: stop.clone(),
        overrides: Vec::new(),
        trigger,
        permits: Arc::new(Semaphore::new(permits)),
    };
    let teller = |kept: Kept<'_>| {
        if is_end(&kept) {
            stop.stop();
        }
    };
    let mut tally = Tally::default();
    let keeping = case.engine.keep(&case.policy, &options, &mut tally, &teller);
    keeping.await;
}

#[tokio::test(start_paused = true)]
async fn what_was_made_just_before_the_end_is_known_to_be_ours_ever_after() {
    let made = |ledger: &serde_json::Value| ledger.to_string().contains("one");
    let case = Case::text(&policy(MAP), "");
    kept_until(&case, 1, |kept| {
        matches!(kept, Kept::Progress(Progress::Written(..)))
    })
    .await;
    assert!(case.world.document(&config_map("one")).is_some());
    let ledger = case.ledger().await;
    assert!(made(&ledger), "{ledger:#}");
}

#[tokio::test(start_paused = true)]
async fn what_was_made_is_known_to_be_ours_although_somebody_else_changed_the_ledger_meanwhile() {
    let case = Case::text(&policy(MAP), "");
    kept_until(&case, 1, |kept| {
        if matches!(kept, Kept::Progress(Progress::Written(..))) {
            let conflict = ProviderError::Conflict {
                key: config_map("ledger"),
            };
            case.world.fail_next(Operation::Save, conflict);
        }
        matches!(kept, Kept::Cycle { report, .. } if report.is_converged())
    })
    .await;
    let ledger = case.ledger().await;
    assert_eq!(
        ledger["made"]["one"]["what"], "ConfigMap default/one",
        "{ledger:#}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_others_cycles_is_alive_and_ends_at_once() {
    let case = Case::text(&policy(MAP), "");
    let told = AtomicBool::new(false);
    let begun = Instant::now();
    kept_until(&case, 0, |kept| {
        told.store(true, Ordering::Relaxed);
        matches!(kept, Kept::Quiet)
    })
    .await;
    assert!(told.load(Ordering::Relaxed));
    assert!(begun.elapsed() < MINUTE);
    assert_eq!(case.writes(), 0);
}
