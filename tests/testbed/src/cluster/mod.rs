//! A control plane of its own for a test.

mod audit;
mod controllers;
mod credentials;
mod outage;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, sync::OnceCell};

pub use self::audit::{AuditEvent, Mark};
use crate::{
    error::{Error, Result},
    home::Home,
    port, programs,
    server::Server,
};

/// The testbed's own user, whose requests the audit leaves out.
const OWN_USER: &str = "testbed";

/// etcd and kube-apiserver with RBAC, audit log and static tokens; after [`Cluster::start_full`] also
/// controller-manager, scheduler and kwok.
///
/// Without the controllers, a deleted namespace stays `Terminating`, nobody collects garbage, and no Deployment gets
/// ready. Service accounts aren't required of pods in either.
#[derive(Debug)]
pub struct Cluster {
    // In the order in which they are to be stopped.
    controllers: Vec<Server>,
    api_server: Server,
    etcd: Server,
    etcd_url: String,
    /// What the API server is started with.
    arguments: Vec<OsString>,
    home: Home,
    url: String,
    certificate: Vec<u8>,
    kubeconfig: PathBuf,
    requests: AtomicU64,
}

impl Cluster {
    /// Users without any rights, for tests to give roles to: see [`Cluster::kubeconfig_for`].
    pub const USERS: [&str; 2] = ["alice", "bob"];

    /// etcd and kube-apiserver. Takes about 3 s and 300 MB.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// As [`Cluster::start`], where kube-apiserver gets `flags` as well, such as `--watch-cache=false`.
    pub async fn start_with(flags: &[&str]) -> Result<Self> {
        crate::install_tls_provider();
        let home = Home::new()?;
        let (etcd, etcd_url) = start_etcd(&home)?;
        let (mut arguments, url) = api_server_arguments(&home, &etcd_url)?;
        arguments.extend(flags.iter().map(OsString::from));
        let api_server = start_api_server(&home, &arguments)?;
        // Written before the server listens; without it there is nothing to check its certificate by.
        let certificate = home.path().join("apiserver.crt");
        let mut cluster = Self {
            controllers: Vec::new(),
            api_server,
            etcd,
            etcd_url,
            arguments,
            kubeconfig: PathBuf::new(),
            home,
            url,
            certificate: Vec::new(),
            requests: AtomicU64::new(0),
        };
        cluster.is_ready().await?;
        cluster.certificate =
            std::fs::read(&certificate).map_err(Error::io("read the API server's certificate"))?;
        cluster.kubeconfig = cluster.kubeconfig_for("admin")?;
        Ok(cluster)
    }

    /// As [`Cluster::start`], and controller-manager, scheduler, kwok and one node: Deployments become available,
    /// namespaces go, owners are collected. Takes about 6 s and 600 MB.
    pub async fn start_full() -> Result<Self> {
        let mut cluster = Self::start().await?;
        cluster.start_controllers().await?;
        Ok(cluster)
    }

    /// A cluster as of [`Cluster::start`] that all tests of this process share: each uses names of its own, such as
    /// those of [`Cluster::namespace`]. Other tests' requests are in its audit log, too.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// A kubeconfig of a cluster administrator, user `admin`.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubeconfig of `admin` or of one of [`Cluster::USERS`].
    pub fn kubeconfig_for(&self, user: &str) -> Result<PathBuf> {
        // Tokens are the users' names: only loopback sees them.
        self.kubeconfig_with_token(user, user)
    }

    /// A kubeconfig with a bearer token, such as that of [`Cluster::service_account_token`]; `name` is for the file.
    pub fn kubeconfig_with_token(&self, name: &str, token: &str) -> Result<PathBuf> {
        let text = credentials::kubeconfig(&self.url, &self.certificate, name, token);
        self.home.write(&format!("{name}.kubeconfig"), text)
    }

    /// A token of a service account, valid for an hour, as `kubectl create token` gets it.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> Result<String> {
        let token = kubectl(self, &["create", "token", name, "--namespace", namespace]).await?;
        Ok(token.trim().to_owned())
    }

    /// The API server's URL, `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes a namespace that no other test has; its name begins with `prefix`.
    pub async fn namespace(&self, prefix: &str) -> Result<String> {
        let namespace = json!({ "metadata": { "generateName": format!("{prefix}-") } });
        let made = self.post("/api/v1/namespaces", &namespace).await?;
        made.pointer("/metadata/name")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| Error::Answer {
                request: "POST /api/v1/namespaces".into(),
                answer: made.to_string(),
            })
    }

    /// Every request so far, the testbed's own left out, in the order in which they were logged.
    ///
    /// What was answered before this call is there. One event for each request: a watch is there from its start, with
    /// stage `ResponseStarted`, all else when its response is complete.
    pub async fn audit(&self) -> Result<Vec<AuditEvent>> {
        self.since(Mark(0)).await
    }

    /// Now, for [`Cluster::since`].
    pub async fn mark(&self) -> Result<Mark> {
        self.flush_audit().await?;
        audit::end(&self.audit_log())
    }

    /// The requests since then: see [`Cluster::audit`].
    pub async fn since(&self, mark: Mark) -> Result<Vec<AuditEvent>> {
        self.flush_audit().await?;
        audit::read(&self.audit_log(), mark)
    }

    /// The API server's process.
    pub fn api_server(&self) -> &Server {
        &self.api_server
    }

    /// The folder of its files, the audit log and the servers' logs among them.
    pub fn home(&self) -> &Home {
        &self.home
    }

    async fn is_ready(&self) -> Result<()> {
        let untrusting = client(None)?;
        let ready = format!("{}/readyz", self.url);
        self.api_server
            .ready(
                || untrusting.get(&ready).bearer_auth(OWN_USER),
                |status| status.is_success(),
            )
            .await
            .map_err(|error| match self.etcd.exited() {
                Some(status) => Error::NotReady {
                    server: "etcd".into(),
                    reason: format!("ended with {status}"),
                    log: self.etcd.log(),
                },
                None => error,
            })
    }

    fn audit_log(&self) -> PathBuf {
        self.home.path().join("audit.log")
    }

    /// Returns when the log has the events of all that was answered before: an event is written just after its answer,
    /// so a request is sent and awaited in the log.
    async fn flush_audit(&self) -> Result<()> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let path = format!("/livez/ping?testbed={number}");
        let before = audit::end(&self.audit_log())?;
        self.get(&path).await?;
        for _ in 0..400 {
            if audit::has(&self.audit_log(), before, &path)? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(Error::Answer {
            request: path,
            answer: "it didn't reach the audit log within 2 s".into(),
        })
    }

    async fn get(&self, path: &str) -> Result<String> {
        self.send("GET", path, |client, url| client.get(url)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self
            .send("POST", path, |client, url| client.post(url).json(body))
            .await?;
        serde_json::from_str(&answer).map_err(|error| Error::Answer {
            request: format!("POST {path}"),
            answer: format!("{error}: {answer}"),
        })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        request: impl FnOnce(reqwest::Client, String) -> reqwest::RequestBuilder,
    ) -> Result<String> {
        let failed = |answer: String| Error::Answer {
            request: format!("{method} {path}"),
            answer,
        };
        // A client for each, as its connections die with the runtime that made them, which is one for each test.
        let client = client(Some(&self.certificate))?;
        let answer = request(client, format!("{}{path}", self.url))
            .bearer_auth(OWN_USER)
            .send()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| failed(error.to_string()))?;
        if status.is_success() {
            Ok(text)
        } else {
            Err(failed(format!("{status}: {text}")))
        }
    }
}

