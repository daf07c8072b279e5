//! Service accounts: as whom a provider may act.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast_contract::{ApiType, ProviderError, ResourceKey};
use serde_json::Value as Json;

/// What the user name of a service account begins with.
const USER: &str = "system:serviceaccount:";

/// The longest name of a namespace, and of a service account.
const NAMESPACE_MAX: usize = 63;
const NAME_MAX: usize = 253;

/// A service account of the cluster, by names that can be no other's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceAccount {
    namespace: String,
    name: String,
}

impl ServiceAccount {
    /// The service account `name` in `namespace`. [`Invalid`](ProviderError::Invalid) if these can't be such names:
    /// what is sent to act as it must not mean anybody else.
    pub fn new(namespace: &str, name: &str) -> Result<Self, ProviderError> {
        let fits = is_label(namespace, NAMESPACE_MAX)
            && name.len() <= NAME_MAX
            && name.split('.').all(|part| is_label(part, NAME_MAX));
        if fits {
            return Ok(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            });
        }
        Err(ProviderError::Invalid {
            target: format!("ServiceAccount {namespace}/{name}"),
            message: "a namespace and a service account's name are made of lower-case letters, digits and `-`, the \
                      name of `.` as well"
                .to_owned(),
            field: None,
        })
    }

    /// The namespace that it lies in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name there.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As the server names it among users.
    pub(crate) fn user(&self) -> String {
        format!("{USER}{}:{}", self.namespace, self.name)
    }

    /// The service account that `token` is of, as the token itself says; nothing of it was checked.
    pub(crate) fn of_token(token: &str) -> Option<Self> {
        let claims = token.trim().split('.').nth(1)?;
        let claims: Json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let (namespace, name) = claims.get("sub")?.as_str()?.strip_prefix(USER)?.split_once(':')?;
        Self::new(namespace, name).ok()
    }

    /// It, as a resource of the cluster.
    pub(crate) fn key(&self) -> ResourceKey {
        ResourceKey {
            provider: "kubernetes".into(),
            kind: crate::kind::NAME.into(),
            api: Some(ApiType::new("v1", "ServiceAccount")),
            namespace: Some(self.namespace.clone()),
            name: self.name.clone(),
            region: None,
        }
    }
}

/// `NAMESPACE/NAME`.
impl FromStr for ServiceAccount {
    type Err = ProviderError;

    fn from_str(text: &str) -> Result<Self, ProviderError> {
        let (namespace, name) = text.split_once('/').unwrap_or(("", text));
        Self::new(namespace, name)
    }
}

/// `NAMESPACE/NAME`.
impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn is_label(text: &str, max: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= max
        && text.bytes().all(fits)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_by_its_namespace_and_name() {
        let account: ServiceAccount = "team-a/backup.v2".parse().unwrap();
        assert_eq!((account.namespace(), account.name()), ("team-a", "backup.v2"));
        assert_eq!(account.user(), "system:serviceaccount:team-a:backup.v2");
        assert_eq!(account.to_string(), "team-a/backup.v2");
    }

    #[test]
    fn a_token_says_whose_it_is_and_anything_else_says_nothing() {
        let token = |claims: &str| format!("e30.{}.c2ln\n", URL_SAFE_NO_PAD.encode(claims));
        let account = ServiceAccount::of_token(&token(
            r#"{"sub":"system:serviceaccount:holdfast-system:engine"}"#,
        ));
        assert_eq!(account.unwrap().to_string(), "holdfast-system/engine");
        for other in ["", "alice", "a.b.c", &token(r#"{"sub":"alice"}"#), &token("[]")] {
            assert_eq!(ServiceAccount::of_token(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_that_could_mean_somebody_else_is_refused() {
        for text in [
            "backup",
            "/backup",
            "team-a/",
            "team-a/x:y",
            "team-a:b/x",
            "team-a/b/c",
            "team-a/x\r\nimpersonate-group: system:masters",
            "team.a/x",
            "Team/x",
            "team-a/-x",
            "team-a/x..y",
        ] {
            assert!(text.parse::<ServiceAccount>().is_err(), "{text:?}");
        }
    }
}
