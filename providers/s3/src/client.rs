//! Requests to the object store: addressed, signed, sent, and their answers received within bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_contract::{Measuring, Meter, ProviderError, ResourceKey};
use http::{HeaderMap, HeaderName, HeaderValue};
use s3::signing::uri_encode;
use time::OffsetDateTime;
use tokio::sync::{OnceCell, OwnedMutexGuard, Semaphore};
use tokio::time::Instant;
use url::Url;

use crate::call::{self, Answer, Call, Lost, TIMEOUT};
use crate::config::Settings;
use crate::credentials::{Credentials, Keys};
use crate::error::{Asked, Refusal};
use crate::names;
use crate::operation::operation;
use crate::retry;
use crate::sign::{Service, Signer};
use crate::silence::{Failed, Silence};
use crate::sts::Sts;

/// Learning the account may hold up the first write so long.
const LEARNING: Duration = Duration::from_secs(5);
/// So many requests are under way at most.
const CONCURRENCY: usize = 32;
/// So many buckets' regions are remembered at most.
const MAX_REGIONS: usize = 10_000;

/// A client of one object store, as one identity.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    settings: Settings,
    credentials: Credentials,
    sts: Sts,
    account: OnceCell<Option<String>>,
    account_failed: Failed,
    learnt: OnceCell<()>,
    /// Where buckets were found to be, where nobody said it.
    regions: Mutex<BTreeMap<String, String>>,
    /// The buckets that were seen to be this identity's own.
    own: Mutex<BTreeSet<String>>,
    limit: Semaphore,
    silence: Silence,
    /// The buckets of which a setting is being written.
    turns: Mutex<BTreeMap<String, Arc<Turn>>>,
    meter: Option<Arc<dyn Meter>>,
}

/// Whose turn it is to write a bucket's settings.
type Turn = tokio::sync::Mutex<()>;

impl Client {
    pub(crate) fn new(http: reqwest::Client, settings: Settings, credentials: Credentials, sts: Sts) -> Self {
        Self {
            http,
            settings,
            credentials,
            sts,
            account: OnceCell::new(),
            account_failed: Failed::default(),
            learnt: OnceCell::new(),
            regions: Mutex::default(),
            own: Mutex::default(),
            limit: Semaphore::new(CONCURRENCY),
            silence: Silence::default(),
            turns: Mutex::default(),
            meter: None,
        }
    }

    /// With each request to the store measured by `meter`.
    pub(crate) fn with_meter(mut self, meter: Option<Arc<dyn Meter>>) -> Self {
        self.meter = meter;
        self
    }

