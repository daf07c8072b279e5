//! What is there at the start: `sandbox.yaml`, or a state file.

use holdfast_contract::{ApiType, Kind, KindName, PolicyId, ProviderName, ResourceKey, Scope, Value};
use serde_json::Map;
use serde_saphyr::{Location, Spanned};

use crate::document::{self, Document};
use crate::error::SandboxError;
use crate::file::digest;
use crate::reactions::Reactions;
use crate::resource::{Identity, Resource, set_metadata};
use crate::state::Ledger;
use crate::world::{State, World};

impl World {
    /// Puts what a `sandbox.yaml` lists into the world, and takes over its reactions. `origin` is how the user named
    /// the file. If it is an error, the world's resources are as they were before.
    pub fn load_sandbox(&self, yaml: &str, origin: &str) -> Result<(), SandboxError> {
        let document = document::parse(yaml, origin)?;
        let mut state = self.lock();
        let before = state.resources.clone();
        let result = state.load(document, origin);
        if result.is_err() {
            state.resources = before;
        }
        drop(state);
        self.notify();
        result
    }
}

impl State {
    /// Adds what `document` holds.
    pub(crate) fn load(&mut self, document: Document, origin: &str) -> Result<(), SandboxError> {
        let Document {
            cluster,
            account,
            objects,
            buckets,
            reactions,
            ledgers,
            bookkeeping,
        } = document;
        if let Some(uid) = cluster.uid {
            self.set_cluster_uid(uid);
        }
        if let Some(account) = account {
            self.account = account;
        }
        for one in cluster.serves {
            let api = ApiType::new(&one.api_version, &one.kind);
            self.serves.insert(api, one.scope.into());
        }
        // Reactions of a policy's own sandbox.yaml hold also where the objects come from a state file.
        if !reactions.is_empty() {
            self.reactions = Reactions::new(reactions);
        }
        self.counter = self.counter.max(bookkeeping.counter);
        for (name, ledger) in ledgers {
            let Some((namespace, name)) = name.split_once('/') else {
                return Err(SandboxError::Unfit(format!(
                    "{origin}: ledgers: `{name}` is not NAMESPACE/POLICY"
                )));
            };
            let policy = PolicyId {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            };
            let ledger = Ledger {
                entries: ledger.entries,
                version: ledger.version,
            };
            self.ledgers.insert(policy, ledger);
        }
        // Definitions first: what they bring is served by them, and goes with them.
        let (definitions, others): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .partition(|object| self.is_definition(&object.value));
        let definition_count = definitions.len();
        let mut loaded = Vec::new();
        for (position, object) in definitions.into_iter().chain(others).enumerate() {
            let place = object.referenced;
            let record = |key: &ResourceKey| bookkeeping.objects.get(&key.to_string());
            let identity = self
                .load_object(object.value, record)
                .map_err(|error| placed(origin, place, &error))?;
            if loaded.contains(&identity) {
                let twice = SandboxError::Unfit("this object is listed twice".to_owned());
                return Err(placed(origin, place, &twice));
            }
            if position < definition_count {
                self.react(identity.clone());
            }
            loaded.push(identity);
        }
        for (name, bucket) in buckets {
            let place = bucket.referenced;
            self.load_bucket(&name, bucket)
                .map_err(|error| placed(origin, place, &error))?;
        }
        for identity in loaded {
            self.react(identity);
        }
        Ok(())
    }

    fn is_definition(&self, manifest: &Map<String, serde_json::Value>) -> bool {
        let manifest = serde_json::Value::Object(manifest.clone());
        self.resource_of(&manifest).is_ok_and(|(kind, resource)| {
            let document = resource.facets.get(kind.root_facet());
            document.is_some_and(|document| !kind.defines(&resource.key, document).is_empty())
        })
    }

    fn set_cluster_uid(&mut self, uid: String) {
        self.cluster_uid.clone_from(&uid);
        if let Some(kind) = self.object_kind()
            && let Some(system) = self.resources.get_mut(&Identity::namespace("kube-system"))
        {
            let document = system.facets.entry(kind.root_facet().clone()).or_default();
            set_metadata(document, "uid", Value::from(uid));
        }
    }

