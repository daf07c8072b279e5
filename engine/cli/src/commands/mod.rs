//! The commands, one file each.

mod apply;
mod bundle;
mod explain;
mod permissions;
mod plan;
mod release;
mod run;
mod schema;
mod validate;

use std::process::ExitCode;

use holdfast_engine::{EngineError, Report};
use holdfast_policy::Diagnostics;
use serde::Serialize;
use serde_json::json;

use crate::arguments::{Arguments, Command};
use crate::printer::Printer;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done, or nothing to change.
    Done,
    /// Changes are pending, or something doesn't hold.
    Pending,
    /// A policy is invalid.
    Invalid,
    /// It could not be done.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Pending => 2,
            Exit::Invalid => 3,
        })
    }
}

/// Why a policy came to no report.
#[derive(Debug)]
enum Stopped {
    /// Its parameters aren't right.
    Invalid(Diagnostics),
    /// It could not be planned or applied.
    Failed(EngineError),
}

/// Runs what was asked for.
pub(crate) async fn run(arguments: Arguments, printer: Printer) -> Exit {
    match arguments.command {
        Command::Plan(arguments) => plan::run(arguments, printer).await,
        Command::Apply(arguments) => apply::run(arguments, printer).await,
        Command::Run(arguments) => run::run(arguments, printer).await,
        Command::Validate(arguments) => validate::run(&arguments, printer),
        Command::Permissions(arguments) => permissions::run(&arguments, printer),
        Command::Bundle(arguments) => bundle::run(&arguments, printer),
        Command::Schema(arguments) => schema::run(&arguments, printer),
        Command::Release(arguments) => release::run(arguments, printer).await,
        Command::Explain(arguments) => explain::run(arguments.topic, printer),
    }
}

/// A document as YAML that people read: texts of several lines as they are, and none folded.
fn yaml(document: &impl Serialize) -> Result<String, serde_saphyr::ser::Error> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    let mut text = String::new();
    serde_saphyr::to_fmt_writer_with_options(&mut text, document, options)?;
    Ok(text)
}

/// Reports as one JSON document.
fn json(reports: &[Report], printer: Printer) -> Exit {
    let document = json!({ "formatVersion": holdfast_engine::report::FORMAT_VERSION, "reports": reports });
    match serde_json::to_string_pretty(&document) {
        Ok(text) => {
            printer.answer(&format!("{text}\n"));
            Exit::Done
        }
        Err(error) => {
            printer.error(&format!("the report can't be written as JSON: {error}"));
            Exit::Failed
        }
    }
}
