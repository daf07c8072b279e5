//! What other controllers would do, as data.
//!
//! ```yaml
//! reactions:
//!   - on: { apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition }
//!     set: { status: { conditions: [ { type: Established, status: "True" } ] } }
//!   - on: { apiVersion: cloudcredential.openshift.io/v1, kind: CredentialsRequest }
//!     set: { status: { provisioned: true } }
//!     create:
//!       - apiVersion: v1
//!         kind: Secret
//!         metadata: { name: "${self.spec.secretRef.name}", namespace: "${self.spec.secretRef.namespace}" }
//! ```
//!
//! A reaction fires on every object that holds all that `on` says. `set` is a JSON merge patch (RFC 7386) of that
//! object; each document under `create` is made unless it exists. `${self.a.b}` stands for what the object holds
//! there, in its own type where it is the whole text, and `${self.list.0}` for a list's item. A reaction that refers
//! to what the object doesn't hold (yet) doesn't fire.
//!
//! Everything here is pure: the world applies the effects to itself, and a test can apply the same to a real server.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::document;
use crate::error::SandboxError;

/// Reactions, in the order in which they were declared.
#[derive(Clone, Debug, Default)]
pub struct Reactions(Vec<Reaction>);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reaction {
    on: Map<String, Value>,
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    create: Vec<Map<String, Value>>,
}

/// One thing that a controller would do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It merges `patch` into the object that it reacts on. What stands under `status` goes to the status
    /// subresource where the type has one.
    Patch {
        /// A JSON merge patch that changes something of the object.
        patch: Value,
    },
    /// It makes this object unless it exists.
    Create {
        /// The whole manifest.
        manifest: Value,
    },
}

impl Reactions {
    /// The reactions of a sandbox file; other parts of the file are checked and left aside.
    pub fn parse(yaml: &str) -> Result<Self, SandboxError> {
        let document = document::parse(yaml, "sandbox.yaml")?;
        Ok(Self(document.reactions))
    }

    pub(crate) fn new(reactions: Vec<Reaction>) -> Self {
        Self(reactions)
    }

    /// What controllers would do about `object`, a whole manifest as a server holds it. Patches that would change
    /// nothing are left out, so that doing all of it again and again comes to an end.
    #[must_use]
    pub fn for_object(&self, object: &Value) -> Vec<Effect> {
        self.0
            .iter()
            .filter(|reaction| {
                reaction
                    .on
                    .iter()
                    .all(|(key, wanted)| holds(object.get(key), wanted))
            })
            .filter_map(|reaction| reaction.effects(object))
            .flatten()
            .collect()
    }
}

impl Reaction {
    /// None while the object lacks something that the reaction refers to.
    fn effects(&self, object: &Value) -> Option<Vec<Effect>> {
        let mut effects = Vec::new();
        for manifest in &self.create {
            let manifest = filled(&Value::Object(manifest.clone()), object)?;
            effects.push(Effect::Create { manifest });
        }
        let patch = filled(&Value::Object(self.set.clone()), object)?;
        let mut patched = object.clone();
        merge(&mut patched, &patch);
        if patched != *object {
            effects.push(Effect::Patch { patch });
        }
        Some(effects)
    }
}

/// Whether `there` holds all that `wanted` says: of a map the keys named, all else as it is.
fn holds(there: Option<&Value>, wanted: &Value) -> bool {
    match (there, wanted) {
        (Some(Value::Object(there)), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| holds(there.get(key), value))
        }
        (Some(there), wanted) => there == wanted,
        (None, wanted) => wanted.is_null(),
    }
}

/// RFC 7386: maps merge, null removes, all else replaces.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.shift_remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// `template` with each `${self.…}` filled in from `object`; none where one leads nowhere.
fn filled(template: &Value, object: &Value) -> Option<Value> {
    Some(match template {
        Value::String(text) => filled_text(text, object)?,
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| filled(item, object))
                .collect::<Option<_>>()?,
        ),
        Value::Object(entries) => {
            let mut result = Map::new();
            for (key, value) in entries {
                let key = match filled_text(key, object)? {
                    Value::String(key) => key,
                    other => other.to_string(),
                };
                result.insert(key, filled(value, object)?);
            }
            Value::Object(result)
        }
        other => other.clone(),
    })
}

fn filled_text(text: &str, object: &Value) -> Option<Value> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${self.") {
        let (path, after) = after.split_once('}')?;
        let value = path.split('.').try_fold(object, |value, step| match value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            other => other.get(step),
        })?;
        if before.is_empty() && after.is_empty() && result.is_empty() {
            return Some(value.clone());
        }
        result.push_str(before);
        match value {
            Value::String(text) => result.push_str(text),
            Value::Number(number) => result.push_str(&number.to_string()),
            Value::Bool(value) => result.push_str(if *value { "true" } else { "false" }),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        }
        rest = after;
    }
    result.push_str(rest);
    Some(Value::String(result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const REACTIONS: &str = r#"
reactions:
  - on: { apiVersion: apps/v1, kind: Deployment }
    set:
      status:
        observedGeneration: "${self.metadata.generation}"
        replicas: "${self.spec.replicas}"
        message: "generation ${self.metadata.generation} of ${self.metadata.name}"
  - on: { kind: CredentialsRequest, spec: { mint: true } }
    create:
      - apiVersion: v1
        kind: Secret
        metadata: { name: "${self.spec.secretRef.name}" }
        stringData: { "${self.spec.key}": "first of ${self.spec.list.0}" }
    set: { status: { provisioned: true, stale: null } }
"#;

    fn effects(object: &Value) -> Vec<Effect> {
        Reactions::parse(REACTIONS).unwrap().for_object(object)
    }

    #[test]
    fn a_whole_text_keeps_the_type_of_what_it_stands_for() {
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "velero", "generation": 3}, "spec": {"replicas": 2}});
        let patch =
            json!({"status": {"observedGeneration": 3, "replicas": 2, "message": "generation 3 of velero"}});
        assert_eq!(effects(&deployment), [Effect::Patch { patch }]);
    }

    #[test]
    fn reacting_again_changes_nothing() {
        let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "velero", "generation": 3}, "spec": {"replicas": 2}});
        for effect in effects(&deployment) {
            let Effect::Patch { patch } = effect else {
                panic!("only a patch was declared")
            };
            merge(&mut deployment, &patch);
        }
        assert_eq!(effects(&deployment), []);
    }

    #[test]
    fn a_reaction_waits_for_what_it_refers_to() {
        let deployment =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "velero"}});
        assert_eq!(effects(&deployment), []);
    }

    #[test]
    fn only_an_object_that_holds_all_that_on_says_is_reacted_on() {
        let mut request = json!({"kind": "CredentialsRequest", "status": {"stale": 1},
            "spec": {"mint": false, "secretRef": {"name": "velero"}, "key": "token", "list": ["a", "b"]}});
        assert_eq!(effects(&request), []);
        request["spec"]["mint"] = json!(true);
        let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "velero"},
            "stringData": {"token": "first of a"}});
        let patch = json!({"status": {"provisioned": true, "stale": null}});
        assert_eq!(
            effects(&request),
            [Effect::Create { manifest }, Effect::Patch { patch }]
        );
    }

    #[test]
    fn a_misspelt_reaction_is_an_error_with_its_place() {
        let error = Reactions::parse("reactions:\n  - on: { kind: Job }\n    sets: {}\n").unwrap_err();
        assert!(error.to_string().starts_with("sandbox.yaml:3:5: "), "{error}");
        assert!(error.to_string().contains("sets"), "{error}");
    }
}
