//! What a policy reads before anything else: facts, each once in a pass.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use holdfast_contract as contract;
use holdfast_contract::{
    ApiType, Found, Observation, ProviderError, ProviderName, Query, ResourceKey, Wanted,
};
use holdfast_expression::{ErrorKind, MapKey, Value};
use holdfast_policy::{Fact, FactSource, Place, ValidPolicy, to_expression};

use crate::evaluate::{Evaluator, NoAnswer};
use crate::observe::{Snapshot, observe};
use crate::providers::Providers;
use crate::scope::{Roots, failed, missing, unreadable};
use crate::variables;

mod read;

use read::{Read, Reader};

/// All facts, as expressions see them.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Their values by name. One that can't be read, or isn't there, is a value whose use is an error; an optional
    /// one that isn't there has no entry.
    pub values: BTreeMap<String, Value>,
    /// Facts that must be there and aren't, or whose place can't be told, with a sentence each.
    pub unmet: Vec<(String, Place)>,
    /// The objects behind the facts, so that the same object is not read twice.
    pub keys: BTreeMap<String, ResourceKey>,
    /// The lists behind the facts, and whose they are.
    pub lists: BTreeMap<String, (ProviderName, Query)>,
    /// The lists of a type that isn't served: they look empty, and prove nothing about what was in them.
    pub unserved: BTreeSet<String>,
}

impl Facts {
    /// As the root `facts`.
    #[must_use]
    pub fn root(&self) -> Value {
        Value::map(
            self.values
                .iter()
                .map(|(name, value)| (MapKey::from(name.as_str()), value.clone())),
        )
    }
}

/// Reads all facts of `policy`, in as few rounds as they depend on each other.
pub async fn resolve(
    policy: &ValidPolicy,
    parameters: &Value,
    evaluator: Evaluator<'_>,
    providers: &mut Providers,
    snapshot: &mut Snapshot,
) -> Facts {
    let mut facts = Facts::default();
    let mut left: BTreeMap<&str, &Fact> = policy
        .facts
        .iter()
        .map(|(name, fact)| (name.as_str(), fact))
        .collect();
    while !left.is_empty() {
        let roots = variables::roots(policy, parameters, &facts, &BTreeMap::new(), evaluator);
        let ready: Vec<&Fact> = left
            .values()
            .filter(|fact| fact.after.iter().all(|name| !left.contains_key(name.as_str())))
            .copied()
            .collect();
        if ready.is_empty() {
            // Validation refuses facts that need each other; this is the guard behind it.
            break;
        }
        for fact in &ready {
            left.remove(fact.name.as_str());
        }
        round(policy, &ready, &roots, evaluator, providers, snapshot, &mut facts).await;
    }
    facts
}

async fn round(
    policy: &ValidPolicy,
    round: &[&Fact],
    roots: &Roots,
    evaluator: Evaluator<'_>,
    providers: &mut Providers,
    snapshot: &mut Snapshot,
    facts: &mut Facts,
) {
    let mut reads: Vec<(&Fact, Read)> = Vec::new();
    let apis: BTreeSet<ApiType> = round
        .iter()
        .filter_map(|fact| read::api_of(&fact.source))
        .collect();
    let served = read::served(providers, &apis).await;
    let reader = Reader {
        policy,
        roots,
        evaluator,
        served: &served,
    };
    for fact in round {
        match reader.read(fact, providers).await {
            Ok(read) => reads.push((fact, read)),
            Err(error) => fail(facts, fact, &error),
        }
    }
    let wanted: Vec<Wanted> = reads
        .iter()
        .filter_map(|(_, read)| match read {
            Read::Object(wanted) => Some(wanted.clone()),
            _ => None,
        })
        .collect();
    let queries: Vec<(&Fact, &ProviderName, &Query)> = reads
        .iter()
        .filter_map(|(fact, read)| match read {
            Read::List(provider, query) if snapshot.list(&fact.name).is_none() => {
                Some((*fact, provider, query))
            }
            _ => None,
        })
        .collect();
    let open = providers.open().clone();
    let finds = join_all(queries.iter().map(|(fact, name, query)| {
        let provider = open.get(*name).cloned();
        async move {
            let result = match provider {
                Some(provider) => provider.find(query).await,
                None => Err(ProviderError::Unavailable {
                    service: (*name).to_string(),
                    message: "it was not opened".to_owned(),
                    source: None,
                }),
            };
            (fact.name.clone(), (*name).clone(), (*query).clone(), result)
        }
    }));
    let (finds, ()) = futures::join!(finds, observe(snapshot, &wanted, &open));
    for (name, provider, query, found) in finds {
        snapshot.keep_list(&name, &provider, &query, found);
    }

    for (fact, read) in reads {
        match read {
            Read::Value(value) => {
                if matches!(value, Value::List(_)) {
                    facts.unserved.insert(fact.name.clone());
                }
                facts.values.insert(fact.name.clone(), value);
            }
            Read::Nothing => absent(facts, fact),
            Read::Object(wanted) => {
                facts.keys.insert(fact.name.clone(), wanted.key.clone());
                object(facts, fact, &wanted, snapshot, providers);
            }
            Read::List(provider, query) => {
                let list = (provider, query.clone());
                facts.lists.insert(fact.name.clone(), list);
                match snapshot.list(&fact.name) {
                    Some(Ok(found)) => {
                        let items = found.iter().map(|found| item(fact, found, providers, &query));
                        facts.values.insert(fact.name.clone(), Value::list(items));
                    }
                    Some(Err(ProviderError::NotServed { .. })) => {
                        facts.unserved.insert(fact.name.clone());
                        facts
                            .values
                            .insert(fact.name.clone(), Value::list(Vec::<Value>::new()));
                    }
                    Some(Err(error)) => {
                        let value = unreadable(&format!("fact `{}`", fact.name), error);
                        facts.values.insert(fact.name.clone(), value);
                    }
                    None => {
                        let value = unreadable(&format!("fact `{}`", fact.name), &"it was not read");
                        facts.values.insert(fact.name.clone(), value);
                    }
                }
            }
        }
    }
}

