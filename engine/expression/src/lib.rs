//! Holdfast's expression language: a small, bounded CEL.
#![deny(clippy::arithmetic_side_effects)]
#![allow(
    clippy::unnecessary_box_returns,
    reason = "faults travel boxed through every level of the evaluation"
)]

mod ast;
mod budget;
mod check;
mod convert;
mod environment;
mod error;
mod evaluate;
mod flow;
mod functions;
mod instants;
mod lexer;
mod literal;
mod node;
mod operators;
mod parser;
mod program;
mod quantity;
mod references;
mod span;
mod suggest;
mod template;
mod types;
mod value;

pub use budget::{Budget, MAX_NESTING, MAX_SOURCE, MAX_VALUE_NESTING};
pub use convert::JsonError;
pub use environment::{Bindings, Context, Environment, Random, Scope, YamlDecoder};
pub use error::{Error, ErrorKind};
pub use instants::{format_duration, format_timestamp, parse_duration, parse_timestamp};
pub use program::Program;
pub use quantity::Quantity;
pub use references::{Index, Reference, Segment};
pub use span::Span;
pub use suggest::suggest;
pub use template::closing_brace;
pub use types::{Field, ObjectType, Type, TypeName};
pub use value::{MapKey, Sensitive, Unknown, Value};
