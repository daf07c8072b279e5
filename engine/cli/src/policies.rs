//! From paths to policies with their parameters.

use std::path::{Path, PathBuf};

use holdfast_contract::Registry;
use holdfast_policy::{Code, Diagnostic, Diagnostics, Place, Supplied, ValidPolicy};

use crate::arguments::Selection;
use crate::commands::Exit;
use crate::printer::Printer;

/// A policy to be planned or applied.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) policy: ValidPolicy,
    /// Parameters' values from the command line, in order: a later one wins.
    pub(crate) supplied: Vec<Supplied>,
    /// The policy's folder, where its sandbox.yaml lies.
    pub(crate) folder: Option<PathBuf>,
}

/// Loads and checks what is at `paths`: every policy that is valid, and all that is wrong.
pub(crate) fn validate(
    paths: &[PathBuf],
    registry: &Registry,
) -> (Vec<(ValidPolicy, Option<PathBuf>)>, Diagnostics) {
    let mut valid: Vec<(ValidPolicy, Option<PathBuf>)> = Vec::new();
    let mut diagnostics = Diagnostics::new();
    for path in paths {
        match holdfast_policy::load(path) {
            Ok(loaded) => {
                for one in loaded {
                    let folder = Path::new(one.name().as_ref()).parent().map(Path::to_owned);
                    match holdfast_policy::validate(&one, registry) {
                        Ok(policy) => match valid.iter().find(|(other, _)| other.id == policy.id) {
                            Some((other, _)) => diagnostics.append(twice(other, &policy)),
                            None => valid.push((policy, folder)),
                        },
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

/// That both have one name: one ledger and one lease, so that each would remove what the other makes.
fn twice(first: &ValidPolicy, second: &ValidPolicy) -> Diagnostics {
    let message = format!("the policy {} is in {} too", second.id, first.place.file);
    let mut faults = Diagnostics::from(
        Diagnostic::error(Code::DuplicatePolicy, second.place.clone(), message)
            .with_hint("give one of them another name")
            .with_secondary(first.place.clone(), "it is here first"),
    );
    let sources = first.sources.iter().chain(second.sources.iter());
    sources.for_each(|source| faults.add_source(source));
    faults
}

/// The policies that `selection` names, with their parameters; or all that is wrong is shown.
pub(crate) fn choose(
    selection: &Selection,
    registry: &Registry,
    printer: Printer,
) -> Result<Vec<Chosen>, Exit> {
    let (valid, mut diagnostics) = validate(&selection.paths, registry);
    let mut chosen = Vec::new();
    if !diagnostics.has_errors() {
        for (policy, folder) in valid {
            match supplied(&policy, &selection.values, &selection.set) {
                Ok(supplied) => chosen.push(Chosen {
                    policy,
                    supplied,
                    folder,
                }),
                Err(faults) => diagnostics.append(faults),
            }
        }
    }
    if diagnostics.has_errors() {
        diagnostics.sort();
        show(&diagnostics, printer);
        return Err(Exit::Invalid);
    }
    Ok(chosen)
}

/// Shows what is wrong, beside the answer.
pub(crate) fn show(diagnostics: &Diagnostics, printer: Printer) {
    printer.aside(holdfast_policy::render(diagnostics, printer.width(), printer.colour()).trim_end());
}

/// The values that the command line gives: files in order, then flags.
pub(crate) fn supplied(
    policy: &ValidPolicy,
    values: &[PathBuf],
    set: &[String],
) -> Result<Vec<Supplied>, Diagnostics> {
    let mut supplied = Vec::new();
    let mut faults = Diagnostics::new();
    for path in values {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => match Supplied::document(&name, &text, false) {
                Ok(values) => supplied.extend(values),
                Err(more) => faults.append(more),
            },
            Err(error) => {
                let message = format!("{name} can't be read: {error}");
                faults.push(Diagnostic::error(
                    Code::FileUnreadable,
                    Place::of_file(&name),
                    message,
                ));
            }
        }
    }
    for flag in set {
        match Supplied::flag(policy, flag) {
            Ok(value) => supplied.push(value),
            Err(more) => faults.append(more),
        }
    }
    if faults.has_errors() {
        Err(faults)
    } else {
        Ok(supplied)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::world;

    #[test]
    fn two_files_with_policies_of_one_name_are_an_error_that_names_both() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, name: &str| {
            let path = folder.path().join(file);
            let policy = format!(
                "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: {name} }}\nspec: {{ language: 1, rules: {{}} }}\n"
            );
            std::fs::write(&path, policy).unwrap();
            path
        };
        let paths = [
            write("one.yaml", "shop"),
            write("other.yaml", "yard"),
            write("two.yaml", "shop"),
        ];
        let (valid, faults) = validate(&paths, &world::offline());
        assert_eq!(valid.len(), 2);
        let shown = holdfast_policy::render(&faults, 100, false);
        for part in [
            "HF0116",
            "the policy holdfast-system/shop is in",
            "two.yaml",
            "one.yaml",
            "another name",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
