//! The conformance suite notices a provider that misbehaves: each flaw here is one that a real provider had or could
//! have, and each is found by the behaviour that is there for it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;
#[path = "common/subject.rs"]
mod subject;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::iter;
use holdfast_conformance::{Failure, run_all};
use holdfast_contract::{
    Action, ApiType, Change, Desired, Difference, Facet, FacetState, Found, Guard, Kind, Observation,
    Observed, Path, Preview, Provider, ProviderError, ProviderName, Query, Seen, Served, Value, Wanted,
    WatchStream, Watched, Write, Written,
};
use holdfast_kubernetes::ObjectKind;
use serde_json::json;
use subject::{InMemory, Wrap, buckets, custom_objects, secrets};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    ErrorsAreAbsence,
    OneUnreadableFacetHidesAll,
    AnswersBackwards,
    FindsOnePage,
    FindsTwice,
    WritesWholeDocuments,
    WritesEverythingAgain,
    IgnoresGuards,
    Resurrects,
    ReplacesWhatExists,
    FailsOnSecondDelete,
    HidesRefusedDelete,
    CreatesInHalves,
    ShowsSecrets,
    PreviewsByWriting,
    PreviewsEqualAsDifferent,
    SaysNotThatItPushes,
    WatchesOnce,
    TakesUnmarkedForAbsent,
    TellsNoEndOfAList,
    TellsUnservedTwice,
}

/// A provider with a flaw.
#[derive(Debug)]
struct Flawed {
    inner: Arc<dyn Provider>,
    flaw: Flaw,
}

impl Flawed {
    async fn now(&self, write: &Write) -> Option<Arc<Observed>> {
        let wanted = Wanted {
            key: write.key.clone(),
            facets: [
                "object",
                "status",
                "tags",
                "publicAccessBlock",
                "versioning",
                "lifecycle",
                "encryption",
            ]
            .map(Into::into)
            .into(),
        };
        match self.inner.observe(&[wanted]).await.remove(0) {
            Ok(Observation::Present(observed)) => Some(observed),
            _ => None,
        }
    }

    fn seen(&self, answer: Result<Observation, ProviderError>) -> Result<Observation, ProviderError> {
        match (self.flaw, answer) {
            (Flaw::ErrorsAreAbsence, Err(_)) => Ok(Observation::Absent),
            (Flaw::OneUnreadableFacetHidesAll, Ok(Observation::Present(observed))) => {
                for state in observed.facets.values() {
                    if let FacetState::Unreadable(error) = state {
                        return Err(error.clone());
                    }
                }
                Ok(Observation::Present(observed))
            }
            (Flaw::ShowsSecrets, Ok(Observation::Present(mut observed))) => {
                for state in Arc::make_mut(&mut observed).facets.values_mut() {
                    if let FacetState::Set(value) = state {
                        *value = Value::from_json(value.expose_json().unwrap());
                    }
                }
                Ok(Observation::Present(observed))
            }
            (_, answer) => answer,
        }
    }
}

#[async_trait]
impl Provider for Flawed {
    fn name(&self) -> &ProviderName {
        self.inner.name()
    }

    async fn observe(&self, wanted: &[Wanted]) -> Vec<Result<Observation, ProviderError>> {
        let answers = self.inner.observe(wanted).await.into_iter();
        let mut answers: Vec<_> = answers.map(|answer| self.seen(answer)).collect();
        if self.flaw == Flaw::AnswersBackwards {
            answers.reverse();
        }
        answers
    }

    async fn find(&self, query: &Query) -> Result<Vec<Found>, ProviderError> {
        let mut found = self.inner.find(query).await?;
        match self.flaw {
            Flaw::FindsOnePage => found.truncate(10),
            Flaw::FindsTwice => found.extend_from_within(..1),
            _ => {}
        }
        Ok(found)
    }

    async fn served(
        &self,
        apis: &[ApiType],
        refresh: bool,
    ) -> Result<BTreeMap<ApiType, Served>, ProviderError> {
        self.inner.served(apis, refresh).await
    }

