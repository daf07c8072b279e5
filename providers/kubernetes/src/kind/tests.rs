#![allow(clippy::needless_pass_by_value, reason = "tests that read better so")]

use std::collections::BTreeMap;

use holdfast_contract::{Change, Path, ProviderName, Segment, Unknown, Version};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const US: &str = "holdfast:holdfast-system/p";

fn value(json: serde_json::Value) -> Value {
    Value::from_json(json)
}

fn key(api_version: &str, kind: &str) -> ResourceKey {
    ResourceKey {
        provider: "kubernetes".into(),
        kind: NAME.into(),
        api: Some(ApiType::new(api_version, kind)),
        namespace: Some("shop".to_owned()),
        name: "x".to_owned(),
        region: None,
    }
}

fn observed(key: ResourceKey, object: Value, status: Option<Value>) -> Observed {
    let status = status.map_or(FacetState::Unset, FacetState::Set);
    Observed {
        key,
        uid: Some("u".to_owned()),
        version: Some(Version("1".to_owned())),
        deleting: false,
        facets: BTreeMap::from([(OBJECT.into(), FacetState::Set(object)), (STATUS.into(), status)]),
    }
}

/// The differences as lines, of an object of a built-in type.
fn lines(api: (&str, &str), desired: Desired, object: serde_json::Value) -> Vec<String> {
    let observed = observed(key(api.0, api.1), value(object), None);
    ObjectKind::new()
        .compare(&OBJECT.into(), &desired, Some(&observed), US)
        .iter()
        .map(line)
        .collect()
}

fn line(difference: &Difference) -> String {
    let place = &difference.path;
    let note = difference
        .note
        .as_ref()
        .map_or(String::new(), |note| format!(" ({note})"));
    match &difference.change {
        Change::Add { new } => format!("+ {place}: {new}{note}"),
        Change::Remove { old } => format!("- {place}: {old}{note}"),
        Change::Replace { old, new } => format!("~ {place}: {old} -> {new}{note}"),
        Change::Claim => format!("! {place}{note}"),
    }
}

fn desired(json: serde_json::Value) -> Desired {
    Desired::new(value(json))
}

/// An entry of `managedFields`.
fn entry(manager: &str, operation: &str, fields: serde_json::Value) -> serde_json::Value {
    json!({ "manager": manager, "operation": operation, "time": "2026-01-31T10:00:00Z", "fieldsV1": fields })
}

#[test]
fn what_is_declared_and_held_is_equal_whatever_else_is_there() {
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "x", "labels": { "a": "1", "foreign": "2" },
            "managedFields": [entry(US, "Apply", json!({
                "f:metadata": { "f:labels": { "f:a": {} } },
                "f:spec": { "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"c\"}": {
                    ".": {}, "f:name": {}, "f:args": {},
                    "f:resources": { "f:requests": { "f:cpu": {} } },
                    "f:env": { "k:{\"name\":\"EMPTY\"}": { ".": {}, "f:name": {}, "f:value": {} } },
                }}}}},
            }))],
        },
        "spec": { "replicas": 1, "template": { "spec": { "containers": [
            { "name": "injected" },
            { "name": "c", "args": ["a"], "resources": { "requests": { "cpu": "1" } },
              "env": [{ "name": "EMPTY" }], "terminationMessagePath": "/dev/termination-log" },
        ]}}},
    });
    let declared = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x", "labels": { "a": "1" } },
        "spec": { "template": { "spec": { "containers": [{
            "name": "c", "args": ["a"], "resources": { "requests": { "cpu": "1000m" } },
            "env": [{ "name": "EMPTY", "value": "" }],
        }]}}},
    });
    assert_eq!(
        lines(("apps/v1", "Deployment"), desired(declared), object),
        [""; 0]
    );
}

