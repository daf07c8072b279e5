//! What a Policy's status says, and what it says to do.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use holdfast_contract::ProviderError;
use holdfast_enforcer::fault::Fault;
use holdfast_enforcer::status::{Standing, status};
use holdfast_enforcer::story::Story;
use holdfast_engine::{EngineError, Phase, Progress, Report};
use holdfast_memory::{Accident, Operation};
use serde_json::{Value as Json, json};

use crate::support::Case;
use crate::support::fixtures::take;
use crate::{
    BUCKET, HELD, NOW, RUN, TWO_MAPS, bucket, case, cycle, policy, spoil, standing, status_of, text,
};

fn shown(status: &Json) -> String {
    serde_json::to_string_pretty(status).unwrap()
}

/// `Ready=True Converged: message`, one line for each condition.
fn conditions(status: &Json) -> String {
    let conditions = status["conditions"].as_array().unwrap();
    let lines = conditions.iter().map(|condition| {
        let text = |key: &str| condition[key].as_str().unwrap().to_owned();
        format!(
            "{}={} {}: {}\n",
            text("type"),
            text("status"),
            text("reason"),
            text("message")
        )
    });
    lines.collect()
}

fn of_report(report: &Report) -> String {
    conditions(&status_of(report))
}

async fn applied(case: &Case, timeout: u64) -> Report {
    case.apply_watched(Duration::from_secs(timeout), &|_| {}).await
}

#[tokio::test]
async fn a_policy_that_holds_is_ready_and_nothing_else() {
    let report = case(TWO_MAPS, "").apply().await;
    insta::assert_snapshot!(shown(&status_of(&report)));
}

#[tokio::test]
async fn the_same_world_gives_the_same_status_however_much_later() {
    let enforced = case(TWO_MAPS, "");
    enforced.apply().await;
    spoil(&enforced, "one", "a");
    let observed = enforced.with_policy(&policy(&format!("  mode: Observe\n{TWO_MAPS}")));
    for case in [&enforced, &observed] {
        let report = case.plan().await;
        let first = status_of(&report);
        let later = Standing {
            now: NOW + time::Duration::hours(5),
            ..standing(Some(&report), &first)
        };
        assert_eq!(status(&later), first);
        let again = case.plan().await;
        let later = Standing {
            report: Some(&again),
            ..later
        };
        assert_eq!(status(&later), first, "nor does another look change it");
    }
}

#[tokio::test]
async fn a_condition_keeps_its_time_until_its_status_changes() {
    let case = case(TWO_MAPS, "");
    let report = case.apply().await;
    let first = status_of(&report);
    spoil(&case, "one", "a");
    let drifted = case.plan().await;
    let at = |report, previous, hours| {
        let now = NOW + time::Duration::hours(hours);
        status(&Standing {
            now,
            ..standing(Some(report), previous)
        })
    };
    let second = at(&drifted, &first, 1);
    assert_eq!(
        second["conditions"][0]["lastTransitionTime"],
        "2026-01-02T04:04:05Z"
    );
    assert_eq!(second["resources"][0]["since"], "2026-01-02T04:04:05Z");
    spoil(&case, "two", "b");
    let both = case.plan().await;
    let third = at(&both, &second, 2);
    assert_eq!(
        third["conditions"][0]["lastTransitionTime"],
        "2026-01-02T04:04:05Z"
    );
    assert_eq!(third["resources"][0]["since"], "2026-01-02T04:04:05Z");
    assert_eq!(third["resources"][1]["since"], "2026-01-02T05:04:05Z");
    let fourth = at(&report, &third, 3);
    assert_eq!(
        fourth["conditions"].as_array().unwrap().len(),
        1,
        "what is normal again is left out"
    );
    assert_eq!(
        fourth["conditions"][0]["lastTransitionTime"],
        "2026-01-02T06:04:05Z"
    );
}

#[tokio::test]
async fn what_is_to_be_written_is_reconciling() {
    let case = case(TWO_MAPS, "");
    case.apply().await;
    spoil(&case, "one", "a");
    insta::assert_snapshot!(shown(&status_of(&case.plan().await)));
}

