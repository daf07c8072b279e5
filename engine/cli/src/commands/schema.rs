//! `holdfast schema`: the JSON schema of policies.

use super::Exit;
use crate::printer::Printer;
use crate::world;

pub(crate) fn run(printer: Printer) -> Exit {
    let _ = world::offline();
    printer.error("the schema isn't built yet");
    Exit::Failed
}
