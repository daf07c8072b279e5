//! Which world the policies act on: a cluster and a cloud, or the sandbox.

use std::path::Path;
use std::sync::Arc;

use holdfast_contract::{ProviderError, ProviderFactory, Registry, StateStore};
use holdfast_engine::{Clock, Engine};
use holdfast_kubernetes::{Connection, KubernetesFactory};
use holdfast_memory::World;
use holdfast_s3::S3Factory;

use crate::arguments::{Cluster, Where};

/// All providers that this version has. A new one is a new folder and a line here.
pub(crate) fn registry(kubernetes: Arc<KubernetesFactory>, s3: S3Factory) -> Registry {
    Registry::default()
        .with(kubernetes as Arc<dyn ProviderFactory>)
        .with(Arc::new(s3))
}

/// The kinds that there are, where no world is reached.
pub(crate) fn offline() -> Registry {
    let kubernetes = Arc::new(KubernetesFactory::new(Connection::default()));
    registry(kubernetes, S3Factory::new())
}

/// The engine for the policy whose folder is `folder`.
pub(crate) async fn engine(world: &Where, folder: Option<&Path>) -> Result<Engine, String> {
    match &world.sandbox {
        Some(state) => sandbox(state.as_deref(), folder),
        None => real(&world.cluster).await.map_err(|error| error.to_string()),
    }
}

/// Which cluster is meant.
pub(crate) fn connection(cluster: &Cluster) -> Connection {
    Connection {
        kubeconfig: cluster.kubeconfig.clone(),
        context: cluster.context.clone(),
    }
}

/// The engine for a real cluster, as whoever runs this.
async fn real(cluster: &Cluster) -> Result<Engine, ProviderError> {
    let kubernetes = Arc::new(KubernetesFactory::new(connection(cluster)));
    let state = kubernetes.state(&cluster.state_namespace).await?;
    Ok(Engine {
        registry: registry(kubernetes, S3Factory::new()),
        state,
        clock: Clock::System,
    })
}

fn sandbox(state: Option<&Path>, folder: Option<&Path>) -> Result<Engine, String> {
    let real = offline();
    let world = World::new(&real);
    if let Some(path) = folder
        .map(|folder| folder.join("sandbox.yaml"))
        .filter(|path| path.exists())
    {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(&path).map_err(|error| format!("{name} can't be read: {error}"))?;
        world
            .load_sandbox(&text, &name)
            .map_err(|error| error.to_string())?;
    }
    if let Some(path) = state {
        world.keep_in(path).map_err(|error| error.to_string())?;
    }
    let registry = world.registry(&real);
    let store: Arc<dyn StateStore> = Arc::new(world);
    Ok(Engine {
        registry,
        state: store,
        clock: Clock::System,
    })
}
