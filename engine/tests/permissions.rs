//! What a policy takes, told without a world.
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

use holdfast_contract::Permissions;
use holdfast_engine::Clock;
use holdfast_engine::permissions::permissions;
use holdfast_policy::Supplied;
use support::{Case, registry, root};

/// What the policy with this `spec` takes, with these parameters set.
fn of(spec: &str, set: &[&str]) -> Permissions {
    let head = "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: { name: p, namespace: n }\nspec:\n  language: 1\n";
    taken(&Case::text(&format!("{head}{spec}"), ""), set)
}

fn taken(case: &Case, set: &[&str]) -> Permissions {
    let supplied: Vec<Supplied> = set
        .iter()
        .map(|flag| Supplied::flag(&case.policy, flag).unwrap())
        .collect();
    permissions(&case.policy, &supplied, &registry(), Clock::System).unwrap()
}

fn told(permissions: &Permissions) -> Vec<String> {
    permissions.iter().map(ToString::to_string).collect()
}

fn has(permissions: &Permissions, one: &str) -> bool {
    told(permissions).iter().any(|told| told == one)
}

#[test]
fn a_rule_that_parameters_turn_off_takes_nothing_and_one_that_a_fact_may_turn_on_takes_all() {
    let spec = r"
  parameters: { on: { type: boolean, default: false } }
  facts: { cm: { object: { apiVersion: v1, kind: ConfigMap, namespace: n, name: seen }, optional: true } }
  rules:
    off:
      when: parameters.on
      ensure: kubernetes/Object
      desired: { apiVersion: v1, kind: Secret, metadata: { name: s, namespace: n } }
    perhaps:
      when: has(facts.cm)
      ensure: kubernetes/Object
      desired: { apiVersion: v1, kind: ConfigMap, metadata: { name: made, namespace: n } }
";
    let off = of(spec, &[]);
    assert!(
        !told(&off).iter().any(|one| one.contains("secrets")),
        "{:?}",
        told(&off)
    );
    assert!(has(&off, "create configmaps made in n") && has(&off, "get configmaps seen in n"));
    assert!(!has(&off, "patch configmaps seen in n"), "a fact is only read");
    assert!(has(&of(spec, &["on=true"]), "create secrets s in n"));
}

#[test]
fn a_name_that_a_fact_gives_takes_any_and_a_type_that_a_fact_gives_is_said_and_left_out() {
    let spec = r"
  facts: { all: { list: { apiVersion: v1, kind: ConfigMap, namespace: n } } }
  rules:
    named:
      forEach: facts.all.map(c, c.metadata.name)
      forbid: kubernetes/Object
      allow: [Delete]
      desired: { apiVersion: v1, kind: Service, metadata: { name: '${each.value}', namespace: n } }
    typed:
      forEach: facts.all.map(c, c.metadata.name)
      ensure: kubernetes/Object
      desired: { apiVersion: v1, kind: '${each.value}', metadata: { name: x, namespace: n } }
";
    let found = of(spec, &[]);
    assert!(has(&found, "delete services in n"), "{:?}", told(&found));
    assert!(!told(&found).iter().any(|one| one.starts_with("create")));
    assert!(
        found.notes.iter().any(|note| note.contains("rule `typed`")),
        "{:?}",
        found.notes
    );
}

#[test]
fn instances_that_are_known_are_named_although_whether_they_are_there_is_not() {
    let spec = r#"
  facts: { all: { list: { apiVersion: v1, kind: ConfigMap, namespace: n } } }
  rules:
    known:
      forbid: kubernetes/Object
      allow: [Delete]
      desired:
        $forEach: "['a', 'b']"
        $when: facts.all.exists(c, c.metadata.name == each.value)
        apiVersion: v1
        kind: Service
        metadata: { name: "${each.value}", namespace: n }
"#;
    let found = of(spec, &[]);
    for name in ["a", "b"] {
        assert!(
            has(&found, &format!("delete services {name} in n")),
            "{:?}",
            told(&found)
        );
    }
    assert!(!has(&found, "delete services in n"));
}

