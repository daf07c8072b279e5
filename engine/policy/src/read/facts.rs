//! Facts: what a policy reads.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{ApiType, KindName, ProviderName};
use holdfast_expression::{Environment, Field, ObjectType, Type};

use super::compile::{path_text, refuse_rules, template};
use super::environments::Names;
use super::fields::{Fields, identifier, text, wrong_type};
use super::providers;
use super::variant::known_kind;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::json_path::Select;
use crate::kinds::OBJECT;
use crate::model::{Fact, FactSource, ProviderDeclaration};
use crate::yaml::{Data, Key, Node};

const FIELDS: &[&str] = &["object", "list", "api", "optional", "select"];
const SOURCES: &[&str] = &["object", "list", "api"];

/// The facts as written, by name.
pub(super) fn named<'n>(spec: &Fields<'n>, faults: &mut Diagnostics) -> Vec<(&'n Key, Fields<'n>)> {
    let mut facts = Vec::new();
    for (key, node) in spec.entries("facts", faults) {
        if !identifier(key, "a fact", faults) {
            continue;
        }
        if let Some(fields) = Fields::of(node, "a fact", FIELDS, faults) {
            facts.push((key, fields));
        }
    }
    facts
}

/// The type of `facts`.
pub(super) fn facts_type(facts: &[(&Key, Fields<'_>)]) -> Type {
    let fields = facts.iter().map(|(key, fields)| {
        let label = format!("facts.{}", key.text);
        let item = match fields.get("select").and_then(Node::entries) {
            Some(select) => Type::Object(ObjectType::closed(
                label,
                select
                    .iter()
                    .map(|(key, _)| (key.text.clone(), Field::optional(Type::Dyn))),
            )),
            None => Type::Dyn,
        };
        let optional = matches!(
            fields.get("optional").map(|node| &node.data),
            Some(Data::Bool(true))
        );
        let field = if fields.get("api").is_some() {
            Field::required(Type::Bool)
        } else if fields.get("list").is_some() {
            Field::required(Type::list(item))
        } else {
            Field {
                r#type: item,
                optional,
            }
        };
        (key.text.clone(), field)
    });
    Type::Object(ObjectType::closed("facts", fields))
}

pub(super) fn read(
    facts: &[(&Key, Fields<'_>)],
    names: &Names<'_>,
    faults: &mut Diagnostics,
) -> BTreeMap<String, Fact> {
    let mut read = BTreeMap::new();
    for (key, fields) in facts {
        if let Some(fact) = fact(key, fields, names, faults) {
            refuse_rules(fact.references(), "a fact", faults);
            read.insert(key.text.clone(), fact);
        }
    }
    read
}

fn fact(key: &Key, fields: &Fields<'_>, names: &Names<'_>, faults: &mut Diagnostics) -> Option<Fact> {
    let given: Vec<&str> = SOURCES
        .iter()
        .copied()
        .filter(|name| fields.node().get(name).is_some())
        .collect();
    let [source] = given.as_slice() else {
        let message = match given.first() {
            None => "a fact needs one of `object`, `list` and `api`".to_owned(),
            Some(_) => format!("a fact has only one of {}", given.join(", ")),
        };
        let code = if given.is_empty() {
            Code::MissingField
        } else {
            Code::Conflict
        };
        faults.push(Diagnostic::error(code, key.place.clone(), message));
        return None;
    };
    let node = fields.get(source)?;
    let select = select(fields, faults);
    let optional = fields.boolean("optional", faults).unwrap_or_default();
    if optional
        && *source != "object"
        && let Some((key, _)) = fields.node().entry("optional")
    {
        let message = format!("`optional` says nothing about `{source}`, which is never missing");
        let fault = Diagnostic::error(Code::Conflict, key.place.clone(), message);
        faults.push(fault.with_hint("a list of nothing, or of a kind that isn't served, is empty"));
    }
    let source = match *source {
        "object" => object(node, names, faults)?,
        "list" => list(node, names, faults)?,
        _ => FactSource::Api {
            api: api(
                &Fields::of(node, "`api`", &["apiVersion", "kind"], faults)?,
                faults,
            )?,
        },
    };
    Some(Fact {
        name: key.text.clone(),
        place: key.place.clone(),
        source,
        optional,
        select,
        read: BTreeSet::new(),
        after: BTreeSet::new(),
    })
}

fn object(node: &Node, names: &Names<'_>, faults: &mut Diagnostics) -> Option<FactSource> {
    let known = &["apiVersion", "kind", "namespace", "name", "provider"];
    let fields = Fields::of(node, "`object`", known, faults)?;
    let environment = names.with_rules();
    let name = fields
        .required("name", faults)
        .and_then(|node| template(node, "name", environment, faults));
    let namespace = fields
        .get("namespace")
        .and_then(|node| template(node, "namespace", environment, faults));
    let provider = providers::reference(&fields, OBJECT, environment, names, faults);
    Some(FactSource::Object {
        api: api(&fields, faults)?,
        namespace,
        name: name?,
        provider,
    })
}

fn list(node: &Node, names: &Names<'_>, faults: &mut Diagnostics) -> Option<FactSource> {
    let environment: &Environment = names.with_rules();
    if node.get("apiVersion").is_none()
        && let Some(kind) = node
            .get("kind")
            .and_then(Node::text)
            .filter(|kind| kind.contains('/'))
    {
        let fields = Fields::of(node, "`list`", &["kind", "namePrefix", "provider"], faults)?;
        let prefix = fields
            .get("namePrefix")
            .and_then(|node| template(node, "namePrefix", environment, faults));
        let provider = providers::reference(&fields, kind, environment, names, faults);
        if kind == OBJECT {
            let message = "objects are listed by `apiVersion` and `kind`";
            faults.push(Diagnostic::error(
                Code::InvalidValue,
                fields.get("kind")?.place.clone(),
                message,
            ));
            return None;
        }
        known_kind(fields.get("kind")?, kind, names.kinds, faults)?;
        return Some(FactSource::Resources {
            kind: KindName::from(kind),
            name_prefix: prefix,
            provider,
        });
    }
    let known = &["apiVersion", "kind", "namespace", "selector", "provider"];
    let fields = Fields::of(node, "`list`", known, faults)?;
    let namespace = fields
        .get("namespace")
        .and_then(|node| template(node, "namespace", environment, faults));
    let selector = fields
        .get("selector")
        .and_then(|node| template(node, "selector", environment, faults));
    let provider = providers::reference(&fields, OBJECT, environment, names, faults);
    Some(FactSource::Objects {
        api: api(&fields, faults)?,
        namespace,
        selector,
        provider,
    })
}

fn api(fields: &Fields<'_>, faults: &mut Diagnostics) -> Option<ApiType> {
    let version = fields
        .required("apiVersion", faults)
        .and_then(|node| literal(node, "apiVersion", faults));
    let kind = fields
        .required("kind", faults)
        .and_then(|node| literal(node, "kind", faults));
    Some(ApiType::new(version?, kind?))
}

/// A text that isn't computed: what is read must be known before anything is.
fn literal<'n>(node: &'n Node, key: &str, faults: &mut Diagnostics) -> Option<&'n str> {
    let text = text(node, key, faults)?;
    if text.contains("${") {
        let message = format!("the `{key}` of a fact can't be computed");
        faults.push(Diagnostic::error(Code::NotHere, node.place.clone(), message));
        return None;
    }
    Some(text)
}

fn select(fields: &Fields<'_>, faults: &mut Diagnostics) -> BTreeMap<String, Select> {
    let mut selects = BTreeMap::new();
    for (key, node) in fields.entries("select", faults) {
        if !identifier(key, "a selected value", faults) {
            continue;
        }
        if fields.get("api").is_some() {
            let message = "`api` gives true or false; there is nothing to select";
            faults.push(Diagnostic::error(Code::Conflict, key.place.clone(), message));
            break;
        }
        // `[$..x]` in YAML is a list of one path, or a text with brackets around it.
        let (path, multiple) = match &node.data {
            Data::List(items) => match items.as_slice() {
                [one] => (text(one, &key.text, faults).map(|path| (one, path, 0)), true),
                _ => (
                    wrong_type(node, &key.text, "a path, or a list of one path", faults),
                    true,
                ),
            },
            _ => match text(node, &key.text, faults) {
                Some(path) => match path.strip_prefix('[').and_then(|path| path.strip_suffix(']')) {
                    Some(inner) => (Some((node, inner, 1)), true),
                    None => (Some((node, path, 0)), false),
                },
                None => (None, false),
            },
        };
        let Some((node, path, offset)) = path else {
            continue;
        };
        if let Some(path) = path_text(path, &node.anchor().skip(offset), node.place.clone(), faults) {
            selects.insert(key.text.clone(), Select { path, multiple });
        }
    }
    selects
}

/// Checks the provider that a fact is read through.
pub(super) fn check_provider(
    fact: &Fact,
    providers: &BTreeMap<ProviderName, ProviderDeclaration>,
    faults: &mut Diagnostics,
) {
    let (provider, kind) = match &fact.source {
        FactSource::Object { provider, .. } | FactSource::Objects { provider, .. } => {
            (provider.as_ref(), OBJECT)
        }
        FactSource::Resources { provider, kind, .. } => (provider.as_ref(), kind.as_str()),
        FactSource::Api { .. } => return,
    };
    providers::check_reference(provider, kind, &fact.place, providers, faults);
}
