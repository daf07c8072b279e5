//! The durable record of generated names and of what a policy created.
//!
//! It is one small JSON document, kept by a [`StateStore`] and replaced only by compare-and-swap. It holds no secret.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{Facet, PolicyId, ProviderError, ProviderName, StateStore, Value, Version};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::address::Address;

mod approval;
mod conflict;
mod removable;

use approval::Approval;
use removable::Made;
pub use removable::Removable;

/// The entry of the stored map that holds the document.
const ENTRY: &str = "ledger.json";
/// So many generated names may turn out to be somebody else's, which with random names hardly one does.
const TAKEN: usize = 3;
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
    /// The account or project that each provider was signed in to, by the provider's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    accounts: BTreeMap<String, String>,
    /// When it was made anew, where there were signs of an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_anew: Option<Moment>,
    /// Generated names that turned out to be somebody else's, by address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    taken: BTreeMap<String, BTreeSet<String>>,
    /// When what was there once was proven to be gone, by address, each proof for itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    missing: BTreeMap<String, Vec<Moment>>,
    /// Generated names, by address.
    #[serde(default)]
    names: BTreeMap<String, String>,
    /// What this policy created, by address, as the server's own id or the name.
    #[serde(default)]
    created: BTreeMap<String, String>,
    /// What this policy last set, by facet, as it declared it.
    #[serde(default)]
    set: BTreeMap<String, serde_json::Value>,
    /// What a store did not keep of that, by facet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    dropped: BTreeMap<String, BTreeSet<String>>,
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
    /// The approval that was used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<Approval>,
}

/// A time, as RFC 3339 in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Moment(OffsetDateTime);

impl TryFrom<String> for Moment {
    type Error = time::error::Parse;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        OffsetDateTime::parse(&text, &Rfc3339).map(Self)
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        crate::clock::written(moment.0)
    }
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

    /// The account or project that the provider `name` was signed in to.
    #[must_use]
    pub fn account(&self, name: &ProviderName) -> Option<&str> {
        self.document.accounts.get(name.as_str()).map(String::as_str)
    }

    /// All of those, by provider.
    #[must_use]
    pub fn accounts(&self) -> &BTreeMap<String, String> {
        &self.document.accounts
    }

    /// Binds what it says of `provider` to an account, unless it is bound to one.
    pub fn bind_account(&mut self, provider: &ProviderName, account: &str) {
        self.document
            .accounts
            .entry(provider.to_string())
            .or_insert_with(|| account.to_owned());
    }

    /// When it was made anew where there were signs of an earlier one, if that was so.
    #[must_use]
    pub fn made_anew(&self) -> Option<OffsetDateTime> {
        self.document.made_anew.map(|moment| moment.0)
    }

    /// Remembers that it is made anew.
    pub fn remember_made_anew(&mut self, at: OffsetDateTime) {
        self.document.made_anew = Some(Moment(at));
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

    /// Whether `name` was generated for `address` and turned out to be somebody else's.
    #[must_use]
    pub fn is_taken(&self, address: &Address, name: &str) -> bool {
        let taken = self.document.taken.get(&address.to_string());
        taken.is_some_and(|taken| taken.contains(name))
    }

    /// Gives up the generated name of `address`, which is somebody else's; false: so many were given up already that
    /// something else must be wrong.
    pub fn give_up_name(&mut self, address: &Address) -> bool {
        let address = address.to_string();
        let taken = self.document.taken.entry(address.clone()).or_default();
        if taken.len() >= TAKEN {
            return false;
        }
        taken.extend(self.document.names.remove(&address));
        self.document.created.remove(&address);
        self.document.made.remove(&address);
        true
    }

    /// When what was at `address` was proven to be gone, in order of time.
    #[must_use]
    pub fn missing(&self, address: &Address) -> Vec<OffsetDateTime> {
        let proofs = self.document.missing.get(&address.to_string());
        proofs.into_iter().flatten().map(|proof| proof.0).collect()
    }

    /// Remembers the proofs that what was at `address` is gone; none: it is there.
    pub fn remember_missing(&mut self, address: &Address, proofs: &[OffsetDateTime]) {
        if proofs.is_empty() {
            self.document.missing.remove(&address.to_string());
        } else {
            let proofs = proofs.iter().copied().map(Moment).collect();
            self.document.missing.insert(address.to_string(), proofs);
        }
    }

    /// Gives `address` what is known of `former`, as far as it has nothing of its own. The old entries stay, so that
    /// whoever goes back to the old rule finds them.
    pub fn inherit(&mut self, address: &Address, former: &Address) {
        fn copy<T: Clone>(entries: &mut BTreeMap<String, T>, from: &str, to: &str) {
            if let Some(value) = entries.get(from).cloned() {
                entries.entry(to.to_owned()).or_insert(value);
            }
        }
        let (from, to) = (former.to_string(), address.to_string());
        let document = &mut self.document;
        copy(&mut document.names, &from, &to);
        copy(&mut document.created, &from, &to);
        copy(&mut document.made, &from, &to);
        copy(&mut document.taken, &from, &to);
        copy(&mut document.missing, &from, &to);
        if document.provisioned.contains(&from) {
            document.provisioned.insert(to.clone());
        }
        let prefix = format!("{from}.");
        let set: Vec<(String, serde_json::Value)> = document
            .set
            .range(prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&prefix))
            .filter_map(|(key, value)| Some((format!("{to}.{}", key.strip_prefix(&prefix)?), value.clone())))
            .collect();
        for (key, value) in set {
            document.set.entry(key).or_insert(value);
        }
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

    /// The fields that the store did not keep when `declared` was set of a facet, as it told them; none once the policy
    /// declares something else.
    #[must_use]
    pub fn dropped(&self, address: &Address, facet: &Facet, declared: &Value) -> Option<&BTreeSet<String>> {
        let dropped = self.document.dropped.get(&address.facet(facet))?;
        (self.last_set(address, facet).as_ref() == Some(declared)).then_some(dropped)
    }

    /// Remembers which fields of a facet the store did not keep; none: it kept all.
    pub fn remember_dropped(&mut self, address: &Address, facet: &Facet, fields: &[String]) {
        let place = address.facet(facet);
        if fields.is_empty() {
            self.document.dropped.remove(&place);
        } else {
            self.document
                .dropped
                .insert(place, fields.iter().cloned().collect());
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
