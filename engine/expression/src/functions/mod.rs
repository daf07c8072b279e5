//! The functions of the language, by family.

mod conversions;
mod encoding;
mod format;
mod lists;
mod maps;
mod optionals;
mod patterns;
mod quantities;
mod restricted;
mod strings;
mod time;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::Regex;

use crate::error::{Outcome, fault};
use crate::evaluate::Machine;
use crate::node::Call;
use crate::{Error, ErrorKind, Span, Type, Value};

pub(crate) use encoding::encode_base64;
pub(crate) use patterns::compile_pattern;
pub(crate) use time::{not_a_duration, not_a_timestamp};

/// One way to call a function.
#[derive(Debug)]
pub(crate) struct Overload {
    pub(crate) name: &'static str,
    /// Whether it is called as `a.name(…)`; `a` is then its first argument.
    pub(crate) method: bool,
    pub(crate) takes: &'static [Kind],
    pub(crate) gives: Gives,
    /// Whether it looks at what is nested in its arguments, so that nothing in there may be unknown.
    pub(crate) deep: bool,
    pub(crate) run: fn(&mut Machine<'_>, &Site<'_>, &[Value]) -> Outcome,
}

/// Where a function is called.
pub(crate) struct Site<'n> {
    pub(crate) name: &'static str,
    pub(crate) span: Span,
    pub(crate) pattern: Option<&'n Regex>,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Any,
    Bool,
    Bytes,
    Double,
    Duration,
    Int,
    List,
    Map,
    Number,
    Optional,
    Quantity,
    String,
    Timestamp,
}

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gives {
    Bool,
    Bytes,
    Double,
    Duration,
    Dyn,
    /// An element of the first argument.
    Element,
    /// What the first argument, an optional, holds.
    Inner,
    Int,
    Ints,
    Map,
    /// An element of the first argument, if there is one.
    MaybeElement,
    /// The first argument, if it isn't a zero value.
    MaybeSame,
    Quantity,
    /// What the first argument is.
    Same,
    String,
    StringMap,
    Strings,
    Timestamp,
}

impl Overload {
    /// A function called as `name(…)`.
    const fn function(name: &'static str, takes: &'static [Kind], gives: Gives, run: Run) -> Self {
        Self {
            name,
            method: false,
            takes,
            gives,
            deep: false,
            run,
        }
    }

    /// A function called as `a.name(…)`.
    const fn method(name: &'static str, takes: &'static [Kind], gives: Gives, run: Run) -> Self {
        Self {
            name,
            method: true,
            takes,
            gives,
            deep: false,
            run,
        }
    }

    const fn deep(mut self) -> Self {
        self.deep = true;
        self
    }

    pub(crate) fn accepts(&self, values: &[Value]) -> bool {
        self.takes.len() == values.len()
            && self
                .takes
                .iter()
                .zip(values)
                .all(|(kind, value)| kind.fits(value))
    }

    pub(crate) fn accepts_types(&self, types: &[Type]) -> bool {
        self.takes.len() == types.len()
            && self
                .takes
                .iter()
                .zip(types)
                .all(|(kind, r#type)| kind.fits_type(r#type))
    }

    /// How it is called, for messages: `string.startsWith(string)`.
    fn signature(&self) -> String {
        let words: Vec<&str> = self.takes.iter().map(|kind| kind.word()).collect();
        spell(self.name, self.method, &words)
    }

    /// The type of the result for arguments of these types.
    pub(crate) fn result(&self, types: &[Type]) -> Type {
        let first = types.first().cloned().unwrap_or(Type::Dyn);
        let element = || first.entries().map_or(Type::Dyn, |(_, value)| value);
        match self.gives {
            Gives::Bool => Type::Bool,
            Gives::Bytes => Type::Bytes,
            Gives::Double => Type::Double,
            Gives::Duration => Type::Duration,
            Gives::Dyn => Type::Dyn,
            Gives::Element => element(),
            Gives::Inner => match first {
                Type::Optional(inner) => *inner,
                _ => Type::Dyn,
            },
            Gives::Int => Type::Int,
            Gives::Ints => Type::list(Type::Int),
            Gives::Map => Type::map(Type::Dyn),
            Gives::MaybeElement => Type::maybe(element()),
            Gives::MaybeSame => Type::maybe(first),
            Gives::Quantity => Type::Quantity,
            Gives::Same => first,
            Gives::String => Type::String,
            Gives::StringMap => Type::map(Type::String),
            Gives::Strings => Type::list(Type::String),
            Gives::Timestamp => Type::Timestamp,
        }
    }
}

type Run = fn(&mut Machine<'_>, &Site<'_>, &[Value]) -> Outcome;

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Any => "value",
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::Double => "double",
            Self::Duration => "duration",
            Self::Int => "int",
            Self::List => "list",
            Self::Map => "map",
            Self::Number => "number",
            Self::Optional => "optional",
            Self::Quantity => "quantity",
            Self::String => "string",
            Self::Timestamp => "timestamp",
        }
    }

    const fn fits(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Bool => matches!(value, Value::Bool(_)),
            Self::Bytes => matches!(value, Value::Bytes(_)),
            Self::Double => matches!(value, Value::Double(_)),
            Self::Duration => matches!(value, Value::Duration(_)),
            Self::Int => matches!(value, Value::Int(_)),
            Self::List => matches!(value, Value::List(_)),
            Self::Map => matches!(value, Value::Map(_)),
            Self::Number => matches!(value, Value::Int(_) | Value::Double(_)),
            Self::Optional => matches!(value, Value::Optional(_)),
            Self::Quantity => matches!(value, Value::Quantity(_)),
            Self::String => matches!(value, Value::String(_)),
            Self::Timestamp => matches!(value, Value::Timestamp(_)),
        }
    }

    const fn fits_type(self, r#type: &Type) -> bool {
        match (self, r#type) {
            (Self::Any, _) | (_, Type::Dyn) => true,
            (Self::Bool, found) => matches!(found, Type::Bool),
            (Self::Bytes, found) => matches!(found, Type::Bytes),
            (Self::Double, found) => matches!(found, Type::Double),
            (Self::Duration, found) => matches!(found, Type::Duration),
            (Self::Int, found) => matches!(found, Type::Int),
            (Self::List, found) => matches!(found, Type::List(_)),
            (Self::Map, found) => matches!(found, Type::Map(_) | Type::Object(_)),
            (Self::Number, found) => matches!(found, Type::Int | Type::Double),
            (Self::Optional, found) => matches!(found, Type::Optional(_)),
            (Self::Quantity, found) => matches!(found, Type::Quantity),
            (Self::String, found) => matches!(found, Type::String),
            (Self::Timestamp, found) => matches!(found, Type::Timestamp),
        }
    }
}

