//! Whether an object is ready for those that depend on it, by the conventions that kstatus has written down.
//!
//! Source: <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>. An object without a status
//! that says otherwise is ready as soon as it exists.

use holdfast_contract::{ApiType, Readiness, Value};

/// Whether the object `body` of type `api`, with `status`, is ready.
pub(crate) fn readiness(api: &ApiType, body: &Value, status: Option<&Value>) -> Readiness {
    let none = Value::map();
    let object = Object {
        body,
        status: status.unwrap_or(&none),
    };
    if body.at(&["metadata", "deletionTimestamp"]).is_some() {
        return not_yet("it is being deleted");
    }
    if let Some(early) = object.general() {
        return early;
    }
    match (api.group(), api.kind.as_str()) {
        ("apps", "Deployment") => object.deployment(),
        ("apps", "StatefulSet") => object.stateful_set(),
        ("apps", "DaemonSet") => object.daemon_set(),
        ("apps", "ReplicaSet") => object.replica_set(),
        ("batch", "Job") => object.job(),
        ("", "PersistentVolumeClaim") => object.phase(&["Bound"]),
        ("", "PersistentVolume") => object.phase(&["Available", "Bound", "Released"]),
        ("", "Namespace") => object.phase(&["Active"]),
        ("", "Pod") => object.pod(),
        ("", "Service") => object.service(),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => object.definition(),
        ("apiregistration.k8s.io", "APIService") => object.must_hold("Available"),
        _ => object.custom(),
    }
}

fn not_yet(text: impl Into<String>) -> Readiness {
    Readiness::NotYet(text.into())
}

struct Object<'a> {
    body: &'a Value,
    status: &'a Value,
}

