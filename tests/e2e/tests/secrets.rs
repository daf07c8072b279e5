//! Secrets go in by every way there is, and come out by none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "tests"
)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use holdfast_e2e::{Output, STATE, Stage, on_stage, path};
use serde_json::json;

const POLICY: &str = "tests/e2e/policies/secrets";
const PARAMETER: &str = "planted-by-a-parameter";
const SOURCE: &str = "planted-in-a-fact";
const ANNOTATION: &str = "planted-in-an-annotation";
const DRIFTED: &str = "planted-by-another-hand";
const SEALED: &str = "planted-in-what-cannot-change";
const MANIFEST: &str = "planted-in-a-manifest";
const STORE: &str = "planted-as-a-stores-key";
const ENVIRONMENT: &str = "planted-in-the-environment";
const SESSION: &str = "planted-as-a-session-token";

/// Each value in every form in which it could come out.
fn forms(secrets: &[&str]) -> Vec<String> {
    secrets
        .iter()
        .flat_map(|secret| [(*secret).to_owned(), STANDARD.encode(secret)])
        .collect()
}

#[track_caller]
fn shows_none(what: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        if let Some(at) = text.find(secret) {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.ceil_char_boundary(at + 100);
            panic!("{what} shows {secret}: …{}…", &text[from..to]);
        }
    }
}

async fn make(stage: &Stage, name: &str, more: serde_json::Value) {
    let mut secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } });
    for (key, value) in more.as_object().expect("a map") {
        secret[key] = value.clone();
    }
    stage.api.delete(&path("v1", "Secret", "vault", name)).await;
    stage
        .api
        .create(&path("v1", "Secret", "vault", ""), &secret)
        .await;
}

/// Plants secrets in the cluster, and gives an administrator's kubeconfig with its token's signature.
async fn plant(stage: &Stage) -> (String, String) {
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "vault" } });
    stage.api.create("/api/v1/namespaces", &namespace).await;
    let metadata = json!({ "name": "source", "annotations": { "acme.example/note": ANNOTATION } });
    let source = json!({ "metadata": metadata, "stringData": { "key": SOURCE } });
    make(stage, "source", source).await;
    let keys = json!({ "aws_access_key_id": "test", "aws_secret_access_key": STORE });
    make(stage, "store", json!({ "stringData": keys })).await;
    // As `kubectl apply` leaves it behind: all of it once more, in an annotation.
    let last = format!("{{\"password\":\"{ANNOTATION}\"}}");
    let last = json!({ "kubectl.kubernetes.io/last-applied-configuration": last });
    let metadata = json!({ "name": "own", "annotations": last });
    let own = json!({ "metadata": metadata, "stringData": { "password": DRIFTED } });
    make(stage, "own", own).await;
    let sealed = json!({ "immutable": true, "stringData": { "password": SEALED } });
    make(stage, "sealed", sealed).await;

    // A token of the API server's own.
    stage
        .kubectl(&["create", "serviceaccount", "vault", "--namespace", "vault"])
        .await;
    let binding = [
        "create",
        "clusterrolebinding",
        "vault",
        "--clusterrole",
        "cluster-admin",
    ];
    stage
        .kubectl(&[&binding[..], &["--serviceaccount", "vault:vault"]].concat())
        .await;
    let token = stage
        .cluster
        .service_account_token("vault", "vault")
        .await
        .unwrap();
    let kubeconfig = stage.cluster.kubeconfig_with_token("vault", &token).unwrap();
    let signature = token.rsplit('.').next().expect("a token has a signature");
    (kubeconfig.display().to_string(), signature.to_owned())
}

