//! What services push while a run waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::select_all;
use holdfast_contract::{Provider, ProviderError, ProviderName, Wanted};
use tokio::time::Instant;

use crate::apply::Stop;

/// Events of a watch that come so close together are taken together.
const BURST: Duration = Duration::from_millis(20);

pub(super) type Pushed = Vec<(Wanted, Result<holdfast_contract::Observation, ProviderError>)>;

/// What the providers push of `unready` until `until`; it returns early with the first news and what comes with them.
pub(super) async fn watch(
    providers: &BTreeMap<ProviderName, Arc<dyn Provider>>,
    unready: &[Wanted],
    until: Instant,
    stop: &Stop,
) -> Pushed {
    let mut by_provider: BTreeMap<&ProviderName, Vec<Wanted>> = BTreeMap::new();
    for wanted in unready {
        by_provider
            .entry(&wanted.key.provider)
            .or_default()
            .push(wanted.clone());
    }
    let streams = by_provider
        .into_iter()
        .filter_map(|(name, wanted)| providers.get(name)?.watch(&wanted));
    let mut stream = select_all(streams);
    let mut pushed: Pushed = Vec::new();
    let mut until = until;
    while !stop.is_stopped() {
        if stream.is_empty() {
            tokio::time::sleep_until(until).await;
            break;
        }
        match tokio::time::timeout_at(until, stream.next()).await {
            // A watch that fails proves nothing: what it was to tell is read instead.
            Ok(Some((_, Err(_)))) => {}
            Ok(Some((key, result))) => {
                if let Some(wanted) = unready.iter().find(|wanted| wanted.key == key) {
                    pushed.push((wanted.clone(), result));
                }
                until = until.min(Instant::now().checked_add(BURST).unwrap_or(until));
            }
            Ok(None) | Err(_) => break,
        }
    }
    pushed
}
