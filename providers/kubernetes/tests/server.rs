//! Previews and writes on a real API server, and what it refuses.
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

use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_contract::{
    Action, Change, Fidelity, Guard, Observation, Path, ProviderError, Segment, Value, Version, Wanted,
};
use holdfast_testbed::Cluster;
use serde_json::{Value as Json, json};
use support::{Bench, US, key, key_of, observe, places, provider};

async fn bench(prefix: &str) -> Bench {
    Bench::on(Cluster::shared().await.unwrap(), prefix).await
}

#[tokio::test]
async fn previews_write_nothing() {
    let cluster = Cluster::start().await.unwrap();
    let bench = Bench::on(&cluster, "dry").await;
    let manifest = bench.manifest("x", json!({ "a": "1" }));
    let key = bench.create(&manifest).await;
    let observed = bench.observe(&key).await;
    let mark = cluster.mark().await.unwrap();
    let changed = bench.desired(&bench.manifest("x", json!({ "a": "2" })));
    let preview = bench
        .provider
        .preview(&bench.set(&observed, changed))
        .await
        .unwrap();
    assert_eq!(places(&preview.differences), ["data.a"]);
    let creation = bench.creation(&bench.manifest("y", json!({})));
    assert_eq!(
        bench.provider.preview(&creation).await.unwrap().fidelity,
        Fidelity::ServerVerified
    );
    let mut deletion = creation;
    deletion.key = key;
    deletion.action = Action::Delete {
        observed: Arc::new(observed),
    };
    deletion.guard = Guard::Same;
    assert_eq!(
        bench.provider.preview(&deletion).await.unwrap().fidelity,
        Fidelity::ServerVerified
    );
    let requests = cluster.since(mark).await.unwrap();
    assert_eq!(requests.iter().filter(|event| event.dry_run).count(), 3);
    assert!(requests.iter().all(|event| !event.is_write()), "{requests:#?}");
}

#[tokio::test]
async fn what_others_write_between_the_observation_and_the_preview_is_not_our_change() {
    let bench = bench("between").await;
    let manifest = bench.manifest("x", json!({ "a": "1" }));
    let key = bench.create(&manifest).await;
    let observed = bench.observe(&key).await;
    let theirs = json!({ "metadata": { "annotations": { "revision": "2" } }, "data": { "b": "theirs" } });
    bench
        .outside
        .merge(&bench.config_map("x"), &theirs)
        .await
        .unwrap();
    let changed = bench.desired(&bench.manifest("x", json!({ "a": "2" })));
    let preview = bench
        .provider
        .preview(&bench.set(&observed, changed))
        .await
        .unwrap();
    assert_eq!(places(&preview.differences), ["data.a"]);
}

#[tokio::test]
async fn a_conflict_names_the_field_and_who_holds_it() {
    let bench = bench("conflict").await;
    let manifest = bench.manifest("x", json!({ "a": "1", "b": "1" }));
    let key = bench.create(&manifest).await;
    bench
        .outside
        .merge(&bench.config_map("x"), &json!({ "data": { "a": "2" } }))
        .await
        .unwrap();
    let observed = bench.observe(&key).await;
    let mut write = bench.set(&observed, bench.desired(&manifest));
    let preview = bench.provider.preview(&write).await.unwrap();
    assert_eq!(places(&preview.differences), ["data.a"]);
    let note = preview.differences[0].note.clone().unwrap();
    assert!(note.starts_with("last written by outside, 20"), "{note}");
    assert_eq!(preview.conflicts.len(), 1);
    assert_eq!(preview.conflicts[0].path, Path::of(&["data", "a"]));
    assert_eq!(preview.conflicts[0].manager, "outside");
    // Nothing is taken unless it is said so.
    write.force = false;
    let refused = bench.provider.write(&write).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Conflict { .. }), "{refused}");
    write.force = true;
    bench.provider.write(&write).await.unwrap();
    let observed = bench.observe(&key).await;
    assert_eq!(bench.compare(&observed, &bench.desired(&manifest)), []);
}

