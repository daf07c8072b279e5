//! Writing objects: server-side apply, and delete.

use std::sync::Arc;

use holdfast_contract::{
    Action, Change, Desired, Facet, Guard, Kind as _, Observation, Observed, Path, ProviderError,
    ResourceKey, Segment, Value, Write, Written,
};
use http::{Method, StatusCode};
use serde_json::{Value as Json, json};

use crate::client::{Answer, Call, Failure, Repeatable, encoded};
use crate::discovery::Resource;
use crate::error::{Asked, Status};
use crate::kind::{OBJECT, STATUS};
use crate::observe::{observed as read, read_one};
use crate::owned::status_manager;
use crate::provider::Server;
use crate::takeover::{Moved, moved};
use crate::types;

pub(crate) const APPLY: &str = "application/apply-patch+yaml";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
/// How often a status is written anew because the object moved on meanwhile.
const VERSION_TRIES: usize = 4;

/// Does `write`.
///
/// A creation is an apply, too: only then do the fields belong to us as applied ones, and dropping one later removes
/// it. An apply can't say "only if absent". So it takes no field from anybody, and where the server says that it found
/// the object there already, the answer is [`ProviderError::Conflict`]: names are given, so no twin can come of it.
pub(crate) async fn write(server: &Server, write: &Write) -> Result<Written, ProviderError> {
    let resource = resource_of(server, &write.key).await?;
    match &write.action {
        Action::Create { facets } => {
            let Some(desired) = facets.get(&Facet::from(OBJECT)) else {
                return Err(invalid(&write.key, "there is nothing to create it from"));
            };
            let apply = Apply::new(server, write, &resource, &OBJECT.into(), desired, None)?;
            let answer = apply
                .send(
                    server,
                    Sent {
                        dry_run: false,
                        force: false,
                    },
                )
                .await?;
            if answer.code == StatusCode::CREATED {
                return Ok(Written {
                    uid: read(&write.key, answer.body).ok().and_then(|made| made.uid),
                    ..Written::default()
                });
            }
            Err(ProviderError::Conflict {
                key: write.key.clone(),
            })
        }
        Action::Set {
            facet,
            desired,
            observed,
        } => {
            let taken = take_over(server, write, &resource, facet, desired, observed).await?;
            let mut write = write.clone();
            // The move has made a version of its own.
            let moved_to = taken.as_ref().and_then(|now| now.version.as_ref());
            if let (Guard::Version(guard), Some(version)) = (&mut write.guard, moved_to) {
                guard.clone_from(version);
            }
            let (write, observed) = (&write, taken.as_ref().unwrap_or(observed));
            let mut apply = Apply::new(server, write, &resource, facet, desired, Some(observed))?;
            let sent = Sent {
                dry_run: false,
                force: write.force,
            };
            let answer = if facet.as_str() == STATUS && resource.has_status && write.guard == Guard::Same {
                apply.send_to(server, &resource, observed, sent).await?
            } else {
                apply.send(server, sent).await?
            };
            if !desired.absent.is_empty() || !desired.exact.is_empty() {
                remove_foreign(server, write, &apply, facet, desired, answer.body).await?;
            }
            Ok(Written::default())
        }
        Action::Delete { observed } => {
            let call = deletion(&resource, write, observed, false)?;
            match server.client.call(&call).await {
                Ok(_) => Ok(Written::default()),
                Err(failure) if is_gone(&failure, &resource, &write.key) => Ok(Written::default()),
                Err(failure) => Err(failure
                    .into_error(|status| refusal(status, "delete", &resource.name(), &write.key, false))),
            }
        }
    }
}

