//! A server that says what the test tells it to.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// One answer: code, further headers, body. None: the connection is closed without one.
pub type Answer = Option<(u16, &'static str, Json)>;

/// One answer, as bytes; then the connection is closed.
#[derive(Clone, Debug)]
pub struct Reply {
    pub code: u16,
    pub headers: &'static str,
    pub body: String,
    /// After how long the connection is closed.
    pub closes: Duration,
}

impl From<(u16, &'static str, Json)> for Reply {
    fn from((code, headers, body): (u16, &'static str, Json)) -> Self {
        Self {
            code,
            headers,
            body: body.to_string(),
            closes: Duration::ZERO,
        }
    }
}

/// A server that gives each request after discovery the next of its answers, and the last one for ever.
pub struct Script {
    pub kubeconfig: PathBuf,
    seen: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Script {
    pub async fn play(name: &str, answers: Vec<Answer>) -> Self {
        Self::play_with(name, answers, "Current").await
    }

    pub async fn play_with(name: &str, answers: Vec<Answer>, freshness: &'static str) -> Self {
        let replies: Vec<_> = answers
            .into_iter()
            .map(|answer| answer.map(Reply::from))
            .collect();
        let reply = move |number: usize, _: &str| replies[number.min(replies.len() - 1)].clone();
        Self::reply_with(name, reply, freshness).await
    }

    /// One that gives each request after discovery what `reply` makes of its number, from 0, and its line.
    pub async fn reply_with(
        name: &str,
        reply: impl Fn(usize, &str) -> Option<Reply> + Send + Sync + 'static,
        freshness: &'static str,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, reply) = (Arc::clone(&seen), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (kept, reply) = (Arc::clone(&kept), Arc::clone(&reply));
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    let mut buffer = [0; 4096];
                    // One request a connection: that it is closed is said in the answer.
                    while !complete(&request) {
                        match socket.read(&mut buffer).await {
                            Ok(0) | Err(_) => break,
                            Ok(read) => request.extend_from_slice(&buffer[..read]),
                        }
                    }
                    let text = String::from_utf8_lossy(&request);
                    let line = text.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
                    let answer = match line.as_str() {
                        "GET /api" => {
                            Some((200, "", discovery("", "v1", "configmaps", "ConfigMap", "Current")).into())
                        }
                        "GET /apis" => Some((200, "", discovery("x.dev", "v1", "xs", "X", freshness)).into()),
                        _ => {
                            let number = {
                                let mut kept = kept.lock().unwrap();
                                kept.push((Instant::now(), line.clone()));
                                kept.len() - 1
                            };
                            reply(number, &line)
                        }
                    };
                    if let Some(answer) = answer {
                        let Reply {
                            code,
                            headers,
                            body,
                            closes,
                        } = answer;
                        // Without a length it ends with the connection.
                        let head = format!("HTTP/1.1 {code} X\r\nconnection: close\r\n{headers}\r\n");
                        let _ = socket.write_all((head + &body).as_bytes()).await;
                        tokio::time::sleep(closes).await;
                    }
                });
            }
        });
        let kubeconfig =
            std::env::temp_dir().join(format!("holdfast-{name}-{}.kubeconfig", std::process::id()));
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{ "name": "x", "cluster": { "server": url } }],
            "users": [{ "name": "x", "user": { "token": "t" } }],
            "contexts": [{ "name": "x", "context": { "cluster": "x", "user": "x" } }],
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { kubeconfig, seen }
    }

    /// How many requests there were after discovery.
    pub fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Which they were, and when.
    pub fn requests(&self) -> Vec<(Instant, String)> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")?
            .trim()
            .parse::<usize>()
            .ok()
    });
    body.len() >= length.unwrap_or(0)
}

fn discovery(group: &str, version: &str, plural: &str, kind: &str, freshness: &str) -> Json {
    let resources = match freshness {
        "Stale" => json!([]),
        _ => {
            json!([{ "resource": plural, "scope": "Namespaced", "verbs": ["get"], "responseKind": { "kind": kind } }])
        }
    };
    json!({ "kind": "APIGroupDiscoveryList", "items": [{
        "metadata": { "name": group },
        "versions": [{ "version": version, "freshness": freshness, "resources": resources }],
    }]})
}
