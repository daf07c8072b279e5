//! Asking the server what a write would do.

use holdfast_contract::{
    Action, Change, Desired, Difference, Facet, Fidelity, Guard, Kind as _, Observed, Path, Preview,
    ProviderError, Value, Write,
};
use serde_json::{Value as Json, json};

use crate::client::Failure;
use crate::diff::diff;
use crate::discovery::Resource;
use crate::kind::{OBJECT, STATUS};
use crate::lists::{self, Type};
use crate::observe::observed as read;
use crate::owned::our_set;
use crate::provider::Server;
use crate::secret::Taint;
use crate::takeover::{Moved, moved, with_claims};
use crate::write::{Apply, Sent, deletion, managed_fields, resource_of};
use crate::{merge, types};

mod disputes;
mod verdicts;

use disputes::{explain, is_of_a_changed_value};
pub(crate) use verdicts::Verdicts;
use verdicts::verdict_key;

/// What `write` would do.
pub(crate) async fn preview(server: &Server, write: &Write) -> Result<Preview, ProviderError> {
    let resource = match resource_of(server, &write.key).await {
        Ok(resource) => resource,
        // The type comes with another write of the same plan.
        Err(ProviderError::NotServed { .. }) if matches!(write.action, Action::Create { .. }) => {
            return Ok(local(server, write));
        }
        Err(error) => return Err(error),
    };
    match &write.action {
        Action::Create { facets } => {
            let Some(desired) = facets.get(&Facet::from(OBJECT)) else {
                return Ok(local(server, write));
            };
            if desired.value.has_unknown() {
                return Ok(local(server, write));
            }
            let apply = Apply::new(server, write, &resource, &OBJECT.into(), desired, None)?;
            let sent = Sent {
                dry_run: true,
                force: false,
            };
            match apply.try_send(server, sent).await {
                Ok(_) => Ok(Preview {
                    fidelity: Fidelity::ServerVerified,
                    ..local(server, write)
                }),
                Err(failure) => refused(server, write, &apply, failure),
            }
        }
        Action::Set {
            facet,
            desired,
            observed,
        } => set(server, write, &resource, facet, desired, observed).await,
        Action::Delete { observed } => {
            let call = deletion(&resource, write, observed, true)?;
            let fidelity = match server.client.call(&call).await {
                Ok(_) => Fidelity::ServerVerified,
                Err(Failure::Lost(error)) => return Err(error),
                Err(Failure::Refused(_)) => Fidelity::Predicted,
            };
            Ok(Preview {
                fidelity,
                ..local(server, write)
            })
        }
    }
}

/// What the kind's own rules say, without the server.
fn local(server: &Server, write: &Write) -> Preview {
    let (differences, unknown) = match &write.action {
        Action::Create { facets } => match facets.get(&Facet::from(OBJECT)) {
            Some(desired) => (merge::creation(desired), desired.value.has_unknown()),
            None => (Vec::new(), false),
        },
        Action::Set {
            facet,
            desired,
            observed,
        } => {
            let differences = server
                .kind
                .compare(facet, desired, Some(observed), &write.manager);
            (differences, desired.value.has_unknown())
        }
        Action::Delete { observed } => {
            let old = observed.value(&OBJECT.into()).cloned().unwrap_or_default();
            (vec![Difference::new(Path::root(), Change::Remove { old })], false)
        }
    };
    Preview {
        differences,
        fidelity: if unknown {
            Fidelity::Unknown
        } else {
            Fidelity::Predicted
        },
        conflicts: Vec::new(),
    }
}

/// A dry run that the server doesn't do says nothing about the write; a document that it doesn't take does.
fn refused(
    server: &Server,
    write: &Write,
    apply: &Apply<'_>,
    failure: Failure,
) -> Result<Preview, ProviderError> {
    let status = match failure {
        Failure::Lost(error) => return Err(error),
        Failure::Refused(status) => status,
    };
    let error = apply.meaning(&status);
    let verdict = match &error {
        ProviderError::Immutable { .. }
        | ProviderError::Throttled { .. }
        | ProviderError::Unauthenticated { .. } => true,
        // A creation's namespace may come with another write of the same plan, and so may its type.
        ProviderError::Conflict { .. } => matches!(write.action, Action::Set { .. }),
        // What the schema says is the server's own word; other refusals are those of admission and webhooks.
        ProviderError::Invalid { .. } => status.code == 422 || status.is_misfit(),
        _ => false,
    };
    if verdict {
        Err(error)
    } else {
        Ok(local(server, write))
    }
}

