//! Evaluating the parts of a policy, with every way in which there may be no answer told apart.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract as contract;
use holdfast_expression::{Budget, Context, ErrorKind, MapKey, Span, Value};
use holdfast_policy::{Evaluated, EvaluationError, Expression, Place, Template, Tree, Truth};

use crate::allowance::Allowance;
use crate::scope::Roots;

/// Why something has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// It is known only after these were written.
    Waits(BTreeSet<String>),
    /// A path that isn't there.
    Missing {
        /// The path as the expression spells it.
        path: String,
        /// Where the expression stands.
        place: Place,
    },
    /// Something that could not be read.
    Unreadable {
        /// Why.
        message: String,
        /// Where the expression stands.
        place: Place,
    },
    /// The expression can't be evaluated with what it is given.
    Fault {
        /// Why.
        message: String,
        /// Where the expression stands.
        place: Place,
    },
}

impl NoAnswer {
    /// A fault at `place`.
    #[must_use]
    pub fn fault(message: impl Into<String>, place: &Place) -> Self {
        Self::Fault {
            message: message.into(),
            place: place.clone(),
        }
    }

    /// One sentence for a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Waits(what) => format!(
                "waits for {}",
                what.iter().cloned().collect::<Vec<_>>().join(", ")
            ),
            Self::Missing { path, .. } => format!("waits for {path}, which isn't there"),
            Self::Unreadable { message, .. } => message.clone(),
            Self::Fault { message, place } => format!("{message} ({})", place.short()),
        }
    }
}

/// What evaluates the expressions of one pass: the clock is read once, so that a pass is a function of its input.
#[derive(Clone, Copy, Debug)]
pub struct Evaluator<'a> {
    /// The time of the pass.
    pub context: Context<'a>,
    /// What all its evaluations may still use.
    pub allowance: &'a Allowance,
}

impl Evaluator<'_> {
    fn draw<T>(
        &self,
        is_kept: bool,
        evaluate: impl FnOnce(&mut Budget, &Context<'_>) -> Result<T, EvaluationError>,
    ) -> Result<T, EvaluationError> {
        self.allowance
            .draw(is_kept, |budget| evaluate(budget, &self.context))
            .map_err(|(mut error, met)| {
                if let Some(bound) = met {
                    error.error.message = bound.to_string();
                }
                error
            })
    }

    /// What `tree` is to expressions.
    pub(crate) fn computed(&self, tree: &Tree, roots: &Roots) -> Result<Value, EvaluationError> {
        self.draw(true, |budget, context| tree.compute(roots, budget, context))
    }

    /// Takes what a copy of `variables` takes, where `value` of `tree` holds them.
    pub(crate) fn copied(
        &self,
        tree: &Tree,
        value: &Value,
        variables: &BTreeMap<MapKey, Value>,
    ) -> Result<(), EvaluationError> {
        self.draw(true, |budget, _| {
            let taken = budget.elements(variables.len().saturating_mul(2), Span::default());
            let taken = taken.and_then(|()| budget.nesting(value, Span::default()));
            taken.map_err(|error| EvaluationError {
                place: tree.place.clone(),
                error: *error,
            })
        })
    }

    /// The value of a bare expression.
    pub fn value(&self, expression: &Expression, roots: &Roots) -> Result<Value, NoAnswer> {
        let value = self
            .draw(true, |budget, context| {
                expression.evaluate(roots, budget, context)
            })
            .map_err(|error| no_answer(&error))?;
        match value {
            Value::Unknown(unknown) => Err(NoAnswer::Waits(unknown.waits_for.iter().cloned().collect())),
            Value::Optional(None) | Value::Omit => {
                let path = expression.program.source().to_owned();
                Err(NoAnswer::Missing {
                    path,
                    place: expression.place.clone(),
                })
            }
            Value::Optional(Some(value)) => Ok(*value),
            value => Ok(value),
        }
    }

    /// Whether a condition holds.
    pub fn condition(&self, expression: &Expression, roots: &Roots) -> Result<bool, NoAnswer> {
        match self
            .draw(false, |budget, context| expression.holds(roots, budget, context))
            .map_err(|error| no_answer(&error))?
        {
            Truth::Yes => Ok(true),
            Truth::No => Ok(false),
            Truth::Unknown(unknown) => Err(NoAnswer::Waits(unknown.waits_for)),
        }
    }

    /// The value of a template; none where it is left out.
    pub fn template(&self, template: &Template, roots: &Roots) -> Result<Option<contract::Value>, NoAnswer> {
        self.draw(true, |budget, context| template.evaluate(roots, budget, context))
            .map_err(|error| no_answer(&error))
    }

    /// The text of a template that must be one.
    pub fn text(&self, template: &Template, roots: &Roots) -> Result<String, NoAnswer> {
        match self.template(template, roots)? {
            Some(contract::Value::String(text)) => Ok(text),
            Some(contract::Value::Unknown(unknown)) => Err(NoAnswer::Waits(unknown.waits_for)),
            Some(contract::Value::Sensitive(_)) => Err(NoAnswer::fault(
                "a sensitive value can't stand here",
                &template.place,
            )),
            Some(_) => Err(NoAnswer::fault(
                "this must be text; use string(…)",
                &template.place,
            )),
            None => Err(NoAnswer::Missing {
                path: template.source.clone(),
                place: template.place.clone(),
            }),
        }
    }

    /// The document of a tree, with the places that its parts come from; none where it is left out.
    pub fn tree(&self, tree: &Tree, roots: &Roots) -> Result<Option<Evaluated>, NoAnswer> {
        self.draw(true, |budget, context| tree.evaluate(roots, budget, context))
            .map_err(|error| no_answer(&error))
    }

    /// The documents of a tree: one, none, or one for each item of a `$forEach` at its root.
    pub fn documents(&self, tree: &Tree, roots: &Roots) -> Result<Vec<Evaluated>, NoAnswer> {
        let result = self.draw(true, |budget, context| tree.evaluate_all(roots, budget, context));
        match result.map_err(|error| no_answer(&error))? {
            (documents, None) => Ok(documents),
            (_, Some(unknown)) => Err(NoAnswer::Waits(unknown.waits_for)),
        }
    }
}

fn no_answer(error: &EvaluationError) -> NoAnswer {
    let place = error.place.clone();
    let message = error.error.message.clone();
    match &error.error.kind {
        ErrorKind::Missing { path } => NoAnswer::Missing {
            path: path.clone(),
            place,
        },
        ErrorKind::Unreadable => NoAnswer::Unreadable { message, place },
        _ => NoAnswer::Fault { message, place },
    }
}
