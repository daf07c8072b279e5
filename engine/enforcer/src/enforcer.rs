//! Takes policies from their sources, and has a task for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use holdfast_contract::{
    Desk, Holder, PolicyEvent, PolicyId, PolicyResource, ProviderError, Registry, Roster, ServiceAccount,
};
use holdfast_engine::{Engine, Stop, Tally, Timing};
use holdfast_policy::Mode;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clerk::{Clerk, Known};
use crate::files::{FileChange, FileSource, Files};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::shadows::Shadows;
use crate::shares::Shares;
use crate::task::{Common, Task};
use crate::work::{Actor, Incarnation, Work};

/// How often files are looked at for changes.
const LOOK: Duration = Duration::from_secs(2);
/// Within so long a process that is to end gives everything back.
const FAREWELL: Duration = Duration::from_secs(5);

const FILES: &str = "the policy files";
const RESOURCES: &str = "the Policy resources";

/// Opens what policies act on.
#[async_trait]
pub trait Worlds: Send + Sync {
    /// The providers as `actor` reaches them, and where the engine's own state is kept, which is never the actor's to
    /// write. Asked again for the same actor it gives the same connections.
    async fn open(&self, actor: &Actor) -> Result<Engine, ProviderError>;
}

/// How to enforce.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This replica.
    pub holder: Holder,
    /// How leases are kept.
    pub timing: Timing,
    /// The weaker of this and a policy's own counts.
    pub mode: Mode,
    /// How many policies have a cycle under way at once.
    pub concurrency: usize,
    /// The account of Policy resources that name none; without it they can't be enforced.
    pub default_account: Option<ServiceAccount>,
    /// The Policy resources that may sign in to stores by what the process has of its own.
    pub ambient: BTreeSet<PolicyId>,
}

/// The enforcer.
pub struct Enforcer {
    /// Opens what policies act on.
    pub worlds: Arc<dyn Worlds>,
    /// The kinds that there are, to validate policies by.
    pub registry: Registry,
    /// Policies in files, if any.
    pub files: Option<Box<dyn Files>>,
    /// Where Policy resources come in and what is told goes out; none: they are left alone.
    pub desk: Option<Arc<dyn Desk>>,
    /// Which replicas there are; none: this is the only one.
    pub roster: Option<Arc<dyn Roster>>,
    /// How to enforce.
    pub settings: Settings,
    /// Is told whether all is well.
    pub health: Health,
    /// Counts.
    pub metrics: Metrics,
}

struct Attended {
    work: watch::Sender<Arc<Work>>,
    trigger: watch::Sender<u64>,
    known: watch::Sender<Known>,
    stop: Stop,
    ended: Ended,
}

/// Closed once a task has ended, and all that it held was given back.
type Ended = watch::Receiver<()>;

/// What goes on while it runs.
struct Running {
    registry: Registry,
    settings: Settings,
    common: Arc<Common>,
    metrics: Metrics,
    attended: BTreeMap<PolicyId, Attended>,
    /// The Policy resources in whose place a file is enforced.
    shadows: Shadows,
    /// The last tasks of policies that are gone. A new one of the same name waits for it: it has the same lease, which the
    /// one would give back while the other writes under it.
    ending: BTreeMap<PolicyId, Ended>,
    tasks: JoinSet<()>,
}

