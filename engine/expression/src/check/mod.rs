//! The checker: resolves names and functions, recognises macros, and finds what is wrong as far as types are known.

mod calls;
mod macros;
mod operators;

use std::sync::Arc;

use crate::ast::{self, Expr, ExprKind, Name};
use crate::evaluate::map_key;
use crate::node::{Entry, Item, Node, NodeKind};
use crate::references::{Index, Path, Segment};
use crate::{
    Environment, Error, ErrorKind, MapKey, ObjectType, Reference, Span, Type, TypeName, Value, suggest,
};

/// Checks an expression against its environment. What it has found wrong is in `errors`.
pub(crate) struct Checker<'e> {
    environment: &'e Environment,
    source: &'e str,
    pub(crate) errors: Vec<Error>,
    pub(crate) references: Vec<Reference>,
    /// Macro variables in scope; the place of each is its slot.
    locals: Vec<Local>,
    /// How many slots an evaluation needs.
    pub(crate) slots: usize,
    /// Whether it nests values in lists or maps, so that its result can be deeper than what it was given.
    pub(crate) nests: bool,
}

/// A macro variable.
struct Local {
    name: Arc<str>,
    r#type: Type,
    /// The path it stands for, where it is known.
    path: Option<Path>,
}

/// A checked node, with what is known of it.
pub(crate) struct Checked {
    pub(crate) node: Node,
    pub(crate) r#type: Type,
    /// The path it is the end of, as long as that may still grow.
    path: Option<Path>,
    /// The path that its elements are elements of.
    elements: Option<Path>,
}

impl Checked {
    fn plain(span: Span, kind: NodeKind, r#type: Type) -> Self {
        Self {
            node: Node { span, kind },
            r#type,
            path: None,
            elements: None,
        }
    }

    /// Stands for what is wrong, so that the rest can be checked.
    fn faulty(span: Span) -> Self {
        Self::plain(span, NodeKind::Literal(Value::Null), Type::Dyn)
    }
}

impl<'e> Checker<'e> {
    pub(crate) fn new(environment: &'e Environment, source: &'e str) -> Self {
        Self {
            environment,
            source,
            errors: Vec::new(),
            references: Vec::new(),
            locals: Vec::new(),
            slots: 0,
            nests: false,
        }
    }

    /// A node as a whole value: its path ends here.
    pub(crate) fn value(&mut self, expression: &Expr) -> Checked {
        let checked = self.node(expression);
        self.settle(checked)
    }

    /// Writes down the path that ends here.
    fn settle(&mut self, mut checked: Checked) -> Checked {
        if let Some(path) = checked.path.take() {
            self.references.push(path.finish(checked.node.span));
        }
        checked
    }

    fn node(&mut self, expression: &Expr) -> Checked {
        let span = expression.span;
        match &expression.kind {
            ExprKind::Literal(value) => literal(span, value),
            ExprKind::Name(name) => self.name(span, name),
            ExprKind::Select {
                operand,
                field,
                optional,
            } => self.select(span, operand, field, *optional),
            ExprKind::Index {
                operand,
                index,
                optional,
            } => self.index(span, operand, index, *optional),
            ExprKind::Call {
                target,
                function,
                arguments,
            } => self.call(span, target.as_deref(), function, arguments),
            ExprKind::List(items) => self.list(span, items),
            ExprKind::Map(entries) => self.map(span, entries),
            ExprKind::Not(operand) => self.not(span, operand),
            ExprKind::Negate(operand) => self.negate(span, operand),
            ExprKind::Logic { any, operands } => self.logic(span, *any, operands),
            ExprKind::Arithmetic { first, rest } => self.arithmetic(span, first, rest),
            ExprKind::Relation {
                relation,
                left,
                right,
            } => self.relation(span, *relation, left, right),
            ExprKind::Conditional {
                condition,
                then,
                otherwise,
            } => self.conditional(span, condition, then, otherwise),
        }
    }

    fn fail(&mut self, error: Error) -> Checked {
        let span = error.span;
        self.errors.push(error);
        Checked::faulty(span)
    }

    fn local(&self, name: &str) -> Option<(usize, &Local)> {
        self.locals
            .iter()
            .enumerate()
            .rev()
            .find(|(_, local)| &*local.name == name)
    }

