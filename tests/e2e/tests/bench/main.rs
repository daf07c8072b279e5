//! The numbers that the program is to reach, on real servers: `make bench`.
//!
//! | module | measures |
//! |---|---|
//! | `maps` | config maps alone: memory, requests at rest, how soon drift is put back |
//! | `velero` | managed-velero: memory, and how soon it is known after a start that all is well |
//!
//! Each number is a line with its bound beside it, and one that is over its bound fails the run. What takes time is the
//! median of several; a machine that does other things too makes it longer, so run it alone. `HOLDFAST_BINARY` names
//! the program: the numbers are those of the release build. The name of a module measures that alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what can't be measured ends the run, and what is measured is printed"
)]

mod figures;
mod maps;
mod velero;

use std::process::ExitCode;

use crate::figures::Figures;

fn main() -> ExitCode {
    println!("{}", holdfast_e2e::binary().display());
    let mut figures = Figures::default();
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    // The small cluster first: it is gone again before the large one starts.
    if is_wanted("maps") {
        maps::measure(&mut figures);
    }
    if is_wanted("velero") {
        velero::measure(&mut figures);
    }
    figures.verdict()
}
