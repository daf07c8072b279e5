//! What holds steps up, as people read it.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Style, TextOptions};
use crate::report::{HoldReport, Report, ResourceReport};
use crate::step::{Excess, HoldState};

/// What a hold means for the change that is shown.
pub(super) fn hold_text(hold: &HoldReport) -> String {
    let HoldReport { why, left, place, .. } = hold;
    let place = place.short();
    match hold.state {
        HoldState::Overdue => format!(
            "goes ahead although {why} (hold, {place}): it has waited since {}, longer than `atMost`",
            hold.since
        ),
        HoldState::Waits | HoldState::Free => format!(
            "waits: {why} (hold, {place}); goes ahead when it ends, at the latest in {}",
            span(*left)
        ),
    }
}

/// A duration as people say it, in its two largest units.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (1, 0, _) => "1 day".to_owned(),
        (days, 0, _) => format!("{days} days"),
        (1, hours, _) => format!("1 day {hours} h"),
        (days, hours, _) => format!("{days} days {hours} h"),
    }
}

/// What lets a plan run that a limit holds up.
pub(super) fn excess_text(out: &mut String, report: &Report, options: TextOptions) {
    if let Some(Excess { why, approve }) = &report.excess {
        let held = options.paint(Style::Removed, "Held up by a limit:");
        let _ = writeln!(
            out,
            "\n{held} {why}. Nothing is written until the policy says\n  approve: {approve}\nwhich lets exactly this plan run, or allows more under `limits`."
        );
    }
}

/// What the server keeps as it will.
pub(super) fn overridden_text(resource: &ResourceReport) -> String {
    format!(
        "the server keeps its own value of {}",
        resource.overridden.join(", ")
    )
}
