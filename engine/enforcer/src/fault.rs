//! What stands in the way of a policy as a whole.

use holdfast_contract::ProviderError;
use holdfast_engine::EngineError;
use holdfast_engine::lease::LeaseError;
use holdfast_engine::ledger::LedgerError;

use crate::reasons::{ConditionReason, EventReason};
use crate::words;

/// Why a policy is not enforced as it is written, or at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which kind of fault.
    pub reason: ConditionReason,
    /// What, where, why, and what to do about it, in one sentence. Never holds the content of a document.
    pub message: String,
    /// Whether the policy is enforced nevertheless, as it was good last.
    pub goes_on: bool,
}

impl Fault {
    /// `reason`, in the words of `message`.
    #[must_use]
    pub fn new(reason: ConditionReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            goes_on: false,
        }
    }

    /// The policy isn't valid: `message` names the field, as `Diagnostics` do.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ConditionReason::PolicyInvalid, message)
    }

    /// The account that the policy acts as is missing, isn't named, or may not be used.
    #[must_use]
    pub fn account(message: impl Into<String>) -> Self {
        Self::new(ConditionReason::AccountMissing, message)
    }

    /// A file has a policy of this namespace and name.
    #[must_use]
    pub fn name_taken() -> Self {
        let message = "the enforcer has a policy of this namespace and name in a file, and enforces that: give one of them \
                       another name";
        Self::new(ConditionReason::NameTaken, message)
    }

    /// What an error means for the policy's status. That somebody else holds the lease is no fault: they tell.
    #[must_use]
    pub fn of(error: &EngineError) -> Option<Self> {
        let reason = match error {
            EngineError::Lease(LeaseError::Held { .. }) => return None,
            EngineError::Lease(LeaseError::Store(error))
            | EngineError::Ledger(LedgerError::Store(error))
            | EngineError::Provider(error) => of_provider(error),
            EngineError::Ledger(LedgerError::Unreadable { .. }) => ConditionReason::LedgerUnreadable,
            EngineError::Slow(_) => ConditionReason::Unreachable,
            EngineError::Transition(_) => ConditionReason::InternalError,
        };
        Some(Self::new(reason, error.to_string()))
    }

    /// The same, where the policy is enforced nevertheless as it was good last, or isn't.
    #[must_use]
    pub fn goes_on(self, goes_on: bool) -> Self {
        Self { goes_on, ..self }
    }

    /// What is wrong, and what goes on: a long message leaves room for that.
    #[must_use]
    pub fn sentence(&self) -> String {
        let goes_on = if self.goes_on {
            "; it is enforced as it was good last"
        } else {
            ""
        };
        let room = words::LONGEST.saturating_sub(goes_on.len());
        format!("{}{goes_on}", words::cut(&self.message, room))
    }

    /// By what events call it.
    #[must_use]
    pub fn event(&self) -> EventReason {
        match self.reason {
            ConditionReason::PolicyInvalid => EventReason::PolicyInvalid,
            ConditionReason::Unreachable => EventReason::Unreachable,
            _ => EventReason::PolicyStalled,
        }
    }
}

fn of_provider(error: &ProviderError) -> ConditionReason {
    if error.is_transient() {
        ConditionReason::Unreachable
    } else {
        ConditionReason::Blocked
    }
}
