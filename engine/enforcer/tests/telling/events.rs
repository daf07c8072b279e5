//! Events tell what has happened, once.

use std::sync::Mutex;

use holdfast_contract::{Notice, PolicyId, ProviderError};
use holdfast_enforcer::fault::Fault;
use holdfast_enforcer::notices::{MOST, notices};
use holdfast_enforcer::reasons::ConditionReason;
use holdfast_enforcer::story::{News, Story};
use holdfast_engine::{EngineError, Phase};
use holdfast_memory::{Accident, Operation};
use serde_json::json;

use crate::{
    BUCKET, HELD, RUN, TWO_MAPS, bucket, case, config_map, cycle, policy, spoil, standing, status_of,
};

fn fresh() -> Mutex<Story> {
    Mutex::new(Story::new(&json!(null), 3))
}

fn told(news: &[News]) -> Vec<Notice> {
    let policy = PolicyId {
        namespace: "holdfast-system".to_owned(),
        name: "test".to_owned(),
    };
    notices(&policy, "uid-1", news)
}

/// `Warning Reason (action) [object]: note`.
fn lines(news: &[News]) -> String {
    let lines = told(news).into_iter().map(|notice| {
        let kind = if notice.warning { "Warning" } else { "Normal" };
        let object = notice.object.map(|key| format!(" [{key}]")).unwrap_or_default();
        let Notice {
            reason, action, note, ..
        } = notice;
        format!("{kind} {reason} ({action}){object}: {note}\n")
    });
    lines.collect()
}

fn reasons(news: &[News]) -> Vec<&'static str> {
    news.iter().map(|news| news.reason.name()).collect()
}

#[tokio::test]
async fn a_first_installation_tells_what_was_made_and_that_all_holds() {
    let story = fresh();
    let case = case(TWO_MAPS, "");
    let (_, news) = cycle(&case, &story).await;
    insta::assert_snapshot!(lines(&news));
}

#[tokio::test]
async fn an_object_in_a_namespace_is_named_with_the_servers_id_of_it_and_a_bucket_is_not() {
    let maps = case(TWO_MAPS, "");
    let (report, news) = cycle(&maps, &fresh()).await;
    let notice = told(&news).remove(0);
    assert_eq!(notice.object, Some(config_map("one")));
    assert!(notice.object_uid.is_some() && notice.object_uid == report.resources[0].uid);
    let (_, news) = cycle(&case(BUCKET, ""), &fresh()).await;
    let notice = told(&news).remove(0);
    assert_eq!(
        (notice.reason, notice.object, notice.object_uid),
        ("Created", None, None)
    );
}

#[tokio::test]
async fn at_rest_nothing_is_told() {
    let story = fresh();
    let case = case(TWO_MAPS, "");
    cycle(&case, &story).await;
    for _ in 0..3 {
        let (_, news) = cycle(&case, &story).await;
        assert_eq!(lines(&news), "");
    }
}

#[tokio::test]
async fn drift_is_told_when_it_is_found_and_when_it_was_put_right_and_never_by_its_content() {
    let story = fresh();
    let case = case(TWO_MAPS, "");
    cycle(&case, &story).await;
    spoil(&case, "one", "a");
    case.world.delete(&config_map("two")).unwrap();
    let (_, news) = cycle(&case, &story).await;
    insta::assert_snapshot!(lines(&news));
    assert!(!format!("{news:?}").contains("hunter2"));
}

#[tokio::test]
async fn what_differs_because_the_policy_was_edited_is_no_drift() {
    let story = fresh();
    let before = case(TWO_MAPS, "");
    cycle(&before, &story).await;
    let after = before.with_policy(&policy(&TWO_MAPS.replace("a: '1'", "a: '9'")));
    story.lock().unwrap().edited();
    let (_, news) = cycle(&after, &story).await;
    assert_eq!(reasons(&news), ["Changed", "PolicyReady"], "{}", lines(&news));
}

