use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::shape::Field;

fn shape() -> Shape {
    let rule = Shape::Object(
        [
            ("id", Shape::TEXT),
            ("days", Shape::Integer),
            ("tags", Shape::Map(Box::new(Shape::TEXT))),
        ]
        .into_iter()
        .map(|(name, shape)| {
            (
                name,
                Field {
                    shape,
                    required: false,
                    doc: "",
                },
            )
        })
        .collect(),
    );
    let list = |item: Shape, identity| Shape::List {
        item: Box::new(item),
        identity,
    };
    Shape::Object(
        [
            ("rules", list(rule, ListIdentity::Keyed(&["id"]))),
            ("names", list(Shape::TEXT, ListIdentity::Set)),
            ("order", list(Shape::TEXT, ListIdentity::Atomic)),
            ("any", list(Shape::TEXT, ListIdentity::Unordered)),
        ]
        .into_iter()
        .map(|(name, shape)| {
            (
                name,
                Field {
                    shape,
                    required: false,
                    doc: "",
                },
            )
        })
        .collect(),
    )
}

fn show(desired: serde_json::Value, observed: serde_json::Value) -> Vec<String> {
    let desired = Desired::new(Value::from_json(desired));
    lines(&desired, &Value::from_json(observed))
}

fn lines(desired: &Desired, observed: &Value) -> Vec<String> {
    differences(desired, Some(observed), &shape())
        .iter()
        .map(|difference| match &difference.change {
            Change::Add { new } => format!("+ {}: {new}", difference.path),
            Change::Remove { old } => format!("- {}: {old}", difference.path),
            Change::Replace { old, new } => format!("~ {}: {old} -> {new}", difference.path),
            Change::Claim => format!("= {}", difference.path),
        })
        .collect()
}

#[test]
fn only_what_is_declared_is_compared() {
    assert!(show(json!({"a": 1}), json!({"a": 1, "b": 2})).is_empty());
}

#[test]
fn items_with_keys_are_compared_by_key_and_others_stay() {
    let observed = json!({"rules": [{"id": "theirs", "days": 1}, {"id": "ours", "days": 30}]});
    let desired = json!({"rules": [{"id": "ours", "days": 90}]});
    assert_eq!(
        show(desired.clone(), observed.clone()),
        ["~ rules[ours].days: 30 -> 90"]
    );
    let merged = merge(&Desired::new(desired.into()), Some(&observed.into()), &shape());
    assert_eq!(
        merged.to_string(),
        r#"{"rules":[{"days":1,"id":"theirs"},{"days":90,"id":"ours"}]}"#
    );
}

