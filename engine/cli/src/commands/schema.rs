//! `holdfast schema`: what editors and clusters know of policies.

use super::{Exit, yaml};
use crate::arguments::Schema;
use crate::printer::Printer;
use crate::world;

/// What stands before the definition, as it lies in a file.
const MADE: &str = "# Made by `make docs` out of the fields of the policy language.\n";

pub(crate) fn run(arguments: &Schema, printer: Printer) -> Exit {
    let registry = world::offline();
    if !arguments.crd {
        let schema = holdfast_policy::json_schema(&registry);
        printer.answer(&format!("{schema:#}\n"));
        return Exit::Done;
    }
    match yaml(&holdfast_policy::resource_definition(&registry)) {
        Ok(text) => {
            printer.answer(&format!("{MADE}{text}"));
            Exit::Done
        }
        Err(error) => {
            printer.error(&format!("the definition can't be written as YAML: {error}"));
            Exit::Failed
        }
    }
}
