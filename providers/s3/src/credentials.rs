//! Where keys come from, and how long they are good for.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use holdfast_contract::{CredentialSource, ProviderError, Sensitive};
use s3::creds::Credentials as Fetched;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::environment::Environment;
use crate::profile;
use crate::silence::Failed;
use crate::sts::Sts;

/// Keys are fetched anew when they are good for less than this.
const MARGIN: Duration = Duration::minutes(5);
/// Keys that the machine or a container gives out are there within this time, or not at all.
const FETCH: std::time::Duration = std::time::Duration::from_secs(25);

/// What signs a request. Nothing of it prints.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The access key's id.
    pub(crate) access_key: String,
    /// The secret key.
    pub(crate) secret_key: String,
    /// The token of temporary keys.
    pub(crate) session_token: Option<String>,
    /// When they end, if they do.
    pub(crate) expires: Option<OffsetDateTime>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Where keys come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// They are at hand.
    Fixed(Keys),
    /// A token in a file is exchanged for them.
    WebIdentity(WebIdentity),
    /// The environment: keys, a web identity, a container's endpoint, or a profile that it names.
    Environment,
    /// A profile of the configuration files.
    Profile(String),
    /// The service's default chain: the environment, the profile `default`, the machine's own identity.
    Chain,
}

/// A role that is taken on by a token that somebody else issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebIdentity {
    /// The role's ARN.
    pub(crate) role: String,
    /// The file that holds the token; read anew for every exchange, as it is rotated.
    pub(crate) token_file: PathBuf,
    /// The session's name.
    pub(crate) session: String,
}

/// Keys, kept until shortly before they end.
#[derive(Debug)]
pub(crate) struct Credentials {
    source: Source,
    environment: Environment,
    sts: Sts,
    current: Mutex<Option<Arc<Keys>>>,
    failed: Failed,
}

impl Source {
    /// What the engine chose; a Secret is looked into at once.
    pub(crate) fn chosen(chosen: Option<CredentialSource>) -> Result<Self, ProviderError> {
        match chosen {
            None => Ok(Self::Chain),
            Some(CredentialSource::Environment) => Ok(Self::Environment),
            Some(CredentialSource::Profile(name)) => Ok(Self::Profile(name)),
            Some(CredentialSource::Secret { origin, data }) => secret(&origin, &data),
        }
    }
}

