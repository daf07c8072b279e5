//! What would be, without making it so.

use holdfast_contract::{Fidelity, Write};

use crate::drive::{converge, create, delete, desired, observe, present, set};
use crate::failure::Failure;
use crate::subject::Subject;

/// Previews of a creation, of changes and of a deletion leave everything as it was.
pub async fn preview_writes_nothing(subject: &dyn Subject) -> Result<(), Failure> {
    let missing = subject.fresh().await?;
    let creation = create(subject, &missing, &desired(subject, &missing));
    preview(subject, "a creation", &creation).await?;
    if observe(subject, &missing).await?.present().is_some() {
        return Err(Failure::new(format!(
            "{missing} exists after a preview of its creation"
        )));
    }
    let key = subject.fresh().await?;
    let facets = desired(subject, &key);
    let before = converge(subject, &key, &facets).await?;
    for facet in facets.keys() {
        let Some(changed) = subject.changed(&key, facet) else {
            continue;
        };
        let differences = preview(subject, "a change", &set(subject, &before, facet, &changed)).await?;
        if differences == 0 {
            return Err(Failure::new(format!(
                "{key}: the preview of a change of {facet} shows none"
            )));
        }
    }
    preview(subject, "a deletion", &delete(subject, &before)).await?;
    let after = present(subject, &key).await?;
    if after.version != before.version || after.uid != before.uid {
        return Err(Failure::new(format!("{key}: its version moved with a preview")));
    }
    for facet in facets.keys() {
        if before.value(facet) != after.value(facet) {
            return Err(Failure::new(format!("{key}: a preview changed {facet}")));
        }
    }
    Ok(())
}

/// The preview of a write that would change nothing says so.
pub async fn preview_of_equal_is_empty(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let facets = desired(subject, &key);
    let observed = converge(subject, &key, &facets).await?;
    for (facet, desired) in &facets {
        let write = set(subject, &observed, facet, desired);
        let preview = subject
            .provider()
            .preview(&write)
            .await
            .map_err(|error| Failure::provider(&format!("previewing {facet} of"), &key, &error))?;
        if let Some(first) = preview.differences.first() {
            return Err(Failure::new(format!(
                "{key}: {facet} is as desired, and its preview differs at {}",
                first.path
            )));
        }
        if subject.kind().wants_preview(facet) && preview.fidelity != Fidelity::ServerVerified {
            return Err(Failure::new(format!(
                "{key}: the kind wants {facet} previewed by the server, and the server wasn't asked"
            )));
        }
    }
    Ok(())
}

async fn preview(subject: &dyn Subject, what: &str, write: &Write) -> Result<usize, Failure> {
    subject
        .provider()
        .preview(write)
        .await
        .map(|preview| preview.differences.len())
        .map_err(|error| Failure::provider(&format!("previewing {what} of"), &write.key, &error))
}
