//! A policy that comes as a resource is read as one from a file is, and what is wrong with it is told by path.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

#[path = "../../tests/support/documents.rs"]
mod documents;
mod support;

use std::path::Path;

use documents::reversed;
use holdfast_policy::{
    Code, Diagnostics, LONGEST_SUMMARY, Loaded, bundle, load, load_document, load_text, render, validate,
};
use serde_json::{Value, json};

const NAME: &str = "holdfast-system/x";

fn document(spec: &Value) -> Value {
    json!({
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "Policy",
        "metadata": {"name": "x", "namespace": "holdfast-system"},
        "spec": spec,
    })
}

fn faults(spec: &Value) -> Diagnostics {
    let loaded = load_document(NAME, &document(spec));
    validate(&loaded, &support::registry()).unwrap_err()
}

fn lines(spec: &Value) -> Vec<String> {
    let faults = faults(spec);
    faults.items().iter().map(ToString::to_string).collect()
}

fn bundled(loaded: &Loaded) -> Value {
    bundle(loaded).unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)))
}

#[test]
fn every_policy_of_the_tests_is_as_valid_as_a_resource() {
    let mut seen = 0;
    for loaded in load(Path::new("tests/policies")).unwrap() {
        let file = validate(&loaded, &support::registry()).unwrap();
        let carried = bundled(&loaded);
        for document in [carried.clone(), reversed(&carried)] {
            let resource = load_document("acme/one", &document);
            let resource = validate(&resource, &support::registry())
                .unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)));
            assert_eq!(resource.id, file.id);
            assert!(resource.rules.keys().eq(file.rules.keys()));
            for (key, rule) in &file.rules {
                let documents = |rule: &holdfast_policy::Rule| -> Vec<usize> {
                    rule.variants.iter().map(|one| one.documents.len()).collect()
                };
                assert_eq!(documents(rule), documents(&resource.rules[key]), "{key}");
            }
            let messages = |policy: &holdfast_policy::ValidPolicy| {
                let mut all: Vec<_> = policy.warnings.iter().map(|note| note.message.clone()).collect();
                all.sort();
                all
            };
            assert_eq!(messages(&resource), messages(&file));
        }
        seen += 1;
    }
    assert!(seen > 3, "the policies are gone");
}

