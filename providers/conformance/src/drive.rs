//! The few steps from which the behaviours are made: what the engine does, in small.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{
    Action, Desired, Difference, Facet, FacetState, Guard, Observation, Observed, Provider, ProviderError,
    ResourceKey, Wanted, Write, Written, differences,
};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::subject::Subject;

/// Between two reads of what a service does in its own time.
const PAUSE: Duration = Duration::from_millis(20);

/// What is desired of each facet of `key`.
pub(crate) fn desired(subject: &dyn Subject, key: &ResourceKey) -> BTreeMap<Facet, Desired> {
    split(subject, subject.desired(key))
}

/// What `document` desires of each facet.
pub(crate) fn split(subject: &dyn Subject, document: holdfast_contract::Value) -> BTreeMap<Facet, Desired> {
    subject
        .kind()
        .split(document)
        .into_iter()
        .map(|(facet, value)| (facet, Desired::new(value)))
        .collect()
}

/// The write that creates `key`.
pub(crate) fn create(subject: &dyn Subject, key: &ResourceKey, facets: &BTreeMap<Facet, Desired>) -> Write {
    Write {
        key: key.clone(),
        action: Action::Create {
            facets: facets.clone(),
        },
        guard: Guard::Absent,
        manager: subject.manager().to_owned(),
        force: false,
    }
}

/// The write that brings `facet` to `desired`, guarded as strictly as the service allows.
pub(crate) fn set(subject: &dyn Subject, observed: &Observed, facet: &Facet, desired: &Desired) -> Write {
    Write {
        key: observed.key.clone(),
        action: Action::Set {
            facet: facet.clone(),
            desired: Box::new(desired.clone()),
            observed: Arc::new(observed.clone()),
        },
        guard: strictest(observed),
        manager: subject.manager().to_owned(),
        // What was changed from outside is held by whoever changed it.
        force: true,
    }
}

/// The write that deletes what was observed.
pub(crate) fn delete(subject: &dyn Subject, observed: &Observed) -> Write {
    Write {
        key: observed.key.clone(),
        action: Action::Delete {
            observed: Arc::new(observed.clone()),
        },
        guard: Guard::Same,
        manager: subject.manager().to_owned(),
        force: false,
    }
}

fn strictest(observed: &Observed) -> Guard {
    observed.version.clone().map_or(Guard::Same, Guard::Version)
}

/// One read of every facet.
pub(crate) fn wanted(subject: &dyn Subject, key: &ResourceKey) -> Wanted {
    let facets: BTreeSet<Facet> = desired(subject, key).into_keys().collect();
    Wanted {
        key: key.clone(),
        facets,
    }
}

/// Reads `key` through `provider`, with the error that it gives.
pub(crate) async fn read(
    provider: &dyn Provider,
    wanted: &Wanted,
) -> Result<Result<Observation, ProviderError>, Failure> {
    let mut answers = provider.observe(std::slice::from_ref(wanted)).await;
    match (answers.pop(), answers.len()) {
        (Some(answer), 0) => Ok(answer),
        (_, more) => Err(Failure::new(format!(
            "observe of one key gave {} answers",
            more.saturating_add(1)
        ))),
    }
}

/// Reads `key`, which must be possible.
pub(crate) async fn observe(subject: &dyn Subject, key: &ResourceKey) -> Result<Observation, Failure> {
    read(subject.provider(), &wanted(subject, key))
        .await?
        .map_err(|error| Failure::provider("observing", key, &error))
}

/// Reads `key`, which must exist with every facet readable.
pub(crate) async fn present(subject: &dyn Subject, key: &ResourceKey) -> Result<Observed, Failure> {
    let Observation::Present(observed) = observe(subject, key).await? else {
        return Err(Failure::new(format!(
            "{key} is absent where it should be present"
        )));
    };
    for (facet, state) in &observed.facets {
        if let FacetState::Unreadable(error) = state {
            return Err(Failure::provider(&format!("reading {facet} of"), key, error));
        }
    }
    Ok(Arc::unwrap_or_clone(observed))
}

/// Does `write`, which must succeed.
pub(crate) async fn write(subject: &dyn Subject, what: &str, write: &Write) -> Result<Written, Failure> {
    subject
        .provider()
        .write(write)
        .await
        .map_err(|error| Failure::provider(what, &write.key, &error))
}

/// Where `facet` is not as desired, by the kind and, where the kind wants it, by the server.
pub(crate) async fn difference(
    subject: &dyn Subject,
    observed: &Observed,
    facet: &Facet,
    desired: &Desired,
) -> Result<Vec<Difference>, Failure> {
    let kind = subject.kind();
    let found = kind.compare(facet, desired, Some(observed), subject.manager());
    if found.is_empty() || !kind.wants_preview(facet) {
        return Ok(found);
    }
    let preview = subject
        .provider()
        .preview(&set(subject, observed, facet, desired))
        .await
        .map_err(|error| Failure::provider(&format!("previewing {facet} of"), &observed.key, &error))?;
    Ok(preview.differences)
}

