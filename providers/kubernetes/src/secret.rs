//! What of an object is secret: by its type, and by where a value comes from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_contract::{ApiType, Change, Difference, Unknown, Value};

use crate::types;

/// kubectl keeps whole manifests here, a Secret's data among them.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// From how many characters on a secret is also looked for inside of longer texts. Shorter ones would seal half of
/// any document.
const INSIDE_FROM: usize = 6;

/// Seals what is secret by type: all of a Secret's data. Other objects come out as they are.
pub(crate) fn sealed(api: &ApiType, mut object: Value) -> Value {
    if !types::is_secret(api) {
        return object;
    }
    if let Some(entries) = object.as_map_mut() {
        for field in ["data", "stringData"] {
            if let Some(data) = entries.get_mut(field) {
                seal_values(data);
            }
        }
        let metadata = entries.get_mut("metadata").and_then(Value::as_map_mut);
        let annotations = metadata.and_then(|metadata| metadata.get_mut("annotations"));
        if let Some(applied) = annotations.and_then(|a| a.as_map_mut()?.get_mut(LAST_APPLIED)) {
            seal(applied);
        }
    }
    object
}

/// Seals each value and leaves the keys to be seen; what is no map is sealed whole.
fn seal_values(data: &mut Value) {
    match data {
        Value::Map(entries) => entries.values_mut().for_each(seal),
        other => seal(other),
    }
}

fn seal(value: &mut Value) {
    *value = match std::mem::take(value) {
        // What isn't known yet stays so, and will be sensitive.
        Value::Unknown(unknown) => Value::Unknown(Unknown {
            sensitive: true,
            ..unknown
        }),
        other => other.sealed(),
    };
}

/// A declared Secret's `stringData`, moved into `data`.
///
/// The server does the same and never shows `stringData` again. It also forgets who applied it, so that a key dropped
/// there would stay in `data` for ever.
pub(crate) fn without_string_data(api: &ApiType, mut object: Value) -> Value {
    if !types::is_secret(api) {
        return object;
    }
    let Some(entries) = object.as_map_mut() else {
        return object;
    };
    let texts = match entries.remove("stringData") {
        Some(Value::Map(texts)) => texts,
        Some(other) => {
            // Not a map of texts: the server says what is wrong with it, or it isn't known yet.
            entries.insert("stringData".to_owned(), other);
            return object;
        }
        None => return object,
    };
    let data = entries.entry("data".to_owned()).or_insert_with(Value::map);
    if let Some(data) = data.as_map_mut() {
        data.extend(texts.into_iter().map(|(key, text)| (key, encoded(text))));
    }
    object
}

fn encoded(text: Value) -> Value {
    match text {
        Value::String(text) => Value::String(STANDARD.encode(text)),
        Value::Sensitive(sealed) => encoded(sealed.expose().clone()).sealed(),
        other => other,
    }
}

/// An object for facts and for people: of a Secret's data only the keys, each `true`; nothing sealed anywhere.
pub(crate) fn shown(api: &ApiType, mut object: Value) -> Value {
    if types::is_secret(api)
        && let Some(Value::Map(data)) = object.as_map_mut().and_then(|entries| entries.get_mut("data"))
    {
        for value in data.values_mut() {
            *value = Value::Bool(true);
        }
    }
    if let Some(entries) = object.as_map_mut() {
        entries.remove("stringData");
        if let Some(Value::Map(data)) = entries.get("data")
            && data.is_empty()
        {
            entries.remove("data");
        }
    }
    drop_sealed(&mut object);
    object
}

fn drop_sealed(value: &mut Value) {
    match value {
        Value::Map(entries) => {
            entries.retain(|_, value| !matches!(value, Value::Sensitive(_)));
            entries.values_mut().for_each(drop_sealed);
        }
        Value::List(items) => {
            items.retain(|item| !matches!(item, Value::Sensitive(_)));
            items.iter_mut().for_each(drop_sealed);
        }
        _ => {}
    }
}

