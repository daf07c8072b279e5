//! How plans, reports and the ledger name a part of a policy.

use std::fmt;

use holdfast_contract::Facet;
use serde::{Serialize, Serializer};

/// One resource of a policy: `bucket`, `guard["team-a"]`, `locations["BackupStorageLocation/default"]`.
///
/// The order is the order of names, so that lists of addresses read well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The rule's key.
    pub rule: String,
    /// The key of the instance, of a rule with `forEach`.
    pub instance: Option<String>,
    /// Which of several objects of one rule: `Kind/name`.
    pub object: Option<String>,
}

impl Address {
    /// The only resource of a rule.
    #[must_use]
    pub fn of(rule: &str) -> Self {
        Self {
            rule: rule.to_owned(),
            instance: None,
            object: None,
        }
    }

    /// One instance of a rule with `forEach`.
    #[must_use]
    pub fn instance(rule: &str, instance: Option<&str>) -> Self {
        Self {
            rule: rule.to_owned(),
            instance: instance.map(str::to_owned),
            object: None,
        }
    }

    /// The same with an object of several.
    #[must_use]
    pub fn object(&self, object: String) -> Self {
        Self {
            object: Some(object),
            ..self.clone()
        }
    }

    /// The address of one facet, as people write it.
    #[must_use]
    pub fn facet(&self, facet: &Facet) -> String {
        format!("{self}.{facet}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)?;
        for part in [&self.instance, &self.object].into_iter().flatten() {
            write!(f, "[{part:?}]")?;
        }
        Ok(())
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_one_grammar() {
        assert_eq!(Address::of("bucket").to_string(), "bucket");
        let guard = Address::instance("guard", Some("team-a"));
        assert_eq!(guard.to_string(), r#"guard["team-a"]"#);
        assert_eq!(
            guard.object("RoleBinding/edit".into()).to_string(),
            r#"guard["team-a"]["RoleBinding/edit"]"#
        );
        assert_eq!(
            Address::instance("secure", Some("a")).facet(&"encryption".into()),
            r#"secure["a"].encryption"#
        );
    }
}
