//! What is wrong with a policy, as the server tells of it and as the engine does.

use std::path::PathBuf;

use holdfast_e2e::root;
use holdfast_policy::{Code, validate};
use serde_json::{Value, json};

use crate::{cluster, create, loaded, policy, read, registry};

/// What the server lets through comes back whole, wrong as it is: nothing is dropped in silence.
#[tokio::test]
async fn a_wrong_policy_is_refused_or_kept_as_it_is_and_then_told_of_by_path() {
    let (cluster, namespace) = cluster().await;
    let (mut refused, mut kept) = (Vec::new(), Vec::new());
    let mut folders: Vec<PathBuf> = root()
        .join("engine/policy/tests/faults")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    for (number, folder) in folders.iter().enumerate() {
        let Ok(text) = std::fs::read_to_string(folder.join("policy.yaml")) else {
            continue;
        };
        // What is wrong with the YAML itself no server gets to see.
        let Ok(mut document) = serde_saphyr::from_str::<Value>(&text) else {
            continue;
        };
        if document["kind"] != "Policy" || document["apiVersion"] != "holdfast.dev/v1alpha1" {
            continue;
        }
        let name = format!("fault-{number}");
        // `0400` is a number that is read in two ways, and a third one by what reads it here.
        if folder.ends_with("leading_zeros") {
            continue;
        }
        document["metadata"] = json!({"name": name, "namespace": namespace});
        let what = folder.file_name().unwrap().to_str().unwrap().to_owned();
        match create(cluster, &document).await {
            Ok(_) => {
                let found = read(cluster, &namespace, &name).await;
                assert_eq!(found["spec"], document["spec"], "{what}");
                let faults = validate(&loaded(&found), &registry()).err().unwrap_or_default();
                for fault in faults.items() {
                    assert!(fault.place.path.starts_with("spec"), "{what}: {fault}");
                }
                kept.push(what);
            }
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("spec"), "{what}: {error}");
                assert!(
                    validate(&loaded(&document), &registry()).is_err(),
                    "{what}: {error}"
                );
                refused.push(what);
            }
        }
    }
    assert!(
        kept.len() > 15 && refused.len() > 4,
        "kept {kept:?}, refused {refused:?}"
    );
}

/// What a server refuses of a `spec`, and what it says; `RULE` stands for `language: 1, rules: { a: … }`.
const REFUSED: &[(&str, &str)] = &[
    ("{ rules: {} }", "spec.language: Required value"),
    ("{ language: 2 }", "spec.language: Unsupported value: 2"),
    (
        "{ language: 1, mode: Audit }",
        "spec.mode: Unsupported value: \"Audit\"",
    ),
    (
        "{ language: 1, interval: often }",
        "spec.interval: Invalid value: \"often\"",
    ),
    (
        "{ language: 1, interval: 9s }",
        "cloud state isn't read more often than every 10s",
    ),
    (
        "{ language: 1, approve: '' }",
        "spec.approve: Invalid value: \"\"",
    ),
    (
        "{ language: 1, serviceAccountName: 'a:b' }",
        "spec.serviceAccountName: Invalid value",
    ),
    (
        "{ language: 1, limits: { deletions: -1 } }",
        "spec.limits.deletions: Invalid value",
    ),
    (
        "{ language: 1, limits: { percent: '30' } }",
        "spec.limits.percent: Invalid value",
    ),
    ("{ language: 1, files: { a: 1 } }", "spec.files.a: Invalid value"),
    ("{ language: 1, rules: [] }", "spec.rules: Invalid value"),
    (
        "{ language: 1, rules: { my-bucket: { checks: [] } } }",
        "spec.rules: Invalid value: keys match [a-z]",
    ),
    (
        "{ language: 1, facts: { 'true': { api: { apiVersion: v1, kind: Pod } } } }",
        "spec.facts: Invalid value: keys match",
    ),
    (
        "{ language: 1, facts: { a: { optional: true } } }",
        "spec.facts[a]: Invalid value: a fact needs one of",
    ),
    (
        "{ language: 1, facts: { a: { object: { kind: Pod, name: x } } } }",
        "spec.facts.a.object.apiVersion: Required value",
    ),
    (
        "{ language: 1, valuesFrom: [{ key: x }] }",
        "spec.valuesFrom[0]: Invalid value: an item of `valuesFrom`",
    ),
    (
        "{ language: 1, require: [{ that: a }] }",
        "spec.require[0].message: Required value",
    ),
    (
        "RULE { onRemove: Retain }",
        "spec.rules[a]: Invalid value: a rule says what it is about",
    ),
    (
        "RULE { ensure: s3/Bucket, forbid: s3/Bucket }",
        "spec.rules[a]: Invalid value: a rule has only one of",
    ),
    (
        "RULE { cases: [{ when: a, ensure: s3/Bucket, observe: s3/Bucket }] }",
        "spec.rules[a].cases[0]: Invalid value: a rule has only",
    ),
    (
        "RULE { cases: [{ ensure: s3/Bucket }] }",
        "spec.rules.a.cases[0].when: Required value",
    ),
    (
        "RULE { ensure: s3/Buckett }",
        "spec.rules.a.ensure: Unsupported value: \"s3/Buckett\"",
    ),
    (
        "RULE { ensure: s3/Bucket, allow: [Everything] }",
        "spec.rules.a.allow[0]: Unsupported value",
    ),
    (
        "RULE { ensure: s3/Bucket, onRemove: delete }",
        "spec.rules.a.onRemove: Unsupported value",
    ),
    (
        "RULE { ensure: s3/Bucket, create: 'yes' }",
        "spec.rules.a.create: Invalid value",
    ),
    (
        "RULE { ensure: s3/Bucket, adopt: {} }",
        "spec.rules.a.adopt: Invalid value",
    ),
    (
        "RULE { ensure: s3/Bucket, takeOver: { managers: [] } }",
        "spec.rules.a.takeOver.managers: Invalid value",
    ),
    (
        "RULE { ensure: s3/Bucket, hold: { message: x } }",
        "spec.rules.a.hold.while: Required value",
    ),
    (
        "RULE { checks: [{ that: a, severity: awful }] }",
        "spec.rules.a.checks[0].severity: Unsupported value",
    ),
];

