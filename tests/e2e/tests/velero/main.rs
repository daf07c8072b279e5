//! Backups that Velero itself makes and restores, on what managed-velero sets up.
//!
//! Velero's server runs as the cluster's Deployment says, with its plugin for AWS, on a stage where nobody stands in
//! for it. It is long, as Velero looks at its locations each minute, and needs programs that take minutes to build:
//! `make test-velero` runs it, and no other command does (`test = false` in Cargo.toml).
//!
//! | variable | is |
//! |---|---|
//! | `HOLDFAST_REST_MINUTES` | for how long the cluster is watched at rest; 10 where it isn't set |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod elsewhere;
mod guide;
mod own_objects;
mod rest;
mod restore;
mod shop;
mod support;
mod verdict;
