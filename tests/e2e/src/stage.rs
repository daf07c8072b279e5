use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use holdfast_memory::Reactions;
use holdfast_testbed::{AuditEvent, Cluster, LocalStack, Mark, Request, RequestLog, kubectl};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::Mutex, task::JoinHandle};

use crate::{
    api::{Api, path, path_of},
    enforcer::Enforcer,
    others::{self, CREDENTIALS, Kind, LOCATIONS},
    program::{Output, Running, root, send_signal},
    store::Store,
    witness::Witness,
};

/// Where the policy puts Velero.
pub const NAMESPACE: &str = "openshift-velero";
/// Where the program keeps its ledgers and leases.
pub const STATE: &str = "holdfast-system";
const POLICY: &str = "policies/managed-velero";
/// How the names of the policy's buckets begin.
const PREFIX: &str = "managed-velero-backups-";
/// The cluster's name in the sandbox file.
const CLUSTER: &str = "demo-x7k2p";
/// Longer than anything here takes, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_mins(1);

/// All tests of a process run on this: servers' connections and tasks outlive the test that began them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static STAGE: Mutex<Option<Stage>> = Mutex::const_new(None);
static STAGE_WITHOUT_VELERO: Mutex<Option<Stage>> = Mutex::const_new(None);

/// Runs `test` on the stage that the tests of this process share, alone on it.
///
/// A test that fails leaves what it did behind, as any other does: each begins by bringing about what it needs.
///
/// # Panics
/// If the stage can't be started, or the test fails.
pub fn on_stage(test: impl AsyncFnOnce(&Stage)) {
    on(&STAGE, &[CREDENTIALS, LOCATIONS], test);
}

/// As [`on_stage`], on a stage where nobody stands in for Velero: its locations become available only if Velero
/// itself runs there and says so.
///
/// # Panics
/// If the stage can't be started, or the test fails.
pub fn on_stage_without_velero(test: impl AsyncFnOnce(&Stage)) {
    on(&STAGE_WITHOUT_VELERO, &[CREDENTIALS], test);
}

fn on(stage: &'static Mutex<Option<Stage>>, stood_in_for: &'static [Kind], test: impl AsyncFnOnce(&Stage)) {
    RUNTIME.block_on(async {
        let mut shared = stage.lock().await;
        if shared.is_none() {
            let (cluster, local_stack) = tokio::join!(Cluster::start_full(), LocalStack::start());
            let local_stack = Arc::new(local_stack.unwrap());
            *shared = Some(Stage::start(CLUSTER, cluster.unwrap(), local_stack, stood_in_for).await);
        }
        let stage = shared.as_ref().expect("it was just started");
        stage.s3.heal();
        stage.s3.clear();
        // Of a run that ended with the test that began it.
        stage.delete_lease().await;
        test(stage).await;
    });
}

/// Waits until `condition` holds.
///
/// # Panics
/// If it doesn't within a minute.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    until_within(PATIENCE, what, condition).await;
}

/// As [`until`], for what takes its time.
///
/// # Panics
/// If it doesn't hold within `patience`.
pub async fn until_within(patience: Duration, what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether Velero's plugin sent it: it comes to the store over the same proxy.
fn is_velero(request: &Request) -> bool {
    let agent = request.headers.get("user-agent");
    agent.is_some_and(|agent| agent.starts_with("aws-sdk-go"))
}

/// An OpenShift cluster on AWS, as far as managed-velero looks at one, and the account that it lies in.
#[derive(Debug)]
pub struct Stage {
    /// A hand on the API server.
    pub api: Api,
    /// The proxy in front of the object store: the program's requests, and faults for them.
    pub s3: RequestLog,
    /// The cluster.
    pub cluster: Cluster,
    others: JoinHandle<()>,
    local_stack: Arc<LocalStack>,
    name: String,
    home: tempfile::TempDir,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.others.abort();
    }
}

impl Stage {
    /// A second cluster in the same account, with a name of its own, and without Velero.
    ///
    /// # Panics
    /// If it can't be started.
    pub async fn beside(&self, name: &str) -> Self {
        let cluster = Cluster::start_full().await.unwrap();
        Self::start(name, cluster, Arc::clone(&self.local_stack), &[CREDENTIALS]).await
    }

