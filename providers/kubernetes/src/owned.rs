//! Who holds which field: `metadata.managedFields`, read.
//!
//! The server computes these sets with its own schema. So they say more than who wrote what: a list whose items are
//! entered by key is one that merges by these keys, one entered as a leaf is replaced as a whole. That spares asking
//! for the schema, and it is right for types that nobody has ever seen here.
//!
//! The form of the sets is `FieldsV1`: a tree of maps whose keys are `f:NAME` for a field, `k:{…}` for a list item by
//! its keys, `v:…` for an item of a set, `i:N` for one by position, and `.` for the node itself.

use std::collections::BTreeMap;

use holdfast_contract::{Path, Segment, Value};

use crate::lists::default_of;

/// The longest name that a server takes for a field manager.
const MANAGER_MAX: usize = 128;

/// What one manager holds of one node of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hold<'a> {
    /// Nothing.
    No,
    /// The node as a whole: a scalar, an empty map, or something that the schema calls atomic.
    Whole,
    /// Some of what is in it.
    Part(&'a BTreeMap<String, Value>),
}

impl<'a> Hold<'a> {
    fn of(node: Option<&'a Value>) -> Self {
        match node {
            Some(Value::Map(inner)) if !inner.is_empty() => Self::Part(inner),
            Some(_) => Self::Whole,
            None => Self::No,
        }
    }

    fn field(self, name: &str) -> Self {
        match self {
            Self::Part(inner) => Self::of(inner.get(&format!("f:{name}"))),
            other => other,
        }
    }

    fn item(self, item: &Value) -> Self {
        match self {
            Self::Part(inner) => Self::of(
                inner
                    .iter()
                    .find(|(key, _)| is_item(key, item))
                    .map(|(_, node)| node),
            ),
            other => other,
        }
    }

    /// Whether anything of the node is held.
    pub(crate) fn any(self) -> bool {
        !matches!(self, Self::No)
    }
}

/// Whether the set key `key` enters `item`.
pub(crate) fn is_item(key: &str, item: &Value) -> bool {
    if let Some(keys) = item_keys(key) {
        // A key that the document leaves out has its default in the set; what that is, is not known of every key.
        let mut given = 0;
        let same = keys.iter().all(|(name, value)| match item.get(name) {
            Some(own) => {
                given += 1;
                own.exposed() == value
            }
            None => keys.len() > 1 && default_of(name).is_none_or(|default| *value == Value::from(default)),
        });
        return same && given > 0;
    }
    key.strip_prefix("v:")
        .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
        .is_some_and(|value| Value::from_json(value) == *item.exposed())
}

/// The keys of a list item, of `k:{…}`.
pub(crate) fn item_keys(key: &str) -> Option<BTreeMap<String, Value>> {
    match Value::from_json(serde_json::from_str(key.strip_prefix("k:")?).ok()?) {
        Value::Map(keys) => Some(keys),
        _ => None,
    }
}

/// One manager's entry, at some node.
#[derive(Clone, Copy, Debug)]
struct Other<'a> {
    manager: &'a str,
    time: &'a str,
    hold: Hold<'a>,
}

/// Who holds what at one node of a document, and below it.
#[derive(Clone, Debug)]
pub(crate) struct Owners<'a> {
    /// Whether the server has told at all; the in-memory store of a hand-written document hasn't.
    pub(crate) known: bool,
    /// What we hold.
    pub(crate) ours: Hold<'a>,
    others: Vec<Other<'a>>,
}

impl<'a> Owners<'a> {
    /// Of nothing: no server has told.
    pub(crate) const UNKNOWN: Self = Self {
        known: false,
        ours: Hold::No,
        others: Vec::new(),
    };

    /// Of an object's body, from the object's own document.
    pub(crate) fn of_object(object: &'a Value, manager: &str) -> Self {
        let entries = entries(object);
        let ours = |entry: &Entry<'_>| entry.is(manager, "");
        Self::of(&entries, !entries.is_empty(), ours)
    }

    /// Of an object's status, from the object's own document.
    pub(crate) fn of_status(object: &'a Value, manager: &str) -> Self {
        let entries = entries(object);
        let plain = status_manager(manager);
        let ours = |entry: &Entry<'_>| entry.is(manager, "status") || entry.is(&plain, "");
        let known = entries
            .iter()
            .any(|entry| Hold::of(Some(entry.fields)).field("status").any());
        Self::of(&entries, known, ours).field("status")
    }

