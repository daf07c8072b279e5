//! The table against the service's own model, as its Python client has it.

use serde_json::Value as Json;

use crate::schema::{Content, Element};
use crate::table::{self, Document};

/// Whose document each facet is, in the model.
const SHAPES: &[(&str, &str)] = &[
    ("accelerate", "AccelerateConfiguration"),
    ("accountPublicAccessBlock", "PublicAccessBlockConfiguration"),
    ("acl", "AccessControlPolicy"),
    ("analytics", "ListBucketAnalyticsConfigurationsOutput"),
    ("cors", "CORSConfiguration"),
    ("encryption", "ServerSideEncryptionConfiguration"),
    (
        "intelligentTiering",
        "ListBucketIntelligentTieringConfigurationsOutput",
    ),
    ("inventory", "ListBucketInventoryConfigurationsOutput"),
    ("lifecycle", "BucketLifecycleConfiguration"),
    ("logging", "BucketLoggingStatus"),
    ("metrics", "ListBucketMetricsConfigurationsOutput"),
    ("notification", "NotificationConfiguration"),
    ("objectLock", "ObjectLockConfiguration"),
    ("ownershipControls", "OwnershipControls"),
    ("publicAccessBlock", "PublicAccessBlockConfiguration"),
    ("replication", "ReplicationConfiguration"),
    ("requestPayment", "RequestPaymentConfiguration"),
    ("versioning", "VersioningConfiguration"),
    ("website", "WebsiteConfiguration"),
];

/// What tells where in a list an answer stands; no part of a setting.
const PAGING: &[&str] = &["ContinuationToken", "IsTruncated", "NextContinuationToken"];

/// The rule of the policy language: the first letter lowered, leading capitals as a block.
fn policy_name(name: &str) -> String {
    let capitals = name.chars().take_while(char::is_ascii_uppercase).count();
    let lowered = if capitals > 1 && capitals < name.len() {
        capitals - 1
    } else {
        capitals
    };
    name.chars()
        .enumerate()
        .map(|(index, c)| {
            if index < lowered {
                c.to_ascii_lowercase()
            } else {
                c
            }
        })
        .collect()
}

#[test]
fn names_follow_the_rule_of_the_language() {
    assert_eq!(policy_name("SSEAlgorithm"), "sseAlgorithm");
    assert_eq!(policy_name("KMSMasterKeyID"), "kmsMasterKeyID");
    assert_eq!(policy_name("ID"), "id");
    assert_eq!(policy_name("Status"), "status");
}

/// Order, names, flattening, what is required, closed lists: all as in the model.
#[test]
fn every_document_is_the_services_own() {
    let model = holdfast_testbed::fixtures::s3_model().unwrap();
    let mut faults = Vec::new();
    for row in table::ROWS {
        let Some((_, shape)) = SHAPES.iter().find(|(facet, _)| *facet == row.facet) else {
            // Those have documents of their own.
            assert!(
                matches!(row.document, Document::Tags | Document::Policy),
                "{} has no shape",
                row.facet
            );
            continue;
        };
        structure(&model["shapes"], shape, row.elements(), row.facet, &mut faults);
        let owned = |element: &Element| {
            row.header
                .as_ref()
                .is_some_and(|h| h.element.name == element.name)
        };
        assert!(!row.elements().iter().any(owned), "{}", row.facet);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn structure(shapes: &Json, shape: &str, elements: &[Element], place: &str, faults: &mut Vec<String>) {
    let all = shapes[shape]["members"].as_object().unwrap();
    let members: Vec<(&String, &Json)> = all
        .iter()
        .filter(|(name, member)| member["location"].is_null() && !PAGING.contains(&name.as_str()))
        .collect();
    let expected: Vec<String> = members.iter().map(|(name, _)| policy_name(name)).collect();
    // What the table calls by another name on purpose.
    let renamed = |name: &str| {
        if place == "acl" && name == "grants" {
            "grants"
        } else {
            name
        }
        .to_owned()
    };
    let ours: Vec<String> = elements.iter().map(|element| renamed(element.name)).collect();
    let sorted = |mut names: Vec<String>| {
        // The model lists the two parts of an access list in the order of the alphabet, the service the owner first.
        if place == "acl" {
            names.sort();
        }
        names
    };
    if sorted(expected.clone()) != sorted(ours.clone()) {
        faults.push(format!("{place}: {ours:?}, and the model has {expected:?}"));
        return;
    }
    let required: Vec<&str> = shapes[shape]["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default();
    for element in elements {
        let place = format!("{place}.{}", element.name);
        let (name, member) = members
            .iter()
            .find(|(name, _)| policy_name(name) == element.name)
            .unwrap();
        let xml = member["locationName"].as_str().unwrap_or(name);
        if xml != element.xml {
            faults.push(format!("{place}: <{}>, and the model has <{xml}>", element.xml));
        }
        assert!(!element.doc.is_empty(), "{place}");
        // Without an id the service makes one up, and nothing could be told apart by it.
        let is_required = required.contains(&name.as_str()) || element.name == "id" && element.required;
        let is_attribute = matches!(element.content, Content::Attribute);
        if is_required != element.required && !is_attribute {
            faults.push(format!("{place}: the model requires it: {is_required}"));
        }
        content(shapes, member, &element.content, &place, faults);
    }
}

fn content(shapes: &Json, member: &Json, ours: &Content, place: &str, faults: &mut Vec<String>) {
    let name = member["shape"].as_str().unwrap();
    let shape = &shapes[name];
    let is_flat = member["flattened"] == true || shape["flattened"] == true;
    let is_attribute = member["xmlAttribute"] == true || shape["xmlAttribute"] == true;
    match (ours, shape["type"].as_str().unwrap()) {
        (Content::Struct(elements), "structure") => structure(shapes, name, elements, place, faults),
        (Content::Repeated(item, _), "list") if is_flat => {
            content(shapes, &shape["member"], item, place, faults);
        }
        (Content::Wrapped(item_name, item, _), "list") if !is_flat => {
            if shape["member"]["locationName"] != *item_name {
                faults.push(format!(
                    "{place}: items are <{item_name}>, and in the model {}",
                    shape["member"]
                ));
            }
            content(shapes, &shape["member"], item, place, faults);
        }
        (Content::Bool, "boolean")
        | (Content::Integer, "integer" | "long")
        | (Content::Date, "timestamp") => {}
        (Content::Attribute, "string") if is_attribute => {}
        (Content::Text(one_of), "string") => {
            let mut all: Vec<&str> = shape["enum"]
                .as_array()
                .map(|names| names.iter().filter_map(Json::as_str).collect())
                .unwrap_or_default();
            all.sort_unstable();
            let mut ours = one_of.to_vec();
            ours.sort_unstable();
            // The reference closes some lists that the model leaves open.
            if !ours.is_empty() && !all.is_empty() && ours != all {
                faults.push(format!("{place}: one of {ours:?}, and in the model {all:?}"));
            }
        }
        (ours, theirs) => faults.push(format!("{place}: {ours:?}, and in the model {theirs}")),
    }
}
