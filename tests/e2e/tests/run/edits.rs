//! Policies that are edited, and values that change.

use holdfast_e2e::{STATE, on_ground, path, until};
use serde_json::json;

use crate::objects::{becomes, one_map};

#[test]
fn a_wrong_edit_leaves_what_was_good_enforced_and_a_right_one_is_followed() {
    on_ground(async |ground| {
        let policy = ground.policy("run-edit");
        policy.write(&one_map("run-edit", "1"));
        let enforcer = ground.enforce(&[&policy.path()]);
        enforcer.reaches("one", "Converged").await;
        policy.write(&one_map("run-edit", "2").replace("ensure", "insure"));
        enforcer
            .says("that the edit is wrong", |line| {
                let fault = line["fault"].as_str().unwrap_or_default();
                fault.contains("unknown field `insure`") && fault.contains("policy.yaml:")
            })
            .await;
        ground
            .api
            .delete(&path("v1", "ConfigMap", "run-edit", "one"))
            .await;
        becomes(ground, "run-edit", "1").await;
        policy.write(&one_map("run-edit", "2"));
        becomes(ground, "run-edit", "2").await;
        drop(enforcer.end().await);
    });
}

#[test]
fn a_source_of_parameters_that_changes_is_followed_at_once() {
    on_ground(async |ground| {
        let policy = ground.policy("run-values");
        policy.file(
            "policy.yaml",
            "apiVersion: holdfast.dev/v1alpha1
kind: Policy
metadata: { name: run-values }
spec:
  language: 1
  parameters: { word: { type: string } }
  valuesFrom: [{ configMap: { namespace: default, name: run-values } }]
  rules:
    space: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: Namespace, metadata: { name: run-values } } }
    one:
      ensure: kubernetes/Object
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: run-values }, data: { a: '${parameters.word}' } }
",
        );
        let source = json!({ "metadata": { "name": "run-values" }, "data": { "word": "first" } });
        ground
            .api
            .create("/api/v1/namespaces/default/configmaps", &source)
            .await;
        let enforcer = ground.enforce(&[&policy.path()]);
        becomes(ground, "run-values", "first").await;
        let place = path("v1", "ConfigMap", "default", "run-values");
        enforcer.reaches("one", "Converged").await;
        ground
            .api
            .patch(&place, &json!({ "data": { "word": "second" } }))
            .await;
        becomes(ground, "run-values", "second").await;
        drop(enforcer.end().await);
    });
}

#[test]
fn a_file_of_values_that_changes_is_followed() {
    on_ground(async |ground| {
        let policy = ground.policy("run-values-file");
        let rules = one_map("run-values-file", "${parameters.word}");
        policy.file(
            "policy.yaml",
            &format!(
                "apiVersion: holdfast.dev/v1alpha1
kind: Policy
metadata: {{ name: run-values-file }}
spec:
  language: 1
  parameters: {{ word: {{ type: string }} }}
  defaults: {{ kubernetes/Object: {{ metadata: {{ namespace: run-values-file }} }} }}
  rules:
    {}
",
                rules.replace('\n', "\n    ")
            ),
        );
        let values = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(values.path(), "word: first\n").unwrap();
        let file = values.path().display().to_string();
        let enforcer = ground.enforce(&[&policy.path(), "--values", &file]);
        becomes(ground, "run-values-file", "first").await;
        std::fs::write(values.path(), "word: another\n").unwrap();
        becomes(ground, "run-values-file", "another").await;
        drop(enforcer.end().await);
    });
}

#[test]
fn a_policy_that_observes_writes_nothing_while_it_runs() {
    on_ground(async |ground| {
        let policy = ground.policy("run-observe");
        policy.write(&one_map("run-observe", "1"));
        let enforcer = ground.enforce(&[&policy.path(), "--mode", "Observe"]);
        enforcer.reaches("space", "Blocked").await;
        drop(enforcer.end().await);
        assert!(
            ground
                .api
                .get(&path("v1", "Namespace", "", "run-observe"))
                .await
                .is_none()
        );
        for (api, kind) in [("v1", "ConfigMap"), ("coordination.k8s.io/v1", "Lease")] {
            let own = path(api, kind, STATE, "run-observe");
            assert!(ground.api.get(&own).await.is_none(), "{own}");
        }
    });
}

#[test]
fn whoever_is_asked_to_end_gives_the_lease_back_within_five_seconds() {
    on_ground(async |ground| {
        let policy = ground.policy("run-end");
        policy.write(&one_map("run-end", "1"));
        let enforcer = ground.enforce(&[&policy.path()]);
        enforcer.reaches("one", "Converged").await;
        let begun = std::time::Instant::now();
        let output = enforcer.end().await;
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        for line in output.stderr.lines() {
            let read = serde_json::from_str::<serde_json::Value>(line);
            assert!(read.is_ok(), "no document: {line}");
        }
        let place = path("coordination.k8s.io/v1", "Lease", STATE, "run-end");
        until("nobody holds the lease", async || {
            let lease = ground.api.get(&place).await.unwrap();
            lease["spec"]["holderIdentity"]
                .as_str()
                .unwrap_or_default()
                .is_empty()
        })
        .await;
    });
}

#[test]
fn a_policy_that_is_wrong_at_the_start_keeps_no_other_from_being_enforced_and_alone_it_is_an_error() {
    on_ground(async |ground| {
        let (good, wrong) = (ground.policy("run-good"), ground.policy("run-wrong"));
        good.write(&one_map("run-good", "1"));
        wrong.write(&one_map("run-wrong", "1").replace("ensure", "insure"));
        let enforcer = ground.enforce(&[&wrong.path(), &good.path()]);
        becomes(ground, "run-good", "1").await;
        let is_told = |line: &serde_json::Value| {
            let fault = line["fault"].as_str().unwrap_or_default();
            fault.contains("unknown field `insure`")
        };
        enforcer.says("what is wrong with the other", is_told).await;
        wrong.write(&one_map("run-wrong", "1"));
        becomes(ground, "run-wrong", "1").await;
        drop(enforcer.end().await);

        wrong.write(&one_map("run-wrong", "1").replace("ensure", "insure"));
        drop(
            ground
                .holdfast(&["run", &wrong.path()])
                .await
                .exits(3)
                .says("unknown field `insure`"),
        );
    });
}
