//! Manifests of many types.

use serde_json::{Value as Json, json};

/// Manifests as people write them, with all that servers rewrite: quantities, defaults in lists that are one value,
/// empty fields, lists by key.
#[allow(clippy::too_many_lines, reason = "a list, one entry a type")]
pub fn many(namespace: &str) -> Vec<Json> {
    let metadata = |name: &str| json!({ "name": name, "namespace": namespace, "labels": { "app": "x" } });
    let pod = json!({
        "serviceAccountName": "x",
        "securityContext": {},
        "tolerations": [{ "key": "a", "operator": "Exists" }],
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [
            { "weight": 1, "preference": { "matchExpressions": [{ "key": "k", "operator": "Exists" }] } },
        ]}},
        "volumes": [
            { "name": "empty", "emptyDir": {} },
            { "name": "sized", "emptyDir": { "sizeLimit": "1024Mi" } },
            { "name": "config", "configMap": { "name": "x", "items": [{ "key": "a", "path": "b" }] } },
            { "name": "secret", "secret": { "secretName": "x", "optional": true } },
            { "name": "token", "projected": { "sources": [
                { "serviceAccountToken": { "audience": "x", "path": "token" } },
                { "downwardAPI": { "items": [{ "path": "l", "fieldRef": { "fieldPath": "metadata.labels" } }] } },
            ]}},
        ],
        "initContainers": [
            { "name": "i1", "image": "example.org/i:1", "volumeMounts": [{ "mountPath": "/target", "name": "empty" }] },
            { "name": "i2", "image": "example.org/i:2" },
        ],
        "containers": [{
            "name": "c", "image": "example.org/c:1", "command": ["/c"], "args": ["a", "b"],
            "ports": [{ "name": "m", "containerPort": 8085 }, { "containerPort": 53, "protocol": "UDP" }],
            "env": [
                { "name": "A", "value": "1" },
                { "name": "EMPTY", "value": "" },
                { "name": "NS", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
                { "name": "CPU", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu" } } },
                { "name": "S", "valueFrom": { "secretKeyRef": { "name": "x", "key": "y" } } },
            ],
            "envFrom": [{ "configMapRef": { "name": "x" } }],
            "resources": { "requests": { "cpu": "500m", "memory": "128Mi" }, "limits": { "cpu": "1000m", "memory": "0.5Gi" } },
            "volumeMounts": [{ "name": "empty", "mountPath": "/a", "readOnly": false }, { "name": "token", "mountPath": "/b" }],
            "livenessProbe": { "httpGet": { "path": "/", "port": "m" } },
            "securityContext": { "runAsNonRoot": true, "capabilities": { "drop": ["ALL"] } },
        }],
    });
    let template =
        json!({ "metadata": { "labels": { "app": "x" }, "creationTimestamp": null }, "spec": pod });
    let selector = json!({ "matchLabels": { "app": "x" } });
    let of = |api: &str, kind: &str, rest: Json| {
        let mut manifest = json!({ "apiVersion": api, "kind": kind, "metadata": metadata("x") });
        manifest
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        manifest
    };
    vec![
        of(
            "v1",
            "ServiceAccount",
            json!({ "imagePullSecrets": [{ "name": "x" }], "automountServiceAccountToken": false }),
        ),
        of(
            "v1",
            "ConfigMap",
            json!({ "data": { "a": "1000m", "empty": "", "long": "x\ny\n" }, "binaryData": { "b": "AAE=" } }),
        ),
        of(
            "v1",
            "Secret",
            json!({ "stringData": { "a": "b" }, "data": { "c": "ZA==" }, "type": "Opaque" }),
        ),
        of(
            "v1",
            "Service",
            json!({ "spec": {
                "selector": { "app": "x" }, "type": "ClusterIP", "sessionAffinity": "None",
                "ports": [{ "name": "m", "port": 8085, "targetPort": "m" }, { "name": "u", "port": 8085, "protocol": "UDP" }],
            }}),
        ),
        of(
            "v1",
            "ResourceQuota",
            json!({ "spec": { "hard": { "requests.cpu": "10000m", "pods": 10 } } }),
        ),
        of(
            "v1",
            "LimitRange",
            json!({ "spec": { "limits": [{ "type": "Container", "default": { "cpu": "1000m" } }] } }),
        ),
        of(
            "v1",
            "PersistentVolumeClaim",
            json!({ "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1024Mi" } },
            }}),
        ),
        of("v1", "Pod", json!({ "spec": pod })),
        of(
            "apps/v1",
            "Deployment",
            json!({ "spec": {
                "replicas": 1, "selector": selector, "template": template, "strategy": {},
            }}),
        ),
        of(
            "apps/v1",
            "DaemonSet",
            json!({ "spec": { "selector": selector, "template": template } }),
        ),
        of(
            "apps/v1",
            "StatefulSet",
            json!({ "spec": {
                "serviceName": "x", "selector": selector, "template": template,
                "volumeClaimTemplates": [{
                    "metadata": { "name": "d" },
                    "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
                }],
            }}),
        ),
        of(
            "batch/v1",
            "CronJob",
            json!({ "spec": {
                "schedule": "* * * * *",
                "jobTemplate": { "spec": { "template": { "spec": {
                    "restartPolicy": "Never", "containers": [{ "name": "c", "image": "example.org/c:1" }],
                }}}},
            }}),
        ),
        of(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            json!({ "spec": {
                "podSelector": {}, "policyTypes": ["Ingress"],
                "ingress": [{ "from": [{ "namespaceSelector": {} }], "ports": [{ "port": 80 }] }],
            }}),
        ),
        of(
            "networking.k8s.io/v1",
            "Ingress",
            json!({ "spec": { "rules": [{ "host": "x.example.org", "http": { "paths": [
                { "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "x", "port": { "number": 80 } } } },
            ]}}]}}),
        ),
        of(
            "policy/v1",
            "PodDisruptionBudget",
            json!({ "spec": { "minAvailable": 1, "selector": selector } }),
        ),
        of(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            json!({ "spec": {
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "x" }, "maxReplicas": 3,
                "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": {
                    "type": "AverageValue", "averageValue": "1000m",
                }}}],
            }}),
        ),
        of(
            "rbac.authorization.k8s.io/v1",
            "Role",
            json!({ "rules": [
                { "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"] },
            ]}),
        ),
        of(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            json!({
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x" },
                "subjects": [
                    { "kind": "ServiceAccount", "name": "x", "namespace": namespace },
                    { "kind": "User", "name": "x" },
                ],
            }),
        ),
        of(
            "coordination.k8s.io/v1",
            "Lease",
            json!({ "spec": { "leaseDurationSeconds": 5 } }),
        ),
    ]
}
