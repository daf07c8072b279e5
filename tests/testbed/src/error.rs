use std::{fmt, io, path::PathBuf};

/// What a testbed function returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a test has no server.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program was never installed on this machine.
    #[error("{what} is not installed ({path} is missing): run {how}")]
    NotSetUp {
        /// The program and its version.
        what: String,
        /// Where it was looked for.
        path: PathBuf,
        /// What installs it.
        how: &'static str,
    },
    /// The program was started and ended, or didn't answer in time.
    #[error("{server} {reason}; the end of its log:\n{log}")]
    NotReady {
        /// The server's name.
        server: String,
        /// What happened instead.
        reason: String,
        /// The last lines that it wrote.
        log: String,
    },
    /// A command ended with a failure.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command line.
        command: String,
        /// All that it wrote.
        output: String,
    },
    /// A server answered with something that the testbed can't go on with.
    #[error("unexpected answer to {request}: {answer}")]
    Answer {
        /// The request.
        request: String,
        /// The answer, or why there is none.
        answer: String,
    },
    /// The machine refused something: a file, a process, a socket.
    #[error("can't {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// As [`fmt::Display`]: tests unwrap, and a server's log is of no use with its line ends escaped.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// For `map_err`, with what was tried.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
