//! How a policy reaches external systems.

use holdfast_contract::{ProviderName, Value};

use super::{Reference, Template, Tree};
use crate::place::Place;

/// A provider as a policy wants it.
#[derive(Clone, Debug)]
pub struct ProviderDeclaration {
    /// What the policy calls it: its type, or a name of its own. An inline one bears its type's name.
    pub name: ProviderName,
    /// `s3`.
    pub provider_type: String,
    /// Its settings, `type` and `credentials` left aside: `region`, `endpoint`, `pathStyle`, `account`.
    pub settings: Tree,
    /// How to sign in: a list, for [`Credential::list`]. None: as the service's own tools do.
    pub credentials: Option<Tree>,
    /// Where it stands.
    pub place: Place,
}

/// Which provider serves a rule or a fact.
#[derive(Clone, Debug)]
pub enum ProviderReference {
    /// The one of this name.
    Named(Template),
    /// One of its own.
    Inline(Box<ProviderDeclaration>),
}

/// One way to sign in. Of a list the first that is present is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A Secret's content.
    Secret {
        /// Its namespace; none: the policy's.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
    /// The process's environment.
    Environment,
    /// A profile of the service's own configuration files.
    Profile(String),
}

impl Credential {
    /// Reads an evaluated list of credentials.
    ///
    /// # Errors
    /// A sentence that says what doesn't belong there.
    pub fn list(value: &Value) -> Result<Vec<Self>, String> {
        let Some(items) = value.as_list() else {
            return Err("credentials are a list".to_owned());
        };
        items.iter().map(Self::parse).collect()
    }

    fn parse(value: &Value) -> Result<Self, String> {
        const FORMS: &str =
            "a credential is `environment`, `{ secret: { namespace, name } }` or `{ profile: NAME }`";
        match value {
            Value::String(word) if word == "environment" => Ok(Self::Environment),
            Value::Map(entries) if entries.len() == 1 => {
                if let Some(profile) = value.get("profile").and_then(Value::as_str) {
                    return Ok(Self::Profile(profile.to_owned()));
                }
                let secret = entries.get("secret").and_then(Value::as_map).ok_or(FORMS)?;
                let name = secret
                    .get("name")
                    .and_then(Value::as_str)
                    .ok_or("a secret needs its `name`")?;
                let namespace = secret.get("namespace").and_then(Value::as_str);
                if secret.keys().any(|key| key != "name" && key != "namespace") {
                    return Err("a secret has `namespace` and `name` only".to_owned());
                }
                Ok(Self::Secret {
                    namespace: namespace.map(str::to_owned),
                    name: name.to_owned(),
                })
            }
            _ => Err(FORMS.to_owned()),
        }
    }
}

impl ProviderDeclaration {
    /// What its settings and credentials are made of.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.settings.references();
        references.extend(self.credentials.iter().flat_map(Tree::references));
        references
    }
}

impl ProviderReference {
    /// What it is made of. What the named provider is made of isn't part of it.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        match self {
            Self::Named(name) => name.references(),
            Self::Inline(declaration) => declaration.references(),
        }
    }
}
