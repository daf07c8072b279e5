//! What is read, and what is said where the store, or the way to it, misbehaves; by what goes over the wire.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod subject;

use holdfast_contract::{Facet, FacetState, ProviderError};
use holdfast_testbed::{Action as Fault, Answer, ObjectStore, RequestLog, Rule, SeaweedFs, round_trips};
use serde_json::json;
use subject::calls::{MANAGED, creation, localstack, made, observe, present, setting, writes};
use subject::{documents, fresh_key, open, open_as};

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

/// One that is refused either way, and isn't among our own, is another account's.
#[tokio::test]
async fn a_bucket_that_is_refused_and_not_ours_is_foreign_and_one_of_ours_is_denied() {
    let store = localstack().await;
    let log = RequestLog::start(store).await.unwrap();
    let provider = open(log.store(), &[]).await;
    let (ours, theirs) = (made(store).await, fresh_key());
    for key in [&ours, &theirs] {
        log.inject(Rule::new(Fault::error(403, "AccessDenied")).path(&format!("/{}", key.name)));
    }
    let denied = observe(provider.as_ref(), &ours, &["tags"]).await.unwrap_err();
    assert!(matches!(denied, ProviderError::Denied { .. }), "{denied}");
    let foreign = observe(provider.as_ref(), &theirs, &["tags"]).await.unwrap_err();
    assert!(matches!(foreign, ProviderError::Foreign { .. }), "{foreign}");
    // A list that can't be had says nothing.
    log.inject(
        Rule::new(Fault::error(403, "AccessDenied"))
            .path("/")
            .method("GET"),
    );
    let unknown = observe(provider.as_ref(), &theirs, &["tags"]).await.unwrap_err();
    assert!(matches!(unknown, ProviderError::Denied { .. }), "{unknown}");
}

#[tokio::test]
async fn the_account_that_was_remembered_is_named_from_the_first_request_on() {
    let store = localstack().await;
    let key = made(store).await;
    let log = RequestLog::start(store).await.unwrap();
    let provider = open_as(log.store(), &[], Some("000000000000")).await;
    present(provider.as_ref(), &key, &["tags"]).await;
    assert_eq!(log.requests().len(), 2, "nothing is asked twice");
    for request in log.requests() {
        assert_eq!(request.headers["x-amz-expected-bucket-owner"], "000000000000");
    }
    // It is no answer to the question who we are.
    assert_eq!(provider.account().await.unwrap(), None);
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
    let seen = observe(provider.as_ref(), &key, &MANAGED).await;
    let nobody = ObjectStore {
        endpoint: "http://127.0.0.1:1".to_owned(),
        ..store
    };
    let unreachable = open(&nobody, &[]).await;
    let failed = observe(unreachable.as_ref(), &key, &MANAGED).await;
    let printed = format!("{provider:?} {unreachable:?} {seen:?} {failed:?}");
    for secret in ["hunter2-secret", "AKIAHUNTER2", "Signature="] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_not_a_missing_permission() {
    let store = SeaweedFs::shared().await.unwrap().store();
    let key = fresh_key();
    for wrong in [
        ObjectStore {
            secret_key: "wrong".to_owned(),
            ..store.clone()
        },
        ObjectStore {
            access_key: "nobody".to_owned(),
            ..store.clone()
        },
    ] {
        let provider = open(&wrong, &[]).await;
        let error = observe(provider.as_ref(), &key, &["tags"]).await.unwrap_err();
        assert!(matches!(error, ProviderError::Unauthenticated { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_block_of_the_whole_account_is_read_where_it_is_asked_for() {
    let store = localstack().await;
    let key = made(store).await;
    let log = RequestLog::start(store).await.unwrap();
    let account = "000000000000";
    let provider = open(log.store(), &[("account", account.into())]).await;
    let facet = Facet::from("accountPublicAccessBlock");
    let observed = present(provider.as_ref(), &key, &["accountPublicAccessBlock"]).await;
    assert!(
        matches!(observed.facets[&facet], FacetState::Unset),
        "{observed:?}"
    );
    let asked = log
        .requests()
        .into_iter()
        .find(|request| request.path == "/v20180820/configuration/publicAccessBlock")
        .unwrap();
    assert_eq!(asked.headers["x-amz-account-id"], account);
    let block = Answer {
        status: 200,
        headers: Vec::new(),
        body: "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>".to_owned(),
    };
    log.inject(Rule::new(Fault::Answer(block)).path("/v20180820/configuration/publicAccessBlock"));
    let observed = present(provider.as_ref(), &key, &["accountPublicAccessBlock"]).await;
    assert_eq!(
        observed.value(&facet).unwrap().to_string(),
        r#"{"blockPublicAcls":true}"#
    );
    log.clear();
    let observed = present(provider.as_ref(), &key, &["tags"]).await;
    assert!(!observed.facets.contains_key(&facet));
    assert!(
        log.requests()
            .iter()
            .all(|request| !request.path.contains("v20180820"))
    );
}

#[tokio::test]
async fn a_store_without_accounts_has_no_block_of_theirs() {
    let store = SeaweedFs::shared().await.unwrap().store();
    let key = made(store).await;
    let facet = Facet::from("accountPublicAccessBlock");
    for settings in [&[][..], &[("account", "111122223333".into())]] {
        let provider = open(store, settings).await;
        let observed = present(provider.as_ref(), &key, &["accountPublicAccessBlock"]).await;
        assert!(
            matches!(
                observed.facets[&facet],
                FacetState::Unreadable(ProviderError::Unsupported { .. })
            ),
            "{observed:?}"
        );
    }
}
