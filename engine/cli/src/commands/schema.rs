//! `holdfast schema`: the JSON schema of policies.

use super::Exit;
use crate::printer::Printer;
use crate::world;

pub(crate) fn run(printer: Printer) -> Exit {
    let schema = holdfast_policy::json_schema(&world::offline());
    printer.answer(&format!("{schema:#}\n"));
    Exit::Done
}
