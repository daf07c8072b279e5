//! Taking over a cluster that the Managed Velero Operator has run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::BTreeMap;

use holdfast_e2e::{BUCKET, MANAGER, NAMESPACE, Output, Stage, on_stage, path, until};
use serde_json::{Value, json};

const POLICY: &str = "policies/managed-velero";
const PLAN: [&str; 3] = ["plan", POLICY, "--detailed-exitcode"];
const INSTALL: (&str, &str, &str) = ("managed.openshift.io/v1alpha2", "VeleroInstall", "cluster");
const SERVER: (&str, &str, &str) = ("apps/v1", "Deployment", "velero");
const LOCK: (&str, &str, &str) = ("v1", "ConfigMap", "managed-velero-operator-lock");
/// What is taken over.
const KEPT: [(&str, &str, &str); 8] = [
    INSTALL,
    ("velero.io/v1", "BackupStorageLocation", "default"),
    ("velero.io/v1", "VolumeSnapshotLocation", "default"),
    (
        "cloudcredential.openshift.io/v1",
        "CredentialsRequest",
        "velero-iam-credentials",
    ),
    SERVER,
    ("v1", "Service", "velero-metrics"),
    ("monitoring.coreos.com/v1", "ServiceMonitor", "velero-metrics"),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "veleroinstalls.managed.openshift.io",
    ),
];

async fn read(stage: &Stage, (api_version, kind, name): (&str, &str, &str)) -> Value {
    let found = stage.object(api_version, kind, name).await;
    found.unwrap_or_else(|| panic!("{kind} {name} is gone"))
}

async fn uids(stage: &Stage) -> BTreeMap<String, Value> {
    let mut uids = BTreeMap::new();
    for which in KEPT {
        let uid = read(stage, which).await["metadata"]["uid"].clone();
        uids.insert(format!("{} {}", which.1, which.2), uid);
    }
    uids
}

async fn scale_the_predecessor_to_nothing(stage: &Stage) {
    let deployment = path("apps/v1", "Deployment", NAMESPACE, MANAGER);
    stage
        .api
        .patch(&deployment, &json!({ "spec": { "replicas": 0 } }))
        .await;
}

async fn stop_the_predecessor(stage: &Stage) {
    scale_the_predecessor_to_nothing(stage).await;
    let pod = path("v1", "Pod", NAMESPACE, "managed-velero-operator-0");
    stage.api.delete(&pod).await;
}

/// Without what differs from run to run.
fn told(output: &Output) -> String {
    let text = output.stdout.clone();
    assert!(!text.is_empty(), "{output:?}");
    text
}

/// The story of a takeover, told in the order in which it happens.
#[test]
fn a_cluster_that_the_predecessor_has_run_is_taken_over_and_loses_nothing() {
    on_stage(async |stage| {
        stage.stand_up_the_predecessor().await;
        let before = uids(stage).await;
        while_it_runs_nothing_is_written(stage).await;
        stop_the_predecessor(stage).await;
        the_plan_shows_what_gets_better(stage).await;
        one_apply_takes_over(stage).await;
        assert_eq!(uids(stage).await, before, "nothing was made anew");
        what_is_left_of_the_predecessor_can_go(stage).await;
        assert_eq!(uids(stage).await, before, "nothing went with it");
        the_record_can_go_and_the_bucket_is_recalled(stage).await;
    });
}

async fn while_it_runs_nothing_is_written(stage: &Stage) {
    let (plan, witness) = stage.witness(&PLAN).await;
    println!("{}", told(&plan));
    assert_eq!(witness.writes(), [""; 0]);
    drop(
        plan.says("the Managed Velero Operator still runs here")
            .says("ClusterPackage managed-velero-operator"),
    );
    scale_the_predecessor_to_nothing(stage).await;
    let (plan, witness) = stage.witness(&["apply", POLICY, "--yes"]).await;
    println!("{}", told(&plan));
    assert_eq!(witness.writes(), [""; 0]);
    drop(plan.says("Pod openshift-velero/managed-velero-operator-0 holds its lock"));
}

