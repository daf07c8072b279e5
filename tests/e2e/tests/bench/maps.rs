//! Config maps, few and many.

use std::time::Duration;

use holdfast_e2e::{Enforcer, Ground, on_own_ground, path, until};
use serde_json::{Value, json};

use crate::figures::{Figures, Measured, Memory, median, processor_time};

/// How many of them are many.
const MANY: usize = 1_000;
/// So many drifts are put back one after another.
const DRIFTS: usize = 20;
/// How long rest is looked at: watches aside, nothing that may be asked is due less often.
const REST: Duration = Duration::from_mins(1);
/// From convergence until all watches have told what they tell first.
const CALM: Duration = Duration::from_secs(10);
/// Between two drifts, so that the second isn't taken together with what the first one's repair told.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) fn measure(figures: &mut Figures) {
    on_own_ground(async |ground| {
        repairs(ground, figures, "one", 1).await;
        let enforcer = repairs(ground, figures, "many", MANY).await;
        // Another replica, which has nothing to do but to wait: one policy comes to the first of them by name.
        let second = ground.enforce(&[&ground.policy("many").path(), "--identity", "zz"]);
        at_rest(ground, figures, &enforcer, &second).await;
        for one in [second, enforcer] {
            assert_eq!(one.end().await.code, Some(0));
        }
    });
}

/// `count` maps at work, and how soon their drift is put back.
async fn repairs(ground: &Ground, figures: &mut Figures, name: &str, count: usize) -> Enforcer {
    let enforcer = kept(ground, name, count).await;
    let mut times = Vec::new();
    for number in 0..DRIFTS {
        // Each time another field: one that is put back again and again is fought over, and left alone.
        let place = path("v1", "ConfigMap", name, &format!("map-{}", number % count));
        times.push(repair(ground, &place, &format!("key-{number}")).await);
        tokio::time::sleep(PAUSE).await;
    }
    let (median, longest) = median(times);
    figures.one(
        &format!("from drift to its repair, config maps: {count}"),
        Measured::Time(median),
        Measured::Time(Duration::from_millis(100)),
        &format!("median of {DRIFTS}; the longest {} ms", longest.as_millis()),
    );
    enforcer
}

async fn kept(ground: &Ground, name: &str, count: usize) -> Enforcer {
    let policy = ground.policy(name);
    policy.write(&format!(
        "space: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: Namespace, metadata: {{ name: {name} }} \
         }} }}\nmaps: {{ ensure: kubernetes/Object, after: [space], manifests: [maps.yaml] }}"
    ));
    let maps = (0..count).map(|number| map(name, &format!("map-{number}")).to_string());
    policy.file("maps.yaml", &maps.collect::<Vec<_>>().join("\n---\n"));
    drop(policy.run(&["apply", "--yes", "--timeout", "5m"]).await.exits(0));
    let enforcer = ground.enforce(&[&policy.path()]);
    // The first cycle tells of all at once.
    let is_map = |line: &Value| {
        line["resource"]
            .as_str()
            .is_some_and(|address| address.starts_with("maps"))
    };
    enforcer
        .says("that the maps have converged", |line| {
            is_map(line) && line["phase"] == "Converged"
        })
        .await;
    tokio::time::sleep(CALM).await;
    enforcer
}

/// A map of about 1 KiB.
fn map(namespace: &str, name: &str) -> Value {
    let data: serde_json::Map<String, Value> = (0..DRIFTS)
        .map(|number| {
            (
                format!("key-{number}"),
                json!("declared, and kept as it is declared."),
            )
        })
        .collect();
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": namespace, "name": name }, "data": data })
}

/// How long it takes from the answer to whoever changes `key` of the map at `place` until the request comes that puts it
/// back, by the API server's own clock.
async fn repair(ground: &Ground, place: &str, key: &str) -> Duration {
    let before = ground.api.get(place).await.unwrap();
    let mark = ground.mark().await;
    ground
        .api
        .patch(place, &json!({ "data": { key: "spoilt" } }))
        .await;
    until(&format!("{key} of {place} is put back"), async || {
        let now = ground.api.get(place).await.unwrap();
        now["data"] == before["data"]
    })
    .await;
    let events = ground.cluster.since(mark).await.unwrap();
    let patch = |agent: &str| {
        let found = events.iter().find(|event| {
            event.verb == "patch"
                && !event.dry_run
                && event.user_agent.starts_with(agent)
                && event.uri.starts_with(place)
        });
        found.unwrap_or_else(|| panic!("the audit log has no patch by {agent}"))
    };
    let (drift, repair) = (patch("by-hand"), patch("holdfast/"));
    // Not before it: the watch may be faster than the answer.
    repair
        .timestamp
        .duration_since(drift.finished)
        .unwrap_or_default()
}

/// Memory, work and requests of a converged policy that nothing happens to.
async fn at_rest(ground: &Ground, figures: &mut Figures, enforcer: &Enforcer, second: &Enforcer) {
    tokio::time::sleep(CALM).await;
    let mark = ground.mark().await;
    let worked = [enforcer, second].map(processor_time);
    tokio::time::sleep(REST).await;
    for (who, one, before) in [
        ("", enforcer, worked[0]),
        (", a second replica", second, worked[1]),
    ] {
        figures.one(
            &format!("work in a minute at rest, config maps: {MANY}{who}"),
            Measured::Time(processor_time(one).saturating_sub(before)),
            Measured::Time(Duration::from_millis(600)),
            "of a processor",
        );
    }
    let witness = ground.since(mark).await;
    let (leases, mut others): (Vec<_>, Vec<_>) = witness
        .kubernetes
        .iter()
        .partition(|event| event.uri.contains("/leases"));
    others.retain(|event| event.verb != "watch");
    assert!(!leases.is_empty(), "it is at work");
    figures.one(
        &format!("requests a minute at rest, config maps: {MANY}"),
        Measured::Requests(others.len()),
        Measured::Requests(0),
        &format!("beside {} for the lease", leases.len()),
    );
    let memory = Memory::of(enforcer);
    figures.one(
        &format!("memory at rest, config maps: {MANY}"),
        Measured::Memory(memory.resident),
        Measured::Memory(60_000_000),
        &memory.parts(),
    );
}
