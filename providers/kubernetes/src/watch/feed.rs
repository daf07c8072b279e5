//! A list, then a watch from its version on, and what to do when that breaks.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use holdfast_contract::{ApiType, ProviderError, ResourceKey};
use serde_json::Value as Json;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, sleep_until};

use super::trouble::Trouble;
use crate::client::{Call, Failure, encoded, pause, varied};
use crate::discovery::{ASK_AGAIN, News, Resource};
use crate::error::{SERVICE, Status};
use crate::observe::{any_of, list, meaning};
use crate::provider::Server;

/// After how long the server is to end a watch, and by how much more at most, lest all be renewed at once: 290 s in all.
const LASTS: Duration = Duration::from_secs(260);
const LASTS_MORE: Duration = Duration::from_secs(30);
/// A watch that ends sooner than this has failed.
const SHORT: Duration = Duration::from_secs(1);
/// How often a type is tried again once its definition has changed: it is served some time after it is established.
const TRIES: u32 = 6;
/// How often a type that isn't served is asked for where definitions can't be watched.
const POLL: Duration = Duration::from_mins(1);

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// What is to be followed.
#[derive(Clone, Debug)]
pub(crate) struct Collection {
    pub(crate) api: ApiType,
    /// None: everywhere.
    pub(crate) namespace: Option<String>,
    pub(crate) part: Part,
}

/// Which of a type and namespace.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    All,
    /// Of all, their metadata alone, and only what changes: what there is isn't listed.
    Changes,
    /// Those that a label selector means.
    Labelled(String),
    /// The one of this name.
    Named(String),
}

impl Collection {
    fn selector(&self) -> String {
        match &self.part {
            Part::All | Part::Changes => String::new(),
            Part::Labelled(labels) => crate::find::selector(Some(labels)),
            Part::Named(name) => format!("&fieldSelector=metadata.name%3D{}", encoded(name)),
        }
    }

    /// A key that stands for it, for messages.
    fn key(&self, resource: &Resource) -> ResourceKey {
        let any = any_of(resource, self.namespace.as_deref());
        match &self.part {
            Part::Named(name) => ResourceKey {
                name: name.clone(),
                ..any
            },
            _ => any,
        }
    }
}

/// What happens to a collection.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// All of it: the first that is told, and again whenever changes may have been missed.
    Listed(Vec<T>),
    Changed(T),
    /// No longer in it: deleted, or no longer meant by the selector.
    Removed(T),
    /// It can't be followed for now. Told once until it is [`Event::Listed`] again, or fails in another way.
    Failed(ProviderError),
}

/// A collection as it changes. It never ends.
///
/// What is told is what `read` makes of each object; none is passed over.
pub(crate) struct Feed<T> {
    server: Arc<Server>,
    of: Collection,
    read: Box<dyn Fn(Json) -> Option<T> + Send + Sync>,
    phase: Phase<T>,
    trouble: Trouble,
    news: broadcast::Receiver<News>,
    /// How often a type that isn't served is still to be tried before the next news of it.
    tries: u32,
    /// How old what is known of the server's types may be.
    age: Duration,
}

enum Phase<T> {
    List,
    /// To be watched from this version on; what was listed is told once that is accepted.
    Begin(Resource, String, Option<Vec<T>>),
    Watching(Watching),
    /// Until types change.
    Resting,
}

struct Watching {
    resource: Resource,
    version: String,
    since: Instant,
    events: BoxStream<'static, Result<Json, ProviderError>>,
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feed({:?})", self.of)
    }
}

