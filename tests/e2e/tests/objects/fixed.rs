//! What can't be changed on what exists, and what can only grow.

use holdfast_e2e::{changes, on_ground, path};
use serde_json::json;

use crate::{applied, at_rest, blocked, live, prepared};

fn service(address: &str, port: u16) -> String {
    format!(
        "web:
  ensure: kubernetes/Object
  desired:
    apiVersion: v1
    kind: Service
    metadata: {{ name: web }}
    spec: {{ clusterIP: {address}, selector: {{ app: web }}, ports: [{{ port: {port} }}] }}
beside:
  ensure: kubernetes/Object
  desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: beside }}, data: {{ port: \"{port}\" }} }}"
    )
}

#[test]
fn a_services_address_is_named_as_what_cannot_change_and_the_rest_goes_on() {
    on_ground(async |ground| {
        let policy = applied(ground, "addressed", &service("10.0.0.201", 80)).await;
        policy.write(&service("10.0.0.202", 81));
        let plan = policy.plan().await;
        let why = blocked(&plan, "web");
        assert!(why.contains("spec.clusterIP"), "{why}");
        drop(policy.apply().await.exits(2).says("clusterIP"));
        assert_eq!(
            live(ground, ("v1", "ConfigMap"), "addressed", "beside").await["data"]["port"],
            "81"
        );
        assert_eq!(
            live(ground, ("v1", "Service"), "addressed", "web").await["spec"]["clusterIP"],
            "10.0.0.201"
        );
    });
}

#[test]
fn a_services_address_that_the_server_chose_is_no_drift_when_the_type_changes() {
    on_ground(async |ground| {
        let typed =
            |kind: &str| service("10.0.0.203", 80).replace("clusterIP: 10.0.0.203", &format!("type: {kind}"));
        let policy = applied(ground, "typed", &typed("ClusterIP")).await;
        let before = live(ground, ("v1", "Service"), "typed", "web").await;
        policy.write(&typed("NodePort"));
        drop(policy.apply().await.exits(0));
        at_rest(ground, &policy).await;
        let after = live(ground, ("v1", "Service"), "typed", "web").await;
        assert_eq!(after["spec"]["clusterIP"], before["spec"]["clusterIP"]);
        assert!(
            after["spec"]["ports"][0]["nodePort"]
                .as_u64()
                .is_some_and(|port| port > 0)
        );
        policy.write(&typed("ClusterIP"));
        drop(policy.apply().await.exits(0));
        at_rest(ground, &policy).await;
    });
}

#[test]
fn a_jobs_template_is_named_as_what_cannot_change() {
    on_ground(async |ground| {
        let job = |image: &str| {
            format!(
                "job:
  ensure: kubernetes/Object
  desired:
    apiVersion: batch/v1
    kind: Job
    metadata: {{ name: job }}
    spec: {{ template: {{ spec: {{ restartPolicy: Never, containers: [{{ name: c, image: \"{image}\" }}] }} }} }}"
            )
        };
        let policy = applied(ground, "jobs", &job("example.org/c:1")).await;
        policy.write(&job("example.org/c:2"));
        let plan = policy.plan().await;
        let why = blocked(&plan, "job");
        assert!(why.contains("spec.template"), "{why}");
        drop(policy.apply().await.exits(2).says("spec.template"));
    });
}

#[test]
fn a_volume_claim_grows_and_does_not_shrink() {
    on_ground(async |ground| {
        let claim = |size: &str| {
            format!(
                "class:
  ensure: kubernetes/Object
  desired: {{ apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {{ name: growing }}, provisioner: growing.example, allowVolumeExpansion: true }}
volume:
  ensure: kubernetes/Object
  desired:
    apiVersion: v1
    kind: PersistentVolume
    metadata: {{ name: growing }}
    spec: {{ capacity: {{ storage: 8Gi }}, accessModes: [ReadWriteOnce], storageClassName: growing, csi: {{ driver: growing.example, volumeHandle: h }} }}
claim:
  ensure: kubernetes/Object
  desired:
    apiVersion: v1
    kind: PersistentVolumeClaim
    metadata: {{ name: data }}
    spec: {{ accessModes: [ReadWriteOnce], storageClassName: growing, resources: {{ requests: {{ storage: {size} }} }} }}"
            )
        };
        let policy = prepared(ground, "growing", &claim("1Gi")).await;
        drop(policy.run(&["apply", "--yes", "--timeout", "60s"]).await.exits(0));
        at_rest(ground, &policy).await;
        policy.write(&claim("2048Mi"));
        let plan = policy.plan().await;
        assert_eq!(changes(&plan)["claim"], ["spec.resources.requests.storage"]);
        drop(policy.apply().await.exits(0));
        at_rest(ground, &policy).await;
        let place = path("v1", "PersistentVolumeClaim", "growing", "data");
        let now = ground.api.get(&place).await.unwrap();
        assert_eq!(now["spec"]["resources"]["requests"]["storage"], "2Gi");
        policy.write(&claim("1Gi"));
        let plan = policy.plan().await;
        let why = blocked(&plan, "claim");
        assert!(why.contains("spec.resources.requests.storage"), "{why}");
        drop(policy.apply().await.exits(2));
        assert_eq!(
            ground.api.get(&place).await.unwrap()["spec"]["resources"]["requests"]["storage"],
            "2Gi"
        );
    });
}

#[test]
fn a_secret_that_was_changed_by_hand_is_put_back_and_neither_value_shows() {
    on_ground(async |ground| {
        let rules = "login:
  ensure: kubernetes/Object
  desired:
    apiVersion: v1
    kind: Secret
    metadata: { name: login }
    data: { both: ZnJvbS1kYXRh }
    stringData: { password: correct-horse, both: from-text }";
        let policy = applied(ground, "sealed", rules).await;
        let place = path("v1", "Secret", "sealed", "login");
        let login = ground.api.get(&place).await.unwrap();
        assert_eq!(
            login["data"]["both"], "ZnJvbS10ZXh0",
            "stringData wins, as the server has it"
        );
        let theirs = json!({ "data": { "password": "YmF0dGVyeS1zdGFwbGU=", "more": "dGhlaXJz" } });
        ground.api.patch(&place, &theirs).await;
        let plan = policy.plan().await;
        assert_eq!(changes(&plan)["login"], ["data.password"]);
        let text = policy.plan_text().await.exits(0).says("(sensitive value)");
        let apply = policy.apply().await.exits(0);
        for output in [
            plan.to_string(),
            text.stdout,
            text.stderr,
            apply.stdout,
            apply.stderr,
        ] {
            for secret in [
                "correct-horse",
                "battery-staple",
                "YmF0dGVyeS1zdGFwbGU",
                "Y29ycmVjdC1ob3JzZQ",
                "dGhlaXJz",
            ] {
                assert!(!output.contains(secret), "{secret} shows in {output}");
            }
        }
        let login = ground.api.get(&place).await.unwrap();
        assert_eq!(login["data"]["password"], "Y29ycmVjdC1ob3JzZQ==");
        assert_eq!(login["data"]["more"], "dGhlaXJz");
        at_rest(ground, &policy).await;
    });
}
