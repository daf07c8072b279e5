//! Velero itself, in the place of the Pod that a Deployment asks for.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    cluster::{Cluster, kubectl},
    error::{Error, Result},
    home::Home,
    port, programs,
    server::Server,
};

/// Longer than any test that runs it.
const TOKEN_DURATION: &str = "--duration=6h";

/// Velero's server with its plugin for AWS, as a process beside a cluster, and its command line.
///
/// It runs as the Deployment `velero` says, so that what a test proves of it holds for that Deployment: with the
/// arguments and the environment of its container and nothing else, as its service account and with no more rights than
/// that has, with the Secrets that it mounts as files, and with the plugins that its init containers would copy. The
/// image alone is the testbed's own: the version that was built.
#[derive(Debug)]
pub struct Velero {
    server: Server,
    home: Home,
    kubeconfig: PathBuf,
    namespace: String,
}

impl Velero {
    /// Starts it as Deployment `velero` of `namespace` says; what the Deployment refers to has to be there. Takes a
    /// few seconds and 110 MB.
    ///
    /// # Errors
    /// [`Error::Command`] if the Deployment or what it refers to isn't there, [`Error::Answer`] if it asks for
    /// something that can't be had here, such as another plugin; [`Error::NotReady`] if Velero ends again.
    pub async fn start(cluster: &Cluster, namespace: &str) -> Result<Self> {
        let program = programs::velero()?;
        let home = Home::new()?;
        let deployment = get(cluster, namespace, "deployment/velero").await?;
        let pod = deployment.pointer("/spec/template/spec").unwrap_or(&Value::Null);
        let container = pod.pointer("/containers/0").unwrap_or(&Value::Null);
        let account = text(pod, "/serviceAccountName");
        let token = [
            "create",
            "token",
            account,
            TOKEN_DURATION,
            "--namespace",
            namespace,
        ];
        let token = kubectl(cluster, &token).await?;
        let kubeconfig = cluster.kubeconfig_with_token("velero", token.trim())?;

        let mounts = Mounts::new(cluster, namespace, &home, pod).await?;
        mounts.install_plugins(pod)?;
        let arguments: Vec<_> = items(container, "/args").filter_map(Value::as_str).collect();
        let variables = variables(container, namespace, &mounts)?;
        let temporary = home.path().join("tmp");
        std::fs::create_dir(&temporary).map_err(Error::io("make a folder"))?;
        let metrics = format!("127.0.0.1:{}", port::free()?);
        let server = Server::start(&home, "velero", program, |command| {
            command
                .args(arguments)
                // Where they are of a container's own, these are free to choose.
                .args(["--metrics-address", &metrics, "--profiler-address="])
                .arg("--plugin-dir")
                .arg(mounts.local(Path::new("/plugins")))
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("HOME", home.path())
                .env("TMPDIR", temporary)
                .env("KUBECONFIG", kubeconfig)
                .envs(variables);
        })?;
        crate::install_tls_provider();
        let client = reqwest::Client::new();
        let metrics = format!("http://{metrics}/metrics");
        server
            .ready(|| client.get(&metrics), |status| status.is_success())
            .await?;
        Ok(Self {
            server,
            home,
            kubeconfig: cluster.kubeconfig().to_owned(),
            namespace: namespace.to_owned(),
        })
    }

    /// Runs Velero's command line as an administrator; what it wrote to standard output and standard error.
    ///
    /// # Errors
    /// [`Error::Command`] if it ends with a failure.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let failed = |output: String| Error::Command {
            command: format!("velero {}", arguments.join(" ")),
            output,
        };
        let output = tokio::process::Command::new(programs::velero()?)
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("VELERO_NAMESPACE", &self.namespace)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() {
            Ok(said)
        } else {
            Err(failed(said))
        }
    }

    /// The program: server and command line are one.
    pub fn program() -> Result<PathBuf> {
        programs::velero()
    }

    /// The server's process.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// The folders that the container's volumes are mounted from.
struct Mounts {
    folders: BTreeMap<PathBuf, PathBuf>,
}

