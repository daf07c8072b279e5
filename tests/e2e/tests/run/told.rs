//! What people and machines are told: the log, events, metrics, and what is wrong with a policy.

use std::net::TcpListener;

use holdfast_e2e::{on_ground, path, until};
use serde_json::{Value, json};

use crate::objects::{becomes, one_map};
use crate::resources::{Team, condition, map};

/// What each line of a transition has beside its message.
const FIELDS: [&str; 9] = [
    "timestamp",
    "level",
    "policy",
    "rule",
    "resource",
    "phase",
    "reason",
    "milliseconds",
    "trace",
];

#[test]
fn each_transition_is_a_line_that_says_what_where_why_and_how_long() {
    on_ground(async |ground| {
        let policy = ground.policy("run-log");
        policy.write(&one_map("run-log", "1"));
        let enforcer = ground.enforce(&[&policy.path()]);
        enforcer.reaches("one", "Converged").await;
        let begun = enforcer.lines().len();
        let place = path("v1", "ConfigMap", "run-log", "one");
        ground
            .api
            .patch(&place, &json!({ "data": { "a": "hunter2" } }))
            .await;
        enforcer
            .says("that it holds again", |line| line["before"] == "Drifted")
            .await;
        let lines = enforcer.lines().split_off(begun);
        let lines: Vec<&Value> = lines.iter().filter(|line| line["resource"] == "one").collect();
        let told: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line["message"].as_str().unwrap(),
                    line["phase"].as_str().unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [("phase", "Drifted"), ("written", ""), ("phase", "Converged")],
            "{lines:#?}"
        );
        for line in &lines {
            let is_written = line["message"] == "written";
            let of_phases = ["phase", "reason", "milliseconds"];
            for field in FIELDS
                .iter()
                .filter(|field| !is_written || !of_phases.contains(*field))
            {
                assert!(!line[field].is_null(), "{field}: {line:#}");
            }
            assert_eq!(line["policy"], "holdfast-system/run-log");
            assert_eq!(line["trace"], lines[0]["trace"], "one cycle, one trace");
        }
        let why = lines[0]["reason"].as_str().unwrap();
        assert!(why.contains("by-hand"), "who did it: {why}");
        assert!(!enforcer.log().contains("hunter2"));
        drop(enforcer.end().await);
    });
}

#[test]
fn what_is_logged_is_what_the_environment_says() {
    on_ground(async |ground| {
        let policy = ground.policy("run-levels");
        policy.write(&one_map("run-levels", "1"));
        for (level, is_told, other) in [("warn", false, "INFO"), ("holdfast_enforcer=info", true, "DEBUG")] {
            let enforcer = ground.enforce_with(&[&policy.path()], &[("RUST_LOG", level)]);
            becomes(ground, "run-levels", "1").await;
            let lease = path(
                "coordination.k8s.io/v1",
                "Lease",
                holdfast_e2e::STATE,
                "run-levels",
            );
            until("it is at work", async || {
                let lease = ground.api.get(&lease).await.unwrap_or_default();
                lease["spec"]["holderIdentity"].is_string()
            })
            .await;
            let ended = enforcer.end().await;
            assert_eq!(
                ended.stderr.contains("\"held\":true"),
                is_told,
                "{level}: {}",
                ended.stderr
            );
            assert!(
                !ended.stderr.contains(&format!("\"level\":\"{other}\"")),
                "{level}: {}",
                ended.stderr
            );
        }
    });
}

#[test]
fn a_fight_is_told_with_who_fights_on_the_policy_on_the_object_and_by_a_metric() {
    on_ground(async |ground| {
        let address = {
            let port = TcpListener::bind("127.0.0.1:0").unwrap();
            port.local_addr().unwrap().to_string()
        };
        let team = Team::with(ground, "run-fought", &["--listen", &address]).await;
        let spec = json!({ "serviceAccountName": "keeper", "rules": { "one": map("run-fought", "one") } });
        team.make("ours", &spec).await;
        drop(team.condition("ours", "Ready", "Converged").await);
        let place = path("v1", "ConfigMap", "run-fought", "one");
        let theirs = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "one", "namespace": "run-fought" }, "data": { "a": "theirs" },
        });
        for _ in 0..3 {
            ground.api.apply(&place, "somebody", &theirs).await;
            becomes(ground, "run-fought", "1").await;
        }
        ground.api.apply(&place, "somebody", &theirs).await;
        let policy = team.condition("ours", "Stalled", "Contested").await;
        let why = condition(&policy, "Stalled").unwrap()["message"]
            .as_str()
            .unwrap();
        assert!(why.contains("somebody") && why.contains("data.a"), "{why}");
        for object in ["hfp/ours", "configmap/one"] {
            until(&format!("an event of {object} tells of it"), async || {
                let events = ground
                    .kubectl(&["events", "--for", object, "--namespace", "run-fought"])
                    .await;
                let told = events.lines().filter(|line| line.contains("Contested"));
                let told: Vec<_> = told.collect();
                assert!(told.len() <= 1, "{events}");
                told.first().is_some_and(|line| line.contains("somebody"))
            })
            .await;
        }
        let metrics = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let series = "holdfast_resource_phase{policy=\"run-fought/ours\",rule=\"one\",phase=\"Contested\"} 1";
        assert!(metrics.contains(series), "{metrics}");
        drop(team.enforcer.end().await);
    });
}

#[test]
fn of_a_policy_that_is_not_valid_nothing_new_is_enforced() {
    on_ground(async |ground| {
        let team = Team::with(ground, "run-invalid", &[]).await;
        let mut wrong = map("run-invalid", "never");
        wrong["desired"]["data"]["a"] = json!("${nonsense}");
        let spec = json!({
            "serviceAccountName": "keeper",
            "rules": { "never": wrong, "neither": map("run-invalid", "neither") },
        });
        team.make("wrong", &spec).await;
        let policy = team.condition("wrong", "Stalled", "PolicyInvalid").await;
        let stalled = condition(&policy, "Stalled").unwrap();
        assert_eq!(stalled["status"], "True");
        let message = stalled["message"].as_str().unwrap();
        assert!(
            message.starts_with("spec.rules.never.desired.data.a: "),
            "{message}"
        );
        assert_eq!(condition(&policy, "Ready").unwrap()["status"], "False");
        until("an event tells of it", async || {
            let events = ground
                .kubectl(&["events", "--for", "hfp/wrong", "--namespace", "run-invalid"])
                .await;
            events.contains("PolicyInvalid") && events.contains("spec.rules.never.desired.data.a")
        })
        .await;

        let good = json!({ "serviceAccountName": "keeper", "rules": { "one": map("run-invalid", "one") } });
        team.make("edited", &good).await;
        drop(team.condition("edited", "Ready", "Converged").await);
        let more =
            json!({ "spec": { "rules": { "never": wrong, "neither": map("run-invalid", "neither") } } });
        ground.api.patch(&team.path("edited"), &more).await;
        drop(team.condition("edited", "Stalled", "PolicyInvalid").await);
        // What it enforces still is what was good: it is put back, and so a cycle has gone by.
        ground
            .api
            .delete(&path("v1", "ConfigMap", "run-invalid", "one"))
            .await;
        becomes(ground, "run-invalid", "1").await;
        for name in ["never", "neither"] {
            assert!(team.map(name).await.is_none(), "{name}");
        }
        drop(team.enforcer.end().await);
    });
}
