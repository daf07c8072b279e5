//! From a rule's documents to what is desired, facet by facet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_contract as contract;
use holdfast_contract::{
    Desired, Facet, Kind, KindName, Locator, Mark, NotLocated, Path, ResourceKey, Segment,
};
use holdfast_expression::{MapKey, Scope, Value};
use holdfast_policy::{
    Entry, Evaluated, PathQuery, Place, Tree, TreeNode, Variant, Verb, lay_under, to_expression,
};

use super::instance::{Builder, Named};
use super::naming::Naming;
use super::{Declared, Resource, State};
use crate::address::Address;
use crate::evaluate::NoAnswer;
use crate::objects;
use crate::scope::Roots;

impl<'p> Builder<'_, 'p> {
    /// The resources of a kind that documents name themselves: one for each.
    pub(super) fn documents(
        &self,
        address: &Address,
        roots: &Roots,
        variant: &'p Variant,
        named: &Named<'_>,
    ) -> Result<Vec<Resource<'p>>, State> {
        let roots = self.recording(roots);
        if let Some(resources) = self.as_before(address, &roots, variant, named) {
            return Ok(resources);
        }
        let parts = match self.laid_out(variant, &roots, named.kind.name()) {
            Ok(parts) => parts,
            Err(no) => {
                // Its identity may be known although the rest isn't, so that it can still be observed.
                let identities = self.identities(variant, &roots);
                let addresses = addresses(address, variant, &identities);
                let open = identities.into_iter().zip(addresses).map(|(part, address)| {
                    let mut resource = self.located(&address, &roots, variant, named, part);
                    if resource.state == State::Active {
                        resource.state = State::Open(no.clone());
                    }
                    resource
                });
                let open: Vec<Resource<'p>> = open.collect();
                return if open.is_empty() {
                    Err(State::Open(no))
                } else {
                    Ok(open)
                };
            }
        };
        let addresses = addresses(address, variant, &parts);
        let uses = self.input.uses.variant(self.rule, variant);
        let is_literal = uses.is_some_and(|uses| uses.is_literal);
        Ok(parts
            .into_iter()
            .zip(addresses)
            .enumerate()
            .map(|(at, (part, address))| {
                let mut resource = self.located(&address, &roots, variant, named, part);
                // Each such document gives just one part.
                if let Some(document) = variant.documents.get(at).filter(|_| is_literal) {
                    resource.declared = Some(Declared::Literal {
                        document: &document.tree,
                        default: self.input.policy.defaults.get(named.kind.name()),
                    });
                }
                resource
            })
            .collect())
    }

    /// The same as in an earlier graph, where nothing that may have changed since has a say in them: their documents stand
    /// in the policy as they are, and the cluster serves the same types.
    fn as_before(
        &self,
        address: &Address,
        roots: &Roots,
        variant: &'p Variant,
        named: &Named<'_>,
    ) -> Option<Vec<Resource<'p>>> {
        if !self.input.uses.variant(self.rule, variant)?.is_literal {
            return None;
        }
        let mut earlier = self.previous.into_iter().chain(self.input.before);
        let before = earlier
            .find(|before| before.served == *self.served && before.providers.contains(named.settings))?;
        let own = before.of_instance(address).filter(|resource| {
            resource.provider.as_ref() == Some(&named.settings.name)
                && resource
                    .variant
                    .is_some_and(|before| std::ptr::eq(before, variant))
        });
        let own = own.map(|resource| Resource {
            roots: roots.clone(),
            ..resource.clone()
        });
        let own: Vec<Resource<'p>> = own.collect();
        (!own.is_empty()).then_some(own)
    }

    fn located(
        &self,
        address: &Address,
        roots: &Roots,
        variant: &'p Variant,
        named: &Named<'_>,
        mut document: Evaluated,
    ) -> Resource<'p> {
        let mut resource = self.resource(address, roots, Some(variant), State::Active);
        resource.provider = Some(named.settings.name.clone());
        resource.what = objects::what(&document.value).unwrap_or_else(|| resource.what.clone());
        match self.locate(named, None, &document.value) {
            Ok(key) => {
                objects::place(&mut document.value, &key);
                resource.key = Some(key);
            }
            Err(state) => resource.state = state,
        }
        self.desire(&mut resource, named, document);
        resource
    }

    /// The roots in which a rule sees the name that it is to record, before that is anybody else's to see.
    fn recording(&self, roots: &Roots) -> Roots {
        let recorded = self.input.uses.recorded_by(&self.rule.key);
        let Some(previous) = self.previous.filter(|_| !recorded.is_empty()) else {
            return roots.clone();
        };
        let mut rules: BTreeMap<MapKey, Value> = match roots.root("rules") {
            Some(Value::Map(entries)) => (*entries).clone(),
            _ => return roots.clone(),
        };
        let mut changed = false;
        for rule in recorded {
            let candidate =
                previous
                    .of_rule(rule)
                    .find_map(|resource| match (&resource.naming, &resource.key) {
                        (Naming::Unrecorded(_), Some(key)) => Some(resource.kind.as_ref()?.attributes(key)),
                        _ => None,
                    });
            let Some(attributes) = candidate else {
                continue;
            };
            let key = MapKey::from(rule.as_str());
            let mut entries = rules
                .get(&key)
                .and_then(Value::as_map)
                .cloned()
                .unwrap_or_default();
            for (name, value) in attributes {
                entries.insert(MapKey::from(name), to_expression(&value));
            }
            rules.insert(key, Value::from(entries));
            changed = true;
        }
        if changed {
            roots.with("rules", Value::from(rules))
        } else {
            roots.clone()
        }
    }

    /// The variant's documents, each with the kind's defaults under it.
    pub(super) fn laid_out(
        &self,
        variant: &'p Variant,
        roots: &Roots,
        kind: &KindName,
    ) -> Result<Vec<Evaluated>, NoAnswer> {
        let evaluator = self.input.evaluator;
        let allowance = evaluator.allowance;
        let before = allowance.bytes();
        let default = match self.input.policy.defaults.get(kind) {
            Some(tree) => evaluator.tree(tree, roots)?,
            None => None,
        };
        let size = before.saturating_sub(allowance.bytes());
        let is_bounded = self.is_bounded(variant);
        let mut parts = Vec::new();
        for document in &variant.documents {
            let before = allowance.bytes();
            parts.extend(evaluator.documents(&document.tree, roots)?);
            if is_bounded {
                allowance.forget_since(before);
            }
        }
        if let Some(default) = default {
            // Each takes a copy.
            let copies = u64::try_from(parts.len()).unwrap_or(u64::MAX);
            allowance
                .keep(size.saturating_mul(copies))
                .map_err(|bound| NoAnswer::fault(bound.to_string(), &variant.place))?;
            parts = parts.into_iter().map(|part| lay_under(part, &default)).collect();
        }
        for part in &mut parts {
            part.value = std::mem::take(&mut part.value).without_nulls();
        }
        Ok(parts)
    }

    /// What documents say of their identity, each field by itself, where the whole can't be evaluated.
    fn identities(&self, variant: &'p Variant, roots: &Roots) -> Vec<Evaluated> {
        let evaluator = self.input.evaluator;
        let default = self.input.policy.defaults.get(&objects::kind());
        let default = default
            .and_then(|tree| evaluator.tree(tree, roots).ok())
            .flatten();
        variant
            .documents
            .iter()
            .filter_map(|document| evaluator.tree(&identity_of(&document.tree), roots).ok().flatten())
            .map(|part| match &default {
                Some(default) => lay_under(part, default),
                None => part,
            })
            .collect()
    }

    pub(super) fn locate(
        &self,
        named: &Named<'_>,
        name: Option<&contract::Value>,
        desired: &contract::Value,
    ) -> Result<ResourceKey, State> {
        let locator = Locator {
            provider: &named.settings.name,
            name,
            region: named.region,
            desired,
            served: self.served,
        };
        named.kind.locate(&locator).map_err(|error| match error {
            NotLocated::Unknown(unknown) => State::Open(NoAnswer::Waits(unknown.waits_for)),
            NotLocated::Invalid(message) => State::Blocked(message),
        })
    }

    /// Splits a whole document into facets, and finds the special places in each.
    pub(super) fn desire(&self, resource: &mut Resource<'p>, named: &Named<'_>, declared: Evaluated) {
        let kind = named.kind;
        let Some(variant) = resource.variant else { return };
        let mark = Mark {
            policy: self.input.mark.to_owned(),
            identity: resource.identity.clone(),
        };
        let document = declared.value.clone();
        let whole = if variant.verb == Verb::Ensure {
            kind.mark(document, &mark)
        } else {
            document
        };
        for lockout in kind.lockouts(&whole, &named.settings.settings) {
            if lockout.is_certain {
                let (facet, _) = split_path(kind, &lockout.path);
                let why = format!("{}; {}", lockout.what, lockout.hint);
                resource.lockouts.insert(facet, why);
            }
        }
        let initial = places(kind, &variant.initial, &whole);
        let exact = places(kind, &variant.exact, &whole);
        let facets = kind.split(whole).into_iter().map(|(facet, value)| {
            let mut desired = Desired::new(value);
            desired.initial = initial.get(&facet).cloned().unwrap_or_default();
            desired.exact = exact.get(&facet).cloned().unwrap_or_default();
            (facet, desired)
        });
        let mut facets = facets.collect();
        self.stamp(resource, &mut facets, kind, variant);
        resource.facets = Arc::new(facets);
        resource.manifest = manifest(variant, &declared, &self.rule.place);
        resource.declared = Some(Declared::Evaluated(Arc::new(declared)));
        resource.wanted = self.wanted(resource, kind, variant);
    }

    /// Lays the stamps into what is desired, as places that alone are no reason to write.
    fn stamp(
        &self,
        resource: &mut Resource<'p>,
        facets: &mut BTreeMap<Facet, Desired>,
        kind: &Arc<dyn Kind>,
        variant: &'p Variant,
    ) {
        for stamp in &variant.stamp {
            let Some(path) = stamp.path.singular() else {
                continue;
            };
            let Ok(value) = self.input.evaluator.value(&stamp.value, &resource.roots) else {
                continue;
            };
            let value = match value.to_json() {
                Ok(json) => contract::Value::from_json(json),
                Err(_) => continue,
            };
            let (facet, path) = split_path(kind, &path);
            if let Some(desired) = facets.get_mut(&facet) {
                put(&mut desired.value, path.segments(), value);
                resource.stamps.entry(facet).or_default().push(path);
            }
        }
    }

    pub(super) fn wanted(
        &self,
        resource: &Resource<'p>,
        kind: &Arc<dyn Kind>,
        variant: &'p Variant,
    ) -> BTreeSet<Facet> {
        let mut wanted: BTreeSet<Facet> = resource.facets.keys().cloned().collect();
        wanted.insert(kind.root_facet().clone());
        let uses = self.input.uses.variant(self.rule, variant);
        match uses.and_then(|uses| uses.observed.as_ref()) {
            Some(fields) => {
                let facets = kind
                    .facets()
                    .iter()
                    .filter(|facet| fields.contains(facet.as_str()));
                wanted.extend(facets.cloned());
            }
            None => wanted.extend(kind.facets().iter().cloned()),
        }
        if !resource.identity.is_empty() {
            wanted.extend(kind.created_with().iter().cloned());
        }
        if kind.name().as_str() == objects::KIND {
            // Readiness is in the status, which comes with the object at no cost.
            wanted.extend(kind.facets().iter().cloned());
        }
        wanted
    }
}

