//! A process that takes over has nothing but the status, which leaves some out, and shortens the rest.

use holdfast_enforcer::fault::Fault;
use holdfast_enforcer::status::{Standing, status};
use holdfast_enforcer::story::{News, Story};
use holdfast_engine::Phase;
use holdfast_engine::checks::{CheckResult, Verdict};
use holdfast_engine::report::{Report, ResourceReport, Unmet};
use holdfast_engine::step::StepVerb;
use holdfast_policy::{CheckSeverity, Place};
use serde_json::{Value as Json, json};

use crate::{TWO_MAPS, case, standing, status_of};

/// Two resources that hold.
async fn held() -> Report {
    case(TWO_MAPS, "").apply().await
}

fn reasons(news: &[News]) -> Vec<&'static str> {
    news.iter().map(|news| news.reason.name()).collect()
}

/// What a process tells of `report` that takes over where the policy's status is `known`.
fn told(known: &Json, report: &Report) -> Vec<&'static str> {
    reasons(&Story::new(known, 3).report(report, false))
}

fn status_under(fault: &Fault) -> Json {
    let previous = json!(null);
    status(&Standing {
        fault: Some(fault),
        ..standing(None, &previous)
    })
}

fn check(at: usize, severity: CheckSeverity, verdict: Verdict) -> CheckResult {
    CheckResult {
        address: format!("maps[\"{at:03}\"]"),
        place: Place::of_file("policy.yaml"),
        verdict,
        message: "nobody owns it".to_owned(),
        severity,
        controls: Vec::new(),
    }
}

/// `count` resources like the first, in `phase`.
fn many(report: &Report, phase: Phase, count: usize) -> Vec<ResourceReport> {
    let one = &report.resources[0];
    let many = (0..count).map(|at| ResourceReport {
        address: format!("maps[\"{at:03}\"]"),
        phase,
        ..one.clone()
    });
    many.collect()
}

#[tokio::test]
async fn of_more_failing_checks_than_a_status_lists_each_is_told_once_and_so_is_its_end() {
    let mut report = held().await;
    report.checks = (0..60)
        .map(|at| check(at, CheckSeverity::Medium, Verdict::Fail))
        .collect();
    let known = status_of(&report);
    assert!(known["checks"]["omitted"].as_u64().unwrap() > 0);
    let mut next = Story::new(&known, 3);
    assert_eq!(reasons(&next.report(&report, false)), Vec::<&str>::new());
    report.checks[59].verdict = Verdict::Pass;
    assert_eq!(reasons(&next.report(&report, false)), ["CheckPassed"]);
    report.checks[59].verdict = Verdict::Fail;
    assert_eq!(reasons(&next.report(&report, false)), ["CheckFailed"]);
    report.checks.push(check(60, CheckSeverity::High, Verdict::Fail));
    assert_eq!(
        told(&known, &report),
        ["CheckFailed"],
        "one that is worse was not left out"
    );
}

#[tokio::test]
async fn of_more_resources_in_trouble_than_a_status_lists_none_is_told_twice() {
    let mut report = held().await;
    let troubled = many(&report, Phase::Failed, 210);
    report.resources.splice(.., troubled);
    report.summary.stuck = 210;
    let known = status_of(&report);
    assert!(known["omitted"].as_u64().unwrap() > 0);
    assert_eq!(told(&known, &report), Vec::<&str>::new());
}

#[tokio::test]
async fn trouble_of_a_resource_that_a_status_leaves_out_as_it_holds_is_news() {
    let mut report = held().await;
    let held = many(&report, Phase::Converged, 210);
    report.resources.splice(.., held);
    let known = status_of(&report);
    assert!(known["omitted"].as_u64().unwrap() > 0);
    assert_eq!(told(&known, &report), Vec::<&str>::new());
    report.resources[209].phase = Phase::Failed;
    report.summary.stuck = 1;
    assert_eq!(told(&known, &report), ["Failed"]);
}

#[tokio::test]
async fn of_more_blocked_parts_than_a_status_names_none_is_told_twice() {
    let mut report = held().await;
    let parts = (0..12).map(|at| (format!("part{at:02}"), "may not be read".to_owned()));
    report.resources[0].blocked = parts.collect();
    report.summary.stuck = 1;
    assert_eq!(told(&status_of(&report), &report), Vec::<&str>::new());
}

#[tokio::test]
async fn that_nothing_is_written_is_told_once_where_something_else_weighs_more() {
    let mut report = held().await;
    report.resources[0].phase = Phase::Contested;
    report.resources[1].phase = Phase::Blocked;
    report.resources[1].action = Some(StepVerb::Update);
    report.summary.stuck = 2;
    let known = status_of(&report);
    assert_eq!(known["conditions"][0]["reason"], "Contested");
    assert_eq!(told(&known, &report), Vec::<&str>::new());
}

#[tokio::test]
async fn that_all_holds_is_told_once_of_a_suspended_policy() {
    let report = held().await;
    let previous = json!(null);
    let known = status(&Standing {
        suspended: true,
        ..standing(Some(&report), &previous)
    });
    let news = Story::new(&known, 3).report(&report, true);
    assert_eq!(reasons(&news), Vec::<&str>::new());
}

#[tokio::test]
async fn a_requirement_is_told_once_however_its_message_is_written() {
    let mut report = held().await;
    for message in ["this cluster runs\non Azure\n".to_owned(), "ü".repeat(1000)] {
        report.unmet = vec![Unmet {
            message,
            place: Place::of_file("policy.yaml"),
        }];
        assert_eq!(told(&status_of(&report), &report), Vec::<&str>::new());
    }
}

#[test]
fn a_fault_is_told_once_however_long_it_is_and_whatever_it_says_and_what_goes_on_is_said() {
    for message in ["ü".repeat(1000), "unknown field\n".to_owned()] {
        let fault = Fault::invalid(message).goes_on(true);
        let known = status_under(&fault);
        assert_eq!(reasons(&Story::new(&known, 3).fault(&fault)), Vec::<&str>::new());
        let said = known["conditions"][0]["message"].as_str().unwrap();
        assert!(said.ends_with("; it is enforced as it was good last"), "{said}");
    }
}
