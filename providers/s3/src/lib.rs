//! The S3 provider: buckets and every setting they have.
//!
//! [`BucketKind`] is pure: what a bucket is, when two documents mean the same, what a store holds after a write.
//! [`S3Factory`] opens the provider, which does the I/O. Both stand on one table: each setting is a row that names
//! its sub-resource, its document element by element, and how the service says and takes "not set".
//!
//! # What holds
//!
//! * **Absence is proven.** A bucket is absent where a HEAD finds nothing and the service says in words that there is
//!   no such bucket. Denied, redirected, throttled, cut off, contradicted: all of these are errors. A facet that can't
//!   be read says so alone.
//! * **One round trip.** A bucket and all of its facets that are wanted are read at once, and nothing else is.
//! * **What isn't declared stays.** Foreign tags, lifecycle rules, policy statements and fields survive every write;
//!   so do settings that are newer than the table.
//! * **No blind write.** A document is read immediately before it is replaced; one that changed since it was observed
//!   is a conflict. It is read once more after, and what the store dropped is told.
//! * **One at a time.** The settings of one bucket are written one after another: there are stores that lose one of two
//!   that are written at once.
//! * **Nothing is deleted by mistake.** A sub-resource's DELETE is sent only after a GET has just returned that
//!   sub-resource's document, as many stores take an unknown one for the whole bucket. A bucket is deleted only when it
//!   is empty; its content is never touched.
//! * **The right region.** A region that the policy gives is binding: a bucket elsewhere is an error that names its
//!   region. Where none is given, requests follow the bucket to its region, signed anew.
//! * **The right account.** Once the account is known, every request about a bucket names it as the expected owner.
//! * **Bounded.** Retries, pauses, answers, pages, concurrency and time all have limits, each in one place. Repeated is
//!   only what leaves twice what it leaves once; a creation in doubt is read back.
//! * **Silence is waited for once.** Where a service gives no answer of any kind to some requests in a row, reads fail as
//!   those did for some seconds, so that many buckets take no longer than one.
//! * **Secrets don't print.** Keys and tokens have no printable form, headers that bear them are marked, and nothing
//!   logs a header or a body.
//!
//! What remains: the service has no conditional writes of settings, so a change of the same document by another writer
//! between our read and our write, some milliseconds, can be lost.

mod account_block;
mod call;
mod client;
mod codec;
mod config;
mod credentials;
mod documents;
mod environment;
mod error;
mod expiry;
mod find;
mod kind;
mod listed;
mod lock;
mod lockout;
mod names;
mod normal;
mod observe;
mod operation;
mod permissions;
mod policy_document;
mod profile;
mod provider;
mod retry;
mod schema;
mod sign;
mod silence;
mod sts;
mod table;
mod write;
mod xml;

pub use config::S3Factory;
pub use kind::BucketKind;
