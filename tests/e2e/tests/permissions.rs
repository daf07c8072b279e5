//! `holdfast permissions`, held against a server that enforces RBAC.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use holdfast_e2e::{NAMESPACE, Power, STATE, Stage, denied, on_stage};
use holdfast_testbed::kubectl_with_input;
use serde_json::Value;

const POLICY: &str = "policies/managed-velero";
const ACCOUNT: &str = "system:serviceaccount:holdfast-system:keeper";

/// What the program itself takes, whatever the policy: its ledger, its lease, and the cluster's uid.
const OWN: &str = r"
apiVersion: v1
kind: ServiceAccount
metadata: { name: keeper, namespace: holdfast-system }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: keeper, namespace: holdfast-system }
rules:
  - { apiGroups: [''], resources: [configmaps], verbs: [get, create, patch] }
  - { apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: keeper, namespace: holdfast-system }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: keeper }
subjects: [{ kind: ServiceAccount, name: keeper, namespace: holdfast-system }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: keeper }
rules: [{ apiGroups: [''], resources: [namespaces], resourceNames: [kube-system], verbs: [get] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: keeper }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: keeper }
subjects: [{ kind: ServiceAccount, name: keeper, namespace: holdfast-system }]
";

async fn roles(stage: &Stage) -> String {
    let account = ["--account", "holdfast-system/keeper"];
    let command = ["permissions", POLICY, "-o", "rbac", account[0], account[1]];
    stage.holdfast(&command).await.exits(0).stdout
}

/// Nobody but administrators has ever applied it: whatever the derivation forgets is refused.
#[test]
fn whoever_has_just_the_derived_roles_converges_managed_velero_and_is_denied_nothing() {
    on_stage(async |stage| {
        let apply = async |text: &str| {
            let applied = kubectl_with_input(&stage.cluster, &["apply", "-f", "-"], text);
            applied.await.unwrap();
        };
        for namespace in [STATE, NAMESPACE, "openshift-config"] {
            let document = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {namespace} }}\n");
            apply(&document).await;
        }
        apply(OWN).await;
        let roles = roles(stage).await;
        apply(&roles).await;
        let token = stage
            .cluster
            .service_account_token(STATE, "keeper")
            .await
            .unwrap();
        let kubeconfig = stage.cluster.kubeconfig_with_token("keeper", &token).unwrap();
        let kubeconfig = kubeconfig.to_str().unwrap();

        let mark = stage.mark().await;
        let command = [
            "apply",
            POLICY,
            "--yes",
            "--timeout",
            "60s",
            "--kubeconfig",
            kubeconfig,
        ];
        let applied = stage.holdfast(&command).await;
        let witness = stage.since(mark).await;
        let refused = denied(&witness.kubernetes, ACCOUNT);
        assert_eq!(refused, [""; 0], "{}\n{}", applied.stdout, applied.stderr);
        let applied = applied.exits(0).says("converged.");
        println!("{}", applied.stdout);
        let ours = witness.kubernetes.iter().filter(|event| event.user == ACCOUNT);
        assert!(
            ours.count() > 50,
            "the program came as somebody else:\n{}",
            witness.lines()
        );

        // The namespace was there: its roles lie in it. What else is left are reads that only watching takes, and what
        // only a predecessor leaves to be removed.
        let documents: Vec<Value> = serde_saphyr::from_multiple(&roles).unwrap();
        let unused = Power::of(&documents).unused(&witness.kubernetes);
        let made = |line: &&String| line.starts_with("create ") || line.starts_with("patch ");
        let unused: Vec<&String> = unused.iter().filter(made).collect();
        assert_eq!(unused, ["create /namespaces openshift-velero in everywhere"]);
    });
}