impl Object<'_> {
    /// What holds for all types: the newest version has been seen, and no condition says that work goes on.
    fn general(&self) -> Option<Readiness> {
        let generation = self.body.at(&["metadata", "generation"]).and_then(Value::as_i64);
        let seen = self.status.get("observedGeneration").and_then(Value::as_i64);
        if let (Some(generation), Some(seen)) = (generation, seen)
            && seen < generation
        {
            return Some(not_yet("its controller hasn't taken up the last change yet"));
        }
        if self
            .condition("Stalled")
            .is_some_and(|found| found.state == "True")
        {
            return Some(Readiness::Failed(self.words("Stalled", "it is stalled")));
        }
        if self
            .condition("Reconciling")
            .is_some_and(|found| found.state == "True")
        {
            return Some(not_yet(self.words("Reconciling", "its controller is at work")));
        }
        None
    }

    fn count(&self, field: &str) -> i64 {
        self.status.get(field).and_then(Value::as_i64).unwrap_or(0)
    }

    fn wanted(&self) -> i64 {
        self.body
            .at(&["spec", "replicas"])
            .and_then(Value::as_i64)
            .unwrap_or(1)
    }

    /// A controller that has never reported has reported nothing.
    fn unreported(&self) -> Option<Readiness> {
        self.status
            .get("observedGeneration")
            .is_none()
            .then(|| not_yet("its controller hasn't reported yet"))
    }

    fn deployment(&self) -> Readiness {
        if let Some(early) = self.unreported() {
            return early;
        }
        if let Some(found) = self.condition("Progressing")
            && found.reason == "ProgressDeadlineExceeded"
        {
            return Readiness::Failed(self.words("Progressing", "its rollout took too long"));
        }
        if let Some(found) = self.condition("ReplicaFailure")
            && found.state == "True"
        {
            return Readiness::Failed(self.words("ReplicaFailure", "its pods can't be created"));
        }
        let wanted = self.wanted();
        let updated = self.count("updatedReplicas");
        if updated < wanted {
            return not_yet(format!("{updated} of {wanted} replicas updated"));
        }
        let total = self.count("replicas");
        if total > updated {
            return not_yet(format!("{} old replicas still there", total - updated));
        }
        let available = self.count("availableReplicas");
        if available < wanted {
            return not_yet(format!("{available} of {wanted} replicas available"));
        }
        Readiness::Ready
    }

    fn stateful_set(&self) -> Readiness {
        let strategy = self
            .body
            .at(&["spec", "updateStrategy", "type"])
            .and_then(Value::as_str);
        if strategy == Some("OnDelete") {
            return Readiness::Ready;
        }
        if let Some(early) = self.unreported() {
            return early;
        }
        let wanted = self.wanted();
        let ready = self.count("readyReplicas");
        if ready < wanted {
            return not_yet(format!("{ready} of {wanted} replicas ready"));
        }
        let partition = ["spec", "updateStrategy", "rollingUpdate", "partition"];
        let kept = self.body.at(&partition).and_then(Value::as_i64).unwrap_or(0);
        let updated = self.count("updatedReplicas");
        if updated < wanted - kept {
            return not_yet(format!("{updated} of {} replicas updated", wanted - kept));
        }
        Readiness::Ready
    }

    fn daemon_set(&self) -> Readiness {
        if let Some(early) = self.unreported() {
            return early;
        }
        let wanted = self.count("desiredNumberScheduled");
        for (field, words) in [
            ("updatedNumberScheduled", "updated"),
            ("numberAvailable", "available"),
        ] {
            let count = self.count(field);
            if count < wanted {
                return not_yet(format!("{count} of {wanted} pods {words}"));
            }
        }
        Readiness::Ready
    }

    fn replica_set(&self) -> Readiness {
        if let Some(early) = self.unreported() {
            return early;
        }
        let (wanted, available) = (self.wanted(), self.count("availableReplicas"));
        if available < wanted {
            return not_yet(format!("{available} of {wanted} replicas available"));
        }
        Readiness::Ready
    }

    /// A job that runs is as ready as it gets; one that has failed has failed.
    fn job(&self) -> Readiness {
        match self.condition("Failed") {
            Some(found) if found.state == "True" => {
                Readiness::Failed(self.words("Failed", "the job has failed"))
            }
            _ if self.status.get("startTime").is_none() => not_yet("the job hasn't started yet"),
            _ => Readiness::Ready,
        }
    }

    fn pod(&self) -> Readiness {
        match self.status.get("phase").and_then(Value::as_str) {
            Some("Succeeded") => Readiness::Ready,
            Some("Failed") => Readiness::Failed(match self.status.get("message").and_then(Value::as_str) {
                Some(message) => format!("the pod has failed: {message}"),
                None => "the pod has failed".to_owned(),
            }),
            Some("Running") => self.must_hold("Ready"),
            Some(phase) => not_yet(format!("the pod is {phase}")),
            None => not_yet("the pod isn't scheduled yet"),
        }
    }

    fn service(&self) -> Readiness {
        if self.body.at(&["spec", "type"]).and_then(Value::as_str) != Some("LoadBalancer") {
            return Readiness::Ready;
        }
        let ingress = self
            .status
            .at(&["loadBalancer", "ingress"])
            .and_then(Value::as_list);
        if ingress.is_none_or(<[Value]>::is_empty) {
            return not_yet("the load balancer has no address yet");
        }
        Readiness::Ready
    }

    fn definition(&self) -> Readiness {
        if self
            .condition("NamesAccepted")
            .is_some_and(|found| found.state == "False")
        {
            return Readiness::Failed(self.words("NamesAccepted", "its names are taken"));
        }
        self.must_hold("Established")
    }

    /// A phase that isn't reported at all, as by a server without controllers, is not waited for.
    fn phase(&self, good: &[&str]) -> Readiness {
        match self.status.get("phase").and_then(Value::as_str) {
            Some(phase) if !good.contains(&phase) => not_yet(format!("its phase is {phase}")),
            None if good.contains(&"Bound") => not_yet("it isn't bound yet"),
            Some(_) | None => Readiness::Ready,
        }
    }

    /// Any other type: the first of the usual conditions that it has must be true.
    fn custom(&self) -> Readiness {
        ["Ready", "Available", "Established"]
            .into_iter()
            .find(|name| self.condition(name).is_some())
            .map_or(Readiness::Ready, |name| self.must_hold(name))
    }

    fn must_hold(&self, name: &str) -> Readiness {
        match self.condition(name) {
            Some(found) if found.state == "True" => Readiness::Ready,
            _ => not_yet(self.words(name, &format!("it isn't {name} yet"))),
        }
    }

    fn condition(&self, name: &str) -> Option<Condition<'_>> {
        let listed = self.status.get("conditions").and_then(Value::as_list)?;
        let found = listed
            .iter()
            .find(|condition| condition.get("type").and_then(Value::as_str) == Some(name))?;
        let text = |key| found.get(key).and_then(Value::as_str).unwrap_or_default();
        Some(Condition {
            state: text("status"),
            reason: text("reason"),
            message: text("message"),
        })
    }

    /// What a condition says, or `otherwise`.
    fn words(&self, name: &str, otherwise: &str) -> String {
        match self.condition(name) {
            Some(Condition { message, .. }) if !message.is_empty() => message.to_owned(),
            Some(Condition { reason, .. }) if !reason.is_empty() => format!("{otherwise} ({reason})"),
            _ => otherwise.to_owned(),
        }
    }
}

