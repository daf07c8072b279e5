//! Whether a location is there to be used is for Velero to say.

use holdfast_e2e::{NAMESPACE, Stage, changes, path, until_within};
use holdfast_testbed::{Action, Rule};
use serde_json::json;

use crate::support::{SOON, phase, set_up, with_velero, with_velero_stopped};

const LOCATION: &str = "default";

#[test]
fn without_velero_the_location_never_converges_and_with_it_it_does() {
    with_velero_stopped(async |stage| {
        // A verdict of an earlier day is none of today.
        stage
            .api
            .delete(&path(
                "velero.io/v1",
                "BackupStorageLocation",
                NAMESPACE,
                LOCATION,
            ))
            .await;
        let arguments = ["apply", "policies/managed-velero", "--yes", "--timeout", "15s"];
        let apply = stage.holdfast(&arguments).await.exits(2);
        assert!(
            apply.stdout.contains("BackupStorageLocation/default"),
            "{}",
            apply.stdout
        );
        println!("{}", apply.stdout);
        assert_eq!(phase(stage, LOCATION).await, "");

        let velero = set_up(stage).await;
        assert_eq!(phase(stage, LOCATION).await, "Available");
        let _ = stage.plan().await.exits(0);
        let version = velero.run(&["version"]).await.unwrap();
        assert!(version.contains("Server:"), "{version}");
        println!("{version}");
    });
}

#[test]
fn a_location_that_velero_finds_unavailable_is_not_converged_until_it_is_available_again() {
    with_velero(async |stage, _| {
        stage
            .s3
            .inject(Rule::new(Action::error(403, "AccessDenied")).query("list-type"));
        until_within(SOON, "Velero finds the location unavailable", async || {
            phase(stage, LOCATION).await == "Unavailable"
        })
        .await;
        let apply = ["apply", "policies/managed-velero", "--yes", "--timeout", "5s"];
        let apply = stage.holdfast(&apply).await;
        println!("{}", apply.stdout);
        let apply = apply.exits(2);
        assert!(
            apply.stdout.contains("BackupStorageLocation/default"),
            "{}",
            apply.stdout
        );
        // It isn't ours to mend: what we declare of it is as declared.
        let plan = stage.plan().await.exits(2).report();
        assert_eq!(changes(&plan).len(), 0, "{plan:#}");
        let mut checks = plan["checks"].as_array().unwrap().iter();
        let failed = checks
            .find(|check| check["verdict"] == "fail")
            .expect("a check fails");
        let message = failed["message"].as_str().unwrap();
        println!("{message}");
        assert!(
            message.starts_with("Velero can neither back up to default nor restore from there"),
            "{message}"
        );
        assert!(message.contains("AccessDenied"), "Velero's own words: {message}");
        stage.s3.heal();
        until_within(SOON, "Velero finds it available again", async || {
            phase(stage, LOCATION).await == "Available"
        })
        .await;
        let _ = stage
            .apply()
            .await
            .exits(0)
            .says("0 created, 0 changed, 0 deleted");
    });
}

#[test]
fn a_location_that_somebody_points_elsewhere_is_pointed_back_and_available() {
    with_velero(async |stage, _| {
        let location = path("velero.io/v1", "BackupStorageLocation", NAMESPACE, LOCATION);
        let elsewhere = json!({ "spec": { "objectStorage": { "bucket": "managed-velero-backups-gone" } } });
        stage.api.patch(&location, &elsewhere).await;
        until_within(SOON, "Velero misses the other bucket", async || {
            phase(stage, LOCATION).await == "Unavailable"
        })
        .await;
        let _ = stage.plan().await.exits(2);
        let arguments = ["apply", "policies/managed-velero", "--yes", "--timeout", "180s"];
        let _ = stage.holdfast(&arguments).await.exits(0);
        assert_eq!(phase(stage, LOCATION).await, "Available");
        let bucket = stage.bucket().await.unwrap();
        let spec = stage.api.get(&location).await.unwrap()["spec"].clone();
        assert_eq!(spec["objectStorage"]["bucket"], bucket.as_str());
        assert_still(stage).await;
    });
}

/// Nothing is left to do.
async fn assert_still(stage: &Stage) {
    let _ = stage.plan().await.exits(0);
}
