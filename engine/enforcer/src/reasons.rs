//! The closed lists of reasons: of events, and of conditions. `docs/reasons.md` says what a person does about each.

/// Why there is an event. A variant's name is what the event bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventReason {
    /// A resource, or a part of one, may not be written: a guard, a missing permission, an allowance not given.
    Blocked,
    /// A bucket that was there is proven to be gone.
    BucketVanished,
    /// An existing resource was brought to what the policy says now.
    Changed,
    /// A check that didn't fail before fails.
    CheckFailed,
    /// A check that failed holds.
    CheckPassed,
    /// Somebody keeps changing a resource back, and it is left to them for a while.
    Contested,
    /// A resource was made.
    Created,
    /// A resource was deleted.
    Deleted,
    /// A resource that held doesn't hold any more.
    DriftDetected,
    /// A resource that had drifted holds again, and it wasn't this program that saw to it.
    DriftGone,
    /// A resource that had drifted was put right.
    DriftRepaired,
    /// A write failed. It is tried again.
    Failed,
    /// A disruptive change waits, as the rule's `hold` says.
    Held,
    /// A disruptive change goes ahead although its `hold` still holds: it has waited for as long as it may.
    HoldOverdue,
    /// Something has left the policy, and stays although it was to be deleted with it.
    LeftBehind,
    /// Over a limit: nothing is written until the plan is approved.
    LimitExceeded,
    /// More happened at once than there are events for.
    MoreHappened,
    /// The policy isn't valid.
    PolicyInvalid,
    /// All that the policy says holds.
    PolicyReady,
    /// The policy can't be enforced until somebody does something about it.
    PolicyStalled,
    /// A resource was deleted and made anew.
    Replaced,
    /// A requirement of the policy doesn't hold, so that nothing is read or written.
    RequirementUnmet,
    /// The cluster, or where the policy's state is kept, can't be reached. It is tried again.
    Unreachable,
    /// A resource can't be read. It is tried again.
    Unreadable,
}

impl EventReason {
    /// All of them, by name.
    pub const ALL: [Self; 24] = [
        Self::Blocked,
        Self::BucketVanished,
        Self::Changed,
        Self::CheckFailed,
        Self::CheckPassed,
        Self::Contested,
        Self::Created,
        Self::Deleted,
        Self::DriftDetected,
        Self::DriftGone,
        Self::DriftRepaired,
        Self::Failed,
        Self::Held,
        Self::HoldOverdue,
        Self::LeftBehind,
        Self::LimitExceeded,
        Self::MoreHappened,
        Self::PolicyInvalid,
        Self::PolicyReady,
        Self::PolicyStalled,
        Self::Replaced,
        Self::RequirementUnmet,
        Self::Unreachable,
        Self::Unreadable,
    ];

    /// As events bear it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocked => "Blocked",
            Self::BucketVanished => "BucketVanished",
            Self::Changed => "Changed",
            Self::CheckFailed => "CheckFailed",
            Self::CheckPassed => "CheckPassed",
            Self::Contested => "Contested",
            Self::Created => "Created",
            Self::Deleted => "Deleted",
            Self::DriftDetected => "DriftDetected",
            Self::DriftGone => "DriftGone",
            Self::DriftRepaired => "DriftRepaired",
            Self::Failed => "Failed",
            Self::Held => "Held",
            Self::HoldOverdue => "HoldOverdue",
            Self::LeftBehind => "LeftBehind",
            Self::LimitExceeded => "LimitExceeded",
            Self::MoreHappened => "MoreHappened",
            Self::PolicyInvalid => "PolicyInvalid",
            Self::PolicyReady => "PolicyReady",
            Self::PolicyStalled => "PolicyStalled",
            Self::Replaced => "Replaced",
            Self::RequirementUnmet => "RequirementUnmet",
            Self::Unreachable => "Unreachable",
            Self::Unreadable => "Unreadable",
        }
    }

    /// What was being done.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::CheckFailed | Self::CheckPassed => "Check",
            Self::BucketVanished
            | Self::DriftDetected
            | Self::DriftGone
            | Self::Unreachable
            | Self::Unreadable => "Observe",
            Self::PolicyInvalid => "Validate",
            Self::Blocked
            | Self::Held
            | Self::LeftBehind
            | Self::LimitExceeded
            | Self::PolicyStalled
            | Self::RequirementUnmet => "Plan",
            Self::Changed
            | Self::Contested
            | Self::Created
            | Self::Deleted
            | Self::Failed
            | Self::HoldOverdue
            | Self::Replaced => "Apply",
            Self::DriftRepaired => "Repair",
            Self::MoreHappened | Self::PolicyReady => "Report",
        }
    }

    /// Whether somebody should look at it.
    #[must_use]
    pub fn is_warning(self) -> bool {
        match self {
            Self::Changed
            | Self::CheckPassed
            | Self::Created
            | Self::Deleted
            | Self::DriftGone
            | Self::DriftRepaired
            | Self::Held
            | Self::MoreHappened
            | Self::PolicyReady
            | Self::Replaced => false,
            Self::Blocked
            | Self::BucketVanished
            | Self::CheckFailed
            | Self::Contested
            | Self::DriftDetected
            | Self::Failed
            | Self::HoldOverdue
            | Self::LeftBehind
            | Self::LimitExceeded
            | Self::PolicyInvalid
            | Self::PolicyStalled
            | Self::RequirementUnmet
            | Self::Unreachable
            | Self::Unreadable => true,
        }
    }
}

