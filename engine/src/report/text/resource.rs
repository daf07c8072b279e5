//! What would become of one resource, as people read it.

use std::fmt::Write as _;

use holdfast_contract::Change;
use holdfast_policy::Place;

use super::held::{hold_text, overridden_text};
use super::{Style, TextOptions, list};
use crate::phase::Phase;
use crate::report::values::{cut, leaves_of, references};
use crate::report::{ChangeReport, FacetReport, ResourceReport};
use crate::step::StepVerb;

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

pub(super) fn title(resource: &ResourceReport) -> String {
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

pub(super) fn resource_text(out: &mut String, resource: &ResourceReport, title: &str, options: TextOptions) {
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
