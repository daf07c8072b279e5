//! Several replicas.

use std::{sync::Arc, sync::atomic::AtomicU32, sync::atomic::Ordering, time::Instant};

use holdfast_e2e::{STATE, on_stage, path, until};
use holdfast_testbed::{Action, Rule};

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
