//! Real servers for Holdfast's tests: started, watched, stopped.
//!
//! | what | is |
//! |---|---|
//! | [`Cluster`] | etcd and kube-apiserver with RBAC and an audit log; [`Cluster::start_full`] adds controller-manager, scheduler and kwok |
//! | [`LocalStack`], [`SeaweedFs`], [`Moto`], [`CephRgw`] | object stores, each described by an [`ObjectStore`], whose [`ObjectStore::send`] is a hand on it that isn't the code under test |
//! | [`Velero`] | Velero's server beside a cluster, run as the cluster's Deployment says, and its command line |
//! | [`RequestLog`] | an HTTP proxy in front of an object store that records every request and, by [`Rule`], injects faults |
//! | [`Gate`] | a way to a server that can be shut: `Cluster::gate` |
//! | [`Server`], [`Home`] | any other program as a child that can't outlive its test |
//! | [`kubectl`], [`fixtures`] | the `kubectl` on the PATH; Velero's own CustomResourceDefinitions |
//!
//! # Where the servers come from
//!
//! `tests/testbed/setup` (part of `make setup`) builds and installs them once per version into a cache outside the
//! work tree; [`Velero`] only with `--with-velero`. A server that is not there is [`Error::NotSetUp`], which says so; nothing is skipped. `KUBEBUILDER_ASSETS`
//! is looked at first.
//!
//! # What holds for all of them
//!
//! - They listen on loopback, on free ports, and keep their files in a temporary folder: tests run in parallel.
//! - `start` returns when the server answers, else an error that ends with the server's own log.
//! - Dropping the value kills the server and all its children, and deletes its folder. The same happens when the test's
//!   process ends in any other way, `kill -9` included: see [`Server`].
//! - `shared` is started once per process, by whoever asks first, for tests that need only a namespace or a bucket of
//!   their own.
//!
//! ```no_run
//! # async fn example() -> holdfast_testbed::Result<()> {
//! use holdfast_testbed::{Action, Cluster, LocalStack, RequestLog, Rule};
//!
//! let cluster = Cluster::shared().await?;
//! let before = cluster.mark().await?;
//! // … run something with cluster.kubeconfig() …
//! let writes = cluster.since(before).await?.into_iter().filter(|event| event.is_write()).count();
//!
//! let store = LocalStack::shared().await?.store();
//! let log = RequestLog::start(store).await?;
//! log.inject(Rule::new(Action::Reset).method("PUT").query("lifecycle").nth(1));
//! // … run something with log.store() …
//! let requests = log.requests();
//! # Ok(())
//! # }
//! ```

mod by_hand;
mod ceph;
mod cluster;
mod error;
pub mod fixtures;
mod gate;
mod home;
mod object_store;
mod port;
mod programs;
mod proxy;
mod server;
mod tools;
mod velero;

pub use ceph::CephRgw;
pub use cluster::{AuditEvent, Cluster, Mark, kubectl, kubectl_with_input};
pub use error::{Error, Result};
pub use gate::Gate;
pub use home::Home;
pub use object_store::{LocalStack, Moto, ObjectStore, SeaweedFs};
pub use proxy::{Action, Answer, Request, RequestLog, Rule, round_trips};
pub use server::Server;
pub use tools::{helm, helm_program, kubernetes_validate};
pub use velero::Velero;

/// Makes ring the process's TLS provider, if it has none yet; without one, building a TLS client panics.
///
/// Starting a [`Cluster`] or an object store does it too.
pub fn install_tls_provider() {
    // An error means that the program under test has installed one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
