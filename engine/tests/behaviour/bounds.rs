//! What all expressions of a policy may use together: over it a rule is told so, and nothing is done about it.

use std::collections::BTreeMap;

use holdfast_contract::Value;
use holdfast_engine::allowance::{Allowance, MAX_BYTES, MAX_RESOURCES, MAX_STEPS};
use holdfast_engine::checks::Verdict;
use holdfast_engine::facts::Facts;
use holdfast_engine::graph::{self, ResourceGraph, State};
use holdfast_engine::ledger::Ledger;
use holdfast_engine::observe::Snapshot;
use holdfast_engine::phase::Phase;
use holdfast_engine::uses::Uses;
use proptest::prelude::*;

use crate::support::{Case, root};
use crate::{config_map, policy, resource, text};

/// An expression that gives 16 bytes of text, doubled so many times.
fn letters(doubled: usize) -> String {
    (0..doubled).fold("'aaaaaaaaaaaaaaaa'".to_owned(), |inner, _| {
        format!("cel.bind(a, {inner}, a + a)")
    })
}

/// Four mebibytes of text, to look through which takes 260,000 steps.
fn much() -> String {
    format!("\"${{{}}}\"", letters(18))
}

fn map(name: &str, data: &str) -> String {
    format!(
        "{{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: '{name}', namespace: default }}, data: {{ a: \"{data}\" }} }}"
    )
}

/// A rule for each of `items`, with `more`, and `data` in each.
fn each(rule: &str, items: &str, more: &str, data: &str) -> String {
    let map = map(&format!("{rule}-${{each.key}}"), data);
    format!("    {rule}: {{ forEach: \"{items}\", ensure: kubernetes/Object, {more} desired: {map} }}\n")
}

fn numbers(count: usize) -> String {
    format!("lists.range({count}).map(n, string(n))")
}

const SMALL: &str = "    small: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: small, namespace: default } } }\n";

fn rules(variables: &str, rules: &[String]) -> String {
    policy(&format!(
        "  variables: {variables}\n  rules:\n{}{SMALL}",
        rules.concat()
    ))
}

/// The graph of `case`, of which nothing was read, and what evaluating it has left of the allowance.
async fn built(case: &Case) -> (ResourceGraph<'_>, Allowance) {
    let allowance = Allowance::default();
    let ledger = Ledger::load(case.engine.state.as_ref(), &case.policy.id).await;
    let parameters = case.engine.parameters(&case.policy, &[]).await.unwrap();
    let graph = graph::build(&graph::Input {
        policy: &case.policy,
        uses: &Uses::of(&case.policy),
        registry: &case.engine.registry,
        parameters: &parameters.to_expression(),
        facts: &Facts::default(),
        ledger: &ledger.unwrap(),
        before: None,
        snapshot: &Snapshot::default(),
        served: &BTreeMap::new(),
        phases: &BTreeMap::new(),
        mark: "test",
        cluster: None,
        evaluator: case.engine.evaluator(&allowance),
    });
    (graph, allowance)
}

/// The bytes of text in all documents of a graph.
fn size(graph: &ResourceGraph<'_>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len(),
            Value::List(items) => items.iter().map(of).sum(),
            Value::Map(entries) => entries.iter().map(|(key, value)| key.len() + of(value)).sum(),
            _ => 0,
        }
    }
    let facets = graph
        .resources
        .iter()
        .flat_map(|resource| resource.facets.values());
    facets.map(|desired| of(&desired.value)).sum()
}

/// Why the only resource of `rule` is open.
fn open(graph: &ResourceGraph<'_>, rule: &str) -> String {
    let resources: Vec<_> = graph.of_rule(rule).collect();
    match resources.as_slice() {
        [one] if one.address.instance.is_none() => match &one.state {
            State::Open(no) => no.sentence(),
            other => panic!("{other:?}"),
        },
        other => panic!("{rule} has {} resources", other.len()),
    }
}

#[tokio::test]
async fn documents_of_all_instances_take_bounded_memory_together() {
    let variables = format!("{{ much: {} }}", much());
    let fat = each("fat", &numbers(50), "", "${variables.much}");
    let case = Case::text(&rules(&variables, &[fat]), "");
    let (graph, allowance) = built(&case).await;
    let why = open(&graph, "fat");
    assert!(why.contains("more than 16 MiB together"), "{why}");
    assert!(size(&graph) < 1000 && allowance.bytes() < MAX_BYTES);
    assert!(graph.of_rule("small").all(|one| one.state == State::Active));
    let plan = case.plan().await;
    let told = text(&plan);
    assert!(
        told.contains("have fewer instances, smaller documents, or several policies"),
        "{told}"
    );
    assert_eq!(resource(&plan, "fat").phase, Phase::Blocked, "{told}");
    assert_eq!(plan.summary.create, 1, "{told}");
}

