//! Bucket policies: when two mean the same, and how one is laid over another.
//!
//! A statement is told by its `Sid`, one without by its content. A statement that is declared is compared whole: a
//! condition or a principal that somebody added to it is a difference, as it changes what the statement does. All
//! other statements are foreign and stay.
//!
//! Two spellings mean the same: `"a"` and `["a"]`, in any order and with repetitions; `"*"` and `{"AWS": "*"}` as a
//! principal; an account's number and the ARN of its root; `false` and `"false"` in a condition.
//! Source: the IAM user guide, "Grammar of the IAM JSON policy language" and "AWS JSON policy elements: Principal".

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{Desired, Difference, Field, ListIdentity, Path, Segment, Shape, Value};
use sha2::{Digest, Sha256};

const STATEMENT: &str = "Statement";
const SID: &str = "Sid";
const VERSION: &str = "Version";
/// The policy language's newest version; without it the service takes an old one that lacks variables.
const NEWEST: &str = "2012-10-17";

/// The shape of a policy as it is declared.
pub(crate) fn shape() -> Shape {
    object(&[
        (
            VERSION,
            Shape::String {
                one_of: &["2012-10-17", "2008-10-17"],
            },
            false,
            "The version of the policy language.",
        ),
        ("Id", Shape::TEXT, false, "A name for the policy."),
        (
            STATEMENT,
            list(
                object(&[
                    (
                        SID,
                        Shape::TEXT,
                        false,
                        "The statement's name, unique in the policy. A statement without one is told by its content.",
                    ),
                    (
                        "Effect",
                        Shape::String {
                            one_of: &["Allow", "Deny"],
                        },
                        true,
                        "What it does.",
                    ),
                    ("Principal", Shape::Any, false, "Whom it is about."),
                    ("NotPrincipal", Shape::Any, false, "Whom it is not about."),
                    ("Action", Shape::Any, false, "Which actions."),
                    ("NotAction", Shape::Any, false, "Which actions not."),
                    ("Resource", Shape::Any, false, "On what."),
                    ("NotResource", Shape::Any, false, "On what not."),
                    ("Condition", Shape::Any, false, "Only when."),
                ]),
                ListIdentity::Keyed(&[SID]),
            ),
            true,
            "The statements; those that aren't declared are foreign and stay.",
        ),
    ])
}

/// The shape of a policy in normal form.
fn normal_shape() -> Shape {
    let texts = || list(Shape::TEXT, ListIdentity::Unordered);
    let by_name = |values: Shape| Shape::Map(Box::new(values));
    object(&[(
        STATEMENT,
        list(
            object(&[
                ("Principal", by_name(texts()), false, ""),
                ("NotPrincipal", by_name(texts()), false, ""),
                ("Action", texts(), false, ""),
                ("NotAction", texts(), false, ""),
                ("Resource", texts(), false, ""),
                ("NotResource", texts(), false, ""),
                ("Condition", by_name(by_name(texts())), false, ""),
            ]),
            ListIdentity::Keyed(&[SID]),
        ),
        true,
        "",
    )])
}

fn list(item: Shape, identity: ListIdentity) -> Shape {
    Shape::List {
        item: Box::new(item),
        identity,
    }
}

fn object(fields: &[(&'static str, Shape, bool, &'static str)]) -> Shape {
    Shape::Object(
        fields
            .iter()
            .map(|(name, shape, required, doc)| {
                let field = Field {
                    shape: shape.clone(),
                    required: *required,
                    doc,
                };
                (*name, field)
            })
            .collect(),
    )
}

/// Where `observed` is not as `desired`.
pub(crate) fn differences(desired: &Desired, observed: Option<&Value>) -> Vec<Difference> {
    let mut wanted = desired.clone();
    wanted.value = normal(&desired.value);
    for statement in statements(&wanted.value) {
        if let Some(sid) = statement.get(SID).and_then(Value::as_str) {
            wanted.exact.push(place(sid));
        }
    }
    let mut there = observed.map_or_else(Value::map, normal);
    if wanted.value.get(VERSION).is_none()
        && let Some(entries) = there.as_map_mut()
    {
        // Every policy has a version; one that isn't declared is never in the way.
        entries.remove(VERSION);
    }
    holdfast_contract::differences(&wanted, Some(&there), &normal_shape())
}