impl Enforcer {
    /// Enforces until `stop` is stopped. `hurry`: each change has everything read anew, files included.
    pub async fn run(self, mut hurry: watch::Receiver<u64>, stop: &Stop) {
        let Self {
            worlds,
            registry,
            files,
            desk,
            roster,
            settings,
            health,
            metrics,
        } = self;
        let shares = Arc::new(Shares::new(settings.holder.clone(), settings.timing));
        let common = Arc::new(Common {
            worlds,
            desk: desk.clone(),
            shares: Arc::clone(&shares),
            health: health.clone(),
            permits: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            mode: settings.mode,
            stop: stop.clone(),
        });
        let mut running = Running {
            registry,
            settings,
            common,
            metrics,
            attended: BTreeMap::new(),
            shadows: Shadows::default(),
            ending: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        let mut files = files.map(FileSource::new);
        if files.is_some() {
            health.expect(FILES);
        }
        let mut resources: BoxStream<'static, PolicyEvent> = match &desk {
            Some(desk) => {
                health.expect(RESOURCES);
                desk.policies()
            }
            None => stream::pending().boxed(),
        };
        let mode = running.settings.mode;
        let following = async {
            match &roster {
                Some(roster) if mode == Mode::Enforce => {
                    shares.follow(roster.as_ref(), stop).await;
                }
                _ => stop.stopped().await,
            }
        };
        tokio::pin!(following);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.stopped() => break,
                () = &mut following => break,
                event = resources.next() => match event {
                    Some(event) => running.resource(event),
                    None => resources = stream::pending().boxed(),
                },
                Ok(()) = hurry.changed() => {
                    files.iter_mut().for_each(FileSource::forget);
                    running.hurry();
                }
                _ = looks.tick() => {
                    health.comes_round();
                    if let Some(change) = files.as_mut().and_then(FileSource::changed) {
                        running.files(change);
                        running.common.health.read(FILES);
                    }
                }
                Some(ended) = running.tasks.join_next(), if !running.tasks.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a task has ended before its time");
                    }
                }
            }
        }
        running.end().await;
        if let Some(roster) = &roster
            && timeout(FAREWELL, roster.withdraw(&shares.holder)).await.is_err()
        {
            tracing::debug!("this replica could not say that it leaves");
        }
    }
}

impl Running {
    fn resource(&mut self, event: PolicyEvent) {
        match event {
            PolicyEvent::All(resources) => {
                let present: BTreeSet<PolicyId> =
                    resources.iter().map(|resource| resource.id.clone()).collect();
                let gone: Vec<PolicyId> = self
                    .attended
                    .iter()
                    .filter(|(id, attended)| {
                        attended.work.borrow().resource.is_some() && !present.contains(id)
                    })
                    .map(|(id, _)| id.clone())
                    .collect();
                for id in gone {
                    self.gone(&id);
                }
                self.shadows.retain(&present);
                for resource in resources {
                    self.changed(&resource);
                }
                self.common.health.read(RESOURCES);
            }
            // Those of a namespace that may not be read are nobody's here, and must not hold up a rollout.
            PolicyEvent::Read => self.common.health.read(RESOURCES),
            PolicyEvent::Changed(resource) => self.changed(&resource),
            PolicyEvent::Gone(id) => {
                self.shadows.remove(&id);
                // A policy of a file stays, whatever becomes of a Policy resource of its name.
                let attended = self.attended.get(&id);
                if attended.is_some_and(|attended| attended.work.borrow().resource.is_some()) {
                    self.gone(&id);
                }
            }
            PolicyEvent::Failed(error) => tracing::warn!(%error, "Policy resources can't be watched for now"),
        }
    }

    fn changed(&mut self, resource: &PolicyResource) {
        let id = &resource.id;
        if let Some(attended) = self.attended.get_mut(id) {
            let Some(incarnation) = attended.work.borrow().resource.clone() else {
                return self.shadow(resource);
            };
            let next = attended.known.borrow().next(resource);
            let before = attended.known.send_replace(next);
            if before.reconcile_at != resource.reconcile_at {
                attended
                    .trigger
                    .send_modify(|count| *count = count.wrapping_add(1));
            }
            if incarnation.is_same(&Incarnation::of(resource)) {
                return;
            }
        }
        let work = self.work_of(resource);
        let known = Known::default().next(resource);
        self.attend(work, known);
    }

    /// Leaves a Policy resource alone, as a file is the policy.
    fn shadow(&mut self, resource: &PolicyResource) {
        let mut known = Known::default().next(resource);
        if let Some(shadow) = self.shadows.get_mut(&resource.id) {
            known = shadow.known.next(resource);
            let before = shadow.work.resource.as_ref();
            if before.is_some_and(|before| before.is_same(&Incarnation::of(resource))) {
                shadow.known = known;
                return;
            }
        }
        let work = Arc::new(self.work_of(resource));
        self.shadows
            .add(work, known, self.common.desk.as_ref(), self.common.mode);
    }

