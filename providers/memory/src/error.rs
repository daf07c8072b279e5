//! What is wrong with a sandbox's file.

use std::path::PathBuf;

/// A sandbox file that can't be read as one, or a change of the world that can't be made.
///
/// Messages name places and keys, never the values that stand there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The text is wrong at a place.
    #[error("{origin}:{line}:{column}: {message}")]
    Content {
        /// The file, as the user named it.
        origin: String,
        /// From 1.
        line: u64,
        /// From 1, in characters.
        column: u64,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// The file can't be read or written.
    #[error("can't {action} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody edited the state file while this process had the world open.
    #[error(
        "{} was edited while it was in use; nothing was written over it: run the command again",
        path.display()
    )]
    Edited {
        /// Which file.
        path: PathBuf,
    },
    /// A document can't become part of the world.
    #[error("{0}")]
    Unfit(String),
}
