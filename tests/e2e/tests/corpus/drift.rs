//! Changing one declared field of an object from outside, whichever the server lets one change.

use std::fmt;

use holdfast_e2e::{Api, until};
use serde_json::{Value, json};

/// What a text is changed to, until the server takes one: numbers, quantities, times, addresses, and the words of the
/// API's own enumerations.
const TEXTS: [&str; 34] = [
    "7",
    "3",
    "3Gi",
    "50%",
    "30s",
    "eHg=",
    "10.0.0.0/8",
    "192.0.2.99",
    "2026-02-02T00:00:00.000000Z",
    "Ignore",
    "Fail",
    "Always",
    "Never",
    "IfNotPresent",
    "Retain",
    "Delete",
    "Recycle",
    "Local",
    "Cluster",
    "Exact",
    "Prefix",
    "Equivalent",
    "Exists",
    "NoSchedule",
    "NotIn",
    "Slow",
    "Utilization",
    "Max",
    "Forbid",
    "Allow",
    "File",
    "None",
    "Deny",
    "UDP",
];

/// One field that was changed.
#[derive(Debug)]
pub(crate) struct Drift {
    object: String,
    /// Where, in the object as the server has it.
    place: Vec<Step>,
    before: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.place {
            match step {
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Drift {
    /// How a plan's name for the place begins: up to the first list, whose items a plan names by their keys, or the
    /// first key that isn't a plain word.
    pub(crate) fn shown(&self) -> String {
        let plain = |step: &Step| match step {
            Step::Key(key) if key.chars().all(|letter| letter.is_ascii_alphanumeric()) => Some(key.clone()),
            Step::Key(_) | Step::Index(_) => None,
        };
        let plain: Vec<_> = self.place.iter().map_while(plain).collect();
        plain.join(".")
    }

    /// Whether the field is again what it was.
    pub(crate) async fn is_back(&self, api: &Api) -> bool {
        let now = api.get(&self.object).await.expect("it is there");
        let field = at(&now, &self.place);
        // An item of a set may have got another place, behind the one that was put in.
        let list = match self.place.split_last() {
            Some((Step::Index(_), list)) => at(&now, list).and_then(Value::as_array),
            _ => None,
        };
        field == Some(&self.before) || list.is_some_and(|items| items.contains(&self.before))
    }
}

/// Changes a declared field of the object at `path`; none if the server lets nobody change any of them.
pub(crate) async fn drift(api: &Api, path: &str, manifest: &Value, round: usize) -> Option<Drift> {
    // A type whose definition was just put back is served again a moment later.
    until(&format!("{path} is there"), async || {
        api.get(path).await.is_some()
    })
    .await;
    let live = api.get(path).await?;
    let mut places = Vec::new();
    let manifest = stored(manifest);
    declared(&manifest, &live, &fields(&live), &mut Vec::new(), &mut places);
    // Another field in each round, and not the same for all: whichever the name says.
    let start = manifest["metadata"]["name"]
        .as_str()?
        .bytes()
        .map(usize::from)
        .sum::<usize>()
        + round * 7;
    let count = places.len();
    for index in 0..count {
        let place = &places[(start + index) % count];
        let before = at(&live, place)?.clone();
        for value in others(&before) {
            let mut changed = live.clone();
            *at_mut(&mut changed, place)? = value;
            let Ok(answer) = api.put(path, "by-hand", &changed).await else {
                continue;
            };
            // In other words: a false or a zero may be left out. In the same: the server has its own mind.
            if at(&answer, place) != Some(&before) {
                return Some(Drift {
                    object: path.to_owned(),
                    place: place.clone(),
                    before,
                });
            }
        }
    }
    None
}

/// As the server stores it: the texts of a Secret are data.
fn stored(manifest: &Value) -> Value {
    let mut stored = manifest.clone();
    for key in manifest["stringData"]
        .as_object()
        .into_iter()
        .flat_map(|texts| texts.keys())
    {
        stored["data"][key] = json!("");
    }
    stored
}

/// What Holdfast holds, as the server tells.
fn fields(live: &Value) -> Value {
    let entries = live["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    entries
        .into_iter()
        .find(|entry| {
            entry["operation"] == "Apply"
                && entry["manager"]
                    .as_str()
                    .is_some_and(|name| name.starts_with("holdfast:"))
        })
        .map(|entry| entry["fieldsV1"].clone())
        .unwrap_or_default()
}

/// The places of all scalars that `manifest` declares and the server has, but for those that say which object, or
/// which item of a list, is meant.
fn declared(
    manifest: &Value,
    live: &Value,
    fields: &Value,
    here: &mut Vec<Step>,
    found: &mut Vec<Vec<Step>>,
) {
    match (manifest, live) {
        (Value::Object(manifest), Value::Object(live)) => {
            for (key, value) in manifest {
                let identity = here.is_empty() && ["apiVersion", "kind", "status"].contains(&key.as_str())
                    || *here == [Step::Key("metadata".to_owned())]
                        && ["name", "namespace"].contains(&key.as_str());
                // A door that opens one way only.
                let one_way = here.is_empty() && key == "immutable";
                let Some(there) = live.get(key).filter(|_| !identity && !one_way) else {
                    continue;
                };
                here.push(Step::Key(key.clone()));
                declared(value, there, &fields[format!("f:{key}")], here, found);
                here.pop();
            }
        }
        // Another value that a definition takes, or another version, is an upgrade by somebody, and left.
        (Value::Array(_), _) if here.last() == Some(&Step::Key("enum".to_owned())) => {}
        (Value::Array(manifest), Value::Array(live)) if manifest.len() == live.len() => {
            for (index, (value, there)) in manifest.iter().zip(live).enumerate() {
                here.push(Step::Index(index));
                let (keys, inner) = item(fields, there);
                let mut value = value.clone();
                if let Some(entries) = value.as_object_mut() {
                    let is_version = entries.contains_key("storage") && entries.contains_key("schema");
                    entries.retain(|key, _| !(keys.contains(key) || is_version && key == "name"));
                }
                declared(&value, there, &inner, here, found);
                here.pop();
            }
        }
        (Value::Object(_) | Value::Array(_) | Value::Null, _)
        | (_, Value::Object(_) | Value::Array(_) | Value::Null) => {}
        _ => found.push(here.clone()),
    }
}

/// By which keys `item` is known in its list, and what is held of it.
fn item(fields: &Value, item: &Value) -> (Vec<String>, Value) {
    for (key, inner) in fields.as_object().into_iter().flatten() {
        let Some(keys) = key.strip_prefix("k:") else {
            continue;
        };
        let keys: Value = serde_json::from_str(keys).expect("the server writes JSON");
        let keys = keys.as_object().expect("keys and their values");
        if keys.iter().all(|(key, value)| item[key] == *value) {
            return (keys.keys().cloned().collect(), inner.clone());
        }
    }
    (Vec::new(), Value::Null)
}

fn at<'v>(value: &'v Value, place: &[Step]) -> Option<&'v Value> {
    place.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}

fn at_mut<'v>(value: &'v mut Value, place: &[Step]) -> Option<&'v mut Value> {
    place.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })
}

/// Other values of the same type.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Bool(value) => vec![json!(!value)],
        Value::Number(number) => match number.as_i64() {
            Some(number) => [number + 1, number - 1, 1, 2]
                .into_iter()
                .filter(|other| *other != number)
                .map(Value::from)
                .collect(),
            None => vec![json!(number.as_f64().unwrap_or_default() + 1.0)],
        },
        Value::String(text) => {
            let words = TEXTS
                .iter()
                .filter(|other| *other != text)
                .map(|other| json!(other));
            std::iter::once(json!(format!("{text}x"))).chain(words).collect()
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Vec::new(),
    }
}