#[tokio::test]
async fn under_observe_a_difference_is_neither_reconciling_nor_stalled() {
    let case = case(TWO_MAPS, "");
    case.apply().await;
    spoil(&case, "one", "a");
    let case = case.with_policy(&policy(&format!("  mode: Observe\n{TWO_MAPS}")));
    let report = case.apply().await;
    insta::assert_snapshot!(of_report(&report));
    assert_eq!(status_of(&report)["phases"]["drifted"], 1);
    assert_eq!(status_of(&report)["phases"]["failed"], 0);
}

#[tokio::test]
async fn over_a_limit_the_status_has_the_hash_that_approves_the_plan() {
    let rules = format!("  limits: {{ changes: 1 }}\n{TWO_MAPS}");
    let case = case(&rules, "");
    case.apply().await;
    spoil(&case, "one", "a");
    spoil(&case, "two", "b");
    let report = case.apply().await;
    let status = status_of(&report);
    assert_eq!(status["plan"]["hash"], json!(report.excess.unwrap().approve));
    insta::assert_snapshot!(shown(&status));
}

#[tokio::test]
async fn a_requirement_that_does_not_hold_stalls_the_policy_and_says_which() {
    let rules =
        format!("  require: [ {{ that: 'false', message: this cluster runs on Azure }} ]\n{TWO_MAPS}");
    let report = case(&rules, "").apply().await;
    insta::assert_snapshot!(of_report(&report));
}

#[tokio::test]
async fn a_part_that_may_not_be_read_stalls_the_policy_and_names_what_is_missing() {
    let case = case(BUCKET, "");
    case.apply().await;
    let denied = ProviderError::Denied {
        action: "s3:GetBucketVersioning".into(),
        target: "acme-data".into(),
    };
    let accident = Accident::new(Operation::Observe, denied);
    case.world.fail(accident.of(&"versioning".into()).always());
    let report = case.apply().await;
    insta::assert_snapshot!(shown(&status_of(&report)));
}

#[tokio::test]
async fn what_cannot_be_read_is_tried_again_and_so_reconciling() {
    let case = case(TWO_MAPS, "");
    case.apply().await;
    let down = ProviderError::Unavailable {
        service: "the cluster".into(),
        message: "no route".into(),
        source: None,
    };
    case.world
        .fail(Accident::new(Operation::Observe, down).on("one").always());
    insta::assert_snapshot!(of_report(&case.plan().await));
}

#[tokio::test(start_paused = true)]
async fn a_vanished_bucket_stalls_the_policy_once_that_is_proven_and_waits_before() {
    let case = case(BUCKET, "");
    case.apply().await;
    case.world.delete(&bucket("acme-data")).unwrap();
    let counting = applied(&case, 5).await;
    let proven = applied(&case, 600).await;
    insta::assert_snapshot!(format!(
        "{}\n{}",
        of_report(&counting),
        shown(&status_of(&proven))
    ));
}

#[tokio::test]
async fn what_waits_for_something_that_is_stalled_does_not_make_it_go_on() {
    let rules = "
  rules:
    gone: { forbid: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: gone, namespace: default } } }
    next: { after: [gone], ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: next, namespace: default } } }
";
    let there =
        "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: gone, namespace: default } } ]";
    let report = case(rules, there).apply().await;
    insta::assert_snapshot!(of_report(&report));
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_waited_for_and_the_status_says_until_when() {
    let case = case(&HELD.replace("server:2", "server:1"), "");
    case.apply().await;
    let case = case.with_policy(&policy(HELD));
    case.world.put(RUN).unwrap();
    let story = Mutex::new(Story::new(&json!(null), 3));
    let (report, _) = cycle(&case, &story).await;
    let first = status_of(&report);
    insta::assert_snapshot!(conditions(&first));
    assert_eq!(
        first["resources"][0]["hold"],
        json!({ "state": "waits", "until": "2026-01-03T03:04:05Z" })
    );
    tokio::time::sleep(Duration::from_mins(10)).await;
    let (report, news) = cycle(&case, &story).await;
    assert_eq!(
        status(&standing(Some(&report), &first)),
        first,
        "time goes on, and it stays the same"
    );
    assert_eq!(news, []);
}

