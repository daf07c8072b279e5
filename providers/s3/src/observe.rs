//! Reading buckets: whether one exists, and its facets, all at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use holdfast_contract::{FacetState, Observation, Observed, ProviderError, ResourceKey, Value, Wanted};
use http::Method;

use crate::account_block;
use crate::call::{Answer, Call};
use crate::client::{self, Client};
use crate::codec;
use crate::find;
use crate::listed;
use crate::names;
use crate::table::{self, Document, ROOT_FACET, Row};
use crate::xml::{self, Node};

const LIST_BUCKET: &str = "s3:ListBucket";
const GET_LOCATION: &str = "s3:GetBucketLocation";

/// Reads what is wanted, in one round trip where the bucket exists.
///
/// Absence is said only where two answers agree: a HEAD that finds nothing, and an error that says in so many words
/// that there is no such bucket.
pub(crate) async fn bucket(client: &Client, wanted: &Wanted) -> Result<Observation, ProviderError> {
    let rows: Vec<&Row> = wanted
        .facets
        .iter()
        .filter_map(|facet| table::row(facet.as_str()))
        .collect();
    let key = &wanted.key;
    let was_named = client.known_account().is_some();
    let (found, reads, ()) = futures::join!(
        existence(client, key),
        join_all(rows.iter().map(|row| facet(client, key, row))),
        client.learn_account()
    );
    let region = match found? {
        Existence::Present(region) => {
            if !was_named && client.known_account().is_some() {
                // It was asked for as anybody's. Now that it is known who we are, it must be ours.
                existence(client, key).await?;
            }
            region
        }
        Existence::NotFound { proven } => {
            return absent(client, key, proven, &reads).await;
        }
    };
    let mut exact = key.clone();
    exact.region = Some(region);
    let mut facets = BTreeMap::new();
    for (row, read) in rows.into_iter().zip(reads) {
        let state = match read {
            Read::State(state) => state,
            Read::NoBucket => FacetState::Unreadable(contradiction(client, key)),
        };
        facets.insert(row.facet.into(), state);
    }
    for asked in &wanted.facets {
        if asked.as_str() == ROOT_FACET {
            facets.insert(asked.clone(), FacetState::Set(Value::map()));
        } else if table::row(asked.as_str()).is_none() {
            let error = ProviderError::Unsupported {
                service: client.service(),
                what: format!("a facet `{asked}` of buckets"),
            };
            facets.insert(asked.clone(), FacetState::Unreadable(error));
        }
    }
    Ok(Observation::Present(Arc::new(Observed {
        key: exact,
        uid: None,
        version: None,
        deleting: false,
        facets,
    })))
}

async fn absent(
    client: &Client,
    key: &ResourceKey,
    proven: bool,
    reads: &[Read],
) -> Result<Observation, ProviderError> {
    let has_document = |read: &Read| matches!(read, Read::State(FacetState::Set(_)));
    if reads.iter().any(has_document) {
        return Err(contradiction(client, key));
    }
    if proven || reads.iter().any(|read| matches!(read, Read::NoBucket)) {
        return Ok(Observation::Absent);
    }
    // A HEAD has no body: anything on the way could have answered it. This one says who speaks.
    match location(client, key).await? {
        Some(_) => Err(contradiction(client, key)),
        None => Ok(Observation::Absent),
    }
}

fn contradiction(client: &Client, key: &ResourceKey) -> ProviderError {
    ProviderError::Unavailable {
        service: client.service(),
        message: format!(
            "it says both that {} exists and that it doesn't",
            client::target(Some(key))
        ),
        source: None,
    }
}

/// Whether a bucket exists.
#[derive(Debug)]
pub(crate) enum Existence {
    /// It does, in this region.
    Present(String),
    /// It was not found.
    NotFound {
        /// Whether the service said so in words.
        proven: bool,
    },
}

/// Whether the bucket exists, by a HEAD; where that is refused, by its location, which takes another permission and
/// says in words what is wrong.
pub(crate) async fn existence(client: &Client, key: &ResourceKey) -> Result<Existence, ProviderError> {
    let head = Call::bucket(Method::HEAD, key, LIST_BUCKET);
    let answer = client.send(&head).await?;
    let said = answer
        .header("x-amz-bucket-region")
        .filter(|region| names::is_region(region));
    if answer.status.is_success() {
        let region = said.map_or_else(|| client.region(Some(key)), str::to_owned);
        return in_given_region(client, &head, key, region);
    }
    match answer.status.as_u16() {
        404 => Ok(Existence::NotFound { proven: false }),
        400 | 403 => {
            let refused = match location(client, key).await {
                Ok(Some(region)) => return in_given_region(client, &head, key, region),
                Ok(None) => return Ok(Existence::NotFound { proven: true }),
                Err(refused) => refused,
            };
            if !matches!(refused, ProviderError::Denied { .. }) {
                return Err(refused);
            }
            owned_by_other(client, &head, key).await?;
            Err(client.refused(&head, &answer.refusal()))
        }
        _ => Err(client.refused(&head, &answer.refusal())),
    }
}

/// A region that somebody gave is binding, also on stores that don't redirect.
fn in_given_region(
    client: &Client,
    call: &Call<'_>,
    key: &ResourceKey,
    region: String,
) -> Result<Existence, ProviderError> {
    match client.given_region(Some(key)) {
        Some(given) if given != region => {
            let message = format!("it is in region {region}, not in {given}; set `region: {region}`");
            Err(client.about(call, |asked| asked.invalid(message)))
        }
        Some(_) => Ok(Existence::Present(region)),
        None => {
            client.remember_region(key, &region);
            Ok(Existence::Present(region))
        }
    }
}

