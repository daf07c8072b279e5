//! Which lifecycle rules would let objects that exist expire earlier than they do now.

use holdfast_contract::{Danger, Value};

/// What policies write to let a write do that.
const ALLOWANCE: &str = "ShortenRetention";

/// The rules of `after` that expire something earlier than the rule of the same id in `before` does.
///
/// Only a rule that is there already, enabled, for the same objects, and expires them no later is known not to. Ending
/// incomplete uploads, and moving objects to another storage class, expires nothing.
pub(crate) fn shortened(after: &Value, before: Option<&Value>) -> Vec<Danger> {
    let rules = |document: Option<&Value>| -> Vec<Value> {
        let rules = document
            .and_then(|document| document.get("rules"))
            .and_then(Value::as_list);
        rules.unwrap_or_default().to_vec()
    };
    let before = rules(before);
    rules(Some(after))
        .iter()
        .filter(|rule| is_enabled(rule))
        .filter_map(|rule| {
            let id = rule.get("id").and_then(Value::as_str).unwrap_or_default();
            let old = before.iter().find(|old| {
                is_enabled(old)
                    && old.get("id").and_then(Value::as_str) == Some(id)
                    && same_objects(rule, old)
            });
            let what = earlier(rule, old)?;
            Some(Danger {
                allowance: ALLOWANCE,
                what: format!("rule {id} would expire {what}"),
                irreversible: false,
            })
        })
        .collect()
}

fn is_enabled(rule: &Value) -> bool {
    rule.get("status").and_then(Value::as_str) == Some("Enabled")
}

fn same_objects(a: &Value, b: &Value) -> bool {
    let empty = Value::map();
    let filter = |rule: &Value| rule.get("filter").cloned().unwrap_or_else(|| empty.clone());
    filter(a) == filter(b) && a.get("prefix") == b.get("prefix")
}

/// What `rule` expires earlier than `old` does, in words; none if nothing.
fn earlier(rule: &Value, old: Option<&Value>) -> Option<String> {
    let at = |rule: &Value, keys: &[&str]| rule.at(keys).cloned();
    let days = |value: &Value| value.as_i64();
    for (keys, objects) in [
        (["expiration", "days"], "objects"),
        (
            ["noncurrentVersionExpiration", "noncurrentDays"],
            "older versions",
        ),
    ] {
        let Some(new) = at(rule, &keys).as_ref().and_then(days) else {
            continue;
        };
        let before = old.and_then(|old| at(old, &keys)).as_ref().and_then(days);
        if before.is_none_or(|before| new < before) {
            return Some(format!("{objects} after {new} days"));
        }
    }
    // A date is no span: one that isn't the same as before may be earlier for some object.
    let date = at(rule, &["expiration", "date"]);
    if date.is_some() && old.and_then(|old| at(old, &["expiration", "date"])) != date {
        return Some(format!("objects at {}", date.unwrap_or_default()));
    }
    // Keeping fewer of the older versions expires the others.
    let kept = ["noncurrentVersionExpiration", "newerNoncurrentVersions"];
    let (new, before) = (at(rule, &kept), old.and_then(|old| at(old, &kept)));
    let fewer = match (new.as_ref().and_then(days), before.as_ref().and_then(days)) {
        (Some(new), Some(before)) => new < before,
        (None, Some(_)) => rule.get("noncurrentVersionExpiration").is_some(),
        _ => false,
    };
    fewer.then(|| "more of the older versions".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn found(before: Json, after: Json) -> Vec<String> {
        let rules = |rules: Json| Value::from_json(json!({ "rules": rules }));
        shortened(&rules(after), Some(&rules(before)))
            .into_iter()
            .map(|danger| danger.what)
            .collect()
    }

    fn rule(days: i64) -> Json {
        json!({"id": "a", "status": "Enabled", "filter": {"prefix": "x/"}, "expiration": {"days": days}})
    }

    #[test]
    fn a_longer_expiry_endangers_nothing_and_a_shorter_one_does() {
        assert!(found(json!([rule(30)]), json!([rule(90)])).is_empty());
        assert!(found(json!([rule(30)]), json!([rule(30)])).is_empty());
        assert_eq!(
            found(json!([rule(30)]), json!([rule(7)])),
            ["rule a would expire objects after 7 days"]
        );
    }

    #[test]
    fn a_new_expiry_and_one_of_other_objects_endanger_what_is_there() {
        assert_eq!(found(json!([]), json!([rule(90)])).len(), 1);
        let mut wider = rule(90);
        wider["filter"] = json!({});
        assert_eq!(found(json!([rule(90)]), json!([wider])).len(), 1);
        let mut off = rule(90);
        off["status"] = json!("Disabled");
        assert_eq!(found(json!([off.clone()]), json!([rule(90)])).len(), 1);
        assert!(found(json!([rule(90)]), json!([off])).is_empty());
    }

    #[test]
    fn older_versions_count_too() {
        let rule = |days: i64, kept: i64| {
            json!([{"id": "a", "status": "Enabled", "filter": {},
                "noncurrentVersionExpiration": {"noncurrentDays": days, "newerNoncurrentVersions": kept}}])
        };
        assert!(found(rule(30, 3), rule(30, 5)).is_empty());
        assert_eq!(
            found(rule(30, 3), rule(10, 3)),
            ["rule a would expire older versions after 10 days"]
        );
        assert_eq!(
            found(rule(30, 3), rule(30, 1)),
            ["rule a would expire more of the older versions"]
        );
    }

    #[test]
    fn ending_uploads_and_moving_objects_expires_nothing() {
        let after = json!([
            {"id": "u", "status": "Enabled", "filter": {}, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}},
            {"id": "t", "status": "Enabled", "filter": {}, "transitions": [{"days": 30, "storageClass": "GLACIER"}]}
        ]);
        assert!(found(json!([]), after).is_empty());
    }
}
