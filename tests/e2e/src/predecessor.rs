//! What the operator before this program leaves behind in a cluster, stood up as it stood it up itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    api::{path, path_of},
    program::root,
    stage::{NAMESPACE, Stage, until},
};

/// The bucket that it made.
pub const BUCKET: &str = "managed-velero-backups-5d0c8a52-6c1d-4f0e-9a3e-2f7b1c9d8e64";
/// As whom it wrote, by Update.
pub const MANAGER: &str = "managed-velero-operator";
const FOLDER: &str = "tests/e2e/predecessor";
const DEFINITIONS: &str = "policies/managed-velero/crds";

fn read(file: &str) -> Value {
    let text = std::fs::read_to_string(root().join(file)).expect("it can be read");
    serde_saphyr::from_str(&text.replace("BUCKET", BUCKET)).expect("it is YAML")
}

/// The definitions that it installed: VeleroInstall's, and Velero's of that time.
fn definitions() -> Vec<Value> {
    let folder = root().join(DEFINITIONS).read_dir().expect("it can be read");
    let names = folder.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a name")
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    let all = names
        .iter()
        .map(|name| read(&format!("{DEFINITIONS}/{name}")))
        .collect::<Vec<_>>();
    let is_of_that_time = |definition: &Value| definition["spec"]["versions"][0]["name"] != "v2alpha1";
    all.into_iter().filter(is_of_that_time).collect()
}

impl Stage {
    /// Undoes all that is there of Velero, and stands up what the predecessor leaves behind, still running.
    ///
    /// # Panics
    /// If that fails.
    pub async fn stand_up_the_predecessor(&self) {
        self.clear_velero().await;
        let store = self.store();
        store.create(BUCKET, &json!({ "region": "us-east-2" })).await;
        for (setting, document) in read(&format!("{FOLDER}/bucket.yaml")).as_object().expect("a map") {
            store
                .write(BUCKET, setting, document.as_str().expect("a document"))
                .await;
        }
        let packages = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": "clusterpackages.package-operator.run" },
            "spec": {
                "group": "package-operator.run", "scope": "Cluster",
                "names": {
                    "kind": "ClusterPackage", "listKind": "ClusterPackageList",
                    "plural": "clusterpackages", "singular": "clusterpackage",
                },
                "versions": [{
                    "name": "v1alpha1", "served": true, "storage": true,
                    "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                }],
            },
        });
        self.define("by-hand", &packages).await;
        for definition in definitions() {
            self.define(MANAGER, &definition).await;
        }
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        self.api.create("/api/v1/namespaces", &namespace).await;
        for node in self.api.list("/api/v1/nodes").await {
            let label = json!({ "metadata": { "labels": { "kubernetes.io/arch": "amd64" } } });
            self.api.patch(&path_of(&node), &label).await;
        }
        let mut made: BTreeMap<String, Value> = BTreeMap::new();
        for one in read(&format!("{FOLDER}/cluster.yaml"))
            .as_array()
            .expect("a list")
        {
            let object = self.leave(one, &made).await;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let label = format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]));
            made.insert(label, object);
        }
        // By what it was installed owns its definition, too.
        let definition = "veleroinstalls.managed.openshift.io";
        let owned = json!({ "metadata": { "ownerReferences": [owner(&made["ClusterPackage/managed-velero-operator"])] } });
        let definition = path(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "",
            definition,
        );
        self.api
            .as_manager("package-operator-manager")
            .patch(&definition, &owned)
            .await;
        until("its requests for credentials are answered", async || {
            let secret = |name| self.object("v1", "Secret", name);
            secret("velero-iam-credentials").await.is_some()
                && secret("managed-velero-operator-iam-credentials").await.is_some()
        })
        .await;
    }

    /// Makes one object as the file describes it; what the server made of it.
    async fn leave(&self, one: &Value, made: &BTreeMap<String, Value>) -> Value {
        let mut object = one["object"].clone();
        if object["kind"] != "ClusterPackage" {
            object["metadata"]["namespace"] = json!(NAMESPACE);
        }
        if let Some(name) = one["owner"].as_str() {
            object["metadata"]["ownerReferences"] = json!([owner(&made[name])]);
        }
        let manager = one["by"].as_str().expect("by whom");
        let at = path_of(&object);
        let (all, _) = at.rsplit_once('/').expect("a path has parts");
        self.api.as_manager(manager).create(all, &object).await;
        if let Some(status) = one["status"].as_object() {
            let mut status = status.clone();
            let manager = status.remove("by").expect("by whom");
            let manager = self.api.as_manager(manager.as_str().expect("a name"));
            manager
                .patch(&format!("{at}/status"), &json!({ "status": status }))
                .await;
        }
        self.api.get(&at).await.expect("it was just made")
    }

    /// Deletes all that is there of Velero and of what installs it, and what the program remembers.
    async fn clear_velero(&self) {
        self.delete_lease().await;
        self.delete_ledger().await;
        // First what somebody answers: in a namespace that goes nothing can be made any more.
        let requests = path(
            "cloudcredential.openshift.io/v1",
            "CredentialsRequest",
            NAMESPACE,
            "",
        );
        for request in self.api.list(&requests).await {
            self.api.delete(&path_of(&request)).await;
        }
        for bucket in self.our_buckets().await {
            self.store().delete(&bucket).await;
        }
        let package = path("package-operator.run/v1alpha1", "ClusterPackage", "", MANAGER);
        self.api.delete(&package).await;
        self.api.delete(&path("v1", "Namespace", "", NAMESPACE)).await;
        let definitions = path("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "");
        for definition in self.api.list(&definitions).await {
            let group = definition["spec"]["group"].as_str().unwrap_or_default();
            if matches!(group, "velero.io" | "managed.openshift.io") {
                self.api.delete(&path_of(&definition)).await;
            }
        }
    }

    async fn define(&self, manager: &str, definition: &Value) {
        let all = path("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "");
        self.api.as_manager(manager).create(&all, definition).await;
        let at = path_of(definition);
        until(&format!("{at} is established"), async || {
            let conditions = self.api.get(&at).await.unwrap_or_default()["status"]["conditions"].clone();
            let established = |one: &Value| one["type"] == "Established" && one["status"] == "True";
            conditions
                .as_array()
                .is_some_and(|all| all.iter().any(established))
        })
        .await;
    }
}

/// A reference that makes `object` the owner of what bears it.
fn owner(object: &Value) -> Value {
    let is_pod = object["kind"] == "Pod";
    let mut owner = json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"],
    });
    if !is_pod {
        owner["controller"] = json!(true);
        owner["blockOwnerDeletion"] = json!(true);
    }
    owner
}
