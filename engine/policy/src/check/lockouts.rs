//! Documents that would shut out whoever comes by their provider's settings.

use std::collections::BTreeMap;

use holdfast_contract::{ProviderName, Value};

use super::shape::outline;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::kinds::{Kinds, provider_type};
use crate::model::{ProviderDeclaration, ProviderReference, Rule, Tree, TreeNode, Variant, Verb};

/// Reports what is known of it before anything is computed; the rest is told when it is planned. What isn't certain is
/// a warning.
pub(crate) fn refuse(
    rules: &BTreeMap<String, Rule>,
    providers: &BTreeMap<ProviderName, ProviderDeclaration>,
    kinds: &Kinds,
    faults: &mut Diagnostics,
    warnings: &mut Vec<Diagnostic>,
) {
    let variants = rules.values().flat_map(|rule| &rule.variants);
    for variant in variants.filter(|variant| variant.verb == Verb::Ensure) {
        let Some(kind) = variant.kind.as_ref().and_then(|name| kinds.get(name.as_str())) else {
            continue;
        };
        let Some(provider) = provider(variant, kind.name().as_str(), providers) else {
            continue;
        };
        let Value::Map(settings) = outline(&certain(&provider.settings)).value else {
            continue;
        };
        for document in &variant.documents {
            let outlined = outline(&certain(&document.tree));
            for lockout in kind.lockouts(&outlined.value, &settings) {
                let place = outlined.origin(&lockout.path).clone();
                if lockout.is_certain {
                    faults
                        .push(Diagnostic::error(Code::Lockout, place, lockout.what).with_hint(lockout.hint));
                } else {
                    warnings.push(
                        Diagnostic::warning(Code::Lockout, place, lockout.what).with_hint(lockout.hint),
                    );
                }
            }
        }
    }
}

/// The provider that it takes, where that is written out.
fn provider<'p>(
    variant: &'p Variant,
    kind: &str,
    providers: &'p BTreeMap<ProviderName, ProviderDeclaration>,
) -> Option<&'p ProviderDeclaration> {
    match &variant.provider {
        Some(ProviderReference::Inline(declaration)) => Some(declaration),
        Some(ProviderReference::Named(name)) => providers.get(&ProviderName::from(name.literal()?)),
        None => providers
            .values()
            .find(|provider| Some(provider.provider_type.as_str()) == provider_type(kind)),
    }
}

/// The part of a tree that is there whatever its conditions come to.
fn certain(tree: &Tree) -> Tree {
    let node = match &tree.node {
        TreeNode::List(items) => TreeNode::List(
            items
                .iter()
                .filter(|item| is_certain(item))
                .map(certain)
                .collect(),
        ),
        TreeNode::Map {
            when,
            for_each,
            entries,
        } => TreeNode::Map {
            when: when.clone(),
            for_each: for_each.clone(),
            entries: entries
                .iter()
                .filter(|entry| is_certain(&entry.value))
                .map(|entry| {
                    let mut entry = entry.clone();
                    entry.value = certain(&entry.value);
                    entry
                })
                .collect(),
        },
        other => other.clone(),
    };
    Tree {
        node,
        place: tree.place.clone(),
    }
}

fn is_certain(tree: &Tree) -> bool {
    !matches!(
        &tree.node,
        TreeNode::Map { when, for_each, .. } if when.is_some() || for_each.is_some()
    )
}
