//! What becomes of the ledger when somebody else has changed it.

use std::collections::BTreeMap;

use holdfast_contract::{PolicyId, StateStore};

use super::{Document, Ledger, LedgerError};

impl Ledger {
    /// Reads it again after a conflict.
    ///
    /// What this process's own writes have done since it was stored is known to nobody else, and goes on. All else that
    /// was added is found again by the next pass, and what is stored wins: a generated name above all.
    pub async fn load_again(&mut self, store: &dyn StateStore, policy: &PolicyId) -> Result<(), LedgerError> {
        let loaded = Self::load(store, policy).await?;
        let ours = std::mem::replace(self, loaded);
        let before = ours.stored.map(|(document, _)| document).unwrap_or_default();
        self.document.keep_written(&before, &ours.document);
        Ok(())
    }
}

impl Document {
    fn keep_written(&mut self, before: &Self, ours: &Self) {
        changed(&mut self.created, &before.created, &ours.created);
        changed(&mut self.made, &before.made, &ours.made);
        changed(&mut self.set, &before.set, &ours.set);
        changed(&mut self.dropped, &before.dropped, &ours.dropped);
    }
}

/// Changes `entries` as those of `before` have changed into `ours`.
fn changed<T: Clone + PartialEq>(
    entries: &mut BTreeMap<String, T>,
    before: &BTreeMap<String, T>,
    ours: &BTreeMap<String, T>,
) {
    entries.retain(|key, _| ours.contains_key(key) || !before.contains_key(key));
    for (key, value) in ours {
        if before.get(key) != Some(value) {
            entries.insert(key.clone(), value.clone());
        }
    }
}