struct Condition<'a> {
    state: &'a str,
    reason: &'a str,
    message: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(api_version: &str, kind: &str, body: serde_json::Value, status: serde_json::Value) -> Readiness {
        let status = Value::from_json(status);
        let status = (status != Value::Null).then_some(status);
        readiness(
            &ApiType::new(api_version, kind),
            &Value::from_json(body),
            status.as_ref(),
        )
    }

    fn text(readiness: Readiness) -> String {
        match readiness {
            Readiness::Ready => "ready".to_owned(),
            Readiness::NotYet(text) => format!("not yet: {text}"),
            Readiness::Failed(text) => format!("failed: {text}"),
        }
    }

    #[test]
    fn a_deployment_is_ready_when_its_newest_pods_are_available() {
        let of = |spec, status| {
            text(of(
                "apps/v1",
                "Deployment",
                json!({"metadata": {"generation": 2}, "spec": spec}),
                status,
            ))
        };
        assert_eq!(
            of(json!({}), json!(null)),
            "not yet: its controller hasn't reported yet"
        );
        assert_eq!(
            of(
                json!({}),
                json!({"observedGeneration": 1, "availableReplicas": 1})
            ),
            "not yet: its controller hasn't taken up the last change yet"
        );
        let seen = |mut status: serde_json::Value| {
            status["observedGeneration"] = json!(2);
            status
        };
        assert_eq!(
            of(json!({"replicas": 2}), seen(json!({"updatedReplicas": 1}))),
            "not yet: 1 of 2 replicas updated"
        );
        assert_eq!(
            of(json!({}), seen(json!({"updatedReplicas": 1, "replicas": 2}))),
            "not yet: 1 old replicas still there"
        );
        assert_eq!(
            of(json!({}), seen(json!({"updatedReplicas": 1, "replicas": 1}))),
            "not yet: 0 of 1 replicas available"
        );
        let done = json!({"updatedReplicas": 1, "replicas": 1, "availableReplicas": 1});
        assert_eq!(of(json!({}), seen(done)), "ready");
        assert_eq!(of(json!({"replicas": 0}), seen(json!({}))), "ready");
        let late = json!({"conditions": [{
            "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too long",
        }]});
        assert_eq!(of(json!({}), seen(late)), "failed: too long");
    }

    #[test]
    fn a_definition_is_ready_when_it_is_established() {
        let of = |status| {
            text(of(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                json!({}),
                status,
            ))
        };
        assert_eq!(of(json!(null)), "not yet: it isn't Established yet");
        assert_eq!(
            of(json!({"conditions": [{"type": "Established", "status": "True"}]})),
            "ready"
        );
        let taken = json!({"conditions": [
            {"type": "NamesAccepted", "status": "False", "message": "plural widgets is in use"},
            {"type": "Established", "status": "False"},
        ]});
        assert_eq!(of(taken), "failed: plural widgets is in use");
    }

    #[test]
    fn an_object_without_a_word_on_readiness_is_ready() {
        assert_eq!(text(of("v1", "ConfigMap", json!({}), json!(null))), "ready");
        assert_eq!(
            text(of("velero.io/v1", "Backup", json!({}), json!({"phase": "New"}))),
            "ready"
        );
        assert_eq!(text(of("v1", "Namespace", json!({}), json!(null))), "ready");
    }

    #[test]
    fn the_usual_conditions_count_for_any_type() {
        let of = |conditions| {
            text(of(
                "example.org/v1",
                "Widget",
                json!({}),
                json!({ "conditions": conditions }),
            ))
        };
        assert_eq!(of(json!([{"type": "Ready", "status": "True"}])), "ready");
        assert_eq!(
            of(json!([{"type": "Ready", "status": "False", "reason": "Waiting"}])),
            "not yet: it isn't Ready yet (Waiting)"
        );
        assert_eq!(
            of(
                json!([{"type": "Ready", "status": "True"}, {"type": "Reconciling", "status": "True", "message": "busy"}])
            ),
            "not yet: busy"
        );
        assert_eq!(
            of(json!([{"type": "Stalled", "status": "True", "message": "no quota"}])),
            "failed: no quota"
        );
    }

    #[test]
    fn what_is_being_deleted_is_not_ready() {
        let body = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(
            text(of("v1", "ConfigMap", body, json!(null))),
            "not yet: it is being deleted"
        );
        assert_eq!(
            text(of("v1", "Namespace", json!({}), json!({"phase": "Terminating"}))),
            "not yet: its phase is Terminating"
        );
    }

    #[test]
    fn other_types_of_their_own() {
        let claim = |status| text(of("v1", "PersistentVolumeClaim", json!({}), status));
        assert_eq!(claim(json!(null)), "not yet: it isn't bound yet");
        assert_eq!(claim(json!({"phase": "Bound"})), "ready");
        let job = |status| text(of("batch/v1", "Job", json!({}), status));
        assert_eq!(job(json!({"startTime": "x"})), "ready");
        assert_eq!(
            job(json!({"conditions": [{"type": "Failed", "status": "True", "message": "x"}]})),
            "failed: x"
        );
        let pod = |status| text(of("v1", "Pod", json!({}), status));
        assert_eq!(pod(json!({"phase": "Pending"})), "not yet: the pod is Pending");
        assert_eq!(
            pod(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})),
            "ready"
        );
        let balancer = |status| {
            text(of(
                "v1",
                "Service",
                json!({"spec": {"type": "LoadBalancer"}}),
                status,
            ))
        };
        assert_eq!(
            balancer(json!({"loadBalancer": {}})),
            "not yet: the load balancer has no address yet"
        );
        assert_eq!(
            balancer(json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}})),
            "ready"
        );
        let daemon = |status| text(of("apps/v1", "DaemonSet", json!({}), status));
        let half = json!({"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1});
        assert_eq!(daemon(half), "not yet: 1 of 2 pods available");
        let set = |status| {
            text(of(
                "apps/v1",
                "StatefulSet",
                json!({"spec": {"replicas": 3}}),
                status,
            ))
        };
        assert_eq!(
            set(json!({"observedGeneration": 1, "readyReplicas": 2})),
            "not yet: 2 of 3 replicas ready"
        );
    }
}