/// All functions, in the order in which overloads of one name are tried.
fn all() -> impl Iterator<Item = &'static Overload> {
    [
        conversions::FUNCTIONS,
        encoding::FUNCTIONS,
        format::FUNCTIONS,
        lists::FUNCTIONS,
        maps::FUNCTIONS,
        optionals::FUNCTIONS,
        patterns::FUNCTIONS,
        quantities::FUNCTIONS,
        restricted::FUNCTIONS,
        strings::FUNCTIONS,
        time::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

type Table = BTreeMap<(&'static str, bool), Vec<&'static Overload>>;

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Table::new();
        for overload in all() {
            table
                .entry((overload.name, overload.method))
                .or_default()
                .push(overload);
        }
        table
    })
}

/// The overloads of a function, or of a method; none where there is no such name.
pub(crate) fn named(name: &str, method: bool) -> &[&'static Overload] {
    table().get(&(name, method)).map_or(&[], Vec::as_slice)
}

/// The names of all functions, or of all methods, in order.
pub(crate) fn names(method: bool) -> impl Iterator<Item = &'static str> {
    table()
        .keys()
        .filter(move |(_, is_method)| *is_method == method)
        .map(|(name, _)| *name)
}

/// Spells a call with words for its arguments.
fn spell(name: &str, method: bool, words: &[&str]) -> String {
    match (method, words.split_first()) {
        (true, Some((receiver, rest))) => format!("{receiver}.{name}({})", rest.join(", ")),
        _ => format!("{name}({})", words.join(", ")),
    }
}

/// The fault of calling these overloads with arguments of other types.
pub(crate) fn misfit(span: Span, overloads: &[&Overload], words: &[&str]) -> Error {
    let (name, method) = overloads
        .first()
        .map_or(("", false), |first| (first.name, first.method));
    let message = format!("`{name}` can't be called as {}", spell(name, method, words));
    let hint = if words.contains(&"optional") {
        "unwrap the optional with `.orValue(…)`".to_owned()
    } else {
        let signatures: Vec<String> = overloads.iter().map(|overload| overload.signature()).collect();
        format!("it is {}", signatures.join(", or "))
    };
    Error::new(ErrorKind::Type, span, message).with_hint(hint)
}

/// The same when the types show only at evaluation.
pub(crate) fn mismatch(call: &Call, span: Span, values: &[Value]) -> Box<Error> {
    let words: Vec<&str> = values.iter().map(Value::kind).collect();
    Box::new(misfit(span, &call.overloads, &words))
}

/// For arguments that the overload's own kinds have ruled out already.
fn unfit(site: &Site<'_>) -> Outcome {
    Err(fault(
        ErrorKind::Type,
        site.span,
        format!("`{}` can't take this", site.name),
    ))
}

fn argument(site: &Site<'_>, message: impl Into<String>) -> Box<Error> {
    fault(ErrorKind::Argument, site.span, message)
}

/// A length as an int. Nothing that fits into memory is longer than an int can say.
fn int(length: usize) -> Value {
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}
