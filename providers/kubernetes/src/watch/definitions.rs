//! Which types come and go: one watch of all `CustomResourceDefinition`s, shared by all that want to know.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::StreamExt;
use futures::stream::unfold;
use holdfast_contract::{ApiType, ProviderError, Seen, WatchStream};
use serde_json::Value as Json;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use super::feed::{Collection, Event, Feed, Part};
use crate::discovery::News;
use crate::provider::Server;

/// The watch of definitions, if somebody wants one.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    watching: Mutex<Weak<Watching>>,
    are_watched: AtomicBool,
}

/// Ends with the last that holds it.
#[derive(Debug)]
struct Watching {
    server: Arc<Server>,
    task: JoinHandle<()>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
        self.server.definitions.set_watched(&self.server, false);
    }
}

impl Definitions {
    /// Whether whoever waits for a type is going to be told.
    pub(super) fn are_watched(&self) -> bool {
        self.are_watched.load(Ordering::Acquire)
    }

    fn set_watched(&self, server: &Server, watched: bool) {
        if self.are_watched.swap(watched, Ordering::AcqRel) && !watched {
            // Whoever relied on it has to ask from now on.
            server.discovery.tell(News::Any);
        }
    }

    fn watch(&self, server: &Arc<Server>) -> Arc<Watching> {
        let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watching) = watching.upgrade().filter(|one| !one.task.is_finished()) {
            return watching;
        }
        let new = Arc::new(Watching {
            server: Arc::clone(server),
            task: tokio::spawn(follow(Arc::clone(server))),
        });
        *watching = Arc::downgrade(&new);
        new
    }
}

/// [`Seen::Types`] whenever a definition changes, and when the server is found to serve other types than before; at once,
/// where that happened after so many news as are `known`.
pub(super) fn types(server: &Arc<Server>, known: Option<u64>) -> WatchStream {
    let news = server.discovery.news();
    let missed = known.is_some_and(|known| known != server.discovery.count());
    let begin = (Arc::clone(server), news, missed, None);
    unfold(begin, |(server, mut news, missed, watching)| async move {
        let watching = watching.unwrap_or_else(|| server.definitions.watch(&server));
        if !missed && let Err(RecvError::Closed) = news.recv().await {
            return None;
        }
        // Those that came together are told together.
        let news = news.resubscribe();
        Some((Seen::Types, (server, news, false, Some(watching))))
    })
    .boxed()
}

async fn follow(server: Arc<Server>) {
    let of = Collection {
        api: ApiType::new("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        namespace: None,
        part: Part::Changes,
    };
    let mut feed = Feed::new(&server, of, |definition| Some(news_of(&definition)));
    let mut is_first = true;
    loop {
        match feed.next().await {
            Event::Listed(_) => {
                server.definitions.set_watched(&server, true);
                if std::mem::take(&mut is_first) {
                    // What has come between the server's last word and the beginning of the watch.
                    if let Err(error) = server.discovery.catch_up(&server.client).await {
                        tracing::debug!(%error, "the server's types can't be asked for");
                        server.discovery.tell(News::Any);
                    }
                } else {
                    server.discovery.tell(News::Any);
                }
            }
            Event::Removed(News::Came(group)) => server.discovery.tell(News::Gone(group)),
            Event::Changed(news) | Event::Removed(news) => server.discovery.tell(news),
            Event::Failed(error) => {
                server.definitions.set_watched(&server, false);
                if matches!(error, ProviderError::Denied { .. }) {
                    tracing::debug!(%error, "types that come later are noticed within a minute or two only");
                    return std::future::pending().await;
                }
                tracing::debug!(%error, "definitions can't be watched for now");
            }
        }
    }
}

/// What a definition as it is now means. It is named after its type: `backups.velero.io`.
fn news_of(definition: &Json) -> News {
    let name = definition.pointer("/metadata/name").and_then(Json::as_str);
    let Some((_, group)) = name.and_then(|name| name.split_once('.')) else {
        return News::Any;
    };
    match definition.pointer("/metadata/deletionTimestamp") {
        Some(_) => News::Gone(group.to_owned()),
        None => News::Came(group.to_owned()),
    }
}
