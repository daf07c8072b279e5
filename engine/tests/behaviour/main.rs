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

mod bounds;
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

use holdfast_contract::ProviderError;
use holdfast_memory::Operation;
use support::Case;
pub(crate) use support::fixtures::{BUCKET, TWO_MAPS, bucket, config_map, policy, resource, text};

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

/// What was deleted since the world was last asked to forget, in that order.
pub(crate) fn deleted(case: &Case) -> Vec<String> {
    let requests = case.world.requests();
    requests
        .into_iter()
        .filter(|request| request.operation == Operation::Delete)
        .map(|request| request.target)
        .collect()
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