#[test]
fn a_changed_field_names_who_changed_it() {
    let object = json!({
        "metadata": { "managedFields": [
            entry(US, "Apply", json!({ "f:spec": { "f:paused": {} } })),
            entry("kubectl-edit", "Update", json!({ "f:spec": { "f:replicas": {} } })),
        ]},
        "spec": { "replicas": 5, "paused": true },
    });
    assert_eq!(
        lines(
            ("apps/v1", "Deployment"),
            desired(json!({ "spec": { "replicas": 1, "paused": true } })),
            object
        ),
        ["~ spec.replicas: 5 -> 1 (last written by kubectl-edit, 2026-01-31T10:00:00Z)"]
    );
}

#[test]
fn what_we_hold_and_no_longer_declare_is_drift_unless_somebody_else_holds_it_too() {
    let object = json!({
        "metadata": {
            "labels": { "ours": "1", "shared": "2", "theirs": "3" },
            "finalizers": ["a", "b"],
            "managedFields": [
                entry(US, "Apply", json!({
                    "f:metadata": {
                        "f:labels": { "f:ours": {}, "f:shared": {} }, "f:finalizers": { "v:\"a\"": {}, "v:\"b\"": {} },
                    },
                    "f:spec": { "f:ports": {
                        "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} },
                        "k:{\"port\":81,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} },
                    }},
                })),
                entry("other", "Apply", json!({ "f:metadata": { "f:labels": { "f:shared": {}, "f:theirs": {} } } })),
            ],
        },
        "spec": { "ports": [{ "port": 80, "protocol": "TCP" }, { "port": 81, "protocol": "TCP", "targetPort": 81 }] },
    });
    let declared = json!({ "metadata": { "finalizers": ["a"] }, "spec": { "ports": [{ "port": 80 }] } });
    assert_eq!(
        lines(("v1", "Service"), desired(declared), object),
        [
            "- metadata.finalizers[1]: b",
            "- metadata.labels.ours: 1",
            r#"- spec.ports[81/TCP]: {"port":81,"protocol":"TCP","targetPort":81}"#,
        ]
    );
}

#[test]
fn what_is_declared_and_equal_but_not_held_is_claimed_once_for_all_of_it() {
    let object = json!({
        "metadata": { "labels": { "a": "1" }, "managedFields": [
            entry(US, "Apply", json!({ "f:metadata": { "f:labels": { "f:a": {} } } })),
            entry("operator", "Update", json!({ "f:data": { "f:k": {}, "f:l": {} } })),
        ]},
        "data": { "k": "v", "l": "w" },
    });
    assert_eq!(
        lines(
            ("v1", "ConfigMap"),
            desired(json!({ "metadata": { "labels": { "a": "1" } }, "data": { "k": "v", "l": "w" } })),
            object
        ),
        ["! data (last written by operator, 2026-01-31T10:00:00Z)"]
    );
}

#[test]
fn a_map_that_we_hold_as_one_value_has_nothing_but_what_is_declared() {
    let object = json!({
        "metadata": { "managedFields": [entry(US, "Apply", json!({ "f:spec": { "f:selector": {} } }))] },
        "spec": { "selector": { "app": "x", "old": "y" } },
    });
    assert_eq!(
        lines(
            ("v1", "Service"),
            desired(json!({ "spec": { "selector": { "app": "x" } } })),
            object
        ),
        ["- spec.selector.old: y"]
    );
}

#[test]
fn defaults_inside_of_one_value_are_no_difference() {
    let object = json!({
        "metadata": { "managedFields": [entry(US, "Apply", json!({ "f:subjects": {}, "f:roleRef": {} }))] },
        "subjects": [{ "kind": "User", "name": "a", "apiGroup": "rbac.authorization.k8s.io" }],
        "roleRef": { "kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io" },
    });
    let declared =
        json!({ "subjects": [{ "kind": "User", "name": "a" }], "roleRef": { "kind": "Role", "name": "r" } });
    let api = ("rbac.authorization.k8s.io/v1", "RoleBinding");
    assert_eq!(lines(api, desired(declared), object), [""; 0]);
}

