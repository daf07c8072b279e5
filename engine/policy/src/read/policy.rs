//! The policy as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast_contract::{KindName, PolicyId, Registry, ServiceAccount, is_label};
use holdfast_expression::{Field, ObjectType, Type};

use super::compile::{TreeCompiler, refuse_rules, template};
use super::environments::{Names, inner_each};
use super::fields::{Fields, identifier, text};
use super::gates::requirements;
use super::variant::known_kind;
use super::{facts, parameters, providers, rule};
use crate::check::{self, Known, shape};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::kinds::{Kinds, OBJECT};
use crate::load::Loaded;
use crate::model::{Limits, Mode, Tree, ValidPolicy, ValuesFrom, ValuesSource, Variable};
use crate::yaml::Node;

pub(crate) const HEADER_FIELDS: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
/// What a server adds to a resource is left alone.
pub(crate) const METADATA_FIELDS: &[&str] = &[
    "name",
    "namespace",
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "uid",
];
pub(crate) const SPEC_FIELDS: &[&str] = &[
    "language",
    "mode",
    "interval",
    "serviceAccountName",
    "suspend",
    "approve",
    "limits",
    "parameters",
    "values",
    "valuesFrom",
    "files",
    "facts",
    "variables",
    "require",
    "providers",
    "defaults",
    "rules",
    "use",
    "with",
];
/// The `apiVersion` of a policy.
pub(crate) const API_VERSION: &str = "holdfast.dev/v1alpha1";
/// The namespace of a policy that names none.
pub(crate) const DEFAULT_NAMESPACE: &str = "holdfast-system";
/// How often cloud state is read again, unless said otherwise.
const DEFAULT_INTERVAL: Duration = Duration::from_mins(5);
/// Reading cloud state more often than this would be throttled.
const LEAST_INTERVAL: Duration = Duration::from_secs(10);

/// Checks what was loaded. Pure.
pub(crate) fn read(loaded: &Loaded, registry: &Registry) -> Result<ValidPolicy, Diagnostics> {
    let mut faults = Diagnostics::new();
    for source in loaded.sources.iter() {
        faults.add_source(source);
    }
    loaded.faults.iter().for_each(|fault| faults.push(fault.clone()));
    let policy = loaded
        .document
        .as_ref()
        .and_then(|document| whole(loaded, document, registry, &mut faults));
    faults.sort();
    match policy {
        Some(policy) if !faults.has_errors() => Ok(policy),
        _ => Err(faults),
    }
}

fn whole(
    loaded: &Loaded,
    document: &Node,
    registry: &Registry,
    faults: &mut Diagnostics,
) -> Option<ValidPolicy> {
    let header = Fields::of(document, "a policy", HEADER_FIELDS, faults)?;
    header_is_right(&header, faults);
    let id = identity(&header, faults);
    let spec = Fields::of(
        header.required("spec", faults)?,
        "the policy's `spec`",
        SPEC_FIELDS,
        faults,
    )?;
    let language = language(&spec, faults);
    for name in ["use", "with"] {
        if let Some((key, _)) = spec.node().entry(name) {
            let message = format!("`{name}` isn't there yet: policies as modules come later");
            faults.push(Diagnostic::error(Code::NotYet, key.place.clone(), message));
        }
    }
    let kinds = Kinds::new(registry);
    let mut warnings = Vec::new();
    let read_parameters = parameters::read(&spec, faults);
    let values = parameters::values(&spec, &read_parameters, faults);
    let facts_written = facts::named(&spec, faults);
    let rules_written = rule::named(&spec, faults);
    let names = Names::new(
        &kinds,
        parameters::parameters_type(&read_parameters),
        facts::facts_type(&facts_written),
        variables_type(&spec),
        rule::rules_type(&rules_written, &kinds),
    );
    let variables = variables(&spec, &names, faults);
    let read_providers = providers::read(&spec, &names, faults, &mut warnings);
    let mut read_facts = facts::read(&facts_written, &names, faults);
    for fact in read_facts.values() {
        facts::check_provider(fact, &read_providers, faults);
    }
    let require = requirements(&spec, names.base(), None, faults);
    let defaults = defaults(&spec, &names, faults);
    let known = Known {
        rules: rules_written
            .iter()
            .map(|rule| (rule.key.text.as_str(), (rule.key, rule.node)))
            .collect(),
        providers: &read_providers,
        files: &loaded.files,
    };
    let mut rules = BTreeMap::new();
    for written in &rules_written {
        if let Some(rule) = rule::read(written, &names, &known, faults, &mut warnings) {
            rules.insert(rule.key.clone(), rule);
        }
    }
    let variables = check::facts::order(&mut read_facts, variables, &read_providers, faults);
    check::facts::parts_read(&mut read_facts, &variables, &require, &rules, &kinds);
    check::rules::refuse_loops(&rules, &kinds, faults);
    check::lockouts::refuse(&rules, &read_providers, &kinds, faults, &mut warnings);
    let policy = ValidPolicy {
        id: id?,
        place: document.place.clone(),
        language,
        mode: spec
            .choice("mode", Mode::NAMES, faults)
            .and_then(Mode::parse)
            .unwrap_or_default(),
        interval: interval(&spec, faults),
        limits: limits(&spec, faults),
        suspend: spec.boolean("suspend", faults).unwrap_or_default(),
        approve: approve(&spec, faults),
        service_account_name: account(&spec, faults),
        parameters: read_parameters,
        values,
        values_from: values_from(&spec, &names, faults),
        facts: read_facts,
        variables,
        require,
        providers: read_providers,
        defaults,
        rules,
        retained: BTreeSet::new(),
        warnings: sorted(warnings),
        sources: loaded.sources.clone(),
    };
    files_are_texts(&spec, faults);
    Some(policy)
}

