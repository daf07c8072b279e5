//! Every kind of object, in every spelling: applied it is equal, changed by hand it is found and put back.
//!
//! The manifests are in `manifests`, a file for each topic. Nothing here knows any of them: whoever adds one has it tested.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod drift;

use std::collections::{BTreeMap, BTreeSet};

use drift::{Drift, drift};
use holdfast_e2e::{Api, Ground, Policy, changes, on_ground, root, until};
use serde_json::Value;

/// How often each object is changed, each time at another place if it has one.
const ROUNDS: usize = 3;
/// Fewer than these would say little of any set of manifests that users have.
const OBJECTS_MIN: usize = 100;
/// Objects of which nothing can be changed, as nothing may be or they declare no scalar, are few.
const FIXED_MAX: usize = 30;
/// How many objects are equal only by the server's word: where it adds to a list that is one value.
const ASKED_MAX: usize = 20;

/// One file of the corpus.
struct Topic<'g> {
    name: String,
    policy: Policy<'g>,
    manifests: Vec<Value>,
}

impl<'g> Topic<'g> {
    fn all(ground: &'g Ground) -> Vec<Self> {
        let folder = root().join("tests/e2e/tests/corpus/manifests");
        let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.collect();
        files.sort();
        files
            .into_iter()
            .map(|file| {
                let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
                let text = std::fs::read_to_string(&file).unwrap();
                let policy = ground.policy(&name);
                policy.file("objects.yaml", &text);
                policy.write(&format!(
                    "namespace: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: Namespace, metadata: {{ \
                     name: {name} }} }} }}\nobjects: {{ ensure: kubernetes/Object, manifests: [objects.yaml] }}"
                ));
                Self {
                    manifests: serde_saphyr::from_multiple(&text).unwrap(),
                    name,
                    policy,
                }
            })
            .collect()
    }

    /// Applies, and sees that a plan is then empty; what isn't so goes into `faults`.
    async fn apply(&self, what: &str, faults: &mut Vec<String>) {
        let apply = self.policy.apply().await;
        if apply.code != Some(0) || !apply.stdout.contains(what) {
            faults.push(format!(
                "{}: an apply says {}{}",
                self.name, apply.stdout, apply.stderr
            ));
        }
        let left = changes(&self.policy.plan().await);
        if !left.is_empty() {
            faults.push(format!("{}: after an apply a plan has {left:#?}", self.name));
        }
    }
}

#[test]
fn every_manifest_is_equal_once_applied_and_each_change_of_it_is_found_and_put_back() {
    on_ground(async |ground| {
        let topics = Topic::all(ground);
        let mut faults = Vec::new();
        for topic in &topics {
            topic.apply("0 changed, 0 deleted", &mut faults).await;
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        let mark = ground.mark().await;
        for topic in &topics {
            let _ = topic.policy.plan().await;
        }
        let rest = ground.since(mark).await;
        let asked: Vec<_> = rest
            .kubernetes
            .iter()
            .filter(|event| event.dry_run)
            .map(|event| &event.uri)
            .collect();
        println!("at rest: {}; asked about {asked:#?}", rest.summary());
        assert_eq!(rest.writes(), [""; 0]);
        assert!(asked.len() <= ASKED_MAX, "{asked:#?}");
        let mut covered = 0;
        let mut drifted: BTreeSet<String> = BTreeSet::new();
        let mut all: BTreeSet<String> = BTreeSet::new();
        for topic in &topics {
            assert!(faults.is_empty(), "{}", faults.join("\n"));
            covered += topic.manifests.len();
            all.extend(topic.manifests.iter().map(|manifest| place(topic, manifest)));
            for round in 0..ROUNDS {
                drifted.extend(one_round(&ground.api, topic, round, &mut faults).await);
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        let fixed: Vec<_> = all.difference(&drifted).collect();
        println!(
            "{covered} objects in {} topics; {} were changed by hand, {ROUNDS} times each",
            topics.len(),
            drifted.len()
        );
        println!("not to be changed in anything that they declare: {fixed:#?}");
        assert!(covered >= OBJECTS_MIN, "only {covered} objects");
        assert!(fixed.len() <= FIXED_MAX, "{} have not drifted", fixed.len());
    });
}

fn place(topic: &Topic<'_>, manifest: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{}/{} {}",
        text(&manifest["kind"]),
        text(&manifest["metadata"]["name"]),
        topic.name
    )
}

/// Changes a field of each object, and sees that a plan finds just these, and that an apply puts just these back.
async fn one_round(api: &Api, topic: &Topic<'_>, round: usize, faults: &mut Vec<String>) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind_of = |manifest: &Value| (text(&manifest["apiVersion"]), text(&manifest["kind"]));
    // A type whose definition was just put back is served again a moment later.
    until(&format!("all types of {} are served", topic.name), async || {
        let served = api.served().await;
        topic
            .manifests
            .iter()
            .all(|manifest| served.contains_key(&kind_of(manifest)))
    })
    .await;
    let served = api.served().await;
    let mut done: BTreeMap<String, Drift> = BTreeMap::new();
    for manifest in &topic.manifests {
        let path = served[&kind_of(manifest)].path(&topic.name, &text(&manifest["metadata"]["name"]));
        if let Some(drift) = drift(api, &path, manifest, round).await {
            let _ = done.insert(place(topic, manifest), drift);
        }
    }
    let report = topic.policy.plan().await;
    let found = changes(&report);
    let found: BTreeMap<String, &Vec<String>> = report["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|resource| {
            let key = &resource["key"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let places = found.get(resource["address"].as_str()?)?;
            Some((
                format!(
                    "{}/{} {}",
                    text(&key["api"]["kind"]),
                    text(&key["name"]),
                    topic.name
                ),
                places,
            ))
        })
        .collect();
    let mut fault = |text: String| faults.push(format!("{}, round {round}: {text}", topic.name));
    for (object, drift) in &done {
        let places = found.get(object);
        let only = places.is_some_and(|places| places.len() == 1 && places[0].starts_with(&drift.shown()));
        if !only {
            fault(format!(
                "{object}: {drift} was changed, and a plan shows {places:?}"
            ));
        }
    }
    for (object, places) in found.iter().filter(|(object, _)| !done.contains_key(*object)) {
        fault(format!("{object} was left alone, and a plan shows {places:?}"));
    }
    topic
        .apply(&format!("0 created, {} changed, 0 deleted", done.len()), faults)
        .await;
    for (object, drift) in &done {
        if !drift.is_back(api).await {
            faults.push(format!("{object}: {drift} was not put back"));
        }
    }
    done.into_keys().collect()
}
