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
use holdfast_e2e::{Output, Stage, on_stage, path};
use serde_json::json;

const POLICY: &str = "tests/e2e/policies/secrets";
const PARAMETER: &str = "planted-by-a-parameter";
const SOURCE: &str = "planted-in-a-fact";
const ANNOTATION: &str = "planted-in-an-annotation";
const DRIFTED: &str = "planted-by-another-hand";
const SEALED: &str = "planted-in-what-cannot-change";
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

#[test]
fn no_output_shows_a_secret() {
    on_stage(async |stage| {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "vault" } });
        stage.api.create("/api/v1/namespaces", &namespace).await;
        let annotations = json!({ "acme.example/note": ANNOTATION });
        let metadata = json!({ "name": "source", "annotations": annotations });
        make(
            stage,
            "source",
            json!({ "metadata": metadata, "stringData": { "key": SOURCE } }),
        )
        .await;
        let keys = json!({ "aws_access_key_id": "test", "aws_secret_access_key": STORE });
        make(stage, "store", json!({ "stringData": keys })).await;
        // As `kubectl apply` leaves it behind: all of it once more, in an annotation.
        let last = json!({ "kubectl.kubernetes.io/last-applied-configuration": format!("{{\"password\":\"{ANNOTATION}\"}}") });
        let metadata = json!({ "name": "own", "annotations": last });
        make(
            stage,
            "own",
            json!({ "metadata": metadata, "stringData": { "password": DRIFTED } }),
        )
        .await;
        make(
            stage,
            "sealed",
            json!({ "immutable": true, "stringData": { "password": SEALED } }),
        )
        .await;

        // Signed in by a token of the API server's own.
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
        let kubeconfig = stage
            .cluster
            .kubeconfig_with_token("vault", &token)
            .unwrap()
            .display()
            .to_string();
        let signature = token.rsplit('.').next().expect("a token has a signature");

        let planted = [
            PARAMETER,
            SOURCE,
            ANNOTATION,
            DRIFTED,
            SEALED,
            STORE,
            ENVIRONMENT,
            SESSION,
            "planted-in-a-manifest",
            signature,
        ];
        let planted = forms(&planted);
        let set = format!("password={PARAMETER}");
        let run = async |command: &[&str], log: &str| -> Output {
            let mut arguments = vec![command[0], POLICY, "--set", &set, "--kubeconfig", &kubeconfig];
            arguments.extend(&command[1..]);
            let endpoint = stage.s3.store().endpoint.clone();
            let variables = [
                ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
                ("AWS_SECRET_ACCESS_KEY", ENVIRONMENT),
                ("AWS_SESSION_TOKEN", SESSION),
                ("RUST_LOG", log),
            ];
            let output = stage.begin(&arguments, &variables).finish().await;
            shows_none(&format!("{command:?}: stdout"), &output.stdout, &planted);
            shows_none(&format!("{command:?}: stderr"), &output.stderr, &planted);
            output
        };

        let plan = run(&["plan", "--detailed-exitcode"], "trace").await.exits(2);
        assert!(plan.stderr.len() > 10_000, "a trace says a lot: {}", plan.stderr);
        assert!(plan.stdout.contains("(sensitive value)"), "{}", plan.stdout);
        drop(run(&["plan", "--output", "json"], "trace").await.exits(0));
        // The sealed one can't be changed, and the message of the server's refusal is about its data.
        let apply = run(&["apply", "--yes", "--timeout", "30s"], "trace")
            .await
            .exits(2);
        let apply = apply.says("sealed");
        assert!(
            apply.stdout.contains("Everything else is converged."),
            "{}",
            apply.stdout
        );
        drop(
            run(
                &["apply", "--yes", "--timeout", "30s", "--output", "json"],
                "trace",
            )
            .await
            .exits(2),
        );
        // From here on by the environment's credentials.
        stage.api.delete(&path("v1", "Secret", "vault", "store")).await;
        drop(run(&["plan", "--output", "json"], "trace").await.exits(0));

        // They went where they belong.
        let own = stage
            .api
            .get(&path("v1", "Secret", "vault", "own"))
            .await
            .unwrap();
        assert_eq!(own["data"]["password"], json!(STANDARD.encode(PARAMETER)));

        // What is kept: the ledger, the lease, events, and every object that isn't one of the secrets themselves.
        for kept in [
            "configmaps",
            "leases.coordination.k8s.io",
            "events",
            "veleroinstalls",
        ] {
            let get = [
                "get",
                kept,
                "--namespace",
                "holdfast-system",
                "--output",
                "json",
                "--ignore-not-found",
            ];
            shows_none(kept, &stage.kubectl(&get).await, &planted);
        }
        let all = stage
            .kubectl(&["get", "events", "--all-namespaces", "--output", "json"])
            .await;
        shows_none("an event", &all, &planted);
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
