//! What a watch tells, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use holdfast_contract::{
    Desired, Facet, Found, Mark, Observation, Observed, ProviderError, Query, ResourceKey, Seen, WatchStream,
    Watched,
};
use tokio::time::timeout;

use crate::drive::{converge, desired, present, split, wanted};
use crate::failure::Failure;
use crate::reading::same_thing;
use crate::subject::Subject;

/// For so long nothing more may come.
const QUIET: Duration = Duration::from_millis(500);

/// The watch; none where the subject says that this kind can't be watched.
fn begin(subject: &dyn Subject, watched: &Watched) -> Result<Option<WatchStream>, Failure> {
    let stream = subject.provider().watch(watched);
    match (subject.watches(), stream.is_some()) {
        (true, false) => Err(Failure::new("this provider can't watch, and should")),
        (false, true) => Err(Failure::new("this provider watches, and should not")),
        _ => Ok(stream),
    }
}

/// Reads on until `take` gives something.
async fn next_where<T>(
    subject: &dyn Subject,
    stream: &mut WatchStream,
    what: &str,
    mut take: impl FnMut(Seen) -> Option<Result<T, Failure>>,
) -> Result<T, Failure> {
    let search = async {
        while let Some(seen) = stream.next().await {
            if let Some(taken) = take(seen) {
                return taken;
            }
        }
        Err(Failure::new(format!("the watch ended before {what} showed")))
    };
    timeout(subject.patience(), search)
        .await
        .unwrap_or_else(|_| Err(Failure::new(format!("the watch never shows {what}"))))
}

/// Reads on until `key` is told so.
async fn one_where(
    subject: &dyn Subject,
    stream: &mut WatchStream,
    key: &ResourceKey,
    what: &str,
    is_so: &dyn Fn(&Observation) -> bool,
) -> Result<(), Failure> {
    next_where(subject, stream, &format!("{what} of {key}"), |seen| {
        let Seen::One(about, answer) = seen else {
            return None;
        };
        match answer {
            Err(error) => Some(Err(Failure::provider("watching", &about, &error))),
            Ok(observation) => (same_thing(&about, key) && is_so(&observation)).then_some(Ok(())),
        }
    })
    .await
}

fn differs(subject: &dyn Subject, facet: &Facet, wanted: &Desired, observed: &Observed) -> bool {
    let found = subject
        .kind()
        .compare(facet, wanted, Some(observed), subject.manager());
    !found.is_empty()
}

/// A provider says that it pushes where a watch gives a stream, and nowhere else.
#[allow(clippy::unused_async, reason = "as every behaviour is")]
pub async fn it_pushes_where_it_says_so(subject: &dyn Subject) -> Result<(), Failure> {
    let stream = begin(subject, &Watched::default())?;
    match (subject.provider().pushes(), stream.is_some()) {
        (false, true) => Err(Failure::new(
            "this provider watches, and says that it doesn't push",
        )),
        (true, false) => Err(Failure::new("this provider says that it pushes, and can't watch")),
        _ => Ok(()),
    }
}

/// A watch gives the present state, then each change from outside, and what is gone as absent.
pub async fn watch_reports_a_change_from_outside(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let question = Watched {
        wanted: vec![wanted(subject, &key)],
        ..Watched::default()
    };
    let Some(mut stream) = begin(subject, &question)? else {
        return Ok(());
    };
    let mut next_where = async |what: &str, is_so: &dyn Fn(&Observation) -> bool| {
        one_where(subject, &mut stream, &key, what, is_so).await
    };
    next_where("its absence", &|seen| seen.present().is_none()).await?;
    let facets = desired(subject, &key);
    converge(subject, &key, &facets).await?;
    next_where("its creation", &|seen| seen.present().is_some()).await?;
    for (facet, wanted) in &facets {
        if !subject.change_outside(&key, facet).await? {
            continue;
        }
        let differs = |seen: &Observation| {
            seen.present()
                .is_some_and(|observed| differs(subject, facet, wanted, observed))
        };
        next_where(&format!("a change of {facet}"), &differs).await?;
    }
    present(subject, &key).await?;
    subject.delete_outside(&key).await?;
    next_where("its deletion", &|seen| seen.present().is_none()).await
}

/// Many of a policy's own are told as they are, those without its mark among them; what is gone is absent.
pub async fn own_resources_are_watched_by_their_mark(subject: &dyn Subject) -> Result<(), Failure> {
    let mark = Mark {
        policy: "holdfast-system.conformance".to_owned(),
        identity: BTreeMap::new(),
    };
    let mut keys = Vec::new();
    for _ in 0..6 {
        keys.push(subject.fresh().await?);
    }
    let (there, missing) = keys.split_at(5);
    let question = Watched {
        own: keys.iter().map(|key| wanted(subject, key)).collect(),
        mark: Some(mark.policy.clone()),
        ..Watched::default()
    };
    if begin(subject, &question)?.is_none() {
        return Ok(());
    }
    let mut facets = BTreeMap::new();
    for (index, key) in there.iter().enumerate() {
        // The last of them lacks the mark.
        let desired = match subject.desired(key) {
            desired if index < 4 => subject.kind().mark(desired, &mark),
            desired => desired,
        };
        facets = split(subject, desired);
        converge(subject, key, &facets).await?;
    }
    let Some(mut stream) = begin(subject, &question)? else {
        return Ok(());
    };
    let is_present = |seen: &Observation| seen.present().is_some();
    let is_absent = |seen: &Observation| seen.present().is_none();
    let mut told = BTreeSet::new();
    next_where(subject, &mut stream, "each of its own", |seen| {
        let Seen::One(about, answer) = seen else {
            return None;
        };
        let is_there = there.iter().any(|key| same_thing(key, &about));
        match answer {
            Err(error) => return Some(Err(Failure::provider("watching", &about, &error))),
            Ok(observation) if is_present(&observation) != is_there => {
                return Some(Err(Failure::new(format!("{about} is told as what it isn't"))));
            }
            Ok(_) => told.insert(about.name),
        };
        (told.len() == 6).then_some(Ok(()))
    })
    .await?;
    let root = subject.kind().root_facet();
    for key in there {
        let Some(wanted) = facets.get(root) else { break };
        if subject.change_outside(key, root).await? {
            let differs = |seen: &Observation| {
                seen.present()
                    .is_some_and(|observed| differs(subject, root, wanted, observed))
            };
            one_where(subject, &mut stream, key, "a change", &differs).await?;
        }
        subject.delete_outside(key).await?;
        one_where(subject, &mut stream, key, "the deletion", &is_absent).await?;
    }
    for key in missing {
        let desired = subject.kind().mark(subject.desired(key), &mark);
        converge(subject, key, &split(subject, desired)).await?;
        one_where(subject, &mut stream, key, "the creation", &is_present).await?;
    }
    Ok(())
}

