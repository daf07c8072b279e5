//! Changes as they come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::StreamExt;
use futures::stream;
use holdfast_contract::{
    ApiType, Found, Observation, ProviderError, Query, ResourceKey, Seen, Version, Wanted, WatchStream,
    Watched,
};

use crate::provider::MemoryProvider;
use crate::world::State;
use crate::{find, observe};

/// What was last told of one key, for telling only what is new. The version moves with every change of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Absent,
    Present(Option<Version>),
    Error(String),
}

/// What was last told of one list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ToldList {
    Holds(BTreeMap<ResourceKey, Option<Version>>),
    Error(String),
}

struct Watching {
    provider: MemoryProvider,
    wanted: Vec<(Wanted, Option<Told>)>,
    lists: Vec<(Query, Option<ToldList>)>,
    /// The types that were served at the last look, where they are watched.
    types: Option<BTreeSet<ApiType>>,
    ready: VecDeque<Seen>,
    changes: tokio::sync::watch::Receiver<u64>,
}

pub(crate) fn watch(provider: &MemoryProvider, watched: &Watched) -> WatchStream {
    let wanted = watched.wanted.iter().chain(&watched.own).cloned();
    let lists: BTreeSet<Query> = watched.lists.iter().cloned().collect();
    let watching = Watching {
        // Subscribed before the first look, so that nothing falls in between.
        changes: provider.world.changes(),
        types: watched.types.then(|| provider.world.lock().own_types()),
        provider: provider.clone(),
        wanted: wanted.map(|wanted| (wanted, None)).collect(),
        lists: lists.into_iter().map(|query| (query, None)).collect(),
        ready: VecDeque::new(),
    };
    stream::unfold(watching, |mut watching| async move {
        loop {
            if let Some(seen) = watching.ready.pop_front() {
                return Some((seen, watching));
            }
            watching.look();
            if watching.ready.is_empty() && watching.changes.changed().await.is_err() {
                return None;
            }
        }
    })
    .boxed()
}

impl Watching {
    /// Looks at everything, and readies what is new.
    fn look(&mut self) {
        self.changes.mark_unchanged();
        let mut state = self.provider.world.lock();
        if let Some(types) = &mut self.types {
            let now = state.own_types();
            if *types != now {
                *types = now;
                self.ready.push_back(Seen::Types);
            }
        }
        let account = self.provider.signed_in_to(&state);
        for (wanted, told) in &mut self.wanted {
            let seen = observe::look(&mut state, &self.provider.name, &account, wanted);
            let now = match &seen {
                Ok(Observation::Absent) => Told::Absent,
                Ok(Observation::Present(observed)) => Told::Present(observed.version.clone()),
                Err(error) => Told::Error(error.to_string()),
            };
            if told.as_ref() != Some(&now) {
                *told = Some(now);
                self.ready.push_back(Seen::One(wanted.key.clone(), seen));
            }
        }
        for (query, told) in &mut self.lists {
            let news = look_at_list(&mut state, &self.provider, query, told);
            self.ready.extend(news);
        }
    }
}

/// What is new of one list.
fn look_at_list(
    state: &mut State,
    provider: &MemoryProvider,
    query: &Query,
    told: &mut Option<ToldList>,
) -> Vec<Seen> {
    let found = match find::look(state, provider, query) {
        Ok(found) => found,
        Err(error) => return failed(query, told, error),
    };
    let version = |one: &Found| {
        one.observed
            .as_ref()
            .and_then(|observed| observed.version.clone())
    };
    let now = found
        .iter()
        .map(|one| (one.key.clone(), version(one)))
        .collect::<BTreeMap<_, _>>();
    let Some(ToldList::Holds(before)) = told.replace(ToldList::Holds(now.clone())) else {
        return vec![Seen::All(query.clone(), Ok(found))];
    };
    let gone = before.keys().filter(|key| !now.contains_key(*key));
    let gone = gone.map(|key| Seen::Unlisted(query.clone(), key.clone()));
    let changed = found
        .into_iter()
        .filter(|one| before.get(&one.key) != Some(&version(one)))
        .map(|one| Seen::Listed(query.clone(), Box::new(one)));
    gone.chain(changed).collect()
}

fn failed(query: &Query, told: &mut Option<ToldList>, error: ProviderError) -> Vec<Seen> {
    let now = Some(ToldList::Error(error.to_string()));
    if *told == now {
        return Vec::new();
    }
    *told = now;
    vec![Seen::All(query.clone(), Err(error))]
}
