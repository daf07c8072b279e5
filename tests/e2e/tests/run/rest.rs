//! Rest.

use std::time::Duration;

use holdfast_e2e::{Ground, STATE, on_own_ground, on_stage, path, until};
use serde_json::{Value, json};

use crate::resources::{Team, map};

/// Several intervals of the policies here, which are as short as they may be.
const SEVERAL: Duration = Duration::from_secs(35);

/// The type of reports, as far as the server has to know it.
fn reports() -> Value {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "metadata": { "name": "policyreports.wgpolicyk8s.io" },
        "spec": {
            "group": "wgpolicyk8s.io", "scope": "Namespaced",
            "names": { "plural": "policyreports", "singular": "policyreport", "kind": "PolicyReport", "listKind": "PolicyReportList" },
            "versions": [{ "name": "v1alpha2", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
        },
    })
}

/// What is asked, leases aside, while nothing happens.
async fn asked_at_rest(ground: &Ground) -> Vec<String> {
    // Watches begin, and what they tell first.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mark = ground.mark().await;
    tokio::time::sleep(SEVERAL).await;
    let witness = ground.since(mark).await;
    let lines = witness.lines();
    assert!(lines.contains("/leases"), "the leases are renewed: {lines}");
    let lines = lines.lines().filter(|line| !line.contains("/leases"));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_converged_cluster_is_asked_nothing_but_for_the_lease() {
    on_own_ground(async |ground| {
        let policy = ground.policy("rest");
        let one = |name: &str| {
            format!(
                "    {name}: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: \
                 {name}, namespace: default }}, data: {{ a: '1' }} }} }}\n"
            )
        };
        let rules = ["a", "b", "c", "d", "e"].map(one).concat();
        policy.file(
            "policy.yaml",
            &format!(
                "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: rest }}\nspec:\n  language: 1\n  \
                 interval: 10s\n  rules:\n{rules}"
            ),
        );
        let enforcer = ground.enforce(&[&policy.path()]);
        enforcer.reaches("e", "Converged").await;
        assert_eq!(asked_at_rest(ground).await, [""; 0]);
        drop(enforcer.end().await);
    });
}

#[test]
fn a_policy_resource_at_rest_has_nothing_written_of_it_and_its_report_only_when_that_changes() {
    on_own_ground(async |ground| {
        const NAME: &str = "run-report";
        let team = Team::with(ground, NAME, &[]).await;
        let mut checked = map(NAME, "one");
        checked["checks"] = json!([{
            "that": "!has(self.data.b)", "message": "there is a b", "severity": "high", "controls": ["CIS/1.2"],
        }]);
        let spec = json!({ "serviceAccountName": "keeper", "interval": "10s", "rules": { "one": checked } });
        team.make("ours", &spec).await;
        let observes = json!({
            "serviceAccountName": "keeper", "interval": "10s", "mode": "Observe", "rules": { "two": map(NAME, "two") },
        });
        team.make("looks", &observes).await;
        drop(team.condition("ours", "Ready", "Converged").await);
        drop(team.condition("looks", "Ready", "OnlyObserved").await);
        // Where there is no type of reports, nobody asks for it at rest.
        assert_eq!(asked_at_rest(ground).await, [""; 0]);
        drop(team.enforcer.end().await);

        ground
            .api
            .create(
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                &reports(),
            )
            .await;
        let all = path("wgpolicyk8s.io/v1alpha2", "PolicyReport", NAME, "");
        until("reports are served", async || {
            ground.api.get(&all).await.is_some()
        })
        .await;
        let mark = ground.mark().await;
        let enforcer = ground.enforce(&["--policies", "--namespace", NAME]);
        let report = path("wgpolicyk8s.io/v1alpha2", "PolicyReport", NAME, "ours");
        let outcome = async |outcome: &str| {
            let now = ground.api.get(&report).await.unwrap_or_default();
            now["summary"][outcome] == 1
        };
        until("the check passes", async || outcome("pass").await).await;
        assert_eq!(asked_at_rest(ground).await, [""; 0]);
        let place = path("v1", "ConfigMap", NAME, "one");
        ground.api.patch(&place, &json!({ "data": { "b": "1" } })).await;
        until("the check fails", async || outcome("fail").await).await;
        let now = ground.api.get(&report).await.unwrap();
        let result = &now["results"][0];
        assert_eq!(result["severity"], "high", "{now:#}");
        assert_eq!(result["properties"]["controls"], "CIS/1.2", "{now:#}");
        assert_eq!(result["resources"][0]["name"], "one", "{now:#}");
        until("an event tells of it, too", async || {
            let events = ground
                .kubectl(&["events", "--for", "hfp/ours", "--namespace", NAME])
                .await;
            events.contains("CheckFailed") && events.contains("there is a b")
        })
        .await;
        let drift = ground
            .api
            .get(&path("wgpolicyk8s.io/v1alpha2", "PolicyReport", NAME, "looks"))
            .await;
        let drift = drift.unwrap();
        assert_eq!(drift["results"][0]["category"], "drift", "{drift:#}");
        drop(enforcer.end().await);

        let writes = ground.since(mark).await.writes_beside_the_lease();
        let of_reports = writes
            .iter()
            .filter(|write| write.contains("/policyreports/ours"));
        assert_eq!(
            of_reports.count(),
            2,
            "one that passes, and one that fails: {writes:#?}"
        );
        let may = ["/policies/", "/policyreports/", "/events"];
        for write in &writes {
            assert!(may.iter().any(|part| write.contains(part)), "{write}");
        }
        assert!(team_has_nothing_of(ground, NAME, "two").await, "it only observes");
    });
}

/// Whether there is no such map, and no ledger of who only observes.
async fn team_has_nothing_of(ground: &Ground, namespace: &str, name: &str) -> bool {
    let map = path("v1", "ConfigMap", namespace, name);
    let ledger = path("v1", "ConfigMap", STATE, &format!("{namespace}.looks"));
    ground.api.get(&map).await.is_none() && ground.api.get(&ledger).await.is_none()
}

#[test]
fn a_converged_bucket_is_read_each_interval_and_never_written() {
    on_stage(async |stage| {
        let policy = stage.home().join("bucket-at-rest");
        std::fs::create_dir_all(&policy).unwrap();
        std::fs::write(
            policy.join("policy.yaml"),
            "apiVersion: holdfast.dev/v1alpha1
kind: Policy
metadata: { name: bucket-at-rest }
spec:
  language: 1
  interval: 10s
  providers: { s3: { region: us-east-2 } }
  rules:
    data: { ensure: s3/Bucket, name: acme-at-rest, desired: { versioning: { status: Enabled }, tags: { owner: us } } }
",
        )
        .unwrap();
        let enforcer = stage.enforce(&policy.display().to_string(), &[]);
        enforcer.reaches("data", "Converged").await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mark = stage.mark().await;
        tokio::time::sleep(SEVERAL).await;
        let witness = stage.since(mark).await;
        let reads = witness
            .s3
            .iter()
            .filter(|request| request.query.contains("versioning"))
            .count();
        // Each interval is up to a quarter shorter, by chance.
        assert!((2..=5).contains(&reads), "{}", witness.lines());
        let writes = witness.writes_beside_the_lease();
        assert!(writes.is_empty(), "{writes:?}");
        drop(enforcer.end().await);
    });
}
