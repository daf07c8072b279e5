//! Values as plans show them: leaf by leaf, each on one line.

use holdfast_contract::Value;

/// Values longer than this are cut; JSON has them whole.
const VALUE_WIDTH: usize = 72;

/// The leaves of what comes or goes at `path`, without what the path itself says: in which item of a list it is.
pub(super) fn leaves_of(value: &Value, path: &str) -> Vec<(String, String)> {
    let mut leaves = Vec::new();
    flatten(value, String::new(), &mut leaves);
    let item = path.strip_suffix(']').and_then(|path| path.rsplit_once('['));
    if let Some((_, item)) = item
        && leaves.len() > 1
    {
        let is_own = |suffix: &str| {
            suffix
                .strip_prefix('.')
                .is_some_and(|key| !key.contains(['.', '[']))
        };
        leaves.retain(|(suffix, value)| value != item || !is_own(suffix));
    }
    leaves
}

/// The leaves of `value`, each with the path down to it.
fn flatten(value: &Value, path: String, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let step = holdfast_contract::Path::of(&[key]).to_string();
                let step = if step.starts_with('[') {
                    step
                } else {
                    format!(".{step}")
                };
                flatten(value, format!("{path}{step}"), leaves);
            }
        }
        Value::List(items) if items.iter().any(|item| matches!(item, Value::Map(_))) => {
            for (index, item) in items.iter().enumerate() {
                flatten(item, format!("{path}[{index}]"), leaves);
            }
        }
        leaf => leaves.push((path, leaf.to_string())),
    }
}

/// `KIND NAME` of a reference to an object, or of a list of them: what else stands in one says no more.
pub(super) fn references(value: &Value) -> Option<String> {
    match value {
        Value::Map(entries) => {
            let text = |key| entries.get(key).and_then(Value::as_str);
            entries.contains_key("uid").then_some(())?;
            Some(format!("{} {}", text("kind")?, text("name")?))
        }
        Value::List(items) if !items.is_empty() => {
            let named: Option<Vec<String>> = items.iter().map(references).collect();
            named.map(|named| named.join(", "))
        }
        _ => None,
    }
}

/// `text` on one line, and not too long.
pub(super) fn cut(text: &str) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().take(VALUE_WIDTH).collect();
    if short.len() < text.trim_end().len() {
        format!("{short}…")
    } else {
        short
    }
}
