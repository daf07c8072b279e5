//! What services push, taken into what is known.

use holdfast_contract::{
    Found, Observation, Observed, ProviderError, ProviderName, Query, ResourceKey, Version, Wanted,
};

use super::Snapshot;

impl Snapshot {
    /// Takes what a watch tells of one resource; whether that is news.
    ///
    /// A state that is older than the known one is none: the watch lags behind a read. A failure that will pass takes
    /// nothing away from what is known: what may have changed meanwhile is told when the watch goes on.
    pub fn push(&mut self, wanted: &Wanted, seen: Result<Observation, ProviderError>) -> bool {
        let known = self.observations.get(&wanted.key);
        let is_news = match (known, &seen) {
            (Some(Ok(Observation::Present(known))), Ok(Observation::Present(now))) => {
                if is_older(now, known) {
                    return false;
                }
                is_other(now, known)
            }
            (Some(Ok(Observation::Absent)), Ok(Observation::Absent)) => false,
            (Some(Ok(_)), Err(error)) if error.is_transient() => return false,
            (Some(Err(known)), Err(now)) => known.to_string() != now.to_string(),
            _ => true,
        };
        if is_news {
            self.keep(wanted, seen);
        }
        is_news
    }

    /// Takes a whole list that a watch tells, for the facts `names`; whether that is news.
    pub fn push_list(
        &mut self,
        names: &[String],
        provider: &ProviderName,
        query: &Query,
        seen: &Result<Vec<Found>, ProviderError>,
    ) -> bool {
        let mut is_news = false;
        for name in names {
            let news = match (self.lists.get(name), seen) {
                (Some(Ok(known)), Ok(now)) => !is_same_list(known, now),
                (Some(Ok(_)), Err(error)) if error.is_transient() => continue,
                (Some(Err(known)), Err(now)) => known.to_string() != now.to_string(),
                _ => true,
            };
            if news {
                self.keep_list(name, provider, query, seen.clone());
            }
            is_news |= news;
        }
        is_news
    }

    /// Takes one that is new on a list, or has changed there; whether that is news.
    pub fn push_listed(&mut self, names: &[String], found: &Found) -> bool {
        let mut is_news = false;
        for name in names {
            let Some(Ok(list)) = self.lists.get_mut(name) else {
                continue;
            };
            match list.binary_search_by(|one| one.key.cmp(&found.key)) {
                Ok(place) => {
                    let Some(known) = list.get_mut(place) else {
                        continue;
                    };
                    match (&known.observed, &found.observed) {
                        (Some(known), Some(now)) if is_older(now, known) || !is_other(now, known) => continue,
                        _ => *known = found.clone(),
                    }
                }
                Err(place) => list.insert(place, found.clone()),
            }
            is_news = true;
        }
        if is_news {
            self.tell_of(found);
        }
        is_news
    }

    /// Takes one that is no longer on a list; whether that is news.
    pub fn push_unlisted(&mut self, names: &[String], key: &ResourceKey) -> bool {
        let mut is_news = false;
        for name in names {
            let Some(Ok(list)) = self.lists.get_mut(name) else {
                continue;
            };
            let before = list.len();
            list.retain(|one| one.key != *key);
            is_news |= list.len() < before;
        }
        is_news
    }

    /// Takes what a list tells of one of it, where that is as good as a read.
    fn tell_of(&mut self, found: &Found) {
        let Some(observed) = &found.observed else { return };
        if self.told.values().any(|told| told.covers(&found.key)) {
            let wanted = Wanted {
                key: found.key.clone(),
                facets: observed.facets.keys().cloned().collect(),
            };
            self.push(&wanted, Ok(Observation::Present(observed.clone())));
        }
    }

    /// Forgets everything that was read from `provider`, lists aside.
    pub fn forget_provider(&mut self, provider: &ProviderName) {
        self.observations.retain(|key, _| key.provider != *provider);
        self.asked.retain(|key, _| key.provider != *provider);
    }

    /// Forgets every search, and every look at whether what isn't found is listed.
    pub fn forget_all_looks(&mut self) {
        self.searches.clear();
        self.absences.clear();
    }
}

/// Whether the one says something else than the other. Without versions nobody can tell.
pub(crate) fn is_other(now: &Observed, known: &Observed) -> bool {
    now.version.is_none() || now.version != known.version || now.uid != known.uid
}

/// Whether the state is older than the known one of the same incarnation, where versions tell.
///
/// Versions of Kubernetes objects are numbers that grow (KEP-5504, and what etcd has always given); others say nothing.
fn is_older(now: &Observed, known: &Observed) -> bool {
    let number = |version: &Option<Version>| {
        version
            .as_ref()
            .and_then(|version| version.0.parse::<u128>().ok())
    };
    match (number(&now.version), number(&known.version)) {
        (Some(now_at), Some(known_at)) => now.uid == known.uid && now_at < known_at,
        _ => false,
    }
}

