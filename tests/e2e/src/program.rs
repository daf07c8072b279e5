use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use serde_json::Value;
use tokio::process::{Child, Command};

/// The folder that holds the workspace; the program is run in it, so that what it prints names no machine.
///
/// # Panics
/// If it isn't where it was when the test was built.
#[must_use]
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the workspace is there")
}

/// The program. Built by the first who asks.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("HOLDFAST_BINARY").map_or_else(built, PathBuf::from))
}

/// Builds it as this test was built: `TARGET/PROFILE/deps/TEST` tells both.
fn built() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    let profile = test.parent().and_then(Path::parent).expect("it lies in deps");
    let target = profile.parent().expect("deps lies in a profile's folder");
    let name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = std::process::Command::new(cargo);
    // What Cargo tells a test about its package would have dependencies built anew that look at it, and back again next time.
    for (name, _) in std::env::vars_os() {
        let known = name.to_string_lossy();
        if known.starts_with("CARGO_PKG_") || known.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let output = command
        .args(["build", "--quiet", "--package", "holdfast", "--profile", name])
        .arg("--target-dir")
        .arg(target)
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the program doesn't build:\n{said}");
    profile.join("holdfast")
}

/// How a run of the program ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
}

impl Output {
    /// Itself, if it ended with `code`.
    ///
    /// # Panics
    /// With all that it wrote, if it ended otherwise.
    #[must_use]
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The one report of `-o json`.
    ///
    /// # Panics
    /// If standard output isn't one JSON document with one report.
    #[must_use]
    #[track_caller]
    pub fn report(&self) -> Value {
        let document: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr));
        let reports = document["reports"].as_array().expect("reports");
        assert_eq!(reports.len(), 1, "{document:#}");
        reports[0].clone()
    }

    /// Itself, if `text` stands in what it wrote to either.
    ///
    /// # Panics
    /// With all that it wrote, if it doesn't.
    #[must_use]
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(
            said,
            "`{text}` isn't in\nstdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }
}

/// A run that goes on; killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts the program with `arguments`, and of the environment only `variables`.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let child = Command::new(binary())
            .args(arguments)
            .current_dir(root())
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program can be run");
        Self(child)
    }

    /// The same, with all that it says in `log`: for a run that says more than a pipe holds.
    pub(crate) fn start_logging(arguments: &[&str], variables: &[(&str, String)], log: File) -> Self {
        let child = Command::new(binary())
            .args(arguments)
            .current_dir(root())
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()
            .expect("the program can be run");
        Self(child)
    }

    /// Its process id.
    ///
    /// # Panics
    /// If it has ended and was waited for.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id().expect("it runs")
    }

    /// Sends it `signal`, such as `INT`.
    pub fn signal(&self, signal: &str) {
        send_signal(self.pid(), signal);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it can't be waited for.
    pub async fn finish(self) -> Output {
        let output = self.0.wait_with_output().await.expect("it can be waited for");
        Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }
}

/// Sends the process `pid` a signal.
pub(crate) fn send_signal(pid: u32, signal: &str) {
    let status = std::process::Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(pid.to_string())
        .status()
        .expect("kill can be run");
    assert!(status.success(), "kill -{signal} {pid}: {status}");
}

/// Runs the program where there is no server at all.
pub async fn sandbox(arguments: &[&str]) -> Output {
    Running::start(arguments, &[]).finish().await
}
