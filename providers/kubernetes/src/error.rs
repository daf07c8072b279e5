//! What the API server's refusals mean, by what the caller may do.

use std::time::Duration;

use holdfast_contract::{ApiType, Path, ProviderError, ResourceKey};
use serde::Deserialize;

/// Who answers, in messages.
pub(crate) const SERVICE: &str = "the Kubernetes API";
/// The longest wait that a server is believed to want, wherever it says so.
const ASKED_MAX: Duration = Duration::from_hours(1);

/// The API server's own account of a failure: `Status` of `meta/v1`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) details: Details,
    /// From the header, where the body doesn't say it.
    #[serde(skip)]
    pub(crate) seconds_of_header: Option<u64>,
}

/// What a [`Status`] is about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Details {
    pub(crate) name: String,
    /// The plural name of the resource, though the field is called so.
    pub(crate) kind: String,
    pub(crate) causes: Vec<Cause>,
    pub(crate) retry_after_seconds: Option<u64>,
}

/// One fault.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cause {
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) field: String,
}

/// What was asked for when it was refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// `patch`.
    pub(crate) verb: &'static str,
    /// `deployments.apps`.
    pub(crate) resource: &'a str,
    pub(crate) key: &'a ResourceKey,
    /// Whether the document holds secrets, which the server's words may repeat.
    pub(crate) sensitive: bool,
}

/// The words with which validation says that a field can't change any more. The API has no reason of its own for it:
/// it comes as an invalid or a forbidden value among others.
const IMMUTABLE: [&str; 7] = [
    "immutable",
    "cannot be changed",
    "cannot change",
    "may not be changed",
    "may not change",
    "updates to",
    "updating",
];

impl Status {
    /// Whether the server says that just this object isn't there; any other 404 says less.
    pub(crate) fn is_not_found_of(&self, plural: &str, name: &str) -> bool {
        self.code == 404
            && self.reason == "NotFound"
            && self.details.name == name
            && self.details.kind == plural
    }

    /// Whether RBAC, or another authorizer, refused. An admission plugin or a webhook that refuses answers with the
    /// same code and reason; only authorizers' text is made by the API server itself, always of this form.
    pub(crate) fn is_denial(&self) -> bool {
        self.code == 403 && self.message.contains("cannot ") && self.message.contains(" resource ")
            || self.code == 403 && self.message.contains("cannot ") && self.message.contains(" path ")
    }

    /// Whether what was refused is to act as somebody else, before what was to be done was looked at.
    pub(crate) fn denies_impersonation(&self) -> bool {
        self.is_denial() && self.message.contains(" cannot impersonate resource ")
    }

    /// Whether an apply was refused because others hold fields that it sets.
    pub(crate) fn is_field_conflict(&self) -> bool {
        self.code == 409 && self.has_cause("FieldManagerConflict")
    }

    fn has_cause(&self, reason: &str) -> bool {
        self.details.causes.iter().any(|cause| cause.reason == reason)
    }

