//! Many objects.

use std::time::Instant;

use holdfast_e2e::{changes, on_own_ground};
use serde_json::json;

use crate::lines;

const COUNT: usize = 500;
/// Requests of a plan of [`COUNT`] objects of one type at rest: discovery, the cluster's uid, the ledger, and the list
/// in pages. None of them is about a single object.
const AT_REST_MAX: usize = 12;

#[test]
fn five_hundred_objects_are_read_in_lists() {
    on_own_ground(async |ground| {
        ground
            .api
            .create("/api/v1/namespaces", &json!({ "metadata": { "name": "many" } }))
            .await;
        let policy = ground.policy("many");
        let manifests: Vec<_> = (0..COUNT)
            .map(|index| {
                format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: settings-{index} }}\ndata: {{ index: \"{index}\" }}\n")
            })
            .collect();
        policy.file("objects.yaml", &manifests.join("---\n"));
        policy.write("settings: { ensure: kubernetes/Object, manifests: [objects.yaml] }");
        let run = async |what: &str| {
            let (mark, begun) = (ground.mark().await, Instant::now());
            let output = policy
                .run(&[
                    what,
                    if what == "plan" {
                        "--detailed-exitcode"
                    } else {
                        "--yes"
                    },
                ])
                .await;
            let taken = begun.elapsed();
            let witness = ground.since(mark).await;
            println!("{what} of {COUNT} objects: {} in {taken:.1?}", witness.summary());
            (output, witness)
        };
        let (plan, witness) = run("plan").await;
        drop(plan.exits(2));
        assert_eq!(witness.writes(), [""; 0]);
        let (apply, _) = run("apply").await;
        drop(apply.exits(0).says(&format!("{COUNT} created")));
        let (plan, witness) = run("plan").await;
        drop(plan.exits(0));
        assert!(witness.kubernetes.len() <= AT_REST_MAX, "{}", lines(&witness));
        let by_name = witness
            .kubernetes
            .iter()
            .filter(|event| event.name.starts_with("settings-"))
            .count();
        assert_eq!(by_name, 0, "{}", lines(&witness));

        ground
            .api
            .patch(
                "/api/v1/namespaces/many/configmaps/settings-77",
                &json!({ "data": { "index": "other" } }),
            )
            .await;
        let report = policy.plan().await;
        assert_eq!(
            changes(&report).into_values().collect::<Vec<_>>(),
            [["data.index"]]
        );
        let (apply, witness) = run("apply").await;
        drop(apply.exits(0).says("0 created, 1 changed"));
        let written: Vec<_> = policy.writes(&witness);
        assert_eq!(written.len(), 1, "{written:?}");
    });
}
