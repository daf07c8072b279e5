//! Rules: what must be so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use holdfast_contract::{Facet, KindName, Path};
use serde::Serialize;

use super::{Expression, ProviderReference, Reference, Requirement, Template, Tree};
use crate::json_path::PathQuery;
use crate::place::Place;

/// A rule.
///
/// Its cases are already laid over it: each of its variants is a whole rule, and the one whose `when` holds is the
/// rule. Only what is the same whichever holds stands here.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its key.
    pub key: String,
    /// Where its key stands.
    pub place: Place,
    /// False: the rule, or the instance, is Skipped.
    pub when: Option<Expression>,
    /// One instance per item.
    pub for_each: Option<Expression>,
    /// What an instance is called; none: maps and lists of strings key themselves.
    pub key_expression: Option<Expression>,
    /// What comes first, by hand.
    pub after: Vec<After>,
    /// Earlier keys of this rule.
    pub formerly: Vec<String>,
    /// Its cases in order; one without `when` where it has none. None that holds: Skipped. Two: an error, which
    /// [`two_cases_hold`](crate::two_cases_hold) words.
    pub variants: Vec<Variant>,
}

/// A rule, or one case of it with the rule laid under it.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Where the case, or the rule's key, stands.
    pub place: Place,
    /// Whether this case is the one; none in a rule without cases.
    pub when: Option<Expression>,
    /// What is to be done.
    pub verb: Verb,
    /// Whether a missing resource is created.
    pub create: bool,
    /// The kind; none where the verb is [`Verb::Check`]. One that isn't registered yet stands in
    /// [`ValidPolicy::warnings`](super::ValidPolicy::warnings).
    pub kind: Option<KindName>,
    /// The resource's name, for kinds that are named by the rule.
    pub name: Option<Name>,
    /// Where it lies; none: where the provider says.
    pub region: Option<Template>,
    /// The provider; none: the only one of the kind's type.
    pub provider: Option<ProviderReference>,
    /// A weaker mode than the policy's.
    pub mode: Option<Template>,
    /// The tags or labels by which an existing resource is ours.
    pub adopt: Option<Adopt>,
    /// What is declared: each a document, or several where it has a `$forEach` at its root.
    pub documents: Vec<Document>,
    /// Its own gates.
    pub require: Vec<Requirement>,
    /// When it is ready; none: as its kind says.
    pub ready: Option<Expression>,
    /// What is checked of it.
    pub checks: Vec<Check>,
    /// Places under which whatever isn't declared is removed.
    pub exact: Vec<PathQuery>,
    /// Places that must not be there.
    pub absent: Vec<PathQuery>,
    /// Places that are set at creation and afterwards left as observed.
    pub initial: Vec<PathQuery>,
    /// What is written along with another change.
    pub stamp: Vec<Stamp>,
    /// While this holds, disruptive steps wait.
    pub hold: Option<Hold>,
    /// The dangerous things that it may do.
    pub allow: BTreeSet<Allowance>,
    /// What happens to a resource that leaves the policy.
    pub on_remove: OnRemove,
    /// What happens when a resource is gone; none: Hold for buckets, Recreate for objects.
    pub on_vanish: Option<OnVanish>,
    /// What happens to a field that another manager holds.
    pub on_conflict: OnConflict,
    /// Whose fields become ours.
    pub take_over: Option<TakeOver>,
    /// Controls by facet, added to the kind's own.
    pub controls: BTreeMap<Facet, Vec<String>>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// Its checks only.
    Check,
    /// This must be so.
    Ensure,
    /// This must not be there.
    Forbid,
    /// Read it for checks; never written, whatever the mode.
    Observe,
}

/// What a resource is called.
#[derive(Clone, Debug)]
pub enum Name {
    /// This.
    Given(Template),
    /// What was generated once, and is remembered since.
    Generate {
        /// How the name starts.
        prefix: Template,
        /// The field that remembers it, beside the ledger.
        record: Option<Record>,
    },
}

/// A field of another rule's desired document that remembers a generated name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The rule that writes it.
    pub rule: String,
    /// The field, in that rule's one document: `status.storageBucket.name`.
    pub path: Path,
    /// Where it stands.
    pub place: Place,
}

