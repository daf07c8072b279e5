//! A policy's named expressions, and the roots that all its expressions share.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_expression::{Budget, Error, MapKey, Span, Value};
use holdfast_policy::ValidPolicy;

use crate::evaluate::Evaluator;
use crate::facts::Facts;
use crate::scope::Roots;

/// The roots `parameters`, `facts`, `variables` and `rules`.
///
/// A variable that can't be computed fails only what uses it.
#[must_use]
pub fn roots(
    policy: &ValidPolicy,
    parameters: &Value,
    facts: &Facts,
    rules: &BTreeMap<String, Value>,
    evaluator: Evaluator<'_>,
) -> Roots {
    let mut shared = BTreeMap::from([
        ("parameters".to_owned(), parameters.clone()),
        ("facts".to_owned(), facts.root()),
        (
            "rules".to_owned(),
            Value::map(
                rules
                    .iter()
                    .map(|(key, value)| (MapKey::from(key.as_str()), value.clone())),
            ),
        ),
    ]);
    let mut variables: BTreeMap<MapKey, Value> = BTreeMap::new();
    for variable in &policy.variables {
        shared.insert("variables".to_owned(), Value::from(variables.clone()));
        let roots = Roots::new(shared.clone());
        let value = match variable
            .tree
            .compute(&roots, &mut Budget::default(), &evaluator.context)
        {
            Ok(Value::Optional(None) | Value::Omit) => continue,
            Ok(Value::Optional(Some(value))) => *value,
            Ok(value) => value,
            Err(error) => {
                let message = format!("variable `{}`: {}", variable.name, error.error.message);
                Value::Failed(Arc::new(Error::new(error.error.kind, Span::default(), message)))
            }
        };
        variables.insert(MapKey::from(variable.name.as_str()), value);
    }
    shared.insert("variables".to_owned(), Value::from(variables));
    Roots::new(shared)
}
