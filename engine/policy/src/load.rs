//! Reading policies and the files that they name: the only part that touches the file system.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::glob;
use crate::place::{Place, Source, Sources};
use crate::read::API_VERSION;
use crate::yaml::{self, Data, MAX_BYTES, Node, Parsed};

/// A policy as it was read: its document with places, and the documents of the files that it names.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub(crate) name: Arc<str>,
    pub(crate) document: Option<Node>,
    pub(crate) files: Files,
    pub(crate) sources: Sources,
    /// What is wrong so far. Validation tells it with the rest.
    pub(crate) faults: Vec<Diagnostic>,
}

/// What rules name under `manifests` and `templates`, by the pattern that names it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(BTreeMap<String, Named>);

/// What one pattern means.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    /// The files, each with its path as seen from the policy, in order of path.
    pub(crate) texts: Vec<(String, Arc<Source>)>,
    /// Their documents.
    documents: Vec<Arc<Node>>,
}

impl Files {
    /// The documents of the files that `pattern` means, in order of path.
    pub(crate) fn documents(&self, pattern: &str) -> &[Arc<Node>] {
        self.0
            .get(pattern)
            .map(|named| named.documents.as_slice())
            .unwrap_or_default()
    }

    /// All patterns with what they mean.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Named)> {
        self.0.iter().map(|(pattern, named)| (pattern.as_str(), named))
    }
}

impl Loaded {
    /// What messages call the policy's file.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}

/// The file that makes a folder a policy.
const POLICY_FILE: &str = "policy.yaml";

/// Reads what is at `path`: a policy's folder (one with a `policy.yaml`), a folder of policies (folders or files), a
/// file, or `-` for standard input. Policies come in order of path.
///
/// # Errors
/// There is nothing to read, or it can't be read. What is wrong with the content is told by
/// [`validate`](crate::validate).
pub fn load(path: &Path) -> Result<Vec<Loaded>, Diagnostics> {
    if path == Path::new("-") {
        let mut text = String::new();
        let mut limited = std::io::stdin()
            .lock()
            .take(u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1));
        return match limited.read_to_string(&mut text) {
            Ok(_) => Ok(vec![load_text("-", &text)]),
            Err(error) => Err(unreadable(path, &error)),
        };
    }
    if !path.is_dir() {
        return Ok(vec![load_file(path, path.parent())?]);
    }
    let own = path.join(POLICY_FILE);
    if own.is_file() {
        return Ok(vec![load_file(&own, Some(path))?]);
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|error| unreadable(path, &error))?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        let inner = entry.join(POLICY_FILE);
        if inner.is_file() {
            found.push(load_file(&inner, Some(&entry))?);
        } else if entry.is_file() && is_yaml(&entry) {
            let loaded = load_file(&entry, Some(path))?;
            if loaded.document.as_ref().is_none_or(is_policy) {
                found.push(loaded);
            }
        }
    }
    if found.is_empty() {
        let place = Place::of_file(&path.display().to_string());
        let fault = Diagnostic::error(Code::FileMissing, place, "there is no policy in this folder");
        return Err(fault
            .with_hint(format!("a policy's folder holds a {POLICY_FILE}"))
            .into());
    }
    Ok(found)
}

/// Takes `text` for a policy's file, called `name` in messages. Files that it names can only be its own `files:`.
#[must_use]
pub fn load_text(name: &str, text: &str) -> Loaded {
    read(&Source::new(name, text), None)
}

/// Takes `document` for that of a Policy resource, called `name` in messages: `NAMESPACE/NAME`. Files that it names can
/// only be its own `files:`. Places are paths, such as `spec.rules.bucket`, as nobody sees lines of it.
///
/// `metadata` may hold what a server adds, of which only the name and namespace are looked at.
#[must_use]
pub fn load_document(name: &str, document: &serde_json::Value) -> Loaded {
    let name: Arc<str> = name.into();
    let parsed = yaml::from_json(&name, document);
    whole(name, Sources::default(), parsed, None)
}

fn load_file(path: &Path, folder: Option<&Path>) -> Result<Loaded, Diagnostics> {
    let text = read_text(path).map_err(|error| unreadable(path, &error))?;
    let folder = match folder {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("."),
    };
    Ok(read(
        &Source::new(&path.display().to_string(), text),
        Some(folder),
    ))
}

