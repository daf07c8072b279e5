//! Small definitions of the types that a desk has to do with.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::Outside;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn definition(group: &str, version: &str, kind: &str, plural: &str, schema: Json) -> Json {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            // Without it the server keeps groups of `k8s.io` for itself.
            "annotations": { "api-approved.kubernetes.io": "unapproved, for a test" },
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "subresources": if kind == "Policy" { json!({ "status": {} }) } else { json!({}) },
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

/// Policies, with any spec and a status that is checked a little.
pub fn policy_definition() -> Json {
    let schema = json!({
        "type": "object",
        "properties": {
            "spec": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
            "status": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": { "observedGeneration": { "type": "integer" } },
            },
        },
    });
    definition("holdfast.dev", "v1alpha1", "Policy", "policies", schema)
}

/// Reports of checks.
pub fn report_definition() -> Json {
    let results = json!({
        "type": "array",
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    });
    let counts = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    let schema = json!({ "type": "object", "properties": { "results": results, "summary": counts } });
    definition(
        "wgpolicyk8s.io",
        "v1alpha2",
        "PolicyReport",
        "policyreports",
        schema,
    )
}

/// Installs a definition, unless another test has, and returns once its objects can be had.
pub async fn install(outside: &Outside, definition: &Json) {
    // That it is there already is as good.
    let _ = outside.post(DEFINITIONS, definition).await;
    let text = |pointer: &str| definition.pointer(pointer).and_then(Json::as_str).unwrap();
    let objects = format!(
        "/apis/{}/{}/{}",
        text("/spec/group"),
        text("/spec/versions/0/name"),
        text("/spec/names/plural")
    );
    let mut tries = 0;
    while let Err(error) = outside.get(&objects).await {
        tries += 1;
        assert!(tries < 400, "{error}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