async fn the_plan_shows_what_gets_better(stage: &Stage) {
    let (plan, witness) = stage.witness(&PLAN).await;
    println!("{}\n{}", told(&plan), witness.summary());
    assert_eq!(witness.writes(), [""; 0]);
    drop(plan.exits(2));
}

async fn one_apply_takes_over(stage: &Stage) {
    let server = read(stage, SERVER).await;
    let (apply, witness) = stage
        .witness(&["apply", POLICY, "--yes", "--timeout", "60s"])
        .await;
    println!("{}\n{}", told(&apply), witness.summary());
    drop(apply.exits(0).says("2 deleted"));
    let plan = stage.holdfast(&PLAN).await;
    println!("{}", told(&plan));
    drop(plan.exits(0));

    for which in KEPT {
        let object = read(stage, which).await;
        assert_eq!(
            object["metadata"].get("ownerReferences"),
            None,
            "{} {} goes with nobody",
            which.1,
            which.2
        );
    }
    let lock = read(stage, LOCK).await;
    assert_eq!(lock["metadata"].get("ownerReferences"), None, "{lock:#}");
    let taken = read(stage, SERVER).await;
    let image = |server: &Value, kind: &str| server["spec"]["template"]["spec"][kind][0]["image"].clone();
    for kind in ["containers", "initContainers"] {
        assert_eq!(image(&taken, kind), image(&server, kind), "what runs stays");
    }
    let env = taken["spec"]["template"]["spec"]["containers"][0]["env"].to_string();
    assert!(
        !env.contains("AWS_ACCESS_KEY_ID") && env.contains("AWS_SHARED_CREDENTIALS_FILE"),
        "{env}"
    );
    let holders = taken["metadata"]["managedFields"].to_string();
    assert!(!holders.contains(MANAGER), "{holders}");
    for (api_version, kind) in [("v1", "Service"), ("monitoring.coreos.com/v1", "ServiceMonitor")] {
        let gone = stage
            .object(api_version, kind, "managed-velero-operator-metrics")
            .await;
        assert_eq!(gone, None);
    }
    // Until somebody asks for another.
    let asked = stage
        .holdfast(&["plan", POLICY, "--set", "image=docker.io/velero/velero:v1.18.3"])
        .await
        .exits(0);
    drop(asked.says("containers[velero].image").says("1 to change"));
    // Its sign-in goes only when there is another.
    let request = (
        "cloudcredential.openshift.io/v1",
        "CredentialsRequest",
        "managed-velero-operator-iam-credentials-aws",
    );
    drop(read(stage, request).await);
    let ledger = stage.ledger().await.expect("a ledger");
    assert_eq!(ledger["names"]["bucket"], BUCKET, "{ledger:#}");
    assert_eq!(stage.our_buckets().await, [BUCKET]);
}

/// Waits until the garbage collector has seen that `owner` is gone: it has collected what was made to go with it.
async fn collected(stage: &Stage, owner: &Value, delete: impl AsyncFnOnce()) {
    let canary = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "canary", "namespace": NAMESPACE, "ownerReferences": [{
            "apiVersion": owner["apiVersion"], "kind": owner["kind"],
            "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        }] },
    });
    let all = path("v1", "ConfigMap", NAMESPACE, "");
    stage.api.create(&all, &canary).await;
    delete().await;
    until("the garbage collector has been here", async || {
        stage.object("v1", "ConfigMap", "canary").await.is_none()
    })
    .await;
}

async fn what_is_left_of_the_predecessor_can_go(stage: &Stage) {
    let package = path("package-operator.run/v1alpha1", "ClusterPackage", "", MANAGER);
    let owner = stage.api.get(&package).await.expect("it is there");
    collected(stage, &owner, async || {
        let deployment = path("apps/v1", "Deployment", NAMESPACE, MANAGER);
        stage.api.delete(&deployment).await;
        stage.api.delete(&package).await;
    })
    .await;
    let plan = stage.holdfast(&PLAN).await.exits(0);
    assert!(!plan.stdout.contains("would start"), "{}", plan.stdout);
}