async fn set(
    server: &Server,
    write: &Write,
    resource: &Resource,
    facet: &Facet,
    desired: &Desired,
    observed: &Observed,
) -> Result<Preview, ProviderError> {
    if desired.value.has_unknown() {
        return Ok(local(server, write));
    }
    if let Some(moved) = moved(facet, desired, observed, &write.manager) {
        return take_over(server, write, resource, facet, desired, observed, &moved).await;
    }
    // Where foreign content is to go, all that is there counts, and not only what is declared.
    let whole = !desired.absent.is_empty() || !desired.exact.is_empty();
    let key = verdict_key(server, write, facet, desired, observed);
    if !whole && server.verdicts.is_equal(&key) {
        return Ok(Preview {
            differences: Vec::new(),
            fidelity: Fidelity::ServerVerified,
            conflicts: Vec::new(),
        });
    }
    // A dry run is not refused for a version that has moved on meanwhile.
    let unguarded = Write {
        guard: Guard::Same,
        ..write.clone()
    };
    let apply = Apply::new(server, &unguarded, resource, facet, desired, Some(observed))?;
    // With force: the answer then shows the result also where others hold fields. Which they are is found below.
    let sent = Sent {
        dry_run: true,
        force: true,
    };
    let answer = match apply.try_send(server, sent).await {
        Ok(answer) => answer,
        Err(failure) => return refused(server, write, &apply, failure),
    };
    let after = read(&write.key, answer.body)?;
    let preview = compared(server, write, facet, desired, observed, &after);
    if preview.differences.is_empty() {
        server.verdicts.equal(key);
    }
    Ok(preview)
}

/// What taking over from former managers would do, and the rest of the write with it.
///
/// An apply in a dry run shows no removal while the former managers still hold the fields. So what the apply would
/// make is computed here, from the field sets, and the server is asked to take that as one patch: it checks it, fills
/// in its defaults, and its answer is compared with what is observed.
async fn take_over(
    server: &Server,
    write: &Write,
    resource: &Resource,
    facet: &Facet,
    desired: &Desired,
    observed: &Observed,
    taken: &Moved,
) -> Result<Preview, ProviderError> {
    let apply = Apply::new(server, write, resource, facet, desired, Some(observed))?;
    let merged = server.kind.merge(facet, desired, Some(observed), &write.manager);
    let patch = replacement(facet, observed, &merged, taken);
    let answer = match apply.try_patch(server, &patch, true).await {
        Ok(answer) => answer,
        Err(failure) => return refused(server, write, &apply, failure),
    };
    let after = read(&write.key, answer.body)?;
    let empty = Value::map();
    let document = |observed: &Observed| observed.value(facet).cloned().unwrap_or_else(|| empty.clone());
    let (old, new) = (document(observed), document(&after));
    let held = server.kind.owners(facet, Some(&taken.observed), &write.manager);
    let mut found = diff(type_of(write), &old, &new, &held);
    let conflicts = explain(&mut found, &held, &old, &desired.value);
    let local = server
        .kind
        .compare(facet, desired, Some(observed), &write.manager);
    let mut found = with_claims(found, local);
    seal(&old, &mut found, desired);
    Ok(Preview {
        differences: found,
        fidelity: Fidelity::ServerVerified,
        conflicts,
    })
}

/// The patch that makes of `observed` what `merged` says, a facet's document.
fn replacement(facet: &Facet, observed: &Observed, merged: &Value, taken: &Moved) -> Json {
    const METADATA: [&str; 4] = ["annotations", "finalizers", "labels", "ownerReferences"];
    if facet.as_str() == STATUS {
        return json!([{ "op": "add", "path": "/status", "value": merged.expose_json() }]);
    }
    let mut operations =
        vec![json!({ "op": "replace", "path": "/metadata/managedFields", "value": managed_fields(taken) })];
    let mut lay =
        |prefix: &str, before: Option<&Value>, after: Option<&Value>, wanted: &dyn Fn(&str) -> bool| {
            let keys = |value: Option<&Value>| -> Vec<String> {
                let entries = value.and_then(Value::as_map);
                entries
                    .map(|entries| entries.keys().cloned().collect())
                    .unwrap_or_default()
            };
            let (old, new) = (keys(before), keys(after));
            for key in old.iter().chain(new.iter().filter(|key| !old.contains(key))) {
                let there = before.and_then(|before| before.get(key));
                let value = after.and_then(|after| after.get(key));
                if !wanted(key) || there == value {
                    continue;
                }
                let path = format!("{prefix}/{}", key.replace('~', "~0").replace('/', "~1"));
                operations.push(match value.and_then(Value::expose_json) {
                    Some(value) => json!({ "op": "add", "path": path, "value": value }),
                    None => json!({ "op": "remove", "path": path }),
                });
            }
        };
    let object = observed.value(&OBJECT.into());
    lay("", object, Some(merged), &|key| {
        !matches!(key, "apiVersion" | "kind" | "metadata")
    });
    let metadata = |document: Option<&Value>| document.and_then(|document| document.get("metadata")).cloned();
    let (before, after) = (metadata(object), metadata(Some(merged)));
    lay("/metadata", before.as_ref(), after.as_ref(), &|key| {
        METADATA.contains(&key)
    });
    Json::Array(operations)
}

