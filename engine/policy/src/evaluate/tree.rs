//! Trees: documents, and the values of variables.

use std::collections::BTreeMap;

use holdfast_contract::{Unknown, Value};
use holdfast_expression::{self as expression, Budget, Context, ErrorKind, Scope, Span};

use super::{Evaluated, EvaluationError, Origins, Truth, each_items, to_unknown};
use crate::model::{Entry, Tree, TreeNode};
use crate::place::Place;

/// As how many elements a part of a document counts: it stands beside the place that it comes from.
const PART: usize = 8;

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

    /// The documents: one, none where it is left out, or one for each item of a `$forEach` at its root. Beside them,
    /// what has to be known before they can be: then there are none yet.
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
        let value = self.value(&Run { scope, context }, budget)?;
        // What an expression gives has been looked at.
        if !matches!(self.node, TreeNode::Template(_)) {
            budget
                .nesting(&value, Span::default())
                .map_err(|error| EvaluationError::of(&self.place, *error))?;
        }
        Ok(value)
    }

    fn document(&self, run: &Run<'_, '_>, budget: &mut Budget) -> Result<Option<Evaluated>, EvaluationError> {
        let leaf = |value| Evaluated {
            value,
            origins: Origins::leaf(self.place.clone()),
        };
        // A map is counted where it is made, as `$forEach` may make many of one.
        if !matches!(self.node, TreeNode::Map { .. }) {
            take(budget, PART, "", &self.place)?;
        }
        match &self.node {
            TreeNode::Literal(value) => {
                take(budget, 0, value.as_str().unwrap_or_default(), &self.place)?;
                Ok(Some(leaf(value.clone())))
            }
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
            TreeNode::Literal(value) => {
                take(budget, 1, value.as_str().unwrap_or_default(), &self.place)?;
                Ok(crate::convert::to_expression(value))
            }
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
        let count = match &over {
            expression::Value::List(items) => items.len(),
            expression::Value::Map(entries) => entries.len(),
            _ => 0,
        };
        take(budget, count.saturating_mul(2), "", &for_each.place)?;
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

/// Takes memory for `elements` elements and for `text`.
fn take(budget: &mut Budget, elements: usize, text: &str, place: &Place) -> Result<(), EvaluationError> {
    budget
        .elements(elements, Span::default())
        .and_then(|()| budget.text(text.len(), Span::default()))
        .map_err(|error| EvaluationError::of(place, *error))
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
        take(budget, 0, literal, &entry.key.place)?;
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
    take(budget, PART, "", place)?;
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
