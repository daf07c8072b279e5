//! Bucket policies that would shut out whoever reaches the store by plain HTTP.

use std::collections::BTreeMap;
use std::net::IpAddr;

use holdfast_contract::{Lockout, Path, Value};
use url::{Host, Url};

use crate::policy_document;

const CONDITION: &str = "aws:SecureTransport";
const HINT: &str = "give the provider an https endpoint, or leave the statement out with `$when`";

/// The statements of a bucket's `desired` that deny plain HTTP, where the provider's `settings` say that it comes by it.
///
/// On the own machine it is but a warning: nothing crosses a network, and most stores that one tries things on don't
/// enforce policies.
pub(crate) fn found(desired: &Value, settings: &BTreeMap<String, Value>) -> Vec<Lockout> {
    let endpoint = settings.get("endpoint").and_then(Value::as_str);
    let (Some(policy), Some(endpoint)) = (desired.get("policy"), endpoint) else {
        return Vec::new();
    };
    let Ok(endpoint) = Url::parse(endpoint) else {
        return Vec::new();
    };
    of_policy(policy, &endpoint)
        .into_iter()
        .map(|mut lockout| {
            lockout.path = Path::from([Path::of(&["policy"]).segments(), lockout.path.segments()].concat());
            lockout
        })
        .collect()
}

/// The same of a policy by itself.
pub(crate) fn of_policy(policy: &Value, endpoint: &Url) -> Vec<Lockout> {
    if endpoint.scheme() != "http" {
        return Vec::new();
    }
    let is_certain = !is_own_machine(endpoint);
    let host = endpoint.host_str().unwrap_or_default();
    let statements = policy_document::statements(policy).into_iter().enumerate();
    statements
        .filter(|(_, statement)| denies_plain_http(statement))
        .map(|(index, statement)| {
            let name = match statement.get("Sid").and_then(Value::as_str) {
                Some(sid) => format!("the statement {sid}"),
                None => "a statement".to_owned(),
            };
            let what = if is_certain {
                format!(
                    "{name} denies plain HTTP, and that is how this provider reaches {host}: it would lock everybody out, \
                     this policy too"
                )
            } else {
                format!(
                    "{name} denies plain HTTP, and that is how this provider reaches {host}: a store that enforces it locks \
                     this policy out"
                )
            };
            Lockout {
                path: Path::of(&["Statement"]).index(index),
                what,
                hint: HINT,
                is_certain,
            }
        })
        .collect()
}

fn is_own_machine(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Whether it denies everybody who comes by plain HTTP. One that has further conditions may spare us, and isn't
/// spoken of; nor is what isn't known yet.
fn denies_plain_http(statement: &Value) -> bool {
    let is_deny = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
    let everybody = |principal: &Value| policy_document::is_everybody(principal);
    is_deny
        && statement.get("Principal").is_some_and(everybody)
        && statement.get("Condition").is_some_and(is_only_plain_http)
}

fn is_only_plain_http(condition: &Value) -> bool {
    let Some((operator, tests)) = only_entry(condition) else {
        return false;
    };
    let Some((key, value)) = only_entry(tests) else {
        return false;
    };
    let is_false = |value: &Value| match value {
        Value::Bool(value) => !value,
        Value::String(text) => text.eq_ignore_ascii_case("false"),
        _ => false,
    };
    let values = match value {
        Value::List(items) => items.iter().any(is_false),
        one => is_false(one),
    };
    matches!(operator, "Bool" | "BoolIfExists") && key.eq_ignore_ascii_case(CONDITION) && values
}

fn only_entry(value: &Value) -> Option<(&str, &Value)> {
    let entries = value.as_map()?;
    let (key, value) = entries.first_key_value()?;
    (entries.len() == 1).then_some((key.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn told(endpoint: &str, statement: &Json) -> Vec<bool> {
        let desired = Value::from_json(json!({"policy": {"Statement": [statement]}}));
        let settings = BTreeMap::from([("endpoint".to_owned(), Value::from(endpoint))]);
        let found = found(&desired, &settings);
        assert!(
            found
                .iter()
                .all(|lockout| lockout.path.to_string() == "policy.Statement[0]")
        );
        found.into_iter().map(|lockout| lockout.is_certain).collect()
    }

    fn tls_only() -> Json {
        json!({
            "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "x",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        })
    }

    #[test]
    fn denying_plain_http_locks_out_who_comes_by_it() {
        for endpoint in [
            "http://store.example",
            "http://10.0.0.7:9000/",
            "http://[2001:db8::1]",
        ] {
            assert_eq!(told(endpoint, &tls_only()), [true], "{endpoint}");
        }
        for endpoint in [
            "http://127.0.0.1:4566",
            "http://[::1]:9000",
            "http://localhost:9000",
            "http://s3.localhost",
        ] {
            assert_eq!(told(endpoint, &tls_only()), [false], "{endpoint}");
        }
        assert!(told("https://store.example", &tls_only()).is_empty());
    }

    #[test]
    fn every_spelling_of_it_counts_and_nothing_else() {
        let with = |key: &str, value: Json| {
            let mut statement = tls_only();
            statement[key] = value;
            told("http://store.example", &statement)
        };
        assert_eq!(with("Principal", json!({"AWS": ["*"]})), [true]);
        assert_eq!(
            with(
                "Condition",
                json!({"BoolIfExists": {"AWS:securetransport": [false]}})
            ),
            [true]
        );
        assert!(with("Effect", json!("Allow")).is_empty());
        assert!(with("Principal", json!({"AWS": "111122223333"})).is_empty());
        assert!(with("Condition", json!({"Bool": {"aws:SecureTransport": "true"}})).is_empty());
        let spared = json!({
            "Bool": {"aws:SecureTransport": "false"}, "StringNotEquals": {"aws:PrincipalTag/role": "holdfast"},
        });
        assert!(with("Condition", spared).is_empty(), "it may spare us");
    }
}
