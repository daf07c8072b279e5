//! Policy resources: where they come in, and where what happens to them is told.

mod events;
mod policies;
mod reports;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use holdfast_contract::{
    ApiType, Desk, FINALIZER, Holder, Notice, PolicyEvent, PolicyId, ProviderError, ResourceKey, Scope,
};
use http::Method;
use serde_json::{Value as Json, json};

use crate::client::{Call, Failure, Repeatable};
use crate::desk::events::Events;
use crate::desk::reports::Reports;
use crate::discovery::Resource;
use crate::error::{Asked, Status};
use crate::home::MANAGER;
use crate::observe::meaning;
use crate::provider::Server;
use crate::write::JSON_PATCH;

/// How Policies are served.
const API_VERSION: &str = "holdfast.dev/v1alpha1";
const KIND: &str = "Policy";
/// How often finalizers are written anew because the Policy changed meanwhile.
const CONFLICTS_MAX: usize = 5;

/// The Policy resources of one cluster, as whoever runs the engine.
#[derive(Debug)]
pub(crate) struct KubernetesDesk {
    server: Arc<Server>,
    /// None: all.
    namespaces: BTreeSet<String>,
    policies: Resource,
    events: Events,
    reports: Reports,
}

impl KubernetesDesk {
    /// The Policies in `namespaces`, or in all where that is empty; `identity` is told with events.
    pub(crate) fn new(server: Arc<Server>, namespaces: BTreeSet<String>, identity: &Holder) -> Self {
        Self {
            namespaces,
            policies: resource(API_VERSION, KIND, "policies"),
            events: Events::new(Arc::clone(&server), identity),
            reports: Reports::new(Arc::clone(&server)),
            server,
        }
    }

    fn key(&self, policy: &PolicyId) -> ResourceKey {
        key(&self.policies, &policy.namespace, &policy.name)
    }

    fn path(&self, policy: &PolicyId) -> Result<String, ProviderError> {
        self.policies.path_of(Some(&policy.namespace), &policy.name)
    }

    fn is_gone(&self, policy: &PolicyId, failure: &Failure) -> bool {
        is_not_found(failure, &self.policies, &policy.name)
    }

    /// The Policy, if it is still the incarnation `uid`.
    async fn read(&self, policy: &PolicyId, uid: &str) -> Result<Option<Json>, ProviderError> {
        match self.server.client.call(&Call::get(self.path(policy)?)).await {
            Ok(answer) => {
                let same = answer.body.pointer("/metadata/uid").and_then(Json::as_str) == Some(uid);
                Ok(same.then_some(answer.body))
            }
            Err(failure) if self.is_gone(policy, &failure) => Ok(None),
            Err(failure) => {
                let key = self.key(policy);
                Err(failure.into_error(|status| meaning(status, "get", &self.policies, &key)))
            }
        }
    }
}

#[async_trait]
impl Desk for KubernetesDesk {
    fn policies(&self) -> BoxStream<'static, PolicyEvent> {
        policies::policies(&self.server, &self.policies.api, &self.namespaces)
    }

    /// One JSON patch: it replaces the status whole, whoever wrote what in it, without a read before, and its test of the
    /// uid keeps it from a new incarnation. A merge would leave what is no longer said, and an apply would make the server
    /// keep account of each field in it.
    async fn write_status(&self, policy: &PolicyId, uid: &str, status: &Json) -> Result<(), ProviderError> {
        let patch = json!([
            { "op": "test", "path": "/metadata/uid", "value": uid },
            { "op": "add", "path": "/status", "value": status },
        ]);
        let uri = format!("{}/status?fieldManager={MANAGER}", self.path(policy)?);
        let call = Call::send(Method::PATCH, uri, JSON_PATCH, &patch, Repeatable::Idempotent);
        let failure = match self.server.client.call(&call).await {
            Ok(_) => return Ok(()),
            Err(failure) if self.is_gone(policy, &failure) => return Ok(()),
            Err(failure) => failure,
        };
        // A test that fails and a status that the definition refuses are answered alike, so whose it is now is looked up.
        let unfit = failure.status().is_some_and(|status| status.code == 422);
        if unfit && self.read(policy, uid).await?.is_none() {
            return Ok(());
        }
        let key = self.key(policy);
        let resource = self.policies.status_name();
        Err(failure.into_error(|status| {
            status.meaning(Asked {
                verb: "patch",
                resource: &resource,
                key: &key,
                sensitive: false,
            })
        }))
    }

    /// The list of finalizers is replaced under the version that it was read at, so that those of others stay.
    async fn set_finalizer(&self, policy: &PolicyId, uid: &str, present: bool) -> Result<(), ProviderError> {
        let uri = format!("{}?fieldManager={MANAGER}", self.path(policy)?);
        let key = self.key(policy);
        for _ in 0..CONFLICTS_MAX {
            let Some(object) = self.read(policy, uid).await? else {
                return Ok(());
            };
            let metadata = |field: &str| object.pointer(&format!("/metadata/{field}"));
            let mut finalizers: Vec<Json> = metadata("finalizers")
                .and_then(Json::as_array)
                .cloned()
                .unwrap_or_default();
            let has = finalizers.iter().any(|finalizer| finalizer == FINALIZER);
            // What is being deleted takes no further ones.
            if has == present || present && metadata("deletionTimestamp").is_some() {
                return Ok(());
            }
            if present {
                finalizers.push(json!(FINALIZER));
            } else {
                finalizers.retain(|finalizer| finalizer != FINALIZER);
            }
            let patch = json!({ "metadata": {
                "uid": uid,
                "resourceVersion": metadata("resourceVersion"),
                "finalizers": finalizers,
            }});
            let merge = "application/merge-patch+json";
            let call = Call::send(Method::PATCH, uri.clone(), merge, &patch, Repeatable::Idempotent);
            let refused = |status: &Status| meaning(status, "patch", &self.policies, &key);
            match self.server.client.call(&call).await {
                Ok(_) => return Ok(()),
                Err(failure) if self.is_gone(policy, &failure) => return Ok(()),
                Err(failure) => match failure.into_error(refused) {
                    ProviderError::Conflict { .. } => {}
                    error => return Err(error),
                },
            }
        }
        Err(ProviderError::Conflict { key })
    }

    async fn write_report(
        &self,
        policy: &PolicyId,
        uid: &str,
        results: &Json,
    ) -> Result<bool, ProviderError> {
        self.reports.write(policy, uid, results).await
    }

    async fn tell(&self, notice: &Notice) -> Result<(), ProviderError> {
        self.events.tell(notice).await
    }
}

/// A namespaced type, without asking how it is served.
fn resource(api_version: &str, kind: &str, plural: &str) -> Resource {
    Resource {
        api: ApiType::new(api_version, kind),
        plural: plural.to_owned(),
        scope: Scope::Namespaced,
        has_status: true,
    }
}

/// An object of `resource`, for messages.
fn key(resource: &Resource, namespace: &str, name: &str) -> ResourceKey {
    ResourceKey {
        provider: "kubernetes".into(),
        kind: crate::kind::NAME.into(),
        api: Some(resource.api.clone()),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
        region: None,
    }
}

/// Whether the server says that just this object isn't there.
fn is_not_found(failure: &Failure, resource: &Resource, name: &str) -> bool {
    failure
        .status()
        .is_some_and(|status| status.is_not_found_of(&resource.plural, name))
}