fn sorted(mut notes: Vec<Diagnostic>) -> Vec<Diagnostic> {
    debug_assert!(
        notes.iter().all(|note| note.severity == Severity::Warning),
        "an error among notes"
    );
    notes.sort_by(|a, b| (&a.place, &a.message).cmp(&(&b.place, &b.message)));
    notes.dedup();
    notes
}

fn header_is_right(header: &Fields<'_>, faults: &mut Diagnostics) {
    for (name, expected) in [("apiVersion", API_VERSION), ("kind", "Policy")] {
        let Some(node) = header.required(name, faults) else {
            continue;
        };
        if let Some(found) = text(node, name, faults).filter(|found| *found != expected) {
            let message = format!("`{name}` is `{found}`, and a policy's is `{expected}`");
            faults.push(Diagnostic::error(Code::NotAPolicy, node.place.clone(), message));
        }
    }
}

fn identity(header: &Fields<'_>, faults: &mut Diagnostics) -> Option<PolicyId> {
    let metadata = Fields::of(
        header.required("metadata", faults)?,
        "`metadata`",
        METADATA_FIELDS,
        faults,
    )?;
    let node = metadata.required("name", faults)?;
    let name = text(node, "name", faults)?;
    if !is_label(name) {
        let message = format!("`{name}` can't be a policy's name");
        let fault = Diagnostic::error(Code::InvalidValue, node.place.clone(), message);
        faults.push(fault.with_hint("at most 63 of a-z, 0-9 and `-`, as other resources' names"));
    }
    let namespace = metadata.text("namespace", faults).unwrap_or(DEFAULT_NAMESPACE);
    Some(PolicyId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

/// The account to act as.
fn account(spec: &Fields<'_>, faults: &mut Diagnostics) -> Option<String> {
    let name = spec.text("serviceAccountName", faults)?;
    if ServiceAccount::is_name(name) {
        return Some(name.to_owned());
    }
    let node = spec.get("serviceAccountName")?;
    let message = format!("`{name}` can't be a ServiceAccount's name");
    let fault = Diagnostic::error(Code::InvalidValue, node.place.clone(), message);
    faults.push(fault.with_hint("the name alone; its namespace is the policy's"));
    None
}

/// The hash of the plan that may run although a limit holds it up.
fn approve(spec: &Fields<'_>, faults: &mut Diagnostics) -> Option<String> {
    let hash = spec.text("approve", faults)?;
    if !hash.is_empty() {
        return Some(hash.to_owned());
    }
    let node = spec.get("approve")?;
    let fault = Diagnostic::error(Code::InvalidValue, node.place.clone(), "`approve` names no plan");
    faults.push(fault.with_hint("leave it out, or give it the hash that the held-up plan ends with"));
    None
}

fn language(spec: &Fields<'_>, faults: &mut Diagnostics) -> u32 {
    if spec.node().get("language").is_none() {
        let fault = Diagnostic::error(
            Code::MissingField,
            spec.node().head().clone(),
            "the policy's `spec` needs `language`",
        );
        faults.push(fault.with_hint("write `language: 1`, so that a later engine reads it as this one does"));
        return 1;
    }
    match (spec.count("language", faults), spec.get("language")) {
        (Some(number), Some(node)) if number != 1 => {
            let message = format!("language {number} isn't known; this engine speaks language 1");
            faults.push(Diagnostic::error(Code::InvalidValue, node.place.clone(), message));
        }
        _ => {}
    }
    1
}

fn variables_type(spec: &Fields<'_>) -> Type {
    let entries = spec.get("variables").and_then(Node::entries).unwrap_or_default();
    let fields = entries
        .iter()
        .map(|(key, _)| (key.text.clone(), Field::required(Type::Dyn)));
    Type::Object(ObjectType::closed("variables", fields))
}

fn variables(spec: &Fields<'_>, names: &Names<'_>, faults: &mut Diagnostics) -> Vec<Variable> {
    let compiler = TreeCompiler {
        environment: names.with_rules(),
        random: None,
        each: &inner_each,
    };
    let mut variables = Vec::new();
    for (key, node) in spec.entries("variables", faults) {
        if !identifier(key, "a variable", faults) {
            continue;
        }
        let tree = compiler.tree(node, faults);
        refuse_rules(tree.references(), "a variable", faults);
        variables.push(Variable {
            name: key.text.clone(),
            place: key.place.clone(),
            tree,
        });
    }
    variables
}

fn defaults(spec: &Fields<'_>, names: &Names<'_>, faults: &mut Diagnostics) -> BTreeMap<KindName, Tree> {
    let compiler = TreeCompiler {
        environment: names.base(),
        random: None,
        each: &inner_each,
    };
    let mut defaults = BTreeMap::new();
    for (key, node) in spec.entries("defaults", faults) {
        let mut at = node.clone();
        at.place = key.place.clone();
        if known_kind(&at, &key.text, names.kinds, faults).is_none() {
            continue;
        }
        let tree = compiler.tree(node, faults);
        if let Some(kind) = names.kinds.get(&key.text).filter(|_| key.text != OBJECT) {
            shape::check(&tree, kind.shape(), &key.text, shape::Strictness::Partial, faults);
        }
        defaults.insert(KindName::from(key.text.as_str()), tree);
    }
    defaults
}

fn interval(spec: &Fields<'_>, faults: &mut Diagnostics) -> Duration {
    let interval = spec.duration("interval", faults).unwrap_or(DEFAULT_INTERVAL);
    if interval < LEAST_INTERVAL
        && let Some(node) = spec.get("interval")
    {
        let message = "cloud state isn't read more often than every 10s";
        faults.push(Diagnostic::error(Code::InvalidValue, node.place.clone(), message));
    }
    interval
}

fn limits(spec: &Fields<'_>, faults: &mut Diagnostics) -> Limits {
    let default = Limits::default();
    let Some(node) = spec.get("limits") else {
        return default;
    };
    let Some(fields) = Fields::of(node, "`limits`", &["changes", "deletions", "percent"], faults) else {
        return default;
    };
    let mut cap = |name: &str| {
        fields
            .count(name, faults)
            .map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    };
    Limits {
        changes: cap("changes"),
        deletions: cap("deletions").unwrap_or(default.deletions),
        percent: cap("percent"),
    }
}

fn values_from(spec: &Fields<'_>, names: &Names<'_>, faults: &mut Diagnostics) -> Vec<ValuesFrom> {
    let mut found = Vec::new();
    for node in spec.items("valuesFrom", faults) {
        let known = &["configMap", "secret", "optional", "key"];
        let Some(fields) = Fields::of(node, "an item of `valuesFrom`", known, faults) else {
            continue;
        };
        let (source, at) = match (fields.get("configMap"), fields.get("secret")) {
            (Some(node), None) => (ValuesSource::ConfigMap, node),
            (None, Some(node)) => (ValuesSource::Secret, node),
            _ => {
                let message = "an item of `valuesFrom` has either `configMap` or `secret`";
                faults.push(Diagnostic::error(Code::MissingField, node.place.clone(), message));
                continue;
            }
        };
        let Some(inner) = Fields::of(at, "what values come from", &["name", "namespace"], faults) else {
            continue;
        };
        let name = inner
            .required("name", faults)
            .and_then(|node| template(node, "name", names.base(), faults));
        let namespace = inner
            .get("namespace")
            .and_then(|node| template(node, "namespace", names.base(), faults));
        let references = name
            .iter()
            .chain(&namespace)
            .flat_map(crate::model::Template::references);
        for reference in references.collect::<Vec<_>>() {
            let message = "where values come from can't be computed";
            faults.push(Diagnostic::error(Code::NotHere, reference.place, message));
        }
        if let Some(name) = name {
            found.push(ValuesFrom {
                source,
                namespace,
                name,
                optional: fields.boolean("optional", faults).unwrap_or_default(),
                key: fields.text("key", faults).map(str::to_owned),
                place: node.place.clone(),
            });
        }
    }
    found
}

fn files_are_texts(spec: &Fields<'_>, faults: &mut Diagnostics) {
    for (key, node) in spec.entries("files", faults) {
        text(node, &key.text, faults);
    }
}
