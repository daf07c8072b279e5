//! The sandbox: what is there at the start, who reacts, and the file that a person edits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{bucket, object, open, world};
use holdfast_contract::{
    Action, ApiType, Desired, Facet, Fidelity, Guard, Kind, Observation, PolicyId, Provider, ProviderError,
    ResourceKey, Scope, Served, StateStore, Value, Wanted, Write,
};
use holdfast_kubernetes::ObjectKind;
use holdfast_memory::World;
use holdfast_s3::BucketKind;
use serde_json::json;

const MANAGER: &str = "holdfast:holdfast-system/test";

const SANDBOX: &str = r#"
cluster: { uid: 11111111-2222-3333-4444-555555555555 }
objects:
  - apiVersion: config.openshift.io/v1
    kind: Infrastructure
    metadata: { name: cluster }
    status: { infrastructureName: demo-x7k2p }
  - apiVersion: apps/v1
    kind: Deployment
    metadata: { name: velero, namespace: openshift-velero }
    spec: { replicas: 1 }
buckets:
  taken: { region: eu-west-1, account: "999988887777" }
  backups: { region: us-east-2, content: 2, tags: { owner: velero } }
reactions:
  - on: { apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition }
    set:
      status:
        conditions: [ { type: Established, status: "True" }, { type: NamesAccepted, status: "True" } ]
  - on: { apiVersion: apps/v1, kind: Deployment }
    set: { status: { observedGeneration: "${self.metadata.generation}", replicas: "${self.spec.replicas}" } }
  - on: { kind: CredentialsRequest }
    create:
      - apiVersion: v1
        kind: Secret
        metadata: { name: "${self.spec.secretRef.name}", namespace: "${self.spec.secretRef.namespace}" }
        stringData: { aws_access_key_id: hunter2 }
    set: { status: { provisioned: true } }
"#;

const DEFINITION: &str = r#"
{ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
  "metadata": { "name": "credentialsrequests.cloudcredential.openshift.io" },
  "spec": { "group": "cloudcredential.openshift.io", "scope": "Namespaced",
    "names": { "kind": "CredentialsRequest", "plural": "credentialsrequests" },
    "versions": [ { "name": "v1", "served": true, "storage": true } ] } }
"#;

fn deployment() -> ResourceKey {
    object("apps/v1", "Deployment", Some("openshift-velero"), "velero")
}

