//! What a report in JSON says.

use std::collections::BTreeMap;

use serde_json::Value;

/// The resource at `address`.
///
/// # Panics
/// If the report has none.
#[must_use]
#[track_caller]
pub fn resource<'r>(report: &'r Value, address: &str) -> &'r Value {
    let mut resources = report["resources"].as_array().expect("resources").iter();
    resources
        .find(|resource| resource["address"] == address)
        .unwrap_or_else(|| panic!("no {address} in {report:#}"))
}

/// What would be done, by address: `create`, or the places that change, each with its facet unless that is the
/// object itself: `encryption: rules[0]…`, `metadata.labels.component`.
#[must_use]
pub fn changes(report: &Value) -> BTreeMap<String, Vec<String>> {
    let resources = report["resources"].as_array().into_iter().flatten();
    resources
        .filter_map(|resource| {
            let action = resource["action"].as_str()?.to_lowercase();
            let places = if action == "update" {
                places(resource)
            } else {
                vec![action]
            };
            Some((resource["address"].as_str()?.to_owned(), places))
        })
        .collect()
}

fn places(resource: &Value) -> Vec<String> {
    let facets = resource["facets"].as_array().into_iter().flatten();
    facets
        .flat_map(|facet| {
            let name = facet["facet"].as_str().unwrap_or_default();
            facet["changes"]
                .as_array()
                .into_iter()
                .flatten()
                .map(move |change| {
                    let path = change["path"].as_str().unwrap_or_default();
                    if name == "object" {
                        path.to_owned()
                    } else {
                        format!("{name}: {path}")
                    }
                })
        })
        .collect()
}
