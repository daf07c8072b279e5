//! How a resource comes to its name, and keeps it.
//!
//! A generated name is read from the field that records it, else from the ledger. Only where both are proven empty,
//! and a complete search has found nothing that is ours, is a new one minted.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{KindName, Observation, ProviderName, Query, Value};
use holdfast_policy::{Record, Rule};

use super::{Input, is_unserved};
use crate::address::Address;
use crate::graph::ResourceGraph;

/// How a resource came to its name.
#[derive(Clone, Debug, PartialEq)]
pub enum Naming {
    /// It has one, for good.
    Known,
    /// It has one, which must first stand in the field that records it; the text names that field.
    Unrecorded(String),
    /// It has none, and whether one of ours exists must be searched for.
    Search {
        /// Where to search.
        provider: ProviderName,
        /// For what.
        search: Search,
    },
    /// It has none and must be given one: that of what was found, or a new one.
    Mint {
        /// How a new one begins.
        prefix: String,
        /// The name of the one that was found and is ours.
        found: Option<String>,
    },
    /// It can't be told yet.
    Open,
}

/// What to search for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The query.
    pub query: Query,
    /// What is ours bears all of these.
    pub identity: BTreeMap<String, String>,
}

/// What the sources of a generated name say.
pub(super) enum Generated {
    /// This, and it may be used.
    Settled(String),
    /// This, once it stands in its record.
    Candidate(String, String),
    /// Nothing yet: see the naming.
    None(Naming),
    /// They can't be read; the text says why.
    Unknown(String),
    /// They contradict each other; the text says how.
    Contradiction(String),
}

/// What is known of the generated name of `address`.
#[expect(
    clippy::too_many_arguments,
    reason = "each is another source of the name, and none implies another"
)]
pub(super) fn generated(
    input: &Input<'_>,
    previous: Option<&ResourceGraph<'_>>,
    address: &Address,
    rule: &Rule,
    prefix: &str,
    record: Option<&Record>,
    kind: &KindName,
    provider: &ProviderName,
    identity: &BTreeMap<String, String>,
) -> Generated {
    let ledger = remembered(input, address, rule);
    let recorded = match record {
        Some(record) => match previous.map_or(Recorded::NotRead, |graph| read_record(input, graph, record)) {
            Recorded::Name(name) => Some(name),
            Recorded::Empty => None,
            Recorded::NotRead => return Generated::None(Naming::Open),
            Recorded::Unreadable(why) => return Generated::Unknown(why),
        },
        None => None,
    };
    match (recorded, ledger) {
        (Some(recorded), Some(ledger)) if recorded != ledger => Generated::Contradiction(format!(
            "its recorded name is {recorded}, and the ledger's is {ledger}: correct one of them by hand"
        )),
        (Some(name), _) => Generated::Settled(name),
        (None, Some(name)) => match record {
            Some(record) => Generated::Candidate(name, format!("{}.{}", record.rule, record.path)),
            None => Generated::Settled(name),
        },
        (None, None) => Generated::None(search(input, address, prefix, kind, provider, identity)),
    }
}

fn remembered(input: &Input<'_>, address: &Address, rule: &Rule) -> Option<String> {
    known_as(address, rule).find_map(|address| input.ledger.name(&address).map(str::to_owned))
}

/// `address`, and what it was while its rule had its former keys.
pub(super) fn known_as<'r>(address: &'r Address, rule: &'r Rule) -> impl Iterator<Item = Address> + 'r {
    let former = rule.formerly.iter().map(|key| Address {
        rule: key.clone(),
        ..address.clone()
    });
    std::iter::once(address.clone()).chain(former)
}

enum Recorded {
    Name(String),
    Empty,
    NotRead,
    Unreadable(String),
}

fn read_record(input: &Input<'_>, graph: &ResourceGraph<'_>, record: &Record) -> Recorded {
    let Some(resource) = graph.of_rule(&record.rule).next() else {
        return Recorded::NotRead;
    };
    let (Some(key), Some(kind)) = (&resource.key, &resource.kind) else {
        return Recorded::NotRead;
    };
    if is_unserved(resource, input.served) {
        // No object of a kind exists where the kind doesn't.
        return Recorded::Empty;
    }
    match input.snapshot.get(key) {
        None => Recorded::NotRead,
        Some(Err(error)) => Recorded::Unreadable(format!("its recorded name can't be read: {error}")),
        Some(Ok(Observation::Absent)) => Recorded::Empty,
        Some(Ok(Observation::Present(observed))) => {
            match kind
                .document(observed)
                .at_path(&record.path)
                .and_then(Value::as_str)
            {
                None | Some("") => Recorded::Empty,
                Some(name) => Recorded::Name(name.to_owned()),
            }
        }
    }
}

fn search(
    input: &Input<'_>,
    address: &Address,
    prefix: &str,
    kind: &KindName,
    provider: &ProviderName,
    identity: &BTreeMap<String, String>,
) -> Naming {
    let Some(result) = input.snapshot.search(address) else {
        let query = Query {
            kind: kind.clone(),
            api: None,
            namespace: None,
            selector: None,
            name_prefix: None,
            read: BTreeSet::from(["tags".to_owned()]),
        };
        let search = Search {
            query,
            identity: identity.clone(),
        };
        return Naming::Search {
            provider: provider.clone(),
            search,
        };
    };
    match result {
        Ok(found) => {
            let ours = found.iter().find(|found| bears(&found.document, identity));
            Naming::Mint {
                prefix: prefix.to_owned(),
                found: ours.map(|found| found.key.name.clone()),
            }
        }
        Err(_) => Naming::Open,
    }
}

/// Whether a found document bears every tag of `identity`. Each document is judged by its own tags alone.
pub(super) fn bears(document: &Value, identity: &BTreeMap<String, String>) -> bool {
    let tags = document.get("tags");
    !identity.is_empty()
        && identity.iter().all(|(key, value)| {
            tags.and_then(|tags| tags.get(key)).and_then(Value::as_str) == Some(value.as_str())
        })
}

/// What a finished search means for the name: an incomplete one, or two that are ours, stop it.
pub(super) fn search_fault(
    input: &Input<'_>,
    address: &Address,
    prefix: &str,
    identity: &BTreeMap<String, String>,
) -> Option<SearchFault> {
    match input.snapshot.search(address)? {
        Err(error) => Some(SearchFault::Incomplete(format!(
            "the search for its name is incomplete: {error}"
        ))),
        Ok(found) => {
            let hidden: Vec<&str> = found
                .iter()
                .filter(|found| found.key.name.starts_with(prefix) && !found.unreadable.is_empty())
                .map(|found| found.key.name.as_str())
                .collect();
            if let Some(first) = hidden.first() {
                let why = found.iter().find_map(|found| found.unreadable.values().next());
                let why = why.map(ToString::to_string).unwrap_or_default();
                return Some(SearchFault::Incomplete(format!(
                    "whether {first} is ours can't be told: {why}"
                )));
            }
            let ours: Vec<&str> = found
                .iter()
                .filter(|found| bears(&found.document, identity))
                .map(|found| found.key.name.as_str())
                .collect();
            (ours.len() > 1).then(|| {
                SearchFault::Several(format!(
                    "{} bear the tags of this rule; only one may: {}",
                    ours.len(),
                    ours.join(", ")
                ))
            })
        }
    }
}

/// Why a search gives no name.
pub(super) enum SearchFault {
    /// It saw only a part.
    Incomplete(String),
    /// It found more than one that is ours.
    Several(String),
}
