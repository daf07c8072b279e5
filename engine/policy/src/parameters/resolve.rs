//! The values that parameters have in one run.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_contract::Value;
use holdfast_expression as expression;

use super::{check_value, unknown_parameter};
use crate::code::Code;
use crate::convert::to_expression;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{AdditionalProperties, Schema, SchemaType, ValidPolicy};
use crate::place::{Place, Source};
use crate::yaml::{self, Data, Node, Parsed};

/// A value that is given to a parameter from outside of the policy.
#[derive(Clone, Debug)]
pub struct Supplied {
    name: String,
    node: Node,
    /// Where the name stands.
    place: Place,
    secret: bool,
}

/// The values that parameters have in one run. An optional one without a value isn't there.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// By name; sensitive ones are sealed.
    pub values: BTreeMap<String, Value>,
    /// Where each comes from.
    pub origins: BTreeMap<String, Place>,
}

impl Parameters {
    /// What `parameters` is in expressions.
    #[must_use]
    pub fn to_expression(&self) -> expression::Value {
        expression::Value::map(
            self.values
                .iter()
                .map(|(name, value)| (name.as_str(), to_expression(value))),
        )
    }
}

impl Supplied {
    /// The parameter that it is for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A flag, `expiryDays=30`: the text is read as the parameter's type wants it.
    ///
    /// # Errors
    /// It has no `=`, the policy has no such parameter, or the text can't be read as its type.
    pub fn flag(policy: &ValidPolicy, text: &str) -> Result<Self, Diagnostics> {
        let Some((name, value)) = text.split_once('=') else {
            let source = Source::new("--set", text);
            let fault = Diagnostic::error(
                Code::ParameterValue,
                source.place(0, text.len()),
                "a value is given as name=value",
            );
            return Err(shown(fault, &source));
        };
        let name = name.trim();
        let start = text.len().saturating_sub(value.len());
        Self::read(
            policy,
            &format!("--set {name}"),
            name,
            value,
            Some((text, start)),
            false,
        )
    }

    /// The entry `name` of a `ConfigMap` or Secret, called `origin` in messages: `ConfigMap acme/velero`. A Secret's
    /// text is never shown.
    ///
    /// # Errors
    /// The policy has no such parameter, or the text can't be read as its type.
    pub fn entry(
        policy: &ValidPolicy,
        origin: &str,
        name: &str,
        text: &str,
        secret: bool,
    ) -> Result<Self, Diagnostics> {
        Self::read(policy, origin, name, text, None, secret)
    }

    /// All of a YAML document: a map from parameters to values.
    ///
    /// # Errors
    /// It isn't YAML, or not one map.
    pub fn document(origin: &str, text: &str, secret: bool) -> Result<Vec<Self>, Diagnostics> {
        let source = Source::new(origin, text);
        let Parsed { documents, faults } = yaml::parse(&source);
        let mut found = Diagnostics::new();
        if !secret {
            found.add_source(&source);
        }
        for fault in faults {
            found.push(fault);
        }
        let entries = match documents.as_slice() {
            [] => &[],
            [document] => match &document.data {
                Data::Null => &[],
                Data::Map(entries) => entries.as_slice(),
                _ => {
                    let message = "values are a map from parameter to value";
                    found.push(Diagnostic::error(
                        Code::WrongType,
                        document.place.clone(),
                        message,
                    ));
                    &[]
                }
            },
            [_, second, ..] => {
                let message = "a file of values holds one document";
                found.push(Diagnostic::error(
                    Code::ManyDocuments,
                    second.place.clone(),
                    message,
                ));
                &[]
            }
        };
        if found.has_errors() {
            // Faults may quote the text.
            if secret {
                let message = "the content isn't one YAML map from parameter to value";
                return Err(Diagnostic::error(Code::WrongType, Place::of_file(origin), message).into());
            }
            found.sort();
            return Err(found);
        }
        let supplied = entries.iter().map(|(key, node)| Self {
            name: key.text.clone(),
            node: node.clone(),
            place: key.place.clone(),
            secret,
        });
        Ok(supplied.collect())
    }

    /// `within` is the text around it that may be shown, and where in it the value starts.
    fn read(
        policy: &ValidPolicy,
        origin: &str,
        name: &str,
        text: &str,
        within: Option<(&str, usize)>,
        secret: bool,
    ) -> Result<Self, Diagnostics> {
        let around = Source::new(origin, within.map_or(text, |(around, _)| around));
        let Some(parameter) = policy.parameters.get(name) else {
            let place = match within {
                Some(_) => around.place(0, name.len()),
                None => Place::of_file(origin),
            };
            let fault = unknown_parameter(name, place, &policy.parameters);
            return Err(if secret {
                fault.into()
            } else {
                shown(fault, &around)
            });
        };
        let place = match within {
            Some((_, start)) => around.place(start, around.text().len()),
            None => Place::of_file(origin),
        };
        // What is secret has no source, so that nothing of it can be shown.
        let hidden = secret || parameter.sensitive;
        let source = if hidden {
            Source::new(origin, "")
        } else {
            Arc::clone(&around)
        };
        let data = if parameter.schema.r#type == Some(SchemaType::String) {
            Some(Data::Text(text.to_owned(), crate::anchor::Style::Plain))
        } else {
            let parsed = yaml::parse(&Source::new(origin, text));
            match (parsed.faults.is_empty(), parsed.documents.as_slice()) {
                (true, []) => Some(Data::Null),
                (true, [document]) => Some(document.data.clone()),
                _ => None,
            }
        };
        let Some(data) = data else {
            let message = format!("the value of `{name}` can't be read");
            let fault = Diagnostic::error(Code::ParameterValue, place, message)
                .with_hint("lists and maps are written as YAML: '[a, b]', '{a: 1}'");
            return Err(if hidden {
                fault.into()
            } else {
                shown(fault, &around)
            });
        };
        let node = replaced(
            &Node {
                place: place.clone(),
                source,
                data,
            },
            &place,
        );
        Ok(Self {
            name: name.to_owned(),
            node,
            place,
            secret,
        })
    }
}