    async fn preview(&self, write: &Write) -> Result<Preview, ProviderError> {
        let mut preview = self.inner.preview(write).await?;
        if self.flaw == Flaw::PreviewsByWriting {
            self.inner.write(write).await?;
        }
        if self.flaw == Flaw::PreviewsEqualAsDifferent && preview.differences.is_empty() {
            preview
                .differences
                .push(Difference::new(Path::root(), Change::Claim));
        }
        Ok(preview)
    }

    async fn write(&self, write: &Write) -> Result<Written, ProviderError> {
        let mut flawed = write.clone();
        match (self.flaw, write.action.clone()) {
            (
                Flaw::WritesWholeDocuments,
                Action::Set {
                    facet,
                    mut desired,
                    observed,
                },
            ) => {
                desired.exact.push(Path::root());
                flawed.action = Action::Set {
                    facet,
                    desired,
                    observed,
                };
            }
            (Flaw::WritesEverythingAgain, Action::Set { facet, observed, .. })
                if facet.as_str() == "tags" =>
            {
                let other = Desired::new(Value::from_json(json!({"mfaDelete": "Disabled"})));
                self.inner
                    .write(&set(write, "versioning".into(), other, observed))
                    .await?;
            }
            (Flaw::IgnoresGuards, Action::Set { facet, desired, .. }) => {
                if let Some(now) = self.now(write).await {
                    flawed = set(write, facet, *desired, now);
                }
            }
            (Flaw::Resurrects, Action::Set { facet, desired, .. }) if self.now(write).await.is_none() => {
                flawed.guard = Guard::Absent;
                flawed.action = Action::Create {
                    facets: BTreeMap::from([(facet, *desired)]),
                };
            }
            (Flaw::ReplacesWhatExists, Action::Create { .. }) => {
                if let Some(observed) = self.now(write).await {
                    let mut deletion = write.clone();
                    deletion.guard = Guard::Same;
                    deletion.action = Action::Delete { observed };
                    self.inner.write(&deletion).await?;
                }
            }
            (Flaw::FailsOnSecondDelete, Action::Delete { .. }) if self.now(write).await.is_none() => {
                return Err(ProviderError::Invalid {
                    target: write.key.to_string(),
                    message: "not found".to_owned(),
                    field: None,
                });
            }
            (Flaw::HidesRefusedDelete, Action::Delete { .. }) => {
                return Ok(self.inner.write(write).await.unwrap_or_default());
            }
            (Flaw::CreatesInHalves, Action::Create { facets }) => {
                let mut halves = facets.clone();
                for desired in halves.values_mut() {
                    if let Some(entries) = desired.value.as_map_mut() {
                        entries.remove("spec");
                    }
                }
                flawed.action = Action::Create { facets: halves };
                let written = self.inner.write(&flawed).await?;
                let observed = self.now(write).await.unwrap();
                let (facet, desired) = facets.into_iter().next().unwrap();
                self.inner.write(&set(write, facet, desired, observed)).await?;
                return Ok(written);
            }
            _ => {}
        }
        self.inner.write(&flawed).await
    }

    fn pushes(&self) -> bool {
        self.inner.pushes() && self.flaw != Flaw::SaysNotThatItPushes
    }

    fn watch(&self, watched: &Watched) -> Option<WatchStream> {
        let stream = self.inner.watch(watched)?;
        match self.flaw {
            Flaw::WatchesOnce => Some(stream.take(1).boxed()),
            Flaw::TakesUnmarkedForAbsent => {
                let mark = watched.mark.clone();
                let kind = ObjectKind::new();
                let flawed = stream.map(move |seen| match seen {
                    Seen::One(key, Ok(Observation::Present(observed)))
                        if mark.is_some() && kind.marked_by(&observed) != mark =>
                    {
                        Seen::One(key, Ok(Observation::Absent))
                    }
                    seen => seen,
                });
                Some(flawed.boxed())
            }
            Flaw::TellsNoEndOfAList => {
                let flawed = stream.filter(|seen| std::future::ready(!matches!(seen, Seen::Unlisted(..))));
                Some(flawed.boxed())
            }
            Flaw::TellsUnservedTwice => {
                let flawed = stream.flat_map(|seen| {
                    let again = match &seen {
                        Seen::All(_, Err(ProviderError::NotServed { .. })) => Some(seen.clone()),
                        _ => None,
                    };
                    iter([Some(seen), again].into_iter().flatten())
                });
                Some(flawed.boxed())
            }
            _ => Some(stream),
        }
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        self.inner.account().await
    }
}

