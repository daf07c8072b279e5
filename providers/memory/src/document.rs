//! The format of a sandbox file. A state file has the same one: it is a sandbox that has gone on.

use std::collections::BTreeMap;

use holdfast_contract::Scope;
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use crate::error::SandboxError;
use crate::reactions::Reaction;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    #[serde(default)]
    pub(crate) cluster: Cluster,
    /// The account as which every provider is signed in that names no other.
    pub(crate) account: Option<String>,
    /// Plain manifests.
    #[serde(default)]
    pub(crate) objects: Vec<Spanned<Map<String, Value>>>,
    /// By name: the facets as `desired` has them, and `region`, `account`, `kind`, `content` beside them.
    #[serde(default)]
    pub(crate) buckets: BTreeMap<String, Spanned<Map<String, Value>>>,
    #[serde(default)]
    pub(crate) reactions: Vec<Reaction>,
    /// By policy: what the engine must not forget.
    #[serde(default)]
    pub(crate) ledgers: BTreeMap<String, Ledger>,
    #[serde(default)]
    pub(crate) bookkeeping: Bookkeeping,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cluster {
    /// The uid of its kube-system namespace.
    pub(crate) uid: Option<String>,
    /// Types that it serves without a CustomResourceDefinition in `objects`.
    #[serde(default)]
    pub(crate) serves: Vec<Type>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Type {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) scope: TypeScope,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) enum TypeScope {
    Cluster,
    Namespaced,
}

impl From<TypeScope> for Scope {
    fn from(scope: TypeScope) -> Self {
        match scope {
            TypeScope::Cluster => Self::Cluster,
            TypeScope::Namespaced => Self::Namespaced,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ledger {
    pub(crate) entries: BTreeMap<String, String>,
    pub(crate) version: u64,
}

/// What the world needs to go on counting, and nobody needs to read.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bookkeeping {
    /// The last number that was given out.
    #[serde(default)]
    pub(crate) counter: u64,
    /// By object: who holds which of its fields, and a digest that shows whether it was edited.
    #[serde(default)]
    pub(crate) objects: BTreeMap<String, ObjectRecord>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ObjectRecord {
    /// Of the manifest as it was written, in hexadecimal.
    pub(crate) digest: String,
    /// `metadata.managedFields`, as JSON.
    pub(crate) managed_fields: Option<String>,
}

/// Reads a sandbox or state file. `origin` is how the user named it.
pub(crate) fn parse(yaml: &str, origin: &str) -> Result<Document, SandboxError> {
    let options = serde_saphyr::options! {
        // `on:` is the key of a reaction, not a boolean.
        strict_booleans: true,
        with_snippet: false,
    };
    if yaml
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(Document::default());
    }
    serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((1, 1), |location| (location.line(), location.column()));
        let message = error.to_string();
        // The place is named once, in front.
        let message = message
            .split_once(" at line ")
            .map_or(message.as_str(), |(what, _)| what);
        SandboxError::Content {
            origin: origin.to_owned(),
            line,
            column,
            message: message.to_owned(),
        }
    })
}
