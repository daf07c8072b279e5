//! Buckets on four object stores: what each can do is kept as declared, and what it lacks is told once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{
    CredentialSource, Holder, Kind, Provider, ProviderConfig, ProviderError, ProviderFactory, Registry,
    Sensitive, Shape, StateStore, Value,
};
use holdfast_engine::{ApplyOptions, Clock, Engine, Report, Stop, Timing};
use holdfast_memory::World;
use holdfast_policy::{load_text, render, validate};
use holdfast_s3::S3Factory;
use holdfast_testbed::{CephRgw, LocalStack, Moto, ObjectStore, Request, RequestLog, SeaweedFs};

/// Opens providers of one store, with its keys.
#[derive(Debug)]
struct OnStore {
    factory: S3Factory,
    store: ObjectStore,
}

#[async_trait]
impl ProviderFactory for OnStore {
    fn provider_type(&self) -> &'static str {
        self.factory.provider_type()
    }

    fn kinds(&self) -> Vec<Arc<dyn Kind>> {
        self.factory.kinds()
    }

    fn settings(&self) -> &Shape {
        self.factory.settings()
    }

    async fn open(&self, mut config: ProviderConfig) -> Result<Arc<dyn Provider>, ProviderError> {
        let endpoint = Value::from(self.store.endpoint.as_str());
        config.settings.insert("endpoint".to_owned(), endpoint);
        let key = |text: &str| Sensitive::new(Value::from(text));
        config.credentials = Some(CredentialSource::Secret {
            origin: "test/keys".to_owned(),
            data: BTreeMap::from([
                ("aws_access_key_id".to_owned(), key(&self.store.access_key)),
                ("aws_secret_access_key".to_owned(), key(&self.store.secret_key)),
            ]),
        });
        self.factory.open(config).await
    }
}

/// One store, seen through a proxy that counts, and one ledger.
struct Shop {
    log: RequestLog,
    state: World,
    bucket: String,
}

impl Shop {
    async fn on(store: &ObjectStore) -> Self {
        Self {
            log: RequestLog::start(store).await.unwrap(),
            state: World::new(&Registry::default()),
            bucket: format!("stores-{:016x}", getrandom::u64().unwrap()),
        }
    }

    /// As a process of its own would see it: nothing is known but what the ledger holds.
    fn engine(&self) -> Engine {
        let factory = OnStore {
            factory: S3Factory::new(),
            store: self.log.store().clone(),
        };
        let state: Arc<dyn StateStore> = Arc::new(self.state.clone());
        Engine {
            registry: Registry::default().with(Arc::new(factory)),
            state,
            clock: Clock::System,
        }
    }
}

impl Shop {
    fn policy(&self, desired: &str) -> holdfast_policy::ValidPolicy {
        let text = format!(
            "apiVersion: holdfast.dev/v1alpha1
kind: Policy
metadata: {{ name: stores }}
spec:
  language: 1
  rules:
    bucket:
      ensure: s3/Bucket
      name: {}
      allow: [EnableObjectLock, LockRetention]
      desired:
        {}
",
            self.bucket,
            desired.replace('\n', "\n        ")
        );
        let registry = self.engine().registry;
        validate(&load_text("policy.yaml", &text), &registry)
            .unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)))
    }

    async fn apply(&self, desired: &str) -> Report {
        let (engine, policy) = (self.engine(), self.policy(desired));
        let parameters = engine.parameters(&policy, &[]).await;
        let parameters = parameters.unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)));
        let options = ApplyOptions {
            timing: Timing::default(),
            holder: Holder("test".to_owned()),
            timeout: Duration::from_mins(1),
            wait: true,
            stop: Stop::default(),
        };
        engine
            .apply(&policy, &parameters, &options, &|_| {})
            .await
            .unwrap()
    }

    /// The writes that the store has seen since it was last asked.
    fn writes(&self) -> Vec<String> {
        let requests = self.log.requests();
        self.log.clear();
        requests
            .into_iter()
            .filter(Request::is_write)
            .map(|request| format!("{} {}", request.method, request.query))
            .collect()
    }

    /// What a plan would change, and what it says can't be, by facet.
    async fn plan(&self, desired: &str) -> (Report, BTreeMap<String, String>) {
        let (engine, policy) = (self.engine(), self.policy(desired));
        let parameters = engine.parameters(&policy, &[]).await;
        let parameters = parameters.unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)));
        let report = engine.plan(&policy, &parameters).await.unwrap();
        let blocked = report.resources[0].blocked.clone();
        (report, blocked)
    }
}

fn shown(report: &Report) -> String {
    serde_json::to_string_pretty(report).unwrap()
}

/// What all four can do.
const COMMON: &str = "
tags: { owner: reporting, 'a b': '' }
versioning: { status: Enabled }
cors:
  corsRules:
    - { id: web, allowedMethods: [PUT, GET], allowedOrigins: [ 'https://b.example', 'https://a.example' ], maxAgeSeconds: 30 }