/// The texts of a declared document that are secret, to be found again in what a server shows.
#[derive(Clone, Default)]
pub(crate) struct Taint(Vec<String>);

impl Taint {
    /// All sensitive texts in `declared`.
    pub(crate) fn of(declared: &Value) -> Self {
        let mut texts = Vec::new();
        collect(declared, false, &mut texts);
        Self(texts)
    }

    /// Seals, in what `differences` show, each text that is or holds one of the secrets.
    pub(crate) fn seal_all(&self, differences: &mut [Difference]) {
        if self.0.is_empty() {
            return;
        }
        for difference in differences {
            match &mut difference.change {
                Change::Add { new: value } | Change::Remove { old: value } => self.seal(value),
                Change::Replace { old, new } => {
                    self.seal(old);
                    self.seal(new);
                }
                Change::Claim => {}
            }
        }
    }

    fn seal(&self, value: &mut Value) {
        match value {
            Value::String(text) if self.holds(text) => seal(value),
            Value::List(items) => items.iter_mut().for_each(|item| self.seal(item)),
            Value::Map(entries) => entries.values_mut().for_each(|value| self.seal(value)),
            _ => {}
        }
    }

    fn holds(&self, text: &str) -> bool {
        self.0
            .iter()
            .any(|secret| text == secret || secret.len() >= INSIDE_FROM && text.contains(secret.as_str()))
    }
}

fn collect(value: &Value, sensitive: bool, texts: &mut Vec<String>) {
    match value {
        Value::Sensitive(sealed) => collect(sealed.expose(), true, texts),
        Value::String(text) if sensitive && !text.is_empty() => texts.push(text.clone()),
        Value::List(items) => items.iter().for_each(|item| collect(item, sensitive, texts)),
        Value::Map(entries) => entries
            .values()
            .for_each(|value| collect(value, sensitive, texts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret() -> (ApiType, Value) {
        let object = Value::from_json(json!({
            "metadata": { "name": "s", "annotations": { LAST_APPLIED: "{\"data\": \"hunter2\"}", "note": "seen" } },
            "data": { "a": "aHVudGVyMg==" },
            "stringData": { "b": "hunter2" },
        }));
        (ApiType::new("v1", "Secret"), object)
    }

    #[test]
    fn a_secrets_data_is_sealed_and_its_keys_are_seen() {
        let (api, object) = secret();
        let printed = format!("{:?} {0}", sealed(&api, object));
        assert!(
            !printed.contains("hunter2") && !printed.contains("aHVudGVyMg"),
            "{printed}"
        );
        assert!(printed.contains("\"a\"") && printed.contains("seen"));
    }

    #[test]
    fn string_data_becomes_data() {
        let (api, object) = secret();
        let object = without_string_data(&api, sealed(&api, object));
        assert_eq!(object.get("stringData"), None);
        let data = object.at(&["data", "b"]).unwrap();
        assert!(matches!(data, Value::Sensitive(_)));
        assert_eq!(*data.exposed(), Value::from("aHVudGVyMg=="));
    }

    #[test]
    fn a_fact_shows_which_keys_a_secret_has_and_nothing_else_of_it() {
        let (api, object) = secret();
        let shown = shown(&api, sealed(&api, object));
        assert_eq!(
            shown.to_string(),
            r#"{"data":{"a":true},"metadata":{"annotations":{"note":"seen"},"name":"s"}}"#
        );
    }

    #[test]
    fn a_secret_is_recognised_in_what_a_server_shows() {
        let declared = Value::from_json(json!({"env": "hunter2-long"}));
        let declared: Value = [("spec", declared.sealed())].into_iter().collect();
        let old = Value::from_json(json!([{"command": "run --password=hunter2-long"}, {"kept": "visible"}]));
        let mut found = [Difference::new(
            holdfast_contract::Path::root(),
            Change::Remove { old },
        )];
        Taint::of(&declared).seal_all(&mut found);
        let printed = format!("{found:?}");
        assert!(
            !printed.contains("hunter2") && printed.contains("visible"),
            "{printed}"
        );
    }
}
