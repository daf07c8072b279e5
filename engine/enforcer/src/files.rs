//! Policies in files: read when the process starts, and again when they change.
//!
//! Mounted `ConfigMap`s change by a link that is moved, which file systems tell of in different ways or not at all: so the
//! files' sizes and times are looked at every few seconds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use holdfast_contract::PolicyId;
use holdfast_policy::{Supplied, ValidPolicy};

use crate::work::{Actor, Work};

/// Folders are looked into so deep.
const DEPTH: usize = 8;

/// Reads policies from files.
pub trait Files: Send + Sync {
    /// Where they lie.
    fn paths(&self) -> &[PathBuf];

    /// Reads them all, each by the name of its file; where a whole path can't be read, by that path.
    fn read(&self) -> Vec<(String, Result<FilePolicy, String>)>;
}

/// A policy from a file.
#[derive(Clone, Debug)]
pub struct FilePolicy {
    /// The policy.
    pub policy: ValidPolicy,
    /// Parameters' values that win over its own.
    pub supplied: Vec<Supplied>,
}

/// The policies of files as they were good last.
pub(crate) struct FileSource {
    files: Box<dyn Files>,
    print: Option<Vec<Print>>,
    reads: u64,
    good: BTreeMap<String, PolicyId>,
}

/// What of a file shows that it has changed.
#[derive(Debug, PartialEq, Eq)]
struct Print(PathBuf, u64, Option<SystemTime>);

/// What the files hold now.
pub(crate) struct FileChange {
    /// What is to be enforced; of a file that is broken since it was good once, its policy with what is wrong with it.
    pub(crate) works: Vec<Work>,
    /// What is wrong, where nobody knows which policy it is.
    pub(crate) faults: Vec<String>,
}

impl FileSource {
    pub(crate) fn new(files: Box<dyn Files>) -> Self {
        Self {
            files,
            print: None,
            reads: 0,
            good: BTreeMap::new(),
        }
    }

    /// Has the files read anew, whether they have changed or not.
    pub(crate) fn forget(&mut self) {
        self.print = None;
    }

    /// What the files hold, if they may have changed since they were read last.
    pub(crate) fn changed(&mut self) -> Option<FileChange> {
        let print = prints(self.files.paths());
        if self.print.as_ref() == Some(&print) {
            return None;
        }
        self.print = Some(print);
        Some(self.read())
    }

    fn read(&mut self) -> FileChange {
        self.reads = self.reads.saturating_add(1);
        let mut change = FileChange {
            works: Vec::new(),
            faults: Vec::new(),
        };
        for (file, read) in self.files.read() {
            match read {
                Ok(FilePolicy { policy, supplied }) => {
                    self.good.insert(file, policy.id.clone());
                    change.works.push(Work {
                        id: policy.id.clone(),
                        policy: Ok(Arc::new(policy)),
                        overrides: supplied,
                        actor: Ok(Actor::ITSELF),
                        resource: None,
                        version: self.reads.to_string(),
                    });
                }
                Err(fault) => {
                    let broken: Vec<Work> = self.goes_on(&file, &fault).collect();
                    if broken.is_empty() {
                        change.faults.push(fault);
                    }
                    change.works.extend(broken);
                }
            }
        }
        let works = &change.works;
        self.good.retain(|_, id| works.iter().any(|work| work.id == *id));
        change
    }

    /// The policies that were good last, and came from the file that has a fault now, or from files that still are in the
    /// folder: one that can't be read is no reason to let the others go.
    fn goes_on(&self, file: &str, fault: &str) -> impl Iterator<Item = Work> {
        let is_there = |path: &Path| path.try_exists().unwrap_or(true);
        let good = self.good.iter().filter(move |(good, _)| {
            let path = Path::new(good);
            good.as_str() == file || path.starts_with(file) && is_there(path)
        });
        good.map(move |(_, id)| Work {
            id: id.clone(),
            policy: Err(fault.to_owned()),
            overrides: Vec::new(),
            actor: Ok(Actor::ITSELF),
            resource: None,
            version: self.reads.to_string(),
        })
    }
}

fn prints(paths: &[PathBuf]) -> Vec<Print> {
    let mut prints = Vec::new();
    for path in paths {
        add(&mut prints, path, DEPTH);
    }
    prints
}

fn add(prints: &mut Vec<Print>, path: &Path, depth: usize) {
    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    prints.push(Print(path.to_owned(), metadata.len(), metadata.modified().ok()));
    let Some(depth) = depth.checked_sub(1).filter(|_| metadata.is_dir()) else {
        return;
    };
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut inner: Vec<PathBuf> = entries
        // What mounts keep for themselves: the folders that their links point to.
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with(".."))
        .map(|entry| entry.path())
        .collect();
    inner.sort();
    for path in inner {
        add(prints, &path, depth);
    }
}
