//! What rules see of each other: `rules.x.name`, `.arn`, `.exists`, `.provisioned` and the like.

use std::collections::BTreeMap;

use holdfast_contract::Observation;
use holdfast_expression::{MapKey, Value};
use holdfast_policy::{ValidPolicy, to_expression};

use super::{Input, Naming, Resource, ResourceGraph, State};
use crate::phase::Phase;
use crate::scope::missing;

/// Before anything is known: every rule waits for itself.
pub(super) fn unknown(policy: &ValidPolicy) -> BTreeMap<String, Value> {
    policy
        .rules
        .keys()
        .map(|key| (key.clone(), Value::unknown([format!("rules.{key}")])))
        .collect()
}

/// What the graph says of each rule that some expression looks at.
pub(super) fn of(input: &Input<'_, '_>, graph: &ResourceGraph<'_>) -> BTreeMap<String, Value> {
    input
        .policy
        .rules
        .iter()
        .map(|(key, rule)| {
            let value = if input.uses.sees(key) {
                rule_value(input, graph, key, rule.for_each.is_some())
            } else {
                Value::unknown([format!("rules.{key}")])
            };
            (key.clone(), value)
        })
        .collect()
}

fn rule_value(input: &Input<'_, '_>, graph: &ResourceGraph<'_>, rule: &str, many: bool) -> Value {
    let resources: Vec<&Resource<'_>> = graph.of_rule(rule).collect();
    if many {
        // A rule whose list isn't known yet isn't an empty one.
        if let Some(open) = resources
            .iter()
            .find(|resource| resource.address.instance.is_none())
        {
            return match &open.state {
                State::Skipped => Value::map(Vec::<(MapKey, Value)>::new()),
                _ => Value::unknown([format!("rules.{rule}")]),
            };
        }
        let mut instances: BTreeMap<MapKey, Vec<&Resource<'_>>> = BTreeMap::new();
        for resource in resources {
            let key = resource.address.instance.clone().unwrap_or_default();
            instances.entry(MapKey::from(key)).or_default().push(resource);
        }
        return Value::map(
            instances
                .into_iter()
                .map(|(key, resources)| (key, instance_value(input, &resources))),
        );
    }
    instance_value(input, &resources)
}

fn instance_value(input: &Input<'_, '_>, resources: &[&Resource<'_>]) -> Value {
    match resources {
        [] => Value::map(Vec::<(MapKey, Value)>::new()),
        [one] if one.address.object.is_none() => Value::from(resource_value(input, one)),
        several => {
            let mut entries: BTreeMap<MapKey, Value> = several
                .iter()
                .map(|resource| {
                    let key = resource.address.object.clone().unwrap_or_default();
                    (MapKey::from(key), Value::from(resource_value(input, resource)))
                })
                .collect();
            for name in ["exists", "provisioned", "converged"] {
                let all = several.iter().all(|resource| {
                    resource_value(input, resource).get(&MapKey::from(name)) == Some(&Value::Bool(true))
                });
                entries.insert(MapKey::from(name), Value::Bool(all));
            }
            Value::from(entries)
        }
    }
}

fn resource_value(input: &Input<'_, '_>, resource: &Resource<'_>) -> BTreeMap<MapKey, Value> {
    let mut entries = BTreeMap::new();
    let path = format!("rules.{}", resource.address);
    let mut put = |name: &str, value: Value| {
        entries.insert(MapKey::from(name), value);
    };
    if resource.state == State::Skipped {
        for name in resource.kind.iter().flat_map(|kind| kind.attribute_names()) {
            put(name, missing(&format!("{path}.{name}")));
        }
        put("exists", Value::Bool(false));
        put("phase", Value::from("Skipped"));
        return entries;
    }
    if let Some(kind) = &resource.kind {
        let known = match (&resource.key, &resource.naming) {
            // A name that isn't recorded yet is not the resource's name: the record may turn out another.
            (Some(key), Naming::Known) => Some(kind.attributes(key)),
            _ => None,
        };
        for name in kind.attribute_names() {
            match &known {
                Some(known) => {
                    if let Some(value) = known.get(name) {
                        put(name, to_expression(value));
                    }
                }
                None => put(name, Value::unknown([format!("{path}.{name}")])),
            }
        }
    }
    let observation = resource.key.as_ref().and_then(|key| input.snapshot.get(key));
    match observation {
        Some(Ok(Observation::Present(observed))) => {
            put("exists", Value::Bool(true));
            if let Some(kind) = &resource.kind {
                put("observed", crate::scope::own(kind.as_ref(), observed));
            }
        }
        Some(Ok(Observation::Absent)) => {
            put("exists", Value::Bool(false));
            put("observed", missing(&format!("{path}.observed")));
        }
        Some(Err(error)) => {
            put("exists", crate::scope::unreadable(&path, error));
            put("observed", crate::scope::unreadable(&path, error));
        }
        None => {
            put("exists", Value::unknown([path.clone()]));
            put("observed", Value::unknown([path.clone()]));
        }
    }
    put("provisioned", Value::Bool(resource.was_provisioned(input.ledger)));
    if let Some(phase) = input.phases.get(&resource.address) {
        put("phase", Value::from(phase.to_string()));
        put("converged", Value::Bool(*phase == Phase::Converged));
    } else {
        put("phase", Value::unknown([path.clone()]));
        put("converged", Value::unknown([path]));
    }
    entries
}
