//! What whoever keeps a policy must be allowed to do, told without reading anything: pure.
//!
//! Facts, and what rules give each other, aren't known then. What depends on them falls back to the wider: a condition that
//! may hold holds, each case of a rule that may be the one is, and a name that isn't known is any name. A type that isn't
//! known would be every type: that is said, and left out.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{ApiType, Called, Deed, Facet, KindName, Permissions, Registry, Usage};
use holdfast_expression::{Context, MapKey, Value};
use holdfast_policy::{
    Credential, Diagnostics, Fact, FactSource, Parameters, ProviderReference, Supplied, Template, Tree,
    ValidPolicy, ValuesFrom, ValuesSource, resolve_parameters,
};

use crate::allowance::Allowance;
use crate::clock::Clock;
use crate::evaluate::Evaluator;
use crate::facts::Facts;
use crate::objects;
use crate::scope::Roots;
use crate::{providers, variables};

mod rules;

/// What `policy` takes with its own and the `supplied` values of its parameters. Where it takes more of them from the
/// cluster (`valuesFrom`), those that aren't supplied aren't known.
///
/// # Errors
/// Something is wrong with the parameters.
pub fn permissions(
    policy: &ValidPolicy,
    supplied: &[Supplied],
    registry: &Registry,
    clock: Clock,
) -> Result<Permissions, Diagnostics> {
    let parameters = resolve_parameters(policy, supplied)?;
    let allowance = Allowance::default();
    let evaluator = Evaluator {
        context: Context::at(clock.now()),
        allowance: &allowance,
    };
    let given: BTreeSet<&str> = supplied.iter().map(Supplied::name).collect();
    let roots = roots(policy, &parameters, &given, evaluator);
    let mut needs = Needs {
        policy,
        registry,
        evaluator,
        usages: BTreeMap::new(),
        permissions: Permissions::new(),
    };
    policy
        .values_from
        .iter()
        .for_each(|from| needs.values(from, &roots));
    policy.facts.values().for_each(|fact| needs.fact(fact, &roots));
    policy.rules.values().for_each(|rule| needs.rule(rule, &roots));
    let Needs {
        usages,
        mut permissions,
        ..
    } = needs;
    for (kind, usages) in usages {
        if let Some((kind, _)) = registry.kind(&kind) {
            permissions.extend(kind.permissions(&usages));
        }
    }
    Ok(permissions)
}

/// The roots of all expressions, with what isn't known as such.
fn roots(
    policy: &ValidPolicy,
    parameters: &Parameters,
    given: &BTreeSet<&str>,
    evaluator: Evaluator<'_>,
) -> Roots {
    let mut known: BTreeMap<MapKey, Value> = match parameters.to_expression() {
        Value::Map(known) => (*known).clone(),
        _ => BTreeMap::new(),
    };
    if !policy.values_from.is_empty() {
        for name in policy
            .parameters
            .keys()
            .filter(|name| !given.contains(name.as_str()))
        {
            known.insert(
                MapKey::from(name.as_str()),
                Value::unknown([format!("parameters.{name}")]),
            );
        }
    }
    let unknown = |root: &str, name: &str| (name.to_owned(), Value::unknown([format!("{root}.{name}")]));
    let facts = Facts {
        values: policy.facts.keys().map(|name| unknown("facts", name)).collect(),
        ..Facts::default()
    };
    let rules = policy.rules.keys().map(|key| unknown("rules", key)).collect();
    variables::roots(policy, &Value::from(known), &facts, &rules, evaluator)
}

/// What is collected on the way.
struct Needs<'n> {
    policy: &'n ValidPolicy,
    registry: &'n Registry,
    evaluator: Evaluator<'n>,
    usages: BTreeMap<KindName, Vec<Usage>>,
    permissions: Permissions,
}

