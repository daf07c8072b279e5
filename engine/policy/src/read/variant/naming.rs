//! What a rule's resource is called.

use holdfast_contract::{Path, Segment};

use super::Reader;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::kinds::OBJECT;
use crate::model::{Name, Record, Verb};
use crate::read::compile::template;
use crate::read::fields::{Fields, text};
use crate::read::rule::settled;
use crate::yaml::{Data, Key, Node};

impl Reader<'_> {
    pub(super) fn name(&self, verb: Verb, key: &Key, faults: &mut Diagnostics) -> Option<Name> {
        let Some(node) = self.fields.get("name") else {
            let is_named = self.scope.names.kinds.is_known(self.kind_name) && self.kind_name != OBJECT;
            if verb != Verb::Check && is_named && self.fields.node().get("name").is_none() {
                let message = format!("rule `{}` needs the `name` of its {}", key.text, self.kind_name);
                faults.push(Diagnostic::error(Code::MissingField, key.place.clone(), message));
            }
            return None;
        };
        if self.kind_name == OBJECT {
            let fault = Diagnostic::error(
                Code::Conflict,
                node.place.clone(),
                "an object is named by its document",
            );
            faults.push(fault.with_hint("put the name under `desired.metadata.name`"));
            return None;
        }
        let Data::Map(_) = &node.data else {
            return template(node, "name", self.plain, faults).map(Name::Given);
        };
        let fields = Fields::of(node, "`name`", &["generate", "record"], faults)?;
        let generate = fields.required("generate", faults)?;
        if verb != Verb::Ensure {
            let message = "a name is generated only where the resource is ensured";
            faults.push(Diagnostic::error(Code::Conflict, generate.place.clone(), message));
        }
        let prefix = template(generate, "generate", self.plain, faults)?;
        let record = fields.get("record").map(|node| self.record(node, faults));
        Some(Name::Generate {
            prefix,
            record: settled(record)?,
        })
    }

    /// `rules.install.status.storageBucket.name`: a field of another rule's document, not an expression.
    fn record(&self, node: &Node, faults: &mut Diagnostics) -> Option<Record> {
        let written = text(node, "record", faults)?;
        let mut steps = written.split('.');
        let root = steps.next();
        let rule = steps.next().unwrap_or_default();
        let keys: Vec<Segment> = steps.map(|step| Segment::Key(step.to_owned())).collect();
        let plain = written
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-'));
        if root != Some("rules") || keys.is_empty() || !plain {
            let message = "`record` names a field of another rule's document";
            let fault = Diagnostic::error(Code::InvalidValue, node.place.clone(), message);
            faults.push(fault.with_hint("write it as `rules.RULE.status.field`"));
            return None;
        }
        if !self.scope.known.rule(rule, &node.place, faults) {
            return None;
        }
        let record = Record {
            rule: rule.to_owned(),
            path: Path::from(keys),
            place: node.place.clone(),
        };
        if self.scope.each {
            let message =
                "a rule with `forEach` can't have a `record`: its instances would all write one field";
            let fault = Diagnostic::error(Code::Conflict, node.place.clone(), message);
            faults.push(fault.with_hint("leave `record` out: the ledger remembers a name for each instance"));
            return None;
        }
        self.scope.known.record(&record, faults);
        Some(record)
    }
}
