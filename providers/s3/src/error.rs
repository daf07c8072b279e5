//! What the service answers when it refuses, and what the caller may do about it.

use std::time::Duration;

use holdfast_contract::{ProviderError, ResourceKey};
use http::{HeaderMap, StatusCode};

use crate::xml;

/// As much of a service's own words as a message repeats.
const MAX_WORDS: usize = 300;
/// The longest wait that a service is believed to want.
const ASKED_MAX: Duration = Duration::from_hours(1);

/// A refusal, as the service worded it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The error code; empty where the answer bears none (a HEAD, a proxy).
    pub(crate) code: String,
    /// The message for people.
    pub(crate) message: String,
    /// The region in which the bucket really is, where the answer names one.
    pub(crate) region: Option<String>,
    /// How long it asks to wait.
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads an answer that is not a success.
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let root = xml::parse(body).ok();
        // STS wraps its errors once more.
        let error = root.as_ref().map(|root| root.child("Error").unwrap_or(root));
        let text = |name| {
            error
                .and_then(|error| error.child_text(name))
                .filter(|text| !text.is_empty())
        };
        let header = |name| {
            headers
                .get(name)
                .and_then(|value: &http::HeaderValue| value.to_str().ok())
        };
        Self {
            status: status.as_u16(),
            code: text("Code").unwrap_or_default().to_owned(),
            message: text("Message")
                .unwrap_or_default()
                .chars()
                .take(MAX_WORDS)
                .collect(),
            region: header("x-amz-bucket-region")
                .or_else(|| text("Region"))
                .filter(|region| crate::names::is_region(region))
                .map(str::to_owned),
            retry_after: header("retry-after")
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(|seconds| Duration::from_secs(seconds).min(ASKED_MAX)),
        }
    }

    /// Whether it says that another region is the right one.
    pub(crate) fn is_elsewhere(&self) -> bool {
        // A HEAD has no body that could hold the code.
        let unworded = self.status == 400 && self.code.is_empty() && self.region.is_some();
        unworded
            || matches!(self.status, 301 | 302 | 307 | 308)
            || matches!(
                self.code.as_str(),
                "AuthorizationHeaderMalformed" | "PermanentRedirect" | "TemporaryRedirect"
            )
    }

    /// Whether it says that the credentials themselves are no good.
    pub(crate) fn is_about_credentials(&self) -> bool {
        self.status == 401
            || matches!(
                self.code.as_str(),
                "ExpiredToken"
                    | "ExpiredTokenException"
                    | "IncompleteSignature"
                    | "InvalidAccessKeyId"
                    | "InvalidClientTokenId"
                    | "InvalidIdentityToken"
                    | "InvalidSecurity"
                    | "InvalidToken"
                    | "MissingAuthenticationToken"
                    | "NotSignedUp"
                    | "RequestExpired"
                    | "RequestTimeTooSkewed"
                    | "SignatureDoesNotMatch"
                    | "TokenRefreshRequired"
                    | "UnrecognizedClientException"
            )
    }

    /// Whether it asks to slow down.
    pub(crate) fn is_throttling(&self) -> bool {
        // A HEAD's answer has no code, and this status is how the service slows down.
        self.status == 429
            || (self.status == 503 && self.code.is_empty())
            || matches!(
                self.code.as_str(),
                "BandwidthLimitExceeded"
                    | "RequestLimitExceeded"
                    | "RequestThrottled"
                    | "SlowDown"
                    | "Throttling"
                    | "ThrottlingException"
                    | "TooManyRequests"
                    | "TooManyRequestsException"
            )
    }

    /// Whether it proves that there is no such bucket.
    pub(crate) fn is_no_such_bucket(&self) -> bool {
        self.status == 404 && self.code == "NoSuchBucket"
    }

    /// Whether the service doesn't know what it was asked for.
    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(self.status, 405 | 501)
            || matches!(
                self.code.as_str(),
                "NotImplemented" | "MethodNotAllowed" | "UnsupportedOperation" | "XNotImplemented"
            )
    }

    fn words(&self) -> String {
        match (self.code.as_str(), self.message.as_str()) {
            ("", _) => format!("status {} without an S3 error", self.status),
            (code, "") => code.to_owned(),
            (code, message) => format!("{code}: {message}"),
        }
    }
}

/// What was asked for, for an error's message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Who was asked: `S3 at 127.0.0.1:4566`.
    pub(crate) service: &'a str,
    /// The permission that it takes.
    pub(crate) action: &'a str,
    /// On what.
    pub(crate) target: &'a str,
    /// The bucket, if it is about one.
    pub(crate) key: Option<&'a ResourceKey>,
}