/// An address for each of `documents`, no two the same: else one of them would be lost.
fn addresses(rule: &Address, variant: &Variant, documents: &[Evaluated]) -> Vec<Address> {
    if documents.len() <= 1 && variant.documents.len() <= 1 {
        return vec![rule.clone(); documents.len()];
    }
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for document in documents {
        let label = count.entry(objects::label(&document.value)).or_default();
        *label = label.saturating_add(1);
    }
    let mut taken = BTreeSet::new();
    let mut next: BTreeMap<String, usize> = BTreeMap::new();
    documents
        .iter()
        .map(|document| {
            let short = objects::label(&document.value);
            let label = match count.get(&short) {
                Some(1) => short,
                _ => objects::full_label(&document.value),
            };
            // Thousands may have the same.
            let from = *next.get(&label).unwrap_or(&1);
            let twins = (from..).map(|n| match n {
                1 => (n, label.clone()),
                n => (n, format!("{label}#{n}")),
            });
            let mut free = twins.filter(|(_, label)| !taken.contains(label));
            let (n, free) = free.next().unwrap_or((from, label.clone()));
            next.insert(label, n.saturating_add(1));
            let label = free;
            taken.insert(label.clone());
            rule.object(label)
        })
        .collect()
}

/// The file of a document without a single expression that lies beside the policy.
fn manifest(variant: &Variant, declared: &Evaluated, policy: &Place) -> Option<Arc<str>> {
    let place = &declared.origins.place;
    let document = variant
        .documents
        .iter()
        .find(|document| document.tree.place == *place)?;
    let mut computed = false;
    document.tree.visit(&mut |_| computed = true);
    place.file_beside(policy).filter(|_| !computed)
}

