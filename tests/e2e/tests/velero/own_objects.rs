//! Velero restores objects that the policy manages.

use holdfast_e2e::{NAMESPACE, STATE, Stage, changes, path};
use serde_json::{Value, json};

use crate::support::{back_up, contents, restore, with_velero};

/// What is lost: each kind that a restore treats in its own way.
const LOST: [(&str, &str, &str); 4] = [
    ("v1", "Service", "velero-metrics"),
    ("v1", "ConfigMap", "trusted-ca-bundle"),
    ("velero.io/v1", "VolumeSnapshotLocation", "default"),
    ("managed.openshift.io/v1alpha2", "VeleroInstall", "cluster"),
];

#[test]
fn objects_of_ours_that_velero_restores_converge_without_a_fight() {
    with_velero(async |stage, velero| {
        let bucket = stage.bucket().await.unwrap();
        back_up(stage, velero, "ourselves", &["--include-namespaces", NAMESPACE]).await;
        let mut lost = Vec::new();
        for (api_version, kind, name) in LOST {
            let place = path(api_version, kind, NAMESPACE, name);
            lost.push((place.clone(), stage.api.get(&place).await.unwrap()));
            stage.api.delete(&place).await;
        }
        let _ = restore(stage, velero, "ourselves", &[]).await;
        for (place, before) in &lost {
            let restored = stage
                .api
                .get(place)
                .await
                .unwrap_or_else(|| panic!("{place} isn't restored"));
            assert_eq!(
                restored["metadata"]["labels"]["velero.io/backup-name"],
                "ourselves"
            );
            assert_ne!(restored["metadata"]["uid"], before["metadata"]["uid"]);
        }

        println!("{:#?}", changes(&stage.plan().await.report()));
        let apply = stage.apply().await.exits(0);
        println!("{}", apply.stdout);
        assert_still(stage).await;
        assert_eq!(
            stage.bucket().await,
            Some(bucket),
            "the record is the one that was"
        );
        for (place, before) in &lost {
            let after = stage.api.get(place).await.unwrap();
            assert_eq!(
                after["metadata"]["labels"]["holdfast.dev/policy"],
                before["metadata"]["labels"]["holdfast.dev/policy"]
            );
            assert_eq!(spec(&after), spec(before), "{place}");
        }
        // Velero's mark is Velero's: what isn't declared stays.
        let service = stage.object("v1", "Service", "velero-metrics").await.unwrap();
        assert_eq!(
            service["metadata"]["labels"]["velero.io/backup-name"],
            "ourselves"
        );
    });
}

#[test]
fn a_restore_over_what_is_there_is_put_right_once() {
    with_velero(async |stage, velero| {
        back_up(stage, velero, "older", &["--include-namespaces", NAMESPACE]).await;
        // Since the backup the owner has decided otherwise.
        let arguments = [
            "apply",
            "policies/managed-velero",
            "--yes",
            "--set",
            "resources={\"limits\":{\"memory\":\"1Gi\"}}",
        ];
        let _ = stage.holdfast(&arguments).await.exits(0).says("1 changed");
        let _ = restore(stage, velero, "older", &["--existing-resource-policy", "update"]).await;
        let apply = stage.holdfast(&arguments).await.exits(0);
        println!("{}", apply.stdout);
        let (again, witness) = stage.witness(&arguments).await;
        let again = again.exits(0).says("0 created, 0 changed, 0 deleted");
        assert_eq!(witness.writes_beside_the_lease(), [""; 0], "{}", again.stdout);
        let server = stage.object("apps/v1", "Deployment", "velero").await.unwrap();
        let container = &server["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["resources"]["limits"]["memory"], "1Gi");
    });
}

#[test]
fn ledger_and_lease_are_in_no_backup() {
    with_velero(async |stage, velero| {
        // Beside them, so that their namespace is proven to be looked through.
        let witness = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "witness" } });
        stage
            .api
            .create(&path("v1", "ConfigMap", STATE, ""), &witness)
            .await;
        // A run that writes takes the lease; one with nothing to do leaves it alone.
        stage
            .api
            .delete(&path("v1", "ConfigMap", NAMESPACE, "trusted-ca-bundle"))
            .await;
        let _ = stage.converged().await;
        for (api_version, kind) in [("v1", "ConfigMap"), ("coordination.k8s.io/v1", "Lease")] {
            let kept = stage
                .api
                .get(&path(api_version, kind, STATE, "managed-velero"))
                .await;
            assert!(kept.is_some(), "{kind} isn't there to be left out");
        }
        back_up(stage, velero, "everything", &["--include-cluster-resources=true"]).await;
        let contents = contents(velero, "everything", &stage.home()).await;
        let of_state: Vec<_> = contents.iter().filter(|entry| entry.contains(STATE)).collect();
        assert!(
            of_state.iter().any(|entry| entry.ends_with("/witness.json")),
            "{of_state:?}"
        );
        let kept: Vec<_> = of_state
            .iter()
            .filter(|entry| entry.ends_with("/managed-velero.json"))
            .collect();
        assert!(kept.is_empty(), "{kept:?}");
        assert!(
            contents
                .iter()
                .any(|entry| entry.ends_with("/velero-metrics.json"))
        );
    });
}

async fn assert_still(stage: &Stage) {
    let (apply, witness) = stage
        .witness(&["apply", "policies/managed-velero", "--yes"])
        .await;
    let apply = apply.exits(0).says("0 created, 0 changed, 0 deleted");
    assert_eq!(witness.writes_beside_the_lease(), [""; 0], "{}", apply.stdout);
    let _ = stage.plan().await.exits(0);
}

fn spec(object: &Value) -> Value {
    let mut spec = object["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    spec
}
