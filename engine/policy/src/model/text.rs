//! The parts of a policy that are computed: expressions, templates, and trees of them.

use std::collections::BTreeMap;

use holdfast_contract::Value;
use holdfast_expression::{Index, Program, Segment, Span};

use crate::anchor::Anchor;
use crate::place::Place;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    /// What to run.
    pub program: Program,
    /// Where it stands.
    pub place: Place,
    /// Where each byte of it stands.
    pub(crate) anchor: Anchor,
}

/// A text with `${…}` in it.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its parts in order; none where it means what is written. A single [`Part::Expression`] keeps its type.
    pub parts: Box<[Part]>,
    /// Where it stands.
    pub place: Place,
    /// The text as written.
    pub source: String,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub enum Part {
    /// Text as it is.
    Text(Box<str>),
    /// What stands between `${` and `}`.
    Expression(Box<Expression>),
}

/// A YAML tree with its templates compiled.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub node: TreeNode,
}

/// A node of a tree.
#[derive(Clone, Debug)]
pub enum TreeNode {
    /// A scalar as it is.
    Literal(Value),
    /// A text with `${…}` in it.
    Template(Box<Template>),
    /// A list.
    List(Vec<Tree>),
    /// A map.
    Map {
        /// `$when`: whether it is there at all. Beside `$forEach` it is asked for each item.
        when: Option<Box<Expression>>,
        /// `$forEach`: one map for each item. In a list each is an item; elsewhere they are laid into one.
        for_each: Option<Box<Expression>>,
        /// Its entries as written.
        entries: Vec<Entry>,
    },
}

/// An entry of a map.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key.
    pub key: Template,
    /// Its value.
    pub value: Tree,
}

/// A name that an expression uses, with the fields selected from it: `rules.bucket.name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `rules`, `facts`, `parameters`, `variables`, `self`, `each`.
    pub root: String,
    /// The steps after it, as far as they are written one after another.
    pub path: Vec<Segment>,
    /// Whether its end may be absent without an error, because it stands in `has()` or after `.?`.
    pub guarded: bool,
    /// Where it stands.
    pub place: Place,
}

impl Reference {
    /// The text of the step at `position`, counted from 0 after the root, where it is written out.
    #[must_use]
    pub fn step(&self, position: usize) -> Option<&str> {
        match self.path.get(position)? {
            Segment::Field(name) | Segment::Index(Index::String(name)) => Some(name),
            Segment::Index(Index::Int(_)) | Segment::Dynamic => None,
        }
    }

    /// What it names under its root: `bucket` of `rules.bucket.name`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.step(0)
    }
}

impl Expression {
    /// Where a part of it stands.
    #[must_use]
    pub fn place_of(&self, span: Span) -> Place {
        self.anchor.place(span)
    }

    /// What it uses.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let named = self.program.references().iter().filter_map(|reference| {
            let (Segment::Field(root), path) = reference.path.split_first()? else {
                return None;
            };
            Some(Reference {
                root: root.clone(),
                path: path.to_vec(),
                guarded: reference.guarded,
                place: self.place_of(reference.span),
            })
        });
        named.collect()
    }
}

impl Template {
    /// What it uses.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        self.expressions().flat_map(Expression::references).collect()
    }

    /// Its expressions in order.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expression(expression) => Some(&**expression),
            Part::Text(_) => None,
        })
    }

    /// The text, if there is nothing to compute.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(&self.source),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The expression, if the text is exactly one.
    #[must_use]
    pub fn sole(&self) -> Option<&Expression> {
        match &*self.parts {
            [Part::Expression(expression)] => Some(expression),
            _ => None,
        }
    }
}

impl Tree {
    /// A map without entries.
    #[must_use]
    pub fn empty(place: Place) -> Self {
        Self {
            place,
            node: TreeNode::Map {
                when: None,
                for_each: None,
                entries: Vec::new(),
            },
        }
    }

    /// What it uses.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut found = Vec::new();
        self.visit(&mut |expression| found.extend(expression.references()));
        found
    }

    /// Calls `visitor` with every expression in it, keys and conditions included.
    pub fn visit<'t>(&'t self, visitor: &mut dyn FnMut(&'t Expression)) {
        match &self.node {
            TreeNode::Literal(_) => {}
            TreeNode::Template(template) => template.expressions().for_each(visitor),
            TreeNode::List(items) => items.iter().for_each(|item| item.visit(visitor)),
            TreeNode::Map {
                when,
                for_each,
                entries,
            } => {
                when.iter()
                    .chain(for_each)
                    .map(|one| &**one)
                    .for_each(&mut *visitor);
                for entry in entries {
                    entry.key.expressions().for_each(&mut *visitor);
                    entry.value.visit(visitor);
                }
            }
        }
    }

    /// The value at the literal key `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let TreeNode::Map { entries, .. } = &self.node else {
            return None;
        };
        entries
            .iter()
            .find(|entry| entry.key.literal() == Some(key))
            .map(|entry| &entry.value)
    }

    /// The entries under literal keys, if this is a map.
    #[must_use]
    pub fn literal_entries(&self) -> BTreeMap<&str, &Self> {
        let TreeNode::Map { entries, .. } = &self.node else {
            return BTreeMap::new();
        };
        entries
            .iter()
            .filter_map(|entry| Some((entry.key.literal()?, &entry.value)))
            .collect()
    }
}
