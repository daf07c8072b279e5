//! Taking over what a former writer holds, on a real API server.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    reason = "tests, which share a module that each uses a part of"
)]

mod support;

use std::sync::Arc;

use holdfast_contract::{
    Action, Change, Desired, Difference, Facet, Fidelity, Guard, Kind, Observed, Path, Preview,
    ProviderError, TakeOver, Value, Version, Write,
};
use holdfast_testbed::Cluster;
use serde_json::{Value as Json, json};
use support::{Bench, US, key_of};

/// As whom [`support::Outside`] writes, by Update.
const THEM: &str = "outside";

fn take_over(desired: Desired) -> Desired {
    Desired {
        take_over: Some(TakeOver {
            managers: vec![THEM.to_owned()],
            scope: None,
        }),
        ..desired
    }
}

/// A Deployment as an operator of old made it: with credentials in its environment, and an owner.
fn theirs(namespace: &str) -> Json {
    let credential = |name: &str, key: &str| json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": "keys", "key": key } } });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "server", "namespace": namespace, "labels": { "component": "server" },
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "0c1d", "controller": true,
            }],
        },
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 2,
            "selector": { "matchLabels": { "app": "server" } },
            "template": {
                "metadata": { "labels": { "app": "server" } },
                "spec": { "containers": [{
                    "name": "server", "image": "example.org/server:1",
                    "env": [
                        { "name": "HOME", "value": "/" },
                        credential("KEY_ID", "id"),
                        credential("SECRET_KEY", "key"),
                    ],
                    "volumeMounts": [{ "name": "scratch", "mountPath": "/scratch" }],
                }],
                "volumes": [{ "name": "scratch", "emptyDir": {} }] },
            },
        },
    })
}

