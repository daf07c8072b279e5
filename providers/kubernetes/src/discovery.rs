//! Which types the server knows: aggregated discovery, two requests for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holdfast_contract::{ApiType, ProviderError, Scope, Served};
use serde::Deserialize;
use tokio::sync::{Mutex, broadcast};
use tokio::time::Instant;

use crate::client::{Call, Client, encoded};
use crate::error::{SERVICE, lost, not_served};

/// Version 2 since Kubernetes 1.30, version 2beta1 since 1.26.
const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                      application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// A type that isn't known is asked for anew, but not more often than this: many objects may lack one type.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(1);
/// News that wait to be heard. Who misses some is told so, and takes it that any type may have changed.
const NEWS_MAX: usize = 64;

/// A type, as the server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) api: ApiType,
    /// Its name in paths: `deployments`.
    pub(crate) plural: String,
    pub(crate) scope: Scope,
    /// Whether its status is written apart.
    pub(crate) has_status: bool,
}

impl Resource {
    /// As RBAC names it: `deployments.apps`; of the core group `secrets`.
    pub(crate) fn name(&self) -> String {
        match self.api.group() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// As RBAC names its status: `deployments/status.apps`.
    pub(crate) fn status_name(&self) -> String {
        match self.api.group() {
            "" => format!("{}/status", self.plural),
            group => format!("{}/status.{group}", self.plural),
        }
    }

    /// The path of all of them, in `namespace` or everywhere.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.api.group().is_empty() {
            "/api"
        } else {
            "/apis"
        };
        let mut path = format!("{root}/{}", self.api.api_version);
        if let Some(namespace) = namespace.filter(|_| self.scope == Scope::Namespaced) {
            // Writing to a String can't fail.
            let _ = write!(path, "/namespaces/{}", encoded(namespace));
        }
        path + "/" + &self.plural
    }

    /// The path of one.
    pub(crate) fn path_of(&self, namespace: Option<&str>, name: &str) -> Result<String, ProviderError> {
        if self.scope == Scope::Namespaced && namespace.is_none() {
            return Err(ProviderError::Invalid {
                target: format!("{} {name}", self.api),
                message: "objects of this type live in a namespace, and none is given".to_owned(),
                field: None,
            });
        }
        Ok(format!("{}/{}", self.path(namespace), encoded(name)))
    }
}

/// All that the server knew at one time.
#[derive(Debug)]
struct Known {
    resources: BTreeMap<ApiType, Resource>,
    /// Group versions whose own server didn't answer the API server: what they serve can't be said.
    stale: BTreeSet<String>,
    at: Instant,
    /// How many news there were when it was so.
    news: u64,
}

impl Known {
    /// The groups of what this has, and `other` has not, or otherwise.
    fn without<'a>(&'a self, other: &Self) -> BTreeSet<&'a str> {
        let resources = self.resources.iter();
        resources
            .filter(|(api, resource)| other.resources.get(*api) != Some(*resource))
            .map(|(api, _)| api.group())
            .collect()
    }
}

/// Which types may be served otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Any.
    Any,
    /// Of this group some may have come.
    Came(String),
    /// Of this group some may have gone.
    Gone(String),
}

/// What the server knows, as it said last.
#[derive(Debug)]
pub(crate) struct Discovery {
    known: Mutex<Option<Arc<Known>>>,
    news: broadcast::Sender<News>,
    /// How many news there were, those among them that nobody needs to hear of: what is known as of fewer is no longer so.
    count: AtomicU64,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            news: broadcast::Sender::new(NEWS_MAX),
            count: AtomicU64::new(0),
        }
    }
}

impl Discovery {
    /// Which of `apis` are served; asks the server at the first call, and with `refresh`.
    pub(crate) async fn served(
        &self,
        client: &Client,
        apis: &[ApiType],
        refresh: bool,
    ) -> Result<BTreeMap<ApiType, Served>, ProviderError> {
        let (served, _) = self.served_as_of(client, apis, refresh).await?;
        Ok(served)
    }

    /// As [`Discovery::served`], and as of how many news.
    pub(crate) async fn served_as_of(
        &self,
        client: &Client,
        apis: &[ApiType],
        refresh: bool,
    ) -> Result<(BTreeMap<ApiType, Served>, u64), ProviderError> {
        let age = if refresh { Some(Duration::ZERO) } else { None };
        let known = self.known(client, age).await?;
        let served = apis
            .iter()
            .map(|api| {
                let served = match known.resources.get(api) {
                    Some(resource) => Served::Yes(resource.scope),
                    None if known.stale.contains(&api.api_version) => return Err(stale(api)),
                    None => Served::No,
                };
                Ok((api.clone(), served))
            })
            .collect::<Result<_, ProviderError>>()?;
        Ok((served, known.news))
    }

    /// How `api` is served. One that wasn't when the server said last is asked for anew.
    pub(crate) async fn resource(&self, client: &Client, api: &ApiType) -> Result<Resource, ProviderError> {
        self.resource_within(client, api, ASK_AGAIN).await
    }

    /// As [`Discovery::resource`], where a type that isn't known is asked for anew once what is known is older than `age`.
    pub(crate) async fn resource_within(
        &self,
        client: &Client,
        api: &ApiType,
        age: Duration,
    ) -> Result<Resource, ProviderError> {
        let mut known = self.known(client, None).await?;
        if !known.resources.contains_key(api) && known.at.elapsed() > age {
            known = self.known(client, Some(age)).await?;
        }
        match known.resources.get(api) {
            Some(resource) => Ok(resource.clone()),
            None if known.stale.contains(&api.api_version) => Err(stale(api)),
            None => Err(not_served(api)),
        }
    }

