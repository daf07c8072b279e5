//! Buckets on a real store, with a client of the tests' own beside the provider.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of this module, and is compiled on its own"
)]

pub mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use holdfast_conformance::{Crowd, FacetFault, Fault, Outside, Planted, Subject};
use holdfast_contract::{
    CredentialSource, Desired, Facet, Kind, Path, Provider, ProviderConfig, ProviderError, ProviderFactory,
    Query, ResourceKey, Segment, Sensitive, Value,
};
use holdfast_s3::{BucketKind, S3Factory};
use holdfast_testbed::{Action, Answer, ObjectStore, RequestLog, Rule};
use serde_json::{Value as Json, json};

/// What a store can do.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// The facets that it knows.
    pub facets: &'static [&'static str],
    /// The setting under which it refuses every upload, if there is one: encryption that it can't do, or a block that it
    /// takes for more than it is.
    pub refuses_uploads_under: Option<&'static str>,
    /// How many buckets make more than one page.
    pub crowd: usize,
    /// Whether a creation takes its tags along: then there is no moment without them.
    pub tags_with_creation: bool,
}

/// Where copies, logs and lists are put.
pub const DESTINATION: &str = "holdfast-destination";

/// Buckets on one store.
#[derive(Debug)]
pub struct Buckets {
    pub store: ObjectStore,
    pub abilities: Abilities,
    provider: Arc<dyn Provider>,
    kind: BucketKind,
    proxies: Vec<RequestLog>,
    faults: Vec<Fault>,
    denied_facet: Option<FacetFault>,
}

/// A provider on `store`, with `settings` beside its endpoint.
pub async fn open(store: &ObjectStore, settings: &[(&str, Value)]) -> Arc<dyn Provider> {
    open_as(store, settings, None).await
}

/// The same, of an identity that had this account before.
pub async fn open_as(
    store: &ObjectStore,
    settings: &[(&str, Value)],
    account: Option<&str>,
) -> Arc<dyn Provider> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut all = BTreeMap::from([("endpoint".to_owned(), Value::from(store.endpoint.as_str()))]);
    all.extend(
        settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    let data = BTreeMap::from([
        (
            "aws_access_key_id".to_owned(),
            Sensitive::new(Value::from(store.access_key.as_str())),
        ),
        (
            "aws_secret_access_key".to_owned(),
            Sensitive::new(Value::from(store.secret_key.as_str())),
        ),
    ]);
    S3Factory::new()
        .open(ProviderConfig {
            name: "s3".into(),
            settings: all,
            account: account.map(str::to_owned),
            credentials: Some(CredentialSource::Secret {
                origin: "test/keys".to_owned(),
                data,
            }),
        })
        .await
        .unwrap()
}

/// The key of a bucket that nobody has.
pub fn fresh_key() -> ResourceKey {
    ResourceKey {
        provider: "s3".into(),
        kind: "s3/Bucket".into(),
        api: None,
        namespace: None,
        name: format!("holdfast-{:016x}", getrandom::u64().unwrap()),
        region: None,
    }
}

/// Makes the bucket that others name as their destination, unless it is there.
pub async fn make_destination(store: &ObjectStore) {
    let path = format!("/{DESTINATION}");
    let (status, body) = store.send("PUT", &path, "").await.unwrap();
    assert!(matches!(status, 200 | 409), "{status} {body}");
    let versions = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    store
        .done("PUT", &format!("{path}?versioning"), versions)
        .await
        .unwrap();
}

#[allow(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn outside(error: holdfast_testbed::Error) -> String {
    error.to_string()
}

impl Buckets {
    pub async fn on(store: &ObjectStore, abilities: Abilities) -> Self {
        make_destination(store).await;
        let mut proxies = Vec::new();
        let mut faults = Vec::new();
        for (name, action, is_expected) in faults_by_proxy() {
            let log = RequestLog::start(store).await.unwrap();
            log.inject(Rule::new(action));
            let provider = open(log.store(), &[]).await;
            proxies.push(log);
            faults.push(Fault {
                name,
                provider,
                is_expected,
            });
        }
        let nobody = ObjectStore {
            endpoint: "http://127.0.0.1:1".to_owned(),
            ..store.clone()
        };
        faults.push(Fault {
            name: "unreachable",
            provider: open(&nobody, &[]).await,
            is_expected: |error| matches!(error, ProviderError::Unavailable { .. }),
        });
        let denied = RequestLog::start(store).await.unwrap();
        denied.inject(
            Rule::new(Action::error(403, "AccessDenied"))
                .method("GET")
                .query("versioning"),
        );
        let denied_facet = Some(FacetFault {
            provider: open(denied.store(), &[]).await,
            facet: "versioning".into(),
        });
        proxies.push(denied);
        Self {
            provider: open(store, &[]).await,
            store: store.clone(),
            abilities,
            kind: BucketKind::new(),
            proxies,
            faults,
            denied_facet,
        }
    }

