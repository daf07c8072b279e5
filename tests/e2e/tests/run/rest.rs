//! Rest.

use std::time::Duration;

use holdfast_e2e::{on_own_ground, on_stage};

/// Several intervals of the policies here, which are as short as they may be.
const SEVERAL: Duration = Duration::from_secs(35);

#[test]
fn a_converged_cluster_is_asked_nothing_but_for_the_lease() {
    on_own_ground(async |ground| {
        let policy = ground.policy("rest");
        let one = |name: &str| {
            format!(
                "{name}: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: \
                 {name} }}, data: {{ a: '1' }} }} }}\n"
            )
        };
        let names = ["a", "b", "c", "d", "e"].map(one).concat();
        policy.write(&format!(
            "space: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: Namespace, metadata: {{ name: rest \
             }} }} }}\n{names}"
        ));
        let enforcer = ground.enforce(&[&policy.path()]);
        enforcer.reaches("e", "Converged").await;
        // Its watches begin, and what they tell first.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mark = ground.mark().await;
        tokio::time::sleep(SEVERAL).await;
        let witness = ground.since(mark).await;
        let mut asked = witness.kubernetes.clone();
        asked.retain(|event| !event.uri.contains("/leases"));
        assert!(asked.is_empty(), "{}", witness.lines());
        assert!(!witness.kubernetes.is_empty(), "the lease is renewed");
        drop(enforcer.end().await);
    });
}

#[test]
fn a_converged_bucket_is_read_each_interval_and_never_written() {
    on_stage(async |stage| {
        let policy = stage.home().join("bucket-at-rest");
        std::fs::create_dir_all(&policy).unwrap();
        std::fs::write(
            policy.join("policy.yaml"),
            "apiVersion: holdfast.dev/v1alpha1
kind: Policy
metadata: { name: bucket-at-rest }
spec:
  language: 1
  interval: 10s
  providers: { s3: { region: us-east-2 } }
  rules:
    data: { ensure: s3/Bucket, name: acme-at-rest, desired: { versioning: { status: Enabled }, tags: { owner: us } } }
",
        )
        .unwrap();
        let enforcer = stage.enforce(&policy.display().to_string(), &[]);
        enforcer.reaches("data", "Converged").await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mark = stage.mark().await;
        tokio::time::sleep(SEVERAL).await;
        let witness = stage.since(mark).await;
        let reads = witness
            .s3
            .iter()
            .filter(|request| request.query.contains("versioning"))
            .count();
        // Each interval is up to a quarter shorter, by chance.
        assert!((2..=5).contains(&reads), "{}", witness.lines());
        let writes = witness.writes_beside_the_lease();
        assert!(writes.is_empty(), "{writes:?}");
        drop(enforcer.end().await);
    });
}