#[tokio::test]
async fn one_document_takes_bounded_memory_however_often_it_shows_a_value() {
    let variables = format!("{{ much: {} }}", much());
    let copies = "${variables.much}${variables.much}${variables.much}${variables.much}";
    let shared = "${lists.range(1000).map(n, variables.much)}";
    for data in [copies.repeat(3), shared.to_owned()] {
        let one = format!(
            "    one: {{ ensure: kubernetes/Object, desired: {} }}\n",
            map("one", &data)
        );
        let case = Case::text(&rules(&variables, &[one]), "");
        let (graph, _) = built(&case).await;
        assert!(size(&graph) < 1000);
        let [one] = graph.of_rule("one").collect::<Vec<_>>()[..] else {
            panic!("one resource")
        };
        let too_much =
            |why: &str| why.contains("16 MiB together") || why.contains("this takes too many steps");
        assert!(
            matches!(&one.state, State::Open(no) if too_much(&no.sentence())),
            "{:?}",
            one.state
        );
    }
}

#[tokio::test]
async fn conditions_of_all_instances_take_bounded_time_together() {
    let variables = format!("{{ much: {} }}", much());
    let when = "when: \"!variables.much.contains('b') && each.key != ''\",";
    let slow = each("slow", &numbers(5000), when, "1");
    let case = Case::text(&rules(&variables, &[slow]), "");
    let (graph, allowance) = built(&case).await;
    let why = open(&graph, "slow");
    assert!(why.contains("more than 20,000,000 steps together"), "{why}");
    assert_eq!(allowance.steps(), 0);
    let plan = case.plan().await;
    assert_eq!(resource(&plan, "slow").phase, Phase::Blocked, "{}", text(&plan));
}

#[tokio::test]
async fn rounds_count_together() {
    // Each rule knows its name one round after the one before.
    let first = "    r0: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: r, namespace: default } } }\n";
    let chain = (1..60).map(|number| {
        let before = number - 1;
        let map = map(
            &format!("${{rules.r{before}.name}}x"),
            "${string(variables.much.contains('b'))}",
        );
        format!("    r{number}: {{ ensure: kubernetes/Object, desired: {map} }}\n")
    });
    let chain: Vec<String> = std::iter::once(first.to_owned()).chain(chain).collect();
    let case = Case::text(&rules(&format!("{{ much: {} }}", much()), &chain), "");
    let (graph, allowance) = built(&case).await;
    assert_eq!(allowance.steps(), 0);
    assert!(open(&graph, "r1").contains("steps together"));
}

#[tokio::test]
async fn a_policy_needs_a_bounded_number_of_providers() {
    let of = |rule: &str, count: usize| {
        format!(
            "    {rule}: {{ observe: s3/Bucket, forEach: \"{}\", provider: {{ type: s3, region: '{rule}-${{each.key}}' }}, name: 'acme-${{each.key}}' }}\n",
            numbers(count)
        )
    };
    let case = Case::text(&rules("{}", &[of("few", 90), of("many", 20), of("more", 10)]), "");
    let (graph, _) = built(&case).await;
    assert_eq!(graph.providers.len(), 100);
    assert!(open(&graph, "many").contains("more than 100 providers"));
    assert_eq!(graph.of_rule("more").count(), 10);
    let plan = text(&case.plan().await);
    assert!(plan.lines().next().unwrap().ends_with(" · 95 more"), "{plan}");
}

#[tokio::test]
async fn a_policy_has_a_bounded_number_of_resources() {
    let many = each("many", &numbers(MAX_RESOURCES + 1), "", "1");
    let case = Case::text(&rules("{}", &[many]), "");
    let (graph, _) = built(&case).await;
    assert!(open(&graph, "many").contains("more than 10,000 resources"));
    // And of several rules: what is skipped counts too.
    let when = "when: \"each.key == ''\",";
    let few = ["a", "b", "c"].map(|rule| each(rule, &numbers(4000), when, "1"));
    let case = Case::text(&rules("{}", &few), "");
    let (graph, _) = built(&case).await;
    assert_eq!(graph.of_rule("b").count(), 4000);
    assert!(open(&graph, "c").contains("more than 10,000 resources"));
}

