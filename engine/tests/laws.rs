//! Laws of the whole engine, with random policies and random worlds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;

use holdfast_engine::report::{TextOptions, plan_text};
use holdfast_memory::Operation;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::Case;

type Data = BTreeMap<String, String>;

#[derive(Clone, Debug)]
struct World {
    /// By name: what is declared, if it is, and what is there, if it is.
    maps: BTreeMap<String, (Option<Data>, Option<Data>)>,
    buckets: BTreeMap<String, (Option<Data>, Option<Data>)>,
}

fn things(prefix: &'static str) -> impl Strategy<Value = BTreeMap<String, (Option<Data>, Option<Data>)>> {
    let data = || proptest::option::of(proptest::collection::btree_map("[a-d]", "[x-z]{1,2}", 1..4));
    proptest::collection::btree_map("[a-e]", (data(), data()), 0..5).prop_map(move |things| {
        things
            .into_iter()
            .map(|(name, thing)| (format!("{prefix}-{name}"), thing))
            .collect()
    })
}

fn worlds() -> impl Strategy<Value = World> {
    (things("map"), things("bucket")).prop_map(|(maps, buckets)| World { maps, buckets })
}

impl World {
    fn case(&self) -> Case {
        let mut rules = serde_json::Map::new();
        let mut objects = Vec::new();
        let mut buckets = serde_json::Map::new();
        for (name, (declared, there)) in &self.maps {
            let map = |data: &Data| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data});
            if let Some(data) = declared {
                rules.insert(
                    name.replace('-', ""),
                    json!({"ensure": "kubernetes/Object", "desired": map(data)}),
                );
            }
            objects.extend(there.as_ref().map(map));
        }
        for (name, (declared, there)) in &self.buckets {
            if let Some(tags) = declared {
                let desired = json!({"tags": tags, "versioning": {"status": "Enabled"}});
                rules.insert(
                    name.replace('-', ""),
                    json!({"ensure": "s3/Bucket", "name": name, "desired": desired}),
                );
            }
            if let Some(tags) = there {
                buckets.insert(name.clone(), json!({"region": "us-east-2", "tags": tags}));
            }
        }
        let policy = json!({
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "laws"},
            "spec": {"language": 1, "providers": {"s3": {"region": "us-east-2"}}, "rules": Value::Object(rules)}
        });
        Case::text(
            &policy.to_string(),
            &json!({"objects": objects, "buckets": buckets}).to_string(),
        )
    }

    /// What must be there in the end: what is declared over what was there.
    fn expected(thing: &(Option<Data>, Option<Data>)) -> Option<Data> {
        let (declared, there) = thing;
        if declared.is_none() && there.is_none() {
            return None;
        }
        let mut all = there.clone().unwrap_or_default();
        all.extend(declared.clone().unwrap_or_default());
        Some(all)
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn apply_makes_the_plan_empty_and_twice_writes_nothing(world in worlds()) {
        run(async {
            let case = world.case();
            let first = case.plan().await;
            assert_eq!(case.writes(), 0);
            let text = plan_text(&first, TextOptions::default());
            assert_eq!(text, plan_text(&case.plan().await, TextOptions::default()));
            let applied = case.apply().await;
            assert!(applied.is_converged(), "{}", plan_text(&applied, TextOptions::default()));
            case.world.forget_requests();
            let again = case.plan().await;
            assert!(again.is_converged(), "{}", plan_text(&again, TextOptions::default()));
            case.apply().await;
            assert_eq!(case.writes(), 0);
        });
    }

    #[test]
    fn what_is_declared_holds_and_what_is_not_is_never_touched(world in worlds()) {
        run(async {
            let case = world.case();
            case.apply().await;
            for (name, thing) in &world.buckets {
                let key = holdfast_contract::ResourceKey {
                    provider: "s3".into(), kind: "s3/Bucket".into(), api: None, namespace: None,
                    name: name.clone(), region: None,
                };
                let tags = case.world.facet(&key, &"tags".into()).map(|tags| tags.to_string());
                let expected = World::expected(thing).map(|tags| json!(tags).to_string());
                assert_eq!(tags, expected, "{name}");
            }
            for (name, thing) in &world.maps {
                let api = holdfast_contract::ApiType::new("v1", "ConfigMap");
                let key = holdfast_engine::objects::key(&api, Some("default"), name);
                let data = case.world.document(&key).and_then(|object| object.get("data").map(ToString::to_string));
                assert_eq!(data, World::expected(thing).map(|data| json!(data).to_string()), "{name}");
            }
        });
    }

    #[test]
    fn only_what_differs_is_written(world in worlds()) {
        run(async {
            let case = world.case();
            let plan = case.plan().await;
            let planned = plan.resources.iter().filter(|resource| resource.action.is_some()).count();
            case.world.forget_requests();
            case.apply().await;
            let mut written: Vec<String> = case.world.requests().into_iter()
                .filter(|request| matches!(request.operation, Operation::Create | Operation::Set))
                .map(|request| request.target)
                .collect();
            written.sort();
            written.dedup();
            assert_eq!(written.len(), planned, "{written:?}");
        });
    }
}
