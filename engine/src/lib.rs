//! The engine: a policy in, a converged world out.
//!
//! It knows no cloud and no cluster. What it knows of the outside is the [contract](holdfast_contract): kinds, which
//! are pure, and providers, which do the I/O.
//!
//! # The pipeline
//!
//! One typed value a stage; reads and writes only at the edges; the middle is pure and deterministic.
//!
//! | stage | in → out | touches |
//! |---|---|---|
//! | [`facts`] | policy → [`facts::Facts`] | reads |
//! | [`graph`] | policy, facts, what was read → [`graph::ResourceGraph`], in order | – |
//! | [`observe`] | what the graph wants → [`observe::Snapshot`] | reads, concurrent |
//! | [`diff`] | desired, observed → [`diff::Comparisons`] | – |
//! | [`preview`] | comparisons, refined or struck as equal by the servers | dry runs, concurrent |
//! | [`plan`] | graph, snapshot, comparisons → [`step::Plan`] | – |
//! | [`apply`] | plan → [`step::Outcome`]s; **the only writer** | writes, concurrent |
//! | [`report`] | everything → [`report::Report`], which every output comes from | – |
//!
//! `plan` and `apply` share [`step`] and never import each other. [`cycle`] runs the stages once; [`converge`] runs
//! them again and again until everything holds, nothing moves any more, or the time is up; [`keep`] does so for good. What is known only after a
//! write is left to the next pass, which reads again only what may have changed.
//!
//! [`permissions`] tells what a policy takes, without reading anything.
//!
//! [`phase`] is the state machine of one resource, and its only transition function.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod address;
pub mod allowance;
pub mod apply;
pub mod checks;
pub mod clock;
pub mod converge;
pub mod cycle;
pub mod diff;
mod digest;
pub mod evaluate;
pub mod facts;
pub mod graph;
pub mod keep;
pub mod lease;
pub mod ledger;
mod moment;
pub mod objects;
pub mod observe;
pub mod permissions;
pub mod phase;
pub mod plan;
pub mod preview;
pub mod providers;
pub mod removal;
pub mod report;
pub mod scope;
pub mod step;
pub mod uses;
pub mod values;
pub mod variables;

pub use address::Address;
pub use apply::Stop;
pub use clock::Clock;
pub use converge::{ApplyOptions, Progress, Tally, jittered};
pub use cycle::{Engine, EngineError};
pub use keep::{KeepOptions, Kept};
pub use lease::Timing;
pub use phase::Phase;
pub use report::Report;