async fn the_record_can_go_and_the_bucket_is_recalled(stage: &Stage) {
    let mut before = uids(stage).await;
    let install = read(stage, INSTALL).await;
    collected(stage, &install, async || {
        let install = path(INSTALL.0, INSTALL.1, NAMESPACE, INSTALL.2);
        stage.api.delete(&install).await;
    })
    .await;
    drop(
        stage
            .apply()
            .await
            .exits(0)
            .says("1 created, 0 changed, 0 deleted"),
    );
    assert_eq!(
        stage.bucket().await.as_deref(),
        Some(BUCKET),
        "recalled from the ledger"
    );
    assert_eq!(stage.our_buckets().await, [BUCKET]);
    let mut after = uids(stage).await;
    let install = format!("{} {}", INSTALL.1, INSTALL.2);
    assert_ne!(before.remove(&install), after.remove(&install));
    assert_eq!(after, before, "nothing went with it");
}

async fn backup(stage: &Stage, phase: &str) {
    let backups = path("velero.io/v1", "Backup", NAMESPACE, "");
    let backup = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": { "name": "nightly", "namespace": NAMESPACE }, "spec": { "ttl": "720h0m0s" },
    });
    stage.api.create(&backups, &backup).await;
    stage
        .api
        .patch(
            &format!("{backups}/nightly"),
            &json!({ "status": { "phase": phase } }),
        )
        .await;
}

/// At its start Velero fails what it finds in progress.
#[test]
fn velero_is_not_restarted_while_a_backup_is_in_progress() {
    on_stage(async |stage| {
        stage.stand_up_the_predecessor().await;
        stop_the_predecessor(stage).await;
        let before = read(stage, SERVER).await;
        backup(stage, "InProgress").await;
        let plan = stage.holdfast(&PLAN).await.exits(2);
        println!("{}", told(&plan));
        drop(plan.says("waits: Backup nightly is in progress"));
        let apply = stage
            .holdfast(&["apply", POLICY, "--yes", "--timeout", "10s"])
            .await
            .exits(2);
        println!("{}", told(&apply));
        drop(apply.says("Backup nightly is in progress"));
        let generation = |server: &Value| server["metadata"]["generation"].clone();
        assert_eq!(generation(&read(stage, SERVER).await), generation(&before));
        let location = read(stage, KEPT[1]).await;
        assert_eq!(
            location["metadata"].get("ownerReferences"),
            None,
            "all else goes ahead"
        );

        backup(stage, "Completed").await;
        drop(stage.apply().await.exits(0));
        let env = read(stage, SERVER).await["spec"]["template"]["spec"]["containers"][0]["env"].to_string();
        assert!(!env.contains("AWS_ACCESS_KEY_ID"), "{env}");

        // New keys: Velero reads them once, at its start, and is started for them when nothing is in progress.
        backup(stage, "InProgress").await;
        let secret = path("v1", "Secret", NAMESPACE, "velero-iam-credentials");
        let rotated = json!({ "stringData": { "aws_access_key_id": "rotated" } });
        stage.api.patch(&secret, &rotated).await;
        let plan = stage.holdfast(&PLAN).await.exits(2);
        println!("{}", told(&plan));
        drop(
            plan.says("holdfast.dev/credentials")
                .says("waits: Backup nightly is in progress"),
        );
        let waiting = stage
            .holdfast(&["apply", POLICY, "--yes", "--timeout", "5s"])
            .await;
        drop(waiting.exits(2));
        let held = stage.ledger().await.expect("a ledger");
        assert!(held["held"]["server"].is_string(), "{held:#}");

        // It waits for a day, and no longer.
        stage
            .edit_ledger(|ledger| ledger["held"]["server"] = json!("2026-01-01T00:00:00Z"))
            .await;
        let overdue = stage.apply().await.exits(0);
        println!("{}\n{}", told(&overdue), overdue.stderr);
        drop(overdue.says("went ahead although Backup nightly is in progress"));
        drop(stage.holdfast(&PLAN).await.exits(0));
        backup(stage, "Completed").await;
    });
}
