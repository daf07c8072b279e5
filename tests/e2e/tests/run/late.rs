//! Calls that are late: their lease is another's by then.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use holdfast_e2e::{Enforcer, STATE, Stage, on_stage, path, until};
use holdfast_testbed::{Action, Rule};

const POLICY: &str = "policies/managed-velero";
const LIFECYCLE: &str = "lifecycle";

/// The policy is enforced and has converged; somebody has changed the bucket's lifecycle since, and nobody has looked.
async fn spoilt(stage: &Stage) -> (Enforcer, String) {
    let bucket = stage.converged().await;
    let enforcer = stage.enforce(POLICY, &[]);
    enforcer.reaches("bucket", "Converged").await;
    let document = stage.store().read(&bucket, LIFECYCLE).await;
    let document = document.replace("<Days>90</Days>", "<Days>30</Days>");
    stage.store().write(&bucket, LIFECYCLE, &document).await;
    stage.s3.clear();
    (enforcer, bucket)
}

/// How often the lifecycle was written since the log was cleared.
fn writes(stage: &Stage) -> usize {
    let requests = stage.s3.requests();
    let writes = requests
        .iter()
        .filter(|request| request.is_write() && request.has_query(LIFECYCLE));
    writes.count()
}

async fn is_as_desired(stage: &Stage, bucket: &str) -> bool {
    stage
        .store()
        .read(bucket, LIFECYCLE)
        .await
        .contains("<Days>90</Days>")
}

#[test]
fn a_process_that_was_stopped_in_the_middle_of_a_call_writes_nothing_once_another_holds_the_lease() {
    on_stage(async |stage| {
        let (first, bucket) = spoilt(stage).await;
        // A setting is read once to look at it, and once more right before it is written.
        let pid = first.pid().to_string();
        let stop = Action::run(move || {
            let status = Command::new("kill").args(["-STOP", &pid]).status();
            assert!(status.is_ok_and(|status| status.success()));
        });
        stage
            .s3
            .inject(Rule::new(stop).method("GET").query(LIFECYCLE).nth(2));
        first.signal("HUP");
        until("the first is stopped", async || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", first.pid()));
            status.is_ok_and(|status| status.contains("State:\tT"))
        })
        .await;
        assert_eq!(writes(stage), 0);
        let second = stage.enforce(POLICY, &[]);
        until("the second has put it right", async || {
            is_as_desired(stage, &bucket).await
        })
        .await;
        second.reaches("bucket", "Converged").await;
        assert_eq!(writes(stage), 1);
        first.signal("CONT");
        first
            .says("that its call was given up", |line| {
                line["message"] == "not written" && line["facet"] == LIFECYCLE
            })
            .await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(writes(stage), 1, "the first wrote late:\n{}", first.log());
        stage.s3.heal();
        drop(first.end().await);
        drop(second.end().await);
    });
}

#[test]
fn whoever_is_asked_to_end_while_a_call_hangs_ends_within_five_seconds_and_leaves_the_lease_to_end_by_itself()
{
    on_stage(async |stage| {
        let (enforcer, bucket) = spoilt(stage).await;
        let hang = Rule::new(Action::Delay(Duration::from_mins(1)));
        stage.s3.inject(hang.method("PUT").query(LIFECYCLE));
        enforcer.signal("HUP");
        until("the call is under way", async || writes(stage) > 0).await;
        let begun = Instant::now();
        let output = enforcer.end().await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let place = path("coordination.k8s.io/v1", "Lease", STATE, "managed-velero");
        let lease = stage.api.get(&place).await.unwrap();
        assert!(lease["spec"]["holderIdentity"].is_string(), "{lease:#}");
        stage.s3.heal();
        let next = stage.enforce(POLICY, &[]);
        until("the next has put it right", async || {
            is_as_desired(stage, &bucket).await
        })
        .await;
        drop(next.end().await);
    });
}
