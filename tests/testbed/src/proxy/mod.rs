//! An HTTP proxy that records, and that fails on demand.

mod faults;
mod log;
mod serve;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use tokio::{net::TcpListener, task::JoinHandle};

pub use self::{
    faults::{Action, Answer, Rule},
    log::{Request, round_trips},
};
use crate::{
    error::{Error, Result},
    object_store::ObjectStore,
};

/// An HTTP proxy in front of an object store: it records every request, and injects faults by [`Rule`].
///
/// Requests are forwarded as they came, `Host` header, path and query byte by byte, so that signatures stay valid.
/// Bodies are held in memory whole. It serves until it is dropped or the test's runtime ends.
#[derive(Debug)]
pub struct RequestLog {
    store: ObjectStore,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What the proxy's connections share.
#[derive(Debug)]
struct Shared {
    /// `http://HOST:PORT` of the store.
    upstream: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of all time: clearing the log doesn't reset it.
    arrivals: usize,
    requests: Vec<Request>,
    rules: Vec<faults::Armed>,
    last_answers: faults::LastAnswers,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestLog {
    /// Starts one in front of `store`.
    pub async fn start(store: &ObjectStore) -> Result<Self> {
        let failed = || Error::io("listen on loopback");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let shared = Arc::new(Shared {
            upstream: store.endpoint.clone(),
            state: Mutex::default(),
        });
        let accepting = tokio::spawn(serve::accept(listener, Arc::clone(&shared)));
        let store = ObjectStore {
            endpoint: format!("http://{address}"),
            ..store.clone()
        };
        Ok(Self {
            store,
            shared,
            accepting,
        })
    }

    /// The store as seen through this proxy.
    #[must_use]
    pub fn store(&self) -> &ObjectStore {
        &self.store
    }

    /// Every request so far, in the order of their arrival; those without an answer yet have no `finished`.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Forgets the requests, for a test's next act. Rules stay.
    pub fn clear(&self) {
        self.shared.state().requests.clear();
    }

    /// From now on, requests that match `rule` get its fault. Of several rules that apply to a request, the first
    /// that answers or breaks it wins; delays and callbacks before it happen too.
    pub fn inject(&self, rule: Rule) {
        self.shared.state().rules.push(faults::Armed::new(rule));
    }

    /// Forgets the rules.
    pub fn heal(&self) {
        self.shared.state().rules.clear();
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A request as the proxy got it.
struct Incoming {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    arrived: SystemTime,
}

/// An answer on its way to the client.
#[derive(Clone, Debug)]
struct Outgoing {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}
