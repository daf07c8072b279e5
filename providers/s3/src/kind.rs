//! What a bucket is, without a client.

use std::collections::BTreeMap;

use holdfast_contract::{
    ApiType, Attributes, Change, Danger, Desired, Difference, Facet, FacetState, Field, Implied, Kind,
    KindName, Locator, Lockout, Mark, NotLocated, Observed, Path, Permissions, ProviderError, Readiness,
    ResourceKey, Scope, Served, Shape, Usage, Value,
};

use crate::table::{self, Document, ROOT_FACET, Row};
use crate::{expiry, lock, lockout, names, normal, permissions, policy_document};

/// The kind's name.
pub(crate) const KIND: &str = "s3/Bucket";

/// A bucket: each of its settings is a facet, named and shaped as the service names and shapes it.
///
/// The root facet `bucket` is the bucket itself; it is observed, created and deleted, but has no document of its own
/// in a policy. What two spellings mean the same is decided here: see [`Kind::compare`].
#[derive(Debug)]
pub struct BucketKind {
    name: KindName,
    shape: Shape,
    facets: Vec<Facet>,
    root: Facet,
    created_with: Vec<Facet>,
    public_access_block: Vec<Facet>,
    versioning: Vec<Facet>,
}

impl Default for BucketKind {
    fn default() -> Self {
        Self::new()
    }
}

impl BucketKind {
    /// The kind.
    #[must_use]
    pub fn new() -> Self {
        let fields = table::ROWS
            .iter()
            .map(|row| {
                let field = Field {
                    shape: row.shape(),
                    required: false,
                    doc: row.doc,
                };
                (row.facet, field)
            })
            .collect();
        let mut facets = vec![Facet::from(ROOT_FACET)];
        facets.extend(table::ROWS.iter().map(|row| Facet::from(row.facet)));
        Self {
            name: KIND.into(),
            shape: Shape::Object(fields),
            facets,
            root: ROOT_FACET.into(),
            created_with: vec!["tags".into()],
            public_access_block: vec!["publicAccessBlock".into()],
            versioning: vec!["versioning".into()],
        }
    }

    fn whole(observed: &Observed) -> Value {
        let key = &observed.key;
        let mut document = BTreeMap::new();
        for (name, value) in attributes(key) {
            document.insert(name.to_owned(), value);
        }
        for (facet, state) in &observed.facets {
            if let FacetState::Set(value) = state
                && facet.as_str() != ROOT_FACET
            {
                document.insert(facet.to_string(), value.clone());
            }
        }
        Value::Map(document)
    }
}

fn attributes(key: &ResourceKey) -> Attributes {
    let region = key.region.as_deref();
    let mut found: Attributes = BTreeMap::from([
        ("name", Value::from(key.name.as_str())),
        ("arn", Value::from(names::arn(&key.name, region))),
    ]);
    if let Some(region) = region {
        found.insert("region", Value::from(region));
    }
    found
}

/// Where a facet of `row` is not as desired. `there` is none where it is unset.
pub(crate) fn differences(row: &Row, desired: &Desired, there: Option<&Value>) -> Vec<Difference> {
    if let Document::Policy = row.document {
        return policy_document::differences(desired, there);
    }
    // Unset and empty are the same: then only what is missing is told, field by field.
    let there = there.map_or_else(Value::map, |there| normal::document(row, there));
    let desired = normal::desired(row, desired, Some(&there));
    holdfast_contract::differences(&desired, Some(&there), &row.shape())
}

/// The document of `row` after `desired` was laid over `there`; an empty map where nothing is left.
pub(crate) fn merge(row: &Row, desired: &Desired, there: Option<&Value>) -> Value {
    if let Document::Policy = row.document {
        return policy_document::merge(desired, there);
    }
    let there = there.map(|there| normal::document(row, there));
    let desired = normal::desired(row, desired, there.as_ref());
    normal::written(
        row,
        holdfast_contract::merge(&desired, there.as_ref(), &row.shape()),
    )
}

/// `document` as a merge would leave it that changes nothing.
pub(crate) fn as_written(row: &Row, document: &Value) -> Value {
    normal::written(row, normal::document(row, document))
}

/// Whether two documents of `row` say the same.
pub(crate) fn same(row: &Row, a: Option<&Value>, b: Option<&Value>) -> bool {
    let empty = Value::map();
    let (a, b) = (a.unwrap_or(&empty), b.unwrap_or(&empty));
    match row.document {
        Document::Policy => policy_document::same(a, b),
        _ => normal::document(row, a) == normal::document(row, b),
    }
}

