//! The approval that was used last: for one execution of one plan, and for no other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{Ledger, Moment};
use crate::address::Address;
use crate::step::StepVerb;

/// What is left of an approval ends so long after the last write because of it. That is longer than a write that failed
/// rests, which is ten minutes, and than a dead holder's lease lasts until another takes it: both go on with what was
/// approved.
const ENDS: Duration = Duration::minutes(15);

/// An approval that was used.
///
/// It is noted before the first write that it lets through, with all that it lets through. Were it noted afterwards, who
/// crashes in between could do the same again at any time; were the steps not noted, nobody could do the rest. A step is
/// struck off once its resource has converged, and what is left counts for no longer than it takes to go on.
///
/// Only the last one is kept: the hash of a plan is also of the approval that was used before it, so that an earlier one
/// fits no plan any more. Who loses the ledger loses that, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Approval {
    /// The hash of its plan.
    hash: String,
    /// When something was written last because of it.
    at: Moment,
    /// What it still lets through, by address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    left: BTreeMap<String, StepVerb>,
}

impl Ledger {
    /// The hash of the approval that was used last, and when.
    #[must_use]
    pub fn used_approval(&self) -> Option<(&str, OffsetDateTime)> {
        let approval = self.document.approval.as_ref()?;
        Some((&approval.hash, approval.at.0))
    }

    /// Whether the approval that the policy names was used, and lets through that `verb` is done to `address`.
    #[must_use]
    pub fn is_approved(&self, approve: Option<&str>, address: &Address, verb: StepVerb) -> bool {
        let approval = self.document.approval.as_ref();
        let approval = approval.filter(|approval| approve == Some(approval.hash.as_str()));
        approval.is_some_and(|approval| approval.left.get(&address.to_string()) == Some(&verb))
    }

    /// Remembers that the approval `hash` is used for `steps`. It counts only once it is stored.
    pub fn use_approval<'s>(
        &mut self,
        hash: &str,
        at: OffsetDateTime,
        steps: impl Iterator<Item = (&'s Address, StepVerb)>,
    ) {
        self.document.approval = Some(Approval {
            hash: hash.to_owned(),
            at: Moment(at),
            left: steps.map(|(address, verb)| (address.to_string(), verb)).collect(),
        });
    }

    /// Remembers that more is written because of the approval that was used last.
    pub fn go_on_with_approval(&mut self, at: OffsetDateTime) {
        if let Some(approval) = &mut self.document.approval {
            approval.at = Moment(at);
        }
    }

    /// Strikes off what was approved for `address`: it is done.
    pub fn strike_off(&mut self, address: &Address) {
        if let Some(approval) = &mut self.document.approval {
            approval.left.remove(&address.to_string());
        }
    }

    /// Ends the approval that was used last, if nothing was written because of it for so long that who looks at it now
    /// should be asked again.
    pub fn end_old_approval(&mut self, now: OffsetDateTime) {
        if let Some(approval) = &mut self.document.approval
            && approval.at.0.saturating_add(ENDS) <= now
        {
            approval.left.clear();
        }
    }
}
