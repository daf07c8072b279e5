//! What the checker makes of a parsed expression: names resolved, functions chosen, macros recognised.

use std::sync::Arc;

use regex::Regex;

use crate::ast::{Arithmetic, Relation};
use crate::functions::Overload;
use crate::{MapKey, Span, Value};

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: NodeKind,
}

#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    Literal(Value),
    Root(Arc<str>),
    /// A macro variable, by its slot.
    Local(usize),
    Select {
        operand: Box<Node>,
        key: MapKey,
        optional: bool,
    },
    Index {
        operand: Box<Node>,
        index: Box<Node>,
        optional: bool,
    },
    /// `has()`; what it holds is a selection.
    Has(Box<Node>),
    List(Vec<Item>),
    Map(Vec<Entry>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Logic {
        any: bool,
        operands: Vec<Node>,
    },
    Arithmetic {
        first: Box<Node>,
        rest: Vec<(Arithmetic, Span, Node)>,
    },
    Relation {
        relation: Relation,
        left: Box<Node>,
        right: Box<Node>,
    },
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    Call(Box<Call>),
    /// `a.orValue(b)`, which unwraps, and `a.or(b)`, which doesn't.
    Fallback {
        operand: Box<Node>,
        fallback: Box<Node>,
        unwrap: bool,
    },
    /// `cel.bind(name, value, body)`.
    Bind {
        slot: usize,
        value: Box<Node>,
        body: Box<Node>,
    },
    /// `optMap`, and `optFlatMap` where the body gives an optional itself.
    OptionalMap {
        operand: Box<Node>,
        slot: usize,
        body: Box<Node>,
        flat: bool,
    },
    Loop(Box<Loop>),
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) optional: bool,
    pub(crate) value: Node,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) optional: bool,
    pub(crate) key: Node,
    pub(crate) value: Node,
}

/// A function call. The receiver of a method is the first argument.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// Those that fit as far as types are known; the first that fits the values runs.
    pub(crate) overloads: Vec<&'static Overload>,
    pub(crate) arguments: Vec<Node>,
    /// The pattern of `matches` and its kin, where it is a literal.
    pub(crate) pattern: Option<Regex>,
}

/// A macro over the elements of a list or the entries of a map.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    pub(crate) kind: LoopKind,
    pub(crate) range: Node,
    pub(crate) variables: Variables,
    /// Which elements take part at all, where the macro has such an argument.
    pub(crate) condition: Option<Node>,
    pub(crate) body: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    /// `map` and `transformList`.
    List,
    /// `transformMap`.
    Map,
    /// `transformMapEntry`.
    Entries,
}

/// The slots of a macro's variables.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Variables {
    /// The element of a list, or the key of a map.
    One(usize),
    /// The index or key, and the value.
    Two(usize, usize),
}