    /// How long the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.details.retry_after_seconds.or(self.seconds_of_header)?;
        Some(Duration::from_secs(seconds).min(ASKED_MAX))
    }

    /// The fields that can't be changed on what exists, if that and nothing else is why it was refused: made anew, the
    /// document would be taken.
    fn immutable_fields(&self) -> Vec<String> {
        let is_immutable = |message: &str| {
            let message = message.to_lowercase();
            IMMUTABLE.iter().any(|word| message.contains(word))
        };
        let causes = &self.details.causes;
        if !causes.iter().all(|cause| is_immutable(&cause.message)) {
            return Vec::new();
        }
        causes.iter().map(|cause| cause.field.clone()).collect()
    }

    /// The fields that the type doesn't have, if that is why it was refused.
    ///
    /// A custom object is refused as a bad request with `unknown field "spec.x"`; a built-in one, by an apply, as an
    /// internal error with `.spec.x: field not declared in schema`. Nothing but the text names the field.
    pub(crate) fn unknown_fields(&self) -> Vec<String> {
        let quoted = self.message.split("unknown field \"").skip(1);
        let quoted = quoted.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
        let mut parts: Vec<&str> = self.message.split(": field not declared in schema").collect();
        // After the last one comes no field.
        parts.pop();
        let undeclared = parts
            .into_iter()
            .filter_map(|before| before.split_whitespace().next_back())
            .map(|field| field.trim_start_matches('.').to_owned());
        quoted.chain(undeclared).collect()
    }

    /// Whether the document doesn't fit the type's schema. An apply of a built-in type answers so with code 500.
    pub(crate) fn is_misfit(&self) -> bool {
        matches!(self.code, 400 | 500)
            && (self.message.contains("failed to create typed patch object")
                || self.message.contains("strict decoding error"))
    }

    /// What it means to whoever asked for `asked`.
    pub(crate) fn meaning(&self, asked: Asked<'_>) -> ProviderError {
        let key = asked.key;
        let conflict = || ProviderError::Conflict { key: key.clone() };
        match self.code {
            401 => ProviderError::Unauthenticated {
                service: SERVICE.to_owned(),
                message: "the token or certificate was refused".to_owned(),
            },
            403 if self.has_cause("NamespaceTerminating") => {
                self.unavailable("the namespace is being deleted")
            }
            403 if self.is_denial() => ProviderError::Denied {
                action: format!("{} {}", asked.verb, asked.resource),
                target: key.to_string(),
            },
            404 if self.details.kind == "namespaces" && key.namespace.is_some() => {
                self.unavailable("the namespace isn't there")
            }
            404 if self.details.name.is_empty() => match &key.api {
                Some(api) => ProviderError::NotServed { api: api.clone() },
                None => conflict(),
            },
            404 | 409 => conflict(),
            422 if self
                .details
                .causes
                .iter()
                .any(|cause| cause.field == "metadata.uid") =>
            {
                conflict()
            }
            422 if !self.immutable_fields().is_empty() => ProviderError::Immutable {
                key: key.clone(),
                fields: self.immutable_fields(),
            },
            429 => ProviderError::Throttled {
                service: SERVICE.to_owned(),
                retry_after: self.retry_after(),
            },
            code if self.is_misfit() || (400..500).contains(&code) && code != 408 && code != 410 => {
                let unknown = self.unknown_fields();
                let cause = self.details.causes.first().map(|cause| &cause.field);
                ProviderError::Invalid {
                    target: key.to_string(),
                    message: if unknown.is_empty() {
                        self.words(asked.sensitive)
                    } else {
                        format!("this type has no field {}", unknown.join(", "))
                    },
                    field: unknown.first().or(cause).and_then(|field| path_of(field)),
                }
            }
            _ => self.unavailable(&self.words(asked.sensitive)),
        }
    }

    fn unavailable(&self, message: &str) -> ProviderError {
        ProviderError::Unavailable {
            service: SERVICE.to_owned(),
            message: format!("{message} ({})", self.code),
            source: None,
        }
    }

    /// The server's words. They may repeat values, so of a document with secrets only the places are told.
    fn words(&self, sensitive: bool) -> String {
        if !sensitive {
            return match self.message.as_str() {
                "" => format!("it answered {} {}", self.code, self.reason)
                    .trim_end()
                    .to_owned(),
                message => message.to_owned(),
            };
        }
        let places: Vec<String> = self
            .details
            .causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.reason))
            .collect();
        let places = if places.is_empty() {
            self.reason.clone()
        } else {
            places.join(", ")
        };
        format!("{places} (its words may hold secret values and aren't shown)")
    }
}

/// A field as the server names it, `spec.containers[0].image`, as a path. List positions stay part of the text.
fn path_of(field: &str) -> Option<Path> {
    let keys: Vec<&str> = field.split('.').filter(|key| !key.is_empty()).collect();
    (!keys.is_empty()).then(|| Path::of(&keys))
}

/// Nothing of the answer could be read.
pub(crate) fn lost(message: impl Into<String>) -> ProviderError {
    ProviderError::Unavailable {
        service: SERVICE.to_owned(),
        message: message.into(),
        source: None,
    }
}

