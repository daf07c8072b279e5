//! From a policy with files beside it to one document that carries them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::glob;
use crate::load::Loaded;
use crate::read::DEFAULT_NAMESPACE;

/// What a server adds to `metadata`, and a person doesn't write.
const WRITTEN_METADATA: &[&str] = &["name", "namespace", "labels", "annotations"];

/// The policy that was loaded as the document of a Policy resource: the files that it names stand under `spec.files`,
/// and its namespace, which the policy's identity has in it, is said.
///
/// Keys keep their order. Comments outside of the files are lost, as no document has them.
///
/// # Errors
/// What is wrong with the text or the files, or that the policy would mean something else with all files carried.
pub fn bundle(loaded: &Loaded) -> Result<Value, Diagnostics> {
    let mut faults = Diagnostics::new();
    loaded.sources.iter().for_each(|source| faults.add_source(source));
    loaded.faults.iter().for_each(|fault| faults.push(fault.clone()));
    let Some(document) = loaded.document.as_ref().filter(|_| !faults.has_errors()) else {
        return Err(faults);
    };
    let mut written = document.to_json();
    if let Some(fields) = written.as_object_mut() {
        fields.shift_remove("status");
    }
    if let Some(metadata) = written.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| WRITTEN_METADATA.contains(&key.as_str()));
        metadata
            .entry("namespace")
            .or_insert_with(|| DEFAULT_NAMESPACE.into());
    }
    let Some(spec) = written.get_mut("spec").and_then(Value::as_object_mut) else {
        return Ok(written);
    };
    let named: BTreeMap<&str, &str> = loaded
        .files
        .iter()
        .flat_map(|(_, named)| &named.texts)
        .map(|(name, source)| (name.as_str(), source.text()))
        .collect();
    let mut files = match spec.shift_remove("files") {
        Some(Value::Object(files)) => files,
        _ => Map::new(),
    };
    for (name, text) in named {
        files.entry(name).or_insert_with(|| text.into());
    }
    // What a policy carries comes before what lies beside it: a pattern for the one may now mean the other too.
    for (pattern, named) in loaded.files.iter() {
        let before: BTreeSet<&String> = named.texts.iter().map(|(name, _)| name).collect();
        let after = files.keys().filter(|name| glob::matches(pattern, name));
        if before != after.collect() {
            let message = format!("`{pattern}` would mean other files once the policy carries them all");
            let fault = Diagnostic::error(Code::Conflict, document.place.clone(), message);
            faults.push(fault.with_hint("name the files one by one, or carry none of them yourself"));
        }
    }
    if faults.has_errors() {
        return Err(faults);
    }
    if !files.is_empty() {
        spec.insert("files".to_owned(), Value::Object(files));
    }
    Ok(written)
}