fn set(write: &Write, facet: Facet, desired: Desired, observed: Arc<Observed>) -> Write {
    let mut other = write.clone();
    other.guard = Guard::Same;
    other.action = Action::Set {
        facet,
        desired: Box::new(desired),
        observed,
    };
    other
}

/// The behaviours that don't hold with `flaw`.
async fn noticed(flaw: Flaw, start: impl AsyncFn(Wrap<'_>) -> InMemory) -> Vec<String> {
    let wrap = move |inner| -> Arc<dyn Provider> { Arc::new(Flawed { inner, flaw }) };
    let mut subject = start(&wrap).await;
    subject.patience = Duration::from_millis(300);
    let Err(failures) = run_all(&subject).await else {
        return Vec::new();
    };
    let name = |failure: &Failure| failure.to_string().split(':').next().unwrap().to_owned();
    failures.each().iter().map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn each_flaw_is_found_by_the_behaviour_that_is_there_for_it() {
    let of_objects = [
        (Flaw::ErrorsAreAbsence, "absence_is_proven_by_not_found"),
        (
            Flaw::OneUnreadableFacetHidesAll,
            "an_unreadable_facet_hides_no_other",
        ),
        (Flaw::AnswersBackwards, "observe_answers_in_order_and_for_each"),
        (Flaw::FindsOnePage, "find_is_complete"),
        (Flaw::FindsTwice, "find_is_complete"),
        (Flaw::WritesWholeDocuments, "foreign_content_survives_every_write"),
        (Flaw::IgnoresGuards, "a_conflicting_version_is_refused"),
        (Flaw::Resurrects, "a_missing_resource_is_not_resurrected"),
        (Flaw::ReplacesWhatExists, "creating_twice_leaves_one"),
        (Flaw::FailsOnSecondDelete, "second_delete_succeeds"),
        (Flaw::CreatesInHalves, "cancelled_writes_leave_whole_or_nothing"),
        (Flaw::PreviewsByWriting, "preview_writes_nothing"),
        (Flaw::PreviewsEqualAsDifferent, "preview_of_equal_is_empty"),
        (Flaw::SaysNotThatItPushes, "it_pushes_where_it_says_so"),
        (Flaw::WatchesOnce, "watch_reports_a_change_from_outside"),
        (
            Flaw::TakesUnmarkedForAbsent,
            "own_resources_are_watched_by_their_mark",
        ),
        (
            Flaw::TellsNoEndOfAList,
            "a_watched_list_tells_what_comes_changes_and_goes",
        ),
        (
            Flaw::TellsUnservedTwice,
            "a_watch_of_an_unserved_kind_says_so_once",
        ),
    ];
    let mut missed: Vec<(Flaw, &str, Vec<String>)> = Vec::new();
    for (flaw, behaviour) in of_objects {
        let noticed = noticed(flaw, async |wrap: Wrap<'_>| custom_objects(wrap).await).await;
        if !noticed.iter().any(|one| one == behaviour) {
            missed.push((flaw, behaviour, noticed));
        }
    }
    let of_buckets = [
        (Flaw::WritesEverythingAgain, "each_facet_is_repaired_alone"),
        (Flaw::WritesWholeDocuments, "foreign_content_survives_every_write"),
        (Flaw::HidesRefusedDelete, "deleting_what_holds_content_is_refused"),
    ];
    for (flaw, behaviour) in of_buckets {
        let noticed = noticed(flaw, async |wrap: Wrap<'_>| buckets(wrap).await).await;
        if !noticed.iter().any(|one| one == behaviour) {
            missed.push((flaw, behaviour, noticed));
        }
    }
    let noticed = noticed(Flaw::ShowsSecrets, async |wrap: Wrap<'_>| secrets(wrap).await).await;
    assert!(
        noticed.iter().any(|one| one == "secrets_do_not_print"),
        "{noticed:?}"
    );
}
