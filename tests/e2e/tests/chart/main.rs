//! The Helm chart: what it renders, and what a cluster makes of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests"
)]

mod install;
mod values;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use holdfast_e2e::{STATE, binary, root};
use holdfast_testbed::{helm, kubernetes_validate};
use serde_json::{Value, json};

const CUSTOM: [&str; 4] = ["CredentialsRequest", "Policy", "PrometheusRule", "ServiceMonitor"];
const EVERYTHING: [&str; 15] = [
    "policies.managed-velero.enabled=true",
    "policies.managed-velero.parameters.expiryDays=30",
    "serviceMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "dashboard.enabled=true",
    "priorityClassName=system-cluster-critical",
    "trustedCa.configMap=ca",
    "cloudToken.enabled=true",
    "impersonateIn={team-a,team-b}",
    "policyNamespaces={team-a}",
    "ambientCredentials={holdfast-system/managed-velero}",
    "labels.team=platform",
    "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring",
    "imagePullSecrets[0].name=pull",
    "extraEnv[0].name=HTTPS_PROXY",
];
const OPENSHIFT: [&str; 2] = ["openshift=true", "policies.managed-velero.enabled=true"];
const TOKEN: [&str; 3] = [
    OPENSHIFT[0],
    OPENSHIFT[1],
    "policies.managed-velero.roleArn=arn:aws:iam::111122223333:role/holdfast",
];
const MINIMAL: [&str; 5] = [
    "replicas=1",
    "networkPolicy.enabled=false",
    "defaultAccount=false",
    "release.enabled=false",
    "maxUnavailable=null",
];

/// The sets of values that are rendered, by name.
fn sets() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("plain", vec![]),
        ("openshift", OPENSHIFT.to_vec()),
        ("token", TOKEN.to_vec()),
        ("everything", EVERYTHING.to_vec()),
        ("minimal", MINIMAL.to_vec()),
        ("many", vec!["replicas=5", "maxUnavailable=40%"]),
        ("velero", vec!["policies.managed-velero.enabled=true"]),
    ]
}

fn chart() -> PathBuf {
    root().join("charts/holdfast")
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

async fn text(values: &[&str]) -> String {
    let chart = chart();
    let mut arguments = vec![
        "template",
        "holdfast",
        chart.to_str().unwrap(),
        "--namespace",
        STATE,
    ];
    arguments.extend(values.iter().flat_map(|value| ["--set", value]));
    helm(None, &arguments).await.unwrap()
}

async fn rendered(values: &[&str]) -> Vec<Value> {
    documents(&text(values).await)
}

/// The documents of what Helm has rendered.
fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect()
}

fn of<'d>(documents: &'d [Value], kind: &str, name: &str) -> &'d Value {
    let found = documents
        .iter()
        .find(|document| document["kind"] == kind && document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn pod(documents: &[Value]) -> &Value {
    &of(documents, "Deployment", "holdfast")["spec"]["template"]["spec"]
}

#[test]
fn what_of_the_chart_follows_from_something_else_is_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("holdfast");
    let run = |program: &Path, arguments: &[&Path]| {
        let output = std::process::Command::new(program)
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    run(Path::new("cp"), &[Path::new("-r"), &chart(), &copy]);
    std::fs::remove_dir_all(copy.join("files/managed-velero")).unwrap();
    run(&root().join("charts/generate"), &[binary(), &copy]);
    for file in [
        "README.md",
        "files/managed-velero/policy.yaml",
        "files/managed-velero/rbac.yaml",
        "files/managed-velero/iam.json",
    ] {
        let read = |folder: &Path| std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(
            read(&chart()) == read(&copy),
            "{file} isn't up to date: make chart"
        );
    }
}

#[test]
fn helm_finds_nothing_to_say_against_it() {
    run(async {
        for (name, values) in sets() {
            let chart = chart();
            let mut arguments = vec!["lint", "--strict", chart.to_str().unwrap()];
            arguments.extend(values.iter().flat_map(|value| ["--set", value]));
            let said = helm(None, &arguments)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(said.contains("0 chart(s) failed"), "{name}: {said}");
        }
    });
}

#[test]
fn every_supported_kubernetes_takes_what_it_renders() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        for (name, values) in sets() {
            let file = folder.path().join(name);
            std::fs::write(&file, text(&values).await).unwrap();
            for version in ["1.28", "1.31", "1.34", "1.37"] {
                let said = kubernetes_validate(version, &file).await;
                let said = said.unwrap_or_else(|error| panic!("{name}, {version}: {error}"));
                let passed = said.lines().filter(|line| line.contains(" passed for resource "));
                assert!(passed.count() >= 8, "{name}, {version}: {said}");
                for warning in said.lines().filter(|line| line.starts_with("WARN")) {
                    let is_custom = |kind: &&str| warning.contains(&format!("for kind {kind} "));
                    assert!(CUSTOM.iter().any(is_custom), "{name}, {version}: {warning}");
                }
            }
        }
    });
}

