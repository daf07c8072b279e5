//! What the engine's tests share: the real kinds on a world in memory.

pub mod fixtures;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{
    Holder, Kind, Provider, ProviderConfig, ProviderError, ProviderFactory, Registry, Shape, StateStore,
};
use holdfast_engine::{ApplyOptions, Clock, Engine, Progress, Report, Stop, Timing};
use holdfast_kubernetes::ObjectKind;
use holdfast_memory::World;
use holdfast_policy::{Supplied, ValidPolicy, load, load_document, load_text, render, validate};
use holdfast_s3::BucketKind;

/// A provider's kinds and settings, without its network.
#[derive(Debug)]
struct Kinds {
    provider_type: &'static str,
    kind: Arc<dyn Kind>,
    settings: Shape,
}

#[async_trait]
impl ProviderFactory for Kinds {
    fn provider_type(&self) -> &'static str {
        self.provider_type
    }

    fn kinds(&self) -> Vec<Arc<dyn Kind>> {
        vec![self.kind.clone()]
    }

    fn settings(&self) -> &Shape {
        &self.settings
    }

    async fn open(&self, _config: ProviderConfig) -> Result<Arc<dyn Provider>, ProviderError> {
        unreachable!("tests open providers in memory")
    }
}

/// The kinds that there are.
pub fn registry() -> Registry {
    let of = |provider_type, kind| {
        Arc::new(Kinds {
            provider_type,
            kind,
            settings: Shape::Map(Box::new(Shape::Any)),
        })
    };
    Registry::default()
        .with(of("kubernetes", Arc::new(ObjectKind::new())))
        .with(of("s3", Arc::new(BucketKind::new())))
}

/// A policy and the world that it acts on.
pub struct Case {
    pub policy: ValidPolicy,
    pub world: World,
    pub engine: Engine,
    pub supplied: Vec<Supplied>,
}

impl Case {
    /// The policy in `folder`, on the world of its `sandbox.yaml`.
    pub fn folder(folder: &Path) -> Self {
        let loaded = load(folder).unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)));
        let policy = validate(&loaded[0], &registry())
            .unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)));
        let sandbox = std::fs::read_to_string(folder.join("sandbox.yaml")).unwrap_or_default();
        Self::new(policy, &sandbox)
    }

    /// The policy `text`, on the world `sandbox`.
    pub fn text(text: &str, sandbox: &str) -> Self {
        let policy = validate(&load_text("policy.yaml", text), &registry())
            .unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)));
        Self::new(policy, sandbox)
    }

    /// The policy of the resource `document`, on the world of the sandbox.yaml in `folder`.
    pub fn document(document: &serde_json::Value, folder: &Path) -> Self {
        let policy = validate(&load_document("resource", document), &registry())
            .unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)));
        let sandbox = std::fs::read_to_string(folder.join("sandbox.yaml")).unwrap_or_default();
        Self::new(policy, &sandbox)
    }

    fn new(policy: ValidPolicy, sandbox: &str) -> Self {
        let world = World::new(&registry());
        world.load_sandbox(sandbox, "sandbox.yaml").unwrap();
        let state: Arc<dyn StateStore> = Arc::new(world.clone());
        let engine = Engine {
            registry: world.registry(&registry()),
            state,
            clock: Clock::steady(),
        };
        Self {
            policy,
            world,
            engine,
            supplied: Vec::new(),
        }
    }

    pub async fn plan(&self) -> Report {
        let parameters = self.parameters().await;
        self.engine.plan(&self.policy, &parameters).await.unwrap()
    }

    pub async fn apply(&self) -> Report {
        self.apply_with(true).await
    }

    pub async fn apply_with(&self, wait: bool) -> Report {
        self.apply_as(Duration::from_secs(10), wait, &|_| {}).await
    }

    /// Applies for at most `timeout`, and tells `watcher` what happens.
    pub async fn apply_watched(
        &self,
        timeout: Duration,
        watcher: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Report {
        self.apply_as(timeout, true, watcher).await
    }

    async fn apply_as(
        &self,
        timeout: Duration,
        wait: bool,
        watcher: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Report {
        let options = ApplyOptions {
            timing: Timing::default(),
            holder: Holder("test".to_owned()),
            timeout,
            wait,
            stop: Stop::default(),
        };
        let parameters = self.parameters().await;
        let applied = self.engine.apply(&self.policy, &parameters, &options, watcher);
        applied.await.unwrap()
    }

    /// Another policy on the same world.
    pub fn with_policy(&self, text: &str) -> Self {
        Self {
            policy: Self::text(text, "").policy,
            world: self.world.clone(),
            engine: self.engine.clone(),
            supplied: Vec::new(),
        }
    }

    /// The ledger as it is stored.
    pub async fn ledger(&self) -> serde_json::Value {
        let stored = self.engine.state.load(&self.policy.id).await.unwrap();
        let text = stored.map(|stored| stored.entries["ledger.json"].clone());
        text.map_or(serde_json::Value::Null, |text| {
            serde_json::from_str(&text).unwrap()
        })
    }

    /// Changes the stored ledger by hand.
    pub async fn edit_ledger(&self, edit: impl FnOnce(&mut serde_json::Value)) {
        let state = &self.engine.state;
        let stored = state.load(&self.policy.id).await.unwrap().unwrap();
        let mut ledger = serde_json::from_str(&stored.entries["ledger.json"]).unwrap();
        edit(&mut ledger);
        let entries = [("ledger.json".to_owned(), ledger.to_string())].into();
        let saved = state.save(&self.policy.id, &entries, Some(&stored.version));
        saved.await.unwrap();
    }

    async fn parameters(&self) -> holdfast_policy::Parameters {
        let parameters = self.engine.parameters(&self.policy, &self.supplied).await;
        parameters.unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)))
    }

    /// How many writes the world has seen since it was last asked to forget.
    pub fn writes(&self) -> usize {
        self.world
            .requests()
            .iter()
            .filter(|request| request.operation.is_write())
            .count()
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
