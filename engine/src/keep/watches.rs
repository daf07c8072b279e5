//! The watches of a policy, which follow what it looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use holdfast_contract::{ApiType, Provider, ProviderName, Query, Seen, Wanted, Watched};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// So many events wait to be taken; the services keep the others back.
const WAITING: usize = 256;

/// What is watched together: what of it changes, is watched anew together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Objects(ProviderName, Option<ApiType>, Option<String>),
    List(ProviderName, Query),
    Types(ProviderName),
}

impl Group {
    fn provider(&self) -> &ProviderName {
        match self {
            Self::Objects(provider, ..) | Self::List(provider, _) | Self::Types(provider) => provider,
        }
    }
}

/// What a policy looks at.
#[derive(Debug, Default)]
pub(super) struct Wishes(BTreeMap<Group, Watched>);

impl Wishes {
    pub(super) fn one(&mut self, wanted: Wanted, is_own: bool, mark: &str) {
        let key = &wanted.key;
        let group = Group::Objects(key.provider.clone(), key.api.clone(), key.namespace.clone());
        let watched = self.0.entry(group).or_default();
        // One that is also a fact is watched for its own sake, whatever it bears.
        let list = if is_own {
            watched.mark = Some(mark.to_owned());
            &mut watched.own
        } else {
            &mut watched.wanted
        };
        list.push(wanted);
    }

    pub(super) fn list(&mut self, provider: &ProviderName, query: &Query) {
        let watched = Watched {
            lists: vec![query.clone()],
            ..Watched::default()
        };
        let group = Group::List(provider.clone(), query.clone());
        self.0.insert(group, watched);
    }

    pub(super) fn types(&mut self, provider: &ProviderName) {
        let watched = Watched {
            types: true,
            ..Watched::default()
        };
        self.0.insert(Group::Types(provider.clone()), watched);
    }

    /// The same wish said twice is one, in whatever order they were said.
    fn sorted(mut self) -> Self {
        for watched in self.0.values_mut() {
            let Watched { wanted, own, .. } = watched;
            for list in [&mut *wanted, &mut *own] {
                list.sort_by(|a, b| a.key.cmp(&b.key));
                list.dedup_by(|extra, kept| {
                    let is_same = extra.key == kept.key;
                    if is_same {
                        kept.facets.append(&mut extra.facets);
                    }
                    is_same
                });
            }
            let keys: BTreeSet<_> = wanted.iter().map(|one| one.key.clone()).collect();
            own.retain(|one| !keys.contains(&one.key));
        }
        self
    }
}

/// The watches at hand. Dropped, they end.
#[derive(Debug)]
pub(super) struct Watches {
    groups: BTreeMap<Group, (Watched, Running)>,
    sender: mpsc::Sender<(ProviderName, Seen)>,
    receiver: mpsc::Receiver<(ProviderName, Seen)>,
}

#[derive(Debug)]
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Default for Watches {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self {
            groups: BTreeMap::new(),
            sender,
            receiver,
        }
    }
}

impl Watches {
    /// Watches what is wished for and nothing else. What was watched before goes on undisturbed.
    pub(super) fn follow(&mut self, wishes: Wishes, providers: &BTreeMap<ProviderName, Arc<dyn Provider>>) {
        let Wishes(wishes) = wishes.sorted();
        self.groups.retain(|group, _| wishes.contains_key(group));
        for (group, watched) in wishes {
            if self
                .groups
                .get(&group)
                .is_some_and(|(before, _)| *before == watched)
            {
                continue;
            }
            let provider = providers.get(group.provider());
            let Some(mut stream) = provider.and_then(|provider| provider.watch(&watched)) else {
                self.groups.remove(&group);
                continue;
            };
            let sender = self.sender.clone();
            let name = group.provider().clone();
            let running = tokio::spawn(async move {
                while let Some(seen) = stream.next().await {
                    if sender.send((name.clone(), seen)).await.is_err() {
                        break;
                    }
                }
            });
            self.groups.insert(group, (watched, Running(running)));
        }
    }

    /// Watches everything of these providers anew: they were opened anew.
    pub(super) fn forget(&mut self, providers: &BTreeSet<ProviderName>) {
        self.groups
            .retain(|group, _| !providers.contains(group.provider()));
    }

    /// The next event; never, where nothing is watched.
    pub(super) async fn next(&mut self) -> (ProviderName, Seen) {
        match self.receiver.recv().await {
            Some(event) => event,
            // A sender is ours.
            None => std::future::pending().await,
        }
    }
}
