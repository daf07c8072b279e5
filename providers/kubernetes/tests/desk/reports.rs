//! The results of checks, as other tools publish theirs.

use std::time::Duration;

use holdfast_contract::{PolicyId, ProviderError};
use holdfast_testbed::Cluster;
use serde_json::json;

use crate::support::Outside;
use crate::support::definitions::{install, policy_definition, report_definition};
use crate::{desk, policy};

#[tokio::test]
async fn a_report_is_written_where_the_cluster_has_its_type_and_goes_with_the_policy() {
    let cluster = Cluster::start().await.unwrap();
    let outside = Outside::open(cluster.kubeconfig()).await;
    install(&outside, &policy_definition()).await;
    let uid = policy(&outside, "default", "p", json!({})).await;
    let id = PolicyId {
        namespace: "default".to_owned(),
        name: "p".to_owned(),
    };
    let results = json!([
        { "policy": "p", "rule": "expiry", "result": "fail", "severity": "high", "source": "holdfast" },
        { "policy": "p", "rule": "bucket", "result": "pass", "source": "holdfast" },
    ]);
    let early = desk(&cluster, &[]).await;
    assert!(!early.write_report(&id, &uid, &results).await.unwrap());
    let mark = cluster.mark().await.unwrap();
    assert!(!early.write_report(&id, &uid, &results).await.unwrap());
    let requests = cluster.since(mark).await.unwrap();
    assert!(requests.is_empty(), "asked again for each: {requests:?}");

    install(&outside, &report_definition()).await;
    let desk = desk(&cluster, &[]).await;
    assert!(desk.write_report(&id, &uid, &results).await.unwrap());
    let path = "/apis/wgpolicyk8s.io/v1alpha2/namespaces/default/policyreports/p";
    let report = outside.get(path).await.unwrap();
    assert_eq!(report["results"], results);
    assert_eq!(
        report["summary"],
        json!({ "pass": 1, "fail": 1, "warn": 0, "error": 0, "skip": 0 })
    );
    assert_eq!(
        report["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "holdfast"
    );
    let owner = json!([{ "apiVersion": "holdfast.dev/v1alpha1", "kind": "Policy", "name": "p", "uid": uid }]);
    assert_eq!(report["metadata"]["ownerReferences"], owner);
    // The same again changes nothing; what somebody else has changed is put back; fewer results are fewer.
    desk.write_report(&id, &uid, &results).await.unwrap();
    let again = outside.get(path).await.unwrap();
    assert_eq!(
        again["metadata"]["resourceVersion"],
        report["metadata"]["resourceVersion"]
    );
    outside.merge(path, &json!({ "results": [] })).await.unwrap();
    desk.write_report(&id, &uid, &results).await.unwrap();
    assert_eq!(outside.get(path).await.unwrap()["results"], results);
    desk.write_report(&id, &uid, &json!([results[1]])).await.unwrap();
    let fewer = outside.get(path).await.unwrap();
    assert_eq!(
        (&fewer["results"], &fewer["summary"]["fail"]),
        (&json!([results[1]]), &json!(0))
    );
    // Somebody else's stays.
    let theirs = json!({
        "apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport", "metadata": { "name": "q" },
        "results": [], "summary": { "pass": 7 },
    });
    let all = path.trim_end_matches("/p");
    outside.post(all, &theirs).await.unwrap();
    let foreign = PolicyId {
        name: "q".to_owned(),
        ..id.clone()
    };
    let error = desk.write_report(&foreign, &uid, &results).await.unwrap_err();
    assert!(matches!(error, ProviderError::Foreign { .. }), "{error}");
    assert_eq!(
        outside.get(&format!("{all}/q")).await.unwrap()["summary"]["pass"],
        7
    );
    // And once the type is gone again, nothing is written, and that is no error.
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/policyreports.wgpolicyk8s.io";
    outside.delete(definition).await.unwrap();
    while outside.get(all).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!desk.write_report(&id, &uid, &results).await.unwrap());
}
