//! The enforcer itself, with Policy resources and policies of files, on a world in memory. Time is paused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use holdfast_contract::{
    Desk, Held, Holder, Notice, PolicyEvent, PolicyId, PolicyResource, ProviderError, StateStore, Stored,
    Version,
};
use holdfast_enforcer::metrics::Metrics;
use holdfast_enforcer::{Actor, Enforcer, FilePolicy, Files, Health, Settings, Worlds};
use holdfast_engine::{Engine, Stop, Timing};
use holdfast_policy::Mode;
use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::support::{Case, registry};
use crate::{TWO_MAPS, case, config_map, spoil};

/// Where the state is kept; no ledger is read while it `hangs`.
#[derive(Debug)]
struct Hanging {
    state: Arc<dyn StateStore>,
    hangs: watch::Receiver<bool>,
}

#[async_trait]
impl StateStore for Hanging {
    async fn load(&self, policy: &PolicyId) -> Result<Option<Stored>, ProviderError> {
        // The sender outlives the enforcer.
        let _ = self.hangs.clone().wait_for(|hangs| !hangs).await;
        self.state.load(policy).await
    }

    async fn save(
        &self,
        policy: &PolicyId,
        entries: &BTreeMap<String, String>,
        expected: Option<&Version>,
    ) -> Result<Version, ProviderError> {
        self.state.save(policy, entries, expected).await
    }

    fn place(&self, policy: &PolicyId) -> String {
        self.state.place(policy)
    }

    async fn cluster(&self) -> Result<Option<String>, ProviderError> {
        self.state.cluster().await
    }

    async fn acquire(
        &self,
        policy: &PolicyId,
        holder: &Holder,
        duration: Duration,
    ) -> Result<Held, ProviderError> {
        self.state.acquire(policy, holder, duration).await
    }

    async fn holder(&self, policy: &PolicyId) -> Result<Option<Holder>, ProviderError> {
        self.state.holder(policy).await
    }

    async fn release(&self, policy: &PolicyId, holder: &Holder) -> Result<(), ProviderError> {
        self.state.release(policy, holder).await
    }
}

/// One world, whoever acts; it can't be reached while `hangs`.
struct OneWorld {
    engine: Engine,
    hangs: watch::Receiver<bool>,
}

#[async_trait]
impl Worlds for OneWorld {
    async fn open(&self, _: &Actor) -> Result<Engine, ProviderError> {
        // The sender outlives the enforcer.
        let _ = self.hangs.clone().wait_for(|hangs| !hangs).await;
        let mut engine = self.engine.clone();
        engine.state = Arc::new(Hanging {
            state: engine.state,
            hangs: self.hangs.clone(),
        });
        Ok(engine)
    }
}

/// Says what happens to Policy resources, and keeps what it is told: each status, and each report.
#[derive(Debug)]
struct Saying {
    said: Mutex<Option<mpsc::UnboundedReceiver<PolicyEvent>>>,
    told: Arc<Mutex<Vec<(&'static str, Json)>>>,
    now: watch::Sender<Now>,
    /// Whether it takes no status for now: whoever writes one waits.
    is_slow: watch::Receiver<bool>,
    /// What it answers to the next reports.
    answers: Answers,
}

type Answers = Arc<Mutex<Vec<Result<bool, ProviderError>>>>;

/// What it was told so far, taken together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Now {
    /// The status that was written last.
    pub(crate) status: Json,
    /// The finalizers that were set, or taken away.
    pub(crate) finalizers: Vec<bool>,
    /// Events: the reason and the sentence.
    pub(crate) events: Vec<String>,
}

impl Saying {
    fn keep(&self, what: &'static str, told: &Json) {
        self.told.lock().unwrap().push((what, told.clone()));
    }
}

#[async_trait]
impl Desk for Saying {
    fn policies(&self) -> BoxStream<'static, PolicyEvent> {
        let said = self.said.lock().unwrap().take();
        stream::unfold(said, async |mut said| {
            let event = said.as_mut()?.recv().await?;
            Some((event, said))
        })
        .boxed()
    }

    async fn write_status(&self, _: &PolicyId, _: &str, status: &Json) -> Result<(), ProviderError> {
        // The sender outlives the enforcer.
        let _ = self.is_slow.clone().wait_for(|is_slow| !is_slow).await;
        self.keep("status", status);
        self.now.send_modify(|now| now.status = status.clone());
        Ok(())
    }

    async fn set_finalizer(&self, _: &PolicyId, _: &str, is_set: bool) -> Result<(), ProviderError> {
        self.now.send_modify(|now| now.finalizers.push(is_set));
        Ok(())
    }

    async fn write_report(&self, _: &PolicyId, _: &str, results: &Json) -> Result<bool, ProviderError> {
        self.keep("report", results);
        self.answers.lock().unwrap().pop().unwrap_or(Ok(true))
    }

    async fn tell(&self, notice: &Notice) -> Result<(), ProviderError> {
        let event = format!("{}: {}", notice.reason, notice.note);
        self.now.send_modify(|now| now.events.push(event));
        Ok(())
    }
}

