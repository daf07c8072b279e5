//! Definitions of types: never narrowed, and one that is broken breaks nothing else.

use holdfast_e2e::{changes, on_ground, until};
use serde_json::{Value, json};

use crate::{applied, at_rest, blocked, prepared, stands};

const ALL: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn definition(plural: &str, kind: &str, versions: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.defined.example") },
        "spec": {
            "group": "defined.example", "scope": "Namespaced", "names": { "plural": plural, "kind": kind },
            "versions": versions,
        },
    })
}

fn version(name: &str, is_stored: bool, fields: &Value) -> Value {
    let spec = json!({ "type": "object", "properties": fields });
    let schema = json!({ "type": "object", "properties": { "spec": spec } });
    json!({ "name": name, "served": true, "storage": is_stored, "schema": { "openAPIV3Schema": schema } })
}

fn rule(definition: &Value) -> String {
    format!("type: {{ ensure: kubernetes/Object, desired: {definition} }}")
}

fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
}

#[test]
fn a_definition_that_is_ahead_of_ours_is_never_narrowed() {
    on_ground(async |ground| {
        let mode = |values: &[&str]| json!({ "mode": { "type": "string", "enum": values } });
        let ours = definition("drums", "Drum", &json!([version("v1", true, &mode(&["soft"]))]));
        let policy = applied(ground, "ahead", &rule(&ours)).await;
        let place = format!("{ALL}/drums.defined.example");
        // An upgrade by somebody else: a value more, a field more, a version more.
        let mut fields = mode(&["soft", "loud"]);
        fields["size"] = json!({ "type": "integer" });
        let newer = definition(
            "drums",
            "Drum",
            &json!([version("v1", true, &fields), version("v2", false, &fields)]),
        );
        let mut live = ground.api.get(&place).await.unwrap();
        live["spec"]["versions"] = newer["spec"]["versions"].clone();
        drop(
            ground
                .api
                .put(&place, "kubectl-client-side-apply", &live)
                .await
                .unwrap(),
        );
        at_rest(ground, &policy).await;
        let kept = ground.api.get(&place).await.unwrap();
        assert_eq!(kept["spec"]["versions"].as_array().unwrap().len(), 2);
        assert_eq!(schema(&kept)["mode"]["enum"], json!(["soft", "loud"]));

        // Ours wants something that it lacks: said, not forced.
        let mut wider = mode(&["soft"]);
        wider["colour"] = json!({ "type": "string" });
        policy.write(&rule(&definition(
            "drums",
            "Drum",
            &json!([version("v1", true, &wider)]),
        )));
        let plan = policy.plan().await;
        let why = blocked(&plan, "type");
        assert!(
            why.contains("v1.spec.colour") && why.contains("version v2"),
            "{why}"
        );
        drop(policy.apply().await.exits(2).says("v1.spec.colour"));
        let kept = ground.api.get(&place).await.unwrap();
        assert!(
            schema(&kept)["colour"].is_null() && !schema(&kept)["size"].is_null(),
            "{kept:#}"
        );

        // With all that it has and more, ours is the newer one.
        fields["colour"] = json!({ "type": "string" });
        let newest = json!([version("v1", true, &fields), version("v2", false, &fields)]);
        policy.write(&rule(&definition("drums", "Drum", &newest)));
        drop(policy.apply().await.exits(0));
        let now = ground.api.get(&place).await.unwrap();
        assert!(!schema(&now)["colour"].is_null());
        at_rest(ground, &policy).await;
    });
}

#[test]
fn a_definition_that_belongs_to_somebody_is_checked_and_left() {
    on_ground(async |ground| {
        let fields = json!({ "mode": { "type": "string" } });
        let mut theirs = definition("flutes", "Flute", &json!([version("v1", true, &fields)]));
        theirs["metadata"]["annotations"] = json!({ "meta.helm.sh/release-name": "orchestra" });
        ground.api.create(ALL, &theirs).await;
        let place = format!("{ALL}/flutes.defined.example");
        let same = definition("flutes", "Flute", &json!([version("v1", true, &fields)]));
        let policy = prepared(ground, "theirs", &rule(&same)).await;
        until("it is served", async || {
            stands(&policy.plan().await, "type").0 == "Converged"
        })
        .await;
        at_rest(ground, &policy).await;
        let kept = ground.api.get(&place).await.unwrap();
        assert!(
            kept["metadata"]["labels"].is_null(),
            "not even a label is put on it: {kept:#}"
        );
        let more = json!([version("v1", true, &fields), version("v2", false, &fields)]);
        policy.write(&rule(&definition("flutes", "Flute", &more)));
        let why = blocked(&policy.plan().await, "type");
        assert!(
            why.contains("the Helm release orchestra") && why.contains("version v2"),
            "{why}"
        );
        drop(policy.apply().await.exits(2));
        assert_eq!(ground.api.get(&place).await.unwrap()["spec"], kept["spec"]);
    });
}