fn definition() -> ResourceKey {
    let name = "credentialsrequests.cloudcredential.openshift.io";
    object("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, name)
}

fn request() -> ResourceKey {
    let api_version = "cloudcredential.openshift.io/v1";
    object(
        api_version,
        "CredentialsRequest",
        Some("openshift-velero"),
        "velero",
    )
}

async fn create(
    provider: &dyn Provider,
    key: &ResourceKey,
    document: serde_json::Value,
) -> Result<(), ProviderError> {
    let document = Value::from_json(document);
    let facets = match key.api {
        Some(_) => ObjectKind::new().split(document),
        None => BucketKind::new().split(document),
    };
    let facets = facets
        .into_iter()
        .map(|(facet, value)| (facet, Desired::new(value)))
        .collect();
    let write = Write {
        key: key.clone(),
        action: Action::Create { facets },
        guard: Guard::Absent,
        manager: MANAGER.to_owned(),
        force: false,
    };
    provider.write(&write).await.map(|_| ())
}

async fn observe(provider: &dyn Provider, key: &ResourceKey) -> Result<Observation, ProviderError> {
    let wanted = Wanted {
        key: key.clone(),
        facets: ["object", "status", "tags"].map(Facet::from).into(),
    };
    provider.observe(&[wanted]).await.remove(0)
}

fn status(world: &World, key: &ResourceKey) -> String {
    world
        .facet(key, &"status".into())
        .map_or_else(|| "none".to_owned(), |status| status.to_string())
}

#[tokio::test]
async fn what_the_sandbox_lists_is_there_and_reacted_on() {
    let world = world();
    world.load_sandbox(SANDBOX, "sandbox.yaml").unwrap();
    assert_eq!(
        world.names(),
        [
            "Namespace default",
            "Namespace kube-node-lease",
            "Namespace kube-public",
            "Namespace kube-system",
            "Namespace openshift-velero",
            "apps/Deployment openshift-velero/velero",
            "config.openshift.io/Infrastructure cluster",
            "s3/Bucket backups",
            "s3/Bucket taken",
        ]
    );
    assert_eq!(
        status(&world, &deployment()),
        r#"{"observedGeneration":1,"replicas":1}"#
    );
    let cluster = world.cluster().await.unwrap();
    assert_eq!(cluster.as_deref(), Some("11111111-2222-3333-4444-555555555555"));
    let edit = |document: &mut Value| {
        *document = Value::from_json(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": document.get("metadata").unwrap().expose_json(), "spec": {"replicas": 3}}));
    };
    world.edit(&deployment(), &"object".into(), edit).unwrap();
    assert_eq!(
        status(&world, &deployment()),
        r#"{"observedGeneration":2,"replicas":3}"#
    );
}

#[tokio::test]
async fn a_type_is_served_from_when_its_definition_is_established_until_that_goes() {
    let world = world();
    let provider = open(&world, "kubernetes", "kubernetes", None).await;
    let api = request().api.unwrap();
    let apis = [api.clone(), ApiType::new("v1", "Namespace")];
    let served = async || provider.served(&apis, true).await.unwrap();
    assert_eq!(served().await[&api], Served::No);
    assert_eq!(served().await[&apis[1]], Served::Yes(Scope::Cluster));

    // Without anybody who establishes it, it stays as good as absent.
    create(
        provider.as_ref(),
        &definition(),
        serde_json::from_str(DEFINITION).unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(served().await[&api], Served::No);
    let error = observe(provider.as_ref(), &request()).await.unwrap_err();
    assert!(matches!(error, ProviderError::NotServed { .. }), "{error}");

    world.delete(&definition()).unwrap();
    world.load_sandbox(SANDBOX, "sandbox.yaml").unwrap();
    create(
        provider.as_ref(),
        &definition(),
        serde_json::from_str(DEFINITION).unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(served().await[&api], Served::Yes(Scope::Namespaced));
    let document = json!({"apiVersion": "cloudcredential.openshift.io/v1", "kind": "CredentialsRequest",
        "metadata": {"name": "velero", "namespace": "openshift-velero"},
        "spec": {"secretRef": {"name": "keys", "namespace": "openshift-velero"}}});
    create(provider.as_ref(), &request(), document).await.unwrap();
    assert_eq!(status(&world, &request()), r#"{"provisioned":true}"#);
    let keys = object("v1", "Secret", Some("openshift-velero"), "keys");
    let secret = world.document(&keys).unwrap();
    assert_eq!(
        secret.get("data").unwrap().to_string(),
        r#"{"aws_access_key_id":"(sensitive value)"}"#
    );

    world.delete(&definition()).unwrap();
    assert_eq!(served().await[&api], Served::No);
    assert!(world.document(&request()).is_none(), "its objects go with it");
    assert!(world.document(&keys).is_some());
}

#[tokio::test]
async fn an_object_needs_its_namespace_and_goes_with_it() {
    let world = world();
    let provider = open(&world, "kubernetes", "kubernetes", None).await;
    let key = object("v1", "ConfigMap", Some("shop"), "settings");
    let document = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"}});
    let error = create(provider.as_ref(), &key, document.clone())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "ConfigMap shop/settings refused: namespaces \"shop\" not found"
    );
    let namespace = object("v1", "Namespace", None, "shop");
    let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    create(provider.as_ref(), &namespace, made).await.unwrap();
    create(provider.as_ref(), &key, document).await.unwrap();
    let observed = observe(provider.as_ref(), &namespace).await.unwrap();
    let ready = ObjectKind::new().ready(observed.present().unwrap());
    assert_eq!(ready, holdfast_contract::Readiness::Ready);
    world.delete(&namespace).unwrap();
    assert!(matches!(
        observe(provider.as_ref(), &key).await,
        Ok(Observation::Absent)
    ));
}

#[tokio::test]
async fn a_buckets_name_is_taken_everywhere_and_an_other_accounts_bucket_is_foreign() {
    let world = world();
    world.load_sandbox(SANDBOX, "sandbox.yaml").unwrap();
    let ours = open(&world, "s3", "s3", None).await;
    let theirs = open(&world, "s3", "theirs", Some("999988887777")).await;
    assert_eq!(ours.account().await.unwrap().as_deref(), Some("111122223333"));
    let error = create(ours.as_ref(), &bucket("taken"), json!({}))
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Foreign { .. }), "{error}");
    let error = observe(ours.as_ref(), &bucket("taken")).await.unwrap_err();
    assert!(matches!(error, ProviderError::Foreign { .. }), "{error}");
    let error = create(theirs.as_ref(), &bucket("taken"), json!({}))
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Conflict { .. }), "{error}");
    // It answers with where it lies, whatever region was asked for.
    let seen = observe(theirs.as_ref(), &bucket("taken")).await.unwrap();
    assert_eq!(seen.present().unwrap().key.region.as_deref(), Some("eu-west-1"));
}

