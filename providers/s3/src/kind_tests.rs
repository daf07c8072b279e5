use super::*;

use proptest::prelude::*;
use serde_json::json;

use crate::codec;
use crate::schema::{Content, Element};
use crate::xml;
use crate::xml::Node;

fn observed(facet: &str, document: Value) -> Observed {
    Observed {
        key: key("demo"),
        uid: None,
        version: None,
        deleting: false,
        facets: BTreeMap::from([(Facet::from(facet), FacetState::Set(document))]),
    }
}

fn key(name: &str) -> ResourceKey {
    ResourceKey {
        provider: "s3".into(),
        kind: KIND.into(),
        api: None,
        namespace: None,
        name: name.to_owned(),
        region: Some("us-gov-west-1".to_owned()),
    }
}

fn paths(facet: &str, desired: serde_json::Value, there: serde_json::Value) -> Vec<String> {
    BucketKind::new()
        .compare(
            &facet.into(),
            &Desired::new(Value::from_json(desired)),
            Some(&observed(facet, Value::from_json(there))),
            "holdfast:test",
        )
        .iter()
        .map(|difference| difference.path.to_string())
        .collect()
}

fn merged(facet: &str, desired: serde_json::Value, there: serde_json::Value) -> serde_json::Value {
    BucketKind::new()
        .merge(
            &facet.into(),
            &Desired::new(Value::from_json(desired)),
            Some(&observed(facet, Value::from_json(there))),
            "holdfast:test",
        )
        .expose_json()
        .unwrap()
}

fn rule(more: &serde_json::Value) -> serde_json::Value {
    let mut rule = json!({"id": "a", "status": "Enabled"});
    rule.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"rules": [rule]})
}

#[test]
fn lifecycle_rules_that_mean_the_same_are_equal() {
    for (ours, theirs) in [
        (json!({"filter": {}}), json!({"filter": {"prefix": ""}})),
        (json!({"filter": {}}), json!({"prefix": ""})),
        (json!({"filter": {"prefix": "a/"}}), json!({"prefix": "a/"})),
        (
            json!({"filter": {"prefix": "a/"}}),
            json!({"filter": {"and": {"prefix": "a/"}}}),
        ),
        (
            json!({"filter": {"and": {"prefix": "a/", "tags": [{"key": "k", "value": "v"}]}}}),
            json!({"filter": {"prefix": "a/", "tag": {"key": "k", "value": "v"}}}),
        ),
        (
            json!({"filter": {"and": {"tags": [{"key": "k", "value": "v"}]}}}),
            json!({"filter": {"tag": {"key": "k", "value": "v"}}}),
        ),
        (
            json!({"filter": {"and": {"tags": [{"key": "k", "value": "v"}, {"key": "l", "value": "w"}]}}}),
            json!({"filter": {"and": {"tags": [{"key": "l", "value": "w"}, {"key": "k", "value": "v"}]}}}),
        ),
        (
            json!({"expiration": {"days": "90"}}),
            json!({"expiration": {"days": 90, "expiredObjectDeleteMarker": false}}),
        ),
        (
            json!({"expiration": {"date": "2030-01-01"}}),
            json!({"expiration": {"date": "2030-01-01T00:00:00.000Z"}}),
        ),
        (
            json!({"transitions": [{"days": 1, "storageClass": "GLACIER"}, {"days": 2, "storageClass": "DEEP_ARCHIVE"}]}),
            json!({"transitions": [{"days": 2, "storageClass": "DEEP_ARCHIVE"}, {"days": 1, "storageClass": "GLACIER"}]}),
        ),
    ] {
        assert_eq!(
            paths("lifecycle", rule(&ours), rule(&theirs)),
            [""; 0],
            "{ours} {theirs}"
        );
        assert_eq!(
            paths("lifecycle", rule(&theirs), rule(&ours)),
            [""; 0],
            "{theirs} {ours}"
        );
    }
}

#[test]
fn a_date_of_no_year_that_can_be_written_is_a_text_like_any_other() {
    let expires = |date: &str| rule(&json!({"expiration": {"date": date}}));
    let last = "9999-12-31T23:59:59-12:00";
    assert_eq!(paths("lifecycle", expires(last), expires(last)), [""; 0]);
    assert_eq!(
        paths("lifecycle", expires("2030-01-01"), expires(last)),
        ["rules[a].expiration.date"]
    );
}