    /// Sets up the servers: makes what managed-velero's `sandbox.yaml` starts with: OpenShift's types and objects,
    /// and the buckets of others. What that file's reactions say about these kinds is done from here on.
    async fn start(
        name: &str,
        cluster: Cluster,
        local_stack: Arc<LocalStack>,
        stood_in_for: &'static [Kind],
    ) -> Self {
        let s3 = RequestLog::start(local_stack.store()).await.unwrap();
        let file = std::fs::read_to_string(root().join(POLICY).join("sandbox.yaml")).unwrap();
        let sandbox: Value = serde_saphyr::from_str(&file).expect("the sandbox file is YAML");
        let stage = Self {
            api: Api::new(&cluster, "by-hand"),
            others: tokio::spawn(others::act(
                Api::new(&cluster, "others"),
                Reactions::parse(&file).expect("the reactions can be read"),
                stood_in_for,
            )),
            s3,
            cluster,
            local_stack,
            name: name.to_owned(),
            home: tempfile::tempdir().unwrap(),
        };
        for object in sandbox["objects"].as_array().expect("objects") {
            stage.make(object).await;
        }
        let endpoints = json!([{ "name": "s3", "url": stage.s3.store().endpoint }]);
        let status = json!({
            "infrastructureName": name,
            "platformStatus": { "aws": { "serviceEndpoints": endpoints } },
        });
        stage
            .api
            .patch(
                &path("config.openshift.io/v1", "Infrastructure", "", "cluster"),
                &json!({ "status": status }),
            )
            .await;
        let buckets = stage.store().buckets().await;
        for (name, described) in sandbox["buckets"].as_object().expect("buckets") {
            // Another stage of the same account has made them already.
            if !buckets.contains(name) {
                stage.store().create(name, described).await;
            }
        }
        stage
    }

    async fn make(&self, object: &Value) {
        let path = path_of(object);
        let (all, _) = path.rsplit_once('/').expect("a path has parts");
        let mut object = object.clone();
        let is_definition = object["kind"] == "CustomResourceDefinition";
        if is_definition && let Some(entries) = object.as_object_mut() {
            // The server's own to write.
            entries.remove("status");
        }
        self.api.create(all, &object).await;
        if is_definition {
            let spec = &object["spec"];
            let served = format!(
                "/apis/{}/v1/{}",
                spec["group"].as_str().unwrap_or_default(),
                spec["names"]["plural"].as_str().unwrap_or_default()
            );
            until(&format!("{served} is served"), async || {
                self.api.get(&served).await.is_some()
            })
            .await;
        }
    }

