//! How a memory provider is opened in place of a real one.

use std::sync::Arc;

use async_trait::async_trait;
use holdfast_contract::{Kind, Provider, ProviderConfig, ProviderError, ProviderFactory, Shape};

use crate::provider::MemoryProvider;
use crate::world::World;

/// Presents a real factory's type, kinds and settings, and opens providers on a [`World`].
#[derive(Clone, Debug)]
pub struct MemoryFactory {
    world: World,
    real: Arc<dyn ProviderFactory>,
}

impl MemoryFactory {
    /// In place of `real`. The world must have been made with a registry that holds `real`.
    #[must_use]
    pub fn new(world: World, real: Arc<dyn ProviderFactory>) -> Self {
        Self { world, real }
    }
}

#[async_trait]
impl ProviderFactory for MemoryFactory {
    fn provider_type(&self) -> &'static str {
        self.real.provider_type()
    }

    fn kinds(&self) -> Vec<Arc<dyn Kind>> {
        self.real.kinds()
    }

    fn settings(&self) -> &Shape {
        self.real.settings()
    }

    /// Opens one. Credentials aren't looked at: in memory everybody is let in.
    async fn open(&self, config: ProviderConfig) -> Result<Arc<dyn Provider>, ProviderError> {
        let text = |setting: &str| {
            let value = config.settings.get(setting)?;
            value.as_str().map(str::to_owned)
        };
        Ok(Arc::new(MemoryProvider {
            name: config.name.clone(),
            world: self.world.clone(),
            kinds: self.real.kinds(),
            region: text("region"),
            account: text("account"),
        }))
    }
}
