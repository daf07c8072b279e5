//! What a replica tells of a policy that another one enforces, or may: whoever holds the lease tells. Time is paused.

use std::time::Duration;

use holdfast_contract::{Held, Holder, PolicyEvent, PolicyResource, ProviderError};
use holdfast_memory::{Accident, Operation};
use holdfast_policy::Mode;
use serde_json::{Value as Json, json};
use tokio::time::sleep;

use crate::running::{Outside, enforced, enforced_as, enforced_in, resource, resource_of, right};
use crate::seen::map;
use crate::support::Case;
use crate::{TWO_MAPS, case};

const MINUTE: Duration = Duration::from_mins(1);

/// Another replica takes the policy's lease for half an hour, if it can.
async fn another_takes_it(case: &Case) -> bool {
    let another = Holder("b".to_owned());
    let lease = case.engine.state.acquire(&case.policy.id, &another, MINUTE * 30);
    lease.await.unwrap() == Held::Ours
}

/// The replica can't renew its lease until another one has taken it.
async fn loses_it(case: &Case) {
    let down = ProviderError::Unavailable {
        service: "the cluster".into(),
        message: "no route".into(),
        source: None,
    };
    case.world.fail(Accident::new(Operation::Acquire, down).always());
    sleep(MINUTE * 2).await;
    case.world.heal();
    assert!(another_takes_it(case).await);
}

fn wrong(case: &Case) -> Box<PolicyResource> {
    let spec = json!({ "language": 1, "rules": { "one": map("${nobody}") } });
    let mut wrong = resource_of(case, "1", &spec);
    wrong.generation = 2;
    wrong
}

/// The statuses that were told since the last time.
fn statuses(outside: &Outside) -> Vec<Json> {
    let told = outside.told().into_iter();
    let statuses = told.filter(|(what, _)| *what == "status");
    statuses.map(|(_, status)| status).collect()
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_wrong_is_told_so_by_whoever_enforces_it_as_it_was_good_last() {
    let case = case(TWO_MAPS, "");
    assert!(another_takes_it(&case).await);
    enforced(&case, false, async |outside| {
        outside.say(PolicyEvent::All(vec![*wrong(&case)]));
        sleep(MINUTE * 29).await;
        assert_eq!(outside.told(), [], "the other one tells");
        assert_eq!(outside.now.borrow().events, [] as [&str; 0]);
        assert_eq!((outside.health.ready(), outside.health.live()), (Ok(()), Ok(())));
        // Now nobody does.
        sleep(MINUTE * 2).await;
        let told = statuses(outside);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!(told[0]["conditions"][0]["reason"], "PolicyInvalid");
        // It is no less attended to.
        outside.say(PolicyEvent::Changed(resource(&case, "1")));
        right(&case).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_nobody_enforces_and_is_wrong_is_told_so_at_once() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        outside.say(PolicyEvent::All(vec![*wrong(&case)]));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(statuses(outside).len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_status_that_somebody_else_has_written_over_is_written_again_and_not_more_than_once_in_a_while() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        outside.say(PolicyEvent::All(vec![*resource(&case, "1")]));
        outside.condition("Ready", "Converged").await;
        sleep(MINUTE).await;
        let ours = statuses(outside).pop().unwrap();
        let seen = |status: &Json| {
            let mut seen = resource(&case, "1");
            seen.status = status.clone();
            outside.say(PolicyEvent::Changed(seen));
        };
        seen(&ours);
        sleep(MINUTE).await;
        assert_eq!(outside.told(), [], "it is as it was written");
        seen(&json!({ "conditions": [] }));
        sleep(MINUTE).await;
        assert_eq!(outside.told(), [("status", ours.clone())]);
        seen(&ours);
        // Somebody who writes it over and over.
        for number in 0..600 {
            seen(&json!({ "conditions": [], "number": number }));
            sleep(Duration::from_millis(100)).await;
        }
        let told = statuses(outside);
        assert!((2..=15).contains(&told.len()), "{}", told.len());
        assert!(told.iter().all(|status| *status == ours), "{told:#?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_has_lost_the_lease_writes_no_status_over_that_of_the_next() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        outside.say(PolicyEvent::All(vec![*resource(&case, "1")]));
        outside.condition("Ready", "Converged").await;
        outside.is_slow.send_replace(true);
        outside.say(PolicyEvent::Changed(wrong(&case)));
        sleep(Duration::from_secs(5)).await;
        outside.told();
        loses_it(&case).await;
        outside.is_slow.send_replace(false);
        sleep(MINUTE * 5).await;
        assert_eq!(outside.told(), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_has_lost_the_lease_of_a_policy_that_is_wrong_puts_no_status_back() {
    let case = case(TWO_MAPS, "");
    let resource_as = |generation: i64, account: Option<&str>| {
        let mut resource = resource(&case, "1");
        resource.generation = generation;
        if let Some(account) = account {
            resource.document["spec"]["serviceAccountName"] = json!(account);
        }
        resource
    };
    enforced_as(
        |settings| settings.default_account = None,
        &case,
        false,
        async |outside| {
            outside.say(PolicyEvent::All(vec![*resource_as(1, Some("web"))]));
            outside.condition("Ready", "Converged").await;
            let mut nobodys = resource_as(2, None);
            outside.say(PolicyEvent::Changed(nobodys.clone()));
            outside.condition("Stalled", "AccountMissing").await;
            assert!(!another_takes_it(&case).await, "it goes on telling");
            loses_it(&case).await;
            outside.told();
            nobodys.status = json!({ "conditions": [] });
            outside.say(PolicyEvent::Changed(nobodys));
            sleep(MINUTE * 5).await;
            assert_eq!(outside.told(), []);
        },
    )
    .await;
}

/// What is told by one that starts when the resource has that status, within five minutes.
async fn told_anew(
    case: &Case,
    mode: Mode,
    resource: &PolicyResource,
    status: &Json,
) -> (Vec<Json>, Vec<String>) {
    let mut resource = resource.clone();
    resource.status = status.clone();
    let mut told = (Vec::new(), Vec::new());
    enforced_in(mode, case, false, async |outside| {
        outside.say(PolicyEvent::All(vec![resource]));
        sleep(MINUTE * 5).await;
        told = (statuses(outside), outside.now.borrow().events.clone());
    })
    .await;
    told
}

#[tokio::test(start_paused = true)]
async fn what_was_told_without_a_lease_is_told_again_by_nobody_who_starts_later() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        outside.say(PolicyEvent::All(vec![*resource(&case, "1")]));
        outside.condition("Ready", "Converged").await;
    })
    .await;
    for (mode, resource, reason) in [
        (Mode::Enforce, wrong(&case), "PolicyInvalid"),
        (Mode::Observe, wrong(&case), "PolicyInvalid"),
        (Mode::Observe, resource(&case, "1"), "Converged"),
    ] {
        let (first, events) = told_anew(&case, mode, &resource, &Json::Null).await;
        let mut status = first.last().unwrap().clone();
        assert_eq!(status["conditions"][0]["reason"], reason, "{status:#}");
        assert!(!events.is_empty(), "{reason}");
        if reason == "PolicyInvalid" {
            // It was right before, and enforced.
            status["ledger"] = json!("ConfigMap somewhere/else");
        }
        let again = told_anew(&case, mode, &resource, &status).await;
        assert_eq!(again, (Vec::new(), Vec::new()), "{reason}");
    }
}
