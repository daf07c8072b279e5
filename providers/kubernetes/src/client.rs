//! Requests to the API server: the one place that sends them, and the one that retries.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use holdfast_contract::{Measuring, Meter, ProviderError, ServiceAccount};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Collected, Limited};
use kube::client::Body;
use serde_json::Value as Json;
use tokio::sync::{RwLock, Semaphore};
use tokio::time::{sleep, timeout};

use crate::account;
use crate::error::{SERVICE, Status, lost};
use crate::write::APPLY;

/// How long one try of one request may take, its answer read. Webhooks may take 30 s by themselves.
const TRY: Duration = Duration::from_secs(40);
/// How often one request is tried.
const TRIES: u32 = 5;
/// The wait before the second try; it doubles with each, and half of it is left to chance.
const BACKOFF: Duration = Duration::from_millis(200);
/// The longest wait that is obeyed here. A longer one is the caller's to wait for.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// HTTP/1 needs a connection for each request under way.
const AT_ONCE: usize = 8;
/// The largest answer, in bytes: a page of 500 objects of 250 KB each.
const ANSWER_MAX: usize = 128 << 20;
/// A watch that says nothing for this long is dead: the server ends each within 5 minutes.
const SILENCE_MAX: Duration = Duration::from_secs(330);

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query, encoded.
    pub(crate) uri: String,
    pub(crate) accept: &'static str,
    pub(crate) body: Option<Payload>,
    pub(crate) repeatable: Repeatable,
    /// What it is counted as: the verb, as RBAC and people have it; `apply`, `dry-run` and `discovery` besides.
    pub(crate) operation: &'static str,
}

/// What is sent. Its content never prints.
#[derive(Clone)]
pub(crate) struct Payload {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.content_type, self.bytes.len())
    }
}

/// What may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeatable {
    /// A read or a dry run: whatever went wrong.
    Read,
    /// A write that leaves twice what it leaves once: where it may not have come through.
    Idempotent,
    /// A write whose second answer would mean something else: only where the server said that it did nothing.
    Once,
}

impl Call {
    /// A read.
    pub(crate) fn get(uri: String) -> Self {
        Self {
            method: Method::GET,
            uri,
            accept: "application/json",
            body: None,
            repeatable: Repeatable::Read,
            operation: "get",
        }
    }

    /// A read of many.
    pub(crate) fn list(uri: String) -> Self {
        Self {
            operation: "list",
            ..Self::get(uri)
        }
    }

    /// A request with a JSON body.
    pub(crate) fn send(
        method: Method,
        uri: String,
        content_type: &'static str,
        body: &Json,
        repeatable: Repeatable,
    ) -> Self {
        Self {
            operation: operation(&method, &uri, content_type),
            method,
            uri,
            accept: "application/json",
            body: Some(Payload {
                content_type,
                bytes: body.to_string().into_bytes(),
            }),
            repeatable,
        }
    }
}

/// What a request that sends something is counted as.
fn operation(method: &Method, uri: &str, content_type: &str) -> &'static str {
    if uri.contains("dryRun=All") {
        return "dry-run";
    }
    match method.as_str() {
        "POST" => "create",
        "PUT" => "update",
        "DELETE" => "delete",
        _ if content_type == APPLY => "apply",
        _ => "patch",
    }
}

/// How a request ended, as it is counted.
fn outcome<T>(answer: &Result<T, Failure>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(Failure::Refused(status)) => match status.code {
            429 => "throttled",
            500.. => "failed",
            _ => "refused",
        },
        Err(Failure::Lost(error)) if error.is_refusal() => "refused",
        Err(Failure::Lost(_)) => "failed",
    }
}

/// An answer with a code of success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) body: Json,
}

/// Why there is none.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The server said no.
    Refused(Box<Status>),
    /// There was no answer, none that could be read, or none about what was asked.
    Lost(ProviderError),
}

impl Failure {
    /// The refusal, if it is one.
    pub(crate) fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused(status) => Some(status),
            Self::Lost(_) => None,
        }
    }

    /// As the caller's error, where a refusal means what `meaning` says.
    pub(crate) fn into_error(self, meaning: impl FnOnce(&Status) -> ProviderError) -> ProviderError {
        match self {
            Self::Refused(status) => meaning(&status),
            Self::Lost(error) => error,
        }
    }
}

/// A connection to one API server, as one identity.
pub(crate) struct Client {
    config: kube::Config,
    /// As whom, by impersonation.
    account: Option<ServiceAccount>,
    inner: RwLock<kube::Client>,
    slots: Semaphore,
    meter: Option<Arc<dyn Meter>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The configuration holds credentials.
        write!(f, "Client({}", self.config.cluster_url)?;
        if let Some(account) = &self.account {
            write!(f, " as {account}")?;
        }
        f.write_str(")")
    }
}

