//! Evaluating expressions, templates and trees: values together with the places they come from.

use std::collections::BTreeMap;

use holdfast_contract::{Path, Segment, Unknown, Value};
use holdfast_expression::{self as expression, Budget, Context, Error, ErrorKind, Scope};

use crate::convert::{NoDocument, from_expression};
use crate::diagnostic::Diagnostic;
use crate::model::{Entry, Expression, Part, Template, Tree, TreeNode};
use crate::place::Place;
use crate::read::expression_fault;

/// An expression that couldn't be evaluated, and where in the policy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}: {error}")]
pub struct EvaluationError {
    /// Where.
    pub place: Place,
    /// Why. Its span is within the expression, not within the file.
    pub error: Error,
}

impl EvaluationError {
    fn new(place: Place, kind: ErrorKind, message: &str) -> Self {
        Self {
            place,
            error: Error::new(kind, expression::Span::default(), message),
        }
    }

    /// The path that isn't there, where that is the reason.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        match &self.error.kind {
            ErrorKind::Missing { path } => Some(path),
            _ => None,
        }
    }

    /// Whether the reason is a read that failed.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.error.kind == ErrorKind::Unreadable
    }

    /// The same as a diagnostic, to be shown with its line.
    #[must_use]
    pub fn to_diagnostic(&self) -> Diagnostic {
        expression_fault(&self.error, self.place.clone())
    }
}

/// Whether a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    Yes,
    /// It doesn't.
    No,
    /// That is known only after a write.
    Unknown(Unknown),
}

/// A document, and the places that its parts come from.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The document.
    pub value: Value,
    /// Where its parts come from.
    pub origins: Origins,
}

/// Where a part of a document, and the parts below it, come from. A part that an expression gave as a whole has
/// nothing below.
#[derive(Clone, Debug)]
pub struct Origins {
    /// Where the value stands.
    pub place: Place,
    /// Where its key stands, if it is an entry of a map.
    pub key: Option<Place>,
    /// The entries of a map.
    pub entries: BTreeMap<String, Origins>,
    /// The items of a list.
    pub items: Vec<Origins>,
}

impl Origins {
    pub(crate) fn leaf(place: Place) -> Self {
        Self {
            place,
            key: None,
            entries: BTreeMap::new(),
            items: Vec::new(),
        }
    }
}

impl Evaluated {
    /// Where the part at `path` comes from: the deepest part on the way to it whose place is known.
    #[must_use]
    pub fn origin(&self, path: &Path) -> &Place {
        let mut origins = &self.origins;
        let mut value = Some(&self.value);
        for segment in path.segments() {
            let (below, next) = match segment {
                Segment::Key(key) => (origins.entries.get(key), value.and_then(|value| value.get(key))),
                Segment::Index(index) => (
                    origins.items.get(*index),
                    value.and_then(Value::as_list).and_then(|items| items.get(*index)),
                ),
                Segment::Item(keys) => {
                    let items = value.and_then(Value::as_list).unwrap_or_default();
                    let found = items.iter().position(|item| {
                        keys.iter()
                            .all(|(key, text)| item.get(key).is_some_and(|value| value.to_string() == *text))
                    });
                    (
                        found.and_then(|index| origins.items.get(index)),
                        found.and_then(|index| items.get(index)),
                    )
                }
            };
            let Some(below) = below else {
                break;
            };
            origins = below;
            value = next;
        }
        &origins.place
    }
}

/// Lays `default` under `document`: maps merge, and where both say something the document wins, with null too.
#[must_use]
pub fn lay_under(document: Evaluated, default: &Evaluated) -> Evaluated {
    let Evaluated {
        mut value,
        mut origins,
    } = document;
    merge_under(&mut value, &mut origins, &default.value, &default.origins);
    Evaluated { value, origins }
}

