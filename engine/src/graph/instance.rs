//! From a rule to its resources: `when`, `forEach`, the case that holds, names and documents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use holdfast_contract as contract;
use holdfast_contract::{ApiType, Kind, Served};
use holdfast_expression::{MapKey, Value};
use holdfast_policy::{Mode, Name, Rule, Variant, Verb, lay_under, to_expression, two_cases_hold};

use super::naming::{self, Generated, Identity, Naming, SearchFault};
use super::{CheckOnly, Input, Resource, ResourceGraph, State};
use crate::address::Address;
use crate::allowance::{ACTIVE, Bound, IDLE, MAX_PROVIDERS, MAX_RESOURCES};
use crate::evaluate::NoAnswer;
use crate::objects;
use crate::providers::{self, ProviderSettings};
use crate::scope::Roots;

/// The tag that says which rule a generated resource is of.
const RULE_TAG: &str = "holdfast-rule";

/// Builds the resources of one rule.
pub(super) struct Builder<'b, 'p> {
    pub(super) input: &'b Input<'b, 'p>,
    pub(super) rule: &'p Rule,
    pub(super) roots: &'b Roots,
    pub(super) served: &'b BTreeMap<ApiType, Served>,
    pub(super) previous: Option<&'b ResourceGraph<'p>>,
}