#[test]
fn the_order_of_keyed_items_counts_and_foreign_items_between_dont() {
    let object = |names: [&str; 3]| {
        let items: Vec<serde_json::Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({ "metadata": {}, "spec": { "initContainers": items } })
    };
    let declared = || desired(json!({ "spec": { "initContainers": [{ "name": "a" }, { "name": "b" }] } }));
    assert_eq!(lines(("v1", "Pod"), declared(), object(["a", "x", "b"])), [""; 0]);
    let found = lines(("v1", "Pod"), declared(), object(["b", "a", "x"]));
    assert!(
        found.len() == 1 && found[0].starts_with("~ spec.initContainers: "),
        "{found:?}"
    );
}

#[test]
fn an_initial_field_is_kept_while_ours_and_left_to_whoever_takes_it() {
    let kind = ObjectKind::new();
    let mut wanted = desired(json!({ "spec": { "replicas": 1, "paused": false } }));
    wanted.initial = vec![Path::of(&["spec", "replicas"])];
    let with = |manager: &str, operation: &str| {
        let fields = json!({ "f:spec": { "f:replicas": {} } });
        let rest = entry(US, "Apply", json!({ "f:spec": { "f:paused": {} } }));
        let listed = if manager == US {
            vec![entry(
                US,
                operation,
                json!({ "f:spec": { "f:replicas": {}, "f:paused": {} } }),
            )]
        } else {
            vec![rest, entry(manager, operation, fields)]
        };
        let object =
            json!({ "metadata": { "managedFields": listed }, "spec": { "replicas": 7, "paused": false } });
        observed(key("apps/v1", "Deployment"), value(object), None)
    };
    let body = |observed: &Observed| {
        assert_eq!(kind.compare(&OBJECT.into(), &wanted, Some(observed), US), []);
        kind.applied(&OBJECT.into(), &wanted, Some(observed), US)
            .to_string()
    };
    assert_eq!(
        body(&with(US, "Apply")),
        r#"{"spec":{"paused":false,"replicas":7}}"#
    );
    assert_eq!(body(&with("hpa", "Update")), r#"{"spec":{"paused":false}}"#);
    assert_eq!(
        kind.applied(&OBJECT.into(), &wanted, None, US).to_string(),
        r#"{"spec":{"paused":false,"replicas":1}}"#
    );
}

#[test]
fn exact_and_absent_places_lose_what_is_foreign() {
    let mut wanted = desired(json!({ "metadata": { "labels": { "a": "1" } }, "data": { "k": "v" } }));
    wanted.exact = vec![Path::of(&["metadata"])];
    wanted.absent = vec![Path::of(&["data", "old"])];
    let object = json!({
        "metadata": { "name": "x", "uid": "u", "labels": { "a": "1", "b": "2" }, "annotations": { "c": "3" } },
        "data": { "k": "v", "old": "w", "kept": "z" },
    });
    assert_eq!(
        lines(("v1", "ConfigMap"), wanted, object),
        [
            "- data.old: w",
            r#"- metadata.annotations: {"c":"3"}"#,
            "- metadata.labels.b: 2",
        ]
    );
}

#[test]
fn a_quantity_in_a_config_map_is_a_text() {
    let object = json!({ "metadata": {}, "data": { "cpu": "1" } });
    assert_eq!(
        lines(
            ("v1", "ConfigMap"),
            desired(json!({ "data": { "cpu": "1000m" } })),
            object
        ),
        ["~ data.cpu: 1 -> 1000m"]
    );
}

#[test]
fn no_secret_shows_in_a_difference() {
    let kind = ObjectKind::new();
    let facets = kind.split(value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "x" }, "stringData": { "k": "hunter2" },
    })));
    let wanted = Desired::new(facets[&Facet::from(OBJECT)].clone());
    let api = ApiType::new("v1", "Secret");
    let there = secret::sealed(
        &api,
        value(json!({ "metadata": {}, "data": { "k": "b2xkLXNlY3JldA==", "l": "a2VwdA==" } })),
    );
    let observed = observed(key("v1", "Secret"), there, None);
    let found = kind.compare(&OBJECT.into(), &wanted, Some(&observed), US);
    assert_eq!(found.len(), 1);
    let printed = format!("{found:?} {:?} {}", observed, kind.document(&observed));
    for secret in ["hunter2", "aHVudGVyMg", "b2xkLXNlY3JldA", "a2VwdA"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert_eq!(
        kind.fact(&observed).to_string(),
        r#"{"data":{"k":true,"l":true},"metadata":{}}"#
    );
}

