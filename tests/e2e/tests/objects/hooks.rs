//! Admission webhooks that add, override and refuse.

use holdfast_e2e::{Verdict, Webhook, changes, on_ground, resource};
use serde_json::{Value, json};

use crate::{at_rest, live, prepared};

const CONFIG_MAP: (&str, &str) = ("v1", "ConfigMap");
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

fn settings(mode: &str) -> String {
    format!(
        "settings:
  ensure: kubernetes/Object
  desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: settings }}, data: {{ mode: {mode} }} }}"
    )
}

fn is_named(request: &Value, name: &str) -> bool {
    request["object"]["metadata"]["name"] == name
}

#[test]
fn what_a_webhook_adds_is_no_drift() {
    on_ground(async |ground| {
        let rules = "web:
  ensure: kubernetes/Object
  desired:
    apiVersion: apps/v1
    kind: Deployment
    metadata: { name: web, labels: { app: web } }
    spec:
      replicas: 0
      selector: { matchLabels: { app: web } }
      template:
        metadata: { labels: { app: web } }
        spec: { containers: [{ name: c, image: \"example.org/c:1\", args: [a] }] }";
        let policy = prepared(ground, "injected", rules).await;
        // As a mesh does it: a sidecar before ours, a variable and a label, each unless it is there.
        let hook = Webhook::start(&ground.cluster, |request| {
            let spec = &request["object"]["spec"]["template"]["spec"];
            if !is_named(request, "web") || spec["containers"].as_array().is_none_or(|all| all.len() > 1) {
                return Verdict::Patch(json!([]));
            }
            let sidecar = json!({ "name": "proxy", "image": "mesh.example/proxy:1" });
            Verdict::Patch(json!([
                { "op": "add", "path": "/spec/template/spec/containers/0", "value": sidecar },
                { "op": "add", "path": "/spec/template/spec/containers/1/env", "value": [{ "name": "MESH", "value": "on" }] },
                { "op": "add", "path": "/metadata/labels/mesh", "value": "on" },
            ]))
        });
        let configuration = hook.configuration("injected", &[("apps", "deployments")]);
        ground.api.create(CONFIGURATIONS, &configuration).await;
        drop(policy.apply().await.exits(0));
        let web = live(ground, ("apps/v1", "Deployment"), "injected", "web").await;
        let containers = web["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 2, "{web:#}");
        at_rest(ground, &policy).await;
        policy.write(&rules.replace("args: [a]", "args: [b]"));
        let plan = policy.plan().await;
        assert_eq!(
            changes(&plan)["web"],
            ["spec.template.spec.containers[c].args[0]"]
        );
        drop(policy.apply().await.exits(0));
        at_rest(ground, &policy).await;
    });
}

#[test]
fn a_field_that_a_webhook_overrides_is_not_written_again_and_again() {
    on_ground(async |ground| {
        let policy = prepared(ground, "overridden", &settings("fast")).await;
        let hook = Webhook::start(&ground.cluster, |request| {
            if !is_named(request, "settings") {
                return Verdict::Patch(json!([]));
            }
            Verdict::Patch(json!([{ "op": "replace", "path": "/data/mode", "value": "as the webhook says" }]))
        });
        let configuration = hook.configuration("overridden", &[("", "configmaps")]);
        ground.api.create(CONFIGURATIONS, &configuration).await;
        drop(policy.apply().await.exits(0));
        let settings = live(ground, CONFIG_MAP, "overridden", "settings").await;
        assert_eq!(settings["data"]["mode"], "as the webhook says");
        let plan = policy.plan().await;
        assert_eq!(crate::stands(&plan, "settings").0, "Converged", "{plan:#}");
        at_rest(ground, &policy).await;
        // The one who overrides it is gone: then the policy's word counts again.
        ground.api.delete(&format!("{CONFIGURATIONS}/overridden")).await;
        holdfast_e2e::until("the webhook is no longer asked", async || {
            let plan = policy.plan().await;
            changes(&plan)
                .get("settings")
                .is_some_and(|places| *places == ["data.mode"])
        })
        .await;
        drop(policy.apply().await.exits(0));
        assert_eq!(
            live(ground, CONFIG_MAP, "overridden", "settings").await["data"]["mode"],
            "fast"
        );
    });
}

#[test]
fn a_refused_dry_run_is_a_prediction_and_no_failure() {
    on_ground(async |ground| {
        let policy = prepared(ground, "dry", &settings("fast")).await;
        drop(policy.apply().await.exits(0));
        let hook = Webhook::start(&ground.cluster, |request| {
            if request["dryRun"] == true && is_named(request, "settings") {
                return Verdict::Refuse("this webhook has side effects");
            }
            Verdict::Patch(json!([]))
        });
        let configuration = hook.configuration("dry", &[("", "configmaps")]);
        ground.api.create(CONFIGURATIONS, &configuration).await;
        policy.write(&settings("slow"));
        holdfast_e2e::until("the webhook is asked", async || {
            resource(&policy.plan().await, "settings")["facets"][0]["fidelity"] != "serverVerified"
        })
        .await;
        let plan = policy.plan().await;
        let facet = &resource(&plan, "settings")["facets"][0];
        assert_eq!(facet["fidelity"], "predicted", "{plan:#}");
        assert_eq!(changes(&plan)["settings"], ["data.mode"]);
        assert_eq!(crate::stands(&plan, "settings").0, "Drifted");
        drop(policy.apply().await.exits(0));
        assert_eq!(
            live(ground, CONFIG_MAP, "dry", "settings").await["data"]["mode"],
            "slow"
        );
        at_rest(ground, &policy).await;
    });
}

#[test]
fn a_webhook_that_refuses_an_object_blocks_that_one_alone_in_its_own_words() {
    on_ground(async |ground| {
        let rules = format!(
            "{}\n{}",
            settings("fast"),
            settings("fast").replace("settings", "other")
        );
        let policy = prepared(ground, "refused", &rules).await;
        let hook = Webhook::start(&ground.cluster, |request| {
            if is_named(request, "settings") {
                return Verdict::Refuse("settings must not be fast");
            }
            Verdict::Patch(json!([]))
        });
        let configuration = hook.configuration("refused", &[("", "configmaps")]);
        ground.api.create(CONFIGURATIONS, &configuration).await;
        holdfast_e2e::until("the webhook is asked", async || {
            let create = [
                "create",
                "configmap",
                "settings",
                "-n",
                "refused",
                "--dry-run=server",
            ];
            ground.kubectl(&create).await.contains("must not be fast")
        })
        .await;
        let apply = policy
            .run(&["apply", "--yes", "--no-wait", "--timeout", "20s"])
            .await
            .exits(2);
        drop(apply.says("settings must not be fast"));
        assert_eq!(
            live(ground, CONFIG_MAP, "refused", "other").await["data"]["mode"],
            "fast"
        );
    });
}