/// The text of a file, at most a byte more than is read, so that a huge one is told by its size and not read whole.
fn read_text(path: &Path) -> std::io::Result<String> {
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1))
        .read_to_end(&mut bytes)?;
    let cut = bytes.len() > MAX_BYTES;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // The cut may have gone through a character.
        Err(error) if cut => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        Err(_) => Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "it isn't UTF-8 text",
        )),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostics {
    let name = path.display().to_string();
    let code = if error.kind() == std::io::ErrorKind::NotFound {
        Code::FileMissing
    } else {
        Code::FileUnreadable
    };
    let message = match error.kind() {
        std::io::ErrorKind::NotFound => format!("{name} isn't there"),
        std::io::ErrorKind::PermissionDenied => format!("{name} can't be read: permission denied"),
        _ => format!("{name} can't be read: {error}"),
    };
    Diagnostic::error(code, Place::of_file(&name), message).into()
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn is_policy(document: &Node) -> bool {
    document.get("apiVersion").and_then(Node::text) == Some(API_VERSION)
        && document.get("kind").and_then(Node::text) == Some("Policy")
}

fn read(source: &Arc<Source>, folder: Option<&Path>) -> Loaded {
    let mut sources = Sources::default();
    sources.add(source);
    whole(Arc::clone(source.name()), sources, yaml::parse(source), folder)
}

/// The one document that was parsed, with the files that it names.
fn whole(name: Arc<str>, sources: Sources, parsed: Parsed, folder: Option<&Path>) -> Loaded {
    let Parsed {
        documents,
        mut faults,
    } = parsed;
    let mut documents = documents
        .into_iter()
        .filter(|document| !matches!(document.data, Data::Null));
    let document = documents.next();
    if let Some(second) = documents.next() {
        let fault = Diagnostic::error(
            Code::ManyDocuments,
            second.place,
            "a policy's file holds one document",
        );
        faults.push(fault.with_hint("put each policy into a file of its own"));
    }
    if document.is_none() && faults.is_empty() {
        faults.push(Diagnostic::error(
            Code::NotAPolicy,
            Place::of_file(&name),
            "the file is empty",
        ));
    }
    let mut loaded = Loaded {
        name,
        document,
        files: Files::default(),
        sources,
        faults,
    };
    read_files(&mut loaded, folder);
    loaded
}

/// Reads the files that rules name under `manifests` and `templates`.
fn read_files(loaded: &mut Loaded, folder: Option<&Path>) {
    let Some(spec) = loaded.document.as_ref().and_then(|document| document.get("spec")) else {
        return;
    };
    let carried = spec.get("files").and_then(Node::entries).unwrap_or_default();
    let carried: BTreeMap<&str, &Node> = carried
        .iter()
        .map(|(key, node)| (key.text.as_str(), node))
        .collect();
    let rules = spec.get("rules").and_then(Node::entries).unwrap_or_default();
    let cases = rules
        .iter()
        .filter_map(|(_, rule)| rule.get("cases")?.items())
        .flatten();
    let holders = rules.iter().map(|(_, rule)| rule).chain(cases);
    let lists = holders.flat_map(|holder| {
        ["manifests", "templates"]
            .into_iter()
            .filter_map(|key| holder.get(key))
    });
    let mut reader = FileReader {
        folder,
        carried,
        files: BTreeMap::new(),
        sources: Sources::default(),
        faults: Vec::new(),
        bytes: 0,
    };
    for item in lists.filter_map(Node::items).flatten() {
        if let Some(pattern) = item.text() {
            reader.pattern(pattern, &item.place);
        }
    }
    let FileReader {
        files,
        sources,
        faults,
        ..
    } = reader;
    loaded.files = Files(files);
    loaded.sources.append(sources);
    loaded.faults.extend(faults);
}

/// All files of a policy together have at most this many bytes.
const MAX_TOTAL_BYTES: usize = 4 * MAX_BYTES;

struct FileReader<'l> {
    folder: Option<&'l Path>,
    carried: BTreeMap<&'l str, &'l Node>,
    files: BTreeMap<String, Named>,
    sources: Sources,
    faults: Vec<Diagnostic>,
    bytes: usize,
}