impl Asked<'_> {
    /// What the caller may do about `refusal`.
    pub(crate) fn error(&self, refusal: &Refusal) -> ProviderError {
        let service = self.service.to_owned();
        if refusal.is_throttling() {
            return ProviderError::Throttled {
                service,
                retry_after: refusal.retry_after,
            };
        }
        if refusal.is_about_credentials() {
            return ProviderError::Unauthenticated {
                service,
                message: refusal.words(),
            };
        }
        if refusal.is_elsewhere() {
            return self.invalid(match &refusal.region {
                Some(region) => format!("it is in region {region}; set `region: {region}`"),
                None => format!("it is in another region, which {} doesn't name", self.service),
            });
        }
        if refusal.is_unsupported() {
            return ProviderError::Unsupported {
                service,
                what: format!("{} on {}", self.action, self.target),
            };
        }
        match (refusal.status, self.key) {
            (403, _) => ProviderError::Denied {
                action: self.action.to_owned(),
                target: self.target.to_owned(),
            },
            (409, Some(key)) if refusal.code == "OperationAborted" => {
                ProviderError::Conflict { key: key.clone() }
            }
            (404, Some(key)) if refusal.is_no_such_bucket() => ProviderError::Conflict { key: key.clone() },
            // A refusal that the service words is about the request; anything else about the service.
            (400..=499, _)
                if !refusal.code.is_empty() && refusal.status != 408 && refusal.code != "RequestTimeout" =>
            {
                self.invalid(refusal.words())
            }
            _ => ProviderError::Unavailable {
                service,
                message: refusal.words(),
                source: None,
            },
        }
    }

    /// The request can't be right as it is.
    pub(crate) fn invalid(&self, message: String) -> ProviderError {
        ProviderError::Invalid {
            target: self.target.to_owned(),
            message,
            field: None,
        }
    }

    /// The service answers what can't be.
    pub(crate) fn contradiction(&self, message: impl Into<String>) -> ProviderError {
        ProviderError::Unavailable {
            service: self.service.to_owned(),
            message: message.into(),
            source: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, headers: &[(&str, &str)], body: &str) -> ProviderError {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(
                http::HeaderName::try_from(*name).unwrap(),
                http::HeaderValue::try_from(*value).unwrap(),
            );
        }
        let refusal = Refusal::read(StatusCode::from_u16(status).unwrap(), &map, body.as_bytes());
        let asked = Asked {
            service: "S3",
            action: "s3:PutBucketLogging",
            target: "bucket b",
            key: None,
        };
        asked.error(&refusal)
    }

    fn coded(status: u16, code: &str) -> ProviderError {
        error(
            status,
            &[],
            &format!("<Error><Code>{code}</Code><Message>m</Message></Error>"),
        )
    }

    #[test]
    fn a_denied_call_names_the_missing_permission() {
        assert_eq!(
            coded(403, "AccessDenied").to_string(),
            "access denied: this identity lacks s3:PutBucketLogging on bucket b"
        );
        assert!(matches!(error(403, &[], ""), ProviderError::Denied { .. }));
    }

    #[test]
    fn bad_credentials_are_not_a_missing_permission() {
        for code in [
            "ExpiredToken",
            "SignatureDoesNotMatch",
            "InvalidAccessKeyId",
            "RequestTimeTooSkewed",
        ] {
            assert!(
                matches!(coded(403, code), ProviderError::Unauthenticated { .. }),
                "{code}"
            );
        }
    }

    #[test]
    fn the_right_region_is_named() {
        let expected = "bucket b refused: it is in region eu-west-1; set `region: eu-west-1`";
        let by_header = error(301, &[("x-amz-bucket-region", "eu-west-1")], "");
        assert_eq!(by_header.to_string(), expected);
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
        assert_eq!(error(400, &[], body).to_string(), expected);
    }

    #[test]
    fn a_hostile_region_is_not_believed() {
        let answer = error(301, &[("x-amz-bucket-region", "evil.example/")], "");
        assert!(!answer.to_string().contains("evil"), "{answer}");
    }

    #[test]
    fn a_failing_service_is_not_a_wrong_request() {
        assert!(matches!(
            error(404, &[], "<html>not here</html>"),
            ProviderError::Unavailable { .. }
        ));
        assert!(matches!(
            coded(500, "InternalError"),
            ProviderError::Unavailable { .. }
        ));
        assert!(matches!(
            coded(400, "RequestTimeout"),
            ProviderError::Unavailable { .. }
        ));
        assert!(matches!(
            coded(400, "MalformedXML"),
            ProviderError::Invalid { .. }
        ));
        assert!(matches!(
            coded(501, "NotImplemented"),
            ProviderError::Unsupported { .. }
        ));
    }

    #[test]
    fn throttling_says_how_long_and_never_longer_than_an_hour() {
        for (asked, taken) in [("7", 7), ("86400", 3600), ("18446744073709551615", 3600)] {
            let answer = error(
                503,
                &[("retry-after", asked)],
                "<Error><Code>SlowDown</Code></Error>",
            );
            let ProviderError::Throttled { retry_after, .. } = answer else {
                panic!("{answer}");
            };
            assert_eq!(retry_after, Some(Duration::from_secs(taken)));
        }
    }
}
