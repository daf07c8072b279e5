//! Changing buckets: making one, bringing a facet to what is desired, deleting one that is empty.
//!
//! The service counts no versions and has no conditional writes of settings. So a document is read again immediately
//! before it is replaced, and once more after: what remains is the moment between, in which another writer's change
//! of the same document can be lost. No other facet is ever at risk.

use std::collections::BTreeMap;

use holdfast_contract::{Desired, Facet, FacetState, Observed, ProviderError, ResourceKey, Value, Written};
use http::Method;

use crate::call::Call;
use crate::client::{self, Client};
use crate::codec;
use crate::find;
use crate::kind;
use crate::listed;
use crate::lock;
use crate::lockout;
use crate::observe::{self, Read};
use crate::retry::Repeat;
use crate::table;
use crate::table::{Clear, Document, Row};
use crate::xml::{self, Node};

pub(crate) const XML: &str = "application/xml";
const JSON: &str = "application/json";
/// With this header a bucket is made whose versions can be locked.
const LOCK_ENABLED: &str = "x-amz-bucket-object-lock-enabled";
/// How stores that know no tags in a creation refuse them. That the tags themselves are wrong is another code.
const NO_TAGS: &[&str] = &[
    "IllegalLocationConstraintException",
    "InvalidArgument",
    "InvalidLocationConstraint",
    "InvalidRequest",
    "MalformedXML",
];

/// Brings `facet` of the bucket to what is desired; what isn't declared stays.
///
/// # Errors
///
/// [`Conflict`](ProviderError::Conflict) where the facet is no longer what was observed; where nothing was observed of
/// it, it is merged into what stands now.
pub(crate) async fn set(
    client: &Client,
    key: &ResourceKey,
    facet: &Facet,
    desired: &Desired,
    observed: &Observed,
) -> Result<Written, ProviderError> {
    let row = table::row(facet.as_str())
        .filter(|row| row.writable())
        .ok_or_else(|| ProviderError::Unsupported {
            service: client.service(),
            what: format!("writing `{facet}` of a bucket"),
        })?;
    // Also where the endpoint stands in the environment, of which no policy knows.
    if let (Document::Policy, Some(endpoint)) = (&row.document, client.endpoint())
        && let Some(lockout) = lockout::of_policy(&desired.value, endpoint)
            .into_iter()
            .find(|lockout| lockout.is_certain)
    {
        return Err(unfit(key, format!("{}; {}", lockout.what, lockout.hint)));
    }
    client.learn_account().await;
    let _turn = client.turn(key).await;
    let now = current(client, key, row).await?;
    if kind::differences(row, desired, now.as_ref()).is_empty() {
        return Ok(Written::default());
    }
    let planned_on = match observed.facets.get(facet) {
        Some(FacetState::Set(value)) => Some(Some(value)),
        Some(FacetState::Unset) => Some(None),
        Some(FacetState::Unreadable(_)) | None => None,
    };
    if let Some(planned_on) = planned_on
        && !kind::same(row, planned_on, now.as_ref())
    {
        return Err(ProviderError::Conflict { key: key.clone() });
    }
    find::must_be_own(client, key).await?;
    let merged = kind::merge(row, desired, now.as_ref());
    let is_empty = merged.as_map().is_some_and(BTreeMap::is_empty);
    match (is_empty, now.is_some(), row.clear) {
        _ if let Document::Listed(list) = row.document => {
            let there = now.as_ref().map(|now| kind::as_written(row, now));
            listed::bring(client, key, row, list, &merged, there.as_ref()).await?;
        }
        (false, _, _) | (true, true, Clear::PutEmpty) => put(client, key, row, &merged).await?,
        (true, true, Clear::Delete) => delete_sub_resource(client, key, row).await?,
        (true, false, _) => {}
        (true, true, Clear::Never) => {
            return Err(ProviderError::Invalid {
                target: client::target(Some(key)),
                message: format!("{} can be changed, but not unset", row.facet),
                field: None,
            });
        }
    }
    Ok(Written {
        key: None,
        uid: None,
        unsupported: dropped(client, key, row, desired, now.as_ref()).await,
    })
}

/// The facet as it stands now.
async fn current(client: &Client, key: &ResourceKey, row: &Row) -> Result<Option<Value>, ProviderError> {
    match observe::facet(client, key, row).await {
        Read::State(FacetState::Set(value)) => Ok(Some(value)),
        Read::State(FacetState::Unset) => Ok(None),
        Read::State(FacetState::Unreadable(error)) => Err(error),
        // It was there when this was planned.
        Read::NoBucket => Err(ProviderError::Conflict { key: key.clone() }),
    }
}

