use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{RequestBuilder, StatusCode};

use crate::{
    error::{Error, Result},
    home::Home,
};

/// Turns into the program, and leaves behind a watcher in its process group that kills the whole group when standard
/// input ends. That happens when [`Server`] is dropped, and, as the kernel closes the pipe, when this process ends in
/// whatever way.
///
/// Not `PR_SET_PDEATHSIG`: that fires when the *thread* that started the child ends, as the runtime's of a test do,
/// and it misses grandchildren.
const WATCHED: &str = r#"exec 3<&0; { cat <&3; kill -KILL 0; } >/dev/null 2>&1 & exec "$@" </dev/null 3<&-"#;

/// Generous, as tests of several crates may share two cores; a server that ends early is noticed at once.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(90);
const PROBE_EVERY: Duration = Duration::from_millis(25);

/// A program that runs beside the test and can't outlive it.
///
/// It and whatever it starts are killed (`SIGKILL`) when this is dropped or when the test's process ends, even by
/// `kill -9`. What it writes goes to a file, of which errors show the end.
#[derive(Debug)]
pub struct Server {
    name: String,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Server {
    /// Starts `program`; `configure` adds arguments, environment and working folder.
    ///
    /// A program that doesn't exist is found by [`Server::ready`] or [`Server::exited`], with status 127.
    pub fn start(
        home: &Home,
        name: &str,
        program: impl AsRef<Path>,
        configure: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let log = home.path().join(format!("{name}.log"));
        let output = File::create(&log).map_err(Error::io(format!("write {}", log.display())))?;
        let errors = output
            .try_clone()
            .map_err(Error::io(format!("write {}", log.display())))?;
        let mut command = Command::new("sh");
        command.args(["-c", WATCHED, "sh"]).arg(program.as_ref());
        configure(&mut command);
        command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        let child = command.spawn().map_err(Error::io(format!("start {name}")))?;
        Ok(Self {
            name: name.to_owned(),
            log,
            child: Mutex::new(child),
        })
    }

    /// Waits until `request` is answered with a status that `accepts` it, for 90 seconds at most.
    ///
    /// # Errors
    /// [`Error::NotReady`] with the end of the log, at once if the program has ended.
    pub async fn ready(
        &self,
        request: impl Fn() -> RequestBuilder,
        accepts: impl Fn(StatusCode) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut last = String::from("nothing was tried");
        while Instant::now() < deadline {
            if let Some(status) = self.exited() {
                return Err(self.not_ready(format!("ended with {status}")));
            }
            match request().timeout(Duration::from_secs(5)).send().await {
                Ok(answer) if accepts(answer.status()) => return Ok(()),
                Ok(answer) => last = format!("it answers {}", answer.status()),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
        Err(self.not_ready(format!(
            "wasn't ready after {} s ({last})",
            READY_WITHIN.as_secs()
        )))
    }

    /// Its process id, which is also that of its process group.
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    /// All that it has written to standard output and standard error.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map_or_else(
            |error| format!("({} can't be read: {error})", self.log.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Kills it and all that it started, and waits until it is gone.
    pub fn kill(&self) {
        let mut child = self.child();
        drop(child.stdin.take());
        // It is the watcher that kills. An error means that the child was waited for already.
        let _ = child.wait();
    }

    pub(crate) fn not_ready(&self, reason: String) -> Error {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let end = lines
            .get(lines.len().saturating_sub(40)..)
            .unwrap_or_default()
            .join("\n");
        Error::NotReady {
            server: self.name.clone(),
            reason,
            log: end,
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
