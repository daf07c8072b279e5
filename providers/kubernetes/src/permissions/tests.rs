use holdfast_contract::{Called, Deed, Usage, Value};
use serde_json::json;

use super::*;

fn usage(api: (&str, &str), namespace: Option<&str>, name: &str) -> Usage {
    Usage {
        api: Some(ApiType::new(api.0, api.1)),
        namespace: namespace.map(str::to_owned),
        name: Called::Exactly(name.to_owned()),
        read: [OBJECT.into()].into(),
        ..Usage::default()
    }
}

fn ensured(mut usage: Usage) -> Usage {
    usage.written = [OBJECT.into()].into();
    usage.deeds = [Deed::Create].into();
    usage
}

fn told(usages: &[Usage]) -> Vec<String> {
    permissions(usages).iter().map(ToString::to_string).collect()
}

const CONFIG_MAP: (&str, &str) = ("v1", "ConfigMap");
const SECRET: (&str, &str) = ("v1", "Secret");

#[test]
fn one_object_is_read_watched_created_and_patched_by_its_name_and_not_deleted() {
    assert_eq!(
        told(&[ensured(usage(CONFIG_MAP, Some("a"), "x"))]),
        [
            "create configmaps x in a",
            "get configmaps x in a",
            "list configmaps x in a",
            "patch configmaps x in a",
            "watch configmaps x in a"
        ]
    );
    let mut forbidden = usage(CONFIG_MAP, Some("a"), "x");
    forbidden.deeds.insert(Deed::Delete);
    assert!(told(&[forbidden]).contains(&"delete configmaps x in a".to_owned()));
}

#[test]
fn many_are_listed_as_a_whole_but_secrets_never() {
    let names = ["a", "b", "c", "d"];
    let of = |api| told(&names.map(|name| usage(api, Some("n"), name)));
    assert!(of(CONFIG_MAP).contains(&"list configmaps in n".to_owned()));
    assert!(!of(CONFIG_MAP).contains(&"get configmaps in n".to_owned()));
    let secrets = of(SECRET);
    assert!(
        secrets.iter().all(|one| one.matches(' ').count() == 4),
        "{secrets:?}"
    );
}

#[test]
fn a_name_that_nobody_knows_takes_them_all_and_a_search_reads_no_single_one() {
    let mut any = usage(CONFIG_MAP, Some("a"), "");
    any.name = Called::Anything;
    assert!(told(std::slice::from_ref(&any)).contains(&"get configmaps in a".to_owned()));
    any.read.clear();
    any.deeds.insert(Deed::Find);
    assert_eq!(told(&[any]), ["list configmaps in a", "watch configmaps in a"]);
}

#[test]
fn a_type_that_the_policy_defines_is_called_as_it_says_and_another_is_guessed_at_aloud() {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "oxen.example.com" },
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": { "plural": "oxen", "kind": "Ox" },
            "versions": [{ "name": "v1", "served": true, "subresources": { "status": {} } }],
        },
    });
    let mut crd = usage(
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        None,
        "oxen.example.com",
    );
    crd.document = Value::from_json(definition);
    let mut ox = ensured(usage(("example.com/v1", "Ox"), Some("laid-under"), "olaf"));
    ox.written.insert(STATUS.into());
    let both = permissions(&[crd, ox.clone()]);
    let told: Vec<String> = both.iter().map(ToString::to_string).collect();
    assert!(
        told.contains(&"patch example.com/oxen olaf".to_owned()),
        "{told:?}"
    );
    assert!(told.contains(&"patch example.com/oxen/status olaf".to_owned()));
    assert!(told.contains(&"watch apiextensions.k8s.io/customresourcedefinitions".to_owned()));
    assert!(both.notes.is_empty(), "{:?}", both.notes);
    let alone = permissions(&[ox]);
    assert!(
        alone
            .iter()
            .any(|one| one.to_string() == "patch example.com/oxes olaf in laid-under")
    );
    assert_eq!(alone.notes.len(), 1, "{:?}", alone.notes);
}

#[test]
fn whoever_makes_a_binding_may_bind_just_its_role() {
    let mut binding = ensured(usage(
        (&format!("{RBAC}/v1"), "ClusterRoleBinding"),
        None,
        "velero",
    ));
    binding.document =
        Value::from_json(json!({ "roleRef": { "kind": "ClusterRole", "name": "cluster-admin" } }));
    let bind = format!("bind {RBAC}/clusterroles cluster-admin");
    assert!(told(std::slice::from_ref(&binding)).contains(&bind));
    binding.written.clear();
    binding.deeds.clear();
    assert!(!told(&[binding]).contains(&bind));
}
