//! What has to be there first, and the order that follows from it.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{ApiType, Facet};
use holdfast_policy::{Name, Reference, Verb};

use super::{Input, Resource, ResourceGraph, State};
use crate::address::Address;
use crate::allowance::Bound;
use crate::evaluate::NoAnswer;

/// What must be there before a resource is created, and before each of its facets is set.
type Needs = (BTreeSet<Address>, BTreeMap<Facet, BTreeSet<Address>>);

/// The bytes of an address that is needed.
const NEED: u64 = 128;

/// Fills in what each resource needs, and puts each after those.
pub(super) fn order(input: &Input<'_, '_>, graph: &mut ResourceGraph<'_>) {
    let index = Index::of(graph);
    let needs: Vec<Result<Needs, Bound>> = graph
        .resources
        .iter()
        .map(|resource| needs(input, resource, &index))
        .collect();
    for (resource, needs) in graph.resources.iter_mut().zip(needs) {
        match needs {
            Ok((needs, facet_needs)) => {
                resource.needs = needs;
                resource.facet_needs = facet_needs;
            }
            Err(bound) if resource.state == State::Active => {
                let no = NoAnswer::fault(bound.to_string(), &resource.rule.place);
                resource.state = State::Open(no);
            }
            Err(_) => {}
        }
    }
    sort(graph);
}

/// Where things are defined, for finding what is needed.
struct Index {
    rules: BTreeMap<String, Instances>,
    namespaces: BTreeMap<String, Address>,
    types: BTreeMap<ApiType, Address>,
    recorded_by: BTreeMap<String, BTreeSet<String>>,
}

impl Index {
    fn of(graph: &ResourceGraph<'_>) -> Self {
        let mut index = Self {
            rules: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            types: BTreeMap::new(),
            recorded_by: BTreeMap::new(),
        };
        for resource in &graph.resources {
            index
                .rules
                .entry(resource.address.rule.clone())
                .or_default()
                .push(&resource.address);
            if let Some(Name::Generate {
                record: Some(record), ..
            }) = resource.variant.and_then(|v| v.name.as_ref())
            {
                index
                    .recorded_by
                    .entry(record.rule.clone())
                    .or_default()
                    .insert(resource.address.rule.clone());
            }
            let (Some(kind), Some(key)) = (&resource.kind, &resource.key) else {
                continue;
            };
            if resource.verb() != Verb::Ensure {
                continue;
            }
            if key.api.as_ref() == Some(&ApiType::new("v1", "Namespace")) {
                index
                    .namespaces
                    .insert(key.name.clone(), resource.address.clone());
            }
            if let Some(desired) = resource.facets.get(kind.root_facet()) {
                for (api, _) in kind.defines(key, &desired.value) {
                    index.types.insert(api, resource.address.clone());
                }
            }
        }
        index
    }

    /// The resources of `rule` that an instance with `key` means: the one of the same key, or all.
    fn targets(&self, rule: &str, key: Option<&str>) -> &[Address] {
        let Some(instances) = self.rules.get(rule) else {
            return &[];
        };
        let same = key.and_then(|key| instances.by_key.get(key));
        same.unwrap_or(&instances.all)
    }
}

/// The resources of one rule.
#[derive(Default)]
struct Instances {
    all: Vec<Address>,
    by_key: BTreeMap<String, Vec<Address>>,
}

impl Instances {
    fn push(&mut self, address: &Address) {
        self.all.push(address.clone());
        if let Some(key) = &address.instance {
            self.by_key.entry(key.clone()).or_default().push(address.clone());
        }
    }
}