impl Needs<'_> {
    fn add(&mut self, kind: KindName, usage: Usage) {
        self.usages.entry(kind).or_default().push(usage);
    }

    fn text(&self, template: &Template, roots: &Roots) -> Option<String> {
        self.evaluator.text(template, roots).ok()
    }

    fn called(&self, name: &Template, roots: &Roots) -> Called {
        self.text(name, roots).map_or(Called::Anything, Called::Exactly)
    }

    /// An object that is only looked at.
    fn looks_at(&mut self, api: ApiType, namespace: Option<String>, name: Called) {
        let usage = Usage {
            api: Some(api),
            namespace,
            name,
            read: [objects::facet()].into(),
            ..Usage::default()
        };
        self.add(objects::kind(), usage);
    }

    fn values(&mut self, from: &ValuesFrom, roots: &Roots) {
        let api = match from.source {
            ValuesSource::ConfigMap => objects::config_map(),
            ValuesSource::Secret => objects::secret(),
        };
        let namespace = match &from.namespace {
            Some(template) => self.text(template, roots),
            None => Some(self.policy.id.namespace.clone()),
        };
        self.looks_at(api, namespace, self.called(&from.name, roots));
    }

    fn fact(&mut self, fact: &Fact, roots: &Roots) {
        match &fact.source {
            FactSource::Object {
                api,
                namespace,
                name,
                provider,
            } => {
                let namespace = namespace
                    .as_ref()
                    .and_then(|namespace| self.text(namespace, roots));
                self.looks_at(api.clone(), namespace, self.called(name, roots));
                self.provider(provider.as_ref(), objects::PROVIDER, roots);
            }
            FactSource::Objects {
                api,
                namespace,
                provider,
                ..
            } => {
                let usage = Usage {
                    api: Some(api.clone()),
                    namespace: namespace
                        .as_ref()
                        .and_then(|namespace| self.text(namespace, roots)),
                    deeds: [Deed::Find].into(),
                    ..Usage::default()
                };
                self.add(objects::kind(), usage);
                self.provider(provider.as_ref(), objects::PROVIDER, roots);
            }
            FactSource::Resources {
                kind,
                name_prefix,
                provider,
            } => {
                let Some((_, provider_type)) = self.registry.kind(kind) else {
                    return self.later(kind);
                };
                let prefix = name_prefix.as_ref().and_then(|prefix| self.text(prefix, roots));
                let usage = Usage {
                    name: prefix.map_or(Called::Anything, Called::Prefixed),
                    region: self.provider(provider.as_ref(), provider_type, roots),
                    read: fact.read.iter().map(|part| Facet::from(part.as_str())).collect(),
                    deeds: [Deed::Find].into(),
                    ..Usage::default()
                };
                self.add(kind.clone(), usage);
            }
            // Which types there are everybody may ask.
            FactSource::Api { .. } => {}
        }
    }

    fn later(&mut self, kind: &KindName) {
        let note = format!(
            "{kind} comes with its provider, which this version doesn't have: what it takes is left out"
        );
        self.permissions.notes.insert(note);
    }

    /// What signing in to a provider takes, and the region that it names.
    fn provider(
        &mut self,
        reference: Option<&ProviderReference>,
        provider_type: &str,
        roots: &Roots,
    ) -> Option<String> {
        let declaration = match reference {
            Some(ProviderReference::Inline(declaration)) => Some(declaration.as_ref()),
            Some(ProviderReference::Named(name)) => {
                let name = self.text(name, roots)?;
                self.policy.providers.get(&name.as_str().into())
            }
            None => self
                .policy
                .providers
                .values()
                .find(|declaration| declaration.provider_type == provider_type),
        };
        if let Some(tree) = declaration.and_then(|declaration| declaration.credentials.as_ref()) {
            self.credentials(tree, roots);
        }
        let settings =
            providers::settings(self.policy, reference, provider_type, self.evaluator, roots).ok()?;
        settings.region().map(str::to_owned)
    }

    fn credentials(&mut self, tree: &Tree, roots: &Roots) {
        let list = self.evaluator.tree(tree, roots).ok().flatten();
        let list = list.and_then(|list| Credential::list(&list.value).ok());
        let Some(list) = list else {
            let note = "which Secrets a provider signs in with depends on facts: reading them is left out";
            self.permissions.notes.insert(note.to_owned());
            return;
        };
        for credential in list {
            if let Credential::Secret { namespace, name } = credential {
                let namespace = namespace.unwrap_or_else(|| self.policy.id.namespace.clone());
                self.looks_at(objects::secret(), Some(namespace), Called::Exactly(name));
            }
        }
    }
}
