//! As whom a provider acts, on a real API server with real roles.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    reason = "tests, which share a module that each uses a part of"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::{
    ApiType, Observation, PolicyId, Provider, ProviderConfig, ProviderError, ProviderFactory, Query,
    ServiceAccount, Value,
};
use holdfast_kubernetes::KubernetesFactory;
use holdfast_testbed::Cluster;
use serde_json::{Value as Json, json};
use support::{Bench, factory, key, observe};

/// What `alice`, who may only act as the account `tenant` of this namespace, runs.
struct Stage {
    bench: Bench,
    engine: KubernetesFactory,
}

fn account(namespace: &str, name: &str) -> ServiceAccount {
    ServiceAccount::new(namespace, name).unwrap()
}

async fn open(
    factory: &KubernetesFactory,
    settings: &[(&str, &str)],
) -> Result<Arc<dyn Provider>, ProviderError> {
    let config = ProviderConfig {
        settings: settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
            .collect(),
        ..support::config()
    };
    factory.open(config).await
}

impl Stage {
    /// `tenant` may read the `ConfigMap` `open`, and nothing else; `alice` may act as `tenant`, and nothing else.
    async fn set(prefix: &str) -> Self {
        let cluster = Cluster::shared().await.unwrap();
        let bench = Bench::on(cluster, prefix).await;
        let stage = Self {
            engine: factory(&cluster.kubeconfig_for("alice").unwrap()),
            bench,
        };
        let tenant = json!({ "kind": "ServiceAccount", "name": "tenant", "namespace": stage.namespace() });
        stage
            .allow("reads-one", "configmaps", &["open"], &["get"], &tenant)
            .await;
        let alice = json!({ "kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io" });
        stage
            .allow(
                "acts-as-tenant",
                "serviceaccounts",
                &["tenant"],
                &["impersonate"],
                &alice,
            )
            .await;
        for name in ["open", "closed"] {
            stage
                .bench
                .create(&stage.bench.manifest(name, json!({ "name": name })))
                .await;
        }
        stage
    }

    fn namespace(&self) -> &str {
        &self.bench.namespace
    }

    async fn allow(&self, name: &str, resource: &str, names: &[&str], verbs: &[&str], subject: &Json) {
        let path = format!(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/{}",
            self.namespace()
        );
        let role = json!({
            "metadata": { "name": name },
            "rules": [{ "apiGroups": [""], "resources": [resource], "resourceNames": names, "verbs": verbs }],
        });
        let binding = json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
            "subjects": [subject],
        });
        let outside = &self.bench.outside;
        outside.post(&format!("{path}/roles"), &role).await.unwrap();
        outside
            .post(&format!("{path}/rolebindings"), &binding)
            .await
            .unwrap();
    }

    fn tenant(&self) -> KubernetesFactory {
        self.engine.acting_as(account(self.namespace(), "tenant"))
    }
}

#[tokio::test]
async fn an_account_reads_what_its_roles_let_it_and_nothing_else() {
    let stage = Stage::set("tenant").await;
    let here = Some(stage.namespace());
    let tenant = open(&stage.tenant(), &[]).await.unwrap();
    let open = observe(tenant.as_ref(), &key("v1", "ConfigMap", here, "open")).await;
    assert!(matches!(open, Ok(Observation::Present(_))), "{open:?}");
    let elsewhere = Bench::on(Cluster::shared().await.unwrap(), "elsewhere").await;
    elsewhere.create(&elsewhere.manifest("open", json!({}))).await;
    for (denied, lacks) in [
        (key("v1", "ConfigMap", here, "closed"), "get configmaps"),
        (key("v1", "Secret", here, "open"), "get secrets"),
        (key("v1", "Namespace", None, stage.namespace()), "get namespaces"),
        (
            key("v1", "ConfigMap", Some(&elsewhere.namespace), "open"),
            "get configmaps",
        ),
        (key("apps/v1", "Deployment", here, "open"), "get deployments.apps"),
    ] {
        let Err(ProviderError::Denied { action, target }) = observe(tenant.as_ref(), &denied).await else {
            panic!("{denied} was not denied");
        };
        assert_eq!((action.as_str(), target), (lacks, denied.to_string()));
    }
    let all = Query {
        kind: "kubernetes/Object".into(),
        api: Some(ApiType::new("v1", "ConfigMap")),
        namespace: here.map(str::to_owned),
        selector: None,
        name_prefix: None,
        read: [].into(),
    };
    let listed = tenant.find(&all).await.unwrap_err();
    assert_eq!(
        listed.to_string(),
        format!(
            "access denied: this identity lacks list configmaps on ConfigMap {}/*",
            stage.namespace()
        )
    );
}

