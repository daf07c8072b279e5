//! What the chart allows, held against what the enforcer does with it: the program as the chart's Deployment starts it, with
//! the token of the chart's account and nothing else, keeps managed-velero as the chart installs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests"
)]

use holdfast_e2e::{NAMESPACE, Power, Release, STATE, Stage, denied, on_stage, path, path_of, until};
use holdfast_testbed::{AuditEvent, helm, kubectl_with_input};
use serde_json::{Value, json};

const ENGINE: &str = "system:serviceaccount:holdfast-system:holdfast";
const VELERO: &str = "system:serviceaccount:holdfast-system:managed-velero";

/// What tells the policy's objects from others.
const LABEL: &str = "/metadata/labels/holdfast.dev~1policy";

/// What is granted and goes unused here, each with its reason.
const UNUSED: [&str; 1] = [
    // Helm makes it, as roles that lie in it come along. Who deletes it has it made again by this.
    "create /namespaces openshift-velero in everywhere",
];

/// A kind that its own operator would bring along.
const KINDS: [(&str, &str, &str, &str); 5] = [
    ("wgpolicyk8s.io", "v1alpha2", "PolicyReport", "Namespaced"),
    ("operators.coreos.com", "v1alpha1", "Subscription", "Namespaced"),
    (
        "operators.coreos.com",
        "v1alpha1",
        "ClusterServiceVersion",
        "Namespaced",
    ),
    ("package-operator.run", "v1alpha1", "ClusterPackage", "Cluster"),
    ("hive.openshift.io", "v1", "SelectorSyncSet", "Cluster"),
];

async fn apply(stage: &Stage, object: &Value) {
    let list = object.to_string();
    kubectl_with_input(&stage.cluster, &["apply", "--filename", "-"], &list)
        .await
        .unwrap();
}

/// The kinds of others that the policy looks for.
async fn define_others(stage: &Stage) {
    for (group, version, kind, scope) in KINDS {
        let singular = kind.to_lowercase();
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{singular}s.{group}") },
            "spec": {
                "group": group, "scope": scope,
                "names": { "kind": kind, "listKind": format!("{kind}List"), "plural": format!("{singular}s"), "singular": singular },
                "versions": [{
                    "name": version, "served": true, "storage": true,
                    "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                }],
            },
        });
        apply(stage, &definition).await;
        let all = path(&format!("{group}/{version}"), kind, "", "");
        until(&format!("{all} is served"), async || {
            stage.api.get(&all).await.is_some()
        })
        .await;
    }
}

/// A Pod that holds the lock of the operator before.
async fn hold_the_lock(stage: &Stage) -> String {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "former", "namespace": NAMESPACE },
        "spec": { "containers": [{ "name": "operator", "image": "localhost/former" }] },
    });
    apply(stage, &pod).await;
    let pod = path_of(&pod);
    let uid = stage.api.get(&pod).await.unwrap()["metadata"]["uid"].clone();
    let owner = json!({ "apiVersion": "v1", "kind": "Pod", "name": "former", "uid": uid });
    let lock = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "managed-velero-operator-lock", "namespace": NAMESPACE, "ownerReferences": [owner] },
    });
    apply(stage, &lock).await;
    pod
}

/// What the policy keeps in the cluster: all that bears its label, beside the ledger.
async fn kept(stage: &Stage) -> Vec<String> {
    let mut kept = Vec::new();
    for (version, kind) in [
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("apps/v1", "Deployment"),
        ("cloudcredential.openshift.io/v1", "CredentialsRequest"),
        ("managed.openshift.io/v1alpha2", "VeleroInstall"),
        ("monitoring.coreos.com/v1", "ServiceMonitor"),
        ("v1", "ConfigMap"),
        ("v1", "Namespace"),
        ("v1", "Service"),
        ("velero.io/v1", "BackupStorageLocation"),
        ("velero.io/v1", "VolumeSnapshotLocation"),
    ] {
        let objects = stage.api.list(&path(version, kind, "", "")).await;
        let is_ours =
            |object: &&Value| object.pointer(LABEL).is_some() && object["metadata"]["namespace"] != STATE;
        let ours = objects.iter().filter(is_ours);
        kept.extend(ours.map(path_of));
    }
    kept
}

