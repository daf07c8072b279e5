//! The in-cluster enforcer: keeps policies enforced for good, and tells what it does.
//!
//! # Who does what
//!
//! | module | does |
//! |---|---|
//! | [`enforcer`] | runs: takes policies from their sources, and has a task for each |
//! | [`work`] | what a task is to do: a policy, as whom it acts, where it comes from |
//! | [`files`] | policies in files, read again when they change |
//! | `task` | one policy: takes its lease, keeps it, gives it back |
//! | `shadows` | Policy resources that are left alone, as a file is the policy |
//! | `shares` | shares the policies out among replicas |
//! | `clerk` | tells of one policy: log, metrics, status, events |
//! | `health` | whether all of it is alive and ready |
//! | [`story`] | what has happened to a policy, told once; [`notices`] makes events of it |
//! | [`status`], [`results`] | what a Policy's status and its `PolicyReport` say |
//! | [`reasons`], [`fault`] | the closed lists of reasons, and what stands in the way of a policy as a whole |
//! | [`metrics`], [`http`] | what is counted, and what probes and scrapers are told |
//!
//! The policy's lease is the only lock. Whoever holds it enforces the policy, and tells of it. There is no leader: replicas
//! share the policies out by taking their leases, each as many as come to it.
//!
//! It reaches the outside by the [contract](holdfast_contract) alone: [`Worlds`] opens what policies act on,
//! [`Desk`](holdfast_contract::Desk) is where Policy resources come in and what is told goes out,
//! [`Roster`](holdfast_contract::Roster) says which replicas there are.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod clerk;
pub mod enforcer;
pub mod fault;
pub mod files;
mod health;
pub mod http;
pub mod metrics;
pub mod notices;
pub mod reasons;
pub mod results;
mod shadows;
mod shares;
pub mod status;
pub mod story;
mod task;
mod words;
pub mod work;

pub use enforcer::{Enforcer, Settings, Worlds};
pub use files::{FilePolicy, Files};
pub use health::{Health, Probes};
pub use work::Actor;