impl FileReader<'_> {
    fn fault(&mut self, code: Code, place: &Place, message: String, hint: &str) {
        self.faults
            .push(Diagnostic::error(code, place.clone(), message).with_hint(hint));
    }

    fn pattern(&mut self, pattern: &str, place: &Place) {
        if self.files.contains_key(pattern) {
            return;
        }
        let path = Path::new(pattern);
        let inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if pattern.is_empty() || !inside || pattern.contains('\\') {
            let message = format!("`{pattern}` leaves the policy's folder");
            self.fault(
                Code::FileOutside,
                place,
                message,
                "manifests and templates lie in the policy's own folder",
            );
            return;
        }
        let texts = self.matching(pattern, place);
        let mut documents = Vec::new();
        for (_, source) in &texts {
            self.bytes = self.bytes.saturating_add(source.text().len());
            if self.bytes > MAX_TOTAL_BYTES {
                let message = format!(
                    "the policy's files are larger than {} MiB",
                    MAX_TOTAL_BYTES.div_euclid(1024 * 1024)
                );
                self.fault(Code::TooLarge, place, message, "");
                return;
            }
            let parsed = yaml::parse(source);
            self.faults.extend(parsed.faults);
            self.sources.add(source);
            for document in parsed.documents {
                flatten(document, &mut documents);
            }
        }
        self.files.insert(pattern.to_owned(), Named { texts, documents });
    }

    /// The files that `pattern` means: those that the policy carries, else those of its folder.
    fn matching(&mut self, pattern: &str, place: &Place) -> Vec<(String, Arc<Source>)> {
        let carried: Vec<_> = self
            .carried
            .iter()
            .filter(|(name, _)| glob::matches(pattern, name))
            .filter_map(|(name, node)| {
                let source = Source::carried(&place.file, name, node.text()?);
                Some(((*name).to_owned(), source))
            })
            .collect();
        if !carried.is_empty() {
            return carried;
        }
        let Some(folder) = self.folder else {
            let message = format!("there is no file `{pattern}`");
            self.fault(
                Code::FileMissing,
                place,
                message,
                "a policy that isn't in a folder carries its files under `files`",
            );
            return Vec::new();
        };
        let found = match glob::expand(folder, pattern) {
            Ok(found) => found,
            Err(error) => {
                self.fault(
                    Code::FileUnreadable,
                    place,
                    format!("`{pattern}` can't be looked for: {error}"),
                    "",
                );
                return Vec::new();
            }
        };
        if found.is_empty() {
            let what = if pattern.contains('*') {
                "no file matches"
            } else {
                "there is no file"
            };
            let hint = format!("looked for in {}", folder.display());
            self.fault(Code::FileMissing, place, format!("{what} `{pattern}`"), &hint);
        }
        found
            .iter()
            .filter_map(|path| {
                let name = path.strip_prefix(folder).unwrap_or(path).display().to_string();
                Some((name, self.file(folder, path, place)?))
            })
            .collect()
    }

    fn file(&mut self, folder: &Path, path: &Path, place: &Place) -> Option<Arc<Source>> {
        let shown = path.display().to_string();
        // Links are followed, as mounted ConfigMaps are made of them, but not out of the folder.
        let inside = match (folder.canonicalize(), path.canonicalize()) {
            (Ok(folder), Ok(path)) => path.starts_with(folder),
            _ => true,
        };
        if !inside {
            let message = format!("`{shown}` is a link that leaves the policy's folder");
            self.fault(
                Code::FileOutside,
                place,
                message,
                "put the file itself into the folder",
            );
            return None;
        }
        match read_text(path) {
            Ok(text) => Some(Source::new(&shown, text)),
            Err(error) => {
                self.fault(
                    Code::FileUnreadable,
                    place,
                    format!("`{shown}` can't be read: {error}"),
                    "",
                );
                None
            }
        }
    }
}

/// A document, or the items of a `List`. Empty documents are none.
fn flatten(document: Node, documents: &mut Vec<Arc<Node>>) {
    let is_list = document.get("apiVersion").and_then(Node::text) == Some("v1")
        && document.get("kind").and_then(Node::text) == Some("List");
    match document.data {
        Data::Null => {}
        Data::Map(entries) if is_list => {
            let items = entries
                .into_iter()
                .find(|(key, _)| key.text == "items")
                .map(|(_, items)| items.data);
            if let Some(Data::List(items)) = items {
                documents.extend(items.into_iter().map(Arc::new));
            }
        }
        _ => documents.push(Arc::new(document)),
    }
}
