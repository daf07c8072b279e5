//! Searching for buckets.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream;
use holdfast_contract::{FacetState, Found, ProviderError, ProviderName, Query, ResourceKey, Value};
use http::Method;

use crate::call::{Call, MAX_LIST};
use crate::client::{self, Client};
use crate::kind::KIND;
use crate::names;
use crate::observe::{self, Read};
use crate::table;
use crate::xml::{self, Node};

/// The service gives no more at once.
const PAGE: &str = "1000";
/// An account may have a million buckets.
const MAX_PAGES: usize = 1_100;
/// So many buckets are looked into at once.
const CONCURRENCY: usize = 16;
const LIST_ALL: &str = "s3:ListAllMyBuckets";

/// All buckets that `query` means, in order of name, wherever they are: every page was read.
///
/// A bucket whose region or whose parts can't be read is given with what is known of it, and says what isn't.
pub(crate) async fn buckets(
    client: &Client,
    provider: &ProviderName,
    query: &Query,
) -> Result<Vec<Found>, ProviderError> {
    if query.selector.is_some() || query.namespace.is_some() || query.api.is_some() {
        return Err(ProviderError::Invalid {
            target: "a search for buckets".to_owned(),
            message: "buckets have no namespace, no selector and no API type; search by `namePrefix`"
                .to_owned(),
            field: None,
        });
    }
    let listed = list(client, query.name_prefix.as_deref().unwrap_or_default()).await?;
    let reads = listed.into_iter().map(|(name, region)| async move {
        let key = ResourceKey {
            provider: provider.clone(),
            kind: KIND.into(),
            api: None,
            namespace: None,
            name,
            region,
        };
        one(client, key, &query.read).await
    });
    Ok(stream::iter(reads).buffered(CONCURRENCY).collect().await)
}

/// Whether the bucket `name` is in the complete list of this identity's own.
pub(crate) async fn is_listed(client: &Client, name: &str) -> Result<bool, ProviderError> {
    Ok(list(client, name).await?.contains_key(name))
}

/// Proves that an existing bucket is this identity's own, before the first write to it, where the store doesn't see to
/// that by itself: it must be in the list of its buckets. Asked once for each bucket.
///
/// # Errors
///
/// [`Foreign`](ProviderError::Foreign) where it isn't listed.
pub(crate) async fn must_be_own(client: &Client, key: &ResourceKey) -> Result<(), ProviderError> {
    if client.checks_owners() || client.is_own(&key.name) {
        return Ok(());
    }
    if is_listed(client, &key.name).await? {
        client.remember_own(&key.name);
        return Ok(());
    }
    Err(ProviderError::Foreign {
        target: client::target(Some(key)),
        message: format!(
            "it isn't in the list of this identity's own buckets at {}",
            client.service()
        ),
    })
}

/// Names and, where the list says so, regions.
async fn list(client: &Client, prefix: &str) -> Result<BTreeMap<String, Option<String>>, ProviderError> {
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut token = String::new();
    for _ in 0..MAX_PAGES {
        let mut query = vec![("max-buckets", PAGE.to_owned())];
        if !prefix.is_empty() {
            query.push(("prefix", prefix.to_owned()));
        }
        if !token.is_empty() {
            query.push(("continuation-token", token.clone()));
        }
        let call = Call {
            method: Method::GET,
            bucket: None,
            account: None,
            query,
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            action: LIST_ALL,
            repeat: crate::retry::Repeat::Safe,
            max_answer: MAX_LIST,
            owner_checked: false,
        };
        let answer = client.succeed(&call).await?;
        let broken = |message: String| client.about(&call, |asked| asked.contradiction(message));
        let root = xml::parse(&answer.body).map_err(|error| broken(error.to_string()))?;
        let buckets = root
            .child("Buckets")
            .filter(|_| root.name == "ListAllMyBucketsResult")
            .ok_or_else(|| {
                broken(format!(
                    "it answers with <{}>, which is no list of buckets",
                    root.name
                ))
            })?;
        for bucket in buckets.all("Bucket") {
            let name = bucket.child_text("Name").unwrap_or_default();
            if name.is_empty() {
                return Err(broken("its list holds a bucket without a name".to_owned()));
            }
            // Some stores don't know the parameter.
            if name.starts_with(prefix) {
                found.insert(name.to_owned(), region(bucket));
            }
        }
        match root
            .child_text("ContinuationToken")
            .filter(|next| !next.is_empty())
        {
            None => return Ok(found),
            Some(next) if seen.insert(next.to_owned()) => next.clone_into(&mut token),
            Some(_) => return Err(broken("its pages go round in a circle".to_owned())),
        }
    }
    Err(ProviderError::Unavailable {
        service: client.service(),
        message: format!("its list of buckets doesn't end after {MAX_PAGES} pages"),
        source: None,
    })
}

fn region(bucket: &Node) -> Option<String> {
    let region = bucket.child_text("BucketRegion")?.trim();
    Some(names::region_of_location(region))
        .filter(|region| names::is_region(region))
        .map(str::to_owned)
}

async fn one(client: &Client, mut key: ResourceKey, read: &BTreeSet<String>) -> Found {
    let mut unreadable = BTreeMap::new();
    if key.region.is_none() {
        match observe::location(client, &key).await {
            Ok(Some(region)) => key.region = Some(region),
            Ok(None) => {
                unreadable.insert("region".to_owned(), vanished(client, &key));
            }
            Err(error) => {
                unreadable.insert("region".to_owned(), error);
            }
        }
    }
    let region = key.region.clone();
    let mut document: BTreeMap<String, Value> = BTreeMap::from([
        ("name".to_owned(), Value::from(key.name.as_str())),
        (
            "arn".to_owned(),
            Value::from(names::arn(&key.name, region.as_deref())),
        ),
    ]);
    if let Some(region) = region {
        document.insert("region".to_owned(), Value::from(region));
    }
    let parts = read.iter().filter(|part| !document.contains_key(*part));
    let key_ref = &key;
    let parts = parts.map(|part| async move {
        let state = match table::row(part) {
            Some(row) => observe::facet(client, key_ref, row).await,
            None => Read::State(FacetState::Unreadable(ProviderError::Unsupported {
                service: client.service(),
                what: format!("a part `{part}` of buckets"),
            })),
        };
        (part.clone(), state)
    });
    for (part, read) in futures::future::join_all(parts).await {
        match read {
            Read::State(FacetState::Set(value)) => {
                document.insert(part, value);
            }
            Read::State(FacetState::Unset) => {}
            Read::State(FacetState::Unreadable(error)) => {
                unreadable.insert(part, error);
            }
            Read::NoBucket => {
                unreadable.insert(part, vanished(client, &key));
            }
        }
    }
    Found {
        key,
        document: Value::Map(document),
        observed: None,
        unreadable,
    }
}

/// Listed, but gone when it was looked into: deleted in between, or the list lags.
fn vanished(client: &Client, key: &ResourceKey) -> ProviderError {
    ProviderError::Unavailable {
        service: client.service(),
        message: format!("it lists bucket {}, which it then doesn't find", key.name),
        source: None,
    }
}