#[test]
fn nothing_is_deleted_without_leave_and_nothing_is_written_where_it_only_observes() {
    let rule = |more: &str| {
        format!(
            "\n  rules:\n    it:\n      {more}\n      desired: {{ apiVersion: v1, kind: Service, metadata: {{ name: s, namespace: n }} }}\n"
        )
    };
    let taken = |more: &str| of(&rule(more), &[]);
    let deletes = |permissions: &Permissions| has(permissions, "delete services s in n");
    assert!(!deletes(&taken("ensure: kubernetes/Object")));
    assert!(!deletes(&taken("forbid: kubernetes/Object")));
    assert!(deletes(&taken(
        "forbid: kubernetes/Object\n      allow: [Delete]"
    )));
    assert!(deletes(&taken(
        "ensure: kubernetes/Object\n      onRemove: Delete"
    )));
    assert!(deletes(&taken(
        "ensure: kubernetes/Object\n      allow: [Replace]"
    )));
    let reads = [
        "get services s in n",
        "list services s in n",
        "watch services s in n",
    ];
    assert_eq!(told(&taken("observe: kubernetes/Object")), reads);
    assert_eq!(
        told(&taken("ensure: kubernetes/Object\n      mode: Observe")),
        reads
    );
    let whole = format!("  mode: Observe{}", rule("ensure: kubernetes/Object"));
    assert_eq!(told(&of(&whole, &[])), reads);
}

#[test]
fn parameters_that_come_from_the_cluster_are_not_known_unless_somebody_sets_them() {
    let spec = r"
  parameters: { who: { type: string, default: a } }
  valuesFrom: [{ configMap: { name: values } }]
  rules:
    it:
      ensure: kubernetes/Object
      desired: { apiVersion: v1, kind: Service, metadata: { name: '${parameters.who}', namespace: n } }
";
    let open = of(spec, &[]);
    assert!(has(&open, "get configmaps values in n"), "{:?}", told(&open));
    assert!(has(&open, "patch services in n"), "{:?}", told(&open));
    assert!(has(&of(spec, &["who=b"]), "patch services b in n"));
}

#[test]
fn a_generated_bucket_takes_its_prefix_and_all_are_searched_but_none_of_them_is_written() {
    let spec = |adopt: &str| {
        format!(
            "\n  providers: {{ s3: {{ region: eu-central-1, credentials: [{{ secret: {{ name: keys }} }}] }} }}\n  rules:\n    \
             b:\n      ensure: s3/Bucket\n      name: {{ generate: b- }}\n      {adopt}\n      desired: {{ versioning: {{ status: \
             Enabled }} }}\n"
        )
    };
    let generated = of(&spec(""), &[]);
    for one in [
        "s3:PutBucketVersioning on arn:aws:s3:::b-*",
        "s3:CreateBucket on arn:aws:s3:::b-*",
        "s3:ListAllMyBuckets on *",
        "get secrets keys in n",
    ] {
        assert!(has(&generated, one), "{one}: {:?}", told(&generated));
    }
    assert!(
        !told(&generated)
            .iter()
            .any(|one| one.contains("Lifecycle") || one.contains("Delete"))
    );
    assert!(
        has(&generated, "s3:GetBucketTagging on *"),
        "all are searched for its marks"
    );
    let adopted = of(&spec("adopt: { tags: { team: us } }"), &[]);
    assert!(
        !has(&adopted, "s3:PutBucketVersioning on *"),
        "{:?}",
        told(&adopted)
    );
    assert!(
        adopted.notes.iter().any(|note| note.contains("rule `b` adopts")),
        "{:?}",
        adopted.notes
    );
}

#[test]
fn managed_velero_takes_no_wildcard_and_no_power_over_others_where_access_is_given() {
    let case = Case::folder(&root().join("policies/managed-velero"));
    let given = told(&taken(&case, &["manageAccess=false"]));
    assert!(
        !given
            .iter()
            .any(|one| one.starts_with("bind") || one.starts_with("escalate")),
        "{given:#?}"
    );
    let secrets = |one: &&String| one.contains("secrets");
    assert!(
        given
            .iter()
            .filter(secrets)
            .all(|one| one.contains("-iam-credentials in openshift-velero")),
        "Secrets are read by name only: {given:#?}"
    );
    assert!(given.iter().filter(secrets).all(|one| !one.starts_with("patch")));
    let made = told(&taken(&case, &[]));
    assert!(made.contains(&"bind rbac.authorization.k8s.io/clusterroles cluster-admin".to_owned()));
    assert!(
        !made
            .iter()
            .any(|one| one.contains(" *") && !one.starts_with("s3:"))
    );
}