#[test]
fn a_status_is_compared_by_who_holds_the_status() {
    let kind = ObjectKind::new();
    let mut listed = entry(US, "Apply", json!({ "f:status": { "f:ready": {}, "f:old": {} } }));
    listed["subresource"] = json!("status");
    let object = value(json!({ "metadata": { "managedFields": [listed] } }));
    let there = value(json!({ "ready": true, "old": 1, "foreign": 2 }));
    let observed = observed(key("example.org/v1", "Widget"), object, Some(there));
    let found = kind.compare(
        &STATUS.into(),
        &desired(json!({ "ready": true })),
        Some(&observed),
        US,
    );
    assert_eq!(found.iter().map(line).collect::<Vec<_>>(), ["- old: 1"]);
}

#[test]
fn a_manifest_read_from_a_cluster_splits_into_what_can_be_applied() {
    let facets = ObjectKind::new().split(value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "x", "uid": "u", "resourceVersion": "5", "managedFields": [], "labels": { "a": "1" } },
        "status": {},
    })));
    assert_eq!(facets.len(), 1);
    assert_eq!(
        facets[&Facet::from(OBJECT)].to_string(),
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"labels":{"a":"1"},"name":"x"}}"#
    );
    let generated = ObjectKind::new().split(value(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "status": { "acceptedNames": { "kind": "", "plural": "" }, "conditions": [], "storedVersions": [] },
    })));
    assert_eq!(generated.len(), 1, "a generator's empty status is no wish");
    let own = ObjectKind::new().split(value(json!({
        "apiVersion": "example.org/v1", "kind": "Widget", "status": { "provisioned": false },
    })));
    assert_eq!(own[&Facet::from(STATUS)].to_string(), r#"{"provisioned":false}"#);
}

fn located(desired: serde_json::Value) -> Result<String, NotLocated> {
    let served = BTreeMap::from([(
        ApiType::new("example.org/v1", "World"),
        Served::Yes(Scope::Cluster),
    )]);
    let provider: ProviderName = "kubernetes".into();
    let locator = Locator {
        provider: &provider,
        name: None,
        region: None,
        desired: &value(desired),
        served: &served,
    };
    ObjectKind::new().locate(&locator).map(|key| key.to_string())
}

#[test]
fn an_object_is_located_by_its_manifest() {
    let of = |api: &str, kind: &str, metadata| {
        located(json!({ "apiVersion": api, "kind": kind, "metadata": metadata }))
    };
    assert_eq!(
        of("v1", "ConfigMap", json!({"name": "x", "namespace": "n"})).unwrap(),
        "ConfigMap n/x"
    );
    // A default namespace is dropped where it can't be.
    assert_eq!(
        of("v1", "Namespace", json!({"name": "x", "namespace": "n"})).unwrap(),
        "Namespace x"
    );
    assert_eq!(
        of("example.org/v1", "World", json!({"name": "x", "namespace": "n"})).unwrap(),
        "example.org/World x"
    );
    assert_eq!(
        of("example.org/v1", "Other", json!({"name": "x"})).unwrap(),
        "example.org/Other x"
    );
    for wrong in [
        of("v1", "ConfigMap", json!({"name": "x"})),
        of("v1", "ConfigMap", json!({"namespace": "n"})),
        of("v1", "ConfigMap", json!({"generateName": "x-", "namespace": "n"})),
        of("v1", "ConfigMap", json!({"name": "../x", "namespace": "n"})),
        of("v1", "ConfigMap", json!({"name": "x", "namespace": "n/y"})),
        of("v1", "ConfigMap", json!({"name": 5, "namespace": "n"})),
        located(json!({ "kind": "ConfigMap" })),
    ] {
        assert!(matches!(wrong, Err(NotLocated::Invalid(_))), "{wrong:?}");
    }
}

