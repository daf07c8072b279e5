//! What can't be undone about locking objects.

use holdfast_contract::{Danger, Value};

/// The facet.
pub(crate) const FACET: &str = "objectLock";

/// What policies write to let a write turn the lock on.
const ENABLE: &str = "EnableObjectLock";
/// What policies write to let a write lock new objects, harder or for longer than before.
const LOCK: &str = "LockRetention";

/// Whether a document turns the lock on.
pub(crate) fn is_enabled(document: &Value) -> bool {
    document.get("objectLockEnabled").and_then(Value::as_str) == Some("Enabled")
}

/// What can never be undone once `after` holds in the place of `before`: a lock that is turned on stays, and what is
/// locked until a day can't be deleted before it, nor can the bucket that holds it.
pub(crate) fn dangers(after: &Value, before: Option<&Value>) -> Vec<Danger> {
    let mut found = Vec::new();
    if is_enabled(after) && !before.is_some_and(is_enabled) {
        found.push(Danger {
            allowance: ENABLE,
            what: "the object lock would be turned on, for good".to_owned(),
            irreversible: true,
        });
    }
    let old = before.map(Retention::of).unwrap_or_default();
    let new = Retention::of(after);
    if new.days > old.days || (new.days > 0 && new.is_strict && !old.is_strict) {
        let how = if new.is_strict {
            "nobody could delete them earlier"
        } else {
            "only who may bypass it could delete them earlier"
        };
        found.push(Danger {
            allowance: LOCK,
            what: format!("new objects would be locked for {}, and {how}", new.span),
            irreversible: true,
        });
    }
    found
}

/// For how long, and how hard, objects are locked whose upload doesn't say.
#[derive(Debug, Default)]
struct Retention {
    /// 0: not at all.
    days: i64,
    /// The same for people.
    span: String,
    /// Whether nobody at all can undo it.
    is_strict: bool,
}

impl Retention {
    fn of(document: &Value) -> Self {
        let Some(rule) = document.at(&["rule", "defaultRetention"]) else {
            return Self::default();
        };
        let number = |name: &str| {
            let value = rule.get(name)?;
            value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
        };
        let (days, span) = match (number("days"), number("years")) {
            (Some(days), _) => (days, format!("{days} days")),
            // Leap days make a year of the service no shorter.
            (None, Some(years)) => (years.saturating_mul(365), format!("{years} years")),
            (None, None) => (0, String::new()),
        };
        Self {
            days,
            span,
            is_strict: rule.get("mode").and_then(Value::as_str) != Some("GOVERNANCE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn found(before: Option<Json>, after: Json) -> Vec<String> {
        dangers(&Value::from_json(after), before.map(Value::from_json).as_ref())
            .into_iter()
            .map(|danger| format!("{}: {}", danger.allowance, danger.what))
            .collect()
    }

    fn locked(mode: &str, days: i64) -> Json {
        json!({"objectLockEnabled": "Enabled", "rule": {"defaultRetention": {"mode": mode, "days": days}}})
    }

    #[test]
    fn turning_the_lock_on_is_for_good() {
        let on = json!({"objectLockEnabled": "Enabled"});
        let told = ["EnableObjectLock: the object lock would be turned on, for good"];
        assert_eq!(found(None, on.clone()), told);
        assert_eq!(found(Some(json!({})), on.clone()), told);
        assert!(found(Some(on.clone()), on).is_empty());
    }

    #[test]
    fn locking_objects_longer_or_harder_can_not_be_undone() {
        assert_eq!(
            found(Some(locked("GOVERNANCE", 7)), locked("GOVERNANCE", 30)),
            [
                "LockRetention: new objects would be locked for 30 days, and only who may bypass it could delete them earlier"
            ]
        );
        assert_eq!(
            found(Some(locked("GOVERNANCE", 30)), locked("COMPLIANCE", 7)),
            ["LockRetention: new objects would be locked for 7 days, and nobody could delete them earlier"]
        );
        assert_eq!(found(None, locked("COMPLIANCE", 1)).len(), 2);
        for (before, after) in [
            (locked("COMPLIANCE", 30), locked("GOVERNANCE", 30)),
            (locked("COMPLIANCE", 30), locked("COMPLIANCE", 7)),
            (locked("COMPLIANCE", 30), json!({"objectLockEnabled": "Enabled"})),
        ] {
            assert!(found(Some(before), after).is_empty());
        }
    }

    #[test]
    fn a_year_is_as_long_as_its_days() {
        let years = json!({"objectLockEnabled": "Enabled", "rule": {"defaultRetention": {"mode": "COMPLIANCE", "years": 1}}});
        assert!(found(Some(years.clone()), locked("COMPLIANCE", 365)).is_empty());
        assert_eq!(found(Some(years), locked("COMPLIANCE", 366)).len(), 1);
    }
}
