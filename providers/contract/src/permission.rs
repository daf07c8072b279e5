//! What somebody must be allowed to do, so that a policy can be kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::key::{ApiType, Facet};
use crate::value::Value;

/// How a policy uses one resource, or several that can't be told apart before it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// The object's type, for kinds that stand for more than one.
    pub api: Option<ApiType>,
    /// Its namespace; none: it has none, or it isn't known.
    pub namespace: Option<String>,
    /// What it is called.
    pub name: Called,
    /// Where it lies, for kinds that lie somewhere; none: it isn't known.
    pub region: Option<String>,
    /// The facets that are looked at.
    pub read: BTreeSet<Facet>,
    /// The facets that are written.
    pub written: BTreeSet<Facet>,
    /// What else is done with it.
    pub deeds: BTreeSet<Deed>,
    /// What is desired of it, as far as that is known.
    pub document: Value,
}

/// What a resource is called, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Called {
    /// Just this.
    Exactly(String),
    /// Something that begins so.
    Prefixed(String),
    /// Nobody knows yet.
    #[default]
    Anything,
}

/// What is done with a resource, beside reading and writing its facets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// It is searched for among others.
    Find,
    /// It is made where it is missing.
    Create,
    /// What isn't declared of it is taken away, which may leave a facet with nothing in it.
    Prune,
    /// It is deleted.
    Delete,
}

/// One thing that somebody must be allowed to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Permission {
    /// Of a cluster, as its RBAC names it.
    Kubernetes {
        /// The API group; empty for the core group.
        group: String,
        /// `deployments`, `deployments/status`.
        resource: String,
        /// `patch`.
        verb: &'static str,
        /// Only there; none: in the whole cluster.
        namespace: Option<String>,
        /// Only that one; none: all.
        name: Option<String>,
    },
    /// Of a cloud, as its IAM names it.
    Aws {
        /// `s3:GetBucketTagging`.
        action: String,
        /// The resource, as an ARN that may end with `*`; `*` alone: all.
        resource: String,
    },
}

impl Permission {
    /// Whether whoever has this needs `other` no more.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Kubernetes {
                    group,
                    resource,
                    verb,
                    namespace,
                    name,
                },
                Self::Kubernetes {
                    group: other_group,
                    resource: other_resource,
                    verb: other_verb,
                    namespace: other_namespace,
                    name: other_name,
                },
            ) => {
                (group, resource, verb) == (other_group, other_resource, other_verb)
                    && (namespace.is_none() || namespace == other_namespace)
                    && (name.is_none() || name == other_name)
            }
            (
                Self::Aws { action, resource },
                Self::Aws {
                    action: other_action,
                    resource: other_resource,
                },
            ) => {
                let within = |start: &str| other_resource.starts_with(start);
                action == other_action
                    && (resource == other_resource || resource.strip_suffix('*').is_some_and(within))
            }
            _ => false,
        }
    }
}

/// Permissions, each with those that it covers left out; and what is uncertain about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    granted: BTreeSet<Permission>,
    /// What was guessed, or couldn't be told, as sentences without their full stop, in order.
    pub notes: BTreeSet<String>,
}