/// Why a condition is as it is. A variant's name is what the condition bears.
///
/// The order is that of weight: where several apply, the first is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionReason {
    /// The policy isn't valid. Stalled.
    PolicyInvalid,
    /// The account that the policy acts as is missing, isn't named, or may not be used. Stalled.
    AccountMissing,
    /// The policy of a file has this name, and is enforced in its place. Stalled.
    NameTaken,
    /// The ledger can't be read by this version. Stalled.
    LedgerUnreadable,
    /// A fault of the program itself. Stalled.
    InternalError,
    /// The cluster, or where the policy's state is kept, can't be reached. Reconciling.
    Unreachable,
    /// The policy is to be deleted, and what must go with it goes first. Reconciling.
    Removing,
    /// `suspend` is true. Neither.
    Suspended,
    /// A requirement of the policy doesn't hold. Stalled.
    RequirementUnmet,
    /// Over a limit: the plan wants approval. Stalled.
    LimitExceeded,
    /// A bucket that was there is proven to be gone, and is not made again by itself. Stalled.
    BucketVanished,
    /// Somebody keeps changing a resource back. Stalled.
    Contested,
    /// Something may not be written. Stalled.
    Blocked,
    /// A write failed, and is tried again. Reconciling.
    Failed,
    /// Something can't be read, and is tried again. Reconciling.
    Unreadable,
    /// A disruptive change waits, as a `hold` says. Reconciling.
    Held,
    /// Something waits for a fact, a dependency or a name. Reconciling.
    Waiting,
    /// Something is to be written, or is being written. Reconciling.
    Progressing,
    /// All is written, and something isn't ready yet. Reconciling.
    Settling,
    /// Something differs, and `mode: Observe` leaves it so. Neither.
    OnlyObserved,
    /// The policy was not observed yet. Reconciling.
    NotObserved,
    /// All that the policy says holds. Ready.
    Converged,
}

impl ConditionReason {
    /// All of them, by weight.
    pub const ALL: [Self; 22] = [
        Self::PolicyInvalid,
        Self::AccountMissing,
        Self::NameTaken,
        Self::LedgerUnreadable,
        Self::InternalError,
        Self::Unreachable,
        Self::Removing,
        Self::Suspended,
        Self::RequirementUnmet,
        Self::LimitExceeded,
        Self::BucketVanished,
        Self::Contested,
        Self::Blocked,
        Self::Failed,
        Self::Unreadable,
        Self::Held,
        Self::Waiting,
        Self::Progressing,
        Self::Settling,
        Self::OnlyObserved,
        Self::NotObserved,
        Self::Converged,
    ];

