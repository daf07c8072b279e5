//! The blast radius: what a limit counts, and what an approval covers.

use holdfast_contract::ProviderError;
use holdfast_engine::Phase;
use holdfast_memory::Operation;

use crate::support::Case;
use crate::{config_map, count, policy, resource, text};

fn map(name: &str, data: &str) -> String {
    format!(
        "{{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default }}, data: {{ a: '{data}' }} }}"
    )
}

fn ensure(name: &str) -> String {
    format!(
        "    {name}: {{ ensure: kubernetes/Object, desired: {} }}\n",
        map(name, "1")
    )
}

fn forbid(name: &str, more: &str) -> String {
    format!(
        "    {name}: {{ forbid: kubernetes/Object, allow: [Delete], {more} desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default }} }} }}\n"
    )
}

fn there(names: &[&str]) -> String {
    let objects: Vec<String> = names.iter().map(|name| map(name, "0")).collect();
    format!("objects: [ {} ]", objects.join(", "))
}

fn rules(limits: &str, approve: Option<&str>, rules: &[String]) -> String {
    let approve = approve.map_or_else(String::new, |hash| format!("  approve: '{hash}'\n"));
    policy(&format!(
        "  limits: {limits}\n{approve}  rules:\n{}",
        rules.concat()
    ))
}

#[tokio::test]
async fn over_a_limit_nothing_at_all_is_written_and_the_plan_says_how_to_approve_it() {
    let ensured = [ensure("one"), ensure("two"), ensure("new")];
    for (limits, why) in [
        ("{ changes: 1 }", "2 to change, and the limit is 1"),
        ("{ percent: 50 }", "2 of 3 to change, and the limit is 50 percent"),
    ] {
        let case = Case::text(&rules(limits, None, &ensured), &there(&["one", "two"]));
        let report = case.apply().await;
        assert_eq!(count(&case, Operation::Create) + count(&case, Operation::Set), 0);
        let excess = report.excess.clone().unwrap();
        assert_eq!(excess.why, why);
        assert_eq!(
            resource(&report, "new").phase,
            Phase::Blocked,
            "everything is held up"
        );
        assert!(
            text(&report).contains(&format!("approve: {}", excess.approve)),
            "{}",
            text(&report)
        );
        let approved = case.with_policy(&rules(limits, Some(&excess.approve), &ensured));
        assert!(approved.apply().await.is_converged());
    }
}

#[tokio::test]
async fn an_approval_is_for_one_plan_and_not_for_another() {
    let sandbox = there(&["one", "two"]);
    let one = [forbid("one", "")];
    let case = Case::text(&rules("{}", None, &one), &sandbox);
    let approve = case.plan().await.excess.unwrap().approve;
    let both = [forbid("one", ""), forbid("two", "")];
    let case = case.with_policy(&rules("{}", Some(&approve), &both));
    let report = case.apply().await;
    assert_eq!(count(&case, Operation::Delete), 0, "{}", text(&report));
    assert_ne!(report.excess.unwrap().approve, approve);
}

#[tokio::test]
async fn an_approval_is_spent_once_its_plan_was_applied() {
    let one = [forbid("one", "")];
    let case = Case::text(&rules("{}", None, &one), &there(&["one"]));
    let approve = case.plan().await.excess.unwrap().approve;
    let case = case.with_policy(&rules("{}", Some(&approve), &one));
    assert!(case.apply().await.is_converged());
    case.world.put(&there(&["one"])).unwrap();
    let report = case.apply().await;
    assert!(case.world.document(&config_map("one")).is_some());
    let spent = format!("the approval {approve} was used on ");
    assert!(text(&report).contains(&spent), "{}", text(&report));
    let again = report.excess.unwrap().approve;
    assert_ne!(again, approve);
    assert_eq!(
        case.plan().await.excess.unwrap().approve,
        again,
        "until that is used"
    );
    let case = case.with_policy(&rules("{}", Some(&again), &one));
    assert!(case.apply().await.is_converged());
    // The first one is spent as well as the last.
    case.world.put(&there(&["one"])).unwrap();
    let case = case.with_policy(&rules("{}", Some(&approve), &one));
    assert!(case.apply().await.excess.is_some());
}

#[tokio::test]
async fn what_is_made_has_no_limit() {
    let new = [ensure("one"), ensure("two"), ensure("three")];
    let case = Case::text(&rules("{ changes: 0, percent: 0 }", None, &new), "");
    assert!(case.apply().await.is_converged());
}

#[tokio::test]
async fn what_somebody_else_changed_in_the_ledger_takes_nothing_of_what_was_made_from_it() {
    let case = Case::text(&rules("{}", None, &[ensure("one")]), "");
    let conflict = |progress: holdfast_engine::Progress<'_>| {
        if matches!(progress, holdfast_engine::Progress::Written(..)) {
            let conflict = ProviderError::Conflict {
                key: config_map("ledger"),
            };
            case.world.fail_next(Operation::Save, conflict);
        }
    };
    let wait = std::time::Duration::from_secs(10);
    assert!(case.apply_watched(wait, &conflict).await.is_converged());
    assert_eq!(
        case.ledger().await["made"]["one"]["what"],
        "ConfigMap default/one"
    );
}

#[tokio::test]
async fn an_approved_run_does_no_more_than_what_was_approved() {
    let sandbox = there(&["one", "two"]);
    let chained = [forbid("one", ""), forbid("two", "when: '!rules.one.exists',")];
    let case = Case::text(&rules("{}", None, &chained), &sandbox);
    let approve = case.plan().await.excess.unwrap().approve;
    let case = case.with_policy(&rules("{}", Some(&approve), &chained));
    let report = case.apply().await;
    assert!(case.world.document(&config_map("one")).is_none());
    assert!(
        case.world.document(&config_map("two")).is_some(),
        "nobody has seen that deletion in a plan"
    );
    assert!(
        resource(&report, "two").reason.contains("the limit is 0"),
        "{}",
        text(&report)
    );
}

#[tokio::test]
async fn the_hash_is_of_what_is_done_and_stays_while_that_stays() {
    let stamped = [
        forbid("one", ""),
        format!(
            "    two: {{ ensure: kubernetes/Object, stamp: {{ $.data.at: 'string(now())' }}, desired: {} }}\n",
            map("two", "1")
        ),
    ];
    let case = Case::text(&rules("{}", None, &stamped), &there(&["one", "two"]));
    let first = case.plan().await.excess.unwrap().approve;
    let second = || {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let before = second();
    while second() == before {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(
        case.plan().await.excess.unwrap().approve,
        first,
        "a stamp is not what is approved"
    );
    case.world
        .edit(&config_map("two"), &"object".into(), |object| {
            let data = object.as_map_mut().unwrap().get_mut("data").unwrap();
            data.as_map_mut().unwrap().insert("a".into(), "third".into());
        })
        .unwrap();
    assert_ne!(
        case.plan().await.excess.unwrap().approve,
        first,
        "this replaces another value"
    );
}
