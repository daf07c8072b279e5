//! Random documents, made from the shape of each facet, through a real server and back.
//!
//! The server is the judge of what is valid: what it refuses says nothing. What it takes must come back as it was
//! declared. It reads and writes documents by the service's own model, in which it shares no code with this crate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod subject;

use std::collections::BTreeSet;

use futures::future::join_all;
use holdfast_contract::{Desired, Facet, Field, Kind, ListIdentity, ProviderError, Shape, Value};
use holdfast_s3::BucketKind;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use subject::calls::{localstack, made, present, setting};
use subject::{make_destination, open};

/// So many documents of each facet are tried.
const TRIES: usize = 30;

/// The facets, and of how many of its documents the server must take one at least: it checks what a document means,
/// too, and a random one rarely makes sense where fields exclude each other.
const FACETS: &[(&str, usize)] = &[
    ("accelerate", 2),
    ("analytics", 4),
    ("cors", 4),
    ("encryption", 4),
    ("intelligentTiering", 8),
    ("inventory", 4),
    ("lifecycle", 40),
    ("logging", 8),
    ("metrics", 4),
    ("notification", 40),
    ("objectLock", 40),
    ("ownershipControls", 2),
    ("publicAccessBlock", 2),
    ("replication", 8),
    ("requestPayment", 2),
    ("tags", 4),
    ("versioning", 8),
    ("website", 40),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_takes_of_random_documents_comes_back_as_declared() {
    let store = localstack().await;
    make_destination(store).await;
    let provider = open(store, &[]).await;
    let kind = BucketKind::new();
    let mut runner = TestRunner::deterministic();
    let runs = FACETS.iter().map(|(name, one_in)| {
        let strategy = value(kind.shape().field(name), name);
        let documents: Vec<Value> = (0..TRIES)
            .map(|_| strategy.new_tree(&mut runner).unwrap().current())
            .collect();
        (*name, *one_in, documents)
    });
    let runs: Vec<_> = runs.collect();
    let runs = runs.into_iter().map(|(name, one_in, documents)| {
        let (provider, kind) = (provider.as_ref(), &kind);
        async move {
            let key = made(store).await;
            let versions = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
            let versioning = format!("/{}?versioning", key.name);
            store.done("PUT", &versioning, versions).await.unwrap();
            let facet = Facet::from(name);
            let mut taken = 0;
            let mut refusals = Vec::new();
            for document in documents {
                // Over what the one before has left: that is foreign, and stays.
                let observed = present(provider, &key, &[name]).await;
                let json = document.expose_json().unwrap();
                match provider.write(&setting(name, json.clone(), &observed)).await {
                    Ok(written) => assert_eq!(written.unsupported, Vec::<String>::new(), "{name}: {json}"),
                    Err(error @ (ProviderError::Invalid { .. } | ProviderError::Denied { .. })) => {
                        refusals.push(format!("{error}: {json}"));
                        continue;
                    }
                    Err(error) => panic!("{name}: {error}: {json}"),
                }
                taken += 1;
                let after = present(provider, &key, &[name]).await;
                let left = kind.compare(&facet, &Desired::new(document), Some(&after), "");
                assert_eq!(left, vec![], "{name}: {json}");
            }
            (taken * one_in < TRIES).then(|| {
                refusals.truncate(3);
                format!(
                    "{name}: only {taken} of {TRIES} were taken: {}",
                    refusals.join("; ")
                )
            })
        }
    });
    let faults: Vec<String> = join_all(runs).await.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Documents of that shape. `name` is the field's, which says what its text stands for.
fn value(shape: &Shape, name: &str) -> BoxedStrategy<Value> {
    match shape {
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Integer => (1..400_i64).prop_map(Value::from).boxed(),
        Shape::String { one_of } if !one_of.is_empty() => {
            proptest::sample::select(*one_of).prop_map(Value::from).boxed()
        }
        Shape::String { .. } => text(name),
        Shape::Map(_) => {
            let value = || "[a-zA-Z0-9 +=._:/@é-]{1,12}".prop_map(Value::from);
            proptest::collection::btree_map("[a-zA-Z0-9 +=._:/@-]{1,12}", value(), 1..5)
                .prop_map(Value::Map)
                .boxed()
        }
        Shape::Object(fields) => {
            // This server doesn't know deletion with a second factor, and the service takes it with one only.
            let known = fields.iter().filter(|(name, _)| **name != "mfaDelete");
            let fields: Vec<_> = known.map(|(name, field)| entry(name, field)).collect();
            fields
                .prop_map(|fields| Value::Map(fields.into_iter().flatten().collect()))
                .boxed()
        }
        Shape::List { item, identity } => {
            let keyed = matches!(identity, ListIdentity::Keyed(_));
            let most = if matches!(identity, ListIdentity::Atomic) {
                2
            } else {
                4
            };
            proptest::collection::vec(value(item, name), 1..most)
                .prop_map(move |items| {
                    let mut seen = BTreeSet::new();
                    let text = |item: &Value| {
                        if keyed {
                            item.get("id").unwrap().to_string()
                        } else {
                            item.to_string()
                        }
                    };
                    items
                        .into_iter()
                        .filter(|item| seen.insert(text(item)))
                        .collect::<Value>()
                })
                .boxed()
        }
        Shape::Number | Shape::Any => Just(Value::from("any")).boxed(),
    }
}

fn entry(name: &'static str, field: &Field) -> BoxedStrategy<Option<(String, Value)>> {
    let named = value(&field.shape, name).prop_map(move |value| (name.to_owned(), value));
    if field.required {
        named.prop_map(Some).boxed()
    } else {
        proptest::option::of(named).boxed()
    }
}

fn text(name: &str) -> BoxedStrategy<Value> {
    let destination = subject::DESTINATION;
    match name {
        "bucket" => Just(format!("arn:aws:s3:::{destination}"))
            .prop_map(Value::from)
            .boxed(),
        "targetBucket" => Just(Value::from(destination)).boxed(),
        "date" => Just(Value::from("2040-01-01T00:00:00Z")).boxed(),
        "events" => proptest::sample::select(vec!["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"])
            .prop_map(Value::from)
            .boxed(),
        "optionalFields" => proptest::sample::select(vec!["ETag", "Size", "StorageClass"])
            .prop_map(Value::from)
            .boxed(),
        "topicArn" => Just(Value::from("arn:aws:sns:us-east-1:000000000000:t")).boxed(),
        "queueArn" => Just(Value::from("arn:aws:sqs:us-east-1:000000000000:q")).boxed(),
        "lambdaFunctionArn" => Just(Value::from("arn:aws:lambda:us-east-1:000000000000:function:f")).boxed(),
        "role" => Just(Value::from("arn:aws:iam::000000000000:role/r")).boxed(),
        "id" => "[a-zA-Z0-9_.-]{1,20}".prop_map(Value::from).boxed(),
        "httpRedirectCode" => Just(Value::from("301")).boxed(),
        "httpErrorCodeReturnedEquals" => Just(Value::from("404")).boxed(),
        _ => "[a-zA-Z0-9 +=._:/@<>&\"'é-]{1,16}".prop_map(Value::from).boxed(),
    }
}
