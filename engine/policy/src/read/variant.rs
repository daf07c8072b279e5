//! A rule as one of its cases has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{Facet, Kind, KindName};
use holdfast_expression::{Environment, Type, suggest};

use super::cases::{Case, VERBS};
use super::compile::{TreeCompiler, condition, expression, path, path_text, template};
use super::environments::{Extra, Names, This, Wanted, inner_each};
use super::fields::{Fields, list, one_of, text, wrong_type};
use super::gates::{checks, known_facet, requirements};
use super::providers;
use super::rule::settled;
use crate::anchor::Anchor;
use crate::check::Known;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::json_path::PathQuery;
use crate::kinds::{Kinds, OBJECT};
use crate::model::{
    Adopt, AdoptBy, Allowance, Hold, Mode, Name, OnConflict, OnRemove, OnVanish, Stamp, TakeOver, Template,
    Variant, Verb,
};
use crate::yaml::{Data, Key, Node};

mod documents;
mod naming;

/// The fields of a rule that its cases may have too.
pub(crate) const VARIANT_FIELDS: &[&str] = &[
    "ensure",
    "observe",
    "forbid",
    "create",
    "name",
    "region",
    "provider",
    "mode",
    "adopt",
    "desired",
    "manifests",
    "templates",
    "require",
    "ready",
    "checks",
    "exact",
    "absent",
    "initial",
    "stamp",
    "hold",
    "allow",
    "onRemove",
    "onVanish",
    "onConflict",
    "takeOver",
    "controls",
];

/// What may be named in a rule.
pub(super) struct Scope<'s> {
    pub(super) names: &'s Names<'s>,
    pub(super) item: &'s Type,
    pub(super) each: bool,
    pub(super) known: &'s Known<'s>,
}

impl Scope<'_> {
    fn environment(&self, this: This, extra: Extra) -> std::rc::Rc<Environment> {
        self.names.environment(
            &Wanted {
                each: self.each,
                this,
                extra,
            },
            self.item,
        )
    }
}

/// Reads one case of the rule at `key`.
pub(super) fn read(
    case: &Case,
    key: &Key,
    scope: &Scope<'_>,
    faults: &mut Diagnostics,
    not_yet: &mut Vec<Diagnostic>,
) -> Option<Variant> {
    let fields = Fields::of(&case.merged, "a rule", VARIANT_FIELDS, faults)?;
    let kinds = scope.names.kinds;
    let plain = scope.environment(This::None, Extra::None);
    let when = case
        .when
        .as_ref()
        .map(|node| condition(node, "when", &plain, faults));
    let (verb, kind) = verb(&fields, key, kinds, faults)?;
    let kind_name = kind.as_deref().unwrap_or_default();
    if kinds.is_planned(kind_name) {
        let message = format!("{kind_name} comes with its provider, which isn't there yet");
        let note = Diagnostic::warning(Code::NotYet, verb_place(&fields, key), message);
        not_yet.push(note.with_hint("the rule is refused when it becomes active"));
    }
    let registered = kinds.get(kind_name).map(Arc::as_ref);
    let reader = Reader {
        fields: &fields,
        scope,
        plain: &plain,
        kind_name,
    };
    let observed = match verb {
        Verb::Check => scope.environment(This::None, Extra::None),
        _ => scope.environment(This::Observed(kind_name.to_owned()), Extra::None),
    };
    let timed = match verb {
        Verb::Check => scope.environment(This::None, Extra::Time),
        _ => scope.environment(This::Observed(kind_name.to_owned()), Extra::Time),
    };
    reader.refuse_without_verb(verb, faults);
    let initial = reader.paths("initial", faults);
    let variant = Variant {
        place: case.place.clone(),
        when: settled(when)?,
        verb,
        create: fields.boolean("create", faults).unwrap_or(true),
        name: reader.name(verb, key, faults),
        region: fields
            .get("region")
            .and_then(|node| template(node, "region", &plain, faults)),
        provider: providers::reference(&fields, kind_name, &plain, scope.names, faults),
        mode: reader.mode(faults),
        adopt: reader.adopt(faults),
        documents: reader.documents(verb, key, registered, &initial, faults),
        require: requirements(&fields, &observed, registered, faults),
        ready: fields
            .get("ready")
            .and_then(|node| condition(node, "ready", &observed, faults)),
        checks: checks(&fields, &timed, faults),
        exact: reader.paths("exact", faults),
        absent: reader.paths("absent", faults),
        initial,
        stamp: reader.stamp(&timed, faults),
        hold: reader.hold(&timed, faults),
        allow: reader.allow(faults),
        on_remove: match fields.choice("onRemove", &["Retain", "Delete"], faults) {
            Some("Delete") => OnRemove::Delete,
            _ => OnRemove::Retain,
        },
        on_vanish: fields
            .choice("onVanish", &["Hold", "Recreate"], faults)
            .map(|word| match word {
                "Recreate" => OnVanish::Recreate,
                _ => OnVanish::Hold,
            }),
        on_conflict: match fields.choice("onConflict", &["Take", "Yield"], faults) {
            Some("Yield") => OnConflict::Yield,
            _ => OnConflict::Take,
        },
        take_over: reader.take_over(registered, faults),
        controls: reader.controls(registered, faults),
        kind: kind.as_deref().map(KindName::from),
    };
    if verb != Verb::Check && kinds.is_known(kind_name) {
        let place = verb_place(&fields, key);
        scope
            .known
            .provider(variant.provider.as_ref(), kind_name, &place, faults);
    }
    reader.forbid_needs_delete(&variant, faults);
    Some(variant)
}

