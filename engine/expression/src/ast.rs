//! What the parser makes of a source text: every node with its place, nothing resolved yet.

use std::sync::Arc;

use crate::{Span, Value};

/// An expression as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) span: Span,
    pub(crate) kind: ExprKind,
    /// Levels of nodes below this one, and itself.
    pub(crate) depth: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    Literal(Value),
    Name(Arc<str>),
    Select {
        operand: Box<Expr>,
        field: Name,
        optional: bool,
    },
    Index {
        operand: Box<Expr>,
        index: Box<Expr>,
        optional: bool,
    },
    Call {
        target: Option<Box<Expr>>,
        function: Name,
        arguments: Vec<Expr>,
    },
    List(Vec<Item>),
    Map(Vec<Entry>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    /// A chain of `&&`, or of `||`.
    Logic {
        any: bool,
        operands: Vec<Expr>,
    },
    /// A chain of operators of one strength, from the left.
    Arithmetic {
        first: Box<Expr>,
        rest: Vec<(Arithmetic, Span, Expr)>,
    },
    Relation {
        relation: Relation,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Conditional {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
}

/// A name with its place.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: Arc<str>,
    pub(crate) span: Span,
}

/// An element of a list literal, `?element` where it is optional.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) optional: bool,
    pub(crate) value: Expr,
}

/// An entry of a map literal, `?key: value` where it is optional.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) optional: bool,
    pub(crate) key: Expr,
    pub(crate) value: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Arithmetic {
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Relation {
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }
}

impl Expr {
    pub(crate) fn new(span: Span, kind: ExprKind) -> Self {
        let below = match &kind {
            ExprKind::Literal(_) | ExprKind::Name(_) => 0,
            ExprKind::Select { operand, .. } | ExprKind::Not(operand) | ExprKind::Negate(operand) => {
                operand.depth
            }
            ExprKind::Index { operand, index, .. } => operand.depth.max(index.depth),
            ExprKind::Call {
                target, arguments, ..
            } => deepest(arguments).max(target.as_ref().map_or(0, |target| target.depth)),
            ExprKind::List(items) => deepest(items.iter().map(|item| &item.value)),
            ExprKind::Map(entries) => deepest(entries.iter().flat_map(|entry| [&entry.key, &entry.value])),
            ExprKind::Logic { operands, .. } => deepest(operands),
            ExprKind::Arithmetic { first, rest } => {
                deepest(rest.iter().map(|(_, _, operand)| operand)).max(first.depth)
            }
            ExprKind::Relation { left, right, .. } => left.depth.max(right.depth),
            ExprKind::Conditional {
                condition,
                then,
                otherwise,
            } => condition.depth.max(then.depth).max(otherwise.depth),
        };
        Self {
            span,
            kind,
            depth: below.saturating_add(1),
        }
    }
}

fn deepest<'e>(expressions: impl IntoIterator<Item = &'e Expr>) -> usize {
    expressions
        .into_iter()
        .map(|expression| expression.depth)
        .max()
        .unwrap_or(0)
}