impl<T: Send> Feed<T> {
    pub(crate) fn new(
        server: &Arc<Server>,
        of: Collection,
        read: impl Fn(Json) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        Self {
            news: server.discovery.news(),
            server: Arc::clone(server),
            of,
            read: Box::new(read),
            phase: Phase::List,
            trouble: Trouble::default(),
            tries: 0,
            age: ASK_AGAIN,
        }
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Event<T> {
        loop {
            if let Phase::Watching(watching) = &mut self.phase {
                let event = watching.events.next().await;
                if let Some(event) = self.take(event) {
                    return event;
                }
                continue;
            }
            if let Some(not_before) = self.trouble.not_before {
                sleep_until(not_before).await;
                self.trouble.not_before = None;
            }
            if !matches!(self.phase, Phase::Resting) {
                // What was told before this is in the answer.
                self.news = self.news.resubscribe();
            }
            let event = match std::mem::replace(&mut self.phase, Phase::List) {
                Phase::Begin(resource, version, listed) => self.begin(resource, version, listed).await,
                Phase::Resting => {
                    self.phase = Phase::Resting;
                    self.rest().await;
                    self.phase = Phase::List;
                    None
                }
                Phase::List | Phase::Watching(_) => self.list().await,
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// The next event, if it has come already.
    pub(crate) fn ready(&mut self) -> Option<Event<T>> {
        while let Phase::Watching(watching) = &mut self.phase {
            let event = watching.events.next().now_or_never()?;
            if let Some(event) = self.take(event) {
                return Some(event);
            }
        }
        None
    }

    /// To be listed anew, as what it told could not be made sure of.
    pub(crate) fn doubt(&mut self, error: &ProviderError) -> Option<Event<T>> {
        self.failed(error.clone(), Phase::List)
    }

    /// What to do after `error`: go on with `phase` after a pause, or rest; and whether to tell of it.
    fn failed(&mut self, error: ProviderError, phase: Phase<T>) -> Option<Event<T>> {
        let wait = match &error {
            ProviderError::Throttled { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let due = self.trouble.add(&error, wait, Instant::now());
        tracing::debug!(of = ?self.of, %error, due, "a watch failed");
        let rests = match &error {
            ProviderError::NotServed { .. } => true,
            // Neither time nor tries make it watchable.
            ProviderError::Unsupported { .. } => {
                self.tries = 0;
                true
            }
            _ => false,
        };
        self.phase = match phase {
            _ if rests => {
                self.trouble.not_before = None;
                Phase::Resting
            }
            // Once it is unknown, only a list makes it known again.
            _ if self.trouble.is_told() => Phase::List,
            phase => phase,
        };
        due.then_some(Event::Failed(error))
    }

    /// Waits for news of the type; for a while after them, or where none come, not without end.
    async fn rest(&mut self) {
        let again = if self.tries > 0 {
            Some(pause(TRIES + 1 - self.tries))
        } else if self.server.definitions.are_watched() {
            None
        } else {
            Some(varied(POLL))
        };
        let group = self.of.api.group();
        let news = &mut self.news;
        let told = async {
            loop {
                match news.recv().await {
                    Ok(News::Came(other)) if other != group => {}
                    Ok(News::Gone(_)) => {}
                    Ok(News::Any | News::Came(_)) | Err(RecvError::Lagged(_)) => break,
                    // It doesn't: the sender is a part of the server, which this holds.
                    Err(RecvError::Closed) => pending().await,
                }
            }
        };
        let paused = async {
            match again {
                Some(again) => sleep(again).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = told => {
                self.tries = TRIES;
                self.age = ASK_AGAIN;
            }
            () = paused => {
                self.age = if self.tries > 0 { ASK_AGAIN } else { POLL / 2 };
                self.tries = self.tries.saturating_sub(1);
            }
        }
        self.trouble.end();
    }

    async fn list(&mut self) -> Option<Event<T>> {
        let server = Arc::clone(&self.server);
        let resource = match server
            .discovery
            .resource_within(&server.client, &self.of.api, self.age)
            .await
        {
            Ok(resource) => resource,
            Err(error) => return self.failed(error, Phase::List),
        };
        if let Part::Named(name) = &self.of.part
            && let Err(error) = resource.path_of(self.of.namespace.as_deref(), name)
        {
            return self.failed(error, Phase::List);
        }
        let mut items = Vec::new();
        let version = if matches!(self.of.part, Part::Changes) {
            version(&server, &resource).await
        } else {
            let take = |item| items.extend((self.read)(item));
            let namespace = self.of.namespace.as_deref();
            list(&server.client, &resource, namespace, &self.of.selector(), take).await
        };
        match version {
            Ok(version) => {
                self.phase = Phase::Begin(resource, version, Some(items));
                None
            }
            Err(error) => {
                if matches!(error, ProviderError::NotServed { .. }) {
                    // Where the server says otherwise it has said so before this.
                    server.discovery.outdate();
                }
                self.failed(error, Phase::List)
            }
        }
    }

    async fn begin(
        &mut self,
        resource: Resource,
        version: String,
        listed: Option<Vec<T>>,
    ) -> Option<Event<T>> {
        let call = Call {
            accept: match self.of.part {
                Part::Changes => METADATA,
                _ => "application/json",
            },
            ..Call::get(format!(
                "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}{}",
                resource.path(self.of.namespace.as_deref()),
                (LASTS + varied(LASTS_MORE)).as_secs(),
                encoded(&version),
                self.of.selector(),
            ))
        };
        match self.server.client.watch(&call).await {
            Ok(events) => {
                self.phase = Phase::Watching(Watching {
                    resource,
                    version,
                    since: Instant::now(),
                    events: events.boxed(),
                });
                let listed = listed?;
                self.trouble.told_all();
                self.tries = 0;
                Some(Event::Listed(listed))
            }
            // What has happened since is no longer kept.
            Err(Failure::Refused(status)) if status.code == 410 => {
                self.trouble.add_expiry(Instant::now());
                self.phase = Phase::List;
                None
            }
            Err(failure) => {
                let error = failure.into_error(|status| self.refusal(status, &resource));
                if matches!(error, ProviderError::NotServed { .. }) {
                    self.server.discovery.outdate();
                }
                if !error.is_transient() {
                    return self.failed(error, Phase::List);
                }
                match listed {
                    // The list is of this moment, and the watch goes on from its version: it is told before the watch stands,
                    // unless that won't be for long.
                    Some(listed) if self.trouble.is_over() => {
                        self.trouble.told_all();
                        let failed = self.failed(error, Phase::Begin(resource, version, None));
                        Some(failed.unwrap_or(Event::Listed(listed)))
                    }
                    listed => self.failed(error, Phase::Begin(resource, version, listed)),
                }
            }
        }
    }

    fn refusal(&self, status: &Status, resource: &Resource) -> ProviderError {
        match status.code {
            405 => ProviderError::Unsupported {
                service: SERVICE.to_owned(),
                what: format!("watching {}", resource.name()),
            },
            _ => meaning(status, "watch", resource, &self.of.key(resource)),
        }
    }

    /// What an event of the watch means; nothing if only the phase changes.
    fn take(&mut self, event: Option<Result<Json, ProviderError>>) -> Option<Event<T>> {
        let Phase::Watching(watching) = &mut self.phase else {
            return None;
        };
        if watching.since.elapsed() >= SHORT {
            self.trouble.end();
        }
        let mut event = match event {
            Some(Ok(event)) => event,
            Some(Err(error)) => return self.failed(error, Phase::List),
            // It has lasted as long as it was to, or its connection broke: it goes on where it ended.
            None => {
                if watching.since.elapsed() < SHORT {
                    self.trouble.add_expiry(Instant::now());
                }
                let (resource, version) = (watching.resource.clone(), watching.version.clone());
                self.phase = Phase::Begin(resource, version, None);
                return None;
            }
        };
        let object = event.get_mut("object").map(Json::take).unwrap_or_default();
        let kind = event.get("type").and_then(Json::as_str).unwrap_or_default();
        if kind == "ERROR" {
            let resource = watching.resource.clone();
            return self.broken(&object, &resource);
        }
        self.trouble.end();
        if let Some(newer) = object.pointer("/metadata/resourceVersion").and_then(Json::as_str) {
            newer.clone_into(&mut watching.version);
        }
        match kind {
            "ADDED" | "MODIFIED" => (self.read)(object).map(Event::Changed),
            "DELETED" => (self.read)(object).map(Event::Removed),
            // Nothing but a newer version.
            _ => None,
        }
    }

    /// The server has said that it can't go on.
    fn broken(&mut self, object: &Json, resource: &Resource) -> Option<Event<T>> {
        let status: Status = serde_json::from_value(object.clone()).unwrap_or_default();
        if status.code == 410 {
            self.trouble.add_expiry(Instant::now());
            self.phase = Phase::List;
            return None;
        }
        let error = self.refusal(&status, resource);
        self.failed(error, Phase::List)
    }
}

/// The version of all of a type, at the least cost.
async fn version(server: &Server, resource: &Resource) -> Result<String, ProviderError> {
    let call = Call {
        accept: METADATA_LIST,
        ..Call::list(format!("{}?limit=1", resource.path(None)))
    };
    let answer = server.client.call(&call).await.map_err(|failure| {
        failure.into_error(|status| meaning(status, "list", resource, &any_of(resource, None)))
    })?;
    let version = answer.body.pointer("/metadata/resourceVersion");
    Ok(version.and_then(Json::as_str).unwrap_or_default().to_owned())
}
