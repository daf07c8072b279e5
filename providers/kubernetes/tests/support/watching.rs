//! A watch, as a test reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use holdfast_contract::{
    Observation, Provider, ProviderError, Query, ResourceKey, Seen, Wanted, WatchStream, Watched,
};
use tokio::time::{Instant, timeout_at};

/// For what is to come at once or after some tries.
const PATIENCE: Duration = Duration::from_secs(40);

/// A watch with what it has told so far.
pub struct Watching {
    stream: WatchStream,
    /// All that was told of single objects, in order, as texts: `name: present 17`.
    pub told: Vec<String>,
    /// What was told last of each, by name.
    pub last: BTreeMap<String, Result<Observation, ProviderError>>,
    /// What a list holds now; none before it was told, and when it can't be.
    pub list: Option<BTreeSet<String>>,
    /// How often whole lists were told.
    pub lists: usize,
    /// How often it was told that types may have changed.
    pub types: usize,
}

impl Watching {
    pub fn begin(provider: &dyn Provider, watched: &Watched) -> Self {
        Self {
            stream: provider.watch(watched).unwrap(),
            told: Vec::new(),
            last: BTreeMap::new(),
            list: None,
            lists: 0,
            types: 0,
        }
    }

    fn take(&mut self, seen: Seen) {
        match seen {
            Seen::One(key, result) => {
                let what = match &result {
                    Ok(Observation::Absent) => "absent".to_owned(),
                    Ok(Observation::Present(observed)) => {
                        format!("present {}", observed.version.as_ref().unwrap().0)
                    }
                    Err(error) => error.to_string(),
                };
                self.told.push(format!("{}: {what}", key.name));
                self.last.insert(key.name, result);
            }
            Seen::All(_, Ok(found)) => {
                self.lists += 1;
                self.list = Some(found.into_iter().map(|one| one.key.name).collect());
            }
            Seen::All(_, Err(error)) => {
                self.lists += 1;
                self.told.push(format!("list: {error}"));
                self.list = None;
            }
            Seen::Listed(_, found) => {
                assert!(found.observed.is_some());
                self.told.push(format!("listed: {}", found.key.name));
                self.list.as_mut().unwrap().insert(found.key.name);
            }
            Seen::Unlisted(_, key) => {
                self.list.as_mut().unwrap().remove(&key.name);
            }
            Seen::Types => self.types += 1,
        }
    }

    /// Reads on until it is so.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            match timeout_at(end, self.stream.next()).await {
                Ok(Some(seen)) => self.take(seen),
                Ok(None) => panic!("the watch ended before {what}"),
                Err(elapsed) => panic!("never {what} ({elapsed}): {:#?}", self.told),
            }
        }
    }

    /// Reads all that comes within `time`.
    pub async fn during(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(seen) = timeout_at(end, self.stream.next()).await {
            self.take(seen.unwrap());
        }
    }

    pub fn is_absent(&self, name: &str) -> bool {
        matches!(self.last.get(name), Some(Ok(Observation::Absent)))
    }

    pub fn is_present(&self, name: &str) -> bool {
        matches!(self.last.get(name), Some(Ok(Observation::Present(_))))
    }

    pub fn is_unserved(&self, name: &str) -> bool {
        matches!(self.last.get(name), Some(Err(ProviderError::NotServed { .. })))
    }

    /// What a field of an object was when it was told last.
    pub fn text(&self, name: &str, at: &[&str]) -> Option<String> {
        let Some(Ok(Observation::Present(observed))) = self.last.get(name) else {
            return None;
        };
        let document = observed.value(&"object".into())?;
        document.at(at)?.exposed().as_str().map(str::to_owned)
    }

    /// How often a text like this was told.
    pub fn count(&self, part: &str) -> usize {
        self.told.iter().filter(|told| told.contains(part)).count()
    }
}

pub fn wanted(keys: impl IntoIterator<Item = ResourceKey>) -> Vec<Wanted> {
    keys.into_iter()
        .map(|key| Wanted {
            key,
            facets: ["object".into()].into(),
        })
        .collect()
}

pub fn query(of: &ResourceKey, selector: Option<&str>, name_prefix: Option<&str>) -> Query {
    Query {
        kind: of.kind.clone(),
        api: of.api.clone(),
        namespace: of.namespace.clone(),
        selector: selector.map(str::to_owned),
        name_prefix: name_prefix.map(str::to_owned),
        read: BTreeSet::new(),
    }
}
