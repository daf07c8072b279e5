//! `holdfast apply`: bring the world to what the policies say.

use std::sync::Mutex;

use holdfast_contract::Holder;
use holdfast_engine::report::{Style, TextOptions, apply_text, plan_text, short_name};
use holdfast_engine::step::StepVerb;
use holdfast_engine::{ApplyOptions, Engine, Progress, Report, Stop, Timing};

use super::{Exit, Stopped, json};
use crate::arguments::{Apply, Output};
use crate::interrupt;
use crate::policies::{self, Chosen};
use crate::printer::Printer;
use crate::world;

/// How many of the things that are waited for are named.
const WAITING_SHOWN: usize = 3;

pub(crate) async fn run(arguments: Apply, printer: Printer) -> Exit {
    let chosen = match policies::choose(&arguments.selection, &world::offline(), printer) {
        Ok(chosen) => chosen,
        Err(exit) => return exit,
    };
    if !arguments.yes && arguments.world.sandbox.is_none() && !printer.can_ask() {
        printer.error("apply changes things: look at `holdfast plan`, then say --yes");
        return Exit::Failed;
    }
    let stop = Stop::default();
    interrupt::listen(&stop, move |text| printer.aside(text));
    let mut worst = Exit::Done;
    let mut reports = Vec::new();
    for one in chosen {
        let engine = match world::engine(&arguments.world, one.folder.as_deref()).await {
            Ok(engine) => engine,
            Err(error) => {
                printer.error(&error);
                return Exit::Failed;
            }
        };
        match apply(&arguments, &engine, &one, &stop, printer).await {
            Ok(Some(report)) => {
                if !report.is_converged() {
                    worst = worst.max(Exit::Pending);
                }
                reports.push(report);
            }
            Ok(None) => worst = worst.max(Exit::Failed),
            Err(Stopped::Invalid(faults)) => {
                policies::show(&faults, printer);
                worst = worst.max(Exit::Invalid);
            }
            Err(Stopped::Failed(error)) => {
                printer.error(&format!("{}: {error}", one.policy.id.name));
                worst = worst.max(Exit::Failed);
            }
        }
        if stop.is_stopped() {
            break;
        }
    }
    match arguments.output {
        Output::Text => worst,
        Output::Json => worst.max(json(&reports, printer)),
    }
}

/// Applies one policy; none: the person said no.
async fn apply(
    arguments: &Apply,
    engine: &Engine,
    chosen: &Chosen,
    stop: &Stop,
    printer: Printer,
) -> Result<Option<Report>, Stopped> {
    let Chosen { policy, supplied, .. } = chosen;
    let parameters = engine
        .parameters(policy, supplied)
        .await
        .map_err(Stopped::Invalid)?;
    let parameters = &parameters;
    let text = TextOptions {
        colour: printer.colour(),
        summary: false,
    };
    // Nothing in a sandbox is anybody's, so nobody is asked.
    if !arguments.yes && arguments.world.sandbox.is_none() {
        let report = engine.plan(policy, parameters).await.map_err(Stopped::Failed)?;
        printer.answer(&plan_text(&report, text));
        if !report.unmet.is_empty() || report.is_converged() {
            return Ok(Some(report));
        }
        if !printer.ask("\nDo this? Only `yes` does it:") {
            printer.answer("Nothing was written.\n");
            return Ok(None);
        }
    }
    let options = ApplyOptions {
        timing: Timing::default(),
        holder: Holder(holder()),
        timeout: arguments.timeout,
        wait: !arguments.no_wait,
        stop: stop.clone(),
    };
    let shown = Mutex::new(false);
    let watcher = |progress: Progress<'_>| {
        if arguments.output == Output::Text {
            for line in lines(&progress, text) {
                printer.answer(&format!("{line}\n"));
            }
            if let Ok(mut shown) = shown.lock() {
                *shown = true;
            }
        }
    };
    let report = engine
        .apply(policy, parameters, &options, &watcher)
        .await
        .map_err(Stopped::Failed)?;
    if arguments.output == Output::Text {
        let gap = if shown.lock().is_ok_and(|shown| *shown) {
            "\n"
        } else {
            ""
        };
        printer.answer(&format!("{gap}{}", apply_text(&report, text)));
    }
    Ok(Some(report))
}

/// Progress in lines: what was written, and what is waited for.
fn lines(progress: &Progress<'_>, text: TextOptions) -> Vec<String> {
    match progress {
        Progress::Named(address, name) => {
            vec![format!(
                "  {} {address} is named {name}",
                text.paint(Style::Dim, "·")
            )]
        }
        Progress::Written(outcome, what) => {
            let facet = outcome.facet.as_ref().filter(|facet| facet.as_str() != "object");
            let what = short_name(what);
            let what = facet.map_or_else(|| what.clone(), |facet| format!("{what}  {facet}"));
            match &outcome.result {
                Ok(_) => {
                    let (symbol, style, word) = match outcome.verb {
                        StepVerb::Create => ("+", Style::Added, "created"),
                        StepVerb::Update => ("~", Style::Changed, "changed"),
                        StepVerb::Delete => ("-", Style::Removed, "deleted"),
                        StepVerb::Replace => ("-", Style::Removed, "deleted, to be made anew"),
                    };
                    vec![format!("  {} {what} {word}", text.paint(style, symbol))]
                }
                Err(error) => vec![format!("  {} {what}: {error}", text.paint(Style::Removed, "!"))],
            }
        }
        Progress::Waiting(waiting) => {
            let shown = waiting.iter().take(WAITING_SHOWN);
            let mut lines: Vec<String> = shown
                .map(|(address, why)| format!("  {} {address}: {why}", text.paint(Style::Waiting, "…")))
                .collect();
            if let Some(more) = waiting.len().checked_sub(WAITING_SHOWN).filter(|more| *more > 0) {
                lines.push(format!("  {} and {more} more", text.paint(Style::Waiting, "…")));
            }
            lines
        }
    }
}

/// Who applies: unique to this run, and telling for whoever is refused because of it.
fn holder() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = host.trim();
    let host = if host.is_empty() { "unknown host" } else { host };
    let id: String = uuid::Uuid::new_v4()
        .simple()
        .to_string()
        .chars()
        .take(8)
        .collect();
    format!(
        "holdfast apply on {host}, process {}, run {id}",
        std::process::id()
    )
}
