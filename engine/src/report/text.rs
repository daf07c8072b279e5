//! Reports as people read them.

use std::fmt::Write as _;

use super::{Report, ResourceReport};
use crate::checks::Verdict;
use crate::phase::Phase;

mod held;
mod resource;

use held::{excess_text, overridden_text};
pub use resource::short_name;
use resource::{resource_text, title};

/// How text is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextOptions {
    /// With colours.
    pub colour: bool,
    /// One line for each resource, without its fields.
    pub summary: bool,
}

/// What a piece of text is, and so how it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Something comes to be.
    Added,
    /// Something changes.
    Changed,
    /// Something goes, or is wrong.
    Removed,
    /// Something waits.
    Waiting,
    /// Aside.
    Dim,
    /// Of weight.
    Strong,
}

impl TextOptions {
    /// `text` in `style`.
    #[must_use]
    pub fn paint(self, style: Style, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match style {
            Style::Added => "32",
            Style::Changed => "33",
            Style::Removed => "31",
            Style::Waiting => "36",
            Style::Dim => "2",
            Style::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// The plan: every change with its reason, what waits and what is stuck, the checks, and one last line.
#[must_use]
pub fn plan_text(report: &Report, options: TextOptions) -> String {
    let mut out = header(report, options);
    if !report.unmet.is_empty() {
        return unmet(report, options);
    }
    if let Some(ledger) = &report.ledger {
        let gap = if options.summary { "" } else { "\n" };
        let symbol = options.paint(Style::Added, "+");
        let _ = writeln!(
            out,
            "{gap}  {symbol} {}  ledger",
            options.paint(Style::Strong, ledger)
        );
        if !options.summary {
            let _ = writeln!(
                out,
                "      will remember generated names, and what this policy created"
            );
        }
    }
    let shown: Vec<&ResourceReport> = report
        .resources
        .iter()
        .filter(|resource| is_shown(resource))
        .collect();
    let titles: Vec<String> = shown.iter().map(|resource| title(resource)).collect();
    for (resource, title) in shown.into_iter().zip(&titles) {
        let short = short_name(title);
        let is_unique = titles.iter().filter(|other| short_name(other) == short).count() == 1;
        let title = if is_unique { short } else { title.clone() };
        resource_text(&mut out, resource, &title, options);
    }
    for note in &report.notes {
        let _ = writeln!(out, "\n  note: {note}");
    }
    checks_text(&mut out, report, options);
    excess_text(&mut out, report, options);
    let _ = writeln!(out, "\n{}", plan_line(report));
    out
}

/// The end of an apply: what was done, and what doesn't hold yet and why.
#[must_use]
pub fn apply_text(report: &Report, options: TextOptions) -> String {
    if !report.unmet.is_empty() {
        return unmet(report, options);
    }
    let mut out = String::new();
    let applied = report.applied.clone().unwrap_or_default();
    let seconds = format!(
        "{}.{} s",
        applied.milliseconds / 1000,
        applied.milliseconds % 1000 / 100
    );
    let done = format!(
        "{} created, {} changed, {} deleted in {seconds}",
        applied.created, applied.changed, applied.deleted
    );
    let open: Vec<&ResourceReport> = report
        .resources
        .iter()
        .filter(|resource| is_open(resource))
        .collect();
    let stopped = if applied.stopped { "Stopped. " } else { "" };
    if open.is_empty() {
        let all = match report.summary.unchanged {
            1 => "the one resource".to_owned(),
            count => format!("all {count} resources"),
        };
        let _ = writeln!(out, "{stopped}Apply: {done}; {all} converged.");
    } else {
        let holds = if open.len() == 1 {
            "doesn't hold yet"
        } else {
            "don't hold yet"
        };
        let _ = writeln!(out, "{stopped}Apply: {done}; {} {holds}.\n", open.len());
        let width = open
            .iter()
            .map(|resource| resource.address.len())
            .max()
            .unwrap_or(0)
            .min(40);
        for resource in open {
            open_text(&mut out, resource, width, options);
        }
        let _ = writeln!(out, "\nEverything else is converged. Running it again is safe.");
    }
    for resource in report
        .resources
        .iter()
        .filter(|resource| !resource.overridden.is_empty())
    {
        let kept = options.paint(Style::Dim, &overridden_text(resource));
        let _ = writeln!(out, "\n  {}: {kept}", resource.address);
    }
    excess_text(&mut out, report, options);
    for warning in &applied.warnings {
        let _ = writeln!(out, "\n{} {warning}", options.paint(Style::Changed, "warning:"));
    }
    checks_text(&mut out, report, options);
    out
}

/// So many places where a policy acts are named.
const SUBJECTS: usize = 5;

fn header(report: &Report, options: TextOptions) -> String {
    let name = options.paint(Style::Strong, &report.policy.name);
    if report.subject.is_empty() {
        format!("{name}\n")
    } else {
        let (shown, more) = report.subject.split_at(report.subject.len().min(SUBJECTS));
        let more = match more.len() {
            0 => String::new(),
            more => format!(" · {more} more"),
        };
        format!("{name}  {}{more}\n", shown.join(" · "))
    }
}

fn unmet(report: &Report, options: TextOptions) -> String {
    let mut out = String::new();
    let name = options.paint(Style::Strong, &report.policy.name);
    for unmet in &report.unmet {
        let _ = writeln!(
            out,
            "{name}  can't start: {}   {}",
            unmet.message,
            unmet.place.short()
        );
    }
    let _ = writeln!(out, "Nothing was read beyond the facts, and nothing was written.");
    out
}

fn is_shown(resource: &ResourceReport) -> bool {
    !resource.overridden.is_empty()
        || resource.action.is_some()
        || !resource.blocked.is_empty()
        || !matches!(resource.phase, Phase::Converged | Phase::Skipped)
}

fn is_open(resource: &ResourceReport) -> bool {
    resource.action.is_some()
        || !resource.blocked.is_empty()
        || !matches!(resource.phase, Phase::Converged | Phase::Skipped)
}

fn checks_text(out: &mut String, report: &Report, options: TextOptions) {
    if report.checks.is_empty() {
        return;
    }
    let count = |verdict| {
        report
            .checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    let mut parts = Vec::new();
    for (verdict, one, many) in [
        (Verdict::Pass, "passes", "pass"),
        (Verdict::Fail, "fails", "fail"),
        (Verdict::Unknown, "unknown", "unknown"),
        (Verdict::Skip, "skipped", "skipped"),
    ] {
        match count(verdict) {
            0 => {}
            1 => parts.push(format!("1 {one}")),
            n => parts.push(format!("{n} {many}")),
        }
    }
    let _ = writeln!(out, "\nChecks: {}", parts.join(", "));
    for check in report
        .checks
        .iter()
        .filter(|check| matches!(check.verdict, Verdict::Fail | Verdict::Unknown))
    {
        let style = if check.verdict == Verdict::Fail {
            Style::Removed
        } else {
            Style::Waiting
        };
        let severity = options.paint(style, &format!("{:8}", check.severity.to_string()));
        let controls = if check.controls.is_empty() {
            String::new()
        } else {
            format!("  [{}]", check.controls.join(", "))
        };
        let _ = writeln!(
            out,
            "  {severity}  {}  {}{controls}   {}",
            options.paint(Style::Dim, &check.address),
            check.message,
            check.place.short()
        );
    }
}

fn plan_line(report: &Report) -> String {
    let summary = &report.summary;
    let mut line = format!(
        "Plan: {} to create, {} to change, {} to delete",
        summary.create, summary.update, summary.delete
    );
    if summary.replace > 0 {
        let _ = write!(line, ", {} to replace", summary.replace);
    }
    line.push_str("; ");
    match summary.waiting {
        0 => {}
        1 => line.push_str("1 waits; "),
        n => {
            let _ = write!(line, "{n} wait; ");
        }
    }
    if summary.stuck > 0 {
        let _ = write!(line, "{} stuck; ", summary.stuck);
    }
    let _ = write!(line, "{} unchanged. Nothing was written.", summary.unchanged);
    line
}

fn open_text(out: &mut String, resource: &ResourceReport, width: usize, options: TextOptions) {
    let phase = resource.phase.to_string();
    let style = match resource.phase {
        Phase::Blocked | Phase::Failed | Phase::Contested => Style::Removed,
        _ => Style::Waiting,
    };
    if resource.blocked.is_empty() {
        // What is refused doesn't wait, whatever else it would have to wait for.
        let why = if resource.waits.is_empty() || resource.phase == Phase::Blocked {
            resource.reason.clone()
        } else {
            format!("waits for {}", list(&resource.waits))
        };
        let _ = writeln!(
            out,
            "  {}  {:width$}  {why}",
            options.paint(style, &format!("{phase:9}")),
            resource.address
        );
    }
    for (facet, why) in &resource.blocked {
        let address = format!("{}.{facet}", resource.address);
        let _ = writeln!(
            out,
            "  {}  {address:width$}  {why}",
            options.paint(Style::Removed, "Blocked  ")
        );
    }
}

fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
