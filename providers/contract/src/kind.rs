//! What a kind of resource is.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::desired::Desired;
use crate::difference::{Change, Difference};
use crate::key::{ApiType, Facet, KindName, ProviderName, ResourceKey};
use crate::observation::Observed;
use crate::path::Path;
use crate::permission::{Permissions, Usage};
use crate::provider::{Scope, Served};
use crate::shape::Shape;
use crate::value::{Unknown, Value};

/// What a kind of resource is: pure, without a client.
pub trait Kind: Debug + Send + Sync {
    /// `s3/Bucket`.
    fn name(&self) -> &KindName;

    /// The shape of `desired`, all facets together, for checking policies and for completion.
    fn shape(&self) -> &Shape;

    /// All facets that can be declared or observed, in the order in which they are best written.
    fn facets(&self) -> &[Facet];

    /// The facet whose presence is the resource's: `object` of an object, `bucket` of a bucket.
    fn root_facet(&self) -> &Facet;

    /// Splits a whole `desired` document into its facets, only those declared. Sensitive parts come out sealed.
    fn split(&self, desired: Value) -> BTreeMap<Facet, Value>;

    /// Which real thing `locator` means.
    fn locate(&self, locator: &Locator<'_>) -> Result<ResourceKey, NotLocated>;

    /// What rules may refer to as `rules.x.NAME`, from the key alone: `name`, `arn`, `region`, `namespace`.
    fn attributes(&self, key: &ResourceKey) -> Attributes;

    /// The names that [`Kind::attributes`] can give.
    fn attribute_names(&self) -> &[&'static str];

    /// What must be there before the resource can be created, and what creating it makes possible.
    fn implied(&self, key: &ResourceKey) -> Implied;

    /// Object types that a resource of this key and document defines (a CRD's), with their scope.
    fn defines(&self, key: &ResourceKey, desired: &Value) -> Vec<(ApiType, Scope)>;

    /// Whether the type is one whose scope every server agrees on, so that no server need be asked.
    fn scope(&self, api: &ApiType) -> Option<Served>;

    /// Facets that one create call takes along; the others are written after it.
    fn created_with(&self) -> &[Facet];

    /// The facets that must be written before `facet`, among those that are to be written.
    fn written_after(&self, facet: &Facet) -> &[Facet];

    /// Where `observed` is not as desired. Empty means equal, and must never be wrong; where a server may rewrite
    /// what it is given, a difference may be: [`Provider::preview`](crate::Provider::preview) then decides.
    ///
    /// `manager` is the policy's field manager. Differences come ordered by path.
    fn compare(
        &self,
        facet: &Facet,
        desired: &Desired,
        observed: Option<&Observed>,
        manager: &str,
    ) -> Vec<Difference>;

    /// Whether its servers keep account of who holds which field, so that fields can be taken over from somebody.
    fn keeps_managers(&self) -> bool {
        false
    }

    /// The former managers of [`Desired::take_over`] that still hold something of `facet` in `observed`. `compare` then
    /// finds a difference, also where nothing but the holder changes.
    fn taken_over(
        &self,
        facet: &Facet,
        desired: &Desired,
        observed: &Observed,
        manager: &str,
    ) -> Vec<String> {
        let _ = (facet, desired, observed, manager);
        Vec::new()
    }

    /// Whether a local difference of this facet may still be none for the server, so that it should be asked.
    fn wants_preview(&self, facet: &Facet) -> bool;

    /// The document that a store holds after `desired` was written over `observed`: what is declared is so, foreign
    /// content stays. `compare` of the result is empty.
    fn merge(&self, facet: &Facet, desired: &Desired, observed: Option<&Observed>, manager: &str) -> Value;

    /// Whether it is ready for those that depend on it.
    fn ready(&self, observed: &Observed) -> Readiness;

    /// The whole resource as one document, for `self` in expressions. Sensitive parts are sealed.
    fn document(&self, observed: &Observed) -> Value;

    /// The whole resource as one document for facts and for people: no secret content at all, not even sealed.
    fn fact(&self, observed: &Observed) -> Value;

    /// The same as [`Kind::fact`], of a document that a search found.
    fn found_fact(&self, document: Value) -> Value {
        document
    }

    /// The same `desired` with the marks by which a policy finds its own things again. Kinds that have no room for
    /// marks leave it as it is.
    fn mark(&self, desired: Value, mark: &Mark) -> Value {
        let _ = mark;
        desired
    }

    /// The policy whose mark the observed resource bears.
    fn marked_by(&self, observed: &Observed) -> Option<String> {
        let _ = observed;
        None
    }

    /// What bringing `facet` from the document `before` to what is desired endangers, so that the policy must allow it.
    fn dangers(&self, facet: &Facet, desired: &Desired, before: Option<&Value>) -> Vec<Danger> {
        let _ = (facet, desired, before);
        Vec::new()
    }

    /// What a change of `facet` by `differences` disrupts while it is made, as what it does: `rolls out new pods`. Such
    /// a change waits while the `hold` of its rule holds. Deleting and replacing always disrupt.
    ///
    /// A kind without a finer notion takes every change of a facet for disruptive.
    fn disrupts(&self, key: &ResourceKey, facet: &Facet, differences: &[Difference]) -> Option<String> {
        let _ = key;
        let changes = |difference: &Difference| difference.change != Change::Claim;
        differences
            .iter()
            .any(changes)
            .then(|| format!("changes its {facet}"))
    }

    /// Why what is there of `facet` is left as it is although it isn't as desired: it is ahead of what is desired, or
    /// somebody else's, so that writing it would destroy something.
    fn yields(&self, facet: &Facet, desired: &Desired, observed: &Observed, manager: &str) -> Option<Yields> {
        let _ = (facet, desired, observed, manager);
        None
    }

    /// What of a whole `desired` would shut out whoever comes by the provider's `settings`, this program included. Both
    /// may hold values that aren't known yet: of those nothing is said.
    fn lockouts(&self, desired: &Value, settings: &BTreeMap<String, Value>) -> Vec<Lockout> {
        let _ = (desired, settings);
        Vec::new()
    }

    /// What whoever does all that `usages` says must be allowed to do: no less, and no more where that can be told.
    fn permissions(&self, usages: &[Usage]) -> Permissions {
        let _ = usages;
        Permissions::new()
    }

    /// Why deleting it destroys more than itself (a namespace, a volume claim), which needs `Cascade` allowed.
    fn cascades(&self, key: &ResourceKey) -> Option<&'static str>;
}

/// Something that a write endangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Danger {
    /// The allowance that it needs, as policies write it: `ShortenRetention`.
    pub allowance: &'static str,
    /// What is in danger, as the start of a sentence: `rule Backup Expiry would expire objects after 30 days`.
    pub what: String,
    /// Whether it is the change itself that nobody can undo, and not only what exists already that is in danger: then
    /// it takes the allowance also on what the policy has created, at its creation, and to restore it.
    pub irreversible: bool,
}

/// Why something is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yields {
    /// A sentence without its full stop: `it has version v2, which ours lacks`.
    pub why: String,
    /// What is desired and isn't there; none where what is there does all that is desired.
    pub lacks: Option<String>,
}