fn fail(facts: &mut Facts, fact: &Fact, error: &NoAnswer) {
    let value = match error {
        NoAnswer::Missing { path, .. } if fact.optional => missing(path),
        NoAnswer::Missing { path, .. } => {
            let message = format!("fact `{}` needs {path}, which isn't there", fact.name);
            facts.unmet.push((message, fact.place.clone()));
            missing(path)
        }
        NoAnswer::Waits(what) => Value::unknown(what.iter().cloned()),
        NoAnswer::Unreadable { message, .. } => unreadable(&format!("fact `{}`", fact.name), message),
        NoAnswer::Fault { message, .. } => {
            facts
                .unmet
                .push((format!("fact `{}`: {message}", fact.name), fact.place.clone()));
            failed(ErrorKind::Argument, message.clone())
        }
    };
    facts.values.insert(fact.name.clone(), value);
}

fn absent(facts: &mut Facts, fact: &Fact) {
    if fact.optional {
        return;
    }
    let what = match &fact.source {
        FactSource::Object { api, name, .. } => format!("{api} {}", name.source),
        _ => "it".to_owned(),
    };
    facts.unmet.push((
        format!("fact `{}`: {what} isn't there", fact.name),
        fact.place.clone(),
    ));
    facts
        .values
        .insert(fact.name.clone(), missing(&format!("facts.{}", fact.name)));
}

fn object(facts: &mut Facts, fact: &Fact, wanted: &Wanted, snapshot: &Snapshot, providers: &Providers) {
    let value = match snapshot.get(&wanted.key) {
        Some(Ok(Observation::Present(observed))) => {
            let Some((kind, _)) = providers.registry().kind(&wanted.key.kind) else {
                return;
            };
            picked(fact, &kind.fact(observed))
        }
        Some(Ok(Observation::Absent) | Err(ProviderError::NotServed { .. })) => return absent(facts, fact),
        Some(Err(error)) => unreadable(&format!("fact `{}` ({})", fact.name, wanted.key), error),
        None => unreadable(&format!("fact `{}`", fact.name), &"it was not read"),
    };
    facts.values.insert(fact.name.clone(), value);
}

fn item(fact: &Fact, found: &Found, providers: &Providers, query: &Query) -> Value {
    let Found {
        key: _,
        observed: _,
        document,
        unreadable: parts,
    } = found;
    let document = document.clone();
    let document = match providers.registry().kind(&query.kind) {
        Some((kind, _)) => kind.found_fact(document),
        None => document,
    };
    let value = picked(fact, &document);
    if parts.is_empty() {
        return value;
    }
    // A part that can't be read fails only what looks at it.
    let mut entries = value.as_map().cloned().unwrap_or_default();
    for (part, error) in parts {
        entries.insert(MapKey::from(part.as_str()), unreadable(part, error));
    }
    Value::from(entries)
}

/// What the fact's `select` picks of `document`; without one, all of it.
fn picked(fact: &Fact, document: &contract::Value) -> Value {
    if fact.select.is_empty() {
        return to_expression(document);
    }
    let mut entries = BTreeMap::new();
    for (key, select) in &fact.select {
        match select.pick(document) {
            Ok(None | Some(contract::Value::Null)) => {}
            Ok(Some(value)) => {
                entries.insert(MapKey::from(key.as_str()), to_expression(&value));
            }
            Err(message) => {
                let message = format!("fact `{}`, `{key}`: {message}", fact.name);
                entries.insert(MapKey::from(key.as_str()), failed(ErrorKind::Argument, message));
            }
        }
    }
    Value::from(entries)
}