#[test]
fn no_role_has_a_wildcard_and_the_engines_own_can_read_no_secret() {
    run(async {
        for (name, values) in sets() {
            for role in rendered(&values).await {
                let kind = role["kind"].as_str().unwrap_or_default();
                if !["Role", "ClusterRole"].contains(&kind) {
                    continue;
                }
                let own = role["metadata"]["name"]
                    .as_str()
                    .unwrap()
                    .contains("managed-velero");
                for rule in role["rules"].as_array().unwrap() {
                    assert!(!rule.to_string().contains("\"*\""), "{name}: {rule}");
                    assert!(own || !rule.to_string().contains("secrets"), "{name}: {rule}");
                    let verbs = rule["verbs"].as_array().unwrap();
                    for power in ["bind", "escalate"] {
                        assert!(!verbs.contains(&json!(power)), "{name}: {rule}");
                    }
                    // Anybody's account is taken on only in namespaces that a value names.
                    let any = verbs.contains(&json!("impersonate")) && rule["resourceNames"].is_null();
                    let place = role["metadata"]["namespace"].as_str().unwrap_or_default();
                    assert!(!any || ["team-a", "team-b"].contains(&place), "{name}: {role}");
                }
            }
        }
    });
}

#[test]
fn on_openshift_no_user_is_asked_for_and_elsewhere_one_that_is_not_root() {
    run(async {
        let plain = rendered(&[]).await;
        assert_eq!(pod(&plain)["securityContext"]["runAsUser"], 65532);
        let openshift = rendered(&OPENSHIFT).await;
        let given = &pod(&openshift)["securityContext"];
        for field in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert!(given[field].is_null(), "{given}");
        }
        for documents in [&plain, &openshift] {
            let pod = pod(documents);
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            let container = &pod["containers"][0]["securityContext"];
            assert_eq!(container["readOnlyRootFilesystem"], true);
            assert_eq!(container["allowPrivilegeEscalation"], false);
            assert_eq!(container["capabilities"]["drop"], json!(["ALL"]));
        }
    });
}

#[test]
fn the_program_takes_the_arguments_that_it_is_started_with() {
    run(async {
        for (name, values) in sets() {
            let documents = rendered(&values).await;
            let jobs = documents.iter().filter(|document| document["kind"] == "Job");
            let pods = jobs
                .map(|job| &job["spec"]["template"]["spec"])
                .chain([pod(&documents)]);
            for pod in pods {
                let arguments = pod["containers"][0]["args"].as_array().unwrap();
                let mut arguments: Vec<&str> = arguments.iter().map(|text| text.as_str().unwrap()).collect();
                // What it takes is looked at before it helps.
                arguments.push("--help");
                let output = std::process::Command::new(binary())
                    .args(&arguments)
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{name}: {arguments:?}: {said}");
                let help = String::from_utf8_lossy(&output.stdout).into_owned();
                for flag in arguments.iter().filter(|argument| argument.starts_with("--")) {
                    let flag = flag.split('=').next().unwrap();
                    assert!(help.contains(flag), "{name}: {flag} isn't in {help}");
                }
            }
        }
    });
}

