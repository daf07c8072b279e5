//! Everything outside, in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_contract::{
    ApiType, Facet, Kind, KindName, PolicyId, ProviderError, ProviderName, Registry, Scope, Value,
};

use crate::accident::{Accident, Accidents, Moment, Operation, Request};
use crate::config::MemoryFactory;
use crate::error::SandboxError;
use crate::file::StateFile;
use crate::manifest::{born, facets_of, without_metadata};
use crate::reactions::Reactions;
use crate::resource::{Identity, Resource, set_metadata};
use crate::state::{Lease, Ledger};

/// The uid of the cluster in a world that names none.
const CLUSTER_UID: &str = "5a0db0c0-0000-4000-8000-000000000000";
/// The account in a world that names none: the one that the service's own documentation uses for examples.
const ACCOUNT: &str = "111122223333";
/// Namespaces that every cluster has from its start.
pub(crate) const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Everything outside: a cluster's objects, a cloud's buckets, the engine's ledgers and leases.
///
/// A clone is the same world. All providers that [`MemoryFactory`] opens on it share it.
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changes: tokio::sync::watch::Sender<u64>,
}

pub(crate) struct State {
    pub(crate) kinds: BTreeMap<KindName, Arc<dyn Kind>>,
    pub(crate) resources: BTreeMap<Identity, Resource>,
    /// Types that are served though no definition brings them.
    pub(crate) serves: BTreeMap<ApiType, Scope>,
    pub(crate) cluster_uid: String,
    pub(crate) account: String,
    pub(crate) counter: u64,
    pub(crate) reactions: Reactions,
    pub(crate) ledgers: BTreeMap<PolicyId, Ledger>,
    pub(crate) leases: BTreeMap<PolicyId, Lease>,
    pub(crate) file: Option<StateFile>,
    accidents: Accidents,
    requests: Vec<Request>,
    lag: u32,
    /// What lagging reads still answer, and how many of them.
    lagging: BTreeMap<Identity, (Option<Resource>, u32)>,
}

impl World {
    /// An empty world that knows the kinds of `real`: a cluster with the namespaces that every cluster has, and one
    /// account without buckets.
    #[must_use]
    pub fn new(real: &Registry) -> Self {
        let kinds = real
            .factories()
            .flat_map(|factory| factory.kinds())
            .map(|kind| (kind.name().clone(), kind))
            .collect();
        let mut state = State {
            kinds,
            resources: BTreeMap::new(),
            serves: BTreeMap::new(),
            cluster_uid: CLUSTER_UID.to_owned(),
            account: ACCOUNT.to_owned(),
            counter: 0,
            reactions: Reactions::default(),
            ledgers: BTreeMap::new(),
            leases: BTreeMap::new(),
            file: None,
            accidents: Accidents::default(),
            requests: Vec::new(),
            lag: 0,
            lagging: BTreeMap::new(),
        };
        state.make_namespaces();
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changes: tokio::sync::watch::Sender::new(0),
            }),
        }
    }

    /// The same providers as in `real`, each on this world.
    #[must_use]
    pub fn registry(&self, real: &Registry) -> Registry {
        real.factories().fold(Registry::default(), |registry, factory| {
            registry.with(Arc::new(MemoryFactory::new(self.clone(), factory.clone())))
        })
    }

    /// Every request so far, in order. Requests of an outside hand ([`World::edit`]) aren't among them.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.lock().requests.clear();
    }

    /// Lets `accident` wait for the request that it befalls.
    pub fn fail(&self, accident: Accident) {
        self.lock().accidents.add(accident);
    }

    /// Lets the next `operation` fail with `error`.
    pub fn fail_next(&self, operation: Operation, error: ProviderError) {
        self.fail(Accident::new(operation, error));
    }

    /// Takes back all accidents that wait.
    pub fn heal(&self) {
        self.lock().accidents.clear();
    }

    /// After each later write of a bucket, so many reads of it answer as before the write. A cluster's reads never
    /// lag behind its writes.
    pub fn lag(&self, reads: u32) {
        self.lock().lag = reads;
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another thread leaves nothing half-done here: each change is made in one step.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all watches that something changed.
    pub(crate) fn notify(&self) {
        self.shared
            .changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("World")
            .field("resources", &state.resources.len())
            .field("requests", &state.requests.len())
            .finish_non_exhaustive()
    }
}