impl Kind for BucketKind {
    fn name(&self) -> &KindName {
        &self.name
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn facets(&self) -> &[Facet] {
        &self.facets
    }

    fn root_facet(&self) -> &Facet {
        &self.root
    }

    /// Nothing in a bucket's settings is secret, so nothing is sealed here; what is sealed already stays so.
    fn split(&self, desired: Value) -> BTreeMap<Facet, Value> {
        match desired.without_nulls() {
            Value::Map(entries) => entries
                .into_iter()
                .map(|(facet, value)| (Facet::from(facet.as_str()), value))
                .collect(),
            _ => BTreeMap::new(),
        }
    }

    fn locate(&self, locator: &Locator<'_>) -> Result<ResourceKey, NotLocated> {
        let name = match locator.name {
            Some(Value::String(name)) => name.clone(),
            Some(Value::Unknown(unknown)) => return Err(NotLocated::Unknown(unknown.clone())),
            Some(_) => return Err(NotLocated::Invalid("a bucket's name is text".to_owned())),
            None => return Err(NotLocated::Invalid("a bucket needs a `name`".to_owned())),
        };
        if let Some(fault) = names::fault(&name) {
            return Err(NotLocated::Invalid(fault));
        }
        Ok(ResourceKey {
            provider: locator.provider.clone(),
            kind: self.name.clone(),
            api: None,
            namespace: None,
            name,
            region: locator.region.map(str::to_owned),
        })
    }

    fn attributes(&self, key: &ResourceKey) -> Attributes {
        attributes(key)
    }

    fn attribute_names(&self) -> &[&'static str] {
        &["name", "arn", "region"]
    }

    fn implied(&self, _key: &ResourceKey) -> Implied {
        Implied::default()
    }

    fn defines(&self, _key: &ResourceKey, _desired: &Value) -> Vec<(ApiType, Scope)> {
        Vec::new()
    }

    fn scope(&self, _api: &ApiType) -> Option<Served> {
        None
    }

    fn created_with(&self) -> &[Facet] {
        &self.created_with
    }

    /// The policy waits for the public access block: the service refuses one of the two while it changes the other.
    /// Locks and replication are of versions.
    fn written_after(&self, facet: &Facet) -> &[Facet] {
        match facet.as_str() {
            "policy" => &self.public_access_block,
            lock::FACET | "replication" => &self.versioning,
            _ => &[],
        }
    }

    /// Beside what [`holdfast_contract::differences`] says:
    ///
    /// * an unset facet and an empty document are the same;
    /// * a rule's `filter` and `expiration`, and what else the table marks so, compare whole; `filter: {}` and
    ///   `prefix: ""` are the same, so are the deprecated `prefix` and `filter.prefix`, one condition under `and` and by itself, and a date with
    ///   and without its time;
    /// * a policy's statements compare whole, by `Sid`;
    /// * numbers and booleans may be written as text.
    fn compare(
        &self,
        facet: &Facet,
        desired: &Desired,
        observed: Option<&Observed>,
        _manager: &str,
    ) -> Vec<Difference> {
        if *facet == self.root {
            return match observed {
                Some(_) => Vec::new(),
                None => vec![Difference::new(Path::root(), Change::Add { new: Value::map() })],
            };
        }
        let there = observed.and_then(|observed| observed.value(facet));
        match table::row(facet.as_str()) {
            Some(row) => differences(row, desired, there),
            None => holdfast_contract::differences(desired, there, &Shape::Any),
        }
    }

    /// Never: the service has no dry run.
    fn wants_preview(&self, _facet: &Facet) -> bool {
        false
    }

    fn merge(&self, facet: &Facet, desired: &Desired, observed: Option<&Observed>, _manager: &str) -> Value {
        let there = observed.and_then(|observed| observed.value(facet));
        match table::row(facet.as_str()) {
            Some(row) => merge(row, desired, there),
            None => holdfast_contract::merge(desired, there, &Shape::Any),
        }
    }

    /// Ready once every facet that was asked for could be read. One that the store doesn't have holds up nothing: what
    /// is declared of it is told by itself; nor does what is the account's.
    fn ready(&self, observed: &Observed) -> Readiness {
        let unread: Vec<&str> = observed
            .facets
            .iter()
            .filter(|(facet, state)| match state {
                FacetState::Unreadable(ProviderError::Unsupported { .. }) => false,
                FacetState::Unreadable(_) => !table::row(facet.as_str())
                    .is_some_and(|row| matches!(row.document, Document::Account(_))),
                _ => false,
            })
            .map(|(facet, _)| facet.as_str())
            .collect();
        if unread.is_empty() {
            Readiness::Ready
        } else {
            Readiness::NotYet(format!("{} can't be read", unread.join(", ")))
        }
    }

    fn document(&self, observed: &Observed) -> Value {
        Self::whole(observed)
    }

    fn fact(&self, observed: &Observed) -> Value {
        Self::whole(observed)
    }

    fn dangers(&self, facet: &Facet, desired: &Desired, before: Option<&Value>) -> Vec<Danger> {
        match table::row(facet.as_str()) {
            Some(row) if facet.as_str() == "lifecycle" => {
                expiry::shortened(&merge(row, desired, before), before)
            }
            Some(row) if facet.as_str() == lock::FACET => lock::dangers(&merge(row, desired, before), before),
            _ => Vec::new(),
        }
    }

    /// A bucket's marks are its tags: only a bucket whose name was generated needs them, as its identity.
    fn mark(&self, mut desired: Value, mark: &Mark) -> Value {
        if !mark.identity.is_empty()
            && let Some(entries) = desired.as_map_mut()
            && let Value::Map(tags) = entries.entry("tags".to_owned()).or_insert_with(Value::map)
        {
            for (key, value) in &mark.identity {
                tags.insert(key.clone(), Value::from(value.as_str()));
            }
        }
        desired
    }

    /// A policy that denies plain HTTP, on an endpoint that is reached by it.
    fn lockouts(&self, desired: &Value, settings: &BTreeMap<String, Value>) -> Vec<Lockout> {
        lockout::found(desired, settings)
    }

    /// Never: a bucket is deleted only when it is empty.
    fn permissions(&self, usages: &[Usage]) -> Permissions {
        permissions::permissions(usages)
    }

    fn cascades(&self, _key: &ResourceKey) -> Option<&'static str> {
        None
    }
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "model_tests.rs"]
mod model_tests;