#[tokio::test]
async fn an_account_writes_nothing_that_its_roles_do_not_let_it() {
    let stage = Stage::set("tenant").await;
    let tenant = open(&stage.tenant(), &[]).await.unwrap();
    let creation = stage.bench.creation(&stage.bench.manifest("new", json!({})));
    let denied = tenant.write(&creation).await.unwrap_err();
    assert_eq!(
        denied.to_string(),
        format!(
            "access denied: this identity lacks patch configmaps on ConfigMap {}/new",
            stage.namespace()
        )
    );
    let path = stage.bench.config_map("new");
    assert!(
        stage.bench.outside.get(&path).await.is_err(),
        "nothing was written"
    );
}

/// The server gives an account named without groups those of all accounts of its namespace, so that `impersonate` on
/// that one account is all that whoever acts as it needs.
#[tokio::test]
async fn an_account_has_the_rights_of_its_namespaces_accounts() {
    let stage = Stage::set("tenant").await;
    let group = json!({
        "kind": "Group",
        "name": format!("system:serviceaccounts:{}", stage.namespace()),
        "apiGroup": "rbac.authorization.k8s.io",
    });
    stage
        .allow("all-read-closed", "configmaps", &["closed"], &["get"], &group)
        .await;
    let tenant = open(&stage.tenant(), &[]).await.unwrap();
    let closed = key("v1", "ConfigMap", Some(stage.namespace()), "closed");
    let read = observe(tenant.as_ref(), &closed).await;
    assert!(matches!(read, Ok(Observation::Present(_))), "{read:?}");
    let events = Cluster::shared().await.unwrap().audit().await.unwrap();
    let path = stage.bench.config_map("closed");
    let read = events
        .iter()
        .find(|event| event.uri == path && event.verb == "get");
    let read = read.unwrap();
    assert_eq!(
        (read.user.as_str(), read.impersonated.clone().unwrap()),
        (
            "alice",
            format!("system:serviceaccount:{}:tenant", stage.namespace())
        )
    );
}

#[tokio::test]
async fn who_may_not_act_as_an_account_is_told_so() {
    let stage = Stage::set("tenant").await;
    let other = stage.engine.acting_as(account(stage.namespace(), "other"));
    let other = open(&other, &[]).await.unwrap();
    let error = observe(
        other.as_ref(),
        &key("v1", "ConfigMap", Some(stage.namespace()), "open"),
    )
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "access denied: this identity lacks impersonate serviceaccounts on ServiceAccount {}/other",
            stage.namespace()
        )
    );
}

#[tokio::test]
async fn an_account_reaches_no_other_cluster_and_no_file() {
    let stage = Stage::set("tenant").await;
    let kubeconfig = Cluster::shared().await.unwrap().kubeconfig();
    for (setting, value) in [
        ("kubeconfig", kubeconfig.to_str().unwrap()),
        ("context", "testbed"),
    ] {
        let error = open(&stage.tenant(), &[(setting, value)]).await.unwrap_err();
        assert!(matches!(error, ProviderError::Invalid { .. }));
        assert_eq!(
            error.to_string(),
            format!(
                "provider kubernetes refused: this policy acts as ServiceAccount {}/tenant in the cluster that it \
                 lies in; leave out `kubeconfig` and `context`, which are for policies from files",
                stage.namespace()
            )
        );
    }
    open(&stage.engine, &[("context", "testbed")]).await.unwrap();
}

/// `as-groups` of the kubeconfig would come along, and `system:masters` may do all.
#[tokio::test]
async fn a_kubeconfig_that_acts_as_somebody_already_lends_nobody_its_groups() {
    let stage = Stage::set("tenant").await;
    let cluster = Cluster::shared().await.unwrap();
    let path = cluster.kubeconfig_with_token("masters", "admin").unwrap();
    let mut file: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    file["users"][0]["user"]["as-groups"] = json!(["system:masters"]);
    std::fs::write(&path, file.to_string()).unwrap();
    let factory = factory(&path).acting_as(account(stage.namespace(), "tenant"));
    let error = open(&factory, &[]).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unauthenticated { .. }), "{error}");
}