    /// Waits until nobody else here writes a setting of `key`, and keeps it so until the answer is dropped.
    ///
    /// The service refuses some settings while it changes another one of the same bucket; and there are stores that keep
    /// all settings in one record, and of two that are written at once lose one in silence.
    pub(crate) async fn turn(&self, key: &ResourceKey) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(key.name.clone()).or_default())
        };
        turn.lock_owned().await
    }

    /// Where requests go, where that isn't the service itself.
    pub(crate) fn endpoint(&self) -> Option<&Url> {
        self.settings.endpoint.as_ref()
    }

    /// The account that buckets must belong to; asked for once, where anybody can say. A failure is that of all who have
    /// waited for it.
    pub(crate) async fn account(&self) -> Result<Option<String>, ProviderError> {
        let asked = Instant::now();
        self.account
            .get_or_try_init(async || {
                if self.settings.account.is_some() || !self.settings.sts_knows_us {
                    return Ok(self.settings.account.clone());
                }
                if let Some(failure) = self.account_failed.since(asked) {
                    return Err(failure);
                }
                let account = async {
                    let keys = self.credentials.keys().await?;
                    self.sts.account(&keys).await.map(Some)
                };
                account.await.inspect_err(|error| self.account_failed.note(error))
            })
            .await
            .cloned()
    }

    /// Learns the account before a write, where that can be had soon: every later request then names it.
    ///
    /// Tried once: where the token service can't be reached, writes go on without.
    pub(crate) async fn learn_account(&self) {
        self.learnt
            .get_or_init(async || {
                let _ = tokio::time::timeout(LEARNING, self.account()).await;
            })
            .await;
    }

    /// The account that buckets must belong to: as the policy says, or the service, or else as it was before.
    pub(crate) fn known_account(&self) -> Option<&str> {
        self.settings
            .account
            .as_deref()
            .or_else(|| self.account.get()?.as_deref())
            .or(self.settings.remembered_account.as_deref())
    }

    /// Whether the store itself can be trusted to refuse what belongs to another account than the one that is named.
    pub(crate) fn checks_owners(&self) -> bool {
        self.settings.sts_knows_us
            && (self.settings.account.is_some() || matches!(self.account.get(), Some(Some(_))))
    }

    /// Whether the bucket `name` was seen to be this identity's own.
    pub(crate) fn is_own(&self, name: &str) -> bool {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.contains(name)
    }

    /// The bucket `name` was seen to be this identity's own.
    pub(crate) fn remember_own(&self, name: &str) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.len() < MAX_REGIONS {
            own.insert(name.to_owned());
        }
    }

    /// Who is asked about `bucket`, for messages.
    pub(crate) fn service(&self) -> String {
        match &self.settings.endpoint {
            Some(endpoint) => {
                let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("S3 at {}{port}", endpoint.host_str().unwrap_or_default())
            }
            None => "Amazon S3".to_owned(),
        }
    }

    /// The region that is binding for `key`, if anybody gave one.
    pub(crate) fn given_region<'a>(&'a self, key: Option<&'a ResourceKey>) -> Option<&'a str> {
        key.and_then(|key| key.region.as_deref())
            .or(self.settings.region.as_deref())
    }

    /// Where requests about `key` go, as far as it is known.
    pub(crate) fn region(&self, key: Option<&ResourceKey>) -> String {
        if let Some(given) = self.given_region(key) {
            return given.to_owned();
        }
        let known = key.and_then(|key| {
            let regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
            regions.get(&key.name).cloned()
        });
        known.unwrap_or_else(|| self.settings.first_region().to_owned())
    }

    /// Where `key` was found to be.
    pub(crate) fn remember_region(&self, key: &ResourceKey, region: &str) {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if regions.len() < MAX_REGIONS {
            regions.insert(key.name.clone(), region.to_owned());
        }
    }

    /// Sends `call` until it is answered for good. An answer may be a refusal; an error means that there is none, or
    /// that the credentials are no good.
    ///
    /// Where nobody gave a region and the answer names another one, the call is repeated there, once.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Answer, ProviderError> {
        let mut region = self.region(call.bucket);
        let mut renewed = false;
        let mut moved = false;
        loop {
            let keys = self.credentials.keys().await?;
            let answer = self.send_to(call, &region, &keys).await?;
            if answer.status.is_success() {
                return Ok(answer);
            }
            let refusal = answer.refusal();
            if refusal.is_about_credentials() && !renewed && self.credentials.forget(&keys).await {
                // They may have been rotated since they were read.
                renewed = true;
                continue;
            }
            if let (Some(key), Some(right)) = (call.bucket, &refusal.region)
                && refusal.is_elsewhere()
                && !moved
                && self.given_region(call.bucket).is_none()
                && *right != region
            {
                moved = true;
                self.remember_region(key, right);
                region.clone_from(right);
                continue;
            }
            return Ok(answer);
        }
    }

    /// Sends `call` and expects success.
    pub(crate) async fn succeed(&self, call: &Call<'_>) -> Result<Answer, ProviderError> {
        let answer = self.send(call).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.refused(call, &answer.refusal()))
    }

    /// What the caller may do about a refusal of `call`.
    pub(crate) fn refused(&self, call: &Call<'_>, refusal: &Refusal) -> ProviderError {
        self.about(call, |asked| asked.error(refusal))
    }

    /// What `call` was about, for an error's message.
    pub(crate) fn about<T>(&self, call: &Call<'_>, tell: impl FnOnce(&Asked<'_>) -> T) -> T {
        let service = self.service();
        let target = target(call.bucket);
        tell(&Asked {
            service: &service,
            action: call.action,
            target: &target,
            key: call.bucket,
        })
    }

    async fn send_to(&self, call: &Call<'_>, region: &str, keys: &Keys) -> Result<Answer, ProviderError> {
        let url = match call.account {
            Some(account) => self.account_url(account, region),
            None => self.url(call.bucket, &call.query, region),
        };
        let url = url.map_err(|message| self.about(call, |asked| asked.invalid(message)))?;
        // Closed only when the provider is dropped, and then nobody waits.
        let _permit = self.limit.acquire().await.ok();
        let place = place(call, region);
        // What becomes of a write only the service can say.
        if !call.is_write()
            && let Some(lost) = self.silence.at(&place)
        {
            return Err(self.about(call, |asked| lost.error(asked, false)));
        }
        let answers = self.silence.answers(&place);
        retry::until_final(call.repeat, || self.attempt(call, &url, region, keys))
            .await
            .inspect_err(|lost| self.silence.unanswered(&place, answers, lost))
            .map_err(|lost| self.about(call, |asked| lost.error(asked, call.is_write())))
    }

    async fn attempt(&self, call: &Call<'_>, url: &Url, region: &str, keys: &Keys) -> Result<Answer, Lost> {
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            let value =
                HeaderValue::from_str(value).map_err(|_| Lost::Refused(format!("{name} is malformed")))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if let Some(account) = self.known_account()
            && call.owner_checked
            && call.bucket.is_some()
            && let Ok(account) = HeaderValue::from_str(account)
        {
            headers.insert("x-amz-expected-bucket-owner", account);
        }
        let signer = Signer {
            service: Service::S3,
            region,
            keys,
            now: OffsetDateTime::now_utc(),
        };
        signer
            .sign(&call.method, url, &mut headers, &call.body)
            .map_err(Lost::Refused)?;
        let request = self
            .http
            .request(call.method.clone(), url.clone())
            .headers(headers)
            .timeout(TIMEOUT)
            .body(call.body.clone());
        let measuring = self.meter.as_deref();
        let measuring = measuring.map(|meter| Measuring::begun(meter, "s3", operation(call)));
        let begun = || self.silence.answered(&place(call, region));
        let answer = Answer::receive(request, call.max_answer, begun).await;
        if let Some(measuring) = measuring {
            measuring.ended(call::outcome(&answer));
        }
        let status = answer.as_ref().map_or(0, |answer| answer.status.as_u16());
        tracing::debug!(method = %call.method, path = url.path(), query = url.query(), region, status, "s3");
        answer
    }

    /// The service keeps what is of an account at another host than buckets; stores of other makers at their own.
    fn account_url(&self, account: &str, region: &str) -> Result<Url, String> {
        const PATH: &str = "/v20180820/configuration/publicAccessBlock";
        // It becomes a part of a host's name.
        if account.is_empty() || !account.chars().all(|c| c.is_ascii_digit()) {
            return Err(format!("`{account}` is no account's number"));
        }
        let text = match &self.settings.endpoint {
            Some(endpoint) if !names::is_service(endpoint.host_str().unwrap_or_default()) => {
                format!("{}{PATH}", endpoint.as_str().trim_end_matches('/'))
            }
            _ => {
                let domain = names::domain(region);
                format!("https://{account}.s3-control.{region}.{domain}{PATH}")
            }
        };
        Url::parse(&text).map_err(|error| error.to_string())
    }

    fn url(&self, key: Option<&ResourceKey>, query: &[(&str, String)], region: &str) -> Result<Url, String> {
        let mut text = match &self.settings.endpoint {
            Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
            None => format!("https://s3.{region}.{}", names::domain(region)),
        };
        if let Some(key) = key {
            let name = key.name.as_str();
            if !is_sendable(name) {
                return Err(format!("`{name}` is no bucket's name"));
            }
            // Certificates are for one label before the service's name, and old names are no host's.
            let in_path = self.settings.path_style || name.contains('.') || names::fault(name).is_some();
            match text.split_once("://") {
                Some((scheme, rest)) if !in_path => text = format!("{scheme}://{name}.{rest}"),
                _ => text = format!("{text}/{name}"),
            }
        }
        if in_root(&text) {
            text.push('/');
        }
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| match value.as_str() {
                "" => uri_encode(name, true),
                value => format!("{}={}", uri_encode(name, true), uri_encode(value, true)),
            })
            .collect();
        if !query.is_empty() {
            text = format!("{text}?{}", query.join("&"));
        }
        Url::parse(&text).map_err(|error| error.to_string())
    }
}