impl Mounts {
    async fn new(cluster: &Cluster, namespace: &str, home: &Home, pod: &Value) -> Result<Self> {
        let volumes = home.path().join("volumes");
        let mut folders = BTreeMap::new();
        for mount in items(pod, "/containers/0/volumeMounts") {
            let name = text(mount, "/name");
            let folder = volumes.join(name);
            std::fs::create_dir_all(&folder).map_err(Error::io("make a volume's folder"))?;
            let volume = items(pod, "/volumes").find(|volume| text(volume, "/name") == name);
            fill(cluster, namespace, volume.unwrap_or(&Value::Null), &folder).await?;
            folders.insert(PathBuf::from(text(mount, "/mountPath")), folder);
        }
        Ok(Self { folders })
    }

    /// Where what the container sees at `path` is here; `path` itself if nothing is mounted there.
    fn local(&self, path: &Path) -> PathBuf {
        let mut mounts = self.folders.iter();
        let found = mounts.find_map(|(mount, folder)| Some(folder.join(path.strip_prefix(mount).ok()?)));
        found.unwrap_or_else(|| path.to_owned())
    }

    /// What the init containers do.
    fn install_plugins(&self, pod: &Value) -> Result<()> {
        for plugin in items(pod, "/initContainers") {
            let image = text(plugin, "/image");
            let name = image
                .rsplit('/')
                .next()
                .and_then(|last| last.split([':', '@']).next());
            let (Some(name @ "velero-plugin-for-aws"), program) = (name, programs::velero_plugin_for_aws()?)
            else {
                return Err(Error::Answer {
                    request: "the plugins of Deployment velero".into(),
                    answer: format!("{image} isn't one that the testbed builds"),
                });
            };
            // A name without a version, as in the image; a link, as it is large.
            let target = self.local(&Path::new("/plugins").join(name));
            std::os::unix::fs::symlink(program, target).map_err(Error::io("install a plugin"))?;
        }
        Ok(())
    }
}

/// Writes the entries of a Secret or of a config map as the kubelet does; any other volume is empty.
async fn fill(cluster: &Cluster, namespace: &str, volume: &Value, folder: &Path) -> Result<()> {
    let (source, name, is_secret) = match (volume.get("secret"), volume.get("configMap")) {
        (Some(source), _) => (source, format!("secret/{}", text(source, "/secretName")), true),
        (_, Some(source)) => (source, format!("configmap/{}", text(source, "/name")), false),
        _ => return Ok(()),
    };
    let object = match get(cluster, namespace, &name).await {
        Ok(object) => object,
        Err(_) if source.get("optional") == Some(&Value::Bool(true)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let named: BTreeMap<_, _> = items(source, "/items")
        .map(|item| (text(item, "/key"), text(item, "/path")))
        .collect();
    for (key, value) in object
        .get("data")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let file = match (named.is_empty(), named.get(key.as_str())) {
            (true, _) => key.as_str(),
            (false, Some(path)) => path,
            (false, None) => continue,
        };
        let value = value.as_str().unwrap_or_default();
        let bytes = if is_secret {
            STANDARD.decode(value).map_err(|error| Error::Answer {
                request: name.clone(),
                answer: error.to_string(),
            })?
        } else {
            value.into()
        };
        std::fs::write(folder.join(file), bytes).map_err(Error::io("write a volume's file"))?;
    }
    Ok(())
}

/// The container's environment, with paths as they are here.
fn variables(container: &Value, namespace: &str, mounts: &Mounts) -> Result<Vec<(String, String)>> {
    items(container, "/env")
        .map(|variable| {
            let name = text(variable, "/name");
            let value = match (
                variable.get("value"),
                variable.pointer("/valueFrom/fieldRef/fieldPath"),
            ) {
                (Some(value), _) => value.as_str().unwrap_or_default(),
                (_, Some(path)) if path == "metadata.namespace" => namespace,
                _ => {
                    return Err(Error::Answer {
                        request: "the environment of Deployment velero".into(),
                        answer: format!("{name} comes from where the testbed doesn't look"),
                    });
                }
            };
            let value = mounts.local(Path::new(value)).display().to_string();
            Ok((name.to_owned(), value))
        })
        .collect()
}

async fn get(cluster: &Cluster, namespace: &str, object: &str) -> Result<Value> {
    let arguments = ["get", object, "--namespace", namespace, "--output=json"];
    let answer = kubectl(cluster, &arguments).await?;
    serde_json::from_str(&answer).map_err(|error| Error::Answer {
        request: format!("get {object}"),
        answer: error.to_string(),
    })
}

fn items<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
