//! What makes a control plane act: controller-manager, scheduler, and kwok in the place of kubelets.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Cluster;
use crate::{
    error::{Error, Result},
    programs,
    server::{READY_WITHIN, Server},
};

/// kwok fills in all that a node has beside its name.
const NODE: &str = "node-1";

impl Cluster {
    /// Starts them, and returns when the node is ready and namespaces get their default service account.
    pub(super) async fn start_controllers(&mut self) -> Result<()> {
        let kubeconfig = self.kubeconfig_for("controllers")?;
        for name in ["kube-controller-manager", "kube-scheduler"] {
            let server = Server::start(&self.home, name, programs::control_plane(name)?, |command| {
                command
                    .arg("--kubeconfig")
                    .arg(&kubeconfig)
                    .args(["--leader-elect=false", "--secure-port=0"]);
            })?;
            self.controllers.push(server);
        }
        let kubeconfig = self.kubeconfig_for("kwok")?;
        let (program, stages) = (programs::control_plane("kwok")?, programs::kwok_stages()?);
        let kwok = Server::start(&self.home, "kwok", program, |command| {
            command
                .arg("--kubeconfig")
                .arg(&kubeconfig)
                .arg("--config")
                .arg(stages);
            // No port of its own: it would be a fixed one.
            // Without leases the node turns NotReady a minute after the start, and its pods with it.
            command.args([
                "--manage-all-nodes=true",
                "--server-address=",
                "--node-lease-duration-seconds=40",
            ]);
        })?;
        self.controllers.push(kwok);
        let labels = json!({ "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux" });
        self.post(
            "/api/v1/nodes",
            &json!({ "metadata": { "name": NODE, "labels": labels } }),
        )
        .await?;
        self.controllers_ready().await
    }

    /// A ready node without taints proves kwok and the node controller, the account the controller-manager.
    async fn controllers_ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let node = self.get(&format!("/api/v1/nodes/{NODE}")).await?;
            let account = self
                .get("/api/v1/namespaces/default/serviceaccounts/default")
                .await;
            if account.is_ok() && schedulable(&node) {
                return Ok(());
            }
            for server in &self.controllers {
                if let Some(status) = server.exited() {
                    return Err(server.not_ready(format!("ended with {status}")));
                }
            }
            if Instant::now() > deadline {
                let request = "wait for a ready node and the default service account".into();
                return Err(Error::Answer {
                    request,
                    answer: format!("{account:?}, {node}"),
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn schedulable(node: &str) -> bool {
    let node: Value = serde_json::from_str(node).unwrap_or_default();
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|each| each["type"] == "Ready" && each["status"] == "True");
    ready && node.pointer("/spec/taints").is_none()
}