#[tokio::test]
async fn what_differs_because_a_fact_is_another_is_no_drift_and_what_is_gone_then_is() {
    let fed = "
  facts:
    source: { object: { apiVersion: v1, kind: ConfigMap, namespace: default, name: source }, select: { a: $.data.a } }
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '${facts.source.a}' } } }
";
    let source = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: source, namespace: default }, data: { a: '1' } } ]";
    for (is_gone, told) in [
        (false, ["Changed", "PolicyReady"]),
        (true, ["DriftDetected", "DriftRepaired"]),
    ] {
        let story = fresh();
        let case = case(fed, source);
        cycle(&case, &story).await;
        spoil(&case, "source", "a");
        if is_gone {
            case.world.delete(&config_map("one")).unwrap();
        }
        let (_, news) = cycle(&case, &story).await;
        assert_eq!(reasons(&news), told, "{}", lines(&news));
    }
}

#[tokio::test]
async fn a_process_that_takes_over_tells_nothing_twice_and_misses_nothing() {
    let story = fresh();
    let case = case(TWO_MAPS, "");
    let (report, _) = cycle(&case, &story).await;
    let status = status_of(&report);
    let (_, news) = cycle(&case, &Mutex::new(Story::new(&status, 3))).await;
    assert_eq!(lines(&news), "");
    spoil(&case, "one", "a");
    let (_, news) = cycle(&case, &Mutex::new(Story::new(&status, 3))).await;
    assert_eq!(
        reasons(&news),
        ["DriftDetected", "DriftRepaired"],
        "{}",
        lines(&news)
    );
    spoil(&case, "one", "a");
    let (_, news) = cycle(&case, &Mutex::new(Story::new(&status, 4))).await;
    assert_eq!(
        reasons(&news),
        ["Changed", "PolicyReady"],
        "another generation: {}",
        lines(&news)
    );
}

#[tokio::test]
async fn under_observe_drift_is_told_once_and_so_is_its_end() {
    let rules = format!("  mode: Observe\n{TWO_MAPS}");
    let enforced = case(TWO_MAPS, "");
    cycle(&enforced, &fresh()).await;
    let case = enforced.with_policy(&policy(&rules));
    let story = fresh();
    cycle(&case, &story).await;
    spoil(&case, "one", "a");
    let (_, news) = cycle(&case, &story).await;
    assert_eq!(reasons(&news), ["DriftDetected"], "{}", lines(&news));
    let (_, news) = cycle(&case, &story).await;
    assert_eq!(lines(&news), "");
    cycle(&enforced, &fresh()).await;
    let (_, news) = cycle(&case, &story).await;
    assert_eq!(reasons(&news), ["DriftGone"], "{}", lines(&news));
}

#[tokio::test]
async fn over_a_limit_one_event_says_how_to_approve_and_no_resource_has_one() {
    let rules = format!("  limits: {{ changes: 1 }}\n{TWO_MAPS}");
    let story = fresh();
    let case = case(&rules, "");
    cycle(&case, &story).await;
    spoil(&case, "one", "a");
    spoil(&case, "two", "b");
    let (report, news) = cycle(&case, &story).await;
    assert_eq!(
        reasons(&news),
        ["LimitExceeded", "DriftDetected", "DriftDetected"],
        "{}",
        lines(&news)
    );
    let approve = report.excess.unwrap().approve;
    assert!(
        news[0].sentence.contains(&format!("`approve: {approve}`")),
        "{}",
        news[0].sentence
    );
    let (report, news) = cycle(&case, &story).await;
    assert_eq!(lines(&news), "");
    let mut next = Story::new(&status_of(&report), 3);
    assert_eq!(lines(&next.report(&report, false)), "", "nor by the next process");
}

