//! Waiting: for what services push, for the clock, for whoever asks.

use holdfast_contract::{Observation, Query};

use super::{
    BTreeSet, Duration, Instant, Keeper, Kept, Pass, ProviderError, ProviderName, QUIET, Seen, Session,
    Wanted, objects, watch,
};
use crate::clock::after;
use crate::observe::Snapshot;
use crate::values::NoParameters;

/// News that come so close after one another are taken together: one change of a person is often several events.
const BURST: Duration = Duration::from_millis(20);
/// Where they don't end, they are taken together for so long.
const GATHER: Duration = Duration::from_millis(250);

impl Keeper<'_> {
    /// Waits until there is a reason for a cycle, and takes what has come.
    pub(super) async fn wait(&mut self, pass: &Pass) {
        let stop = self.options.stop.clone();
        // The end of the burst that is being gathered, and of all gathering.
        let mut gathering: Option<(Instant, Instant)> = None;
        loop {
            let now = Instant::now();
            let (due, why) = self.due.next();
            let (until, is_due) = match gathering {
                Some((burst, end)) => (burst.min(end), false),
                None => (due, true),
            };
            if until <= now {
                if is_due {
                    self.fall_due(why, pass).await;
                }
                return;
            }
            let quiet = after(now, QUIET);
            tokio::select! {
                () = stop.stopped() => return,
                Ok(()) = asked(&mut self.trigger, self.due.ask) => return self.forget_all().await,
                (provider, seen) = self.watches.next() => {
                    if self.take(&provider, seen).await {
                        let now = Instant::now();
                        let end = gathering.map_or_else(|| after(now, GATHER), |(_, end)| end);
                        gathering = Some((after(now, BURST), end));
                    }
                }
                () = tokio::time::sleep_until(until.min(quiet)) => {
                    if quiet < until {
                        (self.teller)(Kept::Quiet);
                    }
                }
            }
        }
    }

    /// Takes one event; whether it is news.
    async fn take(&mut self, provider: &ProviderName, seen: Seen) -> bool {
        match seen {
            Seen::One(key, result) => {
                let facets = match &result {
                    Ok(Observation::Present(observed)) => observed.facets.keys().cloned().collect(),
                    _ => BTreeSet::from([objects::facet()]),
                };
                let wanted = Wanted {
                    key: key.clone(),
                    facets,
                };
                let version = match &result {
                    Ok(Observation::Present(observed)) => Some(observed.version.clone()),
                    Ok(Observation::Absent) => Some(None),
                    Err(_) => None,
                };
                // Against what was read: it may have changed before it was watched.
                let is_rotated =
                    version.is_some_and(|version| self.session.providers.is_rotated(&key, version.as_ref()));
                let was_known = self.session.snapshot.get(&key).is_some();
                let is_news = self.session.snapshot.push(&wanted, result);
                let is_source = self.sources.contains(&key);
                let is_secret = self.session.providers.secrets().any(|secret| *secret == key);
                if is_rotated {
                    let closed = self.session.providers.sign_out(&key);
                    self.session.accounts.retain(|name, _| !closed.contains(name));
                    for name in &closed {
                        self.session.snapshot.forget_provider(name);
                    }
                    self.session.snapshot.forget_all_looks();
                    self.watches.forget(&closed);
                }
                // The first look at what is only watched for its values is news only if those are others.
                let is_other = is_news && is_source && self.read_parameters().await;
                is_rotated || is_other || is_news && (was_known || !(is_source || is_secret))
            }
            Seen::All(query, result) => {
                let names = self.names(provider, &query);
                self.session.snapshot.push_list(&names, provider, &query, &result)
            }
            Seen::Listed(query, found) => {
                let names = self.names(provider, &query);
                self.session.snapshot.push_listed(&names, &found)
            }
            Seen::Unlisted(query, key) => {
                let names = self.names(provider, &query);
                self.session.snapshot.push_unlisted(&names, &key)
            }
            Seen::Types => {
                self.due.types_changed(BURST);
                false
            }
        }
    }

    /// The facts of a list.
    fn names(&self, provider: &ProviderName, query: &Query) -> Vec<String> {
        let lists = self.session.fact_lists.iter();
        let own = lists.filter(|(_, (own, list))| own == provider && list == query);
        own.map(|(name, _)| name.clone()).collect()
    }

    /// Asks the cluster anew which types it serves; what was said of unserved ones is forgotten.
    pub(super) async fn refresh_types(&mut self) {
        self.due.types_asked();
        self.session.served.clear();
        if let Ok(cluster) = self.session.providers.cluster().cloned()
            && let Err(error) = cluster.served(&[], true).await
        {
            tracing::debug!(%error, "the cluster doesn't say which types it serves");
        }
        let is_unserved = |error: &ProviderError| matches!(error, ProviderError::NotServed { .. });
        self.session.snapshot.forget_failed(is_unserved);
    }

    /// Takes the parameters as they are now; wrong ones change nothing, and what could not be read is read again soon: no
    /// watch tells twice of the same. Whether they are others than before.
    pub(super) async fn read_parameters(&mut self) -> bool {
        let Session { engine, policy, .. } = self.session;
        match engine.read_parameters(policy, &self.options.overrides).await {
            Ok(parameters) => {
                self.due.parameters_read();
                (self.teller)(Kept::Valid);
                self.session.set_parameters(&parameters)
            }
            Err(NoParameters { faults, unread }) => {
                match &unread {
                    Some(error) => self.due.parameters_unread(error),
                    None => self.due.parameters_read(),
                }
                // What doesn't answer for the moment makes no policy wrong.
                if !unread.is_some_and(|error| error.is_transient()) {
                    (self.teller)(Kept::Invalid(&faults));
                }
                false
            }
        }
    }

    /// Has everything read anew.
    pub(super) async fn forget_all(&mut self) {
        let now = Instant::now();
        self.session.snapshot = Snapshot::default();
        self.session.providers.forget_failures();
        self.session.accounts.retain(|_, account| account.is_ok());
        self.session.left_alone.clear();
        self.run.try_all_again();
        self.due.asked(now);
        self.refresh_types().await;
        self.read_parameters().await;
    }
}

/// Returns once somebody asks, and not before `from`.
async fn asked(trigger: &mut watch::Receiver<u64>, from: Instant) -> Result<(), watch::error::RecvError> {
    tokio::time::sleep_until(from).await;
    trigger.changed().await
}
