//! What has to be there first, and the order that follows from it.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{ApiType, Facet};
use holdfast_policy::{Name, Reference, Verb};

use super::{Input, Resource, ResourceGraph};
use crate::address::Address;

/// What must be there before a resource is created, and before each of its facets is set.
type Needs = (BTreeSet<Address>, BTreeMap<Facet, BTreeSet<Address>>);

/// Fills in what each resource needs, and puts each after those.
pub(super) fn order(input: &Input<'_, '_>, graph: &mut ResourceGraph<'_>) {
    let index = Index::of(graph);
    let needs: Vec<Needs> = graph
        .resources
        .iter()
        .map(|resource| needs(input, resource, &index))
        .collect();
    for (resource, (needs, facet_needs)) in graph.resources.iter_mut().zip(needs) {
        resource.needs = needs;
        resource.facet_needs = facet_needs;
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

fn needs(input: &Input<'_, '_>, resource: &Resource<'_>, index: &Index) -> Needs {
    let mut needs = BTreeSet::new();
    let mut facet_needs: BTreeMap<Facet, BTreeSet<Address>> = BTreeMap::new();
    let own_key = resource.address.instance.as_deref();
    // What this rule records the name of waits for this rule, not the other way round.
    let no_records = BTreeSet::new();
    let recorded = index
        .recorded_by
        .get(&resource.address.rule)
        .unwrap_or(&no_records);
    let targets = |reference: &Reference| -> &[Address] {
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
    let (Some(variant), Some(kind)) = (resource.variant, &resource.kind) else {
        return (needs, facet_needs);
    };
    if let Some(uses) = input.uses.variant(resource.rule, variant)
        && variant.verb == Verb::Ensure
    {
        for reference in &uses.identity {
            needs.extend(targets(reference).iter().cloned());
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
                        .extend(targets(reference).iter().cloned());
                }
                _ => needs.extend(targets(reference).iter().cloned()),
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
        needs.extend(index.targets(&after.rule, key.as_deref()).iter().cloned());
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
    (needs, facet_needs)
}

/// Puts each resource after those that it needs; those that don't need each other stay in order of their addresses.
/// What needs each other in a circle, which validation refuses, comes last, so that nothing is lost.
fn sort(graph: &mut ResourceGraph<'_>) {
    let mut left: BTreeMap<Address, Resource<'_>> = std::mem::take(&mut graph.resources)
        .into_iter()
        .map(|resource| (resource.address.clone(), resource))
        .collect();
    while !left.is_empty() {
        let ready: Vec<Address> = left
            .iter()
            .filter(|(_, resource)| resource.needs.iter().all(|need| !left.contains_key(need)))
            .map(|(address, _)| address.clone())
            .collect();
        let next = if ready.is_empty() {
            left.keys().cloned().collect()
        } else {
            ready
        };
        for address in next {
            graph.resources.extend(left.remove(&address));
        }
    }
}
