//! A stage with Velero on it.

use std::{path::Path, time::Duration};

use holdfast_e2e::{NAMESPACE, Stage, on_stage_without_velero, path, until};
use holdfast_testbed::Velero;
use serde_json::Value;
use tokio::sync::Mutex;

/// Velero looks at a location, and at what lies in it, each minute.
pub(crate) const SOON: Duration = Duration::from_mins(3);

static VELERO: Mutex<Option<Velero>> = Mutex::const_new(None);

/// Runs `test` where managed-velero has converged and Velero runs as it says.
pub(crate) fn with_velero(test: impl AsyncFnOnce(&Stage, &Velero)) {
    on_stage_without_velero(async |stage| {
        let mut shared = VELERO.lock().await;
        if shared
            .as_ref()
            .is_none_or(|velero| velero.server().exited().is_some())
        {
            *shared = Some(set_up(stage).await);
        }
        let _ = stage.converged().await;
        test(stage, shared.as_ref().expect("it was just started")).await;
    });
}

/// Runs `test` where Velero doesn't run.
pub(crate) fn with_velero_stopped(test: impl AsyncFnOnce(&Stage)) {
    on_stage_without_velero(async |stage| {
        drop(VELERO.lock().await.take());
        test(stage).await;
    });
}

/// Applies managed-velero. As soon as its Deployment could have a Pod, Velero runs; so the apply ends well.
pub(crate) async fn set_up(stage: &Stage) -> Velero {
    let arguments = ["apply", "policies/managed-velero", "--yes", "--timeout", "120s"];
    let apply = stage.begin(&arguments, &[]);
    let velero = start(stage).await;
    let _ = apply.finish().await.exits(0).says("converged.");
    velero
}

/// Starts Velero, when its Deployment and the Secret that it mounts are there.
pub(crate) async fn start(stage: &Stage) -> Velero {
    until("Velero's Pod could start", async || {
        stage.object("apps/v1", "Deployment", "velero").await.is_some()
            && stage
                .object("v1", "Secret", "velero-iam-credentials")
                .await
                .is_some()
    })
    .await;
    Velero::start(&stage.cluster, NAMESPACE).await.unwrap()
}

/// The phase of a storage location; empty where Velero hasn't looked yet.
pub(crate) async fn phase(stage: &Stage, location: &str) -> String {
    let location = stage
        .object("velero.io/v1", "BackupStorageLocation", location)
        .await;
    let phase = location.map(|location| location["status"]["phase"].clone());
    phase
        .as_ref()
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Backs up, and returns when it is done and nothing is missing. A backup of this name that was there is deleted first.
pub(crate) async fn back_up(stage: &Stage, velero: &Velero, name: &str, arguments: &[&str]) {
    let mut all = vec!["backup", "create", name, "--snapshot-volumes=false", "--wait"];
    all.extend(arguments);
    let said = velero.run(&all).await.unwrap();
    let backup = stage.object("velero.io/v1", "Backup", name).await.unwrap();
    assert_eq!(
        backup["status"]["phase"],
        "Completed",
        "{said}\n{}",
        velero.server().log()
    );
}

/// Restores, and returns when it is done. Warnings are returned, errors are none.
pub(crate) async fn restore(stage: &Stage, velero: &Velero, backup: &str, arguments: &[&str]) -> Value {
    let number = stage
        .api
        .list(&path("velero.io/v1", "Restore", NAMESPACE, ""))
        .await
        .len();
    let name = format!("{backup}-{number}");
    let mut all = vec!["restore", "create", &name, "--from-backup", backup, "--wait"];
    all.extend(arguments);
    let said = velero.run(&all).await.unwrap();
    let restore = stage.object("velero.io/v1", "Restore", &name).await.unwrap();
    assert_eq!(
        restore["status"]["phase"],
        "Completed",
        "{said}\n{}",
        velero.server().log()
    );
    assert!(restore["status"]["errors"].is_null(), "{restore:#}");
    restore
}

/// The objects in a backup, as the store holds them: each with its kind, namespace and name.
pub(crate) async fn contents(velero: &Velero, backup: &str, folder: &Path) -> Vec<String> {
    let file = folder.join(format!("{backup}.tar.gz"));
    let file = file.to_str().unwrap();
    velero
        .run(&["backup", "download", backup, "--force", "--output", file])
        .await
        .unwrap();
    let output = std::process::Command::new("tar")
        .args(["-tzf", file])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}
