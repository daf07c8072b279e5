//! Holdfast's policy language: YAML with positions in, a checked policy out.
//!
//! Two stages. [`load`] reads a policy's document and the files that it names, and is the only one that touches the
//! file system. [`validate`] is pure: it takes what was loaded and what is known about kinds, and gives a
//! [`ValidPolicy`], in which every name is defined, every expression is compiled, every document fits its kind and
//! nothing needs itself; or all that is wrong, at once, each fault with its place and what to do about it.
//!
//! A valid policy computes nothing by itself. The engine gives its expressions, templates and trees a scope and a
//! budget, and gets values back together with the places that they come from.
#![deny(clippy::arithmetic_side_effects)]

mod anchor;
mod code;
mod diagnostic;
mod json_path;
mod model;
mod place;

pub use code::Code;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use json_path::{PathQuery, Select, SeveralFound};
pub use model::*;
pub use place::{Place, Source, Sources};
