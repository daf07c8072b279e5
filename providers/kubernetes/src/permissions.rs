//! What RBAC must allow whoever keeps objects as a policy says.
//!
//! It follows what [`observe`](crate::observe), [`watch`](crate::watch), [`find`](crate::find) and
//! [`write`](crate::write) send. A creation is an apply, whose request has the object's name in it, so that it can be
//! limited to that name like everything else.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{ApiType, Called, Deed, Permission, Permissions, Scope, Served, Usage, Value};

use crate::kind::{OBJECT, STATUS, api_of, defined_by};
use crate::observe::LIST_FROM;
use crate::types;

const RBAC: &str = "rbac.authorization.k8s.io";

/// What `usages` take together. They are looked at together, as many objects of one type are read by a list.
pub(crate) fn permissions(usages: &[Usage]) -> Permissions {
    let types: BTreeMap<ApiType, Type> = usages.iter().flat_map(|usage| defined(&usage.document)).collect();
    let mut needed = Needed::default();
    let mut groups: BTreeMap<(Type, Option<&str>), Vec<&Usage>> = BTreeMap::new();
    for usage in usages {
        let Some(api) = &usage.api else { continue };
        let resource = types
            .get(api)
            .cloned()
            .unwrap_or_else(|| needed.usual(api, usage.namespace.as_deref()));
        let namespace = usage
            .namespace
            .as_deref()
            .filter(|_| resource.scope == Scope::Namespaced);
        groups.entry((resource, namespace)).or_default().push(usage);
    }
    for ((resource, namespace), usages) in groups {
        let mut group = Group {
            resource: &resource,
            namespace,
            needed: &mut needed,
        };
        group.reads(&usages);
        for usage in usages {
            group.writes(usage);
        }
    }
    // A type that isn't served may come, and one that is may go: that is seen at the definitions.
    let foreign = |usage: &Usage| usage.api.as_ref().is_some_and(|api| !types::is_built_in(api));
    if usages.iter().any(foreign) {
        let definitions = Type {
            group: "apiextensions.k8s.io".to_owned(),
            plural: "customresourcedefinitions".to_owned(),
            scope: Scope::Cluster,
            has_status: true,
        };
        let mut group = Group {
            resource: &definitions,
            namespace: None,
            needed: &mut needed,
        };
        group.may(&["list", "watch"], None);
    }
    needed.0
}

/// A type, as RBAC and the server's paths have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Type {
    group: String,
    plural: String,
    scope: Scope,
    /// Whether its status is, or may be, written apart.
    has_status: bool,
}

/// The types that a definition makes the server serve.
fn defined(definition: &Value) -> Vec<(ApiType, Type)> {
    if !api_of(definition).is_some_and(|api| types::is_crd(&api)) {
        return Vec::new();
    }
    let spec = |keys: &[&str]| definition.get("spec").and_then(|spec| spec.at(keys));
    let Some(plural) = spec(&["names", "plural"]).and_then(Value::as_str) else {
        return Vec::new();
    };
    let versions = spec(&["versions"]).and_then(Value::as_list).unwrap_or_default();
    let has_status = |name: &str| {
        let mut versions = versions
            .iter()
            .filter(|version| version.get("name").and_then(Value::as_str) == Some(name));
        versions.any(|version| version.at(&["subresources", "status"]).is_some())
    };
    let described = defined_by(definition).into_iter().map(|(api, scope)| {
        let found = Type {
            group: api.group().to_owned(),
            plural: plural.to_owned(),
            scope,
            has_status: has_status(api.version()),
        };
        (api, found)
    });
    described.collect()
}

#[derive(Default)]
struct Needed(Permissions);

impl Needed {
    /// A type that the policy doesn't define: one of Kubernetes, or somebody else's, which is guessed at.
    fn usual(&mut self, api: &ApiType, namespace: Option<&str>) -> Type {
        let plural = types::plural(&api.kind);
        if !types::is_built_in(api) {
            let place = if namespace.is_some() {
                ", in a namespace"
            } else {
                ""
            };
            self.0.notes.insert(format!(
                "{api} is guessed to be {plural}.{}{place}: neither Kubernetes nor the policy defines it",
                api.group()
            ));
        }
        Type {
            group: api.group().to_owned(),
            plural,
            scope: match types::scope(api) {
                Some(Served::Yes(scope)) => scope,
                _ if namespace.is_some() => Scope::Namespaced,
                _ => Scope::Cluster,
            },
            has_status: true,
        }
    }
}

/// Objects of one type in one place.
struct Group<'g> {
    resource: &'g Type,
    namespace: Option<&'g str>,
    needed: &'g mut Needed,
}

impl Group<'_> {
    fn may(&mut self, verbs: &[&'static str], name: Option<&str>) {
        self.may_with(&self.resource.plural.clone(), verbs, name);
    }

    fn may_with(&mut self, resource: &str, verbs: &[&'static str], name: Option<&str>) {
        for verb in verbs {
            self.needed.0.add(Permission::Kubernetes {
                group: self.resource.group.clone(),
                resource: resource.to_owned(),
                verb,
                namespace: self.namespace.map(str::to_owned),
                name: name.map(str::to_owned),
            });
        }
    }

    /// A few are read and watched by their names, many by a list of all.
    fn reads(&mut self, usages: &[&Usage]) {
        if usages.iter().any(|usage| usage.deeds.contains(&Deed::Find)) {
            self.may(&["list", "watch"], None);
        }
        let read = usages
            .iter()
            .filter(|usage| !usage.read.is_empty() || !usage.written.is_empty());
        let names: Option<BTreeSet<&str>> = read.map(|usage| exactly(usage)).collect();
        let Some(names) = names else {
            return self.may(&["get", "list", "watch"], None);
        };
        let is_secret = self.resource.group.is_empty() && self.resource.plural == "secrets";
        let by_list = names.len() >= LIST_FROM && !is_secret;
        if by_list {
            self.may(&["list", "watch"], None);
        }
        for name in names {
            self.may(&["get", "list", "watch"], Some(name));
        }
    }

    fn writes(&mut self, usage: &Usage) {
        let name = exactly(usage);
        let writes = |facet: &str| usage.written.contains(&facet.into());
        if writes(OBJECT) {
            self.may(&["patch"], name);
            self.grants(usage, name);
        }
        if usage.deeds.contains(&Deed::Create) {
            self.may(&["create", "patch"], name);
        }
        if writes(STATUS) {
            if self.resource.has_status {
                let status = format!("{}/status", self.resource.plural);
                self.may_with(&status, &["patch"], name);
            } else {
                self.may(&["patch"], name);
            }
        }
        if usage.deeds.contains(&Deed::Delete) {
            self.may(&["delete"], name);
        }
    }

    /// Who writes what gives others power must have that power, or be allowed to give it.
    fn grants(&mut self, usage: &Usage, name: Option<&str>) {
        if self.resource.group != RBAC {
            return;
        }
        match self.resource.plural.as_str() {
            "roles" | "clusterroles" => self.may(&["escalate"], name),
            "rolebindings" | "clusterrolebindings" => {
                let of = |field| usage.document.at(&["roleRef", field]).and_then(Value::as_str);
                let roles = match of("kind") {
                    Some("Role") => "roles",
                    _ => "clusterroles",
                };
                self.may_with(roles, &["bind"], of("name"));
            }
            _ => {}
        }
    }
}

fn exactly(usage: &Usage) -> Option<&str> {
    match &usage.name {
        Called::Exactly(name) => Some(name),
        Called::Prefixed(_) | Called::Anything => None,
    }
}

#[cfg(test)]
mod tests;
