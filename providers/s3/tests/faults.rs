//! What the provider does when the store, or the way to it, misbehaves; by what goes over the wire.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod subject;

use std::collections::BTreeMap;

use holdfast_contract::{
    Action, Desired, Facet, FacetState, Guard, Observation, Observed, Provider, ProviderError, Query,
    ResourceKey, Value, Wanted, Write,
};
use holdfast_testbed::{Action as Fault, Answer, LocalStack, ObjectStore, RequestLog, Rule, round_trips};
use serde_json::json;
use subject::{documents, fresh_key, open};

const MANAGED: [&str; 7] = [
    "encryption",
    "lifecycle",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "tags",
    "versioning",
];

async fn localstack() -> &'static ObjectStore {
    LocalStack::shared().await.unwrap().store()
}

fn wanted(key: &ResourceKey, facets: &[&str]) -> Wanted {
    Wanted {
        key: key.clone(),
        facets: facets.iter().map(|facet| Facet::from(*facet)).collect(),
    }
}

async fn observe(
    provider: &dyn Provider,
    key: &ResourceKey,
    facets: &[&str],
) -> Result<Observation, ProviderError> {
    provider.observe(&[wanted(key, facets)]).await.remove(0)
}

async fn present(provider: &dyn Provider, key: &ResourceKey, facets: &[&str]) -> Observed {
    match observe(provider, key, facets).await.unwrap() {
        Observation::Present(observed) => *observed,
        Observation::Absent => panic!("{key} is absent"),
    }
}

fn write(key: &ResourceKey, action: Action) -> Write {
    Write {
        key: key.clone(),
        action,
        guard: Guard::Same,
        manager: "holdfast:test/faults".to_owned(),
        force: false,
    }
}

fn creation(key: &ResourceKey, tags: serde_json::Value) -> Write {
    let facets = BTreeMap::from([(Facet::from("tags"), Desired::new(Value::from_json(tags)))]);
    write(key, Action::Create { facets })
}

fn setting(facet: &str, document: serde_json::Value, observed: &Observed) -> Write {
    write(
        &observed.key,
        Action::Set {
            facet: facet.into(),
            desired: Box::new(Desired::new(Value::from_json(document))),
            observed: Box::new(observed.clone()),
        },
    )
}

async fn made(store: &ObjectStore) -> ResourceKey {
    let key = fresh_key();
    store.done("PUT", &format!("/{}", key.name), "").await.unwrap();
    key
}

fn writes(log: &RequestLog) -> Vec<String> {
    log.requests()
        .iter()
        .filter(|request| request.is_write())
        .map(|request| format!("{} {}", request.method, request.query))
        .collect()
}

#[tokio::test]
async fn a_bucket_and_its_facets_are_read_in_one_round_trip() {
    let key = made(localstack().await).await;
    let log = RequestLog::start(localstack().await).await.unwrap();
    let provider = open(log.store(), &[]).await;
    present(provider.as_ref(), &key, &MANAGED).await;
    log.clear();
    present(provider.as_ref(), &key, &MANAGED).await;
    let requests = log.requests();
    assert_eq!(requests.len(), 1 + MANAGED.len());
    assert_eq!(round_trips(&requests), 1);
    assert!(requests.iter().all(|request| !request.is_write()));
    assert!(
        requests
            .iter()
            .all(|request| request.headers["user-agent"].starts_with("holdfast/"))
    );
    log.clear();
    present(provider.as_ref(), &key, &["tags"]).await;
    assert_eq!(log.requests().len(), 2, "only what is wanted is read");
}

#[tokio::test]
async fn a_denied_facet_is_told_alone_and_names_the_permission() {
    let key = made(localstack().await).await;
    let log = RequestLog::start(localstack().await).await.unwrap();
    log.inject(Rule::new(Fault::error(403, "AccessDenied")).query("lifecycle"));
    let provider = open(log.store(), &[]).await;
    let observed = present(provider.as_ref(), &key, &MANAGED).await;
    let FacetState::Unreadable(error) = &observed.facets[&Facet::from("lifecycle")] else {
        panic!("{observed:?}");
    };
    assert_eq!(
        error.to_string(),
        format!(
            "access denied: this identity lacks s3:GetLifecycleConfiguration on bucket {}",
            key.name
        )
    );
    let unreadable = observed
        .facets
        .values()
        .filter(|state| matches!(state, FacetState::Unreadable(_)));
    assert_eq!(unreadable.count(), 1);
}

