//! Reports as people read them.

use std::fmt::Write as _;

use holdfast_contract::Change;
use holdfast_policy::Place;

use super::values::{cut, leaves_of, references};
use super::{ChangeReport, FacetReport, Report, ResourceReport};
use crate::checks::Verdict;
use crate::phase::Phase;
use crate::step::StepVerb;

mod held;

use held::{excess_text, hold_text, overridden_text};

/// A new object with more fields than this that stands word for word in a file is told by the file's name. JSON lists
/// all.
const FIELDS_OF_A_MANIFEST: usize = 8;
/// What a new object's title says already.
const IN_THE_TITLE: [&str; 4] = ["apiVersion", "kind", "metadata.name", "metadata.namespace"];
/// Lines are no wider where they can be folded: before an address, before a value.
const WIDTH: usize = 100;
/// What stands around name, value and place of a changed field.
const INDENT: usize = "        ~ :    ".len();
/// How much of a generated name is shown after what was given of it.
const SHORT_ID: usize = 8;

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

fn header(report: &Report, options: TextOptions) -> String {
    let name = options.paint(Style::Strong, &report.policy.name);
    if report.subject.is_empty() {
        format!("{name}\n")
    } else {
        format!("{name}  {}\n", report.subject.join(" · "))
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

fn title(resource: &ResourceReport) -> String {
    resource.key.as_ref().map_or_else(
        || format!("{} (name known after apply)", resource.what),
        ToString::to_string,
    )
}

/// What a resource is called, where a generated name is in it with only the beginning of what was generated:
/// `s3/Bucket backups-42c50495…`. JSON has all of it.
#[must_use]
pub fn short_name(title: &str) -> String {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    const LENGTH: usize = 36;
    let start = title.chars().count().saturating_sub(LENGTH);
    let is_generated = title.chars().count() > LENGTH
        && title.chars().nth(start.saturating_sub(1)) == Some('-')
        && title.chars().skip(start).enumerate().all(|(at, c)| {
            if DASHES.contains(&at) {
                c == '-'
            } else {
                matches!(c, '0'..='9' | 'a'..='f')
            }
        });
    if !is_generated {
        return title.to_owned();
    }
    let kept = start.saturating_add(SHORT_ID);
    title.chars().take(kept).chain(std::iter::once('…')).collect()
}

fn resource_text(out: &mut String, resource: &ResourceReport, title: &str, options: TextOptions) {
    let (symbol, style) = match resource.action {
        Some(_) if resource.phase == Phase::Pending && resource.hold.is_some() => ("!", Style::Waiting),
        Some(StepVerb::Create) => ("+", Style::Added),
        Some(StepVerb::Update) => ("~", Style::Changed),
        Some(StepVerb::Delete) => ("-", Style::Removed),
        Some(StepVerb::Replace) => ("-/+", Style::Removed),
        None if resource.phase == Phase::Converged && resource.blocked.is_empty() => ("=", Style::Dim),
        None => ("!", Style::Waiting),
    };
    let width = title
        .chars()
        .count()
        .saturating_add(resource.address.chars().count())
        .saturating_add("  +   ".len());
    let address = options.paint(Style::Dim, &resource.address);
    let title = options.paint(Style::Strong, title);
    let symbol = options.paint(style, symbol);
    if options.summary {
        let why = if resource.action.is_some() && resource.phase != Phase::Pending {
            String::new()
        } else {
            format!("   {}", resource.reason)
        };
        let _ = writeln!(out, "  {symbol} {title}  {address}{why}");
        return;
    }
    let gap = if width > WIDTH { "\n      " } else { "  " };
    let _ = writeln!(out, "\n  {symbol} {title}{gap}{address}");
    if let Some(hold) = &resource.hold {
        if resource.phase != Phase::Pending && !resource.reason.is_empty() {
            let _ = writeln!(out, "      {}", resource.reason);
        }
        let _ = writeln!(out, "      {}", options.paint(Style::Waiting, &hold_text(hold)));
    } else if resource.action.is_none()
        && (resource.phase != Phase::Converged || !resource.blocked.is_empty())
    {
        let _ = writeln!(
            out,
            "      {}: {}",
            resource.phase.to_string().to_lowercase(),
            resource.reason
        );
    } else if !resource.reason.is_empty() {
        let _ = writeln!(out, "      {}", resource.reason);
    }
    if !resource.overridden.is_empty() {
        let _ = writeln!(
            out,
            "      {}",
            options.paint(Style::Dim, &overridden_text(resource))
        );
    }
    if !resource.waits.is_empty() {
        let waits = format!("waits for {}", list(&resource.waits));
        let _ = writeln!(out, "      {}", options.paint(Style::Waiting, &waits));
    }
    for (facet, why) in &resource.blocked {
        let _ = writeln!(out, "      {} {facet}: {why}", options.paint(Style::Removed, "!"));
    }
    let single = resource.facets.len() == 1 && resource.facets.iter().all(|facet| facet.facet == "object");
    for facet in &resource.facets {
        facet_text(out, resource, facet, single, options);
    }
}

fn facet_text(
    out: &mut String,
    resource: &ResourceReport,
    facet: &FacetReport,
    single: bool,
    options: TextOptions,
) {
    let indent = if single { "      " } else { "        " };
    if !single {
        let _ = writeln!(out, "      {}", facet.facet);
    }
    let created = resource.action == Some(StepVerb::Create);
    let mut lines = Vec::new();
    let mut claimed = 0_usize;
    for change in &facet.changes {
        match change.change {
            Change::Claim => claimed = claimed.saturating_add(1),
            Change::Add { .. } if created && IN_THE_TITLE.contains(&change.path.as_str()) => {}
            _ => change_lines(&mut lines, change, options),
        }
    }
    if let Some(manifest) = resource
        .manifest
        .as_ref()
        .filter(|_| created && lines.len() > FIELDS_OF_A_MANIFEST)
    {
        let file = manifest.rsplit('/').next().unwrap_or(manifest);
        let _ = writeln!(
            out,
            "{indent}{} {} fields, as in {file}",
            options.paint(Style::Added, "+"),
            lines.len()
        );
        lines.clear();
    }
    for line in lines.iter().flat_map(|line| line.lines()) {
        let _ = writeln!(out, "{indent}{line}");
    }
    if claimed > 0 {
        let fields = if claimed == 1 {
            "1 field is".to_owned()
        } else {
            format!("{claimed} fields are")
        };
        let _ = writeln!(
            out,
            "{indent}= {fields} as desired already, and will be held by this policy"
        );
    }
    for taken in &facet.takes_over {
        let _ = writeln!(out, "{indent}takes {taken}");
    }
}

fn change_lines(lines: &mut Vec<String>, change: &ChangeReport, options: TextOptions) {
    let place = change.place.as_ref().map(Place::short).unwrap_or_default();
    let name = |suffix: &str| {
        if change.path.is_empty() {
            suffix.trim_start_matches('.').to_owned()
        } else {
            format!("{}{suffix}", change.path)
        }
    };
    let line = |symbol: &str, style: Style, name: &str, value: &str, place: &str| {
        let symbol = options.paint(style, symbol);
        let width = [name, value, place].map(|part| part.chars().count());
        let width = width.into_iter().fold(INDENT, usize::saturating_add);
        // What doesn't fit on one line goes on below its name.
        let gap = if width > WIDTH { "\n    " } else { " " };
        let place = if place.is_empty() {
            String::new()
        } else {
            format!("   {}", options.paint(Style::Dim, place))
        };
        format!("{symbol} {name}:{gap}{value}{place}")
    };
    match &change.change {
        Change::Add { new } => {
            for (suffix, value) in leaves_of(new, &change.path) {
                lines.push(line("+", Style::Added, &name(&suffix), &cut(&value), &place));
            }
        }
        Change::Remove { old } => {
            let leaves = match references(old) {
                Some(named) => vec![(String::new(), named)],
                None => leaves_of(old, &change.path),
            };
            for (suffix, value) in leaves {
                lines.push(line("-", Style::Removed, &name(&suffix), &cut(&value), ""));
            }
        }
        Change::Replace { old, new } => {
            let value = format!("{} -> {}", cut(&old.to_string()), cut(&new.to_string()));
            lines.push(line("~", Style::Changed, &name(""), &value, &place));
        }
        Change::Claim => {}
    }
    if let Some(note) = &change.note {
        lines.push(options.paint(Style::Dim, &format!("  {note}")));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_name_is_shown_by_its_beginning_and_others_are_whole() {
        let id = "42c50495-1d1c-4f8c-9d2b-0d6f5b8a1c22";
        assert_eq!(
            short_name(&format!("s3/Bucket managed-velero-backups-{id}")),
            "s3/Bucket managed-velero-backups-42c50495…"
        );
        // Somebody gave it: it isn't ours to abbreviate.
        for whole in [
            id,
            &format!("s3/Bucket {id}"),
            &format!("backups-{}", id.to_uppercase()),
            "s3/Bucket é",
        ] {
            assert_eq!(short_name(whole), whole);
        }
    }
}
