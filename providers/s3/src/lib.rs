//! The S3 provider: buckets and every setting they have.

mod documents;
mod kind;
mod names;
mod normal;
mod policy_document;
mod schema;
mod table;

pub use kind::BucketKind;
