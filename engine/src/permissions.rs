//! What whoever keeps a policy must be allowed to do, told without reading anything: pure.
//!
//! Facts, and what rules give each other, aren't known then. What depends on them falls back to the wider: a condition that
//! may hold holds, each case of a rule that may be the one is, and a name that isn't known is any name. A type that isn't
//! known would be every type: that is said, and left out.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{
    ApiType, Called, Deed, Facet, Kind, KindName, Permissions, Registry, Unknown, Usage, Value as Document,
};
use holdfast_expression::{Context, MapKey, Value};
use holdfast_policy::{
    Allowance, Credential, Diagnostics, Entry, Evaluated, Expression, Fact, FactSource, Mode, Name, OnRemove,
    Parameters, ProviderReference, Rule, Supplied, Template, Tree, TreeNode, ValidPolicy, ValuesFrom,
    ValuesSource, Variant, Verb, lay_under, resolve_parameters,
};

use crate::clock::Clock;
use crate::evaluate::Evaluator;
use crate::facts::Facts;
use crate::objects;
use crate::scope::Roots;
use crate::{providers, variables};

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
    let evaluator = Evaluator {
        context: Context::at(clock.now()),
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

    fn rule(&mut self, rule: &Rule, roots: &Roots) {
        let may = |condition: Option<&_>, roots: &Roots| {
            condition.is_none_or(|when| !matches!(self.evaluator.condition(when, roots), Ok(false)))
        };
        if !may(rule.when.as_ref(), roots) && rule.for_each.is_none() {
            return;
        }
        let each: Vec<Roots> = self
            .items(rule.for_each.as_ref(), roots)
            .into_iter()
            .filter(|roots| may(rule.when.as_ref(), roots))
            .collect();
        for roots in each {
            let held: Vec<&Variant> = rule
                .variants
                .iter()
                .filter(|variant| variant.verb != Verb::Check)
                .filter(|variant| may_be(self.evaluator, variant, &roots))
                .collect();
            for variant in held {
                self.variant(rule, variant, &roots);
            }
        }
    }

    /// The roots of each item; where they aren't known, those of one that stands for all.
    fn items(&self, for_each: Option<&Expression>, roots: &Roots) -> Vec<Roots> {
        let Some(for_each) = for_each else {
            return vec![roots.clone()];
        };
        let each =
            |key: Value, value: Value| roots.with("each", Value::map([("key", key), ("value", value)]));
        match self.evaluator.value(for_each, roots) {
            Ok(Value::List(items)) => items
                .iter()
                .map(|item| each(item.clone(), item.clone()))
                .collect(),
            Ok(Value::Map(items)) => {
                let items = items.iter();
                items
                    .map(|(key, item)| each(Value::from(key.to_string()), item.clone()))
                    .collect()
            }
            _ => vec![each(Value::unknown(["each.key"]), Value::unknown(["each.value"]))],
        }
    }

    fn variant(&mut self, rule: &Rule, variant: &Variant, roots: &Roots) {
        let kind_name = variant.kind.clone().unwrap_or_else(objects::kind);
        let Some((kind, provider_type)) = self.registry.kind(&kind_name) else {
            return self.later(&kind_name);
        };
        let region = self.provider(variant.provider.as_ref(), provider_type, roots);
        let region = match &variant.region {
            Some(template) => self.text(template, roots),
            None => region,
        };
        let deeds = self.deeds(variant, roots);
        if let Some(name) = &variant.name {
            let roots = roots.with("self", Value::unknown(["self"]));
            let documents = self.documents(variant, kind.name(), &roots);
            let whole = documents
                .into_iter()
                .reduce(|whole, part| lay_under(part, &whole));
            let document = whole.map_or_else(Document::map, |whole| whole.value);
            let usage = Usage {
                name: self.named(name, &roots),
                region,
                ..usage(kind.as_ref(), variant, deeds, document)
            };
            self.search(rule, variant, kind.as_ref(), &usage);
            self.add(kind_name, usage);
            return;
        }
        for Evaluated { value, .. } in self.documents(variant, kind.name(), roots) {
            let text = |keys: &[&str]| value.at(keys).and_then(Document::as_str).map(str::to_owned);
            let (Some(version), Some(api)) = (text(&["apiVersion"]), text(&["kind"])) else {
                let note = format!(
                    "which type the rule `{}` is about depends on facts: what it takes is left out",
                    rule.key
                );
                self.permissions.notes.insert(note);
                continue;
            };
            let usage = Usage {
                api: Some(ApiType::new(&version, &api)),
                namespace: text(&["metadata", "namespace"]),
                name: text(&["metadata", "name"]).map_or(Called::Anything, Called::Exactly),
                ..usage(kind.as_ref(), variant, deeds.clone(), value)
            };
            self.add(kind_name.clone(), usage);
        }
    }

    fn named(&self, name: &Name, roots: &Roots) -> Called {
        match name {
            Name::Given(name) => self.called(name, roots),
            Name::Generate { prefix, .. } => self
                .text(prefix, roots)
                .map_or(Called::Anything, Called::Prefixed),
        }
    }

    /// What looking for a resource by its marks takes. One that bears them may be called anything, and then all that
    /// `usage` takes is needed there as well: that is said, and not taken, as it would be power over all there are.
    fn search(&mut self, rule: &Rule, variant: &Variant, kind: &dyn Kind, usage: &Usage) {
        let Called::Prefixed(prefix) = &usage.name else {
            return;
        };
        if variant.adopt.is_some() {
            let note = format!(
                "what the rule `{}` adopts may be called otherwise than {prefix}…; then all of it is needed there, too",
                rule.key
            );
            self.permissions.notes.insert(note);
        }
        let search = Usage {
            region: usage.region.clone(),
            read: kind.created_with().iter().cloned().collect(),
            deeds: [Deed::Find].into(),
            ..Usage::default()
        };
        self.add(kind.name().clone(), search);
    }

    /// What is done beside reading and writing facets; none where nothing is written.
    fn deeds(&self, variant: &Variant, roots: &Roots) -> Option<BTreeSet<Deed>> {
        let own = match &variant.mode {
            Some(mode) => self.text(mode, roots).and_then(|mode| Mode::parse(&mode)),
            None => None,
        };
        let mode = self.policy.mode.weaker(own.unwrap_or_default());
        if mode == Mode::Observe {
            return None;
        }
        let allows = |allowance| variant.allow.contains(&allowance);
        match variant.verb {
            Verb::Check | Verb::Observe => None,
            Verb::Forbid => Some(
                allows(Allowance::Delete)
                    .then_some(Deed::Delete)
                    .into_iter()
                    .collect(),
            ),
            Verb::Ensure => {
                let deeds = [
                    (variant.create, Deed::Create),
                    (
                        !variant.absent.is_empty() || !variant.exact.is_empty(),
                        Deed::Prune,
                    ),
                    (
                        allows(Allowance::Replace) || variant.on_remove == OnRemove::Delete,
                        Deed::Delete,
                    ),
                ];
                Some(
                    deeds
                        .into_iter()
                        .filter(|(does, _)| *does)
                        .map(|(_, deed)| deed)
                        .collect(),
                )
            }
        }
    }

    /// The variant's documents, with the kind's defaults under them, as far as they are known.
    fn documents(&self, variant: &Variant, kind: &KindName, roots: &Roots) -> Vec<Evaluated> {
        let default = self.policy.defaults.get(kind);
        let default = default.and_then(|tree| self.partly(tree, roots).pop());
        let documents = variant.documents.iter();
        let parts = documents.flat_map(|document| self.partly(&document.tree, roots));
        parts
            .map(|part| match &default {
                Some(default) => lay_under(part, default),
                None => part,
            })
            .collect()
    }

    /// The documents of a tree. One that can't be told as a whole is what its parts are, whether it is there or not.
    fn partly(&self, tree: &Tree, roots: &Roots) -> Vec<Evaluated> {
        if let Ok(documents) = self.evaluator.documents(tree, roots) {
            return documents;
        }
        let for_each = match &tree.node {
            TreeNode::Map { for_each, .. } => for_each.as_deref(),
            _ => None,
        };
        let each = self.items(for_each, roots);
        let known = each
            .iter()
            .map(|roots| self.evaluator.tree(&self.salvaged(tree, roots), roots));
        known.filter_map(|known| known.ok().flatten()).collect()
    }

    /// The same without its conditions, and with what can't be evaluated as not known.
    fn salvaged(&self, tree: &Tree, roots: &Roots) -> Tree {
        let node = match &tree.node {
            TreeNode::Map { entries, .. } => TreeNode::Map {
                when: None,
                for_each: None,
                entries: entries
                    .iter()
                    .filter(|entry| self.evaluator.template(&entry.key, roots).is_ok())
                    .map(|entry| Entry {
                        key: entry.key.clone(),
                        value: match self.evaluator.tree(&entry.value, roots) {
                            Ok(_) => entry.value.clone(),
                            Err(_) => self.salvaged(&entry.value, roots),
                        },
                    })
                    .collect(),
            },
            _ => TreeNode::Literal(Document::Unknown(Unknown::default())),
        };
        Tree {
            place: tree.place.clone(),
            node,
        }
    }
}