/// The same as it is to be: credentials in a file, nobody's child.
fn ours(namespace: &str) -> Json {
    let mut object = theirs(namespace);
    object["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("ownerReferences");
    object["spec"]
        .as_object_mut()
        .unwrap()
        .remove("revisionHistoryLimit");
    let pod = &mut object["spec"]["template"]["spec"];
    pod["containers"][0]["env"] = json!([
        { "name": "HOME", "value": "/" },
        { "name": "CREDENTIALS_FILE", "value": "/credentials/file" },
    ]);
    // Another source of the same volume: with the old one still there the server would refuse it.
    pod["volumes"] = json!([{ "name": "scratch", "secret": { "secretName": "keys" } }]);
    object
}

fn lines(found: &[Difference]) -> Vec<String> {
    found
        .iter()
        .filter_map(|one| {
            let symbol = match one.change {
                Change::Add { .. } => '+',
                Change::Remove { .. } => '-',
                Change::Replace { .. } => '~',
                Change::Claim => return None,
            };
            Some(format!("{symbol} {}", one.path))
        })
        .collect()
}

async fn deployment(bench: &Bench) -> Observed {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments", bench.namespace);
    bench
        .outside
        .post(&path, &theirs(&bench.namespace))
        .await
        .unwrap();
    bench.observe(&key_of(&theirs(&bench.namespace))).await
}

fn managers(observed: &Observed) -> Vec<(String, String)> {
    let object = observed.value(&"object".into()).unwrap();
    let listed = object
        .at(&["metadata", "managedFields"])
        .unwrap()
        .as_list()
        .unwrap();
    let text = |entry: &Value, key| {
        entry
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    listed
        .iter()
        .map(|entry| (text(entry, "manager"), text(entry, "operation")))
        .collect()
}

async fn preview(bench: &Bench, write: &Write) -> Preview {
    bench.provider.preview(write).await.unwrap()
}

#[tokio::test]
async fn a_former_writers_fields_go_when_they_are_not_declared() {
    let bench = Bench::on(Cluster::shared().await.unwrap(), "takeover").await;
    let before = deployment(&bench).await;
    let desired = bench.desired(&ours(&bench.namespace));

    // Without takeOver the old credentials would stay, and win over the file.
    let mut same_volumes = ours(&bench.namespace);
    same_volumes["spec"]["template"]["spec"]["volumes"] =
        theirs(&bench.namespace)["spec"]["template"]["spec"]["volumes"].clone();
    let without = preview(&bench, &bench.set(&before, bench.desired(&same_volumes))).await;
    assert!(
        !lines(&without.differences)
            .iter()
            .any(|line| line.starts_with('-')),
        "{:?}",
        without.differences
    );

    let write = bench.set(&before, take_over(desired.clone()));
    let seen = preview(&bench, &write).await;
    assert_eq!(seen.fidelity, Fidelity::ServerVerified);
    assert_eq!(seen.conflicts, []);
    let expected = [
        "- metadata.ownerReferences",
        "~ spec.revisionHistoryLimit",
        "+ spec.template.spec.containers[server].env[CREDENTIALS_FILE]",
        "- spec.template.spec.containers[server].env[KEY_ID]",
        "- spec.template.spec.containers[server].env[SECRET_KEY]",
        "- spec.template.spec.volumes[scratch].emptyDir",
        "+ spec.template.spec.volumes[scratch].secret",
    ];
    assert_eq!(lines(&seen.differences), expected);
    let untouched = bench.observe(&before.key).await;
    assert_eq!(untouched.version, before.version, "a preview writes nothing");

    bench.provider.write(&write).await.unwrap();
    let after = bench.observe(&before.key).await;
    let object = after.value(&"object".into()).unwrap();
    assert_eq!(object.at(&["metadata", "ownerReferences"]), None);
    let text = object.to_string();
    assert!(
        !text.contains("KEY_ID") && text.contains("CREDENTIALS_FILE"),
        "{text}"
    );
    assert_eq!(managers(&after), [(US.to_owned(), "Apply".to_owned())]);
    let taken = take_over(desired.clone());
    assert_eq!(
        bench.compare(&after, &taken),
        [],
        "and then there is nothing to do"
    );
    assert!(
        bench
            .kind
            .taken_over(&"object".into(), &taken, &after, US)
            .is_empty()
    );
}

#[tokio::test]
async fn where_only_the_holder_changes_the_object_stays_as_it_is() {
    let bench = Bench::on(Cluster::shared().await.unwrap(), "takeover-same").await;
    let before = deployment(&bench).await;
    let desired = take_over(bench.desired(&theirs(&bench.namespace)));
    let write = bench.set(&before, desired.clone());
    let seen = preview(&bench, &write).await;
    assert_eq!(lines(&seen.differences), [""; 0]);
    assert!(!seen.differences.is_empty(), "it is still to be written");
    bench.provider.write(&write).await.unwrap();
    let after = bench.observe(&before.key).await;
    let generation = |observed: &Observed| {
        let object = observed.value(&"object".into()).unwrap();
        object.at(&["metadata", "generation"]).cloned()
    };
    assert_eq!(
        generation(&after),
        generation(&before),
        "so nothing is rolled out"
    );
    assert_eq!(bench.compare(&after, &desired), []);
}

#[tokio::test]
async fn a_bound_write_on_a_stale_version_takes_nothing_over() {
    let bench = Bench::on(Cluster::shared().await.unwrap(), "takeover-stale").await;
    let before = deployment(&bench).await;
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/server", bench.namespace);
    let label = json!({ "metadata": { "labels": { "touched": "yes" } } });
    bench.outside.merge(&path, &label).await.unwrap();
    let mut write = bench.set(&before, take_over(bench.desired(&ours(&bench.namespace))));
    write.guard = Guard::Version(before.version.clone().unwrap());
    let refused = bench.provider.write(&write).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Conflict { .. }), "{refused}");
    assert_eq!(
        managers(&bench.observe(&before.key).await),
        [(THEM.to_owned(), "Update".to_owned())]
    );
    // Bound to the incarnation only, it reads again what there is to move, and what came since goes too.
    write.guard = Guard::Same;
    bench.provider.write(&write).await.unwrap();
    let after = bench.observe(&before.key).await;
    assert_eq!(managers(&after), [(US.to_owned(), "Apply".to_owned())]);
    assert!(
        !after
            .value(&"object".into())
            .unwrap()
            .to_string()
            .contains("touched")
    );
    // And bound to the version that stands, the apply goes on from the one that the move has made.
    let mut again = bench.set(&after, take_over(bench.desired(&ours(&bench.namespace))));
    again.guard = Guard::Version(Version(after.version.clone().unwrap().0));
    bench.provider.write(&again).await.unwrap();
}

