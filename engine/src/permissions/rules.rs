//! What a rule takes.

use std::collections::BTreeSet;

use holdfast_contract::{ApiType, Called, Deed, Facet, Kind, KindName, Unknown, Usage, Value as Document};
use holdfast_expression::Value;
use holdfast_policy::{
    Allowance, Entry, Evaluated, Expression, Mode, Name, OnRemove, Rule, Tree, TreeNode, Variant, Verb,
    lay_under,
};

use super::Needs;
use crate::evaluate::Evaluator;
use crate::objects;
use crate::scope::Roots;

impl Needs<'_> {
    pub(super) fn rule(&mut self, rule: &Rule, roots: &Roots) {
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
