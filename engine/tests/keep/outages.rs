//! What could not be read when it mattered is read once it can be.

use async_trait::async_trait;
use holdfast_contract::{Kind, Provider, ProviderConfig, ProviderError, ProviderFactory, Shape};
use holdfast_memory::{Accident, Operation};
use holdfast_s3::BucketKind;
use tokio::time::sleep;

use super::*;

const SOURCE: &str = "
objects:
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: source, namespace: default }, data: { word: first } }
";
const WORD: &str = "
  interval: 10h
  parameters: { word: { type: string } }
  valuesFrom: [{ configMap: { namespace: default, name: source } }]
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '${parameters.word}' } } }
";

fn unavailable() -> ProviderError {
    ProviderError::Unavailable {
        service: "the cluster".to_owned(),
        message: "no route".to_owned(),
        source: None,
    }
}

fn denied() -> ProviderError {
    ProviderError::Denied {
        action: "get secrets".to_owned(),
        target: "default/keys".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_whose_source_could_not_be_read_when_it_changed_are_followed() {
    for error in [unavailable(), denied()] {
        let case = Case::text(&policy(WORD), SOURCE);
        kept(&case, async |onlooker| {
            onlooker.converged().await;
            sleep(MINUTE).await;
            let outage = Accident::new(Operation::Observe, error.clone()).on("source");
            case.world.fail(outage.times(3));
            set(&case, "source", "word", "second");
            let key = config_map("one");
            let followed = onlooker.world("the second word", &key, is("second"));
            assert!(timeout(MINUTE * 5, followed).await.is_ok(), "{error}");
            let invalid = onlooker.told().invalid;
            assert_eq!(
                invalid > 0,
                !error.is_transient(),
                "an outage makes no policy wrong"
            );
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_that_could_not_be_read_when_somebody_asked_are_right_again_by_themselves() {
    let case = Case::text(&policy(WORD), SOURCE);
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        sleep(MINUTE).await;
        case.world
            .fail(Accident::new(Operation::Observe, denied()).on("source").times(2));
        onlooker.trigger.send_modify(|count| *count += 1);
        onlooker.until("the fault", |told| told.invalid > 0).await;
        onlooker.until("its end", |told| !told.is_invalid).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_can_not_be_read_at_the_start_makes_no_policy_wrong() {
    let case = Case::text(&policy(WORD), SOURCE);
    case.world.fail(
        Accident::new(Operation::Observe, unavailable())
            .on("source")
            .times(3),
    );
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        let told = onlooker.told();
        assert_eq!((told.invalid, told.failures.len()), (0, 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_may_be_read_at_last_signs_in_at_once() {
    let rules = "
  interval: 10h
  providers: { s3: { region: us-east-2, credentials: [{ secret: { namespace: default, name: keys } }] } }
  rules:
    data: { ensure: s3/Bucket, name: acme-data, desired: { tags: { owner: us } } }
";
    let keys = "
objects:
  - { apiVersion: v1, kind: Secret, metadata: { name: keys, namespace: default }, stringData: { aws_access_key_id: a, aws_secret_access_key: b } }
";
    let case = Case::text(&policy(rules), keys);
    case.world
        .fail(Accident::new(Operation::Observe, denied()).on("keys").always());
    kept(&case, async |onlooker| {
        onlooker.until("a look", |told| told.cycles > 0).await;
        sleep(MINUTE * 30).await;
        case.world.heal();
        // Its watch may be told of it from now on, too.
        let key = objects::key(&ApiType::new("v1", "Secret"), Some("default"), "keys");
        case.world.edit(&key, &"object".into(), relabelled).unwrap();
        let converged = onlooker.converged();
        assert!(timeout(MINUTE * 2, converged).await.is_ok());
    })
    .await;
}

fn relabelled(object: &mut Value) {
    let metadata = object.as_map_mut().unwrap().get_mut("metadata").unwrap();
    let labels: Value = [("seen", Value::from("yes"))].into_iter().collect();
    metadata.as_map_mut().unwrap().insert("labels".into(), labels);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_watched_while_a_requirement_was_not_met_is_read_before_it_is_judged() {
    let rules = "
  interval: 10h
  facts: { gate: { object: { apiVersion: v1, kind: ConfigMap, namespace: default, name: source }, select: { word: $.data.word } } }
  require: [ { that: facts.gate.word == 'first', message: closed } ]
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } } }
";
    let case = Case::text(&policy(rules), SOURCE);
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        sleep(MINUTE).await;
        set(&case, "source", "word", "closed");
        let is_closed = |told: &Told| {
            told.report
                .as_ref()
                .is_some_and(|report| !report.unmet.is_empty())
        };
        onlooker.until("the gate", is_closed).await;
        sleep(MINUTE).await;
        set(&case, "one", "a", "spoilt");
        sleep(MINUTE * 60).await;
        set(&case, "source", "word", "first");
        let is_open = |told: &Told| !is_closed(told);
        let told = onlooker.until("the gate's end", is_open).await;
        let report = told.report.unwrap();
        // The first cycle has found the drift, and put it back.
        assert_eq!(report.applied.map(|applied| applied.changed), Some(1));
        onlooker.world("the repair", &config_map("one"), is("1")).await;
    })
    .await;
}

/// A store that never says whether anybody may sign in.
#[derive(Debug)]
struct Tarpit(Shape);

#[async_trait]
impl ProviderFactory for Tarpit {
    fn provider_type(&self) -> &'static str {
        "s3"
    }

    fn kinds(&self) -> Vec<Arc<dyn Kind>> {
        vec![Arc::new(BucketKind::new())]
    }

    fn settings(&self) -> &Shape {
        &self.0
    }

    async fn open(&self, _config: ProviderConfig) -> Result<Arc<dyn Provider>, ProviderError> {
        sleep(MINUTE * 600).await;
        Err(unavailable())
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_reads_for_ten_minutes_is_given_up_and_told() {
    let mut case = Case::text(&policy(BUCKET), "");
    let tarpit = Tarpit(Shape::Map(Box::new(Shape::Any)));
    case.engine.registry = case.engine.registry.clone().with(Arc::new(tarpit));
    kept(&case, async |onlooker| {
        let begun = tokio::time::Instant::now();
        let told = onlooker
            .until("that it is slow", |told| !told.failures.is_empty())
            .await;
        assert!(
            begun.elapsed() <= MINUTE * 10 + Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
        assert!(
            told.failures[0].starts_with("reading took longer than 10 minutes"),
            "{:?}",
            told.failures
        );
        onlooker
            .until("another try", |told| told.failures.len() > 1)
            .await;
    })
    .await;
}
