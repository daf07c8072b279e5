//! Drift, and what isn't ours.

use holdfast_contract::{Facet, Observed, Value, remove};

use crate::drive::{
    converge, desired, difference, differing, list, present, set, still_planted, until_differs, write,
};
use crate::failure::Failure;
use crate::subject::Subject;

/// Each facet that is changed from outside is seen to differ, alone, and is brought back by one write that leaves
/// the documents of all others as they were.
pub async fn each_facet_is_repaired_alone(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let facets = desired(subject, &key);
    for facet in subject.kind().facets() {
        let Some(wanted) = facets.get(facet) else {
            continue;
        };
        let before = converge(subject, &key, &facets).await?;
        if !subject.change_outside(&key, facet).await? {
            continue;
        }
        let drifted = until_differs(subject, &key, facet, wanted).await?;
        let mut others = differing(subject, &drifted, &facets).await?;
        others.remove(facet);
        if !others.is_empty() {
            return Err(Failure::new(format!(
                "{key}: only {facet} was changed from outside, and these differ too: {}",
                list(&others)
            )));
        }
        write(
            subject,
            &format!("repairing {facet} of"),
            &set(subject, &drifted, facet, wanted),
        )
        .await?;
        let after = converge(subject, &key, &facets).await?;
        untouched(subject, facet, &before, &after)?;
    }
    Ok(())
}

fn untouched(
    subject: &dyn Subject,
    written: &Facet,
    before: &Observed,
    after: &Observed,
) -> Result<(), Failure> {
    let document = |observed: &Observed, facet: &Facet| {
        let mut document = observed.value(facet).map_or(Value::Null, Value::clone);
        remove(&mut document, &subject.volatile(facet));
        document
    };
    for facet in before.facets.keys().filter(|facet| *facet != written) {
        if document(before, facet) != document(after, facet) {
            return Err(Failure::new(format!(
                "{}: repairing {written} also changed the document of {facet}",
                after.key
            )));
        }
    }
    Ok(())
}

/// What others put into a facet survives a change of what is declared there, and the change back.
pub async fn foreign_content_survives_every_write(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let facets = desired(subject, &key);
    for facet in subject.kind().facets() {
        let Some(wanted) = facets.get(facet) else {
            continue;
        };
        converge(subject, &key, &facets).await?;
        let planted = subject.plant_outside(&key, facet).await?;
        if planted.is_empty() {
            continue;
        }
        let before = present(subject, &key).await?;
        still_planted(&before, facet, &planted, "being planted")?;
        let differences = difference(subject, &before, facet, wanted).await?;
        if let Some(first) = differences.first() {
            return Err(Failure::new(format!(
                "{key}: foreign content in {facet} is held for drift at {}",
                first.path
            )));
        }
        for desired in subject.changed(&key, facet).iter().chain([wanted]) {
            let planned_on = present(subject, &key).await?;
            write(
                subject,
                &format!("changing {facet} of"),
                &set(subject, &planned_on, facet, desired),
            )
            .await?;
            let mut one = facets.clone();
            one.insert(facet.clone(), desired.clone());
            let after = converge(subject, &key, &one).await?;
            still_planted(&after, facet, &planted, "a write of the declared part")?;
        }
    }
    Ok(())
}