#[tokio::test]
async fn what_others_made_is_claimed_and_then_taken_back_when_no_longer_declared() {
    let bench = bench("claim").await;
    let manifest = bench.manifest("x", json!({ "a": "1" }));
    let mut theirs = manifest.clone();
    theirs["data"]["b"] = json!("theirs");
    bench.outside.post(&bench.config_map(""), &theirs).await.unwrap();
    let key = key_of(&manifest);
    let observed = bench.observe(&key).await;
    let desired = bench.desired(&manifest);
    let preview = bench
        .provider
        .preview(&bench.set(&observed, desired.clone()))
        .await
        .unwrap();
    assert_eq!(places(&preview.differences), ["data"]);
    assert_eq!(preview.differences[0].change, Change::Claim);
    bench
        .provider
        .write(&bench.set(&observed, desired.clone()))
        .await
        .unwrap();
    let observed = bench.observe(&key).await;
    assert_eq!(bench.compare(&observed, &desired), []);
    // Their Update entry holds `a` too, so it stays when we let go of it; `c` is ours alone.
    let more = bench.desired(&bench.manifest("x", json!({ "a": "1", "c": "3" })));
    bench.provider.write(&bench.set(&observed, more)).await.unwrap();
    let observed = bench.observe(&key).await;
    let less = bench.desired(&bench.manifest("x", json!({ "a": "1" })));
    assert_eq!(places(&bench.compare(&observed, &less)), ["data.c"]);
    let preview = bench
        .provider
        .preview(&bench.set(&observed, less.clone()))
        .await
        .unwrap();
    assert_eq!(places(&preview.differences), ["data.c"]);
    bench.provider.write(&bench.set(&observed, less)).await.unwrap();
    let now = bench.outside.get(&bench.config_map("x")).await.unwrap();
    assert_eq!(now["data"], json!({ "a": "1", "b": "theirs" }));
}

#[tokio::test]
async fn foreign_content_goes_only_from_absent_and_exact_places() {
    let bench = bench("absent").await;
    let manifest = bench.manifest("x", json!({ "a": "1" }));
    let key = bench.create(&manifest).await;
    let foreign = json!({
        "metadata": { "labels": { "f": "1" }, "annotations": { "x.y/z": "1", "kept": "1" }, "finalizers": ["k.io/f", "k.io/g"] },
        "data": { "old": "1", "kept": "1" },
    });
    bench
        .outside
        .merge(&bench.config_map("x"), &foreign)
        .await
        .unwrap();
    let observed = bench.observe(&key).await;
    let mut desired = bench.desired(&manifest);
    desired.absent = vec![
        Path::of(&["data", "old"]),
        Path::of(&["metadata", "annotations", "x.y/z"]),
    ];
    desired.exact = vec![Path::of(&["metadata", "labels"])];
    let expected = ["data.old", r#"metadata.annotations["x.y/z"]"#];
    assert_eq!(places(&bench.compare(&observed, &desired)), expected);
    let preview = bench
        .provider
        .preview(&bench.set(&observed, desired.clone()))
        .await
        .unwrap();
    assert_eq!(places(&preview.differences), expected);
    bench
        .provider
        .write(&bench.set(&observed, desired.clone()))
        .await
        .unwrap();
    let observed = bench.observe(&key).await;
    assert_eq!(bench.compare(&observed, &desired), []);
    let now = bench.outside.get(&bench.config_map("x")).await.unwrap();
    assert_eq!(now["data"], json!({ "a": "1", "kept": "1" }));
    assert_eq!(now["metadata"]["annotations"], json!({ "kept": "1" }));
    bench
        .outside
        .merge(
            &bench.config_map("x"),
            &json!({ "metadata": { "finalizers": null } }),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn an_immutable_field_is_named_before_anything_is_written() {
    let bench = bench("immutable").await;
    let deployment = |app: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x", "namespace": bench.namespace },
            "spec": {
                "selector": { "matchLabels": { "app": app } },
                "template": {
                    "metadata": { "labels": { "app": app } },
                    "spec": { "containers": [{ "name": "c", "image": "example.org/c:1" }] },
                },
            },
        })
    };
    let key = bench.create(&deployment("a")).await;
    let observed = bench.observe(&key).await;
    let write = bench.set(&observed, bench.desired(&deployment("b")));
    for error in [
        bench.provider.preview(&write).await.map(|_| ()).unwrap_err(),
        bench.provider.write(&write).await.map(|_| ()).unwrap_err(),
    ] {
        let ProviderError::Immutable { fields, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(*fields, ["spec.selector"]);
    }
    let claim = |size: &str| {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "name": "x", "namespace": bench.namespace },
            "spec": { "accessModes": [size], "resources": { "requests": { "storage": "1Gi" } } },
        })
    };
    let key = bench.create(&claim("ReadWriteOnce")).await;
    let observed = bench.observe(&key).await;
    let write = bench.set(&observed, bench.desired(&claim("ReadWriteMany")));
    let error = bench.provider.preview(&write).await.unwrap_err();
    assert!(matches!(error, ProviderError::Immutable { .. }), "{error}");
}