    fn locks(&self) -> bool {
        self.abilities.facets.contains(&"objectLock")
    }

    pub async fn get(&self, key: &ResourceKey, query: &str) -> Outside<String> {
        self.store
            .done("GET", &format!("/{}?{query}", key.name), "")
            .await
            .map_err(outside)
    }

    pub async fn put(&self, key: &ResourceKey, query: &str, body: &str) -> Outside<()> {
        self.store
            .done("PUT", &format!("/{}?{query}", key.name), body)
            .await
            .map(drop)
            .map_err(outside)
    }

    /// Puts `more` before the last `end` of the sub-resource's document.
    async fn add(&self, key: &ResourceKey, query: &str, end: &str, more: &str) -> Outside<()> {
        let document = self.get(key, query).await?;
        let (before, after) = document
            .rsplit_once(end)
            .ok_or_else(|| format!("no {end} in {document}"))?;
        self.put(key, query, &format!("{before}{more}{end}{after}")).await
    }
}

type IsExpected = fn(&ProviderError) -> bool;

fn faults_by_proxy() -> Vec<(&'static str, Action, IsExpected)> {
    let page = Action::Answer(Answer {
        status: 404,
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        body: "<html>no such page</html>".to_owned(),
    });
    vec![
        ("denied", Action::error(403, "AccessDenied"), |error| {
            matches!(error, ProviderError::Denied { .. })
        }),
        (
            "unauthenticated",
            Action::error(403, "InvalidAccessKeyId"),
            |error| matches!(error, ProviderError::Unauthenticated { .. }),
        ),
        (
            "redirected without a region",
            Action::error(301, "PermanentRedirect"),
            |error| matches!(error, ProviderError::Invalid { .. }),
        ),
        ("throttled", Action::error(503, "SlowDown"), |error| {
            matches!(error, ProviderError::Throttled { .. })
        }),
        ("failing", Action::error(500, "InternalError"), |error| {
            matches!(error, ProviderError::Unavailable { .. })
        }),
        ("cut off", Action::Reset, |error| {
            matches!(error, ProviderError::Unavailable { .. })
        }),
        ("behind somebody else's page", page, |error| {
            matches!(error, ProviderError::Unavailable { .. })
        }),
    ]
}

fn inventory(id: &str, frequency: &str) -> String {
    format!(
        "<InventoryConfiguration><Destination><S3BucketDestination><Bucket>arn:aws:s3:::{DESTINATION}</Bucket><Format>CSV</Format></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Id>{id}</Id><IncludedObjectVersions>Current</IncludedObjectVersions><Schedule><Frequency>{frequency}</Frequency></Schedule></InventoryConfiguration>"
    )
}