#[test]
fn a_filter_compares_whole() {
    let differs = |ours: serde_json::Value, theirs: serde_json::Value| {
        paths(
            "lifecycle",
            rule(&json!({"filter": ours})),
            rule(&json!({"filter": theirs})),
        )
    };
    assert_eq!(
        differs(json!({}), json!({"prefix": "a/"})),
        ["rules[a].filter.prefix"]
    );
    assert_eq!(
        differs(
            json!({"prefix": "a/"}),
            json!({"and": {"prefix": "a/", "objectSizeLessThan": 5}})
        ),
        ["rules[a].filter.and", "rules[a].filter.prefix"]
    );
    assert_eq!(
        merged(
            "lifecycle",
            rule(&json!({"filter": {"prefix": "a/"}, "expiration": {"days": 5}})),
            rule(
                &json!({"filter": {"and": {"prefix": "a/", "objectSizeLessThan": 5}}, "expiration": {"date": "2030-01-01T00:00:00Z"}})
            ),
        ),
        rule(&json!({"filter": {"prefix": "a/"}, "expiration": {"days": 5}}))
    );
}

#[test]
fn foreign_rules_and_fields_stay_where_they_are() {
    let theirs = json!({"rules": [
        {"status": "Enabled", "filter": {"prefix": "x/"}, "expiration": {"days": 1}},
        {"id": "a", "status": "Disabled", "filter": {}, "noncurrentVersionExpiration": {"noncurrentDays": 3}, "NewThing": "kept"},
        {"id": "z", "status": "Enabled", "filter": {}, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}}]});
    let merged = merged("lifecycle", rule(&json!({"filter": {}})), theirs.clone());
    let mut expected = theirs;
    expected["rules"][1]["status"] = json!("Enabled");
    assert_eq!(merged, expected, "also a rule without a name");
}

#[test]
fn foreign_items_without_a_name_stay_in_every_list_of_named_ones() {
    let ours = json!({"corsRules": [{"id": "web", "allowedMethods": ["GET"], "allowedOrigins": ["https://a.example"]}]});
    let theirs = json!({"corsRules": [{"allowedMethods": ["PUT"], "allowedOrigins": ["*"]}]});
    let merged = merged("cors", ours.clone(), theirs.clone());
    assert_eq!(merged["corsRules"][0], theirs["corsRules"][0]);
    assert_eq!(merged["corsRules"][1], ours["corsRules"][0]);
    assert_eq!(paths("cors", ours, merged), [""; 0]);
}

#[test]
fn a_configuration_for_all_objects_has_no_condition() {
    let all = json!({"metricsConfigurationList": [{"id": "all", "filter": {}}]});
    let bare = json!({"metricsConfigurationList": [{"id": "all"}]});
    assert_eq!(paths("metrics", all.clone(), bare.clone()), [""; 0]);
    assert_eq!(merged("metrics", all.clone(), json!({})), bare);
    let some = json!({"metricsConfigurationList": [{"id": "all", "filter": {"prefix": "a/"}}]});
    assert_eq!(
        paths("metrics", all.clone(), some.clone()),
        ["metricsConfigurationList[all].filter.prefix"]
    );
    assert_eq!(merged("metrics", all, some), bare);
}

#[test]
fn the_span_that_was_not_asked_for_is_no_drift() {
    let locked = |retention: serde_json::Value| json!({"rule": {"defaultRetention": retention}});
    let ours = locked(json!({"mode": "GOVERNANCE", "days": 3}));
    let theirs = locked(json!({"mode": "GOVERNANCE", "days": 3, "years": 0}));
    assert_eq!(paths("objectLock", ours.clone(), theirs), [""; 0]);
    let years = locked(json!({"mode": "GOVERNANCE", "years": 1}));
    assert_eq!(
        merged("objectLock", ours.clone(), years),
        ours,
        "days and years exclude each other"
    );
}