#[tokio::test]
async fn a_misspelt_field_is_refused_and_named() {
    let bench = bench("strict").await;
    let mut manifest = bench.manifest("x", json!({}));
    manifest["datta"] = json!({ "a": "b" });
    let error = bench
        .provider
        .write(&bench.creation(&manifest))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ProviderError::Invalid { .. }) && error.to_string().contains("datta"),
        "{error}"
    );
    assert!(matches!(
        bench.try_observe(&key_of(&manifest)).await,
        Ok(Observation::Absent)
    ));
}

#[tokio::test]
async fn an_initial_field_is_left_to_whoever_takes_it() {
    let bench = bench("initial").await;
    let manifest = bench.manifest("x", json!({ "a": "1", "b": "1" }));
    let key = bench.create(&manifest).await;
    let mut desired = bench.desired(&manifest);
    desired.initial = vec![Path::of(&["data", "a"])];
    let observed = bench.observe(&key).await;
    assert_eq!(bench.compare(&observed, &desired), []);
    bench
        .outside
        .merge(&bench.config_map("x"), &json!({ "data": { "a": "2", "b": "2" } }))
        .await
        .unwrap();
    let observed = bench.observe(&key).await;
    assert_eq!(places(&bench.compare(&observed, &desired)), ["data.b"]);
    bench
        .provider
        .write(&bench.set(&observed, desired.clone()))
        .await
        .unwrap();
    let now = bench.outside.get(&bench.config_map("x")).await.unwrap();
    assert_eq!(now["data"], json!({ "a": "2", "b": "1" }));
    assert_eq!(bench.compare(&bench.observe(&key).await, &desired), []);
}