/// The policy that holds after `desired` was laid over `observed`. Foreign statements stay word for word.
pub(crate) fn merge(desired: &Desired, observed: Option<&Value>) -> Value {
    let (Some(wanted), there) = (desired.value.as_map(), observed.and_then(Value::as_map)) else {
        return desired.value.clone();
    };
    let is_exact = |path: &Path| desired.exact.iter().any(|exact| path.starts_with(exact));
    let keeps = |path: &Path| desired.initial.contains(path);

    let mut merged = BTreeMap::new();
    for (key, value) in there.into_iter().flatten() {
        let path = Path::of(&[key]);
        if key == VERSION || wanted.contains_key(key) || !is_exact(&path) {
            merged.insert(key.clone(), value.clone());
        }
    }
    for (key, value) in wanted {
        if !(merged.contains_key(key) && keeps(&Path::of(&[key]))) && key != STATEMENT {
            merged.insert(key.clone(), value.clone());
        }
    }
    if let Some(ours) = wanted.get(STATEMENT) {
        let declared: BTreeMap<String, &Value> = items(ours)
            .into_iter()
            .map(|item| (identity(item), item))
            .collect();
        let mut result = Vec::new();
        let mut placed = BTreeSet::new();
        for item in merged.get(STATEMENT).map(items).unwrap_or_default() {
            let sid = identity(item);
            let path = place(&sid);
            match declared.get(&sid) {
                Some(value) if !keeps(&path) && normal_statement(value) != normal_statement(item) => {
                    result.push((*value).clone());
                }
                None if is_exact(&path) => continue,
                _ => result.push(item.clone()),
            }
            placed.insert(sid);
        }
        for item in items(ours) {
            if placed.insert(identity(item)) {
                result.push(item.clone());
            }
        }
        merged.insert(STATEMENT.to_owned(), Value::List(result));
    }
    let mut merged = Value::Map(merged);
    holdfast_contract::remove(&mut merged, &desired.absent);
    let is_left = !statements(&merged).is_empty();
    if let Some(entries) = merged.as_map_mut() {
        if is_left {
            entries
                .entry(VERSION.to_owned())
                .or_insert_with(|| Value::from(NEWEST));
        } else {
            // The service takes no policy without statements: none at all is the same.
            entries.clear();
        }
    }
    merged
}

/// Whether the two say the same.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    normal(a) == normal(b)
}

fn place(sid: &str) -> Path {
    Path::of(&[STATEMENT]).join(Segment::Item(vec![(SID.to_owned(), sid.to_owned())]))
}

pub(crate) fn statements(policy: &Value) -> Vec<&Value> {
    policy.get(STATEMENT).map(items).unwrap_or_default()
}

/// A lone item stands for a list of it.
fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::List(items) => items.iter().collect(),
        other => vec![other],
    }
}

/// A policy in normal form: every statement has a `Sid`, every list is one, sorted.
fn normal(policy: &Value) -> Value {
    let Some(entries) = policy.as_map() else {
        return policy.clone();
    };
    let mut result = entries.clone();
    if let Some(statement) = entries.get(STATEMENT)
        && !matches!(statement, Value::Unknown(_))
    {
        let mut seen = BTreeSet::new();
        let mut list = Vec::new();
        for item in items(statement) {
            let mut normal = normal_statement(item);
            let sid = identity(item);
            if let Some(fields) = normal.as_map_mut() {
                fields.insert(SID.to_owned(), Value::from(sid.as_str()));
            }
            // The same statement twice is the same as once; two with one name are left to be told as a fault.
            if named(item).is_some() || seen.insert(sid) {
                list.push(normal);
            }
        }
        result.insert(STATEMENT.to_owned(), Value::List(list));
    }
    Value::Map(result)
}

fn named(statement: &Value) -> Option<&str> {
    statement
        .get(SID)
        .and_then(Value::as_str)
        .filter(|sid| !sid.is_empty())
}

/// The statement's name; of one without, a name made from its content.
fn identity(statement: &Value) -> String {
    if let Some(sid) = named(statement) {
        return sid.to_owned();
    }
    let digest = Sha256::digest(normal_statement(statement).to_string());
    let short: String = crate::sign::hex(&digest).chars().take(8).collect();
    format!("(no Sid, {short})")
}

