//! Creating, guarding and deleting.

use holdfast_contract::{Action, Guard, Observed, ProviderError, ResourceKey, Write};

use crate::drive::{
    converge, create, delete, desired, differing, list, observe, present, set, until_absent, until_differs,
    write,
};
use crate::failure::Failure;
use crate::subject::Subject;

/// What was created is observed as desired, in every facet, with nothing left to write.
pub async fn create_then_observe_is_equal(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let facets = desired(subject, &key);
    converge(subject, &key, &facets).await?;
    let observed = present(subject, &key).await?;
    let differing = differing(subject, &observed, &facets).await?;
    if differing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{key} was created and still differs at {}",
        list(&differing)
    )))
}

/// The same creation twice, one after the other and at the same time, leaves one resource, as desired.
pub async fn creating_twice_leaves_one(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let facets = desired(subject, &key);
    let creation = create(subject, &key, &facets);
    let (one, other) = futures::join!(
        subject.provider().write(&creation),
        subject.provider().write(&creation)
    );
    for answer in [&one, &other] {
        if let Err(error) = answer {
            refused_as_existing("creating at the same time", &key, error)?;
        }
    }
    if one.is_err() && other.is_err() {
        return Err(Failure::new(format!(
            "{key}: of two creations at the same time none succeeded"
        )));
    }
    let first = converge(subject, &key, &facets).await?;
    if let Err(error) = subject.provider().write(&creation).await {
        refused_as_existing("creating again", &key, &error)?;
    }
    let second = present(subject, &key).await?;
    if first.uid != second.uid {
        return Err(Failure::new(format!(
            "{key}: creating it again made another one in its place"
        )));
    }
    let differing = differing(subject, &second, &facets).await?;
    if differing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{key}: creating it again undid {}",
        list(&differing)
    )))
}

fn refused_as_existing(what: &str, key: &ResourceKey, error: &ProviderError) -> Result<(), Failure> {
    match error {
        ProviderError::Conflict { .. } => Ok(()),
        other => Err(Failure::provider(
            &format!("{what} (a conflict is fine)"),
            key,
            other,
        )),
    }
}

/// A write that names an older version than the one that stands is a conflict, and changes nothing.
///
/// Where versions aren't counted, the document as it was planned on stands in for one: a write may be refused, or be
/// merged into what stands now; what somebody else wrote in between is not lost.
pub async fn a_conflicting_version_is_refused(subject: &dyn Subject) -> Result<(), Failure> {
    for facet in subject.kind().facets() {
        let key = subject.fresh().await?;
        let facets = desired(subject, &key);
        let (Some(wanted), Some(changed)) = (facets.get(facet), subject.changed(&key, facet)) else {
            continue;
        };
        let planned_on = converge(subject, &key, &facets).await?;
        if planned_on.version.is_none() {
            let planted = subject.plant_outside(&key, facet).await?;
            match subject
                .provider()
                .write(&set(subject, &planned_on, facet, &changed))
                .await
            {
                Ok(_) | Err(ProviderError::Conflict { .. }) => {}
                Err(error) => {
                    return Err(Failure::provider(
                        "writing with an outdated document",
                        &key,
                        &error,
                    ));
                }
            }
            let after = present(subject, &key).await?;
            crate::drive::still_planted(&after, facet, &planted, "a write planned before it was there")?;
            continue;
        }
        if !subject.change_outside(&key, facet).await? {
            continue;
        }
        let moved = until_differs(subject, &key, facet, wanted).await?;
        if moved.version == planned_on.version {
            return Err(Failure::new(format!(
                "{key}: {facet} changed from outside under the same version"
            )));
        }
        let stale = set(subject, &planned_on, facet, &changed);
        expect_conflict(subject, "a write that names an older version", &stale).await?;
        let after = present(subject, &key).await?;
        if after.version != moved.version {
            return Err(Failure::new(format!(
                "{key}: a write of {facet} was refused as a conflict and yet moved the version"
            )));
        }
    }
    Ok(())
}

/// A write planned on a resource that is gone, or that was made anew since, is a conflict: it neither brings the old
/// one back nor touches the new one.
pub async fn a_missing_resource_is_not_resurrected(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let facets = desired(subject, &key);
    let first = converge(subject, &key, &facets).await?;
    subject.delete_outside(&key).await?;
    until_absent(subject, &key).await?;
    let writes = planned_writes(subject, &first);
    for stale in &writes {
        expect_conflict(subject, "a write of what is gone", stale).await?;
        if observe(subject, &key).await?.present().is_some() {
            return Err(Failure::new(format!(
                "{key}: a write of what is gone brought it back"
            )));
        }
    }
    if first.uid.is_none() {
        // Without ids two incarnations can't be told apart.
        return Ok(());
    }
    let second = converge(subject, &key, &facets).await?;
    for mut stale in writes {
        stale.guard = Guard::Same;
        expect_conflict(subject, "a write planned on an earlier incarnation", &stale).await?;
    }
    expect_conflict(
        subject,
        "a delete planned on an earlier incarnation",
        &delete(subject, &first),
    )
    .await?;
    let after = present(subject, &key).await?;
    if after.uid == second.uid && after.version == second.version {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{key}: a write planned on an earlier incarnation touched the new one"
    )))
}

/// One write for each facet that can change, as planned on `observed`.
fn planned_writes(subject: &dyn Subject, observed: &Observed) -> Vec<Write> {
    subject
        .kind()
        .facets()
        .iter()
        .filter(|facet| observed.facets.contains_key(*facet))
        .filter_map(|facet| {
            let changed = subject.changed(&observed.key, facet)?;
            Some(set(subject, observed, facet, &changed))
        })
        .collect()
}

async fn expect_conflict(subject: &dyn Subject, what: &str, write: &Write) -> Result<(), Failure> {
    let facet = match &write.action {
        Action::Set { facet, .. } => facet.as_str(),
        Action::Create { .. } | Action::Delete { .. } => "all",
    };
    match subject.provider().write(write).await {
        Err(ProviderError::Conflict { .. }) => Ok(()),
        Err(error) => Err(Failure::new(format!(
            "{what} ({facet} of {}) must be a conflict, and is: {error}",
            write.key
        ))),
        Ok(_) => Err(Failure::new(format!(
            "{what} ({facet} of {}) must be a conflict, and was accepted",
            write.key
        ))),
    }
}

/// Deleting what is gone already succeeds.
pub async fn second_delete_succeeds(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let observed = converge(subject, &key, &desired(subject, &key)).await?;
    let deletion = delete(subject, &observed);
    write(subject, "deleting", &deletion).await?;
    until_absent(subject, &key).await?;
    write(subject, "deleting again", &deletion).await?;
    until_absent(subject, &key).await
}

/// What holds content isn't deleted, and the content stays.
pub async fn deleting_what_holds_content_is_refused(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let facets = desired(subject, &key);
    converge(subject, &key, &facets).await?;
    if !subject.fill_outside(&key).await? {
        return Ok(());
    }
    let observed = present(subject, &key).await?;
    if subject
        .provider()
        .write(&delete(subject, &observed))
        .await
        .is_ok()
    {
        return Err(Failure::new(format!(
            "{key} holds content, and deleting it succeeded"
        )));
    }
    let after = present(subject, &key).await?;
    let differing = differing(subject, &after, &facets).await?;
    if differing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{key}: a refused delete changed {}",
        list(&differing)
    )))
}