#[test]
fn a_conversion_that_is_down_makes_its_objects_unknown_and_nothing_else() {
    on_ground(async |ground| {
        let fields = json!({ "mode": { "type": "string" } });
        let versions = json!([version("v1", true, &fields), version("v2", false, &fields)]);
        let mut broken = definition("horns", "Horn", &versions);
        ground.api.create(ALL, &broken).await;
        let horns = "/apis/defined.example/v1/namespaces/brass/horns";
        ground
            .api
            .create("/api/v1/namespaces", &json!({ "metadata": { "name": "brass" } }))
            .await;
        until("it is served", async || ground.api.get(horns).await.is_some()).await;
        let horn = json!({
            "apiVersion": "defined.example/v1", "kind": "Horn",
            "metadata": { "name": "horn", "namespace": "brass" }, "spec": { "mode": "loud" },
        });
        ground.api.create(horns, &horn).await;
        let place = format!("{ALL}/horns.defined.example");
        let client = json!({ "url": "https://127.0.0.1:1/convert" });
        broken["spec"]["conversion"] = json!({ "strategy": "Webhook", "webhook": { "clientConfig": client, "conversionReviewVersions": ["v1"] } });
        ground
            .api
            .patch(
                &place,
                &json!({ "spec": { "conversion": broken["spec"]["conversion"] } }),
            )
            .await;
        let rules = |count: usize| {
            let horns: Vec<_> = (0..count)
                .map(|index| {
                    let name = if index == 0 { "horn".to_owned() } else { format!("horn-{index}") };
                    format!(
                        "horn{index}: {{ ensure: kubernetes/Object, desired: {{ apiVersion: defined.example/v2, kind: Horn, \
                         metadata: {{ name: {name} }}, spec: {{ mode: soft }} }} }}"
                    )
                })
                .collect();
            format!(
                "{}\nbeside: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: \
                 beside }} }} }}",
                horns.join("\n")
            )
        };
        // By name, and in a list.
        for count in [1, 5] {
            let policy = ground.policy("brass");
            policy.write(&rules(count));
            until("the conversion is asked for", async || {
                stands(&policy.plan().await, "horn0").0 != "Drifted"
            })
            .await;
            let plan = policy.plan().await;
            let (phase, reason) = stands(&plan, "horn0");
            assert_eq!(phase, "Unknown", "{plan:#}");
            assert!(reason.contains("conversion webhook"), "{reason}");
            assert!(!changes(&plan).contains_key("horn0"), "{:?}", changes(&plan));
            drop(
                policy
                    .run(&["apply", "--yes", "--no-wait", "--timeout", "10s"])
                    .await
                    .exits(2),
            );
            assert!(
                ground
                    .api
                    .get("/api/v1/namespaces/brass/configmaps/beside")
                    .await
                    .is_some()
            );
            ground
                .api
                .delete("/api/v1/namespaces/brass/configmaps/beside")
                .await;
        }
        // It is up again.
        ground
            .api
            .patch(
                &place,
                &json!({ "spec": { "conversion": { "strategy": "None", "webhook": null } } }),
            )
            .await;
        let policy = ground.policy("brass");
        policy.write(&rules(1));
        until("the type is read again", async || {
            stands(&policy.plan().await, "horn0").0 == "Drifted"
        })
        .await;
        drop(policy.apply().await.exits(0));
        assert_eq!(
            ground.api.get(&format!("{horns}/horn")).await.unwrap()["spec"]["mode"],
            "soft"
        );
    });
}
