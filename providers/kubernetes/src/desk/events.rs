//! What people should see among the events of the cluster.
//!
//! `kube`'s own recorder doesn't fit: it takes two events for one if they differ only in what they say, and its requests
//! are neither tried again, nor bounded, nor measured where all others are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_contract::{Holder, Notice, ProviderError, ResourceKey};
use http::Method;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use crate::client::{Call, Repeatable};
use crate::desk::{API_VERSION, KIND, is_not_found, key, resource};
use crate::discovery::Resource;
use crate::home::MANAGER;
use crate::lease::now;
use crate::observe::meaning;
use crate::provider::Server;

/// Who tells, as events name it.
const CONTROLLER: &str = "holdfast.dev/holdfast";
/// For how long the same again raises the count of what was told before.
const SAME: Duration = Duration::from_mins(6);
/// How many are remembered. When there are more, all are forgotten: some would be told twice.
const REMEMBERED_MAX: usize = 1000;
/// What the server takes, in bytes.
const NOTE_MAX: usize = 1024;
const INSTANCE_MAX: usize = 128;
/// How much of a name an event's own begins with; the rest is left to the time.
const NAME_MAX: usize = 200;

/// The events that one process tells in one cluster.
#[derive(Debug)]
pub(super) struct Events {
    server: Arc<Server>,
    resource: Resource,
    instance: String,
    told: Mutex<BTreeMap<Told, Series>>,
}

/// What makes two events the same: all that they say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    notice: Notice,
    /// Of the object, and not of the Policy.
    of_object: bool,
}

/// One that was told, and how often.
#[derive(Clone, Debug)]
struct Series {
    name: String,
    count: u32,
    last: Instant,
}

impl Events {
    pub(super) fn new(server: Arc<Server>, identity: &Holder) -> Self {
        Self {
            server,
            resource: resource("events.k8s.io/v1", "Event", "events"),
            instance: shortened(&identity.0, INSTANCE_MAX),
            told: Mutex::default(),
        }
    }

    /// An event on the Policy; then one on the object too, if it was observed and lies in a namespace: what doesn't has
    /// its events in `default`, where nobody looks for them.
    pub(super) async fn tell(&self, notice: &Notice) -> Result<(), ProviderError> {
        self.publish(notice, None).await?;
        let observed = notice.object.as_ref().filter(|_| notice.object_uid.is_some());
        match observed.and_then(|key| Some((key, key.namespace.as_deref()?))) {
            Some(object) => self.publish(notice, Some(object)).await,
            None => Ok(()),
        }
    }

    /// `object`: the one that it is on, with its namespace; none: on the Policy.
    async fn publish(
        &self,
        notice: &Notice,
        object: Option<(&ResourceKey, &str)>,
    ) -> Result<(), ProviderError> {
        let (namespace, name) = match object {
            Some((key, namespace)) => (namespace, key.name.as_str()),
            None => (notice.policy.namespace.as_str(), notice.policy.name.as_str()),
        };
        let told = Told {
            notice: notice.clone(),
            of_object: object.is_some(),
        };
        let series = self.count(&told, name);
        if series.count > 1 && self.raise(namespace, &series).await? {
            return Ok(());
        }
        let made = self
            .create(notice, object.is_some(), namespace, &series.name)
            .await;
        if made.is_err() {
            self.forget(&told);
        }
        made
    }

    /// Counts it. The first of its kind for a while has a name of its own.
    fn count(&self, told: &Told, name: &str) -> Series {
        let first = || Series {
            name: name_of(name),
            count: 1,
            last: Instant::now(),
        };
        let Ok(mut all) = self.told.lock() else {
            return first();
        };
        all.retain(|_, series| series.last.elapsed() < SAME);
        if all.len() >= REMEMBERED_MAX && !all.contains_key(told) {
            all.clear();
        }
        let series = all
            .entry(told.clone())
            .and_modify(|series| {
                series.count = series.count.saturating_add(1);
                series.last = Instant::now();
            })
            .or_insert_with(first);
        series.clone()
    }

    fn forget(&self, told: &Told) {
        if let Ok(mut all) = self.told.lock() {
            all.remove(told);
        }
    }

    /// Says how often it was told by now; false if the event is gone.
    async fn raise(&self, namespace: &str, series: &Series) -> Result<bool, ProviderError> {
        let raised = json!({ "series": { "count": series.count, "lastObservedTime": now() } });
        let path = self.resource.path_of(Some(namespace), &series.name)?;
        let uri = format!("{path}?fieldManager={MANAGER}");
        let merge = "application/merge-patch+json";
        let call = Call::send(Method::PATCH, uri, merge, &raised, Repeatable::Idempotent);
        match self.server.client.call(&call).await {
            Ok(_) => Ok(true),
            Err(failure) if is_not_found(&failure, &self.resource, &series.name) => Ok(false),
            Err(failure) => {
                let key = key(&self.resource, namespace, &series.name);
                Err(failure.into_error(|status| meaning(status, "patch", &self.resource, &key)))
            }
        }
    }

