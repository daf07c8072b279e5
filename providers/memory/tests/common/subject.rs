//! What the conformance suite runs on: the real kinds on a world, and the world's own editor as the other client.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use holdfast_conformance::{Crowd, FacetFault, Fault, Outside, Planted, Secret, Subject};
use holdfast_contract::{Desired, Facet, Kind, Path, Provider, ProviderError, Query, ResourceKey, Value};
use holdfast_kubernetes::ObjectKind;
use holdfast_memory::{Accident, Operation, World};
use holdfast_s3::BucketKind;
use serde_json::{Value as Json, json};

use crate::common::{bucket, object, open, world};

/// What differs between the kinds; the rest is the same for everything in memory.
#[derive(Debug)]
struct Case {
    key: fn(&str) -> ResourceKey,
    desired: fn(&str) -> Json,
    /// Facet, path in it, the value that `desired` has there changed.
    changes: &'static [(&'static str, &'static [&'static str])],
    /// Facet, a map in it with room for foreign content.
    rooms: &'static [(&'static str, &'static [&'static str])],
    secret: Option<&'static str>,
    holds_content: bool,
    watches: bool,
    unserved: Option<ResourceKey>,
}

/// Stands between the suite and the provider, for a provider that misbehaves.
pub(crate) type Wrap<'a> = &'a (dyn Fn(Arc<dyn Provider>) -> Arc<dyn Provider> + Sync);

/// A kind on a world.
#[derive(Debug)]
pub(crate) struct InMemory {
    world: World,
    provider: Arc<dyn Provider>,
    kind: Arc<dyn Kind>,
    faults: Vec<Fault>,
    partly_denied: Arc<dyn Provider>,
    names: AtomicU32,
    /// How long the suite waits.
    pub(crate) patience: Duration,
    case: Case,
}

const SANDBOX: &str = r"
cluster:
  serves: [ { apiVersion: example.org/v1, kind: Widget, scope: Namespaced } ]
objects:
  - { apiVersion: v1, kind: Namespace, metadata: { name: conformance } }
";

impl InMemory {
    async fn start(provider_type: &str, kind: Arc<dyn Kind>, case: Case, wrap: Wrap<'_>) -> Self {
        let world = world();
        world.load_sandbox(SANDBOX, "sandbox.yaml").unwrap();
        let mut faults = Vec::new();
        for name in ["denied", "unreachable", "throttled"] {
            let error = match name {
                "denied" => ProviderError::Denied {
                    action: "read".to_owned(),
                    target: "everything".to_owned(),
                },
                "throttled" => ProviderError::Throttled {
                    service: name.to_owned(),
                    retry_after: None,
                },
                _ => ProviderError::Unavailable {
                    service: name.to_owned(),
                    message: "connection refused".to_owned(),
                    source: None,
                },
            };
            for operation in [Operation::Observe, Operation::Find] {
                let accident = Accident::new(operation, error.clone()).through(&name.into());
                world.fail(accident.always());
            }
            faults.push(Fault {
                name,
                provider: wrap(open(&world, provider_type, name, None).await),
                is_expected: match name {
                    "denied" => |error| matches!(error, ProviderError::Denied { .. }),
                    "throttled" => |error| matches!(error, ProviderError::Throttled { .. }),
                    _ => |error| matches!(error, ProviderError::Unavailable { .. }),
                },
            });
        }
        let partly_denied = wrap(open(&world, provider_type, "partly-denied", None).await);
        let error = ProviderError::Denied {
            action: "read one facet".to_owned(),
            target: "everything".to_owned(),
        };
        let facet = Facet::from(case.changes[0].0);
        let accident = Accident::new(Operation::Observe, error).of(&facet);
        world.fail(accident.through(&"partly-denied".into()).always());
        Self {
            provider: wrap(open(&world, provider_type, provider_type, None).await),
            world,
            kind,
            faults,
            partly_denied,
            names: AtomicU32::new(0),
            patience: Duration::from_secs(5),
            case,
        }
    }

    /// The facet's document as somebody else would have it.
    fn edit(&self, key: &ResourceKey, facet: &Facet, at: &[&str], value: &Value) -> Outside<()> {
        let edit = |document: &mut Value| put(document, at, value.clone());
        self.world
            .edit(key, facet, edit)
            .map_err(|error| error.to_string())
    }
}

