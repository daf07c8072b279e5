//! What services push while a run waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::select_all;
use holdfast_contract::{Observation, Provider, ProviderError, ProviderName, Seen, Wanted, Watched};
use tokio::time::Instant;

use crate::apply::Stop;
use crate::clock::after;
use crate::observe::{Snapshot, is_other};

/// News that come so close after one another are taken together.
const BURST: Duration = Duration::from_millis(50);
/// Where they don't end, they are taken together for so long.
const GATHER: Duration = Duration::from_millis(500);

pub(super) type Pushed = Vec<(Wanted, Result<Observation, ProviderError>)>;

/// What the providers push of `unready` until `until`; it returns early with the first news and what comes with them.
///
/// A watch begins with the present state. What `snapshot` holds already is no news: else a run that waits would go round
/// and round.
pub(super) async fn watch(
    providers: &BTreeMap<ProviderName, Arc<dyn Provider>>,
    unready: &[Wanted],
    snapshot: &Snapshot,
    until: Instant,
    stop: &Stop,
) -> Pushed {
    let mut by_provider: BTreeMap<&ProviderName, Watched> = BTreeMap::new();
    for wanted in unready {
        by_provider
            .entry(&wanted.key.provider)
            .or_default()
            .wanted
            .push(wanted.clone());
    }
    let streams = by_provider
        .into_iter()
        .filter_map(|(name, watched)| providers.get(name)?.watch(&watched));
    let mut stream = select_all(streams);
    let mut pushed: Pushed = Vec::new();
    let (mut until, mut end, mut gathering) = (until, until, false);
    let soon = |pause: Duration, end: Instant| after(Instant::now(), pause).min(end);
    while !stop.is_stopped() {
        if stream.is_empty() {
            stop.sleep_until(until).await;
            break;
        }
        let next = tokio::select! {
            next = tokio::time::timeout_at(until, stream.next()) => next,
            () = stop.stopped() => break,
        };
        match next {
            // A watch that fails proves nothing: what it was to tell is read instead.
            Ok(Some(Seen::One(key, result @ Ok(_)))) => {
                let Some(wanted) = unready.iter().find(|wanted| wanted.key == key) else {
                    continue;
                };
                let is_news = is_news(snapshot.get(&key), &result);
                pushed.push((wanted.clone(), result));
                if is_news && !gathering {
                    gathering = true;
                    end = soon(GATHER, end);
                }
                if gathering {
                    until = soon(BURST, end);
                }
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    pushed
}

/// Whether it says more than what is known. Without versions nobody can tell.
fn is_news(
    known: Option<&Result<Observation, ProviderError>>,
    now: &Result<Observation, ProviderError>,
) -> bool {
    match (known, now) {
        (Some(Ok(Observation::Present(before))), Ok(Observation::Present(now))) => is_other(now, before),
        (Some(Ok(Observation::Absent)), Ok(Observation::Absent)) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use async_trait::async_trait;
    use futures::stream;
    use holdfast_contract::{
        ApiType, Found, Observed, Preview, Query, ResourceKey, Served, Version, WatchStream, Write, Written,
    };

    use super::*;

    /// Tells of one object: each version after its time, in milliseconds.
    #[derive(Debug)]
    struct Telling(ProviderName, Vec<(u64, &'static str)>);

    #[async_trait]
    impl Provider for Telling {
        fn name(&self) -> &ProviderName {
            &self.0
        }

        async fn observe(&self, _: &[Wanted]) -> Vec<Result<Observation, ProviderError>> {
            Vec::new()
        }

        async fn find(&self, _: &Query) -> Result<Vec<Found>, ProviderError> {
            Ok(Vec::new())
        }

        async fn served(&self, _: &[ApiType], _: bool) -> Result<BTreeMap<ApiType, Served>, ProviderError> {
            Ok(BTreeMap::new())
        }

        async fn preview(&self, _: &Write) -> Result<Preview, ProviderError> {
            std::future::pending().await
        }

        async fn write(&self, _: &Write) -> Result<Written, ProviderError> {
            Ok(Written::default())
        }

        fn watch(&self, _: &Watched) -> Option<WatchStream> {
            let told = self.1.clone().into_iter();
            let told = stream::iter(told).then(|(after, version)| async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                Seen::One(key(), Ok(at(version)))
            });
            Some(told.chain(stream::pending()).boxed())
        }

        async fn account(&self) -> Result<Option<String>, ProviderError> {
            Ok(None)
        }
    }

    fn key() -> ResourceKey {
        crate::objects::key(&ApiType::new("v1", "ConfigMap"), Some("default"), "one")
    }

    fn at(version: &str) -> Observation {
        Observation::Present(Arc::new(Observed {
            key: key(),
            uid: None,
            version: Some(Version(version.to_owned())),
            deleting: false,
            facets: BTreeMap::new(),
        }))
    }

    /// How long is waited, in milliseconds, and how many events come back, where version 1 is known.
    async fn waited(told: &[(u64, &'static str)]) -> (u128, usize) {
        waited_until(told, &Stop::default()).await
    }

    async fn waited_until(told: &[(u64, &'static str)], stop: &Stop) -> (u128, usize) {
        let provider: Arc<dyn Provider> = Arc::new(Telling(key().provider, told.to_vec()));
        let providers = BTreeMap::from([(key().provider, provider)]);
        let wanted = Wanted {
            key: key(),
            facets: BTreeSet::new(),
        };
        let mut snapshot = Snapshot::default();
        snapshot.keep(&wanted, Ok(at("1")));
        let begun = Instant::now();
        let until = begun + Duration::from_secs(5);
        let pushed = watch(&providers, &[wanted], &snapshot, until, stop).await;
        (begun.elapsed().as_millis(), pushed.len())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_already_ends_no_waiting() {
        assert_eq!(waited(&[(0, "1")]).await, (5000, 1));
        assert_eq!(waited(&[(0, "1"), (300, "2")]).await, (350, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn news_that_come_together_are_taken_together_and_not_without_end() {
        assert_eq!(waited(&[(10, "2"), (40, "3"), (40, "4")]).await, (140, 3));
        let many: Vec<_> = std::iter::repeat_n((40, "2"), 100).collect();
        let (waited, events) = waited(&many).await;
        assert_eq!(waited, 540);
        assert!(events < 20, "{events}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stops_a_run_that_waits_has_not_to_wait() {
        let stop = Stop::default();
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stop.stop();
        };
        let (waited, ()) = futures::join!(waited_until(&[(0, "1")], &stop), stopping);
        assert_eq!(waited, (100, 1));
    }
}
