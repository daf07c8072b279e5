//! What a `hold` holds up, for how long, and what goes ahead meanwhile.

use std::time::Duration;

use holdfast_contract::{ApiType, ProviderError, ResourceKey};
use holdfast_engine::step::HoldState;
use holdfast_engine::{Phase, Progress, objects};
use holdfast_memory::{Accident, Operation};
use serde_json::json;

use crate::support::Case;
use crate::support::fixtures::RUN;
use crate::{bucket, config_map, count, deleted, policy, resource, text};

/// While a `ConfigMap` with the label `run` is there, the Deployment isn't rolled out.
const HELD: &str = "
  facts:
    runs:
      list: { apiVersion: v1, kind: ConfigMap, namespace: default, selector: run=now }
      select: { name: $.metadata.name }
  rules:
    server:
      ensure: kubernetes/Object
      ready: 'true'
      hold:
        while: size(facts.runs) > 0
        message: Backup ${facts.runs[0].name} is in progress
      desired:
        - { apiVersion: v1, kind: ConfigMap, metadata: { name: settings, namespace: default }, data: { a: '1' } }
        - apiVersion: apps/v1
          kind: Deployment
          metadata: { name: server, namespace: default, labels: { tier: a } }
          spec:
            replicas: 1
            selector: { matchLabels: { app: server } }
            template:
              metadata: { labels: { app: server } }
              spec: { containers: [ { name: server, image: 'server:2' } ] }
";

const SERVER: &str = r#"server["Deployment/server"]"#;

fn deployment() -> ResourceKey {
    objects::key(&ApiType::new("apps/v1", "Deployment"), Some("default"), "server")
}

fn image(case: &Case) -> String {
    let server = case.world.document(&deployment()).unwrap();
    let containers = server.at(&["spec", "template", "spec", "containers"]).unwrap();
    containers.as_list().unwrap()[0].get("image").unwrap().to_string()
}

/// Converged once with the image that the policy had before, and now with the new one.
async fn rollout(rules: &str) -> Case {
    let before = Case::text(&policy(&rules.replace("server:2", "server:1")), "");
    let report = before.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    before.with_policy(&policy(rules))
}

#[tokio::test]
async fn a_rollout_waits_while_its_hold_holds_and_all_else_of_the_rule_goes_ahead() {
    let case = rollout(HELD).await;
    let case = case.with_policy(&policy(&HELD.replace("a: '1'", "a: '2'")));
    case.world.put(RUN).unwrap();
    let plan = case.plan().await;
    assert_eq!(
        (plan.summary.update, plan.summary.waiting),
        (1, 1),
        "{}",
        text(&plan)
    );
    assert!(
        text(&plan).contains(
            "waits: Backup nightly is in progress (hold, policy.yaml:15); goes ahead when it ends, at the latest in 1 day"
        ),
        "{}",
        text(&plan)
    );
    let report = case.apply_watched(Duration::from_secs(1), &|_| {}).await;
    assert_eq!(resource(&report, SERVER).phase, Phase::Pending);
    assert!(
        !report.is_converged(),
        "it gave up waiting, and that is no success"
    );
    assert_eq!(image(&case), "server:1");
    let settings = case.world.document(&config_map("settings")).unwrap();
    assert_eq!(settings.get("data").unwrap().to_string(), r#"{"a":"2"}"#);
}

#[tokio::test]
async fn a_run_that_waits_goes_ahead_when_the_hold_ends() {
    let case = rollout(HELD).await;
    case.world.put(RUN).unwrap();
    let end = |progress: Progress<'_>| {
        if let Progress::Waiting(waiting) = progress
            && waiting.iter().any(|(_, why)| why.contains("Backup nightly"))
        {
            assert_eq!(image(&case), "server:1");
            case.world.delete(&config_map("nightly")).unwrap();
        }
    };
    let report = case.apply_watched(Duration::from_secs(30), &end).await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(image(&case), "server:2");
    assert_eq!(
        case.ledger().await["held"],
        json!(null),
        "what is over is forgotten"
    );
}

#[tokio::test]
async fn a_hold_is_remembered_across_runs_and_after_its_time_the_step_goes_ahead_with_a_warning() {
    let case = rollout(&HELD.replace("while:", "atMost: 2h\n        while:")).await;
    case.world.put(RUN).unwrap();
    case.apply_watched(Duration::from_millis(300), &|_| {}).await;
    let since = case.ledger().await["held"][SERVER].clone();
    assert!(since.is_string(), "{since}");
    case.apply_watched(Duration::from_millis(300), &|_| {}).await;
    assert_eq!(case.ledger().await["held"][SERVER], since, "the time runs on");
    case.edit_ledger(|ledger| ledger["held"][SERVER] = json!("2026-01-01T00:00:00Z"))
        .await;
    let plan = case.plan().await;
    assert_eq!(
        resource(&plan, SERVER).hold.as_ref().unwrap().state,
        HoldState::Overdue
    );
    assert!(
        text(&plan).contains("goes ahead although Backup nightly is in progress"),
        "{}",
        text(&plan)
    );
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(image(&case), "server:2");
    let warnings = report.applied.unwrap().warnings;
    assert!(
        warnings[0].contains("Backup nightly is in progress"),
        "{warnings:?}"
    );
    assert_eq!(case.ledger().await["held"], json!(null));
}