#[tokio::test]
async fn an_answer_of_another_kind_is_not_a_setting() {
    let key = made(localstack().await).await;
    let list = |root: &str| {
        Fault::Answer(Answer {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/xml".to_owned())],
            body: format!("<{root}><Name>b</Name><Rule><Status>Enabled</Status></Rule></{root}>"),
        })
    };
    let log = RequestLog::start(localstack().await).await.unwrap();
    for query in [
        "encryption",
        "lifecycle",
        "versioning",
        "tagging",
        "policy",
        "acl",
    ] {
        log.inject(Rule::new(list("ListBucketResult")).query(query));
    }
    let provider = open(log.store(), &[]).await;
    let facets = ["encryption", "lifecycle", "versioning", "tags", "policy", "acl"];
    let observed = present(provider.as_ref(), &key, &facets).await;
    for facet in facets {
        let state = &observed.facets[&Facet::from(facet)];
        assert!(
            matches!(state, FacetState::Unreadable(ProviderError::Unsupported { .. })),
            "{facet}: {state:?}"
        );
        let refused = provider
            .write(&setting(facet, documents(&key)[facet].clone(), &observed))
            .await;
        assert!(
            matches!(refused, Err(ProviderError::Unsupported { .. })),
            "{facet}: {refused:?}"
        );
    }
    assert_eq!(
        writes(&log),
        Vec::<String>::new(),
        "what can't be read is never written"
    );
}

#[tokio::test]
async fn a_truncated_answer_is_no_document() {
    let key = made(localstack().await).await;
    let log = RequestLog::start(localstack().await).await.unwrap();
    log.inject(Rule::new(Fault::Truncate(120)).query("encryption"));
    let provider = open(log.store(), &[]).await;
    let observed = present(provider.as_ref(), &key, &["encryption", "tags"]).await;
    let state = &observed.facets[&Facet::from("encryption")];
    assert!(
        matches!(state, FacetState::Unreadable(ProviderError::Unavailable { .. })),
        "{state:?}"
    );
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let key = made(localstack().await).await;
    let log = RequestLog::start(localstack().await).await.unwrap();
    let huge = Answer {
        status: 200,
        headers: Vec::new(),
        body: format!("<Tagging>{}</Tagging>", " ".repeat(2 * 1024 * 1024)),
    };
    log.inject(Rule::new(Fault::Answer(huge)).query("tagging"));
    let provider = open(log.store(), &[]).await;
    let observed = present(provider.as_ref(), &key, &["tags"]).await;
    let state = &observed.facets[&Facet::from("tags")];
    assert!(
        matches!(state, FacetState::Unreadable(ProviderError::Unavailable { .. })),
        "{state:?}"
    );
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let key = made(localstack().await).await;
    let log = RequestLog::start(localstack().await).await.unwrap();
    log.inject(Rule::new(Fault::error(503, "SlowDown")).query("tagging").first(2));
    log.inject(Rule::new(Fault::Reset).method("HEAD").first(1));
    let provider = open(log.store(), &[]).await;
    let observed = present(provider.as_ref(), &key, &["tags"]).await;
    assert!(matches!(observed.facets[&Facet::from("tags")], FacetState::Unset));
}

#[tokio::test]
async fn two_answers_that_contradict_each_other_prove_nothing() {
    let key = made(localstack().await).await;
    let store = localstack().await;
    let log = RequestLog::start(store).await.unwrap();
    log.inject(Rule::new(Fault::status(404)).method("HEAD"));
    let provider = open(log.store(), &[]).await;
    for facets in [&["encryption"][..], &[]] {
        let answer = observe(provider.as_ref(), &key, facets).await;
        assert!(
            matches!(answer, Err(ProviderError::Unavailable { .. })),
            "{answer:?}"
        );
    }
    log.heal();
    log.inject(Rule::new(Fault::error(404, "NoSuchBucket")).query("encryption"));
    let observed = present(provider.as_ref(), &key, &["encryption"]).await;
    assert!(matches!(
        observed.facets[&Facet::from("encryption")],
        FacetState::Unreadable(ProviderError::Unavailable { .. })
    ));
}