#[tokio::test]
async fn a_contested_resource_stalls_the_policy_and_names_the_other_manager() {
    let case = case(TWO_MAPS, "");
    case.apply().await;
    take(&case, "theirs");
    let rounds = AtomicUsize::new(0);
    let fight = |progress: Progress<'_>| {
        if matches!(progress, Progress::Written(..)) && rounds.fetch_add(1, Ordering::SeqCst) < 3 {
            take(&case, "theirs");
        }
    };
    let report = case.apply_watched(Duration::from_secs(10), &fight).await;
    assert_eq!(report.resources[0].phase, Phase::Contested, "{}", text(&report));
    let told = of_report(&report);
    assert!(
        told.contains("by autoscaler") && told.contains("onConflict: Yield"),
        "{told}"
    );
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn what_holds_up_the_policy_as_a_whole_is_all_that_it_is_judged_by() {
    let report = case(TWO_MAPS, "").apply().await;
    let nothing = json!(null);
    let seen = standing(Some(&report), &nothing);
    let invalid = Fault::invalid("spec.rules.one: unknown field `desried`, did you mean `desired`?");
    let goes_on = invalid.clone().goes_on(true);
    let account =
        Fault::account("it names no account, and there is no default one; set `spec.serviceAccountName`");
    let down = ProviderError::Unavailable {
        service: "the cluster".into(),
        message: "no route".into(),
        source: None,
    };
    let down = Fault::of(&EngineError::Provider(down)).unwrap();
    let told: Vec<String> = [
        Standing { report: None, ..seen },
        Standing {
            report: None,
            fault: Some(&invalid),
            ..seen
        },
        Standing {
            fault: Some(&goes_on),
            ..seen
        },
        Standing {
            fault: Some(&account),
            ..seen
        },
        Standing {
            fault: Some(&down),
            ..seen
        },
        Standing {
            suspended: true,
            ..seen
        },
        Standing {
            removing: true,
            ..seen
        },
    ]
    .iter()
    .map(|standing| {
        assert_ne!(standing.readiness(), Some(true));
        conditions(&status(standing))
    })
    .collect();
    assert_eq!(seen.readiness(), Some(true));
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn what_a_removal_waits_for_is_named() {
    let owned = "  rules:\n    one: { forbid: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default } } }\n";
    let there =
        "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default } } ]";
    let report = case(owned, there).apply().await;
    let nothing = json!(null);
    let standing = Standing {
        removing: true,
        ..standing(Some(&report), &nothing)
    };
    insta::assert_snapshot!(conditions(&status(&standing)));
}

#[tokio::test]
async fn a_request_that_was_followed_is_repeated_as_flux_does() {
    let report = case(TWO_MAPS, "").apply().await;
    let nothing = json!(null);
    let standing = Standing {
        reconciled_at: Some("2026-01-01T00:00:00Z"),
        ..standing(Some(&report), &nothing)
    };
    assert_eq!(
        status(&standing)["lastHandledReconcileAt"],
        "2026-01-01T00:00:00Z"
    );
}

#[tokio::test]
async fn failing_checks_are_listed_and_do_not_make_a_policy_unready() {
    let rules = "
  rules:
    one:
      ensure: kubernetes/Object
      checks:
        - { that: 'true', message: fine }
        - { that: 'false', severity: low, message: worth knowing }
        - { that: 'false', severity: critical, controls: [CIS-1.2], message: to be mended }
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } }
";
    let status = status_of(&case(rules, "").apply().await);
    insta::assert_snapshot!(shown(&status["checks"]));
    assert!(
        conditions(&status).starts_with("Ready=True"),
        "{}",
        conditions(&status)
    );
}
