//! Service accounts: as whom a policy may act.

use std::fmt;
use std::str::FromStr;

/// The longest label, and the longest name that is made of labels.
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 253;

/// A service account of the cluster, by names that can be no other's: they become a part of a user's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceAccount {
    namespace: String,
    name: String,
}

/// These can't be the names of a service account and its namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` can't be a service account's NAMESPACE/NAME: both are made of lower-case letters, digits and `-`, the name of \
     `.` as well"
)]
pub struct NoAccount(String);

impl ServiceAccount {
    /// The service account `name` in `namespace`, if these can be such names: what is sent to act as it must not mean
    /// anybody else.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NoAccount> {
        if is_label(namespace) && Self::is_name(name) {
            return Ok(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            });
        }
        Err(NoAccount(format!("{namespace}/{name}")))
    }

    /// Whether a service account can be called `name` in its namespace.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        name.len() <= NAME_MAX && name.split('.').all(is_word)
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
}

/// `NAMESPACE/NAME`.
impl FromStr for ServiceAccount {
    type Err = NoAccount;

    fn from_str(text: &str) -> Result<Self, NoAccount> {
        let (namespace, name) = text.split_once('/').ok_or_else(|| NoAccount(text.to_owned()))?;
        Self::new(namespace, name)
    }
}

/// `NAMESPACE/NAME`.
impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Whether `text` is a label as names in DNS have them: a namespace's name, and a policy's.
#[must_use]
pub fn is_label(text: &str) -> bool {
    text.len() <= LABEL_MAX && is_word(text)
}

fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(fits) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_by_its_namespace_and_name() {
        let account: ServiceAccount = "team-a/backup.v2".parse().unwrap();
        assert_eq!((account.namespace(), account.name()), ("team-a", "backup.v2"));
        assert_eq!(account.to_string(), "team-a/backup.v2");
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
            assert_eq!(
                text.parse::<ServiceAccount>(),
                Err(NoAccount(text.to_owned())),
                "{text:?}"
            );
        }
    }
}