#[tokio::test]
async fn outside_of_its_scope_nothing_is_taken_over() {
    let bench = Bench::on(Cluster::shared().await.unwrap(), "takeover-scope").await;
    let before = deployment(&bench).await;
    let mut desired = bench.desired(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "server", "namespace": bench.namespace, "labels": { "component": "server" } },
    }));
    desired.take_over = Some(TakeOver {
        managers: vec![THEM.to_owned()],
        scope: Some(vec![Path::of(&["metadata", "ownerReferences"])]),
    });
    let write = bench.set(&before, desired.clone());
    assert_eq!(
        lines(&preview(&bench, &write).await.differences),
        ["- metadata.ownerReferences"]
    );
    bench.provider.write(&write).await.unwrap();
    let after = bench.observe(&before.key).await;
    let object = after.value(&"object".into()).unwrap();
    assert_eq!(object.at(&["metadata", "ownerReferences"]), None);
    assert_eq!(
        object
            .at(&["spec", "revisionHistoryLimit"])
            .and_then(Value::as_i64),
        Some(2)
    );
    assert!(managers(&after).contains(&(THEM.to_owned(), "Update".to_owned())));
    assert_eq!(bench.compare(&after, &desired), []);
}

/// A status is written through its subresource where there is one, and through the object where there is none.
#[tokio::test]
async fn a_status_is_taken_over_with_and_without_a_subresource() {
    let bench = Bench::on(Cluster::shared().await.unwrap(), "takeover-status").await;
    let group = format!("{}.example.org", bench.namespace);
    for (plural, kind, subresources) in [
        ("gauges", "Gauge", json!({ "status": {} })),
        ("dials", "Dial", json!({})),
    ] {
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{group}") },
            "spec": {
                "group": group, "scope": "Namespaced",
                "names": { "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase() },
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "subresources": subresources,
                    "schema": { "openAPIV3Schema": {
                        "type": "object",
                        "properties": { "status": {
                            "type": "object",
                            "properties": { "level": { "type": "integer" }, "old": { "type": "integer" } },
                        } },
                    } },
                }],
            },
        });
        bench
            .outside
            .post(
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                &definition,
            )
            .await
            .unwrap();
        let all = format!("/apis/{group}/v1/namespaces/{}/{plural}", bench.namespace);
        let object = json!({
            "apiVersion": format!("{group}/v1"), "kind": kind,
            // Of an object that was made with no field at all a server keeps no account.
            "metadata": { "name": "x", "namespace": bench.namespace, "labels": { "a": "b" } },
            "status": { "level": 1, "old": 2 },
        });
        let mut made = Err(String::new());
        for _ in 0..600 {
            made = bench.outside.post(&all, &object).await;
            if made.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        made.unwrap();
        if plural == "gauges" {
            let status = json!({ "status": object["status"] });
            bench
                .outside
                .merge(&format!("{all}/x/status"), &status)
                .await
                .unwrap();
        }
        let before = bench.observe(&key_of(&object)).await;
        let facet: Facet = "status".into();
        let desired = take_over(Desired::new(Value::from_json(json!({ "level": 1 }))));
        let mut write = bench.set(&before, desired.clone());
        write.action = Action::Set {
            facet: facet.clone(),
            desired: Box::new(desired.clone()),
            observed: Arc::new(before.clone()),
        };
        let seen = preview(&bench, &write).await;
        assert_eq!(seen.fidelity, Fidelity::ServerVerified, "{kind}");
        assert_eq!(lines(&seen.differences), ["- old"], "{kind}");
        bench.provider.write(&write).await.unwrap();
        let after = bench.observe(&before.key).await;
        assert_eq!(
            after.value(&facet).map(ToString::to_string).as_deref(),
            Some(r#"{"level":1}"#),
            "{kind}"
        );
        assert_eq!(
            bench.kind.compare(&facet, &desired, Some(&after), US),
            [],
            "{kind}"
        );
    }
}
