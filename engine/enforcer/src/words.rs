//! Sentences about reports: what, where, why, and what to do next.

use std::collections::BTreeSet;

use holdfast_engine::checks::CheckResult;
use holdfast_engine::report::{ChangeReport, HoldReport, Report, ResourceReport, Unmet};
use holdfast_engine::step::{Excess, StepVerb};

/// A sentence has at most so many bytes: the API server takes 1024 for an event's note.
pub(crate) const LONGEST: usize = 1000;
/// So many fields are named.
const FIELDS: usize = 3;

/// What a resource is called: `apps/Deployment openshift-velero/velero (server)`.
pub(crate) fn title(resource: &ResourceReport) -> String {
    let what = resource.key.as_ref();
    let what = what.map_or_else(|| resource.what.clone(), ToString::to_string);
    format!("{what} ({})", resource.address)
}

/// What has drifted: which fields differ, never their values, and who changed them, where the server tells.
pub(crate) fn drift(resource: &ResourceReport) -> String {
    let mut fields = resource.facets.iter().flat_map(|facet| {
        facet
            .changes
            .iter()
            .map(move |change| match (facet.facet.as_str(), change.path.as_str()) {
                ("object", path) => path.to_owned(),
                (facet, "") => facet.to_owned(),
                (facet, path) => format!("{facet}.{path}"),
            })
    });
    if resource.action == Some(StepVerb::Create) {
        return "is gone".to_owned();
    }
    let named: Vec<String> = fields.by_ref().take(FIELDS).collect();
    let more = match fields.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    if named.is_empty() {
        return resource.reason.clone();
    }
    let changes = resource.facets.iter().flat_map(|facet| &facet.changes);
    let writers: BTreeSet<&str> = changes.filter_map(ChangeReport::writer).collect();
    let writers: Vec<&str> = writers.into_iter().collect();
    let by = if writers.is_empty() {
        String::new()
    } else {
        format!(", by {}", writers.join(", "))
    };
    format!("{}: {}{more}{by}", resource.reason, named.join(", "))
}

/// What a check found amiss.
pub(crate) fn check(check: &CheckResult) -> String {
    format!("{}: {}", check_title(check), check.message)
}

/// What a check no longer finds amiss: what it said while it failed. What it would say now is about nothing.
pub(crate) fn passed(check: &CheckResult, said: &str) -> String {
    format!("{}: no longer: {said}", check_title(check))
}

fn check_title(check: &CheckResult) -> String {
    let controls = match check.controls.as_slice() {
        [] => String::new(),
        controls => format!(" [{}]", controls.join(", ")),
    };
    format!("check of {} ({}){controls}", check.address, check.severity)
}

/// What a limit holds up, and how to let it go.
pub(crate) fn excess(excess: &Excess) -> String {
    format!(
        "held up by a limit: {}; `approve: {}` in the policy lets exactly this plan run, as does a higher limit",
        excess.why, excess.approve
    )
}

/// What keeps a policy that is to be deleted from going, where somebody wants that nothing is written; `suspended`: as the
/// policy says.
pub(crate) fn kept_back(report: &Report, suspended: bool) -> Option<String> {
    let (first, others) = report.resources.split_first()?;
    let (why, way) = if suspended {
        ("it is suspended", "`suspend: false`")
    } else if first.is_only_observed() {
        ("`mode: Observe` removes nothing", "`mode: Enforce`")
    } else {
        return None;
    };
    let what = match others.len() {
        0 => first.address.clone(),
        count => format!("{} and {count} more", first.address),
    };
    Some(format!(
        "to be deleted, and with it {what}, but {why}: {way} has that removed, `onRemove: Retain` in its rule lets it stay"
    ))
}

/// What a disruptive change waits for.
pub(crate) fn held(hold: &HoldReport) -> String {
    format!(
        "waits, as the change {}: {} (hold, {}); it goes ahead when that ends, at {} at the latest",
        hold.disrupts,
        hold.why,
        hold.place.short(),
        hold.until
    )
}

/// What a disruptive change no longer waits for.
pub(crate) fn overdue(hold: &HoldReport) -> String {
    format!(
        "goes ahead, although the change {} and {} (hold, {}): it has waited since {}, for as long as it may",
        hold.disrupts,
        hold.why,
        hold.place.short(),
        hold.since
    )
}

/// All holds.
pub(crate) fn converged(report: &Report) -> String {
    match report.summary.unchanged {
        0 => "all holds".to_owned(),
        1 => "the one resource holds".to_owned(),
        count => format!("all {count} resources hold"),
    }
}

/// `text` on one line, and not longer than `longest` bytes.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.len() > longest {
        let end = line.floor_char_boundary(longest.saturating_sub('…'.len_utf8()));
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Whether [`cut`] leaves `text` as it is.
pub(crate) fn is_whole(text: &str, longest: usize) -> bool {
    text.len() <= longest && !text.contains(char::is_control)
}

/// What is required and doesn't hold.
pub(crate) fn unmet(unmet: &[Unmet]) -> String {
    let messages: Vec<&str> = unmet.iter().map(|unmet| unmet.message.as_str()).collect();
    format!("nothing is read or written: {}", messages.join("; "))
}
