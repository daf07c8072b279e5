use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::{
    program::{Output, Running},
    until_within,
};

/// The leases of tests: a dead replica is noticed within seconds.
const SHORT_LEASES: [&str; 6] = [
    "--lease-duration",
    "10s",
    "--renew-deadline",
    "7s",
    "--retry-period",
    "2s",
];

/// Longer than the program may take for its farewell, on a machine that does other things too.
const FAREWELL: Duration = Duration::from_secs(20);

/// `holdfast run`, at work; killed when dropped.
#[derive(Debug)]
pub struct Enforcer {
    running: Running,
    log: PathBuf,
}

impl Enforcer {
    /// Starts it with `arguments`, and of the environment only `variables`; its log goes into `home`.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn start(home: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let log = tempfile::Builder::new()
            .prefix("enforcer-")
            .suffix(".log")
            .tempfile_in(home)
            .and_then(|file| file.keep().map_err(|error| error.error))
            .expect("there is room for a log")
            .1;
        let mut all = vec!["run", "--log-format", "json"];
        all.extend(SHORT_LEASES);
        all.extend(arguments);
        let file = File::create(&log).expect("its log can be written");
        Self {
            running: Running::start_logging(&all, variables, file),
            log,
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Whether it hasn't ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.pid()));
        // One that has ended and wasn't waited for is still listed.
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    }

    /// Sends it `signal`, such as `HUP`.
    pub fn signal(&self, signal: &str) {
        self.running.signal(signal);
    }

    /// What it has logged so far.
    ///
    /// # Panics
    /// If the log can't be read.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("its log can be read")
    }

    /// The whole lines of the log, each as the document that it is.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let log = self.log();
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until a line of the log is as `is_so` says.
    ///
    /// # Panics
    /// With the whole log, if none is within a minute.
    pub async fn says(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        until_within(Duration::from_mins(1), &format!("it says {what}"), async || {
            let said = self.lines().iter().any(&is_so);
            assert!(said || self.is_alive(), "it has ended; its log:\n{}", self.log());
            said
        })
        .await;
    }

    /// Waits until the resource at `address` has been seen in `phase`.
    pub async fn reaches(&self, address: &str, phase: &str) {
        let is_so = |line: &Value| line["resource"] == address && line["phase"] == phase;
        self.says(&format!("{address} {phase}"), is_so).await;
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// If it doesn't end.
    pub async fn end(self) -> Output {
        self.signal("TERM");
        let ended = tokio::time::timeout(FAREWELL, self.running.finish()).await;
        let output = ended.expect("it ends when it is asked to");
        Output {
            stderr: std::fs::read_to_string(&self.log).unwrap_or_default(),
            ..output
        }
    }

    /// Kills it.
    pub async fn kill(self) {
        self.signal("KILL");
        let _ = self.running.finish().await;
    }
}
