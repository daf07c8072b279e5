//! What is written, and what is not, where the store, or the way to it, misbehaves; by what goes over the wire.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod subject;

use std::sync::Arc;

use holdfast_contract::{
    Action, Desired, Facet, FacetState, Kind, Observation, Observed, ProviderError, Value,
};
use holdfast_s3::BucketKind;
use holdfast_testbed::{Action as Fault, Answer, Request, RequestLog, Rule};
use serde_json::json;
use subject::calls::{creation, localstack, made, observe, present, setting, write, writes};
use subject::{documents, fresh_key, open};

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
    let puts: Vec<_> = log.requests().into_iter().filter(Request::is_write).collect();
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

/// The name may be another account's, of which nothing is to be seen.
#[tokio::test]
async fn a_name_that_is_taken_and_not_to_be_seen_is_somebody_elses() {
    let log = RequestLog::start(localstack().await).await.unwrap();
    let provider = open(log.store(), &[]).await;
    log.inject(
        Rule::new(Fault::error(409, "BucketAlreadyExists"))
            .method("PUT")
            .query(""),
    );
    let key = fresh_key();
    let error = provider
        .write(&creation(&key, json!({"a": "b"})))
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Foreign { .. }), "{error}");
    assert_eq!(writes(&log), ["PUT "], "one try is enough");
}

/// In us-east-1 making one's own bucket again succeeds, and resets its access list.
#[tokio::test]
async fn no_bucket_is_made_that_was_not_looked_for_right_before() {
    let store = localstack().await;
    let log = RequestLog::start(store).await.unwrap();
    let provider = open(log.store(), &[]).await;
    let key = fresh_key();
    let creation = creation(&key, json!({"a": "b"}));
    provider.write(&creation).await.unwrap();
    let order: Vec<String> = log
        .requests()
        .into_iter()
        .filter(|request| request.query.is_empty() && request.path.contains(&key.name))
        .map(|request| request.method)
        .collect();
    assert_eq!(order, ["HEAD", "PUT"]);
    // A second engine, or the same one after a crash: it is there, and is ours.
    log.clear();
    provider.write(&creation).await.unwrap();
    assert_eq!(writes(&log), [""; 0]);
    // Also where it was made between our look and our call, whose answer was lost.
    log.inject(Rule::new(Fault::status(404)).method("HEAD").nth(1));
    log.inject(Rule::new(Fault::DropAnswer).method("PUT").query(""));
    provider.write(&creation).await.unwrap();
    assert_eq!(writes(&log), ["PUT "], "it is read back, and not made again");
}