fn needs<'i>(input: &Input<'_, '_>, resource: &Resource<'_>, index: &'i Index) -> Result<Needs, Bound> {
    let mut needs = BTreeSet::new();
    let mut facet_needs: BTreeMap<Facet, BTreeSet<Address>> = BTreeMap::new();
    let own_key = resource.address.instance.as_deref();
    // What this rule records the name of waits for this rule, not the other way round.
    let no_records = BTreeSet::new();
    let recorded = index
        .recorded_by
        .get(&resource.address.rule)
        .unwrap_or(&no_records);
    let targets = |reference: &Reference| -> &'i [Address] {
        let Some(rule) = reference.step(0).filter(|_| reference.root == "rules") else {
            return &[];
        };
        if recorded.contains(rule) || rule == resource.address.rule {
            return &[];
        }
        let all = index.targets(rule, reference.step(1));
        if all.len() > 1 {
            index.targets(rule, own_key)
        } else {
            all
        }
    };
    // Where each of thousands needs each of thousands.
    let kept = |targets: &'i [Address]| {
        let count = u64::try_from(targets.len()).unwrap_or(u64::MAX);
        input.evaluator.allowance.keep(count.saturating_mul(NEED))?;
        Ok(targets.iter().cloned())
    };
    let (Some(variant), Some(kind)) = (resource.variant, &resource.kind) else {
        return Ok((needs, facet_needs));
    };
    if let Some(uses) = input.uses.variant(resource.rule, variant)
        && variant.verb == Verb::Ensure
    {
        for reference in &uses.identity {
            needs.extend(kept(targets(reference))?);
        }
        for (field, reference) in &uses.documents {
            let facet = field
                .as_deref()
                .and_then(|field| kind.facets().iter().find(|facet| facet.as_str() == field));
            match facet {
                Some(facet) if facet != kind.root_facet() && !kind.created_with().contains(facet) => {
                    facet_needs
                        .entry(facet.clone())
                        .or_default()
                        .extend(kept(targets(reference))?);
                }
                _ => needs.extend(kept(targets(reference))?),
            }
        }
    }
    for after in &resource.rule.after {
        let key = match &after.instance {
            Some(expression) => match input.evaluator.value(expression, &resource.roots) {
                Ok(value) => value.as_str().map(str::to_owned),
                Err(_) => None,
            },
            None => None,
        };
        needs.extend(kept(index.targets(&after.rule, key.as_deref()))?);
    }
    if let Some(key) = &resource.key {
        let implied = kind.implied(key);
        needs.extend(
            implied
                .namespace
                .and_then(|namespace| index.namespaces.get(&namespace).cloned()),
        );
        needs.extend(implied.api.and_then(|api| index.types.get(&api).cloned()));
    }
    needs.remove(&resource.address);
    Ok((needs, facet_needs))
}

/// Puts each resource after those that it needs; those that don't need each other stay in order of their addresses.
/// What needs each other in a circle, which validation refuses, comes last, so that nothing is lost.
fn sort(graph: &mut ResourceGraph<'_>) {
    let resources: BTreeMap<Address, Resource<'_>> = std::mem::take(&mut graph.resources)
        .into_iter()
        .map(|resource| (resource.address.clone(), resource))
        .collect();
    let mut needed_by: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    let mut waits: BTreeMap<&Address, usize> = BTreeMap::new();
    for (address, resource) in &resources {
        let needs = resource.needs.iter().filter(|need| resources.contains_key(*need));
        waits.insert(address, needs.clone().count());
        needs.for_each(|need| needed_by.entry(need).or_default().push(address));
    }
    let mut order: Vec<Address> = Vec::with_capacity(resources.len());
    let mut ready: BTreeSet<&Address> = waits
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(address, _)| *address)
        .collect();
    while !ready.is_empty() {
        let mut next = BTreeSet::new();
        for address in ready {
            waits.remove(address);
            order.push(address.clone());
            for dependent in needed_by.remove(address).unwrap_or_default() {
                let Some(count) = waits.get_mut(dependent) else {
                    continue;
                };
                *count = count.saturating_sub(1);
                if *count == 0 {
                    next.insert(dependent);
                }
            }
        }
        ready = next;
    }
    order.extend(waits.into_keys().cloned());
    let mut resources = resources;
    let ordered = order.iter().filter_map(|address| resources.remove(address));
    graph.resources.extend(ordered);
}