fn type_of(write: &Write) -> Type<'_> {
    let api = write.key.api.as_ref();
    Type {
        kind: api.map_or("", |api| api.kind.as_str()),
        built_in: api.is_some_and(types::is_built_in),
    }
}

/// What the dry run's answer `after` says.
fn compared(
    server: &Server,
    write: &Write,
    facet: &Facet,
    desired: &Desired,
    before: &Observed,
    after: &Observed,
) -> Preview {
    let empty = Value::map();
    let document = |observed: &Observed| observed.value(facet).cloned().unwrap_or_else(|| empty.clone());
    let (old, new) = (document(before), document(after));
    let held = server.kind.owners(facet, Some(before), &write.manager);
    let to_hold = server.kind.owners(facet, Some(after), &write.manager);
    let local = server.kind.compare(facet, desired, Some(before), &write.manager);
    let mut found = diff(type_of(write), &old, &new, &to_hold);
    if before.version != after.version {
        // Somebody wrote it since it was observed: what differs where nothing is to change is their doing, not ours.
        found.retain(|one| {
            local.iter().any(|wanted| {
                lists::is_below(&one.path, &wanted.path) || lists::is_below(&wanted.path, &one.path)
            })
        });
    }
    let conflicts = explain(&mut found, &held, &old, &desired.value);
    let changed: Vec<Path> = found.iter().map(|one| one.path.clone()).collect();
    for difference in local {
        let seen = changed
            .iter()
            .any(|one| lists::is_below(one, &difference.path) || lists::is_below(&difference.path, one));
        if seen {
            continue;
        }
        let foreign = desired.absent.contains(&difference.path)
            || desired
                .exact
                .iter()
                .any(|exact| difference.path.starts_with(exact));
        let newly_ours =
            !held.at(&difference.path, &old).ours.any() && to_hold.at(&difference.path, &new).ours.any();
        if !foreign && is_of_a_changed_value(&difference.path, &changed, &held, &old) {
            continue;
        }
        match difference.change {
            // Taken out by a patch after the apply, which the dry run can't show.
            Change::Remove { .. } if foreign => found.push(difference),
            Change::Claim if gains(before, after, &write.manager, facet) => found.push(difference),
            // The same value in other words, and not ours yet.
            Change::Add { .. } | Change::Replace { .. } if newly_ours => found.push(Difference {
                change: Change::Claim,
                ..difference
            }),
            _ => {}
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    seal(&old, &mut found, desired);
    Preview {
        differences: found,
        fidelity: Fidelity::ServerVerified,
        conflicts,
    }
}

/// Whether the apply would change what we hold.
fn gains(before: &Observed, after: &Observed, manager: &str, facet: &Facet) -> bool {
    let set = |observed: &Observed| {
        let object = observed.value(&OBJECT.into())?;
        our_set(object, manager, facet.as_str() == STATUS).cloned()
    };
    set(before) != set(after)
}

/// Seals what is secret by where it was declared, as the server shows it in plain.
fn seal(old: &Value, found: &mut [Difference], desired: &Desired) {
    for difference in found.iter_mut() {
        let declared = desired.value.at_path(&difference.path);
        if declared.is_none_or(|declared| !declared.is_sensitive()) {
            continue;
        }
        let there = old.at_path(&difference.path);
        difference.change = match (&difference.change, there) {
            (Change::Replace { new, .. }, Some(old)) => Change::Replace {
                old: old.clone().sealed(),
                new: new.clone().sealed(),
            },
            (Change::Add { new }, _) => Change::Add {
                new: new.clone().sealed(),
            },
            (Change::Remove { old }, _) => Change::Remove {
                old: old.clone().sealed(),
            },
            (other, _) => other.clone(),
        };
    }
    Taint::of(&desired.value).seal_all(found);
}