impl State {
    /// Notes a request, and says whether it fails.
    pub(crate) fn request(
        &mut self,
        operation: Operation,
        provider: Option<&ProviderName>,
        target: &impl fmt::Display,
        facet: Option<&Facet>,
    ) -> Result<Request, ProviderError> {
        let request = Request {
            operation,
            provider: provider.cloned(),
            target: target.to_string(),
            facet: facet.cloned(),
        };
        self.requests.push(request.clone());
        self.befall(&request, Moment::Before)?;
        Ok(request)
    }

    pub(crate) fn befall(&mut self, request: &Request, moment: Moment) -> Result<(), ProviderError> {
        self.accidents.befall(request, moment).map_or(Ok(()), Err)
    }

    pub(crate) fn kind(&self, name: &KindName) -> Result<Arc<dyn Kind>, ProviderError> {
        self.kinds
            .get(name)
            .cloned()
            .ok_or_else(|| ProviderError::Unsupported {
                service: "the sandbox".to_owned(),
                what: format!("the kind {name}"),
            })
    }

    /// The other kinds: those of buckets.
    pub(crate) fn bucket_kinds(&self) -> Vec<Arc<dyn Kind>> {
        let object = self.object_kind().map(|kind| kind.name().clone());
        let others = self
            .kinds
            .values()
            .filter(|kind| Some(kind.name()) != object.as_ref());
        others.cloned().collect()
    }

    /// The kind of Kubernetes objects, if a cluster is among the providers at all.
    pub(crate) fn object_kind(&self) -> Option<Arc<dyn Kind>> {
        let namespace = ApiType::new("v1", "Namespace");
        self.kinds
            .values()
            .find(|kind| kind.scope(&namespace).is_some())
            .cloned()
    }

    pub(crate) fn count(&mut self) -> u64 {
        self.counter = self.counter.saturating_add(1);
        self.counter
    }

    /// The resource as a read finds it: lagging reads find what was there before.
    pub(crate) fn read(&mut self, identity: &Identity) -> Option<Resource> {
        if let Some((before, left)) = self.lagging.get_mut(identity) {
            if *left > 0 {
                *left = left.saturating_sub(1);
                return before.clone();
            }
            self.lagging.remove(identity);
        }
        self.resources.get(identity).cloned()
    }

    fn remember_for_lag(&mut self, identity: &Identity) {
        let is_object = matches!(identity, Identity::Object { .. });
        if self.lag > 0 && !is_object {
            let before = self.resources.get(identity).cloned();
            self.lagging.insert(identity.clone(), (before, self.lag));
        }
    }

    /// Makes a resource, and lets controllers react.
    pub(crate) fn insert(&mut self, kind: &dyn Kind, resource: Resource) {
        let identity = self.insert_quietly(kind, resource);
        self.react(identity);
    }

