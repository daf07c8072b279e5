//! `holdfast run`: enforce policies for good.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use holdfast_contract::{Holder, Meter, ProviderError, Registry};
use holdfast_enforcer::metrics::Metrics;
use holdfast_enforcer::{Actor, Enforcer, FilePolicy, Files, Health, Probes, Settings, Worlds, http};
use holdfast_engine::{Clock, Engine, Stop, Timing};
use holdfast_kubernetes::KubernetesFactory;
use holdfast_policy::Diagnostics;
use holdfast_s3::S3Factory;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::Exit;
use crate::arguments::{Mode, Run};
use crate::interrupt;
use crate::policies;
use crate::printer::Printer;
use crate::world;

pub(crate) async fn run(arguments: Run, printer: Printer) -> Exit {
    match start(arguments, printer).await {
        Ok(()) => Exit::Done,
        Err(exit) => exit,
    }
}

async fn start(arguments: Run, printer: Printer) -> Result<(), Exit> {
    let wrong = |message: String| {
        printer.error(&message);
        Exit::Failed
    };
    let timing = Timing::new(
        arguments.lease_duration,
        arguments.renew_deadline,
        arguments.retry_period,
    )
    .map_err(|message| {
        wrong(format!(
            "--lease-duration, --renew-deadline, --retry-period: {message}"
        ))
    })?;
    let registry = world::offline();
    let paths = arguments.paths.clone();
    let files = PolicyFiles {
        watched: paths.iter().chain(&arguments.values).cloned().collect(),
        paths,
        values: arguments.values,
        set: arguments.set,
        registry: registry.clone(),
    };
    // A person who starts it should see at once what is wrong with a file. Beside others it keeps none of those from being
    // enforced; and once it runs, it goes on with what was good. What is read here isn't kept: the enforcer reads it anew.
    if !arguments.policies {
        let read = files.read();
        if read.iter().all(|(_, read)| read.is_err()) {
            for (_, fault) in read {
                printer.aside(fault.err().unwrap_or_default().trim_end());
            }
            return Err(Exit::Invalid);
        }
    }
    let files: Option<Box<dyn Files>> = if arguments.paths.is_empty() {
        None
    } else {
        Some(Box::new(files))
    };
    let settings = Settings {
        holder: Holder(arguments.identity.unwrap_or_else(identity)),
        timing,
        mode: match arguments.mode {
            Mode::Enforce => holdfast_policy::Mode::Enforce,
            Mode::Observe => holdfast_policy::Mode::Observe,
        },
        concurrency: arguments.concurrency,
        default_account: arguments.default_account,
        ambient: arguments.ambient_credentials.into_iter().collect(),
    };
    let stop = Stop::default();
    // A line of the log, as all that follows: whatever reads it takes each for a document.
    interrupt::listen(&stop, |text| tracing::info!("{text}"));
    let (health, metrics) = (Health::default(), Metrics::new(env!("CARGO_PKG_VERSION")));
    let meter: Arc<dyn Meter> = Arc::new(metrics.clone());
    let kubernetes =
        KubernetesFactory::new(world::connection(&arguments.cluster)).with_meter(Arc::clone(&meter));
    let kubernetes = Arc::new(kubernetes);
    let no_cluster = |error: ProviderError| wrong(error.to_string());
    let namespace = &arguments.cluster.state_namespace;
    let group = group(&arguments.paths, arguments.policies, &arguments.namespace);
    let roster = kubernetes.roster(namespace, &group).await.map_err(no_cluster)?;
    let desk = if arguments.policies {
        let namespaces = arguments.namespace.into_iter().collect();
        let desk = kubernetes.desk(namespaces, &settings.holder).await;
        Some(desk.map_err(no_cluster)?)
    } else {
        None
    };
    let worlds = RealWorlds {
        kubernetes,
        state_namespace: namespace.clone(),
        meter,
    };
    if let Some(listen) = arguments.listen {
        let listener = listen.bind().await.map_err(wrong)?;
        let probes = Probes {
            health: health.clone(),
            metrics: metrics.clone(),
        };
        let stop = stop.clone();
        tokio::spawn(async move { http::serve(listener, Arc::new(probes), stop.stopped()).await });
    }
    let enforcer = Enforcer {
        worlds: Arc::new(worlds),
        registry,
        files,
        desk,
        roster: Some(roster),
        settings,
        health,
        metrics,
    };
    enforcer.run(hurry(), &stop).await;
    Ok(())
}