    fn name(&mut self, span: Span, name: &Arc<str>) -> Checked {
        if let Some((slot, local)) = self.local(name) {
            let (r#type, path) = (local.r#type.clone(), local.path.clone());
            let node = Node {
                span,
                kind: NodeKind::Local(slot),
            };
            return Checked {
                node,
                r#type,
                elements: path.clone(),
                path,
            };
        }
        if let Some(r#type) = self.environment.roots.get(&**name) {
            let path = Some(Path::root(name));
            let node = Node {
                span,
                kind: NodeKind::Root(Arc::clone(name)),
            };
            return Checked {
                node,
                r#type: r#type.clone(),
                elements: path.clone(),
                path,
            };
        }
        if let Some(named) = TypeName::named(name) {
            return Checked::plain(span, NodeKind::Literal(Value::Type(named)), Type::Dyn);
        }
        let locals = self.locals.iter().map(|local| &*local.name);
        let roots = self.environment.roots.keys().map(String::as_str);
        let error = Error::new(ErrorKind::UnknownName, span, format!("`{name}` isn't defined"));
        let error = match suggest(name, locals.chain(roots.clone())) {
            Some(meant) => error.with_hint(format!("did you mean `{meant}`?")),
            None if self.environment.roots.is_empty() => error,
            None => error.with_hint(format!("names here: {}", listed(roots))),
        };
        self.fail(error)
    }

    fn select(&mut self, span: Span, operand: &Expr, field: &Name, optional: bool) -> Checked {
        let mut operand = self.node(operand);
        let found = self.field_type(&operand, span, field);
        let segment = Segment::Field(field.text.to_string());
        let path = operand
            .path
            .take()
            .map(|path| path.step(segment, optional || is_optional(&operand.r#type)));
        let r#type = match found {
            Ok(r#type) => chained(r#type, optional || is_optional(&operand.r#type)),
            Err(error) => {
                self.errors.push(error);
                Type::Dyn
            }
        };
        let key = MapKey::String(Arc::clone(&field.text));
        let kind = NodeKind::Select {
            operand: Box::new(operand.node),
            key,
            optional,
        };
        Checked {
            node: Node { span, kind },
            r#type,
            elements: path.clone(),
            path,
        }
    }

    fn field_type(&self, operand: &Checked, span: Span, field: &Name) -> Result<Type, Error> {
        match inside(&operand.r#type) {
            Type::Dyn => Ok(Type::Dyn),
            Type::Map(value) => Ok((**value).clone()),
            Type::Object(object) => match object.fields.get(&*field.text) {
                Some(found) => Ok(found.r#type.clone()),
                None if object.open => Ok(Type::Dyn),
                None => Err(self.unknown_field(object, span, &field.text)),
            },
            other => {
                let message = format!("`{}` can't be a field here: this is of type {other}", field.text);
                let error = Error::new(ErrorKind::Type, field.span, message);
                Err(if crate::functions::named(&field.text, true).is_empty() {
                    error
                } else {
                    error.with_hint(format!("call it: `.{}(…)`", field.text))
                })
            }
        }
    }

    fn unknown_field(&self, object: &ObjectType, span: Span, field: &str) -> Error {
        let path = span.text(self.source);
        let what = if path.len() <= 80 && !path.contains('\n') {
            path
        } else {
            field
        };
        let error = Error::new(ErrorKind::UnknownField, span, format!("`{what}` isn't defined"));
        let names = object.fields.keys().map(String::as_str);
        match suggest(field, names.clone()) {
            Some(meant) => error.with_hint(format!("did you mean `{meant}`?")),
            None if object.fields.is_empty() => error.with_hint(format!("{} has no fields", object.label)),
            None => error.with_hint(format!("{}: {}", object.label, listed(names))),
        }
    }

    fn index(&mut self, span: Span, operand: &Expr, index: &Expr, optional: bool) -> Checked {
        let mut operand = self.node(operand);
        let index = self.value(index);
        let may_be_absent = optional || is_optional(&operand.r#type);
        let (segment, field) = match &index.node.kind {
            NodeKind::Literal(Value::String(text)) => {
                let name = Name {
                    text: Arc::clone(text),
                    span: index.node.span,
                };
                (Segment::Index(Index::String(text.to_string())), Some(name))
            }
            NodeKind::Literal(Value::Int(int)) => (Segment::Index(Index::Int(*int)), None),
            _ => (Segment::Dynamic, None),
        };
        let path = operand.path.take().map(|path| path.step(segment, may_be_absent));
        let found = match (inside(&operand.r#type), field) {
            (Type::Object(_), Some(field)) => self.field_type(&operand, span, &field),
            (container, _) => element_type(container, &index, span),
        };
        let r#type = match found {
            Ok(r#type) => chained(r#type, may_be_absent),
            Err(error) => {
                self.errors.push(error);
                Type::Dyn
            }
        };
        let kind = NodeKind::Index {
            operand: Box::new(operand.node),
            index: Box::new(index.node),
            optional,
        };
        Checked {
            node: Node { span, kind },
            r#type,
            elements: path.clone(),
            path,
        }
    }

    fn list(&mut self, span: Span, items: &[ast::Item]) -> Checked {
        let mut element: Option<Type> = None;
        let mut checked = Vec::with_capacity(items.len());
        for item in items {
            let Checked { node, r#type, .. } = self.value(&item.value);
            let found = if item.optional {
                self.unwrapped(r#type, node.span)
            } else {
                r#type
            };
            element = Some(element.map_or(found.clone(), |element| element.join(found)));
            checked.push(Item {
                optional: item.optional,
                value: node,
            });
        }
        let r#type = Type::list(element.unwrap_or(Type::Dyn));
        let constant = checked.iter().map(|item| match &item.value.kind {
            NodeKind::Literal(value) if !item.optional => Some(value.clone()),
            _ => None,
        });
        let kind = if let Some(values) = constant.collect::<Option<Vec<_>>>() {
            NodeKind::Literal(Value::from(values))
        } else {
            self.nests = true;
            NodeKind::List(checked)
        };
        Checked::plain(span, kind, r#type)
    }

    fn map(&mut self, span: Span, entries: &[ast::Entry]) -> Checked {
        let mut value_type: Option<Type> = None;
        let mut all_strings = true;
        let mut checked = Vec::with_capacity(entries.len());
        self.nests |= !entries.is_empty();
        for entry in entries {
            let key = self.value(&entry.key);
            if let NodeKind::Literal(value) = &key.node.kind {
                if let Err(error) = map_key(value, key.node.span) {
                    self.errors.push(*error);
                }
            } else if !matches!(key.r#type, Type::Dyn | Type::String | Type::Int | Type::Bool) {
                let message = format!(
                    "a key is a string, an int or a bool, and this is of type {}",
                    key.r#type
                );
                self.errors
                    .push(Error::new(ErrorKind::Type, key.node.span, message));
            }
            all_strings &= key.r#type == Type::String;
            let Checked { node, r#type, .. } = self.value(&entry.value);
            let found = if entry.optional {
                self.unwrapped(r#type, node.span)
            } else {
                r#type
            };
            value_type = Some(value_type.map_or(found.clone(), |before| before.join(found)));
            checked.push(Entry {
                optional: entry.optional,
                key: key.node,
                value: node,
            });
        }
        let r#type = if all_strings {
            Type::map(value_type.unwrap_or(Type::Dyn))
        } else {
            Type::Dyn
        };
        Checked::plain(span, NodeKind::Map(checked), r#type)
    }

    /// The type inside an optional element or entry.
    fn unwrapped(&mut self, r#type: Type, span: Span) -> Type {
        match r#type {
            Type::Optional(inner) => *inner,
            Type::Dyn => Type::Dyn,
            other => {
                self.errors
                    .push(*crate::evaluate::not_optional("?", &other.to_string(), span));
                Type::Dyn
            }
        }
    }
}

fn literal(span: Span, value: &Value) -> Checked {
    let r#type = match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Double(_) => Type::Double,
        Value::String(_) => Type::String,
        Value::Bytes(_) => Type::Bytes,
        _ => Type::Dyn,
    };
    Checked::plain(span, NodeKind::Literal(value.clone()), r#type)
}

fn is_optional(r#type: &Type) -> bool {
    matches!(r#type, Type::Optional(_))
}

/// The type that selections work on: once something may be absent, they go on inside.
fn inside(r#type: &Type) -> &Type {
    if let Type::Optional(inner) = r#type {
        inner
    } else {
        r#type
    }
}

/// The type of a selection: one more optional at most, however long the chain.
fn chained(r#type: Type, optional: bool) -> Type {
    if optional { Type::maybe(r#type) } else { r#type }
}

fn element_type(container: &Type, index: &Checked, span: Span) -> Result<Type, Error> {
    let at = index.node.span;
    let unfit = |message: String| Err(Error::new(ErrorKind::Type, at, message));
    match (container, &index.r#type) {
        (Type::Dyn, _) => Ok(Type::Dyn),
        (Type::List(element), Type::Dyn | Type::Int | Type::Double) => Ok((**element).clone()),
        (Type::List(_), other) => unfit(format!(
            "an index of a list is an int, and this is of type {other}"
        )),
        (Type::Map(value), Type::Dyn | Type::String) => Ok((**value).clone()),
        (Type::Object(_), Type::Dyn | Type::String) => {
            Ok(container.entries().map_or(Type::Dyn, |(_, value)| value))
        }
        (Type::Map(_) | Type::Object(_), other) => {
            unfit(format!("the keys here are strings, and this is of type {other}"))
        }
        (other, _) => {
            let message = format!("only lists and maps have elements, and this is of type {other}");
            Err(Error::new(ErrorKind::Type, span, message))
        }
    }
}

/// Names in one line, no more than a person takes in.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const MOST: usize = 12;
    let mut names: Vec<&str> = names.collect();
    let left = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let shown = names.join(", ");
    if left == 0 {
        shown
    } else {
        format!("{shown} and {left} more")
    }
}