#[test]
fn the_shipped_policy_is_valid_as_it_is_installed_and_acts_as_its_own_account() {
    run(async {
        let documents = rendered(&[EVERYTHING[0], EVERYTHING[1]]).await;
        let policy = of(&documents, "Policy", "managed-velero");
        assert_eq!(policy["metadata"]["namespace"], STATE);
        assert_eq!(policy["spec"]["serviceAccountName"], "managed-velero");
        assert_eq!(
            policy["spec"]["values"],
            json!({ "manageAccess": false, "expiryDays": 30 })
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.yaml");
        std::fs::write(&file, policy.to_string()).unwrap();
        let validated = holdfast_e2e::sandbox(&["validate", file.to_str().unwrap()]).await;
        drop(validated.exits(0));
        let role = of(
            &documents,
            "ClusterRoleBinding",
            "holdfast:holdfast-system:managed-velero",
        );
        assert_eq!(
            role["subjects"],
            json!([{ "kind": "ServiceAccount", "name": "managed-velero", "namespace": STATE }])
        );
    });
}

#[test]
fn on_openshift_the_operator_asks_for_credentials_of_its_own_with_what_observing_takes() {
    run(async {
        let documents = rendered(&OPENSHIFT).await;
        let request = of(&documents, "CredentialsRequest", "holdfast-iam-credentials");
        assert_eq!(request["spec"]["secretRef"]["name"], "holdfast-iam-credentials");
        let entries = request["spec"]["providerSpec"]["statementEntries"]
            .as_array()
            .unwrap();
        for entry in entries {
            let everywhere = entry["resource"] == "*";
            let actions: Vec<&str> = entry["action"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            if everywhere {
                assert_eq!(
                    actions,
                    [
                        "s3:GetBucketLocation",
                        "s3:GetBucketTagging",
                        "s3:ListAllMyBuckets"
                    ],
                    "what isn't ours is only looked at"
                );
            } else {
                assert_eq!(entry["resource"], "arn:aws:s3:::managed-velero-backups-*");
                assert!(actions.contains(&"s3:GetEncryptionConfiguration"));
                assert!(
                    !actions.iter().any(|action| action.contains("Delete")),
                    "{actions:?}"
                );
            }
        }
        let plain = rendered(&["policies.managed-velero.enabled=true"]).await;
        assert!(
            plain
                .iter()
                .all(|document| document["kind"] != "CredentialsRequest")
        );
    });
}

/// What signs in by the Pod's token: the container's variables and volumes for that, and the policies that may.
fn sign_in(documents: &[Value]) -> (Vec<(&str, &str)>, Vec<&Value>, Vec<&str>) {
    let pod = pod(documents);
    let container = &pod["containers"][0];
    let variables = container["env"].as_array().unwrap().iter();
    let variables = variables
        .map(|variable| {
            (
                variable["name"].as_str().unwrap(),
                variable["value"].as_str().unwrap_or_default(),
            )
        })
        .filter(|(name, _)| name.starts_with("AWS_"));
    let volumes = pod["volumes"].as_array().into_iter().flatten();
    let arguments = container["args"].as_array().unwrap().iter();
    let allowed = arguments.filter_map(|argument| argument.as_str()?.strip_prefix("--ambient-credentials="));
    (variables.collect(), volumes.collect(), allowed.collect())
}

#[test]
fn one_value_has_managed_velero_and_no_other_sign_in_by_a_token_of_its_pod() {
    run(async {
        let documents = rendered(&TOKEN).await;
        let (variables, volumes, allowed) = sign_in(&documents);
        assert_eq!(allowed, ["holdfast-system/managed-velero"]);
        let token = &volumes[0]["projected"]["sources"][0]["serviceAccountToken"];
        assert_eq!(token["audience"], "openshift", "and not the API server's");
        let mount = &pod(&documents)["containers"][0]["volumeMounts"][0];
        assert_eq!(mount["name"], volumes[0]["name"]);
        let file = format!(
            "{}/{}",
            mount["mountPath"].as_str().unwrap(),
            token["path"].as_str().unwrap()
        );
        let role = "arn:aws:iam::111122223333:role/holdfast";
        assert_eq!(
            variables,
            [("AWS_ROLE_ARN", role), ("AWS_WEB_IDENTITY_TOKEN_FILE", &file)]
        );
        let request = &of(&documents, "CredentialsRequest", "holdfast-iam-credentials")["spec"];
        assert_eq!(request["cloudTokenPath"], file.as_str());
        assert_eq!(request["providerSpec"]["stsIAMRoleARN"], role);
        assert_eq!(request["serviceAccountNames"], json!(["holdfast"]));

        for without in [&OPENSHIFT[..], &[TOKEN[2]]] {
            let documents = rendered(without).await;
            assert_eq!(sign_in(&documents), (vec![], vec![], vec![]), "{without:?}");
        }
        let own = "ambientCredentials={team-a/own,holdfast-system/managed-velero}";
        let documents = rendered(&[&TOKEN[..], &[own]].concat()).await;
        let (.., allowed) = sign_in(&documents);
        assert_eq!(allowed, ["team-a/own", "holdfast-system/managed-velero"]);
    });
}

#[test]
fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
    run(async {
        let documents = rendered(&EVERYTHING).await;
        let rules = of(&documents, "PrometheusRule", "holdfast")["spec"]["groups"][0]["rules"]
            .as_array()
            .unwrap();
        let alerts: BTreeSet<String> = rules
            .iter()
            .map(|rule| {
                let alert = rule["alert"].as_str().unwrap();
                let url = rule["annotations"]["runbook_url"].as_str().unwrap();
                assert_eq!(url, format!("docs/runbooks/{alert}.md"));
                alert.to_owned()
            })
            .collect();
        let pages = std::fs::read_dir(root().join("docs/runbooks")).unwrap();
        let pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
        let pages: BTreeSet<String> = pages
            .filter(|page| page != "README.md")
            .map(|page| page.trim_end_matches(".md").to_owned())
            .collect();
        assert_eq!(alerts, pages);
    });
}

/// The words of `text` that are names of metrics.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let is_ours = |word: &&str| word.starts_with("holdfast_") || word.starts_with("controller_runtime_");
    words.filter(is_ours).map(str::to_owned).collect()
}

