//! A policy's named expressions, and the roots that all its expressions share.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_expression::{Error, MapKey, Span, Value};
use holdfast_policy::ValidPolicy;

use crate::allowance::MAX_BYTES;
use crate::evaluate::Evaluator;
use crate::facts::Facts;
use crate::scope::Roots;

/// The roots `parameters`, `facts`, `variables` and `rules`.
///
/// A variable that can't be computed fails only what uses it. All that is kept of a graph hangs on these, so that what
/// evaluations give is counted anew from here.
#[must_use]
pub fn roots(
    policy: &ValidPolicy,
    parameters: &Value,
    facts: &Facts,
    rules: &BTreeMap<String, Value>,
    evaluator: Evaluator<'_>,
) -> Roots {
    evaluator.allowance.forget_since(MAX_BYTES);
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
    let mut variables: Arc<BTreeMap<MapKey, Value>> = Arc::default();
    for variable in &policy.variables {
        shared.insert("variables".to_owned(), Value::Map(Arc::clone(&variables)));
        let computed = evaluator.computed(&variable.tree, &Roots::new(shared.clone()));
        shared.remove("variables");
        let value = match computed {
            Ok(Value::Optional(None) | Value::Omit) => continue,
            Ok(Value::Optional(Some(value))) => Ok(*value),
            other => other,
        };
        // Where this one holds all those before, they are copied.
        let value = match value {
            Ok(value) if Arc::get_mut(&mut variables).is_none() => evaluator
                .copied(&variable.tree, &value, &variables)
                .map(|()| value),
            other => other,
        };
        let value = value.unwrap_or_else(|error| {
            let message = format!("variable `{}`: {}", variable.name, error.error.message);
            Value::Failed(Arc::new(Error::new(error.error.kind, Span::default(), message)))
        });
        Arc::make_mut(&mut variables).insert(MapKey::from(variable.name.as_str()), value);
    }
    shared.insert("variables".to_owned(), Value::Map(variables));
    Roots::new(shared)
}
