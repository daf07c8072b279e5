//! The language in which [`table`](crate::table) describes the service's documents.

use std::collections::BTreeMap;

use holdfast_contract::{Field, ListIdentity, Shape};

/// One element of a document: its name in XML, its name in a policy, and what it holds.
#[derive(Debug)]
pub(crate) struct Element {
    /// As the service writes it: `SSEAlgorithm`.
    pub(crate) xml: &'static str,
    /// As a policy writes it: `sseAlgorithm`.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) content: Content,
    /// Whether the service refuses a document without it.
    pub(crate) required: bool,
    /// Whether it compares whole where it is declared: of several fields the service takes one, and one field more or
    /// less means other objects.
    pub(crate) whole: bool,
    /// What it means, in one sentence.
    pub(crate) doc: &'static str,
}

/// What an element holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// Text; of a closed list if that is not empty.
    Text(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// An integer.
    Integer,
    /// A day, as ISO 8601.
    Date,
    /// Elements, in the order in which the service wants them.
    Struct(&'static [Element]),
    /// A list without an element of its own: the element is repeated.
    Repeated(&'static Content, ListIdentity),
    /// A list in an element of its own, each item under the given name.
    Wrapped(&'static str, &'static Content, ListIdentity),
    /// Not an element but an attribute of the surrounding one.
    Attribute,
}

impl Element {
    /// Any text.
    pub(crate) const fn text(xml: &'static str, name: &'static str, doc: &'static str) -> Self {
        Self::new(xml, name, Content::Text(&[]), doc)
    }

    /// Text of a closed list.
    pub(crate) const fn one_of(
        xml: &'static str,
        name: &'static str,
        one_of: &'static [&'static str],
        doc: &'static str,
    ) -> Self {
        Self::new(xml, name, Content::Text(one_of), doc)
    }

    /// A boolean.
    pub(crate) const fn bool(xml: &'static str, name: &'static str, doc: &'static str) -> Self {
        Self::new(xml, name, Content::Bool, doc)
    }

    /// An integer.
    pub(crate) const fn integer(xml: &'static str, name: &'static str, doc: &'static str) -> Self {
        Self::new(xml, name, Content::Integer, doc)
    }

    /// Elements within this one.
    pub(crate) const fn group(
        xml: &'static str,
        name: &'static str,
        elements: &'static [Element],
        doc: &'static str,
    ) -> Self {
        Self::new(xml, name, Content::Struct(elements), doc)
    }

    /// Anything.
    pub(crate) const fn new(
        xml: &'static str,
        name: &'static str,
        content: Content,
        doc: &'static str,
    ) -> Self {
        Self {
            xml,
            name,
            content,
            required: false,
            whole: false,
            doc,
        }
    }

    /// The same, but no document is complete without it.
    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same, but compared whole.
    pub(crate) const fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Whether it is a list.
    pub(crate) const fn is_list(&self) -> bool {
        matches!(self.content, Content::Repeated(..) | Content::Wrapped(..))
    }

    fn field(&self) -> (&'static str, Field) {
        let field = Field {
            shape: self.content.shape(),
            required: self.required,
            doc: self.doc,
        };
        (self.name, field)
    }
}

impl Content {
    fn shape(&self) -> Shape {
        match self {
            Self::Text(one_of) => Shape::String { one_of },
            Self::Bool => Shape::Bool,
            Self::Integer => Shape::Integer,
            Self::Date | Self::Attribute => Shape::TEXT,
            Self::Struct(elements) => object(elements),
            Self::Repeated(item, identity) | Self::Wrapped(_, item, identity) => Shape::List {
                item: Box::new(item.shape()),
                identity: *identity,
            },
        }
    }
}

/// The shape of a document of `elements`.
pub(crate) fn object(elements: &[Element]) -> Shape {
    Shape::Object(fields(elements))
}

/// The fields of a document of `elements`.
pub(crate) fn fields(elements: &[Element]) -> BTreeMap<&'static str, Field> {
    elements.iter().map(Element::field).collect()
}
