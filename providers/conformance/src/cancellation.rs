//! Writes that are dropped half-way.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use futures::future::poll_fn;
use holdfast_contract::{Desired, Facet, FacetState, Observation, Observed, Write};

use crate::drive::{converge, create, desired, observe, present, set};
use crate::failure::Failure;
use crate::subject::Subject;

/// A write that is dropped at any of its awaits took effect whole or not at all, and doing it again converges.
pub async fn cancelled_writes_leave_whole_or_nothing(subject: &dyn Subject) -> Result<(), Failure> {
    for polls in 1..=subject.cancellation_points() {
        if creation(subject, polls).await? == Ended::Itself {
            break;
        }
    }
    for facet in subject.kind().facets() {
        for polls in 1..=subject.cancellation_points() {
            if change(subject, facet, polls).await? == Ended::Itself {
                break;
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The write was done before it could be dropped: there is no later point to drop it at.
    Itself,
    Dropped,
}

async fn creation(subject: &dyn Subject, polls: usize) -> Result<Ended, Failure> {
    let key = subject.fresh().await?;
    let facets = desired(subject, &key);
    let ended = drop_after(subject, &create(subject, &key, &facets), polls).await;
    if let Observation::Present(observed) = observe(subject, &key).await? {
        let kind = subject.kind();
        for facet in kind.created_with() {
            let Some(desired) = facets.get(facet) else {
                continue;
            };
            if !is_as(subject, facet, desired, &observed) {
                return Err(Failure::new(format!(
                    "{key}: a creation dropped after {polls} polls left it with half of {facet}"
                )));
            }
        }
    }
    converge(subject, &key, &facets).await?;
    Ok(ended)
}

async fn change(subject: &dyn Subject, facet: &Facet, polls: usize) -> Result<Ended, Failure> {
    let key = subject.fresh().await?;
    let mut facets = desired(subject, &key);
    let (Some(first), Some(second)) = (facets.get(facet).cloned(), subject.changed(&key, facet)) else {
        return Ok(Ended::Itself);
    };
    let before = converge(subject, &key, &facets).await?;
    let ended = drop_after(subject, &set(subject, &before, facet, &second), polls).await;
    let after = present(subject, &key).await?;
    let states = [&first, &second].map(|desired| is_as(subject, facet, desired, &after));
    if states == [false, false] {
        return Err(Failure::new(format!(
            "{key}: a change of {facet} dropped after {polls} polls left neither the old nor the new"
        )));
    }
    facets.insert(facet.clone(), second);
    converge(subject, &key, &facets).await?;
    Ok(ended)
}

/// Whether `facet` is as desired. Who holds its fields doesn't count: it is the content that must be whole.
fn is_as(subject: &dyn Subject, facet: &Facet, desired: &Desired, observed: &Observed) -> bool {
    matches!(observed.facets.get(facet), Some(FacetState::Set(_)))
        && subject
            .kind()
            .compare(facet, desired, Some(observed), subject.manager())
            .iter()
            .all(|difference| difference.change == holdfast_contract::Change::Claim)
}

/// Polls the write `polls` times and drops it.
async fn drop_after(subject: &dyn Subject, write: &Write, polls: usize) -> Ended {
    let mut writing = pin!(subject.provider().write(write));
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(Ended::Dropped);
        }
        left = left.saturating_sub(1);
        match writing.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(Ended::Itself),
            // It is woken when the service answers, or at once where nothing more is to come.
            Poll::Pending if left == 0 => Poll::Ready(Ended::Dropped),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
