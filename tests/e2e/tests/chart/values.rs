//! What single values make of the chart.

use holdfast_e2e::STATE;
use holdfast_testbed::helm;
use serde_json::{Value, json};

use crate::{OPENSHIFT, chart, documents, of, pod, rendered, run};

const VELERO: &str = "policies.managed-velero.enabled=true";

/// The program's arguments of `container`.
fn arguments(container: &Value) -> Vec<String> {
    let arguments = container["args"].as_array().unwrap().iter();
    arguments.map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn namespaces(arguments: &[String]) -> Vec<&str> {
    let all = arguments.iter();
    all.filter_map(|text| text.strip_prefix("--namespace=")).collect()
}

#[test]
fn where_namespaces_are_listed_a_shipped_policys_own_is_one_of_them() {
    run(async {
        for listed in [
            "policyNamespaces={team-a}",
            "policyNamespaces={team-a,holdfast-system}",
        ] {
            let documents = rendered(&[VELERO, listed]).await;
            let run = arguments(&pod(&documents)["containers"][0]);
            assert_eq!(namespaces(&run), ["team-a", STATE]);
            let job = &of(&documents, "Job", "holdfast-release")["spec"]["template"]["spec"];
            assert_eq!(namespaces(&arguments(&job["containers"][0])), ["team-a", STATE]);
            for name in [
                "holdfast-system:holdfast:policies",
                "holdfast-system:holdfast:release",
            ] {
                let is_one = |one: &&Value| one["kind"] == "RoleBinding" && one["metadata"]["name"] == name;
                let bindings = documents.iter().filter(is_one);
                let places: Vec<&Value> = bindings.map(|one| &one["metadata"]["namespace"]).collect();
                assert_eq!(places, ["team-a", STATE], "{name}");
            }
        }
        let documents = rendered(&["policyNamespaces={team-a}"]).await;
        assert_eq!(
            namespaces(&arguments(&pod(&documents)["containers"][0])),
            ["team-a"]
        );
    });
}

#[test]
fn where_its_metrics_are_read_an_alert_tells_that_nobody_runs() {
    run(async {
        let expression = async |values: &[&str]| {
            let documents = rendered(values).await;
            let groups = &of(&documents, "PrometheusRule", "holdfast")["spec"]["groups"];
            let rules = groups[0]["rules"].as_array().unwrap();
            let down = rules.iter().find(|rule| rule["alert"] == "HoldfastDown");
            down.map(|rule| rule["expr"].as_str().unwrap().to_owned())
        };
        assert_eq!(
            expression(&["prometheusRule.enabled=true", "serviceMonitor.enabled=true"])
                .await
                .as_deref(),
            Some(r#"absent(up{job="holdfast",namespace="holdfast-system"} == 1)"#)
        );
        assert_eq!(expression(&["prometheusRule.enabled=true"]).await, None);
    });
}

#[test]
fn what_comes_and_goes_with_each_try_ends_no_alert() {
    run(async {
        let documents = rendered(&["prometheusRule.enabled=true"]).await;
        let groups = &of(&documents, "PrometheusRule", "holdfast")["spec"]["groups"];
        for name in ["HoldfastResourceContested", "HoldfastResourceFailed"] {
            let rules = groups[0]["rules"].as_array().unwrap().iter();
            let rule = rules.into_iter().find(|rule| rule["alert"] == name).unwrap();
            let expression = rule["expr"].as_str().unwrap();
            // Ten minutes are the longest pause between two tries.
            assert!(
                expression.contains("max_over_time(") && expression.contains("[11m]"),
                "{expression}"
            );
        }
    });
}

#[test]
fn a_replica_that_does_not_work_holds_up_no_drain() {
    run(async {
        let documents = rendered(&[]).await;
        let budget = &of(&documents, "PodDisruptionBudget", "holdfast")["spec"];
        assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");
        for none in ["maxUnavailable=0", "maxUnavailable=0%"] {
            let chart = chart();
            let arguments = ["template", "holdfast", chart.to_str().unwrap(), "--set", none];
            let refused = helm(None, &arguments).await.unwrap_err().to_string();
            assert!(refused.contains("maxUnavailable"), "{refused}");
        }
    });
}

#[test]
fn a_release_may_be_called_as_helm_lets_it() {
    run(async {
        for (release, name) in [
            ("my.release", "my-release-holdfast"),
            ("1st", "r1st-holdfast"),
            ("123", "r123-holdfast"),
            ("holdfast.two", "holdfast-two"),
        ] {
            let chart = chart();
            let mut arguments = vec!["template", release, chart.to_str().unwrap(), "--namespace", "456"];
            arguments.extend(["--set", VELERO, "--set", OPENSHIFT[0]]);
            arguments.extend(["--set-string", "policyNamespaces={789}"]);
            arguments.extend(["--set-string", "impersonateIn={789}"]);
            let text = helm(None, &arguments).await.unwrap();
            let documents = documents(&text);
            // RFC 1035, as Services are called.
            assert_eq!(of(&documents, "Service", name)["metadata"]["name"], json!(name));
            for document in &documents {
                texts_only(document, &["metadata", "namespace"]);
                for labels in [
                    &["metadata", "labels"][..],
                    &["spec", "selector", "matchLabels"],
                    &["spec", "template", "metadata", "labels"],
                ] {
                    let place = labels.iter().fold(document, |node, name| &node[name]);
                    for name in place.as_object().into_iter().flat_map(|all| all.keys()) {
                        texts_only(place, &[name]);
                    }
                }
                let subjects = document["subjects"].as_array();
                subjects
                    .into_iter()
                    .flatten()
                    .for_each(|one| texts_only(one, &["namespace"]));
            }
        }
    });
}

/// What stands at `path` is text, or nothing.
fn texts_only(document: &Value, path: &[&str]) {
    let found = path.iter().fold(document, |node, name| &node[name]);
    assert!(found.is_string() || found.is_null(), "{path:?} of {document}");
}
