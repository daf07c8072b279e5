//! Several replicas.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use holdfast_e2e::{STATE, on_ground, on_stage, path, until};
use holdfast_testbed::{Action, Rule};
use serde_json::json;

use crate::objects::{becomes, one_map};

#[test]
fn two_replicas_whose_holder_is_killed_in_the_middle_of_a_creation_end_with_one_bucket() {
    on_stage(async |stage| {
        // Before the request takes effect, after it, and at the setting that follows.
        for (number, after) in [
            (1, Action::Reset),
            (1, Action::DropAnswer),
            (2, Action::DropAnswer),
        ] {
            stage.forget_the_bucket().await;
            stage.s3.clear();
            let holder = Arc::new(AtomicU32::new(0));
            let killed = Arc::clone(&holder);
            let kill = Action::run(move || {
                let pid = killed.load(Ordering::SeqCst).to_string();
                let status = std::process::Command::new("kill").args(["-KILL", &pid]).status();
                assert!(status.is_ok_and(|status| status.success()));
            });
            stage.s3.inject(Rule::new(kill).method("PUT").nth(number));
            stage.s3.inject(Rule::new(after).method("PUT").nth(number));
            let first = stage.enforce("policies/managed-velero", &[]);
            holder.store(first.pid(), Ordering::SeqCst);
            let lease = path("coordination.k8s.io/v1", "Lease", STATE, "managed-velero");
            until("the first holds the lease", async || {
                stage.api.get(&lease).await.is_some()
            })
            .await;
            let second = stage.enforce("policies/managed-velero", &[]);
            until("the first is killed", async || !first.is_alive()).await;
            let begun = Instant::now();
            second.reaches("bucket", "Converged").await;
            println!("taken over and converged after {:?}", begun.elapsed());
            assert_eq!(stage.our_buckets().await.len(), 1);
            stage.s3.heal();
            drop(second.end().await);
            drop(first);
        }
    });
}

#[test]
fn a_holder_that_is_killed_is_replaced_within_fifteen_seconds() {
    on_ground(async |ground| {
        let policy = ground.policy("run-killed");
        policy.write(&one_map("run-killed", "1"));
        let start = |name| ground.enforce(&[&policy.path(), "--identity", name]);
        let (first, second) = (start("first"), start("second"));
        let lease = path("coordination.k8s.io/v1", "Lease", STATE, "run-killed");
        let is_held_by = async |name: &str| {
            let lease = ground.api.get(&lease).await.unwrap_or_default();
            lease["spec"]["holderIdentity"] == name
        };
        for replica in [&first, &second] {
            let knows = |line: &serde_json::Value| line["replicas"] == 2;
            replica.says("that there are two", knows).await;
        }
        // Of a single policy, it comes to the first by name.
        until("the first holds the lease", async || is_held_by("first").await).await;
        becomes(ground, "run-killed", "1").await;
        let begun = Instant::now();
        first.kill().await;
        until("the second holds the lease", async || is_held_by("second").await).await;
        let took = begun.elapsed();
        println!("replaced after {took:?}");
        assert!(took < Duration::from_secs(15), "{took:?}");
        let place = path("v1", "ConfigMap", "run-killed", "one");
        ground
            .api
            .patch(&place, &json!({ "data": { "a": "spoilt" } }))
            .await;
        becomes(ground, "run-killed", "1").await;
        drop(second.end().await);
    });
}

#[test]
fn a_lease_that_is_lost_ends_the_writing_and_not_the_process() {
    on_ground(async |ground| {
        let policy = ground.policy("run-lost");
        policy.write(&one_map("run-lost", "1"));
        let enforcer = ground.enforce(&[&policy.path()]);
        enforcer.reaches("one", "Converged").await;
        let lease = path("coordination.k8s.io/v1", "Lease", STATE, "run-lost");
        let stolen = json!({ "spec": { "holderIdentity": "somebody else", "leaseDurationSeconds": 15, "renewTime": "2999-01-01T00:00:00.000000Z" } });
        ground.api.patch(&lease, &stolen).await;
        enforcer
            .says("that it is lost", |line| line["held"] == false)
            .await;
        let place = path("v1", "ConfigMap", "run-lost", "one");
        ground
            .api
            .patch(&place, &json!({ "data": { "a": "spoilt" } }))
            .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(enforcer.is_alive());
        let map = ground.api.get(&place).await.unwrap();
        assert_eq!(map["data"]["a"], "spoilt", "somebody else's to mend");
        // Whoever took it never renews it: it falls back.
        becomes(ground, "run-lost", "1").await;
        drop(enforcer.end().await);
    });
}
