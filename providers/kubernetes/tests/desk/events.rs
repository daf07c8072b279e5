//! What is told among the events of the cluster.

use holdfast_contract::Notice;
use serde_json::{Value as Json, json};

use crate::Stage;
use crate::support::key;

fn notice(stage: &Stage, uid: &str) -> Notice {
    Notice {
        policy: stage.id("p"),
        uid: uid.to_owned(),
        object: None,
        object_uid: None,
        warning: false,
        reason: "DriftRepaired",
        action: "Repair",
        note: "ConfigMap shop/settings was put back".to_owned(),
    }
}

#[tokio::test]
async fn the_same_event_again_raises_its_count_and_another_is_another() {
    let stage = Stage::set("events").await;
    let uid = stage.policy("p").await;
    let first = notice(&stage, &uid);
    for _ in 0..3 {
        stage.desk.tell(&first).await.unwrap();
    }
    let events = stage.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!(event["series"]["count"], 3);
    assert_eq!(
        event["regarding"],
        json!({
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "Policy", "namespace": stage.namespace, "name": "p",
            "uid": uid,
        })
    );
    assert_eq!(
        (&event["type"], &event["reason"], &event["action"], &event["note"]),
        (
            &json!("Normal"),
            &json!("DriftRepaired"),
            &json!("Repair"),
            &json!(first.note)
        )
    );
    assert_eq!(event["reportingController"], "holdfast.dev/holdfast");
    assert_eq!(event["reportingInstance"], "replica-1");
    let other = Notice {
        note: "x".repeat(5000),
        warning: true,
        ..first.clone()
    };
    stage.desk.tell(&other).await.unwrap();
    let events = stage.events().await;
    assert_eq!(events.len(), 2);
    let long = events.iter().find(|event| event["type"] == "Warning").unwrap();
    assert_eq!(long["note"].as_str().unwrap().len(), 1024);
    // One that the server has dropped meanwhile is told anew.
    for event in events {
        let name = event["metadata"]["name"].as_str().unwrap();
        let path = format!(
            "/apis/events.k8s.io/v1/namespaces/{}/events/{name}",
            stage.namespace
        );
        stage.outside.delete(&path).await.unwrap();
    }
    stage.desk.tell(&first).await.unwrap();
    assert_eq!(stage.events().await.len(), 1);
}

#[tokio::test]
async fn an_event_about_an_object_stands_with_both() {
    let stage = Stage::set("objects").await;
    let uid = stage.policy("p").await;
    let there = stage.cluster.namespace("there").await.unwrap();
    let about = Notice {
        object: Some(key("v1", "ConfigMap", Some(&there), "settings")),
        object_uid: Some("42".to_owned()),
        ..notice(&stage, &uid)
    };
    stage.desk.tell(&about).await.unwrap();
    stage.desk.tell(&about).await.unwrap();
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "namespace": there, "name": "settings", "uid": "42",
    });
    let here = stage.events().await;
    assert_eq!(here.len(), 1);
    assert_eq!(
        (&here[0]["related"], &here[0]["regarding"]["kind"]),
        (&object, &json!("Policy"))
    );
    let path = format!("/apis/events.k8s.io/v1/namespaces/{there}/events");
    let on_objects = async || {
        let list = stage.outside.get(&path).await.unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let told = on_objects().await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["regarding"], &told[0]["related"]["kind"]),
        (&object, &json!("Policy"))
    );
    assert_eq!(told[0]["series"]["count"], 2);
    // What nobody has seen has none of its own, and neither has what lies in no namespace.
    let unseen = Notice {
        object: Some(key("v1", "Secret", Some(&there), "unseen")),
        note: "access denied".to_owned(),
        ..notice(&stage, &uid)
    };
    stage.desk.tell(&unseen).await.unwrap();
    assert_eq!(on_objects().await.len(), 1);
    // Not all names are such as an event may have.
    let role = key(
        "rbac.authorization.k8s.io/v1",
        "Role",
        Some(&there),
        "holdfast:Team:web",
    );
    let of_a_role = Notice {
        object: Some(role),
        object_uid: Some("44".to_owned()),
        note: "Role holdfast:Team:web was put back".to_owned(),
        ..notice(&stage, &uid)
    };
    stage.desk.tell(&of_a_role).await.unwrap();
    let told = on_objects().await;
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .any(|event| event["regarding"]["name"] == "holdfast:Team:web")
    );
    let cluster_wide = Notice {
        object: Some(key("v1", "Namespace", None, "shop")),
        object_uid: Some("43".to_owned()),
        note: "Namespace shop was put back".to_owned(),
        ..notice(&stage, &uid)
    };
    stage.desk.tell(&cluster_wide).await.unwrap();
    assert_eq!(stage.events().await.len(), 4);
    let default = stage
        .outside
        .get("/apis/events.k8s.io/v1/namespaces/default/events");
    let default = default.await.unwrap();
    let ours = |event: &&Json| event["regarding"]["kind"] == "Namespace";
    assert_eq!(
        default["items"].as_array().unwrap().iter().filter(ours).count(),
        0
    );
}

#[tokio::test]
async fn people_see_the_events_of_a_policy() {
    let stage = Stage::set("described").await;
    let uid = stage.policy("p").await;
    let told = notice(&stage, &uid);
    stage.desk.tell(&told).await.unwrap();
    stage.desk.tell(&told).await.unwrap();
    let described = ["describe", "policies.holdfast.dev", "p", "-n", &stage.namespace];
    let described = holdfast_testbed::kubectl(stage.cluster, &described)
        .await
        .unwrap();
    let line = described.lines().find(|line| line.contains("DriftRepaired"));
    let line = line.unwrap_or_else(|| panic!("{described}"));
    assert!(line.contains("x2 over") && line.contains(&told.note), "{line}");
}
