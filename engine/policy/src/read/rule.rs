//! A rule: what is the same whichever of its cases holds, and its cases.

use std::collections::BTreeMap;

use holdfast_expression::{Field, ObjectType, Type};

use super::cases::{Case, VERBS, lay};
use super::compile::{condition, expression};
use super::environments::{Names, Wanted, item_type};
use super::fields::{Fields, identifier, text};
use super::variant;
use crate::check::Known;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::kinds::{Kinds, OBJECT};
use crate::model::{After, Rule};
use crate::yaml::{Key, Node};

/// The fields of a rule that its cases don't have.
pub(crate) const RULE_FIELDS: &[&str] = &[
    "when", "forEach", "key", "after", "formerly", "cases", "use", "with",
];

/// A rule as written, with its cases laid over it.
pub(super) struct Written<'n> {
    pub(super) key: &'n Key,
    pub(super) node: &'n Node,
    pub(super) cases: Vec<Case>,
}

/// The rules as written, by key.
pub(super) fn named<'n>(spec: &Fields<'n>, faults: &mut Diagnostics) -> Vec<Written<'n>> {
    let mut rules = Vec::new();
    for (key, node) in spec.entries("rules", faults) {
        if identifier(key, "a rule", faults) {
            let cases = lay(key, node, faults);
            rules.push(Written { key, node, cases });
        }
    }
    rules
}

