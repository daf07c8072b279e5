//! Which replicas are here: a Lease for each, in the namespace of the policies' own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{ApiType, Holder, ProviderError, ResourceKey, Roster, Scope};
use http::Method;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::client::{Call, Repeatable};
use crate::discovery::Resource;
use crate::home::{self, MANAGED_BY, MANAGER, NOT_BACKED_UP};
use crate::lease::{self, Sightings};
use crate::observe::{list, meaning};
use crate::provider::Server;
use crate::write::APPLY;

/// What the name of a replica's Lease begins with.
const PREFIX: &str = "holdfast-replica.";
/// By which label all of them are found.
const LABEL: &str = "holdfast.dev/replica";
/// By which label those are found that share policies out.
const GROUP: &str = "holdfast.dev/replica-group";
/// How much of a member's own name the name of its Lease and its label hold.
const READABLE_MAX: usize = 40;
/// After how many times its duration a Lease that nobody renews is deleted: those of replicas that were killed would
/// pile up.
const FORGOTTEN_AFTER: u32 = 10;

/// The roster in one namespace of one cluster.
///
/// A member that announces itself makes one request, an apply of its own Lease, which is nobody else's.
#[derive(Debug)]
pub(crate) struct KubernetesRoster {
    server: Arc<Server>,
    namespace: String,
    group: String,
    leases: Resource,
    /// By the names of the Leases.
    sightings: Mutex<BTreeMap<String, Sightings>>,
}

impl KubernetesRoster {
    /// The roster in `namespace`, which is made when somebody first announces itself.
    pub(crate) fn new(server: Arc<Server>, namespace: &str, group: &str) -> Self {
        Self {
            server,
            namespace: namespace.to_owned(),
            group: group.to_owned(),
            leases: Resource {
                api: ApiType::new("coordination.k8s.io/v1", "Lease"),
                plural: "leases".to_owned(),
                scope: Scope::Namespaced,
                has_status: false,
            },
            sightings: Mutex::default(),
        }
    }

    fn key(&self, name: &str) -> ResourceKey {
        ResourceKey {
            provider: "kubernetes".into(),
            kind: crate::kind::NAME.into(),
            api: Some(self.leases.api.clone()),
            namespace: Some(self.namespace.clone()),
            name: name.to_owned(),
            region: None,
        }
    }

    fn path_of(&self, name: &str) -> Result<String, ProviderError> {
        self.leases.path_of(Some(&self.namespace), name)
    }

    /// Deletes the Lease `name`, if it still is what `preconditions` say.
    async fn delete(&self, name: &str, preconditions: &Json) -> Result<(), ProviderError> {
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
        });
        let call = Call::send(
            Method::DELETE,
            self.path_of(name)?,
            "application/json",
            &options,
            Repeatable::Idempotent,
        );
        match self.server.leases.call(&call).await {
            Ok(_) => Ok(()),
            Err(failure)
                if failure
                    .status()
                    .is_some_and(|status| status.is_not_found_of(&self.leases.plural, name)) =>
            {
                Ok(())
            }
            Err(failure) => {
                let key = self.key(name);
                Err(failure.into_error(|status| meaning(status, "delete", &self.leases, &key)))
            }
        }
    }

    /// Of each Lease, for how long it is known not to have been renewed. Those that are gone are forgotten.
    fn sighted(&self, leases: &BTreeMap<String, Json>) -> BTreeMap<String, Duration> {
        let Ok(mut sightings) = self.sightings.lock() else {
            return BTreeMap::new();
        };
        sightings.retain(|name, _| leases.contains_key(name));
        leases
            .iter()
            .map(|(name, lease)| {
                let unchanged = sightings.entry(name.clone()).or_default().unchanged_for(lease);
                (name.clone(), unchanged)
            })
            .collect()
    }

    /// Deletes what a replica that is long gone has left, unless it has come back since.
    async fn forget(&self, name: &str, lease: &Json) {
        let metadata = |field: &str| lease.pointer(&format!("/metadata/{field}"));
        let preconditions = json!({
            "uid": metadata("uid"),
            "resourceVersion": metadata("resourceVersion"),
        });
        match self.delete(name, &preconditions).await {
            Ok(()) => tracing::info!(lease = name, "forgot a replica that is long gone"),
            // It came back, or another one deleted it.
            Err(ProviderError::Conflict { .. }) => {}
            // What stays does no harm, and who the members are is known all the same.
            Err(error) => {
                tracing::debug!(lease = name, %error, "the lease of a replica that is long gone stays");
            }
        }
    }
}