/// Something desired that would shut out whoever comes by the provider's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// Where in the whole `desired`.
    pub path: Path,
    /// What would happen, as a whole sentence without its full stop.
    pub what: String,
    /// What to do instead.
    pub hint: &'static str,
    /// Whether it would for sure; else it depends on the service.
    pub is_certain: bool,
}

/// By what a policy finds its own things again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The policy, as text that fits a label.
    pub policy: String,
    /// Tags or labels that are the resource's identity where its name alone is not; empty where it is.
    pub identity: BTreeMap<String, String>,
}

/// What a rule says about which resource it means.
#[derive(Clone, Debug)]
pub struct Locator<'a> {
    /// The provider that serves it.
    pub provider: &'a ProviderName,
    /// `name`, for kinds that are named by the rule.
    pub name: Option<&'a Value>,
    /// `region`, or the provider's.
    pub region: Option<&'a str>,
    /// The whole `desired`.
    pub desired: &'a Value,
    /// What is known about object types: the servers', and those that this policy defines.
    pub served: &'a BTreeMap<ApiType, Served>,
}

/// Why a resource can't be named yet, or at all.
#[derive(Clone, Debug, PartialEq)]
pub enum NotLocated {
    /// A part of its name is known only after a write.
    Unknown(Unknown),
    /// Something is missing or wrong; the text says what.
    Invalid(String),
}

/// Named values of a resource.
pub type Attributes = BTreeMap<&'static str, Value>;

/// What must be there first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Implied {
    /// The type that must be served.
    pub api: Option<ApiType>,
    /// The namespace that must exist.
    pub namespace: Option<String>,
}

/// Whether a resource is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is.
    Ready,
    /// Not yet; the text says what it waits for.
    NotYet(String),
    /// It says that it has failed; the text says how. A later observation may still find it ready.
    Failed(String),
}
