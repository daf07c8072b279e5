//! Providers, and how rules and facts name them.

use std::collections::BTreeMap;

use holdfast_contract::ProviderName;
use holdfast_expression::{Environment, suggest};

use super::compile::{TreeCompiler, template};
use super::environments::{Names, inner_each};
use super::fields::{Fields, identifier, map, text};
use crate::check::shape::{self, Strictness};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::kinds::{Kinds, provider_type};
use crate::model::{Credential, ProviderDeclaration, ProviderReference, Tree, TreeNode};
use crate::place::Place;
use crate::yaml::{Data, Node};

pub(super) fn read(
    spec: &Fields<'_>,
    names: &Names<'_>,
    faults: &mut Diagnostics,
    not_yet: &mut Vec<Diagnostic>,
) -> BTreeMap<ProviderName, ProviderDeclaration> {
    let mut providers = BTreeMap::new();
    for (key, node) in spec.entries("providers", faults) {
        if !identifier(key, "a provider", faults) || map(node, "a provider", faults).is_none() {
            continue;
        }
        let provider_type = match node.get("type") {
            Some(node) => text(node, "type", faults),
            None => Some(key.text.as_str()),
        };
        let Some(provider_type) = provider_type else {
            continue;
        };
        let at = node.get("type").map_or(&key.place, |node| &node.place);
        if !known_type(provider_type, at, node.get("type").is_none(), names.kinds, faults) {
            continue;
        }
        if names.kinds.settings(provider_type).is_none() {
            let message = format!("the provider {provider_type} isn't there yet");
            let note = Diagnostic::warning(Code::NotYet, key.place.clone(), message);
            not_yet.push(note.with_hint("rules that use it are refused when they become active"));
        }
        let place = key.place.clone();
        let provider = declaration(&key.text, provider_type, place, node, names.base(), names, faults);
        providers.insert(ProviderName::from(key.text.as_str()), provider);
    }
    providers
}

fn known_type(word: &str, place: &Place, from_key: bool, kinds: &Kinds, faults: &mut Diagnostics) -> bool {
    let types = kinds.provider_types();
    if types.contains(word) {
        return true;
    }
    let message = format!("there is no provider type `{word}`");
    let hint = match suggest(word, types.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if from_key => format!("give it a `type:`, one of {}", listed(&types)),
        None => format!("one of {}", listed(&types)),
    };
    faults.push(Diagnostic::error(Code::UnknownProvider, place.clone(), message).with_hint(hint));
    false
}

fn listed<'a>(words: impl IntoIterator<Item = &'a &'a str>) -> String {
    words.into_iter().copied().collect::<Vec<_>>().join(", ")
}

fn declaration(
    name: &str,
    provider_type: &str,
    place: Place,
    node: &Node,
    environment: &Environment,
    names: &Names<'_>,
    faults: &mut Diagnostics,
) -> ProviderDeclaration {
    let compiler = TreeCompiler {
        environment,
        random: None,
        each: &inner_each,
    };
    let mut settings = node.clone();
    if let Data::Map(entries) = &mut settings.data {
        entries.retain(|(key, _)| key.text != "type" && key.text != "credentials");
    }
    let settings = compiler.tree(&settings, faults);
    let credentials = node.get("credentials").map(|node| compiler.tree(node, faults));
    if let Some(shape) = names.kinds.settings(provider_type) {
        shape::check(
            &settings,
            shape,
            &format!("provider {provider_type}"),
            Strictness::Partial,
            faults,
        );
    }
    if let Some(credentials) = &credentials {
        check_credentials(credentials, faults);
    }
    ProviderDeclaration {
        name: ProviderName::from(name),
        provider_type: provider_type.to_owned(),
        settings,
        credentials,
        place,
    }
}

/// Checks credentials as far as they are written out.
fn check_credentials(tree: &Tree, faults: &mut Diagnostics) {
    match &tree.node {
        TreeNode::Template(_) => {}
        TreeNode::List(items) => {
            for item in items.iter().filter(|item| item.references().is_empty()) {
                let value = holdfast_contract::Value::List(vec![shape::outline(item).value]);
                if value.has_unknown() {
                    continue;
                }
                if let Err(message) = Credential::list(&value) {
                    faults.push(Diagnostic::error(Code::InvalidValue, item.place.clone(), message));
                }
            }
        }
        _ => {
            let message = "`credentials` is a list; the first that is present is taken";
            faults.push(Diagnostic::error(Code::WrongType, tree.place.clone(), message));
        }
    }
}

/// Reads `provider` of a rule or fact about resources of `kind`.
pub(super) fn reference(
    fields: &Fields<'_>,
    kind: &str,
    environment: &Environment,
    names: &Names<'_>,
    faults: &mut Diagnostics,
) -> Option<ProviderReference> {
    let node = fields.get("provider")?;
    if let Data::Map(_) = &node.data {
        let written = node.get("type");
        let word = match written {
            Some(node) => text(node, "type", faults)?,
            None => provider_type(kind)?,
        };
        if !known_type(
            word,
            written.map_or(&node.place, |node| &node.place),
            false,
            names.kinds,
            faults,
        ) {
            return None;
        }
        let declared = declaration(word, word, node.place.clone(), node, environment, names, faults);
        return Some(ProviderReference::Inline(Box::new(declared)));
    }
    template(node, "provider", environment, faults).map(ProviderReference::Named)
}

/// Checks that the provider that a rule or fact about `kind` takes is there, and is the only one where none is named.
pub(crate) fn check_reference(
    reference: Option<&ProviderReference>,
    kind: &str,
    place: &Place,
    providers: &BTreeMap<ProviderName, ProviderDeclaration>,
    faults: &mut Diagnostics,
) {
    let Some(wanted) = provider_type(kind) else {
        return;
    };
    let of_type = || {
        providers
            .values()
            .filter(|provider| provider.provider_type == wanted)
    };
    match reference {
        None => {
            let found: Vec<&str> = of_type().map(|provider| provider.name.as_str()).collect();
            if found.len() > 1 {
                let message = format!("several providers are of type {wanted}, and none is named");
                let fault = Diagnostic::error(Code::UnknownProvider, place.clone(), message);
                faults.push(fault.with_hint(format!("add `provider:` with one of {}", found.join(", "))));
            }
        }
        Some(ProviderReference::Inline(inline)) => {
            if inline.provider_type != wanted {
                let message = format!(
                    "{kind} needs a provider of type {wanted}, not {}",
                    inline.provider_type
                );
                faults.push(Diagnostic::error(
                    Code::UnknownProvider,
                    inline.place.clone(),
                    message,
                ));
            }
        }
        Some(ProviderReference::Named(name)) => {
            let Some(word) = name.literal() else {
                return;
            };
            let named = providers.get(&ProviderName::from(word));
            // A type that the policy doesn't set up is opened with no settings.
            if named.is_none() && word == wanted {
                return;
            }
            if named.is_some_and(|provider| provider.provider_type == wanted) {
                return;
            }
            let message = match named {
                Some(other) => format!(
                    "`{word}` is a provider of type {}, not {wanted}",
                    other.provider_type
                ),
                None => format!("there is no provider `{word}`"),
            };
            let known: Vec<&str> = of_type().map(|provider| provider.name.as_str()).collect();
            let hint = match suggest(word, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => format!("set one of type {wanted} up under `providers`"),
                None => format!("one of {}", known.join(", ")),
            };
            faults
                .push(Diagnostic::error(Code::UnknownProvider, name.place.clone(), message).with_hint(hint));
        }
    }
}