policy:
  Statement:
    - Sid: NothingSecret
      Effect: Deny
      Principal: '*'
      Action: s3:PutObject
      Resource: '${self.arn}/secret/*'
    - Sid: NoBreaking
      Effect: Deny
      Principal: { AWS: '*' }
      Action: [ s3:DeleteBucketPolicy ]
      Resource: [ '${self.arn}' ]
      Condition: { StringEquals: { 'aws:PrincipalAccount': '999999999999' } }
lifecycle:
  rules:
    - { id: old, status: Enabled, filter: { and: { prefix: b/, tags: [ { key: k, value: v }, { key: l, value: w } ] } }, expiration: { days: 9 } }
    - { id: all, status: Enabled, filter: {}, abortIncompleteMultipartUpload: { daysAfterInitiation: 7 } }
    - { id: versions, status: Enabled, filter: { prefix: a/ }, noncurrentVersionExpiration: { noncurrentDays: 30 } }
objectLock: { objectLockEnabled: Enabled, rule: { defaultRetention: { mode: GOVERNANCE, days: 1 } } }
";

const PRIVATE: &str = "
publicAccessBlock: { blockPublicAcls: true, ignorePublicAcls: true, blockPublicPolicy: true, restrictPublicBuckets: true }
";
const OWNED: &str = "
ownershipControls: { rules: [ { objectOwnership: BucketOwnerPreferred } ] }
";
const ENCRYPTED: &str = "
encryption: { rules: [ { applyServerSideEncryptionByDefault: { sseAlgorithm: AES256 } } ] }
";
const MOVING: &str = "
lifecycle:
  rules:
    - { id: old, status: Enabled, filter: {}, transitions: [ { days: 30, storageClass: STANDARD_IA }, { days: 90, storageClass: GLACIER } ] }
";

async fn a_plan_after_an_apply_is_empty(store: &ObjectStore, parts: &[&str]) {
    let shop = Shop::on(store).await;
    let desired = parts.concat();
    let report = shop.apply(&desired).await;
    assert!(report.is_converged(), "{}", shown(&report));
    assert!(!shop.writes().is_empty(), "the proxy saw nothing");
    let (report, blocked) = shop.plan(&desired).await;
    assert_eq!(blocked, BTreeMap::new());
    assert!(report.resources[0].action.is_none(), "{}", shown(&report));
    let again = shop.apply(&desired).await;
    assert!(again.is_converged());
    assert_eq!(shop.writes(), [""; 0]);
}

#[tokio::test]
async fn a_plan_after_an_apply_is_empty_on_localstack() {
    let store = LocalStack::shared().await.unwrap();
    let all = [COMMON, PRIVATE, OWNED, ENCRYPTED];
    a_plan_after_an_apply_is_empty(store.store(), &all).await;
    a_plan_after_an_apply_is_empty(store.store(), &[MOVING]).await;
}

#[tokio::test]
async fn a_plan_after_an_apply_is_empty_on_moto() {
    let store = Moto::shared().await.unwrap();
    let all = [COMMON, PRIVATE, OWNED, ENCRYPTED];
    a_plan_after_an_apply_is_empty(store.store(), &all).await;
    a_plan_after_an_apply_is_empty(store.store(), &[MOVING]).await;
}

#[tokio::test]
async fn a_plan_after_an_apply_is_empty_on_seaweedfs() {
    let store = SeaweedFs::shared().await.unwrap();
    a_plan_after_an_apply_is_empty(store.store(), &[COMMON, OWNED, ENCRYPTED]).await;
}

#[tokio::test]
async fn a_plan_after_an_apply_is_empty_on_ceph() {
    let store = CephRgw::shared().await.unwrap();
    a_plan_after_an_apply_is_empty(store.store(), &[COMMON, PRIVATE]).await;
    a_plan_after_an_apply_is_empty(store.store(), &[MOVING]).await;
}

/// Applies what the store lacks a part of, twice, each time as a process of its own: it is told both times, written
/// once, and holds up nothing else.
async fn is_told_and_written_once(store: &ObjectStore, desired: &str, facet: &str, told: &str) {
    let shop = Shop::on(store).await;
    let whole = format!("tags: {{ owner: reporting }}\n{desired}");
    shop.apply(&whole).await;
    let path = format!("/{}?tagging", shop.bucket);
    let tags = store.done("GET", &path, "").await.unwrap();
    assert!(tags.contains("reporting"), "the rest goes on");
    let first = shop.writes();
    let (report, blocked) = shop.plan(&whole).await;
    assert!(blocked[facet].contains(told), "{blocked:?}");
    assert!(report.resources[0].action.is_none(), "{}", shown(&report));
    shop.apply(&whole).await;
    assert_eq!(shop.writes(), [""; 0], "after {first:?}");
}

const NO_CLIENT_KEYS: &str = "
encryption:
  rules:
    - applyServerSideEncryptionByDefault: { sseAlgorithm: AES256 }
      blockedEncryptionTypes: { encryptionType: [ SSE-C ] }
";
const BIG: &str = "
lifecycle:
  rules:
    - { id: big, status: Enabled, filter: { objectSizeGreaterThan: 5 }, expiration: { days: 9 } }