impl Permissions {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `permission`, unless another covers it; those that it covers go.
    pub fn add(&mut self, permission: Permission) {
        if self.granted.iter().any(|other| other.covers(&permission)) {
            return;
        }
        self.granted.retain(|other| !permission.covers(other));
        self.granted.insert(permission);
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: Self) {
        others.granted.into_iter().for_each(|one| self.add(one));
        self.notes.extend(others.notes);
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Permission> {
        self.granted.iter()
    }

    /// Those of clusters as RBAC has them: by namespace (none: the whole cluster) the rules, in order.
    #[must_use]
    pub fn rbac(&self) -> BTreeMap<Option<&str>, Vec<RbacRule>> {
        let mut places: BTreeMap<_, BTreeMap<&'static str, BTreeSet<&str>>> = BTreeMap::new();
        for permission in &self.granted {
            if let Permission::Kubernetes {
                group,
                resource,
                verb,
                namespace,
                name,
            } = permission
            {
                let place = (namespace.as_deref(), group.as_str(), resource.as_str());
                let names = places.entry(place).or_default().entry(*verb).or_default();
                names.extend(name.as_deref());
            }
        }
        // Verbs for the same names are one rule, and so are resources of a group with the same verbs for all names.
        let mut rules: BTreeMap<Option<&str>, BTreeMap<RuleKey<'_>, BTreeSet<&str>>> = BTreeMap::new();
        for ((namespace, group, resource), verbs) in places {
            let mut by_names: BTreeMap<BTreeSet<&str>, BTreeSet<&'static str>> = BTreeMap::new();
            for (verb, named) in verbs {
                by_names.entry(named).or_default().insert(verb);
            }
            for (named, verbs) in by_names {
                // Names are those of one resource.
                let own = if named.is_empty() { "" } else { resource };
                let rules = rules.entry(namespace).or_default();
                rules
                    .entry((group, own, named, verbs))
                    .or_default()
                    .insert(resource);
            }
        }
        let rule = |((group, _, names, verbs), resources): (RuleKey<'_>, BTreeSet<&str>)| RbacRule {
            api_groups: vec![group.to_owned()],
            resources: owned(resources),
            resource_names: owned(names),
            verbs: VERBS.into_iter().filter(|verb| verbs.contains(verb)).collect(),
        };
        rules
            .into_iter()
            .map(|(namespace, rules)| (namespace, rules.into_iter().map(rule).collect()))
            .collect()
    }

    /// Those of AWS as a policy of its IAM has them: by resource the actions, both in order.
    #[must_use]
    pub fn aws(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut actions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for permission in &self.granted {
            if let Permission::Aws { action, resource } = permission {
                actions.entry(resource).or_default().insert(action);
            }
        }
        actions
    }
}

type RuleKey<'p> = (&'p str, &'p str, BTreeSet<&'p str>, BTreeSet<&'static str>);

fn owned(texts: BTreeSet<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// All verbs that kinds ask for, in the order in which people write them.
const VERBS: [&str; 8] = [
    "get", "list", "watch", "create", "patch", "delete", "bind", "escalate",
];

/// A rule of a `Role` or a `ClusterRole`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RbacRule {
    /// One API group.
    pub api_groups: Vec<String>,
    /// Resources and subresources of it.
    pub resources: Vec<String>,
    /// Only those that are called so; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// What may be done.
    pub verbs: Vec<&'static str>,
}

/// `get velero.io/backups in openshift-velero`, `s3:GetBucketTagging on arn:aws:s3:::x`.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubernetes {
                group,
                resource,
                verb,
                namespace,
                name,
            } => {
                write!(f, "{verb} ")?;
                if !group.is_empty() {
                    write!(f, "{group}/")?;
                }
                f.write_str(resource)?;
                if let Some(name) = name {
                    write!(f, " {name}")?;
                }
                match namespace {
                    Some(namespace) => write!(f, " in {namespace}"),
                    None => Ok(()),
                }
            }
            Self::Aws { action, resource } => write!(f, "{action} on {resource}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rbac(verb: &'static str, namespace: Option<&str>, name: Option<&str>) -> Permission {
        Permission::Kubernetes {
            group: String::new(),
            resource: "secrets".to_owned(),
            verb,
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
        }
    }

    fn all(permissions: impl IntoIterator<Item = Permission>) -> Permissions {
        let mut all = Permissions::new();
        permissions.into_iter().for_each(|one| all.add(one));
        all
    }

    #[test]
    fn what_a_wider_one_covers_is_left_out_whichever_comes_first() {
        let (narrow, wide) = (rbac("get", Some("a"), Some("x")), rbac("get", Some("a"), None));
        let both = all([narrow.clone(), wide.clone()]);
        assert_eq!(both, all([wide.clone(), narrow]));
        assert_eq!(both.iter().collect::<Vec<_>>(), [&wide]);
        assert!(rbac("get", None, None).covers(&wide) && !wide.covers(&rbac("get", None, None)));
        assert!(!rbac("list", None, None).covers(&wide));
        let aws = |resource: &str| Permission::Aws {
            action: "s3:ListBucket".to_owned(),
            resource: resource.to_owned(),
        };
        assert!(
            aws("*").covers(&aws("arn:aws:s3:::b-*"))
                && aws("arn:aws:s3:::b-*").covers(&aws("arn:aws:s3:::b-1"))
        );
        assert!(!aws("arn:aws:s3:::b").covers(&aws("arn:aws:s3:::b-1")));
    }

    #[test]
    fn rules_gather_verbs_by_names_and_names_stay_with_their_resource() {
        let permissions = all([
            rbac("get", Some("a"), Some("x")),
            rbac("patch", Some("a"), Some("x")),
            rbac("get", Some("a"), Some("y")),
            rbac("list", Some("a"), None),
        ]);
        let rules = permissions.rbac();
        let rules: Vec<_> = rules[&Some("a")]
            .iter()
            .map(|rule| format!("{} {}", rule.verbs.join(","), rule.resource_names.join(",")))
            .collect();
        assert_eq!(rules, ["list ", "patch x", "get x,y"]);
    }
}
