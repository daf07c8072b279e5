//! The whole program against real servers.
//!
//! | what | is |
//! |---|---|
//! | [`Stage`] | a cluster with all its controllers, and LocalStack behind a recording proxy, set up as managed-velero's `sandbox.yaml` says |
//! | [`Stage::holdfast`] | one run of the program on it, as a process with nothing but what it needs in its environment |
//! | [`Stage::enforce`], [`Ground::enforce`] | the program at work for good |
//! | [`Stage::witness`] | the same, with every request that it made, as the servers tell of them |
//! | [`Release`] | the chart on a stage, and the program as its Deployment starts it |
//! | [`Power`] | what roles allow, and what of it was used |
//! | [`Api`] | a hand on the API server that isn't the program under test |
//! | [`Ground`], [`Policy`] | a cluster alone, and policies that a test writes: for what is about objects only |
//! | [`Webhook`] | an admission webhook that the API server calls |
//! | [`Stage::stand_up_the_predecessor`] | what the operator before this program leaves behind |
//! | [`console`] | the commands of a guide, run as they stand there |
//! | [`sandbox`] | one run of the program without any server |
//!
//! The tests of one file share a [`Stage`], one after another ([`on_stage`]): each brings it first into the state that
//! it begins with. Cargo runs the files one after another, so there is never more than one stage on a machine.
//!
//! On [`on_stage_without_velero`] nobody stands in for Velero: the tests of Velero itself run it there.
//!
//! The program is built once for each process of tests, with the profile and into the folder that the tests were built
//! with; `HOLDFAST_BINARY` names one that is there already.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a part of tests: what it can't do fails the test"
)]

mod api;
pub mod console;
mod enforcer;
mod ground;
mod others;
mod power;
mod predecessor;
mod program;
mod release;
mod report;
mod stage;
mod store;
mod webhook;
mod witness;

pub use api::{Api, Served, path, path_of};
pub use enforcer::Enforcer;
pub use ground::{Ground, Policy, on_ground, on_own_ground};
pub use power::{Power, denied};
pub use predecessor::{BUCKET, MANAGER};
pub use program::{Output, Running, binary, root, sandbox};
pub use release::Release;
pub use report::{changes, resource};
pub use stage::{NAMESPACE, STATE, Stage, on_stage, on_stage_without_velero, until, until_within};
pub use store::Store;
pub use webhook::{Verdict, Webhook};
pub use witness::Witness;
