//! The in-memory provider: any kind, without its network.
//!
//! One [`World`] stands in for everything outside: a cluster's objects, a cloud's buckets, the ledgers and leases of
//! the engine itself. [`MemoryFactory`] presents a real provider's type, kinds and settings, and opens providers on
//! the world. What a kind means is written once, in the kind: every write here goes through [`Kind::merge`], every
//! comparison through [`Kind::compare`].
//!
//! Three things are built on it: the sandbox (`--sandbox`), the policy tests, and the engine's own tests. So the world
//! keeps the particulars of the real ones that a plan can trip over:
//!
//! * an object can be made only if its type is served, which a CustomResourceDefinition has to bring first and be
//!   Established, and only in a namespace that exists; with its Namespace or its definition an object goes too;
//! * objects have a uid and a version, and a write that names an older one is refused; buckets have neither, their
//!   names are global, and one that belongs to another account is foreign;
//! * other controllers act: [`Reactions`] say how, as data;
//! * servers fail ([`Accident`]) and stores lag ([`World::lag`]), when a test says so.
//!
//! Nothing depends on the time of day or on chance: ids, versions and times are counted, so that the same calls give
//! the same world, byte by byte.
//!
//! [`Kind::merge`]: holdfast_contract::Kind::merge
//! [`Kind::compare`]: holdfast_contract::Kind::compare

mod accident;
mod config;
mod document;
mod error;
mod file;
mod find;
mod managers;
mod manifest;
mod observe;
mod outside;
mod provider;
mod react;
mod reactions;
mod resource;
mod sandbox;
mod selector;
mod served;
mod state;
mod watch;
mod world;
mod write;

pub use accident::{Accident, Operation, Request};
pub use config::MemoryFactory;
pub use error::SandboxError;
pub use provider::MemoryProvider;
pub use reactions::{Effect, Reactions};
pub use world::World;