fn merge_under(value: &mut Value, origins: &mut Origins, default: &Value, default_origins: &Origins) {
    let (Value::Map(entries), Value::Map(defaults)) = (value, default) else {
        return;
    };
    for (key, default) in defaults {
        let from = default_origins.entries.get(key).unwrap_or(default_origins);
        if let Some(entry) = entries.get_mut(key) {
            if let Some(origins) = origins.entries.get_mut(key) {
                merge_under(entry, origins, default, from);
            }
        } else {
            entries.insert(key.clone(), default.clone());
            origins.entries.insert(key.clone(), from.clone());
        }
    }
}

impl Expression {
    /// Its value.
    ///
    /// # Errors
    /// It can't be evaluated, or its value is one that couldn't be read.
    pub fn evaluate(
        &self,
        scope: &dyn Scope,
        budget: &mut Budget,
        context: &Context<'_>,
    ) -> Result<expression::Value, EvaluationError> {
        match self.program.evaluate(scope, budget, context) {
            Ok(expression::Value::Failed(error)) => Err(EvaluationError {
                place: self.place.clone(),
                error: error.as_ref().clone(),
            }),
            Ok(value) => Ok(value),
            Err(error) => Err(EvaluationError {
                place: self.place_of(error.span),
                error,
            }),
        }
    }

    /// Whether it holds, for conditions.
    ///
    /// # Errors
    /// As [`Expression::evaluate`]; its value is not a boolean, or sensitive.
    pub fn holds(
        &self,
        scope: &dyn Scope,
        budget: &mut Budget,
        context: &Context<'_>,
    ) -> Result<Truth, EvaluationError> {
        let wrong = |kind, message: &str| Err(EvaluationError::new(self.place.clone(), kind, message));
        match self.evaluate(scope, budget, context)? {
            expression::Value::Bool(true) => Ok(Truth::Yes),
            expression::Value::Bool(false) => Ok(Truth::No),
            expression::Value::Unknown(unknown) if !unknown.sensitive => Ok(Truth::Unknown(Unknown {
                waits_for: unknown.waits_for.as_ref().clone(),
                sensitive: false,
            })),
            expression::Value::Unknown(_) | expression::Value::Sensitive(_) => wrong(
                ErrorKind::Sensitive,
                "a condition can't depend on a sensitive value",
            ),
            other => wrong(
                ErrorKind::Type,
                &format!("a condition is true or false, not {}", other.kind()),
            ),
        }
    }
}

impl Template {
    /// Its value: that of its only expression, or text.
    ///
    /// # Errors
    /// As [`Expression::evaluate`]; null, a list or a map within text.
    pub fn compute(
        &self,
        scope: &dyn Scope,
        budget: &mut Budget,
        context: &Context<'_>,
    ) -> Result<expression::Value, EvaluationError> {
        if let Some(expression) = self.sole() {
            return expression.evaluate(scope, budget, context);
        }
        let mut text = String::new();
        let mut sensitive = false;
        let mut unknown: Option<expression::Unknown> = None;
        for part in &self.parts {
            let expression = match part {
                Part::Text(literal) => {
                    text.push_str(literal);
                    continue;
                }
                Part::Expression(expression) => expression,
            };
            let value = expression.evaluate(scope, budget, context)?;
            let value = match &value {
                expression::Value::Sensitive(sealed) => {
                    sensitive = true;
                    sealed.expose()
                }
                other => other,
            };
            match within_text(value, expression)? {
                Within::Text(piece) => text.push_str(&piece),
                Within::Unknown(waits) => {
                    unknown = Some(match unknown {
                        Some(before) => before.union(waits),
                        None => waits.clone(),
                    });
                }
            }
        }
        Ok(match unknown {
            Some(mut unknown) => {
                unknown.sensitive |= sensitive;
                expression::Value::Unknown(unknown)
            }
            None if sensitive => expression::Value::sensitive(text),
            None => text.into(),
        })
    }

