//! Expressions and templates.

use holdfast_contract::{Unknown, Value};
use holdfast_expression::{self as expression, Budget, Context, ErrorKind, Scope, Span};

use super::{EvaluationError, Truth};
use crate::convert::{NoDocument, from_expression};
use crate::model::{Expression, Part, Template};
use crate::place::Place;

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
        let charged = |taken: Result<(), Box<expression::Error>>| {
            taken.map_err(|error| EvaluationError::of(&self.place, *error))
        };
        if let Some(text) = self.literal() {
            charged(budget.text(text.len(), Span::default()))?;
            return Ok(text.into());
        }
        let mut text = String::new();
        let mut sensitive = false;
        let mut unknown: Option<expression::Unknown> = None;
        for part in &self.parts {
            let expression = match part {
                Part::Text(literal) => {
                    charged(budget.text(literal.len(), Span::default()))?;
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
            charged(budget.copy(value, Span::default()))?;
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
        let value = self.compute(scope, budget, context)?;
        // What stands in a document shares nothing with other values.
        budget
            .copy(&value, Span::default())
            .map_err(|error| EvaluationError::of(&self.place, *error))?;
        from_expression(&value).map_err(|error| no_document(error, &self.place))
    }
}

fn no_document(error: NoDocument, place: &Place) -> EvaluationError {
    match error {
        NoDocument::Failed(error) => EvaluationError::of(place, error.as_ref().clone()),
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
