use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::HeaderMap;

use super::{Incoming, Outgoing};

/// Of longer bodies only so much is recorded, in bytes; what these tests send and get is far below.
const BODY_CAP: usize = 1024 * 1024;

/// These give access, so their values are replaced.
const SECRET_HEADERS: [&str; 2] = ["authorization", "x-amz-security-token"];

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Counted by arrival, from 0; clearing the log doesn't begin anew.
    pub number: usize,
    /// `GET`, `PUT` …
    pub method: String,
    /// As sent, still encoded.
    pub path: String,
    /// As sent, still encoded, without the question mark; empty if there is none.
    pub query: String,
    /// By lower-case name; several values are joined by `, `, credentials are `(redacted)`.
    pub headers: BTreeMap<String, String>,
    /// The id of the key that signed it, which is no secret by itself; none where nobody signed.
    pub key_id: Option<String>,
    /// What was sent; the first MiB of it.
    pub body: Bytes,
    /// What the client got; none before the answer, or if the fault was to give none.
    pub status: Option<u16>,
    /// The body that the client got; the first MiB of it.
    pub answer: Bytes,
    /// The fault that it met, by the name of its [`Action`](super::Action).
    pub fault: Option<&'static str>,
    /// When all of it had arrived.
    pub started: SystemTime,
    /// When the answer was handed back, or the connection was broken.
    pub finished: Option<SystemTime>,
}

impl Request {
    pub(super) fn new(number: usize, incoming: &Incoming) -> Self {
        Self {
            number,
            method: incoming.method.to_string(),
            path: incoming.uri.path().to_owned(),
            query: incoming.uri.query().unwrap_or_default().to_owned(),
            headers: recorded(&incoming.headers),
            key_id: key_id(&incoming.headers),
            body: capped(&incoming.body),
            status: None,
            answer: Bytes::new(),
            fault: None,
            started: incoming.arrived,
            finished: None,
        }
    }

    /// With the answer, of whose body the client got so many bytes.
    pub(super) fn finish(&mut self, answer: Option<(&Outgoing, usize)>) {
        self.finished = Some(SystemTime::now());
        if let Some((answer, length)) = answer {
            self.status = Some(answer.status.as_u16());
            self.answer = capped(&answer.body.slice(..length.min(answer.body.len())));
        }
    }

    /// Whether it was to change something: any method but GET and HEAD.
    pub fn is_write(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// Whether the query has this key, with or without a value: `has_query("encryption")`.
    pub fn has_query(&self, key: &str) -> bool {
        self.query
            .split('&')
            .any(|pair| pair.split('=').next() == Some(key))
    }
}

/// How many of these requests came one after another: the largest number of them of which each began after the one
/// before it had ended. Requests without an end count as unending.
pub fn round_trips(requests: &[Request]) -> usize {
    let far = Duration::from_secs(u64::from(u32::MAX));
    let mut spans: Vec<_> = requests
        .iter()
        .map(|request| (request.finished.unwrap_or(request.started + far), request.started))
        .collect();
    spans.sort();
    let mut last_end = None;
    let mut count = 0;
    for (end, start) in spans {
        if last_end.is_none_or(|last| start >= last) {
            count += 1;
            last_end = Some(end);
        }
    }
    count
}

/// `AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/s3/aws4_request, …`
fn key_id(headers: &HeaderMap) -> Option<String> {
    let signed = headers.get("authorization")?.to_str().ok()?;
    let (_, credential) = signed.split_once("Credential=")?;
    Some(credential.split_once('/')?.0.to_owned())
}

fn recorded(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut recorded = BTreeMap::new();
    for name in headers.keys() {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let value = if SECRET_HEADERS.contains(&name.as_str()) {
            "(redacted)".into()
        } else {
            values.join(", ")
        };
        recorded.insert(name.to_string(), value);
    }
    recorded
}

fn capped(body: &Bytes) -> Bytes {
    body.slice(..body.len().min(BODY_CAP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(started: u64, finished: u64) -> Request {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        Request {
            number: 0,
            method: "GET".into(),
            path: "/".into(),
            query: "tagging&x-id=GetBucketTagging".into(),
            headers: BTreeMap::new(),
            key_id: None,
            body: Bytes::new(),
            status: Some(200),
            answer: Bytes::new(),
            fault: None,
            started: at(started),
            finished: Some(at(finished)),
        }
    }

    #[test]
    fn requests_at_the_same_time_are_one_round_trip() {
        assert_eq!(round_trips(&[]), 0);
        assert_eq!(round_trips(&[request(0, 10), request(1, 30), request(2, 5)]), 1);
    }

    #[test]
    fn round_trips_are_the_longest_chain() {
        // One long request beside three short ones in a row.
        assert_eq!(
            round_trips(&[request(0, 100), request(0, 10), request(20, 30), request(30, 40)]),
            3
        );
    }

    #[test]
    fn a_query_key_needs_no_value() {
        let request = request(0, 1);
        assert!(request.has_query("tagging") && request.has_query("x-id"));
        assert!(!request.has_query("tag"));
    }
}
