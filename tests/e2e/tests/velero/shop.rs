//! A namespace that is worth a backup, and what has to come back of it.

use std::collections::BTreeMap;

use holdfast_e2e::{Stage, path, path_of, until};
use serde_json::{Value, json};

/// What is in it.
const KINDS: [(&str, &str); 5] = [
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "Deployment"),
];

/// Makes namespace `name` with something of each kind, `stock` among its data; returns when it runs.
pub(crate) async fn open(stage: &Stage, name: &str, stock: &str) {
    let labels = json!({ "app": "shop" });
    let objects = [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": { "team": "sales" } } }),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "stock", "namespace": name, "annotations": { "counted-by": "hand" } },
            "data": { "apples": stock, "notice.txt": "two lines,\nand an umlaut: ü\n" },
            "binaryData": { "picture": "AAECAwQ=" },
        }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": "till", "namespace": name },
            "data": { "password": "aHVudGVyMg==" },
        }),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "door", "namespace": name, "labels": labels },
            "spec": { "selector": labels, "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }] },
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "counter", "namespace": name, "labels": labels },
            "spec": {
                "replicas": 2,
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": { "containers": [{
                        "name": "counter", "image": "registry.example.com/counter:1.4",
                        "env": [{ "name": "PASSWORD", "valueFrom": { "secretKeyRef": { "name": "till", "key": "password" } } }],
                        "resources": { "requests": { "cpu": "1000m", "memory": "64Mi" } },
                    }] },
                },
            },
        }),
    ];
    for object in objects {
        let path = path_of(&object);
        let (all, _) = path.rsplit_once('/').unwrap();
        stage.api.create(all, &object).await;
    }
    runs(stage, name).await;
}

/// Returns when both Pods of the shop are there.
pub(crate) async fn runs(stage: &Stage, name: &str) {
    until(&format!("{name} runs"), async || {
        let counter = stage
            .api
            .get(&path("apps/v1", "Deployment", name, "counter"))
            .await;
        counter.is_some_and(|counter| counter["status"]["availableReplicas"] == 2)
    })
    .await;
}

/// Deletes it; returns when nothing is left of it.
pub(crate) async fn close(stage: &Stage, name: &str) {
    stage.api.delete(&path("v1", "Namespace", "", name)).await;
}

/// All that is in it, by kind and name, as it has to come back: without what the server gives to each object anew,
/// and without the two labels by which Velero marks what it restored.
pub(crate) async fn inventory(stage: &Stage, name: &str) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for (api_version, kind) in KINDS {
        for mut object in stage.api.list(&path(api_version, kind, name, "")).await {
            let key = format!("{kind} {}", object["metadata"]["name"].as_str().unwrap());
            if key == "ConfigMap kube-root-ca.crt" {
                // Each cluster writes its own.
                continue;
            }
            strip(&mut object);
            all.insert(key, object);
        }
    }
    let mut namespace = stage
        .api
        .get(&path("v1", "Namespace", "", name))
        .await
        .expect("it is there");
    strip(&mut namespace);
    all.insert("Namespace".to_owned(), namespace);
    all
}

fn strip(object: &mut Value) {
    let object = object.as_object_mut().unwrap();
    object.remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
    ] {
        metadata.remove(field);
    }
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.remove("velero.io/backup-name");
        labels.remove("velero.io/restore-name");
        if labels.is_empty() {
            metadata.remove("labels");
        }
    }
    // Addresses within the cluster, which Velero leaves to the server.
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
}
