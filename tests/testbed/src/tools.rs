//! Programs that tests run beside the servers, each to its end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::programs;

/// Where Helm is.
pub fn helm_program() -> Result<PathBuf> {
    programs::helm()
}

/// Runs Helm; returns what it wrote to standard output. With a `cluster` it acts there as `admin`, else it reaches none.
pub async fn helm(cluster: Option<&Cluster>, arguments: &[&str]) -> Result<String> {
    let home = tempfile::tempdir().map_err(Error::io("make a folder for Helm"))?;
    let mut command = Command::new(programs::helm()?);
    command.args(arguments).env_clear().env("HOME", home.path());
    command.env(
        "KUBECONFIG",
        cluster.map_or_else(|| Path::new("/nonexistent"), Cluster::kubeconfig),
    );
    run(command).await
}

/// Checks manifests against the schemas of a version of Kubernetes (`1.34`), strictly; returns what it says of each. Of types
/// that aren't Kubernetes' own it says only that it doesn't know them.
pub async fn kubernetes_validate(version: &str, manifests: &Path) -> Result<String> {
    let mut command = Command::new(programs::kubernetes_validate_python()?);
    let options = ["-m", "kubernetes_validate", "-k", version, "--strict"];
    command.args(options).arg(manifests);
    run(command).await
}

async fn run(mut command: Command) -> Result<String> {
    let said = {
        let command = command.as_std();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    };
    let failed = |output: String| Error::Command {
        command: said.clone(),
        output,
    };
    let output = command
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    Err(failed(format!(
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    )))
}
