//! What was read of the world: each thing once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use holdfast_contract::{
    Facet, FacetState, Found, Observation, Provider, ProviderError, ProviderName, Query, ResourceKey, Wanted,
};
use time::OffsetDateTime;

use crate::address::Address;

mod pushed;

pub(crate) use pushed::is_other;

/// What a search found; an error where it is incomplete.
pub type Searched = Result<Vec<Found>, ProviderError>;

/// Everything that was read so far. Nothing in it is read again until it is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    observations: BTreeMap<ResourceKey, Result<Observation, ProviderError>>,
    /// Which facets were asked for, so that a later wish for more reads only what is missing.
    asked: BTreeMap<ResourceKey, BTreeSet<Facet>>,
    searches: BTreeMap<Address, (OffsetDateTime, Searched)>,
    /// Whether what isn't found is listed all the same, by the address of the resource.
    absences: BTreeMap<Address, (OffsetDateTime, Result<bool, ProviderError>)>,
    lists: BTreeMap<String, Result<Vec<Found>, ProviderError>>,
    /// What the lists of facts have told all of, by fact.
    told: BTreeMap<String, Told>,
    /// What was forgotten since it was told of, and so has to be read by itself.
    forgotten: BTreeSet<ResourceKey>,
}

/// All objects of a type, in one namespace or everywhere: a complete list of them is as good as a read of each, and
/// what isn't on it isn't there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    provider: ProviderName,
    query: Query,
}

impl Told {
    /// None where the query means only some of a type.
    fn of(provider: &ProviderName, query: &Query) -> Option<Self> {
        let is_whole = query.api.is_some() && query.selector.is_none() && query.name_prefix.is_none();
        is_whole.then(|| Self {
            provider: provider.clone(),
            query: query.clone(),
        })
    }

    fn covers(&self, key: &ResourceKey) -> bool {
        (&self.provider, &self.query.kind, &self.query.api) == (&key.provider, &key.kind, &key.api)
            && (self.query.namespace.is_none() || self.query.namespace == key.namespace)
    }
}

impl Snapshot {
    /// What was read of `key`; none if it wasn't.
    #[must_use]
    pub fn get(&self, key: &ResourceKey) -> Option<&Result<Observation, ProviderError>> {
        self.observations.get(key)
    }

    /// What the search for the resource at `address` found, and when it was made; none if it wasn't.
    #[must_use]
    pub fn search(&self, address: &Address) -> Option<&(OffsetDateTime, Searched)> {
        self.searches.get(address)
    }

    /// Keeps what a search found.
    pub fn keep_search(&mut self, address: Address, at: OffsetDateTime, result: Searched) {
        self.searches.insert(address, (at, result));
    }

    /// Whether a complete list has the resource at `address`, which isn't found by its name, and when that was seen;
    /// none if nobody looked.
    #[must_use]
    pub fn absence(&self, address: &Address) -> Option<&(OffsetDateTime, Result<bool, ProviderError>)> {
        self.absences.get(address)
    }

    /// Keeps whether a list, which is to be complete, has the resource at `address`.
    pub fn keep_absence(
        &mut self,
        address: Address,
        at: OffsetDateTime,
        listed: Result<bool, ProviderError>,
    ) {
        self.absences.insert(address, (at, listed));
    }

    /// Forgets what was searched and listed for `address`, so that it is looked for again.
    pub fn forget_looks(&mut self, address: &Address) {
        self.searches.remove(address);
        self.absences.remove(address);
    }

