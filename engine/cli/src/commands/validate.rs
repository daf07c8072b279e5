//! `holdfast validate`: all that is wrong with policies.

use serde_json::json;

use super::Exit;
use crate::arguments::{Output, Validate};
use crate::policies;
use crate::printer::Printer;
use crate::world;

pub(crate) fn run(arguments: &Validate, printer: Printer) -> Exit {
    let (valid, mut diagnostics) = policies::validate(&arguments.paths, &world::offline());
    for (policy, _) in &valid {
        policy
            .warnings
            .iter()
            .for_each(|note| diagnostics.push(note.clone()));
        policy
            .sources
            .iter()
            .for_each(|source| diagnostics.add_source(source));
    }
    diagnostics.sort();
    let exit = if diagnostics.has_errors() {
        Exit::Invalid
    } else {
        Exit::Done
    };
    match arguments.output {
        Output::Json => {
            let document = json!({
                "formatVersion": 1,
                "valid": !diagnostics.has_errors(),
                "policies": valid.iter().map(|(policy, _)| policy.id.to_string()).collect::<Vec<_>>(),
                "diagnostics": diagnostics,
            });
            printer.answer(&format!("{document:#}\n"));
        }
        Output::Text => {
            if !diagnostics.is_empty() {
                printer.answer(&holdfast_policy::render(
                    &diagnostics,
                    printer.width(),
                    printer.colour(),
                ));
            }
            if !diagnostics.has_errors() {
                for (policy, _) in &valid {
                    let rules = match policy.rules.len() {
                        1 => "1 rule".to_owned(),
                        count => format!("{count} rules"),
                    };
                    printer.answer(&format!("{} is valid: {rules}.\n", policy.id.name));
                }
            }
        }
    }
    exit
}