#[tokio::test]
async fn a_bucket_that_may_not_be_looked_at_may_still_be_located() {
    let key = made(localstack().await).await;
    let log = RequestLog::start(localstack().await).await.unwrap();
    log.inject(Rule::new(Fault::status(403)).method("HEAD"));
    let provider = open(log.store(), &[]).await;
    let observed = present(provider.as_ref(), &key, &["tags"]).await;
    assert_eq!(observed.key.region.as_deref(), Some("us-east-1"));
    log.inject(Rule::new(Fault::error(403, "AccessDenied")).query("location"));
    let error = observe(provider.as_ref(), &key, &["tags"]).await.unwrap_err();
    assert!(error.to_string().contains("s3:ListBucket"), "{error}");
}

#[tokio::test]
async fn requests_follow_a_bucket_to_its_region_unless_one_was_given() {
    let key = made(localstack().await).await;
    let elsewhere = || {
        Fault::Answer(Answer {
            status: 301,
            headers: vec![("x-amz-bucket-region".to_owned(), "eu-west-1".to_owned())],
            body: String::new(),
        })
    };
    let log = RequestLog::start(localstack().await).await.unwrap();
    log.inject(Rule::new(elsewhere()).nth(1));
    let provider = open(log.store(), &[]).await;
    present(provider.as_ref(), &key, &[]).await;
    let answers: Vec<_> = log.requests().iter().map(|request| request.status).collect();
    assert_eq!(answers, [Some(301), Some(200)]);

    let given = open(log.store(), &[("region", "us-east-2".into())]).await;
    log.heal();
    log.clear();
    log.inject(Rule::new(elsewhere()));
    let error = observe(given.as_ref(), &key, &[]).await.unwrap_err();
    assert!(error.to_string().contains("it is in region eu-west-1"), "{error}");
    assert_eq!(log.requests().len(), 1);
}

#[tokio::test]
async fn a_bucket_in_another_region_than_the_given_one_is_an_error_that_names_it() {
    let store = localstack().await;
    let key = fresh_key();
    let frankfurt = open(store, &[("region", "eu-central-1".into())]).await;
    let made = frankfurt.write(&creation(&key, json!({"a": "b"}))).await.unwrap();
    assert_eq!(made.key.unwrap().region.as_deref(), Some("eu-central-1"));
    let observed = present(frankfurt.as_ref(), &key, &["tags"]).await;
    assert_eq!(observed.key.region.as_deref(), Some("eu-central-1"));

    let anywhere = open(store, &[]).await;
    let observed = present(anywhere.as_ref(), &key, &["tags"]).await;
    assert_eq!(observed.key.region.as_deref(), Some("eu-central-1"));
    let elsewhere = open(store, &[("region", "us-east-2".into())]).await;
    let error = observe(elsewhere.as_ref(), &key, &["tags"]).await.unwrap_err();
    assert!(error.to_string().contains("eu-central-1"), "{error}");
}

#[tokio::test]
async fn tags_come_with_the_creation_itself() {
    let log = RequestLog::start(localstack().await).await.unwrap();
    let provider = open(log.store(), &[]).await;
    let key = fresh_key();
    provider
        .write(&creation(
            &key,
            json!({"cluster": "demo & <x>".replace(['&', '<', '>'], "-")}),
        ))
        .await
        .unwrap();
    let puts: Vec<_> = log
        .requests()
        .into_iter()
        .filter(|request| request.is_write())
        .collect();
    assert_eq!(puts.len(), 1);
    assert!(String::from_utf8_lossy(&puts[0].body).contains("<Tags><Tag><Key>cluster</Key>"));
}

#[tokio::test]
async fn a_store_that_knows_no_tags_in_a_creation_gets_them_right_after() {
    for refusal in [
        Fault::error(400, "MalformedXML"),
        Fault::error(501, "NotImplemented"),
    ] {
        let log = RequestLog::start(localstack().await).await.unwrap();
        log.inject(Rule::new(refusal).method("PUT").nth(1));
        let provider = open(log.store(), &[]).await;
        let key = fresh_key();
        provider.write(&creation(&key, json!({"a": "b"}))).await.unwrap();
        let observed = present(provider.as_ref(), &key, &["tags"]).await;
        assert_eq!(
            observed.value(&"tags".into()).unwrap().to_string(),
            r#"{"a":"b"}"#
        );
    }
}

