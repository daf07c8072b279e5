//! That what was applied is equal, on a real API server.
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

use holdfast_contract::{Fidelity, Guard, Observation, Wanted};
use holdfast_testbed::Cluster;
use serde_json::{Value as Json, json};
use support::manifests::many;
use support::{Bench, key_of, places, provider};

/// Whatever a manifest says in other words than the server, it is equal as soon as it is applied, with no dry run.
#[tokio::test]
async fn what_was_applied_is_equal_without_asking_the_server() {
    let bench = Bench::on(Cluster::shared().await.unwrap(), "equal").await;
    let mut unequal = Vec::new();
    for mut manifest in many(&bench.namespace) {
        if manifest["kind"] == "Pod" {
            // See the next test.
            manifest["spec"].as_object_mut().unwrap().remove("tolerations");
        }
        let key = bench.create(&manifest).await;
        let observed = bench.observe(&key).await;
        let found = bench.compare(&observed, &bench.desired(&manifest));
        if !found.is_empty() {
            unequal.push(format!("{key}: {found:?}"));
        }
    }
    assert!(unequal.is_empty(), "{}", unequal.join("\n"));
}

/// What admission adds inside of a list that is one value, no rule here can know: there the server is asked, once.
#[tokio::test]
async fn what_admission_has_added_is_equal_by_the_servers_word() {
    let cluster = Cluster::start().await.unwrap();
    let bench = Bench::on(&cluster, "admission").await;
    let manifest = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x", "namespace": bench.namespace },
        "spec": {
            "containers": [{ "name": "c", "image": "example.org/c:1" }],
            "tolerations": [{ "key": "a", "operator": "Exists" }],
        },
    });
    let key = bench.create(&manifest).await;
    let observed = bench.observe(&key).await;
    let desired = bench.desired(&manifest);
    assert_eq!(places(&bench.compare(&observed, &desired)), ["spec.tolerations"]);
    let write = bench.set(&observed, desired);
    let mark = cluster.mark().await.unwrap();
    for _ in 0..3 {
        let preview = bench.provider.preview(&write).await.unwrap();
        assert_eq!(preview.differences, []);
        assert_eq!(preview.fidelity, Fidelity::ServerVerified);
    }
    let asked = cluster.since(mark).await.unwrap();
    assert_eq!(
        asked.iter().filter(|event| event.dry_run).count(),
        1,
        "a verdict is kept: {asked:?}"
    );
}

/// A converged cycle of 30 objects: their reads, two requests of discovery, nothing else.
#[tokio::test]
async fn a_converged_cycle_takes_few_requests_and_no_dry_run() {
    let cluster = Cluster::start().await.unwrap();
    let bench = Bench::on(&cluster, "quiet").await;
    let mut manifests = many(&bench.namespace);
    // To a bare Pod's tolerations admission adds some.
    manifests.retain(|manifest| manifest["kind"] != "Pod");
    for index in manifests.len()..30 {
        manifests.push(bench.manifest(&format!("more-{index}"), json!({ "a": "b" })));
    }
    for manifest in &manifests {
        bench.create(manifest).await;
    }
    let fresh = provider(cluster.kubeconfig()).await;
    let mark = cluster.mark().await.unwrap();
    let wanted: Vec<Wanted> = manifests
        .iter()
        .map(|manifest| Wanted {
            key: key_of(manifest),
            facets: ["object".into()].into(),
        })
        .collect();
    let answers = fresh.observe(&wanted).await;
    for (answer, manifest) in answers.into_iter().zip(&manifests) {
        let Observation::Present(observed) = answer.unwrap() else {
            panic!("{manifest} is absent")
        };
        assert_eq!(bench.compare(&observed, &bench.desired(manifest)), []);
    }
    let requests = cluster.since(mark).await.unwrap();
    assert_eq!(wanted.len(), 30);
    assert!(requests.len() <= 20, "{} requests: {requests:#?}", requests.len());
    assert!(requests.iter().all(|event| !event.is_write() && !event.dry_run));
    for event in &requests {
        assert_eq!(
            event.user_agent,
            concat!("holdfast/", env!("CARGO_PKG_VERSION")),
            "{event:?}"
        );
    }
}

/// Definitions are the longest documents there are, and full of lists that are one value.
#[tokio::test]
async fn definitions_are_equal_without_asking_the_server() {
    let bench = Bench::on(Cluster::shared().await.unwrap(), "definitions").await;
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/managed-velero/crds");
    let shipped: Vec<_> = std::fs::read_dir(shipped)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let velero = holdfast_testbed::fixtures::velero_crds().unwrap();
    assert!(shipped.len() > 5 && velero.len() > 5);
    let mut unequal = Vec::new();
    for path in velero.into_iter().chain(shipped) {
        let text = std::fs::read_to_string(&path).unwrap();
        let definition: Json = serde_saphyr::from_str(&text).unwrap();
        let key = key_of(&definition);
        let desired = bench.desired(&definition);
        match bench.try_observe(&key).await.unwrap() {
            Observation::Absent => {
                bench.create(&definition).await;
            }
            Observation::Present(observed) => {
                let mut write = bench.set(&observed, desired.clone());
                write.guard = Guard::Same;
                bench.provider.write(&write).await.unwrap();
            }
        }
        let found = bench.compare(&bench.observe(&key).await, &desired);
        if !found.is_empty() {
            unequal.push(format!("{}: {:?}", path.display(), places(&found)));
        }
    }
    assert!(unequal.is_empty(), "{}", unequal.join("\n"));
}
