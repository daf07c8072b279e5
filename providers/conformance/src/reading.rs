//! What a read proves, and what it doesn't.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{FacetState, Observation, ProviderError, ResourceKey, Wanted};

use crate::drive::{converge, desired, observe, read, wanted};
use crate::failure::Failure;
use crate::subject::Subject;

/// What was never made is absent; what can't be read is an error, whether it exists or not, and never absent.
pub async fn absence_is_proven_by_not_found(subject: &dyn Subject) -> Result<(), Failure> {
    let missing = subject.fresh().await?;
    if observe(subject, &missing).await?.present().is_some() {
        return Err(Failure::new(format!("{missing} was never made and is present")));
    }
    let existing = subject.fresh().await?;
    converge(subject, &existing, &desired(subject, &existing)).await?;
    for fault in subject.faults() {
        for key in [&missing, &existing] {
            let key = ResourceKey {
                provider: fault.provider.name().clone(),
                ..key.clone()
            };
            match read(fault.provider.as_ref(), &wanted(subject, &key)).await? {
                Err(error) if (fault.is_expected)(&error) => {}
                Err(error) => {
                    return Err(Failure::provider(
                        &format!("the wrong error when {} for", fault.name),
                        &key,
                        &error,
                    ));
                }
                Ok(Observation::Absent) => {
                    return Err(Failure::new(format!("{key}: {} reads as absent", fault.name)));
                }
                Ok(Observation::Present(_)) => {
                    return Err(Failure::new(format!("{key}: {} reads as present", fault.name)));
                }
            }
        }
    }
    Ok(())
}

/// A type that the server doesn't know is an error of its own: whether the object would exist can't be said.
pub async fn an_unserved_kind_is_not_absence(subject: &dyn Subject) -> Result<(), Failure> {
    let Some(key) = subject.unserved() else {
        return Ok(());
    };
    match read(subject.provider(), &wanted(subject, &key)).await? {
        Err(ProviderError::NotServed { .. }) => Ok(()),
        Err(error) => Err(Failure::provider(
            "not the error of an unserved type for",
            &key,
            &error,
        )),
        Ok(_) => Err(Failure::new(format!(
            "{key} is of a type that isn't served, and reads as if it were"
        ))),
    }
}

/// A facet that can't be read says so alone; the others are read.
pub async fn an_unreadable_facet_hides_no_other(subject: &dyn Subject) -> Result<(), Failure> {
    let Some(fault) = subject.facet_fault() else {
        return Ok(());
    };
    let key = subject.fresh().await?;
    converge(subject, &key, &desired(subject, &key)).await?;
    let key = ResourceKey {
        provider: fault.provider.name().clone(),
        ..key
    };
    let Observation::Present(observed) = read(fault.provider.as_ref(), &wanted(subject, &key))
        .await?
        .map_err(|error| Failure::provider("observing all but one facet of", &key, &error))?
    else {
        return Err(Failure::new(format!(
            "{key} reads as absent where one facet is denied"
        )));
    };
    for (facet, state) in &observed.facets {
        match state {
            FacetState::Unreadable(_) if *facet == fault.facet => {}
            FacetState::Unreadable(error) => {
                return Err(Failure::provider(
                    &format!("{} is denied, and so {facet} isn't read either of", fault.facet),
                    &key,
                    error,
                ));
            }
            FacetState::Set(_) | FacetState::Unset if *facet == fault.facet => {
                return Err(Failure::new(format!(
                    "{key}: {facet} is denied, and reads as if it weren't"
                )));
            }
            FacetState::Set(_) | FacetState::Unset => {}
        }
    }
    if observed.facets.contains_key(&fault.facet) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{key}: {} is denied, and isn't spoken of",
        fault.facet
    )))
}

/// One answer for each key, in the order of the question, present and absent ones mixed.
pub async fn observe_answers_in_order_and_for_each(subject: &dyn Subject) -> Result<(), Failure> {
    let mut asked = Vec::new();
    for exists in [false, true, false, true, true, false] {
        let key = subject.fresh().await?;
        if exists {
            converge(subject, &key, &desired(subject, &key)).await?;
        }
        asked.push((key, exists));
    }
    // The same key twice, as two rules may ask for it.
    asked.extend_from_within(1..2);
    let question: Vec<Wanted> = asked.iter().map(|(key, _)| wanted(subject, key)).collect();
    let answers = subject.provider().observe(&question).await;
    if answers.len() != asked.len() {
        return Err(Failure::new(format!(
            "{} keys were asked for, and {} answers given",
            asked.len(),
            answers.len()
        )));
    }
    for ((key, exists), answer) in asked.iter().zip(answers) {
        match answer.map_err(|error| Failure::provider("observing several, among them", key, &error))? {
            Observation::Present(observed) if *exists && same_thing(&observed.key, key) => {}
            Observation::Present(observed) if *exists => {
                return Err(Failure::new(format!(
                    "asked for {key}, answered with {}",
                    observed.key
                )));
            }
            Observation::Absent if !*exists => {}
            _ => {
                return Err(Failure::new(format!(
                    "{key} was answered with another one's state"
                )));
            }
        }
    }
    if subject.provider().observe(&[]).await.is_empty() {
        return Ok(());
    }
    Err(Failure::new("observe of nothing gave an answer"))
}

/// Whether two keys mean one thing, though one of them says more exactly where it lies.
pub(crate) fn same_thing(one: &ResourceKey, other: &ResourceKey) -> bool {
    one.kind == other.kind && one.namespace == other.namespace && one.name == other.name
}

/// A search reads every page, finds each once, and nothing that wasn't meant; a search that fails is an error.
pub async fn find_is_complete(subject: &dyn Subject) -> Result<(), Failure> {
    let Some(crowd) = subject.crowd().await? else {
        return Ok(());
    };
    let found = subject
        .provider()
        .find(&crowd.query)
        .await
        .map_err(|error| Failure::new(format!("searching: {error}")))?;
    let mut counted: BTreeMap<(Option<String>, String), usize> = BTreeMap::new();
    for one in &found {
        if let Some((part, error)) = one.unreadable.first_key_value() {
            return Err(Failure::provider(
                &format!("reading {part} of the found"),
                &one.key,
                error,
            ));
        }
        let count = counted
            .entry((one.key.namespace.clone(), one.key.name.clone()))
            .or_default();
        *count = count.saturating_add(1);
    }
    let expected: BTreeSet<(Option<String>, String)> = crowd
        .keys
        .iter()
        .map(|key| (key.namespace.clone(), key.name.clone()))
        .collect();
    let names = |of: Vec<&(Option<String>, String)>| {
        let names: Vec<&str> = of.iter().take(3).map(|(_, name)| name.as_str()).collect();
        format!("{} ({}…)", of.len(), names.join(", "))
    };
    let missed: Vec<_> = expected
        .iter()
        .filter(|one| !counted.contains_key(*one))
        .collect();
    if !missed.is_empty() {
        let (there, missed) = (expected.len(), names(missed));
        return Err(Failure::new(format!("a search among {there} missed {missed}")));
    }
    let unasked: Vec<_> = counted.keys().filter(|one| !expected.contains(*one)).collect();
    if !unasked.is_empty() {
        return Err(Failure::new(format!("a search also found {}", names(unasked))));
    }
    if let Some(((_, name), _)) = counted.iter().find(|(_, count)| **count > 1) {
        return Err(Failure::new(format!("a search found {name} more than once")));
    }
    for fault in subject.faults() {
        if fault.provider.find(&crowd.query).await.is_ok() {
            return Err(Failure::new(format!("a search when {} gave a list", fault.name)));
        }
    }
    Ok(())
}
