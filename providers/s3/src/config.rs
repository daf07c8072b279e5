//! How a policy opens this provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdfast_contract::{
    Field, Kind, Meter, Provider, ProviderConfig, ProviderError, ProviderFactory, Shape, Value,
};
use url::Url;

use crate::client::Client;
use crate::credentials::{Credentials, Source, missing};
use crate::environment::Environment;
use crate::kind::BucketKind;
use crate::names;
use crate::provider::S3Provider;
use crate::sts::Sts;

/// Where no region is given, requests go here first; the service then names the right one.
const DEFAULT_REGION: &str = "us-east-1";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens providers of type `s3`.
///
/// | setting | means |
/// |---|---|
/// | `region` | where new buckets are made and where requests go first; else `AWS_REGION`, `AWS_DEFAULT_REGION`, us-east-1. A region that is set here, or by a rule, is binding: a bucket that is elsewhere is an error that names its region. Otherwise requests follow the bucket |
/// | `endpoint` | a URL instead of the service's own; else `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` |
/// | `pathStyle` | whether the bucket stands in the path and not in the host's name; by default with an endpoint of your own, and for names with dots |
/// | `account` | the account that all buckets must belong to; else the identity's own, where the service can say it |
#[derive(Debug)]
pub struct S3Factory {
    kind: Arc<BucketKind>,
    settings: Shape,
    confined: bool,
    meter: Option<Arc<dyn Meter>>,
}

impl Default for S3Factory {
    fn default() -> Self {
        Self::new()
    }
}

impl S3Factory {
    /// The factory.
    #[must_use]
    pub fn new() -> Self {
        let settings = [
            (
                "account",
                Shape::TEXT,
                "The account that all buckets must belong to, 12 digits.",
            ),
            ("endpoint", Shape::TEXT, "A URL instead of the service's own."),
            (
                "pathStyle",
                Shape::Bool,
                "Whether the bucket stands in the path and not in the host's name.",
            ),
            (
                "region",
                Shape::TEXT,
                "Where new buckets are made and where requests go first.",
            ),
        ];
        let fields = settings
            .into_iter()
            .map(|(name, shape, doc)| {
                let field = Field {
                    shape,
                    required: false,
                    doc,
                };
                (name, field)
            })
            .collect();
        Self {
            kind: Arc::new(BucketKind::new()),
            settings: Shape::Object(fields),
            confined: false,
            meter: None,
        }
    }

    /// Has each request measured that providers opened from now on send.
    #[must_use]
    pub fn with_meter(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = Some(meter);
        self
    }

    /// One for policies of others than whoever runs this process: they sign in by keys that a Secret holds, and by nothing
    /// else. What the process has of its own, a file that a Secret names included, would act for them with its rights.
    #[must_use]
    pub fn confined(mut self) -> Self {
        self.confined = true;
        self
    }
}

#[async_trait]
impl ProviderFactory for S3Factory {
    fn provider_type(&self) -> &'static str {
        "s3"
    }

    fn kinds(&self) -> Vec<Arc<dyn Kind>> {
        vec![Arc::clone(&self.kind) as Arc<dyn Kind>]
    }

    fn settings(&self) -> &Shape {
        &self.settings
    }

    /// Reaches no network: credentials are fetched with the first request.
    async fn open(&self, config: ProviderConfig) -> Result<Arc<dyn Provider>, ProviderError> {
        let environment = Environment::of_process();
        let mut settings = Settings::read(&config.settings, &environment)
            .map_err(|message| invalid(config.name.as_str(), message))?;
        settings.remembered_account = config.account;
        let source = Source::chosen(config.credentials)?;
        if self.confined && !matches!(source, Source::Fixed(_)) {
            return Err(missing(
                "this policy may sign in by keys that a Secret holds, and not by what this process has of its own: its \
                 environment, its files, its identity. --ambient-credentials allows it"
                    .to_owned(),
            ));
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirect must be signed anew, for the region that it names.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| invalid(config.name.as_str(), format!("no HTTP client: {error}")))?;
        let sts = Sts::new(
            http.clone(),
            settings.sts.clone(),
            settings.first_region().to_owned(),
        )
        .with_meter(self.meter.clone());
        let credentials = Credentials::new(source, environment, sts.clone());
        let client = Client::new(http, settings, credentials, sts).with_meter(self.meter.clone());
        Ok(Arc::new(S3Provider::new(
            config.name,
            Arc::clone(&self.kind),
            client,
        )))
    }
}

fn invalid(name: &str, message: String) -> ProviderError {
    ProviderError::Invalid {
        target: format!("provider {name}"),
        message,
        field: None,
    }
}

/// What holds for all requests.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The region that the policy gave.
    pub(crate) region: Option<String>,
    /// The region that the environment gave, or the default.
    pub(crate) fallback_region: String,
    /// Where requests go; none: the service's own, by region.
    pub(crate) endpoint: Option<Url>,
    /// Whether the bucket stands in the path.
    pub(crate) path_style: bool,
    /// The account that all buckets must belong to.
    pub(crate) account: Option<String>,
    /// The account that this identity had before, for the time until the service says which it has.
    pub(crate) remembered_account: Option<String>,
    /// The token service.
    pub(crate) sts: Url,
    /// Whether that token service knows who we are to the object store: not so for a store of another maker.
    pub(crate) sts_knows_us: bool,
}

