//! Other writers of the same object: autoscalers, controllers, people, installers.

use std::time::Duration;

use holdfast_e2e::{changes, on_ground, path};
use serde_json::{Value, json};

use crate::{applied, at_rest, live};

const DEPLOYMENT: (&str, &str) = ("apps/v1", "Deployment");
const CONFIG_MAP: (&str, &str) = ("v1", "ConfigMap");

fn web(replicas: &str, image: &str) -> String {
    format!(
        "web:
  ensure: kubernetes/Object
  initial: [$.spec.replicas]
  desired:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {{ name: web }}
    spec:
      replicas: {replicas}
      selector: {{ matchLabels: {{ app: web }} }}
      template:
        metadata: {{ labels: {{ app: web }} }}
        spec: {{ containers: [{{ name: c, image: \"{image}\" }}] }}"
    )
}

#[test]
fn what_an_autoscaler_has_scaled_stays_as_it_scaled_it() {
    on_ground(async |ground| {
        let policy = applied(ground, "scaled", &web("2", "example.org/c:1")).await;
        let place = path(DEPLOYMENT.0, DEPLOYMENT.1, "scaled", "web");
        assert_eq!(
            live(ground, DEPLOYMENT, "scaled", "web").await["spec"]["replicas"],
            2
        );
        let scale = format!("{place}/scale");
        ground
            .api
            .patch(&scale, &json!({ "spec": { "replicas": 5 } }))
            .await;
        at_rest(ground, &policy).await;
        // Another change of the same object takes nothing back.
        policy.write(&web("2", "example.org/c:2"));
        let plan = policy.plan().await;
        assert_eq!(changes(&plan)["web"], ["spec.template.spec.containers[c].image"]);
        drop(policy.apply().await.exits(0));
        assert_eq!(
            live(ground, DEPLOYMENT, "scaled", "web").await["spec"]["replicas"],
            5
        );
        ground
            .api
            .patch(&scale, &json!({ "spec": { "replicas": 7 } }))
            .await;
        at_rest(ground, &policy).await;
        assert_eq!(
            live(ground, DEPLOYMENT, "scaled", "web").await["spec"]["replicas"],
            7
        );
    });
}

#[test]
fn a_controller_that_never_rests_is_no_drift() {
    on_ground(async |ground| {
        let policy = applied(ground, "busy", &web("0", "example.org/c:1")).await;
        let place = path(DEPLOYMENT.0, DEPLOYMENT.1, "busy", "web");
        let api = ground.api.clone();
        let busy = tokio::spawn(async move {
            for turn in 0_u32.. {
                let condition = json!({
                    "type": "Busy", "status": "True", "reason": "Turn", "message": turn.to_string(),
                    "lastUpdateTime": null, "lastTransitionTime": null,
                });
                let _ = api
                    .patch(
                        &format!("{place}/status"),
                        &json!({ "status": { "conditions": [condition] } }),
                    )
                    .await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        for _ in 0..3 {
            at_rest(ground, &policy).await;
        }
        busy.abort();
    });
}

const SETTINGS: &str = "settings:
  ensure: kubernetes/Object
  desired:
    apiVersion: v1
    kind: ConfigMap
    metadata: { name: settings, labels: { tier: web } }
    data: { mode: fast, level: info }";

#[test]
fn whoever_edits_an_object_is_named_with_the_time() {
    on_ground(async |ground| {
        let policy = applied(ground, "edited", SETTINGS).await;
        let place = path(CONFIG_MAP.0, CONFIG_MAP.1, "edited", "settings");
        let mut edited = ground.api.get(&place).await.unwrap();
        edited["data"]["mode"] = json!("slow");
        let edited = ground.api.put(&place, "kubectl-edit", &edited).await.unwrap();
        let entries = edited["metadata"]["managedFields"].as_array().unwrap();
        let when = entries
            .iter()
            .find(|entry| entry["manager"] == "kubectl-edit")
            .unwrap()["time"]
            .as_str()
            .unwrap();
        let plan = policy.plan_text().await.exits(0);
        let plan = plan
            .says("~ data.mode: slow -> fast")
            .says(&format!("last written by kubectl-edit, {when}"));
        drop(plan.says("takes data.mode from kubectl-edit"));
        drop(policy.apply().await.exits(0));
        at_rest(ground, &policy).await;
    });
}

#[test]
fn what_an_installer_holds_is_taken_or_left_as_the_rule_says() {
    on_ground(async |ground| {
        ground
            .api
            .create(
                "/api/v1/namespaces",
                &json!({ "metadata": { "name": "installed" } }),
            )
            .await;
        let theirs = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "settings", "namespace": "installed",
                "labels": { "app.kubernetes.io/managed-by": "Helm" },
                "annotations": { "meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "installed" },
            },
            "data": { "mode": "slow", "level": "info", "other": "theirs" },
        });
        let all = "/api/v1/namespaces/installed/configmaps";
        ground.api.create(all, &theirs).await;
        let place = format!("{all}/settings");
        let object = ground.api.get(&place).await.unwrap();
        let mut object = object.clone();
        object["data"]["mode"] = json!("slower");
        object["metadata"]["managedFields"] = json!([]);
        drop(ground.api.put(&place, "helm", &object).await.unwrap());

        let policy = ground.policy("installed");
        policy.write(&SETTINGS.replace("  desired:", "  onConflict: Yield\n  desired:"));
        drop(policy.apply().await.exits(0));
        let now = ground.api.get(&place).await.unwrap();
        assert_eq!(now["data"]["mode"], "slower", "it is left to its holder");
        assert_eq!(
            now["metadata"]["labels"]["tier"], "web",
            "what nobody holds is set"
        );
        assert_eq!(now["data"]["other"], "theirs");
        at_rest(ground, &policy).await;

        policy.write(SETTINGS);
        let plan = policy.plan_text().await.exits(0);
        drop(
            plan.says("~ data.mode: slower -> fast")
                .says("takes data.mode from "),
        );
        drop(policy.apply().await.exits(0));
        let now = ground.api.get(&place).await.unwrap();
        assert_eq!(
            now["data"],
            json!({ "mode": "fast", "level": "info", "other": "theirs" })
        );
        assert_eq!(now["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
        at_rest(ground, &policy).await;
    });
}

fn ports(ports: &str) -> String {
    format!(
        "web:
  ensure: kubernetes/Object
  desired:
    apiVersion: v1
    kind: Service
    metadata: {{ name: web, finalizers: [shop.example/ours] }}
    spec: {{ selector: {{ app: web }}, ports: {ports} }}"
    )
}

fn numbers(service: &Value) -> Vec<u64> {
    let ports = service["spec"]["ports"].as_array().unwrap();
    let mut numbers: Vec<_> = ports.iter().map(|port| port["port"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn items_of_others_stay_in_a_list_and_a_removed_one_of_ours_goes_alone() {
    on_ground(async |ground| {
        let service = ("v1", "Service");
        let policy = applied(
            ground,
            "shared",
            &ports("[{ name: a, port: 80 }, { name: b, port: 81 }]"),
        )
        .await;
        let place = path(service.0, service.1, "shared", "web");
        let theirs = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web", "finalizers": ["shop.example/theirs"] },
            "spec": { "ports": [{ "name": "c", "port": 82, "protocol": "TCP" }] },
        });
        drop(ground.api.apply(&place, "mesh", &theirs).await);
        at_rest(ground, &policy).await;
        assert_eq!(
            numbers(&live(ground, service, "shared", "web").await),
            [80, 81, 82]
        );
        policy.write(&ports("[{ name: a, port: 80 }]"));
        assert_eq!(changes(&policy.plan().await)["web"], ["spec.ports[81/TCP]"]);
        drop(policy.apply().await.exits(0));
        let now = live(ground, service, "shared", "web").await;
        assert_eq!(numbers(&now), [80, 82]);
        let finalizers = now["metadata"]["finalizers"].as_array().unwrap();
        assert_eq!(finalizers.len(), 2, "{finalizers:?}");
        at_rest(ground, &policy).await;
    });
}

#[test]
fn an_object_in_a_namespace_that_is_going_away_holds_up_nothing_else() {
    on_ground(async |ground| {
        let both = "leaving:
  ensure: kubernetes/Object
  desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: late, namespace: leaving }, data: { a: \"1\" } }
staying:
  ensure: kubernetes/Object
  desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: here }, data: { a: \"1\" } }";
        let held = json!({ "metadata": { "name": "held", "finalizers": ["shop.example/hold"] } });
        ground
            .api
            .create(
                "/api/v1/namespaces",
                &json!({ "metadata": { "name": "leaving" } }),
            )
            .await;
        ground
            .api
            .create("/api/v1/namespaces/leaving/configmaps", &held)
            .await;
        ground
            .kubectl(&["delete", "namespace", "leaving", "--wait=false"])
            .await;
        let policy = crate::prepared(ground, "staying", both).await;
        let apply = policy
            .run(&["apply", "--yes", "--no-wait", "--timeout", "15s"])
            .await
            .exits(2);
        drop(apply.says("the namespace is being deleted"));
        assert_eq!(
            live(ground, CONFIG_MAP, "staying", "here").await["data"]["a"],
            "1"
        );
        let last = "/api/v1/namespaces/leaving/configmaps/held";
        ground
            .api
            .patch(last, &json!({ "metadata": { "finalizers": null } }))
            .await;
        holdfast_e2e::until("the namespace is gone", async || {
            ground.api.get("/api/v1/namespaces/leaving").await.is_none()
        })
        .await;
        ground
            .api
            .create(
                "/api/v1/namespaces",
                &json!({ "metadata": { "name": "leaving" } }),
            )
            .await;
        drop(policy.apply().await.exits(0));
        at_rest(ground, &policy).await;
    });
}
