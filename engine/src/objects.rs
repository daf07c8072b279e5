//! The little that the language itself says of clusters: facts read objects, and credentials lie in Secrets.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_contract::{ApiType, Facet, KindName, ResourceKey, Value};

/// The provider that `object` and `list` facts are read through.
pub const PROVIDER: &str = "kubernetes";
/// The kind of all objects.
pub const KIND: &str = "kubernetes/Object";

/// The facet of an object that holds all but its status.
#[must_use]
pub fn facet() -> Facet {
    "object".into()
}

/// The kind of all objects.
#[must_use]
pub fn kind() -> KindName {
    KIND.into()
}

/// The type of Secrets.
#[must_use]
pub fn secret() -> ApiType {
    ApiType::new("v1", "Secret")
}

/// The type of a `ConfigMap`.
#[must_use]
pub fn config_map() -> ApiType {
    ApiType::new("v1", "ConfigMap")
}

/// The key of the object `name`.
#[must_use]
pub fn key(api: &ApiType, namespace: Option<&str>, name: &str) -> ResourceKey {
    ResourceKey {
        provider: PROVIDER.into(),
        kind: kind(),
        api: Some(api.clone()),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        region: None,
    }
}

/// The entries of a Secret's `data` that are text, decoded.
#[must_use]
pub fn secret_texts(data: &Value) -> BTreeMap<String, String> {
    let Some(entries) = data.exposed().as_map() else {
        return BTreeMap::new();
    };
    entries
        .iter()
        .filter_map(|(key, value)| {
            let bytes = STANDARD.decode(value.exposed().as_str()?).ok()?;
            Some((key.clone(), String::from_utf8(bytes).ok()?))
        })
        .collect()
}

/// The entries of the `data` of a `ConfigMap`.
#[must_use]
pub fn texts(data: &Value) -> BTreeMap<String, String> {
    let entries = data.as_map().into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// How an object of several in one rule is told from the others: `Kind/name`.
#[must_use]
pub fn label(document: &Value) -> String {
    format!(
        "{}/{}",
        text(document, &["kind"]),
        text(document, &["metadata", "name"])
    )
}

/// The same where several share kind and name: `Kind/namespace/name`.
#[must_use]
pub fn full_label(document: &Value) -> String {
    format!(
        "{}/{}/{}",
        text(document, &["kind"]),
        text(document, &["metadata", "namespace"]),
        text(document, &["metadata", "name"])
    )
}

fn text<'d>(document: &'d Value, keys: &[&str]) -> &'d str {
    document.at(keys).and_then(Value::as_str).unwrap_or("?")
}

/// What an object is, for people: `apps/Deployment`.
#[must_use]
pub fn what(document: &Value) -> Option<String> {
    let api_version = document.get("apiVersion").and_then(Value::as_str)?;
    let kind = document.get("kind").and_then(Value::as_str)?;
    Some(ApiType::new(api_version, kind).to_string())
}

/// Makes the document say the namespace that its key says: a default one goes where the type has none.
pub fn place(document: &mut Value, key: &ResourceKey) {
    let Some(Value::Map(metadata)) = document
        .as_map_mut()
        .and_then(|entries| entries.get_mut("metadata"))
    else {
        return;
    };
    match &key.namespace {
        Some(namespace) => metadata.insert("namespace".to_owned(), Value::from(namespace.as_str())),
        None => metadata.remove("namespace"),
    };
}
