use holdfast_testbed::AuditEvent;
use serde_json::Value;

/// What roles allow, one verb of one resource and name at a time, and what of it was made use of.
#[derive(Clone, Debug, Default)]
pub struct Power {
    grants: Vec<Grant>,
}

#[derive(Clone, Debug)]
struct Grant {
    namespace: Option<String>,
    group: String,
    resource: String,
    verb: String,
    name: Option<String>,
}

impl Power {
    /// What the roles, of a namespace or of the cluster, among `documents` allow.
    ///
    /// # Panics
    /// If they aren't as RBAC has them.
    #[must_use]
    pub fn of(documents: &[Value]) -> Self {
        let texts = |value: &Value| -> Vec<String> {
            let items = value.as_array().into_iter().flatten();
            items
                .map(|item| item.as_str().expect("a text").to_owned())
                .collect()
        };
        // A rule without names is one grant, for all of them.
        let names = |value: &Value| match texts(value) {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(Some).collect(),
        };
        let mut grants = Vec::new();
        for role in documents {
            let namespace = match role["kind"].as_str() {
                Some("Role") => Some(
                    role["metadata"]["namespace"]
                        .as_str()
                        .expect("a Role's namespace")
                        .to_owned(),
                ),
                Some("ClusterRole") => None,
                _ => continue,
            };
            for rule in role["rules"].as_array().expect("rules") {
                for group in texts(&rule["apiGroups"]) {
                    for resource in texts(&rule["resources"]) {
                        for verb in texts(&rule["verbs"]) {
                            grants.extend(names(&rule["resourceNames"]).into_iter().map(|name| Grant {
                                namespace: namespace.clone(),
                                group: group.clone(),
                                resource: resource.clone(),
                                verb: verb.clone(),
                                name,
                            }));
                        }
                    }
                }
            }
        }
        Self { grants }
    }

    /// What is allowed and none of `events` made use of, as lines for a person. What only a webhook or the server's own
    /// checks look at (`bind`, `escalate`, and `create`, which an apply is allowed by along with `patch`) shows in no log:
    /// of an apply that made something the answer tells.
    #[must_use]
    pub fn unused(&self, events: &[AuditEvent]) -> Vec<String> {
        let unused = self
            .grants
            .iter()
            .filter(|grant| !events.iter().any(|event| grant.allows(event) && event.code < 400));
        unused
            .map(|grant| {
                let place = grant.namespace.as_deref().unwrap_or("everywhere");
                let name = grant.name.as_deref().unwrap_or("*");
                format!(
                    "{} {}/{} {name} in {place}",
                    grant.verb, grant.group, grant.resource
                )
            })
            .collect()
    }
}

impl Grant {
    fn allows(&self, event: &AuditEvent) -> bool {
        if self.verb == "impersonate" {
            return self.allows_to_be(event.impersonated.as_deref().unwrap_or_default());
        }
        let resource = match event.subresource.as_str() {
            "" => event.resource.clone(),
            subresource => format!("{}/{subresource}", event.resource),
        };
        let verb = match (self.verb.as_str(), event.code) {
            // An apply that made something.
            ("create", 201) => ["create", "patch"].contains(&event.verb.as_str()),
            (verb, _) => verb == event.verb,
        };
        let asked = event
            .uri
            .split(['?', '&'])
            .find_map(|part| part.strip_prefix("fieldSelector=metadata.name%3D"));
        let name = asked.unwrap_or(&event.name);
        verb && self.group == event.api_group
            && self.resource == resource
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == event.namespace)
            && self.name.as_ref().is_none_or(|own| own == name)
    }

    /// Of being another, a request's own record says whom.
    fn allows_to_be(&self, user: &str) -> bool {
        let account = user.strip_prefix("system:serviceaccount:");
        let Some((namespace, name)) = account.and_then(|account| account.split_once(':')) else {
            return false;
        };
        self.resource == "serviceaccounts"
            && self.namespace.as_ref().is_none_or(|own| own == namespace)
            && self.name.as_ref().is_none_or(|own| own == name)
    }
}

/// The requests of `account` that were refused for want of a permission, as lines for a person.
#[must_use]
pub fn denied(events: &[AuditEvent], account: &str) -> Vec<String> {
    let own = events
        .iter()
        .filter(|event| event.user == account || event.impersonated.as_deref() == Some(account));
    own.filter(|event| event.code == 403)
        .map(|event| format!("{} {}", event.verb, event.uri))
        .collect()
}