/// The query that finds `key`, and others whose name begins so.
fn query_of(key: &ResourceKey) -> Query {
    Query {
        kind: key.kind.clone(),
        api: key.api.clone(),
        namespace: key.namespace.clone(),
        selector: None,
        name_prefix: Some(key.name.clone()),
        read: BTreeSet::new(),
    }
}

/// A watch of a list gives the whole list, as a search would, then what is new in it, what changes, and what leaves it.
pub async fn a_watched_list_tells_what_comes_changes_and_goes(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let question = Watched {
        lists: vec![query_of(&key)],
        ..Watched::default()
    };
    let Some(mut stream) = begin(subject, &question)? else {
        return Ok(());
    };
    let find = |found: Vec<Found>| found.into_iter().find(|one| same_thing(&one.key, &key));
    let whole = async |stream: &mut WatchStream| {
        next_where(subject, stream, "the list", |seen| match seen {
            Seen::All(_, Ok(found)) => Some(Ok(find(found))),
            Seen::All(_, Err(error)) => Some(Err(Failure::provider("listing", &key, &error))),
            _ => None,
        })
        .await
    };
    if whole(&mut stream).await?.is_some() {
        return Err(Failure::new(format!("{key} was never made and is on a list")));
    }
    let facets = desired(subject, &key);
    converge(subject, &key, &facets).await?;
    let mut listed_where = async |what: &str, is_so: &dyn Fn(&Found) -> bool| {
        next_where(subject, &mut stream, what, |seen| match seen {
            Seen::Listed(_, found) if same_thing(&found.key, &key) => is_so(&found).then_some(Ok(())),
            Seen::Unlisted(_, gone) if same_thing(&gone, &key) => {
                Some(Err(Failure::new(format!("{key} leaves a list and is there"))))
            }
            Seen::All(_, Err(error)) => Some(Err(Failure::provider("listing", &key, &error))),
            _ => None,
        })
        .await
    };
    listed_where("the creation", &|_| true).await?;
    for (facet, wanted) in &facets {
        if subject.change_outside(&key, facet).await? {
            let differs = |found: &Found| {
                let observed = found.observed.as_ref();
                observed.is_some_and(|observed| differs(subject, facet, wanted, observed))
            };
            listed_where(&format!("a change of {facet}"), &differs).await?;
        }
    }
    let Some(mut other) = begin(subject, &question)? else {
        return Ok(());
    };
    let told = whole(&mut other).await?;
    let query = query_of(&key);
    let searched = subject.provider().find(&query).await;
    let searched = searched.map_err(|error| Failure::provider("searching", &key, &error))?;
    match (told, find(searched)) {
        (Some(told), Some(found)) if told.document == found.document => {}
        _ => {
            return Err(Failure::new(format!(
                "{key} isn't on a list as a search finds it"
            )));
        }
    }
    subject.delete_outside(&key).await?;
    next_where(subject, &mut stream, "the deletion", |seen| match seen {
        Seen::Unlisted(_, gone) if same_thing(&gone, &key) => Some(Ok(())),
        _ => None,
    })
    .await
}

/// What is of a type that the server doesn't know is told so once, and is never absent.
pub async fn a_watch_of_an_unserved_kind_says_so_once(subject: &dyn Subject) -> Result<(), Failure> {
    let Some(key) = subject.unserved() else {
        return Ok(());
    };
    let question = Watched {
        wanted: vec![wanted(subject, &key)],
        lists: vec![query_of(&key)],
        ..Watched::default()
    };
    let Some(mut stream) = begin(subject, &question)? else {
        return Ok(());
    };
    let mut told = 0_usize;
    let is_told = |seen: &Seen| {
        matches!(
            seen,
            Seen::One(_, Err(ProviderError::NotServed { .. }))
                | Seen::All(_, Err(ProviderError::NotServed { .. }))
        )
    };
    next_where(subject, &mut stream, "that it isn't served", |seen| {
        if !is_told(&seen) {
            return Some(Err(Failure::new(format!(
                "{key} is of a type that isn't served, and is told as if it were"
            ))));
        }
        told = told.saturating_add(1);
        (told == 2).then_some(Ok(()))
    })
    .await?;
    match timeout(QUIET, stream.next()).await {
        Ok(_) => Err(Failure::new(format!("that {key} isn't served is told again"))),
        Err(_) => Ok(()),
    }
}