/// How an existing resource is known to be ours.
#[derive(Clone, Debug)]
pub struct Adopt {
    /// By what.
    pub by: AdoptBy,
    /// A map of texts: the resource bears all of them.
    pub tree: Tree,
}

/// What bears the marks of adoption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdoptBy {
    /// Labels.
    Labels,
    /// Tags.
    Tags,
}

/// A declared document.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document. A manifest has no templates in it.
    pub tree: Tree,
}

/// What comes first, by hand.
#[derive(Clone, Debug)]
pub struct After {
    /// The rule.
    pub rule: String,
    /// The instance; none: all of them.
    pub instance: Option<Expression>,
    /// Where it stands.
    pub place: Place,
}

/// A check.
#[derive(Clone, Debug)]
pub struct Check {
    /// What should hold.
    pub that: Expression,
    /// What to say when it doesn't; none: the expression's text.
    pub message: Option<Template>,
    /// How bad that is.
    pub severity: CheckSeverity,
    /// The controls that it stands for: `SecurityHub/S3.5`.
    pub controls: Vec<String>,
    /// Where it stands.
    pub place: Place,
}

/// How bad a failed check is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckSeverity {
    /// Worth knowing.
    Low,
    /// Worth mending.
    #[default]
    Medium,
    /// To be mended soon.
    High,
    /// To be mended now.
    Critical,
}

/// What is written along with another change.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Where.
    pub path: PathQuery,
    /// What.
    pub value: Expression,
}

/// While its condition holds, disruptive steps wait.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The condition.
    pub condition: Expression,
    /// Why.
    pub message: Option<Template>,
    /// How long at most.
    pub at_most: Duration,
    /// Where it stands.
    pub place: Place,
}

/// Whose fields become ours.
#[derive(Clone, Debug)]
pub struct TakeOver {
    /// The former field managers.
    pub managers: Vec<String>,
    /// Which fields; empty: all.
    pub scope: Vec<PathQuery>,
    /// Where it stands.
    pub place: Place,
}

/// A dangerous thing that a rule may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Allowance {
    /// Delete what destroys more than itself.
    Cascade,
    /// Delete.
    Delete,
    /// Turn on object lock, which can't be turned off.
    EnableObjectLock,
    /// Lock a retention policy, which can't be unlocked.
    LockRetention,
    /// Delete and create anew where a field can't be changed.
    Replace,
    /// Let existing objects expire earlier.
    ShortenRetention,
}

/// What happens to a resource that leaves the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRemove {
    /// It stays.
    #[default]
    Retain,
    /// It is deleted, if the ledger says that we created it.
    Delete,
}

/// What happens when a resource is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnVanish {
    /// Nothing, until somebody says so.
    Hold,
    /// It is created again.
    Recreate,
}

/// What happens to a field that another manager holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// It becomes ours.
    #[default]
    Take,
    /// It stays theirs.
    Yield,
}

impl Allowance {
    /// All allowances, as they are written.
    pub const NAMES: &'static [&'static str] = &[
        "Cascade",
        "Delete",
        "EnableObjectLock",
        "LockRetention",
        "Replace",
        "ShortenRetention",
    ];

    /// The allowance of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "Cascade" => Self::Cascade,
            "Delete" => Self::Delete,
            "EnableObjectLock" => Self::EnableObjectLock,
            "LockRetention" => Self::LockRetention,
            "Replace" => Self::Replace,
            "ShortenRetention" => Self::ShortenRetention,
            _ => return None,
        })
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl CheckSeverity {
    /// All severities, as they are written.
    pub const NAMES: &'static [&'static str] = &["low", "medium", "high", "critical"];

    /// The severity of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "critical" => Self::Critical,
            _ => return None,
        })
    }
}

impl fmt::Display for CheckSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

impl Name {
    /// What it is made of. A record isn't part of it: it is no dependency.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        match self {
            Self::Given(name)
            | Self::Generate {
                prefix: name,
                record: _,
            } => name.references(),
        }
    }
}

impl Rule {
    /// What its conditions and its order are made of: `when`, `forEach`, `key` and the cases' `when`.
    #[must_use]
    pub fn own_references(&self) -> Vec<Reference> {
        let own = [&self.when, &self.for_each, &self.key_expression]
            .into_iter()
            .flatten();
        let instances = self.after.iter().filter_map(|after| after.instance.as_ref());
        let cases = self.variants.iter().filter_map(|variant| variant.when.as_ref());
        own.chain(instances)
            .chain(cases)
            .flat_map(Expression::references)
            .collect()
    }