    /// Its value for a document: `None` where it is left out.
    ///
    /// # Errors
    /// As [`Template::compute`]; its value can't stand in a document.
    pub fn evaluate(
        &self,
        scope: &dyn Scope,
        budget: &mut Budget,
        context: &Context<'_>,
    ) -> Result<Option<Value>, EvaluationError> {
        if let Some(text) = self.literal() {
            return Ok(Some(Value::from(text)));
        }
        let value = self.compute(scope, budget, context)?;
        from_expression(&value).map_err(|error| no_document(error, &self.place))
    }
}

fn no_document(error: NoDocument, place: &Place) -> EvaluationError {
    match error {
        NoDocument::Failed(error) => EvaluationError {
            place: place.clone(),
            error: error.as_ref().clone(),
        },
        NoDocument::NotJson(_) => EvaluationError::new(place.clone(), ErrorKind::Type, &error.to_string()),
    }
}

enum Within<'v> {
    Text(String),
    Unknown(&'v expression::Unknown),
}

fn within_text<'v>(
    value: &'v expression::Value,
    expression: &Expression,
) -> Result<Within<'v>, EvaluationError> {
    let refuse = |what: &str| {
        let message = format!("{what} can't stand inside text");
        let mut error = EvaluationError::new(expression.place.clone(), ErrorKind::Type, &message);
        error.error.hint = Some("pick a part of it, or join its items with join()".to_owned());
        Err(error)
    };
    Ok(match value {
        expression::Value::Unknown(unknown) => Within::Unknown(unknown),
        expression::Value::Optional(Some(value)) => return within_text(value, expression),
        expression::Value::Omit | expression::Value::Optional(None) => {
            let path = expression.program.source().to_owned();
            let message = format!("`{path}` has no value");
            return Err(EvaluationError::new(
                expression.place.clone(),
                ErrorKind::Missing { path },
                &message,
            ));
        }
        expression::Value::String(text) => Within::Text(text.as_ref().to_owned()),
        expression::Value::Null => return refuse("null"),
        expression::Value::List(_) => return refuse("a list"),
        expression::Value::Map(_) => return refuse("a map"),
        expression::Value::Type(_) => return refuse("a type"),
        expression::Value::Sensitive(sealed) => return within_text(sealed.expose(), expression),
        expression::Value::Failed(error) => {
            return Err(EvaluationError {
                place: expression.place.clone(),
                error: error.as_ref().clone(),
            });
        }
        scalar => match scalar.to_json() {
            Ok(serde_json::Value::String(text)) => Within::Text(text),
            _ => Within::Text(scalar.to_string()),
        },
    })
}

/// One item of a `$forEach`, laid over the scope around it.
struct WithEach<'s> {
    outer: &'s dyn Scope,
    each: expression::Value,
}

impl Scope for WithEach<'_> {
    fn root(&self, name: &str) -> Option<expression::Value> {
        if name == "each" {
            Some(self.each.clone())
        } else {
            self.outer.root(name)
        }
    }
}

/// What `each` is for each item of `over`: a list's texts key themselves, and so do a map's entries. `None` where it
/// is neither.
#[must_use]
pub fn each_items(over: &expression::Value) -> Option<Vec<(Option<expression::Value>, expression::Value)>> {
    match over {
        expression::Value::List(items) => Some(
            items
                .iter()
                .map(|item| (item.as_str().map(|_| item.clone()), item.clone()))
                .collect(),
        ),
        expression::Value::Map(entries) => Some(
            entries
                .iter()
                .map(|(key, value)| (Some(key.to_value()), value.clone()))
                .collect(),
        ),
        _ => None,
    }
}

/// What a run needs.
struct Run<'r, 'c> {
    scope: &'r dyn Scope,
    context: &'r Context<'c>,
}

/// What a map with `$when` and `$forEach` comes to.
enum Repeated<T> {
    One(T),
    Many(Vec<T>),
    Unknown(expression::Unknown),
    None,
}

