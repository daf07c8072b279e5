//! A release on a cluster, from its installation to its end.

use holdfast_e2e::{Ground, Release, STATE, denied, on_ground, path, until};
use holdfast_testbed::{helm, kubectl_with_input};
use serde_json::{Value, json};

use crate::{chart, rendered};

#[test]
fn it_is_installed_upgraded_and_uninstalled_and_what_people_rely_on_stays() {
    on_ground(async |ground| {
        let chart = chart();
        let chart = chart.to_str().unwrap();
        let helm = async |arguments: &[&str]| helm(Some(&ground.cluster), arguments).await.unwrap();
        // Without `--wait`: that waits for the shipped policy, too, which nobody enforces here.
        let place = ["--namespace", STATE];
        let velero = ["--set", "policies.managed-velero.enabled=true"];
        helm(
            &[
                &["install", "holdfast", chart, "--create-namespace"],
                &place[..],
                &velero[..],
            ]
            .concat(),
        )
        .await;
        let ready = async || {
            let deployment = get(ground, "apps/v1", "Deployment", STATE, "holdfast")
                .await
                .unwrap();
            deployment["status"]["availableReplicas"] == 2
        };
        until("both replicas are there", ready).await;
        let policy = ground.api.get(&Release::policies("managed-velero")).await;
        let uid = policy.expect("the shipped policy")["metadata"]["uid"].clone();

        // What people and the engine have put there since: a policy that says what is to go with it, and a ledger.
        let own = json!({
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Policy",
            "metadata": { "name": "own", "namespace": STATE, "finalizers": ["holdfast.dev/removal"] },
            "spec": { "language": 1, "rules": {} },
        });
        ground.api.create(&Release::policies(""), &own).await;
        let ledger = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "own", "namespace": STATE } });
        let maps = path("v1", "ConfigMap", STATE, "");
        ground.api.create(maps.trim_end_matches('/'), &ledger).await;

        let more = [
            "--set",
            "replicas=3",
            "--set",
            "policies.managed-velero.parameters.expiryDays=60",
        ];
        helm(
            &[
                &["upgrade", "holdfast", chart],
                &place[..],
                &velero[..],
                &more[..],
            ]
            .concat(),
        )
        .await;
        let policy = ground
            .api
            .get(&Release::policies("managed-velero"))
            .await
            .unwrap();
        assert_eq!(policy["metadata"]["uid"], uid, "an upgrade keeps the policy");
        assert_eq!(policy["spec"]["values"]["expiryDays"], 60);

        // No image can be run here: what the last job does is done by the program itself, as the job's account.
        assert_eq!(let_go(ground).await, [""; 0]);
        let wait = ["--wait", "--timeout", "120s"];
        helm(&[&["uninstall", "holdfast"], &place[..], &wait[..]].concat()).await;
        for (api, kind, namespace, name) in [
            ("v1", "Namespace", "", "openshift-velero"),
            ("v1", "ServiceAccount", "openshift-velero", "velero"),
            (
                "rbac.authorization.k8s.io/v1",
                "ClusterRoleBinding",
                "",
                "velero-openshift-velero",
            ),
            ("v1", "ConfigMap", STATE, "own"),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "",
                "policies.holdfast.dev",
            ),
        ] {
            assert!(
                get(ground, api, kind, namespace, name).await.is_some(),
                "{kind} {name} is gone"
            );
        }
        let own = ground
            .api
            .get(&Release::policies("own"))
            .await
            .expect("a policy of one's own stays");
        assert_eq!(
            own["metadata"]["finalizers"],
            Value::Null,
            "and may be deleted from now on"
        );
        // Another release finds what this one has left, and leaves it as it is.
        let another = [
            "--namespace",
            "elsewhere",
            "--create-namespace",
            "--dry-run=server",
        ];
        let text = helm(&[&["install", "another", chart], &another[..], &velero[..]].concat()).await;
        assert!(text.contains("name: managed-velero"), "{text}");
        assert!(!text.contains("name: velero-openshift-velero"), "{text}");
        for (api, kind, name) in [
            ("apps/v1", "Deployment", "holdfast"),
            ("v1", "ServiceAccount", "holdfast"),
            ("batch/v1", "Job", "holdfast-release"),
        ] {
            until(&format!("{kind} {name} is gone"), async || {
                get(ground, api, kind, STATE, name).await.is_none()
            })
            .await;
        }
    });
}

/// Runs what the chart's last job runs, as its account with its role; what was denied.
async fn let_go(ground: &Ground) -> Vec<String> {
    let documents = rendered(&[]).await;
    let hooks = documents
        .iter()
        .filter(|document| !document["metadata"]["annotations"]["helm.sh/hook"].is_null());
    let (jobs, rights): (Vec<&Value>, Vec<&Value>) = hooks.partition(|document| document["kind"] == "Job");
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": rights }).to_string();
    let place = ["--namespace", STATE, "--filename", "-"];
    let kubectl = async |verb: &str| {
        kubectl_with_input(&ground.cluster, &[&[verb], &place[..]].concat(), &list)
            .await
            .unwrap()
    };
    kubectl("apply").await;
    let token = ground
        .cluster
        .service_account_token(STATE, "holdfast-release")
        .await
        .unwrap();
    let kubeconfig = ground.cluster.kubeconfig_with_token("release", &token).unwrap();
    let mark = ground.cluster.mark().await.unwrap();
    let arguments = jobs[0]["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .unwrap();
    let mut arguments: Vec<&str> = arguments.iter().map(|text| text.as_str().unwrap()).collect();
    arguments.extend(["--kubeconfig", kubeconfig.to_str().unwrap()]);
    let released = ground.holdfast(&arguments).await.exits(0);
    assert_eq!(released.stdout, "holdfast-system/own is let go\n");
    let events = ground.cluster.since(mark).await.unwrap();
    kubectl("delete").await;
    denied(&events, "system:serviceaccount:holdfast-system:holdfast-release")
}

async fn get(ground: &Ground, api: &str, kind: &str, namespace: &str, name: &str) -> Option<Value> {
    ground.api.get(&path(api, kind, namespace, name)).await
}