#[test]
fn a_name_that_is_not_known_yet_is_no_mistake() {
    let provider: ProviderName = "kubernetes".into();
    let unknown = Unknown {
        waits_for: ["rules.a.name".to_owned()].into(),
        sensitive: false,
    };
    let mut document = value(json!({ "apiVersion": "v1", "kind": "ConfigMap" }));
    let metadata: Value = [("name", Value::Unknown(unknown.clone()))].into_iter().collect();
    document
        .as_map_mut()
        .unwrap()
        .insert("metadata".to_owned(), metadata);
    let locator = Locator {
        provider: &provider,
        name: None,
        region: None,
        desired: &document,
        served: &BTreeMap::new(),
    };
    assert_eq!(
        ObjectKind::new().locate(&locator),
        Err(NotLocated::Unknown(unknown))
    );
}

#[test]
fn a_definition_defines_the_versions_that_it_serves() {
    let definition = value(json!({ "spec": {
        "group": "example.org", "scope": "Cluster", "names": { "kind": "World" },
        "versions": [{ "name": "v1", "served": true }, { "name": "v0", "served": false }],
    }}));
    let kind = ObjectKind::new();
    assert_eq!(
        kind.defines(
            &key("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            &definition
        ),
        [(ApiType::new("example.org/v1", "World"), Scope::Cluster)]
    );
    assert_eq!(kind.defines(&key("v1", "ConfigMap"), &definition), []);
}

#[test]
fn a_custom_object_waits_for_its_type_and_its_namespace() {
    let kind = ObjectKind::new();
    let implied = kind.implied(&key("example.org/v1", "Widget"));
    assert_eq!(implied.api, Some(ApiType::new("example.org/v1", "Widget")));
    assert_eq!(implied.namespace.as_deref(), Some("shop"));
    let mut system = key("apps/v1", "Deployment");
    system.namespace = Some("kube-system".to_owned());
    assert_eq!(kind.implied(&system), Implied::default());
}

/// Documents with what an object has: scalars, maps, lists of scalars, keyed lists.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(|value| json!(value)),
        (0_i64..4).prop_map(|value| json!(value)),
        "[ab]{0,2}".prop_map(|value| json!(value)),
    ];
    let field = scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::btree_map("[abc]", inner.clone(), 0..3).prop_map(|map| json!(map)),
            prop::collection::vec("[ab]{1,2}", 0..3).prop_map(|list| json!(list)),
            keyed_list(inner),
        ]
    });
    prop::collection::btree_map(prop_oneof!["[abc]", Just("env".to_owned())], field.clone(), 0..3).prop_flat_map(
        move |spec| {
            let spec = json!(spec);
            (Just(spec), prop::collection::btree_map("[abc]", "[ab]{1,2}", 0..3), keyed_list(field.clone())).prop_map(
                |(spec, labels, env)| {
                    json!({ "metadata": { "labels": labels }, "spec": spec, "env": env })
                },
            )
        },
    )
}

fn keyed_list(inner: impl Strategy<Value = serde_json::Value>) -> impl Strategy<Value = serde_json::Value> {
    prop::collection::btree_map("[abcd]", inner, 0..3).prop_map(|items| {
        json!(
            items
                .into_iter()
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect::<Vec<_>>()
        )
    })
}

