//! The policies that there are here, and the same document as a server may give it back.
#![allow(dead_code, reason = "not every test that shares this needs all of it")]

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folders of all valid policies of the repository at `root`: the shipped ones, the examples and the engine's cases.
pub(crate) fn folders(root: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for parent in ["policies", "examples", "engine/tests/cases"] {
        for entry in root.join(parent).read_dir().unwrap() {
            let folder = entry.unwrap().path();
            if folder.join("policy.yaml").is_file() {
                folders.push(folder);
            }
        }
    }
    folders.sort();
    folders
}

/// The same document with the keys of every map in another order: a server keeps none.
pub(crate) fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(reversed).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .rev()
                .map(|(key, value)| (key.clone(), reversed(value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}
