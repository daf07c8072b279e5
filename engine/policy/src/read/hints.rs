//! Words that people bring along from neighbouring tools, and what they are called here.

/// What to write instead of the field `word`, where it is known from Kubernetes, Kyverno, Gatekeeper, Kustomize, Helm or
/// Terraform.
pub(super) fn neighbour_field(owner: &str, word: &str) -> Option<&'static str> {
    Some(match (owner, word) {
        ("the policy's `spec`", "validationFailureAction" | "enforcementAction" | "failureAction") => {
            "write `mode: Enforce` or `mode: Observe`"
        }
        ("the policy's `spec`", "params" | "inputs" | "vars" | "schema") => "inputs are `parameters`",
        ("the policy's `spec`", "locals" | "let" | "context") => "named expressions are `variables`",
        ("the policy's `spec`", "data" | "lookup" | "dataSources") => "what a policy reads is `facts`",
        ("the policy's `spec`", "resources") => "what must be so is `rules`, a map from key to rule",
        ("the policy's `spec`", "namespace") => {
            "put it under `defaults: { kubernetes/Object: { metadata: { namespace: … } } }`"
        }
        ("the policy's `spec`", "commonLabels" | "labels") => {
            "put them under `defaults: { kubernetes/Object: { metadata: { labels: … } } }`"
        }
        ("the policy's `spec`", "background" | "schemaValidation" | "webhookTimeoutSeconds") => {
            "Holdfast isn't an admission webhook; it compares what is there with what is declared"
        }
        ("a rule" | "a case", "match" | "exclude" | "selector") => {
            "a rule says what it is about with `ensure`, `observe` or `forbid`; which ones, with `forEach`"
        }
        ("a rule" | "a case", "validate" | "assert" | "deny" | "violation") => {
            "what is checked is `checks: [ { that, message } ]`"
        }
        (
            "a rule" | "a case",
            "mutate" | "generate" | "patch" | "patches" | "spec" | "template" | "resource" | "object",
        ) => "what must be so is `ensure: KIND` and `desired: …`",
        ("a rule" | "a case", "preconditions" | "if" | "condition") => "a condition is `when: EXPRESSION`",
        ("a rule" | "a case", "dependsOn" | "depends_on" | "needs" | "requires") => {
            "order is `after: [ … ]`; a reference such as `rules.x.name` orders by itself"
        }
        ("a rule" | "a case", "for_each" | "foreach" | "loop" | "count" | "with_items") => {
            "one instance per item is `forEach`"
        }
        ("a rule" | "a case", "kind" | "type") => {
            "the kind stands after the verb: `ensure: kubernetes/Object`"
        }
        ("a rule" | "a case", "delete" | "absentKind") => "what must not be there is `forbid: KIND`",
        ("a rule" | "a case", "lifecycle") => "see `onRemove`, `onVanish`, `initial` and `allow`",
        ("a rule" | "a case", "files" | "resources") => {
            "files are `manifests` (as they are) or `templates` (with ${…})"
        }
        ("a check" | "a requirement", "expression" | "cel" | "rule" | "assert" | "validation") => {
            "what must hold is `that: EXPRESSION`"
        }
        ("a parameter", "const") => "one allowed value is `enum: [ … ]`",
        ("a parameter", "required") if word == "required" => {
            "a parameter without a default is required; `optional: true` makes it optional"
        }
        _ => return None,
    })
}

/// The nearest allowed word to `word`, by what neighbouring tools call it.
pub(super) fn neighbour_word(word: &str, allowed: &[&'static str]) -> Option<&'static str> {
    let meant = match word.to_ascii_lowercase().as_str() {
        "audit" | "dryrun" | "dry-run" | "warn" | "report" | "monitor" | "readonly" | "inform" => "Observe",
        "enforce" | "deny" | "fail" | "active" | "remediate" => "Enforce",
        "keep" | "orphan" | "retain" => "Retain",
        "force" | "overwrite" => "Take",
        "info" | "minor" | "note" => "low",
        "warning" | "moderate" => "medium",
        "error" | "major" => "high",
        "int" | "int64" | "int32" => "integer",
        "bool" => "boolean",
        "float" | "double" => "number",
        "list" => "array",
        "map" | "dict" => "object",
        "str" | "text" => "string",
        _ => return None,
    };
    allowed.iter().copied().find(|candidate| *candidate == meant)
}
