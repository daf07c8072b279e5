//! Asks the servers about local differences: a server that rewrites what it is given has the last word.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use holdfast_contract::{
    Change, Facet, Fidelity, Kind, Path, Preview, Provider, ProviderError, ProviderName,
};

use crate::address::Address;
use crate::diff::{Comparisons, Differing, FacetComparison};
use crate::graph::ResourceGraph;

/// How many dry runs are asked for at once.
const CONCURRENT_PREVIEWS: usize = 16;

/// What a server said of one facet; none: its provider isn't open.
type Answer = (Address, Facet, Option<Result<Preview, ProviderError>>);

/// Refines every local difference of a kind that wants it, or strikes it as equal. Writes nothing.
pub async fn preview(
    comparisons: &mut Comparisons,
    graph: &ResourceGraph<'_>,
    providers: &BTreeMap<ProviderName, Arc<dyn Provider>>,
) {
    let kinds: BTreeMap<&Address, &Arc<dyn Kind>> = graph
        .resources
        .iter()
        .filter_map(|resource| Some((&resource.address, resource.kind.as_ref()?)))
        .collect();
    let asked = comparisons.iter().flat_map(|(address, facets)| {
        let kind = kinds.get(address);
        facets.iter().filter_map(move |(facet, comparison)| {
            let FacetComparison::Different(differing) = comparison else {
                return None;
            };
            let wanted = kind.is_some_and(|kind| kind.wants_preview(facet))
                && differing.fidelity != Fidelity::Unknown
                && differing.refused.is_none();
            wanted.then(|| (address.clone(), facet.clone(), differing.write.clone()))
        })
    });
    let asked: Vec<_> = asked.collect();
    let answers: Vec<Answer> = stream::iter(asked.into_iter().map(|(address, facet, write)| async move {
        let answer = match providers.get(&write.key.provider) {
            Some(provider) => Some(provider.preview(&write).await),
            None => None,
        };
        (address, facet, answer)
    }))
    .buffer_unordered(CONCURRENT_PREVIEWS)
    .collect()
    .await;
    for (address, facet, answer) in answers {
        let Some(comparison) = comparisons
            .get_mut(&address)
            .and_then(|facets| facets.get_mut(&facet))
        else {
            continue;
        };
        let FacetComparison::Different(differing) = comparison else {
            continue;
        };
        match answer {
            Some(Ok(preview)) if preview.differences.is_empty() => {
                // Another value stands there than is declared, and the same write would leave it there.
                let replaced = differing.differences.iter();
                let replaced = replaced.filter(|one| matches!(one.change, Change::Replace { .. }));
                let kept: Vec<Path> = replaced.map(|one| one.path.clone()).collect();
                *comparison = if kept.is_empty() {
                    FacetComparison::Equal
                } else {
                    FacetComparison::Overridden(kept)
                };
            }
            Some(Ok(preview)) => refine(differing, preview),
            Some(Err(error)) if error.is_transient() => differing.fidelity = Fidelity::Predicted,
            Some(Err(error)) => differing.refused = Some(error),
            None => {}
        }
    }
}

fn refine(differing: &mut Differing, preview: Preview) {
    let Preview {
        differences,
        fidelity,
        conflicts,
    } = preview;
    differing.differences = differences;
    differing.fidelity = fidelity;
    differing.conflicts = conflicts;
}