/// Moves what the former managers hold of `facet` to ours; what stands then. None where they hold nothing of it.
///
/// One patch of nothing but `managedFields`, guarded by the version. Where that has moved on under the same uid, and
/// the write isn't bound to a version, what is to be moved is read anew.
async fn take_over(
    server: &Server,
    write: &Write,
    resource: &Resource,
    facet: &Facet,
    desired: &Desired,
    observed: &Observed,
) -> Result<Option<Observed>, ProviderError> {
    let mut current = observed.clone();
    for _ in 0..VERSION_TRIES {
        let Some(taken) = moved(facet, desired, &current, &write.manager) else {
            return Ok((current.version != observed.version).then_some(current));
        };
        let operations = json!([
            { "op": "replace", "path": "/metadata/resourceVersion", "value": current.version.as_ref().map(|version| &version.0) },
            { "op": "replace", "path": "/metadata/managedFields", "value": managed_fields(&taken) },
        ]);
        let path = resource.path_of(write.key.namespace.as_deref(), &write.key.name)?;
        let uri = format!("{path}?fieldManager={}", encoded(&write.manager));
        let call = Call::send(Method::PATCH, uri, JSON_PATCH, &operations, Repeatable::Once);
        match server.client.call(&call).await {
            Ok(answer) => return read(&write.key, answer.body).map(Some),
            Err(Failure::Refused(status)) if status.code == 409 && write.guard == Guard::Same => {}
            Err(failure) => {
                let name = resource.name();
                let sensitive = types::is_secret(&resource.api);
                return Err(
                    failure.into_error(|status| refusal(status, "patch", &name, &write.key, sensitive))
                );
            }
        }
        match read_one(&server.client, resource, &write.key).await? {
            Observation::Present(newer) if newer.uid == observed.uid => current = Arc::unwrap_or_clone(newer),
            Observation::Present(_) | Observation::Absent => break,
        }
    }
    Err(ProviderError::Conflict {
        key: write.key.clone(),
    })
}

/// The entries of an object after they were moved, as the server takes them.
pub(crate) fn managed_fields(moved: &Moved) -> Option<Json> {
    let object = moved.observed.value(&OBJECT.into())?;
    object.at(&["metadata", "managedFields"])?.expose_json()
}

/// How `key`'s type is served.
pub(crate) async fn resource_of(server: &Server, key: &ResourceKey) -> Result<Resource, ProviderError> {
    match &key.api {
        Some(api) => server.discovery.resource(&server.client, api).await,
        None => Err(invalid(key, "an object is known by its apiVersion and kind")),
    }
}

fn is_gone(failure: &Failure, resource: &Resource, key: &ResourceKey) -> bool {
    failure
        .status()
        .is_some_and(|status| status.is_not_found_of(&resource.plural, &key.name))
}

pub(crate) fn invalid(key: &ResourceKey, message: &str) -> ProviderError {
    ProviderError::Invalid {
        target: key.to_string(),
        message: message.to_owned(),
        field: None,
    }
}

fn refusal(
    status: &Status,
    verb: &'static str,
    resource: &str,
    key: &ResourceKey,
    sensitive: bool,
) -> ProviderError {
    status.meaning(Asked {
        verb,
        resource,
        key,
        sensitive,
    })
}

/// How an apply is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
}

/// One apply of one facet.
pub(crate) struct Apply<'a> {
    key: &'a ResourceKey,
    /// The path without a query, the subresource included.
    path: String,
    /// What RBAC calls it.
    resource: String,
    manager: String,
    body: Json,
    sensitive: bool,
}

impl<'a> Apply<'a> {
    /// The apply of `desired` to `facet`, over what was observed.
    pub(crate) fn new(
        server: &Server,
        write: &'a Write,
        resource: &Resource,
        facet: &Facet,
        desired: &Desired,
        observed: Option<&Observed>,
    ) -> Result<Self, ProviderError> {
        let key = &write.key;
        let content = server.kind.applied(facet, desired, observed, &write.manager);
        let sensitive = content.is_sensitive() || types::is_secret(&resource.api);
        let content = content
            .expose_json()
            .ok_or_else(|| invalid(key, "a part of it is known only after another write"))?;
        let mut body = match content {
            Json::Object(body) if facet.as_str() == OBJECT => Json::Object(body),
            status if facet.as_str() == STATUS => json!({ STATUS: status }),
            _ => return Err(invalid(key, "it is no object")),
        };
        identify(&mut body, key, resource, observed, &write.guard);
        let mut path = resource.path_of(key.namespace.as_deref(), &key.name)?;
        let (mut name, mut manager) = (resource.name(), write.manager.clone());
        if facet.as_str() == STATUS {
            if resource.has_status {
                path += "/status";
                name = resource.status_name();
            } else {
                manager = status_manager(&write.manager);
            }
        }
        Ok(Self {
            key,
            path,
            resource: name,
            manager,
            body,
            sensitive,
        })
    }