    fn of(entries: &[Entry<'a>], known: bool, is_ours: impl Fn(&Entry<'_>) -> bool) -> Self {
        let mut owners = Self {
            known,
            ..Self::UNKNOWN
        };
        for entry in entries {
            let hold = Hold::of(Some(entry.fields));
            if is_ours(entry) {
                owners.ours = hold;
            } else {
                owners.others.push(Other {
                    manager: entry.manager,
                    time: entry.time,
                    hold,
                });
            }
        }
        owners
    }

    fn step(&self, into: impl Fn(Hold<'a>) -> Hold<'a>) -> Self {
        // Where one holds parts, one that holds the whole holds it as an empty map or list, and so none of the parts.
        let in_parts = matches!(self.ours, Hold::Part(_)) || self.granular();
        let into = |hold: Hold<'a>| match hold {
            Hold::Whole if in_parts => Hold::No,
            other => into(other),
        };
        Self {
            known: self.known,
            ours: into(self.ours),
            others: self
                .others
                .iter()
                .map(|other| Other {
                    hold: into(other.hold),
                    ..*other
                })
                .filter(|other| other.hold.any())
                .collect(),
        }
    }

    /// At the field `name` of this node.
    pub(crate) fn field(&self, name: &str) -> Self {
        self.step(|hold| hold.field(name))
    }

    /// At the item `item` of this list.
    pub(crate) fn item(&self, item: &Value) -> Self {
        self.step(|hold| hold.item(item))
    }

    /// At `path` below this node; `document` is the node's own.
    pub(crate) fn at(&self, path: &Path, document: &Value) -> Self {
        let mut here = self.clone();
        let mut node = Some(document);
        for segment in path.segments() {
            let single = Path::from(vec![segment.clone()]);
            let next = node.and_then(|node| node.at_path(&single));
            here = match (segment, next) {
                (Segment::Key(name), _) => here.field(name),
                (_, Some(item)) => here.item(item),
                (_, None) => here.step(|_| Hold::No),
            };
            node = next;
        }
        here
    }

    /// Whether anybody else holds something here or below.
    pub(crate) fn shared(&self) -> bool {
        !self.others.is_empty()
    }

    /// What the set keys directly under this node are, everybody's: what they say of a list's identity.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> {
        let ours = std::iter::once(self.ours);
        ours.chain(self.others.iter().map(|other| other.hold))
            .filter_map(|hold| match hold {
                Hold::Part(inner) => Some(inner.keys().map(String::as_str)),
                Hold::No | Hold::Whole => None,
            })
            .flatten()
    }

    /// Whether another manager holds single parts of this node, so that it is not one value.
    pub(crate) fn granular(&self) -> bool {
        self.others
            .iter()
            .any(|other| matches!(other.hold, Hold::Part(_)))
    }

    /// Whether somebody holds this node as a whole.
    pub(crate) fn whole(&self) -> bool {
        matches!(self.ours, Hold::Whole) || self.others.iter().any(|other| matches!(other.hold, Hold::Whole))
    }

    /// The other managers that hold this node as a whole.
    pub(crate) fn others_of_the_whole(&self) -> impl Iterator<Item = &'a str> {
        let of_the_whole = self
            .others
            .iter()
            .filter(|other| matches!(other.hold, Hold::Whole));
        of_the_whole.map(|other| other.manager)
    }

    /// `last written by kubectl-edit, 2026-01-31T10:00:00Z`; none where nobody else holds this.
    pub(crate) fn note(&self) -> Option<String> {
        // RFC 3339 in UTC, as the server writes it, sorts as text.
        let last = self
            .others
            .iter()
            .max_by_key(|other| (other.time, other.manager))?;
        Some(match last.time {
            "" => format!("last written by {}", last.manager),
            time => format!("last written by {}, {time}", last.manager),
        })
    }
}

/// One entry of `managedFields`.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    manager: &'a str,
    operation: &'a str,
    subresource: &'a str,
    time: &'a str,
    fields: &'a Value,
}

impl<'a> Entry<'a> {
    fn of(entry: &'a Value) -> Option<Self> {
        let text = |key| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        Some(Self {
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            time: text("time"),
            fields: entry.get("fieldsV1")?,
        })
    }

    /// Whether it is what `manager` applied through `subresource`.
    fn is(&self, manager: &str, subresource: &str) -> bool {
        self.operation == "Apply" && self.manager == manager && self.subresource == subresource
    }
}

fn entries(object: &Value) -> Vec<Entry<'_>> {
    let listed = object.at(&["metadata", "managedFields"]).and_then(Value::as_list);
    listed.unwrap_or_default().iter().filter_map(Entry::of).collect()
}