async fn put(client: &Client, key: &ResourceKey, row: &Row, document: &Value) -> Result<(), ProviderError> {
    let mut call = Call::sub_resource(Method::PUT, key, row.query, row.actions.write);
    let unfit = |message: String| unfit(key, message);
    let (content_type, body) = if let Document::Policy = row.document {
        let policy = document
            .expose_json()
            .ok_or_else(|| unfit("the policy isn't known yet".to_owned()))?;
        (JSON, policy.to_string())
    } else {
        let root = codec::write(row, document).map_err(|fault| unfit(fault.to_string()))?;
        (XML, root.document())
    };
    if let Some(header) = &row.header
        && let Some(text) = document.get(header.element.name).and_then(Value::as_str)
    {
        call.headers.push((header.name, text.to_owned()));
    }
    send_setting(client, &call.with_body(content_type, body), row).await
}

/// Sends a setting. A store that doesn't know it takes the PUT for one of a whole bucket, and says that there is one.
pub(crate) async fn send_setting(client: &Client, call: &Call<'_>, row: &Row) -> Result<(), ProviderError> {
    let answer = client.send(call).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    let refusal = answer.refusal();
    if matches!(
        refusal.code.as_str(),
        "BucketAlreadyExists" | "BucketAlreadyOwnedByYou"
    ) {
        return Err(ProviderError::Unsupported {
            service: client.service(),
            what: format!("writing {} of a bucket", row.facet),
        });
    }
    Err(client.refused(call, &refusal))
}

/// The document can't be sent as it is.
pub(crate) fn unfit(key: &ResourceKey, message: String) -> ProviderError {
    ProviderError::Invalid {
        target: client::target(Some(key)),
        message,
        field: None,
    }
}

/// Only ever called right after a GET of the same sub-resource has returned its document: stores that don't know a
/// sub-resource take its DELETE for one of the whole bucket. For the same reason it isn't repeated when in doubt.
async fn delete_sub_resource(client: &Client, key: &ResourceKey, row: &Row) -> Result<(), ProviderError> {
    let mut call = Call::sub_resource(Method::DELETE, key, row.query, row.actions.delete);
    call.repeat = Repeat::OnlyRefused;
    client.succeed(&call).await.map(drop)
}

/// The declared places that the store keeps otherwise than it was told. Where it still shows what was there before,
/// it lags, and nothing is known.
async fn dropped(
    client: &Client,
    key: &ResourceKey,
    row: &Row,
    desired: &Desired,
    before: Option<&Value>,
) -> Vec<String> {
    let after = match observe::facet(client, key, row).await {
        Read::State(FacetState::Set(value)) => Some(value),
        Read::State(FacetState::Unset) => None,
        Read::State(FacetState::Unreadable(_)) | Read::NoBucket => return Vec::new(),
    };
    if kind::same(row, before, after.as_ref()) {
        return Vec::new();
    }
    kind::differences(row, desired, after.as_ref())
        .into_iter()
        .map(|difference| {
            if difference.path.is_root() {
                row.facet.to_owned()
            } else {
                format!("{}.{}", row.facet, difference.path)
            }
        })
        .collect()
}

/// Makes the bucket, with its tags where the store takes them in that call, else with a second one right after.
///
/// # Errors
///
/// [`Conflict`](ProviderError::Conflict) where it exists already and doesn't bear the desired tags;
/// [`Foreign`](ProviderError::Foreign) where the name is somebody else's.
pub(crate) async fn create(
    client: &Client,
    key: &ResourceKey,
    facets: &BTreeMap<Facet, Desired>,
) -> Result<Written, ProviderError> {
    client.learn_account().await;
    let making = Making {
        client,
        key,
        tags: table::row("tags"),
        desired: facets.get(&Facet::from("tags")),
        locks: facets
            .get(&Facet::from(lock::FACET))
            .is_some_and(|desired| lock::is_enabled(&desired.value)),
    };
    // In us-east-1, making one's own bucket again succeeds, and resets its access list.
    if let observe::Existence::Present(_) = observe::existence(client, key).await? {
        return match making.found().await? {
            Found::Ours => Ok(making.made()),
            Found::Untagged | Found::Others => Err(ProviderError::Conflict { key: key.clone() }),
        };
    }
    let mut with_tags = making.has_tags();
    loop {
        let call = making.call(with_tags)?;
        let refusal = match client.send(&call).await {
            Ok(answer) if answer.status.is_success() => {
                client.remember_own(&key.name);
                making.ensure_tags().await?;
                return Ok(making.made());
            }
            Ok(answer) => answer.refusal(),
            Err(lost) => return making.in_doubt(lost).await,
        };
        if with_tags && (refusal.is_unsupported() || NO_TAGS.contains(&refusal.code.as_str())) {
            // Older stores know no tags in this document.
            with_tags = false;
            continue;
        }
        let error = client.refused(&call, &refusal);
        return match refusal.code.as_str() {
            "BucketAlreadyOwnedByYou" => making.taken().await,
            // Some stores say this of one's own buckets too. One that isn't to be seen is somebody else's.
            "BucketAlreadyExists" => match making.taken().await {
                Err(ProviderError::Conflict { .. }) => Err(making.others()),
                taken => taken,
            },
            _ if refusal.status >= 500 => making.in_doubt(error).await,
            _ => Err(error),
        };
    }
}

