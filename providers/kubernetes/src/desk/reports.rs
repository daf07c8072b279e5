//! What a policy's checks found, as a `PolicyReport`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_contract::{PolicyId, ProviderError, Served};
use http::Method;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use crate::client::{Answer, Call, Failure, Repeatable};
use crate::desk::{API_VERSION, KIND, key, resource};
use crate::discovery::Resource;
use crate::error::Status;
use crate::home::{MANAGED_BY, MANAGER};
use crate::observe::meaning;
use crate::provider::Server;
use crate::write::APPLY;

/// How often the server is asked whether it has come to know the type.
const ASK_AGAIN: Duration = Duration::from_mins(10);
/// What a result may say, and what the summary counts.
const OUTCOMES: [&str; 5] = ["pass", "fail", "warn", "error", "skip"];

/// The reports in one cluster.
#[derive(Debug)]
pub(super) struct Reports {
    server: Arc<Server>,
    resource: Resource,
    /// When the server was last asked to look again.
    asked: Mutex<Option<Instant>>,
}

impl Reports {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            resource: resource("wgpolicyk8s.io/v1alpha2", "PolicyReport", "policyreports"),
            asked: Mutex::default(),
        }
    }

    /// Makes `results` the report of the Policy; false where there is no such type.
    pub(super) async fn write(
        &self,
        policy: &PolicyId,
        uid: &str,
        results: &Json,
    ) -> Result<bool, ProviderError> {
        if !self.is_served().await? {
            return Ok(false);
        }
        let report = report(policy, uid, results);
        let answer = match self.apply(policy, &report, false).await {
            // Somebody has changed what is ours; or it is all somebody else's.
            Err(failure) if failure.status().is_some_and(Status::is_field_conflict) => {
                self.check_ours(policy).await?;
                self.apply(policy, &report, true).await
            }
            answer => answer,
        };
        let error = match answer {
            Ok(_) => return Ok(true),
            Err(failure) => self.error(policy, "patch", failure),
        };
        match error {
            // Its definition went since.
            ProviderError::NotServed { .. } => {
                self.served(true).await?;
                Ok(false)
            }
            error => Err(error),
        }
    }

    /// Whether the server knows the type: as it said last, asked anew now and then where it didn't.
    async fn is_served(&self) -> Result<bool, ProviderError> {
        if self.served(false).await? {
            return Ok(true);
        }
        let again = match self.asked.lock() {
            Ok(mut asked) => {
                let again = asked.is_none_or(|asked| asked.elapsed() > ASK_AGAIN);
                if again {
                    *asked = Some(Instant::now());
                }
                again
            }
            Err(_) => false,
        };
        if again { self.served(true).await } else { Ok(false) }
    }

    async fn served(&self, refresh: bool) -> Result<bool, ProviderError> {
        let api = &self.resource.api;
        let discovery = &self.server.discovery;
        let served = discovery
            .served(&self.server.client, std::slice::from_ref(api), refresh)
            .await?;
        Ok(matches!(served.get(api), Some(Served::Yes(_))))
    }

    async fn apply(&self, policy: &PolicyId, report: &Json, force: bool) -> Result<Answer, Failure> {
        let path = self
            .resource
            .path_of(Some(&policy.namespace), &policy.name)
            .map_err(Failure::Lost)?;
        let uri = format!("{path}?fieldManager={MANAGER}&force={force}");
        let call = Call::send(Method::PATCH, uri, APPLY, report, Repeatable::Idempotent);
        self.server.client.call(&call).await
    }

    /// An error if the report of this name is another program's.
    async fn check_ours(&self, policy: &PolicyId) -> Result<(), ProviderError> {
        let path = self.resource.path_of(Some(&policy.namespace), &policy.name)?;
        let call = Call::get(path);
        let report = match self.server.client.call(&call).await {
            Ok(answer) => answer.body,
            Err(failure) => return Err(self.error(policy, "get", failure)),
        };
        let labels = report.pointer("/metadata/labels");
        let owner = labels
            .and_then(|labels| labels.get(MANAGED_BY))
            .and_then(Json::as_str);
        if owner == Some(MANAGER) {
            return Ok(());
        }
        Err(ProviderError::Foreign {
            target: key(&self.resource, &policy.namespace, &policy.name).to_string(),
            message: format!("it has no label {MANAGED_BY}={MANAGER}"),
        })
    }

    fn error(&self, policy: &PolicyId, verb: &'static str, failure: Failure) -> ProviderError {
        let key = key(&self.resource, &policy.namespace, &policy.name);
        failure.into_error(|status| meaning(status, verb, &self.resource, &key))
    }
}

fn report(policy: &PolicyId, uid: &str, results: &Json) -> Json {
    let all = results.as_array().map(Vec::as_slice).unwrap_or_default();
    let count = |outcome: &str| {
        all.iter()
            .filter(|result| result.get("result").and_then(Json::as_str) == Some(outcome))
            .count()
    };
    let summary: serde_json::Map<String, Json> = OUTCOMES
        .iter()
        .map(|outcome| ((*outcome).to_owned(), json!(count(outcome))))
        .collect();
    json!({
        "apiVersion": "wgpolicyk8s.io/v1alpha2",
        "kind": "PolicyReport",
        "metadata": {
            "name": policy.name,
            "namespace": policy.namespace,
            "labels": { MANAGED_BY: MANAGER },
            "ownerReferences": [{ "apiVersion": API_VERSION, "kind": KIND, "name": policy.name, "uid": uid }],
        },
        "results": all,
        "summary": summary,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_the_results_say() {
        let policy = PolicyId {
            namespace: "a".to_owned(),
            name: "p".to_owned(),
        };
        let results = json!([{ "result": "pass" }, { "result": "fail" }, { "result": "pass" }, {}]);
        let report = report(&policy, "1", &results);
        assert_eq!(
            report["summary"],
            json!({ "pass": 2, "fail": 1, "warn": 0, "error": 0, "skip": 0 })
        );
        assert_eq!(report["results"], results);
    }
}
