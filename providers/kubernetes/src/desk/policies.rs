//! Policy resources as they come and go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{BoxStream, select_all, unfold};
use holdfast_contract::{
    ApiType, FINALIZER, PolicyEvent, PolicyId, PolicyResource, ProviderError, RECONCILE_AT,
};
use serde_json::{Value as Json, json};

use crate::desk::{API_VERSION, KIND};
use crate::provider::Server;
use crate::watch::feed::{Collection, Event, Feed, Part};

/// All Policies in `namespaces`, or in all where that is empty, then each change.
///
/// Each namespace is a list and a watch of its own, so that no permission for others is needed. When all have answered
/// once they are told together, and from then on only what differs from what was told before. One that can't be read
/// holds up none of the others: theirs are then told as changed ones before, and that they were once all that are left refuse
/// to be read.
pub(super) fn policies(
    server: &Arc<Server>,
    api: &ApiType,
    namespaces: &BTreeSet<String>,
) -> BoxStream<'static, PolicyEvent> {
    let places: Vec<Option<String>> = if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces.iter().cloned().map(Some).collect()
    };
    let silent = (0..places.len()).collect();
    let followed = places.into_iter().enumerate().map(|(place, namespace)| {
        let of = Collection {
            api: api.clone(),
            namespace,
            part: Part::All,
        };
        let feed = Feed::new(server, of, |object| read(&object));
        unfold(feed, move |mut feed| async move {
            let event = feed.next().await;
            Some(((place, event), feed))
        })
        .boxed()
    });
    let desk = (select_all(followed), Told::new(silent));
    unfold(desk, |(mut events, mut told)| async {
        loop {
            if let Some(event) = told.ready.pop_front() {
                return Some((event, (events, told)));
            }
            let (place, event) = events.next().await?;
            told.take(place, event);
        }
    })
    .boxed()
}

/// Which incarnation, at which version.
type Version = (String, String);

/// What was told.
#[derive(Debug)]
struct Told {
    /// The places that have said nothing yet.
    silent: BTreeSet<usize>,
    /// Those of them that have refused to.
    refused: BTreeSet<usize>,
    /// Whether it was told that the others were read.
    is_read: bool,
    /// What the others have said, until all have.
    first: Vec<PolicyResource>,
    /// Whether it is told at once, as one of the silent can't be read.
    hurried: bool,
    /// By place.
    known: BTreeMap<usize, BTreeMap<PolicyId, Version>>,
    ready: VecDeque<PolicyEvent>,
}