#[async_trait]
impl Roster for KubernetesRoster {
    async fn announce(&self, member: &Holder, lasting: Duration) -> Result<(), ProviderError> {
        let name = name_of(member);
        let lease = json!({
            "apiVersion": self.leases.api.api_version,
            "kind": self.leases.api.kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {
                    MANAGED_BY: MANAGER,
                    NOT_BACKED_UP: "true",
                    LABEL: readable(member),
                    GROUP: self.group,
                },
            },
            "spec": {
                "holderIdentity": member.0,
                "leaseDurationSeconds": lease::seconds(lasting),
                "renewTime": lease::now(),
            },
        });
        let uri = format!("{}?fieldManager={MANAGER}&force=true", self.path_of(&name)?);
        let call = Call::send(Method::PATCH, uri, APPLY, &lease, Repeatable::Idempotent);
        let answer = match self.server.leases.call(&call).await {
            Err(failure) if home::is_missing(&failure) => {
                home::create(&self.server.leases, &self.namespace).await?;
                self.server.leases.call(&call).await
            }
            answer => answer,
        };
        answer.map(|_| ()).map_err(|failure| {
            failure.into_error(|status| meaning(status, "patch", &self.leases, &self.key(&name)))
        })
    }

    async fn withdraw(&self, member: &Holder) -> Result<(), ProviderError> {
        self.delete(&name_of(member), &json!({})).await
    }

    /// Whose Lease has not expired: by what its holder wrote and the clock, and by how long it hasn't changed while this
    /// process looked on. Those of others that have expired long since are deleted on the way.
    async fn members(&self) -> Result<BTreeSet<Holder>, ProviderError> {
        let mut leases: BTreeMap<String, Json> = BTreeMap::new();
        let selector = format!("&labelSelector={}", crate::client::encoded(LABEL));
        list(
            &self.server.leases,
            &self.leases,
            Some(&self.namespace),
            &selector,
            |lease| {
                if let Some(name) = lease.pointer("/metadata/name").and_then(Json::as_str) {
                    leases.insert(name.to_owned(), lease);
                }
            },
        )
        .await?;
        let unchanged = self.sighted(&leases);
        let unchanged = |name: &str| unchanged.get(name).copied().unwrap_or_default();
        for (name, lease) in leases
            .iter()
            .filter(|(name, lease)| is_forgotten(lease, unchanged(name)))
        {
            self.forget(name, lease).await;
        }
        let ours = |lease: &Json| {
            let label = lease
                .pointer("/metadata/labels")
                .and_then(|labels| labels.get(GROUP));
            label.and_then(Json::as_str) == Some(&self.group)
        };
        let held = leases
            .iter()
            .filter(|(_, lease)| ours(lease))
            .filter_map(|(name, lease)| lease::held(lease, unchanged(name)));
        Ok(held.map(|(member, _)| member).collect())
    }
}

/// Whether its holder has been gone for long: by the clock, and it also has not been renewed for all of its duration
/// while we looked on. A clock alone may be wrong.
fn is_forgotten(lease: &Json, unchanged: Duration) -> bool {
    let duration = lease::duration(lease);
    let long = duration.saturating_mul(FORGOTTEN_AFTER);
    unchanged >= long || unchanged >= duration && lease::age(lease) >= long
}

/// The name of a member's Lease: readable, and no other member's.
fn name_of(member: &Holder) -> String {
    let digest = format!("{:x}", Sha256::digest(member.0.as_bytes()));
    let short: String = digest.chars().take(10).collect();
    match readable(member).as_str() {
        "" => format!("{PREFIX}{short}"),
        readable => format!("{PREFIX}{readable}-{short}"),
    }
}

/// What of a member's name a label and a part of a name can hold.
fn readable(member: &Holder) -> String {
    let fit = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9') => letter,
        _ => '-',
    };
    let letters: String = member.0.chars().map(fit).take(READABLE_MAX).collect();
    letters.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str) -> Holder {
        Holder(name.to_owned())
    }

    #[test]
    fn any_text_makes_a_name_of_its_own() {
        let long = "x".repeat(500);
        let members = [
            "holdfast-7d-abc_1f",
            "HOLDFAST-7d-abc_1f",
            "ümläut/…",
            "---",
            "",
            &long,
        ];
        let names: BTreeSet<String> = members.iter().map(|member| name_of(&holder(member))).collect();
        assert_eq!(names.len(), members.len(), "{names:?}");
        for name in names {
            let rest = name.strip_prefix(PREFIX).unwrap();
            assert!(name.len() <= 63 + PREFIX.len() && !rest.starts_with('-') && !rest.ends_with('-'));
            assert!(
                rest.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
        }
    }

    #[test]
    fn only_who_is_long_gone_is_forgotten() {
        let second = Duration::from_secs(1);
        let mut lease = json!({ "spec": {
            "holderIdentity": "a", "leaseDurationSeconds": 10, "renewTime": lease::now(),
        }});
        assert!(!is_forgotten(&lease, 10 * second), "expired, but not for long");
        assert!(
            is_forgotten(&lease, 100 * second),
            "not renewed while we looked on"
        );
        lease["spec"]["renewTime"] = json!("2020-01-01T00:00:00.000000Z");
        assert!(!is_forgotten(&lease, 9 * second), "its clock may be behind");
        assert!(is_forgotten(&lease, 10 * second));
        lease["spec"]["leaseDurationSeconds"] = json!(u64::MAX);
        assert!(!is_forgotten(&lease, 1000 * second), "it is held for ever");
    }
}