impl Client {
    /// A client of `config`, whose own retries must be off. Reaches no network.
    pub(crate) fn new(config: kube::Config) -> Result<Self, ProviderError> {
        let inner = build(&config)?;
        Ok(Self {
            config,
            account: None,
            inner: RwLock::new(inner),
            slots: Semaphore::new(AT_ONCE),
            meter: None,
        })
    }

    /// With each request measured by `meter`.
    pub(crate) fn with_meter(mut self, meter: Option<Arc<dyn Meter>>) -> Self {
        self.meter = meter;
        self
    }

    fn measure(&self, operation: &'static str) -> Option<Measuring<'_>> {
        let meter = self.meter.as_deref()?;
        Some(Measuring::begun(meter, "kubernetes", operation))
    }

    /// As [`new`](Self::new); each request is made as `account`, by impersonation.
    pub(crate) fn acting_as(
        mut config: kube::Config,
        account: ServiceAccount,
    ) -> Result<Self, ProviderError> {
        let auth = &mut config.auth_info;
        let elsewhere = auth.impersonate.is_some()
            || auth.impersonate_uid.is_some()
            || auth.impersonate_groups.is_some()
            || auth.impersonate_user_extra.is_some();
        if elsewhere {
            // Its groups would come along: the account would have rights that aren't its own.
            return Err(ProviderError::Unauthenticated {
                service: SERVICE.to_owned(),
                message: format!(
                    "this kubeconfig acts as another user itself (`as`, `as-groups`, `as-uid`, `as-user-extra`); \
                     whoever does can't act as ServiceAccount {account}"
                ),
            });
        }
        // With no groups named the server gives it those that every service account of its namespace has.
        auth.impersonate = Some(account::user(&account));
        Ok(Self {
            account: Some(account),
            ..Self::new(config)?
        })
    }

    /// A refusal as it is meant: that of acting as the account says nothing about what was asked.
    fn refused(&self, status: Status) -> Failure {
        match &self.account {
            Some(account) if status.denies_impersonation() => Failure::Lost(ProviderError::Denied {
                action: "impersonate serviceaccounts".to_owned(),
                target: format!("ServiceAccount {account}"),
            }),
            _ => Failure::Refused(Box::new(status)),
        }
    }

    /// What no answer means. It names the server, as a kubeconfig may point at another than one thinks.
    fn unanswered(&self, error: &kube::Error) -> ProviderError {
        let url = &self.config.cluster_url;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        match error {
            kube::Error::Auth(_) => ProviderError::Unauthenticated {
                service: SERVICE.to_owned(),
                message: chain(error),
            },
            other => lost(format!(
                "{}{port}: {}",
                url.host().unwrap_or_default(),
                chain(other)
            )),
        }
    }

    /// Sends `call` and reads its answer; tries again what may be tried again.
    pub(crate) async fn call(&self, call: &Call) -> Result<Answer, Failure> {
        let _slot = self.slots.acquire().await;
        let mut refreshed = false;
        let mut tried = 1;
        loop {
            let failure = match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if failure.status().is_some_and(|status| status.code == 401) && !refreshed {
                // The token may have been renewed on disk or by its plugin since it was read.
                refreshed = true;
                *self.inner.write().await = build(&self.config).map_err(Failure::Lost)?;
                continue;
            }
            let Some(wait) = wait(call.repeatable, &failure, tried).filter(|_| tried < TRIES) else {
                return Err(failure);
            };
            tracing::debug!(method = %call.method, uri = call.uri, tried, ?wait, "trying again");
            sleep(wait).await;
            tried += 1;
        }
    }

    async fn once(&self, call: &Call) -> Result<Answer, Failure> {
        let measuring = self.measure(call.operation);
        let answer = self.exchange(call).await;
        if let Some(measuring) = measuring {
            measuring.ended(outcome(&answer));
        }
        answer
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, Failure> {
        let request = request(call)?;
        let exchange = async {
            let client = self.inner.read().await.clone();
            let response = client
                .send(request)
                .await
                .map_err(|error| self.unanswered(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_MAX);
            let bytes = body
                .collect()
                .await
                .map_err(|error| lost(format!("its answer broke off: {error}")))?;
            Ok::<_, ProviderError>((head, bytes.to_bytes()))
        };
        let (head, bytes) = timeout(TRY, exchange)
            .await
            .map_err(|_| Failure::Lost(lost(format!("no answer within {} s", TRY.as_secs()))))?
            .map_err(Failure::Lost)?;
        let json = serde_json::from_slice::<Json>(&bytes);
        if head.status.is_success() {
            let body = json.map_err(|_| Failure::Lost(lost("its answer is not JSON")))?;
            return Ok(Answer {
                code: head.status,
                body,
            });
        }
        let mut status: Status = json
            .ok()
            .and_then(|json| serde_json::from_value(json).ok())
            .unwrap_or_default();
        status.code = head.status.as_u16();
        status.retry_after = retry_after(&head.headers);
        Err(self.refused(status))
    }

    /// The events of a watch, each as JSON; it ends when the server ends it, and is dropped to stop it.
    pub(crate) async fn watch(
        &self,
        call: &Call,
    ) -> Result<impl Stream<Item = Result<Json, ProviderError>> + Send + use<>, Failure> {
        let measuring = self.measure("watch");
        let opened = self.open(call).await;
        if let Some(measuring) = measuring {
            measuring.ended(outcome(&opened));
        }
        opened.map(lines)
    }

    /// The body of a watch that the server has accepted.
    async fn open(&self, call: &Call) -> Result<Body, Failure> {
        let request = request(call)?;
        let client = self.inner.read().await.clone();
        let response = timeout(TRY, client.send(request))
            .await
            .map_err(|_| Failure::Lost(lost("no answer to a watch")))?
            .map_err(|error| Failure::Lost(self.unanswered(&error)))?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            let bytes = timeout(TRY, Limited::new(body, 1 << 20).collect()).await;
            let bytes = bytes.ok().and_then(Result::ok).map(Collected::to_bytes);
            let mut status: Status = bytes
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default();
            status.code = head.status.as_u16();
            status.retry_after = retry_after(&head.headers);
            if status.code == 401 {
                // The next try comes with what is on disk by then.
                *self.inner.write().await = build(&self.config).map_err(Failure::Lost)?;
            }
            return Err(self.refused(status));
        }
        Ok(body)
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The JSON documents of `body`, one a line.
fn lines(body: Body) -> impl Stream<Item = Result<Json, ProviderError>> + Send + use<> {
    futures::stream::unfold(
        (body, Vec::new()),
        |(mut body, mut buffer): (Body, Vec<u8>)| async move {
            loop {
                if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                    let rest = buffer.split_off(end + 1);
                    let parsed =
                        serde_json::from_slice(&buffer).map_err(|_| lost("an event of a watch is not JSON"));
                    return Some((parsed, (body, rest)));
                }
                if buffer.len() > ANSWER_MAX {
                    return Some((
                        Err(lost("an event of a watch is too long")),
                        (Body::empty(), Vec::new()),
                    ));
                }
                match timeout(SILENCE_MAX, body.frame()).await {
                    Ok(Some(Ok(frame))) => {
                        if let Ok(data) = frame.into_data() {
                            buffer.extend_from_slice(&data);
                        }
                    }
                    // How a watch ends makes no difference: it is begun again where it ended.
                    Ok(None | Some(Err(_))) | Err(_) => return None,
                }
            }
        },
    )
}

fn build(config: &kube::Config) -> Result<kube::Client, ProviderError> {
    kube::Client::try_from(config.clone()).map_err(|error| ProviderError::Unauthenticated {
        service: SERVICE.to_owned(),
        message: chain(&error),
    })
}

fn request(call: &Call) -> Result<Request<Body>, Failure> {
    let mut builder = Request::builder()
        .method(&call.method)
        .uri(&call.uri)
        .header(header::ACCEPT, call.accept);
    if let Some(payload) = &call.body {
        builder = builder.header(header::CONTENT_TYPE, payload.content_type);
    }
    let bytes = call
        .body
        .as_ref()
        .map(|payload| payload.bytes.clone())
        .unwrap_or_default();
    builder
        .body(Body::from(bytes))
        .map_err(|error| Failure::Lost(lost(format!("the request can't be made: {error}"))))
}

/// An error with all that is below it, each said once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(below) = next {
        let words = below.to_string();
        if !text.contains(&words) {
            // Writing to a String can't fail.
            let _ = write!(text, ": {words}");
        }
        next = below.source();
    }
    text
}

/// How long to wait before the next try; none: trying again is not for us.
fn wait(repeatable: Repeatable, failure: &Failure, tried: u32) -> Option<Duration> {
    let backoff = BACKOFF * 2_u32.saturating_pow(tried - 1);
    let backoff = varied(backoff);
    let Failure::Refused(status) = failure else {
        let again = matches!(failure, Failure::Lost(ProviderError::Unavailable { .. }))
            && repeatable != Repeatable::Once;
        return again.then_some(backoff);
    };
    let again = match status.code {
        429 => true,
        503 | 504 => repeatable != Repeatable::Once,
        // Not 501, and not on writes: a webhook that fails answers so, too, and was asked for nothing in vain.
        500 | 502 => repeatable == Repeatable::Read && !status.is_misfit(),
        _ => false,
    };
    let asked = status
        .details
        .retry_after_seconds
        .map(Duration::from_secs)
        .or(status.retry_after);
    match asked {
        _ if !again => None,
        Some(asked) if asked > WAIT_MAX => None,
        Some(asked) => Some(asked.max(backoff)),
        None => Some(backoff),
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    // Without randomness there is no jitter, and nothing worse.
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

/// `BACKOFF` times two to the `failures`, at most a minute, with jitter.
pub(crate) fn pause(failures: u32) -> Duration {
    let longest = (BACKOFF * 2_u32.saturating_pow(failures.min(9))).min(Duration::from_mins(1));
    varied(longest)
}

/// From half of `longest` on, by chance.
pub(crate) fn varied(longest: Duration) -> Duration {
    longest / 2 + longest.mul_f64(chance() / 2.0)
}

/// `text` as a part of a path or as a query value.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, after: Option<u64>) -> Failure {
        Failure::Refused(Box::new(Status {
            code,
            retry_after: after.map(Duration::from_secs),
            ..Status::default()
        }))
    }

    #[test]
    fn what_is_tried_again_depends_on_what_it_was() {
        let again = |repeatable, failure: &Failure| wait(repeatable, failure, 1).is_some();
        for repeatable in [Repeatable::Read, Repeatable::Idempotent, Repeatable::Once] {
            assert!(again(repeatable, &refused(429, None)), "the server did nothing");
            assert!(!again(repeatable, &refused(409, None)) && !again(repeatable, &refused(403, None)));
        }
        let gone = Failure::Lost(lost("reset"));
        assert!(again(Repeatable::Idempotent, &gone) && again(Repeatable::Idempotent, &refused(503, None)));
        assert!(!again(Repeatable::Once, &gone) && !again(Repeatable::Once, &refused(503, None)));
        assert!(
            again(Repeatable::Read, &refused(500, None))
                && !again(Repeatable::Idempotent, &refused(500, None))
        );
    }

    #[test]
    fn the_servers_wait_is_obeyed_and_a_long_one_is_left_to_the_caller() {
        let wait = |after| wait(Repeatable::Read, &refused(429, Some(after)), 1);
        assert_eq!(wait(3), Some(Duration::from_secs(3)));
        assert_eq!(wait(60), None);
    }

    #[test]
    fn waits_grow_and_vary_within_bounds() {
        for tried in 1..5 {
            let full = BACKOFF * 2_u32.pow(tried - 1);
            let wait = wait(Repeatable::Read, &refused(503, None), tried).unwrap();
            assert!(wait >= full / 2 && wait <= full, "{tried}: {wait:?}");
        }
    }

    #[test]
    fn each_request_is_counted_as_what_it_is() {
        let sent = |method, uri: &str, content_type| {
            let body = serde_json::json!({});
            Call::send(method, uri.to_owned(), content_type, &body, Repeatable::Once).operation
        };
        let (json, merge) = ("application/json", "application/merge-patch+json");
        assert_eq!(sent(Method::POST, "/x", json), "create");
        assert_eq!(sent(Method::PUT, "/x", json), "update");
        assert_eq!(sent(Method::DELETE, "/x", json), "delete");
        assert_eq!(sent(Method::PATCH, "/x?force=true", APPLY), "apply");
        assert_eq!(sent(Method::PATCH, "/x", merge), "patch");
        assert_eq!(sent(Method::PATCH, "/x?force=true&dryRun=All", APPLY), "dry-run");
        assert_eq!(sent(Method::DELETE, "/x?dryRun=All", json), "dry-run");
        assert_eq!(Call::list("/x".to_owned()).operation, "list");
    }

    #[test]
    fn an_answer_that_says_no_is_no_failure_of_the_service() {
        let outcome = |failure| outcome::<()>(&Err(failure));
        assert_eq!(outcome(refused(404, None)), "refused");
        assert_eq!(outcome(refused(429, None)), "throttled");
        assert_eq!(outcome(refused(503, None)), "failed");
        assert_eq!(outcome(Failure::Lost(lost("reset"))), "failed");
    }

    #[test]
    fn names_are_encoded() {
        assert_eq!(encoded("system:node/a b"), "system%3Anode%2Fa%20b");
        assert_eq!(encoded("x.y-z_1~"), "x.y-z_1~");
    }

    #[test]
    fn a_payload_does_not_print() {
        let body = serde_json::json!({ "data": "hunter2" });
        let call = Call::send(
            Method::PATCH,
            "/x".to_owned(),
            "application/json",
            &body,
            Repeatable::Once,
        );
        assert!(!format!("{call:?}").contains("hunter2"));
    }
}
