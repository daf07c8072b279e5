//! What the engine promises, one promise a test, on the real kinds in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod fights;
mod gone;
mod ground;
mod holds;
mod identity;
mod limits;
mod lost;
mod owners;
mod reads;
mod removal;
mod replacement;
mod settling;
mod takeover;
mod writes;

use holdfast_contract::{ApiType, ProviderError, ResourceKey};
use holdfast_engine::objects;
use holdfast_engine::report::{Report, ResourceReport, TextOptions, plan_text};
use holdfast_memory::Operation;
use support::Case;

pub(crate) fn policy(rules: &str) -> String {
    format!(
        "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: test }}\nspec:\n  language: 1\n{rules}"
    )
}

pub(crate) fn config_map(name: &str) -> ResourceKey {
    objects::key(&ApiType::new("v1", "ConfigMap"), Some("default"), name)
}

pub(crate) fn bucket(name: &str) -> ResourceKey {
    ResourceKey {
        provider: "s3".into(),
        kind: "s3/Bucket".into(),
        api: None,
        namespace: None,
        name: name.to_owned(),
        region: None,
    }
}

pub(crate) fn text(report: &Report) -> String {
    plan_text(report, TextOptions::default())
}

pub(crate) fn resource<'r>(report: &'r Report, address: &str) -> &'r ResourceReport {
    let found = report
        .resources
        .iter()
        .find(|resource| resource.address == address);
    found.unwrap_or_else(|| panic!("no {address} in\n{}", text(report)))
}

pub(crate) const TWO_MAPS: &str = "
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } } }
    two: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: two, namespace: default }, data: { b: '2' } } }
";

pub(crate) const BUCKET: &str = "
  providers: { s3: { region: us-east-2 } }
  rules:
    data:
      ensure: s3/Bucket
      name: acme-data
      desired:
        versioning: { status: Enabled }
        tags: { owner: us }
";

pub(crate) const GENERATED: &str = "
  providers: { s3: { region: us-east-2 } }
  rules:
    data:
      ensure: s3/Bucket
      name: { generate: acme- }
      adopt: { tags: { cluster: ours, role: backup } }
      desired: { versioning: { status: Enabled } }
";

pub(crate) fn count(case: &Case, operation: Operation) -> usize {
    let requests = case.world.requests();
    requests
        .iter()
        .filter(|request| request.operation == operation)
        .count()
}

/// A cluster that can't be reached.
#[derive(Debug)]
pub(crate) struct NoCluster(pub(crate) holdfast_contract::Shape);

#[async_trait::async_trait]
impl holdfast_contract::ProviderFactory for NoCluster {
    fn provider_type(&self) -> &'static str {
        "kubernetes"
    }

    fn kinds(&self) -> Vec<std::sync::Arc<dyn holdfast_contract::Kind>> {
        vec![std::sync::Arc::new(holdfast_kubernetes::ObjectKind::new())]
    }

    fn settings(&self) -> &holdfast_contract::Shape {
        &self.0
    }

    async fn open(
        &self,
        _config: holdfast_contract::ProviderConfig,
    ) -> Result<std::sync::Arc<dyn holdfast_contract::Provider>, ProviderError> {
        Err(ProviderError::Unavailable {
            service: "the cluster".into(),
            message: "no route".into(),
            source: None,
        })
    }
}