impl Tree {
    /// The document, and where its parts come from; `None` where it is left out. A `$forEach` at its root lays its
    /// maps into one: where each is a document, use [`Tree::evaluate_all`].
    ///
    /// # Errors
    /// The first expression that can't be evaluated, or whose value can't stand where it is.
    pub fn evaluate(
        &self,
        scope: &dyn Scope,
        budget: &mut Budget,
        context: &Context<'_>,
    ) -> Result<Option<Evaluated>, EvaluationError> {
        self.document(&Run { scope, context }, budget)
    }

    /// The documents: one, none where it is left out, or one for each item of a `$forEach` at its root. `Err` inside
    /// the result's first part never happens; what is unknown about the number of documents comes as the second.
    ///
    /// # Errors
    /// As [`Tree::evaluate`].
    pub fn evaluate_all(
        &self,
        scope: &dyn Scope,
        budget: &mut Budget,
        context: &Context<'_>,
    ) -> Result<(Vec<Evaluated>, Option<Unknown>), EvaluationError> {
        let run = Run { scope, context };
        let TreeNode::Map { entries, .. } = &self.node else {
            return Ok((self.document(&run, budget)?.into_iter().collect(), None));
        };
        let place = &self.place;
        let repeated = self.repeat(&run, budget, &|run, budget| {
            document_map(entries, place, run, budget)
        })?;
        Ok(match repeated {
            Repeated::One(one) => (vec![one], None),
            Repeated::Many(many) => (many, None),
            Repeated::None => (Vec::new(), None),
            Repeated::Unknown(unknown) => (Vec::new(), Some(to_unknown(&unknown))),
        })
    }

    /// The value as expressions use it, each part of its own type: what a variable stands for.
    ///
    /// # Errors
    /// As [`Tree::evaluate`].
    pub fn compute(
        &self,
        scope: &dyn Scope,
        budget: &mut Budget,
        context: &Context<'_>,
    ) -> Result<expression::Value, EvaluationError> {
        self.value(&Run { scope, context }, budget)
    }

    fn document(&self, run: &Run<'_, '_>, budget: &mut Budget) -> Result<Option<Evaluated>, EvaluationError> {
        let leaf = |value| Evaluated {
            value,
            origins: Origins::leaf(self.place.clone()),
        };
        match &self.node {
            TreeNode::Literal(value) => Ok(Some(leaf(value.clone()))),
            TreeNode::Template(template) => Ok(template.evaluate(run.scope, budget, run.context)?.map(leaf)),
            TreeNode::List(items) => {
                let mut values = Vec::new();
                let mut origins = Origins::leaf(self.place.clone());
                for item in items {
                    let found = match &item.node {
                        TreeNode::Map { entries, .. } => item.repeat(run, budget, &|run, budget| {
                            document_map(entries, &item.place, run, budget)
                        })?,
                        _ => item.document(run, budget)?.map_or(Repeated::None, Repeated::One),
                    };
                    match found {
                        Repeated::One(one) => {
                            values.push(one.value);
                            origins.items.push(one.origins);
                        }
                        Repeated::Many(many) => {
                            for one in many {
                                values.push(one.value);
                                origins.items.push(one.origins);
                            }
                        }
                        // How many items there are isn't known, so nothing of the list is.
                        Repeated::Unknown(unknown) => {
                            return Ok(Some(leaf(Value::Unknown(to_unknown(&unknown)))));
                        }
                        Repeated::None => {}
                    }
                }
                Ok(Some(Evaluated {
                    value: Value::List(values),
                    origins,
                }))
            }
            TreeNode::Map { entries, .. } => {
                let place = &self.place;
                let repeated = self.repeat(run, budget, &|run, budget| {
                    document_map(entries, place, run, budget)
                })?;
                Ok(match repeated {
                    Repeated::One(one) => Some(one),
                    Repeated::Many(many) => Some(self.laid_together(many)?),
                    Repeated::Unknown(unknown) => Some(leaf(Value::Unknown(to_unknown(&unknown)))),
                    Repeated::None => None,
                })
            }
        }
    }

