//! One behaviour suite that every provider passes.
//!
//! A provider's tests describe what they run on as a [`Subject`]: how to name a fresh resource, what to want of it,
//! and how to meddle with it from outside, by another client than the provider's. [`run_all`] then runs every
//! behaviour and reports every failure, not only the first.
//!
//! ```text
//! #[tokio::test]
//! async fn buckets_behave() {
//!     let subject = BucketSubject::start().await;
//!     holdfast_conformance::run_all(&subject).await.unwrap();
//! }
//! ```
//!
//! What a service can't do is left out by the subject's own words, each optional method of which says so by its
//! default; everything else must hold on every service. Behaviours don't depend on one another and leave nothing
//! behind that another one could trip over, as each works on fresh names. Nothing sleeps for a fixed time: what a
//! service needs a while for is read again until it is so or [`Subject::patience`] has passed.

mod cancellation;
mod drive;
mod failure;
mod preview;
mod reading;
mod repair;
mod secrets;
mod subject;
mod watching;
mod writing;

use futures::future::LocalBoxFuture;

pub use cancellation::cancelled_writes_leave_whole_or_nothing;
pub use failure::{Failure, Failures};
pub use preview::{preview_of_equal_is_empty, preview_writes_nothing};
pub use reading::{
    absence_is_proven_by_not_found, an_unreadable_facet_hides_no_other, an_unserved_kind_is_not_absence,
    find_is_complete, observe_answers_in_order_and_for_each,
};
pub use repair::{each_facet_is_repaired_alone, foreign_content_survives_every_write};
pub use secrets::secrets_do_not_print;
pub use subject::{Crowd, FacetFault, Fault, Outside, Planted, Secret, Subject};
pub use watching::{
    a_watch_of_an_unserved_kind_says_so_once, a_watched_list_tells_what_comes_changes_and_goes,
    it_pushes_where_it_says_so, own_resources_are_watched_by_their_mark, watch_reports_a_change_from_outside,
};
pub use writing::{
    a_conflicting_version_is_refused, a_missing_resource_is_not_resurrected, create_then_observe_is_equal,
    creating_twice_leaves_one, deleting_what_holds_content_is_refused, second_delete_succeeds,
};

type Behaviour = for<'a> fn(&'a dyn Subject) -> LocalBoxFuture<'a, Result<(), Failure>>;

/// Every behaviour, by name, in the order in which they run.
const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("absence_is_proven_by_not_found", |s| {
        Box::pin(absence_is_proven_by_not_found(s))
    }),
    ("an_unserved_kind_is_not_absence", |s| {
        Box::pin(an_unserved_kind_is_not_absence(s))
    }),
    ("create_then_observe_is_equal", |s| {
        Box::pin(create_then_observe_is_equal(s))
    }),
    ("an_unreadable_facet_hides_no_other", |s| {
        Box::pin(an_unreadable_facet_hides_no_other(s))
    }),
    ("creating_twice_leaves_one", |s| {
        Box::pin(creating_twice_leaves_one(s))
    }),
    ("observe_answers_in_order_and_for_each", |s| {
        Box::pin(observe_answers_in_order_and_for_each(s))
    }),
    ("find_is_complete", |s| Box::pin(find_is_complete(s))),
    ("each_facet_is_repaired_alone", |s| {
        Box::pin(each_facet_is_repaired_alone(s))
    }),
    ("foreign_content_survives_every_write", |s| {
        Box::pin(foreign_content_survives_every_write(s))
    }),
    ("a_conflicting_version_is_refused", |s| {
        Box::pin(a_conflicting_version_is_refused(s))
    }),
    ("a_missing_resource_is_not_resurrected", |s| {
        Box::pin(a_missing_resource_is_not_resurrected(s))
    }),
    ("second_delete_succeeds", |s| Box::pin(second_delete_succeeds(s))),
    ("deleting_what_holds_content_is_refused", |s| {
        Box::pin(deleting_what_holds_content_is_refused(s))
    }),
    ("cancelled_writes_leave_whole_or_nothing", |s| {
        Box::pin(cancelled_writes_leave_whole_or_nothing(s))
    }),
    ("secrets_do_not_print", |s| Box::pin(secrets_do_not_print(s))),
    ("preview_writes_nothing", |s| Box::pin(preview_writes_nothing(s))),
    ("preview_of_equal_is_empty", |s| {
        Box::pin(preview_of_equal_is_empty(s))
    }),
    ("it_pushes_where_it_says_so", |s| {
        Box::pin(it_pushes_where_it_says_so(s))
    }),
    ("watch_reports_a_change_from_outside", |s| {
        Box::pin(watch_reports_a_change_from_outside(s))
    }),
    ("own_resources_are_watched_by_their_mark", |s| {
        Box::pin(own_resources_are_watched_by_their_mark(s))
    }),
    ("a_watched_list_tells_what_comes_changes_and_goes", |s| {
        Box::pin(a_watched_list_tells_what_comes_changes_and_goes(s))
    }),
    ("a_watch_of_an_unserved_kind_says_so_once", |s| {
        Box::pin(a_watch_of_an_unserved_kind_says_so_once(s))
    }),
];

/// Runs every behaviour on `subject`, one after the other, and reports every one that doesn't hold.
pub async fn run_all(subject: &dyn Subject) -> Result<(), Failures> {
    let mut failures = Vec::new();
    for (name, behaviour) in BEHAVIOURS {
        if let Err(failure) = behaviour(subject).await {
            failures.push(failure.of(name));
        }
    }
    Failures::from_all(subject.provider().name().as_str(), BEHAVIOURS.len(), failures)
}