#[tokio::test]
async fn the_state_file_comes_back_as_it_was_and_shows_what_was_edited() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.yaml");
    let policy = PolicyId {
        namespace: "holdfast-system".to_owned(),
        name: "velero".to_owned(),
    };
    let key = object("v1", "Secret", Some("openshift-velero"), "keys");
    let before = {
        let world = world();
        world.load_sandbox(SANDBOX, "sandbox.yaml").unwrap();
        world.keep_in(&path).unwrap();
        assert!(!path.exists(), "nothing was changed yet");
        let provider = open(&world, "kubernetes", "kubernetes", None).await;
        let document = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "openshift-velero"},
            "data": {"key": "aHVudGVyMg==", "quoted": "on"}});
        create(provider.as_ref(), &key, document).await.unwrap();
        let entries = BTreeMap::from([("bucket".to_owned(), "backups-1".to_owned())]);
        world.save(&policy, &entries, None).await.unwrap();
        observe(provider.as_ref(), &key)
            .await
            .unwrap()
            .present()
            .unwrap()
            .clone()
    };
    let text = fs::read_to_string(&path).unwrap();
    insta::assert_snapshot!("state_file", text);

    let reopened = || {
        let world = world();
        world.load_sandbox(SANDBOX, "sandbox.yaml").unwrap();
        world.keep_in(&path).unwrap();
        world
    };
    let world = reopened();
    let provider = open(&world, "kubernetes", "kubernetes", None).await;
    let again = observe(provider.as_ref(), &key)
        .await
        .unwrap()
        .present()
        .unwrap()
        .clone();
    assert_eq!(again.version, before.version);
    assert_eq!(again.uid, before.uid);
    assert_eq!(again.value(&"object".into()), before.value(&"object".into()));
    assert_eq!(
        world.load(&policy).await.unwrap().unwrap().entries["bucket"],
        "backups-1"
    );
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        text,
        "reading leaves it as it is"
    );

    fs::write(&path, text.replace("aHVudGVyMg==", "ZHJpZnRlZA==")).unwrap();
    let world = reopened();
    let provider = open(&world, "kubernetes", "kubernetes", None).await;
    let edited = observe(provider.as_ref(), &key)
        .await
        .unwrap()
        .present()
        .unwrap()
        .clone();
    assert_ne!(
        edited.version, before.version,
        "a plan made before the edit is stale"
    );
    assert_eq!(edited.uid, before.uid);
    assert_ne!(edited.value(&"object".into()), before.value(&"object".into()));
}

