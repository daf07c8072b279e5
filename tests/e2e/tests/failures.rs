//! One failure stays one failure, says what it is, and is gone when its cause is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::time::Duration;

use holdfast_e2e::{STATE, changes, on_stage, path, resource, until};
use holdfast_testbed::{Action, Answer, Request, Rule};
use serde_json::json;

const PLAN: [&str; 3] = ["plan", "policies/managed-velero", "--detailed-exitcode"];
const APPLY: [&str; 5] = ["apply", "policies/managed-velero", "--yes", "--timeout", "60s"];
const OPEN: &str = "<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls>\
     <IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>\
     <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";

#[test]
fn a_setting_that_may_not_be_read_is_blocked_alone_and_names_the_action() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        stage
            .s3
            .inject(Rule::new(Action::error(403, "AccessDenied")).query("lifecycle"));
        stage.store().write(&bucket, "publicAccessBlock", OPEN).await;
        stage.store().unset(&bucket, "lifecycle").await;
        let apply = stage.holdfast(&APPLY).await.exits(2);
        let apply = apply
            .says("bucket.lifecycle")
            .says("s3:GetLifecycleConfiguration");
        assert!(
            apply.stdout.contains("Everything else is converged."),
            "{}",
            apply.stdout
        );
        assert_eq!(
            stage
                .store()
                .read(&bucket, "publicAccessBlock")
                .await
                .matches("true")
                .count(),
            4
        );
        let plan = stage.plan().await.exits(2).report();
        let blocked = resource(&plan, "bucket")["blocked"].as_object().unwrap();
        assert_eq!(blocked.keys().collect::<Vec<_>>(), ["lifecycle"]);

        stage.s3.heal();
        stage.converged().await;
        assert!(
            stage
                .store()
                .read(&bucket, "lifecycle")
                .await
                .contains("Backup Expiry")
        );
    });
}

#[test]
fn a_setting_that_may_not_be_written_is_blocked_alone_and_names_the_action() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        stage.s3.inject(
            Rule::new(Action::error(403, "AccessDenied"))
                .method("PUT")
                .query("ownershipControls"),
        );
        stage.store().unset(&bucket, "ownershipControls").await;
        stage.store().write(&bucket, "publicAccessBlock", OPEN).await;
        let apply = stage.holdfast(&APPLY).await.exits(2);
        drop(
            apply
                .says("bucket.ownershipControls")
                .says("s3:PutBucketOwnershipControls"),
        );
        assert_eq!(
            stage
                .store()
                .read(&bucket, "publicAccessBlock")
                .await
                .matches("true")
                .count(),
            4
        );
        stage.s3.heal();
        stage.converged().await;
    });
}

#[test]
fn a_store_that_asks_to_slow_down_is_obeyed_and_asked_again() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        let slow = || Rule::new(Action::error(503, "SlowDown")).first(3);
        for rule in [
            slow().path("/"),
            slow().method("PUT").query(""),
            slow().method("HEAD"),
            slow().method("GET").query("lifecycle"),
            slow().method("PUT").query("lifecycle"),
        ] {
            stage.s3.inject(rule);
        }
        stage.converged().await;
        let refused = stage
            .s3
            .requests()
            .iter()
            .filter(|request| request.status == Some(503))
            .count();
        assert_eq!(refused, 15);
        assert_eq!(stage.our_buckets().await.len(), 1);
        drop(stage.plan().await.exits(0));
    });
}

#[test]
fn a_bucket_in_another_region_is_named_and_never_taken_for_absent() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let elsewhere = Action::Answer(Answer {
            status: 301,
            headers: vec![("x-amz-bucket-region".into(), "eu-west-1".into())],
            body: String::new(),
        });
        stage.s3.inject(Rule::new(elsewhere).path(&format!("/{bucket}")));
        let (plan, witness) = stage.witness(&PLAN).await;
        drop(
            plan.exits(2)
                .says("it is in region eu-west-1; set `region: eu-west-1`"),
        );
        assert_eq!(witness.writes(), [""; 0]);
        let plan = stage.plan().await.exits(2).report();
        assert_eq!(resource(&plan, "bucket")["phase"], "Unknown", "{plan:#}");
        assert!(changes(&plan).is_empty(), "{:?}", changes(&plan));
        let (apply, witness) = stage
            .witness(&["apply", "policies/managed-velero", "--yes", "--timeout", "5s"])
            .await;
        drop(apply.exits(2));
        assert!(!witness.s3.iter().any(Request::is_write), "{}", witness.lines());
    });
}