    /// What a Policy resource means.
    fn work_of(&self, resource: &PolicyResource) -> Work {
        let id = resource.id.clone();
        let policy = holdfast_policy::validate(
            &holdfast_policy::load_document(&id.to_string(), &resource.document),
            &self.registry,
        );
        let policy = policy.map(Arc::new).map_err(|faults| faults.summary());
        let own = policy
            .as_ref()
            .ok()
            .and_then(|policy| policy.service_account_name.clone());
        let account = match own {
            Some(name) => ServiceAccount::new(&id.namespace, &name).map_err(|error| error.to_string()),
            None => self.settings.default_account.clone().ok_or_else(|| {
                "it names no spec.serviceAccountName to act as, and this enforcer has no account for such policies".to_owned()
            }),
        };
        let actor = account.map(|account| Actor {
            account: Some(account),
            ambient: self.settings.ambient.contains(&id),
        });
        Work {
            policy,
            overrides: Vec::new(),
            actor,
            resource: Some(Incarnation::of(resource)),
            version: format!("{} {}", resource.uid, resource.generation),
            id,
        }
    }

    fn files(&mut self, change: FileChange) {
        for fault in change.faults {
            tracing::error!(fault, "a policy file can't be used");
        }
        let present: BTreeSet<PolicyId> = change.works.iter().map(|work| work.id.clone()).collect();
        let gone: Vec<PolicyId> = self
            .attended
            .iter()
            .filter(|(id, attended)| attended.work.borrow().resource.is_none() && !present.contains(id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.gone(&id);
            if let Some(shadow) = self.shadows.remove(&id) {
                self.attend(Work::clone(&shadow.work), shadow.known.clone());
            }
        }
        for work in change.works {
            self.overshadow(&work.id);
            self.attend(work, Known::default());
        }
    }

    /// A file is the policy from now on, whatever was.
    fn overshadow(&mut self, id: &PolicyId) {
        let Some(attended) = self.attended.get(id) else {
            return;
        };
        let work = Arc::clone(&attended.work.borrow());
        if work.resource.is_some() {
            let known = attended.known.borrow().clone();
            self.shadows
                .add(work, known, self.common.desk.as_ref(), self.common.mode);
        }
    }

    /// Gives `work` to its task, a new one where there is none.
    fn attend(&mut self, work: Work, known: Known) {
        let id = work.id.clone();
        if let Some(attended) = self.attended.get(&id) {
            attended.work.send_replace(Arc::new(work));
            return;
        }
        tracing::info!(policy = %id, "attended to from now on");
        let (known, knowing) = watch::channel(known);
        let stop = self.common.stop.child();
        let (work, works) = watch::channel(Arc::new(work));
        let (trigger, triggers) = watch::channel(0);
        let (ending, ended) = watch::channel(());
        let before = self.ending.remove(&id);
        let (common, metrics) = (Arc::clone(&self.common), self.metrics.clone());
        let (own_stop, policy) = (stop.clone(), id.clone());
        self.tasks.spawn(async move {
            if let Some(mut before) = before {
                // Nothing is ever sent: this ends when the task before drops its sender.
                let _ = before.changed().await;
            }
            common.health.moves(&policy);
            let clerk = Clerk::new(policy.clone(), metrics, common.desk.clone(), knowing);
            let task = Task {
                common,
                clerk,
                id: policy,
                work: works,
                trigger: triggers,
                stop: own_stop,
                tally: Tally::default(),
            };
            Box::pin(task.run()).await;
            drop(ending);
        });
        let attended = Attended {
            work,
            trigger,
            known,
            stop,
            ended,
        };
        self.attended.insert(id, attended);
    }

    fn gone(&mut self, id: &PolicyId) {
        if let Some(attended) = self.attended.remove(id) {
            tracing::info!(policy = %id, "no longer attended to: it is gone");
            attended.stop.stop();
            self.ending.retain(|_, ended| ended.has_changed().is_ok());
            self.ending.insert(id.clone(), attended.ended);
        }
    }

    fn hurry(&mut self) {
        tracing::info!("everything is read anew: somebody asked for it");
        for attended in self.attended.values() {
            attended
                .trigger
                .send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Stops all tasks, and waits until they have given their leases back.
    async fn end(&mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(FAREWELL, all).await.is_err() {
            tracing::warn!("not everything was given back in time: leases end by themselves");
            self.tasks.abort_all();
        }
    }
}