fn merged(wanted: &Desired, observed: Option<&Observed>, manager: &str) -> Observed {
    let kind = ObjectKind::new();
    let document = kind.merge(&OBJECT.into(), wanted, observed, manager);
    self::observed(key("v1", "Pod"), document, None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_differs_after_an_apply(first in document(), second in document(), foreign in document()) {
        let kind = ObjectKind::new();
        let found = |wanted: &Desired, observed: &Observed, manager| {
            kind.compare(&OBJECT.into(), wanted, Some(observed), manager)
        };
        // Over a document of unknown owners, then over one of ours and somebody else's.
        let written = observed(key("v1", "Pod"), value(foreign.clone()), None);
        let first = desired(first);
        let state = merged(&first, Some(&written), US);
        prop_assert_eq!(found(&first, &state, US), []);
        let foreign = desired(foreign);
        let state = merged(&foreign, Some(&state), "them");
        prop_assert_eq!(found(&foreign, &state, "them"), []);
        let second = desired(second);
        let state = merged(&second, Some(&state), US);
        prop_assert_eq!(found(&second, &state, US), []);
        let again = merged(&second, Some(&state), US);
        prop_assert_eq!(
            again.value(&OBJECT.into()), state.value(&OBJECT.into()), "the second apply changes nothing"
        );
    }

    #[test]
    fn what_we_create_we_hold_and_can_take_back(document in document()) {
        let wanted = desired(document);
        let created = merged(&wanted, None, US);
        prop_assert_eq!(ObjectKind::new().compare(&OBJECT.into(), &wanted, Some(&created), US), []);
        let nothing = desired(json!({}));
        let emptied = merged(&nothing, Some(&created), US);
        prop_assert_eq!(ObjectKind::new().compare(&OBJECT.into(), &nothing, Some(&emptied), US), []);
        let left = emptied.value(&OBJECT.into()).unwrap();
        prop_assert!(!holds_scalar(left.at(&["spec"])) && !holds_scalar(left.at(&["metadata", "labels"])), "{}", left);
    }

    #[test]
    fn what_is_foreign_stays(ours in document(), labels in prop::collection::btree_map("[xyz]", "[ab]", 1..3)) {
        let foreign = desired(json!({ "metadata": { "labels": labels } }));
        let state = merged(&foreign, None, "them");
        let wanted = desired(ours);
        let state = merged(&wanted, Some(&state), US);
        let state = merged(&desired(json!({})), Some(&state), US);
        prop_assert_eq!(ObjectKind::new().compare(&OBJECT.into(), &foreign, Some(&state), "them"), []);
    }
}

#[test]
fn two_that_declare_the_same_both_hold_it() {
    let wanted = desired(json!({ "data": { "k": "v" } }));
    let theirs = merged(&wanted, None, "them");
    let both = merged(&wanted, Some(&theirs), US);
    for manager in [US, "them"] {
        let found = ObjectKind::new().compare(&OBJECT.into(), &wanted, Some(&both), manager);
        assert_eq!(found, [], "{manager}");
    }
    // So what one of them lets go of stays.
    let left = merged(&desired(json!({})), Some(&both), US);
    assert_eq!(
        left.value(&OBJECT.into()).unwrap().at(&["data", "k"]),
        Some(&Value::from("v"))
    );
}

fn holds_scalar(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Map(entries)) => entries.values().any(|value| holds_scalar(Some(value))),
        Some(Value::List(items)) => items.iter().any(|value| holds_scalar(Some(value))),
        Some(_) => true,
        None => false,
    }
}

#[test]
fn a_place_with_an_item_is_found_in_an_initial_list() {
    let kind = ObjectKind::new();
    let mut wanted = desired(json!({ "spec": { "containers": [{ "name": "c", "image": "a" }] } }));
    let item = Segment::Item(vec![("name".to_owned(), "c".to_owned())]);
    wanted.initial = vec![Path::of(&["spec", "containers"]).join(item).key("image")];
    let created = merged(&wanted, None, US);
    let mut object = created.value(&OBJECT.into()).unwrap().expose_json().unwrap();
    object["spec"]["containers"][0]["image"] = json!("b");
    let observed = observed(key("v1", "Pod"), value(object), None);
    assert_eq!(kind.compare(&OBJECT.into(), &wanted, Some(&observed), US), []);
}
