//! Signing in to a store by a token of the Pod, as clusters want it that hand out no keys.

use std::collections::BTreeSet;
use std::path::Path;

use holdfast_e2e::{NAMESPACE, Release, Stage, on_stage, path, until};
use serde_json::json;

const ROLE: &str = "arn:aws:iam::000000000000:role/holdfast";

/// What the token service was asked for, and the ids of the keys that it gave out.
fn exchanges(stage: &Stage) -> (Vec<String>, BTreeSet<String>) {
    let requests = stage.s3.requests();
    let exchanges = requests
        .iter()
        .filter(|request| request.method == "POST" && request.path == "/");
    exchanges
        .map(|request| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let answer = text(&request.answer);
            let (_, id) = answer.split_once("<AccessKeyId>").unwrap_or_default();
            let id = id.split('<').next().unwrap_or_default().to_owned();
            (text(&request.body), id)
        })
        .unzip()
}

/// The ids of the keys that requests to the store were signed with.
fn signers(stage: &Stage) -> BTreeSet<String> {
    let requests = stage.s3.requests();
    requests
        .iter()
        .filter(|request| request.method != "POST")
        .filter_map(|request| request.key_id.clone())
        .collect()
}

/// A token of the account `holdfast` for others than the API server, in a file.
async fn token(stage: &Stage, file: &Path) -> String {
    let place = ["--namespace", "holdfast-system", "--audience", "openshift"];
    let token = stage
        .kubectl(&[&["create", "token", "holdfast"], &place[..]].concat())
        .await;
    std::fs::write(file, &token).unwrap();
    token.trim().to_owned()
}

#[test]
fn with_the_charts_role_managed_velero_signs_in_by_the_pods_token_and_holds_no_key() {
    on_stage(async |stage| {
        let bucket = stage.converged().await;
        let release = Release { stage };
        let role = format!("policies.managed-velero.roleArn={ROLE}");
        // Nobody answers requests for credentials here; Velero's account is made by the policy that has converged.
        let values = [
            &role,
            "policies.managed-velero.credentialsRequest.enabled=false",
            "policies.managed-velero.velero=false",
        ];
        release.upgrade(&values).await;
        let file = stage.home().join("token");
        let first = token(stage, &file).await;
        stage.s3.clear();
        let variables = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.display().to_string()),
            ("AWS_ENDPOINT_URL_STS", stage.s3.store().endpoint.clone()),
        ];
        let enforcer = release.start(&variables).await;
        release.is("managed-velero", "Converged").await;
        stage.store().unset(&bucket, "publicAccessBlock").await;
        release.look("managed-velero", "drift").await;
        release.is("managed-velero", "Converged").await;
        until("the bucket is private again", async || {
            let block = stage.store().read(&bucket, "publicAccessBlock").await;
            block.matches("true").count() == 4
        })
        .await;
        let (asked, keys) = exchanges(stage);
        assert_eq!(asked.len(), 1, "a token is exchanged once, not for each request");
        assert!(
            asked[0].contains("role%2Fholdfast") && asked[0].contains(&first),
            "{asked:?}"
        );
        assert_eq!(signers(stage), keys, "every request is signed by the role's keys");

        // As the cluster's operator for credentials writes it, where there is one. The token has been renewed since.
        let second = token(stage, &file).await;
        let profile = format!(
            "[default]\nsts_regional_endpoints = regional\nrole_arn = {ROLE}-2\nweb_identity_token_file = {}\n",
            file.display()
        );
        let secret = json!({ "metadata": { "name": "holdfast-iam-credentials" }, "stringData": { "credentials": profile } });
        stage.s3.clear();
        let secrets = path("v1", "Secret", NAMESPACE, "");
        stage.api.create(secrets.trim_end_matches('/'), &secret).await;
        until("the Secret's role is taken on", async || {
            let (asked, _) = exchanges(stage);
            asked
                .iter()
                .any(|body| body.contains("role%2Fholdfast-2") && body.contains(&second))
        })
        .await;
        release.look("managed-velero", "secret").await;
        release.is("managed-velero", "Converged").await;
        let log = enforcer.log();
        for secret in [&first, &second] {
            assert!(!log.contains(secret.as_str()), "a token is in the log");
        }

        let ended = enforcer.end().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        release.uninstall().await;
        let secret = path("v1", "Secret", NAMESPACE, "holdfast-iam-credentials");
        stage.api.delete(&secret).await;
    });
}
