//! What a policy stands on: none may manage that, whatever it calls its providers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{
    ApiType, Held, Holder, PolicyId, ProviderError, ResourceKey, StateStore, Stored, Version,
};
use holdfast_engine::{Phase, objects};
use holdfast_memory::{Operation, World};

use crate::support::Case;
use crate::{count, policy, resource};

/// The state of a world, kept elsewhere than in its sandbox.
#[derive(Debug)]
struct Elsewhere {
    world: World,
    ground: Vec<ResourceKey>,
}

#[async_trait]
impl StateStore for Elsewhere {
    async fn load(&self, policy: &PolicyId) -> Result<Option<Stored>, ProviderError> {
        self.world.load(policy).await
    }

    async fn save(
        &self,
        policy: &PolicyId,
        entries: &BTreeMap<String, String>,
        expected: Option<&Version>,
    ) -> Result<Version, ProviderError> {
        self.world.save(policy, entries, expected).await
    }

    fn place(&self, policy: &PolicyId) -> String {
        self.world.place(policy)
    }

    fn ground(&self, _policy: &PolicyId) -> Vec<ResourceKey> {
        self.ground.clone()
    }

    async fn cluster(&self) -> Result<Option<String>, ProviderError> {
        self.world.cluster().await
    }

    async fn acquire(
        &self,
        policy: &PolicyId,
        holder: &Holder,
        duration: Duration,
    ) -> Result<Held, ProviderError> {
        self.world.acquire(policy, holder, duration).await
    }

    async fn holder(&self, policy: &PolicyId) -> Result<Option<Holder>, ProviderError> {
        self.world.holder(policy).await
    }

    async fn release(&self, policy: &PolicyId, holder: &Holder) -> Result<(), ProviderError> {
        self.world.release(policy, holder).await
    }
}

const SANDBOX: &str = "
cluster: { serves: [ { apiVersion: holdfast.dev/v1alpha1, kind: Policy, scope: Namespaced } ] }
objects: [ { apiVersion: v1, kind: Namespace, metadata: { name: holdfast-system } } ]
";

fn rule(name: &str, object: &str) -> String {
    format!("    {name}: {{ ensure: kubernetes/Object, provider: there, desired: {{ {object} }} }}\n")
}

/// All on the provider `there`, which is the same cluster by another name.
fn rules(rules: &[(&str, &str)]) -> String {
    let rules: String = rules.iter().map(|(name, object)| rule(name, object)).collect();
    policy(&format!(
        "  providers: {{ there: {{ type: kubernetes }} }}\n  rules:\n{rules}"
    ))
}

const OURS: &[(&str, &str)] = &[
    (
        "account",
        "apiVersion: v1, kind: ServiceAccount, metadata: { name: tenant, namespace: team-a }",
    ),
    (
        "home",
        "apiVersion: v1, kind: Namespace, metadata: { name: home }",
    ),
    (
        "lease",
        "apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: { name: test, namespace: home }",
    ),
    (
        "ledger",
        "apiVersion: v1, kind: ConfigMap, metadata: { name: test, namespace: home }",
    ),
    (
        "namespace",
        "apiVersion: v1, kind: Namespace, metadata: { name: holdfast-system }",
    ),
    (
        "otherPolicy",
        "apiVersion: holdfast.dev/v1alpha1, kind: Policy, metadata: { name: other, namespace: team-b }, spec: {}",
    ),
    (
        "policies",
        "apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: { name: policies.holdfast.dev }",
    ),
    (
        "replica",
        "apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: { name: holdfast-replica.a, namespace: home }",
    ),
];

const NOT_OURS: &[(&str, &str)] = &[
    (
        "account",
        "apiVersion: v1, kind: ServiceAccount, metadata: { name: other, namespace: team-a }",
    ),
    (
        "lease",
        "apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: { name: test, namespace: team-a }",
    ),
    (
        "map",
        "apiVersion: v1, kind: ConfigMap, metadata: { name: test, namespace: holdfast-system }",
    ),
    (
        "namespace",
        "apiVersion: v1, kind: Namespace, metadata: { name: team-a }",
    ),
];

/// The state lies in the namespace `home`, and all is done as `team-a/tenant`.
fn case(all: &[(&str, &str)]) -> Case {
    let mut case = Case::text(&rules(all), SANDBOX);
    let key = |api, kind, namespace, name| objects::key(&ApiType::new(api, kind), namespace, name);
    case.engine.state = Arc::new(Elsewhere {
        world: case.world.clone(),
        ground: vec![
            key("v1", "ConfigMap", Some("home"), "test"),
            key("coordination.k8s.io/v1", "Lease", Some("home"), "test"),
            key("v1", "Namespace", None, "home"),
            key("v1", "ServiceAccount", Some("team-a"), "tenant"),
        ],
    });
    case
}

#[tokio::test]
async fn a_policy_cannot_manage_what_it_stands_on() {
    let case = case(OURS);
    let report = case.apply_with(false).await;
    for (name, object) in OURS {
        let found = resource(&report, name);
        assert_eq!(found.phase, Phase::Blocked, "{object}");
        let why = &found.reason;
        assert!(
            why.contains("it would saw off what it stands on"),
            "{object}: {why}"
        );
    }
    assert_eq!(count(&case, Operation::Create) + count(&case, Operation::Set), 0);
}

#[tokio::test]
async fn what_is_only_called_like_it_is_anybodys() {
    let report = case(NOT_OURS).apply_with(false).await;
    for (name, object) in NOT_OURS {
        let found = resource(&report, name);
        assert_eq!(found.phase, Phase::Converged, "{object}: {}", found.reason);
    }
}