#[test]
fn alerts_and_the_dashboard_ask_for_what_is_counted() {
    let counted = root().join("engine/enforcer/src/metrics/exposition.rs");
    let counted = metrics(&std::fs::read_to_string(counted).unwrap());
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(chart().join("files/dashboard.json")).unwrap())
            .unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut asked: Vec<String> = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    let shown = asked.len();
    run(async {
        let documents = rendered(&EVERYTHING).await;
        let rules = &of(&documents, "PrometheusRule", "holdfast")["spec"]["groups"][0]["rules"];
        let alerts = rules.as_array().unwrap().iter();
        asked.extend(alerts.map(|rule| rule["expr"].as_str().unwrap().to_owned()));
    });
    assert!(shown > 5 && asked.len() > shown + 5, "{asked:#?}");
    for expression in asked {
        let names = metrics(&expression);
        // What Prometheus counts itself of those that it reads.
        assert!(
            !names.is_empty() || expression.starts_with("absent(up{"),
            "{expression}"
        );
        for name in names {
            let family = ["_total", "_bucket", "_sum", "_count", "_info"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(&name);
            assert!(counted.contains(family), "{name}, in {expression}, isn't counted");
        }
    }
}

/// Adds the places of all values that aren't maps of known values.
fn walk(schema: &Value, values: &Value, place: &str, leaves: &mut Vec<String>) {
    let Some(properties) = schema["properties"].as_object().filter(|_| values.is_object()) else {
        return leaves.push(place.to_owned());
    };
    assert_eq!(schema["additionalProperties"], false, "{place}");
    for (key, value) in values.as_object().unwrap() {
        let place = if place.is_empty() {
            key.clone()
        } else {
            format!("{place}.{key}")
        };
        let schema = properties
            .get(key)
            .unwrap_or_else(|| panic!("{place} isn't in the schema"));
        walk(schema, value, &place, leaves);
    }
}

#[test]
fn every_value_is_in_the_schema_and_in_the_readme_and_no_other_is_taken() {
    let read = |file: &str| std::fs::read_to_string(chart().join(file)).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let readme = read("README.md");
    let mut leaves = Vec::new();
    walk(&schema, &values, "", &mut leaves);
    for leaf in leaves {
        let documented = |place: &str| readme.contains(&format!("| `{place}` |"));
        let parent = leaf.rsplit_once('.').map_or(leaf.as_str(), |(parent, _)| parent);
        assert!(
            documented(&leaf) || documented(parent),
            "{leaf} isn't in the README"
        );
    }
    run(async {
        for wrong in [
            "replica=3",
            "policies.managed-velero.parameters.expiry=3",
            "openshift=yes",
            "lease.duration=soon",
            "policies.managed-velero.roleArn=holdfast",
        ] {
            let chart = chart();
            let arguments = ["template", "x", chart.to_str().unwrap(), "--set", wrong];
            assert!(helm(None, &arguments).await.is_err(), "{wrong} is taken");
        }
    });
}
