//! Holdfast's expression language: a small, bounded CEL.
//!
//! An expression is compiled once against an [`Environment`] that says what it may name, and evaluated any number of
//! times against a [`Scope`] that gives the values, within a [`Budget`]:
//!
//! ```
//! use holdfast_expression::{Bindings, Budget, Context, Environment, Program, Type, Value};
//!
//! let environment = Environment::new().root("facts", Type::Dyn);
//! let program = Program::compile("facts.?region.orValue('eu-west-1') + 'a'", &environment).unwrap();
//! let scope = Bindings::new().with("facts", Value::map([("region", "us-east-2")]));
//! let value = program.evaluate(&scope, &mut Budget::default(), &Context::at(time::OffsetDateTime::UNIX_EPOCH));
//! assert_eq!(value, Ok(Value::from("us-east-2a")));
//! ```
//!
//! # What it is
//!
//! The expressions of the [Common Expression Language](https://github.com/google/cel-spec) with optionals,
//! two-variable macros, `cel.bind`, and the function names that Kubernetes uses. Where it differs from CEL:
//!
//! - There is one type of whole numbers; `1u` is an int. Ints and doubles compute and compare together.
//! - Maps are ordered by key: bools, then ints, then strings by code point.
//! - `has(a.b.c)` is false as soon as any step is missing, not only the last.
//! - `orValue` and `or` evaluate their argument only when it is needed.
//! - `omit()` leaves out the element or entry that it stands for.
//! - Durations may be in days, and there are `yaml json merge toMap days omit gcpLabels now randomString`.
//! - There are no messages, no enums, and no names of time zones.
//!
//! # What flows with values
//!
//! A value may be [unknown](Unknown) until something has been applied, or [sensitive](Sensitive). Whatever is
//! computed from an unknown value is unknown and says what it waits for; whatever is computed from a sensitive one is
//! sensitive, also by a condition on it, and by the number of elements of a sensitive list. Both may be nested in
//! lists and maps that are otherwise plain. `false && x` and `true || x` are known whatever `x` is, as are `all` and
//! `exists` once an element has settled them; there an unknown operand comes before an erroneous one. Everywhere else
//! an error comes first. A [failed](Value::Failed) value raises its error where it is used, not where it is passed on.
//! That an evaluation failed isn't hidden, even if only the value of a secret made it fail.
//!
//! # What bounds it
//!
//! Source texts have at most [`MAX_SOURCE`] bytes and nest at most [`MAX_NESTING`] deep, results at most
//! [`MAX_VALUE_NESTING`]. Every step and every byte that an evaluation allocates is taken from its [`Budget`]
//! beforehand, and patterns are searched in linear time. So a hostile expression ends with an error; it neither hangs
//! nor aborts nor allocates much. The same input always gives the same output.
//!
//! # How it is made
//!
//! `lexer` and `parser` make a tree with a place on every node, `check` resolves its names, functions and macros and
//! finds faults as far as types are known, `evaluate` walks the result. `flow` carries what is unknown and sensitive
//! through all of it, and `functions` holds a table of overloads per family.
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