/// The places that `queries` find in a whole document, by facet.
pub(crate) fn places(
    kind: &Arc<dyn Kind>,
    queries: &[PathQuery],
    document: &contract::Value,
) -> BTreeMap<Facet, Vec<Path>> {
    let mut found: BTreeMap<Facet, Vec<Path>> = BTreeMap::new();
    for query in queries {
        for (path, _) in query.select(document) {
            let (facet, path) = split_path(kind, &path);
            found.entry(facet).or_default().push(path);
        }
    }
    found
}

/// The part of a document that says which one it is.
fn identity_of(document: &Tree) -> Tree {
    let kept = |tree: &Tree, keys: &[&str]| match &tree.node {
        TreeNode::Map { entries, .. } => entries
            .iter()
            .filter(|entry| entry.key.literal().is_some_and(|key| keys.contains(&key)))
            .cloned()
            .collect(),
        _ => Vec::new(),
    };
    let map = |tree: &Tree, entries| Tree {
        place: tree.place.clone(),
        node: TreeNode::Map {
            when: None,
            for_each: None,
            entries,
        },
    };
    let mut entries: Vec<Entry> = kept(document, &["apiVersion", "kind", "metadata"]);
    for entry in entries
        .iter_mut()
        .filter(|entry| entry.key.literal() == Some("metadata"))
    {
        entry.value = map(&entry.value, kept(&entry.value, &["name", "namespace"]));
    }
    map(document, entries)
}

/// From a place in a whole document to a place in one of its facets.
pub(super) fn split_path(kind: &Arc<dyn Kind>, path: &Path) -> (Facet, Path) {
    if let Some(Segment::Key(first)) = path.segments().first()
        && let Some(facet) = kind
            .facets()
            .iter()
            .find(|facet| facet.as_str() == first && *facet != kind.root_facet())
    {
        return (facet.clone(), under(path, 1));
    }
    (kind.root_facet().clone(), path.clone())
}

/// `path` without its first `steps` steps.
fn under(path: &Path, steps: usize) -> Path {
    Path::from(path.segments().iter().skip(steps).cloned().collect::<Vec<_>>())
}

/// Puts `value` at a path of map keys, making the maps on the way.
fn put(document: &mut contract::Value, path: &[Segment], value: contract::Value) {
    let Some((Segment::Key(key), rest)) = path.split_first() else {
        return;
    };
    let Some(entries) = document.as_map_mut() else {
        return;
    };
    if rest.is_empty() {
        entries.insert(key.clone(), value);
    } else {
        put(
            entries.entry(key.clone()).or_insert_with(contract::Value::map),
            rest,
            value,
        );
    }
}