    /// What was listed for the fact `name`; none if it wasn't.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<&Result<Vec<Found>, ProviderError>> {
        self.lists.get(name)
    }

    /// Keeps what was listed for a fact, and with it what it tells of each.
    pub fn keep_list(
        &mut self,
        name: &str,
        provider: &ProviderName,
        query: &Query,
        result: Result<Vec<Found>, ProviderError>,
    ) {
        self.told.remove(name);
        if let (Some(told), Ok(found)) = (Told::of(provider, query), &result)
            && found.iter().all(|found| found.observed.is_some())
        {
            self.forgotten.retain(|key| !told.covers(key));
            let there: BTreeSet<&ResourceKey> = found.iter().map(|found| &found.key).collect();
            for (key, known) in &mut self.observations {
                if told.covers(key) && !there.contains(key) {
                    *known = Ok(Observation::Absent);
                }
            }
            for found in found {
                let Some(observed) = &found.observed else { continue };
                let wanted = Wanted {
                    key: found.key.clone(),
                    facets: observed.facets.keys().cloned().collect(),
                };
                self.keep(&wanted, Ok(Observation::Present(observed.clone())));
            }
            self.told.insert(name.to_owned(), told);
        }
        self.lists.insert(name.to_owned(), result);
    }

    /// Forgets what was listed for the fact `name`.
    pub fn forget_list(&mut self, name: &str) {
        self.told.remove(name);
        self.lists.remove(name);
    }

    /// Of `wanted`, what a list would have told of if it were there, and didn't, isn't there. Whether there is such.
    pub fn tell_by_lists(&mut self, wanted: &[Wanted]) -> bool {
        let mut told = false;
        for wish in wanted {
            let known = self.observations.contains_key(&wish.key) || self.forgotten.contains(&wish.key);
            if !known && self.told.values().any(|told| told.covers(&wish.key)) {
                self.keep(wish, Ok(Observation::Absent));
                told = true;
            }
        }
        told
    }

    /// Keeps what was read of `key` elsewhere: pushed by a watch, or read for a fact. `facets` are those that it holds.
    pub fn keep(&mut self, wanted: &Wanted, result: Result<Observation, ProviderError>) {
        let merged = match (self.observations.remove(&wanted.key), result) {
            // The same incarnation: facets that were read before and not now are still what is known of it.
            (Some(Ok(Observation::Present(before))), Ok(Observation::Present(mut now)))
                if before.uid == now.uid =>
            {
                let lacks = |facet: &Facet| !now.facets.contains_key(facet);
                let kept = before.facets.iter().filter(|(facet, _)| lacks(facet));
                let kept: Vec<(Facet, FacetState)> = kept
                    .map(|(facet, state)| (facet.clone(), state.clone()))
                    .collect();
                if !kept.is_empty() {
                    Arc::make_mut(&mut now).facets.extend(kept);
                }
                Ok(Observation::Present(now))
            }
            (_, now) => now,
        };
        self.observations.insert(wanted.key.clone(), merged);
        self.asked
            .entry(wanted.key.clone())
            .or_default()
            .extend(wanted.facets.iter().cloned());
    }

    /// Forgets `facets` of `key`, because they were written; none: all of it. The region says no more than where it
    /// lies: what was read before that was known is forgotten too.
    pub fn forget(&mut self, key: &ResourceKey, facets: Option<&BTreeSet<Facet>>) {
        let known: Vec<ResourceKey> = self.wherever(key).cloned().collect();
        match facets {
            None => {
                if self.told.values().any(|told| told.covers(key)) {
                    self.forgotten.insert(key.clone());
                }
                for known in &known {
                    self.observations.remove(known);
                    self.asked.remove(known);
                }
            }
            Some(facets) => {
                for known in &known {
                    if let Some(asked) = self.asked.get_mut(known) {
                        asked.retain(|facet| !facets.contains(facet));
                    }
                }
            }
        }
    }

    /// What was asked about `key`, whatever was known of its region then. Regions are the last by which keys are
    /// ordered.
    fn wherever(&self, key: &ResourceKey) -> impl Iterator<Item = &ResourceKey> {
        let first = ResourceKey {
            region: None,
            ..key.clone()
        };
        let from = self.asked.range(first.clone()..);
        let keys = from.map(|(key, _)| key);
        keys.take_while(move |other| {
            (&other.name, &other.namespace) == (&first.name, &first.namespace)
                && (&other.provider, &other.kind, &other.api) == (&first.provider, &first.kind, &first.api)
        })
    }

    /// Forgets what was read of anything but `keys`. What a list has told stays as long as the list, which tells nothing of
    /// it again.
    pub(crate) fn retain_observed(&mut self, keys: &BTreeSet<&ResourceKey>) {
        let told = &self.told;
        let is_told = |key: &ResourceKey| told.values().any(|told| told.covers(key));
        self.observations
            .retain(|key, _| keys.contains(key) || is_told(key));
        self.asked.retain(|key, _| keys.contains(key) || is_told(key));
    }

    /// Forgets what is wanted no more: of the resources at other places than `addresses`, of other facts than those with
    /// `lists`.
    pub(crate) fn retain(&mut self, addresses: &BTreeSet<&Address>, lists: &BTreeSet<&String>) {
        self.lists.retain(|name, _| lists.contains(name));
        self.told.retain(|name, _| lists.contains(name));
        let told = &self.told;
        self.forgotten
            .retain(|key| told.values().any(|told| told.covers(key)));
        self.searches.retain(|address, _| addresses.contains(address));
        self.absences.retain(|address, _| addresses.contains(address));
    }

    /// Whether something could not be read for the moment only.
    #[must_use]
    pub fn has_passing_failures(&self) -> bool {
        self.passing_failure().is_some()
    }

    /// The first thing that could not be read for the moment only.
    pub(crate) fn passing_failure(&self) -> Option<&ProviderError> {
        let searches = self.searches.values().map(|(_, result)| result);
        let absences = self
            .absences
            .values()
            .filter_map(|(_, listed)| listed.as_ref().err());
        let observed = self.observations.values().filter_map(passing);
        observed
            .chain(searches.chain(self.lists.values()).filter_map(passing_search))
            .chain(absences.filter(|error| error.is_transient()))
            .next()
    }

    /// Forgets what could not be read, where `is_meant` says so of the failure.
    pub(crate) fn forget_failed(&mut self, is_meant: impl Fn(&ProviderError) -> bool) {
        self.lists
            .retain(|_, result| !matches!(result, Err(error) if is_meant(error)));
        let failed: Vec<ResourceKey> = self
            .observations
            .iter()
            .filter(|(_, result)| matches!(result, Err(error) if is_meant(error)))
            .map(|(key, _)| key.clone())
            .collect();
        for key in &failed {
            self.forget(key, None);
        }
    }

    /// Forgets what could not be read for the moment only, so that it is read again; whether there was any.
    pub fn forget_passing_failures(&mut self) -> bool {
        let found = self.has_passing_failures();
        self.searches
            .retain(|_, (_, result)| passing_search(result).is_none());
        self.absences.retain(|_, absence| !is_passing_absence(absence));
        self.lists.retain(|_, result| passing_search(result).is_none());
        let failed: Vec<ResourceKey> = self
            .observations
            .iter()
            .filter(|(_, result)| passing(result).is_some())
            .map(|(key, _)| key.clone())
            .collect();
        for key in &failed {
            self.forget(key, None);
        }
        found
    }

    /// What of `wanted` was not read yet.
    #[must_use]
    pub fn missing(&self, wanted: &[Wanted]) -> Vec<Wanted> {
        wanted
            .iter()
            .filter_map(|wish| {
                let Some(asked) = self.asked.get(&wish.key) else {
                    return Some(wish.clone());
                };
                if !self.observations.contains_key(&wish.key) {
                    return Some(wish.clone());
                }
                let facets: BTreeSet<Facet> = wish.facets.difference(asked).cloned().collect();
                (!facets.is_empty()).then(|| Wanted {
                    key: wish.key.clone(),
                    facets,
                })
            })
            .collect()
    }
}

