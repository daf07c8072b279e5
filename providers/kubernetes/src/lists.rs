//! How two lists of an object compare.

use holdfast_contract::{Path, Segment, Value};

use crate::owned::{Owners, item_keys};

/// What makes two items of a list the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Nothing: the list is one value, in order.
    Atomic,
    /// These fields.
    Keyed(Vec<String>),
    /// Their whole value: a set of scalars.
    Set,
}

/// Keys of well known lists of the built-in types, where no server has told: name of the field, keys of its items.
///
/// Source: `x-kubernetes-list-map-keys` in the API's published schema. Where one name means several lists, the keys
/// that an item has decide.
const KEYS: [(&str, &[&str]); 21] = [
    ("addresses", &["type"]),
    ("conditions", &["type"]),
    ("containers", &["name"]),
    ("env", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("initContainers", &["name"]),
    ("matchConditions", &["name"]),
    ("ownerReferences", &["uid"]),
    ("podIPs", &["ip"]),
    ("ports", &["containerPort", "protocol"]),
    ("ports", &["port", "protocol"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("secrets", &["name"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("volumeDevices", &["devicePath"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
    ("webhooks", &["name"]),
];

/// Of these types `ports` is one value.
const ATOMIC_PORTS: [&str; 3] = ["EndpointSlice", "Endpoints", "NetworkPolicy"];

/// Defaults of list keys: a document may leave them out, and the server's sets have them.
const KEY_DEFAULTS: [(&str, &str); 1] = [("protocol", "TCP")];

/// What is known about the type that a list belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Type<'a> {
    /// Its kind.
    pub(crate) kind: &'a str,
    /// Whether it is one of Kubernetes itself.
    pub(crate) built_in: bool,
}

/// How the list `items` at the field `name` compares.
///
/// The server's word counts, in whosever set it stands. Where none is known, lists of built-in types compare by the
/// table, all others as one value.
pub(crate) fn identity(api: Type<'_>, name: &str, items: &[Value], owners: &Owners<'_>) -> Identity {
    for key in owners.keys() {
        if let Some(keys) = item_keys(key) {
            return Identity::Keyed(keys.into_keys().collect());
        }
        if key.starts_with("v:") {
            return Identity::Set;
        }
    }
    if owners.whole() && !items.is_empty() {
        // An empty list that merges by keys is also entered as a whole; then one side is empty, and either way of
        // comparing gives the same.
        return Identity::Atomic;
    }
    if name == "finalizers" {
        return Identity::Set;
    }
    // By convention conditions merge by type in custom types, too.
    if !api.built_in && name != "conditions" && name != "ownerReferences" {
        return Identity::Atomic;
    }
    if name == "ports" && ATOMIC_PORTS.contains(&api.kind) || api.kind == "CustomResourceDefinition" {
        return Identity::Atomic;
    }
    KEYS.iter()
        .filter(|(field, _)| *field == name)
        .find(|(_, keys)| {
            keys.first()
                .is_some_and(|first| !items.is_empty() && items.iter().all(|item| item.get(first).is_some()))
        })
        .map_or(Identity::Atomic, |(_, keys)| {
            Identity::Keyed(keys.iter().map(|key| (*key).to_owned()).collect())
        })
}

/// The value that a list key has where a document leaves it out, if it is known.
pub(crate) fn default_of(key: &str) -> Option<&'static str> {
    KEY_DEFAULTS
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, default)| *default)
}

/// The keys of `item` with their values, defaults filled in; none where it lacks one that has no default.
pub(crate) fn keys_of(item: &Value, keys: &[String]) -> Option<Vec<(String, Value)>> {
    keys.iter()
        .map(|key| {
            let value = match item.get(key) {
                Some(value) => value.exposed().clone(),
                None => Value::from(default_of(key)?),
            };
            matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
                .then(|| (key.clone(), value))
        })
        .collect()
}

/// Keys as texts, for a path: only those that `item` itself has, so that the path finds it.
pub(crate) fn place_of(item: &Value, keys: &[String]) -> Vec<(String, String)> {
    keys.iter()
        .filter_map(|key| Some((key.clone(), item.get(key)?.exposed().to_string())))
        .collect()
}

/// Whether `path` is `start` or below it. An item is the same whether all its keys are named, or only those that a
/// document gives.
pub(crate) fn is_below(path: &Path, start: &Path) -> bool {
    let is_same = |one: &Segment, other: &Segment| match (one, other) {
        (Segment::Item(one), Segment::Item(other)) => {
            one.iter().all(|key| other.contains(key)) || other.iter().all(|key| one.contains(key))
        }
        (one, other) => one == other,
    };
    let (path, start) = (path.segments(), start.segments());
    path.len() >= start.len() && path.iter().zip(start).all(|(one, other)| is_same(one, other))
}

/// An item, with the values of its keys.
pub(crate) type Keyed<'a> = (Vec<(String, Value)>, &'a Value);

/// The items with their keys; none where one has none, or two have the same.
pub(crate) fn keyed<'a>(items: &'a [Value], keys: &[String]) -> Option<Vec<Keyed<'a>>> {
    let mut found: Vec<Keyed<'a>> = Vec::new();
    for item in items {
        let own = keys_of(item, keys)?;
        if found.iter().any(|(other, _)| *other == own) {
            return None;
        }
        found.push((own, item));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list(json: serde_json::Value) -> Vec<Value> {
        match Value::from_json(json) {
            Value::List(items) => items,
            other => panic!("{other}"),
        }
    }

    fn by_table(kind: &str, built_in: bool, name: &str, items: serde_json::Value) -> Identity {
        identity(Type { kind, built_in }, name, &list(items), &Owners::UNKNOWN)
    }

    #[test]
    fn the_table_knows_the_lists_of_built_in_types() {
        let keyed = |keys: &[&str]| Identity::Keyed(keys.iter().map(|key| (*key).to_owned()).collect());
        assert_eq!(
            by_table("Pod", true, "env", json!([{"name": "a"}])),
            keyed(&["name"])
        );
        assert_eq!(
            by_table("Pod", true, "ports", json!([{"containerPort": 1}])),
            keyed(&["containerPort", "protocol"])
        );
        assert_eq!(
            by_table("Service", true, "ports", json!([{"port": 1}])),
            keyed(&["port", "protocol"])
        );
        assert_eq!(
            by_table("NetworkPolicy", true, "ports", json!([{"port": 1}])),
            Identity::Atomic
        );
        assert_eq!(by_table("Pod", true, "args", json!(["a"])), Identity::Atomic);
        assert_eq!(by_table("Pod", true, "finalizers", json!(["a"])), Identity::Set);
        assert_eq!(
            by_table("Widget", false, "env", json!([{"name": "a"}])),
            Identity::Atomic
        );
    }

    #[test]
    fn the_servers_word_comes_before_the_table() {
        let object = Value::from_json(json!({ "metadata": { "managedFields": [{
            "manager": "kubectl", "operation": "Update", "fieldsV1": {
                "f:widgets": { "k:{\"id\":\"a\"}": {} }, "f:env": {}, "f:tags": { "v:\"x\"": {} },
            },
        }]}}));
        let owners = Owners::of_object(&object, "us");
        let api = Type {
            kind: "Widget",
            built_in: true,
        };
        let of = |name, items| identity(api, name, &list(items), &owners.field(name));
        assert_eq!(
            of("widgets", json!([{"id": "a"}])),
            Identity::Keyed(vec!["id".to_owned()])
        );
        assert_eq!(of("env", json!([{"name": "a"}])), Identity::Atomic);
        assert_eq!(of("tags", json!(["x"])), Identity::Set);
    }

    #[test]
    fn an_item_is_the_same_by_all_its_keys_and_by_those_that_a_document_gives() {
        let item = |keys: &[(&str, &str)]| {
            let keys = keys
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            Path::of(&["ports"]).join(Segment::Item(keys.collect()))
        };
        let (short, long) = (
            item(&[("port", "80")]),
            item(&[("port", "80"), ("protocol", "TCP")]),
        );
        assert!(is_below(&short.key("name"), &long) && is_below(&long.key("name"), &short));
        assert!(!is_below(&item(&[("port", "81")]), &long));
        assert!(!is_below(&short, &long.key("name")), "above is not below");
    }

    #[test]
    fn items_that_cannot_be_told_apart_have_no_keys() {
        let keys = ["name".to_owned()];
        assert!(keyed(&list(json!([{"name": "a"}, {"name": "b"}])), &keys).is_some());
        assert!(keyed(&list(json!([{"name": "a"}, {"name": "a"}])), &keys).is_none());
        assert!(keyed(&list(json!([{"value": "a"}])), &keys).is_none());
    }
}