#[tokio::test]
async fn what_is_plainly_wrong_is_refused_at_once_with_its_path() {
    let (cluster, namespace) = cluster().await;
    for (spec, expected) in REFUSED {
        let spec = match spec.strip_prefix("RULE ") {
            Some(rule) => format!("{{ language: 1, rules: {{ a: {rule} }} }}"),
            None => (*spec).to_owned(),
        };
        let document = policy(&namespace, "wrong", &serde_saphyr::from_str(&spec).unwrap());
        let error = create(cluster, &document).await.unwrap_err().to_string();
        // Older servers name the type of a map where others don't.
        let error = error.replace("\"object\": ", "");
        assert!(error.contains(expected), "{expected}\n{error}");
        // It is wrong by the language too, whose word it is.
        assert!(validate(&loaded(&document), &registry()).is_err(), "{expected}");
    }
    let dotted = policy(&namespace, "two.words", &json!({"language": 1}));
    let error = create(cluster, &dotted).await.unwrap_err().to_string();
    assert!(
        error.contains("a policy's name has at most 63 of a-z, 0-9 and `-`"),
        "{error}"
    );
}

/// In a file a null is a fault, as it mostly is a value that somebody forgot to fill in.
#[tokio::test]
async fn no_null_is_dropped_in_silence() {
    let (cluster, namespace) = cluster().await;
    let document = |spec: Value| policy(&namespace, "nulls", &spec);
    let error = create(cluster, &document(json!({"language": 1, "mode": null})))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("spec.mode: Unsupported value: null"),
        "{error}"
    );
    let spec = json!({
        "language": 1,
        "suspend": null,
        "limits": null,
        "files": {"a": null},
        "facts": {"a": null},
        "rules": {"one": {"ensure": "s3/Bucket", "when": null, "create": null, "cases": null}, "two": null},
    });
    create(cluster, &document(spec.clone())).await.unwrap();
    let found = read(cluster, &namespace, "nulls").await;
    assert_eq!(found["spec"], spec);
    let faults = validate(&loaded(&found), &registry()).unwrap_err();
    let nulls: Vec<&str> = faults
        .items()
        .iter()
        .filter(|fault| fault.code == Code::Null)
        .map(|fault| fault.place.path.as_ref())
        .collect();
    assert_eq!(
        nulls,
        [
            "spec.facts.a",
            "spec.files.a",
            "spec.limits",
            "spec.rules.one.cases",
            "spec.rules.one.create",
            "spec.rules.one.when",
            "spec.rules.two",
            "spec.suspend",
        ]
    );
}

#[tokio::test]
async fn what_no_server_can_tell_is_told_by_path_afterwards() {
    let (cluster, namespace) = cluster().await;
    let spec = json!({
        "language": 1,
        "providers": {"s3": {"region": "eu-central-1"}},
        "rules": {
            "bucket": {"ensure": "s3/Bucket", "name": "acme-backups", "creat": false, "desired": {"versioning": {"status": "On"}}},
            "pod": {"ensure": "kubernetes/Object", "manifests": ["pod.yaml"], "when": "facts.x"},
        },
    });
    create(cluster, &policy(&namespace, "subtle", &spec))
        .await
        .unwrap();
    let found = read(cluster, &namespace, "subtle").await;
    let faults = validate(&loaded(&found), &registry()).unwrap_err();
    let told: Vec<String> = faults
        .items()
        .iter()
        .map(|fault| format!("{}: {}", fault.place.short(), fault.message))
        .collect();
    assert_eq!(
        told,
        [
            "spec.rules.bucket.creat: unknown field `creat`",
            "spec.rules.bucket.desired.versioning.status: `On` isn't a value of `status`",
            "spec.rules.pod.manifests[0]: there is no file `pod.yaml`",
            "spec.rules.pod.when: `facts.x` isn't defined"
        ]
    );
    assert_eq!(
        faults.summary(),
        "spec.rules.bucket.creat: unknown field `creat` (did you mean `create`?), and 3 more"
    );
}