";

#[tokio::test]
async fn what_a_store_drops_in_silence_is_told_and_not_written_again() {
    let keys = "the store does not keep encryption.rules[0].blockedEncryptionTypes";
    let size = "the store does not keep lifecycle.rules[big].filter.objectSizeGreaterThan";
    let (moto, weed) = (Moto::shared().await.unwrap(), SeaweedFs::shared().await.unwrap());
    is_told_and_written_once(moto.store(), NO_CLIENT_KEYS, "encryption", keys).await;
    is_told_and_written_once(weed.store(), NO_CLIENT_KEYS, "encryption", keys).await;
    is_told_and_written_once(moto.store(), BIG, "lifecycle", size).await;
    let ceph = CephRgw::shared().await.unwrap();
    is_told_and_written_once(ceph.store(), BIG, "lifecycle", size).await;
}

#[tokio::test]
async fn what_a_store_does_not_know_is_told_and_never_written() {
    let (moto, ceph) = (Moto::shared().await.unwrap(), CephRgw::shared().await.unwrap());
    let metrics = "metrics: { metricsConfigurationList: [ { id: all } ] }\n";
    is_told_and_written_once(moto.store(), metrics, "metrics", "does not support metrics").await;
    is_told_and_written_once(ceph.store(), metrics, "metrics", "does not support metrics").await;
    let told = "does not support encryption";
    is_told_and_written_once(ceph.store(), ENCRYPTED, "encryption", told).await;
    let weed = SeaweedFs::shared().await.unwrap();
    let told = "s3:GetBucketPublicAccessBlock";
    is_told_and_written_once(weed.store(), PRIVATE, "publicAccessBlock", told).await;
}

/// What it shows and doesn't take is tried once in each run; it must never be taken for the making of a bucket.
#[tokio::test]
async fn what_a_store_shows_and_does_not_take_is_unsupported() {
    let weed = SeaweedFs::shared().await.unwrap();
    let shop = Shop::on(weed.store()).await;
    let report = shop
        .apply("tags: { a: b }\naccelerate: { status: Enabled }\n")
        .await;
    let why = &report.resources[0].blocked["accelerate"];
    assert!(why.contains("does not support writing accelerate"), "{why}");
}

const TLS_ONLY: &str = "apiVersion: holdfast.dev/v1alpha1
kind: Policy
metadata: { name: locked-out }
spec:
  language: 1
  parameters: { endpoint: { type: string, default: 'http://store.example' }, tls: { type: boolean, default: true } }
  providers: { s3: { endpoint: \"http://store.example\" } }
  rules:
    bucket:
      ensure: s3/Bucket
      name: acme-data
      desired:
        tags: { owner: reporting }
        policy:
          Statement:
            - Sid: TlsOnly
              Effect: Deny
              Principal: '*'
              Action: s3:*
              Resource: [ '${self.arn}', '${self.arn}/*' ]
              Condition: { Bool: { aws:SecureTransport: 'false' } }
";

/// One run of the program on `policy`.
async fn said(policy: &str, command: &[&str]) -> holdfast_e2e::Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, policy).unwrap();
    let path = path.display().to_string();
    holdfast_e2e::sandbox(&[&[command[0], &path], &command[1..]].concat()).await
}

#[tokio::test]
async fn a_policy_that_locks_everybody_out_is_invalid_and_says_where() {
    let said_of = said(TLS_ONLY, &["validate"]).await.exits(3);
    drop(
        said_of
            .says("error[HF0303]")
            .says("policy.yaml:16:15")
            .says("TlsOnly denies plain HTTP")
            .says("store.example"),
    );
    let own = TLS_ONLY.replace("\"http://store.example\"", "\"http://127.0.0.1:9000\"");
    drop(said(&own, &["validate"]).await.exits(0).says("warning[HF0303]"));
    for harmless in [
        TLS_ONLY.replace("\"http://store.example\"", "\"https://store.example\""),
        TLS_ONLY.replace(
            "- Sid: TlsOnly",
            "- $when: parameters.tls\n              Sid: TlsOnly",
        ),
    ] {
        let valid = said(&harmless, &["validate"]).await.exits(0);
        assert!(!valid.stdout.contains("HF0303"), "{}", valid.stdout);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_learnt_later_blocks_the_policy_alone() {
    let later = TLS_ONLY.replace("\"http://store.example\"", "'${parameters.endpoint}'");
    drop(said(&later, &["validate"]).await.exits(0));
    let report = said(
        &later,
        &["apply", "--sandbox", "--output", "json", "--timeout", "5s"],
    )
    .await
    .report();
    let bucket = &report["resources"][0];
    let why = bucket["blocked"]["policy"].as_str().unwrap();
    assert!(why.contains("TlsOnly denies plain HTTP"), "{report:#}");
    assert_eq!(report["applied"]["created"], 1, "the rest goes on: {report:#}");
    let plan = said(&later, &["plan", "--sandbox"]).await;
    drop(plan.says("TlsOnly denies plain HTTP"));
}