/// What one identity learns is not another's: that there is no list for `tenant` says nothing about `admin`.
#[tokio::test]
async fn what_is_cached_belongs_to_the_identity() {
    let stage = Stage::set("tenant").await;
    let admin = factory(Cluster::shared().await.unwrap().kubeconfig());
    let here = stage.namespace().to_owned();
    let tenant = open(&admin.acting_as(account(&here, "tenant")), &[])
        .await
        .unwrap();
    let names = ["open", "closed", "a", "b"];
    let wanted: Vec<_> = names
        .iter()
        .map(|name| holdfast_contract::Wanted {
            key: key("v1", "ConfigMap", Some(&here), name),
            facets: ["object".into()].into(),
        })
        .collect();
    let cluster = Cluster::shared().await.unwrap();
    let reads = async |provider: &Arc<dyn Provider>| {
        let mark = cluster.mark().await.unwrap();
        let answers = provider.observe(&wanted).await;
        let events = cluster.since(mark).await.unwrap();
        let here = events.iter().filter(|event| event.uri.contains(&here));
        let verbs: BTreeMap<String, usize> = here.fold(BTreeMap::new(), |mut verbs, event| {
            *verbs.entry(event.verb.clone()).or_default() += 1;
            verbs
        });
        (answers.iter().filter(|answer| answer.is_ok()).count(), verbs)
    };
    let own = open(&admin, &[]).await.unwrap();
    let list_and_gets = BTreeMap::from([("get".to_owned(), 4), ("list".to_owned(), 1)]);
    let gets = BTreeMap::from([("get".to_owned(), 4)]);
    let list = BTreeMap::from([("list".to_owned(), 1)]);
    assert_eq!(reads(&tenant).await, (1, list_and_gets));
    assert_eq!(reads(&own).await, (4, list));
    // Another provider of the same account has the same connection, and what was learnt over it.
    let again = open(&admin.acting_as(account(&here, "tenant")), &[])
        .await
        .unwrap();
    assert_eq!(reads(&again).await, (1, gets));
}

/// Ledgers and leases are the engine's, whoever the policy acts as.
#[tokio::test]
async fn state_is_kept_as_whoever_runs_the_engine() {
    let stage = Stage::set("tenant").await;
    let policy = PolicyId {
        namespace: "team-a".to_owned(),
        name: "p".to_owned(),
    };
    let admin = factory(Cluster::shared().await.unwrap().kubeconfig());
    let tenant = admin.acting_as(account(stage.namespace(), "tenant"));
    let ledgers = tenant.state(stage.namespace()).await.unwrap();
    assert_eq!(ledgers.load(&policy).await.unwrap(), None);
    ledgers.save(&policy, &BTreeMap::new(), None).await.unwrap();
}

/// No policy may manage what it stands on, and that is the accounts that it and the engine act as, too.
#[tokio::test]
async fn the_accounts_that_all_is_done_as_are_told_as_ground() {
    let stage = Stage::set("ground").await;
    let cluster = Cluster::shared().await.unwrap();
    let accounts = format!("/api/v1/namespaces/{}/serviceaccounts", stage.namespace());
    let engine = json!({ "metadata": { "name": "engine" } });
    stage.bench.outside.post(&accounts, &engine).await.unwrap();
    let token = cluster
        .service_account_token(stage.namespace(), "engine")
        .await
        .unwrap();
    let path = cluster.kubeconfig_with_token("engine", &token).unwrap();
    // As in a Pod, the token lies in a file.
    let mut file: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let token_file = path.with_extension("token");
    std::fs::write(&token_file, &token).unwrap();
    file["users"][0]["user"] = json!({ "tokenFile": token_file });
    std::fs::write(&path, file.to_string()).unwrap();
    let engine = factory(&path);
    let ground = async |factory: &KubernetesFactory| {
        let policy = PolicyId {
            namespace: "team-a".to_owned(),
            name: "p".to_owned(),
        };
        let ground = factory.state("home").await.unwrap().ground(&policy);
        ground.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let here = stage.namespace();
    let kept = [
        "ConfigMap home/team-a.p",
        "coordination.k8s.io/Lease home/team-a.p",
        "Namespace home",
    ];
    let own = format!("ServiceAccount {here}/engine");
    let theirs = format!("ServiceAccount {here}/tenant");
    assert_eq!(ground(&engine).await, [&kept[..], &[&own]].concat());
    let tenant = engine.acting_as(account(here, "tenant"));
    assert_eq!(ground(&tenant).await, [&kept[..], &[&own, &theirs]].concat());
    assert_eq!(ground(&stage.engine).await, kept, "alice is no service account");
}
