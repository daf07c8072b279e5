//! Desired against observed, facet by facet: pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::{
    Action, Conflict, Desired, Difference, Facet, FacetState, Fidelity, Guard, Kind, Observation, Observed,
    Path, ProviderError, TakeOver, Write, Yields,
};
use holdfast_policy::Verb;

use crate::address::Address;
use crate::graph::{Resource, ResourceGraph, State, places};
use crate::observe::Snapshot;

/// The comparison of every resource that exists, by address.
pub type Comparisons = BTreeMap<Address, BTreeMap<Facet, FacetComparison>>;

/// What comparing one facet gave.
#[derive(Clone, Debug)]
pub enum FacetComparison {
    /// Observed as desired.
    Equal,
    /// It differs.
    Different(Box<Differing>),
    /// Equal by the server's word, which keeps its own value of these declared places.
    Overridden(Vec<Path>),
    /// It could not be read.
    Unreadable(ProviderError),
}

/// A facet that differs.
#[derive(Clone, Debug)]
pub struct Differing {
    /// Where.
    pub differences: Vec<Difference>,
    /// The write that would mend it.
    pub write: Write,
    /// How sure the differences are.
    pub fidelity: Fidelity,
    /// Fields that other managers hold.
    pub conflicts: Vec<Conflict>,
    /// Former managers that fields are taken over from.
    pub former: Vec<String>,
    /// Why the server would refuse the write, if it said so.
    pub refused: Option<ProviderError>,
}

/// Compares every resource of `graph` that was observed to exist and is to be so.
#[must_use]
pub fn diff(graph: &ResourceGraph<'_>, snapshot: &Snapshot, manager: &str) -> Comparisons {
    graph
        .resources
        .iter()
        .filter(|resource| resource.state == State::Active && resource.verb() == Verb::Ensure)
        .filter_map(|resource| {
            let key = resource.key.as_ref()?;
            let Some(Ok(Observation::Present(observed))) = snapshot.get(key) else {
                return None;
            };
            Some((resource.address.clone(), compare(resource, observed, manager)))
        })
        .collect()
}

/// What `resource` was observed to be, where each facet of it is as desired.
pub(crate) fn as_desired<'s>(
    resource: &Resource<'_>,
    snapshot: &'s Snapshot,
    comparisons: &Comparisons,
) -> Option<&'s Arc<Observed>> {
    let mut facets = comparisons.get(&resource.address)?.values();
    if !facets.all(|facet| matches!(facet, FacetComparison::Equal)) {
        return None;
    }
    let observation = snapshot.get(resource.key.as_ref()?)?.as_ref().ok()?;
    observation.present()
}

fn compare(
    resource: &Resource<'_>,
    observed: &Arc<Observed>,
    manager: &str,
) -> BTreeMap<Facet, FacetComparison> {
    let Some(kind) = &resource.kind else {
        return BTreeMap::new();
    };
    let as_desired = resource.as_desired.as_ref();
    if as_desired.is_some_and(|known| Arc::ptr_eq(known, observed)) {
        let facets = resource.facets.keys();
        return facets
            .map(|facet| (facet.clone(), FacetComparison::Equal))
            .collect();
    }
    let mut found = BTreeMap::new();
    let absent = match resource.variant {
        Some(variant) if !variant.absent.is_empty() => {
            places(kind, &variant.absent, &kind.document(observed))
        }
        _ => BTreeMap::new(),
    };
    for (facet, desired) in resource.facets.iter() {
        let absent = absent.get(facet);
        let take_over = take_over(resource, kind, facet, observed);
        // There may be thousands, and of most nothing is to be said that isn't in the document.
        let desired = if absent.is_some() || take_over.is_some() {
            let mut desired = desired.clone();
            desired.absent = absent.cloned().unwrap_or_default();
            desired.take_over = take_over;
            Cow::Owned(desired)
        } else {
            Cow::Borrowed(desired)
        };
        let desired = desired.as_ref();
        if let Some(FacetState::Unreadable(error)) = observed.facets.get(facet) {
            found.insert(facet.clone(), FacetComparison::Unreadable(error.clone()));
            continue;
        }
        let former = kind.taken_over(facet, desired, observed, manager);
        let yields = kind.yields(facet, desired, observed, manager);
        if yields.as_ref().is_some_and(|yields| yields.lacks.is_none()) {
            found.insert(facet.clone(), FacetComparison::Equal);
            continue;
        }
        let stamps = resource.stamps.get(facet).map(Vec::as_slice).unwrap_or_default();
        let mut resting = Cow::Borrowed(desired);
        if !stamps.is_empty() {
            // A stamp is no reason to write: until something else differs, what is there is left as observed.
            resting.to_mut().initial.extend(stamps.iter().cloned());
        }
        let mut differences = kind.compare(facet, &resting, Some(observed), manager);
        let at_rest = differences
            .iter()
            .all(|difference| stamps.contains(&difference.path));
        if at_rest && former.is_empty() {
            found.insert(facet.clone(), FacetComparison::Equal);
            continue;
        }
        let unknown = desired.value.has_unknown();
        if !unknown && !stamps.is_empty() {
            differences = kind.compare(facet, desired, Some(observed), manager);
        }
        let differing = Differing {
            fidelity: if unknown {
                Fidelity::Unknown
            } else {
                Fidelity::SchemaChecked
            },
            differences,
            write: set(kind, facet, desired, observed, manager),
            conflicts: Vec::new(),
            former,
            refused: yields.and_then(|yields| unwritten(observed, yields)),
        };
        found.insert(facet.clone(), FacetComparison::Different(Box::new(differing)));
    }
    found
}

/// Whose fields of `facet` become this policy's.
fn take_over(
    resource: &Resource<'_>,
    kind: &Arc<dyn Kind>,
    facet: &Facet,
    observed: &Observed,
) -> Option<TakeOver> {
    let declared = resource.variant?.take_over.as_ref()?;
    let scope = (!declared.scope.is_empty()).then(|| {
        let mut found = places(kind, &declared.scope, &kind.document(observed));
        found.remove(facet).unwrap_or_default()
    });
    Some(TakeOver {
        managers: declared.managers.clone(),
        scope,
    })
}

/// Why what yields and yet lacks something isn't written.
fn unwritten(observed: &Observed, yields: Yields) -> Option<ProviderError> {
    let Yields { why, lacks } = yields;
    Some(ProviderError::Invalid {
        target: observed.key.to_string(),
        message: format!(
            "{why}, and it is left as it is; but it lacks {}: bring it there where it is kept, or into this policy",
            lacks?
        ),
        field: None,
    })
}

/// What defines types may have been widened since it was observed: then it is looked at again, not narrowed.
fn guard(kind: &Arc<dyn Kind>, desired: &Desired, observed: &Observed) -> Guard {
    match &observed.version {
        Some(version) if !kind.defines(&observed.key, &desired.value).is_empty() => {
            Guard::Version(version.clone())
        }
        _ => Guard::Same,
    }
}

fn set(
    kind: &Arc<dyn Kind>,
    facet: &Facet,
    desired: &Desired,
    observed: &Arc<Observed>,
    manager: &str,
) -> Write {
    Write {
        key: observed.key.clone(),
        action: Action::Set {
            facet: facet.clone(),
            desired: Box::new(desired.clone()),
            observed: Arc::clone(observed),
        },
        guard: guard(kind, desired, observed),
        manager: manager.to_owned(),
        force: false,
    }
}
