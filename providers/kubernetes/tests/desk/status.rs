//! What is written on Policy resources themselves: their status, and the finalizer.

use std::collections::BTreeSet;

use holdfast_contract::{FINALIZER, ProviderError};
use serde_json::json;

use crate::{Stage, all, changed, policy};

#[tokio::test]
async fn a_status_is_replaced_whole_by_one_request() {
    let stage = Stage::set("status").await;
    let uid = stage.policy("p").await;
    let id = stage.id("p");
    let first = json!({ "observedGeneration": 1, "phases": { "a": "Converged", "b": "Drifted" } });
    stage.desk.write_status(&id, &uid, &first).await.unwrap();
    assert_eq!(stage.get("p").await["status"], first);
    let second = json!({ "observedGeneration": 2, "phases": { "a": "Converged" } });
    let write = stage.desk.write_status(&id, &uid, &second);
    let (written, requests) = stage.requests(write).await;
    written.unwrap();
    let policy = stage.get("p").await;
    assert_eq!(policy["status"], second, "nothing of the first is left");
    assert_eq!(policy["metadata"]["generation"], 1);
    assert_eq!(requests, ["patch"]);
    // The same again changes nothing, not even the version.
    stage.desk.write_status(&id, &uid, &second).await.unwrap();
    assert_eq!(
        stage.get("p").await["metadata"]["resourceVersion"],
        policy["metadata"]["resourceVersion"]
    );
}

#[tokio::test]
async fn a_new_incarnation_is_told_nothing_of_the_old_one() {
    let stage = Stage::set("incarnations").await;
    let id = stage.id("p");
    let old = stage.policy("p").await;
    stage.outside.delete(&stage.path("p")).await.unwrap();
    let status = json!({ "observedGeneration": 1 });
    stage.desk.write_status(&id, &old, &status).await.unwrap();
    stage.desk.set_finalizer(&id, &old, true).await.unwrap();
    let new = stage.policy("p").await;
    stage.desk.write_status(&id, &old, &status).await.unwrap();
    stage.desk.set_finalizer(&id, &old, true).await.unwrap();
    let policy = stage.get("p").await;
    assert_eq!(policy["metadata"]["uid"], json!(new));
    assert!(policy["status"].is_null() && policy["metadata"]["finalizers"].is_null());
}

#[tokio::test]
async fn a_status_that_the_definition_refuses_is_an_error() {
    let stage = Stage::set("unfit").await;
    let uid = stage.policy("p").await;
    let unfit = json!({ "observedGeneration": "one" });
    let error = stage
        .desk
        .write_status(&stage.id("p"), &uid, &unfit)
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Invalid { .. }), "{error}");
}

#[tokio::test]
async fn a_finalizer_keeps_a_policy_until_it_is_taken_away() {
    let stage = Stage::set("finalizers").await;
    let id = stage.id("p");
    let uid = policy(
        &stage.outside,
        &stage.namespace,
        "p",
        json!({ "finalizers": ["example.com/theirs"] }),
    )
    .await;
    let mut events = stage.desk.policies();
    all(&mut events).await;
    stage.desk.set_finalizer(&id, &uid, true).await.unwrap();
    assert!(changed(&mut events).await.finalizer);
    let again = stage.desk.set_finalizer(&id, &uid, true);
    let (again, requests) = stage.requests(again).await;
    again.unwrap();
    assert_eq!(requests, ["get"], "nothing is written twice");
    assert_eq!(
        stage.get("p").await["metadata"]["finalizers"],
        json!(["example.com/theirs", FINALIZER])
    );
    stage.outside.delete(&stage.path("p")).await.unwrap();
    let leaving = changed(&mut events).await;
    assert!(leaving.deleting && leaving.finalizer);
    stage.desk.set_finalizer(&id, &uid, false).await.unwrap();
    let finalizers = &stage.get("p").await["metadata"]["finalizers"];
    assert_eq!(finalizers, &json!(["example.com/theirs"]), "theirs stays");
    // What is on its way out takes no further one, and needs none.
    stage.desk.set_finalizer(&id, &uid, true).await.unwrap();
    let none = json!({ "metadata": { "finalizers": null } });
    stage.outside.merge(&stage.path("p"), &none).await.unwrap();
    assert!(stage.outside.get(&stage.path("p")).await.is_err());
    stage.desk.set_finalizer(&id, &uid, false).await.unwrap();
}

/// Ten others write the same list meanwhile: no finalizer is lost.
#[tokio::test]
async fn finalizers_that_others_add_at_the_same_time_stay() {
    let stage = Stage::set("races").await;
    let uid = stage.policy("p").await;
    let id = stage.id("p");
    let others = async {
        for number in 0..10 {
            let mut policy = stage.get("p").await;
            loop {
                let finalizers = policy["metadata"]["finalizers"].as_array().cloned();
                let mut finalizers = finalizers.unwrap_or_default();
                finalizers.push(json!(format!("example.com/{number}")));
                let version = &policy["metadata"]["resourceVersion"];
                let patch = json!({ "metadata": { "resourceVersion": version, "finalizers": finalizers } });
                if stage.outside.merge(&stage.path("p"), &patch).await.is_ok() {
                    break;
                }
                policy = stage.get("p").await;
            }
        }
    };
    let ours = async {
        // Put in and taken out by turns, so that it often is written while theirs are.
        for present in [true, false, true, false, true] {
            while let Err(error) = stage.desk.set_finalizer(&id, &uid, present).await {
                assert!(matches!(error, ProviderError::Conflict { .. }), "{error}");
            }
        }
    };
    futures::join!(others, ours);
    let finalizers = stage.get("p").await["metadata"]["finalizers"].clone();
    let finalizers: BTreeSet<&str> = finalizers
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    assert!(
        finalizers.contains(FINALIZER) && finalizers.len() == 11,
        "{finalizers:?}"
    );
}