impl Settings {
    /// Reads and checks the policy's settings, and the environment for what they leave open.
    pub(crate) fn read(
        settings: &BTreeMap<String, Value>,
        environment: &Environment,
    ) -> Result<Self, String> {
        let text = |name: &str| match settings.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(_) => Err(format!("`{name}` is not a text")),
        };
        let region = text("region")?;
        let fallback_region = environment
            .first(&["AWS_REGION", "AWS_DEFAULT_REGION"])
            .unwrap_or(DEFAULT_REGION)
            .to_owned();
        for region in region.iter().chain([&fallback_region]) {
            if !names::is_region(region) {
                return Err(format!("`{region}` is not a region"));
            }
        }
        let account = text("account")?;
        if let Some(account) = &account
            && (account.len() != 12 || !account.chars().all(|c| c.is_ascii_digit()))
        {
            return Err(format!("`account` is not 12 digits but `{account}`"));
        }
        let endpoint = match text("endpoint")? {
            Some(endpoint) => Some(url("endpoint", &endpoint)?),
            None => environment
                .first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
                .map(|endpoint| url("AWS_ENDPOINT_URL", endpoint))
                .transpose()?,
        };
        let path_style = match settings.get("pathStyle") {
            None | Some(Value::Null) => endpoint.is_some(),
            Some(Value::Bool(path_style)) => *path_style,
            Some(_) => return Err("`pathStyle` is not true or false".to_owned()),
        };
        let given_sts = environment
            .first(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"])
            .map(|endpoint| url("AWS_ENDPOINT_URL_STS", endpoint))
            .transpose()?;
        let is_aws = endpoint.as_ref().is_none_or(|endpoint| {
            let host = endpoint.host_str().unwrap_or_default();
            host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
        });
        let sts_knows_us = given_sts.is_some() || is_aws;
        let sts = if let Some(sts) = given_sts {
            sts
        } else {
            let region = region.as_ref().unwrap_or(&fallback_region);
            let host = format!("https://sts.{region}.{}/", names::domain(region));
            url("region", &host)?
        };
        Ok(Self {
            region,
            fallback_region,
            endpoint,
            path_style,
            account,
            remembered_account: None,
            sts,
            sts_knows_us,
        })
    }

    /// Where a request goes whose bucket's region isn't known.
    pub(crate) fn first_region(&self) -> &str {
        self.region.as_ref().unwrap_or(&self.fallback_region)
    }
}

fn url(setting: &str, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{setting}` is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("`{setting}` is no http or https URL"));
    }
    // What stands there could only be sent along by mistake.
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(format!("`{setting}` holds more than scheme, host, port and path"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, Value)], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Settings::read(&settings, &environment)
    }

    #[test]
    fn the_environment_fills_in_what_the_policy_leaves_open() {
        let none = read(&[], &[]).unwrap();
        assert_eq!(
            (none.first_region(), none.endpoint.as_ref(), none.path_style),
            ("us-east-1", None, false)
        );
        let variables = [
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000"),
        ];
        let given = read(&[], &variables).unwrap();
        assert_eq!(given.first_region(), "eu-west-1");
        assert_eq!(given.endpoint.unwrap().as_str(), "http://127.0.0.1:9000/");
        assert_eq!(given.sts.as_str(), "http://127.0.0.1:4566/");
        assert!(given.path_style && given.sts_knows_us);
        let both = read(
            &[
                ("region", "us-east-2".into()),
                ("endpoint", "https://store.example/s3".into()),
                ("pathStyle", false.into()),
            ],
            &[
                ("AWS_REGION", "eu-west-1"),
                ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000"),
            ],
        )
        .unwrap();
        assert_eq!(both.first_region(), "us-east-2");
        assert_eq!(both.endpoint.unwrap().as_str(), "https://store.example/s3");
        assert!(!both.path_style && !both.sts_knows_us);
    }

    #[test]
    fn the_token_service_follows_the_region() {
        let china = read(&[("region", "cn-north-1".into())], &[]).unwrap();
        assert_eq!(china.sts.as_str(), "https://sts.cn-north-1.amazonaws.com.cn/");
        let interface = read(
            &[(
                "endpoint",
                "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com".into(),
            )],
            &[],
        );
        assert!(interface.unwrap().sts_knows_us);
    }

    #[test]
    fn wrong_settings_are_refused() {
        for (name, value) in [
            ("region", Value::from("evil.example/")),
            ("region", Value::from(1)),
            ("account", Value::from("1234")),
            ("endpoint", Value::from("127.0.0.1:4566")),
            ("endpoint", Value::from("ftp://host")),
            ("endpoint", Value::from("http://user:hunter2@host")),
            ("endpoint", Value::from("http://host/?a=b")),
            ("pathStyle", Value::from("yes")),
        ] {
            let error = read(&[(name, value)], &[]).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