    pub(crate) fn insert_quietly(&mut self, kind: &dyn Kind, mut resource: Resource) -> Identity {
        let identity = Identity::of(&resource.key);
        self.remember_for_lag(&identity);
        let root = resource.facets.get(kind.root_facet());
        let given_uid = root.and_then(|document| document.at(&["metadata", "uid"]).cloned());
        if resource.key.api.is_some() {
            let number = self.count();
            let document = resource.facets.entry(kind.root_facet().clone()).or_default();
            born(document, &resource.key, number);
        }
        if identity == Identity::namespace(&resource.key.name) {
            if resource.key.name == "kube-system" {
                self.identify_cluster(kind, &mut resource, given_uid);
            }
            // A server's own doing, not a controller's.
            let active =
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "status": {"phase": "Active"}});
            for (facet, document) in facets_of(kind, &active) {
                resource.facets.entry(facet).or_insert(document);
            }
        }
        self.resources.insert(identity.clone(), resource);
        identity
    }

    /// The uid of `kube-system` is the cluster's, whichever of the two was named.
    fn identify_cluster(&mut self, kind: &dyn Kind, system: &mut Resource, given_uid: Option<Value>) {
        if let Some(Value::String(uid)) = given_uid {
            self.cluster_uid = uid;
        }
        let document = system.facets.entry(kind.root_facet().clone()).or_default();
        set_metadata(document, "uid", Value::from(self.cluster_uid.as_str()));
    }

    /// Replaces the documents of some facets, and lets controllers react. What is the same moves no version.
    pub(crate) fn update(&mut self, kind: &dyn Kind, identity: &Identity, facets: BTreeMap<Facet, Value>) {
        if self.update_quietly(kind, identity, facets) {
            self.react(identity.clone());
        }
    }

    pub(crate) fn update_quietly(
        &mut self,
        kind: &dyn Kind,
        identity: &Identity,
        facets: BTreeMap<Facet, Value>,
    ) -> bool {
        let Some(resource) = self.resources.get(identity) else {
            return false;
        };
        // A bucket's setting with nothing in it is an unset one.
        let is_object = resource.key.api.is_some();
        let is_unset = |value: &Value| !is_object && value.as_map().is_some_and(BTreeMap::is_empty);
        let root = kind.root_facet();
        let changed: BTreeMap<Facet, Option<Value>> = facets
            .into_iter()
            .map(|(facet, value)| {
                let value = Some(value).filter(|value| facet == *root || !is_unset(value));
                (facet, value)
            })
            .filter(|(facet, value)| resource.facets.get(facet) != value.as_ref())
            .collect();
        if changed.is_empty() {
            return false;
        }
        self.remember_for_lag(identity);
        let number = self.count();
        let Some(resource) = self.resources.get_mut(identity) else {
            return false;
        };
        let moves_generation = changed.get(root).is_some_and(|new| {
            let old = resource.facets.get(root);
            without_metadata(new.as_ref()) != without_metadata(old)
        });
        for (facet, value) in changed {
            match value {
                Some(value) => resource.facets.insert(facet, value),
                None => resource.facets.remove(&facet),
            };
        }
        if is_object {
            let document = resource.facets.entry(root.clone()).or_default();
            set_metadata(document, "resourceVersion", Value::from(number.to_string()));
            if moves_generation {
                let generation = document
                    .at(&["metadata", "generation"])
                    .and_then(Value::as_i64)
                    .unwrap_or_default();
                set_metadata(document, "generation", Value::from(generation.saturating_add(1)));
            }
        }
        true
    }

    /// Takes a resource out of the world, and what goes with it: a namespace's objects, a definition's.
    pub(crate) fn remove(&mut self, kind: &dyn Kind, identity: &Identity) {
        self.remember_for_lag(identity);
        let Some(gone) = self.resources.remove(identity) else {
            return;
        };
        self.count();
        if *identity == Identity::namespace(&gone.key.name) {
            self.resources.retain(|_, other| {
                other.key.api.is_none() || other.key.namespace.as_deref() != Some(gone.key.name.as_str())
            });
        }
        let document = gone.facets.get(kind.root_facet());
        let defined = document.map(|document| kind.defines(&gone.key, document));
        for (api, _) in defined.unwrap_or_default() {
            self.resources.retain(|_, other| {
                let other = other.key.api.as_ref();
                other.is_none_or(|other| other.group() != api.group() || other.kind != api.kind)
            });
        }
    }

    /// Makes the namespaces that every cluster has.
    pub(crate) fn make_namespaces(&mut self) {
        for name in NAMESPACES {
            let manifest =
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            let Ok((kind, resource)) = self.resource_of(&manifest) else {
                return;
            };
            if !self.resources.contains_key(&Identity::of(&resource.key)) {
                self.insert(kind.as_ref(), resource);
            }
        }
    }

    /// Writes the state file, where there is one.
    pub(crate) fn persist(&mut self) -> Result<(), SandboxError> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let result = file.write(self);
        self.file = Some(file);
        result
    }
}
