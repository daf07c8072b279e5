#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

#[derive(Debug, Default)]
struct Told {
    dead: Mutex<Option<String>>,
    unready: Mutex<Option<String>>,
    panics: AtomicBool,
}

impl Source for Told {
    fn live(&self) -> Result<(), String> {
        assert!(!self.panics.load(Ordering::SeqCst), "as asked");
        self.dead.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn ready(&self) -> Result<(), String> {
        self.unready.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }
}

struct Server {
    address: SocketAddr,
    told: Arc<Told>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Told::default());
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { stopped.await.unwrap_or_default() };
        let served = tokio::spawn(serve(listener, told.clone(), stopped));
        Self {
            address,
            told,
            stop,
            served,
        }
    }

    /// Sends `request`, and returns all that comes until the server closes.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that refuses early may close before it has read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, path: &str) -> (String, String) {
        self.request("GET", path).await
    }

    /// The status line, and the body.
    async fn request(&self, method: &str, path: &str) -> (String, String) {
        let answer = self
            .send(&format!("{method} {path} HTTP/1.1\r\nHost: probe\r\n\r\n"))
            .await;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{answer:?}"));
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }
}

fn ok(body: &str) -> (String, String) {
    ("HTTP/1.1 200 OK".to_owned(), body.to_owned())
}

fn unavailable(body: &str) -> (String, String) {
    ("HTTP/1.1 503 Service Unavailable".to_owned(), body.to_owned())
}

#[tokio::test]
async fn probes_are_told_ok_or_why_not_in_one_line() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await, ok("ok\n"));
    assert_eq!(server.get("/readyz?verbose").await, ok("ok\n"));
    *server.told.unready.lock().unwrap() = Some("3 of 4 policies\r\nwere not observed yet".to_owned());
    let why = unavailable("3 of 4 policies  were not observed yet\n");
    assert_eq!(server.get("/readyz").await, why);
    assert_eq!(server.get("/healthz").await, ok("ok\n"), "not ready is not dead");
    *server.told.dead.lock().unwrap() = Some("the loop of a/b is stuck".to_owned());
    assert_eq!(
        server.get("/healthz").await,
        unavailable("the loop of a/b is stuck\n")
    );
}

#[tokio::test]
async fn metrics_come_with_their_type() {
    let server = Server::start().await;
    let answer = server
        .send("GET /metrics HTTP/1.1\r\nHost: scraper\r\n\r\n")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n# EOF\n"),
        "{answer}"
    );
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn head_is_answered_without_a_body_and_nothing_else_is() {
    let server = Server::start().await;
    assert_eq!(server.request("HEAD", "/healthz").await, ok(""));
    for method in ["POST", "DELETE", "PUT", "OPTIONS"] {
        let (status, _) = server.request(method, "/metrics").await;
        assert_eq!(status, "HTTP/1.1 405 Method Not Allowed", "{method}");
    }
    for path in ["/", "/debug/pprof", "/healthz/", "/metrics/x", "/%2e%2e/healthz"] {
        let (status, body) = server.get(path).await;
        assert_eq!(status, "HTTP/1.1 404 Not Found", "{path}");
        assert!(
            !body.contains("pprof"),
            "what was asked for isn't repeated: {body}"
        );
    }
}

#[tokio::test]
async fn clients_that_send_rubbish_or_nothing_do_not_keep_others_from_being_served() {
    let server = Server::start().await;
    let huge = format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024));
    for rubbish in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "\r\n\r\n\r\n", huge.as_str()] {
        let answer = server.send(rubbish).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    // More than are served at once; none of them ever finishes its request.
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS + 8 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /healthz HT").await.unwrap();
        silent.push(stream);
    }
    let began = Instant::now();
    assert_eq!(server.get("/healthz").await, ok("ok\n"));
    assert!(began.elapsed() < HEAD * 3, "{:?}", began.elapsed());
    drop(silent);
}

#[tokio::test]
async fn a_probe_that_panics_costs_its_own_connection_only() {
    let server = Server::start().await;
    server.told.panics.store(true, Ordering::SeqCst);
    assert_eq!(
        server.send("GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n").await,
        ""
    );
    server.told.panics.store(false, Ordering::SeqCst);
    assert_eq!(server.get("/healthz").await, ok("ok\n"));
}

#[tokio::test]
async fn it_ends_when_told_to_whoever_is_connected() {
    let server = Server::start().await;
    let mut open = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(server.get("/healthz").await, ok("ok\n"));
    server.stop.send(()).unwrap();
    timeout(HEAD, server.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    let mut rest = Vec::new();
    let _ = timeout(HEAD, open.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}