#[test]
fn what_is_wrong_is_told_by_its_path() {
    let spec = json!({
        "language": 1,
        "variables": {"where": "a\n${facts.cluser}"},
        "rules": {
            "bucket": {
                "ensure": "s3/Bucket",
                "name": "acme",
                "desired": {
                    "encryption": {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgoritm": "AES256"}}]},
                    "tags": {"a/b": 7},
                },
            },
            "pod": {"ensure": "kubernetes/Object", "desired": {"apiVersion": "v1", "metadata": {"name": "x"}}},
            "server": {"ensure": "kubernetes/Object", "manifests": ["a.yaml"], "when": "true &&"},
        },
    });
    assert_eq!(
        lines(&spec),
        [
            "holdfast-system/x spec.rules.bucket.desired.encryption.rules[0].applyServerSideEncryptionByDefault\
             .sseAlgoritm: unknown field `sseAlgoritm` (did you mean `sseAlgorithm`?)",
            "holdfast-system/x spec.rules.bucket.desired.tags[\"a/b\"]: `a/b` must be text, not a number (quote it, or \
             convert it with string(…))",
            "holdfast-system/x spec.rules.pod.desired: an object needs its `kind`",
            "holdfast-system/x spec.rules.server.manifests[0]: there is no file `a.yaml` (a policy that isn't in a \
             folder carries its files under `files`)",
            "holdfast-system/x spec.rules.server.when: a value is expected here, but the expression ends",
            "holdfast-system/x spec.variables.where:2: `facts.cluser` isn't defined (facts has no fields)",
        ]
    );
}

#[test]
fn a_fault_in_a_carried_file_has_the_files_lines() {
    let spec = json!({
        "language": 1,
        "files": {"a/two.yaml": "apiVersion: v1\nkind: Pod\nmetadata: { nam: two }\n"},
        "rules": {"pods": {"ensure": "kubernetes/Object", "templates": ["a/*.yaml"]}},
    });
    assert_eq!(
        lines(&spec),
        [r#"holdfast-system/x spec.files["a/two.yaml"]:1:1: an object needs its `metadata.name`"#]
    );
    let whole = render(&faults(&spec), 100, false);
    assert!(
        whole.contains(r#"--> holdfast-system/x spec.files["a/two.yaml"]:1:1"#)
            && whole.contains("1 | apiVersion: v1"),
        "{whole}"
    );
}

#[test]
fn a_resource_names_no_file_that_it_doesnt_carry() {
    let spec = json!({
        "language": 1,
        "rules": {"pods": {"ensure": "kubernetes/Object", "manifests": ["/etc/passwd", "../x.yaml", "x.yaml"]}},
    });
    let lines = lines(&spec);
    assert!(lines[0].contains("manifests[0]: `/etc/passwd` leaves the policy's folder"));
    assert!(lines[1].contains("manifests[1]: `../x.yaml` leaves the policy's folder"));
    assert!(lines[2].contains("manifests[2]: there is no file `x.yaml`"));
    assert_eq!(lines.len(), 3);
}

#[test]
fn an_account_is_one_that_there_can_be() {
    for account in ["", "Velero", "a:b", "other/velero", "-a", "a..b"] {
        let spec = json!({"language": 1, "serviceAccountName": account});
        assert!(
            lines(&spec)[0].starts_with("holdfast-system/x spec.serviceAccountName: "),
            "{account}"
        );
    }
    let spec = json!({"language": 1, "serviceAccountName": "velero.backups-2"});
    let loaded = load_document(NAME, &document(&spec));
    let policy = validate(&loaded, &support::registry()).unwrap();
    assert_eq!(policy.service_account_name.as_deref(), Some("velero.backups-2"));
}

#[test]
fn an_approval_names_a_plan() {
    let spec = json!({"language": 1, "approve": ""});
    assert!(lines(&spec)[0].starts_with("holdfast-system/x spec.approve: `approve` names no plan"));
}

#[test]
fn a_summary_is_one_line_of_bounded_length() {
    let spec = json!({"language": 1, "mode": "Audit", "rules": {"a": {"x": 1}, "b": {"ensur": "s3/Bucket"}}});
    assert_eq!(
        faults(&spec).summary(),
        "spec.mode: `Audit` isn't a value of `mode` (did you mean `Observe`?), and 4 more"
    );
    let odd = json!({"language": 1, "rules": {"a": {"checks": [{"that": "true"}], "x\ny": 1}}});
    assert!(
        faults(&odd)
            .summary()
            .starts_with("spec.rules.a[\"x\\ny\"]: unknown field `x y`")
    );
    let long = json!({"language": 1, "x".repeat(5_000): 1, "y": 2});
    let summary = faults(&long).summary();
    assert_eq!(summary.chars().count(), LONGEST_SUMMARY);
    assert!(summary.ends_with("…, and 1 more"), "{summary}");
    // A file's has its line.
    let text =
        "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: { name: x }\nspec:\n  language: 2\n";
    let faults = validate(&load_text("some/where/policy.yaml", text), &support::registry()).unwrap_err();
    assert_eq!(
        faults.summary(),
        "policy.yaml:5: language 2 isn't known; this engine speaks language 1"
    );
    assert_eq!(Diagnostics::new().summary(), "");
}

#[test]
fn what_is_no_policy_is_told_as_such() {
    for (document, code) in [
        (json!(null), Code::NotAPolicy),
        (json!([]), Code::WrongType),
        (json!({"apiVersion": "v1", "kind": "Pod"}), Code::NotAPolicy),
    ] {
        let faults = validate(&load_document(NAME, &document), &support::registry()).unwrap_err();
        assert!(faults.items().iter().any(|fault| fault.code == code), "{faults}");
    }
}

#[test]
fn a_bundle_carries_what_the_policy_names_and_says_its_namespace() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "policy.yaml",
        "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: { uid: abc, name: x }\nspec:\n  language: 1\n  \
         rules: { pods: { ensure: kubernetes/Object, manifests: [ '*.yml' ] } }\nstatus: { a: 1 }\n",
    );
    let pod = "# why\napiVersion: v1\nkind: Pod\nmetadata: { name: one }\n";
    write("one.yml", pod);
    write("other.txt", "not named\n");
    let loaded = load(folder.path()).unwrap();
    let carried = bundled(&loaded[0]);
    assert_eq!(
        carried,
        json!({
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Policy",
            "metadata": {"name": "x", "namespace": "holdfast-system"},
            "spec": {
                "language": 1,
                "rules": {"pods": {"ensure": "kubernetes/Object", "manifests": ["*.yml"]}},
                "files": {"one.yml": pod},
            },
        })
    );
    // What is bundled is whole: it can be bundled again.
    assert_eq!(bundled(&load_document(NAME, &carried)), carried);
}

#[test]
fn a_bundle_that_would_mean_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let pod = |name: &str| format!("apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\n");
    write("two.yaml", &pod("two"));
    write(
        "policy.yaml",
        "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: { name: x }\nspec:\n  language: 1\n  \
         files:\n    one.yaml: |\n      apiVersion: v1\n      kind: Pod\n      metadata: { name: one }\n  \
         rules:\n    a: { ensure: kubernetes/Object, manifests: [ '*e.yaml', 'o*.yaml' ] }\n    \
         b: { ensure: kubernetes/Object, manifests: [ two.yaml ] }\n    \
         c: { ensure: kubernetes/Object, manifests: [ '*.yaml' ] }\n",
    );
    let loaded = load(folder.path()).unwrap();
    let faults = bundle(&loaded[0]).unwrap_err();
    assert_eq!(faults.items().len(), 1, "{faults}");
    assert!(
        faults.items()[0]
            .message
            .starts_with("`*.yaml` would mean other files"),
        "{faults}"
    );
}
