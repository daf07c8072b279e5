//! Laying a rule's cases over it.

use super::fields::{Fields, list};
use super::rule::{RULE_FIELDS, all_fields};
use super::variant::VARIANT_FIELDS;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::place::Place;
use crate::yaml::{Data, Key, Node};

/// A rule as one of its cases has it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Where the case, or the rule's key, stands.
    pub(super) place: Place,
    /// Its condition as written.
    pub(super) when: Option<Node>,
    /// The rule with the case laid over it.
    pub(super) merged: Node,
}

/// The verbs, of which a rule has one.
pub(super) const VERBS: &[&str] = &["ensure", "observe", "forbid"];

/// The rule at `node` as each of its cases has it; the rule itself where it has none.
pub(super) fn lay(key: &Key, node: &Node, faults: &mut Diagnostics) -> Vec<Case> {
    if Fields::of(node, "a rule", &all_fields(), faults).is_none() {
        return Vec::new();
    }
    let mut base = node.clone();
    if let Data::Map(entries) = &mut base.data {
        entries.retain(|(key, _)| !RULE_FIELDS.contains(&key.text.as_str()));
    }
    let Some(cases) = node.get("cases") else {
        return vec![Case {
            place: key.place.clone(),
            when: None,
            merged: base,
        }];
    };
    let Some(cases) = list(cases, "cases", faults) else {
        return Vec::new();
    };
    let mut laid: Vec<Case> = Vec::new();
    for case in cases {
        // Those of a whole rule are told apart below.
        let known: Vec<&str> = VARIANT_FIELDS.iter().chain(RULE_FIELDS).copied().collect();
        let Some(fields) = Fields::of(case, "a case", &known, faults) else {
            continue;
        };
        refuse_rule_fields(case, faults);
        let Some(when) = fields.required("when", faults) else {
            continue;
        };
        if let Some(before) = laid
            .iter()
            .find(|before| always_together(before.when.as_ref(), when))
        {
            let message = "two cases hold whenever one does";
            let fault = Diagnostic::error(Code::AmbiguousCases, when.place.clone(), message);
            let fault = fault.with_hint("at most one case of a rule may hold");
            faults.push(match &before.when {
                Some(first) => fault.with_secondary(first.place.clone(), "the other case"),
                None => fault,
            });
        }
        laid.push(Case {
            place: case.head().clone(),
            when: Some(when.clone()),
            merged: over(&base, case),
        });
    }
    laid
}

/// Whether two conditions hold at the same time, as far as their texts tell.
fn always_together(before: Option<&Node>, when: &Node) -> bool {
    fn words(node: &Node) -> Option<String> {
        match &node.data {
            Data::Bool(value) => Some(value.to_string()),
            Data::Text(text, _) => Some(text.split_whitespace().collect()),
            _ => None,
        }
    }
    let (Some(before), Some(when)) = (before.and_then(words), words(when)) else {
        return false;
    };
    before == when && when != "false"
}

/// Says of fields that belong to the whole rule that they can't stand in a case.
fn refuse_rule_fields(case: &Node, faults: &mut Diagnostics) {
    for (key, _) in case.entries().unwrap_or_default() {
        if RULE_FIELDS.contains(&key.text.as_str()) && key.text != "when" {
            let message = format!("`{}` belongs to the rule, not to one of its cases", key.text);
            faults.push(Diagnostic::error(Code::NotHere, key.place.clone(), message));
        }
    }
}

/// The rule without what the case replaces, and with what it says.
fn over(base: &Node, case: &Node) -> Node {
    let mut merged = base.clone();
    let (Data::Map(entries), Some(overlay)) = (&mut merged.data, case.entries()) else {
        return merged;
    };
    if overlay.iter().any(|(key, _)| VERBS.contains(&key.text.as_str())) {
        entries.retain(|(key, _)| !VERBS.contains(&key.text.as_str()));
    }
    for (key, value) in overlay
        .iter()
        .filter(|(key, _)| !RULE_FIELDS.contains(&key.text.as_str()))
    {
        let found = entries.iter_mut().find(|(found, _)| found.text == key.text);
        match found {
            Some((_, below)) if key.text == "desired" => *below = lay_over(below, value),
            Some(entry) => *entry = (key.clone(), value.clone()),
            None => entries.push((key.clone(), value.clone())),
        }
    }
    merged
}

/// Maps merge; lists and scalars replace.
fn lay_over(below: &Node, above: &Node) -> Node {
    let (Data::Map(under), Data::Map(over)) = (&below.data, &above.data) else {
        return above.clone();
    };
    let mut merged = under.clone();
    for (key, value) in over {
        match merged.iter_mut().find(|(found, _)| found.text == key.text) {
            Some(entry) => *entry = (key.clone(), lay_over(&entry.1, value)),
            None => merged.push((key.clone(), value.clone())),
        }
    }
    Node {
        data: Data::Map(merged),
        ..below.clone()
    }
}