/// The type of `rules`: of each rule what all its cases have.
pub(super) fn rules_type(rules: &[Written<'_>], kinds: &Kinds) -> Type {
    let fields = rules.iter().map(|rule| {
        let label = format!("rules.{}", rule.key.text);
        let mut cases = rule.cases.iter().map(|case| attributes(case, kinds));
        let first = cases.next().flatten();
        let common = cases.fold(first, |common, case| {
            let (mut common, case) = common.zip(case)?;
            common.retain(|name, _| case.contains_key(name));
            Some(common)
        });
        let object = common.map_or(Type::Dyn, |common| {
            Type::Object(ObjectType::closed(label, common))
        });
        let r#type = if rule.node.get("forEach").is_some() {
            Type::map(object)
        } else {
            object
        };
        (rule.key.text.clone(), Field::required(r#type))
    });
    Type::Object(ObjectType::closed("rules", fields))
}

/// What others may refer to of a rule, in one of its cases. Nothing where that can't be told, which is reported
/// elsewhere.
fn attributes(case: &Case, kinds: &Kinds) -> Option<BTreeMap<String, Field>> {
    let mut found: BTreeMap<String, Field> = BTreeMap::new();
    let Some(verb) = VERBS.iter().find_map(|verb| case.merged.get(verb)) else {
        return Some(found);
    };
    let kind = verb.text().filter(|kind| kinds.is_known(kind))?;
    for name in ["exists", "provisioned", "converged"] {
        found.insert(name.to_owned(), Field::required(Type::Bool));
    }
    found.insert("phase".to_owned(), Field::required(Type::String));
    // Of several documents there is no one name.
    if kind == OBJECT && !is_one_document(&case.merged) {
        return Some(found);
    }
    found.insert("observed".to_owned(), Field::optional(Type::Dyn));
    for name in kinds.attributes(kind) {
        found.insert(name, Field::optional(Type::String));
    }
    Some(found)
}

fn is_one_document(rule: &Node) -> bool {
    let desired = rule.get("desired");
    rule.get("manifests").is_none()
        && rule.get("templates").is_none()
        && desired.is_some_and(|node| node.entries().is_some() && node.get("$forEach").is_none())
}

/// Reads one rule.
pub(super) fn read(
    written: &Written<'_>,
    names: &Names<'_>,
    known: &Known<'_>,
    faults: &mut Diagnostics,
    not_yet: &mut Vec<Diagnostic>,
) -> Option<Rule> {
    let fields = Fields::of(written.node, "a rule", &all_fields(), faults)?;
    for name in ["use", "with"] {
        if let Some((key, _)) = written.node.entry(name) {
            let message = format!("`{name}` isn't there yet: policies as modules come later");
            faults.push(Diagnostic::error(Code::NotYet, key.place.clone(), message));
        }
    }
    let for_each = fields
        .get("forEach")
        .map(|node| expression(node, "forEach", names.with_rules(), faults));
    let item = match &for_each {
        Some(Some(over)) => item_type(over.program.result_type()),
        _ => Type::Dyn,
    };
    let each = fields.get("forEach").is_some();
    let over = for_each
        .as_ref()
        .and_then(Option::as_ref)
        .map(|over| over.program.result_type());
    needs_key(&fields, over, faults);
    let wanted = Wanted {
        each,
        ..Wanted::default()
    };
    let environment = names.environment(&wanted, &item);
    let when = fields
        .get("when")
        .map(|node| condition(node, "when", &environment, faults));
    let key_expression = fields
        .get("key")
        .map(|node| expression(node, "key", &environment, faults));
    if let Some((key, _)) = written.node.entry("key").filter(|_| !each) {
        let fault = Diagnostic::error(
            Code::Conflict,
            key.place.clone(),
            "`key` names the instances of `forEach`",
        );
        faults.push(fault.with_hint("without `forEach` a rule is one instance, named by its key in `rules`"));
    }
    let after = fields
        .items("after", faults)
        .iter()
        .filter_map(|node| after(node, &environment, known, faults))
        .collect();
    let formerly = fields
        .texts("formerly", faults)
        .into_iter()
        .map(|(_, name)| name.to_owned())
        .collect();
    let mut variants = Vec::new();
    let mut whole = true;
    for case in &written.cases {
        let scope = variant::Scope {
            names,
            item: &item,
            each,
            known,
        };
        match variant::read(case, written.key, &scope, faults, not_yet) {
            Some(variant) => variants.push(variant),
            None => whole = false,
        }
    }
    if !whole {
        return None;
    }
    Some(Rule {
        key: written.key.text.clone(),
        place: written.key.place.clone(),
        when: settled(when)?,
        for_each: settled(for_each)?,
        key_expression: settled(key_expression)?,
        after,
        formerly,
        variants,
    })
}

/// All fields of a rule, what it does first.
pub(super) fn all_fields() -> Vec<&'static str> {
    variant::VARIANT_FIELDS
        .iter()
        .chain(RULE_FIELDS)
        .copied()
        .collect()
}

/// Says that instances need a `key`, where their items are known not to key themselves.
fn needs_key(fields: &Fields<'_>, over: Option<&Type>, faults: &mut Diagnostics) {
    let Some(node) = fields
        .get("forEach")
        .filter(|_| fields.node().get("key").is_none())
    else {
        return;
    };
    let Some(Type::List(item)) = over else {
        return;
    };
    if !matches!(**item, Type::Dyn | Type::String) {
        let fault = Diagnostic::error(
            Code::MissingField,
            node.place.clone(),
            "these instances need a `key`",
        );
        faults.push(fault.with_hint("maps and lists of texts key themselves; else `key: each.value.name`"));
    }
}

/// `None` where something is there that couldn't be read.
#[allow(clippy::option_option, reason = "absent, faulty and read are three things")]
pub(super) fn settled<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(some) => Some(some),
    }
}

/// `x`, `x[each.key]` or `x["team-a"]`.
fn after(
    node: &Node,
    environment: &holdfast_expression::Environment,
    known: &Known<'_>,
    faults: &mut Diagnostics,
) -> Option<After> {
    let written = text(node, "after", faults)?;
    let (rule, rest) = match written.split_once('[') {
        Some((rule, rest)) => (rule, Some(rest)),
        None => (written, None),
    };
    let rule = rule.trim();
    if !known.rule(rule, &node.place, faults) {
        return None;
    }
    let instance = match rest {
        None => None,
        Some(rest) => {
            let Some(inner) = rest.trim_end().strip_suffix(']') else {
                let fault = Diagnostic::error(Code::Expression, node.place.clone(), "`[` isn't closed");
                faults.push(fault.with_hint("an instance is named as `rule[each.key]`"));
                return None;
            };
            let start = written.len().saturating_sub(rest.len());
            let anchor = node.anchor().skip(start);
            let compiled = super::compile::compile(inner, anchor, node.place.clone(), environment, faults)?;
            Some(compiled)
        }
    };
    Some(After {
        rule: rule.to_owned(),
        instance,
        place: node.place.clone(),
    })
}
