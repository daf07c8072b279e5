//! All reads of a pass, round by round: what one read tells may name the next.

use std::sync::Arc;

use futures::future::join_all;
use holdfast_contract::{ApiType, Provider, ProviderError, ProviderName, Query, Served, Wanted};

use super::{Session, mark, types};
use crate::evaluate::Evaluator;
use crate::facts::Facts;
use crate::graph::{self, ResourceGraph};
use crate::objects;
use crate::observe::observe;
use crate::removal::{self, Leaving};

/// Reads never take more rounds than this: each must find something new to read.
const MAX_ROUNDS: usize = 64;

impl<'p> Session<'p> {
    /// Reads what the graph wants until it wants nothing more: what one read tells may name the next. The graph of all
    /// that is known then.
    pub(super) async fn read(&mut self, facts: &Facts, evaluator: Evaluator<'_>) -> ResourceGraph<'p> {
        let mark = mark(&self.policy.id);
        let mut before = self.graph.take();
        for _ in 0..MAX_ROUNDS {
            let (graph, settings, searches, unlisted, wanted) = {
                let input = self.graph_input(facts, &mark, evaluator, before.as_ref());
                let graph = graph::build(&input);
                let searches: Vec<_> = graph
                    .searches()
                    .into_iter()
                    .map(|(address, provider, search)| {
                        (address.clone(), provider.clone(), search.query.clone())
                    })
                    .collect();
                let mut settings = graph.providers.clone();
                let mut wanted = graph.wanted(&input);
                for leaving in self.leaving(&graph, facts, evaluator) {
                    if let Ok(own) = &leaving.settings {
                        settings.push(own.clone());
                        wanted.push(leaving.wanted());
                    }
                }
                let unlisted = graph.unlisted(&input);
                (graph, settings, searches, unlisted, wanted)
            };
            let apis: Vec<ApiType> = types(&graph)
                .into_iter()
                .filter(|api| !self.served.contains_key(api))
                .collect();
            let lasting = |graph: ResourceGraph<'p>| graph.lasting(|resource| resource.as_desired.clone());
            if !apis.is_empty() && self.ask_served(&apis).await {
                before = Some(lasting(graph));
                continue;
            }
            for settings in &settings {
                self.providers.require(settings).await;
            }
            let unopened = self.note_unopened(&wanted);
            let open = self.providers.open().clone();
            let failures: Vec<_> = searches
                .iter()
                .filter_map(|(address, provider, _)| {
                    Some((address.clone(), self.providers.failure(provider)?.clone()))
                })
                .collect();
            let finds = join_all(searches.iter().filter_map(|(address, provider, query)| {
                let provider = open.get(provider)?.clone();
                Some(async move { (address.clone(), provider.find(query).await) })
            }));
            let lists = join_all(unlisted.into_iter().map(|(address, provider, query)| {
                let provider = open.get(&provider).cloned();
                async move { (address, is_listed(provider, &query).await) }
            }));
            let strangers: Vec<_> = open
                .iter()
                .filter(|(name, _)| !self.accounts.contains_key(*name))
                .collect();
            let asked = join_all(
                strangers
                    .into_iter()
                    .map(|(name, provider)| async move { (name.clone(), provider.account().await) }),
            );
            let told = self.snapshot.tell_by_lists(&wanted);
            let missing = self.snapshot.missing(&wanted);
            let now = self.engine.clock.now();
            let (found, listed, accounts, ()) =
                futures::join!(finds, lists, asked, observe(&mut self.snapshot, &missing, &open));
            self.accounts.extend(accounts);
            let looks_made = [found.len(), failures.len(), listed.len()]
                .into_iter()
                .any(|made| made > 0);
            for (address, result) in found {
                self.snapshot.keep_search(address, now, result);
            }
            for (address, error) in failures {
                self.snapshot.keep_search(address, now, Err(error));
            }
            for (address, listed) in listed {
                self.snapshot.keep_absence(address, now, listed);
            }
            if missing.is_empty() && !looks_made && !unopened && !told {
                return graph;
            }
            before = Some(lasting(graph));
        }
        graph::build(&self.graph_input(facts, &mark, evaluator, before.as_ref()))
    }

    /// What has left the policy.
    pub(super) fn leaving(
        &self,
        graph: &ResourceGraph<'_>,
        facts: &Facts,
        evaluator: Evaluator<'_>,
    ) -> Vec<Leaving<'p>> {
        let registry = self.providers.registry();
        removal::leaving(self.policy, registry, graph, facts, &self.ledger, evaluator)
    }

    /// Asks the cluster about types; whether it answered.
    async fn ask_served(&mut self, apis: &[ApiType]) -> bool {
        let Some(cluster) = self
            .providers
            .open()
            .get(&ProviderName::from(objects::PROVIDER))
            .cloned()
        else {
            return false;
        };
        let refresh = std::mem::take(&mut self.refresh_types);
        match cluster.served(apis, refresh).await {
            Ok(served) => {
                for api in apis {
                    self.served
                        .insert(api.clone(), served.get(api).copied().unwrap_or(Served::No));
                }
                true
            }
            Err(error) => {
                tracing::debug!(%error, "the cluster doesn't say which types it serves");
                false
            }
        }
    }

    /// What can't be read because its provider could not be opened is an error, not a silence. Whether there is such.
    fn note_unopened(&mut self, wanted: &[Wanted]) -> bool {
        let mut noted = false;
        for wish in self.snapshot.missing(wanted) {
            if let Some(error) = self.providers.failure(&wish.key.provider).cloned() {
                self.snapshot.keep(&wish, Err(error));
                noted = true;
            }
        }
        noted
    }
}

/// Whether a complete list has what `query` names exactly.
async fn is_listed(provider: Option<Arc<dyn Provider>>, query: &Query) -> Result<bool, ProviderError> {
    let provider = provider.ok_or_else(|| ProviderError::Unavailable {
        service: "its provider".to_owned(),
        message: "it was not opened".to_owned(),
        source: None,
    })?;
    let found = provider.find(query).await?;
    Ok(found
        .iter()
        .any(|found| Some(&found.key.name) == query.name_prefix.as_ref()))
}