    /// The object store itself, past the proxy.
    #[must_use]
    pub fn store(&self) -> Store<'_> {
        Store(self.local_stack.store())
    }

    /// A folder for a test's files.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// What an administrator's terminal has in its environment, so that the program reaches both servers.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        let store = self.local_stack.store();
        BTreeMap::from([
            ("HOME", self.home.path().display().to_string()),
            ("KUBECONFIG", self.cluster.kubeconfig().display().to_string()),
            ("AWS_ACCESS_KEY_ID", store.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", store.secret_key.clone()),
            // Not through the proxy: it is another service.
            ("AWS_ENDPOINT_URL_STS", store.endpoint.clone()),
        ])
    }

    /// Starts the program as an administrator from a terminal's environment would, and with these variables on top.
    #[must_use]
    pub fn begin(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut all: BTreeMap<&str, String> = self.environment();
        all.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let all: Vec<_> = all.into_iter().collect();
        Running::start(arguments, &all)
    }

    /// Starts `holdfast run` on a policy's folder, as an administrator would, and with these arguments on top.
    #[must_use]
    pub fn enforce(&self, policy: &str, arguments: &[&str]) -> Enforcer {
        let mut all = vec![policy];
        all.extend(arguments);
        let endpoint = ("AWS_ENDPOINT_URL_S3", self.s3.store().endpoint.clone());
        let variables: Vec<_> = self.environment().into_iter().chain([endpoint]).collect();
        Enforcer::start(&self.home(), &all, &variables)
    }

    /// Runs the program to its end.
    pub async fn holdfast(&self, arguments: &[&str]) -> Output {
        self.begin(arguments, &[]).finish().await
    }

    /// `holdfast plan` of managed-velero, in JSON.
    pub async fn plan(&self) -> Output {
        self.holdfast(&["plan", POLICY, "--detailed-exitcode", "--output", "json"])
            .await
    }

    /// `holdfast apply` of managed-velero.
    pub async fn apply(&self) -> Output {
        self.holdfast(&["apply", POLICY, "--yes", "--timeout", "60s"])
            .await
    }

    /// Brings managed-velero to convergence; the name of its bucket.
    ///
    /// # Panics
    /// If it doesn't converge.
    pub async fn converged(&self) -> String {
        let _ = self.apply().await.exits(0);
        self.bucket().await.expect("it has recorded its bucket's name")
    }

    /// Runs the program and tells what it asked the servers for.
    ///
    /// # Panics
    /// If the servers' logs can't be read.
    pub async fn witness(&self, arguments: &[&str]) -> (Output, Witness) {
        let mark = self.mark().await;
        let output = self.holdfast(arguments).await;
        (output, self.since(mark).await)
    }

    /// Now, for [`Stage::since`]. The object store's log begins anew.
    ///
    /// # Panics
    /// If the audit log can't be read.
    pub async fn mark(&self) -> Mark {
        self.s3.clear();
        self.cluster.mark().await.unwrap()
    }

    /// The program's requests since then.
    ///
    /// # Panics
    /// If the audit log can't be read.
    pub async fn since(&self, mark: Mark) -> Witness {
        let events = self.cluster.since(mark).await.unwrap();
        let ours = |event: &AuditEvent| event.user_agent.starts_with("holdfast/");
        let mut s3 = self.s3.requests();
        s3.retain(|request| !is_velero(request));
        Witness {
            kubernetes: events.into_iter().filter(ours).collect(),
            s3,
        }
    }

    /// An object in Velero's namespace, or a cluster-wide one.
    pub async fn object(&self, api_version: &str, kind: &str, name: &str) -> Option<Value> {
        let cluster_wide = ["CustomResourceDefinition", "ClusterRoleBinding", "Namespace"].contains(&kind);
        let namespace = if cluster_wide { "" } else { NAMESPACE };
        self.api.get(&path(api_version, kind, namespace, name)).await
    }

    /// The bucket's name as VeleroInstall's status records it.
    pub async fn bucket(&self) -> Option<String> {
        let install = self
            .object("managed.openshift.io/v1alpha2", "VeleroInstall", "cluster")
            .await?;
        let name = install["status"]["storageBucket"]["name"].as_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// The policy's ledger, as the program wrote it.
    ///
    /// # Panics
    /// If it isn't JSON.
    pub async fn ledger(&self) -> Option<Value> {
        let stored = self
            .api
            .get(&path("v1", "ConfigMap", STATE, "managed-velero"))
            .await?;
        let text = stored["data"]["ledger.json"].as_str()?;
        Some(serde_json::from_str(text).expect("the ledger is JSON"))
    }

    /// Deletes the policy's Lease, as a person would who knows that its holder is no more.
    pub async fn delete_lease(&self) {
        self.api
            .delete(&path("coordination.k8s.io/v1", "Lease", STATE, "managed-velero"))
            .await;
    }

    /// Deletes the policy's ledger.
    pub async fn delete_ledger(&self) {
        self.api
            .delete(&path("v1", "ConfigMap", STATE, "managed-velero"))
            .await;
    }

    /// Replaces the policy's ledger by what `change` makes of it; without one there is nothing to change.
    ///
    /// # Panics
    /// If it isn't JSON.
    pub async fn edit_ledger(&self, change: impl FnOnce(&mut Value)) {
        let Some(mut ledger) = self.ledger().await else {
            return;
        };
        change(&mut ledger);
        let patch = json!({ "data": { "ledger.json": ledger.to_string() } });
        self.api
            .patch(&path("v1", "ConfigMap", STATE, "managed-velero"), &patch)
            .await;
    }

    /// Undoes the policy's bucket and all that remembers it, so that the next apply is a first one to it. The ledger
    /// stays, and knows of no bucket: one that was lost would be noticed.
    pub async fn forget_the_bucket(&self) {
        self.delete_lease().await;
        self.edit_ledger(|ledger| {
            for part in ["names", "created", "set", "missing", "taken"] {
                if let Some(entries) = ledger.get_mut(part).and_then(Value::as_object_mut) {
                    entries.retain(|address, _| address != "bucket" && !address.starts_with("bucket."));
                }
            }
            if let Some(provisioned) = ledger.get_mut("provisioned").and_then(Value::as_array_mut) {
                provisioned.retain(|address| address != "bucket");
            }
            if let Some(ledger) = ledger.as_object_mut() {
                ledger.remove("madeAnew");
            }
        })
        .await;
        self.api
            .delete(&path(
                "managed.openshift.io/v1alpha2",
                "VeleroInstall",
                NAMESPACE,
                "cluster",
            ))
            .await;
        for bucket in self.our_buckets().await {
            self.store().delete(&bucket).await;
        }
    }

    /// The buckets that bear this cluster's name.
    pub async fn our_buckets(&self) -> Vec<String> {
        let mut ours = Vec::new();
        for bucket in self.store().buckets_with(PREFIX).await {
            let tags = self.store().tags(&bucket).await;
            if tags
                .get("velero.io/infrastructureName")
                .is_none_or(|cluster| *cluster == self.name)
            {
                ours.push(bucket);
            }
        }
        ours
    }

    /// Runs `kubectl` as an administrator.
    ///
    /// # Panics
    /// If it fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        kubectl(&self.cluster, arguments).await.unwrap()
    }

    /// Stops the API server's process in its tracks, or lets it go on.
    pub fn freeze_api_server(&self, frozen: bool) {
        // To the process itself, not to its group: the watcher of the testbed goes on.
        send_signal(
            self.cluster.api_server().pid(),
            if frozen { "STOP" } else { "CONT" },
        );
    }
}