fn is_same_list(known: &[Found], now: &[Found]) -> bool {
    known.len() == now.len()
        && known.iter().zip(now).all(|(known, now)| {
            known.key == now.key
                && match (&known.observed, &now.observed) {
                    (Some(known), Some(now)) => !is_other(now, known),
                    _ => false,
                }
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::objects;

    fn key(name: &str) -> ResourceKey {
        objects::key(&objects::config_map(), Some("shop"), name)
    }

    fn wanted(name: &str) -> Wanted {
        Wanted {
            key: key(name),
            facets: [objects::facet()].into(),
        }
    }

    fn at(name: &str, version: &str) -> Observed {
        Observed {
            key: key(name),
            uid: Some("1".to_owned()),
            version: Some(Version(version.to_owned())),
            deleting: false,
            facets: BTreeMap::new(),
        }
    }

    fn present(version: &str) -> Observation {
        Observation::Present(Arc::new(at("one", version)))
    }

    fn unavailable() -> ProviderError {
        ProviderError::Unavailable {
            service: "the cluster".to_owned(),
            message: "no route".to_owned(),
            source: None,
        }
    }

    fn version(snapshot: &Snapshot) -> Option<String> {
        let observed = snapshot.get(&key("one"))?.as_ref().ok()?.present()?;
        Some(observed.version.clone()?.0)
    }

    #[test]
    fn a_watch_that_lags_behind_a_read_is_no_news() {
        let mut snapshot = Snapshot::default();
        snapshot.keep(&wanted("one"), Ok(present("100")));
        assert!(!snapshot.push(&wanted("one"), Ok(present("99"))));
        assert!(!snapshot.push(&wanted("one"), Ok(present("100"))));
        assert_eq!(version(&snapshot).as_deref(), Some("100"));
        assert!(snapshot.push(&wanted("one"), Ok(present("1000"))));
        assert_eq!(version(&snapshot).as_deref(), Some("1000"));
    }

    #[test]
    fn an_outage_takes_nothing_from_what_is_known_and_a_refusal_does() {
        let mut snapshot = Snapshot::default();
        snapshot.keep(&wanted("one"), Ok(present("1")));
        assert!(!snapshot.push(&wanted("one"), Err(unavailable())));
        assert_eq!(version(&snapshot).as_deref(), Some("1"));
        let denied = ProviderError::Denied {
            action: "watch configmaps".to_owned(),
            target: "shop/one".to_owned(),
        };
        assert!(snapshot.push(&wanted("one"), Err(denied.clone())));
        assert_eq!(version(&snapshot), None);
        assert!(!snapshot.push(&wanted("one"), Err(denied)), "said once");
        assert!(snapshot.push(&wanted("one"), Ok(Observation::Absent)));
        assert!(!snapshot.push(&wanted("one"), Ok(Observation::Absent)));
    }

    #[test]
    fn a_list_follows_what_is_told_of_it() {
        let found = |name: &str, version: &str| Found {
            key: key(name),
            document: holdfast_contract::Value::map(),
            observed: Some(Arc::new(at(name, version))),
            unreadable: BTreeMap::new(),
        };
        let query = Query {
            kind: objects::kind(),
            api: Some(objects::config_map()),
            namespace: Some("shop".to_owned()),
            selector: None,
            name_prefix: None,
            read: std::collections::BTreeSet::new(),
        };
        let names = ["maps".to_owned()];
        let mut snapshot = Snapshot::default();
        let provider: ProviderName = objects::PROVIDER.into();
        let all = Ok(vec![found("a", "1"), found("c", "1")]);
        assert!(snapshot.push_list(&names, &provider, &query, &all));
        assert!(!snapshot.push_list(&names, &provider, &query, &all));
        assert!(!snapshot.push_list(&names, &provider, &query, &Err(unavailable())));
        assert!(snapshot.push_listed(&names, &found("b", "2")));
        assert!(!snapshot.push_listed(&names, &found("b", "2")));
        assert!(!snapshot.push_listed(&names, &found("b", "1")));
        assert!(snapshot.push_unlisted(&names, &key("a")));
        assert!(!snapshot.push_unlisted(&names, &key("a")));
        let list = snapshot.list("maps").unwrap().as_ref().unwrap();
        let left: Vec<&str> = list.iter().map(|one| one.key.name.as_str()).collect();
        assert_eq!(left, ["b", "c"]);
    }
}
