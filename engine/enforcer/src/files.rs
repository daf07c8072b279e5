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
    /// Where they lie, and what else they are made of: what is looked at for changes.
    fn watched(&self) -> &[PathBuf];

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
        let print = prints(self.files.watched());
        if self.print.as_ref() == Some(&print) {
            return None;
        }
        self.print = Some(print);
        Some(self.read())
    }

    fn read(&mut self) -> FileChange {
        self.reads = self.reads.saturating_add(1);
        let mut found: Vec<(String, Work)> = Vec::new();
        let mut faults = Vec::new();
        for (file, read) in self.files.read() {
            match read {
                Ok(FilePolicy { policy, supplied }) => {
                    let work = self.work(policy.id.clone(), Ok(Arc::new(policy)), supplied);
                    found.push((file, work));
                }
                Err(fault) => {
                    let before = found.len();
                    found.extend(self.goes_on(&file, &fault));
                    if found.len() == before {
                        faults.push(fault);
                    }
                }
            }
        }
        let owners = self.owners(&found);
        self.good.clear();
        let mut works = Vec::new();
        for (file, work) in found {
            match owners.get(&work.id) {
                Some(owner) if *owner != file => faults.push(format!(
                    "{file}: the policy {} is in {owner}, too, and enforced as it stands there: give one of them another name",
                    work.id
                )),
                _ => {
                    self.good.insert(file, work.id.clone());
                    works.push(work);
                }
            }
        }
        FileChange { works, faults }
    }

    fn work(&self, id: PolicyId, policy: Result<Arc<ValidPolicy>, String>, overrides: Vec<Supplied>) -> Work {
        Work {
            id,
            policy,
            overrides,
            actor: Ok(Actor::ITSELF),
            resource: None,
            version: self.reads.to_string(),
        }
    }

    /// Which file each policy is of: of several the one that it was of before, else the first. One that comes later changes
    /// nothing of what is enforced.
    fn owners(&self, found: &[(String, Work)]) -> BTreeMap<PolicyId, String> {
        let had = |(file, work): &&(String, Work)| self.good.get(file) == Some(&work.id);
        let mut owners = BTreeMap::new();
        for (file, work) in found.iter().filter(had).chain(found) {
            owners.entry(work.id.clone()).or_insert_with(|| file.clone());
        }
        owners
    }

    /// The policies that were good last, and came from the file that has a fault now, or from files that still are in the
    /// folder: one that can't be read is no reason to let the others go.
    fn goes_on(&self, file: &str, fault: &str) -> impl Iterator<Item = (String, Work)> {
        let is_there = |path: &Path| path.try_exists().unwrap_or(true);
        let good = self.good.iter().filter(move |(good, _)| {
            let path = Path::new(good);
            good.as_str() == file || path.starts_with(file) && is_there(path)
        });
        good.map(move |(good, id)| {
            let work = self.work(id.clone(), Err(fault.to_owned()), Vec::new());
            (good.clone(), work)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Mutex;

    use holdfast_contract::Registry;
    use holdfast_policy::{load_text, validate};

    use super::*;

    /// Files by name: the name of the policy in each; without one it is broken.
    #[derive(Clone, Default)]
    struct Named(Arc<Mutex<BTreeMap<&'static str, &'static str>>>);

    impl Files for Named {
        fn watched(&self) -> &[PathBuf] {
            &[]
        }

        fn read(&self) -> Vec<(String, Result<FilePolicy, String>)> {
            let read = |(file, name): (&&str, &&str)| {
                let text = format!(
                    "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: '{name}' }}\nspec: {{ language: 1, rules: {{}} }}\n"
                );
                let policy = validate(&load_text(file, &text), &Registry::default());
                let read = policy.map(|policy| FilePolicy {
                    policy,
                    supplied: Vec::new(),
                });
                ((*file).to_owned(), read.map_err(|faults| faults.summary()))
            };
            self.0.lock().unwrap().iter().map(read).collect()
        }
    }

    /// The files whose policies are enforced, a `!` after those that are broken now, and what is wrong with the others.
    fn read(source: &mut FileSource) -> (Vec<String>, Vec<String>) {
        source.forget();
        let change = source.changed().unwrap();
        let files = change.works.iter().map(|work| match &work.policy {
            Ok(policy) => policy.place.file.to_string(),
            Err(_) => format!("{}!", work.id.name),
        });
        (files.collect(), change.faults)
    }

    #[test]
    fn of_two_files_with_one_policy_the_one_stays_enforced_that_was() {
        let files = Named::default();
        let mut source = FileSource::new(Box::new(files.clone()));
        let put = |file, name| {
            files.0.lock().unwrap().insert(file, name);
        };
        put("b.yaml", "shop");
        put("c.yaml", "shop");
        let (enforced, faults) = read(&mut source);
        assert_eq!(enforced, ["b.yaml"], "the first");
        assert_eq!(
            faults,
            [
                "c.yaml: the policy holdfast-system/shop is in b.yaml, too, and enforced as it stands there: give one of them another name"
            ]
        );
        put("a.yaml", "shop");
        let (enforced, faults) = read(&mut source);
        assert_eq!(
            (enforced, faults.len()),
            (vec!["b.yaml".to_owned()], 2),
            "one that comes later"
        );
        put("b.yaml", "");
        let (enforced, faults) = read(&mut source);
        assert_eq!(
            (enforced, faults.len()),
            (vec!["shop!".to_owned()], 2),
            "as it was good last"
        );
        put("b.yaml", "other");
        let (enforced, faults) = read(&mut source);
        assert_eq!(
            (enforced, faults.len()),
            (vec!["a.yaml".to_owned(), "b.yaml".to_owned()], 1)
        );
    }
}
