//! The Kubernetes provider: any object, by server-side apply.

mod compare;
mod kind;
mod lists;
mod merge;
mod owned;
mod quantity;
mod secret;
mod status;
mod types;

pub use kind::ObjectKind;