#[tokio::test]
async fn a_part_that_may_not_be_read_is_told_once_with_what_is_missing() {
    let story = fresh();
    let case = case(BUCKET, "");
    cycle(&case, &story).await;
    let denied = ProviderError::Denied {
        action: "s3:GetBucketVersioning".into(),
        target: "acme-data".into(),
    };
    let accident = Accident::new(Operation::Observe, denied);
    case.world.fail(accident.of(&"versioning".into()).always());
    let (report, news) = cycle(&case, &story).await;
    insta::assert_snapshot!(lines(&news));
    let (_, news) = cycle(&case, &story).await;
    assert_eq!(lines(&news), "");
    let mut next = Story::new(&status_of(&report), 3);
    assert_eq!(lines(&next.report(&report, false)), "", "nor by the next process");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_once_and_that_is_no_drift() {
    let story = fresh();
    let case = case(TWO_MAPS, "");
    cycle(&case, &story).await;
    let down = ProviderError::Unavailable {
        service: "the cluster".into(),
        message: "no route".into(),
        source: None,
    };
    case.world
        .fail(Accident::new(Operation::Observe, down).on("one").always());
    let report = case.plan().await;
    let news = story.lock().unwrap().report(&report, false);
    insta::assert_snapshot!(lines(&news));
    assert_eq!(lines(&story.lock().unwrap().report(&report, false)), "");
    case.world.heal();
    spoil(&case, "one", "a");
    let (_, news) = cycle(&case, &story).await;
    assert_eq!(
        reasons(&news),
        ["DriftDetected", "DriftRepaired"],
        "it held before: {}",
        lines(&news)
    );
}

#[tokio::test(start_paused = true)]
async fn a_vanished_bucket_is_told_when_it_is_proven() {
    let story = fresh();
    let case = case(BUCKET, "");
    cycle(&case, &story).await;
    case.world.delete(&bucket("acme-data")).unwrap();
    let (_, news) = cycle(&case, &story).await;
    assert_eq!(lines(&news), "", "one look proves nothing");
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_secs(150)).await;
        drop(
            case.apply_watched(std::time::Duration::from_secs(5), &|_| {})
                .await,
        );
    }
    let report = case.plan().await;
    let news = story.lock().unwrap().report(&report, false);
    insta::assert_snapshot!(lines(&news));
    let mut next = Story::new(&status_of(&report), 3);
    assert_eq!(lines(&next.report(&report, false)), "", "nor by the next process");
}

const CHECKED: &str = "
  rules:
    one:
      ensure: kubernetes/Object
      checks:
        - that: self.metadata.?labels.?team.hasValue()
          severity: high
          controls: [CIS-1.2, SOC-3]
          message: nobody owns ${self.metadata.name}
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } }
";

#[tokio::test]
async fn a_check_is_told_when_it_begins_to_fail_and_when_it_holds_again() {
    let story = fresh();
    let case = case(CHECKED, "");
    let (report, news) = cycle(&case, &story).await;
    assert_eq!(
        reasons(&news),
        ["Created", "CheckFailed", "PolicyReady"],
        "{}",
        lines(&news)
    );
    insta::assert_snapshot!(lines(&news[1..2]));
    let (_, news) = cycle(&case, &story).await;
    assert_eq!(lines(&news), "");
    let mut next = Story::new(&status_of(&report), 3);
    assert_eq!(lines(&next.report(&report, false)), "", "nor by the next process");
    let label = |object: &mut holdfast_contract::Value| {
        let metadata = object.as_map_mut().unwrap().get_mut("metadata").unwrap();
        let labels = metadata.as_map_mut().unwrap().entry("labels".to_owned());
        let labels = labels.or_insert_with(|| json!({}).into()).as_map_mut().unwrap();
        labels.insert("team".to_owned(), "a".into());
    };
    case.world
        .edit(&config_map("one"), &"object".into(), label)
        .unwrap();
    let (_, news) = cycle(&case, &story).await;
    assert_eq!(reasons(&news), ["CheckPassed"], "{}", lines(&news));
    insta::assert_snapshot!(lines(&news));
}

