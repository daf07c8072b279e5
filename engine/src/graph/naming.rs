//! How a resource comes to its name, and keeps it.
//!
//! A generated name is read from the field that records it, else from the ledger. Only where both are proven empty,
//! and a complete search has found nothing that is ours, is a new one minted.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{KindName, Observation, ProviderName, Query, Segment, Value};
use holdfast_policy::{Name, Record, Rule, Tree, TreeNode};
use time::{Duration, OffsetDateTime};

use super::{Input, Resource, is_unserved};
use crate::address::Address;
use crate::graph::ResourceGraph;

/// Where there are signs of an earlier life, a search that found nothing is repeated so much later: stores may lag.
const REPEAT: Duration = Duration::minutes(1);

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
    /// It has none, and a search found none; as there are signs of an earlier life, it is searched for once more
    /// before a new one is made up: stores may lag.
    Again {
        /// A search that is made from then on counts.
        from: OffsetDateTime,
        /// What the signs are, as a clause.
        sign: String,
    },
    /// It can't be told yet.
    Open,
}

/// What to search for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The query.
    pub query: Query,
}

/// What the sources of a generated name say.
pub(super) enum Generated {
    /// This, and it may be used; and whether its record says that what bears it was provisioned.
    Settled(String, bool),
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
    input: &Input<'_, '_>,
    previous: Option<&ResourceGraph<'_>>,
    address: &Address,
    rule: &Rule,
    prefix: &str,
    record: Option<&Record>,
    kind: &KindName,
    provider: &ProviderName,
    identity: Identity<'_>,
) -> Generated {
    let ledger = remembered(input, address, rule);
    let recorded = match record {
        Some(record) => {
            match previous.map_or(Recorded::NotRead, |graph| read_record(input, graph, record, rule)) {
                // A name that was given up as somebody else's is none.
                Recorded::Name(name, _) if is_taken(input, address, rule, &name) => None,
                Recorded::Name(name, provisioned) => Some((name, provisioned)),
                Recorded::Empty => None,
                Recorded::NotRead => return Generated::None(Naming::Open),
                Recorded::Unreadable(why) => return Generated::Unknown(why),
            }
        }
        None => None,
    };
    match (recorded, ledger) {
        (Some((recorded, _)), Some(ledger)) if recorded != ledger => Generated::Contradiction(format!(
            "its recorded name is {recorded}, and the ledger's is {ledger}: correct one of them by hand"
        )),
        (Some((name, provisioned)), _) => Generated::Settled(name, provisioned),
        (None, Some(name)) => match record {
            Some(record) => Generated::Candidate(name, format!("{}.{}", record.rule, record.path)),
            None => Generated::Settled(name, false),
        },
        (None, None) => {
            let sign = || sign_of_earlier_life(input, previous?);
            Generated::None(search(input, address, prefix, kind, provider, identity, &sign))
        }
    }
}

fn remembered(input: &Input<'_, '_>, address: &Address, rule: &Rule) -> Option<String> {
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

fn is_taken(input: &Input<'_, '_>, address: &Address, rule: &Rule, name: &str) -> bool {
    known_as(address, rule).any(|address| input.ledger.is_taken(&address, name))
}

enum Recorded {
    /// This name, and whether the record says of it that it was provisioned.
    Name(String, bool),
    Empty,
    NotRead,
    Unreadable(String),
}

fn read_record(input: &Input<'_, '_>, graph: &ResourceGraph<'_>, record: &Record, rule: &Rule) -> Recorded {
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
            let document = kind.document(observed);
            match document.at_path(&record.path).and_then(Value::as_str) {
                None | Some("") => Recorded::Empty,
                Some(name) => {
                    let documents = resource.variant.map_or(&[][..], |variant| &variant.documents);
                    let provisioned = documents
                        .iter()
                        .any(|declared| says_provisioned(&declared.tree, &document, &rule.key));
                    Recorded::Name(name.to_owned(), provisioned)
                }
            }
        }
    }
}

/// Whether `document` holds `true` where the policy declares that `rules.RULE.provisioned` stands.
///
/// The ledger is written before the record, so that a record which says so was written by a run that saw it converge.
fn says_provisioned(declared: &Tree, document: &Value, rule: &str) -> bool {
    match &declared.node {
        TreeNode::Template(template) => {
            let source = template
                .sole()
                .map(|expression| expression.program.source().trim());
            source == Some(&format!("rules.{rule}.provisioned")) && *document == Value::Bool(true)
        }
        TreeNode::Map { .. } => declared.literal_entries().into_iter().any(|(key, below)| {
            document
                .get(key)
                .is_some_and(|document| says_provisioned(below, document, rule))
        }),
        TreeNode::Literal(_) | TreeNode::List(_) => false,
    }
}

