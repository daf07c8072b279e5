//! Trouble: fights, failures, outages, and what comes late.

use holdfast_contract::ProviderError;
use holdfast_memory::{Accident, Operation};
use tokio::time::{Instant, sleep};

use super::*;

fn value(case: &Case, name: &str) -> String {
    let document = case.world.document(&config_map(name)).unwrap();
    document.at(&["data", "a"]).unwrap().to_string()
}

fn unavailable() -> ProviderError {
    ProviderError::Unavailable {
        service: "the cluster".to_owned(),
        message: "no route".to_owned(),
        source: None,
    }
}

const TWO: &str = "
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } } }
    two: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: two, namespace: default }, data: { a: '1' } } }
";

#[tokio::test(start_paused = true)]
async fn what_is_changed_back_three_times_rests_for_ten_minutes_and_is_tried_once_more() {
    let case = Case::text(&policy(TWO), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        for _ in 0..3 {
            set(&case, "one", "a", "theirs");
            onlooker.world("the repair", &config_map("one"), is("1")).await;
        }
        set(&case, "one", "a", "theirs");
        onlooker.phase("one", Phase::Contested).await;
        let begun = Instant::now();
        // The rest is enforced meanwhile.
        set(&case, "two", "a", "spoilt");
        onlooker
            .world("the other's repair", &config_map("two"), is("1"))
            .await;
        assert_eq!(value(&case, "one"), "theirs");
        onlooker.world("one more try", &config_map("one"), is("1")).await;
        let rested = begun.elapsed();
        assert!(rested > MINUTE * 9 && rested < MINUTE * 11, "{rested:?}");
        // Changed back once more it rests twice as long.
        set(&case, "one", "a", "theirs");
        onlooker.phase("one", Phase::Contested).await;
        sleep(MINUTE * 19).await;
        assert_eq!(value(&case, "one"), "theirs");
        onlooker.world("another try", &config_map("one"), is("1")).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_tried_again_after_growing_pauses_and_stops_nothing_else() {
    let case = Case::text(&policy(TWO), "");
    let fails = Accident::new(Operation::Create, unavailable()).on("one").always();
    case.world.fail(fails);
    kept(&case, async |onlooker| {
        onlooker.world("the other", &config_map("two"), is("1")).await;
        let report = onlooker.phase("one", Phase::Failed).await;
        let one = report.resources.iter().find(|one| one.address == "one").unwrap();
        assert!(
            one.reason.contains("no route; it is tried again at"),
            "{}",
            one.reason
        );
        sleep(MINUTE * 60).await;
        let tries = |case: &Case| {
            let requests = case.world.requests();
            let tries = requests
                .iter()
                .filter(|request| request.operation == Operation::Create);
            tries
                .filter(|request| format!("{request:?}").contains("one"))
                .count()
        };
        let made = tries(&case);
        // 1, 2, 4 … s, and from then on ten minutes, each up to a quarter shorter.
        assert!((12..=22).contains(&made), "{made}");
        case.world.heal();
        onlooker.converged().await;
        assert_eq!(value(&case, "one"), "1");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_for_a_wait_gets_it() {
    let case = Case::text(&policy(MAP), "");
    let throttled = ProviderError::Throttled {
        service: "the cluster".to_owned(),
        retry_after: Some(MINUTE * 4),
    };
    case.world.fail_next(Operation::Create, throttled);
    kept(&case, async |onlooker| {
        let begun = Instant::now();
        onlooker.converged().await;
        let waited = begun.elapsed();
        assert!(waited >= MINUTE * 4 && waited < MINUTE * 6, "{waited:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_can_not_be_read_for_a_while_is_unknown_and_then_as_it_was() {
    let case = Case::text(&policy(BUCKET), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        case.world.fail(
            Accident::new(Operation::Observe, unavailable())
                .through(&"s3".into())
                .always(),
        );
        onlooker.phase("data", Phase::Unknown).await;
        case.world.forget_requests();
        sleep(MINUTE * 120).await;
        let reads = case.world.requests().len();
        assert!(reads < 200, "it is asked less and less: {reads}");
        assert_eq!(case.writes(), 0);
        case.world.heal();
        onlooker.converged().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_can_not_be_read_is_told_and_tried_again() {
    let case = Case::text(&policy(MAP), "");
    case.world
        .fail(Accident::new(Operation::Load, unavailable()).times(3));
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        let told = onlooker
            .until("the failures", |told| !told.failures.is_empty())
            .await;
        assert_eq!(told.failures.len(), 3, "{:?}", told.failures);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_type_that_comes_later_is_waited_for_and_used() {
    let rules = "
  rules:
    widget: { ensure: kubernetes/Object, desired: { apiVersion: example.com/v1, kind: Widget, metadata: { name: one, namespace: default }, spec: { a: '1' } } }
";
    let case = Case::text(&policy(rules), "");
    let widget = objects::key(&ApiType::new("example.com/v1", "Widget"), Some("default"), "one");
    kept(&case, async |onlooker| {
        onlooker.phase("widget", Phase::Pending).await;
        sleep(MINUTE * 30).await;
        let definition = "
objects:
  - apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: { name: widgets.example.com }
    spec:
      group: example.com
      scope: Namespaced
      names: { kind: Widget, plural: widgets }
      versions: [{ name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } } }]
    status: { conditions: [{ type: Established, status: 'True' }] }
";
        case.world.load_sandbox(definition, "later").unwrap();
        let begun = Instant::now();
        onlooker.world("the widget", &widget, |found| found.is_some()).await;
        assert!(begun.elapsed() < MINUTE, "{:?}", begun.elapsed());
        onlooker.converged().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_never_ready_is_put_back_time_and_again() {
    let rules = "
  rules:
    one: { ensure: kubernetes/Object, ready: 'false', desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } } }
";
    let case = Case::text(&policy(rules), "");
    kept(&case, async |onlooker| {
        onlooker.phase("one", Phase::Settling).await;
        for round in 0..20 {
            sleep(MINUTE * 150).await;
            set(&case, "one", "a", "spoilt");
            let key = config_map("one");
            let repair = onlooker.world("the repair", &key, is("1"));
            assert!(timeout(MINUTE, repair).await.is_ok(), "round {round}");
        }
    })
    .await;
}
