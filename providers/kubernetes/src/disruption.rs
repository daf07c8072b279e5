//! Which changes of an object disturb what runs: pods that are stopped or made anew.

use holdfast_contract::{ApiType, Change, Difference, Path, Value};

/// What a change of an object's body disrupts, as what it does: `rolls out new pods`. None for all that leaves pods
/// running as they are.
pub(crate) fn of(api: &ApiType, differences: &[Difference]) -> Option<String> {
    let workload = match (api.group(), api.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet") | ("apps.openshift.io", "DeploymentConfig") => {
            Workload::Rolled
        }
        ("apps", "ReplicaSet") | ("", "ReplicationController") => Workload::Counted,
        ("", "Pod") => Workload::Pod,
        _ => return None,
    };
    let changed = |differences: &[Difference], place: &Path| {
        differences
            .iter()
            .filter(|difference| difference.change != Change::Claim)
            .any(|difference| difference.path.starts_with(place) || place.starts_with(&difference.path))
    };
    match workload {
        Workload::Pod => {
            changed(differences, &Path::of(&["spec"])).then(|| "restarts what runs in the pod".to_owned())
        }
        Workload::Rolled if changed(differences, &Path::of(&["spec", "template"])) => {
            Some("rolls out new pods".to_owned())
        }
        Workload::Rolled | Workload::Counted => fewer(differences),
    }
}

/// What the pods of an object do when it changes.
enum Workload {
    /// They are made anew from the template.
    Rolled,
    /// They stay, but as many as it says.
    Counted,
    /// It is the pod.
    Pod,
}

/// Fewer replicas stop pods.
fn fewer(differences: &[Difference]) -> Option<String> {
    let replicas = Path::of(&["spec", "replicas"]);
    differences
        .iter()
        .find_map(|difference| match &difference.change {
            Change::Replace { old, new } if difference.path == replicas => {
                let (old, new) = (count(old)?, count(new)?);
                (new < old).then(|| format!("stops pods: {new} instead of {old}"))
            }
            _ => None,
        })
}

fn count(value: &Value) -> Option<i64> {
    value.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(path: &[&str], old: Value, new: Value) -> Difference {
        Difference::new(Path::of(path), Change::Replace { old, new })
    }

    fn image() -> Difference {
        let path = ["spec", "template", "spec", "containers"];
        replace(&path, "a:1".into(), "a:2".into())
    }

    fn disrupts(api: (&str, &str), difference: Difference) -> Option<String> {
        of(&ApiType::new(api.0, api.1), &[difference])
    }

    #[test]
    fn a_change_of_the_pod_template_rolls_out_new_pods() {
        for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
            assert!(disrupts(("apps/v1", kind), image()).is_some(), "{kind}");
            let annotations = replace(&["metadata", "annotations", "a"], "1".into(), "2".into());
            assert_eq!(disrupts(("apps/v1", kind), annotations), None, "{kind}");
        }
        let whole = replace(&["spec"], Value::map(), Value::map());
        assert!(disrupts(("apps/v1", "Deployment"), whole).is_some());
        assert_eq!(disrupts(("batch/v1", "CronJob"), image()), None);
        assert_eq!(disrupts(("apps/v1", "ReplicaSet"), image()), None);
    }

    #[test]
    fn fewer_replicas_disrupt_and_more_do_not() {
        let scale = |old: i64, new: i64| replace(&["spec", "replicas"], old.into(), new.into());
        for kind in ["Deployment", "ReplicaSet"] {
            assert!(disrupts(("apps/v1", kind), scale(3, 1)).is_some());
            assert_eq!(disrupts(("apps/v1", kind), scale(1, 3)), None);
        }
    }

    #[test]
    fn a_pods_own_spec_disrupts_and_its_labels_do_not() {
        assert!(disrupts(("v1", "Pod"), replace(&["spec", "image"], "a".into(), "b".into())).is_some());
        assert_eq!(
            disrupts(
                ("v1", "Pod"),
                replace(&["metadata", "labels", "a"], "a".into(), "b".into())
            ),
            None
        );
    }

    #[test]
    fn to_hold_what_is_as_desired_already_disrupts_nothing() {
        let claim = Difference::new(Path::of(&["spec", "template", "spec"]), Change::Claim);
        assert_eq!(disrupts(("apps/v1", "Deployment"), claim), None);
    }
}
