//! Objects, lists and types as they change.
//!
//! | module | does |
//! |---|---|
//! | `feed` | one list and watch, and how it goes on when it breaks |
//! | `trouble` | how long to pause then, and when to tell of it |
//! | `objects` | single objects: which watches they need, what is absent |
//! | `lists` | whole lists |
//! | `definitions` | which types come and go |
//!
//! At rest nothing is asked but the watches, each of which is renewed within 290 s. A connection that ends is begun again
//! where it ended, without a list. A version that the server no longer keeps is followed by a list. What isn't served is
//! asked for again once its definition changes, and every minute where definitions may not be watched.

mod definitions;
pub(crate) mod feed;
mod lists;
mod objects;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{iter, pending, select_all};
use holdfast_contract::{ApiType, ProviderName, ResourceKey, Seen, WatchStream, Watched};

pub(crate) use self::definitions::Definitions;
use self::objects::Group;
use crate::observe::no_type;
use crate::provider::Server;

/// Up to how many objects of a type and namespace are watched each by itself. Each watch holds a connection.
const SINGLE_MAX: usize = 3;
/// Up to how many are where no list of them is allowed.
const SINGLE_MAX_UNLISTED: usize = 32;

/// What `watched` names: the present state first, then each change. Never ends by itself; to be dropped.
///
/// A few objects of one type and namespace are watched one by one, and Secrets always. More of those that bear the mark
/// are one list and watch with that selector, and what isn't there is read before it is absent; those without it are
/// watched one by one if they are few. Else it is one list and watch of the type in the namespace.
///
/// Types are known as of so many news of them, if they are.
pub(crate) fn watch(
    server: &Arc<Server>,
    provider: &ProviderName,
    watched: &Watched,
    types_known: Option<u64>,
) -> WatchStream {
    let mut streams: Vec<WatchStream> = groups(server, watched).into_iter().map(Group::watch).collect();
    let lists: BTreeSet<_> = watched.lists.iter().collect();
    streams.extend(
        lists
            .into_iter()
            .map(|query| lists::list(server, provider, query)),
    );
    if watched.types {
        streams.push(definitions::types(server, types_known));
    }
    let wanted = watched.wanted.iter().chain(&watched.own);
    let untyped: Vec<Seen> = wanted
        .filter(|one| one.key.api.is_none())
        .map(|one| Seen::One(one.key.clone(), Err(no_type(&one.key))))
        .collect();
    streams.push(iter(untyped).chain(pending()).boxed());
    select_all(streams).boxed()
}

/// Which objects are watched together.
fn groups(server: &Arc<Server>, watched: &Watched) -> Vec<Group> {
    let mut groups: BTreeMap<(&ApiType, &Option<String>, bool), BTreeSet<ResourceKey>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let wanted = watched.wanted.iter().map(|one| (one, false));
    // `wanted` comes first: what is among both may lack the mark.
    for (one, is_own) in wanted.chain(watched.own.iter().map(|one| (one, true))) {
        if let Some(api) = &one.key.api
            && seen.insert(&one.key)
        {
            let bears_mark = is_own && watched.mark.is_some();
            let group = groups.entry((api, &one.key.namespace, bears_mark)).or_default();
            group.insert(one.key.clone());
        }
    }
    groups
        .into_iter()
        .map(|((api, namespace, bears_mark), keys)| Group {
            server: Arc::clone(server),
            api: api.clone(),
            namespace: namespace.clone(),
            keys,
            mark: watched.mark.clone().filter(|_| bears_mark),
        })
        .collect()
}
