//! What services push.

use futures::stream::BoxStream;

use crate::error::ProviderError;
use crate::key::ResourceKey;
use crate::observation::{Observation, Wanted};
use crate::provider::{Found, Query};

/// What to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Single resources that may lack the policy's mark: a fact's object, what is only looked at, what must not be there.
    pub wanted: Vec<Wanted>,
    /// Single resources that bear the policy's mark once the policy has written them. Where there are many of one type,
    /// the service may be asked for those that bear it, so that it tells of no others.
    pub own: Vec<Wanted>,
    /// The mark, as [`Mark::policy`](crate::Mark::policy).
    pub mark: Option<String>,
    /// Whole lists.
    pub lists: Vec<Query>,
    /// Whether to tell when the service may have begun, or ceased, to know a type.
    pub types: bool,
}

/// One thing that a service pushes.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A single resource as it is now. `Absent` is a proof, as [`observe`](crate::Provider::observe) gives it. An error: what
    /// was told of it before no longer counts.
    One(ResourceKey, Result<Observation, ProviderError>),
    /// All of a list: the first that is told of it, and again whenever changes may have been missed. An error: what was
    /// told of the list before no longer counts.
    All(Query, Result<Vec<Found>, ProviderError>),
    /// One of a list, as it is now: new there, or changed.
    Listed(Query, Box<Found>),
    /// One that is no longer on a list.
    Unlisted(Query, ResourceKey),
    /// The service may have begun, or ceased, to know a type.
    Types,
}

/// What is pushed, as it comes: for each thing that is watched its present state first, then each change. The last that
/// was told of a thing is so, or was a moment ago: what is missed while a connection is broken is told once it stands
/// again. The same may be told twice. It never ends by itself; to be dropped.
///
/// What can't be watched is tried again after a growing pause, and is an error for each thing concerned, told once until
/// the thing is told anew or the reason becomes another:
///
/// * at once, where nothing of it was told before, and where the service doesn't know its type. A type that isn't known
///   isn't asked for again until types change;
/// * after 5 s, where it is refused;
/// * after a minute, where the service doesn't answer: what was told before is good enough for so long, as a service that
///   starts again mustn't make everything unknown.
pub type WatchStream = BoxStream<'static, Seen>;