impl<'p> Builder<'_, 'p> {
    /// A rule that meets a bound of the policy's has one resource, of which nothing is known: with some of its instances
    /// the others would look as if they had left.
    pub(super) fn build(&self, graph: &mut ResourceGraph<'p>) {
        let (resources, checks) = (graph.resources.len(), graph.checks.len());
        let providers = graph.providers.len();
        let allowance = self.input.evaluator.allowance;
        let before = allowance.bytes();
        // What met a bound before is no fault of this rule.
        allowance.take_met();
        self.all(graph);
        if let Some(bound) = allowance.take_met() {
            graph.resources.truncate(resources);
            graph.checks.truncate(checks);
            graph.providers.truncate(providers);
            allowance.forget_since(before);
            let no = NoAnswer::fault(bound.to_string(), &self.rule.place);
            let address = Address::of(&self.rule.key);
            graph
                .resources
                .push(self.resource(&address, self.roots, None, State::Open(no)));
        }
    }

    fn all(&self, graph: &mut ResourceGraph<'p>) {
        let address = Address::of(&self.rule.key);
        let Some(items) = &self.rule.for_each else {
            return self.instance(&address, self.roots.clone(), graph);
        };
        let items = match self.input.evaluator.value(items, self.roots) {
            Ok(items) => items,
            Err(no) => {
                return graph
                    .resources
                    .push(self.resource(&address, self.roots, None, State::Open(no)));
            }
        };
        let instances = match self.instances(&items) {
            Ok(instances) => instances,
            Err(no) => {
                return graph
                    .resources
                    .push(self.resource(&address, self.roots, None, State::Open(no)));
            }
        };
        for (key, value) in instances {
            let each = Value::map([("key", Value::from(key.as_str())), ("value", value)]);
            let address = Address::instance(&self.rule.key, Some(&key));
            self.instance(&address, self.roots.with("each", each), graph);
            if self.input.evaluator.allowance.is_met() {
                return;
            }
        }
    }

    /// Whether the documents of `variant` stand in the policy as they are, each for one resource: they take no more than the
    /// policy itself does.
    pub(super) fn is_bounded(&self, variant: &Variant) -> bool {
        let uses = self.input.uses.variant(self.rule, variant);
        self.rule.for_each.is_none() && uses.is_some_and(|uses| uses.is_literal)
    }

    /// The instances by key: maps and lists of texts key themselves, all else needs `key`.
    fn instances(&self, items: &Value) -> Result<BTreeMap<String, Value>, NoAnswer> {
        let place = &self
            .rule
            .for_each
            .as_ref()
            .map_or(&self.rule.place, |each| &each.place);
        let count = match items {
            Value::Map(entries) => entries.len(),
            Value::List(items) => items.len(),
            _ => 0,
        };
        if count > MAX_RESOURCES {
            return Err(NoAnswer::fault(Bound::Resources.to_string(), place));
        }
        let entries: Vec<(Option<String>, Value)> = match items {
            Value::Map(entries) => entries
                .iter()
                .map(|(key, value)| (Some(key.to_string()), value.clone()))
                .collect(),
            Value::List(items) => items
                .iter()
                .map(|item| (item.as_str().map(str::to_owned), item.clone()))
                .collect(),
            Value::Sensitive(_) => return Err(NoAnswer::fault("`forEach` can't be sensitive", place)),
            other => {
                return Err(NoAnswer::fault(
                    format!("`forEach` needs a list or a map; this is {}", other.kind()),
                    place,
                ));
            }
        };
        let mut instances = BTreeMap::new();
        for (own, value) in entries {
            let key = match (&self.rule.key_expression, own) {
                (Some(expression), own) => {
                    let each = Value::map([
                        ("key", Value::from(own.unwrap_or_default())),
                        ("value", value.clone()),
                    ]);
                    match self
                        .input
                        .evaluator
                        .value(expression, &self.roots.with("each", each))?
                    {
                        Value::String(key) => key.to_string(),
                        Value::Int(key) => key.to_string(),
                        other => {
                            let message = format!("`key` must give text; this is {}", other.kind());
                            return Err(NoAnswer::fault(message, &expression.place));
                        }
                    }
                }
                (None, Some(own)) => own,
                (None, None) => {
                    return Err(NoAnswer::fault(
                        "these items need a `key`, as they have none",
                        place,
                    ));
                }
            };
            if instances.insert(key.clone(), value).is_some() {
                return Err(NoAnswer::fault(format!("two items have the key {key:?}"), place));
            }
        }
        Ok(instances)
    }

    fn instance(&self, address: &Address, roots: Roots, graph: &mut ResourceGraph<'p>) {
        let made = graph.resources.len().saturating_add(graph.checks.len());
        if made >= MAX_RESOURCES {
            return self.input.evaluator.allowance.meet(Bound::Resources);
        }
        self.input.evaluator.allowance.instance();
        let (variant, roots) = match self.variant(&roots) {
            Ok(Some(variant)) => (variant, roots),
            Ok(None) => {
                return graph.resources.push(self.resource(
                    address,
                    &roots,
                    self.only_variant(),
                    State::Skipped,
                ));
            }
            Err(no) => {
                return graph.resources.push(self.resource(
                    address,
                    &roots,
                    self.only_variant(),
                    State::Open(no),
                ));
            }
        };
        if variant.verb == Verb::Check {
            self.input.evaluator.allowance.resource(IDLE);
            graph.checks.push(CheckOnly {
                address: address.clone(),
                checks: &variant.checks,
                roots,
            });
            return;
        }
        match self.resources(address, &roots, variant) {
            Ok((settings, resources)) => {
                if !graph.providers.contains(&settings) {
                    if graph.providers.len() >= MAX_PROVIDERS {
                        return self.input.evaluator.allowance.meet(Bound::Providers);
                    }
                    graph.providers.push(settings);
                }
                graph.resources.extend(resources);
            }
            Err(state) => graph
                .resources
                .push(self.resource(address, &roots, Some(variant), state)),
        }
    }

    /// The variant whose kind is the rule's whichever holds, for rules that are left out.
    fn only_variant(&self) -> Option<&'p Variant> {
        let first = self.rule.variants.first()?;
        self.rule
            .variants
            .iter()
            .all(|variant| variant.kind == first.kind)
            .then_some(first)
    }

    /// The case that holds; none: the rule, or the instance, is Skipped.
    fn variant(&self, roots: &Roots) -> Result<Option<&'p Variant>, NoAnswer> {
        if let Some(when) = &self.rule.when
            && !self.input.evaluator.condition(when, roots)?
        {
            return Ok(None);
        }
        let mut holding: Option<&'p Variant> = None;
        for variant in &self.rule.variants {
            let holds = match &variant.when {
                Some(when) => self.input.evaluator.condition(when, roots)?,
                None => true,
            };
            if holds {
                if let Some(first) = holding {
                    let fault = two_cases_hold(self.rule, first, variant);
                    return Err(NoAnswer::fault(fault.message, &variant.place));
                }
                holding = Some(variant);
            }
        }
        Ok(holding)
    }

    fn resources(
        &self,
        address: &Address,
        roots: &Roots,
        variant: &'p Variant,
    ) -> Result<(ProviderSettings, Vec<Resource<'p>>), State> {
        let kind_name = variant.kind.clone().unwrap_or_else(objects::kind);
        let Some((kind, provider_type)) = self.input.registry.kind(&kind_name) else {
            return Err(State::Blocked(format!(
                "{kind_name} comes with its provider, which this version doesn't have yet"
            )));
        };
        let evaluator = self.input.evaluator;
        let settings = providers::settings(
            self.input.policy,
            variant.provider.as_ref(),
            provider_type,
            evaluator,
            roots,
        )
        .map_err(State::Open)?;
        let region = match &variant.region {
            Some(template) => Some(evaluator.text(template, roots).map_err(State::Open)?),
            None => settings.region().map(str::to_owned),
        };
        let named = Named {
            kind: &kind,
            settings: &settings,
            region: region.as_deref(),
        };
        let resources = match &variant.name {
            Some(name) => vec![self.named(address, roots, variant, name, &named)],
            None => self.documents(address, roots, variant, &named)?,
        };
        Ok((settings, resources))
    }

    /// The resource of a kind that the rule names: one, whatever its documents.
    fn named(
        &self,
        address: &Address,
        roots: &Roots,
        variant: &'p Variant,
        name: &Name,
        named: &Named<'_>,
    ) -> Resource<'p> {
        let mut resource = self.resource(address, roots, Some(variant), State::Active);
        resource.provider = Some(named.settings.name.clone());
        resource.identity = match self.identity(address, roots, variant, name) {
            Ok(identity) => identity,
            Err(no) => {
                resource.state = State::Open(no);
                return resource;
            }
        };
        resource.former_identities = self.former_identities(address, &resource.identity, variant);
        let text = match self.name(address, roots, name, named, &mut resource) {
            Ok(text) => text,
            Err(state) => {
                resource.naming = Naming::Open;
                resource.state = state;
                None
            }
        };
        if let Some(text) = text {
            let value = contract::Value::from(text);
            match self.locate(named, Some(&value), &contract::Value::map()) {
                Ok(key) => resource.key = Some(key),
                Err(state) => resource.state = state,
            }
        }
        let attributes = match &resource.key {
            Some(key) => named
                .kind
                .attributes(key)
                .iter()
                .map(|(name, value)| (*name, to_expression(value)))
                .collect(),
            None => Self::unknown_attributes(address, named.kind),
        };
        let own = Value::map(
            attributes
                .into_iter()
                .map(|(name, value)| (MapKey::from(name), value)),
        );
        let inner = roots.with("self", own);
        match self.laid_out(variant, &inner, &named.kind.name().clone()) {
            Ok(parts) => match parts.into_iter().reduce(|whole, part| lay_under(part, &whole)) {
                Some(whole) => self.desire(&mut resource, named, whole),
                None => resource.wanted = self.wanted(&resource, named.kind, variant),
            },
            Err(no) if resource.state == State::Active => resource.state = State::Open(no),
            Err(_) => {}
        }
        resource
    }

    fn unknown_attributes(address: &Address, kind: &Arc<dyn Kind>) -> Vec<(&'static str, Value)> {
        kind.attribute_names()
            .iter()
            .map(|name| (*name, Value::unknown([format!("rules.{address}.{name}")])))
            .collect()
    }

    /// The tags by which a generated resource is ours; none for a name that was given.
    fn identity(
        &self,
        address: &Address,
        roots: &Roots,
        variant: &'p Variant,
        name: &Name,
    ) -> Result<BTreeMap<String, String>, NoAnswer> {
        if let Some(adopt) = &variant.adopt {
            let value = self.input.evaluator.tree(&adopt.tree, roots)?;
            let value = value.map_or_else(contract::Value::map, |evaluated| evaluated.value);
            let entries = value.as_map().cloned().unwrap_or_default();
            let mut identity = BTreeMap::new();
            for (key, value) in entries {
                match value {
                    contract::Value::String(text) => identity.insert(key, text),
                    contract::Value::Unknown(unknown) => return Err(NoAnswer::Waits(unknown.waits_for)),
                    _ => {
                        return Err(NoAnswer::fault(
                            format!("`adopt`: {key} must be text"),
                            &adopt.tree.place,
                        ));
                    }
                };
            }
            return Ok(identity);
        }
        if matches!(name, Name::Given(_)) {
            return Ok(BTreeMap::new());
        }
        Ok(BTreeMap::from([
            (
                "holdfast-cluster".to_owned(),
                self.input.cluster.unwrap_or("none").to_owned(),
            ),
            ("holdfast-policy".to_owned(), self.input.mark.to_owned()),
            (RULE_TAG.to_owned(), address.to_string()),
        ]))
    }

    /// The tags that a generated resource bore while its rule had its former keys, where they name the rule.
    fn former_identities(
        &self,
        address: &Address,
        identity: &BTreeMap<String, String>,
        variant: &Variant,
    ) -> Vec<BTreeMap<String, String>> {
        if identity.is_empty() || variant.adopt.is_some() {
            return Vec::new();
        }
        naming::known_as(address, self.rule)
            .skip(1)
            .map(|former| {
                let mut identity = identity.clone();
                identity.insert(RULE_TAG.to_owned(), former.to_string());
                identity
            })
            .collect()
    }

    fn name(
        &self,
        address: &Address,
        roots: &Roots,
        name: &Name,
        named: &Named<'_>,
        resource: &mut Resource<'p>,
    ) -> Result<Option<String>, State> {
        let evaluator = self.input.evaluator;
        let (prefix, record) = match name {
            Name::Given(template) => return evaluator.text(template, roots).map(Some).map_err(State::Open),
            Name::Generate { prefix, record } => (
                evaluator.text(prefix, roots).map_err(State::Open)?,
                record.as_ref(),
            ),
        };
        let (kind, provider) = (named.kind.name(), &named.settings.name);
        let identity = Identity {
            now: &resource.identity,
            former: &resource.former_identities,
        };
        match naming::generated(
            self.input,
            self.previous,
            address,
            self.rule,
            &prefix,
            record,
            kind,
            provider,
            identity,
        ) {
            Generated::Settled(name, provisioned) => {
                resource.recorded_as_provisioned = provisioned;
                Ok(Some(name))
            }
            Generated::Candidate(name, record) => {
                resource.naming = Naming::Unrecorded(record);
                Ok(Some(name))
            }
            Generated::None(naming) => {
                match naming::search_fault(self.input, address, &prefix, identity) {
                    Some(SearchFault::Incomplete(message)) => {
                        return Err(State::Open(NoAnswer::Unreadable {
                            message,
                            place: self.rule.place.clone(),
                        }));
                    }
                    Some(SearchFault::Several(message)) => return Err(State::Blocked(message)),
                    None => {}
                }
                let naming = match naming {
                    // Where nothing is to be made, nothing has to be waited for.
                    Naming::Again { .. }
                        if resource.mode != Mode::Enforce
                            || resource.variant.is_none_or(|variant| !variant.create) =>
                    {
                        Naming::Mint { prefix, found: None }
                    }
                    naming => naming,
                };
                let found = match &naming {
                    Naming::Mint { found, .. } => found.clone(),
                    _ => None,
                };
                resource.naming = naming;
                Ok(found)
            }
            Generated::Unknown(message) => Err(State::Open(NoAnswer::Unreadable {
                message,
                place: self.rule.place.clone(),
            })),
            Generated::Contradiction(message) => Err(State::Blocked(message)),
        }
    }

    pub(super) fn resource(
        &self,
        address: &Address,
        roots: &Roots,
        variant: Option<&'p Variant>,
        state: State,
    ) -> Resource<'p> {
        self.input.evaluator.allowance.resource(match variant {
            Some(variant) if self.is_bounded(variant) => 0,
            _ if state == State::Active => ACTIVE,
            _ => IDLE,
        });
        let kind = variant
            .and_then(|variant| self.input.registry.kind(variant.kind.as_ref()?))
            .map(|(kind, _)| kind);
        let what = variant
            .and_then(|variant| variant.kind.as_ref())
            .map_or_else(String::new, ToString::to_string);
        let (mode, state) = match variant.map(|variant| self.mode(variant, roots)) {
            Some(Ok(mode)) => (mode, state),
            Some(Err(no)) => (
                Mode::Observe,
                if state == State::Active {
                    State::Open(no)
                } else {
                    state
                },
            ),
            None => (self.input.policy.mode, state),
        };
        Resource {
            address: address.clone(),
            rule: self.rule,
            variant,
            state,
            what,
            kind,
            key: None,
            naming: Naming::Known,
            mode,
            facets: Arc::default(),
            as_desired: None,
            fingerprint: OnceLock::new(),
            declared: None,
            manifest: None,
            stamps: BTreeMap::new(),
            provider: None,
            identity: BTreeMap::new(),
            former_identities: Vec::new(),
            recorded_as_provisioned: false,
            needs: BTreeSet::new(),
            facet_needs: BTreeMap::new(),
            lockouts: BTreeMap::new(),
            wanted: BTreeSet::new(),
            roots: roots.clone(),
        }
    }

    fn mode(&self, variant: &Variant, roots: &Roots) -> Result<Mode, NoAnswer> {
        let own = match &variant.mode {
            Some(template) => {
                let text = self.input.evaluator.text(template, roots)?;
                let message = format!("{text:?} is no mode; Enforce or Observe");
                Mode::parse(&text).ok_or_else(|| NoAnswer::fault(message, &template.place))?
            }
            None => Mode::Enforce,
        };
        Ok(self.input.policy.mode.weaker(own))
    }
}

/// What a resource's rule has evaluated before its name.
pub(super) struct Named<'b> {
    pub(super) kind: &'b Arc<dyn Kind>,
    pub(super) settings: &'b ProviderSettings,
    pub(super) region: Option<&'b str>,
}
