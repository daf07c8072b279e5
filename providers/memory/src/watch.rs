//! Changes as they come.

use std::collections::VecDeque;

use futures::StreamExt;
use futures::stream;
use holdfast_contract::{
    Observation, ProviderError, ResourceKey, Seen, Version, Wanted, WatchStream, Watched,
};

use crate::observe;
use crate::provider::MemoryProvider;

type Event = (ResourceKey, Result<Observation, ProviderError>);

/// What was last told of one key, for telling only what is new. The version moves with every change of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Absent,
    Present(Option<Version>),
    Error(String),
}

struct Watching {
    provider: MemoryProvider,
    wanted: Vec<Wanted>,
    told: Vec<Option<Told>>,
    ready: VecDeque<Event>,
    changes: tokio::sync::watch::Receiver<u64>,
}

pub(crate) fn watch(provider: &MemoryProvider, watched: &Watched) -> WatchStream {
    let wanted: Vec<Wanted> = watched.wanted.iter().chain(&watched.own).cloned().collect();
    let watching = Watching {
        // Subscribed before the first look, so that nothing falls in between.
        changes: provider.world.changes(),
        provider: provider.clone(),
        told: vec![None; wanted.len()],
        wanted,
        ready: VecDeque::new(),
    };
    stream::unfold(watching, |mut watching| async move {
        loop {
            if let Some((key, seen)) = watching.ready.pop_front() {
                return Some((Seen::One(key, seen), watching));
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
        let account = self.provider.signed_in_to(&state);
        for (wanted, told) in self.wanted.iter().zip(&mut self.told) {
            let seen = observe::look(&mut state, &self.provider.name, &account, wanted);
            let now = match &seen {
                Ok(Observation::Absent) => Told::Absent,
                Ok(Observation::Present(observed)) => Told::Present(observed.version.clone()),
                Err(error) => Told::Error(error.to_string()),
            };
            if told.as_ref() != Some(&now) {
                *told = Some(now);
                self.ready.push_back((wanted.key.clone(), seen));
            }
        }
    }
}