/// Two keys, with or without a token, else the key `credentials` with the text of a configuration file.
fn secret(origin: &str, data: &BTreeMap<String, Sensitive>) -> Result<Source, ProviderError> {
    let text = |key: &str| {
        data.get(key)
            .and_then(|value| value.expose().as_str())
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    if let (Some(access_key), Some(secret_key)) = (text("aws_access_key_id"), text("aws_secret_access_key")) {
        return Ok(Source::Fixed(Keys {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            session_token: text("aws_session_token").map(str::to_owned),
            expires: None,
        }));
    }
    let Some(file) = text("credentials") else {
        return Err(missing(format!(
            "Secret {origin} holds neither aws_access_key_id and aws_secret_access_key nor credentials"
        )));
    };
    profile::source(&profile::parse(file), "default")
        .map_err(|fault| missing(format!("the key credentials of Secret {origin}: {fault}")))
}

/// Credentials that are missing or no good.
pub(crate) fn missing(message: String) -> ProviderError {
    ProviderError::Unauthenticated {
        service: "AWS".to_owned(),
        message,
    }
}

impl Credentials {
    pub(crate) fn new(source: Source, environment: Environment, sts: Sts) -> Self {
        Self {
            source,
            environment,
            sts,
            current: Mutex::new(None),
            failed: Failed::default(),
        }
    }

    /// Keys that are good for a while yet. Whoever asks while they are fetched waits for that one fetch, and it fails for
    /// all of them.
    pub(crate) async fn keys(&self) -> Result<Arc<Keys>, ProviderError> {
        let asked = Instant::now();
        let mut current = self.current.lock().await;
        if let Some(keys) = current.as_ref()
            && keys
                .expires
                .is_none_or(|end| OffsetDateTime::now_utc() + MARGIN < end)
        {
            return Ok(Arc::clone(keys));
        }
        if let Some(failure) = self.failed.since(asked) {
            return Err(failure);
        }
        let fetched = self.fetch(&self.source).await;
        let keys = Arc::new(fetched.inspect_err(|error| self.failed.note(error))?);
        *current = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// Forgets `refused`, so that the next call fetches anew. False where that could bring nothing else.
    pub(crate) async fn forget(&self, refused: &Keys) -> bool {
        if matches!(self.source, Source::Fixed(_)) {
            return false;
        }
        let mut current = self.current.lock().await;
        if current.as_deref() == Some(refused) {
            *current = None;
        }
        true
    }

    async fn fetch(&self, source: &Source) -> Result<Keys, ProviderError> {
        match source {
            Source::Fixed(keys) => Ok(keys.clone()),
            Source::WebIdentity(identity) => self.sts.assume(identity).await,
            Source::Profile(name) => {
                let source = self.profile(name).await?;
                self.resolved(source).await
            }
            Source::Environment => match self.environment_source().await? {
                Some(found) => found.keys(self).await,
                None => Err(missing("the environment holds no credentials".to_owned())),
            },
            Source::Chain => {
                if let Some(found) = self.environment_source().await? {
                    return found.keys(self).await;
                }
                match self.profile("default").await {
                    Ok(source) => self.resolved(source).await,
                    Err(fault) if self.environment.get("AWS_EC2_METADATA_DISABLED") == Some("true") => {
                        Err(fault)
                    }
                    Err(_) => from_machine().await,
                }
            }
        }
    }

    async fn resolved(&self, source: Source) -> Result<Keys, ProviderError> {
        match source {
            Source::Fixed(keys) => Ok(keys),
            Source::WebIdentity(identity) => self.sts.assume(&identity).await,
            // What a file or the environment says is one of the two above.
            Source::Environment | Source::Profile(_) | Source::Chain => {
                Err(missing("the profile holds no credentials".to_owned()))
            }
        }
    }

    async fn environment_source(&self) -> Result<Option<FromEnvironment>, ProviderError> {
        let get = |name| self.environment.get(name);
        if let (Some(access_key), Some(secret_key)) = (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"))
        {
            return Ok(Some(FromEnvironment::Source(Source::Fixed(Keys {
                access_key: access_key.to_owned(),
                secret_key: secret_key.to_owned(),
                session_token: get("AWS_SESSION_TOKEN").map(str::to_owned),
                expires: None,
            }))));
        }
        if let (Some(role), Some(file)) = (get("AWS_ROLE_ARN"), get("AWS_WEB_IDENTITY_TOKEN_FILE")) {
            return Ok(Some(FromEnvironment::Source(Source::WebIdentity(WebIdentity {
                role: role.to_owned(),
                token_file: file.into(),
                session: get("AWS_ROLE_SESSION_NAME").unwrap_or("holdfast").to_owned(),
            }))));
        }
        if let Some(name) = self.environment.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]) {
            return self
                .profile(name)
                .await
                .map(|source| Some(FromEnvironment::Source(source)));
        }
        let container = self.environment.first(&[
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ]);
        Ok(container.map(|_| FromEnvironment::Container))
    }

    /// The profile `name` of both files; what the credentials file says wins.
    async fn profile(&self, name: &str) -> Result<Source, ProviderError> {
        let mut sections = BTreeMap::new();
        for (variable, file) in [
            ("AWS_CONFIG_FILE", "config"),
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ] {
            let Some(path) = self.environment.file(variable, file) else {
                continue;
            };
            match tokio::fs::read_to_string(&path).await {
                Ok(text) => {
                    for (section, entries) in profile::parse(&text) {
                        sections
                            .entry(section)
                            .or_insert_with(BTreeMap::new)
                            .extend(entries);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(missing(format!("{}: {error}", path.display()))),
            }
        }
        profile::source(&sections, name).map_err(missing)
    }
}

/// What the environment leads to.
enum FromEnvironment {
    Source(Source),
    Container,
}

impl FromEnvironment {
    async fn keys(self, credentials: &Credentials) -> Result<Keys, ProviderError> {
        match self {
            Self::Source(source) => credentials.resolved(source).await,
            Self::Container => {
                blocking("the container's endpoint", || {
                    Fetched::from_container_credentials_provider().map_err(|error| error.to_string())
                })
                .await
            }
        }
    }
}

async fn from_machine() -> Result<Keys, ProviderError> {
    blocking("the machine's metadata", || {
        Fetched::from_instance_metadata_v2(false)
            .or_else(|_| Fetched::from_instance_metadata(false))
            .map_err(|_| {
                "there are no credentials in the environment, in a profile, or of this machine".to_owned()
            })
    })
    .await
}

/// rust-s3 fetches with blocking calls.
async fn blocking(
    what: &str,
    fetch: impl FnOnce() -> Result<Fetched, String> + Send + 'static,
) -> Result<Keys, ProviderError> {
    let fetching = timeout(FETCH, tokio::task::spawn_blocking(fetch));
    let fetched = fetching
        .await
        .map_err(|_| ProviderError::Unavailable {
            service: "AWS".to_owned(),
            message: format!("{what}: no answer within {} s", FETCH.as_secs()),
            source: None,
        })?
        .map_err(|error| missing(format!("{what}: {error}")))?
        .map_err(|fault| missing(format!("{what}: {fault}")))?;
    match (fetched.access_key, fetched.secret_key) {
        (Some(access_key), Some(secret_key)) => Ok(Keys {
            access_key,
            secret_key,
            session_token: fetched.session_token.or(fetched.security_token),
            expires: fetched.expiration.map(|end| end.0),
        }),
        _ => Err(missing(format!("{what} gave no keys"))),
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
