//! Fields that a controller of Kubernetes itself fills in, whatever a manifest says there.

use holdfast_contract::{ApiType, Value};

/// `object` without them.
///
/// The rules of a `ClusterRole` with an `aggregationRule` are those of the roles that it sums up: the API has them as
/// the controller's, and overwrites what anybody else declares. Manifests say `rules: []` there, which would be a
/// difference for ever.
pub(crate) fn without_controlled(api: &ApiType, mut object: Value) -> Value {
    let is_sum = api.group() == "rbac.authorization.k8s.io"
        && api.kind == "ClusterRole"
        && object
            .at(&["aggregationRule", "clusterRoleSelectors"])
            .and_then(Value::as_list)
            .is_some_and(|selectors| !selectors.is_empty());
    if is_sum && let Some(entries) = object.as_map_mut() {
        entries.remove("rules");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_rules_of_a_sum_of_roles_are_the_controllers() {
        let api = ApiType::new("rbac.authorization.k8s.io/v1", "ClusterRole");
        let role = |selectors: serde_json::Value| {
            Value::from_json(json!({ "aggregationRule": { "clusterRoleSelectors": selectors }, "rules": [] }))
        };
        let sum = without_controlled(&api, role(json!([{ "matchLabels": { "a": "b" } }])));
        assert_eq!(sum.get("rules"), None);
        let plain = without_controlled(&api, role(json!([])));
        assert!(plain.get("rules").is_some(), "nothing is summed up");
        let other = ApiType::new("acme.dev/v1", "ClusterRole");
        let other = without_controlled(&other, role(json!([{ "matchLabels": { "a": "b" } }])));
        assert!(other.get("rules").is_some(), "another type of the same name");
    }
}