    fn load_object<'a>(
        &mut self,
        mut manifest: Map<String, serde_json::Value>,
        record: impl Fn(&ResourceKey) -> Option<&'a document::ObjectRecord>,
    ) -> Result<Identity, SandboxError> {
        let as_listed = serde_json::Value::Object(manifest.clone());
        let (_, Resource { key, .. }) = self.resource_of(&as_listed)?;
        let record = record(&key);
        if let Some(managed) = record.and_then(|record| record.managed_fields.as_ref()) {
            let managed: serde_json::Value = serde_json::from_str(managed)
                .map_err(|error| SandboxError::Unfit(format!("its managedFields are no JSON: {error}")))?;
            if let Some(metadata) = manifest
                .get_mut("metadata")
                .and_then(serde_json::Value::as_object_mut)
            {
                metadata.insert("managedFields".to_owned(), managed);
            }
        }
        let (kind, mut resource) = self.resource_of(&serde_json::Value::Object(manifest))?;
        // An object that is there shows that its type is served, with or without a definition beside it.
        if let Some(api) = &key.api
            && self.scope(api).is_none()
        {
            let scope = key
                .namespace
                .as_ref()
                .map_or(Scope::Cluster, |_| Scope::Namespaced);
            self.serves.insert(api.clone(), scope);
        }
        if let Some(namespace) = &key.namespace {
            self.make_namespace(namespace)?;
        }
        let document = resource.facets.entry(kind.root_facet().clone()).or_default();
        // Edited by hand since it was written: a server would have counted that.
        if record.is_some_and(|record| record.digest != digest(&as_listed)) {
            let version = self.count();
            set_metadata(document, "resourceVersion", Value::from(version.to_string()));
        }
        Ok(self.insert_quietly(kind.as_ref(), resource))
    }

    /// An object that is there shows that its namespace is.
    fn make_namespace(&mut self, name: &str) -> Result<(), SandboxError> {
        if self.resources.contains_key(&Identity::namespace(name)) {
            return Ok(());
        }
        let manifest =
            serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let (kind, resource) = self.resource_of(&manifest)?;
        self.insert(kind.as_ref(), resource);
        Ok(())
    }

    fn load_bucket(
        &mut self,
        name: &str,
        bucket: Spanned<Map<String, serde_json::Value>>,
    ) -> Result<(), SandboxError> {
        let mut document = bucket.value;
        let region = take_text(&mut document, "region")?;
        let account = take_text(&mut document, "account")?;
        let kind = self.bucket_kind(take_text(&mut document, "kind")?.as_deref())?;
        let content = match document.shift_remove("content") {
            None => 0,
            Some(value) => value
                .as_u64()
                .ok_or_else(|| SandboxError::Unfit("`content` is the number of objects in it".to_owned()))?,
        };
        let known: Vec<&str> = kind
            .facets()
            .iter()
            .map(holdfast_contract::Facet::as_str)
            .collect();
        if let Some(key) = document.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(SandboxError::Unfit(format!(
                "`{key}` is no facet of {}; its facets: {}; beside them: region, account, kind, content",
                kind.name(),
                known.join(", ")
            )));
        }
        let value = Value::from_json(serde_json::Value::Object(document)).without_nulls();
        let mut facets = kind.split(value);
        facets.entry(kind.root_facet().clone()).or_insert_with(Value::map);
        let key = ResourceKey {
            provider: ProviderName::from("memory"),
            kind: kind.name().clone(),
            api: None,
            namespace: None,
            name: name.to_owned(),
            region: region.or_else(|| Some("us-east-1".to_owned())),
        };
        let resource = Resource {
            key: key.clone(),
            facets,
            account: account.or_else(|| Some(self.account.clone())),
            content,
        };
        self.resources.insert(Identity::of(&key), resource);
        Ok(())
    }

    fn bucket_kind(&self, name: Option<&str>) -> Result<std::sync::Arc<dyn Kind>, SandboxError> {
        let others = self.bucket_kinds();
        let found = match name {
            Some(name) => others.iter().find(|kind| *kind.name() == KindName::from(name)),
            None => others.first().filter(|_| others.len() == 1),
        };
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = others.iter().map(|kind| kind.name().as_str()).collect();
            SandboxError::Unfit(format!("`kind` has to be one of: {}", names.join(", ")))
        })
    }
}

fn take_text(
    document: &mut Map<String, serde_json::Value>,
    key: &str,
) -> Result<Option<String>, SandboxError> {
    match document.shift_remove(key) {
        None => Ok(None),
        Some(serde_json::Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(SandboxError::Unfit(format!("`{key}` has to be text"))),
    }
}

fn placed(origin: &str, place: Location, error: &SandboxError) -> SandboxError {
    SandboxError::Content {
        origin: origin.to_owned(),
        line: place.line(),
        column: place.column(),
        message: error.to_string(),
    }
}
