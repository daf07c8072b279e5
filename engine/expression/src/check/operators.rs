//! Operators: what types they take and give.

use super::{Checked, Checker};
use crate::ast::{Arithmetic, Expr, Relation};
use crate::node::NodeKind;
use crate::operators::{unfit_negation, unfit_types};
use crate::{Error, ErrorKind, Span, Type};

impl Checker<'_> {
    /// A node that must be a bool, as far as its type is known.
    pub(super) fn bool(&mut self, expression: &Expr) -> Checked {
        let checked = self.value(expression);
        if !matches!(checked.r#type, Type::Bool | Type::Dyn) {
            let message = format!("a bool is needed here, and this is of type {}", checked.r#type);
            let error = Error::new(ErrorKind::Type, checked.node.span, message);
            self.errors.push(match checked.r#type {
                Type::Optional(_) => error.with_hint("unwrap the optional with `.orValue(…)`"),
                _ => error,
            });
        }
        checked
    }

    pub(super) fn not(&mut self, span: Span, operand: &Expr) -> Checked {
        let operand = self.bool(operand);
        Checked::plain(span, NodeKind::Not(Box::new(operand.node)), Type::Bool)
    }

    pub(super) fn negate(&mut self, span: Span, operand: &Expr) -> Checked {
        let Checked { node, r#type, .. } = self.value(operand);
        if !matches!(r#type, Type::Int | Type::Double | Type::Duration | Type::Dyn) {
            self.errors.push(*unfit_negation(&r#type.to_string(), span));
        }
        Checked::plain(span, NodeKind::Negate(Box::new(node)), r#type)
    }

    pub(super) fn logic(&mut self, span: Span, any: bool, operands: &[Expr]) -> Checked {
        let operands = operands.iter().map(|operand| self.bool(operand).node).collect();
        Checked::plain(span, NodeKind::Logic { any, operands }, Type::Bool)
    }

    pub(super) fn arithmetic(
        &mut self,
        span: Span,
        first: &Expr,
        rest: &[(Arithmetic, Span, Expr)],
    ) -> Checked {
        let first = self.value(first);
        let mut total = first.r#type;
        let mut checked = Vec::with_capacity(rest.len());
        for (operator, at, operand) in rest {
            let operand = self.value(operand);
            total = result(*operator, &total, &operand.r#type).unwrap_or_else(|| {
                let (left, right) = (total.to_string(), operand.r#type.to_string());
                self.errors
                    .push(unfit_types(operator.symbol(), *at, &left, &right));
                Type::Dyn
            });
            checked.push((*operator, *at, operand.node));
        }
        Checked::plain(
            span,
            NodeKind::Arithmetic {
                first: Box::new(first.node),
                rest: checked,
            },
            total,
        )
    }

    pub(super) fn relation(&mut self, span: Span, relation: Relation, left: &Expr, right: &Expr) -> Checked {
        let left = self.value(left);
        let right = self.value(right);
        let error = match relation {
            // Values of different types are unequal, which is an answer.
            Relation::Equal | Relation::Unequal => None,
            Relation::In => (!matches!(
                right.r#type,
                Type::Dyn | Type::List(_) | Type::Map(_) | Type::Object(_)
            ))
            .then(|| {
                let message = format!(
                    "`in` looks into a list or a map, and this is of type {}",
                    right.r#type
                );
                Error::new(ErrorKind::Type, right.node.span, message)
            }),
            _ => (!is_ordered(&left.r#type, &right.r#type)).then(|| {
                let (left, right) = (left.r#type.to_string(), right.r#type.to_string());
                unfit_types(relation.symbol(), span, &left, &right)
            }),
        };
        self.errors.extend(error);
        let (left, right) = (Box::new(left.node), Box::new(right.node));
        Checked::plain(
            span,
            NodeKind::Relation {
                relation,
                left,
                right,
            },
            Type::Bool,
        )
    }

    pub(super) fn conditional(
        &mut self,
        span: Span,
        condition: &Expr,
        then: &Expr,
        otherwise: &Expr,
    ) -> Checked {
        let condition = self.bool(condition);
        let then = self.value(then);
        let otherwise = self.value(otherwise);
        let r#type = then.r#type.join(otherwise.r#type);
        let (condition, then) = (Box::new(condition.node), Box::new(then.node));
        let kind = NodeKind::Conditional {
            condition,
            then,
            otherwise: Box::new(otherwise.node),
        };
        Checked::plain(span, kind, r#type)
    }
}

/// What an operator gives; nothing where it doesn't work between these types.
fn result(operator: Arithmetic, left: &Type, right: &Type) -> Option<Type> {
    use Arithmetic::{Add, Remainder, Subtract};
    Some(match (operator, left, right) {
        (_, Type::Int, Type::Int) => Type::Int,
        (Remainder, Type::Double, _) | (Remainder, _, Type::Double) => return None,
        (_, left, right) if left.is_number() && right.is_number() => Type::Double,
        (Add, Type::String, Type::String) => Type::String,
        (Add, Type::Bytes, Type::Bytes) => Type::Bytes,
        (Add, Type::List(left), Type::List(right)) => Type::list((**left).clone().join((**right).clone())),
        (Add | Subtract, Type::Duration, Type::Duration) | (Subtract, Type::Timestamp, Type::Timestamp) => {
            Type::Duration
        }
        (Add | Subtract, Type::Timestamp, Type::Duration) | (Add, Type::Duration, Type::Timestamp) => {
            Type::Timestamp
        }
        // The other side must be of the same type.
        (Add, Type::Dyn, known @ (Type::String | Type::Bytes))
        | (Add, known @ (Type::String | Type::Bytes), Type::Dyn) => known.clone(),
        (Add, Type::Dyn, Type::List(_)) | (Add, Type::List(_), Type::Dyn) => Type::list(Type::Dyn),
        (_, Type::Dyn, Type::Dyn | Type::Int | Type::Double)
        | (_, Type::Int | Type::Double, Type::Dyn)
        | (Add | Subtract, Type::Dyn, Type::Duration | Type::Timestamp)
        | (Add | Subtract, Type::Duration | Type::Timestamp, Type::Dyn) => Type::Dyn,
        _ => return None,
    })
}

fn is_ordered(left: &Type, right: &Type) -> bool {
    let has_order = |r#type: &Type| {
        matches!(
            r#type,
            Type::Dyn
                | Type::Bool
                | Type::Int
                | Type::Double
                | Type::String
                | Type::Bytes
                | Type::Duration
                | Type::Timestamp
                | Type::Quantity
        )
    };
    let is_same = left == right || (left.is_number() && right.is_number());
    has_order(left) && has_order(right) && (is_same || *left == Type::Dyn || *right == Type::Dyn)
}
