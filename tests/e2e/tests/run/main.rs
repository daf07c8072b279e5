//! `holdfast run`: what drifts is put back, nothing is asked at rest, and nothing that happens to it, or to a server, ends
//! that.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod edits;
mod late;
mod objects;
mod outages;
mod replicas;
mod resources;
mod rest;
mod tokens;
mod told;
mod velero;