fn search(
    input: &Input<'_, '_>,
    address: &Address,
    prefix: &str,
    kind: &KindName,
    provider: &ProviderName,
    identity: Identity<'_>,
    sign: &dyn Fn() -> Option<String>,
) -> Naming {
    let Some((at, result)) = input.snapshot.search(address) else {
        let query = Query {
            kind: kind.clone(),
            api: None,
            namespace: None,
            selector: None,
            name_prefix: None,
            read: BTreeSet::from(["tags".to_owned()]),
        };
        let search = Search { query };
        return Naming::Search {
            provider: provider.clone(),
            search,
        };
    };
    match result {
        Ok(found) => {
            let ours = found.iter().find(|found| identity.is_borne_by(&found.document));
            let again = ours.is_none().then(|| again(input, *at, sign)).flatten();
            again.unwrap_or_else(|| Naming::Mint {
                prefix: prefix.to_owned(),
                found: ours.map(|found| found.key.name.clone()),
            })
        }
        Err(_) => Naming::Open,
    }
}

/// Whether a search that was made at `at` and found nothing has to be repeated.
fn again(input: &Input<'_, '_>, at: OffsetDateTime, sign: &dyn Fn() -> Option<String>) -> Option<Naming> {
    let (since, sign) = match input.ledger.made_anew() {
        Some(since) => (since, "the ledger had to be made anew".to_owned()),
        None if input.ledger.exists() => return None,
        None => (at, sign()?),
    };
    let from = since.saturating_add(REPEAT);
    (at < from).then_some(Naming::Again { from, sign })
}

/// What shows that this policy was applied before, although there is no ledger: an object that bears its label, or a
/// record that isn't blank.
pub(crate) fn sign_of_earlier_life(input: &Input<'_, '_>, graph: &ResourceGraph<'_>) -> Option<String> {
    let labelled = graph.resources.iter().find_map(|resource| {
        let (kind, observed) = present(input, resource)?;
        let bears = kind.marked_by(observed).as_deref() == Some(input.mark);
        bears.then(|| format!("{} bears this policy's label", observed.key))
    });
    labelled.or_else(|| {
        let names = input.policy.rules.values().flat_map(|rule| &rule.variants);
        let records = names.filter_map(|variant| match &variant.name {
            Some(Name::Generate { record, .. }) => record.as_ref(),
            _ => None,
        });
        let mut written = records.filter_map(|record| {
            let mut resources = graph.of_rule(&record.rule);
            let (kind, observed) = resources.find_map(|resource| present(input, resource))?;
            let Some(Segment::Key(first)) = record.path.segments().first() else {
                return None;
            };
            let document = kind.document(observed);
            let part = document.get(first)?.as_map()?;
            (!part.is_empty()).then(|| format!("{} has a {first} already", observed.key))
        });
        written.next()
    })
}

/// A resource that was read and is there.
fn present<'a>(
    input: &Input<'a, '_>,
    resource: &'a Resource<'_>,
) -> Option<(&'a dyn holdfast_contract::Kind, &'a holdfast_contract::Observed)> {
    match input.snapshot.get(resource.key.as_ref()?) {
        Some(Ok(Observation::Present(observed))) => Some((resource.kind.as_deref()?, observed)),
        _ => None,
    }
}

/// By which tags a resource is known to be ours: those of today, then those under its rule's former keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity<'i> {
    pub(super) now: &'i BTreeMap<String, String>,
    pub(super) former: &'i [BTreeMap<String, String>],
}

impl Identity<'_> {
    /// Whether a found document bears every tag of one of them. Each document is judged by its own tags alone.
    fn is_borne_by(self, document: &Value) -> bool {
        let tags = document.get("tags");
        std::iter::once(self.now).chain(self.former).any(|identity| {
            !identity.is_empty()
                && identity.iter().all(|(key, value)| {
                    tags.and_then(|tags| tags.get(key)).and_then(Value::as_str) == Some(value.as_str())
                })
        })
    }
}

/// What a finished search means for the name: an incomplete one, or two that are ours, stop it.
pub(super) fn search_fault(
    input: &Input<'_, '_>,
    address: &Address,
    prefix: &str,
    identity: Identity<'_>,
) -> Option<SearchFault> {
    match &input.snapshot.search(address)?.1 {
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
                .filter(|found| identity.is_borne_by(&found.document))
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