/// A statement without its name, in normal form.
fn normal_statement(statement: &Value) -> Value {
    let Some(fields) = statement.as_map() else {
        return statement.clone();
    };
    let normal = |(key, value): (&String, &Value)| {
        let value = match key.as_str() {
            "Action" | "NotAction" | "Resource" | "NotResource" => texts(value, &|text| text),
            "Principal" | "NotPrincipal" => principal(value),
            "Condition" => mapped(value, &|tests| mapped(tests, &|v| texts(v, &|text| text))),
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    Value::Map(fields.iter().filter(|(key, _)| *key != SID).map(normal).collect())
}

/// Whether it means everybody, in either spelling.
pub(crate) fn is_everybody(value: &Value) -> bool {
    principal(value).as_str() == Some("*")
}

fn principal(value: &Value) -> Value {
    let normal = mapped(value, &|names| texts(names, &account_number));
    let everybody = Value::from("*");
    match normal.as_map() {
        Some(kinds)
            if kinds.len() == 1
                && kinds.get("AWS").and_then(Value::as_list) == Some(std::slice::from_ref(&everybody)) =>
        {
            everybody
        }
        _ => normal,
    }
}

/// `arn:aws:iam::111122223333:root` and `111122223333` are the same principal; the service writes the first for the
/// second.
fn account_number(text: String) -> String {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        ["arn", _, "iam", "", account, "root"] => (*account).to_owned(),
        _ => text,
    }
}

fn mapped(value: &Value, normal: &dyn Fn(&Value) -> Value) -> Value {
    match value {
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), normal(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// One or many as a sorted list without repetitions, numbers and booleans as text.
fn texts(value: &Value, normal: &dyn Fn(String) -> String) -> Value {
    if matches!(value, Value::Unknown(_)) {
        return value.clone();
    }
    let mut list: Vec<Value> = items(value)
        .into_iter()
        .map(|item| match item {
            Value::String(_) | Value::Bool(_) | Value::Number(_) => Value::from(normal(item.to_string())),
            other => other.clone(),
        })
        .collect();
    list.sort_by_cached_key(ToString::to_string);
    list.dedup();
    Value::List(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    fn tls_only() -> Value {
        Value::from_json(json!({"Statement": [{
            "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }]}))
    }

    fn paths(desired: &Value, observed: &Value) -> Vec<String> {
        differences(&Desired::new(desired.clone()), Some(observed))
            .iter()
            .map(|difference| difference.path.to_string())
            .collect()
    }

    #[test]
    fn spellings_that_mean_the_same_are_equal() {
        let observed = Value::from_json(json!({"Version": "2012-10-17", "Statement": {
            "Sid": "TlsOnly", "Effect": "Deny", "Principal": {"AWS": ["*"]}, "Action": ["s3:*", "s3:*"],
            "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::b"],
            "Condition": {"Bool": {"aws:SecureTransport": [false]}},
        }}));
        assert_eq!(paths(&tls_only(), &observed), Vec::<String>::new());
    }

    #[test]
    fn an_account_and_its_root_are_the_same_principal() {
        let with = |principal: serde_json::Value| {
            Value::from_json(
                json!({"Statement": [{"Sid": "a", "Effect": "Allow", "Principal": {"AWS": principal}}]}),
            )
        };
        let root = with(json!(["arn:aws:iam::111122223333:root"]));
        assert_eq!(paths(&with(json!("111122223333")), &root), Vec::<String>::new());
        let role = with(json!("arn:aws:iam::111122223333:role/x"));
        assert_eq!(paths(&role, &root), ["Statement[a].Principal.AWS"]);
    }

    #[test]
    fn everybody_and_somebody_are_not_the_same_principal() {
        let with = |principal: serde_json::Value| {
            Value::from_json(json!({"Statement": [{"Sid": "a", "Effect": "Allow", "Principal": principal}]}))
        };
        let both = with(json!({"AWS": "*", "Service": "logging.s3.amazonaws.com"}));
        assert_eq!(paths(&with(json!("*")), &both), ["Statement[a].Principal"]);
    }

    #[test]
    fn what_was_added_to_our_statement_is_a_difference() {
        let mut observed = tls_only().expose_json().unwrap();
        observed["Statement"][0]["Condition"]["StringEquals"] = json!({"aws:PrincipalAccount": "999"});
        let observed = Value::from_json(observed);
        assert_eq!(
            paths(&tls_only(), &observed),
            ["Statement[TlsOnly].Condition.StringEquals"]
        );
        let merged = merge(&Desired::new(tls_only()), Some(&observed));
        assert_eq!(paths(&tls_only(), &merged), Vec::<String>::new());
    }

    #[test]
    fn foreign_statements_stay_word_for_word() {
        let foreign = json!({"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "1"}, "Action": "s3:GetObject", "Resource": "x"});
        let unnamed =
            json!({"Effect": "Allow", "Principal": {"AWS": "2"}, "Action": "s3:GetObject", "Resource": "x"});
        let observed =
            Value::from_json(json!({"Version": "2008-10-17", "Id": "p", "Statement": [foreign, unnamed]}));
        let merged = merge(&Desired::new(tls_only()), Some(&observed))
            .expose_json()
            .unwrap();
        assert_eq!(merged["Statement"][0], foreign);
        assert_eq!(merged["Statement"][1], unnamed);
        assert_eq!(merged["Statement"][2]["Sid"], "TlsOnly");
        assert_eq!(
            (&merged["Version"], &merged["Id"]),
            (&json!("2008-10-17"), &json!("p"))
        );
    }

    #[test]
    fn exact_removes_foreign_statements() {
        let observed = Value::from_json(json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "x"}]}));
        let mut desired = Desired::new(tls_only());
        desired.exact = vec![Path::root()];
        let merged = merge(&desired, Some(&observed));
        assert_eq!(differences(&desired, Some(&merged)), vec![]);
        assert_eq!(statements(&merged).len(), 1);
    }

    #[test]
    fn without_its_last_statement_nothing_is_left() {
        let mut desired = Desired::new(Value::map());
        desired.absent = vec![place("TlsOnly")];
        assert_eq!(merge(&desired, Some(&tls_only())), Value::map());
    }

    #[test]
    fn a_statement_without_a_name_is_told_by_its_content() {
        let unnamed = Value::from_json(
            json!({"Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": ["b", "a"]}]}),
        );
        let stored = Value::from_json(
            json!({"Statement": [{"Sid": "", "Effect": "Deny", "Action": ["s3:*"], "Resource": ["a", "b"]}]}),
        );
        assert_eq!(paths(&unnamed, &stored), Vec::<String>::new());
        assert_eq!(
            merge(&Desired::new(unnamed), Some(&stored)).get(STATEMENT),
            stored.get(STATEMENT)
        );
    }

    /// A list in another order, with a repetition, and by itself where it is one.
    fn respelt(list: &[String]) -> Json {
        match list {
            [one] => json!(one),
            many => {
                let mut other: Vec<&String> = many.iter().rev().collect();
                other.extend(many.first());
                json!(other)
            }
        }
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::btree_set("[a-z]{1,3}:[A-Z*]{1,3}", 1..4)
            .prop_map(|set| set.into_iter().collect())
    }

    /// A statement, and the same in another spelling.
    fn statement(sid: usize) -> impl Strategy<Value = (Json, Json)> {
        let parts = (texts(), texts(), texts(), any::<bool>(), any::<bool>());
        parts.prop_map(move |(actions, resources, values, everybody, secure)| {
            let sid = format!("s{sid}");
            let account = json!({"AWS": ["111122223333"]});
            let root = json!({"AWS": "arn:aws:iam::111122223333:root"});
            let one = json!({
                "Sid": sid, "Effect": "Deny", "Action": actions, "Resource": resources,
                "Principal": if everybody { json!("*") } else { account },
                "Condition": {"Bool": {"aws:SecureTransport": secure.to_string()}, "StringLike": {"aws:a": values}},
            });
            let other = json!({
                "Condition": {"StringLike": {"aws:a": respelt(&values)}, "Bool": {"aws:SecureTransport": [secure]}},
                "Principal": if everybody { json!({"AWS": ["*"]}) } else { root },
                "Resource": respelt(&resources), "Action": respelt(&actions), "Effect": "Deny", "Sid": sid,
            });
            (one, other)
        })
    }

    proptest! {
        /// Order, repetitions, lone items and the spellings of everybody and of an account mean nothing; the order of
        /// the statements doesn't either.
        #[test]
        fn policies_are_sets((a, b, c) in (statement(1), statement(2), statement(3))) {
            let one = Value::from_json(json!({"Statement": [a.0, b.0, c.0]}));
            let other = Value::from_json(json!({"Version": "2012-10-17", "Statement": [c.1, a.1, b.1]}));
            prop_assert_eq!(paths(&one, &other), Vec::<String>::new());
            prop_assert_eq!(paths(&other, &one).len(), 1, "the version alone, which one of them doesn't declare");
            let merged = merge(&Desired::new(one.clone()), Some(&other));
            prop_assert!(same(&merged, &other), "nothing is rewritten that means the same");
            prop_assert_eq!(merged.get(STATEMENT), other.get(STATEMENT));
            let without = Value::from_json(json!({"Statement": [other.get(STATEMENT).unwrap().as_list().unwrap()[1].expose_json()]}));
            prop_assert_eq!(paths(&one, &without), ["Statement[s2]", "Statement[s3]"]);
        }
    }
}