/// The node with one place for all of it: within a flag only the whole value's place is known.
fn replaced(node: &Node, place: &Place) -> Node {
    let data = match &node.data {
        Data::List(items) => Data::List(items.iter().map(|item| replaced(item, place)).collect()),
        Data::Map(entries) => Data::Map(
            entries
                .iter()
                .map(|(key, value)| {
                    let key = yaml::Key {
                        place: place.clone(),
                        ..key.clone()
                    };
                    (key, replaced(value, place))
                })
                .collect(),
        ),
        scalar => scalar.clone(),
    };
    Node {
        place: place.clone(),
        source: Arc::clone(&node.source),
        data,
    }
}

fn shown(fault: Diagnostic, source: &Arc<Source>) -> Diagnostics {
    let mut faults = Diagnostics::from(fault);
    faults.add_source(source);
    faults
}

/// The values that parameters have: their defaults, over these the policy's own values, over these `supplied`, of which
/// a later one wins.
///
/// # Errors
/// All values that a schema doesn't allow, parameters without one, and names that the policy doesn't have.
pub fn resolve_parameters(policy: &ValidPolicy, supplied: &[Supplied]) -> Result<Parameters, Diagnostics> {
    let mut faults = Diagnostics::new();
    let mut given: BTreeMap<&str, (Value, Place)> = BTreeMap::new();
    for (name, (value, place)) in &policy.values {
        given.insert(name, (value.clone(), place.clone()));
    }
    for one in supplied {
        let Some(parameter) = policy.parameters.get(&one.name) else {
            show(one, false, &mut faults);
            faults.push(unknown_parameter(
                &one.name,
                one.place.clone(),
                &policy.parameters,
            ));
            continue;
        };
        if one.secret && !parameter.sensitive {
            let message = format!("`{}` is filled from a Secret, but isn't sensitive", one.name);
            let fault = Diagnostic::error(Code::ParameterNotSensitive, one.place.clone(), message);
            faults.push(fault.with_hint("mark the parameter `sensitive: true`, or keep the value elsewhere"));
            continue;
        }
        let mut found = Diagnostics::new();
        check_value(&parameter.schema, &one.name, &one.node, &mut found);
        if parameter.sensitive {
            found.hide_lines();
        }
        faults.append(found);
        show(one, parameter.sensitive, &mut faults);
        given.insert(&one.name, (one.node.to_value(), one.node.place.clone()));
    }
    let mut parameters = Parameters::default();
    for (name, parameter) in &policy.parameters {
        let default = parameter
            .schema
            .default
            .clone()
            .map(|value| (value, parameter.place.clone()));
        let Some((mut value, place)) = given.remove(name.as_str()).or(default) else {
            if !parameter.optional {
                let message = format!("the parameter `{name}` has no value");
                let fault = Diagnostic::error(Code::ParameterMissing, parameter.place.clone(), message);
                faults.push(fault.with_hint(format!(
                    "give it one under `values`, with --set {name}=…, or as its default"
                )));
            }
            continue;
        };
        fill(&parameter.schema, &mut value);
        let value = if parameter.sensitive {
            value.sealed()
        } else {
            value
        };
        parameters.values.insert(name.clone(), value);
        parameters.origins.insert(name.clone(), place);
    }
    if faults.has_errors() {
        for source in policy.sources.iter() {
            faults.add_source(source);
        }
        faults.sort();
        return Err(faults);
    }
    Ok(parameters)
}

/// Makes the text of `supplied` known for messages, unless something in it is secret.
fn show(supplied: &Supplied, sensitive: bool, faults: &mut Diagnostics) {
    if !supplied.secret && !sensitive && !supplied.node.source.text().is_empty() {
        faults.add_source(&supplied.node.source);
    }
}

/// Fills defaults in below the value.
fn fill(schema: &Schema, value: &mut Value) {
    match value {
        Value::Map(entries) => {
            for (name, property) in &schema.properties {
                if let Some(default) = property.default.as_ref().filter(|_| !entries.contains_key(name)) {
                    entries.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in entries {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(property), _) => fill(property, value),
                    (None, AdditionalProperties::Of(property)) => fill(property, value),
                    _ => {}
                }
            }
        }
        Value::List(items) => {
            if let Some(item_schema) = &schema.items {
                for item in items {
                    fill(item_schema, item);
                }
            }
        }
        _ => {}
    }
}
