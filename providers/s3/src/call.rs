//! One request to the object store, and what came back of it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use holdfast_contract::{ProviderError, ResourceKey};
use http::{HeaderMap, Method, StatusCode};

use crate::error::{Asked, Refusal};
use crate::retry::Repeat;

/// No document of a bucket comes near this size; the service allows 20 KiB of policy and 2 MiB never.
pub(crate) const MAX_DOCUMENT: usize = 1024 * 1024;
/// A page of buckets; stores that know no pages send all at once.
pub(crate) const MAX_LIST: usize = 16 * 1024 * 1024;
/// One attempt takes no longer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Nothing was answered.
#[derive(Clone, Debug)]
pub(crate) enum Lost {
    /// The connection failed, or broke before the answer's end.
    Connection(String),
    /// There was no answer in so long a time.
    Slow(Duration),
    /// The answer is larger than it can be.
    TooLarge,
    /// The request can't be signed.
    Refused(String),
}

impl Lost {
    /// `is_write`: it may take effect after nobody waits for its answer any more.
    pub(crate) fn error(&self, asked: &Asked<'_>, is_write: bool) -> ProviderError {
        let message = match self {
            Self::Connection(message) => message.clone(),
            Self::Slow(after) if is_write => {
                return ProviderError::Abandoned {
                    service: asked.service.to_owned(),
                    after: *after,
                };
            }
            Self::Slow(after) => format!("no answer within {} s", after.as_secs()),
            Self::TooLarge => "its answer is larger than any that it should give".to_owned(),
            Self::Refused(message) => {
                return ProviderError::Unauthenticated {
                    service: asked.service.to_owned(),
                    message: message.clone(),
                };
            }
        };
        asked.contradiction(message)
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Sends `request` and reads the whole answer, of at most `cap` bytes; tells by `begun` that there is one.
    pub(crate) async fn receive(
        request: reqwest::RequestBuilder,
        cap: usize,
        begun: impl FnOnce(),
    ) -> Result<Self, Lost> {
        let mut response = request.send().await.map_err(|error| lost(&error))?;
        begun();
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            if body.len() + chunk.len() > cap {
                return Err(Lost::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self {
            status,
            headers,
            body: body.freeze(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn refusal(&self) -> Refusal {
        Refusal::read(self.status, &self.headers, &self.body)
    }
}

/// How a request ended, as it is counted.
pub(crate) fn outcome(answer: &Result<Answer, Lost>) -> &'static str {
    match answer {
        Ok(answer) if answer.status.is_success() => "ok",
        Ok(answer) if answer.refusal().is_throttling() => "throttled",
        Ok(answer) if answer.status.is_server_error() => "failed",
        Ok(_) | Err(Lost::Refused(_)) => "refused",
        Err(_) => "failed",
    }
}

/// The innermost reason is the one that says something; the URL around it is known.
fn lost(error: &reqwest::Error) -> Lost {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let what = if error.is_connect() {
        "can't connect"
    } else if error.is_timeout() {
        return Lost::Slow(TIMEOUT);
    } else {
        "the connection broke"
    };
    Lost::Connection(format!("{what}: {reason}"))
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// About which bucket; none: about all.
    pub(crate) bucket: Option<&'a ResourceKey>,
    /// About which account, and then about no bucket.
    pub(crate) account: Option<&'a str>,
    pub(crate) query: Vec<(&'a str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// The permission that it takes.
    pub(crate) action: &'a str,
    pub(crate) repeat: Repeat,
    pub(crate) max_answer: usize,
    /// Whether to ask for no bucket but one of the known account.
    pub(crate) owner_checked: bool,
}

impl<'a> Call<'a> {
    /// About the bucket `key` itself.
    pub(crate) fn bucket(method: Method, key: &'a ResourceKey, action: &'a str) -> Self {
        Self {
            method,
            bucket: Some(key),
            account: None,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            action,
            repeat: Repeat::Safe,
            max_answer: MAX_DOCUMENT,
            owner_checked: true,
        }
    }

    /// Whether it is to change something.
    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET && self.method != Method::HEAD
    }

    /// About the sub-resource `query` of the bucket `key`.
    pub(crate) fn sub_resource(
        method: Method,
        key: &'a ResourceKey,
        query: &'a str,
        action: &'a str,
    ) -> Self {
        Self {
            query: vec![(query, String::new())],
            ..Self::bucket(method, key, action)
        }
    }

    /// About the block of public access of all buckets of `account`.
    pub(crate) fn account(method: Method, account: &'a str, action: &'a str) -> Self {
        Self {
            method,
            bucket: None,
            account: Some(account),
            query: Vec::new(),
            headers: vec![("x-amz-account-id", account.to_owned())],
            body: Bytes::new(),
            action,
            repeat: Repeat::Safe,
            max_answer: MAX_DOCUMENT,
            owner_checked: false,
        }
    }

    /// With a body, and the two headers that some stores insist on.
    pub(crate) fn with_body(mut self, content_type: &'static str, body: String) -> Self {
        let digest = md5::compute(&body);
        self.headers.push(("content-type", content_type.to_owned()));
        self.headers.push(("content-md5", BASE64.encode(digest.0)));
        self.body = Bytes::from(body);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_a_write_without_an_answer_took_effect_is_not_known() {
        let asked = Asked {
            service: "S3",
            action: "s3:PutBucketTagging",
            target: "bucket b",
            key: None,
        };
        let error = Lost::Slow(TIMEOUT).error(&asked, true);
        assert!(matches!(error, ProviderError::Abandoned { after, .. } if after == TIMEOUT));
        let error = Lost::Slow(TIMEOUT).error(&asked, false);
        assert!(matches!(error, ProviderError::Unavailable { .. }));
    }

    #[test]
    fn what_comes_along_with_a_document_is_its_digest() {
        let key = ResourceKey {
            provider: "s3".into(),
            kind: "s3/Bucket".into(),
            api: None,
            namespace: None,
            name: "demo".to_owned(),
            region: None,
        };
        let call = Call::bucket(Method::PUT, &key, "").with_body("application/xml", "abc".to_owned());
        assert!(
            call.headers
                .contains(&("content-md5", "kAFQmDzST7DWlj99KOF/cg==".to_owned()))
        );
    }
}
