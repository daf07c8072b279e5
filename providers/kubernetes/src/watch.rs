//! Objects as they change.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, select_all, unfold};
use holdfast_contract::{ApiType, Observation, ProviderError, ResourceKey, Seen, WatchStream, Watched};
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::client::{Failure, encoded, pause};
use crate::discovery::Resource;
use crate::observe::{list, meaning, observed, read_one};
use crate::provider::Server;
use crate::types;

/// Up to how many objects of a type and namespace are watched each by itself. Each watch holds a connection.
const SINGLE_MAX: usize = 3;
/// After how many seconds the server is to end a watch.
const LASTS: u64 = 290;
/// A watch that ends sooner than this has failed.
const SHORT: Duration = Duration::from_secs(1);

/// Observations of `wanted`: the present state first, then each change. Never ends by itself; to be dropped.
///
/// A few objects of one type are watched one by one, and Secrets always; more by one watch of the type in their
/// namespace. Each costs a list and a watch. An object that is said to be deleted is read once more before it is
/// absent. What can't be watched is an error for each of its objects, and tried again after a growing pause.
pub(crate) fn watch(server: &Arc<Server>, watched: &Watched) -> WatchStream {
    let mut groups: BTreeMap<(&ApiType, &Option<String>), BTreeSet<&ResourceKey>> = BTreeMap::new();
    for one in watched.wanted.iter().chain(&watched.own) {
        if let Some(api) = &one.key.api {
            groups
                .entry((api, &one.key.namespace))
                .or_default()
                .insert(&one.key);
        }
    }
    let mut streams: Vec<WatchStream> = Vec::new();
    for ((api, namespace), keys) in groups {
        let watch = |keys: Vec<ResourceKey>, single| {
            let watch = Watch {
                group: Group {
                    server: Arc::clone(server),
                    api: api.clone(),
                    namespace: namespace.clone(),
                    keys,
                    single,
                },
                ready: VecDeque::new(),
                failures: 0,
                phase: Phase::List,
            };
            unfold(watch, |watch| async { Some(watch.next().await) }).boxed()
        };
        if keys.len() <= SINGLE_MAX || types::is_secret(api) {
            streams.extend(keys.into_iter().map(|key| watch(vec![key.clone()], true)));
        } else {
            streams.push(watch(keys.into_iter().cloned().collect(), false));
        }
    }
    select_all(streams).boxed()
}

/// What one watch is of.
struct Group {
    server: Arc<Server>,
    api: ApiType,
    namespace: Option<String>,
    keys: Vec<ResourceKey>,
    /// Whether the server is to tell of just the one object.
    single: bool,
}

struct Watch {
    group: Group,
    ready: VecDeque<(ResourceKey, Result<Observation, ProviderError>)>,
    /// In a row.
    failures: u32,
    phase: Phase,
}

enum Phase {
    List,
    /// To be watched from this version on.
    Begin(Resource, String),
    Watching(
        Resource,
        String,
        Instant,
        BoxStream<'static, Result<Json, ProviderError>>,
    ),
    /// Failed: pause, then list anew.
    Failed,
}

impl Group {
    fn selector(&self) -> String {
        match self.keys.first() {
            Some(key) if self.single => format!("&fieldSelector=metadata.name%3D{}", encoded(&key.name)),
            _ => String::new(),
        }
    }

    fn key_of(&self, object: &Json) -> Option<ResourceKey> {
        let name = object.pointer("/metadata/name").and_then(Json::as_str)?;
        self.keys.iter().find(|key| key.name == name).cloned()
    }
}

impl Watch {
    async fn next(mut self) -> (Seen, Self) {
        loop {
            if let Some((key, seen)) = self.ready.pop_front() {
                return (Seen::One(key, seen), self);
            }
            let phase = std::mem::replace(&mut self.phase, Phase::Failed);
            self.phase = match phase {
                Phase::List => self.list().await,
                Phase::Begin(resource, version) => self.begin(resource, version).await,
                Phase::Watching(resource, version, since, events) => {
                    self.follow(resource, version, since, events).await
                }
                Phase::Failed => {
                    self.failures = self.failures.saturating_add(1);
                    pause(self.failures).await;
                    Phase::List
                }
            };
        }
    }