#[tokio::test]
async fn a_requirement_that_does_not_hold_is_told_once() {
    let rules =
        format!("  require: [ {{ that: 'false', message: this cluster runs on Azure }} ]\n{TWO_MAPS}");
    let story = fresh();
    let case = case(&rules, "");
    let (report, news) = cycle(&case, &story).await;
    insta::assert_snapshot!(lines(&news));
    let mut next = Story::new(&status_of(&report), 3);
    assert_eq!(lines(&next.report(&report, false)), "", "nor by the next process");
}

#[test]
fn faults_are_told_once_and_again_when_they_are_others() {
    let mut story = Story::new(&json!(null), 3);
    let invalid = Fault::invalid("spec.rules.bucket: unknown field `x`").goes_on(true);
    insta::assert_snapshot!(lines(&story.fault(&invalid)));
    assert_eq!(lines(&story.fault(&invalid)), "");
    let other = Fault::invalid("spec.rules.bucket: unknown field `y`");
    assert_eq!(reasons(&story.fault(&other)), ["PolicyInvalid"]);
    assert_eq!(
        reasons(&story.fault(&Fault::account("there is no account"))),
        ["PolicyStalled"]
    );
    let down = |message: &str| {
        let error = ProviderError::Unavailable {
            service: "the cluster".into(),
            message: message.to_owned(),
            source: None,
        };
        Fault::of(&EngineError::Provider(error)).unwrap()
    };
    assert_eq!(reasons(&story.fault(&down("no route"))), ["Unreachable"]);
    assert_eq!(
        reasons(&story.fault(&down("reset"))),
        Vec::<&str>::new(),
        "it still can't be reached"
    );
    let previous = json!(null);
    let standing = holdfast_enforcer::status::Standing {
        fault: Some(&other),
        ..standing(None, &previous)
    };
    let status = holdfast_enforcer::status::status(&standing);
    assert_eq!(
        lines(&Story::new(&status, 3).fault(&other)),
        "",
        "nor by the next process"
    );
    assert_eq!(
        reasons(&Story::new(&status, 4).fault(&other)),
        ["PolicyInvalid"],
        "of another generation"
    );
    assert_eq!(other.reason, ConditionReason::PolicyInvalid);
}

/// As many maps as `count` says, each from the same rule.
fn many(count: usize) -> String {
    let keys: Vec<String> = (0..count).map(|at| format!("'m{at:03}'")).collect();
    format!(
        "
  rules:
    maps:
      forEach: \"[{}]\"
      ensure: kubernetes/Object
      desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: '${{each.key}}', namespace: default }}, data: {{ a: '1' }} }}
",
        keys.join(", ")
    )
}

