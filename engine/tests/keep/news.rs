//! News: what changes is looked at, and put back.

use super::*;

/// Where a word comes from.
const SOURCE: &str = "
objects:
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: source, namespace: default }, data: { word: first } }
";

#[tokio::test(start_paused = true)]
async fn drift_is_put_back_within_a_tenth_of_a_second() {
    let case = Case::text(&policy(MAP), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        for _ in 0..5 {
            // An hour lies between, so that it is no fight.
            tokio::time::sleep(MINUTE * 60).await;
            set(&case, "one", "a", "spoilt");
            let begun = tokio::time::Instant::now();
            onlooker.world("the repair", &config_map("one"), is("1")).await;
            assert!(
                begun.elapsed() <= Duration::from_millis(100),
                "{:?}",
                begun.elapsed()
            );
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_is_made_again() {
    let case = Case::text(&policy(MAP), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        for _ in 0..3 {
            tokio::time::sleep(MINUTE * 20).await;
            case.world.delete(&config_map("one")).unwrap();
            onlooker.world("it", &config_map("one"), is("1")).await;
        }
        onlooker.converged().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn drift_of_a_bucket_is_put_back_at_the_next_interval() {
    let case = Case::text(&policy(BUCKET), "");
    let key = ResourceKey {
        provider: "s3".into(),
        kind: "s3/Bucket".into(),
        api: None,
        namespace: None,
        name: "acme-data".to_owned(),
        region: None,
    };
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        tokio::time::sleep(MINUTE * 30).await;
        let status = |document: &Value| document.at(&["status"]).cloned();
        let facet = "versioning".into();
        case.world
            .edit(&key, &facet, |versioning| {
                *versioning = [("status", Value::from("Suspended"))].into_iter().collect();
            })
            .unwrap();
        let search = async {
            loop {
                let now = case.world.facet(&key, &facet);
                if now.as_ref().and_then(status) == Some("Enabled".into()) {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        assert!(
            timeout(MINUTE * 6, search).await.is_ok(),
            "within the interval of 5 minutes"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_fact_that_changes_is_followed_at_once() {
    let rules = "
  facts:
    source: { object: { apiVersion: v1, kind: ConfigMap, namespace: default, name: source }, select: { word: $.data.word } }
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '${facts.source.word}' } } }
";
    let case = Case::text(&policy(rules), SOURCE);
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        tokio::time::sleep(MINUTE * 7).await;
        set(&case, "source", "word", "second");
        let begun = tokio::time::Instant::now();
        onlooker
            .world("the second word", &config_map("one"), is("second"))
            .await;
        assert!(begun.elapsed() <= Duration::from_millis(100));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_has_everything_read_anew_at_once() {
    let case = Case::text(&policy(BUCKET), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        tokio::time::sleep(MINUTE).await;
        case.world.forget_requests();
        let before = onlooker.cycles();
        onlooker.trigger.send_modify(|count| *count += 1);
        onlooker.until("a cycle", |told| told.cycles > before).await;
        assert!(!requests(&case).is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_rotated_before_it_is_watched_signs_in_anew() {
    let rules = "
  interval: 10h
  providers: { s3: { region: us-east-2, credentials: [{ secret: { namespace: default, name: keys } }] } }
  rules:
    data: { ensure: s3/Bucket, name: acme-data, desired: { tags: { owner: us } } }
";
    let secret = |id: &str| {
        format!(
            "
objects:
  - {{ apiVersion: v1, kind: Secret, metadata: {{ name: keys, namespace: default }}, stringData: {{ aws_access_key_id: {id}, aws_secret_access_key: b }} }}
"
        )
    };
    let case = Case::text(&policy(rules), &secret("first"));
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        // At once: nothing is watched yet.
        let key = objects::key(&ApiType::new("v1", "Secret"), Some("default"), "keys");
        case.world.forget_requests();
        let touch = |object: &mut Value| {
            let metadata = object.as_map_mut().unwrap().get_mut("metadata").unwrap();
            let labels: Value = [("rotated", Value::from("yes"))].into_iter().collect();
            metadata.as_map_mut().unwrap().insert("labels".into(), labels);
        };
        case.world.edit(&key, &"object".into(), touch).unwrap();
        sleep_until_asked(&case).await;
    })
    .await;
}

/// Waits until the store is read again, long before its interval.
async fn sleep_until_asked(case: &Case) {
    let search = async {
        while !requests(case).iter().any(|request| request.contains("acme-data")) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(timeout(MINUTE, search).await.is_ok(), "{:?}", requests(case));
}

#[tokio::test(start_paused = true)]
async fn a_source_of_parameters_that_changes_before_it_is_watched_is_followed() {
    let rules = "
  parameters: { word: { type: string } }
  valuesFrom: [{ configMap: { namespace: default, name: source } }]
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '${parameters.word}' } } }
";
    let case = Case::text(&policy(rules), SOURCE);
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        set(&case, "source", "word", "second");
        let key = config_map("one");
        let followed = onlooker.world("the second word", &key, is("second"));
        assert!(timeout(MINUTE, followed).await.is_ok());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_many_definitions_that_come_one_after_another_the_cluster_is_asked_a_few_times() {
    let case = Case::text(&policy(MAP), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        tokio::time::sleep(MINUTE).await;
        case.world.forget_requests();
        for number in 0..60 {
            case.world
                .put(&format!("cluster: {{ serves: [ {{ apiVersion: shop.example/v1, kind: Thing{number}, scope: Namespaced }} ] }}"))
                .unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(MINUTE).await;
        let asked = requests(&case);
        let asked = asked.iter().filter(|request| request.contains("Served")).count();
        // Within three seconds: at once, and then once in each; twice each time, anew and for what the policy names.
        assert!((4..=12).contains(&asked), "{asked}");
    })
    .await;
}