/// A bucket that is being made.
struct Making<'a> {
    client: &'a Client,
    key: &'a ResourceKey,
    tags: Option<&'static Row>,
    desired: Option<&'a Desired>,
    /// Whether versions in it can be locked: then the service keeps versions from the first on.
    locks: bool,
}

/// What a bucket's tags say of whose it is.
enum Found {
    /// They are as desired.
    Ours,
    /// It has none.
    Untagged,
    /// They are others.
    Others,
}

impl Making<'_> {
    fn has_tags(&self) -> bool {
        self.desired
            .and_then(|desired| desired.value.as_map())
            .is_some_and(|tags| !tags.is_empty())
    }

    fn made(&self) -> Written {
        let mut key = self.key.clone();
        key.region = Some(self.client.region(Some(self.key)));
        Written {
            uid: None,
            key: Some(key),
            unsupported: Vec::new(),
        }
    }

    fn call(&self, with_tags: bool) -> Result<Call<'_>, ProviderError> {
        let mut configuration = Node::new("CreateBucketConfiguration");
        let region = self.client.region(Some(self.key));
        if region != "us-east-1" {
            configuration
                .children
                .push(Node::with_text("LocationConstraint", region));
        }
        if let (true, Some(tags)) = (with_tags, self.desired.and_then(|desired| desired.value.as_map())) {
            let tags = tags
                .iter()
                .map(|(key, value)| codec::tag(key, value, "tags"))
                .collect::<Result<Vec<Node>, _>>()
                .map_err(|fault| ProviderError::Invalid {
                    target: client::target(Some(self.key)),
                    message: fault.to_string(),
                    field: None,
                })?;
            configuration.children.push(Node::with_children("Tags", tags));
        }
        let action = match (with_tags, self.locks) {
            (true, true) => {
                "s3:CreateBucket, s3:TagResource, s3:PutBucketObjectLockConfiguration and s3:PutBucketVersioning"
            }
            (false, true) => {
                "s3:CreateBucket, s3:PutBucketObjectLockConfiguration and s3:PutBucketVersioning"
            }
            (true, false) => "s3:CreateBucket and s3:TagResource",
            (false, false) => "s3:CreateBucket",
        };
        let mut call = Call::bucket(Method::PUT, self.key, action);
        // Nobody's yet.
        call.owner_checked = false;
        call.repeat = Repeat::OnlyRefused;
        if self.locks {
            call.headers.push((LOCK_ENABLED, "true".to_owned()));
        }
        if configuration.children.is_empty() {
            return Ok(call);
        }
        Ok(call.with_body(XML, configuration.document()))
    }

    async fn read_tags(&self) -> Result<Option<Value>, ProviderError> {
        match self.tags {
            Some(row) => current(self.client, self.key, row).await,
            None => Ok(None),
        }
    }

    async fn found(&self) -> Result<Found, ProviderError> {
        let Some(there) = self.read_tags().await? else {
            return Ok(Found::Untagged);
        };
        let ours = match (self.tags, self.desired) {
            (Some(row), Some(desired)) if self.has_tags() => {
                kind::differences(row, desired, Some(&there)).is_empty()
            }
            _ => false,
        };
        Ok(if ours { Found::Ours } else { Found::Others })
    }

    /// Writes the tags if the create call didn't.
    async fn ensure_tags(&self) -> Result<(), ProviderError> {
        let (Some(row), Some(desired), true) = (self.tags, self.desired, self.has_tags()) else {
            return Ok(());
        };
        let there = self.read_tags().await?;
        if kind::differences(row, desired, there.as_ref()).is_empty() {
            return Ok(());
        }
        let merged = kind::merge(row, desired, there.as_ref());
        put(self.client, self.key, row, &merged).await
    }

    /// The name is taken: by an earlier try of ours, or by somebody else.
    async fn taken(&self) -> Result<Written, ProviderError> {
        match self.found().await {
            Ok(Found::Ours) => {
                find::must_be_own(self.client, self.key).await?;
                Ok(self.made())
            }
            Ok(Found::Untagged) => {
                find::must_be_own(self.client, self.key).await?;
                self.ensure_tags().await?;
                Ok(self.made())
            }
            Ok(Found::Others) => Err(ProviderError::Foreign {
                target: client::target(Some(self.key)),
                message: "it exists with other tags".to_owned(),
            }),
            Err(ProviderError::Denied { .. } | ProviderError::Invalid { .. }) => Err(self.others()),
            Err(error) => Err(error),
        }
    }

    fn others(&self) -> ProviderError {
        ProviderError::Foreign {
            target: client::target(Some(self.key)),
            message: "the name is taken by another account".to_owned(),
        }
    }

    /// Whether the call took effect isn't known, so it is read back.
    async fn in_doubt(&self, error: ProviderError) -> Result<Written, ProviderError> {
        match observe::existence(self.client, self.key).await {
            Ok(observe::Existence::Present(_)) => self.taken().await,
            _ => Err(error),
        }
    }
}

