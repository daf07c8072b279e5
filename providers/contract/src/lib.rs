//! The contract between the engine and its providers.
//!
//! Two traits carry it:
//!
//! * A [`Kind`] is pure. It knows what a kind of resource is: the shape of its `desired` document, its facets, how
//!   two documents compare, what a store would hold after a write. It has no client and does no I/O, so the
//!   in-memory provider serves every kind with the kind's own rules.
//! * A [`Provider`] does the I/O of one external system, for one or more kinds.
//!
//! Everything else here is the data that passes between them and the engine: a [`ResourceKey`] says which real thing
//! is meant, a [`Wanted`] which facets to read, an [`Observation`] what was read, a [`Difference`] where it is not as
//! desired, a [`Write`] one call that changes something, a [`ProviderError`] what the caller may do about a failure.
//!
//! Two properties of [`Value`] hold everywhere: a sensitive value cannot be printed by accident, and a value that is
//! known only after a write says what it waits for.
//!
//! Arrows go one way: the engine and the providers import this crate, and this crate imports neither.

#![deny(clippy::arithmetic_side_effects)]

mod account;
mod compare;
mod desired;
mod desk;
mod difference;
mod error;
mod key;
mod kind;
mod meter;
mod observation;
mod path;
mod permission;
mod provider;
mod registry;
mod shape;
mod state;
mod value;
mod watch;
mod write;

pub use account::{NoAccount, ServiceAccount, is_label};
pub use compare::{differences, merge, remove};
pub use desired::{Desired, TakeOver};
pub use desk::{Desk, FINALIZER, Notice, PolicyEvent, PolicyResource, RECONCILE_AT, Roster};
pub use difference::{Change, Difference};
pub use error::{BoxError, ProviderError};
pub use key::{ApiType, Facet, KindName, ProviderName, ResourceKey};
pub use kind::{Attributes, Danger, Implied, Kind, Locator, Lockout, Mark, NotLocated, Readiness, Yields};
pub use meter::{Measured, Measuring, Meter};
pub use observation::{Conflict, FacetState, Observation, Observed, Version, Wanted};
pub use path::{Path, Segment};
pub use permission::{Called, Deed, Permission, Permissions, RbacRule, Usage};
pub use provider::{Fidelity, Found, Preview, Provider, Query, Scope, Served, Written};
pub use registry::{CredentialSource, ProviderConfig, ProviderFactory, Registry};
pub use shape::{Field, ListIdentity, Shape};
pub use state::{Held, Holder, NoPolicyId, PolicyId, StateStore, Stored};
pub use value::{Sensitive, Unknown, Value};
pub use watch::{Seen, WatchStream, Watched};
pub use write::{Action, Guard, Write};
