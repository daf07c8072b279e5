//! From paths to policies with their parameters.

use std::path::{Path, PathBuf};

use holdfast_contract::Registry;
use holdfast_policy::{Diagnostics, Parameters, ValidPolicy};

use crate::arguments::Selection;
use crate::commands::Exit;
use crate::printer::Printer;

/// A policy to be planned or applied.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) policy: ValidPolicy,
    pub(crate) parameters: Parameters,
    /// The policy's folder, where its sandbox.yaml lies.
    pub(crate) folder: Option<PathBuf>,
}

/// Loads and checks what is at `paths`: every policy that is valid, and all that is wrong.
pub(crate) fn validate(paths: &[PathBuf], registry: &Registry) -> (Vec<(ValidPolicy, Option<PathBuf>)>, Diagnostics) {
    let mut valid = Vec::new();
    let mut diagnostics = Diagnostics::new();
    for path in paths {
        match holdfast_policy::load(path) {
            Ok(loaded) => {
                for one in loaded {
                    let folder = one.folder().map(Path::to_owned);
                    match holdfast_policy::validate(one, registry) {
                        Ok(policy) => valid.push((policy, folder)),
                        Err(faults) => diagnostics.append(faults),
                    }
                }
            }
            Err(faults) => diagnostics.append(faults),
        }
    }
    diagnostics.sort();
    (valid, diagnostics)
}

/// The policies that `selection` names, with their parameters; or all that is wrong is shown.
pub(crate) fn choose(selection: &Selection, registry: &Registry, printer: Printer) -> Result<Vec<Chosen>, Exit> {
    let (valid, mut diagnostics) = validate(&selection.paths, registry);
    let mut chosen = Vec::new();
    if !diagnostics.has_errors() {
        for (policy, folder) in valid {
            match holdfast_policy::resolve_parameters(&policy, &selection.values, &selection.set) {
                Ok(parameters) => chosen.push(Chosen { policy, parameters, folder }),
                Err(faults) => diagnostics.append(faults),
            }
        }
    }
    if diagnostics.has_errors() {
        diagnostics.sort();
        printer.aside(diagnostics.render(printer.width(), printer.colour()).trim_end());
        return Err(Exit::Invalid);
    }
    Ok(chosen)
}
