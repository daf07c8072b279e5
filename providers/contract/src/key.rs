//! Names: of kinds, of providers, of facets, and of one real thing.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// What a kind of resource is called: `s3/Bucket`, `kubernetes/Object`.
    KindName
}
name! {
    /// What a policy calls a provider: its type (`s3`), or a name of the policy's own (`use1`).
    ProviderName
}
name! {
    /// An independently observed and written part of a resource: a bucket's `encryption`, an object's `status`.
    Facet
}

/// The type of a Kubernetes object, as its manifest says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiType {
    /// `apps/v1`, or `v1` for the core group.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
}

impl ApiType {
    /// The type `kind` of `api_version`.
    #[must_use]
    pub fn new(api_version: &str, kind: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    /// The group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The version within the group.
    #[must_use]
    pub fn version(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or(self.api_version.as_str(), |(_, version)| version)
    }
}

/// `apps/Deployment`; of the core group `Secret`. The version isn't shown: it is not part of what the object is.
impl fmt::Display for ApiType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group() {
            "" => f.write_str(&self.kind),
            group => write!(f, "{group}/{}", self.kind),
        }
    }
}

/// Which real thing is meant.
///
/// Two keys are equal exactly when they mean the same thing in the same external system, seen through the same
/// provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceKey {
    /// The provider through which it is reached.
    pub provider: ProviderName,
    /// Its kind.
    pub kind: KindName,
    /// The object's type, for kinds that stand for more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiType>,
    /// Its namespace; none for cluster-wide objects and for buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Where it lies, for kinds that lie somewhere: a bucket's region, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// As people name it: `apps/Deployment openshift-velero/velero`, `s3/Bucket NAME`.
impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.api {
            Some(api) => write!(f, "{api} ")?,
            None => write!(f, "{} ", self.kind)?,
        }
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_as_people_name_the_thing() {
        let mut key = ResourceKey {
            provider: "kubernetes".into(),
            kind: "kubernetes/Object".into(),
            api: Some(ApiType::new("apps/v1", "Deployment")),
            namespace: Some("openshift-velero".to_owned()),
            name: "velero".to_owned(),
            region: None,
        };
        assert_eq!(key.to_string(), "apps/Deployment openshift-velero/velero");
        key.api = Some(ApiType::new("v1", "Namespace"));
        key.namespace = None;
        assert_eq!(key.to_string(), "Namespace velero");
        key.api = None;
        key.kind = "s3/Bucket".into();
        assert_eq!(key.to_string(), "s3/Bucket velero");
    }
}