/// The facets that are not as desired, each with where.
pub(crate) async fn differing(
    subject: &dyn Subject,
    observed: &Observed,
    facets: &BTreeMap<Facet, Desired>,
) -> Result<BTreeMap<Facet, Vec<Difference>>, Failure> {
    let mut found = BTreeMap::new();
    for (facet, desired) in facets {
        let differences = difference(subject, observed, facet, desired).await?;
        if !differences.is_empty() {
            found.insert(facet.clone(), differences);
        }
    }
    Ok(found)
}

/// The differing facets, as a message lists them. Values stay out: some are secret, all are long.
pub(crate) fn list(differing: &BTreeMap<Facet, Vec<Difference>>) -> String {
    let places: Vec<String> = differing
        .iter()
        .flat_map(|(facet, found)| found.iter().map(move |one| format!("{facet}:{}", one.path)))
        .collect();
    places.join(", ")
}

/// Creates `key` where it is absent, then writes each facet that differs until none does.
pub(crate) async fn converge(
    subject: &dyn Subject,
    key: &ResourceKey,
    facets: &BTreeMap<Facet, Desired>,
) -> Result<Observed, Failure> {
    if observe(subject, key).await?.present().is_none() {
        write(subject, "creating", &create(subject, key, facets)).await?;
    }
    let deadline = Instant::now() + subject.patience();
    let mut last = None;
    loop {
        let Observation::Present(observed) = observe(subject, key).await? else {
            // A store may lag behind its own create call.
            if Instant::now() > deadline {
                return Err(Failure::new(format!("{key} was created and stays absent")));
            }
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let differing = differing(subject, &observed, facets).await?;
        if differing.is_empty() {
            return Ok(Arc::unwrap_or_clone(observed));
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!(
                "{key} never becomes as desired; left: {}",
                list(&differing)
            )));
        }
        let written = write_next(subject, &observed, facets, &differing).await?;
        if written.is_none() || written == last {
            // A store that lags still shows the document before the write.
            tokio::time::sleep(PAUSE).await;
        }
        last = written;
    }
}

/// Writes the first differing facet that waits for no other, and says which; none if it was a conflict. One a round:
/// each write moves the version.
async fn write_next(
    subject: &dyn Subject,
    observed: &Observed,
    facets: &BTreeMap<Facet, Desired>,
    differing: &BTreeMap<Facet, Vec<Difference>>,
) -> Result<Option<Facet>, Failure> {
    let kind = subject.kind();
    let free = |facet: &&Facet| {
        differing.contains_key(*facet)
            && !kind
                .written_after(facet)
                .iter()
                .any(|before| differing.contains_key(before))
    };
    let Some((facet, desired)) = kind
        .facets()
        .iter()
        .find(free)
        .and_then(|facet| facets.get_key_value(facet))
    else {
        return Err(Failure::new(format!(
            "the kind lists no facet that could be written first; left: {}",
            list(differing)
        )));
    };
    match subject
        .provider()
        .write(&set(subject, observed, facet, desired))
        .await
    {
        Ok(_) => Ok(Some(facet.clone())),
        // A store that lags shows an older document than it holds.
        Err(ProviderError::Conflict { .. }) => Ok(None),
        Err(error) => Err(Failure::provider(
            &format!("writing {facet} of"),
            &observed.key,
            &error,
        )),
    }
}

/// Reads `key` until `is_so`, and gives that observation.
pub(crate) async fn until(
    subject: &dyn Subject,
    key: &ResourceKey,
    what: &str,
    is_so: impl Fn(&Observation) -> bool,
) -> Result<Observation, Failure> {
    let deadline = Instant::now() + subject.patience();
    loop {
        let observation = observe(subject, key).await?;
        if is_so(&observation) {
            return Ok(observation);
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!("{key}: {what} never shows")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until `key` is gone.
pub(crate) async fn until_absent(subject: &dyn Subject, key: &ResourceKey) -> Result<(), Failure> {
    until(subject, key, "its absence", |seen| seen.present().is_none())
        .await
        .map(|_| ())
}

/// Waits until `facet` shows something else than what is desired.
pub(crate) async fn until_differs(
    subject: &dyn Subject,
    key: &ResourceKey,
    facet: &Facet,
    desired: &Desired,
) -> Result<Observed, Failure> {
    let differs = |observation: &Observation| {
        observation.present().is_some_and(|observed| {
            !subject
                .kind()
                .compare(facet, desired, Some(observed), subject.manager())
                .is_empty()
        })
    };
    match until(
        subject,
        key,
        &format!("the change of {facet} from outside"),
        differs,
    )
    .await?
    {
        Observation::Present(observed) => Ok(Arc::unwrap_or_clone(observed)),
        Observation::Absent => Err(Failure::new(format!("{key} vanished"))),
    }
}

/// Fails unless every planted place of `facet` still holds what was planted there.
pub(crate) fn still_planted(
    observed: &Observed,
    facet: &Facet,
    planted: &[crate::subject::Planted],
    after: &str,
) -> Result<(), Failure> {
    for one in planted {
        let there = observed
            .value(facet)
            .and_then(|document| document.at_path(&one.path));
        let same = there.is_some_and(|there| {
            let planted = Desired::new(one.value.clone());
            differences(&planted, Some(there), &holdfast_contract::Shape::Any).is_empty()
        });
        if !same {
            return Err(Failure::new(format!(
                "{}: foreign content at {facet}:{} did not survive {after}",
                observed.key, one.path
            )));
        }
    }
    Ok(())
}
