use std::{path::PathBuf, sync::LazyLock};

use holdfast_testbed::{AuditEvent, Cluster, Mark, kubectl};
use serde_json::Value;
use tokio::{runtime::Runtime, sync::OnceCell};

use crate::{
    api::Api,
    enforcer::Enforcer,
    program::{Output, Running},
    stage::STATE,
    witness::Witness,
};

/// All tests of a process run on this: servers' connections and tasks outlive the test that began them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static SHARED: OnceCell<Ground> = OnceCell::const_new();

/// Runs `test` on a cluster that the tests of this process share, all at the same time: each has a namespace and a
/// policy of its own, and leaves alone what isn't its own.
///
/// # Panics
/// If the cluster can't be started, or the test fails.
pub fn on_ground(test: impl AsyncFnOnce(&Ground)) {
    RUNTIME.block_on(async {
        let ground = SHARED
            .get_or_init(async || Ground::new(Cluster::start_full().await.unwrap()))
            .await;
        test(ground).await;
    });
}

/// Runs `test` on a cluster of its own, of etcd and the API server alone: for what is counted, and for what changes
/// all of a cluster.
///
/// # Panics
/// If the cluster can't be started, or the test fails.
pub fn on_own_ground(test: impl AsyncFnOnce(&mut Ground)) {
    RUNTIME.block_on(async {
        let mut ground = Ground::new(Cluster::start().await.unwrap());
        test(&mut ground).await;
    });
}

/// A cluster, and policies of a test's own.
#[derive(Debug)]
pub struct Ground {
    /// A hand on the API server.
    pub api: Api,
    /// The cluster.
    pub cluster: Cluster,
    home: tempfile::TempDir,
}

impl Ground {
    fn new(cluster: Cluster) -> Self {
        Self {
            api: Api::new(&cluster, "by-hand"),
            cluster,
            home: tempfile::tempdir().unwrap(),
        }
    }

    /// A policy on this ground. What it says is written with [`Policy::write`].
    ///
    /// # Panics
    /// If there is no place for it.
    #[must_use]
    pub fn policy(&self, name: &str) -> Policy<'_> {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Policy {
            ground: self,
            name: name.to_owned(),
            folder,
        }
    }

    /// Runs the program to its end, as an administrator would.
    pub async fn holdfast(&self, arguments: &[&str]) -> Output {
        self.begin_as("admin", arguments).finish().await
    }

    /// Starts the program as `user` would.
    ///
    /// # Panics
    /// If the kubeconfig can't be written.
    #[must_use]
    pub fn begin_as(&self, user: &str, arguments: &[&str]) -> Running {
        let kubeconfig = self.cluster.kubeconfig_for(user).unwrap();
        let variables = [
            ("HOME", self.home.path().display().to_string()),
            ("KUBECONFIG", kubeconfig.display().to_string()),
        ];
        Running::start(arguments, &variables)
    }

    /// Starts `holdfast run` with these arguments, as an administrator would.
    ///
    /// # Panics
    /// If the kubeconfig can't be written.
    #[must_use]
    pub fn enforce(&self, arguments: &[&str]) -> Enforcer {
        self.enforce_with(arguments, &[])
    }

    /// As [`Ground::enforce`], with these variables on top.
    ///
    /// # Panics
    /// If the kubeconfig can't be written.
    #[must_use]
    pub fn enforce_with(&self, arguments: &[&str], more: &[(&str, &str)]) -> Enforcer {
        let kubeconfig = self.cluster.kubeconfig_for("admin").unwrap();
        let home = self.home.path();
        let mut variables = vec![
            ("HOME", home.display().to_string()),
            ("KUBECONFIG", kubeconfig.display().to_string()),
        ];
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Enforcer::start(home, arguments, &variables)
    }

    /// Runs `kubectl` as an administrator; what it wrote, or what it complained of.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        match kubectl(&self.cluster, arguments).await {
            Ok(output) => output,
            Err(error) => error.to_string(),
        }
    }

    /// Now, for [`Ground::since`].
    ///
    /// # Panics
    /// If the audit log can't be read.
    pub async fn mark(&self) -> Mark {
        self.cluster.mark().await.unwrap()
    }

    /// The program's requests since then: all of them, also those of other tests on this ground.
    ///
    /// # Panics
    /// If the audit log can't be read.
    pub async fn since(&self, mark: Mark) -> Witness {
        let events = self.cluster.since(mark).await.unwrap();
        let ours = |event: &AuditEvent| event.user_agent.starts_with("holdfast/");
        Witness {
            kubernetes: events.into_iter().filter(ours).collect(),
            s3: Vec::new(),
        }
    }
}

/// A policy of a test, in a folder of its own.
#[derive(Debug)]
pub struct Policy<'g> {
    ground: &'g Ground,
    name: String,
    folder: PathBuf,
}

impl Policy<'_> {
    /// A policy of these rules, YAML without indentation. What has no namespace lies in the one called as the policy.
    ///
    /// # Panics
    /// If the file can't be written.
    pub fn write(&self, rules: &str) {
        let rules = rules.replace('\n', "\n    ");
        let name = &self.name;
        self.file(
            "policy.yaml",
            &format!(
                "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: {name} }}\nspec:\n  language: 1\n  \
                 defaults: {{ kubernetes/Object: {{ metadata: {{ namespace: {name} }} }} }}\n  rules:\n    {rules}\n"
            ),
        );
    }

    /// A file beside it.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    /// Its folder, for a command line.
    #[must_use]
    pub fn path(&self) -> String {
        self.folder.display().to_string()
    }

    /// `holdfast plan`, for a person.
    pub async fn plan_text(&self) -> Output {
        self.ground.holdfast(&["plan", &self.path()]).await
    }

    /// The report of `holdfast plan`, if it could be made.
    ///
    /// # Panics
    /// With all that was said, if it could not.
    pub async fn plan(&self) -> Value {
        let plan = self
            .ground
            .holdfast(&["plan", &self.path(), "--output", "json"])
            .await;
        plan.exits(0).report()
    }

    /// `holdfast apply`, without waiting until what it makes is ready.
    pub async fn apply(&self) -> Output {
        self.run(&["apply", "--yes", "--no-wait", "--timeout", "60s"])
            .await
    }

    /// The program, run with this command and its options, on this policy.
    ///
    /// # Panics
    /// If there is no command.
    pub async fn run(&self, command: &[&str]) -> Output {
        let path = self.path();
        let mut arguments = vec![command[0], &path];
        arguments.extend(&command[1..]);
        self.ground.holdfast(&arguments).await
    }

    /// The lines of a witness's writes that are about this policy's namespace, its ledger and lease left out.
    #[must_use]
    pub fn writes(&self, witness: &Witness) -> Vec<String> {
        let own = format!("/namespaces/{}/", self.name);
        let mut writes = witness.writes();
        writes.retain(|write| write.contains(&own) && !write.contains(&format!("/namespaces/{STATE}/")));
        writes
    }
}
