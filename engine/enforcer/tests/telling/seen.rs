//! What probes, scrapers and the cluster see of the enforcer itself. Time is paused: hours pass at once.

use std::time::Duration;

use holdfast_contract::{Holder, PolicyEvent, ProviderError, Value};
use serde_json::{Value as Json, json};
use tokio::time::{sleep, timeout};

use crate::running::{Outside, enforced, enforced_as, resource, resource_of, right};
use crate::support::Case;
use crate::{TWO_MAPS, case, config_map, spoil};

const MINUTE: Duration = Duration::from_mins(1);

/// Waits until `is_so`.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let search = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(MINUTE * 60, search).await.is_ok(), "{what}");
}

pub(crate) fn map(name: &str) -> Json {
    json!({
        "ensure": "kubernetes/Object",
        "desired": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "default" }, "data": { "a": "1" } },
    })
}

fn say(case: &Case, outside: &Outside, spec: &Json) {
    outside.say(PolicyEvent::All(vec![*resource_of(case, "1", spec)]));
}

#[tokio::test(start_paused = true)]
async fn one_at_rest_is_alive_for_hours_and_one_that_is_stuck_is_not_after_fifteen_minutes() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        assert!(outside.health.ready().is_err(), "nothing was read yet");
        let spec = json!({ "language": 1, "interval": "6h", "rules": { "one": map("one") } });
        say(&case, outside, &spec);
        right(&case).await;
        for _ in 0..6 {
            sleep(MINUTE * 10).await;
            assert_eq!((outside.health.live(), outside.health.ready()), (Ok(()), Ok(())));
        }
        outside.hangs.send_replace(true);
        // It is opened anew, as it is another one.
        let mut other = resource_of(&case, "1", &spec);
        other.generation = 2;
        outside.say(PolicyEvent::Changed(other));
        sleep(MINUTE * 14).await;
        assert_eq!(outside.health.live(), Ok(()));
        sleep(MINUTE * 2).await;
        let stuck = outside.health.live().unwrap_err();
        assert!(
            stuck.starts_with("holdfast-system/test has not moved for"),
            "{stuck}"
        );
        outside.hangs.send_replace(false);
        until("it moves again", || outside.health.live().is_ok()).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_waits_for_somebody_keeps_no_replica_from_being_ready() {
    let wrong = json!({
        "language": 1,
        "parameters": { "word": { "type": "string" } },
        "rules": { "one": map("${parameters.word}") },
    });
    let invalid = json!({ "language": 1, "rules": { "one": map("${nobody}") } });
    for spec in [wrong, invalid] {
        let case = case(TWO_MAPS, "");
        enforced(&case, false, async |outside| {
            say(&case, outside, &spec);
            until("it is told what is wrong", || {
                let told = outside.told();
                told.iter()
                    .any(|(_, told)| told.to_string().contains("\"Stalled\""))
            })
            .await;
            assert_eq!(outside.health.ready(), Ok(()));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_could_not_be_looked_at_keeps_its_replica_from_being_ready() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        outside.hangs.send_replace(true);
        outside.say(PolicyEvent::All(vec![*resource(&case, "1")]));
        sleep(MINUTE).await;
        let why = outside.health.ready().unwrap_err();
        assert_eq!(why, "holdfast-system/test has not been looked at yet");
        outside.hangs.send_replace(false);
        right(&case).await;
        until("it is ready", || outside.health.ready().is_ok()).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_may_not_be_read_keeps_no_replica_from_being_ready() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        outside.say(PolicyEvent::Changed(resource(&case, "1")));
        outside.say(PolicyEvent::Failed(ProviderError::Denied {
            action: "list policies.holdfast.dev".into(),
            target: "gone".into(),
        }));
        right(&case).await;
        sleep(MINUTE).await;
        let why = outside.health.ready().unwrap_err();
        assert_eq!(why, "the Policy resources have not been read yet");
        outside.say(PolicyEvent::Read);
        until("it is ready", || outside.health.ready().is_ok()).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_lease_says_that_it_does_not_hold_it() {
    let case = case(TWO_MAPS, "");
    let another = Holder("b".to_owned());
    let lease = case.engine.state.acquire(&case.policy.id, &another, MINUTE * 30);
    lease.await.unwrap();
    enforced(&case, false, async |outside| {
        outside.say(PolicyEvent::All(vec![*resource(&case, "1")]));
        sleep(MINUTE).await;
        let held = |value: u8| {
            vec![format!(
                "holdfast_policy_held{{policy=\"holdfast-system/test\"}} {value}"
            )]
        };
        assert_eq!(outside.series("policy_"), held(0));
        until("it holds it", || outside.series("policy_held") == held(1)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_a_policy_that_cannot_be_enforced_as_it_is_nobody_says_that_it_is_not_held() {
    let case = case(TWO_MAPS, "");
    enforced_as(|settings| settings.default_account = None, &case, false, async |outside| {
        let spec = |name: &str| json!({ "language": 1, "serviceAccountName": "web", "rules": { "one": map(name) } });
        let (invalid, right) = (spec("${nobody}"), spec("one"));
        let no_account = json!({ "language": 1, "rules": { "one": map("one") } });
        let series = |kind: &str, value: u8| {
            format!("holdfast_policy_{kind}{{policy=\"holdfast-system/test\"}} {value}")
        };
        let mut generation = 0;
        let mut edit = |spec: &Json| {
            generation += 1;
            let mut edited = resource_of(&case, "1", spec);
            edited.generation = generation;
            outside.say(PolicyEvent::Changed(edited));
        };
        for wrong in [&invalid, &no_account, &invalid] {
            edit(wrong);
            sleep(MINUTE).await;
            assert_eq!(outside.series("policy_"), [series("ready", 0)], "{wrong}");
        }
        edit(&right);
        until("it is held", || {
            outside.series("policy_") == [series("held", 1), series("ready", 1)]
        })
        .await;
        // It is enforced as it was good last.
        edit(&invalid);
        sleep(MINUTE).await;
        assert_eq!(outside.series("policy_"), [series("held", 1), series("ready", 0)]);
        edit(&no_account);
        sleep(MINUTE).await;
        assert_eq!(outside.series("policy_"), [series("ready", 0)]);
        outside.hangs.send_replace(true);
        edit(&right);
        until("nobody holds it yet", || {
            outside.series("policy_") == [series("held", 0)]
        })
        .await;
        outside.hangs.send_replace(false);
        until("it is held again", || {
            outside.series("policy_held") == [series("held", 1)]
        })
        .await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_suspended_is_neither_ready_nor_not() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        let spec =
            |suspend: bool| json!({ "language": 1, "suspend": suspend, "rules": { "one": map("one") } });
        say(&case, outside, &spec(false));
        until("it is ready", || outside.series("policy_ready").len() == 1).await;
        for (generation, suspend) in [(2, true), (3, false)] {
            let mut edited = resource_of(&case, "1", &spec(suspend));
            edited.generation = generation;
            outside.say(PolicyEvent::Changed(edited));
            until("as it was asked for", || {
                outside.series("policy_ready").is_empty() == suspend
            })
            .await;
            assert_eq!(outside.series("policy_held").len(), 1);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn status_and_report_are_written_when_they_change_and_never_else() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        let mut watched = map("one");
        watched["checks"] =
            json!([{ "that": "!has(self.data.b)", "message": "there is a b", "severity": "low" }]);
        let spec = json!({ "language": 1, "interval": "10s", "rules": { "one": watched } });
        say(&case, outside, &spec);
        right(&case).await;
        sleep(MINUTE).await;
        let first = outside.told();
        let mut reports = first.iter().filter(|(what, _)| *what == "report");
        assert_eq!(reports.next_back().unwrap().1[0]["result"], "pass", "{first:#?}");
        sleep(MINUTE * 10).await;
        assert_eq!(outside.told(), [], "it looks every 10 s, and nothing is new");

        // Nobody's drift, but a check sees it.
        let edit = |object: &mut Value| {
            let data = object.as_map_mut().unwrap().get_mut("data").unwrap();
            data.as_map_mut().unwrap().insert("b".into(), "2".into());
        };
        case.world
            .edit(&config_map("one"), &"object".into(), edit)
            .unwrap();
        sleep(MINUTE * 10).await;
        let told = outside.told();
        let what: Vec<_> = told.iter().map(|(what, _)| *what).collect();
        assert_eq!(what, ["status", "report"], "{told:#?}");
        assert_eq!(told[1].1[0]["result"], "fail");
        assert_eq!(told[1].1[0]["message"], "there is a b");

        // Drift that is put right within the same moment leaves both as they were.
        spoil(&case, "one", "a");
        right(&case).await;
        sleep(MINUTE * 10).await;
        let last = |of: &str, told: &[(&str, Json)]| {
            let mut of = told.iter().filter(|(what, _)| *what == of);
            of.next_back().map(|(_, told)| told.to_string())
        };
        let after = outside.told();
        assert!(after.len() <= 4, "{after:#?}");
        if let Some(report) = last("report", &after) {
            assert_eq!(Some(report), last("report", &told));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_edit_disturbs_nothing_of_what_is_enforced() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        outside.say(PolicyEvent::All(vec![*resource(&case, "1")]));
        right(&case).await;
        for _ in 0..3 {
            spoil(&case, "one", "a");
            right(&case).await;
        }
        spoil(&case, "one", "a");
        sleep(MINUTE).await;
        outside.told();
        let mut wrong = resource_of(
            &case,
            "1",
            &json!({ "language": 1, "rules": { "one": map("${nobody}") } }),
        );
        wrong.generation = 2;
        outside.say(PolicyEvent::Changed(wrong));
        sleep(MINUTE).await;
        case.world.delete(&config_map("two")).unwrap();
        sleep(MINUTE * 4).await;
        assert!(
            case.world.document(&config_map("two")).is_some(),
            "what was good is enforced"
        );
        let fought_over = case.world.document(&config_map("one")).unwrap();
        assert!(
            fought_over.to_string().contains("hunter2"),
            "what is fought over still rests"
        );
        for (_, status) in outside.told().iter().filter(|(what, _)| *what == "status") {
            assert_eq!(status["observedGeneration"], 2, "{status:#}");
            assert_eq!(status["conditions"][0]["reason"], "PolicyInvalid", "{status:#}");
        }
        sleep(MINUTE * 4).await;
        right(&case).await;
    })
    .await;
}

/// The map that parameters' values come from.
fn values(word: &str) -> String {
    format!(
        "objects: [ {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: values, namespace: default }}, data: {{ word: {word} }} }} ]"
    )
}

/// Changes what that map says.
fn set_word(case: &Case, word: &str) {
    let edit = |object: &mut Value| {
        let data = object.as_map_mut().unwrap().get_mut("data").unwrap();
        data.as_map_mut().unwrap().insert("word".into(), word.into());
    };
    case.world
        .edit(&config_map("values"), &"object".into(), edit)
        .unwrap();
}

/// A policy with a parameter of that pattern, whose value is in the map.
fn with_word(pattern: &str) -> Json {
    json!({
        "language": 1, "interval": "6h",
        "parameters": { "word": { "type": "string", "pattern": pattern } },
        "valuesFrom": [{ "configMap": { "namespace": "default", "name": "values" } }],
        "rules": { "one": map("one") },
    })
}

#[tokio::test(start_paused = true)]
async fn parameters_that_are_right_again_are_wrong_no_longer() {
    let case = case(TWO_MAPS, &values("good"));
    enforced(&case, false, async |outside| {
        say(&case, outside, &with_word("^[a-z]+$"));
        right(&case).await;
        sleep(MINUTE).await;
        for (word, reason) in [("BAD", "PolicyInvalid"), ("good", "Converged")] {
            outside.told();
            set_word(&case, word);
            sleep(MINUTE).await;
            let told = outside.told();
            let status = told.iter().rfind(|(what, _)| *what == "status");
            let (_, status) = status.unwrap_or_else(|| panic!("{word}: nothing was told"));
            assert_eq!(status["conditions"][0]["reason"], reason, "{status:#}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_was_not_looked_at_yet_is_neither_enforced_nor_ready_whatever_was_before() {
    let case = case(TWO_MAPS, &values("good"));
    enforced(&case, false, async |outside| {
        say(&case, outside, &with_word("^[a-z]+$"));
        outside.condition("Ready", "Converged").await;
        // Right in itself, but not with what the map says.
        let mut edited = resource_of(&case, "1", &with_word("^[A-Z]+$"));
        edited.generation = 2;
        outside.say(PolicyEvent::Changed(edited));
        outside.condition("Ready", "PolicyInvalid").await;
        spoil(&case, "one", "a");
        sleep(MINUTE * 5).await;
        let object = case.world.document(&config_map("one")).unwrap();
        assert!(object.to_string().contains("hunter2"), "nothing is enforced");
        outside.hangs.send_replace(true);
        set_word(&case, "GOOD");
        sleep(MINUTE * 5).await;
        for (what, told) in outside.told() {
            let is_of_before = told["observedGeneration"] != 2;
            assert!(!told.to_string().contains("as it was good last"), "{told:#}");
            assert!(
                what != "status" || is_of_before || told["conditions"][0]["status"] == "False",
                "{told:#}"
            );
        }
        let events = outside.now.borrow().events.clone();
        let goes_on = events.iter().any(|event| event.contains("as it was good last"));
        assert!(!goes_on, "{events:#?}");
        outside.condition("Reconciling", "NotObserved").await;
        outside.hangs.send_replace(false);
        outside.condition("Ready", "Converged").await;
        right(&case).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_edit_while_nothing_is_enforced_is_not_told_as_if_something_were() {
    let case = case(TWO_MAPS, &values("good"));
    enforced(&case, false, async |outside| {
        let status = || outside.now.borrow().status.to_string();
        let says_so = || status().contains("as it was good last");
        // Right in itself, but not with what the map says.
        say(&case, outside, &with_word("^[A-Z]+$"));
        outside.condition("Ready", "PolicyInvalid").await;
        let wrong = json!({ "language": 1, "rules": { "one": map("${nobody}") } });
        let mut edited = resource_of(&case, "1", &wrong);
        edited.generation = 2;
        outside.say(PolicyEvent::Changed(edited));
        sleep(MINUTE * 5).await;
        assert!(status().contains("nobody") && !says_so(), "{}", status());
        set_word(&case, "GOOD");
        until("it is enforced, and told so", says_so).await;
        right(&case).await;
    })
    .await;
}