/// Counts the hang-ups, by which a person asks for everything to be read anew.
fn hurry() -> watch::Receiver<u64> {
    use tokio::signal::unix::{SignalKind, signal};
    let (counting, count) = watch::channel(0);
    tokio::spawn(async move {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else {
            return std::future::pending().await;
        };
        while hangups.recv().await.is_some() {
            counting.send_modify(|count: &mut u64| *count = count.wrapping_add(1));
        }
    });
    count
}

/// What replicas have in common that enforce the same policies.
fn group(paths: &[PathBuf], policies: bool, namespaces: &[String]) -> String {
    let paths: BTreeSet<&PathBuf> = paths.iter().collect();
    let namespaces: BTreeSet<&String> = namespaces.iter().collect();
    let digest = Sha256::digest(format!("{paths:?} {policies} {namespaces:?}").as_bytes());
    format!("{digest:x}").chars().take(16).collect()
}

/// The host, which is the pod's name in a cluster, and what tells two lives of one pod apart.
fn identity() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = Some(host.trim())
        .filter(|host| !host.is_empty())
        .unwrap_or("holdfast");
    let id = uuid::Uuid::new_v4().simple().to_string();
    let id: String = id.chars().take(8).collect();
    format!("{host}_{id}")
}

/// Policies in files, as the command line names them.
struct PolicyFiles {
    paths: Vec<PathBuf>,
    values: Vec<PathBuf>,
    set: Vec<String>,
    /// All files of both.
    watched: Vec<PathBuf>,
    registry: Registry,
}

impl Files for PolicyFiles {
    fn watched(&self) -> &[PathBuf] {
        &self.watched
    }

    fn read(&self) -> Vec<(String, Result<FilePolicy, String>)> {
        let shown = |faults: &Diagnostics| holdfast_policy::render(faults, 100, false);
        let mut read = Vec::new();
        for path in &self.paths {
            let loaded = match holdfast_policy::load(path) {
                Ok(loaded) => loaded,
                Err(faults) => {
                    read.push((path.display().to_string(), Err(shown(&faults))));
                    continue;
                }
            };
            for one in loaded {
                let policy = holdfast_policy::validate(&one, &self.registry).and_then(|policy| {
                    let supplied = policies::supplied(&policy, &self.values, &self.set)?;
                    Ok(FilePolicy { policy, supplied })
                });
                read.push((one.name().to_string(), policy.map_err(|faults| shown(&faults))));
            }
        }
        read
    }
}

/// The real cluster, as each actor reaches it. What is connected is shared by all who act as one.
struct RealWorlds {
    kubernetes: Arc<KubernetesFactory>,
    state_namespace: String,
    meter: Arc<dyn Meter>,
}

#[async_trait]
impl Worlds for RealWorlds {
    async fn open(&self, actor: &Actor) -> Result<Engine, ProviderError> {
        let kubernetes = match &actor.account {
            None => Arc::clone(&self.kubernetes),
            Some(account) => Arc::new(self.kubernetes.acting_as(account.clone())),
        };
        // Always this process's own to write; who acts is part of what no policy may touch.
        let state = kubernetes.state(&self.state_namespace).await?;
        let s3 = S3Factory::new().with_meter(Arc::clone(&self.meter));
        let s3 = if actor.ambient { s3 } else { s3.confined() };
        Ok(Engine {
            registry: world::registry(kubernetes, s3),
            state,
            clock: Clock::System,
        })
    }
}