#[test]
fn order_means_nothing_in_a_set_and_all_in_an_atomic_list() {
    assert!(show(json!({"names": ["a", "b"]}), json!({"names": ["b", "c", "a"]})).is_empty());
    assert!(show(json!({"any": ["a", "b"]}), json!({"any": ["b", "a"]})).is_empty());
    assert_eq!(
        show(json!({"any": ["a"]}), json!({"any": ["b", "a"]})),
        [r#"~ any: ["b","a"] -> ["a"]"#]
    );
    assert_eq!(
        show(json!({"order": ["a", "b"]}), json!({"order": ["b", "a"]})).len(),
        2
    );
}

#[test]
fn whole_numbers_equal_their_doubles() {
    assert!(show(json!({"a": 1}), json!({"a": 1.0})).is_empty());
}

#[test]
fn exact_removes_what_is_not_declared_under_its_path_only() {
    let mut desired = Desired::new(json!({"tags": {"a": "1"}, "other": {"x": "1"}}).into());
    desired.exact = vec![Path::of(&["tags"])];
    let observed = json!({"tags": {"a": "1", "b": "2"}, "other": {"x": "1", "y": "2"}}).into();
    assert_eq!(lines(&desired, &observed), ["- tags.b: 2"]);
    let merged = merge(&desired, Some(&observed), &shape());
    assert_eq!(
        merged.to_string(),
        r#"{"other":{"x":"1","y":"2"},"tags":{"a":"1"}}"#
    );
}

#[test]
fn absent_places_are_removed() {
    let mut desired = Desired::new(json!({}).into());
    desired.absent =
        vec![Path::of(&["rules"]).join(Segment::Item(vec![("id".to_owned(), "legacy".to_owned())]))];
    let observed = json!({"rules": [{"id": "legacy"}, {"id": "kept"}]}).into();
    assert_eq!(
        lines(&desired, &observed),
        [r#"- rules[legacy]: {"id":"legacy"}"#]
    );
    let merged = merge(&desired, Some(&observed), &shape());
    assert_eq!(merged.to_string(), r#"{"rules":[{"id":"kept"}]}"#);
    assert!(lines(&desired, &merged).is_empty());
}

#[test]
fn initial_places_are_left_as_observed() {
    let mut desired = Desired::new(json!({"replicas": 1}).into());
    desired.initial = vec![Path::of(&["replicas"])];
    assert!(lines(&desired, &json!({"replicas": 5}).into()).is_empty());
    assert_eq!(
        merge(&desired, Some(&json!({"replicas": 5}).into()), &shape()).to_string(),
        r#"{"replicas":5}"#
    );
    assert_eq!(merge(&desired, None, &shape()).to_string(), r#"{"replicas":1}"#);
}

#[test]
fn a_changed_secret_shows_neither_side() {
    let desired = Desired::new(
        [("password", Value::from("new-secret").sealed())]
            .into_iter()
            .collect(),
    );
    let observed = json!({"password": "old-secret"}).into();
    assert_eq!(
        lines(&desired, &observed),
        ["~ password: (sensitive value) -> (sensitive value)"]
    );
}

fn leaf() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        any::<bool>().prop_map(|b| json!(b)),
        (-5i64..5).prop_map(|n| json!(n)),
        "[a-c]{0,2}".prop_map(|s| json!(s))
    ]
}

fn document() -> impl Strategy<Value = serde_json::Value> {
    let tree = leaf().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::btree_map("[a-d]", inner.clone(), 0..4).prop_map(|m| json!(m)),
            proptest::collection::vec(inner, 0..4).prop_map(|v| json!(v)),
        ]
    });
    let rules = proptest::collection::vec(("[a-c]", 0i64..3), 0..4).prop_map(|rules| {
        rules
            .into_iter()
            .map(|(id, days)| json!({"id": id, "days": days}))
            .collect::<Vec<_>>()
    });
    let names = proptest::collection::vec("[a-c]", 0..4);
    (tree, proptest::option::of(rules), proptest::option::of(names)).prop_map(|(tree, rules, names)| {
        let mut document = json!({"tree": tree});
        if let Some(rules) = rules {
            document["rules"] = json!(rules);
        }
        if let Some(names) = names {
            document["names"] = json!(names);
        }
        document
    })
}

proptest! {
    #[test]
    fn a_document_equals_itself(document in document()) {
        let value = Value::from_json(document);
        prop_assert!(differences(&Desired::new(value.clone()), Some(&value), &shape()).is_empty());
    }

    #[test]
    fn merging_makes_the_differences_empty(desired in document(), observed in document()) {
        let desired = Desired::new(Value::from_json(desired));
        let merged = merge(&desired, Some(&Value::from_json(observed)), &shape());
        prop_assert_eq!(differences(&desired, Some(&merged), &shape()), vec![]);
    }

    #[test]
    fn merging_twice_is_merging_once(desired in document(), observed in document()) {
        let desired = Desired::new(Value::from_json(desired));
        let once = merge(&desired, Some(&Value::from_json(observed)), &shape());
        prop_assert_eq!(merge(&desired, Some(&once), &shape()), once);
    }

    #[test]
    fn what_is_not_declared_stays(desired in document(), foreign in document()) {
        let observed = Value::from_json(json!({"foreign": foreign}));
        let merged = merge(&Desired::new(Value::from_json(desired)), Some(&observed), &shape());
        prop_assert_eq!(merged.get("foreign"), observed.get("foreign"));
    }
}
