use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Incoming, Outgoing};

/// What happens to a request.
#[derive(Clone)]
#[non_exhaustive]
pub enum Action {
    /// This is the answer; the store doesn't see the request.
    Answer(Answer),
    /// The store gets it so much later.
    Delay(Duration),
    /// The store gets it and acts; the client sees a reset connection.
    DropAnswer,
    /// The client sees a reset connection; the store doesn't see the request.
    Reset,
    /// Called before the request goes on, on a thread of its own: it may block, and kill the very client.
    ///
    /// With [`Action::Reset`] after it, a client is killed before its request took effect; with
    /// [`Action::DropAnswer`], or nothing, after.
    Run(Arc<dyn Fn() + Send + Sync>),
    /// The answer that the same GET or HEAD (path and query) got last, as if nothing had been written since; forwarded
    /// if there was none. Such an answer isn't remembered again.
    Stale,
    /// The store's answer with its full `Content-Length`, of whose body so many bytes come before the connection ends.
    Truncate(usize),
}

impl Action {
    /// An answer with this status and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer(Answer {
            status,
            headers: Vec::new(),
            body: String::new(),
        })
    }

    /// S3's error document, such as `error(503, "SlowDown")`.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>injected</Message>\
             <RequestId>testbed</RequestId></Error>"
        );
        Self::Answer(Answer {
            status,
            headers: vec![("content-type".into(), "application/xml".into())],
            body,
        })
    }

    /// A callback: see [`Action::Run`].
    pub fn run(callback: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Run(Arc::new(callback))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Answer(_) => "answer",
            Self::Delay(_) => "delay",
            Self::DropAnswer => "drop answer",
            Self::Reset => "reset",
            Self::Run(_) => "run",
            Self::Stale => "stale",
            Self::Truncate(_) => "truncate",
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An answer that the store never gave.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names and values, such as `("retry-after", "2")`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    pub(super) fn outgoing(&self) -> Outgoing {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            // A header that can't be sent is left out.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.append(name, value);
            }
        }
        Outgoing {
            status: StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers,
            body: Bytes::from(self.body.clone()),
        }
    }
}

/// Which requests get which [`Action`]: those that match all that is named, by default every one.
#[derive(Clone, Debug)]
pub struct Rule {
    action: Action,
    method: Option<String>,
    path: Option<String>,
    query: Option<String>,
    calls: Calls,
}

/// Which of the requests that match.
#[derive(Clone, Copy, Debug)]
enum Calls {
    All,
    First(usize),
    For(Duration),
    From(usize),
    Nth(usize),
}

impl Rule {
    /// This action for every request.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self {
            action,
            method: None,
            path: None,
            query: None,
            calls: Calls::All,
        }
    }

    /// Only this method, in capitals.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only this path, such as `/bucket`, a slash at its end not counted; `/bucket/*` means all below it.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Only with this key in the query, such as `encryption`; `""` means without any query.
    #[must_use]
    pub fn query(mut self, key: &str) -> Self {
        self.query = Some(key.to_owned());
        self
    }

    /// Only the first so many requests that match.
    #[must_use]
    pub fn first(mut self, count: usize) -> Self {
        self.calls = Calls::First(count);
        self
    }

    /// Only the n-th request that matches, counted from 1, and all after it.
    #[must_use]
    pub fn from(mut self, number: usize) -> Self {
        self.calls = Calls::From(number);
        self
    }

    /// Only the n-th request that matches, counted from 1.
    #[must_use]
    pub fn nth(mut self, number: usize) -> Self {
        self.calls = Calls::Nth(number);
        self
    }

    /// Only for so long from [`RequestLog::inject`](super::RequestLog::inject) on.
    #[must_use]
    pub fn during(mut self, time: Duration) -> Self {
        self.calls = Calls::For(time);
        self
    }

    fn matches(&self, request: &Incoming) -> bool {
        let path = request.uri.path();
        let query = request.uri.query().unwrap_or_default();
        let path_matches = |wanted: &str| match wanted.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path.trim_end_matches('/') == wanted.trim_end_matches('/'),
        };
        let query_matches = |wanted: &str| {
            query
                .split('&')
                .any(|pair| pair.split('=').next() == Some(wanted))
        };
        self.method
            .as_ref()
            .is_none_or(|wanted| wanted == request.method.as_str())
            && self.path.as_deref().is_none_or(path_matches)
            && self.query.as_deref().is_none_or(query_matches)
    }
}

/// A rule at work.
#[derive(Debug)]
pub(super) struct Armed {
    rule: Rule,
    since: Instant,
    matched: usize,
}

impl Armed {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            since: Instant::now(),
            matched: 0,
        }
    }

    /// Counts the request if it matches; the action if it is this request's.
    pub(super) fn applies(&mut self, request: &Incoming) -> Option<Action> {
        if !self.rule.matches(request) {
            return None;
        }
        self.matched += 1;
        let applies = match self.rule.calls {
            Calls::All => true,
            Calls::First(count) => self.matched <= count,
            Calls::For(time) => self.since.elapsed() < time,
            Calls::From(number) => self.matched >= number,
            Calls::Nth(number) => self.matched == number,
        };
        applies.then(|| self.rule.action.clone())
    }
}

/// What each GET and HEAD was answered last.
#[derive(Debug, Default)]
pub(super) struct LastAnswers(BTreeMap<(String, String), Outgoing>);

impl LastAnswers {
    pub(super) fn of(&self, request: &Incoming) -> Option<Outgoing> {
        self.0.get(&key(request)?).cloned()
    }

    pub(super) fn remember(&mut self, request: &Incoming, answer: &Outgoing) {
        if let Some(key) = key(request) {
            self.0.insert(key, answer.clone());
        }
    }
}

fn key(request: &Incoming) -> Option<(String, String)> {
    request
        .method
        .is_safe()
        .then(|| (request.method.to_string(), request.uri.to_string()))
}