/// What the rule does, and to what kind.
fn verb(
    fields: &Fields<'_>,
    key: &Key,
    kinds: &Kinds,
    faults: &mut Diagnostics,
) -> Option<(Verb, Option<String>)> {
    let given: Vec<&str> = VERBS
        .iter()
        .copied()
        .filter(|verb| fields.node().get(verb).is_some())
        .collect();
    match given.as_slice() {
        [] => {
            if fields.get("checks").is_some() {
                return Some((Verb::Check, None));
            }
            let message = format!(
                "rule `{}` says neither what it is about nor what to check",
                key.text
            );
            let fault = Diagnostic::error(Code::MissingField, key.place.clone(), message);
            faults.push(fault.with_hint("add `ensure`, `observe` or `forbid` with a kind, or `checks`"));
            None
        }
        [verb] => {
            let node = fields.get(verb)?;
            let kind = text(node, verb, faults)?;
            known_kind(node, kind, kinds, faults);
            let verb = match *verb {
                "ensure" => Verb::Ensure,
                "observe" => Verb::Observe,
                _ => Verb::Forbid,
            };
            Some((verb, Some(kind.to_owned())))
        }
        [first, .., last] => {
            let (key, _) = fields.node().entry(last)?;
            let message = format!("a rule has only one of `{first}` and `{last}`");
            faults.push(Diagnostic::error(Code::Conflict, key.place.clone(), message));
            None
        }
    }
}

fn verb_place(fields: &Fields<'_>, key: &Key) -> crate::place::Place {
    let node = VERBS.iter().find_map(|verb| fields.get(verb));
    node.map_or_else(|| key.place.clone(), |node| node.place.clone())
}