/// One run, of whose output neither part shows anything planted.
async fn run(stage: &Stage, kubeconfig: &str, planted: &[String], command: &[&str]) -> Output {
    let set = format!("password={PARAMETER}");
    let mut arguments = vec![command[0], POLICY, "--set", &set, "--kubeconfig", kubeconfig];
    arguments.extend(&command[1..]);
    let variables = [
        ("AWS_ENDPOINT_URL_S3", stage.s3.store().endpoint.as_str()),
        ("AWS_SECRET_ACCESS_KEY", ENVIRONMENT),
        ("AWS_SESSION_TOKEN", SESSION),
        ("RUST_LOG", "trace"),
    ];
    let output = stage.begin(&arguments, &variables).finish().await;
    shows_none(&format!("{command:?}: stdout"), &output.stdout, planted);
    shows_none(&format!("{command:?}: stderr"), &output.stderr, planted);
    output
}

#[test]
fn no_output_shows_a_secret() {
    on_stage(async |stage| {
        let (kubeconfig, signature) = plant(stage).await;
        let planted = forms(&[
            PARAMETER,
            SOURCE,
            ANNOTATION,
            DRIFTED,
            SEALED,
            STORE,
            ENVIRONMENT,
            SESSION,
            MANIFEST,
            &signature,
        ]);
        let run = async |command: &[&str]| run(stage, &kubeconfig, &planted, command).await;

        let plan = run(&["plan", "--detailed-exitcode"]).await.exits(2);
        assert!(plan.stderr.len() > 10_000, "a trace says a lot: {}", plan.stderr);
        assert!(plan.stdout.contains("(sensitive value)"), "{}", plan.stdout);
        drop(run(&["plan", "--output", "json"]).await.exits(0));
        // The sealed one can't be changed, and the message of the server's refusal is about its data.
        let apply = run(&["apply", "--yes", "--timeout", "30s"]).await.exits(2);
        let apply = apply.says("sealed");
        assert!(
            apply.stdout.contains("Everything else is converged."),
            "{}",
            apply.stdout
        );
        let json = run(&["apply", "--yes", "--timeout", "30s", "--output", "json"]).await;
        drop(json.exits(2));
        // From here on by the environment's credentials.
        stage.api.delete(&path("v1", "Secret", "vault", "store")).await;
        drop(run(&["plan", "--output", "json"]).await.exits(0));

        // They went where they belong.
        let own = stage
            .api
            .get(&path("v1", "Secret", "vault", "own"))
            .await
            .unwrap();
        assert_eq!(own["data"]["password"], json!(STANDARD.encode(PARAMETER)));

        // What is kept: the ledger, the lease, and what the program says of itself.
        for kept in ["configmaps", "leases.coordination.k8s.io"] {
            let get = ["get", kept, "--namespace", STATE, "--output", "json"];
            let all = stage.kubectl(&get).await;
            assert!(all.contains("holdfast.dev/policy"), "nothing is kept: {all}");
            shows_none(kept, &all, &planted);
        }
        let events = ["get", "events", "--all-namespaces", "--output", "json"];
        shows_none("an event", &stage.kubectl(&events).await, &planted);
        let requests: Vec<_> = stage
            .s3
            .requests()
            .iter()
            .map(|request| format!("{request:?}"))
            .collect();
        assert!(!requests.is_empty());
        // What signs a request is never part of it; only the token is, in a header that the log leaves out.
        shows_none("a request to the store", &requests.concat(), &planted);
    });
}

#[test]
fn a_wrong_value_of_a_sensitive_parameter_is_refused_without_showing_it() {
    on_stage(async |stage| {
        let values = stage.home().join("values.yaml");
        std::fs::write(&values, format!("password: [ {PARAMETER} ]\n")).unwrap();
        let values = values.display().to_string();
        let plan = stage
            .holdfast(&["plan", POLICY, "--values", &values])
            .await
            .exits(3);
        shows_none("stdout", &plan.stdout, &forms(&[PARAMETER]));
        shows_none("stderr", &plan.stderr, &forms(&[PARAMETER]));
        assert!(plan.stderr.contains("password"), "{}", plan.stderr);
    });
}