/// Whether it was refused because it isn't ours: then it can be seen without naming the account, or it isn't in the
/// list of our own. A list that can't be had says nothing.
async fn owned_by_other(client: &Client, head: &Call<'_>, key: &ResourceKey) -> Result<(), ProviderError> {
    let foreign = |message: String| {
        Err(ProviderError::Foreign {
            target: client::target(Some(key)),
            message,
        })
    };
    if let Some(account) = client.known_account() {
        let anybodys = Call {
            owner_checked: false,
            ..head.clone()
        };
        if client.send(&anybodys).await?.status.is_success() {
            return foreign(format!("it isn't account {account}'s"));
        }
    }
    match find::is_listed(client, &key.name).await {
        Ok(false) => foreign("it exists, and isn't among the buckets of this account".to_owned()),
        Ok(true) | Err(_) => Ok(()),
    }
}

/// The bucket's region; none where the service says that there is no such bucket.
pub(crate) async fn location(client: &Client, key: &ResourceKey) -> Result<Option<String>, ProviderError> {
    let call = Call::sub_resource(Method::GET, key, "location", GET_LOCATION);
    let answer = client.send(&call).await?;
    if !answer.status.is_success() {
        let refusal = answer.refusal();
        if refusal.is_no_such_bucket() {
            return Ok(None);
        }
        return Err(client.refused(&call, &refusal));
    }
    let root = xml::parse(&answer.body)
        .map_err(|error| client.about(&call, |asked| asked.contradiction(error.to_string())))?;
    let node = match root.name.as_str() {
        "LocationConstraint" => Some(&root),
        _ => root.child("LocationConstraint"),
    };
    let region = node.map(|node| names::region_of_location(node.text.trim()));
    match region.filter(|region| names::is_region(region)) {
        Some(region) => Ok(Some(region.to_owned())),
        None => Err(client.about(&call, |asked| asked.contradiction("its answer holds no location"))),
    }
}

/// What reading a facet came to.
#[derive(Debug)]
pub(crate) enum Read {
    /// The bucket exists, and this is the facet.
    State(FacetState),
    /// The service says that there is no such bucket.
    NoBucket,
}

/// Reads one facet.
pub(crate) async fn facet(client: &Client, key: &ResourceKey, row: &Row) -> Read {
    if let Document::Listed(list) = row.document {
        return listed::all(client, key, row, list).await;
    }
    if let Document::Account(_) = row.document {
        return Read::State(
            account_block::read(client, row)
                .await
                .unwrap_or_else(FacetState::Unreadable),
        );
    }
    let call = Call::sub_resource(Method::GET, key, row.query, row.actions.read);
    let answer = match client.send(&call).await {
        Ok(answer) => answer,
        Err(error) => return Read::State(FacetState::Unreadable(error)),
    };
    if answer.status.is_success() {
        return Read::State(document(client, &call, row, &answer).unwrap_or_else(FacetState::Unreadable));
    }
    refused(client, &call, row, &answer)
}

/// What a refusal to show a facet says of it.
pub(crate) fn refused(client: &Client, call: &Call<'_>, row: &Row, answer: &Answer) -> Read {
    let refusal = answer.refusal();
    if refusal.is_no_such_bucket() {
        return Read::NoBucket;
    }
    if row.absent.contains(&refusal.code.as_str()) {
        return Read::State(FacetState::Unset);
    }
    Read::State(FacetState::Unreadable(client.refused(call, &refusal)))
}

pub(crate) fn document(
    client: &Client,
    call: &Call<'_>,
    row: &Row,
    answer: &Answer,
) -> Result<FacetState, ProviderError> {
    let unsupported = |what: String| ProviderError::Unsupported {
        service: client.service(),
        what,
    };
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return if row.empty_is_unset {
            Ok(FacetState::Unset)
        } else {
            Err(unsupported(format!("{}: its answer is empty", row.facet)))
        };
    }
    if let Document::Policy = row.document {
        let policy: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
        return match policy {
            Some(policy) if policy.get("Statement").is_some() => {
                Ok(FacetState::Set(Value::from_json(policy)))
            }
            _ => Err(unsupported("policy: its answer is no policy".to_owned())),
        };
    }
    let root = rooted(client, call, row, row.roots, answer)?;
    let mut value = codec::read(row, &root);
    let Some(entries) = value.as_map_mut() else {
        return Ok(FacetState::Unset);
    };
    // Some stores answer for "not set" with a document from which the list is missing that makes it one.
    let is_hollow = row
        .elements()
        .iter()
        .any(|element| element.required && element.is_list() && !entries.contains_key(element.name));
    if (entries.is_empty() || is_hollow) && row.empty_is_unset {
        return Ok(FacetState::Unset);
    }
    if let Some(header) = &row.header
        && let Some(text) = answer.header(header.name)
    {
        entries.insert(header.element.name.to_owned(), Value::from(text));
    }
    Ok(FacetState::Set(value))
}

/// The answer's element, if it is one of `roots`: many stores answer what they don't know with something else.
pub(crate) fn rooted(
    client: &Client,
    call: &Call<'_>,
    row: &Row,
    roots: &[&str],
    answer: &Answer,
) -> Result<Node, ProviderError> {
    let root = xml::parse(&answer.body).map_err(|error| {
        client.about(call, |asked| {
            asked.contradiction(format!("{}: {error}", row.facet))
        })
    })?;
    if roots.contains(&root.name.as_str()) {
        return Ok(root);
    }
    Err(ProviderError::Unsupported {
        service: client.service(),
        what: format!("{}: it answers with <{}>", row.facet, root.name),
    })
}
