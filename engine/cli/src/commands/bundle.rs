//! `holdfast bundle`: a policy with its files as one document, which a cluster takes as a Policy resource.

use std::path::Path;

use holdfast_contract::Registry;
use holdfast_policy::{Code, Diagnostic, Diagnostics, Place};
use serde_json::Value;

use super::{Exit, yaml};
use crate::arguments::Bundle;
use crate::policies;
use crate::printer::Printer;
use crate::world;

/// The largest object that a cluster's store takes as it comes, in bytes.
const LARGEST_OBJECT: usize = 1_536 * 1024;
/// The largest object that `kubectl apply` can write with all of it repeated in an annotation, in bytes.
const LARGEST_ANNOTATION: usize = 256 * 1024;

pub(crate) fn run(arguments: &Bundle, printer: Printer) -> Exit {
    let document = match bundle(&arguments.path, arguments.namespace.as_deref(), &world::offline()) {
        Ok(document) => document,
        Err(diagnostics) => {
            policies::show(&diagnostics, printer);
            return Exit::Invalid;
        }
    };
    let size = document.to_string().len();
    if size > LARGEST_OBJECT {
        printer.aside(&format!(
            "warning: the policy has {} KiB, and a cluster takes {} KiB at most",
            size.div_ceil(1024),
            LARGEST_OBJECT.div_euclid(1024)
        ));
    } else if size > LARGEST_ANNOTATION {
        printer.aside("note: it is too large for `kubectl apply` alone: add `--server-side`");
    }
    match yaml(&document) {
        Ok(text) => {
            printer.answer(&text);
            Exit::Done
        }
        Err(error) => {
            printer.error(&format!("the policy can't be written as YAML: {error}"));
            Exit::Failed
        }
    }
}

/// The policy at `path` as a document, if it is valid: as it lies there, and as a resource.
fn bundle(path: &Path, namespace: Option<&str>, registry: &Registry) -> Result<Value, Diagnostics> {
    let loaded = holdfast_policy::load(path)?;
    let [loaded] = loaded.as_slice() else {
        let place = Place::of_file(&path.display().to_string());
        let fault = Diagnostic::error(Code::ManyDocuments, place, "there are several policies here");
        return Err(fault.with_hint("bundle each for itself").into());
    };
    holdfast_policy::validate(loaded, registry)?;
    let mut document = holdfast_policy::bundle(loaded)?;
    if let Some(namespace) = namespace
        && let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    let whole = holdfast_policy::load_document(loaded.name(), &document);
    holdfast_policy::validate(&whole, registry)?;
    Ok(document)
}
