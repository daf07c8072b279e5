//! The state machine: where a resource stands, and the only function that moves it.

use std::fmt;

use serde::Serialize;

/// Where a resource stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Phase {
    /// Proven missing.
    Absent,
    /// A write is in flight.
    Applying,
    /// Refused: Observe mode, a guard, a limit, a missing permission, an allowance that was not given.
    Blocked,
    /// Somebody keeps changing it back.
    Contested,
    /// Observed equal to what is desired, and ready.
    Converged,
    /// It differs.
    Drifted,
    /// The last write failed.
    Failed,
    /// Waits for a fact, a requirement, a dependency or a hold.
    Pending,
    /// Written, or equal but not ready yet.
    Settling,
    /// Its `when` is false.
    Skipped,
    /// Not observed yet, or the last read failed.
    Unknown,
}

/// What happens to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Event {
    /// Observed: somebody has changed it back after each of several writes.
    Fought,
    /// Observed: it is proven missing.
    FoundAbsent,
    /// Observed: it differs.
    FoundDifferent,
    /// Observed: equal, and ready.
    FoundEqual,
    /// Observed: equal, and not ready yet; or still with its value before our write.
    FoundUnready,
    /// It needs a write that failed for the moment, and isn't tried again yet.
    KeepsFailing,
    /// The rules leave it out.
    LeftOut,
    /// A read of it failed, or a search for it was incomplete.
    ReadFailed,
    /// It may not be written.
    Refused,
    /// It has to wait for something else.
    Waits,
    /// The write was given up before its answer came: it may have taken effect.
    WriteAbandoned,
    /// The write failed.
    WriteFailed,
    /// The write was accepted. That proves nothing about the resource.
    WriteFinished,
    /// The write was refused.
    WriteRefused,
    /// A write begins.
    WriteStarted,
}

/// An event that can't happen in this phase: a fault of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} can't happen to a resource that is {phase}")]
pub struct IllegalTransition {
    /// The phase it was in.
    pub phase: Phase,
    /// The event.
    pub event: Event,
}

impl Phase {
    /// All phases, in the order in which a resource usually meets them.
    pub const ALL: [Self; 11] = [
        Self::Skipped,
        Self::Pending,
        Self::Unknown,
        Self::Absent,
        Self::Drifted,
        Self::Applying,
        Self::Settling,
        Self::Converged,
        Self::Blocked,
        Self::Contested,
        Self::Failed,
    ];

    /// What the phase means, in one line.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Skipped => "its `when` is false",
            Self::Pending => "waits for a fact, a requirement, a dependency or a hold",
            Self::Unknown => "not observed yet, or the last read failed",
            Self::Absent => "proven missing",
            Self::Drifted => "differs from what is desired",
            Self::Applying => "a write is in flight",
            Self::Settling => "written, and not yet observed equal and ready",
            Self::Converged => "observed equal to what is desired, and ready",
            Self::Blocked => "refused: by mode, a guard, a limit, a permission or an allowance not given",
            Self::Contested => "somebody keeps changing it back",
            Self::Failed => "the last write failed",
        }
    }

    /// The phase after `event`. The only place where a phase changes.
    pub fn next(self, event: Event) -> Result<Self, IllegalTransition> {
        TABLE
            .iter()
            .find(|row| row.event == event && row.from.contains(&self))
            .map(|row| row.to)
            .ok_or(IllegalTransition { phase: self, event })
    }
}

