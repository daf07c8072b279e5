//! The values that parameters have in one run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use holdfast_policy::{Diagnostics, Supplied, ValidPolicy, load_text, render, resolve_parameters, validate};
use insta::assert_snapshot;

fn policy() -> ValidPolicy {
    let text = "\
apiVersion: holdfast.dev/v1alpha1
kind: Policy
metadata: { name: example }
spec:
  language: 1
  parameters:
    days: { type: integer, default: 90, minimum: 1 }
    image: { type: string, optional: true, pattern: '^[a-z]' }
    token: { type: string, sensitive: true, optional: true, enum: [ aaa, bbb ] }
    region: { type: string }
    places:
      type: array
      default: []
      items: { type: object, required: [ name ], properties: { name: { type: string }, readOnly: { type: boolean, default: false } } }
  values: { region: here }
";
    let loaded = load_text("policy.yaml", text);
    validate(&loaded, &support::registry()).unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)))
}

fn resolved(supplied: &[Supplied]) -> String {
    match resolve_parameters(&policy(), supplied) {
        Ok(parameters) => {
            let lines = parameters
                .values
                .iter()
                .map(|(name, value)| format!("{name} = {value}  {}", parameters.origins[name]));
            lines.collect::<Vec<_>>().join("\n")
        }
        Err(faults) => render(&faults, 100, false),
    }
}

fn flag(text: &str) -> Supplied {
    Supplied::flag(&policy(), text).unwrap_or_else(|faults| panic!("{}", render(&faults, 100, false)))
}

fn refused(supplied: Result<Supplied, Diagnostics>) -> String {
    render(&supplied.unwrap_err(), 100, false)
}

#[test]
fn defaults_come_first_and_flags_last() {
    assert_snapshot!(resolved(&[]), @r#"
    days = 90  policy.yaml:7:5
    places = []  policy.yaml:11:5
    region = here  policy.yaml:15:21
    "#);
    let mut supplied = Supplied::document("values.yaml", "days: 30\nregion: there\n", false).unwrap();
    supplied.push(flag("region=far"));
    supplied.push(flag("places=[{name: a}, {name: b, readOnly: true}]"));
    assert_snapshot!(resolved(&supplied), @r#"
    days = 30  values.yaml:1:7
    places = [{"name":"a","readOnly":false},{"name":"b","readOnly":true}]  --set places:1:8
    region = far  --set region:1:8
    "#);
}

#[test]
fn a_flag_is_read_as_its_parameter_wants_it() {
    assert_snapshot!(resolved(&[flag("image=0123"), flag("days=soon")]), @r#"
    error[HF0501]: `days` must be a whole number, not text
     --> --set days:1:6
      |
    1 | days=soon
      |      ^^^^

    error[HF0501]: `image` doesn't match its pattern
     --> --set image:1:7
      |
    1 | image=0123
      |       ^^^^ it must match ^[a-z]

    2 errors in 2 files
    "#);
    assert_snapshot!(refused(Supplied::flag(&policy(), "days")), @r#"
    error[HF0501]: a value is given as name=value
     --> --set:1:1
      |
    1 | days
      | ^^^^

    1 error in 1 file
    "#);
    assert_snapshot!(refused(Supplied::flag(&policy(), "dais=3")), @r#"
    error[HF0503]: the policy has no parameter `dais`
     --> --set dais:1:1
      |
    1 | dais=3
      | ^^^^ did you mean `days`?

    1 error in 1 file
    "#);
    assert_snapshot!(refused(Supplied::flag(&policy(), "places=[{")), @r#"
    error[HF0501]: the value of `places` can't be read
     --> --set places:1:8
      |
    1 | places=[{
      |        ^^ lists and maps are written as YAML: '[a, b]', '{a: 1}'

    1 error in 1 file
    "#);
}

#[test]
fn a_secret_fills_sensitive_parameters_only_and_is_never_shown() {
    let policy = policy();
    let token = Supplied::entry(&policy, "Secret acme/velero", "token", "hunter2", true).unwrap();
    let image = Supplied::entry(&policy, "Secret acme/velero", "image", "hunter2", true).unwrap();
    let said = resolved(&[token.clone(), image]);
    assert!(!said.contains("hunter2"), "{said}");
    assert_snapshot!(said, @r#"
    error[HF0501]: `token` isn't one of the values allowed
    --> Secret acme/velero
     = help: one of aaa, bbb

    error[HF0504]: `image` is filled from a Secret, but isn't sensitive
    --> Secret acme/velero
     = help: mark the parameter `sensitive: true`, or keep the value elsewhere

    2 errors in 1 file
    "#);
    let given = Supplied::entry(&policy, "Secret acme/velero", "token", "aaa", true).unwrap();
    assert!(resolved(&[given]).contains("token = (sensitive value)"));
    let said = resolved(&[flag("token=hunter2")]);
    assert!(!said.contains("hunter2"), "{said}");
    let file = Supplied::document("values.yaml", "{ days: 0, token: hunter2 }", false).unwrap();
    let said = resolved(&file[1..]);
    assert!(!said.contains("hunter2"), "{said}");
    let broken = Supplied::document("Secret acme/velero", "token: !hunter2 x", true).unwrap_err();
    assert!(!render(&broken, 100, false).contains("hunter2"));
}

#[test]
fn an_entry_of_a_config_map_is_shown() {
    let policy = policy();
    let days = Supplied::entry(&policy, "ConfigMap acme/velero", "days", "0", false).unwrap();
    assert_snapshot!(resolved(&[days]), @r#"
    error[HF0501]: `days` is less than 1
    --> ConfigMap acme/velero

    1 error in 1 file
    "#);
}

#[test]
fn a_parameter_without_a_value_is_named() {
    let text = "apiVersion: holdfast.dev/v1alpha1\nkind: Policy\nmetadata: { name: example }\nspec:\n  language: 1\n  parameters: { a: { type: string } }\n";
    let policy = validate(&load_text("policy.yaml", text), &support::registry()).unwrap();
    assert_snapshot!(render(&resolve_parameters(&policy, &[]).unwrap_err(), 100, false), @r#"
    error[HF0502]: the parameter `a` has no value
     --> policy.yaml:6:17
      |
    6 |   parameters: { a: { type: string } }
      |                 ^ give it one under `values`, with --set a=…, or as its default

    1 error in 1 file
    "#);
}

#[test]
fn values_that_are_no_map_are_refused() {
    let said = |text: &str| {
        render(
            &Supplied::document("values.yaml", text, false).unwrap_err(),
            100,
            false,
        )
    };
    assert_snapshot!(said("- a\n"), @r#"
    error[HF0104]: values are a map from parameter to value
     --> values.yaml:1:1
      |
    1 | - a
      | ^^^

    1 error in 1 file
    "#);
    assert_snapshot!(said("a: 1\na: 2\n"), @r#"
    error[HF0102]: `a` is given twice
     --> values.yaml:2:1
      |
    1 | a: 1
      | - first given here
    2 | a: 2
      | ^ given again here

    1 error in 1 file
    "#);
    assert!(Supplied::document("values.yaml", "", false).unwrap().is_empty());
}
