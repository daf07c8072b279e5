//! Whole policies are valid, and say what they should; folders, files and texts are read alike.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use holdfast_policy::{
    AdoptBy, Allowance, Code, Loaded, Mode, Name, ProviderReference, ValidPolicy, Verb, json_schema, load,
    load_text, render, validate,
};

fn valid(loaded: &Loaded) -> ValidPolicy {
    validate(loaded, &support::registry()).unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)))
}

fn policy(name: &str) -> ValidPolicy {
    let path = Path::new("tests/policies").join(name);
    let loaded = load(&path).unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)));
    assert_eq!(loaded.len(), 1);
    valid(&loaded[0])
}

fn texts(set: &BTreeSet<String>) -> Vec<&str> {
    set.iter().map(String::as_str).collect()
}

#[test]
fn managed_velero_says_what_it_should() {
    let policy = policy("managed-velero");
    assert_eq!(policy.id.to_string(), "holdfast-system/managed-velero");
    assert_eq!(
        (policy.mode, policy.interval),
        (Mode::Enforce, Duration::from_mins(5))
    );
    let notes: Vec<String> = policy
        .warnings
        .iter()
        .map(|note| format!("{} {}", note.code, note.message))
        .collect();
    assert_eq!(
        notes,
        [
            "HF0601 the provider gcs isn't there yet",
            "HF0601 gcs/Bucket comes with its provider, which isn't there yet"
        ]
    );
    let bucket = &policy.rules["bucket"];
    assert_eq!(bucket.variants.len(), 2);
    let aws = &bucket.variants[0];
    assert_eq!(aws.verb, Verb::Ensure);
    assert_eq!(aws.adopt.as_ref().unwrap().by, AdoptBy::Tags);
    let Some(Name::Generate {
        prefix,
        record: Some(record),
    }) = &aws.name
    else {
        panic!("{:?}", aws.name);
    };
    assert_eq!(prefix.literal(), Some("managed-velero-backups-"));
    assert_eq!(
        (record.rule.as_str(), record.path.to_string().as_str()),
        ("install", "status.storageBucket.name")
    );
    assert_eq!(
        aws.require[0]
            .facets
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["lifecycle"]
    );
    // Three documents of a file and its list, and those of the templates.
    assert_eq!(policy.rules["crds"].variants[0].documents.len(), 3);
    assert_eq!(policy.rules["access"].variants[0].documents.len(), 2);
    let stamp = &policy.rules["install"].variants[0].stamp[0];
    assert_eq!(
        stamp.path.singular().unwrap().to_string(),
        "status.storageBucket.lastSyncTimestamp"
    );
    let names: Vec<&str> = policy
        .variables
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    assert!(
        names.iter().position(|name| *name == "region") < names.iter().position(|name| *name == "partition")
    );
    assert_eq!(
        texts(&policy.facts_behind(&policy.rules["bucket"].own_references())),
        ["cluster"]
    );
}

#[test]
fn a_manifest_is_taken_as_it_is_and_a_template_is_not() {
    let policy = policy("managed-velero");
    let crd = &policy.rules["crds"].variants[0].documents[0].tree;
    let literal = crd
        .get("metadata")
        .unwrap()
        .get("annotations")
        .unwrap()
        .get("example")
        .unwrap();
    assert!(
        matches!(&literal.node, holdfast_policy::TreeNode::Literal(value) if value.to_string() == "a literal ${ stays")
    );
    let account = &policy.rules["access"].variants[0].documents[0].tree;
    let namespace = account.get("metadata").unwrap().get("namespace").unwrap();
    assert!(matches!(namespace.node, holdfast_policy::TreeNode::Template(_)));
    assert_eq!(
        account.place.file.as_ref(),
        "tests/policies/managed-velero/objects/rbac.yaml"
    );
}

#[test]
fn the_parts_that_a_rule_looks_at_are_known() {
    let policy = policy("mixed");
    let audit = &policy.rules["audit"].variants[0];
    assert_eq!(audit.verb, Verb::Observe);
    assert_eq!(
        texts(&audit.observed_facets().unwrap()),
        ["encryption", "name", "versioning"]
    );
    assert!(
        matches!(&audit.provider, Some(ProviderReference::Named(name)) if name.literal() == Some("use1"))
    );
    let logs = &policy.rules["logs"].variants[0];
    assert!(!logs.create);
    assert_eq!(logs.allow, [Allowance::EnableObjectLock].into());
    assert_eq!(logs.absent[0].leading_names(), ["lifecycle", "rules"]);
    let used = policy.rules["primary"].variants[0].document_references();
    let used: Vec<_> = used
        .iter()
        .map(|(field, used)| (field.as_deref(), used.root.as_str(), used.name()))
        .collect();
    assert!(
        used.contains(&(Some("replication"), "rules", Some("replica"))),
        "{used:?}"
    );
}

#[test]
fn only_what_expressions_name_is_read_of_a_listed_bucket() {
    assert_eq!(texts(&policy("fleet").facts["buckets"].read), ["tags"]);
    assert_eq!(texts(&policy("mixed").facts["buckets"].read), Vec::<&str>::new());
}