    /// All that any part of it uses, in whichever case.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.own_references();
        references.extend(self.variants.iter().flat_map(Variant::references));
        references
    }
}

impl Variant {
    /// What the resource's identity is made of: name, region, provider, and for documents that name themselves
    /// `apiVersion`, `kind`, `metadata.name` and `metadata.namespace`.
    #[must_use]
    pub fn identity_references(&self) -> Vec<Reference> {
        let mut references: Vec<Reference> = self.name.iter().flat_map(Name::references).collect();
        references.extend(self.region.iter().flat_map(Template::references));
        references.extend(self.provider.iter().flat_map(ProviderReference::references));
        if self.name.is_none() {
            for document in &self.documents {
                let metadata = document.tree.get("metadata");
                let named = ["name", "namespace"]
                    .into_iter()
                    .filter_map(|key| metadata?.get(key));
                let typed = ["apiVersion", "kind"]
                    .into_iter()
                    .filter_map(|key| document.tree.get(key));
                references.extend(typed.chain(named).flat_map(Tree::references));
            }
        }
        references
    }

    /// What its documents use, with the top-level field that uses it; none: the whole document.
    #[must_use]
    pub fn document_references(&self) -> Vec<(Option<String>, Reference)> {
        let mut found = Vec::new();
        for document in &self.documents {
            let literal = document.tree.literal_entries();
            if literal.is_empty() {
                found.extend(
                    document
                        .tree
                        .references()
                        .into_iter()
                        .map(|reference| (None, reference)),
                );
                continue;
            }
            for (key, tree) in &literal {
                let references = tree.references().into_iter();
                found.extend(references.map(|reference| (Some((*key).to_owned()), reference)));
            }
            found.extend(
                document
                    .own_references(&literal)
                    .into_iter()
                    .map(|reference| (None, reference)),
            );
        }
        found
    }

    /// All that it uses.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.identity_references();
        references.extend(
            self.document_references()
                .into_iter()
                .map(|(_, reference)| reference),
        );
        references.extend(self.adopt.iter().flat_map(|adopt| adopt.tree.references()));
        references.extend(self.mode.iter().flat_map(Template::references));
        references.extend(self.require.iter().flat_map(Requirement::references));
        references.extend(self.ready.iter().flat_map(Expression::references));
        references.extend(self.checks.iter().flat_map(Check::references));
        references.extend(self.stamp.iter().flat_map(|stamp| stamp.value.references()));
        references.extend(self.hold.iter().flat_map(Hold::references));
        references
    }

    /// The parts of the resource that `ready`, `hold`, gates and checks look at: the first field after `self`.
    /// None where one of them takes `self` as a whole.
    #[must_use]
    pub fn observed_facets(&self) -> Option<BTreeSet<String>> {
        let mut references: Vec<Reference> = self.ready.iter().flat_map(Expression::references).collect();
        references.extend(self.require.iter().flat_map(Requirement::references));
        references.extend(self.checks.iter().flat_map(Check::references));
        references.extend(self.hold.iter().flat_map(Hold::references));
        let own = references
            .into_iter()
            .filter(|reference| reference.root == "self");
        own.map(|reference| reference.name().map(str::to_owned)).collect()
    }
}

impl Document {
    /// What its conditions and its computed keys use.
    fn own_references(&self, literal: &BTreeMap<&str, &Tree>) -> Vec<Reference> {
        let all = self.tree.references();
        let below: BTreeSet<Reference> = literal.values().flat_map(|tree| tree.references()).collect();
        all.into_iter()
            .filter(|reference| !below.contains(reference))
            .collect()
    }
}

impl Check {
    /// What it looks at.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.that.references();
        references.extend(self.message.iter().flat_map(Template::references));
        references
    }
}

impl Hold {
    /// What it looks at.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.condition.references();
        references.extend(self.message.iter().flat_map(Template::references));
        references
    }
}

impl Requirement {
    /// What it looks at.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.that.references();
        references.extend(self.message.references());
        references
    }
}
