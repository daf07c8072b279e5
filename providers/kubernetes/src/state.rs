//! Where a policy's ledger and lease are kept: a `ConfigMap` and a `Lease` in one namespace.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{
    ApiType, Held, Holder, PolicyId, ProviderError, ResourceKey, ServiceAccount, StateStore, Stored, Version,
};
use http::Method;
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

use crate::account;
use crate::client::{Answer, Call, Client, Failure, Repeatable, encoded};
use crate::error::{Asked, Status, lost};
use crate::home::{self, MANAGED_BY, MANAGER, NOT_BACKED_UP};
use crate::lease::{self, Sightings};
use crate::provider::Server;

/// The namespace of policies that come from files; their state is named after them alone.
const FILES: &str = "holdfast-system";
/// Whose it is, in full; the label of this name holds the policy's name only, as labels take no slash.
const POLICY: &str = "holdfast.dev/policy";
/// The longest text that a label takes.
const LABEL_MAX: usize = 63;

/// Ledgers and leases in one namespace of one cluster.
///
/// A ledger is created by POST and replaced under the version that was read; what the server then says that it holds
/// is compared with what was sent. All objects bear `velero.io/exclude-from-backup`, so that no restore brings an old
/// ledger back.
#[derive(Debug)]
pub(crate) struct KubernetesState {
    server: Arc<Server>,
    namespace: String,
    cluster: OnceCell<String>,
    sightings: Mutex<BTreeMap<PolicyId, Sightings>>,
    /// Leases that this process holds, as they were answered when they were taken or renewed last.
    renewed: Mutex<BTreeMap<PolicyId, Json>>,
    /// As whom this process and the policies act that it keeps the state of.
    accounts: Vec<ServiceAccount>,
}

/// One of the two objects of a policy.
struct Place<'s> {
    client: &'s Client,
    key: ResourceKey,
    /// `configmaps`, `leases.coordination.k8s.io`.
    resource: &'static str,
    plural: &'static str,
    /// The path of all of them in the namespace.
    path: String,
}

impl Place<'_> {
    fn of(&self) -> String {
        format!("{}/{}", self.path, encoded(&self.key.name))
    }

    fn meaning(&self, verb: &'static str) -> impl FnOnce(&Status) -> ProviderError {
        move |status| {
            status.meaning(Asked {
                verb,
                resource: self.resource,
                key: &self.key,
                sensitive: false,
            })
        }
    }
}

impl KubernetesState {
    /// State in `namespace`, which is made when something is first kept there, of policies that act as `account`; none:
    /// as this process itself.
    pub(crate) fn new(server: Arc<Server>, namespace: &str, account: Option<ServiceAccount>) -> Self {
        Self {
            accounts: server.signed_in.iter().cloned().chain(account).collect(),
            server,
            namespace: namespace.to_owned(),
            cluster: OnceCell::new(),
            sightings: Mutex::default(),
            renewed: Mutex::default(),
        }
    }

    fn key(&self, api: ApiType, name: String) -> ResourceKey {
        ResourceKey {
            provider: "kubernetes".into(),
            kind: crate::kind::NAME.into(),
            api: Some(api),
            namespace: Some(self.namespace.clone()),
            name,
            region: None,
        }
    }

    /// The name of both objects. That no two policies share one is checked by whose it says it is.
    fn name(policy: &PolicyId) -> String {
        if policy.namespace == FILES {
            policy.name.clone()
        } else {
            format!("{}.{}", policy.namespace, policy.name)
        }
    }

