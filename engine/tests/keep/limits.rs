//! Limits of a policy that is kept: a storm ends at them, and what drifts now and then never meets them.

use std::collections::BTreeSet;

use holdfast_contract::ProviderError;
use holdfast_engine::report::ResourceReport;
use holdfast_engine::step::Excess;
use holdfast_memory::{Accident, Operation};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn name(number: usize) -> String {
    format!("m{number}")
}

/// So many maps, and `limits`.
fn maps(limits: &str, count: usize, value: &str) -> String {
    let one = |number: usize| {
        format!(
            "    m{number}: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: m{number}, namespace: default }}, data: {{ a: '{value}' }} }} }}\n"
        )
    };
    let rules: String = (0..count).map(one).collect();
    policy(&format!("  interval: 6h\n  limits: {limits}\n  rules:\n{rules}"))
}

fn spoilt(case: &Case, count: usize) -> usize {
    let map = |number: &usize| case.world.document(&config_map(&name(*number)));
    let is_spoilt = is("spoilt");
    (0..count)
        .filter(|number| is_spoilt(map(number).as_ref()))
        .count()
}

/// Waits until a limit holds something up.
async fn held_up(onlooker: &mut Onlooker<'_>) -> Excess {
    let is_held_up = |told: &Told| told.report.as_ref().is_some_and(|report| report.excess.is_some());
    let told = onlooker.until("a limit", is_held_up).await;
    told.report.unwrap().excess.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_storm_that_comes_in_pieces_ends_at_the_limit() {
    let case = Case::text(&maps("{ changes: 3 }", 10, "1"), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        sleep(MINUTE).await;
        // Each has a cycle of its own.
        for number in 0..10 {
            set(&case, &name(number), "a", "spoilt");
            sleep(SECOND * 2).await;
        }
        assert_eq!(spoilt(&case, 10), 7);
        let excess = held_up(onlooker).await;
        let why = "10 to change, 3 of them done already, and the limit is 3";
        assert_eq!(excess.why, why);
        // It has become more than the limit allows at once: that lasts.
        sleep(MINUTE * 600).await;
        assert_eq!(spoilt(&case, 10), 7);
        let excess = held_up(onlooker).await;
        assert_eq!(excess.why, "7 to change, and the limit is 3");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_drifts_now_and_then_is_always_put_back() {
    let case = Case::text(&maps("{ changes: 1 }", 10, "1"), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        for round in 0..30 {
            sleep(if round < 10 { MINUTE * 60 } else { SECOND * 61 }).await;
            let name = name(round % 10);
            set(&case, &name, "a", "spoilt");
            let key = config_map(&name);
            let repair = onlooker.world("the repair", &key, is("1"));
            assert!(timeout(SECOND, repair).await.is_ok(), "round {round}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_held_up_by_writes_before_it_goes_on_ten_minutes_after_the_last_of_them() {
    let case = Case::text(&maps("{ changes: 1 }", 2, "1"), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        sleep(MINUTE).await;
        set(&case, "m0", "a", "spoilt");
        onlooker.world("the repair", &config_map("m0"), is("1")).await;
        sleep(MINUTE / 2).await;
        set(&case, "m1", "a", "spoilt");
        let excess = held_up(onlooker).await;
        assert_eq!(
            excess.why,
            "2 to change, 1 of them done already, and the limit is 1"
        );
        sleep(MINUTE * 9).await;
        assert_eq!(spoilt(&case, 2), 1);
        sleep(MINUTE).await;
        assert_eq!(spoilt(&case, 2), 0);
        onlooker.converged().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_is_lost_counts() {
    let case = Case::text(&maps("{ changes: 1 }", 2, "1"), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        sleep(MINUTE).await;
        let lost = ProviderError::Unavailable {
            service: "the cluster".to_owned(),
            message: "the connection broke".to_owned(),
            source: None,
        };
        case.world
            .fail(Accident::new(Operation::Set, lost).after_the_effect());
        set(&case, "m0", "a", "spoilt");
        onlooker.world("the repair", &config_map("m0"), is("1")).await;
        set(&case, "m1", "a", "spoilt");
        held_up(onlooker).await;
        assert_eq!(spoilt(&case, 2), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_the_policy_does_not_begin_to_count_anew() {
    let mut tally = Tally::default();
    let case = Case::text(&maps("{ changes: 2 }", 4, "1"), "");
    kept_on(&case, &mut tally, async |onlooker| {
        onlooker.converged().await;
    })
    .await;
    // Two of four are changed, and then the other two.
    let half = maps("{ changes: 2 }", 4, "1");
    let half = ["m0", "m1"].iter().fold(half, |text, name| {
        let line = text
            .lines()
            .find(|line| line.contains(&format!("{name}: {{")))
            .unwrap();
        text.replace(line, &line.replace("a: '1'", "a: '2'"))
    });
    let case = case.with_policy(&half);
    kept_on(&case, &mut tally, async |onlooker| {
        onlooker.converged().await;
    })
    .await;
    let case = case.with_policy(&maps("{ changes: 2 }", 4, "2"));
    kept_on(&case, &mut tally, async |onlooker| {
        let excess = held_up(onlooker).await;
        assert!(excess.why.starts_with("4 to change, 2 of them done already"));
    })
    .await;
    // Whoever starts later knows nothing of that.
    kept(&case, async |onlooker| {
        onlooker.converged().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_just_made_is_deleted_within_the_limit_all_the_same() {
    let with = |rules: &str| policy(&format!("  limits: {{ deletions: 1 }}\n  rules:\n{rules}"));
    let goes = |name: &str| {
        format!(
            "    {name}: {{ ensure: kubernetes/Object, onRemove: Delete, desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default }} }} }}\n"
        )
    };
    let mut tally = Tally::default();
    let both = goes("one") + &goes("two");
    let case = Case::text(&with(&(both + &goes("stays"))), "");
    kept_on(&case, &mut tally, async |onlooker| {
        onlooker.converged().await;
    })
    .await;
    let case = case.with_policy(&with(&goes("stays")));
    kept_on(&case, &mut tally, async |onlooker| {
        let excess = held_up(onlooker).await;
        assert_eq!(excess.why, "2 to delete, and the limit is 1");
    })
    .await;
    assert!(case.world.document(&config_map("one")).is_some());
}

/// Deletes `one`, and `two` as soon as it isn't busy.
fn two_go(approve: &str) -> String {
    let gone = |name: &str| {
        format!(
            "    {name}: {{ forbid: kubernetes/Object, allow: [Delete], hold: {{ while: \"self.?data.?busy.orValue('') == 'yes'\", message: it is busy }}, desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default }} }} }}\n"
        )
    };
    policy(&format!("{approve}  rules:\n{}{}", gone("one"), gone("two")))
}

const TWO: &str = "
objects:
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default } }
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: two, namespace: default }, data: { busy: 'yes' } }
";

/// The policy with the approval of what it would do now.
async fn approved(case: &Case) -> Case {
    let hash = case.plan().await.excess.unwrap().approve;
    case.with_policy(&two_go(&format!("  approve: '{hash}'\n")))
}

fn two(report: &Report) -> &ResourceReport {
    report.resources.iter().find(|one| one.address == "two").unwrap()
}

fn is_gone(document: Option<&Value>) -> bool {
    document.is_none()
}

#[tokio::test(start_paused = true)]
async fn an_approved_plan_that_takes_two_cycles_is_done_to_its_end() {
    let case = approved(&Case::text(&two_go(""), TWO)).await;
    kept(&case, async |onlooker| {
        onlooker.world("the first", &config_map("one"), is_gone).await;
        let report = onlooker.phase("two", Phase::Pending).await;
        assert!(two(&report).reason.contains("it is busy"));
        sleep(MINUTE * 5).await;
        set(&case, "two", "busy", "no");
        onlooker.world("the second", &config_map("two"), is_gone).await;
        onlooker.converged().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_starts_in_the_middle_of_an_approved_plan_does_the_rest() {
    let case = approved(&Case::text(&two_go(""), TWO)).await;
    kept(&case, async |onlooker| {
        onlooker.phase("one", Phase::Converged).await;
    })
    .await;
    set(&case, "two", "busy", "no");
    kept(&case, async |onlooker| {
        onlooker.world("the second", &config_map("two"), is_gone).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_starts_long_after_the_middle_of_an_approved_plan_asks_again() {
    let case = approved(&Case::text(&two_go(""), TWO)).await;
    kept(&case, async |onlooker| {
        onlooker.phase("one", Phase::Converged).await;
    })
    .await;
    case.edit_ledger(|ledger| ledger["approval"]["at"] = "2026-01-02T03:04:05Z".into())
        .await;
    set(&case, "two", "busy", "no");
    let used = case.policy.approve.clone().unwrap();
    let mut again = String::new();
    kept(&case, async |onlooker| {
        let excess = held_up(onlooker).await;
        assert_eq!(
            excess.why,
            format!(
                "1 to delete, and the limit is 0; the approval {used} was used on 2026-01-02T03:04:05Z, and approves \
                 nothing more"
            )
        );
        again = excess.approve;
    })
    .await;
    assert_ne!(again, used);
    let case = case.with_policy(&two_go(&format!("  approve: '{again}'\n")));
    kept(&case, async |onlooker| {
        onlooker.converged().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_used_once() {
    let free = TWO.replace("yes", "no");
    let case = approved(&Case::text(&two_go(""), &free)).await;
    let mut again = String::new();
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        // The very same is there again, at once as well as a day later.
        for wait in [SECOND, MINUTE * 60 * 24] {
            sleep(wait).await;
            case.world.put(&free).unwrap();
            let excess = held_up(onlooker).await;
            assert!(excess.why.contains("was used on"), "{}", excess.why);
            sleep(MINUTE * 60).await;
            assert!(case.world.document(&config_map("one")).is_some());
            again = excess.approve;
        }
    })
    .await;
    let case = case.with_policy(&two_go(&format!("  approve: '{again}'\n")));
    kept(&case, async |onlooker| {
        onlooker.converged().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_approval_whose_calls_fail_goes_on_as_long_as_they_are_tried() {
    let free = TWO.replace("yes", "no");
    let case = approved(&Case::text(&two_go(""), &free)).await;
    let down = ProviderError::Unavailable {
        service: "the cluster".to_owned(),
        message: "no route".to_owned(),
        source: None,
    };
    case.world.fail(Accident::new(Operation::Delete, down).always());
    kept(&case, async |onlooker| {
        onlooker.phase("two", Phase::Failed).await;
        sleep(MINUTE * 90).await;
        case.world.heal();
        onlooker.converged().await;
    })
    .await;
}

/// Spoils maps, each after a pause in seconds, and says which were put back within a second, and when.
async fn put_back(limit: usize, drifts: &[(usize, u64)]) -> Vec<(Instant, usize)> {
    let case = Case::text(&maps(&format!("{{ changes: {limit} }}"), 6, "1"), "");
    let mut repairs = Vec::new();
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        for (number, pause) in drifts {
            sleep(SECOND * u32::try_from(*pause).unwrap()).await;
            set(&case, &name(*number), "a", "spoilt");
            let key = config_map(&name(*number));
            let repair = onlooker.world("the repair", &key, is("1"));
            if timeout(SECOND, repair).await.is_ok() {
                repairs.push((Instant::now(), *number));
            }
        }
    })
    .await;
    repairs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_more_than_the_limit_is_changed_within_a_minute_however_drift_comes(
        limit in 1_usize..4,
        drifts in proptest::collection::vec((0_usize..6, 0_u64..90), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let repairs = runtime.block_on(put_back(limit, &drifts));
        prop_assert!(!repairs.is_empty());
        for (begun, _) in &repairs {
            let within = |at: &Instant| *at >= *begun && at.duration_since(*begun) + SECOND < MINUTE;
            let together: BTreeSet<usize> = repairs
                .iter()
                .filter(|(at, _)| within(at))
                .map(|(_, number)| *number)
                .collect();
            prop_assert!(together.len() <= limit, "{together:?}");
        }
    }
}