#[test]
fn unset_and_empty_are_the_same() {
    assert_eq!(paths("tags", json!({}), json!({})), [""; 0]);
    let kind = BucketKind::new();
    let desired = Desired::new(Value::from_json(json!({"rules": []})));
    assert_eq!(kind.compare(&"lifecycle".into(), &desired, None, ""), vec![]);
    let desired = Desired::new(Value::from_json(
        json!({"blockPublicAcls": true, "ignorePublicAcls": true}),
    ));
    let told = kind.compare(&"publicAccessBlock".into(), &desired, None, "");
    assert_eq!(told.len(), 2, "field by field");
}

#[test]
fn a_key_that_is_left_over_goes_with_kms() {
    let kms = json!({"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyID": "k"},
        "bucketKeyEnabled": true, "blockedEncryptionTypes": {"encryptionType": ["SSE-C"]}}]});
    let desired = json!({"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]});
    let merged = merged("encryption", desired.clone(), kms.clone());
    assert_eq!(
        merged,
        json!({"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"},
            "bucketKeyEnabled": true, "blockedEncryptionTypes": {"encryptionType": ["SSE-C"]}}]})
    );
    let only_kms = json!({"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]});
    assert_eq!(
        paths("encryption", only_kms, kms),
        [""; 0],
        "which key wasn't declared"
    );
}

#[test]
fn a_bucket_is_located_by_a_name_that_the_service_takes() {
    let kind = BucketKind::new();
    let locate = |name: Option<Value>| {
        kind.locate(&Locator {
            provider: &"s3".into(),
            name: name.as_ref(),
            region: Some("us-gov-west-1"),
            desired: &Value::map(),
            served: &BTreeMap::new(),
        })
    };
    let found = locate(Some(Value::from("demo"))).unwrap();
    assert_eq!(found, key("demo"));
    assert_eq!(
        kind.attributes(&found)["arn"],
        Value::from("arn:aws-us-gov:s3:::demo")
    );
    let unknown = holdfast_contract::Unknown::default();
    assert_eq!(
        locate(Some(Value::Unknown(unknown.clone()))),
        Err(NotLocated::Unknown(unknown))
    );
    assert!(matches!(locate(None), Err(NotLocated::Invalid(_))));
    assert!(matches!(
        locate(Some(Value::from("No_Good"))),
        Err(NotLocated::Invalid(_))
    ));
}

#[test]
fn the_whole_bucket_is_one_document() {
    let mut seen = observed("tags", Value::from_json(json!({"a": "b"})));
    seen.facets.insert("versioning".into(), FacetState::Unset);
    seen.facets
        .insert(ROOT_FACET.into(), FacetState::Set(Value::map()));
    let kind = BucketKind::new();
    assert_eq!(
        kind.document(&seen).to_string(),
        r#"{"arn":"arn:aws-us-gov:s3:::demo","name":"demo","region":"us-gov-west-1","tags":{"a":"b"}}"#
    );
    assert_eq!(kind.ready(&seen), Readiness::Ready);
    let denied = holdfast_contract::ProviderError::Denied {
        action: "s3:GetBucketPolicy".to_owned(),
        target: "bucket demo".to_owned(),
    };
    seen.facets
        .insert("policy".into(), FacetState::Unreadable(denied));
    assert!(matches!(kind.ready(&seen), Readiness::NotYet(_)));
}

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-zA-Z0-9 <>&\"'\u{e9}/:.\\n\\t-]{1,12}").unwrap()
}

fn content(content: &'static Content) -> BoxedStrategy<Value> {
    match content {
        Content::Text([]) | Content::Attribute => text().prop_map(Value::from).boxed(),
        Content::Text(one_of) => proptest::sample::select(*one_of).prop_map(Value::from).boxed(),
        Content::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Content::Integer => (0..100_000_i64).prop_map(Value::from).boxed(),
        Content::Date => (1..28_u8, 1..13_u8)
            .prop_map(|(day, month)| Value::from(format!("2030-{month:02}-{day:02}T00:00:00Z")))
            .boxed(),
        Content::Struct(elements) => group(elements),
        Content::Repeated(item, identity) | Content::Wrapped(_, item, identity) => {
            let keyed = matches!(identity, holdfast_contract::ListIdentity::Keyed(_));
            proptest::collection::vec(self::content(item), 1..4)
                .prop_map(move |items| {
                    let mut seen = std::collections::BTreeSet::new();
                    items
                        .into_iter()
                        .filter(|item| !keyed || item.get("id").is_some_and(|id| seen.insert(id.to_string())))
                        .collect::<Value>()
                })
                .boxed()
        }
    }
}