#[tokio::test]
async fn a_condition_that_cannot_be_told_holds_the_step_up_and_says_what_is_missing() {
    let case = rollout(HELD).await;
    let down = ProviderError::Denied {
        action: "list configmaps".into(),
        target: "default".into(),
    };
    case.world.fail(Accident::new(Operation::Find, down).always());
    let report = case.apply_watched(Duration::from_secs(1), &|_| {}).await;
    assert_eq!(resource(&report, SERVER).phase, Phase::Pending);
    let why = &resource(&report, SERVER).reason;
    assert!(
        why.contains("can't be told") && why.contains("list configmaps"),
        "{why}"
    );
    assert_eq!(image(&case), "server:1");
}

#[tokio::test]
async fn what_disrupts_nothing_is_not_held_up() {
    let case = rollout(&HELD.replace("server:2", "server:1").replace("tier: a", "tier: b")).await;
    case.world.put(RUN).unwrap();
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    let server = case.world.document(&deployment()).unwrap();
    assert_eq!(server.at(&["metadata", "labels", "tier"]), Some(&"b".into()));
}

#[tokio::test]
async fn a_creation_is_not_held_up() {
    let case = Case::text(&policy(HELD), RUN);
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(image(&case), "server:2");
}

#[tokio::test]
async fn what_starts_while_a_run_is_on_its_way_is_seen_before_the_rollout() {
    let rules = HELD
        .replace(
            "  rules:\n",
            "  rules:\n    first: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: first, namespace: default } } }\n",
        )
        .replace("labels: { app: server } }", "labels: { app: server }, annotations: { first: '${rules.first.observed.metadata.uid}' } }");
    let case = rollout(HELD).await;
    let case = case.with_policy(&policy(&rules));
    let begin = |progress: Progress<'_>| {
        if let Progress::Written(outcome, _) = progress
            && outcome.address.rule == "first"
        {
            case.world.put(RUN).unwrap();
        }
    };
    let report = case.apply_watched(Duration::from_secs(2), &begin).await;
    assert_eq!(
        resource(&report, SERVER).phase,
        Phase::Pending,
        "{}",
        text(&report)
    );
    assert_eq!(image(&case), "server:1");
}

#[tokio::test]
async fn a_deletion_waits_too() {
    let rules = "
  limits: { deletions: 1 }
  rules:
    gone:
      forbid: kubernetes/Object
      allow: [Delete]
      hold: { while: \"self.?data.?busy.orValue('') == 'yes'\", message: it is busy }
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: old, namespace: default } }
";
    let old = "objects: [ { apiVersion: v1, kind: ConfigMap, metadata: { name: old, namespace: default }, data: { busy: 'yes' } } ]";
    let case = Case::text(&policy(rules), old);
    let idle = |progress: Progress<'_>| {
        if let Progress::Waiting(waiting) = progress
            && waiting.iter().any(|(_, why)| why.contains("it is busy"))
        {
            assert_eq!(count(&case, Operation::Delete), 0);
            let free = |object: &mut holdfast_contract::Value| {
                object.as_map_mut().unwrap().remove("data");
            };
            case.world
                .edit(&config_map("old"), &"object".into(), free)
                .unwrap();
        }
    };
    let report = case.apply_watched(Duration::from_secs(30), &idle).await;
    assert!(report.is_converged(), "{}", text(&report));
    assert!(case.world.document(&config_map("old")).is_none());
}

#[tokio::test]
async fn a_kind_without_a_finer_notion_holds_every_change_of_a_facet_up() {
    let rules = "
  providers: { s3: { region: us-east-2 } }
  rules:
    data:
      ensure: s3/Bucket
      name: acme-data
      hold: { while: 'true' }
      desired: { versioning: { status: Enabled } }
";
    let case = Case::text(&policy(rules), "buckets: { acme-data: { region: us-east-2 } }");
    let report = case.apply_watched(Duration::from_millis(300), &|_| {}).await;
    assert_eq!(
        resource(&report, "data").phase,
        Phase::Pending,
        "{}",
        text(&report)
    );
    assert!(resource(&report, "data").reason.starts_with("`true` holds"));
    assert_eq!(case.world.facet(&bucket("acme-data"), &"versioning".into()), None);
}

#[tokio::test]
async fn what_depends_on_something_that_is_held_up_goes_ahead() {
    let rules = HELD.replace(
        "  rules:\n",
        "  rules:\n    next: { ensure: kubernetes/Object, desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: next, namespace: default, annotations: { after: \"${string(rules.server.exists)}\" } } } }\n",
    );
    let case = rollout(HELD).await.with_policy(&policy(&rules));
    case.world.put(RUN).unwrap();
    case.apply_watched(Duration::from_secs(1), &|_| {}).await;
    assert!(case.world.document(&config_map("next")).is_some());
    assert_eq!(image(&case), "server:1");
}

#[tokio::test]
async fn a_forbidden_thing_goes_after_what_the_policy_puts_in_front() {
    let rules = "
  limits: { deletions: 2 }
  rules:
    agents: { forbid: kubernetes/Object, allow: [Delete], after: [server], desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: agents, namespace: default } } }
    server: { forbid: kubernetes/Object, allow: [Delete], desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: server, namespace: default } } }
";
    let object = |name| {
        format!("{{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name}, namespace: default }} }}")
    };
    let sandbox = format!("objects: [ {}, {} ]", object("agents"), object("server"));
    let case = Case::text(&policy(rules), &sandbox);
    let plan = case.plan().await;
    assert_eq!(resource(&plan, "agents").waits, ["server"], "{}", text(&plan));
    let report = case.apply().await;
    assert!(report.is_converged(), "{}", text(&report));
    assert_eq!(
        deleted(&case),
        ["ConfigMap default/server", "ConfigMap default/agents"]
    );
}
