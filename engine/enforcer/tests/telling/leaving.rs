//! Policies that are to be deleted while nothing is written. Time is paused.

use std::time::Duration;

use holdfast_contract::PolicyEvent;
use holdfast_policy::Mode;
use serde_json::{Value as Json, json};
use tokio::time::sleep;

use crate::running::{Now, enforced, enforced_in, resource};
use crate::support::Case;
use crate::{TWO_MAPS, case, config_map};

/// The Policy resource of which all goes with it, as `spec` has it besides.
fn going(case: &Case, generation: i64, deleting: bool, spec: &Json) -> PolicyEvent {
    let mut going = resource(case, "1");
    going.generation = generation;
    going.deleting = deleting;
    going.finalizer = true;
    let whole = &mut going.document["spec"];
    whole["limits"] = json!({ "deletions": 2 });
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    for rule in ["one", "two"] {
        whole["rules"][rule]["onRemove"] = json!("Delete");
    }
    PolicyEvent::Changed(going)
}

#[tokio::test(start_paused = true)]
async fn a_suspended_policy_that_is_to_be_deleted_says_what_keeps_it_and_goes_once_it_may() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        outside.say(going(&case, 1, false, &json!({})));
        outside.condition("Ready", "Converged").await;
        let suspended = json!({ "suspend": true });
        outside.say(going(&case, 2, false, &suspended));
        outside.condition("Ready", "Suspended").await;
        outside.say(going(&case, 3, true, &suspended));
        outside.condition("Stalled", "Suspended").await;
        let sentence = "to be deleted, and with it one and 1 more, but it is suspended: `suspend: false` has that removed, \
                        `onRemove: Retain` in its rule lets it stay";
        outside.until("why", |now| {
            let message = &now.status["conditions"][0]["message"];
            message == sentence && now.events.contains(&format!("PolicyStalled: {sentence}"))
        })
        .await;
        sleep(Duration::from_hours(1)).await;
        let now = outside.now.borrow().clone();
        let again = now.events.iter().filter(|event| event.contains(sentence));
        assert_eq!((again.count(), now.finalizers.len()), (1, 0));
        assert!(case.world.document(&config_map("one")).is_some());
        outside.say(going(&case, 4, true, &json!({})));
        outside.until("that it may go", |now| now.finalizers == [false]).await;
        assert!(case.world.document(&config_map("one")).is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_only_observes_and_is_to_be_deleted_says_so_and_an_edit_lets_it_go() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        outside.say(going(&case, 1, false, &json!({})));
        outside.condition("Ready", "Converged").await;
        outside.say(going(&case, 2, true, &json!({ "mode": "Observe" })));
        outside.condition("Stalled", "OnlyObserved").await;
        let is_told = |now: &Now| {
            let mut events = now.events.iter();
            events.any(|event| {
                event.contains("but `mode: Observe` removes nothing: `mode: Enforce` has that removed")
            })
        };
        outside.until("an event", is_told).await;
        let mut stays = resource(&case, "1");
        (stays.generation, stays.deleting, stays.finalizer) = (3, true, true);
        stays.document["spec"]["mode"] = json!("Observe");
        outside.say(PolicyEvent::Changed(stays));
        outside
            .until("that it may go", |now| now.finalizers == [false])
            .await;
        assert!(case.world.document(&config_map("one")).is_some());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_written_a_policy_that_is_to_be_deleted_is_not_looked_at_without_end() {
    let case = case(TWO_MAPS, "");
    enforced_in(Mode::Observe, &case, false, async |outside| {
        let mut stays = resource(&case, "1");
        (stays.deleting, stays.finalizer) = (true, true);
        outside.say(PolicyEvent::Changed(stays));
        outside.condition("Ready", "Removing").await;
        case.world.forget_requests();
        sleep(Duration::from_mins(1)).await;
        assert!(case.world.requests().len() < 20, "{:?}", case.world.requests());
        assert_eq!(outside.now.borrow().finalizers, [] as [bool; 0]);
    })
    .await;
}