/// Deletes the bucket if it is empty. One that is gone already is deleted.
///
/// # Errors
///
/// [`Invalid`](ProviderError::Invalid) where it holds anything; [`Conflict`](ProviderError::Conflict) where its tags
/// are no longer what was observed.
pub(crate) async fn delete(
    client: &Client,
    key: &ResourceKey,
    observed: &Observed,
) -> Result<Written, ProviderError> {
    client.learn_account().await;
    match find::must_be_own(client, key).await {
        Err(foreign @ ProviderError::Foreign { .. }) => {
            return match observe::existence(client, key).await? {
                observe::Existence::NotFound { .. } => Ok(Written::default()),
                observe::Existence::Present(_) => Err(foreign),
            };
        }
        owned => owned?,
    }
    if let Some(row) = table::row("tags")
        && let Some(FacetState::Set(_) | FacetState::Unset) = observed.facets.get(&Facet::from(row.facet))
    {
        let now = match observe::facet(client, key, row).await {
            Read::NoBucket => return Ok(Written::default()),
            Read::State(FacetState::Unreadable(error)) => return Err(error),
            Read::State(FacetState::Set(value)) => Some(value),
            Read::State(FacetState::Unset) => None,
        };
        if !kind::same(row, observed.value(&Facet::from(row.facet)), now.as_ref()) {
            return Err(ProviderError::Conflict { key: key.clone() });
        }
    }
    // Some stores delete what a bucket holds along with it.
    if let Some(what) = content(client, key).await? {
        return Err(not_empty(key, what));
    }
    let call = Call::bucket(Method::DELETE, key, "s3:DeleteBucket");
    let answer = client.send(&call).await?;
    if answer.status.is_success() {
        return Ok(Written::default());
    }
    let refusal = answer.refusal();
    if refusal.is_no_such_bucket() {
        return Ok(Written::default());
    }
    if refusal.code == "BucketNotEmpty" {
        return Err(not_empty(key, "objects, versions or delete markers"));
    }
    Err(client.refused(&call, &refusal))
}

fn not_empty(key: &ResourceKey, what: &str) -> ProviderError {
    ProviderError::Invalid {
        target: client::target(Some(key)),
        message: format!("it holds {what}, and a bucket is never emptied to delete it"),
        field: None,
    }
}

/// What the bucket holds, if it holds anything that can be seen. Versions are looked for only where the store knows
/// them; the service itself refuses to delete a bucket that holds any.
async fn content(client: &Client, key: &ResourceKey) -> Result<Option<&'static str>, ProviderError> {
    let one = |query: &'static str, value: &str, action| {
        let mut call = Call::sub_resource(Method::GET, key, query, action);
        call.query = vec![(query, value.to_owned()), ("max-keys", "1".to_owned())];
        call
    };
    let objects = one("list-type", "2", "s3:ListBucket");
    let versions = one("versions", "", "s3:ListBucketVersions");
    let (objects, versions) = futures::join!(client.send(&objects), client.send(&versions));
    let objects_call = one("list-type", "2", "s3:ListBucket");
    let objects = objects?;
    if !objects.status.is_success() {
        let refusal = objects.refusal();
        if refusal.is_no_such_bucket() {
            return Ok(None);
        }
        return Err(client.refused(&objects_call, &refusal));
    }
    let root = xml::parse(&objects.body)
        .ok()
        .filter(|root| root.name == "ListBucketResult")
        .ok_or_else(|| {
            client.about(&objects_call, |asked| {
                asked.contradiction("its answer is no list of objects")
            })
        })?;
    if root.child("Contents").is_some() {
        return Ok(Some("objects"));
    }
    let versions = versions.ok().filter(|answer| answer.status.is_success());
    let versions = versions.and_then(|answer| xml::parse(&answer.body).ok());
    let has_versions = versions.is_some_and(|root| {
        root.name == "ListVersionsResult"
            && (root.child("Version").is_some() || root.child("DeleteMarker").is_some())
    });
    Ok(has_versions.then_some("old versions of objects"))
}