    fn failed(&mut self, error: &ProviderError) -> Phase {
        let errors = self
            .group
            .keys
            .iter()
            .map(|key| (key.clone(), Err(error.clone())));
        self.ready.extend(errors);
        Phase::Failed
    }

    async fn list(&mut self) -> Phase {
        let resource = match self
            .group
            .server
            .discovery
            .resource(&self.group.server.client, &self.group.api)
            .await
        {
            Ok(resource) => resource,
            Err(error) => return self.failed(&error),
        };
        let mut found: BTreeMap<ResourceKey, Json> = BTreeMap::new();
        let group = &self.group;
        let take = |item: Json| {
            if let Some(key) = group.key_of(&item) {
                found.insert(key, item);
            }
        };
        let namespace = self.group.namespace.as_deref();
        let version = match list(
            &self.group.server.client,
            &resource,
            namespace,
            &self.group.selector(),
            take,
        )
        .await
        {
            Ok(version) => version,
            Err(error) => return self.failed(&error),
        };
        for key in &self.group.keys {
            let seen = match found.remove(key) {
                Some(object) => {
                    observed(key, object).map(|observed| Observation::Present(Box::new(observed)))
                }
                None => Ok(Observation::Absent),
            };
            self.ready.push_back((key.clone(), seen));
        }
        Phase::Begin(resource, version)
    }

    async fn begin(&mut self, resource: Resource, version: String) -> Phase {
        let uri = format!(
            "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={LASTS}&resourceVersion={}{}",
            resource.path(self.group.namespace.as_deref()),
            encoded(&version),
            self.group.selector(),
        );
        match self.group.server.client.watch(uri).await {
            Ok(events) => Phase::Watching(resource, version, Instant::now(), events.boxed()),
            Err(Failure::Refused(status)) if status.code == 410 => Phase::List,
            Err(failure) => {
                let Some(first) = self.group.keys.first() else {
                    return Phase::Failed;
                };
                let error = failure.into_error(|status| meaning(status, "watch", &resource, first));
                self.failed(&error)
            }
        }
    }

    async fn follow(
        &mut self,
        resource: Resource,
        version: String,
        since: Instant,
        mut events: BoxStream<'static, Result<Json, ProviderError>>,
    ) -> Phase {
        let event = match events.next().await {
            Some(Ok(event)) => event,
            Some(Err(error)) => return self.failed(&error),
            None if since.elapsed() < SHORT => {
                self.failures = self.failures.saturating_add(1);
                pause(self.failures).await;
                return Phase::Begin(resource, version);
            }
            // It has lasted as long as it was to: begun anew where it ended.
            None => return Phase::Begin(resource, version),
        };
        let kind = event.get("type").and_then(Json::as_str).unwrap_or_default();
        let object = event.get("object").cloned().unwrap_or_default();
        let newer = object.pointer("/metadata/resourceVersion").and_then(Json::as_str);
        let version = newer.map_or(version, str::to_owned);
        match (kind, self.group.key_of(&object)) {
            // Too old a version, mostly: what happened since then is learnt by a list.
            ("ERROR", _) => {
                self.failures = self.failures.saturating_add(1);
                pause(self.failures - 1).await;
                return Phase::List;
            }
            ("ADDED" | "MODIFIED", Some(key)) => {
                self.failures = 0;
                let seen = observed(&key, object).map(|observed| Observation::Present(Box::new(observed)));
                self.ready.push_back((key, seen));
            }
            ("DELETED", Some(key)) => {
                self.failures = 0;
                let seen = read_one(&self.group.server.client, &resource, &key).await;
                self.ready.push_back((key, seen));
            }
            _ => {}
        }
        Phase::Watching(resource, version, since, events)
    }
}
