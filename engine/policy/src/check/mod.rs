//! What a policy's parts say of one another.

pub(crate) mod cycles;
pub(crate) mod facts;
pub(crate) mod lockouts;
pub(crate) mod rules;
pub(crate) mod shape;

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::{ProviderName, Segment};
use holdfast_expression::suggest;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::Files;
use crate::model::{ProviderDeclaration, ProviderReference, Record};
use crate::place::Place;
use crate::read::check_reference;
use crate::yaml::{Key, Node};

/// What there is that a rule can name without an expression.
pub(crate) struct Known<'k> {
    /// The rules as written, by key.
    pub(crate) rules: BTreeMap<&'k str, (&'k Key, &'k Node)>,
    /// The providers.
    pub(crate) providers: &'k BTreeMap<ProviderName, ProviderDeclaration>,
    /// The documents of the files that rules name.
    pub(crate) files: &'k Files,
}

impl Known<'_> {
    /// Whether there is a rule `name`; that there isn't is reported.
    pub(crate) fn rule(&self, name: &str, place: &Place, faults: &mut Diagnostics) -> bool {
        if self.rules.contains_key(name) {
            return true;
        }
        let fault = Diagnostic::error(
            Code::Undefined,
            place.clone(),
            format!("there is no rule `{name}`"),
        );
        faults.push(match suggest(name, self.rules.keys().copied()) {
            Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
            None => fault.with_hint(format!(
                "rules: {}",
                self.rules.keys().copied().collect::<Vec<_>>().join(", ")
            )),
        });
        false
    }

    /// Checks that the rule which `record` names writes that field.
    pub(crate) fn record(&self, record: &Record, faults: &mut Diagnostics) {
        let Some((_, rule)) = self.rules.get(record.rule.as_str()) else {
            return;
        };
        if rule.get("forEach").is_some() {
            let message = format!(
                "rule `{}` has a `forEach`: of its instances none is the record",
                record.rule
            );
            let fault = Diagnostic::error(Code::Conflict, record.place.clone(), message);
            faults.push(fault.with_hint("name a field of a rule that stands for one object"));
            return;
        }
        let cases = rule.get("cases").and_then(Node::items).unwrap_or_default();
        let documents: Vec<&Node> = std::iter::once(*rule)
            .chain(cases)
            .filter_map(|node| node.get("desired"))
            .collect();
        if documents.is_empty() || documents.iter().any(|document| declares(document, record)) {
            return;
        }
        let message = format!("rule `{}` doesn't write `{}`", record.rule, record.path);
        let fault = Diagnostic::error(Code::Undefined, record.place.clone(), message);
        faults.push(fault.with_hint(format!(
            "a record is a field of the one document that `{}` declares",
            record.rule
        )));
    }

    /// Checks the provider that a rule about `kind` takes.
    pub(crate) fn provider(
        &self,
        reference: Option<&ProviderReference>,
        kind: &str,
        place: &Place,
        faults: &mut Diagnostics,
    ) {
        check_reference(reference, kind, place, self.providers, faults);
    }

    /// The documents of the files that `pattern` means.
    pub(crate) fn documents(&self, pattern: &str) -> &[Arc<Node>] {
        self.files.documents(pattern)
    }
}

/// Whether the document as written has the field that a record names, or computes the part that would hold it.
fn declares(document: &Node, record: &Record) -> bool {
    let mut node = document;
    for segment in record.path.segments() {
        let Segment::Key(key) = segment else {
            return false;
        };
        match node.get(key) {
            Some(below) => node = below,
            None => return node.text().is_some(),
        }
    }
    true
}