    /// Sends it. Unknown fields are errors: nothing is dropped in silence.
    pub(crate) async fn send(&self, server: &Server, sent: Sent) -> Result<Answer, ProviderError> {
        self.try_send(server, sent)
            .await
            .map_err(|failure| failure.into_error(|status| self.meaning(status)))
    }

    /// As [`Apply::send`], with the server's own words.
    pub(crate) async fn try_send(&self, server: &Server, sent: Sent) -> Result<Answer, Failure> {
        let uri = format!(
            "{}?fieldManager={}&fieldValidation=Strict{}{}",
            self.path,
            encoded(&self.manager),
            if sent.force { "&force=true" } else { "" },
            if sent.dry_run { "&dryRun=All" } else { "" },
        );
        let repeatable = if sent.dry_run {
            Repeatable::Read
        } else {
            Repeatable::Idempotent
        };
        let call = Call::send(Method::PATCH, uri, APPLY, &self.body, repeatable);
        server.client.call(&call).await
    }

    /// A patch of the same resource, with the server's own words.
    pub(crate) async fn try_patch(
        &self,
        server: &Server,
        patch: &Json,
        dry_run: bool,
    ) -> Result<Answer, Failure> {
        let uri = format!(
            "{}?fieldManager={}&fieldValidation=Strict{}",
            self.path,
            encoded(&self.manager),
            if dry_run { "&dryRun=All" } else { "" },
        );
        let repeatable = if dry_run {
            Repeatable::Read
        } else {
            Repeatable::Once
        };
        server
            .client
            .call(&Call::send(Method::PATCH, uri, JSON_PATCH, patch, repeatable))
            .await
    }

    /// As [`Apply::send`], to just the incarnation `observed`, through a subresource.
    ///
    /// There the server looks at no uid. It does look at the version: so the version is named, and where it has moved
    /// on under the same uid, the newer one.
    async fn send_to(
        &mut self,
        server: &Server,
        resource: &Resource,
        observed: &Observed,
        sent: Sent,
    ) -> Result<Answer, ProviderError> {
        let mut version = observed.version.clone();
        for _ in 0..VERSION_TRIES {
            if let Some(metadata) = self.body.get_mut("metadata").and_then(Json::as_object_mut) {
                metadata.insert(
                    "resourceVersion".to_owned(),
                    json!(version.as_ref().map(|version| &version.0)),
                );
            }
            match self.try_send(server, sent).await {
                Err(Failure::Refused(status)) if status.code == 409 && !status.is_field_conflict() => {}
                answer => return answer.map_err(|failure| failure.into_error(|status| self.meaning(status))),
            }
            match read_one(&server.client, resource, self.key).await? {
                Observation::Present(now) if now.uid == observed.uid => version.clone_from(&now.version),
                Observation::Present(_) | Observation::Absent => break,
            }
        }
        Err(ProviderError::Conflict {
            key: self.key.clone(),
        })
    }

    /// What a refusal of it means.
    pub(crate) fn meaning(&self, status: &Status) -> ProviderError {
        refusal(status, "patch", &self.resource, self.key, self.sensitive)
    }
}

/// Says in `body` which object is meant, and which incarnation and version of it.
fn identify(
    body: &mut Json,
    key: &ResourceKey,
    resource: &Resource,
    observed: Option<&Observed>,
    guard: &Guard,
) {
    let Some(body) = body.as_object_mut() else { return };
    body.insert("apiVersion".to_owned(), json!(resource.api.api_version));
    body.insert("kind".to_owned(), json!(resource.api.kind));
    let metadata = body.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else {
        return;
    };
    metadata.insert("name".to_owned(), json!(key.name));
    match &key.namespace {
        Some(namespace) => metadata.insert("namespace".to_owned(), json!(namespace)),
        // A default namespace, laid under an object that has none.
        None => metadata.remove("namespace"),
    };
    if let Some(uid) = observed.and_then(|observed| observed.uid.as_ref()) {
        metadata.insert("uid".to_owned(), json!(uid));
    }
    if let Guard::Version(version) = guard {
        metadata.insert("resourceVersion".to_owned(), json!(version.0));
    }
}

