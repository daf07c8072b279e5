use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::error::{Error, Result};

/// Deletes the folder `$1` when standard input ends and nobody else has: a second later, when the servers are gone.
const JANITOR: &str = r#"cat >/dev/null; [ -e "$1" ] || exit 0; sleep 1; rm -rf -- "$1""#;

/// A temporary folder for servers' files.
///
/// Deleted when dropped, and when this process ends in any other way: the janitor, a shell, holds the other end of a
/// pipe and notices. Declare it after the servers that use it, so that they are dropped first.
#[derive(Debug)]
pub struct Home {
    folder: Option<TempDir>,
    janitor: Child,
}

impl Home {
    /// A new, empty folder.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("holdfast-testbed-")
            .tempdir()
            .map_err(Error::io("make a temporary folder"))?;
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "sh"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C in the terminal reaches the foreground group; the janitor outlives it.
            .process_group(0)
            .spawn()
            .map_err(Error::io("run sh"))?;
        Ok(Self {
            folder: Some(folder),
            janitor,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        // It is taken in `drop` only.
        self.folder
            .as_ref()
            .map_or(Path::new("/nonexistent"), TempDir::path)
    }

    /// Writes a file into the folder, all at once: tests that share a cluster write the same kubeconfig again while
    /// others read it, and none of them may find it half there.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path().join(name);
        let written = tempfile::NamedTempFile::new_in(self.path()).and_then(|mut file| {
            file.write_all(text.as_ref())?;
            file.persist(&path).map_err(|error| error.error)
        });
        written.map_err(Error::io(format!("write {}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Deleted before the janitor's pipe is closed, so that it finds nothing to do.
        drop(self.folder.take());
        drop(self.janitor.stdin.take());
        // Nothing to be done about an error, and nothing depends on it.
        let _ = self.janitor.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::Home;

    #[test]
    fn a_file_that_is_written_again_is_never_seen_half_written() {
        let home = Home::new().unwrap();
        let text = "x".repeat(4096);
        let path = home.write("shared", &text).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..500).for_each(|_| drop(home.write("shared", &text).unwrap())));
            while !writer.is_finished() {
                assert_eq!(std::fs::read_to_string(&path).unwrap().len(), text.len());
            }
        });
    }
}