    /// The maps of a `$forEach` as one map.
    fn laid_together(&self, maps: Vec<Evaluated>) -> Result<Evaluated, EvaluationError> {
        let mut together = BTreeMap::new();
        let mut origins = Origins::leaf(self.place.clone());
        for one in maps {
            let Value::Map(entries) = one.value else {
                continue;
            };
            for (key, value) in entries {
                if together.insert(key.clone(), value).is_some() {
                    return Err(given_twice(&self.place, &key));
                }
            }
            origins.entries.extend(one.origins.entries);
        }
        Ok(Evaluated {
            value: Value::Map(together),
            origins,
        })
    }

    fn value(&self, run: &Run<'_, '_>, budget: &mut Budget) -> Result<expression::Value, EvaluationError> {
        match &self.node {
            TreeNode::Literal(value) => Ok(crate::convert::to_expression(value)),
            TreeNode::Template(template) => template.compute(run.scope, budget, run.context),
            TreeNode::List(items) => {
                let mut values = Vec::new();
                for item in items {
                    let found = match &item.node {
                        TreeNode::Map { entries, .. } => {
                            item.repeat(run, budget, &|run, budget| value_map(entries, run, budget))?
                        }
                        _ => Repeated::One(item.value(run, budget)?),
                    };
                    match found {
                        Repeated::One(value) if value.is_left_out() => {}
                        Repeated::One(value) => values.push(value),
                        Repeated::Many(many) => values.extend(many),
                        Repeated::Unknown(unknown) => return Ok(unknown.into()),
                        Repeated::None => {}
                    }
                }
                Ok(values.into())
            }
            TreeNode::Map { entries, .. } => {
                let repeated = self.repeat(run, budget, &|run, budget| value_map(entries, run, budget))?;
                Ok(match repeated {
                    Repeated::One(value) => value,
                    Repeated::Many(many) => {
                        let mut together = BTreeMap::new();
                        for (key, value) in many.iter().filter_map(expression::Value::as_map).flatten() {
                            if together.insert(key.clone(), value.clone()).is_some() {
                                return Err(given_twice(&self.place, &key.to_string()));
                            }
                        }
                        together.into()
                    }
                    Repeated::Unknown(unknown) => unknown.into(),
                    Repeated::None => expression::Value::Omit,
                })
            }
        }
    }

    /// Evaluates this map by `body`: once, never, or once for each item, as its `$when` and `$forEach` say.
    fn repeat<T>(
        &self,
        run: &Run<'_, '_>,
        budget: &mut Budget,
        body: &dyn Fn(&Run<'_, '_>, &mut Budget) -> Result<T, EvaluationError>,
    ) -> Result<Repeated<T>, EvaluationError> {
        let TreeNode::Map { when, for_each, .. } = &self.node else {
            return body(run, budget).map(Repeated::One);
        };
        let holds = |run: &Run<'_, '_>, budget: &mut Budget| match when {
            Some(when) => when.holds(run.scope, budget, run.context),
            None => Ok(Truth::Yes),
        };
        let Some(for_each) = for_each else {
            return Ok(match holds(run, budget)? {
                Truth::Yes => Repeated::One(body(run, budget)?),
                Truth::No => Repeated::None,
                Truth::Unknown(unknown) => Repeated::Unknown(expression::Unknown::new(unknown.waits_for)),
            });
        };
        let over = for_each.evaluate(run.scope, budget, run.context)?;
        if let expression::Value::Unknown(unknown) = over {
            return Ok(Repeated::Unknown(unknown));
        }
        let Some(items) = each_items(&over) else {
            let message = format!("`$forEach` goes over a list or a map, not {}", over.kind());
            return Err(EvaluationError::new(
                for_each.place.clone(),
                ErrorKind::Type,
                &message,
            ));
        };
        let mut many = Vec::new();
        for (key, value) in items {
            let key = key.map(|key| ("key", key));
            let each = expression::Value::map(key.into_iter().chain([("value", value)]));
            let scope = WithEach {
                outer: run.scope,
                each,
            };
            let inner = Run {
                scope: &scope,
                context: run.context,
            };
            match holds(&inner, budget)? {
                Truth::Yes => many.push(body(&inner, budget)?),
                Truth::No => {}
                Truth::Unknown(unknown) => {
                    return Ok(Repeated::Unknown(expression::Unknown::new(unknown.waits_for)));
                }
            }
        }
        Ok(Repeated::Many(many))
    }
}