    /// What is known is no longer so: whoever wants to know next asks the server.
    pub(crate) fn outdate(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Types may have come or gone.
    pub(crate) fn tell(&self, news: News) {
        self.outdate();
        // Nobody may be listening.
        let _ = self.news.send(news);
    }

    /// How many news there were so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// What comes from [`Discovery::tell`] from now on, and what the server's answers show to have changed.
    pub(crate) fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Asks the server anew, if it was asked before, and tells what has changed meanwhile.
    pub(crate) async fn catch_up(&self, client: &Client) -> Result<(), ProviderError> {
        if self.known.lock().await.is_some() {
            self.known(client, Some(Duration::ZERO)).await?;
        }
        Ok(())
    }

    /// What is known, asked for anew where it is older than `age`.
    async fn known(&self, client: &Client, age: Option<Duration>) -> Result<Arc<Known>, ProviderError> {
        let asked = Instant::now();
        // Held while the server is asked, so that many who want to know ask once.
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref()
            && known.news == self.count()
            && (known.at >= asked || age.is_none_or(|age| known.at.elapsed() <= age && age > Duration::ZERO))
        {
            return Ok(Arc::clone(known));
        }
        // Before it is asked: what is told meanwhile counts for the next time.
        let count = self.count();
        let mut fresh = ask(client).await?;
        let mut news = Vec::new();
        if let Some(before) = known.as_ref() {
            let own = |groups: BTreeSet<&str>| groups.into_iter().map(str::to_owned).collect::<Vec<_>>();
            news.extend(own(fresh.without(before)).into_iter().map(News::Came));
            news.extend(own(before.without(&fresh)).into_iter().map(News::Gone));
        }
        fresh.news = count.saturating_add(news.len() as u64);
        let fresh = Arc::new(fresh);
        *known = Some(Arc::clone(&fresh));
        for one in news {
            self.tell(one);
        }
        Ok(fresh)
    }
}

fn stale(api: &ApiType) -> ProviderError {
    lost(format!(
        "the server of {} doesn't answer, so it can't say which types there are",
        api.api_version
    ))
}

async fn ask(client: &Client) -> Result<Known, ProviderError> {
    // Before it is asked: what it says is at least as new.
    let at = Instant::now();
    let (core, groups) = futures::try_join!(page(client, "/api"), page(client, "/apis"))?;
    let mut known = Known {
        resources: BTreeMap::new(),
        stale: BTreeSet::new(),
        at,
        news: 0,
    };
    for group in core.items.into_iter().chain(groups.items) {
        for version in group.versions {
            let api_version = match group.metadata.name.as_str() {
                "" => version.version.clone(),
                name => format!("{name}/{}", version.version),
            };
            if version.freshness == "Stale" {
                known.stale.insert(api_version.clone());
            }
            for resource in version.resources {
                add(&mut known.resources, &api_version, resource);
            }
        }
    }
    Ok(known)
}

fn add(resources: &mut BTreeMap<ApiType, Resource>, api_version: &str, found: ResourceDiscovery) {
    // A resource without a kind of its own is only the parent of subresources.
    let Some(kind) = found
        .response_kind
        .map(|kind| kind.kind)
        .filter(|kind| !kind.is_empty())
    else {
        return;
    };
    let api = ApiType::new(api_version, &kind);
    let resource = Resource {
        api: api.clone(),
        plural: found.resource,
        scope: if found.scope == "Cluster" {
            Scope::Cluster
        } else {
            Scope::Namespaced
        },
        has_status: found.subresources.iter().any(|sub| sub.subresource == "status"),
    };
    // Of two resources of one kind the one that can be read is meant.
    if found.verbs.iter().any(|verb| verb == "get") || !resources.contains_key(&api) {
        resources.insert(api, resource);
    }
}

async fn page(client: &Client, path: &str) -> Result<GroupList, ProviderError> {
    let call = Call {
        accept: ACCEPT,
        operation: "discovery",
        ..Call::get(path.to_owned())
    };
    let answer = client.call(&call).await.map_err(|failure| {
        failure.into_error(|status| match status.code {
            401 => ProviderError::Unauthenticated {
                service: SERVICE.to_owned(),
                message: "the token or certificate was refused".to_owned(),
            },
            403 => ProviderError::Denied {
                action: format!("get {path} (the role system:discovery)"),
                target: "the server's types".to_owned(),
            },
            429 => ProviderError::Throttled {
                service: SERVICE.to_owned(),
                retry_after: status.retry_after(),
            },
            code => lost(format!("it answered {code} to GET {path}")),
        })
    })?;
    let list: GroupList = serde_json::from_value(answer.body)
        .map_err(|error| lost(format!("the list of types at {path} can't be read: {error}")))?;
    if list.kind != "APIGroupDiscoveryList" {
        return Err(ProviderError::Unsupported {
            service: SERVICE.to_owned(),
            what: "aggregated discovery, which comes with Kubernetes 1.26".to_owned(),
        });
    }
    Ok(list)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GroupList {
    kind: String,
    items: Vec<Group>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Group {
    metadata: Named,
    versions: Vec<GroupVersion>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GroupVersion {
    version: String,
    freshness: String,
    resources: Vec<ResourceDiscovery>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResourceDiscovery {
    resource: String,
    response_kind: Option<ResponseKind>,
    scope: String,
    verbs: Vec<String>,
    subresources: Vec<Subresource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResponseKind {
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Subresource {
    subresource: String,
}
