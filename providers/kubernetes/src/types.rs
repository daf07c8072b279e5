//! What is the same on every Kubernetes server: the built-in groups, and where their objects live.

use holdfast_contract::{ApiType, Scope, Served};

/// The groups of Kubernetes itself. Their types have Go structs behind them, which fill in defaults and leave out
/// empty fields; no CRD can define a type in them.
const GROUPS: [&str; 23] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// Namespaces that every server makes by itself.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Types that live in the whole cluster, of the versions that every supported server serves.
const CLUSTER: [(&str, &[&str]); 10] = [
    (
        "admissionregistration.k8s.io/v1",
        &[
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io/v1", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io/v1", &["APIService"]),
    ("certificates.k8s.io/v1", &["CertificateSigningRequest"]),
    (
        "flowcontrol.apiserver.k8s.io/v1",
        &["FlowSchema", "PriorityLevelConfiguration"],
    ),
    ("node.k8s.io/v1", &["RuntimeClass"]),
    (
        "rbac.authorization.k8s.io/v1",
        &["ClusterRole", "ClusterRoleBinding"],
    ),
    ("scheduling.k8s.io/v1", &["PriorityClass"]),
    (
        "storage.k8s.io/v1",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"],
    ),
    ("v1", &["Namespace", "Node", "PersistentVolume"]),
];

/// Types that live in a namespace, of the versions that every supported server serves.
const NAMESPACED: [(&str, &[&str]); 11] = [
    (
        "apps/v1",
        &[
            "ControllerRevision",
            "DaemonSet",
            "Deployment",
            "ReplicaSet",
            "StatefulSet",
        ],
    ),
    ("autoscaling/v1", &["HorizontalPodAutoscaler"]),
    ("autoscaling/v2", &["HorizontalPodAutoscaler"]),
    ("batch/v1", &["CronJob", "Job"]),
    ("coordination.k8s.io/v1", &["Lease"]),
    ("discovery.k8s.io/v1", &["EndpointSlice"]),
    ("events.k8s.io/v1", &["Event"]),
    ("networking.k8s.io/v1", &["Ingress", "NetworkPolicy"]),
    ("policy/v1", &["PodDisruptionBudget"]),
    ("rbac.authorization.k8s.io/v1", &["Role", "RoleBinding"]),
    (
        "v1",
        &[
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
];

/// Whether `api` is of a group of Kubernetes itself.
pub(crate) fn is_built_in(api: &ApiType) -> bool {
    GROUPS.contains(&api.group())
}

/// Whether every server has this namespace.
pub(crate) fn is_everywhere(namespace: &str) -> bool {
    NAMESPACES.contains(&namespace)
}

/// Where objects of `api` live, if every server agrees on it.
pub(crate) fn scope(api: &ApiType) -> Option<Served> {
    let holds = |table: &[(&str, &[&str])]| {
        table
            .iter()
            .any(|(version, kinds)| *version == api.api_version && kinds.contains(&api.kind.as_str()))
    };
    if holds(&CLUSTER) {
        return Some(Served::Yes(Scope::Cluster));
    }
    holds(&NAMESPACED).then_some(Served::Yes(Scope::Namespaced))
}

/// What objects of `kind` are called in paths, by the rule that the types of Kubernetes and nearly all others follow.
pub(crate) fn plural(kind: &str) -> String {
    let word = kind.to_ascii_lowercase();
    if word == "endpoints" {
        return word;
    }
    let before = word.chars().rev().nth(1);
    match word.strip_suffix('y') {
        Some(stem) if !before.is_some_and(|letter| "aeiou".contains(letter)) => format!("{stem}ies"),
        _ if ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end)) => word + "es",
        _ => word + "s",
    }
}

/// Whether `api` is the core group's `Secret`.
pub(crate) fn is_secret(api: &ApiType) -> bool {
    api.group().is_empty() && api.kind == "Secret"
}

/// Whether `api` is `CustomResourceDefinition`.
pub(crate) fn is_crd(api: &ApiType) -> bool {
    api.group() == "apiextensions.k8s.io" && api.kind == "CustomResourceDefinition"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_built_in_types_are_known_and_of_others_are_not() {
        let scope = |version, kind| scope(&ApiType::new(version, kind));
        assert_eq!(scope("v1", "Namespace"), Some(Served::Yes(Scope::Cluster)));
        assert_eq!(
            scope("apps/v1", "Deployment"),
            Some(Served::Yes(Scope::Namespaced))
        );
        // No server serves this version any more: it must be asked.
        assert_eq!(scope("apps/v1beta1", "Deployment"), None);
        assert_eq!(scope("velero.io/v1", "Backup"), None);
    }

    #[test]
    fn plurals_follow_the_rule_of_kubernetes() {
        let plurals = ["NetworkPolicy", "Ingress", "Endpoints", "Gateway", "Deployment"].map(plural);
        assert_eq!(
            plurals,
            [
                "networkpolicies",
                "ingresses",
                "endpoints",
                "gateways",
                "deployments"
            ]
        );
    }

    #[test]
    fn a_group_with_a_dot_is_not_by_that_a_custom_one() {
        assert!(is_built_in(&ApiType::new("rbac.authorization.k8s.io/v1", "Role")));
        assert!(!is_built_in(&ApiType::new(
            "snapshot.storage.k8s.io/v1",
            "VolumeSnapshot"
        )));
    }
}