/// Sets what stands at `at`; a step that is a number is a list's item.
fn put(document: &mut Value, at: &[&str], value: Value) {
    let Some((first, rest)) = at.split_first() else {
        *document = value;
        return;
    };
    if let Value::Sensitive(sealed) = document {
        *document = sealed.expose().clone();
    }
    let next = match document {
        Value::List(items) => &mut items[first.parse::<usize>().unwrap()],
        Value::Map(entries) => entries.entry((*first).to_owned()).or_insert_with(Value::map),
        other => panic!("{other:?} holds nothing"),
    };
    put(next, rest, value);
}

/// Another value of the same type.
fn another(value: &Value) -> Value {
    match value.exposed() {
        Value::Bool(value) => Value::from(!value),
        Value::Number(number) => Value::from(number.as_i64().unwrap() + 1),
        Value::String(text) if text == "Enabled" => Value::from("Suspended"),
        Value::String(text) => Value::from(format!("{text}x")),
        other => panic!("{other:?} has no other value"),
    }
}

#[async_trait]
impl Subject for InMemory {
    fn provider(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    fn kind(&self) -> &dyn Kind {
        self.kind.as_ref()
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    async fn fresh(&self) -> Outside<ResourceKey> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        Ok((self.case.key)(&format!("conformance-{number}")))
    }

    fn desired(&self, key: &ResourceKey) -> Value {
        Value::from_json((self.case.desired)(&key.name))
    }

    fn changed(&self, key: &ResourceKey, facet: &Facet) -> Option<Desired> {
        let (_, at) = self.case.changes.iter().find(|(one, _)| *one == facet.as_str())?;
        let mut document = self.kind.split(self.desired(key)).remove(facet)?;
        let old = document.at_path(&path(at))?.clone();
        put(&mut document, at, another(&old));
        Some(Desired::new(document))
    }

    async fn change_outside(&self, key: &ResourceKey, facet: &Facet) -> Outside<bool> {
        let Some((_, at)) = self.case.changes.iter().find(|(one, _)| *one == facet.as_str()) else {
            return Ok(false);
        };
        let document = self.world.facet(key, facet).ok_or("it is unset")?;
        let old = document.at_path(&path(at)).ok_or("it has no such place")?;
        self.edit(key, facet, at, &another(&another(old)).clone())?;
        // Two switches back are none: a boolean is switched once.
        if matches!(old, Value::Bool(_)) || old.as_str() == Some("Enabled") {
            self.edit(key, facet, at, &another(old))?;
        }
        Ok(true)
    }

    async fn plant_outside(&self, key: &ResourceKey, facet: &Facet) -> Outside<Vec<Planted>> {
        let Some((_, at)) = self.case.rooms.iter().find(|(one, _)| *one == facet.as_str()) else {
            return Ok(Vec::new());
        };
        let at: Vec<&str> = at.iter().copied().chain(["planted"]).collect();
        let value = Value::from("by somebody else");
        self.edit(key, facet, &at, &value)?;
        Ok(vec![Planted {
            path: path(&at),
            value,
        }])
    }

    async fn delete_outside(&self, key: &ResourceKey) -> Outside<()> {
        self.world.delete(key).map_err(|error| error.to_string())
    }

    async fn fill_outside(&self, key: &ResourceKey) -> Outside<bool> {
        if self.case.holds_content {
            self.world.fill(key, 1).map_err(|error| error.to_string())?;
        }
        Ok(self.case.holds_content)
    }

    fn faults(&self) -> Vec<Fault> {
        self.faults.clone()
    }

    fn facet_fault(&self) -> Option<FacetFault> {
        Some(FacetFault {
            provider: self.partly_denied.clone(),
            facet: self.case.changes[0].0.into(),
        })
    }

    fn unserved(&self) -> Option<ResourceKey> {
        self.case.unserved.clone()
    }

    fn secret(&self, key: &ResourceKey) -> Option<Secret> {
        let text = self.case.secret?;
        let mut desired = self.desired(key);
        put(&mut desired, &["stringData", "password"], Value::from(text));
        Some(Secret {
            desired,
            texts: vec![text.to_owned(), "aHVudGVyMi1odW50ZXIy".to_owned()],
        })
    }

    async fn crowd(&self) -> Outside<Option<Crowd>> {
        let mut keys = BTreeSet::new();
        for number in 0..40 {
            let key = (self.case.key)(&format!("crowd-{number}"));
            let facets = self.kind.split(self.desired(&key));
            let write = holdfast_contract::Write {
                key: key.clone(),
                action: holdfast_contract::Action::Create {
                    facets: facets
                        .into_iter()
                        .map(|(facet, value)| (facet, Desired::new(value)))
                        .collect(),
                },
                guard: holdfast_contract::Guard::Absent,
                manager: "somebody".to_owned(),
                force: false,
            };
            self.provider
                .write(&write)
                .await
                .map_err(|error| error.to_string())?;
            keys.insert(key);
        }
        let one = (self.case.key)("any");
        let query = Query {
            kind: one.kind,
            api: one.api,
            namespace: one.namespace,
            selector: None,
            name_prefix: Some("crowd-".to_owned()),
            read: BTreeSet::new(),
        };
        Ok(Some(Crowd { query, keys }))
    }

    fn volatile(&self, facet: &Facet) -> Vec<Path> {
        if facet == self.kind.root_facet() && self.case.watches {
            return ["resourceVersion", "generation", "managedFields"]
                .map(|field| Path::of(&["metadata", field]))
                .into();
        }
        Vec::new()
    }

    fn watches(&self) -> bool {
        self.case.watches
    }
}

fn path(at: &[&str]) -> Path {
    at.iter().fold(Path::root(), |path, step| match step.parse() {
        Ok(index) => path.index(index),
        Err(_) => path.key(step),
    })
}

/// Objects of a type of their own, with a status.
pub(crate) async fn custom_objects(wrap: Wrap<'_>) -> InMemory {
    let case = Case {
        key: |name| object("example.org/v1", "Widget", Some("conformance"), name),
        desired: |name| {
            json!({
                "apiVersion": "example.org/v1", "kind": "Widget",
                "metadata": {"name": name, "namespace": "conformance", "labels": {"app": "conformance"}},
                "spec": {"size": 3, "parts": ["a", "b"]},
                "status": {"phase": "Assembled"},
            })
        },
        changes: &[("object", &["spec", "size"]), ("status", &["phase"])],
        rooms: &[("object", &["metadata", "labels"]), ("status", &[])],
        secret: None,
        holds_content: false,
        watches: true,
        unserved: Some(object("example.org/v1", "Gadget", Some("conformance"), "any")),
    };
    InMemory::start("kubernetes", Arc::new(ObjectKind::new()), case, wrap).await
}

/// Secrets.
pub(crate) async fn secrets(wrap: Wrap<'_>) -> InMemory {
    let case = Case {
        key: |name| object("v1", "Secret", Some("conformance"), name),
        desired: |name| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"name": name, "namespace": "conformance"},
                "data": {"user": "dmVsZXJv"},
            })
        },
        changes: &[("object", &["type"])],
        rooms: &[("object", &["metadata", "annotations"])],
        secret: Some("hunter2-hunter2"),
        holds_content: false,
        watches: true,
        unserved: None,
    };
    InMemory::start("kubernetes", Arc::new(ObjectKind::new()), case, wrap).await
}

/// Buckets.
pub(crate) async fn buckets(wrap: Wrap<'_>) -> InMemory {
    let case = Case {
        key: bucket,
        desired: |_| {
            json!({
                "encryption": {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
                "publicAccessBlock": {"blockPublicAcls": true, "ignorePublicAcls": true},
                "versioning": {"status": "Enabled"},
                "tags": {"owner": "velero"},
                "lifecycle": {"rules": [{"id": "expiry", "status": "Enabled", "filter": {"prefix": "backups/"},
                    "expiration": {"days": 90}}]},
            })
        },
        changes: &[
            ("tags", &["owner"]),
            ("publicAccessBlock", &["blockPublicAcls"]),
            ("versioning", &["status"]),
            ("lifecycle", &["rules", "0", "expiration", "days"]),
        ],
        rooms: &[("tags", &[])],
        secret: None,
        holds_content: true,
        watches: false,
        unserved: None,
    };
    InMemory::start("s3", Arc::new(BucketKind::new()), case, wrap).await
}