fn passing(result: &Result<Observation, ProviderError>) -> Option<&ProviderError> {
    match result {
        Err(error) => Some(error).filter(|error| error.is_transient()),
        Ok(Observation::Absent) => None,
        Ok(Observation::Present(observed)) => observed.facets.values().find_map(|state| match state {
            FacetState::Unreadable(error) if error.is_transient() => Some(error),
            _ => None,
        }),
    }
}

fn is_passing_absence((_, listed): &(OffsetDateTime, Result<bool, ProviderError>)) -> bool {
    matches!(listed, Err(error) if error.is_transient())
}

fn passing_search(result: &Searched) -> Option<&ProviderError> {
    match result {
        Err(error) => Some(error).filter(|error| error.is_transient()),
        Ok(found) => found
            .iter()
            .flat_map(|found| found.unreadable.values())
            .find(|error| error.is_transient()),
    }
}

/// Reads all of `wanted` that `snapshot` doesn't hold yet, every provider at once.
pub async fn observe(
    snapshot: &mut Snapshot,
    wanted: &[Wanted],
    providers: &BTreeMap<ProviderName, Arc<dyn Provider>>,
) {
    let mut by_provider: BTreeMap<&ProviderName, Vec<Wanted>> = BTreeMap::new();
    let missing = snapshot.missing(wanted);
    for wish in &missing {
        by_provider
            .entry(&wish.key.provider)
            .or_default()
            .push(wish.clone());
    }
    let reads = by_provider.into_iter().filter_map(|(name, wishes)| {
        let provider = providers.get(name)?;
        Some(async move {
            let results = provider.observe(&wishes).await;
            (wishes, results)
        })
    });
    for (wishes, results) in join_all(reads).await {
        for (wish, result) in wishes.iter().zip(results) {
            snapshot.keep(wish, result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, api: Option<&str>, namespace: Option<&str>, name: &str) -> ResourceKey {
        ResourceKey {
            provider: kind.split('/').next().unwrap_or_default().into(),
            kind: kind.into(),
            api: api.map(|api| holdfast_contract::ApiType::new("v1", api)),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            region: None,
        }
    }

    fn wanted(key: &ResourceKey, facet: &str) -> Wanted {
        Wanted {
            key: key.clone(),
            facets: [facet.into()].into(),
        }
    }

    #[test]
    fn what_was_written_is_forgotten_also_where_its_region_was_learnt_since() {
        let bucket = |region: Option<&str>| ResourceKey {
            region: region.map(str::to_owned),
            ..key("s3/Bucket", None, None, "acme")
        };
        let wanted = wanted(&bucket(None), "tags");
        let mut snapshot = Snapshot::default();
        snapshot.keep(&wanted, Ok(Observation::Absent));
        assert!(snapshot.missing(std::slice::from_ref(&wanted)).is_empty());
        snapshot.forget(&bucket(Some("us-east-2")), Some(&["tags".into()].into()));
        assert_eq!(snapshot.missing(std::slice::from_ref(&wanted)).len(), 1);
        snapshot.keep(&wanted, Ok(Observation::Absent));
        snapshot.forget(&bucket(Some("us-east-2")), None);
        assert!(snapshot.get(&wanted.key).is_none());
    }

    const OBJECT: &str = "kubernetes/Object";

    fn query(selector: Option<&str>) -> Query {
        Query {
            kind: OBJECT.into(),
            api: Some(holdfast_contract::ApiType::new("v1", "ConfigMap")),
            namespace: Some("shop".to_owned()),
            selector: selector.map(str::to_owned),
            name_prefix: None,
            read: BTreeSet::new(),
        }
    }

    fn found(name: &str) -> Found {
        let key = key(OBJECT, Some("ConfigMap"), Some("shop"), name);
        let observed = holdfast_contract::Observed {
            key: key.clone(),
            uid: Some("1".to_owned()),
            version: None,
            deleting: false,
            facets: BTreeMap::from([("object".into(), FacetState::Unset)]),
        };
        Found {
            key,
            document: holdfast_contract::Value::map(),
            observed: Some(Arc::new(observed)),
            unreadable: BTreeMap::new(),
        }
    }

    #[test]
    fn a_whole_list_tells_what_is_there_and_what_is_not() {
        let mut snapshot = Snapshot::default();
        let provider: ProviderName = "kubernetes".into();
        let there = wanted(&key(OBJECT, Some("ConfigMap"), Some("shop"), "there"), "object");
        let gone = wanted(&key(OBJECT, Some("ConfigMap"), Some("shop"), "gone"), "object");
        let elsewhere = wanted(&key(OBJECT, Some("ConfigMap"), Some("other"), "gone"), "object");
        let another = wanted(&key(OBJECT, Some("Secret"), Some("shop"), "gone"), "object");
        let all = [there.clone(), gone.clone(), elsewhere.clone(), another.clone()];
        snapshot.keep_list("maps", &provider, &query(None), Ok(vec![found("there")]));
        snapshot.tell_by_lists(&all);
        assert!(matches!(
            snapshot.get(&there.key),
            Some(Ok(Observation::Present(_)))
        ));
        assert!(matches!(snapshot.get(&gone.key), Some(Ok(Observation::Absent))));
        assert_eq!(snapshot.missing(&all), [elsewhere, another]);

        // Read again by itself once it was written, until a newer list tells of it.
        snapshot.forget(&gone.key, None);
        snapshot.tell_by_lists(&all);
        assert!(snapshot.get(&gone.key).is_none());
        snapshot.keep_list("maps", &provider, &query(None), Ok(vec![found("gone")]));
        assert!(matches!(
            snapshot.get(&gone.key),
            Some(Ok(Observation::Present(_)))
        ));
        assert!(matches!(snapshot.get(&there.key), Some(Ok(Observation::Absent))));
    }

    #[test]
    fn what_is_wanted_no_more_is_forgotten_but_for_what_a_list_has_told() {
        let mut snapshot = Snapshot::default();
        let own = wanted(&key(OBJECT, Some("Secret"), Some("shop"), "own"), "object");
        let left = wanted(&key(OBJECT, Some("Secret"), Some("shop"), "left"), "object");
        let listed = wanted(&key(OBJECT, Some("ConfigMap"), Some("shop"), "listed"), "object");
        for one in [&own, &left] {
            snapshot.keep(one, Ok(Observation::Absent));
        }
        let address = Address::of("gone");
        snapshot.keep_search(address.clone(), OffsetDateTime::UNIX_EPOCH, Ok(Vec::new()));
        snapshot.keep_list(
            "maps",
            &"kubernetes".into(),
            &query(None),
            Ok(vec![found("listed")]),
        );
        let (keys, maps) = (BTreeSet::from([&own.key]), "maps".to_owned());
        snapshot.retain(&BTreeSet::new(), &BTreeSet::from([&maps]));
        snapshot.retain_observed(&keys);
        assert!(snapshot.get(&own.key).is_some() && snapshot.get(&listed.key).is_some());
        assert!(snapshot.get(&left.key).is_none() && snapshot.search(&address).is_none());
        snapshot.retain(&BTreeSet::new(), &BTreeSet::new());
        snapshot.retain_observed(&keys);
        assert!(snapshot.get(&listed.key).is_none() && snapshot.list("maps").is_none());
    }

    #[test]
    fn a_list_of_some_or_a_failed_one_tells_of_no_absence() {
        let provider: ProviderName = "kubernetes".into();
        let gone = wanted(&key(OBJECT, Some("ConfigMap"), Some("shop"), "gone"), "object");
        let failed = ProviderError::Unavailable {
            service: "the cluster".into(),
            message: "it broke off".into(),
            source: None,
        };
        for (query, result) in [(query(Some("a=b")), Ok(Vec::new())), (query(None), Err(failed))] {
            let mut snapshot = Snapshot::default();
            snapshot.keep_list("maps", &provider, &query, result);
            snapshot.tell_by_lists(std::slice::from_ref(&gone));
            assert!(snapshot.get(&gone.key).is_none());
        }
        let mut snapshot = Snapshot::default();
        snapshot.keep_list("maps", &provider, &query(None), Ok(Vec::new()));
        snapshot.forget_list("maps");
        snapshot.tell_by_lists(std::slice::from_ref(&gone));
        assert!(snapshot.get(&gone.key).is_none());
    }
}