/// Runs the `kubectl` on the PATH as `admin`; returns what it wrote to standard output.
pub async fn kubectl(cluster: &Cluster, args: &[&str]) -> Result<String> {
    kubectl_with_input(cluster, args, "").await
}

/// As [`kubectl`], with standard input, for `apply -f -`.
pub async fn kubectl_with_input(cluster: &Cluster, args: &[&str], input: &str) -> Result<String> {
    let failed = |output: String| Error::Command {
        command: format!("kubectl {}", args.join(" ")),
        output,
    };
    let mut child = tokio::process::Command::new("kubectl")
        .args(args)
        .env("KUBECONFIG", cluster.kubeconfig())
        // Its discovery cache: by host and port, which tests use again.
        .env("KUBECACHEDIR", cluster.home.path().join("kubectl"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            failed(format!(
                "{error} (kubectl is needed: https://kubernetes.io/docs/tasks/tools)"
            ))
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may end without reading it all; its own message says more than a broken pipe.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child
        .wait_with_output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    ))
}

/// Without a certificate: one that trusts any, to learn when the server answers.
fn client(certificate: Option<&[u8]>) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().no_proxy();
    let builder = match certificate.map(reqwest::Certificate::from_pem_bundle).transpose() {
        Ok(Some(certificates)) => Ok(builder.tls_certs_only(certificates)),
        Ok(None) => Ok(builder.tls_danger_accept_invalid_certs(true)),
        Err(error) => Err(error),
    };
    builder
        .and_then(reqwest::ClientBuilder::build)
        .map_err(|error| Error::Answer {
            request: "an HTTP client".into(),
            answer: error.to_string(),
        })
}

fn start_etcd(home: &Home) -> Result<(Server, String)> {
    let program = programs::control_plane("etcd")?;
    let (client, peer) = (port::free()?, port::free()?);
    let (client, peer) = (
        format!("http://127.0.0.1:{client}"),
        format!("http://127.0.0.1:{peer}"),
    );
    let server = Server::start(home, "etcd", program, |command| {
        command
            .arg("--data-dir")
            .arg(home.path().join("etcd"))
            .args(["--unsafe-no-fsync", "--log-level=warn"])
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args(["--initial-cluster", &format!("default={peer}")]);
    })?;
    Ok((server, client))
}

/// What kube-apiserver is started with, and the URL at which it will answer.
fn api_server_arguments(home: &Home, etcd: &str) -> Result<(Vec<OsString>, String)> {
    let port = port::free()?;
    let (private_key, public_key) = credentials::service_account_keys()?;
    let private_key = home.write("service-accounts.key", private_key)?;
    let public_key = home.write("service-accounts.pub", public_key)?;
    let tokens = home.write("tokens.csv", credentials::tokens(OWN_USER, &Cluster::USERS))?;
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{ "level": "Metadata" }],
    });
    let policy = home.write("audit-policy.json", policy.to_string())?;
    let mut arguments: Vec<OsString> = [
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://holdfast.test",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--allow-privileged=true",
        // In MB: never rotated during a test.
        "--audit-log-maxsize=10000",
    ]
    .map(OsString::from)
    .into();
    arguments.push(format!("--secure-port={port}").into());
    let mut add = |flag: &str, value: OsString| arguments.extend([flag.into(), value]);
    add("--etcd-servers", etcd.into());
    add("--cert-dir", home.path().into());
    add("--service-account-signing-key-file", private_key.into());
    add("--service-account-key-file", public_key.into());
    add("--token-auth-file", tokens.into());
    add("--audit-policy-file", policy.into());
    add("--audit-log-path", home.path().join("audit.log").into());
    Ok((arguments, format!("https://127.0.0.1:{port}")))
}

fn start_api_server(home: &Home, arguments: &[OsString]) -> Result<Server> {
    let program = programs::control_plane("kube-apiserver")?;
    Server::start(home, "kube-apiserver", program, |command| {
        command.args(arguments);
    })
}