    /// As conditions bear it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PolicyInvalid => "PolicyInvalid",
            Self::AccountMissing => "AccountMissing",
            Self::NameTaken => "NameTaken",
            Self::LedgerUnreadable => "LedgerUnreadable",
            Self::InternalError => "InternalError",
            Self::Unreachable => "Unreachable",
            Self::Removing => "Removing",
            Self::Suspended => "Suspended",
            Self::RequirementUnmet => "RequirementUnmet",
            Self::LimitExceeded => "LimitExceeded",
            Self::BucketVanished => "BucketVanished",
            Self::Contested => "Contested",
            Self::Blocked => "Blocked",
            Self::Failed => "Failed",
            Self::Unreadable => "Unreadable",
            Self::Held => "Held",
            Self::Waiting => "Waiting",
            Self::Progressing => "Progressing",
            Self::Settling => "Settling",
            Self::OnlyObserved => "OnlyObserved",
            Self::NotObserved => "NotObserved",
            Self::Converged => "Converged",
        }
    }

    /// Whether it is over as soon as a cycle ends: it is in the way of looking, not wrong with the policy.
    #[must_use]
    pub fn is_passing(self) -> bool {
        !matches!(self, Self::PolicyInvalid | Self::AccountMissing | Self::NameTaken)
    }

    /// What follows from it.
    #[must_use]
    pub fn outlook(self) -> Outlook {
        match self {
            Self::Converged => Outlook::Ready,
            Self::OnlyObserved | Self::Suspended => Outlook::AsAsked,
            Self::Unreachable
            | Self::Removing
            | Self::Failed
            | Self::Unreadable
            | Self::Held
            | Self::Waiting
            | Self::Progressing
            | Self::Settling
            | Self::NotObserved => Outlook::Reconciling,
            Self::PolicyInvalid
            | Self::AccountMissing
            | Self::NameTaken
            | Self::LedgerUnreadable
            | Self::InternalError
            | Self::RequirementUnmet
            | Self::LimitExceeded
            | Self::BucketVanished
            | Self::Contested
            | Self::Blocked => Outlook::Stalled,
        }
    }
}

/// What is to be expected of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Nothing is to be done.
    Ready,
    /// It goes on by itself.
    Reconciling,
    /// It goes on when somebody does something.
    Stalled,
    /// It isn't ready, and somebody wanted that.
    AsAsked,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../../docs/reasons.md");

    /// The first cells of the table under the heading, without their quotes.
    fn listed(heading: &str) -> Vec<&'static str> {
        let (_, section) = PAGE.split_once(&format!("## {heading}\n")).unwrap();
        let section = section
            .split_once("\n## ")
            .map_or(section, |(section, _)| section);
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| row.split_once('`').unwrap().0).collect()
    }

    /// The rest of the row of `name`.
    fn row(heading: &str, name: &str) -> &'static str {
        let (_, section) = PAGE.split_once(&format!("## {heading}\n")).unwrap();
        let row = section
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| `{name}` | ")));
        row.unwrap_or_else(|| panic!("no {name}"))
    }

    #[test]
    fn every_reason_of_an_event_is_on_the_page_and_none_else() {
        assert_eq!(listed("Events"), EventReason::ALL.map(EventReason::name));
        for reason in EventReason::ALL {
            let kind = if reason.is_warning() { "Warning" } else { "Normal" };
            let row = row("Events", reason.name());
            assert!(
                row.starts_with(&format!("{kind} | {} |", reason.action())),
                "{reason:?}: {row}"
            );
        }
    }

    #[test]
    fn every_reason_of_a_condition_is_on_the_page_and_none_else() {
        assert_eq!(
            listed("Conditions"),
            ConditionReason::ALL.map(ConditionReason::name)
        );
        for reason in ConditionReason::ALL {
            let outlook = match reason.outlook() {
                Outlook::Ready => "Ready",
                Outlook::Reconciling => "Reconciling",
                Outlook::Stalled => "Stalled",
                Outlook::AsAsked => "as asked",
            };
            let row = row("Conditions", reason.name());
            assert!(row.starts_with(&format!("{outlook} |")), "{reason:?}: {row}");
        }
    }

    /// The compiler sees to it that each has a name; this, that each is in the list.
    #[test]
    fn the_lists_are_complete() {
        let named = include_str!("reasons.rs").lines().filter(|line| {
            let arm = line
                .trim()
                .strip_prefix("Self::")
                .and_then(|arm| arm.split_once(" => "));
            arm.is_some_and(|(variant, name)| name == format!("\"{variant}\","))
        });
        let listed = EventReason::ALL.len() + ConditionReason::ALL.len();
        assert_eq!(named.count(), listed);
    }

    #[test]
    fn names_are_what_servers_take_for_a_reason() {
        let names: BTreeSet<&str> = EventReason::ALL
            .map(EventReason::name)
            .into_iter()
            .chain(ConditionReason::ALL.map(ConditionReason::name))
            .collect();
        for name in names {
            assert!(name.chars().all(|c| c.is_ascii_alphabetic()) && name.starts_with(char::is_uppercase));
        }
    }

    #[test]
    fn weights_are_in_the_order_of_the_list() {
        assert!(ConditionReason::ALL.is_sorted());
    }
}
