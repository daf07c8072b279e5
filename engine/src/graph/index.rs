//! Where resources stand in a graph, so that thousands of them are found without looking at each.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use holdfast_contract::ResourceKey;

use super::{Resource, ResourceGraph, is_same};
use crate::address::Address;

/// The places of the resources of one graph.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    addresses: BTreeMap<Address, usize>,
    rules: BTreeMap<String, Vec<usize>>,
    /// By a number that keys which mean the same thing have in common.
    things: HashMap<u64, Vec<usize>>,
}

impl Index {
    pub(super) fn of(resources: &[Resource<'_>]) -> Self {
        let mut index = Self::default();
        for (place, resource) in resources.iter().enumerate() {
            index.addresses.entry(resource.address.clone()).or_insert(place);
            let rule = &resource.address.rule;
            match index.rules.get_mut(rule) {
                Some(places) => places.push(place),
                None => drop(index.rules.insert(rule.clone(), vec![place])),
            }
            if let Some(key) = &resource.key {
                index.things.entry(number(key)).or_default().push(place);
            }
        }
        index
    }
}

/// Leaves out what [`is_same`] does.
fn number(key: &ResourceKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    let api = key.api.as_ref().map(|api| (api.group(), &api.kind));
    (&key.provider, &key.kind, api, &key.namespace, &key.name).hash(&mut hasher);
    hasher.finish()
}

impl<'p> ResourceGraph<'p> {
    /// The resource at `address`.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<&Resource<'p>> {
        self.resources.get(*self.index.addresses.get(address)?)
    }

    /// The resources of `rule`.
    pub fn of_rule<'g>(&'g self, rule: &str) -> impl Iterator<Item = &'g Resource<'p>> {
        let places = self.index.rules.get(rule);
        let found = places.into_iter().flatten();
        found.filter_map(|place| self.resources.get(*place))
    }

    /// The resources of the rule and instance of `address`.
    pub fn of_instance<'g>(&'g self, address: &'g Address) -> impl Iterator<Item = &'g Resource<'p>> {
        let first = Address {
            object: None,
            ..address.clone()
        };
        let places = self.index.addresses.range(first..);
        let own =
            places.take_while(|(other, _)| other.rule == address.rule && other.instance == address.instance);
        own.filter_map(|(_, place)| self.resources.get(*place))
    }

    /// The resources that mean `key`, whatever its version and region.
    pub fn meaning<'g>(&'g self, key: &'g ResourceKey) -> impl Iterator<Item = &'g Resource<'p>> {
        let places = self.index.things.get(&number(key));
        let found = places.into_iter().flatten();
        let found = found.filter_map(|place| self.resources.get(*place));
        found.filter(move |resource| resource.key.as_ref().is_some_and(|own| is_same(own, key)))
    }
}