#[tokio::test]
async fn reads_fall_back_to_names_where_no_list_is_allowed_and_denials_are_no_absence() {
    let cluster = Cluster::start().await.unwrap();
    let bench = Bench::on(&cluster, "rbac").await;
    let names: Vec<String> = (0..5).map(|index| format!("x-{index}")).collect();
    bench.create(&bench.manifest("x-0", json!({}))).await;
    let rbac = format!(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{}",
        bench.namespace
    );
    let role = json!({
        "metadata": { "name": "r" },
        "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "resourceNames": names, "verbs": ["get"] }],
    });
    bench.outside.post(&format!("{rbac}/roles"), &role).await.unwrap();
    let binding = json!({
        "metadata": { "name": "r" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r" },
        "subjects": [{ "kind": "User", "name": "alice" }],
    });
    bench
        .outside
        .post(&format!("{rbac}/rolebindings"), &binding)
        .await
        .unwrap();
    let alice = provider(&cluster.kubeconfig_for("alice").unwrap()).await;
    let wanted: Vec<Wanted> = names
        .iter()
        .map(String::as_str)
        .chain(["other"])
        .map(|name| Wanted {
            key: key("v1", "ConfigMap", Some(&bench.namespace), name),
            facets: ["object".into()].into(),
        })
        .collect();
    let answers = alice.observe(&wanted).await;
    assert!(matches!(answers[0], Ok(Observation::Present(_))));
    for answer in &answers[1..5] {
        assert!(matches!(answer, Ok(Observation::Absent)));
    }
    let denied = answers[5].as_ref().unwrap_err();
    assert_eq!(
        denied.to_string(),
        format!(
            "access denied: this identity lacks get configmaps on ConfigMap {}/other",
            bench.namespace
        )
    );
    let write = bench.creation(&bench.manifest("y", json!({})));
    let denied = alice.write(&write).await.unwrap_err();
    let ProviderError::Denied { action, .. } = &denied else {
        panic!("{denied}")
    };
    assert_eq!(action, "patch configmaps");
    // The preview of it is no failure: it is what can be said without the server.
    assert_eq!(alice.preview(&write).await.unwrap().fidelity, Fidelity::Predicted);
}

#[tokio::test]
async fn a_type_that_is_gone_since_it_was_discovered_is_not_served() {
    let cluster = Cluster::start().await.unwrap();
    let bench = Bench::on(&cluster, "gone").await;
    let all = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "brieves.gone.dev" },
        "spec": {
            "group": "gone.dev", "scope": "Namespaced", "names": { "plural": "brieves", "kind": "Brief" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
            }}],
        },
    });
    let crd = bench.create(&definition).await;
    assert!(matches!(
        bench.try_observe(&crd).await,
        Ok(Observation::Present(_))
    ));
    let brief = key("gone.dev/v1", "Brief", Some(&bench.namespace), "x");
    let mut tries = 0;
    while !matches!(bench.try_observe(&brief).await, Ok(Observation::Absent)) {
        tries += 1;
        assert!(tries < 100, "a type that is made later is found");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    bench
        .outside
        .delete(&format!("{all}/brieves.gone.dev"))
        .await
        .unwrap();
    let mut tries = 0;
    loop {
        match bench.try_observe(&brief).await {
            Err(ProviderError::NotServed { .. }) => break,
            Ok(Observation::Absent) if tries < 100 => tries += 1,
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let written = observe(bench.provider.as_ref(), &crd).await;
    assert!(matches!(written, Ok(Observation::Absent)));
}

#[tokio::test]
async fn a_write_into_a_missing_namespace_is_tried_again_later() {
    let bench = bench("nowhere").await;
    let mut manifest = bench.manifest("x", json!({}));
    manifest["metadata"]["namespace"] = json!("nowhere-at-all");
    let error = bench
        .provider
        .write(&bench.creation(&manifest))
        .await
        .unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("namespace"),
        "{error}"
    );
    assert!(matches!(
        bench.try_observe(&key_of(&manifest)).await,
        Ok(Observation::Absent)
    ));
}

#[tokio::test]
async fn a_removed_item_of_a_keyed_list_goes_alone() {
    let bench = bench("items").await;
    let service = |ports: Json| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "x", "namespace": bench.namespace },
            "spec": { "selector": { "a": "b" }, "ports": ports },
        })
    };
    let both = service(json!([{ "name": "a", "port": 80 }, { "name": "b", "port": 81 }]));
    let key = bench.create(&both).await;
    let observed = bench.observe(&key).await;
    let one = bench.desired(&service(json!([{ "name": "a", "port": 80 }])));
    let preview = bench
        .provider
        .preview(&bench.set(&observed, one.clone()))
        .await
        .unwrap();
    let item = Segment::Item(vec![
        ("port".to_owned(), "81".to_owned()),
        ("protocol".to_owned(), "TCP".to_owned()),
    ]);
    let expected: BTreeSet<Path> = [Path::of(&["spec", "ports"]).join(item)].into();
    assert_eq!(
        preview
            .differences
            .iter()
            .map(|one| one.path.clone())
            .collect::<BTreeSet<_>>(),
        expected
    );
    bench
        .provider
        .write(&bench.set(&observed, one.clone()))
        .await
        .unwrap();
    assert_eq!(bench.compare(&bench.observe(&key).await, &one), []);
}

#[tokio::test]
async fn a_sensitive_value_in_any_object_stays_hidden() {
    let bench = bench("taint").await;
    let manifest = bench.manifest("x", json!({ "a": "hunter2-first" }));
    let key = bench.create(&manifest).await;
    let observed = bench.observe(&key).await;
    let mut desired = bench.desired(&bench.manifest("x", json!({})));
    let data: Value = [("a", Value::from("hunter2-second").sealed())]
        .into_iter()
        .collect();
    desired
        .value
        .as_map_mut()
        .unwrap()
        .insert("data".to_owned(), data);
    let mut write = bench.set(&observed, desired);
    let preview = bench.provider.preview(&write).await.unwrap();
    assert_eq!(places(&preview.differences), ["data.a"]);
    let printed = format!("{preview:?} {write:?}");
    assert!(!printed.contains("hunter2-second"), "{printed}");
    assert!(
        !format!("{preview:?}").contains("hunter2-first"),
        "what it replaces may be the old secret"
    );
    write.guard = Guard::Version(Version("1".to_owned()));
    let error = bench.provider.write(&write).await.unwrap_err();
    assert!(matches!(error, ProviderError::Conflict { .. }), "{error}");
    assert_eq!(US, write.manager);
}