fn group(elements: &'static [Element]) -> BoxedStrategy<Value> {
    let fields: Vec<BoxedStrategy<Option<(String, Value)>>> = elements
        .iter()
        .map(|element| {
            let named = content(&element.content).prop_map(|value| (element.name.to_owned(), value));
            if element.required {
                named.prop_map(Some).boxed()
            } else {
                proptest::option::of(named).boxed()
            }
        })
        .collect();
    fields
        .prop_map(|fields| Value::Map(fields.into_iter().flatten().collect()))
        .boxed()
}

fn document(row: &'static Row) -> BoxedStrategy<Value> {
    match &row.document {
        Document::Xml(elements) => group(elements),
        Document::Tags => proptest::collection::btree_map(text(), text().prop_map(Value::from), 1..5)
            .prop_map(Value::Map)
            .boxed(),
        Document::Listed(list) => group(std::slice::from_ref(*list)),
        Document::Acl(_) | Document::Account(_) | Document::Policy => Just(Value::map()).boxed(),
    }
}

/// A document as the service would answer with it.
fn answered(row: &'static Row, document: &Value) -> Node {
    let Document::Listed(list) = row.document else {
        return codec::write(row, document).unwrap();
    };
    let items = document
        .get(list.name)
        .and_then(Value::as_list)
        .unwrap_or_default();
    let mut children: Vec<Node> = vec![Node::with_text("IsTruncated", "false")];
    children.extend(items.iter().map(|item| codec::write_item(list, item).unwrap()));
    Node::with_children(row.roots[0], children)
}

fn row_and_documents() -> impl Strategy<Value = (&'static Row, Value, Value)> {
    let rows: Vec<&'static Row> = table::ROWS.iter().filter(|row| row.writable()).collect();
    proptest::sample::select(rows).prop_flat_map(|row| (Just(row), document(row), document(row)))
}

proptest! {
    #[test]
    fn a_document_survives_being_written_and_read((row, document, _) in row_and_documents()) {
        prop_assume!(!matches!(row.document, Document::Policy));
        let root = answered(row, &document);
        let read = codec::read(row, &xml::parse(root.document().as_bytes()).unwrap());
        prop_assert_eq!(read, document);
    }

    #[test]
    fn what_is_laid_over_another_document_is_as_desired((row, ours, theirs) in row_and_documents()) {
        let desired = Desired::new(ours);
        let merged = merge(row, &desired, Some(&theirs));
        prop_assert_eq!(differences(row, &desired, Some(&merged)), vec![]);
        let again = merge(row, &desired, Some(&merged));
        prop_assert!(same(row, Some(&again), Some(&merged)), "laying it over twice changes something");
        let alone = merge(row, &desired, None);
        prop_assert_eq!(differences(row, &desired, Some(&alone)), vec![]);
    }

    #[test]
    fn with_exact_nothing_else_is_left((row, ours, theirs) in row_and_documents()) {
        let mut desired = Desired::new(ours.clone());
        desired.exact = vec![Path::root()];
        let merged = merge(row, &desired, Some(&theirs));
        prop_assert_eq!(differences(row, &desired, Some(&merged)), vec![]);
        prop_assert!(same(row, Some(&merged), Some(&merge(row, &Desired::new(ours), None))));
    }

    #[test]
    fn hostile_bytes_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = xml::parse(&bytes);
    }

    #[test]
    fn hostile_markup_is_an_error_and_no_panic(text in "[<>/a&;#x0-9\"'= !\\[\\]?-]{0,60}") {
        if let Ok(root) = xml::parse(text.as_bytes()) {
            for row in table::ROWS {
                let _ = codec::read(row, &root);
            }
        }
    }

    #[test]
    fn a_document_equals_itself((row, document, _) in row_and_documents()) {
        prop_assert_eq!(differences(row, &Desired::new(document.clone()), Some(&document)), vec![]);
    }
}
