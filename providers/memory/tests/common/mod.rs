//! What the tests share: providers on one world, with the real kinds.

use std::sync::Arc;

use async_trait::async_trait;
use holdfast_contract::{
    ApiType, Kind, Provider, ProviderConfig, ProviderError, ProviderFactory, Registry, ResourceKey, Shape,
    Value,
};
use holdfast_kubernetes::ObjectKind;
use holdfast_memory::World;
use holdfast_s3::BucketKind;

/// A real provider's type and kinds, without its network.
#[derive(Debug)]
struct Real {
    provider_type: &'static str,
    kind: Arc<dyn Kind>,
}

#[async_trait]
impl ProviderFactory for Real {
    fn provider_type(&self) -> &'static str {
        self.provider_type
    }

    fn kinds(&self) -> Vec<Arc<dyn Kind>> {
        vec![self.kind.clone()]
    }

    fn settings(&self) -> &Shape {
        &Shape::Any
    }

    async fn open(&self, _config: ProviderConfig) -> Result<Arc<dyn Provider>, ProviderError> {
        panic!("a test in memory opens no real provider")
    }
}

pub(crate) fn registry() -> Registry {
    Registry::default()
        .with(Arc::new(Real {
            provider_type: "kubernetes",
            kind: Arc::new(ObjectKind::new()),
        }))
        .with(Arc::new(Real {
            provider_type: "s3",
            kind: Arc::new(BucketKind::new()),
        }))
}

pub(crate) fn world() -> World {
    World::new(&registry())
}

/// A provider named `name` of `provider_type` on `world`.
pub(crate) async fn open(
    world: &World,
    provider_type: &str,
    name: &str,
    account: Option<&str>,
) -> Arc<dyn Provider> {
    let registry = world.registry(&registry());
    let account = account.map(|account| ("account".to_owned(), Value::from(account)));
    let config = ProviderConfig {
        account: None,
        name: name.into(),
        settings: account.into_iter().collect(),
        credentials: None,
    };
    registry
        .factory(provider_type)
        .unwrap()
        .open(config)
        .await
        .unwrap()
}

pub(crate) fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> ResourceKey {
    ResourceKey {
        provider: "kubernetes".into(),
        kind: "kubernetes/Object".into(),
        api: Some(ApiType::new(api_version, kind)),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        region: None,
    }
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