    fn ledger(&self, policy: &PolicyId) -> Place<'_> {
        Place {
            client: &self.server.ledgers,
            key: self.key(ApiType::new("v1", "ConfigMap"), Self::name(policy)),
            resource: "configmaps",
            plural: "configmaps",
            path: format!("/api/v1/namespaces/{}/configmaps", encoded(&self.namespace)),
        }
    }

    fn lease(&self, policy: &PolicyId) -> Place<'_> {
        let api = ApiType::new("coordination.k8s.io/v1", "Lease");
        Place {
            client: &self.server.leases,
            key: self.key(api, Self::name(policy)),
            resource: "leases.coordination.k8s.io",
            plural: "leases",
            path: format!(
                "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
                encoded(&self.namespace)
            ),
        }
    }

    /// The object at `place`; none is a proof that there is none. One of another policy is an error.
    async fn get(&self, place: &Place<'_>, policy: &PolicyId) -> Result<Option<Json>, ProviderError> {
        let body = match place.client.call(&Call::get(place.of())).await {
            Ok(answer) => answer.body,
            Err(Failure::Refused(status)) if status.is_not_found_of(place.plural, &place.key.name) => {
                return Ok(None);
            }
            Err(failure) => return Err(failure.into_error(place.meaning("get"))),
        };
        let owner = body
            .pointer("/metadata/annotations")
            .and_then(|all| all.get(POLICY))
            .and_then(Json::as_str);
        if owner != Some(policy.to_string().as_str()) {
            return Err(ProviderError::Foreign {
                target: place.key.to_string(),
                message: match owner {
                    Some(owner) => format!("it is the state of the policy {owner}"),
                    None => format!("it has no annotation {POLICY}: it is not this policy's state"),
                },
            });
        }
        Ok(Some(body))
    }

    /// Creates `object` at `place`, and its namespace where that is missing. A conflict if it exists.
    async fn create(
        &self,
        place: &Place<'_>,
        object: &Json,
        repeatable: Repeatable,
    ) -> Result<Json, ProviderError> {
        let uri = format!("{}?fieldManager=holdfast", place.path);
        let call = Call::send(Method::POST, uri, "application/json", object, repeatable);
        let answer = match place.client.call(&call).await {
            Err(failure) if home::is_missing(&failure) => {
                home::create(place.client, &self.namespace).await?;
                place.client.call(&call).await
            }
            answer => answer,
        };
        body(answer, place.meaning("create"))
    }

    /// `version`: the one that is replaced.
    fn metadata(&self, policy: &PolicyId, version: Option<&Version>) -> Json {
        let mut labels = BTreeMap::from([(MANAGED_BY, MANAGER), (NOT_BACKED_UP, "true")]);
        if policy.name.len() <= LABEL_MAX {
            labels.insert(POLICY, &policy.name);
        }
        json!({
            "name": Self::name(policy),
            "namespace": self.namespace,
            "labels": labels,
            "annotations": { POLICY: policy.to_string() },
            "resourceVersion": version.map(|version| &version.0),
        })
    }

    fn sighted(&self, policy: &PolicyId, lease: &Json) -> Duration {
        match self.sightings.lock() {
            Ok(mut all) => all.entry(policy.clone()).or_default().unchanged_for(lease),
            Err(_) => Duration::ZERO,
        }
    }

    /// Keeps the lease as it was answered, so that the next renewal needn't read it.
    fn renewed(&self, policy: &PolicyId, lease: Json) {
        // Without a version it would replace whatever stands there.
        if lease.pointer("/metadata/resourceVersion").is_some() {
            let mut all = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(policy.clone(), lease);
        }
    }

    /// The lease as `holder` has renewed it last, once: under its version it is replaced only if nobody has touched it
    /// since, and whoever fails to has to read it.
    fn take_renewed(&self, policy: &PolicyId, holder: &Holder) -> Option<Json> {
        let mut all = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(policy)
            .filter(|lease| lease::is_held_by(lease, holder))
    }
}

fn body(
    answer: Result<Answer, Failure>,
    meaning: impl FnOnce(&Status) -> ProviderError,
) -> Result<Json, ProviderError> {
    answer
        .map(|answer| answer.body)
        .map_err(|failure| failure.into_error(meaning))
}

#[async_trait]
impl StateStore for KubernetesState {
    async fn load(&self, policy: &PolicyId) -> Result<Option<Stored>, ProviderError> {
        match self.get(&self.ledger(policy), policy).await? {
            Some(object) => stored(&object).map(Some),
            None => Ok(None),
        }
    }