/// Whether `kind` is one; that it isn't is reported at `node`.
pub(super) fn known_kind(node: &Node, kind: &str, kinds: &Kinds, faults: &mut Diagnostics) -> Option<()> {
    if kinds.is_known(kind) {
        return Some(());
    }
    let names = kinds.names();
    let message = format!("there is no kind `{kind}`");
    let hint = match suggest(kind, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if !kind.contains('/') && !kind.is_empty() => {
            format!("a cluster's objects are of kind {OBJECT}; `desired` says `kind: {kind}`")
        }
        None => format!("kinds: {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    };
    faults.push(Diagnostic::error(Code::UnknownKind, node.place.clone(), message).with_hint(hint));
    None
}

struct Reader<'r> {
    fields: &'r Fields<'r>,
    scope: &'r Scope<'r>,
    plain: &'r Environment,
    kind_name: &'r str,
}

impl Reader<'_> {
    /// Only `checks` make sense in a rule without a verb.
    fn refuse_without_verb(&self, verb: Verb, faults: &mut Diagnostics) {
        const ANYWHERE: &[&str] = &["checks", "mode"];
        const WRITING: &[&str] = &[
            "create",
            "adopt",
            "exact",
            "absent",
            "initial",
            "stamp",
            "hold",
            "onVanish",
            "onConflict",
            "takeOver",
            "allow",
            "onRemove",
        ];
        for (key, _) in self.fields.node().entries().unwrap_or_default() {
            let name = key.text.as_str();
            let refused = match verb {
                Verb::Check => !ANYWHERE.contains(&name),
                Verb::Observe => WRITING.contains(&name),
                Verb::Ensure | Verb::Forbid => false,
            };
            if refused {
                let message = match verb {
                    Verb::Observe => format!("`{name}` says nothing in a rule that only observes"),
                    _ => format!("`{name}` says nothing without `ensure`, `observe` or `forbid`"),
                };
                faults.push(Diagnostic::error(Code::Conflict, key.place.clone(), message));
            }
        }
    }

    fn mode(&self, faults: &mut Diagnostics) -> Option<Template> {
        let node = self.fields.get("mode")?;
        let compiled = template(node, "mode", self.plain, faults)?;
        if let Some(word) = compiled.literal() {
            one_of(node, word, "mode", Mode::NAMES, faults)?;
        }
        Some(compiled)
    }

    fn adopt(&self, faults: &mut Diagnostics) -> Option<Adopt> {
        let node = self.fields.get("adopt")?;
        let fields = Fields::of(node, "`adopt`", &["tags", "labels"], faults)?;
        let (by, node) = match (fields.get("tags"), fields.get("labels")) {
            (Some(tags), None) => (AdoptBy::Tags, tags),
            (None, Some(labels)) => (AdoptBy::Labels, labels),
            _ => {
                let message = "`adopt` has either `tags` or `labels`";
                faults.push(Diagnostic::error(Code::Conflict, node.place.clone(), message));
                return None;
            }
        };
        let compiler = TreeCompiler {
            environment: self.plain,
            random: None,
            each: &inner_each,
        };
        let tree = compiler.tree(node, faults);
        if !matches!(node.data, Data::Map(_) | Data::Text(..)) {
            return wrong_type(node, "adopt", "a map of texts", faults);
        }
        Some(Adopt { by, tree })
    }

    fn paths(&self, name: &str, faults: &mut Diagnostics) -> Vec<PathQuery> {
        let items = self.fields.items(name, faults);
        items.iter().filter_map(|node| path(node, name, faults)).collect()
    }

    fn stamp(&self, environment: &Environment, faults: &mut Diagnostics) -> Vec<Stamp> {
        let mut stamps = Vec::new();
        for (key, node) in self.fields.entries("stamp", faults) {
            let anchor: Anchor = key.anchor(&node.source);
            let path = path_text(&key.text, &anchor, key.place.clone(), faults);
            let value = expression(node, "stamp", environment, faults);
            let Some((path, value)) = path.zip(value) else {
                continue;
            };
            if path.singular().is_none() {
                let fault = Diagnostic::error(Code::InvalidValue, key.place.clone(), "a stamp is one place");
                faults.push(fault.with_hint("a path of names only, as `$.status.lastSync`"));
                continue;
            }
            stamps.push(Stamp { path, value });
        }
        stamps
    }

    fn hold(&self, environment: &Environment, faults: &mut Diagnostics) -> Option<Hold> {
        let (key, node) = self.fields.node().entry("hold")?;
        let fields = Fields::of(node, "`hold`", &["while", "message", "atMost"], faults)?;
        let condition = fields
            .required("while", faults)
            .map(|node| condition(node, "while", environment, faults));
        let message = fields
            .get("message")
            .and_then(|node| template(node, "message", environment, faults));
        let at_most = fields.duration("atMost", faults);
        Some(Hold {
            condition: condition??,
            message,
            at_most: at_most.unwrap_or(Duration::from_hours(24)),
            place: key.place.clone(),
        })
    }

    fn take_over(&self, kind: Option<&dyn Kind>, faults: &mut Diagnostics) -> Option<TakeOver> {
        let (key, node) = self.fields.node().entry("takeOver")?;
        if kind.is_some_and(|kind| !kind.keeps_managers()) {
            let message = format!("`takeOver` means nothing for {}", self.kind_name);
            let fault = Diagnostic::error(Code::Conflict, key.place.clone(), message);
            faults.push(fault.with_hint("its service doesn't keep account of who set what"));
        }
        let fields = Fields::of(node, "`takeOver`", &["managers", "scope"], faults)?;
        fields.required("managers", faults)?;
        let managers: Vec<String> = fields
            .texts("managers", faults)
            .into_iter()
            .map(|(_, name)| name.to_owned())
            .collect();
        if let Some(node) = fields.get("managers").filter(|_| managers.is_empty()) {
            let message = "`managers` names nobody to take over from";
            let fault = Diagnostic::error(Code::InvalidValue, node.place.clone(), message);
            faults.push(
                fault.with_hint("field managers, as `kubectl get -o yaml --show-managed-fields` lists them"),
            );
        }
        let scope = fields.items("scope", faults);
        let scope = scope
            .iter()
            .filter_map(|node| path(node, "scope", faults))
            .collect();
        Some(TakeOver {
            managers,
            scope,
            place: key.place.clone(),
        })
    }

    fn allow(&self, faults: &mut Diagnostics) -> BTreeSet<Allowance> {
        let words = self.fields.texts("allow", faults);
        let known = words.into_iter().filter_map(|(node, word)| {
            one_of(node, word, "allow", Allowance::NAMES, faults).and_then(Allowance::parse)
        });
        known.collect()
    }

    fn controls(&self, kind: Option<&dyn Kind>, faults: &mut Diagnostics) -> BTreeMap<Facet, Vec<String>> {
        let mut controls = BTreeMap::new();
        for (key, node) in self.fields.entries("controls", faults) {
            if let Some(kind) = kind {
                known_facet(&key.text, &key.place, kind, faults);
            }
            let items = list(node, &key.text, faults).unwrap_or_default();
            let words = items
                .iter()
                .filter_map(|item| text(item, &key.text, faults).map(str::to_owned));
            controls.insert(Facet::from(key.text.as_str()), words.collect());
        }
        controls
    }

    fn forbid_needs_delete(&self, variant: &Variant, faults: &mut Diagnostics) {
        if variant.verb != Verb::Forbid && variant.verb != Verb::Ensure {
            return;
        }
        if variant.verb == Verb::Forbid && matches!(variant.name, Some(Name::Generate { .. })) {
            let message = "what must not be there has a name of its own";
            faults.push(Diagnostic::error(Code::Conflict, variant.place.clone(), message));
        }
        if !variant.create && self.fields.get("create").is_some() && variant.verb == Verb::Forbid {
            let message = "`create` says nothing about what must not be there";
            faults.push(Diagnostic::error(Code::Conflict, variant.place.clone(), message));
        }
    }
}