async fn spoil_every_object(stage: &Stage) {
    let kept = kept(stage).await;
    assert!(kept.len() > 20, "{kept:#?}");
    let gone = json!({ "metadata": { "labels": { "holdfast.dev/policy": null } } });
    for place in &kept {
        stage.api.patch(place, &gone).await;
    }
    for place in &kept {
        until(&format!("{place} bears its label again"), async || {
            stage
                .api
                .get(place)
                .await
                .unwrap_or_default()
                .pointer(LABEL)
                .is_some()
        })
        .await;
    }
}

/// Whom the chart's roles are for, by what binds them.
fn roles_of(documents: &[Value], account: &str) -> Vec<Value> {
    let named = |value: &Value| (value["kind"].clone(), value["name"].clone());
    let bindings = documents.iter().filter(|document| {
        let subjects = document["subjects"].as_array().into_iter().flatten();
        let mut accounts = subjects.map(|subject| subject["name"].as_str().unwrap_or_default());
        accounts.any(|name| name == account)
    });
    let bound: Vec<_> = bindings
        .map(|binding| {
            (
                named(&binding["roleRef"]),
                binding["metadata"]["namespace"].clone(),
            )
        })
        .collect();
    let roles = documents.iter().filter(|role| {
        let own = (role["kind"].clone(), role["metadata"]["name"].clone());
        let place = &role["metadata"]["namespace"];
        bound
            .iter()
            .any(|(bound, binding)| *bound == own && (place.is_null() || place == binding))
    });
    roles.cloned().collect()
}

#[test]
fn the_charts_account_keeps_managed_velero_with_every_verb_it_has_and_is_denied_nothing() {
    on_stage(async |stage| {
        define_others(stage).await;
        let release = Release { stage };
        release
            .upgrade(&["policies.managed-velero.parameters.expiryDays=90"])
            .await;
        let pod = hold_the_lock(stage).await;
        let mark = stage.cluster.mark().await.unwrap();
        let enforcer = release.start(&[]).await;
        release.is("managed-velero", "RequirementUnmet").await;
        stage.api.delete(&pod).await;
        release.is("managed-velero", "Converged").await;
        let bucket = stage.bucket().await.unwrap();

        spoil_every_object(stage).await;
        for (version, kind, name) in [
            ("apps/v1", "Deployment", "velero"),
            ("velero.io/v1", "BackupStorageLocation", "default"),
        ] {
            let place = path(version, kind, NAMESPACE, name);
            stage.api.delete(&place).await;
            until(&format!("{place} is there again"), async || {
                stage.api.get(&place).await.is_some()
            })
            .await;
        }
        leave_remains(stage).await;
        stage.store().unset(&bucket, "publicAccessBlock").await;
        release.look("managed-velero", "drift").await;
        release.is("managed-velero", "Converged").await;
        until("the bucket is private again", async || {
            let block = stage.store().read(&bucket, "publicAccessBlock").await;
            block.matches("true").count() == 4
        })
        .await;

        // Somebody writes into the report; what is found anew goes there all the same.
        let report = path("wgpolicyk8s.io/v1alpha2", "PolicyReport", STATE, "managed-velero");
        let found = stage.api.get(&report).await.unwrap();
        let pass = &found["summary"]["pass"];
        stage
            .api
            .patch(&report, &json!({ "summary": { "pass": 4711 } }))
            .await;
        release
            .upgrade(&["policies.managed-velero.parameters.expiryDays=120"])
            .await;
        until("the bucket drops files later", async || {
            stage
                .store()
                .read(&bucket, "lifecycle")
                .await
                .contains("<Days>120</Days>")
        })
        .await;
        release.is("managed-velero", "Converged").await;
        until("the report is the enforcer's again", async || {
            stage.api.get(&report).await.unwrap()["summary"]["pass"] == *pass
        })
        .await;

        keep_and_remove_one_of_nobody(&release).await;
        stage.api.delete(&Release::policies("managed-velero")).await;
        let ended = enforcer.end().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);

        let events = stage.cluster.since(mark).await.unwrap();
        // What Policies are denied that name nobody is theirs: their account may do next to nothing.
        let of_others = |event: &&AuditEvent| {
            event
                .impersonated
                .as_deref()
                .is_none_or(|acting| acting == VELERO)
        };
        let charted: Vec<AuditEvent> = events.iter().filter(of_others).cloned().collect();
        for account in [ENGINE, VELERO] {
            assert_eq!(denied(&charted, account), [""; 0], "{account}");
        }
        let ours = events
            .iter()
            .filter(|event| event.user_agent.starts_with("holdfast/"));
        let users: std::collections::BTreeSet<_> = ours.map(|event| event.user.as_str()).collect();
        assert_eq!(users, [ENGINE].into(), "the program came as somebody else");
        let manifest = helm(
            Some(&stage.cluster),
            &["get", "manifest", "holdfast", "--namespace", STATE],
        )
        .await;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&manifest.unwrap()).unwrap();
        let (acting, own): (Vec<AuditEvent>, Vec<AuditEvent>) = events
            .into_iter()
            .filter(|event| event.user == ENGINE)
            .partition(|event| event.impersonated.is_some());
        let engine = roles_of(&documents, "holdfast");
        let velero = roles_of(&documents, "managed-velero");
        assert!(engine.len() >= 3 && velero.len() >= 4, "{documents:#?}");
        let mut unused = Power::of(&engine).unused(&[own, acting.clone()].concat());
        let as_velero: Vec<_> = acting
            .into_iter()
            .filter(|event| event.impersonated.as_deref() == Some(VELERO))
            .collect();
        unused.extend(Power::of(&velero).unused(&as_velero));
        // By its name each is read only where a list doesn't tell of it, or to make sure that it is gone: for which names that
        // comes to pass is left to chance.
        unused.retain(|line| !line.starts_with("get "));
        assert_eq!(unused, UNUSED);
    });
}

