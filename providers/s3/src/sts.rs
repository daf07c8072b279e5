//! The security token service: who we are, and keys for a token.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use holdfast_contract::{Measuring, Meter, ProviderError};
use http::{HeaderMap, Method};
use s3::signing::uri_encode;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::call::{self, Answer, Lost};
use crate::credentials::{Keys, WebIdentity, missing};
use crate::error::Asked;
use crate::retry::{self, Repeat};
use crate::sign::{Service, Signer};
use crate::xml::{self, Node};

/// Its answers are small.
const MAX_ANSWER: usize = 64 * 1024;
/// The service gives out no keys that end sooner.
const SHORTEST_SESSION: time::Duration = time::Duration::minutes(15);
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of the security token service.
#[derive(Clone, Debug)]
pub(crate) struct Sts {
    http: reqwest::Client,
    endpoint: Url,
    region: String,
    meter: Option<Arc<dyn Meter>>,
}

impl Sts {
    pub(crate) fn new(http: reqwest::Client, endpoint: Url, region: String) -> Self {
        Self {
            http,
            endpoint,
            region,
            meter: None,
        }
    }

    /// With each request measured by `meter`.
    pub(crate) fn with_meter(mut self, meter: Option<Arc<dyn Meter>>) -> Self {
        self.meter = meter;
        self
    }

    /// The account that `keys` belong to.
    pub(crate) async fn account(&self, keys: &Keys) -> Result<String, ProviderError> {
        let answer = self
            .call(
                "sts:GetCallerIdentity",
                &[("Action", "GetCallerIdentity")],
                Some(keys),
            )
            .await?;
        answer
            .child("GetCallerIdentityResult")
            .and_then(|result| result.child_text("Account"))
            .filter(|account| !account.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| {
                asked("sts:GetCallerIdentity", &self.service()).contradiction("it names no account")
            })
    }

    /// Keys of the role that `identity` names, for the token that its file holds now.
    pub(crate) async fn assume(&self, identity: &WebIdentity) -> Result<Keys, ProviderError> {
        let token = tokio::fs::read_to_string(&identity.token_file)
            .await
            .map_err(|error| missing(format!("{}: {error}", identity.token_file.display())))?;
        let parameters = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", identity.role.as_str()),
            ("RoleSessionName", identity.session.as_str()),
            ("WebIdentityToken", token.trim()),
        ];
        let action = "sts:AssumeRoleWithWebIdentity";
        let answer = self.call(action, &parameters, None).await?;
        let credentials = answer
            .child("AssumeRoleWithWebIdentityResult")
            .and_then(|result| result.child("Credentials"));
        let text = |name| {
            credentials
                .and_then(|credentials| credentials.child_text(name))
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        match (text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken")) {
            (Some(access_key), Some(secret_key), session_token) => Ok(Keys {
                access_key,
                secret_key,
                session_token,
                expires: text("Expiration")
                    .and_then(|end| OffsetDateTime::parse(&end, &Rfc3339).ok())
                    .or_else(|| OffsetDateTime::now_utc().checked_add(SHORTEST_SESSION)),
            }),
            _ => Err(asked(action, &self.service()).contradiction("its answer holds no keys")),
        }
    }

    fn service(&self) -> String {
        format!("STS at {}", self.endpoint.host_str().unwrap_or_default())
    }

    async fn call(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        keys: Option<&Keys>,
    ) -> Result<Node, ProviderError> {
        let mut text = String::from("Version=2011-06-15");
        for (name, value) in parameters {
            let _ = write!(text, "&{name}={}", uri_encode(value, true));
        }
        let answer = retry::until_final(Repeat::Safe, || async {
            let (operation, sending) = match keys {
                Some(keys) => ("GetCallerIdentity", self.get(&text, keys).boxed()),
                None => ("AssumeRoleWithWebIdentity", self.post(text.clone()).boxed()),
            };
            let meter = self.meter.as_deref();
            let measuring = meter.map(|meter| Measuring::begun(meter, "s3", operation));
            let answer = sending.await;
            if let Some(measuring) = measuring {
                measuring.ended(call::outcome(&answer));
            }
            answer
        })
        .await;
        let service = self.service();
        let about = asked(action, &service);
        let answer = answer.map_err(|lost| lost.error(&about, false))?;
        if !answer.status.is_success() {
            let refusal = answer.refusal();
            // A role that doesn't trust the token, or a token that is no good, is a matter of credentials.
            if keys.is_none() && matches!(refusal.status, 400 | 403) && !refusal.is_throttling() {
                return Err(ProviderError::Unauthenticated {
                    service,
                    message: format!("{}: {}", refusal.code, refusal.message),
                });
            }
            return Err(about.error(&refusal));
        }
        xml::parse(&answer.body).map_err(|error| about.contradiction(error.to_string()))
    }

    /// A question, signed; that it is a GET shows whoever watches the wire that it changes nothing.
    async fn get(&self, query: &str, keys: &Keys) -> Result<Answer, Lost> {
        let mut url = self.endpoint.clone();
        url.set_query(Some(query));
        let mut headers = HeaderMap::new();
        let signer = Signer {
            service: Service::Sts,
            region: &self.region,
            keys,
            now: OffsetDateTime::now_utc(),
        };
        signer
            .sign(&Method::GET, &url, &mut headers, b"")
            .map_err(Lost::Refused)?;
        Answer::receive(
            self.http.get(url).headers(headers).timeout(TIMEOUT),
            MAX_ANSWER,
            || {},
        )
        .await
    }

    /// With what is secret in the body, where nothing on the way keeps it.
    async fn post(&self, form: String) -> Result<Answer, Lost> {
        let request = self
            .http
            .post(self.endpoint.clone())
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .timeout(TIMEOUT)
            .body(form);
        Answer::receive(request, MAX_ANSWER, || {}).await
    }
}

fn asked<'a>(action: &'a str, service: &'a str) -> Asked<'a> {
    Asked {
        service,
        action,
        target: "this identity",
        key: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_testbed::{LocalStack, Moto, ObjectStore};

    fn sts(store: &ObjectStore) -> Sts {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Sts::new(
            reqwest::Client::builder().no_proxy().build().unwrap(),
            Url::parse(&store.endpoint).unwrap(),
            store.region.clone(),
        )
    }

    fn keys(store: &ObjectStore) -> Keys {
        Keys {
            access_key: store.access_key.clone(),
            secret_key: store.secret_key.clone(),
            session_token: None,
            expires: None,
        }
    }

    #[tokio::test]
    async fn an_identity_has_an_account() {
        let server = LocalStack::shared().await.unwrap();
        let account = sts(server.store()).account(&keys(server.store())).await.unwrap();
        assert_eq!(account, "000000000000");
    }

    #[tokio::test]
    async fn a_token_is_exchanged_for_keys_that_end() {
        let server = Moto::start().await.unwrap();
        let sts = sts(server.store());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"a+token/with=signs\n").unwrap();
        let mut identity = WebIdentity {
            role: "arn:aws:iam::111122223333:role/backup".to_owned(),
            token_file: file.path().to_owned(),
            session: "holdfast".to_owned(),
        };
        let keys = sts.assume(&identity).await.unwrap();
        assert!(!keys.secret_key.is_empty() && keys.session_token.is_some());
        assert!(keys.expires.unwrap() > OffsetDateTime::now_utc());
        identity.token_file = "/nonexistent/token".into();
        let missing = sts.assume(&identity).await.unwrap_err();
        assert!(
            matches!(missing, ProviderError::Unauthenticated { .. }),
            "{missing}"
        );
    }
}
