//! The durable record of generated names and of what a policy created.
//!
//! It is one small JSON document, kept by a [`StateStore`] and replaced only by compare-and-swap. It holds no secret.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{Facet, PolicyId, ProviderError, StateStore, Value, Version};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::address::Address;

mod removable;

use removable::Made;
pub use removable::Removable;

/// The entry of the stored map that holds the document.
const ENTRY: &str = "ledger.json";
/// The form of the document that this version writes.
const FORMAT: u32 = 1;

/// What must not be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    format: u32,
    /// The uid of the cluster that this ledger belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    /// Generated names, by address.
    #[serde(default)]
    names: BTreeMap<String, String>,
    /// What this policy created, by address, as the server's own id or the name.
    #[serde(default)]
    created: BTreeMap<String, String>,
    /// What this policy last set, by facet, as it declared it.
    #[serde(default)]
    set: BTreeMap<String, serde_json::Value>,
    /// The addresses that were Converged at least once.
    #[serde(default)]
    provisioned: BTreeSet<String>,
    /// Since when disruptive steps are held up, by address, as RFC 3339.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    held: BTreeMap<String, String>,
    /// What this policy is about to delete, or has deleted, to make it anew; the addresses.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    replaced: BTreeSet<String>,
    /// The incarnations that this policy made, by address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    made: BTreeMap<String, Made>,
    /// What is to be deleted when it leaves the policy, by address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    removable: BTreeMap<String, Removable>,
}

/// Why a ledger can't be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// It could not be read or written.
    #[error(transparent)]
    Store(#[from] ProviderError),
    /// It is not a ledger that this version understands.
    #[error("{place} does not hold a ledger that this version can read: {message}")]
    Unreadable {
        /// Where it is kept.
        place: String,
        /// What is wrong with it.
        message: String,
    },
}

/// A policy's ledger: the stored document, and what was added to it since.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    document: Document,
    stored: Option<(Document, Version)>,
}

impl Ledger {
    /// Reads the ledger of `policy`; one that isn't there is empty.
    pub async fn load(store: &dyn StateStore, policy: &PolicyId) -> Result<Self, LedgerError> {
        let Some(stored) = store.load(policy).await? else {
            return Ok(Self::default());
        };
        let unreadable = |message: String| LedgerError::Unreadable {
            place: store.place(policy),
            message,
        };
        let text = stored
            .entries
            .get(ENTRY)
            .ok_or_else(|| unreadable(format!("it has no entry {ENTRY}")))?;
        let document: Document = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        if document.format != FORMAT {
            return Err(unreadable(format!(
                "its format is {}, this version's is {FORMAT}",
                document.format
            )));
        }
        Ok(Self {
            document: document.clone(),
            stored: Some((document, stored.version)),
        })
    }

    /// Writes what was added, if anything was. After a conflict nothing was written: load it again.
    pub async fn save(&mut self, store: &dyn StateStore, policy: &PolicyId) -> Result<(), LedgerError> {
        if !self.is_changed() {
            return Ok(());
        }
        self.document.format = FORMAT;
        let text = serde_json::to_string_pretty(&self.document).unwrap_or_default();
        let entries = BTreeMap::from([(ENTRY.to_owned(), text)]);
        let expected = self.stored.as_ref().map(|(_, version)| version);
        let version = store.save(policy, &entries, expected).await?;
        self.stored = Some((self.document.clone(), version));
        Ok(())
    }

    /// Whether it holds anything that is not stored yet.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        match &self.stored {
            Some((stored, _)) => *stored != self.document,
            None => true,
        }
    }

    /// Whether a ledger was found.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.stored.is_some()
    }

    /// The cluster that it belongs to, if it was bound to one.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.document.cluster.as_deref()
    }

    /// Binds it to a cluster.
    pub fn bind_cluster(&mut self, uid: &str) {
        self.document.cluster = Some(uid.to_owned());
    }

    /// The generated name of `address`.
    #[must_use]
    pub fn name(&self, address: &Address) -> Option<&str> {
        self.document.names.get(&address.to_string()).map(String::as_str)
    }

    /// Remembers a generated name. It counts only once it is stored.
    pub fn remember_name(&mut self, address: &Address, name: &str) {
        self.document.names.insert(address.to_string(), name.to_owned());
    }

    /// Whether this policy created what stands at `address`.
    #[must_use]
    pub fn created(&self, address: &Address) -> bool {
        self.document.created.contains_key(&address.to_string())
    }

    /// Remembers that this policy created `id` at `address`.
    pub fn remember_created(&mut self, address: &Address, id: &str) {
        self.document.created.insert(address.to_string(), id.to_owned());
    }

    /// What this policy last set of a facet.
    #[must_use]
    pub fn last_set(&self, address: &Address, facet: &Facet) -> Option<Value> {
        self.document
            .set
            .get(&address.facet(facet))
            .cloned()
            .map(Value::from_json)
    }

    /// Remembers what this policy set of a facet. The ledger holds no secret: what is sensitive isn't remembered.
    pub fn remember_set(&mut self, address: &Address, facet: &Facet, declared: &Value) {
        if let Some(json) = declared.expose_json().filter(|_| !declared.is_sensitive()) {
            self.document.set.insert(address.facet(facet), json);
        }
    }

    /// Whether `address` was Converged at least once. Sticky.
    #[must_use]
    pub fn provisioned(&self, address: &Address) -> bool {
        self.document.provisioned.contains(&address.to_string())
    }

    /// Remembers that `address` was Converged.
    pub fn remember_provisioned(&mut self, address: &Address) {
        self.document.provisioned.insert(address.to_string());
    }

    /// Whether `address` was deleted to be made anew, and isn't there again yet.
    #[must_use]
    pub fn is_replaced(&self, address: &Address) -> bool {
        self.document.replaced.contains(&address.to_string())
    }

    /// Remembers that `address` is deleted to be made anew. It counts only once it is stored.
    pub fn remember_replaced(&mut self, address: &Address) {
        self.document.replaced.insert(address.to_string());
    }

    /// Forgets that `address` was deleted to be made anew: it is there again.
    pub fn forget_replaced(&mut self, address: &Address) {
        self.document.replaced.remove(&address.to_string());
    }

    /// Since when the disruptive steps of `address` are held up.
    #[must_use]
    pub fn held_since(&self, address: &Address) -> Option<OffsetDateTime> {
        let text = self.document.held.get(&address.to_string())?;
        OffsetDateTime::parse(text, &Rfc3339).ok()
    }

    /// Remembers since when the disruptive steps of `address` are held up, unless it is known already.
    pub fn remember_held(&mut self, address: &Address, since: OffsetDateTime) {
        if let Ok(text) = since.format(&Rfc3339) {
            self.document.held.entry(address.to_string()).or_insert(text);
        }
    }

    /// Forgets that the steps of `address` were held up.
    pub fn forget_held(&mut self, address: &Address) {
        self.document.held.remove(&address.to_string());
    }
}