/// The deletion of just this incarnation. What it owns goes after it.
pub(crate) fn deletion(
    resource: &Resource,
    write: &Write,
    observed: &Observed,
    dry_run: bool,
) -> Result<Call, ProviderError> {
    let mut path = resource.path_of(write.key.namespace.as_deref(), &write.key.name)?;
    let mut preconditions = json!({ "uid": observed.uid });
    if let (Guard::Version(version), Some(preconditions)) = (&write.guard, preconditions.as_object_mut()) {
        preconditions.insert("resourceVersion".to_owned(), json!(version.0));
    }
    let mut options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": preconditions,
        "propagationPolicy": "Background",
    });
    if let (true, Some(options)) = (dry_run, options.as_object_mut()) {
        options.insert("dryRun".to_owned(), json!(["All"]));
        // With options in the body the server doesn't look at the query; its audit log shows nothing else.
        path += "?dryRun=All";
    }
    let repeatable = if dry_run {
        Repeatable::Read
    } else {
        Repeatable::Idempotent
    };
    Ok(Call::send(
        Method::DELETE,
        path,
        "application/json",
        &options,
        repeatable,
    ))
}

/// Removes what an apply can't: content of others where the policy wants none, of `exact` and `absent` places.
///
/// One JSON patch, guarded by the version that the apply has answered with.
async fn remove_foreign(
    server: &Server,
    write: &Write,
    apply: &Apply<'_>,
    facet: &Facet,
    desired: &Desired,
    after: Json,
) -> Result<(), ProviderError> {
    let after = read(&write.key, after)?;
    let Some(document) = after.value(facet) else {
        return Ok(());
    };
    let mut places: Vec<Vec<Place>> = server
        .kind
        .compare(facet, desired, Some(&after), &write.manager)
        .iter()
        .filter(|difference| matches!(difference.change, Change::Remove { .. }))
        .filter_map(|difference| place_of(document, &difference.path))
        .collect();
    if places.is_empty() {
        return Ok(());
    }
    // From the back, so that no removal moves an item that is still to go.
    places.sort();
    let prefix = if facet.as_str() == STATUS { "/status" } else { "" };
    let version = after.version.map(|version| version.0);
    let mut patch = vec![json!({ "op": "replace", "path": "/metadata/resourceVersion", "value": version })];
    patch.extend(places.iter().rev().map(|place| {
        let pointer = place
            .iter()
            .fold(prefix.to_owned(), |pointer, step| format!("{pointer}/{step}"));
        json!({ "op": "remove", "path": pointer })
    }));
    let answer = apply.try_patch(server, &Json::Array(patch), false).await;
    answer
        .map(|_| ())
        .map_err(|failure| failure.into_error(|status| apply.meaning(status)))
}

/// A step of a JSON pointer; positions sort as numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Index(usize),
    Key(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Key(key) => f.write_str(&key.replace('~', "~0").replace('/', "~1")),
        }
    }
}

/// `path` in `document` by positions.
fn place_of(document: &Value, path: &Path) -> Option<Vec<Place>> {
    let mut node = document.exposed();
    path.segments()
        .iter()
        .map(|segment| {
            let single = Path::from(vec![segment.clone()]);
            let next = node.at_path(&single)?;
            let place = match segment {
                Segment::Key(key) => Place::Key(key.clone()),
                Segment::Index(index) => Place::Index(*index),
                Segment::Item(_) => {
                    Place::Index(node.as_list()?.iter().position(|item| std::ptr::eq(item, next))?)
                }
            };
            node = next.exposed();
            Some(place)
        })
        .collect()
}
