//! What is to go when it leaves the policy, and by what it is known then, when no rule tells any more.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{ApiType, ResourceKey};
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::address::Address;

/// A resource that is to be deleted when it leaves the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Removable {
    rule: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    provider: String,
    /// What the provider's settings were, as a digest: the same name means something else at another store.
    pub store: String,
    kind: String,
    /// `apiVersion` and `kind`, for objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// The incarnation that this policy made, where its server tells them apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The tags by which it is ours, where its name alone doesn't tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub identity: BTreeMap<String, String>,
    /// Whether its rule allowed to delete what takes more along.
    #[serde(default)]
    pub cascade: bool,
    /// The addresses of what it needed: it goes before them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<String>,
}

/// Something that this policy made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
}

impl Removable {
    /// What `address` means: `key`, reached by a provider whose settings have the digest `store`.
    #[must_use]
    pub fn new(address: &Address, key: &ResourceKey, store: String) -> Self {
        let Address {
            rule,
            instance,
            object,
        } = address.clone();
        let ResourceKey {
            provider,
            kind,
            api,
            namespace,
            name,
            region,
        } = key.clone();
        Self {
            rule,
            instance,
            object,
            provider: provider.to_string(),
            store,
            kind: kind.to_string(),
            api: api.map(|api| (api.api_version, api.kind)),
            namespace,
            name,
            region,
            uid: None,
            identity: BTreeMap::new(),
            cascade: false,
            needs: BTreeSet::new(),
        }
    }

    /// Its address in the policy, as it was.
    #[must_use]
    pub fn address(&self) -> Address {
        Address {
            rule: self.rule.clone(),
            instance: self.instance.clone(),
            object: self.object.clone(),
        }
    }

    /// Which it is.
    #[must_use]
    pub fn key(&self) -> ResourceKey {
        ResourceKey {
            provider: self.provider.as_str().into(),
            kind: self.kind.as_str().into(),
            api: self
                .api
                .as_ref()
                .map(|(version, kind)| ApiType::new(version, kind)),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            region: self.region.clone(),
        }
    }
}

impl Ledger {
    /// Remembers which incarnation this policy made at `address`.
    pub fn remember_made(&mut self, address: &Address, key: &ResourceKey, uid: Option<String>) {
        let what = key.to_string();
        self.document.made.insert(address.to_string(), Made { what, uid });
    }

    /// Whether this very incarnation of `key` was made by this policy at `address`.
    #[must_use]
    pub fn made(&self, address: &Address, key: &ResourceKey, uid: Option<&str>) -> bool {
        let made = self.document.made.get(&address.to_string());
        made.is_some_and(|made| made.what == key.to_string() && made.uid.as_deref() == uid)
    }

    /// All that is to be deleted when it leaves the policy.
    pub fn removable(&self) -> impl Iterator<Item = &Removable> {
        self.document.removable.values()
    }

    /// What is remembered of `address` for when it leaves the policy.
    #[must_use]
    pub fn removable_at(&self, address: &Address) -> Option<&Removable> {
        self.document.removable.get(&address.to_string())
    }

    /// Remembers what is to be deleted when it leaves the policy; none: nothing is, whatever was remembered.
    pub fn remember_removable(&mut self, address: &Address, entry: Option<Removable>) {
        let removable = &mut self.document.removable;
        match entry {
            Some(entry) => {
                // Under its new address; what it was called before is the same one.
                removable.retain(|_, other| other.key() != entry.key());
                removable.insert(address.to_string(), entry);
            }
            None => {
                removable.remove(&address.to_string());
            }
        }
    }

    /// Forgets all of `address`: it is gone, or no longer this policy's.
    pub fn forget(&mut self, address: &Address) {
        let name = address.to_string();
        self.forget_retained(&name);
        self.document.removable.remove(&name);
        self.document.names.remove(&name);
        self.document.provisioned.remove(&name);
    }

    /// Forgets what stays although its rule is gone: another rule of that name has no rights on it. Its name is kept, and
    /// with a name that it was there.
    pub fn forget_rules(&mut self, is_known: impl Fn(&str) -> bool) {
        let document = &self.document;
        let all: BTreeSet<String> = document
            .created
            .keys()
            .chain(document.made.keys())
            .chain(document.held.keys())
            .chain(&document.replaced)
            .chain(&document.provisioned)
            .filter(|name| !document.removable.contains_key(*name))
            .filter(|name| !is_known(name.split('[').next().unwrap_or(name)))
            .cloned()
            .collect();
        for name in all {
            self.forget_retained(&name);
            if !self.document.names.contains_key(&name) {
                self.document.provisioned.remove(&name);
            }
        }
    }

    fn forget_retained(&mut self, name: &str) {
        let document = &mut self.document;
        document.created.remove(name);
        document.made.remove(name);
        document.held.remove(name);
        document.missing.remove(name);
        document.replaced.remove(name);
        document.missing.remove(name);
        let facets = format!("{name}.");
        document.set.retain(|facet, _| !facet.starts_with(&facets));
    }
}