#[tokio::test]
async fn many_that_mean_one_thing_name_only_a_few_of_the_others() {
    let one = map("one", "1");
    let many = format!(
        "    many: {{ forEach: \"{}\", ensure: kubernetes/Object, desired: {one} }}\n",
        numbers(500)
    );
    let plan = Case::text(&rules("{}", &[many]), "").plan().await;
    let why = &resource(&plan, "many[\"7\"]").reason;
    assert!(why.contains("and more") && why.len() < 200, "{why}");
}

#[tokio::test]
async fn each_of_many_that_needs_each_of_many_takes_bounded_memory() {
    let one = each("a", &numbers(1000), "", "1");
    let other = each(
        "b",
        "lists.range(1000).map(n, 'n' + string(n))",
        "after: [a],",
        "1",
    );
    let case = Case::text(&rules("{}", &[one, other]), "");
    let (graph, _) = built(&case).await;
    let needs: usize = graph.resources.iter().map(|one| one.needs.len()).sum();
    assert!(needs < 300_000, "{needs}");
    let open = |state: &State| matches!(state, State::Open(no) if no.sentence().contains("16 MiB together"));
    assert!(graph.of_rule("b").any(|one| open(&one.state)));
    let unordered = |one: &graph::Resource<'_>| one.needs.is_empty() && one.state == State::Active;
    assert!(!graph.of_rule("b").any(unordered));
}

#[tokio::test]
async fn variables_count_together() {
    let names = ["a", "b", "c", "d", "e"];
    let variables =
        names.map(|name| format!("{name}: \"${{{}}}\"", letters(if name == "d" { 16 } else { 17 })));
    let variables = variables.join(", ");
    let users: Vec<String> = names
        .iter()
        .map(|name| {
            let map = map(name, &format!("${{string(variables.{name}.size())}}"));
            format!("    use{name}: {{ ensure: kubernetes/Object, desired: {map} }}\n")
        })
        .collect();
    let case = Case::text(&rules(&format!("{{ {variables} }}"), &users), "");
    let plan = case.plan().await;
    let why = &resource(&plan, "usee").reason;
    assert!(
        why.contains("variable `e`") && why.contains("16 MiB together"),
        "{why}"
    );
    assert_eq!(plan.summary.create, 5, "{}", text(&plan));
}

#[tokio::test]
async fn variables_that_hold_all_those_before_take_bounded_memory() {
    let names: Vec<String> = (0..3000)
        .map(|number| format!("v{number}: \"${{variables}}\""))
        .collect();
    let case = Case::text(&rules(&format!("{{ {} }}", names.join(", ")), &[]), "");
    let (graph, _) = built(&case).await;
    let roots = holdfast_expression::Scope::root(&graph.roots, "variables").unwrap();
    let held = roots.as_map().unwrap().values();
    let held: usize = held.filter_map(|value| Some(value.as_map()?.len())).sum();
    assert!((100..500_000).contains(&held), "{held}");
}

#[tokio::test]
async fn values_do_not_grow_deeper_from_one_variable_to_the_next() {
    let chain = (1..8000).map(|number| format!("v{number}: {{ a: \"${{variables.v{}}}\" }}", number - 1));
    let chain: Vec<String> = std::iter::once("v0: 1".to_owned()).chain(chain).collect();
    let user = format!(
        "    user: {{ ensure: kubernetes/Object, desired: {} }}\n",
        map("user", "${string(variables.v7999.a.size())}")
    );
    let case = Case::text(&rules(&format!("{{ {} }}", chain.join(", ")), &[user]), "");
    let plan = case.plan().await;
    let why = &resource(&plan, "user").reason;
    assert!(why.contains("nested too deeply"), "{why}");
}

/// What looks through much text so many times.
fn search(times: usize) -> String {
    format!("lists.range({times}).all(n, !variables.much.contains('b'))")
}

fn searches() -> String {
    let searches = (0..40).map(|number| format!("s{number}: \"${{{}}}\"", search(3)));
    let searches: Vec<String> = searches.collect();
    format!("{{ much: {}, {} }}", much(), searches.join(", "))
}