#[tokio::test]
async fn of_much_news_the_worst_is_told_and_the_rest_is_counted() {
    let story = fresh();
    let case = case(&many(40), "");
    let (_, news) = cycle(&case, &story).await;
    assert_eq!(news.len(), 41);
    let notices = told(&news);
    assert_eq!(notices.len(), MOST);
    assert_eq!(notices[MOST - 1].note, "and 22 more: 21 Created, 1 PolicyReady");
    assert_eq!(notices[MOST - 1].reason, "MoreHappened");
    for at in 0..40 {
        spoil(&case, &format!("m{at:03}"), "a");
    }
    let (_, news) = cycle(&case, &story).await;
    let notices = told(&news);
    assert!(notices[..MOST - 1].iter().all(|notice| notice.warning));
    assert_eq!(
        notices[MOST - 1].note,
        "and 61 more: 21 DriftDetected, 40 DriftRepaired"
    );
    assert_eq!(
        told(&news[..MOST]).len(),
        MOST,
        "as many as there are events for need no count"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_told_when_it_begins_and_when_it_has_waited_for_as_long_as_it_may() {
    let case = case(&HELD.replace("server:2", "server:1"), "");
    cycle(&case, &fresh()).await;
    let case = case.with_policy(&policy(HELD));
    case.world.put(RUN).unwrap();
    let story = fresh();
    let (report, held) = cycle(&case, &story).await;
    let mut next = Story::new(&status_of(&report), 3);
    assert_eq!(lines(&next.report(&report, false)), "", "nor by the next process");
    tokio::time::sleep(std::time::Duration::from_hours(25)).await;
    let (_, overdue) = cycle(&case, &story).await;
    insta::assert_snapshot!(format!("{}\n{}", lines(&held), lines(&overdue)));
}

#[tokio::test]
async fn what_leaves_the_policy_and_what_must_not_be_there_is_told_when_it_is_deleted() {
    let kept = TWO_MAPS.replace("two: { ensure", "two: { onRemove: Delete, ensure");
    let limits = "  limits: { deletions: 5 }\n";
    let case = case(&format!("{limits}{kept}"), "");
    cycle(&case, &fresh()).await;
    let (one, _) = TWO_MAPS.split_once("    two:").unwrap();
    let left = case.with_policy(&policy(&format!("{limits}{one}")));
    let story = fresh();
    let (_, leaving) = cycle(&left, &story).await;
    let forbidden = left.with_policy(&policy(&format!(
        "{limits}  rules:\n    one: {{ forbid: kubernetes/Object, allow: [Delete], desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: one, namespace: default }} }} }}\n"
    )));
    story.lock().unwrap().edited();
    let (_, forbid) = cycle(&forbidden, &story).await;
    insta::assert_snapshot!(format!("{}\n{}", lines(&leaving), lines(&forbid)));
}

#[tokio::test]
async fn what_has_left_the_policy_and_stays_is_told_once() {
    let kept = TWO_MAPS.replace("two: { ensure", "two: { onRemove: Delete, ensure");
    let case = case(&kept, "");
    cycle(&case, &fresh()).await;
    let another =
        "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: two, namespace: default } } ]";
    case.world.delete(&config_map("two")).unwrap();
    case.world.put(another).unwrap();
    let (one, _) = TWO_MAPS.split_once("    two:").unwrap();
    let left = case.with_policy(&policy(one));
    let story = fresh();
    let (_, news) = cycle(&left, &story).await;
    insta::assert_snapshot!(lines(&news));
    let (_, news) = cycle(&left, &story).await;
    assert_eq!(lines(&news), "");
}

/// Phases as a cycle in the cluster meets them, one after another.
#[tokio::test]
async fn each_trouble_is_told_when_it_begins() {
    let case = case(TWO_MAPS, "");
    let mut report = case.apply().await;
    let mut story = Story::new(&json!(null), 3);
    story.report(&report, false);
    let mut told = String::new();
    for phase in [
        Phase::Failed,
        Phase::Contested,
        Phase::Blocked,
        Phase::Unknown,
        Phase::Settling,
        Phase::Converged,
    ] {
        report.resources[0].phase = phase;
        report.resources[0].reason = format!("because of {phase}");
        for _ in 0..2 {
            told += &lines(&story.report(&report, false));
        }
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn what_is_tried_again_and_fails_again_is_told_once() {
    let case = case(TWO_MAPS, "");
    let mut report = case.apply().await;
    let mut story = Story::new(&json!(null), 3);
    story.report(&report, false);
    let mut told = Vec::new();
    for phase in [
        Phase::Blocked,
        Phase::Drifted,
        Phase::Blocked,
        Phase::Drifted,
        Phase::Blocked,
        Phase::Converged,
        Phase::Blocked,
    ] {
        report.resources[0].phase = phase;
        report.resources[0].reason = format!("it is tried again at {}", told.len());
        let news = story.report(&report, false);
        told.push(news.iter().filter(|news| news.reason.name() == "Blocked").count());
    }
    assert_eq!(told, [1, 0, 0, 0, 0, 0, 1]);
}