/// A policy as a file, as long as it is there.
struct OneFile(FilePolicy, watch::Receiver<bool>);

impl Files for OneFile {
    fn watched(&self) -> &[PathBuf] {
        &[]
    }

    fn read(&self) -> Vec<(String, Result<FilePolicy, String>)> {
        let file = self
            .1
            .borrow()
            .then(|| ("policy.yaml".to_owned(), Ok(self.0.clone())));
        file.into_iter().collect()
    }
}

/// What is outside of an enforcer.
pub(crate) struct Outside {
    /// Says what happens to Policy resources.
    say: mpsc::UnboundedSender<PolicyEvent>,
    /// What probes are told.
    pub(crate) health: Health,
    metrics: Metrics,
    told: Arc<Mutex<Vec<(&'static str, Json)>>>,
    /// Whether the world can't be reached.
    pub(crate) hangs: watch::Sender<bool>,
    /// Whether no status is taken for now.
    pub(crate) is_slow: watch::Sender<bool>,
    answers: Answers,
    /// What was told so far, taken together.
    pub(crate) now: watch::Receiver<Now>,
    file: watch::Sender<bool>,
    hurry: watch::Sender<u64>,
}

impl Outside {
    pub(crate) fn say(&self, event: PolicyEvent) {
        self.say.send(event).unwrap();
    }

    /// The file is there from now on, or isn't.
    pub(crate) fn file(&self, is_there: bool) {
        self.file.send_replace(is_there);
        self.hurry.send_modify(|count| *count += 1);
    }

    /// Waits until what was told is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Now) -> bool) {
        let mut now = self.now.clone();
        let found = timeout(Duration::from_mins(5), now.wait_for(is_so)).await.is_ok();
        assert!(found, "{what} was never told; last: {:#?}", now.borrow());
    }

    /// Waits until the status says so by that reason.
    pub(crate) async fn condition(&self, kind: &str, reason: &str) {
        let is_so = |now: &Now| {
            let conditions = now.status["conditions"].as_array().cloned().unwrap_or_default();
            let mut of_kind = conditions.iter().filter(|one| one["type"] == kind);
            of_kind.any(|one| one["reason"] == reason)
        };
        self.until(&format!("{kind} {reason}"), is_so).await;
    }

    /// The next report is answered so.
    pub(crate) fn answer_report(&self, answer: Result<bool, ProviderError>) {
        self.answers.lock().unwrap().insert(0, answer);
    }

    /// What was told since the last time.
    pub(crate) fn told(&self) -> Vec<(&'static str, Json)> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// The lines of what scrapers are told that hold `part`.
    pub(crate) fn series(&self, part: &str) -> Vec<String> {
        let text = self.metrics.text();
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && line.contains(part));
        lines.map(str::to_owned).collect()
    }
}

/// Enforces on the world of `case`, its policy as a file too if `file` says so, while `body` says what happens.
pub(crate) async fn enforced(case: &Case, file: bool, body: impl AsyncFnOnce(&Outside)) {
    enforced_in(Mode::Enforce, case, file, body).await;
}

/// The same, by a process that is to do no more than `mode` says.
pub(crate) async fn enforced_in(mode: Mode, case: &Case, file: bool, body: impl AsyncFnOnce(&Outside)) {
    enforced_as(|settings| settings.mode = mode, case, file, body).await;
}

/// The same, with settings that `change` makes others.
pub(crate) async fn enforced_as(
    change: impl FnOnce(&mut Settings),
    case: &Case,
    file: bool,
    body: impl AsyncFnOnce(&Outside),
) {
    let mut settings = Settings {
        holder: Holder("a".to_owned()),
        timing: Timing::default(),
        mode: Mode::Enforce,
        concurrency: 8,
        default_account: Some("holdfast-system/tenant".parse().unwrap()),
        ambient: BTreeSet::new(),
    };
    change(&mut settings);
    let stop = Stop::default();
    let (say, said) = mpsc::unbounded_channel();
    let (hangs, hanging) = watch::channel(false);
    let (is_slow, slow) = watch::channel(false);
    let (telling, now) = watch::channel(Now::default());
    let (is_there, there) = watch::channel(file);
    let (hurry, hurried) = watch::channel(0);
    let outside = Outside {
        say,
        health: Health::default(),
        metrics: Metrics::new("0.0.0"),
        told: Arc::default(),
        hangs,
        is_slow,
        answers: Answers::default(),
        now,
        file: is_there,
        hurry,
    };
    let file = FilePolicy {
        policy: case.policy.clone(),
        supplied: Vec::new(),
    };
    let enforcer = Enforcer {
        worlds: Arc::new(OneWorld {
            engine: case.engine.clone(),
            hangs: hanging,
        }),
        registry: registry(),
        files: Some(Box::new(OneFile(file, there))),
        desk: Some(Arc::new(Saying {
            said: Mutex::new(Some(said)),
            told: Arc::clone(&outside.told),
            now: telling,
            is_slow: slow,
            answers: Arc::clone(&outside.answers),
        })),
        roster: None,
        settings,
        health: outside.health.clone(),
        metrics: outside.metrics.clone(),
    };
    let body = async {
        body(&outside).await;
        stop.stop();
    };
    futures::join!(enforcer.run(hurried, &stop), body);
}