    async fn create(
        &self,
        notice: &Notice,
        of_object: bool,
        namespace: &str,
        name: &str,
    ) -> Result<(), ProviderError> {
        let policy = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": notice.policy.namespace,
            "name": notice.policy.name,
            "uid": notice.uid,
        });
        let object = notice
            .object
            .as_ref()
            .map(|key| reference(key, notice.object_uid.as_deref()));
        let (regarding, related) = match object {
            Some(object) if of_object => (object, Some(policy)),
            object => (policy, object),
        };
        let event = json!({
            "apiVersion": self.resource.api.api_version,
            "kind": self.resource.api.kind,
            "metadata": { "name": name, "namespace": namespace },
            "eventTime": now(),
            "reportingController": CONTROLLER,
            "reportingInstance": self.instance,
            "type": if notice.warning { "Warning" } else { "Normal" },
            "reason": notice.reason,
            "action": notice.action,
            "note": shortened(&notice.note, NOTE_MAX),
            "regarding": regarding,
            "related": related,
        });
        let uri = format!("{}?fieldManager={MANAGER}", self.resource.path(Some(namespace)));
        let call = Call::send(
            Method::POST,
            uri,
            "application/json",
            &event,
            Repeatable::Idempotent,
        );
        match self.server.client.call(&call).await {
            Ok(_) => Ok(()),
            // The name is of this moment: a try before, whose answer was lost, came through.
            Err(failure)
                if failure
                    .status()
                    .is_some_and(|status| status.reason == "AlreadyExists") =>
            {
                Ok(())
            }
            Err(failure) => {
                let key = key(&self.resource, namespace, name);
                Err(failure.into_error(|status| meaning(status, "create", &self.resource, &key)))
            }
        }
    }
}

fn reference(key: &ResourceKey, uid: Option<&str>) -> Json {
    json!({
        "apiVersion": key.api.as_ref().map(|api| &api.api_version),
        "kind": key.api.as_ref().map(|api| &api.kind),
        "namespace": key.namespace,
        "name": key.name,
        "uid": uid,
    })
}

/// A name for an event on what is called `name`: no other event's. An event's name is a DNS subdomain (RFC 1123), which names of
/// roles and others need not be.
fn name_of(name: &str) -> String {
    let plain = |letter: char| match letter {
        'a'..='z' | '0'..='9' | '.' => letter,
        'A'..='Z' => letter.to_ascii_lowercase(),
        _ => '-',
    };
    let name: String = name.chars().take(NAME_MAX).map(plain).collect();
    let labels = name.split('.').map(|label| label.trim_matches('-'));
    let labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
    let name = if labels.is_empty() {
        "holdfast".to_owned()
    } else {
        labels.join(".")
    };
    let nanoseconds = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
    let chance = getrandom::u32().unwrap_or_default();
    format!("{name}.{nanoseconds:x}{chance:08x}")
}

/// `text`, cut to at most `max` bytes.
fn shortened(text: &str, max: usize) -> String {
    const MORE: &str = "…";
    if text.len() <= max {
        return text.to_owned();
    }
    let mut short = String::new();
    for letter in text.chars() {
        if short.len() + letter.len_utf8() + MORE.len() > max {
            break;
        }
        short.push(letter);
    }
    short + MORE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_letters() {
        assert_eq!(shortened("short", 10), "short");
        assert_eq!(shortened("0123456789", 10), "0123456789");
        assert_eq!(shortened("0123456789a", 10), "0123456…");
        assert_eq!(shortened("ääääääää", 10), "äää…");
        let long = shortened(&"ü".repeat(2000), NOTE_MAX);
        assert!(
            long.len() <= NOTE_MAX && long.len() > NOTE_MAX - 5,
            "{}",
            long.len()
        );
    }

    #[test]
    fn an_events_name_is_a_name() {
        let name = name_of(&format!("{}-.x", "a".repeat(199)));
        assert!(
            name.starts_with(&format!("{}.", "a".repeat(199))) && name.len() <= 253,
            "{name}"
        );
        assert_ne!(name_of("p"), name_of("p"));
        for (of, begins) in [
            ("holdfast:team-web:web", "holdfast-team-web-web."),
            ("My_Role", "my-role."),
            ("-x", "x."),
            ("a..b", "a.b."),
            ("a.-b-.c", "a.b.c."),
            ("::", "holdfast."),
            ("größe", "gr--e."),
        ] {
            let name = name_of(of);
            assert!(name.starts_with(begins), "{name}");
        }
    }
}
