//! What probes and scrapers ask for: `/healthz`, `/readyz` and `/metrics`, on a port of their own.
//!
//! Whoever can reach the port may be anybody: each request is bounded in time, connections are bounded in number, and
//! nothing that a client sends is kept, logged or answered with.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::metrics::CONTENT_TYPE as METRICS;

/// So many connections are served at once. A kubelet, a scraper or two and a curious person need fewer; the next ones wait
/// in the kernel's queue.
const CONNECTIONS: usize = 64;
/// A client has so long to send its request's head.
const HEAD: Duration = Duration::from_secs(3);
/// A connection serves one request, and lives so long at most: a probe gives up after one second, a scraper after ten.
const WHOLE: Duration = Duration::from_secs(15);
/// Requests with a larger head are refused. Probes send 200 bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// After the system could give no connection, it is asked again after so long.
const PAUSE: Duration = Duration::from_millis(100);

/// What is told over HTTP.
pub trait Source: Debug + Send + Sync {
    /// Whether the process works: every loop has come round in time. If not, it is to be killed: why, in one sentence.
    fn live(&self) -> Result<(), String>;
    /// Whether it does its work: watches are up, and every policy was observed once. If not: why, in one sentence.
    fn ready(&self) -> Result<(), String>;
    /// All metrics, as [`Metrics::text`](crate::metrics::Metrics::text) gives them.
    fn metrics(&self) -> String;
}

/// Answers until `stop` ends. Requests that are under way then are given up: none changes anything.
pub async fn serve(listener: TcpListener, source: Arc<dyn Source>, stop: impl Future<Output = ()> + Send) {
    let mut stop = pin!(stop);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            if connections.len() >= CONNECTIONS {
                connections.join_next().await;
            }
            listener.accept().await
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => return,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(timeout(WHOLE, connection(stream, source.clone())));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection to probes and scrapers can be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, source: Arc<dyn Source>) {
    let answer = service_fn(|request| {
        let source = source.clone();
        async move { Ok::<_, Infallible>(answer(&request, source.as_ref())) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        // A client that sends no HTTP, or goes away, is its own affair.
        tracing::trace!(%error, "a probe's connection ended early");
    }
}

fn answer(request: &Request<Incoming>, source: &dyn Source) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let probe: fn(&dyn Source) -> Result<(), String> = match path {
        "/healthz" => |source| source.live(),
        "/readyz" => |source| source.ready(),
        "/metrics" => |_| Ok(()),
        _ => {
            return text(
                StatusCode::NOT_FOUND,
                "not found: there are /healthz, /readyz and /metrics",
            );
        }
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    if path == "/metrics" {
        return response(StatusCode::OK, METRICS, source.metrics());
    }
    match probe(source) {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

/// One line.
fn text(status: StatusCode, line: &str) -> Response<Full<Bytes>> {
    let line = line.replace(['\r', '\n'], " ");
    response(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // What was so a moment ago is of no use to a probe.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
