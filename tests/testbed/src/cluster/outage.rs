//! What happens to a control plane at times.

use serde_json::{Value, json};

use super::{Cluster, client, start_api_server};
use crate::{
    error::{Error, Result},
    gate::Gate,
};

impl Cluster {
    /// Kills kube-apiserver, as when its machine fails. etcd goes on.
    pub fn stop_api_server(&self) {
        self.api_server.kill();
    }

    /// Starts kube-apiserver again, at the same URL, and returns when it answers.
    pub async fn start_api_server_again(&mut self) -> Result<()> {
        self.api_server.kill();
        self.api_server = start_api_server(&self.home, &self.arguments)?;
        self.is_ready().await
    }

    /// Lets etcd forget all that was before now. With `--watch-cache=false` a watch can't go on from there; else the API
    /// server remembers some of it by itself.
    pub async fn compact(&self) -> Result<()> {
        // Any key: the answer's head tells the revision.
        let now = self.ask_etcd("/v3/kv/range", &json!({ "key": "AA==" })).await?;
        let revision = now.pointer("/header/revision").cloned().unwrap_or_default();
        let compaction = json!({ "revision": revision, "physical": true });
        self.ask_etcd("/v3/kv/compaction", &compaction).await.map(|_| ())
    }

    async fn ask_etcd(&self, path: &str, body: &Value) -> Result<Value> {
        let failed = |answer: String| Error::Answer {
            request: format!("POST {path} to etcd"),
            answer,
        };
        let answer = client(None)?
            .post(format!("{}{path}", self.etcd_url))
            .json(body)
            .send()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| failed(error.to_string()))?;
        if !status.is_success() {
            return Err(failed(format!("{status}: {text}")));
        }
        serde_json::from_str(&text).map_err(|error| failed(format!("{error}: {text}")))
    }

    /// A way to the API server that can be shut, and a kubeconfig of `user` that takes it.
    pub async fn gate(&self, user: &str) -> Result<(Gate, std::path::PathBuf)> {
        let gate = Gate::start(self.url.trim_start_matches("https://")).await?;
        let name = format!("{user}-{}.kubeconfig", gate.address().port());
        let url = format!("https://{}", gate.address());
        let text = super::credentials::kubeconfig(&url, &self.certificate, user, user);
        Ok((gate, self.home.write(&name, text)?))
    }
}
