//! The world in one file, which a person edits to cause drift.
//!
//! The file is a sandbox file that has gone on: plain manifests under `objects`, documents by facet under `buckets`,
//! the ledgers, and at its end what only the world needs to read. It holds Secrets in plain, as it stands in for the
//! server that keeps them: it is made readable for its owner only.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use holdfast_contract::Scope;
use serde_json::{Map, Value, json};

use crate::document;
use crate::error::SandboxError;
use crate::resource::{Identity, Resource};
use crate::world::{NAMESPACES, State, World};

const HEADER: &str = "\
# The state of a Holdfast sandbox. Edit objects and buckets to cause drift, then plan again.
# It holds Secrets in plain. `bookkeeping` is the sandbox's own.
";

/// The file, and what is known to stand in it.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    text: Option<String>,
}

impl World {
    /// Keeps the world in the file at `path`: if that exists, what it holds takes the place of the world's objects,
    /// buckets and ledgers (not of its reactions). It is written, in one step, after every change, and only then: who
    /// only reads and plans leaves it as it is.
    ///
    /// Of a hand-edited object the version moves, as it would on a server, so that a plan made before is stale.
    pub fn keep_in(&self, path: &Path) -> Result<(), SandboxError> {
        let mut file = StateFile {
            path: path.to_owned(),
            text: None,
        };
        file.text = file.read()?;
        let mut state = self.lock();
        if let Some(text) = &file.text {
            let origin = path.display().to_string();
            let mut document = document::parse(text, &origin)?;
            document.reactions.clear();
            state.resources.clear();
            state.ledgers.clear();
            state.make_namespaces();
            state.load(document, &origin)?;
        }
        state.file = Some(file);
        drop(state);
        self.notify();
        Ok(())
    }
}

impl StateFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<Option<String>, SandboxError> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SandboxError::File {
                action: "read",
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// Replaces the file in one step, unless somebody else has changed it.
    pub(crate) fn write(&mut self, state: &State) -> Result<(), SandboxError> {
        let text = text(state)?;
        let there = self.read()?;
        if there != self.text {
            return Err(SandboxError::Edited {
                path: self.path.clone(),
            });
        }
        if there.as_ref() != Some(&text) {
            self.replace(&text).map_err(|source| SandboxError::File {
                action: "write",
                path: self.path.clone(),
                source,
            })?;
            self.text = Some(text);
        }
        Ok(())
    }

    fn replace(&self, text: &str) -> std::io::Result<()> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let beside = self.path.with_file_name(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options
            .open(&beside)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&beside, &self.path));
        if written.is_err() {
            // What is left of a failed attempt is of no use to anybody.
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

/// The whole file.
fn text(state: &State) -> Result<String, SandboxError> {
    let mut objects = Vec::new();
    let mut records = Map::new();
    let mut buckets = Map::new();
    for (identity, resource) in &state.resources {
        if resource.key.api.is_none() {
            buckets.insert(resource.key.name.clone(), bucket(state, resource));
            continue;
        }
        if is_bare_namespace(identity, resource) {
            continue;
        }
        let Some((_, mut manifest)) = state.manifest(identity) else {
            continue;
        };
        let managed = manifest
            .get_mut("metadata")
            .and_then(Value::as_object_mut)
            .and_then(|metadata| metadata.shift_remove("managedFields"));
        let manifest = in_usual_order(manifest);
        let mut record = json!({"digest": digest(&manifest)});
        if let (Some(managed), Some(record)) = (managed, record.as_object_mut()) {
            record.insert("managedFields".to_owned(), Value::from(managed.to_string()));
        }
        records.insert(resource.key.to_string(), record);
        objects.push(manifest);
    }
    let serves: Vec<Value> = state
        .serves
        .iter()
        .map(|(api, scope)| {
            let scope = match scope {
                Scope::Cluster => "Cluster",
                Scope::Namespaced => "Namespaced",
            };
            json!({"apiVersion": api.api_version, "kind": api.kind, "scope": scope})
        })
        .collect();
    let ledgers: Map<String, Value> = state
        .ledgers
        .iter()
        .map(|(policy, ledger)| {
            let ledger = json!({"entries": ledger.entries, "version": ledger.version});
            (policy.to_string(), ledger)
        })
        .collect();
    let document = json!({
        "cluster": {"uid": state.cluster_uid, "serves": serves},
        "account": state.account,
        "objects": objects,
        "buckets": buckets,
        "ledgers": ledgers,
        "bookkeeping": {"counter": state.counter, "objects": records},
    });
    let body = serde_saphyr::to_string(&document)
        .map_err(|error| SandboxError::Unfit(format!("the world can't be written as YAML: {error}")))?;
    Ok(format!("{HEADER}{body}"))
}

fn bucket(state: &State, resource: &Resource) -> Value {
    let mut document = Map::new();
    let key = &resource.key;
    if state.bucket_kinds().len() > 1 {
        document.insert("kind".to_owned(), Value::from(key.kind.as_str()));
    }
    if let Some(region) = &key.region {
        document.insert("region".to_owned(), Value::from(region.as_str()));
    }
    if let Some(account) = &resource.account {
        document.insert("account".to_owned(), Value::from(account.as_str()));
    }
    if resource.content > 0 {
        document.insert("content".to_owned(), Value::from(resource.content));
    }
    let root = state.kinds.get(&key.kind).map(|kind| kind.root_facet().clone());
    for (facet, value) in &resource.facets {
        let empty = value.as_map().is_some_and(std::collections::BTreeMap::is_empty);
        if let Some(value) = value.expose_json()
            && !(empty && Some(facet) == root.as_ref())
        {
            document.insert(facet.to_string(), value);
        }
    }
    Value::Object(document)
}

/// A namespace that every cluster has, with nothing in it that anybody set: it is left out of the file.
fn is_bare_namespace(identity: &Identity, resource: &Resource) -> bool {
    let name = resource.key.name.as_str();
    NAMESPACES.contains(&name)
        && *identity == Identity::namespace(name)
        && resource.facets.values().all(|document| {
            let set = |key: &str| document.at(&["metadata", key]).is_some();
            document.get("spec").is_none() && !["labels", "annotations", "managedFields"].into_iter().any(set)
        })
}

/// A manifest as people write it, its status last.
fn in_usual_order(manifest: Value) -> Value {
    let Value::Object(mut entries) = manifest else {
        return manifest;
    };
    let mut ordered = Map::new();
    let status = entries.shift_remove("status");
    for key in ["apiVersion", "kind", "metadata"] {
        if let Some(value) = entries.shift_remove(key) {
            ordered.insert(key.to_owned(), value);
        }
    }
    ordered.extend(entries);
    ordered.extend(status.map(|status| ("status".to_owned(), status)));
    Value::Object(ordered)
}

/// Tells an edited manifest from one that is as it was written; the order of keys doesn't count. FNV-1a, 64 bits:
/// nobody attacks it.
pub(crate) fn digest(manifest: &Value) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let sorted = holdfast_contract::Value::from_json(manifest.clone());
    let text = serde_json::to_string(&sorted).unwrap_or_default();
    let hash = text
        .bytes()
        .fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}