#[tokio::test]
async fn a_state_file_that_was_edited_meanwhile_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.yaml");
    let world = world();
    world.keep_in(&path).unwrap();
    let provider = open(&world, "s3", "s3", None).await;
    create(provider.as_ref(), &bucket("first"), json!({}))
        .await
        .unwrap();
    fs::write(&path, "buckets: {}\n").unwrap();
    let error = create(provider.as_ref(), &bucket("second"), json!({}))
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    assert!(
        error.to_string().contains("was edited while it was in use"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "buckets: {}\n");
}

#[cfg(unix)]
#[tokio::test]
async fn the_state_file_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.yaml");
    let world = world();
    world.keep_in(&path).unwrap();
    let provider = open(&world, "s3", "s3", None).await;
    create(provider.as_ref(), &bucket("first"), json!({}))
        .await
        .unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn a_fault_in_the_file_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.yaml");
    let cases = [
        ("objects:\n  - {apiVersion: v1", "2:5: "),
        ("objects: []\nbukets: {}\n", "2:1: unknown field `bukets`"),
        (
            "objects:\n  - apiVersion: v1\n    kind: Secret\n",
            "2:5: an object needs `metadata.name`",
        ),
        (
            "objects:\n  - { apiVersion: v1, kind: Namespace, metadata: { name: a } }\n  - { apiVersion: v1, kind: Namespace, metadata: { name: a } }\n",
            "3:5: this object is listed twice",
        ),
        (
            "objects:\n  - { apiVersion: v1, kind: Secret, metadata: { name: a } }\n",
            "2:5: a Secret needs `metadata.namespace`",
        ),
        (
            "buckets:\n  backups: { tag: { a: b } }\n",
            "2:12: `tag` is no facet of s3/Bucket",
        ),
        (
            "buckets:\n  backups: { content: many }\n",
            "2:12: `content` is the number of objects in it",
        ),
        ("buckets:\n  a: {}\n  a: {}\n", "3:3: "),
    ];
    for (text, expected) in cases {
        fs::write(&path, text).unwrap();
        let error = world().keep_in(&path).unwrap_err().to_string();
        let expected = format!("{}:{expected}", path.display());
        assert!(
            error.starts_with(&expected),
            "{error}\nshould start with\n{expected}"
        );
    }
}

#[test]
fn a_sandbox_that_is_an_error_changes_nothing() {
    let world = world();
    let before = world.names();
    let text = "objects:\n  - { apiVersion: v1, kind: Namespace, metadata: { name: a } }\n  - {}\n";
    assert!(world.load_sandbox(text, "sandbox.yaml").is_err());
    assert_eq!(world.names(), before);
}

#[test]
fn every_sandbox_of_the_repository_is_one() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = 0;
    for folder in ["examples", "policies"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path().join("sandbox.yaml");
            if path.exists() {
                let text = fs::read_to_string(&path).unwrap();
                world().load_sandbox(&text, &path.display().to_string()).unwrap();
                found += 1;
            }
        }
    }
    assert!(found > 0);
}

#[tokio::test]
async fn a_preview_that_the_server_would_refuse_is_only_predicted() {
    let world = world();
    let provider = open(&world, "kubernetes", "kubernetes", None).await;
    let fidelity = async |namespace: &str| {
        let document = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}});
        let facets = BTreeMap::from([(Facet::from("object"), Desired::new(Value::from_json(document)))]);
        let write = Write {
            key: object("v1", "ConfigMap", Some(namespace), "a"),
            action: Action::Create { facets },
            guard: Guard::Absent,
            manager: MANAGER.to_owned(),
            force: false,
        };
        provider.preview(&write).await.unwrap().fidelity
    };
    assert_eq!(fidelity("default").await, Fidelity::ServerVerified);
    assert_eq!(fidelity("missing").await, Fidelity::Predicted);
}
