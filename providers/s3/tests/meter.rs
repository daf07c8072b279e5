//! Each request is measured: what the meter has counted is what went by on the way to the store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    reason = "tests"
)]

mod subject;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use holdfast_contract::{
    CredentialSource, Measured, Meter, ProviderConfig, ProviderFactory, Sensitive, Value, Wanted,
};
use holdfast_s3::S3Factory;
use holdfast_testbed::{Action as Fault, RequestLog, Rule};
use serde_json::json;
use subject::calls::{creation, localstack};
use subject::fresh_key;

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Measured>>);

impl Meter for Kept {
    fn measure(&self, request: &Measured) {
        self.0.lock().unwrap().push(*request);
    }
}

#[tokio::test]
async fn every_try_is_counted_under_the_services_own_name() {
    let log = RequestLog::start(localstack().await).await.unwrap();
    let store = log.store();
    let meter = Arc::new(Kept::default());
    let secret = |text: &str| Sensitive::new(Value::from(text));
    let config = ProviderConfig {
        name: "s3".into(),
        settings: BTreeMap::from([("endpoint".to_owned(), Value::from(store.endpoint.as_str()))]),
        account: None,
        credentials: Some(CredentialSource::Secret {
            origin: "test/keys".to_owned(),
            data: BTreeMap::from([
                ("aws_access_key_id".to_owned(), secret(&store.access_key)),
                ("aws_secret_access_key".to_owned(), secret(&store.secret_key)),
            ]),
        }),
    };
    let factory = S3Factory::new().with_meter(Arc::clone(&meter) as Arc<dyn Meter>);
    let provider = factory.open(config).await.unwrap();
    let key = fresh_key();
    provider
        .write(&creation(&key, json!({ "is": "new" })))
        .await
        .unwrap();
    // Slowed down once, failed once, then answered: three requests.
    let acl = |fault| Rule::new(fault).query("acl");
    log.inject(acl(Fault::error(503, "SlowDown")).nth(1));
    log.inject(acl(Fault::error(500, "InternalError")).nth(2));
    let wanted = Wanted {
        key: key.clone(),
        facets: ["bucket", "acl", "encryption", "metrics"].map(Into::into).into(),
    };
    provider.observe(&[wanted]).await.pop().unwrap().unwrap();
    let kept = std::mem::take(&mut *meter.0.lock().unwrap());
    assert!(kept.iter().all(|one| one.provider == "s3"));
    let of = |operation: &str| {
        let of = kept.iter().filter(|one| one.operation == operation);
        of.map(|one| one.outcome).collect::<Vec<_>>()
    };
    assert_eq!(of("GetBucketAcl"), ["throttled", "failed", "ok"]);
    assert_eq!(of("CreateBucket"), ["ok"]);
    let operations: BTreeSet<&str> = kept.iter().map(|one| one.operation).collect();
    for name in [
        "HeadBucket",
        "GetBucketEncryption",
        "ListBucketMetricsConfigurations",
    ] {
        assert!(operations.contains(name), "{operations:?}");
    }
    assert_eq!(kept.len(), log.requests().len(), "{kept:?}");
}