/// A store that has no token service doesn't know the account that a request names.
#[tokio::test]
async fn where_nobody_says_who_we_are_a_bucket_is_written_only_if_it_is_in_our_own_list() {
    let store = localstack().await;
    let key = made(store).await;
    let log = RequestLog::start(store).await.unwrap();
    let provider = open(log.store(), &[]).await;
    let observed = present(provider.as_ref(), &key, &["versioning"]).await;
    let enabled = json!({"status": "Enabled"});
    let empty = "<ListAllMyBucketsResult><Owner/><Buckets/></ListAllMyBucketsResult>";
    let without = Fault::Answer(Answer {
        status: 200,
        headers: vec![("content-type".into(), "application/xml".into())],
        body: empty.into(),
    });
    log.inject(Rule::new(without).path("/").method("GET"));
    let error = provider
        .write(&setting("versioning", enabled.clone(), &observed))
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("own buckets"), "{error}");
    assert_eq!(writes(&log), [""; 0]);
    log.heal();
    log.clear();
    provider
        .write(&setting("versioning", enabled, &observed))
        .await
        .unwrap();
    let lists = || {
        let requests = log.requests().into_iter();
        requests.filter(|request| request.path == "/").count()
    };
    assert_eq!(lists(), 1);
    let observed = present(provider.as_ref(), &key, &["versioning"]).await;
    provider
        .write(&setting("versioning", json!({"status": "Suspended"}), &observed))
        .await
        .unwrap();
    assert_eq!(lists(), 1, "asked once for each bucket");
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
                observed: Arc::new(observed.clone()),
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
async fn every_element_of_a_lifecycle_is_kept() {
    let provider = open(localstack().await, &[]).await;
    let key = made(localstack().await).await;
    let observed = present(provider.as_ref(), &key, &["lifecycle"]).await;
    let tag = json!({"key": "k", "value": "v"});
    let document = json!({
        "transitionDefaultMinimumObjectSize": "varies_by_storage_class",
        "rules": [
            {"id": "whole", "status": "Disabled", "filter": {}, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}},
            {"id": "prefix", "status": "Enabled", "filter": {"prefix": "a/<&> \"é"}, "expiration": {"date": "2040-01-01"}},
            {"id": "tag", "status": "Enabled", "filter": {"tag": tag}, "expiration": {"days": 400},
             "transitions": [{"days": 30, "storageClass": "STANDARD_IA"}, {"days": 90, "storageClass": "GLACIER"}]},
            {"id": "greater", "status": "Enabled", "filter": {"objectSizeGreaterThan": 1000}, "expiration": {"days": 5}},
            {"id": "less", "status": "Enabled", "filter": {"objectSizeLessThan": 1000}, "expiration": {"days": 5}},
            {"id": "markers", "status": "Enabled", "filter": {"prefix": "m/"}, "expiration": {"expiredObjectDeleteMarker": true}},
            {"id": "and", "status": "Enabled",
             "filter": {"and": {"prefix": "b/", "tags": [tag, {"key": "l", "value": "w"}],
                                "objectSizeGreaterThan": 5, "objectSizeLessThan": 1000}},
             "noncurrentVersionTransitions": [
                {"noncurrentDays": 30, "storageClass": "STANDARD_IA", "newerNoncurrentVersions": 3}],
             "noncurrentVersionExpiration": {"noncurrentDays": 100, "newerNoncurrentVersions": 5}},
        ]
    });
    let written = provider
        .write(&setting("lifecycle", document.clone(), &observed))
        .await
        .unwrap();
    assert_eq!(written.unsupported, Vec::<String>::new());
    let observed = present(provider.as_ref(), &key, &["lifecycle"]).await;
    let left = BucketKind::new().compare(
        &"lifecycle".into(),
        &Desired::new(Value::from_json(document)),
        Some(&observed),
        "",
    );
    assert_eq!(left, vec![]);
}

#[tokio::test]
async fn settings_of_one_bucket_are_written_one_after_another() {
    let store = localstack().await;
    let key = made(store).await;
    let log = RequestLog::start(store).await.unwrap();
    log.inject(Rule::new(Fault::Delay(std::time::Duration::from_millis(50))).method("PUT"));
    let provider = open(log.store(), &[]).await;
    let facets = ["tags", "versioning", "cors", "lifecycle"];
    let observed = present(provider.as_ref(), &key, &facets).await;
    let writes = facets.map(|facet| setting(facet, documents(&key)[facet].clone(), &observed));
    for written in futures::future::join_all(writes.iter().map(|write| provider.write(write))).await {
        written.unwrap();
    }
    let mut puts: Vec<_> = log.requests().into_iter().filter(Request::is_write).collect();
    puts.sort_by_key(|put| put.started);
    assert_eq!(puts.len(), facets.len());
    for pair in puts.windows(2) {
        assert!(
            pair[0].finished.unwrap() <= pair[1].started,
            "{} and {} at once",
            pair[0].query,
            pair[1].query
        );
    }
}

/// What denies plain HTTP is not written where plain HTTP is how the store is reached, wherever the endpoint stands.
#[tokio::test]
async fn a_policy_that_would_lock_us_out_is_not_written() {
    let elsewhere = holdfast_testbed::ObjectStore {
        endpoint: "http://store.example".to_owned(),
        ..localstack().await.clone()
    };
    let provider = open(&elsewhere, &[]).await;
    let observed = Observed {
        key: fresh_key(),
        uid: None,
        version: None,
        deleting: false,
        facets: std::collections::BTreeMap::new(),
    };
    let policy = json!({"Statement": [{
        "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }]});
    let refused = provider.write(&setting("policy", policy, &observed)).await;
    let Err(ProviderError::Invalid { message, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(message.contains("TlsOnly denies plain HTTP"), "{message}");
}