#[test]
fn inline_providers_and_instances_are_kept() {
    let policy = policy("velero");
    let bucket = &policy.rules["bucket"];
    assert!(bucket.for_each.is_some() && bucket.key_expression.is_some() && bucket.when.is_some());
    let Some(ProviderReference::Inline(provider)) = &bucket.variants[0].provider else {
        panic!("{:?}", bucket.variants[0].provider);
    };
    assert_eq!(provider.provider_type, "s3");
    assert!(provider.credentials.is_some());
    assert_eq!(policy.rules["location"].after[0].rule, "bucket");
    assert!(policy.rules["location"].after[0].instance.is_some());
    assert_eq!(policy.rules["schedule"].references().len(), 6);
}

#[test]
fn guardrails_and_fleet_are_valid() {
    assert_eq!(policy("guardrails").rules["guard"].variants[0].documents.len(), 3);
    assert_eq!(
        policy("guardrails").rules["noAllowAll"].variants[0].verb,
        Verb::Forbid
    );
    assert!(policy("fleet").rules["secure"].variants[0].mode.is_some());
}

#[test]
fn a_fact_comes_after_the_facts_that_its_place_is_made_of() {
    let text = "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: { name: x }\nspec:\n  language: 1\n  facts:\n    \
                cluster: { object: { apiVersion: v1, kind: ConfigMap, namespace: x, name: y }, select: { region: $.data.region } }\n    \
                buckets: { list: { kind: s3/Bucket, namePrefix: \"${variables.prefix}\" } }\n    \
                free: { list: { apiVersion: v1, kind: Pod } }\n  variables: { prefix: x, region: \"${facts.cluster.region}\" }\n  \
                providers: { s3: { region: \"${variables.region}\" } }\n";
    let policy = valid(&load_text("p", text));
    assert_eq!(texts(&policy.facts["buckets"].after), ["cluster"]);
    assert!(policy.facts["free"].after.is_empty());
}

#[test]
fn a_policy_without_a_folder_carries_its_files() {
    let text = "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: { name: x, namespace: acme, uid: abc, creationTimestamp: null }\nspec:\n  language: 1\n  files:\n    \
                a/one.yaml: |\n      apiVersion: v1\n      kind: Pod\n      metadata: { name: one }\n    \
                a/two.yaml: |\n      apiVersion: v1\n      kind: Pod\n      metadata: { nam: two }\n  \
                rules: { pods: { ensure: kubernetes/Object, templates: [ a/*.yaml ] } }\nstatus: {}\n";
    let faults = validate(&load_text("p", text), &support::registry()).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "p spec.files[\"a/two.yaml\"]:1:1: an object needs its `metadata.name`"
    );
    let policy = valid(&load_text("p", &text.replace("nam: two", "name: two")));
    assert_eq!(policy.rules["pods"].variants[0].documents.len(), 2);
    assert_eq!(policy.id.to_string(), "acme/x");
    let missing = validate(
        &load_text("p", &text.replace("a/*.yaml ]", "b.yaml ]")),
        &support::registry(),
    );
    assert_eq!(missing.unwrap_err().items()[0].code, Code::FileMissing);
}

#[test]
fn a_folder_of_policies_is_read_in_order_of_path() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| {
        format!(
            "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: {name} }}\nspec: {{ language: 1 }}\n"
        )
    };
    std::fs::create_dir(folder.path().join("c")).unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("c/policy.yaml"), text("three")).unwrap();
    std::fs::write(folder.path().join("b.yml"), text("two")).unwrap();
    std::fs::write(folder.path().join("a.yaml"), text("one")).unwrap();
    std::fs::write(folder.path().join("values.yaml"), "not: a policy\n").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "nothing\n").unwrap();
    let names: Vec<String> = load(folder.path())
        .unwrap()
        .iter()
        .map(|loaded| valid(loaded).id.name)
        .collect();
    assert_eq!(names, ["one", "two", "three"]);
    let one = load(&folder.path().join("a.yaml")).unwrap();
    assert_eq!(valid(&one[0]).id.name, "one");
    let none = load(&folder.path().join("nothing.yaml")).unwrap_err();
    assert_eq!(none.items()[0].code, Code::FileMissing);
}

#[test]
fn what_is_not_text_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    let faults = load(folder.path()).unwrap_err();
    assert_eq!(faults.items()[0].code, Code::FileUnreadable);
    assert!(
        faults.to_string().ends_with("can't be read: it isn't UTF-8 text"),
        "{faults}"
    );
}

#[test]
fn the_same_text_gives_the_same_faults() {
    let folder = Path::new("tests/faults/unknown_references");
    let said = || {
        render(
            &validate(&load(folder).unwrap()[0], &support::registry()).unwrap_err(),
            80,
            true,
        )
    };
    assert_eq!(said(), said());
    assert!(said().contains("\u{1b}["), "colour was asked for");
}

#[test]
fn the_schema_for_editors_knows_the_kinds_and_their_fields() {
    let schema = json_schema(&support::registry());
    let bucket = schema
        .pointer("/definitions/s3~1Bucket/anyOf/0/properties/encryption")
        .unwrap();
    assert!(bucket.to_string().contains("sseAlgorithm"));
    let kinds = schema
        .pointer("/definitions/rule/properties/ensure/enum")
        .unwrap();
    assert_eq!(
        kinds.to_string(),
        r#"["gcs/Bucket","kubernetes/Object","s3/Bucket"]"#
    );
    assert!(
        schema
            .pointer("/definitions/provider/properties/pathStyle")
            .is_some()
    );
    let spec = schema.pointer("/properties/spec/properties").unwrap();
    assert!(spec.get("rules").is_some() && spec.get("ruels").is_none());
}