/// The Policy resource of two maps, of incarnation `uid`.
pub(crate) fn resource(case: &Case, uid: &str) -> Box<PolicyResource> {
    let map = |name: &str, key: &str| {
        json!({
            "ensure": "kubernetes/Object",
            "desired": {
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": name, "namespace": "default" },
                "data": { key: "1" },
            },
        })
    };
    let spec = json!({ "language": 1, "rules": { "one": map("one", "a"), "two": map("two", "b") } });
    resource_of(case, uid, &spec)
}

/// The Policy resource of this spec, of incarnation `uid`.
pub(crate) fn resource_of(case: &Case, uid: &str, spec: &Json) -> Box<PolicyResource> {
    let id = case.policy.id.clone();
    Box::new(PolicyResource {
        uid: uid.to_owned(),
        generation: 1,
        deleting: false,
        finalizer: false,
        reconcile_at: None,
        document: json!({
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Policy",
            "metadata": { "name": id.name, "namespace": id.namespace },
            "spec": spec,
        }),
        status: Json::Null,
        id,
    })
}

/// Waits until the map `one` is as the policy says.
pub(crate) async fn right(case: &Case) {
    let right = async {
        let value = || {
            Some(
                case.world
                    .document(&config_map("one"))?
                    .at(&["data", "a"])?
                    .to_string(),
            )
        };
        while value().is_none_or(|value| !value.contains('1')) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        timeout(Duration::from_mins(2), right).await.is_ok(),
        "it is enforced"
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_a_file_stays_when_a_policy_resource_of_its_name_comes_and_goes() {
    let case = case(TWO_MAPS, "");
    enforced(&case, true, async |outside| {
        right(&case).await;
        outside.say(PolicyEvent::Changed(resource(&case, "1")));
        outside.say(PolicyEvent::Gone(case.policy.id.clone()));
        sleep(Duration::from_secs(10)).await;
        spoil(&case, "one", "a");
        right(&case).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_made_anew_under_its_name_holds_its_own_lease_and_is_kept() {
    let case = case(TWO_MAPS, "");
    enforced(&case, false, async |outside| {
        outside.say(PolicyEvent::All(vec![*resource(&case, "1")]));
        right(&case).await;
        for uid in ["2", "3", "4"] {
            outside.say(PolicyEvent::Gone(case.policy.id.clone()));
            outside.say(PolicyEvent::Changed(resource(&case, uid)));
            // Sooner than a lease is renewed.
            for _ in 0..40 {
                sleep(Duration::from_millis(50)).await;
            }
            spoil(&case, "one", "a");
            right(&case).await;
            let another = Holder("b".to_owned());
            let lease = case
                .engine
                .state
                .acquire(&case.policy.id, &another, Duration::from_mins(1));
            assert!(matches!(lease.await.unwrap(), Held::Theirs { .. }));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_resource_in_whose_place_a_file_is_enforced_is_told_so_and_taken_up_once_the_file_is_gone() {
    let case = case(TWO_MAPS, "");
    enforced(&case, true, async |outside| {
        right(&case).await;
        let mut ours = resource(&case, "1");
        ours.finalizer = true;
        outside.say(PolicyEvent::All(vec![*ours]));
        outside.condition("Stalled", "NameTaken").await;
        outside
            .until("that it is let go", |now| now.finalizers == [false])
            .await;
        let is_told = |now: &Now| {
            now.events
                .iter()
                .any(|event| event.starts_with("PolicyStalled: the enforcer has"))
        };
        outside.until("an event", is_told).await;
        outside.file(false);
        outside.condition("Ready", "Converged").await;
        // A file that comes later is the policy all the same.
        outside.file(true);
        outside.condition("Stalled", "NameTaken").await;
        outside.say(PolicyEvent::Gone(case.policy.id.clone()));
        sleep(Duration::from_secs(10)).await;
        spoil(&case, "one", "a");
        right(&case).await;
    })
    .await;
}