/// Whether this case may be the one.
fn may_be(evaluator: Evaluator<'_>, variant: &Variant, roots: &Roots) -> bool {
    let when = variant.when.as_ref();
    when.is_none_or(|when| !matches!(evaluator.condition(when, roots), Ok(false)))
}

/// What is read and written of a resource of which `document` is desired. Without `deeds` nothing is written.
fn usage(kind: &dyn Kind, variant: &Variant, deeds: Option<BTreeSet<Deed>>, document: Document) -> Usage {
    let declared: BTreeSet<Facet> = match document {
        Document::Map(_) => kind.split(document.clone()).into_keys().collect(),
        _ => kind.facets().iter().cloned().collect(),
    };
    let mut read = declared.clone();
    read.insert(kind.root_facet().clone());
    let looked_at = variant.observed_facets();
    let is_looked_at = |facet: &&Facet| {
        looked_at
            .as_ref()
            .is_none_or(|fields| fields.contains(facet.as_str()))
    };
    read.extend(kind.facets().iter().filter(is_looked_at).cloned());
    if variant.adopt.is_some() || matches!(variant.name, Some(Name::Generate { .. })) {
        // The marks by which it is found again.
        read.extend(kind.created_with().iter().cloned());
    }
    let writes = deeds.is_some() && variant.verb == Verb::Ensure;
    Usage {
        read,
        written: if writes { declared } else { BTreeSet::new() },
        deeds: deeds.unwrap_or_default(),
        document,
        ..Usage::default()
    }
}
