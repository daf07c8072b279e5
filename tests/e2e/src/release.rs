use holdfast_testbed::helm;
use serde_json::{Value, json};

use crate::{
    api::path,
    enforcer::Enforcer,
    program::root,
    stage::{STATE, Stage, until},
};

/// The lines of the Deployment's arguments that say what is another thing beside a test than in a Pod.
const REPLACED: [&str; 6] = [
    "--identity=",
    "--lease-duration=",
    "--listen=",
    "--log-format=",
    "--renew-deadline=",
    "--retry-period=",
];

/// The chart on a stage, with managed-velero. No image can be run there: what its Pods would run, a process beside the
/// cluster runs.
#[derive(Debug)]
pub struct Release<'s> {
    /// Where it is.
    pub stage: &'s Stage,
}

impl Release<'_> {
    /// Installs it, or brings it up to date, with these values on top.
    ///
    /// # Panics
    /// If helm fails.
    pub async fn upgrade(&self, more: &[&str]) {
        let chart = root().join("charts/holdfast");
        // The store's endpoint is the test's own; the Pods would only pretend to run.
        let endpoint = format!("extraEnv[0].value={}", self.stage.store().0.endpoint);
        let values = [
            "openshift=true",
            "replicas=0",
            "policies.managed-velero.enabled=true",
            "extraEnv[0].name=AWS_ENDPOINT_URL_STS",
            &endpoint,
        ];
        let mut arguments = vec!["upgrade", "holdfast", chart.to_str().unwrap(), "--install"];
        arguments.extend(["--namespace", STATE, "--create-namespace"]);
        arguments.extend(values.iter().chain(more).flat_map(|value| ["--set", value]));
        helm(Some(&self.stage.cluster), &arguments).await.unwrap();
    }

    /// Takes it away, without the job at its end, which takes an image.
    ///
    /// # Panics
    /// If helm fails.
    pub async fn uninstall(&self) {
        let arguments = ["uninstall", "holdfast", "--namespace", STATE, "--no-hooks"];
        helm(Some(&self.stage.cluster), &arguments).await.unwrap();
    }

    /// The Pods' specification, as the Deployment has it.
    ///
    /// # Panics
    /// If there is none.
    pub async fn pod(&self) -> Value {
        let place = path("apps/v1", "Deployment", STATE, "holdfast");
        let deployment = self.stage.api.get(&place).await;
        deployment.unwrap()["spec"]["template"]["spec"].clone()
    }

    /// The program as the Deployment starts it, with its account's token, and with these variables in place of the
    /// Deployment's.
    ///
    /// # Panics
    /// If it can't be started.
    pub async fn start(&self, more: &[(&str, String)]) -> Enforcer {
        let cluster = &self.stage.cluster;
        let pod = self.pod().await;
        let account = pod["serviceAccountName"].as_str().unwrap();
        let token = cluster.service_account_token(STATE, account).await.unwrap();
        let kubeconfig = cluster.kubeconfig_with_token("holdfast", &token).unwrap();
        let container = &pod["containers"][0];
        let mut variables = vec![
            ("HOME", self.stage.home().display().to_string()),
            ("KUBECONFIG", kubeconfig.display().to_string()),
        ];
        for variable in container["env"].as_array().unwrap() {
            if let Some(value) = variable["value"].as_str() {
                variables.push((variable["name"].as_str().unwrap(), value.to_owned()));
            }
        }
        // The last of one name counts.
        variables.extend_from_slice(more);
        let arguments = container["args"].as_array().unwrap();
        let mut arguments: Vec<&str> = arguments.iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(arguments.remove(0), "run");
        arguments.retain(|argument| !REPLACED.iter().any(|replaced| argument.starts_with(replaced)));
        arguments.extend(["--identity=holdfast-0", "--listen=127.0.0.1:0"]);
        Enforcer::start(&self.stage.home(), &arguments, &variables)
    }

    /// The path of a Policy in the release's namespace, or with an empty name of all.
    #[must_use]
    pub fn policies(name: &str) -> String {
        let all = format!("/apis/holdfast.dev/v1alpha1/namespaces/{STATE}/policies/{name}");
        all.trim_end_matches('/').to_owned()
    }

    /// The Policy of this name, as it is now.
    pub async fn policy(&self, name: &str) -> Option<Value> {
        self.stage.api.get(&Self::policies(name)).await
    }

    /// Waits until Ready of the policy, as it is now, has this reason.
    pub async fn is(&self, name: &str, reason: &str) {
        until(&format!("{name} is {reason}"), async || {
            let policy = self.policy(name).await.unwrap_or_default();
            let conditions = policy["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let is_so = |one: &Value| one["type"] == "Ready" && one["reason"] == reason;
            policy["status"]["observedGeneration"] == policy["metadata"]["generation"]
                && conditions.iter().any(is_so)
        })
        .await;
    }

    /// Asks for a look at everything, and waits until it was taken.
    pub async fn look(&self, name: &str, word: &str) {
        let asked = json!({ "metadata": { "annotations": { "holdfast.dev/reconcile-at": word } } });
        self.stage.api.patch(&Self::policies(name), &asked).await;
        until(&format!("{name} was looked at: {word}"), async || {
            self.policy(name).await.unwrap_or_default()["status"]["lastHandledReconcileAt"] == word
        })
        .await;
    }
}