fn to_unknown(unknown: &expression::Unknown) -> Unknown {
    Unknown {
        waits_for: unknown.waits_for.as_ref().clone(),
        sensitive: unknown.sensitive,
    }
}

fn given_twice(place: &Place, key: &str) -> EvaluationError {
    let message = format!("the key `{key}` comes out twice");
    EvaluationError::new(place.clone(), ErrorKind::Argument, &message)
}

/// An entry's key: `None` where it is left out, an unknown where it isn't known.
fn key_of(
    entry: &Entry,
    run: &Run<'_, '_>,
    budget: &mut Budget,
) -> Result<Result<Option<String>, expression::Unknown>, EvaluationError> {
    if let Some(literal) = entry.key.literal() {
        return Ok(Ok(Some(literal.to_owned())));
    }
    let refuse = |kind, message: &str| Err(EvaluationError::new(entry.key.place.clone(), kind, message));
    let value = entry.key.compute(run.scope, budget, run.context)?;
    match &value {
        expression::Value::String(text) => Ok(Ok(Some(text.as_ref().to_owned()))),
        expression::Value::Unknown(unknown) if !unknown.sensitive => Ok(Err(unknown.clone())),
        expression::Value::Unknown(_) | expression::Value::Sensitive(_) => {
            refuse(ErrorKind::Sensitive, "a key can't be a sensitive value")
        }
        expression::Value::Optional(Some(inner)) if inner.as_str().is_some() => {
            Ok(Ok(inner.as_str().map(str::to_owned)))
        }
        left_out if left_out.is_left_out() => Ok(Ok(None)),
        other => refuse(ErrorKind::Type, &format!("a key is text, not {}", other.kind())),
    }
}

fn document_map(
    entries: &[Entry],
    place: &Place,
    run: &Run<'_, '_>,
    budget: &mut Budget,
) -> Result<Evaluated, EvaluationError> {
    let mut map = BTreeMap::new();
    let mut origins = Origins::leaf(place.clone());
    for entry in entries {
        let key = match key_of(entry, run, budget)? {
            Ok(Some(key)) => key,
            Ok(None) => continue,
            Err(unknown) => {
                return Ok(Evaluated {
                    value: Value::Unknown(to_unknown(&unknown)),
                    origins: Origins::leaf(place.clone()),
                });
            }
        };
        let Some(Evaluated {
            value,
            origins: mut below,
        }) = entry.value.document(run, budget)?
        else {
            continue;
        };
        below.key = Some(entry.key.place.clone());
        if map.insert(key.clone(), value).is_some() {
            return Err(given_twice(&entry.key.place, &key));
        }
        origins.entries.insert(key, below);
    }
    Ok(Evaluated {
        value: Value::Map(map),
        origins,
    })
}

fn value_map(
    entries: &[Entry],
    run: &Run<'_, '_>,
    budget: &mut Budget,
) -> Result<expression::Value, EvaluationError> {
    let mut map = BTreeMap::new();
    for entry in entries {
        let key = match key_of(entry, run, budget)? {
            Ok(Some(key)) => key,
            Ok(None) => continue,
            Err(unknown) => return Ok(unknown.into()),
        };
        let value = entry.value.value(run, budget)?;
        if value.is_left_out() {
            continue;
        }
        if map
            .insert(expression::MapKey::from(key.as_str()), value)
            .is_some()
        {
            return Err(given_twice(&entry.key.place, &key));
        }
    }
    Ok(map.into())
}
