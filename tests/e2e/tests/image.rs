//! The image, built and run as a cluster would run it: as nobody in particular, with nothing to write to.
//!
//! What is in it here is the program as the tests are built, but static; `make docker-build` builds the one that is
//! released, which takes long.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use holdfast_e2e::{binary, root};
use holdfast_testbed::Cluster;
use serde_json::Value;
use tempfile::TempDir;

const IMAGE: &str = "localhost/holdfast:test";

/// An image in a storage of its own.
struct Image {
    home: TempDir,
}

impl Image {
    fn build() -> Self {
        for tool in ["buildah", "podman", "runc"] {
            let there = Command::new(tool).arg("--version").output().is_ok();
            assert!(
                there,
                "{tool} is needed: `make setup` installs it as root, or `apt-get install {tool}`"
            );
        }
        let home = tempfile::tempdir().unwrap();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            home.path().display()
        );
        std::fs::write(home.path().join("storage.conf"), storage).unwrap();
        let program = static_program(home.path());
        let image = Self { home };
        let mut building = image.command(root().join("image/build"));
        succeeded(building.arg(program).arg(IMAGE).env("BUILDER", "podman"));
        image
    }

    /// A command that sees this storage only, and asks nothing of the system that a container may not have.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env("CONTAINERS_STORAGE_CONF", self.home.path().join("storage.conf"))
            .env("BUILDAH_ISOLATION", "chroot");
        command
    }

    /// Runs the image as tightly as a cluster does.
    fn run(&self, options: &[&str], arguments: &[&str]) -> Output {
        self.command("podman")
            .args([
                "--runtime",
                "runc",
                "run",
                "--rm",
                "--network",
                "host",
                "--read-only",
                "--cap-drop=all",
            ])
            .args([
                "--security-opt=no-new-privileges",
                "--ulimit",
                "nofile=4096:4096",
                "--ulimit",
                "nproc=4096:4096",
            ])
            .args(options)
            .arg(IMAGE)
            .args(arguments)
            .output()
            .unwrap()
    }
}

/// The program with all of what it needs in it. Only it is linked anew: what it is made of is there already.
fn static_program(folder: &Path) -> PathBuf {
    let target = binary().parent().and_then(Path::parent).unwrap();
    succeeded(
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "rustc",
                "--quiet",
                "--package",
                "holdfast",
                "--bin",
                "holdfast",
                "--target-dir",
            ])
            .arg(target)
            .args(["--", "-C", "target-feature=+crt-static", "-C", "strip=symbols"])
            .current_dir(root()),
    );
    let program = folder.join("holdfast");
    // The next who wants the program as the tests are built gets it so again.
    std::fs::rename(target.join("debug/holdfast"), &program).unwrap();
    program
}

#[track_caller]
fn succeeded(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{command:?}\n{said}");
    said
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A file that whoever runs in the image can read.
fn readable(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    path
}

#[tokio::test]
async fn the_image_runs_as_nobody_with_nothing_to_write_to() {
    let image = Image::build();
    let inspected = succeeded(image.command("podman").args(["inspect", IMAGE]));
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let config = &inspected[0]["Config"];
    assert_eq!(config["User"], "65532:65532");
    let labels = &config["Labels"];
    for label in ["title", "description", "licenses", "version", "revision"] {
        let text = labels[format!("org.opencontainers.image.{label}")]
            .as_str()
            .unwrap_or_default();
        assert!(!text.is_empty(), "{label}: {labels}");
    }

    let version = image.run(&[], &["--version"]);
    assert_eq!(
        said(&version).trim(),
        format!("holdfast {}", env!("CARGO_PKG_VERSION"))
    );

    // OpenShift gives each namespace users of its own.
    let policies = format!("{}:/policies:ro", root().join("policies").display());
    let applied = image.run(
        &["--volume", &policies, "--user", "1000770000:0"],
        &["apply", "/policies/managed-velero", "--sandbox"],
    );
    assert!(applied.status.success(), "{}", said(&applied));

    reaches_a_cluster_and_trusts_whom_it_is_told_to(&image).await;
}

/// The API server stands in for a store whose certificate nobody has signed that the world knows of.
async fn reaches_a_cluster_and_trusts_whom_it_is_told_to(image: &Image) {
    let cluster = Cluster::shared().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let kubeconfig = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    readable(folder.path(), "kubeconfig", &kubeconfig);
    // By a name that its certificate has, so that it has to be looked up.
    let endpoint = cluster.url().replace("127.0.0.1", "kubernetes");
    readable(
        folder.path(),
        "policy.yaml",
        &format!(
            "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: image }}\nspec:\n  language: 1\n  \
             providers: {{ s3: {{ region: us-east-1, endpoint: '{endpoint}', pathStyle: true }} }}\n  \
             rules: {{ bucket: {{ observe: s3/Bucket, name: acme }} }}\n"
        ),
    );
    readable(folder.path(), "ca.pem", &certificate(&kubeconfig));
    let volume = format!("{}:/given:ro", folder.path().display());
    let mut options = vec![
        "--add-host",
        "kubernetes:127.0.0.1",
        "--volume",
        &volume,
        "--env",
        "AWS_ACCESS_KEY_ID=x",
        "--env",
        "AWS_SECRET_ACCESS_KEY=x",
    ];
    let arguments = [
        "plan",
        "/given/policy.yaml",
        "--kubeconfig",
        "/given/kubeconfig",
        "--timeout",
        "20s",
    ];
    let distrusted = said(&image.run(&options, &arguments));
    assert!(distrusted.contains("certificate"), "{distrusted}");
    options.extend(["--env", "SSL_CERT_FILE=/given/ca.pem"]);
    let trusted = said(&image.run(&options, &arguments));
    assert!(!trusted.contains("certificate"), "{trusted}");
    assert!(trusted.contains("bucket"), "{trusted}");
}

/// Whose signature a kubeconfig trusts.
fn certificate(kubeconfig: &str) -> String {
    use base64::Engine as _;
    let config: Value = serde_saphyr::from_str(kubeconfig).unwrap();
    let encoded = &config["clusters"][0]["cluster"]["certificate-authority-data"];
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded.as_str().unwrap())
        .unwrap();
    String::from_utf8(decoded).unwrap()
}