/// What is desired of a bucket, by facet.
pub fn documents(key: &ResourceKey) -> Json {
    let arn = format!("arn:aws:s3:::{}", key.name);
    let destination = format!("arn:aws:s3:::{DESTINATION}");
    json!({
        "tags": {"velero.io/backup-location": "default", "é + - = . _ : / @": "é + - = . _ : / @"},
        "encryption": {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        "publicAccessBlock": {
            "blockPublicAcls": true, "ignorePublicAcls": true, "blockPublicPolicy": true, "restrictPublicBuckets": true,
        },
        "ownershipControls": {"rules": [{"objectOwnership": "BucketOwnerEnforced"}]},
        "versioning": {"status": "Enabled"},
        "lifecycle": {"rules": [
            {"id": "Backup Expiry", "status": "Enabled", "filter": {"prefix": "backups/<&>'\"é\n/"}, "expiration": {"days": 90}},
            {"id": "Incomplete Uploads", "status": "Enabled", "filter": {},
             "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}},
        ]},
        "policy": {"Statement": [{
            "Sid": "OnlyNames", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": [format!("{arn}/forbidden/*")],
        }]},
        "logging": {},
        "requestPayment": {"payer": "BucketOwner"},
        "cors": {"corsRules": [{"id": "web", "allowedMethods": ["GET"], "allowedOrigins": ["https://example.com"]}]},
        "objectLock": {
            "objectLockEnabled": "Enabled", "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 1}},
        },
        "replication": {
            "role": "arn:aws:iam::000000000000:role/copies",
            "rules": [{
                "id": "all", "priority": 1, "status": "Enabled", "filter": {},
                "destination": {"bucket": destination, "storageClass": "STANDARD_IA"},
                "deleteMarkerReplication": {"status": "Disabled"},
            }],
        },
        "notification": {"topicConfigurations": [{
            "id": "new", "topicArn": "arn:aws:sns:us-east-1:000000000000:new", "events": ["s3:ObjectCreated:*"],
            "filter": {"key": {"filterRules": [{"name": "prefix", "value": "a/"}, {"name": "suffix", "value": ".gz"}]}},
        }]},
        "accelerate": {"status": "Enabled"},
        "website": {
            "indexDocument": {"suffix": "index.html"}, "errorDocument": {"key": "error.html"},
            "routingRules": [{"condition": {"keyPrefixEquals": "old/"}, "redirect": {"replaceKeyPrefixWith": "new/"}}],
        },
        "intelligentTiering": {"intelligentTieringConfigurationList": [{
            "id": "cold", "status": "Enabled", "filter": {"prefix": "a/"},
            "tierings": [{"days": 90, "accessTier": "ARCHIVE_ACCESS"}, {"days": 180, "accessTier": "DEEP_ARCHIVE_ACCESS"}],
        }]},
        "metrics": {"metricsConfigurationList": [
            {"id": "all", "filter": {}},
            {"id": "some", "filter": {"and": {"prefix": "a/", "tags": [{"key": "k", "value": "v"}]}}},
        ]},
        "inventory": {"inventoryConfigurationList": [{
            "id": "daily", "isEnabled": true, "includedObjectVersions": "All", "schedule": {"frequency": "Daily"},
            "destination": {"s3BucketDestination": {"bucket": destination, "format": "Parquet", "encryption": {"sseS3": {}}}},
            "optionalFields": ["Size", "ETag"],
        }]},
        "analytics": {"analyticsConfigurationList": [{
            "id": "use", "filter": {"prefix": "a/"},
            "storageClassAnalysis": {"dataExport": {
                "outputSchemaVersion": "V_1",
                "destination": {"s3BucketDestination": {"bucket": destination, "format": "CSV"}}}},
        }]},
    })
}

#[async_trait]
impl Subject for Buckets {
    fn provider(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    fn kind(&self) -> &dyn Kind {
        &self.kind
    }

    async fn fresh(&self) -> Outside<ResourceKey> {
        Ok(fresh_key())
    }

    fn desired(&self, key: &ResourceKey) -> Value {
        let Json::Object(all) = documents(key) else {
            unreachable!("documents are a map");
        };
        Value::from_json(Json::Object(
            all.into_iter()
                .filter(|(facet, _)| self.abilities.facets.contains(&facet.as_str()))
                .collect(),
        ))
    }

    fn changed(&self, key: &ResourceKey, facet: &Facet) -> Option<Desired> {
        if !self.abilities.facets.contains(&facet.as_str()) {
            return None;
        }
        let document = match facet.as_str() {
            // Where objects can be locked, versions are kept.
            "versioning" if self.locks() => return None,
            "objectLock" => json!({"rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 2}}}),
            "replication" => json!({"rules": [{
                "id": "all", "status": "Disabled", "filter": {"prefix": "b/"},
                "destination": {"storageClass": "GLACIER"}}]}),
            "notification" => json!({"topicConfigurations": [{
                "id": "new", "events": ["s3:ObjectRemoved:*"],
                "filter": {"key": {"filterRules": [{"name": "prefix", "value": "b/"}]}}}]}),
            "website" => json!({"indexDocument": {"suffix": "main.html"}}),
            "intelligentTiering" => {
                json!({"intelligentTieringConfigurationList": [{"id": "cold", "status": "Disabled"}]})
            }
            "metrics" => json!({"metricsConfigurationList": [{"id": "some", "filter": {"prefix": "b/"}}]}),
            "inventory" => {
                json!({"inventoryConfigurationList": [{"id": "daily", "schedule": {"frequency": "Weekly"}}]})
            }
            "analytics" => json!({"analyticsConfigurationList": [{"id": "use", "filter": {"prefix": "b/"}}]}),
            "tags" => json!({"velero.io/backup-location": "other"}),
            "encryption" => {
                json!({"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]})
            }
            "publicAccessBlock" => json!({"blockPublicPolicy": false}),
            "ownershipControls" => json!({"rules": [{"objectOwnership": "BucketOwnerPreferred"}]}),
            "accelerate" | "versioning" => json!({"status": "Suspended"}),
            "lifecycle" => json!({"rules": [
                {"id": "Backup Expiry", "status": "Enabled", "filter": {"prefix": "other/"}, "expiration": {"days": 30}}]}),
            "policy" => json!({"Statement": [{
                "Sid": "OnlyNames", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject",
                "Resource": [format!("arn:aws:s3:::{}/forbidden/*", key.name)]}]}),
            "requestPayment" => json!({"payer": "Requester"}),
            "cors" => json!({"corsRules": [
                {"id": "web", "allowedMethods": ["GET", "PUT"], "allowedOrigins": ["https://example.com"]}]}),
            _ => return None,
        };
        Some(Desired::new(Value::from_json(document)))
    }

    async fn change_outside(&self, key: &ResourceKey, facet: &Facet) -> Outside<bool> {
        let (query, body) = match facet.as_str() {
            "versioning" if self.locks() => return Ok(false),
            "objectLock" => ("object-lock", "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>9</Days></DefaultRetention></Rule></ObjectLockConfiguration>".to_owned()),
            "replication" => ("replication", format!("<ReplicationConfiguration><Role>arn:aws:iam::000000000000:role/other</Role><Rule><ID>all</ID><Priority>1</Priority><Filter><Prefix>x/</Prefix></Filter><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::{DESTINATION}</Bucket></Destination><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule></ReplicationConfiguration>")),
            "notification" => ("notification", "<NotificationConfiguration><TopicConfiguration><Id>new</Id><Topic>arn:aws:sns:us-east-1:000000000000:other</Topic><Event>s3:ObjectCreated:*</Event></TopicConfiguration></NotificationConfiguration>".to_owned()),
            "accelerate" => ("accelerate", "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>".to_owned()),
            "website" => ("website", "<WebsiteConfiguration><IndexDocument><Suffix>other.html</Suffix></IndexDocument></WebsiteConfiguration>".to_owned()),
            "intelligentTiering" => ("intelligent-tiering&id=cold", "<IntelligentTieringConfiguration><Id>cold</Id><Status>Disabled</Status><Tiering><Days>100</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering></IntelligentTieringConfiguration>".to_owned()),
            "metrics" => ("metrics&id=all", "<MetricsConfiguration><Id>all</Id><Filter><Prefix>x/</Prefix></Filter></MetricsConfiguration>".to_owned()),
            "inventory" => ("inventory&id=daily", inventory("daily", "Weekly")),
            "analytics" => ("analytics&id=use", "<AnalyticsConfiguration><Id>use</Id><StorageClassAnalysis/></AnalyticsConfiguration>".to_owned()),
            "tags" => ("tagging", "<Tagging><TagSet><Tag><Key>velero.io/backup-location</Key><Value>x</Value></Tag></TagSet></Tagging>".to_owned()),
            "encryption" => ("encryption", "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>".to_owned()),
            "publicAccessBlock" => ("publicAccessBlock", "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>".to_owned()),
            "ownershipControls" => ("ownershipControls", "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>".to_owned()),
            "versioning" => ("versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>".to_owned()),
            "lifecycle" => ("lifecycle", "<LifecycleConfiguration><Rule><ID>Backup Expiry</ID><Filter><Prefix>backups/</Prefix></Filter><Status>Disabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>".to_owned()),
            "policy" => ("policy", json!({"Version": "2012-10-17", "Statement": [{
                "Sid": "OnlyNames", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                "Resource": [format!("arn:aws:s3:::{}/nothing/*", key.name)]}]}).to_string()),
            "requestPayment" => ("requestPayment", "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>".to_owned()),
            "cors" => ("cors", "<CORSConfiguration><CORSRule><ID>web</ID><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>".to_owned()),
            _ => return Ok(false),
        };
        self.put(key, query, &body).await?;
        Ok(true)
    }

    async fn plant_outside(&self, key: &ResourceKey, facet: &Facet) -> Outside<Vec<Planted>> {
        let item = |list: &str, name: &str, text: &str| {
            Path::of(&[list]).join(Segment::Item(vec![(name.to_owned(), text.to_owned())]))
        };
        let (path, value) = match facet.as_str() {
            "tags" => {
                self.add(
                    key,
                    "tagging",
                    "</TagSet>",
                    "<Tag><Key>theirs</Key><Value>1</Value></Tag>",
                )
                .await?;
                (Path::of(&["theirs"]), json!("1"))
            }
            "lifecycle" => {
                let rule = "<Rule><ID>theirs</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>5</Days></Expiration></Rule>";
                self.add(key, "lifecycle", "</LifecycleConfiguration>", rule)
                    .await?;
                (
                    item("rules", "id", "theirs").key("expiration").key("days"),
                    json!(5),
                )
            }
            "cors" => {
                let rule = "<CORSRule><ID>theirs</ID><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>";
                self.add(key, "cors", "</CORSConfiguration>", rule).await?;
                (
                    item("corsRules", "id", "theirs").key("allowedMethods"),
                    json!(["GET"]),
                )
            }
            "replication" => {
                let rule = format!(
                    "<Rule><ID>theirs</ID><Priority>7</Priority><Filter><Prefix>theirs/</Prefix></Filter><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::{DESTINATION}</Bucket></Destination><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule>"
                );
                self.add(key, "replication", "</ReplicationConfiguration>", &rule)
                    .await?;
                (item("rules", "id", "theirs").key("priority"), json!(7))
            }
            "notification" => {
                let more = "<TopicConfiguration><Id>theirs</Id><Topic>arn:aws:sns:us-east-1:000000000000:theirs</Topic><Event>s3:ObjectRemoved:*</Event></TopicConfiguration>";
                self.add(key, "notification", "</NotificationConfiguration>", more)
                    .await?;
                (
                    item("topicConfigurations", "id", "theirs").key("events"),
                    json!(["s3:ObjectRemoved:*"]),
                )
            }
            "inventory" => {
                self.put(key, "inventory&id=theirs", &inventory("theirs", "Daily"))
                    .await?;
                let theirs = item("inventoryConfigurationList", "id", "theirs");
                (theirs.key("schedule").key("frequency"), json!("Daily"))
            }
            "policy" => {
                let statement = json!({"Sid": "Theirs", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:DeleteBucket",
                    "Resource": format!("arn:aws:s3:::{}", key.name)});
                let mut policy: Json =
                    serde_json::from_str(&self.get(key, "policy").await?).map_err(|e| e.to_string())?;
                policy["Statement"]
                    .as_array_mut()
                    .ok_or("no statements")?
                    .push(statement.clone());
                self.put(key, "policy", &policy.to_string()).await?;
                (item("Statement", "Sid", "Theirs"), statement)
            }
            _ => return Ok(Vec::new()),
        };
        Ok(vec![Planted {
            path,
            value: Value::from_json(value),
        }])
    }

    async fn delete_outside(&self, key: &ResourceKey) -> Outside<()> {
        self.store
            .done("DELETE", &format!("/{}", key.name), "")
            .await
            .map(drop)
            .map_err(outside)
    }

    async fn fill_outside(&self, key: &ResourceKey) -> Outside<bool> {
        let object = format!("/{}/object", key.name);
        let Some(setting) = self.abilities.refuses_uploads_under else {
            self.store
                .done("PUT", &object, "content")
                .await
                .map_err(outside)?;
            return Ok(true);
        };
        let document = self.get(key, setting).await?;
        let path = format!("/{}?{setting}", key.name);
        self.store.done("DELETE", &path, "").await.map_err(outside)?;
        self.store
            .done("PUT", &object, "content")
            .await
            .map_err(outside)?;
        // One store answers with a root element that it doesn't take.
        let document = document.replace("BlockPublicAccessBlock", "PublicAccessBlock");
        self.put(key, setting, &document).await?;
        Ok(true)
    }

    fn faults(&self) -> Vec<Fault> {
        self.faults.clone()
    }

    fn facet_fault(&self) -> Option<FacetFault> {
        self.denied_facet.clone()
    }

    async fn crowd(&self) -> Outside<Option<Crowd>> {
        let prefix = format!("crowd-{:08x}-", getrandom::u32().unwrap());
        let names: Vec<String> = (0..self.abilities.crowd)
            .map(|n| format!("{prefix}{n:04}"))
            .collect();
        // Beside them, one that the query doesn't mean.
        let all = names.iter().cloned().chain([format!("other-{prefix}x")]);
        stream::iter(all)
            .map(|name| async move { self.store.done("PUT", &format!("/{name}"), "").await })
            .buffer_unordered(8)
            .try_collect::<Vec<_>>()
            .await
            .map_err(outside)?;
        let keys: BTreeSet<ResourceKey> = names
            .into_iter()
            .map(|name| ResourceKey { name, ..fresh_key() })
            .collect();
        Ok(Some(Crowd {
            query: Query {
                kind: "s3/Bucket".into(),
                api: None,
                namespace: None,
                selector: None,
                name_prefix: Some(prefix),
                read: BTreeSet::new(),
            },
            keys,
        }))
    }

    fn watches(&self) -> bool {
        false
    }

    fn cancellation_points(&self) -> usize {
        if self.abilities.tags_with_creation { 24 } else { 0 }
    }
}
