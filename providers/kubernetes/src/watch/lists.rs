//! Whole lists as they change.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{once, unfold};
use holdfast_contract::{Found, ProviderError, ProviderName, Query, ResourceKey, Seen, WatchStream};

use super::feed::{Collection, Event, Feed, Part};
use crate::find::{api_of, found, key_of};
use crate::provider::Server;

/// All that `query` means, and each change of it. Nothing of it is kept.
pub(super) fn list(server: &Arc<Server>, provider: &ProviderName, query: &Query) -> WatchStream {
    let api = match api_of(query) {
        Ok(api) => api.clone(),
        Err(error) => {
            let seen = Seen::All(query.clone(), Err(error));
            return once(std::future::ready(seen))
                .chain(futures::stream::pending())
                .boxed();
        }
    };
    let of = Collection {
        api,
        namespace: query.namespace.clone(),
        part: query.selector.clone().map_or(Part::All, Part::Labelled),
    };
    let (at, provider, wanted) = (Arc::clone(server), provider.clone(), query.clone());
    let feed = Feed::new(server, of, move |item| {
        let key = key_of(&provider, &wanted, &item)?;
        Some(found(&at.kind, key, item))
    });
    unfold((feed, query.clone()), |(mut feed, query)| async {
        let seen = next(&mut feed, &query).await;
        Some((seen, (feed, query)))
    })
    .boxed()
}

async fn next(feed: &mut Feed<Result<Found, ProviderError>>, query: &Query) -> Seen {
    loop {
        let event = match feed.next().await {
            Event::Listed(items) => {
                // By key: a list that had to be begun anew gives some twice, and the last is the newest.
                let items: Result<BTreeMap<ResourceKey, Found>, ProviderError> = items
                    .into_iter()
                    .map(|item| item.map(|found| (found.key.clone(), found)))
                    .collect();
                match items {
                    Ok(items) => return Seen::All(query.clone(), Ok(items.into_values().collect())),
                    Err(error) => feed.doubt(&error),
                }
            }
            Event::Changed(Ok(found)) => return Seen::Listed(query.clone(), Box::new(found)),
            Event::Removed(Ok(found)) => return Seen::Unlisted(query.clone(), found.key),
            Event::Changed(Err(error)) | Event::Removed(Err(error)) => feed.doubt(&error),
            Event::Failed(error) => Some(Event::Failed(error)),
        };
        if let Some(Event::Failed(error)) = event {
            return Seen::All(query.clone(), Err(error));
        }
    }
}
