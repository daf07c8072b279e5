//! Whatever a report holds, what is told of it fits where it is kept.

use std::collections::BTreeMap;

use holdfast_contract::PolicyId;
use holdfast_enforcer::notices::{MOST, notices};
use holdfast_enforcer::results::results;
use holdfast_enforcer::status::{BYTES, ENTRIES, Standing, status};
use holdfast_enforcer::story::Story;
use holdfast_engine::checks::{CheckResult, Verdict};
use holdfast_engine::report::{FORMAT_VERSION, Report, ResourceReport, Summary, VanishedReport};
use holdfast_engine::step::{Excess, StepVerb};
use holdfast_engine::{Phase, objects};
use holdfast_policy::{CheckSeverity, Place};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value as Json, json};

use crate::{NOW, standing, status_of};

fn id() -> PolicyId {
    PolicyId {
        namespace: "holdfast-system".to_owned(),
        name: "test".to_owned(),
    }
}

/// Text as nobody expects it: long, quoted, of many bytes a character, with lines and controls.
fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z \"\\\\\n\u{1b}é🦀]{0,40}",
        (select(vec!["\"", "\\", "🦀", "\n", "a"]), 0..1500_usize)
            .prop_map(|(part, count)| part.repeat(count)),
    ]
}

prop_compose! {
    fn resource()(
        reason in odd(),
        name in odd(),
        facet in odd(),
        phase in select(Phase::ALL.to_vec()),
        action in option::of(select(vec![StepVerb::Create, StepVerb::Update, StepVerb::Delete, StepVerb::Replace])),
        is_known in any::<bool>(),
        is_blocked in any::<bool>(),
        proven in option::of(any::<bool>()),
    ) -> ResourceReport {
        let api = objects::config_map();
        ResourceReport {
            address: format!("rule[{name:?}]"),
            what: name.clone(),
            key: is_known.then(|| objects::key(&api, Some("default"), &name)),
            uid: None,
            desired: 0,
            place: Place::of_file(&facet),
            manifest: None,
            phase,
            reason: reason.clone(),
            action,
            waits: Vec::new(),
            facets: Vec::new(),
            blocked: is_blocked.then(|| (facet.clone(), reason.clone())).into_iter().collect(),
            overridden: vec![facet; 20],
            hold: None,
            vanished: proven.map(|proven| VanishedReport { proven, proofs: Vec::new(), needed: 3 }),
        }
    }
}

prop_compose! {
    fn check()(
        address in odd(),
        message in odd(),
        controls in vec(odd(), 0..3),
        verdict in select(vec![Verdict::Pass, Verdict::Fail, Verdict::Unknown, Verdict::Skip]),
    ) -> CheckResult {
        CheckResult {
            place: Place::of_file(&address),
            address,
            verdict,
            message,
            severity: CheckSeverity::High,
            controls,
        }
    }
}

prop_compose! {
    /// Each of a few odd ones, often.
    fn report()(
        resources in vec(resource(), 0..4),
        checks in vec(check(), 0..4),
        times in select(vec![1_usize, 40, 210]),
        excess in option::of(odd()),
    ) -> Report {
        let mut resources: Vec<ResourceReport> = resources.iter().flat_map(|one| vec![one.clone(); times]).collect();
        for (at, resource) in resources.iter_mut().enumerate() {
            resource.address = format!("{}[\"{at}\"]", resource.address);
        }
        Report {
            format_version: FORMAT_VERSION,
            policy: id(),
            subject: Vec::new(),
            unmet: Vec::new(),
            ledger: None,
            names: BTreeMap::new(),
            resources,
            checks: checks.iter().flat_map(|one| vec![one.clone(); times]).collect(),
            notes: Vec::new(),
            excess: excess.map(|why| Excess { why, approve: "0123456789abcdef".to_owned() }),
            applied: None,
            summary: Summary::default(),
        }
    }
}

/// Addresses of checks may be the same twice here, with other verdicts.
fn is_clear(report: &Report) -> bool {
    let checks = report.checks.iter();
    let mut checks: Vec<_> = checks.map(|check| (&check.address, check.verdict)).collect();
    checks.sort();
    checks.dedup();
    checks.windows(2).all(|pair| pair[0].0 != pair[1].0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_status_is_bounded_counts_what_it_leaves_out_and_stays_the_same(
        report in report(),
        at in odd(),
        ledger in odd(),
    ) {
        let nothing = json!(null);
        let first = Standing { ledger: &ledger, reconciled_at: Some(&at), ..standing(Some(&report), &nothing) };
        let told = status(&first);
        prop_assert!(told.to_string().len() <= BYTES, "{} bytes", told.to_string().len());
        let kept = told.get("resources").and_then(Json::as_array).map_or(0, Vec::len);
        let omitted = told.get("omitted").map_or(0, |omitted| usize::try_from(omitted.as_u64().unwrap()).unwrap());
        prop_assert!(kept <= ENTRIES);
        prop_assert_eq!(kept + omitted, report.resources.len());
        let phases = told["phases"].as_object().unwrap();
        let counted: u64 = phases.iter().filter(|(name, _)| *name != "total").map(|(_, count)| count.as_u64().unwrap()).sum();
        prop_assert_eq!(phases["total"].as_u64().unwrap(), counted);
        let later = Standing { previous: &told, now: NOW + time::Duration::days(1), ..first };
        prop_assert_eq!(&status(&later), &told);
        let kinds: Vec<&str> = told["conditions"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
        prop_assert!([vec!["Ready"], vec!["Ready", "Reconciling"], vec!["Ready", "Stalled"]].contains(&kinds), "{kinds:?}");
        prop_assert_eq!(first.readiness() == Some(true), told["conditions"][0]["status"] == "True");
    }

    #[test]
    fn results_are_bounded(report in report()) {
        let told = results(&report);
        prop_assert!(told.to_string().len() <= BYTES, "{} bytes", told.to_string().len());
        prop_assert!(told.as_array().unwrap().len() <= ENTRIES);
    }

    #[test]
    fn events_are_bounded_and_the_same_again_is_no_news(before in report(), now in report()) {
        let mut story = Story::new(&json!(null), 3);
        for report in [&before, &now] {
            let told = notices(&id(), "uid", &story.report(report, false));
            prop_assert!(told.len() <= MOST);
            for notice in &told {
                prop_assert!(notice.note.len() <= 1024 && !notice.note.contains('\n'), "{}", notice.note);
            }
            let again = story.report(report, false);
            prop_assert!(again.is_empty() || !is_clear(report), "{again:?}");
        }
    }

    #[test]
    fn what_a_status_has_no_room_for_is_not_told_again_by_the_next_process(report in report()) {
        let mut report = report;
        let known = status_of(&report);
        report.summary.waiting = usize::from(known["conditions"][0]["reason"] != "Converged");
        let again = Story::new(&known, 3).report(&report, false);
        prop_assert!(again.is_empty() || !is_clear(&report), "{again:?}");
    }
}
