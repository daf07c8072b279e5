//! Policies that are resources of the cluster, each enforced as the account that it names.

use std::time::Duration;

use holdfast_e2e::{Enforcer, Ground, STATE, on_ground, path, root, until};
use serde_json::{Value, json};

/// The policies of a namespace that is a team's own.
pub(crate) struct Team<'g> {
    ground: &'g Ground,
    name: &'static str,
    pub(crate) enforcer: Enforcer,
}

impl<'g> Team<'g> {
    /// A namespace with the account `keeper`, which may keep maps there and nothing else, and an enforcer of its policies.
    async fn new(ground: &'g Ground, name: &'static str) -> Self {
        Self::with(ground, name, &[]).await
    }

    /// The same, with these arguments on top.
    pub(crate) async fn with(ground: &'g Ground, name: &'static str, more: &[&str]) -> Self {
        define(ground).await;
        let api = &ground.api;
        api.create("/api/v1/namespaces", &json!({ "metadata": { "name": name } }))
            .await;
        let all = |group: &str, kind: &str| format!("{group}/namespaces/{name}/{kind}");
        api.create(
            &all("/api/v1", "serviceaccounts"),
            &json!({ "metadata": { "name": "keeper" } }),
        )
        .await;
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        let maps = json!({ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch", "create", "patch", "delete"] });
        api.create(
            &all(rbac, "roles"),
            &json!({ "metadata": { "name": "keeper" }, "rules": [maps] }),
        )
        .await;
        let binding = json!({
            "metadata": { "name": "keeper" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "keeper" },
            "subjects": [{ "kind": "ServiceAccount", "name": "keeper", "namespace": name }],
        });
        api.create(&all(rbac, "rolebindings"), &binding).await;
        Self {
            ground,
            name,
            enforcer: ground.enforce(&[&["--policies", "--namespace", name], more].concat()),
        }
    }

    pub(crate) fn path(&self, policy: &str) -> String {
        format!(
            "/apis/holdfast.dev/v1alpha1/namespaces/{}/policies/{policy}",
            self.name
        )
    }

    /// Makes a policy of this team.
    pub(crate) async fn make(&self, policy: &str, spec: &Value) {
        let mut spec = spec.clone();
        spec["language"] = json!(1);
        let object = json!({
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "Policy",
            "metadata": { "name": policy }, "spec": spec,
        });
        let all = format!("/apis/holdfast.dev/v1alpha1/namespaces/{}/policies", self.name);
        self.ground.api.create(&all, &object).await;
    }

    /// Waits until a condition of the policy has this reason, and gives the policy.
    pub(crate) async fn condition(&self, policy: &str, kind: &str, reason: &str) -> Value {
        let place = self.path(policy);
        until(&format!("{policy} is {kind}: {reason}"), async || {
            let now = self.ground.api.get(&place).await.unwrap_or_default();
            condition(&now, kind).is_some_and(|found| found["reason"] == reason)
        })
        .await;
        self.ground.api.get(&place).await.unwrap()
    }

    pub(crate) async fn map(&self, name: &str) -> Option<Value> {
        self.ground
            .api
            .get(&path("v1", "ConfigMap", self.name, name))
            .await
    }
}

pub(crate) fn condition<'p>(policy: &'p Value, kind: &str) -> Option<&'p Value> {
    let conditions = policy["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

/// The definition of Policy resources, once.
pub(crate) async fn define(ground: &Ground) {
    let text = std::fs::read_to_string(root().join("charts/holdfast/crds/policies.yaml")).unwrap();
    let definition: Value = serde_saphyr::from_str(&text).unwrap();
    let place = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/policies.holdfast.dev";
    ground.api.apply(place, "by-hand", &definition).await;
    until("policies are served", async || {
        ground
            .api
            .get("/apis/holdfast.dev/v1alpha1/policies")
            .await
            .is_some()
    })
    .await;
}

/// A rule for a map of this name, whose `a` is 1.
pub(crate) fn map(namespace: &str, name: &str) -> Value {
    json!({
        "ensure": "kubernetes/Object",
        "desired": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": namespace }, "data": { "a": "1" } },
    })
}

#[test]
fn a_policy_resource_is_enforced_as_its_account_and_its_status_says_so() {
    on_ground(async |ground| {
        let team = Team::new(ground, "run-team").await;
        let spec = json!({ "serviceAccountName": "keeper", "rules": { "one": map("run-team", "one") } });
        team.make("ours", &spec).await;
        let policy = team.condition("ours", "Ready", "Converged").await;
        assert_eq!(policy["status"]["observedGeneration"], 1, "{policy:#}");
        assert_eq!(policy["status"]["phases"]["converged"], 1, "{policy:#}");
        assert!(
            policy["metadata"]["finalizers"].is_null(),
            "nothing is to go with it: {policy:#}"
        );
        let made = team.map("one").await.unwrap();
        assert!(
            made["metadata"]["managedFields"]
                .to_string()
                .contains("holdfast:run-team/ours")
        );
        let table = ground.kubectl(&["get", "hfp", "--namespace", "run-team"]).await;
        assert!(
            table.contains("READY") && table.contains("MESSAGE") && table.contains("True"),
            "{table}"
        );
        until(
            "events tell of it, at the policy and at what was made",
            async || {
                let events = ground.kubectl(&["events", "--namespace", "run-team"]).await;
                events.contains("Policy/ours") && events.contains("ConfigMap/one")
            },
        )
        .await;

        // At rest nothing is written, the status included.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = ground.api.get(&team.path("ours")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let after = ground.api.get(&team.path("ours")).await.unwrap();
        assert_eq!(
            before["metadata"]["resourceVersion"],
            after["metadata"]["resourceVersion"]
        );

        // Whoever asks has everything read anew, and is told so.
        let asked = json!({ "metadata": { "annotations": { "holdfast.dev/reconcile-at": "now" } } });
        ground.api.patch(&team.path("ours"), &asked).await;
        until("it says that it did", async || {
            let policy = ground.api.get(&team.path("ours")).await.unwrap();
            policy["status"]["lastHandledReconcileAt"] == "now"
        })
        .await;
        drop(team.enforcer.end().await);
    });
}

#[test]
fn a_tenant_who_may_write_policies_gains_nothing_by_it() {
    on_ground(async |ground| {
        let team = Team::new(ground, "run-tenant").await;
        let secret =
            json!({ "metadata": { "name": "run-tenant-secret" }, "stringData": { "word": "hunter2" } });
        ground
            .api
            .create("/api/v1/namespaces/default/secrets", &secret)
            .await;
        let spec = json!({
            "serviceAccountName": "keeper",
            "facts": {
                "secret": { "object": { "apiVersion": "v1", "kind": "Secret", "namespace": "default", "name": "run-tenant-secret" }, "optional": true },
            },
            "rules": {
                "mine": map("run-tenant", "mine"),
                "elsewhere": map("default", "run-tenant-elsewhere"),
                "space": { "ensure": "kubernetes/Object", "desired": { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "run-tenant-more" } } },
                "read": {
                    "ensure": "kubernetes/Object",
                    "desired": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "read", "namespace": "run-tenant" }, "data": { "a": "${string(has(facts.secret))}" } },
                },
                "file": {
                    "ensure": "kubernetes/Object", "provider": { "type": "kubernetes", "kubeconfig": "/etc/passwd" },
                    "desired": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "file", "namespace": "run-tenant" } },
                },
                "bucket": { "ensure": "s3/Bucket", "name": "acme-tenant", "provider": { "type": "s3", "region": "us-east-2" }, "desired": { "tags": { "a": "b" } } },
            },
        });
        team.make("greedy", &spec).await;
        until("what is the tenant's own is enforced", async || {
            team.map("mine").await.is_some()
        })
        .await;
        team.enforcer
            .says("bucket", |line| {
                line["resource"] == "bucket" && line["phase"].is_string()
            })
            .await;
        let policy = ground.api.get(&team.path("greedy")).await.unwrap();
        let reasons = policy["status"]["resources"].to_string();
        for why in [
            "lacks get configmaps on ConfigMap default/run-tenant-elsewhere",
            "Namespace run-tenant-more",
            "keys that a Secret holds",
        ] {
            assert!(reasons.contains(why), "{why}: {policy:#}");
        }
        for absent in [
            path("v1", "ConfigMap", "default", "run-tenant-elsewhere"),
            path("v1", "Namespace", "", "run-tenant-more"),
            path("v1", "ConfigMap", "run-tenant", "read"),
            path("v1", "ConfigMap", "run-tenant", "file"),
        ] {
            assert!(ground.api.get(&absent).await.is_none(), "{absent}");
        }
        assert!(!team.enforcer.log().contains("hunter2"));

        team.make("nobody", &json!({ "rules": { "one": map("run-tenant", "one") } }))
            .await;
        let policy = team.condition("nobody", "Stalled", "AccountMissing").await;
        let message = condition(&policy, "Stalled").unwrap()["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains("serviceAccountName"), "{message}");
        assert!(team.map("one").await.is_none());
        drop(team.enforcer.end().await);
    });
}

