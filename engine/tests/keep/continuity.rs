//! Who has looked on for long, and takes over what it found before, sees what one who comes now sees.

use holdfast_engine::report::ResourceReport;
use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["one", "two", "three"];

/// Three maps whose documents stand in the policy as they are.
fn maps(mode: &str) -> String {
    let rules = NAMES.map(|name| {
        format!(
            "\n    {name}: {{ ensure: kubernetes/Object, desired: {{ apiVersion: v1, kind: ConfigMap, metadata: \
             {{ name: {name}, namespace: default }}, data: {{ a: '1', b: '1' }} }} }}"
        )
    });
    policy(&format!("  mode: {mode}\n  rules:{}", rules.concat()))
}

/// What somebody does to one of them.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, &'static str, &'static str),
    Delete(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let which = 0..NAMES.len();
    let set = (
        which.clone(),
        prop_oneof![Just("a"), Just("b")],
        prop_oneof![Just("1"), Just("2")],
    );
    let set = set.prop_map(|(which, key, value)| Change::Set(which, key, value));
    let change = prop_oneof![5 => set, 1 => which.prop_map(Change::Delete)];
    proptest::collection::vec(change, 1..8)
}

fn found(report: &Report) -> Vec<String> {
    let found = |one: &ResourceReport| format!("{}: {:?} {:?}", one.address, one.action, one.facets);
    report.resources.iter().map(found).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn who_has_looked_on_for_long_sees_what_one_that_comes_now_sees(changes in changes()) {
        let paused = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        paused.block_on(async {
            let case = Case::text(&maps("Enforce"), "");
            case.apply().await;
            let case = case.with_policy(&maps("Observe"));
            Box::pin(kept(&case, async |onlooker| {
                onlooker.converged().await;
                for change in &changes {
                    match change {
                        Change::Set(which, key, value) if case.world.document(&config_map(NAMES[*which])).is_some() => {
                            set(&case, NAMES[*which], key, value);
                        }
                        Change::Set(..) => {}
                        Change::Delete(which) => drop(case.world.delete(&config_map(NAMES[*which]))),
                    }
                    tokio::time::sleep(MINUTE).await;
                    let told = onlooker.told().report.unwrap();
                    assert_eq!(found(&told), found(&case.plan().await), "after {change:?} of {changes:?}");
                }
            }))
            .await;
        });
    }
}
