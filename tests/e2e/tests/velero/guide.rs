//! docs/restore.md, as a person would follow it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use holdfast_e2e::{NAMESPACE, Stage, binary, console, path, root, until_within};
use holdfast_testbed::Velero;

use crate::{
    shop,
    support::{SOON, back_up, set_up, with_velero},
};

const GUIDE: &str = "docs/restore.md";
const CLUSTERS: &str = "Into another cluster";

#[test]
fn the_guide_to_restoring_does_what_it_says() {
    with_velero(async |stage, velero| {
        forget_backups(stage, velero).await;
        shop::open(stage, "shop", "17").await;
        back_up(stage, velero, "shop-1", &["--include-namespaces", "shop"]).await;

        let guide = std::fs::read_to_string(root().join(GUIDE)).unwrap();
        let steps = console::steps(&guide);
        let folder = tempfile::tempdir().unwrap();
        let mut variables = prepare(stage, folder.path());
        let (mut second, mut faults) = (None, Vec::new());
        let mut section = "";
        // What a section exports holds to its end; what stands before the first section, everywhere.
        let (mut everywhere, mut here) = (Vec::new(), Vec::new());
        for step in &steps {
            if step.section != section {
                section = &step.section;
                here.clear();
                match section {
                    "Restoring" => shop::close(stage, "shop").await,
                    CLUSTERS => {
                        second = Some(another_cluster(stage, folder.path()).await);
                        let (second, _) = second.as_ref().unwrap();
                        let store = format!(
                            ",s3Url={},s3ForcePathStyle=true,checksumAlgorithm=",
                            second.s3.store().endpoint
                        );
                        variables.insert("STORE", store);
                    }
                    _ => {}
                }
            }
            let preamble = [&everywhere[..], &here[..]].concat();
            if step.command.starts_with("export ") || step.command.starts_with("BUCKET=") {
                let exports = if section.is_empty() {
                    &mut everywhere
                } else {
                    &mut here
                };
                exports.push(step.command.clone());
            } else {
                // Velero looks once a minute, and the guide says so.
                let looks = step.command.starts_with("velero backup") && step.command.ends_with(" get");
                let patience = if looks { SOON } else { Duration::ZERO };
                let fault = console::follow(step, &preamble, folder.path(), &variables, patience).await;
                faults.extend(fault.map(|fault| format!("{GUIDE}, {fault}")));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n\n"));
        assert!(second.is_some(), "{GUIDE} has no section `{CLUSTERS}` any more");
        assert!(steps.len() > 25, "{GUIDE} has only {} commands", steps.len());

        let bucket = stage.bucket().await.unwrap();
        let keys = stage.store().keys(&bucket).await;
        let kept = keys.iter().any(|key| key.starts_with("backups/shop-1/"));
        assert!(
            kept,
            "another cluster's farewell has emptied the bucket: {keys:?}"
        );
        velero
            .run(&["schedule", "delete", "--all", "--confirm"])
            .await
            .unwrap();
        for namespace in ["shop", "shop-before"] {
            shop::close(stage, namespace).await;
        }
        let _ = stage.plan().await.exits(0);
    });
}

/// A folder with the programs and the policies, and the environment of somebody who administers the stage.
fn prepare(stage: &Stage, folder: &Path) -> BTreeMap<&'static str, String> {
    let programs = folder.join("bin");
    std::fs::create_dir(&programs).unwrap();
    let link = |from: &Path, to: &Path| std::os::unix::fs::symlink(from, to).unwrap();
    link(&Velero::program().unwrap(), &programs.join("velero"));
    link(binary(), &programs.join("holdfast"));
    link(&root().join("policies"), &folder.join("policies"));
    let search = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut variables = stage.environment();
    variables.insert("PATH", search);
    variables.insert("HOME", folder.display().to_string());
    variables
}

/// A second cluster, on which managed-velero has converged, and what the guide's reader has of both.
async fn another_cluster(first: &Stage, folder: &Path) -> (Stage, Velero) {
    let second = first.beside("spare-h8v3m").await;
    let velero = set_up(&second).await;
    for (name, stage) in [("lost", first), ("spare", &second)] {
        std::fs::copy(
            stage.cluster.kubeconfig(),
            folder.join(format!("{name}.kubeconfig")),
        )
        .unwrap();
    }
    let keys = "[default]\naws_access_key_id = reader\naws_secret_access_key = reader\n";
    std::fs::write(folder.join("reader"), keys).unwrap();
    (second, velero)
}

/// Deletes what earlier tests backed up.
async fn forget_backups(stage: &Stage, velero: &Velero) {
    velero
        .run(&["backup", "delete", "--all", "--confirm"])
        .await
        .unwrap();
    until_within(SOON, "all backups are deleted", async || {
        stage
            .api
            .list(&path("velero.io/v1", "Backup", NAMESPACE, ""))
            .await
            .is_empty()
    })
    .await;
}