#[test]
fn a_policy_that_is_edited_wrongly_stalls_with_the_fields_path_and_goes_on_as_it_was() {
    on_ground(async |ground| {
        let team = Team::new(ground, "run-stall").await;
        let spec = json!({ "serviceAccountName": "keeper", "rules": { "one": map("run-stall", "one") } });
        team.make("ours", &spec).await;
        drop(team.condition("ours", "Ready", "Converged").await);
        let wrong =
            json!({ "spec": { "rules": { "one": { "desired": { "data": { "a": "${nonsense}" } } } } } });
        ground.api.patch(&team.path("ours"), &wrong).await;
        let policy = team.condition("ours", "Stalled", "PolicyInvalid").await;
        let message = condition(&policy, "Stalled").unwrap()["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains("spec.rules.one.desired.data.a"), "{message}");
        assert!(message.contains("enforced as it was good last"), "{message}");
        ground
            .api
            .delete(&path("v1", "ConfigMap", "run-stall", "one"))
            .await;
        until("it is there again", async || team.map("one").await.is_some()).await;
        until("an event tells of it", async || {
            let events = ground.kubectl(&["events", "--namespace", "run-stall"]).await;
            events.contains("PolicyInvalid")
        })
        .await;
        let right = json!({ "spec": { "rules": { "one": { "desired": { "data": { "a": "2" } } } } } });
        ground.api.patch(&team.path("ours"), &right).await;
        until("it is as the right edit says", async || {
            team.map("one").await.is_some_and(|map| map["data"]["a"] == "2")
        })
        .await;
        let policy = team.condition("ours", "Ready", "Converged").await;
        assert!(condition(&policy, "Stalled").is_none(), "{policy:#}");
        drop(team.enforcer.end().await);
    });
}

#[test]
fn a_policy_that_is_suspended_is_looked_at_and_not_written() {
    on_ground(async |ground| {
        let team = Team::new(ground, "run-suspend").await;
        let spec = json!({ "serviceAccountName": "keeper", "rules": { "one": map("run-suspend", "one") } });
        team.make("ours", &spec).await;
        drop(team.condition("ours", "Ready", "Converged").await);
        ground
            .api
            .patch(&team.path("ours"), &json!({ "spec": { "suspend": true } }))
            .await;
        drop(team.condition("ours", "Ready", "Suspended").await);
        let place = path("v1", "ConfigMap", "run-suspend", "one");
        ground
            .api
            .patch(&place, &json!({ "data": { "a": "spoilt" } }))
            .await;
        team.enforcer
            .says("that it is seen", |line| {
                line["resource"] == "one" && line["phase"] == "Blocked"
            })
            .await;
        assert_eq!(team.map("one").await.unwrap()["data"]["a"], "spoilt");
        ground
            .api
            .patch(&team.path("ours"), &json!({ "spec": { "suspend": false } }))
            .await;
        until("it is put back", async || {
            team.map("one").await.is_some_and(|map| map["data"]["a"] == "1")
        })
        .await;
        drop(team.enforcer.end().await);
    });
}

#[test]
fn a_policy_that_is_deleted_takes_along_what_it_says_and_leaves_the_rest() {
    on_ground(async |ground| {
        let team = Team::new(ground, "run-remove").await;
        let mut goes = map("run-remove", "goes");
        goes["onRemove"] = json!("Delete");
        let spec = json!({
            "serviceAccountName": "keeper", "limits": { "deletions": 5 },
            "rules": { "goes": goes, "stays": map("run-remove", "stays") },
        });
        team.make("ours", &spec).await;
        let policy = team.condition("ours", "Ready", "Converged").await;
        assert_eq!(policy["metadata"]["finalizers"], json!(["holdfast.dev/removal"]));
        ground.api.delete(&team.path("ours")).await;
        until("the policy is gone", async || {
            ground.api.get(&team.path("ours")).await.is_none()
        })
        .await;
        assert!(team.map("goes").await.is_none());
        assert!(team.map("stays").await.is_some());
        drop(team.enforcer.end().await);
    });
}

#[test]
fn what_can_not_be_removed_is_named_and_an_edit_lets_it_stay() {
    on_ground(async |ground| {
        let team = Team::new(ground, "run-keep").await;
        let mut goes = map("run-keep", "goes");
        goes["onRemove"] = json!("Delete");
        // No deletion is allowed, as nothing says otherwise.
        let spec = json!({ "serviceAccountName": "keeper", "rules": { "goes": goes } });
        team.make("ours", &spec).await;
        drop(team.condition("ours", "Ready", "Converged").await);
        let delete = ["delete", "hfp", "ours", "--namespace", "run-keep", "--wait=false"];
        ground.kubectl(&delete).await;
        let policy = team.condition("ours", "Ready", "LimitExceeded").await;
        assert!(
            policy["status"]["plan"]["changes"]
                .to_string()
                .contains("ConfigMap run-keep/goes"),
            "{policy:#}"
        );
        let stays = json!({ "spec": { "rules": { "goes": { "onRemove": "Retain" } } } });
        ground.api.patch(&team.path("ours"), &stays).await;
        until("the policy is gone", async || {
            ground.api.get(&team.path("ours")).await.is_none()
        })
        .await;
        assert!(team.map("goes").await.is_some());
        drop(team.enforcer.end().await);
    });
}

#[test]
fn three_replicas_share_sixty_policies_evenly_and_none_is_enforced_by_two() {
    on_ground(async |ground| {
        let team = Team::new(ground, "run-share").await;
        let more: Vec<Enforcer> = (0..2)
            .map(|_| ground.enforce(&["--policies", "--namespace", "run-share"]))
            .collect();
        for number in 0..60 {
            let name = format!("p{number}");
            let spec = json!({ "serviceAccountName": "keeper", "rules": { "one": map("run-share", &name) } });
            team.make(&name, &spec).await;
        }
        let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{STATE}/leases");
        let holders = async || {
            let mut counts = std::collections::BTreeMap::<String, usize>::new();
            for lease in ground.api.list(&leases).await {
                let name = lease["metadata"]["name"].as_str().unwrap_or_default();
                if name.starts_with("run-share.") {
                    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
                    *counts.entry(holder.to_owned()).or_default() += 1;
                }
            }
            counts
        };
        until("each holds twenty", async || {
            let counts = holders().await;
            counts.len() == 3 && counts.values().all(|count| *count == 20)
        })
        .await;
        for number in 0..60 {
            drop(team.condition(&format!("p{number}"), "Ready", "Converged").await);
        }
        // One leaves: the others take over what it had.
        let mut more = more.into_iter();
        drop(more.next().unwrap().end().await);
        until("each holds thirty", async || {
            let counts = holders().await;
            let held: Vec<usize> = counts
                .into_iter()
                .filter(|(holder, _)| !holder.is_empty())
                .map(|(_, count)| count)
                .collect();
            held == [30, 30]
        })
        .await;
        drop(more.next().unwrap().end().await);
        drop(team.enforcer.end().await);
    });
}

#[test]
fn a_plan_over_a_limit_waits_until_that_very_plan_is_approved() {
    on_ground(async |ground| {
        let team = Team::new(ground, "run-limit").await;
        let rules = json!({ "one": map("run-limit", "one"), "two": map("run-limit", "two") });
        let spec = json!({ "serviceAccountName": "keeper", "limits": { "changes": 1 }, "rules": rules });
        team.make("ours", &spec).await;
        drop(team.condition("ours", "Ready", "Converged").await);
        let second = json!({ "desired": { "data": { "a": "2" } } });
        let edit = json!({ "spec": { "rules": { "one": second, "two": second } } });
        ground.api.patch(&team.path("ours"), &edit).await;
        let policy = team.condition("ours", "Stalled", "LimitExceeded").await;
        let hash = policy["status"]["plan"]["hash"].as_str().unwrap().to_owned();
        let changes = policy["status"]["plan"]["changes"].as_array().map(Vec::len);
        assert_eq!(changes, Some(2), "{policy:#}");
        let wrong = json!({ "spec": { "approve": "0123456789abcdef" } });
        ground.api.patch(&team.path("ours"), &wrong).await;
        until("the edit is seen", async || {
            let policy = ground.api.get(&team.path("ours")).await.unwrap();
            policy["status"]["observedGeneration"] == 3
        })
        .await;
        for name in ["one", "two"] {
            assert_eq!(team.map(name).await.unwrap()["data"]["a"], "1");
        }
        let right = json!({ "spec": { "approve": hash } });
        ground.api.patch(&team.path("ours"), &right).await;
        drop(team.condition("ours", "Ready", "Converged").await);
        for name in ["one", "two"] {
            assert_eq!(team.map(name).await.unwrap()["data"]["a"], "2");
        }
        drop(team.enforcer.end().await);
    });
}

#[test]
fn a_policy_resource_that_observes_is_told_of_and_writes_nothing() {
    on_ground(async |ground| {
        let team = Team::new(ground, "run-watch").await;
        let spec = json!({ "serviceAccountName": "keeper", "mode": "Observe", "rules": { "one": map("run-watch", "one") } });
        team.make("ours", &spec).await;
        drop(team.condition("ours", "Ready", "OnlyObserved").await);
        assert!(team.map("one").await.is_none());
        let ledger = path("v1", "ConfigMap", STATE, "run-watch.ours");
        assert!(ground.api.get(&ledger).await.is_none());
        drop(team.enforcer.end().await);
    });
}

#[test]
fn probes_and_scrapers_are_answered() {
    on_ground(async |ground| {
        define(ground).await;
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let policy = ground.policy("run-probes");
        policy.write(&crate::objects::one_map("run-probes", "1"));
        let enforcer = ground.enforce(&[&policy.path(), "--listen", &address]);
        let get = async |path: &str| {
            let answer = reqwest::get(format!("http://{address}{path}")).await.ok()?;
            Some((answer.status().as_u16(), answer.text().await.ok()?))
        };
        until("it is ready", async || {
            get("/readyz").await.is_some_and(|(status, _)| status == 200)
        })
        .await;
        enforcer.reaches("one", "Converged").await;
        assert_eq!(get("/healthz").await.unwrap().0, 200);
        let (_, metrics) = get("/metrics").await.unwrap();
        for line in [
            "holdfast_policy_ready{policy=\"holdfast-system/run-probes\"} 1",
            "holdfast_policy_held{policy=\"holdfast-system/run-probes\"} 1",
            "holdfast_resource_phase{policy=\"holdfast-system/run-probes\",rule=\"one\",phase=\"Converged\"} 1",
            "holdfast_provider_requests_total{provider=\"kubernetes\",operation=\"create\",outcome=\"ok\"}",
            "holdfast_build_info{version=",
        ] {
            assert!(metrics.contains(line), "{line} isn't in\n{metrics}");
        }
        drop(enforcer.end().await);
    });
}
