//! `holdfast plan`: what would change.

use holdfast_engine::report::{TextOptions, plan_text};

use super::{Exit, Stopped, json};
use crate::arguments::{Output, Plan};
use crate::policies::{self, Chosen};
use crate::printer::Printer;
use crate::world;

pub(crate) async fn run(arguments: Plan, printer: Printer) -> Exit {
    let chosen = match policies::choose(&arguments.selection, &world::offline(), printer) {
        Ok(chosen) => chosen,
        Err(exit) => return exit,
    };
    let mut worst = Exit::Done;
    let mut reports = Vec::new();
    for Chosen {
        policy,
        supplied,
        folder,
    } in chosen
    {
        let engine = match world::engine(&arguments.world, folder.as_deref()).await {
            Ok(engine) => engine,
            Err(error) => {
                printer.error(&error);
                return Exit::Failed;
            }
        };
        let planned = async {
            let parameters = engine
                .parameters(&policy, &supplied)
                .await
                .map_err(Stopped::Invalid)?;
            engine.plan(&policy, &parameters).await.map_err(Stopped::Failed)
        };
        let report = match tokio::time::timeout(arguments.timeout, planned).await {
            Ok(Ok(report)) => report,
            Ok(Err(Stopped::Invalid(faults))) => {
                policies::show(&faults, printer);
                worst = worst.max(Exit::Invalid);
                continue;
            }
            Ok(Err(Stopped::Failed(error))) => {
                printer.error(&format!("{}: {error}", policy.id.name));
                worst = worst.max(Exit::Failed);
                continue;
            }
            Err(_) => {
                let seconds = arguments.timeout.as_secs();
                printer.error(&format!(
                    "{}: no plan after {seconds} s; --timeout allows more",
                    policy.id.name
                ));
                worst = worst.max(Exit::Failed);
                continue;
            }
        };
        if arguments.detailed_exitcode && !report.is_converged() || !report.unmet.is_empty() {
            worst = worst.max(Exit::Pending);
        }
        if arguments.output == Output::Text {
            if !reports.is_empty() {
                printer.answer("\n");
            }
            let options = TextOptions {
                colour: printer.colour(),
                summary: arguments.summary,
            };
            printer.answer(&plan_text(&report, options));
        }
        reports.push(report);
    }
    match arguments.output {
        Output::Text => worst,
        Output::Json => worst.max(json(&reports, printer)),
    }
}