impl Told {
    fn new(silent: BTreeSet<usize>) -> Self {
        Self {
            silent,
            refused: BTreeSet::new(),
            is_read: false,
            first: Vec::new(),
            hurried: false,
            known: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    fn take(&mut self, place: usize, event: Event<(PolicyResource, Version)>) {
        match event {
            Event::Failed(error) => {
                if self.silent.contains(&place) && !self.hurried {
                    self.hurried = true;
                    let told = self.first.iter().cloned().map(Box::new);
                    self.ready.extend(told.map(PolicyEvent::Changed));
                }
                if matches!(error, ProviderError::Denied { .. }) {
                    self.refused.insert(place);
                } else {
                    self.refused.remove(&place);
                }
                self.ready.push_back(PolicyEvent::Failed(error));
                self.read();
            }
            Event::Listed(policies) => {
                let last = self.silent.len() == 1 && self.silent.contains(&place);
                // Then all are told together, these with them.
                self.hurried &= !last;
                self.all(place, policies);
                self.silent.remove(&place);
                if last {
                    let first = std::mem::take(&mut self.first);
                    self.ready.push_back(PolicyEvent::All(first));
                } else {
                    self.read();
                }
            }
            Event::Changed((policy, version)) => self.changed(place, policy, &version),
            Event::Removed((policy, _)) => self.gone(place, &policy.id),
        }
    }

    /// Tells that all was read that may be, once that is so.
    fn read(&mut self) {
        let is_so = !self.silent.is_empty() && self.silent.is_subset(&self.refused) && !self.known.is_empty();
        if is_so && !self.is_read {
            self.is_read = true;
            self.ready.push_back(PolicyEvent::Read);
        }
    }

    /// Whether single changes are told.
    fn is_open(&self) -> bool {
        self.hurried || self.silent.is_empty()
    }

    fn all(&mut self, place: usize, policies: Vec<(PolicyResource, Version)>) {
        let here: BTreeSet<PolicyId> = policies.iter().map(|(policy, _)| policy.id.clone()).collect();
        let known = self.known.entry(place).or_default();
        let gone: Vec<PolicyId> = known.keys().filter(|id| !here.contains(id)).cloned().collect();
        for id in gone {
            self.gone(place, &id);
        }
        for (policy, version) in policies {
            self.changed(place, policy, &version);
        }
    }

    fn changed(&mut self, place: usize, policy: PolicyResource, version: &Version) {
        let known = self.known.entry(place).or_default();
        let before = known.insert(policy.id.clone(), version.clone());
        if before.as_ref() == Some(version) {
            return;
        }
        if !self.silent.is_empty() {
            // Until all have answered, the last word on each is what counts.
            self.first.retain(|other| other.id != policy.id);
            self.first.push(policy.clone());
        }
        if !self.is_open() {
            return;
        }
        if before.is_some_and(|(uid, _)| uid != policy.uid) {
            self.ready.push_back(PolicyEvent::Gone(policy.id.clone()));
        }
        self.ready.push_back(PolicyEvent::Changed(Box::new(policy)));
    }

    fn gone(&mut self, place: usize, id: &PolicyId) {
        let known = self.known.entry(place).or_default();
        if known.remove(id).is_none() {
            return;
        }
        self.first.retain(|policy| policy.id != *id);
        if self.is_open() {
            self.ready.push_back(PolicyEvent::Gone(id.clone()));
        }
    }
}

/// A Policy as it was answered, without what only the server is concerned with.
fn read(object: &Json) -> Option<(PolicyResource, Version)> {
    let metadata = |field: &str| object.get("metadata")?.get(field);
    let text = |field: &str| metadata(field)?.as_str().map(str::to_owned);
    let id = PolicyId {
        namespace: text("namespace")?,
        name: text("name")?,
    };
    let uid = text("uid")?;
    let finalizers = metadata("finalizers").and_then(Json::as_array);
    let reconcile_at = metadata("annotations").and_then(|all| all.get(RECONCILE_AT)?.as_str());
    let document = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": { "name": id.name, "namespace": id.namespace },
        "spec": object.get("spec"),
    });
    let policy = PolicyResource {
        id,
        uid: uid.clone(),
        generation: metadata("generation").and_then(Json::as_i64).unwrap_or_default(),
        deleting: metadata("deletionTimestamp").is_some(),
        finalizer: finalizers.is_some_and(|all| all.iter().any(|finalizer| finalizer == FINALIZER)),
        reconcile_at: reconcile_at.map(str::to_owned),
        document,
        status: object.get("status").cloned().unwrap_or_default(),
    };
    Some((policy, (uid, text("resourceVersion")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(namespace: &str, name: &str, uid: &str, version: u32) -> Json {
        json!({
            "metadata": {
                "namespace": namespace, "name": name, "uid": uid, "resourceVersion": version.to_string(),
                "generation": 3, "labels": { "a": "b" }, "finalizers": ["other", FINALIZER],
                "annotations": { RECONCILE_AT: "now" },
            },
            "spec": { "mode": "Enforce" },
        })
    }

    fn listed(objects: &[Json]) -> Event<(PolicyResource, Version)> {
        Event::Listed(objects.iter().filter_map(read).collect())
    }

    /// What is told, in short: the names of all, `+` a changed one, `-` one that is gone.
    fn told(told: &mut Told) -> Vec<String> {
        let short = |event| match event {
            PolicyEvent::All(all) => all
                .iter()
                .map(|policy: &PolicyResource| policy.id.to_string())
                .collect::<Vec<_>>()
                .join(" "),
            PolicyEvent::Changed(policy) => format!("+{}", policy.id),
            PolicyEvent::Gone(id) => format!("-{id}"),
            PolicyEvent::Read => "read".to_owned(),
            PolicyEvent::Failed(_) => "failed".to_owned(),
        };
        std::mem::take(&mut told.ready).into_iter().map(short).collect()
    }

    fn denied() -> ProviderError {
        ProviderError::Denied {
            action: "list policies.holdfast.dev".to_owned(),
            target: "b".to_owned(),
        }
    }

    fn down() -> ProviderError {
        ProviderError::Unavailable {
            service: "the API server".to_owned(),
            message: "no route".to_owned(),
            source: None,
        }
    }

    #[test]
    fn a_policy_is_as_its_file_would_hold_it() {
        let (policy, _) = read(&object("team-a", "p", "1", 7)).unwrap();
        assert_eq!(
            policy.document,
            json!({
                "apiVersion": "holdfast.dev/v1alpha1",
                "kind": "Policy",
                "metadata": { "name": "p", "namespace": "team-a" },
                "spec": { "mode": "Enforce" },
            })
        );
        assert_eq!(
            (policy.generation, policy.deleting, policy.finalizer),
            (3, false, true)
        );
        assert_eq!(policy.reconcile_at.as_deref(), Some("now"));
        assert!(policy.status.is_null());
    }

    #[test]
    fn all_are_told_together_once_every_namespace_has_answered() {
        let mut desk = Told::new([0, 1].into());
        desk.take(0, listed(&[object("a", "p", "1", 1), object("a", "q", "2", 2)]));
        desk.take(0, Event::Changed(read(&object("a", "p", "1", 3)).unwrap()));
        desk.take(0, Event::Removed(read(&object("a", "q", "2", 4)).unwrap()));
        assert!(told(&mut desk).is_empty());
        desk.take(1, listed(&[object("b", "p", "3", 5)]));
        assert_eq!(told(&mut desk), ["a/p b/p"]);
    }

    #[test]
    fn a_namespace_that_cannot_be_read_holds_up_no_other() {
        let mut desk = Told::new([0, 1].into());
        desk.take(0, listed(&[object("a", "p", "1", 1)]));
        let denied = denied();
        desk.take(1, Event::Failed(denied.clone()));
        assert_eq!(told(&mut desk), ["+a/p", "failed", "read"]);
        desk.take(1, Event::Failed(denied.clone()));
        desk.take(0, Event::Changed(read(&object("a", "q", "4", 3)).unwrap()));
        desk.take(0, Event::Removed(read(&object("a", "p", "1", 4)).unwrap()));
        assert_eq!(told(&mut desk), ["failed", "+a/q", "-a/p"]);
        // That there are no more is known only now.
        desk.take(1, listed(&[object("b", "p", "2", 2)]));
        assert_eq!(told(&mut desk), ["a/q b/p"]);
        // What can't be read any more isn't gone.
        desk.take(1, Event::Failed(denied));
        assert_eq!(told(&mut desk), ["failed"]);
    }

    #[test]
    fn what_may_be_read_was_read_once_every_other_namespace_has_refused() {
        let mut desk = Told::new([0, 1, 2].into());
        desk.take(1, Event::Failed(denied()));
        desk.take(0, listed(&[object("a", "p", "1", 1)]));
        // It may still answer.
        desk.take(2, Event::Failed(down()));
        assert_eq!(told(&mut desk), ["failed", "+a/p", "failed"]);
        desk.take(2, listed(&[]));
        assert_eq!(told(&mut desk), ["read"]);
        desk.take(1, Event::Failed(down()));
        desk.take(1, Event::Failed(denied()));
        assert_eq!(told(&mut desk), ["failed", "failed"], "once");
        desk.take(1, listed(&[]));
        assert_eq!(told(&mut desk), ["a/p"]);
    }

    #[test]
    fn where_every_namespace_refuses_nothing_was_read() {
        let mut desk = Told::new([0, 1].into());
        desk.take(0, Event::Failed(denied()));
        desk.take(1, Event::Failed(denied()));
        assert_eq!(told(&mut desk), ["failed", "failed"]);
        // One that has refused before, and can't be reached now.
        desk.take(1, Event::Failed(down()));
        desk.take(0, listed(&[]));
        assert_eq!(told(&mut desk), ["failed"]);
        desk.take(1, Event::Failed(denied()));
        assert_eq!(told(&mut desk), ["failed", "read"]);
    }

    #[test]
    fn a_list_that_is_read_anew_tells_what_was_missed_and_nothing_else() {
        let mut desk = Told::new([0].into());
        let first = vec![
            object("a", "same", "1", 1),
            object("a", "changed", "2", 2),
            object("a", "gone", "3", 3),
            object("a", "replaced", "4", 4),
        ];
        desk.take(0, listed(&first));
        told(&mut desk);
        let second = vec![
            object("a", "same", "1", 1),
            object("a", "changed", "2", 9),
            object("a", "replaced", "5", 8),
            object("a", "new", "6", 7),
        ];
        desk.take(0, listed(&second));
        assert_eq!(
            told(&mut desk),
            ["-a/gone", "+a/changed", "-a/replaced", "+a/replaced", "+a/new"]
        );
    }
}