impl Event {
    /// All events.
    pub const ALL: [Self; 15] = [
        Self::LeftOut,
        Self::Waits,
        Self::ReadFailed,
        Self::FoundAbsent,
        Self::FoundDifferent,
        Self::FoundUnready,
        Self::FoundEqual,
        Self::Refused,
        Self::KeepsFailing,
        Self::Fought,
        Self::WriteStarted,
        Self::WriteFinished,
        Self::WriteFailed,
        Self::WriteRefused,
        Self::WriteAbandoned,
    ];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One row of the table: `event` moves every phase of `from` to `to`.
#[derive(Debug)]
pub struct Transition {
    /// The phases it may happen in.
    pub from: &'static [Phase],
    /// What happens.
    pub event: Event,
    /// The phase after it.
    pub to: Phase,
}

/// Every phase but Applying: while a write is in flight, what is observed may be from before it.
const AT_REST: &[Phase] = &[
    Phase::Absent,
    Phase::Blocked,
    Phase::Contested,
    Phase::Converged,
    Phase::Drifted,
    Phase::Failed,
    Phase::Pending,
    Phase::Settling,
    Phase::Skipped,
    Phase::Unknown,
];
/// Only what was observed to need a write is written.
const TO_WRITE: &[Phase] = &[Phase::Absent, Phase::Drifted];
const APPLYING: &[Phase] = &[Phase::Applying];

/// The whole state machine.
pub const TABLE: &[Transition] = &[
    Transition {
        from: AT_REST,
        event: Event::LeftOut,
        to: Phase::Skipped,
    },
    Transition {
        from: AT_REST,
        event: Event::Waits,
        to: Phase::Pending,
    },
    Transition {
        from: AT_REST,
        event: Event::ReadFailed,
        to: Phase::Unknown,
    },
    Transition {
        from: AT_REST,
        event: Event::FoundAbsent,
        to: Phase::Absent,
    },
    Transition {
        from: AT_REST,
        event: Event::FoundDifferent,
        to: Phase::Drifted,
    },
    Transition {
        from: AT_REST,
        event: Event::FoundUnready,
        to: Phase::Settling,
    },
    Transition {
        from: AT_REST,
        event: Event::FoundEqual,
        to: Phase::Converged,
    },
    Transition {
        from: AT_REST,
        event: Event::Refused,
        to: Phase::Blocked,
    },
    Transition {
        from: AT_REST,
        event: Event::KeepsFailing,
        to: Phase::Failed,
    },
    Transition {
        from: AT_REST,
        event: Event::Fought,
        to: Phase::Contested,
    },
    Transition {
        from: TO_WRITE,
        event: Event::WriteStarted,
        to: Phase::Applying,
    },
    Transition {
        from: APPLYING,
        event: Event::WriteFinished,
        to: Phase::Settling,
    },
    Transition {
        from: APPLYING,
        event: Event::WriteFailed,
        to: Phase::Failed,
    },
    Transition {
        from: APPLYING,
        event: Event::WriteRefused,
        to: Phase::Blocked,
    },
    Transition {
        from: APPLYING,
        event: Event::WriteAbandoned,
        to: Phase::Unknown,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_pair_of_phase_and_event_has_at_most_one_answer() {
        for phase in Phase::ALL {
            for event in Event::ALL {
                let rows = TABLE
                    .iter()
                    .filter(|row| row.event == event && row.from.contains(&phase))
                    .count();
                assert!(rows <= 1, "{phase} {event:?} has {rows} rows");
            }
        }
    }

    #[test]
    fn the_whole_table_is_as_documented() {
        let table: Vec<String> = Phase::ALL
            .into_iter()
            .map(|phase| {
                let moves: Vec<String> = Event::ALL
                    .into_iter()
                    .filter_map(|event| Some(format!("{event:?}->{}", phase.next(event).ok()?)))
                    .collect();
                format!("{phase}: {}", moves.join(" "))
            })
            .collect();
        let at_rest = "LeftOut->Skipped Waits->Pending ReadFailed->Unknown FoundAbsent->Absent \
                       FoundDifferent->Drifted FoundUnready->Settling FoundEqual->Converged Refused->Blocked \
                       KeepsFailing->Failed Fought->Contested";
        for (phase, line) in Phase::ALL.into_iter().zip(&table) {
            let expected = match phase {
                Phase::Absent | Phase::Drifted => format!("{phase}: {at_rest} WriteStarted->Applying"),
                Phase::Applying => {
                    "Applying: WriteFinished->Settling WriteFailed->Failed WriteRefused->Blocked \
                                    WriteAbandoned->Unknown"
                        .to_owned()
                }
                _ => format!("{phase}: {at_rest}"),
            };
            assert_eq!(*line, expected);
        }
    }

    #[test]
    fn only_what_was_observed_to_need_it_is_written() {
        for phase in Phase::ALL {
            let starts = phase.next(Event::WriteStarted).is_ok();
            assert_eq!(starts, matches!(phase, Phase::Absent | Phase::Drifted), "{phase}");
        }
    }

    proptest! {
        /// A write proves nothing: Converged needs an observation after the last write.
        #[test]
        fn no_path_leads_to_converged_without_an_observation_after_the_last_write(
            events in proptest::collection::vec(proptest::sample::select(Event::ALL.to_vec()), 0..40)
        ) {
            let mut phase = Phase::Unknown;
            let mut observed_equal_since_write = false;
            for event in events {
                let Ok(after) = phase.next(event) else { continue };
                match event {
                    Event::WriteStarted => observed_equal_since_write = false,
                    Event::FoundEqual => observed_equal_since_write = true,
                    _ => {}
                }
                if after == Phase::Converged {
                    prop_assert!(observed_equal_since_write);
                    prop_assert_eq!(event, Event::FoundEqual);
                }
                phase = after;
            }
        }

        #[test]
        fn a_write_always_leaves_applying_by_its_own_end(event in proptest::sample::select(Event::ALL.to_vec())) {
            let ends = Phase::Applying.next(event).is_ok();
            let is_an_end = matches!(
                event,
                Event::WriteFinished | Event::WriteFailed | Event::WriteRefused | Event::WriteAbandoned
            );
            prop_assert_eq!(ends, is_an_end);
        }
    }
}
