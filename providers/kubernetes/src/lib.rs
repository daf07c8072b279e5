//! The Kubernetes provider: any object, built-in or custom, by server-side apply.
//!
//! [`ObjectKind`] says what an object is and needs no cluster; [`KubernetesFactory`] opens providers that reach one,
//! and the store of ledgers and leases.
//!
//! # What it guarantees
//!
//! * **Absence is proven.** Only the server's own not-found of that very object, or a complete list without it, is
//!   absent. A type that the server doesn't know, a denied read, a list that breaks off are errors.
//! * **Equal means equal.** Declared values equal, all of them held by the policy's field manager, nothing else held
//!   by it. Who holds what, and how lists merge, is read from `managedFields`, which the server computes with its own
//!   schema; no schema is fetched. Where values differ the server is asked by a dry run, and its word is kept while
//!   what was declared and what stands there stay the same.
//! * **Only our fields are written.** Each write is an apply as the policy's manager. With `force` it takes fields of
//!   others, never without. An object that was observed is written with its uid: one that was deleted meanwhile isn't
//!   brought back, and one that was made anew isn't touched.
//! * **A former writer's fields become ours whole.** Where a rule says `takeOver`, one patch that is guarded by the
//!   version moves what the former managers hold to ours, before the apply that removes what isn't declared.
//! * **A dry run writes nothing.** [`preview`](holdfast_contract::Provider::preview) sends `dryRun=All` only.
//! * **Secrets don't show.** A Secret's data is sealed as it is read and as it is declared; of a document with
//!   anything sensitive in it, the server's error texts are not repeated.
//! * **Nothing is learnt for somebody else.** A provider that acts as a service account has a connection, and all
//!   that is cached with it, for that account alone.
//! * **One place retries**, bounded, with jitter, as `Retry-After` asks, and for no longer than that makes sense.
//! * **A lease waits for nothing else.** So many requests are under way at most; leases are counted apart, and so are
//!   ledgers, and what waits to be tried again isn't.
//!
//! # What it costs
//!
//! Discovery is two requests, once. Of one type in one namespace up to three objects are a request each, more are one
//! list; Secrets are always read by name. Where a role allows no list, each is read by name.
//!
//! Watched, up to three objects of a type and namespace are a list and a watch each, and so are all Secrets; more that bear
//! the policy's mark are one list and watch of those, others one of the whole type in the namespace. At rest only watches
//! are renewed, each within 290 s; whoever wants to know which types come and go shares one watch of definitions.
//!
//! # Where things are
//!
//! | pure | does |
//! |---|---|
//! | `kind` | the kind: names, facets, scopes |
//! | `compare`, `owned`, `lists`, `quantity` | where an object is not as declared |
//! | `merge` | what a server would hold after an apply |
//! | `status` | readiness |
//! | `takeover` | whose fields become ours |
//! | `disruption` | which changes disturb what runs |
//! | `definition` | definitions that are ahead of ours, or somebody's |
//! | `secret` | what is secret |
//! | `controlled` | what Kubernetes' own controllers write, whoever declares it |
//! | `types` | what is the same on every server |
//!
//! | I/O | does |
//! |---|---|
//! | `config`, `account` | which cluster, and as whom |
//! | `client`, `error`, `discovery` | requests, what refusals mean, which types there are |
//! | `observe`, `find`, `watch` | reads |
//! | `preview`, `diff` | dry runs |
//! | `write` | apply and delete |
//! | `state`, `roster`, `lease`, `home` | ledgers and leases, which replicas are here, where that is kept |
//! | `desk` | Policy resources: them, their status, events and reports |

mod account;
mod client;
mod compare;
mod config;
mod controlled;
mod definition;
mod desk;
mod diff;
mod discovery;
mod disruption;
mod error;
mod find;
mod home;
mod kind;
mod lease;
mod lists;
mod merge;
mod observe;
mod owned;
mod permissions;
mod preview;
mod provider;
mod quantity;
mod roster;
mod secret;
mod state;
mod status;
mod takeover;
mod types;
mod watch;
mod write;

pub use config::{Connection, KubernetesFactory};
pub use kind::ObjectKind;