#[tokio::test]
async fn parameters_of_facts_count_too() {
    let case = Case::text(
        &policy(&format!(
            "  variables: {}\n  facts: {{ one: {{ object: {{ apiVersion: v1, kind: ConfigMap, namespace: default, name: \"${{'o' + 'ne'}}\" }} }} }}\n  rules:\n{SMALL}",
            searches()
        )),
        "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: one, namespace: default } } ]",
    );
    let plan = case.plan().await;
    assert!(text(&plan).contains("steps together"), "{}", text(&plan));
    assert!(plan.resources.is_empty(), "{}", text(&plan));
}

#[tokio::test]
async fn checks_count_together() {
    let checks = (0..100).map(|_| format!("{{ that: \"{}\" }}", search(3)));
    let checks: Vec<String> = checks.collect();
    let rule = format!("    told: {{ checks: [ {} ] }}\n", checks.join(", "));
    let case = Case::text(&rules(&format!("{{ much: {} }}", much()), &[rule]), "");
    let plan = case.plan().await;
    let of = |verdict| {
        plan.checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    assert!(
        of(Verdict::Pass) > 5 && of(Verdict::Unknown) > 50,
        "{}",
        text(&plan)
    );
    let last = plan.checks.last().unwrap();
    assert!(last.message.contains("steps together"), "{}", last.message);
}

#[tokio::test]
async fn nothing_is_deleted_or_forgotten_because_a_rule_met_a_bound() {
    let rules = |variables: &str, more: &str, data: &str| {
        let copies = each("copies", "facts.sources.map(one, one.name)", more, data);
        policy(&format!(
            "  limits: {{ deletions: 9 }}\n  variables: {variables}\n  facts:\n    sources: {{ list: {{ apiVersion: v1, kind: ConfigMap, namespace: default, selector: role=source }}, select: {{ name: $.metadata.name }} }}\n  rules:\n{copies}{SMALL}"
        ))
    };
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let sources = names.map(|name| {
        format!("{{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default, labels: {{ role: source }} }} }}")
    });
    let sandbox = format!("objects: [ {} ]", sources.join(", "));
    let delete = "onRemove: Delete,";
    let case = Case::text(&rules("{}", delete, "1"), &sandbox);
    assert!(case.apply().await.is_converged());
    let before = case.ledger().await;
    case.world.delete(&config_map("a")).unwrap();
    let is_there = |name: &str| {
        case.world
            .document(&config_map(&format!("copies-{name}")))
            .is_some()
    };
    let much = format!("{{ much: {} }}", much());
    let slow = format!("{delete} when: \"{} && each.key != ''\",", search(20));
    for (more, data) in [(delete, "${variables.much}"), (slow.as_str(), "1")] {
        let over = case.with_policy(&rules(&much, more, data));
        let report = over.apply().await;
        let why = &resource(&report, "copies").reason;
        assert!(why.contains("together"), "{why}");
        assert_eq!(report.summary.delete, 0, "{}", text(&report));
        assert!(names.iter().all(|name| is_there(name)));
        assert_eq!(case.ledger().await["removable"], before["removable"]);
        assert_eq!(case.ledger().await["created"], before["created"]);
    }
    // Once it is within its bounds, what has left goes.
    assert!(case.apply().await.is_converged());
    assert!(!is_there("a") && is_there("b"));
}

#[tokio::test]
async fn real_policies_are_far_below() {
    let case = Case::folder(&root().join("policies/managed-velero"));
    let (graph, allowance) = built(&case).await;
    assert!(graph.resources.len() > 10);
    assert!(allowance.steps() > MAX_STEPS / 100 * 99, "{}", allowance.steps());
    assert!(allowance.bytes() > MAX_BYTES / 10 * 9, "{}", allowance.bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn a_thousand_instances_of_a_kibibyte_are_not_touched(count in 900usize..1100, doubled in 0usize..7) {
        let data = format!("${{each.key + {}}}", letters(doubled));
        let many = each("many", &numbers(count), "", &data);
        let case = Case::text(&rules("{}", &[many]), "");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (graph, allowance) = runtime.block_on(built(&case));
        prop_assert_eq!(graph.of_rule("many").filter(|one| one.state == State::Active).count(), count);
        prop_assert!(allowance.steps() > MAX_STEPS / 10 * 8, "{}", allowance.steps());
        prop_assert!(allowance.bytes() > MAX_BYTES / 4, "{}", allowance.bytes());
    }
}