#[tokio::test]
async fn wrong_tags_make_no_bucket() {
    let store = localstack().await;
    let provider = open(store, &[]).await;
    let key = fresh_key();
    let refused = provider.write(&creation(&key, json!({"<bad>": "b"}))).await;
    assert!(
        matches!(refused, Err(ProviderError::Invalid { .. })),
        "{refused:?}"
    );
    assert!(matches!(
        observe(provider.as_ref(), &key, &[]).await,
        Ok(Observation::Absent)
    ));
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_read_back_and_not_repeated() {
    let log = RequestLog::start(localstack().await).await.unwrap();
    let provider = open(log.store(), &[]).await;
    let key = fresh_key();
    log.inject(Rule::new(Fault::DropAnswer).method("PUT"));
    provider.write(&creation(&key, json!({"a": "b"}))).await.unwrap();
    assert_eq!(writes(&log), ["PUT "]);
    // The same where it never arrived: then it is not made, and that is told.
    let key = fresh_key();
    log.heal();
    log.inject(Rule::new(Fault::Reset).method("PUT"));
    let lost = provider.write(&creation(&key, json!({"a": "b"}))).await;
    assert!(matches!(lost, Err(ProviderError::Unavailable { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_name_that_is_taken_is_somebody_elses_unless_it_bears_our_tags() {
    let store = localstack().await;
    let log = RequestLog::start(store).await.unwrap();
    let provider = open(log.store(), &[]).await;
    let ours = json!({"cluster": "a"});
    for (there, code, is_ours) in [
        (Some("a"), "BucketAlreadyOwnedByYou", true),
        (None, "BucketAlreadyOwnedByYou", true),
        (Some("b"), "BucketAlreadyOwnedByYou", false),
        (Some("b"), "BucketAlreadyExists", false),
    ] {
        let key = made(store).await;
        if let Some(value) = there {
            let tags = format!(
                "<Tagging><TagSet><Tag><Key>cluster</Key><Value>{value}</Value></Tag></TagSet></Tagging>"
            );
            store
                .done("PUT", &format!("/{}?tagging", key.name), &tags)
                .await
                .unwrap();
        }
        log.heal();
        log.inject(Rule::new(Fault::status(404)).method("HEAD").nth(1));
        log.inject(Rule::new(Fault::error(409, code)).method("PUT").query("").nth(1));
        let answer = provider.write(&creation(&key, ours.clone())).await;
        match answer {
            Ok(_) => assert!(is_ours, "{there:?} {code}"),
            Err(ProviderError::Foreign { .. }) => assert!(!is_ours, "{there:?} {code}"),
            Err(error) => panic!("{there:?} {code}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_document_that_changed_since_it_was_observed_is_a_conflict() {
    let store = localstack().await;
    let provider = open(store, &[]).await;
    let key = made(store).await;
    let observed = present(provider.as_ref(), &key, &["tags"]).await;
    let theirs = "<Tagging><TagSet><Tag><Key>theirs</Key><Value>1</Value></Tag></TagSet></Tagging>";
    store
        .done("PUT", &format!("/{}?tagging", key.name), theirs)
        .await
        .unwrap();
    let refused = provider
        .write(&setting("tags", json!({"ours": "1"}), &observed))
        .await;
    assert!(
        matches!(refused, Err(ProviderError::Conflict { .. })),
        "{refused:?}"
    );
    let observed = present(provider.as_ref(), &key, &["tags"]).await;
    provider
        .write(&setting("tags", json!({"ours": "1"}), &observed))
        .await
        .unwrap();
    let observed = present(provider.as_ref(), &key, &["tags"]).await;
    assert_eq!(
        observed.value(&"tags".into()).unwrap().to_string(),
        r#"{"ours":"1","theirs":"1"}"#
    );
}

#[tokio::test]
async fn what_is_as_desired_is_not_written() {
    let store = localstack().await;
    let key = made(store).await;
    let log = RequestLog::start(store).await.unwrap();
    let provider = open(log.store(), &[]).await;
    let observed = present(provider.as_ref(), &key, &["encryption"]).await;
    let document = documents(&key)["encryption"].clone();
    provider
        .write(&setting("encryption", document, &observed))
        .await
        .unwrap();
    assert_eq!(writes(&log), Vec::<String>::new());
}

#[tokio::test]
async fn a_sub_resource_is_deleted_only_where_its_document_was_just_read() {
    let store = localstack().await;
    let key = made(store).await;
    let log = RequestLog::start(store).await.unwrap();
    let provider = open(log.store(), &[]).await;
    let nothing = |observed: &Observed| {
        let mut desired = Desired::new(Value::map());
        desired.exact = vec![holdfast_contract::Path::root()];
        write(
            &observed.key,
            Action::Set {
                facet: "lifecycle".into(),
                desired: Box::new(desired),
                observed: Box::new(observed.clone()),
            },
        )
    };
    let observed = present(provider.as_ref(), &key, &["lifecycle"]).await;
    provider.write(&nothing(&observed)).await.unwrap();
    assert_eq!(writes(&log), Vec::<String>::new(), "nothing is there to delete");

    provider
        .write(&setting(
            "lifecycle",
            documents(&key)["lifecycle"].clone(),
            &observed,
        ))
        .await
        .unwrap();
    let observed = present(provider.as_ref(), &key, &["lifecycle"]).await;
    log.clear();
    provider.write(&nothing(&observed)).await.unwrap();
    let requests = log.requests();
    let delete = requests
        .iter()
        .position(|request| request.method == "DELETE")
        .unwrap();
    assert_eq!(requests[delete].query, "lifecycle");
    let before = &requests[delete - 1];
    assert!(
        before.method == "GET" && before.query == "lifecycle" && before.status == Some(200),
        "{before:?}"
    );
    assert!(String::from_utf8_lossy(&before.answer).contains("<LifecycleConfiguration"));
    let observed = present(provider.as_ref(), &key, &["lifecycle"]).await;
    assert!(matches!(
        observed.facets[&Facet::from("lifecycle")],
        FacetState::Unset
    ));
}

#[tokio::test]
async fn what_a_store_drops_in_silence_is_told() {
    let store = localstack().await;
    let key = made(store).await;
    let log = RequestLog::start(store).await.unwrap();
    let provider = open(log.store(), &[]).await;
    let observed = present(provider.as_ref(), &key, &["lifecycle"]).await;
    let kept = "<LifecycleConfiguration><Rule><ID>big</ID><Filter/><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>";
    let kept = Answer {
        status: 200,
        headers: Vec::new(),
        body: kept.to_owned(),
    };
    log.inject(
        Rule::new(Fault::Answer(kept))
            .method("GET")
            .query("lifecycle")
            .nth(2),
    );
    let document = json!({"rules": [{
        "id": "big", "status": "Enabled", "filter": {"objectSizeGreaterThan": 5}, "expiration": {"days": 9}}]});
    let written = provider
        .write(&setting("lifecycle", document, &observed))
        .await
        .unwrap();
    assert_eq!(
        written.unsupported,
        ["lifecycle.rules[big].filter.objectSizeGreaterThan"]
    );
}

#[tokio::test]
async fn the_account_is_named_once_it_is_known_and_another_ones_bucket_is_foreign() {
    let store = localstack().await;
    let key = made(store).await;
    let log = RequestLog::start(store).await.unwrap();
    let mine = open(log.store(), &[("account", "000000000000".into())]).await;
    assert_eq!(mine.account().await.unwrap().as_deref(), Some("000000000000"));
    present(mine.as_ref(), &key, &["tags"]).await;
    for request in log.requests() {
        assert_eq!(request.headers["x-amz-expected-bucket-owner"], "000000000000");
    }
    // Refused with the account's number, and not without.
    log.inject(Rule::new(Fault::status(403)).method("HEAD").nth(1));
    log.inject(Rule::new(Fault::error(403, "AccessDenied")).query("location"));
    let others = open(log.store(), &[("account", "111122223333".into())]).await;
    let error = observe(others.as_ref(), &key, &["tags"]).await.unwrap_err();
    let heads = log
        .requests()
        .into_iter()
        .filter(|request| request.method == "HEAD");
    let named: Vec<bool> = heads
        .map(|request| request.headers.contains_key("x-amz-expected-bucket-owner"))
        .collect();
    assert_eq!(named, [true, true, false]);
    assert!(matches!(error, ProviderError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn a_search_tells_which_part_of_which_bucket_it_could_not_read() {
    let store = localstack().await;
    let provider = open(store, &[]).await;
    let prefix = format!("search-{:08x}-", getrandom::u32().unwrap());
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        let key = ResourceKey {
            name: format!("{prefix}{name}"),
            ..fresh_key()
        };
        let region = if name == "a" { "eu-west-1" } else { "us-east-1" };
        let there = open(store, &[("region", region.into())]).await;
        there.write(&creation(&key, json!({"is": name}))).await.unwrap();
        keys.push(key);
    }
    let log = RequestLog::start(store).await.unwrap();
    log.inject(
        Rule::new(Fault::error(403, "AccessDenied"))
            .path(&format!("/{}", keys[1].name))
            .query("tagging"),
    );
    let query = Query {
        kind: "s3/Bucket".into(),
        api: None,
        namespace: None,
        selector: None,
        name_prefix: Some(prefix),
        read: ["tags".to_owned()].into(),
    };
    let through = open(log.store(), &[]).await;
    let found = through.find(&query).await.unwrap();
    let described: Vec<String> = found.iter().map(|found| found.document.to_string()).collect();
    assert_eq!(described.len(), 3);
    assert!(
        described[0].contains(r#""region":"eu-west-1","tags":{"is":"a"}"#),
        "{described:?}"
    );
    assert!(
        !described[1].contains("tags") && described[2].contains(r#""is":"c""#),
        "{described:?}"
    );
    assert!(matches!(
        found[1].unreadable["tags"],
        ProviderError::Denied { .. }
    ));
    assert!(found[0].unreadable.is_empty() && found[2].unreadable.is_empty());
    // A list that is cut short is no list.
    log.heal();
    log.inject(Rule::new(Fault::Truncate(300)).path("/"));
    assert!(through.find(&query).await.is_err());
    drop(provider);
}

#[tokio::test]
async fn a_search_that_goes_round_in_a_circle_ends() {
    let store = localstack().await;
    let log = RequestLog::start(store).await.unwrap();
    let page = "<ListAllMyBucketsResult><Buckets><Bucket><Name>abc</Name><BucketRegion>us-east-1</BucketRegion></Bucket></Buckets><ContinuationToken>again</ContinuationToken></ListAllMyBucketsResult>";
    log.inject(Rule::new(Fault::Answer(Answer {
        status: 200,
        headers: Vec::new(),
        body: page.to_owned(),
    })));
    let provider = open(log.store(), &[]).await;
    let query = Query {
        kind: "s3/Bucket".into(),
        api: None,
        namespace: None,
        selector: None,
        name_prefix: None,
        read: std::collections::BTreeSet::new(),
    };
    let answer = provider.find(&query).await;
    assert!(
        matches!(answer, Err(ProviderError::Unavailable { .. })),
        "{answer:?}"
    );
    assert_eq!(log.requests().len(), 2);
}

#[tokio::test]
async fn the_keys_show_nowhere() {
    let store = ObjectStore {
        secret_key: "hunter2-secret".to_owned(),
        access_key: "AKIAHUNTER2".to_owned(),
        ..localstack().await.clone()
    };
    let provider = open(&store, &[]).await;
    let key = fresh_key();
    let mut printed = format!("{provider:?}");
    printed += &format!("{:?}", observe(provider.as_ref(), &key, &MANAGED).await);
    let nobody = ObjectStore {
        endpoint: "http://127.0.0.1:1".to_owned(),
        ..store
    };
    let unreachable = open(&nobody, &[]).await;
    printed += &format!(
        "{unreachable:?} {:?}",
        observe(unreachable.as_ref(), &key, &MANAGED).await
    );
    for secret in ["hunter2-secret", "AKIAHUNTER2", "Signature="] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