#[test]
fn a_store_that_is_down_holds_up_the_bucket_and_proves_nothing() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        stage.s3.inject(Rule::new(Action::Reset));
        let plan = stage.plan().await.exits(2).report();
        assert_eq!(resource(&plan, "bucket")["phase"], "Unknown", "{plan:#}");
        assert!(changes(&plan).is_empty(), "{:?}", changes(&plan));
        stage.s3.heal();
        assert_eq!(stage.converged().await, bucket);
    });
}

#[test]
fn an_api_server_that_does_not_answer_is_a_clear_error() {
    on_stage(async |stage| {
        stage.freeze_api_server(true);
        let plan = stage
            .holdfast(&["plan", "policies/managed-velero", "--timeout", "2s"])
            .await;
        stage.freeze_api_server(false);
        drop(plan.exits(1).says("no plan after 2 s; --timeout allows more"));

        // Nobody listens on port 1.
        let kubeconfig = std::fs::read_to_string(stage.cluster.kubeconfig()).unwrap();
        let kubeconfig = kubeconfig.replace(stage.cluster.url(), "https://127.0.0.1:1");
        let file = stage.home().join("nobody.kubeconfig");
        std::fs::write(&file, kubeconfig).unwrap();
        let file = file.display().to_string();
        for command in [&["plan"][..], &["apply", "--yes"]] {
            let mut arguments = vec!["--kubeconfig", &file, "policies/managed-velero"];
            arguments.splice(0..0, command.iter().copied());
            let run = stage.holdfast(&arguments).await.exits(1);
            assert!(
                run.stderr.starts_with("error: ") && run.stderr.contains("Connection refused"),
                "{}",
                run.stderr
            );
        }
    });
}

#[test]
fn a_second_apply_at_once_is_refused_and_told_by_whom() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        stage.store().write(&bucket, "publicAccessBlock", OPEN).await;
        // What made it converge isn't what is counted.
        stage.s3.clear();
        let delay = Action::Delay(Duration::from_secs(3));
        stage
            .s3
            .inject(Rule::new(delay).method("PUT").query("publicAccessBlock"));
        let first = stage.begin(&APPLY, &[]);
        let pid = first.pid();
        let writes = || stage.s3.requests().iter().any(|request| request.method == "PUT");
        until("the first one writes", async || writes()).await;
        let second = stage.holdfast(&APPLY).await.exits(1);
        assert!(
            second.stderr.contains(&format!("process {pid}")),
            "{}",
            second.stderr
        );
        drop(first.finish().await.exits(0));
        let written = stage
            .s3
            .requests()
            .iter()
            .filter(|request| request.is_write())
            .count();
        assert_eq!(written, 1, "only the first one wrote");
        drop(stage.plan().await.exits(0));
    });
}

#[test]
fn ctrl_c_ends_an_apply_between_calls_and_gives_the_lease_back() {
    on_stage(async |stage| {
        stage.forget_the_bucket().await;
        let delay = Action::Delay(Duration::from_secs(1));
        stage.s3.inject(Rule::new(delay).method("PUT").query(""));
        let run = stage.begin(&APPLY, &[]);
        let creates = || stage.s3.requests().iter().any(|request| request.method == "PUT");
        until("the bucket is being made", async || creates()).await;
        run.signal("INT");
        let run = run.finish().await.exits(2);
        assert!(
            run.stderr.contains("Stopping: the calls in flight are finished."),
            "{}",
            run.stderr
        );
        assert!(run.stdout.contains("Stopped. "), "{}", run.stdout);
        let name = stage.bucket().await.expect("the name is recorded");
        assert_eq!(
            stage.our_buckets().await,
            [name.as_str()],
            "the call in flight was finished"
        );
        let written = stage
            .s3
            .requests()
            .iter()
            .filter(|request| request.is_write())
            .count();
        assert_eq!(written, 1, "no call began after it");
        stage.s3.heal();

        // Nobody holds it any more.
        let lease = stage
            .api
            .get(&path("coordination.k8s.io/v1", "Lease", STATE, "managed-velero"))
            .await;
        let holder = lease
            .map(|lease| lease["spec"]["holderIdentity"].clone())
            .unwrap_or_default();
        assert!(holder.is_null() || holder == json!(""), "{holder}");
        assert_eq!(stage.converged().await, name);
    });
}
