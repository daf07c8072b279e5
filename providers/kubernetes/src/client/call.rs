//! One request, and its answer.

use std::fmt::{self, Write as _};

use holdfast_contract::ProviderError;
use http::{Method, Request, StatusCode, header};
use kube::client::Body;
use serde_json::Value as Json;

use crate::error::{Status, lost};
use crate::write::APPLY;

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

/// How a request ended, as it is counted.
pub(super) fn outcome<T>(answer: &Result<T, Failure>) -> &'static str {
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

/// `call`, as it is sent.
pub(super) fn request(call: &Call) -> Result<Request<Body>, Failure> {
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

    fn refused(code: u16) -> Failure {
        Failure::Refused(Box::new(Status {
            code,
            ..Status::default()
        }))
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
        assert_eq!(outcome(refused(404)), "refused");
        assert_eq!(outcome(refused(429)), "throttled");
        assert_eq!(outcome(refused(503)), "failed");
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