/// Where `call` goes, as far as one part of a service may be silent while another answers.
fn place(call: &Call<'_>, region: &str) -> String {
    match call.account {
        Some(_) => format!("{region} control"),
        None => region.to_owned(),
    }
}

/// Whether the URL has no path yet.
fn in_root(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'))
}

/// Whether a name can stand in a path and mean itself. Wider than what is allowed for new buckets: old ones have
/// capitals and underscores.
fn is_sendable(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// What a message calls it.
pub(crate) fn target(key: Option<&ResourceKey>) -> String {
    key.map_or_else(|| "all buckets".to_owned(), |key| format!("bucket {}", key.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Source;
    use crate::environment::Environment;
    use holdfast_contract::Value;

    fn client(settings: &[(&str, Value)]) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let settings = Settings::read(&settings, &Environment::default()).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let sts = Sts::new(http.clone(), settings.sts.clone(), "us-east-1".to_owned());
        let credentials = Credentials::new(Source::Environment, Environment::default(), sts.clone());
        Client::new(http, settings, credentials, sts)
    }

    fn url(client: &Client, name: &str, query: &[(&str, &str)], region: &str) -> Result<String, String> {
        let key = ResourceKey {
            provider: "s3".into(),
            kind: "s3/Bucket".into(),
            api: None,
            namespace: None,
            name: name.to_owned(),
            region: None,
        };
        let query: Vec<(&str, String)> = query
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        client.url(Some(&key), &query, region).map(String::from)
    }

    #[test]
    fn a_bucket_is_addressed_by_host_on_the_service_itself() {
        let aws = client(&[]);
        let tagging = [("tagging", "")];
        assert_eq!(
            url(&aws, "demo", &tagging, "eu-west-1").unwrap(),
            "https://demo.s3.eu-west-1.amazonaws.com/?tagging"
        );
        assert_eq!(
            url(&aws, "demo.with.dots", &tagging, "eu-west-1").unwrap(),
            "https://s3.eu-west-1.amazonaws.com/demo.with.dots?tagging",
            "certificates are for one label"
        );
        assert_eq!(
            url(&aws, "Old_Name", &[], "us-east-1").unwrap(),
            "https://s3.us-east-1.amazonaws.com/Old_Name"
        );
        assert_eq!(
            url(&aws, "demo", &[], "cn-north-1").unwrap(),
            "https://demo.s3.cn-north-1.amazonaws.com.cn/"
        );
        let pages = [("continuation-token", "a+b/c=&d")];
        let all = aws.url(
            None,
            &pages.map(|(name, value)| (name, value.to_owned())),
            "us-east-1",
        );
        assert_eq!(
            all.unwrap().as_str(),
            "https://s3.us-east-1.amazonaws.com/?continuation-token=a%2Bb%2Fc%3D%26d"
        );
    }

    #[test]
    fn a_bucket_is_addressed_by_path_on_an_endpoint_unless_told_otherwise() {
        let endpoint = ("endpoint", Value::from("http://127.0.0.1:4566/s3/"));
        let own = client(std::slice::from_ref(&endpoint));
        assert_eq!(
            url(&own, "demo", &[("acl", "")], "x").unwrap(),
            "http://127.0.0.1:4566/s3/demo?acl"
        );
        let by_host = client(&[
            ("endpoint", "https://store.example".into()),
            ("pathStyle", false.into()),
        ]);
        assert_eq!(
            url(&by_host, "demo", &[], "x").unwrap(),
            "https://demo.store.example/"
        );
    }

    #[test]
    fn an_account_has_a_host_of_its_own_on_the_service_itself() {
        let path = "/v20180820/configuration/publicAccessBlock";
        let aws = client(&[]).account_url("111122223333", "eu-west-1").unwrap();
        let host = "https://111122223333.s3-control.eu-west-1.amazonaws.com";
        assert_eq!(aws.as_str(), format!("{host}{path}"));
        let named = client(&[("endpoint", "https://s3.eu-west-1.amazonaws.com".into())]);
        let named = named.account_url("111122223333", "eu-west-1").unwrap();
        assert_eq!(named.as_str(), format!("{host}{path}"));
        let own = client(&[("endpoint", "http://127.0.0.1:4566/".into())]);
        let own = own.account_url("111122223333", "eu-west-1").unwrap();
        assert_eq!(own.as_str(), format!("http://127.0.0.1:4566{path}"));
        assert!(client(&[]).account_url("evil.example/", "eu-west-1").is_err());
    }

    #[test]
    fn a_name_can_not_lead_elsewhere() {
        let aws = client(&[]);
        for name in [
            "",
            "..",
            "../x",
            "a/b",
            "a?b",
            "a@evil.example",
            "evil.example/",
            "a b",
        ] {
            assert!(url(&aws, name, &[], "us-east-1").is_err(), "{name}");
        }
    }
}