/// What the operator before may have left: it goes.
async fn leave_remains(stage: &Stage) {
    let metrics = "managed-velero-operator-metrics";
    let credentials = ["aws", "gcp"].map(|cloud| format!("managed-velero-operator-iam-credentials-{cloud}"));
    let secret =
        json!({ "secretRef": { "name": "managed-velero-operator-iam-credentials", "namespace": NAMESPACE } });
    let ports = json!({ "ports": [{ "port": 8383 }] });
    let requests = "cloudcredential.openshift.io/v1";
    let remains = [
        ("v1", "Service", metrics, ports),
        ("monitoring.coreos.com/v1", "ServiceMonitor", metrics, json!({})),
        (requests, "CredentialsRequest", &credentials[0], secret.clone()),
        (requests, "CredentialsRequest", &credentials[1], secret),
    ];
    for (version, kind, name, spec) in &remains {
        let object = json!({
            "apiVersion": version, "kind": kind, "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec,
        });
        let place = path_of(&object);
        stage.api.create(place.rsplit_once('/').unwrap().0, &object).await;
    }
    for (version, kind, name, _) in &remains {
        let place = path(version, kind, NAMESPACE, name);
        until(&format!("{place} is gone"), async || {
            stage.api.get(&place).await.is_none()
        })
        .await;
    }
}

/// A Policy that names no account, and takes along what it made.
async fn keep_and_remove_one_of_nobody(release: &Release<'_>) {
    let api = &release.stage.api;
    let rbac = "rbac.authorization.k8s.io";
    let may = json!({
        "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": { "name": "maps", "namespace": "default" },
                "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch", "create", "patch", "delete"] }],
            },
            {
                "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": { "name": "maps", "namespace": "default" },
                "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "maps" },
                "subjects": [{ "kind": "ServiceAccount", "name": "holdfast-default", "namespace": STATE }],
            },
        ],
    });
    apply(release.stage, &may).await;
    let policy = json!({
        "apiVersion": "holdfast.dev/v1alpha1", "kind": "Policy", "metadata": { "name": "notes" },
        "spec": { "language": 1, "limits": { "deletions": 1 }, "rules": { "note": {
            "ensure": "kubernetes/Object", "onRemove": "Delete",
            "desired": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "note", "namespace": "default" } },
        } } },
    });
    api.create(&Release::policies(""), &policy).await;
    release.is("notes", "Converged").await;
    let note = path("v1", "ConfigMap", "default", "note");
    assert!(api.get(&note).await.is_some());
    api.delete(&Release::policies("notes")).await;
    assert!(api.get(&note).await.is_none());
}