/// Who applied what is at the fields `path` of `object`, with server-side apply.
pub(crate) fn appliers<'a>(object: &'a Value, path: &[&str]) -> Vec<&'a str> {
    let holds = |entry: &Entry<'a>| {
        let hold = path
            .iter()
            .fold(Hold::of(Some(entry.fields)), |hold, name| hold.field(name));
        entry.operation == "Apply" && hold.any()
    };
    let entries = entries(object).into_iter().filter(holds);
    entries.map(|entry| entry.manager).collect()
}

/// Whether `entry`, of `managedFields`, is what `manager` applied of an object's body.
pub(crate) fn is_applied_by(entry: &Value, manager: &str) -> bool {
    Entry::of(entry).is_some_and(|entry| entry.is(manager, ""))
}

/// The manager's set in `object`, for comparing it whole.
pub(crate) fn our_set<'a>(object: &'a Value, manager: &str, status: bool) -> Option<&'a Value> {
    let plain = status_manager(manager);
    entries(object)
        .into_iter()
        .find(|entry| {
            if status {
                entry.is(manager, "status") || entry.is(&plain, "")
            } else {
                entry.is(manager, "")
            }
        })
        .map(|entry| entry.fields)
}

/// As whom a status is applied where the type has no status subresource.
///
/// Body and status are then written through the same resource, each by an apply of its own. Under one name the second
/// would give up what the first holds, and the server would remove it.
pub(crate) fn status_manager(manager: &str) -> String {
    const SUFFIX: &str = "/status";
    let kept: String = manager.chars().take(MANAGER_MAX - SUFFIX.len()).collect();
    kept + SUFFIX
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object() -> Value {
        Value::from_json(json!({
            "metadata": { "managedFields": [
                {
                    "manager": "holdfast:holdfast-system/p", "operation": "Apply", "time": "2026-01-01T00:00:00Z",
                    "fieldsV1": {
                        "f:metadata": { "f:labels": { "f:a.b/c": {} }, "f:finalizers": { "v:\"x\"": {} } },
                        "f:spec": {
                            "f:selector": {},
                            "f:ports": { "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} } },
                        },
                    },
                },
                {
                    "manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T00:00:00Z",
                    "fieldsV1": { "f:spec": { "f:replicas": {} } },
                },
                {
                    "manager": "kube-controller-manager", "operation": "Update", "subresource": "scale",
                    "time": "2026-01-03T00:00:00Z", "fieldsV1": { "f:spec": { "f:replicas": {} } },
                },
            ]},
        }))
    }

    const US: &str = "holdfast:holdfast-system/p";

    #[test]
    fn what_we_applied_is_ours() {
        let object = object();
        let owners = Owners::of_object(&object, US);
        assert!(owners.known);
        assert!(owners.field("metadata").field("labels").field("a.b/c").ours.any());
        assert!(!owners.field("metadata").field("labels").field("other").ours.any());
        let atomic = owners.field("spec").field("selector").field("app");
        assert!(
            atomic.ours.any(),
            "what is held as a whole is held in all its parts"
        );
        let finalizers = owners.field("metadata").field("finalizers");
        assert!(finalizers.item(&Value::from("x")).ours.any());
        assert!(!finalizers.item(&Value::from("y")).ours.any());
    }

    #[test]
    fn an_item_is_found_by_its_keys_with_defaults_left_out() {
        let object = object();
        let ports = Owners::of_object(&object, US).field("spec").field("ports");
        let item = |json| ports.item(&Value::from_json(json)).ours.any();
        assert!(item(json!({"port": 80})));
        assert!(item(json!({"port": 80, "protocol": "TCP"})));
        assert!(!item(json!({"port": 80, "protocol": "UDP"})));
        assert!(!item(json!({"port": 81})));
        assert!(
            !item(json!({"name": "x"})),
            "an item without any of the keys is no item of this set"
        );
    }

    #[test]
    fn the_note_names_who_wrote_last() {
        let object = object();
        let owners = Owners::of_object(&object, US).field("spec").field("replicas");
        assert_eq!(
            owners.note().as_deref(),
            Some("last written by kube-controller-manager, 2026-01-03T00:00:00Z")
        );
        assert_eq!(
            owners.others_of_the_whole().collect::<Vec<_>>(),
            ["kubectl-edit", "kube-controller-manager"]
        );
        assert_eq!(
            Owners::of_object(&object, US)
                .field("spec")
                .field("selector")
                .note(),
            None
        );
    }

    #[test]
    fn what_we_wrote_by_update_is_not_ours() {
        let object = object();
        assert!(!Owners::of_object(&object, "kubectl-edit").ours.any());
    }

    #[test]
    fn a_status_managers_name_is_never_too_long() {
        assert_eq!(status_manager("holdfast:a/b"), "holdfast:a/b/status");
        assert_eq!(status_manager(&"x".repeat(128)).len(), 128);
    }
}