    async fn save(
        &self,
        policy: &PolicyId,
        entries: &BTreeMap<String, String>,
        expected: Option<&Version>,
    ) -> Result<Version, ProviderError> {
        let place = self.ledger(policy);
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self.metadata(policy, expected),
            "data": entries,
        });
        let kept = if expected.is_none() {
            // Not repeated when its answer is lost: a second try would find the first one's ledger and call it a
            // conflict. The caller loads what there is.
            self.create(&place, &object, Repeatable::Once).await?
        } else {
            // A merge leaves labels and annotations of others; with a version it is a compare-and-swap.
            let uri = format!("{}?fieldManager=holdfast", place.of());
            let merge = "application/merge-patch+json";
            let call = Call::send(Method::PATCH, uri, merge, &object, Repeatable::Once);
            body(place.client.call(&call).await, place.meaning("patch"))?
        };
        let kept = stored(&kept)?;
        if kept.entries == *entries {
            return Ok(kept.version);
        }
        Err(ProviderError::Unsupported {
            service: place.key.to_string(),
            what: "keeping what is written: something between changed the ledger's data".to_owned(),
        })
    }

    fn place(&self, policy: &PolicyId) -> String {
        self.ledger(policy).key.to_string()
    }

    fn ground(&self, policy: &PolicyId) -> Vec<ResourceKey> {
        let state = [
            self.ledger(policy).key,
            self.lease(policy).key,
            home::key(&self.namespace),
        ];
        let accounts = self.accounts.iter().map(account::key);
        state.into_iter().chain(accounts).collect()
    }

    async fn cluster(&self) -> Result<Option<String>, ProviderError> {
        let read = async {
            let key = home::key("kube-system");
            let call = Call::get("/api/v1/namespaces/kube-system".to_owned());
            let object = body(self.server.ledgers.call(&call).await, |status| {
                status.meaning(Asked {
                    verb: "get",
                    resource: "namespaces",
                    key: &key,
                    sensitive: false,
                })
            })?;
            let uid = object.pointer("/metadata/uid").and_then(Json::as_str);
            uid.map(str::to_owned)
                .ok_or_else(|| lost("the namespace kube-system has no uid"))
        };
        self.cluster.get_or_try_init(|| read).await.cloned().map(Some)
    }

    /// A lease of somebody else has expired when the clock says so, by what its holder wrote, or when it hasn't
    /// changed for its whole duration while this process looked on. The first is all that a single call has to go by,
    /// so clocks that differ by more than the duration would let two hold it: a lease is no fence, and writes are
    /// conditional all the same.
    async fn acquire(
        &self,
        policy: &PolicyId,
        holder: &Holder,
        duration: Duration,
    ) -> Result<Held, ProviderError> {
        let place = self.lease(policy);
        let mut known = self.take_renewed(policy, holder);
        // Each round lost is one that somebody else won; a few in a row mean that it is theirs.
        for _ in 0..3 {
            let found = match known.take() {
                Some(object) => Some(object),
                None => self.get(&place, policy).await?,
            };
            let Some(mut object) = found else {
                let mut object = json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": self.metadata(policy, None),
                });
                lease::take(&mut object, holder, duration);
                match self.create(&place, &object, Repeatable::Idempotent).await {
                    Ok(lease) => {
                        self.renewed(policy, lease);
                        return Ok(Held::Ours);
                    }
                    Err(ProviderError::Conflict { .. }) => continue,
                    Err(error) => return Err(error),
                }
            };
            let unchanged = self.sighted(policy, &object);
            if let Some((holder, remaining)) = lease::theirs(&object, holder, unchanged) {
                return Ok(Held::Theirs { holder, remaining });
            }
            lease::take(&mut object, holder, duration);
            match self.replace(&place, &object).await {
                Ok(lease) => {
                    self.renewed(policy, lease);
                    return Ok(Held::Ours);
                }
                Err(ProviderError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ProviderError::Conflict { key: place.key })
    }

    async fn holder(&self, policy: &PolicyId) -> Result<Option<Holder>, ProviderError> {
        let found = self.get(&self.lease(policy), policy).await?;
        let held = found.and_then(|object| lease::held(&object, self.sighted(policy, &object)));
        Ok(held.map(|(holder, _)| holder))
    }

    async fn release(&self, policy: &PolicyId, holder: &Holder) -> Result<(), ProviderError> {
        let place = self.lease(policy);
        drop(self.take_renewed(policy, holder));
        let Some(mut object) = self.get(&place, policy).await? else {
            return Ok(());
        };
        if !lease::is_held_by(&object, holder) {
            return Ok(());
        }
        lease::give_back(&mut object);
        match self.replace(&place, &object).await {
            // Whoever has changed it has taken it.
            Ok(_) | Err(ProviderError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl KubernetesState {
    /// Replaces what stands at `place`, if it still is at the version that `object` bears; what is there then.
    async fn replace(&self, place: &Place<'_>, object: &Json) -> Result<Json, ProviderError> {
        let uri = format!("{}?fieldManager=holdfast", place.of());
        let call = Call::send(
            Method::PUT,
            uri,
            "application/json",
            object,
            Repeatable::Idempotent,
        );
        body(place.client.call(&call).await, place.meaning("update"))
    }
}

fn stored(object: &Json) -> Result<Stored, ProviderError> {
    let data = object
        .pointer("/data")
        .and_then(Json::as_object)
        .into_iter()
        .flatten();
    let entries = data
        .filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())))
        .collect();
    let version = object.pointer("/metadata/resourceVersion").and_then(Json::as_str);
    let version = version.ok_or_else(|| lost("the ledger as it was answered has no version"))?;
    Ok(Stored {
        entries,
        version: Version(version.to_owned()),
    })
}
