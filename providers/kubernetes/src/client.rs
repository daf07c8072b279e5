//! Requests to the API server: the one place that sends them, and the one that retries.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use holdfast_contract::{Measuring, Meter, ProviderError, ServiceAccount};
use http_body_util::{BodyExt, Collected, Limited};
use kube::client::{Body, RustlsTlsError};
use serde_json::Value as Json;
use tokio::sync::{RwLock, Semaphore};
use tokio::time::{sleep, timeout};

use crate::account;
use crate::error::{SERVICE, Status, lost};

mod call;
mod lines;
mod retry;

pub(crate) use call::{Answer, Call, Failure, Repeatable, encoded};
use call::{outcome, request};
use lines::lines;
pub(crate) use retry::{pause, varied};
use retry::{retry_after, wait};

/// How long one try of one request may take, its answer read. Webhooks may take 30 s by themselves.
const TRY: Duration = Duration::from_secs(40);
/// How often one request is tried.
const TRIES: u32 = 5;
/// So many requests of one lane are under way at most: HTTP/1 needs a connection for each.
const AT_ONCE: usize = 8;
/// The largest answer, in bytes: a page of 500 objects of 250 KB each.
const ANSWER_MAX: usize = 128 << 20;

/// A connection to one API server, as one identity.
pub(crate) struct Client {
    config: kube::Config,
    /// As whom, by impersonation.
    account: Option<ServiceAccount>,
    inner: Arc<RwLock<kube::Client>>,
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
            inner: Arc::new(RwLock::new(inner)),
            slots: Semaphore::new(AT_ONCE),
            meter: None,
        })
    }

    /// With each request measured by `meter`.
    pub(crate) fn with_meter(mut self, meter: Option<Arc<dyn Meter>>) -> Self {
        self.meter = meter;
        self
    }

    /// The same connection, whose requests wait for none of this one's.
    pub(crate) fn lane(&self) -> Self {
        Self {
            config: self.config.clone(),
            account: self.account.clone(),
            inner: Arc::clone(&self.inner),
            slots: Semaphore::new(AT_ONCE),
            meter: self.meter.clone(),
        }
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
        // Given back between two tries, so that whoever waits to try again holds up nobody.
        let _slot = self.slots.acquire().await;
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
        status.seconds_of_header = retry_after(&head.headers);
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
            status.seconds_of_header = retry_after(&head.headers);
            if status.code == 401 {
                // The next try comes with what is on disk by then.
                *self.inner.write().await = build(&self.config).map_err(Failure::Lost)?;
            }
            return Err(self.refused(status));
        }
        Ok(body)
    }
}

fn build(config: &kube::Config) -> Result<kube::Client, ProviderError> {
    kube::Client::try_from(config.clone()).map_err(|error| match error {
        // Whom to trust is the machine's or the kubeconfig's to say: nobody has refused any credentials.
        kube::Error::RustlsTls(RustlsTlsError::AddRootCertificate(fault)) => lost(format!(
            "no certificates to trust it by; the kubeconfig's certificate-authority names some, SSL_CERT_FILE others: {fault}"
        )),
        other => ProviderError::Unauthenticated {
            service: SERVICE.to_owned(),
            message: chain(&other),
        },
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn certificates_that_cannot_be_trusted_are_no_matter_of_credentials() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = kube::Config::new("https://127.0.0.1:1/".parse().unwrap());
        config.root_cert = Some(vec![b"no certificate".to_vec()]);
        let error = Client::new(config).unwrap_err();
        assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
    }
}
