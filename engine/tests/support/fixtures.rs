//! Small policies, what they are about, and what others do to it.

use holdfast_contract::{ApiType, ResourceKey, Value};
use holdfast_engine::objects;
use holdfast_engine::report::{Report, ResourceReport, TextOptions, plan_text};
use serde_json::json;

use super::Case;

/// A policy `test` with `rules`: these and whatever else its spec holds, as YAML.
pub fn policy(rules: &str) -> String {
    format!(
        "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: test }}\nspec:\n  language: 1\n{rules}"
    )
}

pub const TWO_MAPS: &str = "
  rules:
    one: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default }, data: { a: '1' } } }
    two: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: two, namespace: default }, data: { b: '2' } } }
";

pub const BUCKET: &str = "
  providers: { s3: { region: us-east-2 } }
  rules:
    data:
      ensure: s3/Bucket
      name: acme-data
      desired:
        versioning: { status: Enabled }
        tags: { owner: us }
";

/// A world in which a backup runs: a `ConfigMap` with the label `run`.
pub const RUN: &str = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: nightly, namespace: default, labels: { run: now } } } ]";

pub fn config_map(name: &str) -> ResourceKey {
    objects::key(&ApiType::new("v1", "ConfigMap"), Some("default"), name)
}

pub fn bucket(name: &str) -> ResourceKey {
    ResourceKey {
        provider: "s3".into(),
        kind: "s3/Bucket".into(),
        api: None,
        namespace: None,
        name: name.to_owned(),
        region: None,
    }
}

pub fn text(report: &Report) -> String {
    plan_text(report, TextOptions::default())
}

pub fn resource<'r>(report: &'r Report, address: &str) -> &'r ResourceReport {
    let found = report
        .resources
        .iter()
        .find(|resource| resource.address == address);
    found.unwrap_or_else(|| panic!("no {address} in\n{}", text(report)))
}

/// Somebody gives the map `name` another value of `key`.
pub fn set(case: &Case, name: &str, key: &str, value: &str) {
    let edit = |object: &mut Value| {
        let data = object.as_map_mut().unwrap().get_mut("data").unwrap();
        data.as_map_mut().unwrap().insert(key.into(), value.into());
    };
    case.world
        .edit(&config_map(name), &"object".into(), edit)
        .unwrap();
}

/// Another controller writes `data.a` of the map `one`, and holds it from then on, as an API server would say.
pub fn take(case: &Case, value: &str) {
    let edit = |object: &mut Value| {
        let mut document = std::mem::take(object).expose_json().unwrap();
        document["data"]["a"] = json!(value);
        let managers = document["metadata"]["managedFields"].as_array_mut().unwrap();
        managers.retain(|entry| entry["manager"] != "autoscaler");
        for entry in managers.iter_mut() {
            if let Some(data) = entry["fieldsV1"]["f:data"].as_object_mut() {
                data.shift_remove("f:a");
            }
        }
        managers.push(json!({ "manager": "autoscaler", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "time": "2026-01-01T00:00:00Z", "fieldsV1": { "f:data": { "f:a": {} } } }));
        *object = document.into();
    };
    case.world
        .edit(&config_map("one"), &"object".into(), edit)
        .unwrap();
}