/// An object type that the server doesn't know.
pub(crate) fn not_served(api: &ApiType) -> ProviderError {
    ProviderError::NotServed { api: api.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn meaning(status: serde_json::Value, sensitive: bool) -> ProviderError {
        let status: Status = serde_json::from_value(status).unwrap();
        let key = ResourceKey {
            provider: "kubernetes".into(),
            kind: "kubernetes/Object".into(),
            api: Some(ApiType::new("apps/v1", "Deployment")),
            namespace: Some("shop".to_owned()),
            name: "web".to_owned(),
            region: None,
        };
        status.meaning(Asked {
            verb: "patch",
            resource: "deployments.apps",
            key: &key,
            sensitive,
        })
    }

    #[test]
    fn a_denial_names_the_missing_permission() {
        let denied = meaning(
            json!({
                "code": 403, "reason": "Forbidden",
                "message": "deployments.apps \"web\" is forbidden: User \"alice\" cannot patch resource \"deployments\" in API group \"apps\"",
            }),
            false,
        );
        assert_eq!(
            denied.to_string(),
            "access denied: this identity lacks patch deployments.apps on apps/Deployment shop/web"
        );
    }

    #[test]
    fn an_admission_plugins_refusal_is_no_missing_permission() {
        let refused = meaning(
            json!({ "code": 403, "reason": "Forbidden", "message": "exceeded quota: pods=1" }),
            false,
        );
        assert!(matches!(refused, ProviderError::Invalid { .. }), "{refused}");
        let terminating = json!({
            "code": 403, "reason": "Forbidden", "message": "unable to create new content",
            "details": { "causes": [{ "reason": "NamespaceTerminating", "message": "x" }] },
        });
        assert!(meaning(terminating, false).is_transient());
    }

    #[test]
    fn an_immutable_field_is_named() {
        let status = json!({
            "code": 422, "reason": "Invalid", "message": "long", "details": { "causes": [
                { "reason": "FieldValueInvalid", "message": "Invalid value: {}: field is immutable", "field": "spec.selector" },
            ]},
        });
        let ProviderError::Immutable { fields, .. } = meaning(status, false) else {
            panic!()
        };
        assert_eq!(fields, ["spec.selector"]);
        let wrong_too = json!({
            "code": 422, "reason": "Invalid", "details": { "causes": [
                { "reason": "FieldValueInvalid", "message": "field is immutable", "field": "spec.selector" },
                { "reason": "FieldValueRequired", "message": "Required value", "field": "spec.template" },
            ]},
        });
        assert!(
            matches!(meaning(wrong_too, false), ProviderError::Invalid { .. }),
            "made anew, it would be refused too"
        );
        let uid = json!({
            "code": 422, "reason": "Invalid", "details": { "causes": [
                { "reason": "FieldValueInvalid", "message": "field is immutable", "field": "metadata.uid" },
            ]},
        });
        assert!(
            matches!(meaning(uid, false), ProviderError::Conflict { .. }),
            "another incarnation"
        );
    }

    #[test]
    fn a_refused_secret_shows_only_its_places() {
        let status = json!({
            "code": 422, "reason": "Invalid", "message": "Invalid value: \"hunter2\"", "details": { "causes": [
                { "reason": "FieldValueInvalid", "message": "Invalid value: \"hunter2\"", "field": "data.k" },
            ]},
        });
        let refused = meaning(status, true);
        let printed = format!("{refused} {refused:?}");
        assert!(
            !printed.contains("hunter2") && printed.contains("data.k"),
            "{printed}"
        );
    }

    #[test]
    fn an_unknown_field_is_named_in_whatever_words_it_comes() {
        let custom = json!({
            "code": 400, "reason": "BadRequest",
            "message": "strict decoding error: unknown field \"spec.colour\", unknown field \"spec.sise\"",
        });
        let built_in = json!({
            "code": 500,
            "message": "failed to create typed patch object (n/x; /v1, Kind=ConfigMap): errors:\n  .datta: field not declared in schema\n  .metadata.lables: field not declared in schema",
        });
        for (status, names) in [
            (custom, "spec.colour, spec.sise"),
            (built_in, "datta, metadata.lables"),
        ] {
            let error = meaning(status, true);
            assert!(!error.is_transient());
            assert_eq!(
                error.to_string(),
                format!("apps/Deployment shop/web refused: this type has no field {names}")
            );
        }
    }

    #[test]
    fn only_a_not_found_of_the_very_object_is_one() {
        let of = |json| {
            serde_json::from_value::<Status>(json)
                .unwrap()
                .is_not_found_of("deployments", "web")
        };
        let details = json!({ "name": "web", "kind": "deployments" });
        assert!(of(
            json!({ "code": 404, "reason": "NotFound", "details": details })
        ));
        assert!(!of(json!({ "code": 404, "reason": "NotFound", "details": {} })));
        assert!(!of(json!({ "code": 404 })));
        let page = meaning(json!({ "code": 404, "message": "404 page not found" }), false);
        assert!(matches!(page, ProviderError::NotServed { .. }));
    }
}
