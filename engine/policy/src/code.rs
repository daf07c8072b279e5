//! The closed list of what can be wrong with a policy.

use std::fmt;

use serde::{Serialize, Serializer};

/// What is wrong, for machines. Codes never change their meaning, and a retired one isn't used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The text isn't YAML.
    Yaml,
    /// A map has the same key twice.
    DuplicateKey,
    /// A field that isn't known here.
    UnknownField,
    /// A value of another type than belongs here.
    WrongType,
    /// A field that must be there isn't.
    MissingField,
    /// A value of the right type that isn't allowed here.
    InvalidValue,
    /// A key that isn't an identifier.
    Identifier,
    /// A null where none can be.
    Null,
    /// A YAML tag.
    Tag,
    /// Nested too deeply.
    TooDeep,
    /// Too many bytes or nodes.
    TooLarge,
    /// Aliases that expand beyond all measure.
    AliasBomb,
    /// More than one document in a file that holds one.
    ManyDocuments,
    /// The document isn't a policy.
    NotAPolicy,
    /// Two fields that exclude each other.
    Conflict,
    /// Two policies of one name.
    DuplicatePolicy,
    /// The text isn't an expression.
    Expression,
    /// An expression of the wrong type, or an operator on operands of the wrong types.
    ExpressionType,
    /// A template whose `${` isn't closed.
    Template,
    /// A `${` where a bare expression belongs.
    TemplateInExpression,
    /// A name that isn't defined.
    Undefined,
    /// A function that isn't defined.
    UndefinedFunction,
    /// Something that can't be used in this place.
    NotHere,
    /// Definitions that need each other.
    Cycle,
    /// Two cases that hold at once.
    AmbiguousCases,
    /// A path that isn't `JSONPath`.
    JsonPath,
    /// An expression too long, too deeply nested or too costly.
    Budget,
    /// An expression that can't be evaluated.
    Evaluation,
    /// A sensitive value where none may be.
    SensitiveValue,
    /// A kind that isn't known.
    UnknownKind,
    /// A provider that isn't known, or one of several that must be named.
    UnknownProvider,
    /// Something desired that would shut out whoever comes by the provider's settings.
    Lockout,
    /// A file that isn't there.
    FileMissing,
    /// A file outside of the policy's folder.
    FileOutside,
    /// A file that can't be read.
    FileUnreadable,
    /// A parameter's value that its schema doesn't allow.
    ParameterValue,
    /// A parameter without a value.
    ParameterMissing,
    /// A parameter that the policy doesn't have.
    ParameterUnknown,
    /// A Secret's value for a parameter that isn't sensitive.
    ParameterNotSensitive,
    /// Part of the language, but not there yet.
    NotYet,
}

impl Code {
    /// All codes, in order.
    pub const ALL: &'static [Self] = &[
        Self::Yaml,
        Self::DuplicateKey,
        Self::UnknownField,
        Self::WrongType,
        Self::MissingField,
        Self::InvalidValue,
        Self::Identifier,
        Self::Null,
        Self::Tag,
        Self::TooDeep,
        Self::TooLarge,
        Self::AliasBomb,
        Self::ManyDocuments,
        Self::NotAPolicy,
        Self::Conflict,
        Self::DuplicatePolicy,
        Self::Expression,
        Self::ExpressionType,
        Self::Template,
        Self::TemplateInExpression,
        Self::Undefined,
        Self::UndefinedFunction,
        Self::NotHere,
        Self::Cycle,
        Self::AmbiguousCases,
        Self::JsonPath,
        Self::Budget,
        Self::Evaluation,
        Self::SensitiveValue,
        Self::UnknownKind,
        Self::UnknownProvider,
        Self::Lockout,
        Self::FileMissing,
        Self::FileOutside,
        Self::FileUnreadable,
        Self::ParameterValue,
        Self::ParameterMissing,
        Self::ParameterUnknown,
        Self::ParameterNotSensitive,
        Self::NotYet,
    ];

    /// `HF0103`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.entry().0
    }

    /// What it means and what to do, in one or two sentences, for the reference.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.entry().1
    }

    #[expect(clippy::too_many_lines, reason = "one entry for each code")]
    const fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::Yaml => (
                "HF0101",
                "The text isn't YAML 1.2. The message says what the parser met and where.",
            ),
            Self::DuplicateKey => (
                "HF0102",
                "A map has the same key twice. Keep one of the two places named.",
            ),
            Self::UnknownField => (
                "HF0103",
                "No field of this name is known here. The hint names the nearest known one.",
            ),
            Self::WrongType => (
                "HF0104",
                "A value of another type than belongs here, such as a list for a map.",
            ),
            Self::MissingField => ("HF0105", "A field that must be there isn't."),
            Self::InvalidValue => (
                "HF0106",
                "A value of the right type that isn't one of those allowed.",
            ),
            Self::Identifier => (
                "HF0107",
                "Keys of parameters, facts, variables, providers and rules match [a-z][A-Za-z0-9]*, so that expressions \
                 can name them.",
            ),
            Self::Null => (
                "HF0108",
                "A key with null. Outside of `desired` and manifests a key is given a value or left out.",
            ),
            Self::Tag => (
                "HF0109",
                "A YAML tag. An expression that starts with `!` must be quoted.",
            ),
            Self::TooDeep => ("HF0110", "The document is nested more deeply than is read."),
            Self::TooLarge => ("HF0111", "The file has more bytes or nodes than are read."),
            Self::AliasBomb => ("HF0112", "Aliases expand to more nodes than are read."),
            Self::ManyDocuments => ("HF0113", "A policy's file holds one document."),
            Self::NotAPolicy => ("HF0114", "The document isn't a policy of holdfast.dev/v1alpha1."),
            Self::Conflict => ("HF0115", "Two fields that exclude each other."),
            Self::DuplicatePolicy => (
                "HF0116",
                "Two files have policies of one namespace and name. They would undo each other's work: rename one.",
            ),
            Self::Expression => ("HF0201", "The text isn't an expression."),
            Self::ExpressionType => (
                "HF0202",
                "An expression gives another type than belongs here, or an operator meets a wrong one.",
            ),
            Self::Template => ("HF0203", "A template's `${` has no closing brace."),
            Self::TemplateInExpression => (
                "HF0204",
                "This field is an expression by itself: write it without `${` and `}`.",
            ),
            Self::Undefined => ("HF0210", "An expression names something that isn't defined."),
            Self::UndefinedFunction => ("HF0211", "An expression calls a function that doesn't exist."),
            Self::NotHere => (
                "HF0212",
                "Something that exists, but can't be used in this place.",
            ),
            Self::Cycle => (
                "HF0213",
                "Definitions need each other; the message names the loop.",
            ),
            Self::AmbiguousCases => ("HF0214", "Two cases of one rule hold at once. At most one may."),
            Self::JsonPath => ("HF0215", "The path isn't JSONPath (RFC 9535)."),
            Self::Budget => (
                "HF0216",
                "An expression is too long, too deeply nested, or too costly.",
            ),
            Self::Evaluation => (
                "HF0217",
                "An expression can't be evaluated, with what it is given.",
            ),
            Self::SensitiveValue => (
                "HF0218",
                "A sensitive value in a name, key, label, message or condition.",
            ),
            Self::UnknownKind => ("HF0301", "No provider has a kind of this name."),
            Self::UnknownProvider => (
                "HF0302",
                "No provider of this name or type, or several of a type of which one must be named.",
            ),
            Self::Lockout => (
                "HF0303",
                "What a rule declares would shut out whoever comes by its provider's settings, this program included: a \
                 statement that denies plain HTTP, on an endpoint that is reached by it. On the own machine a warning.",
            ),
            Self::FileMissing => ("HF0401", "A manifest or template that isn't there."),
            Self::FileOutside => (
                "HF0402",
                "Manifests and templates lie in the policy's folder: no `..`, no absolute path, no link out.",
            ),
            Self::FileUnreadable => ("HF0403", "A file that can't be read; the message says why."),
            Self::ParameterValue => ("HF0501", "A value that the parameter's schema doesn't allow."),
            Self::ParameterMissing => ("HF0502", "A parameter without a default was given no value."),
            Self::ParameterUnknown => ("HF0503", "A value for a parameter that the policy doesn't have."),
            Self::ParameterNotSensitive => (
                "HF0504",
                "A Secret may fill only parameters that are marked `sensitive: true`.",
            ),
            Self::NotYet => (
                "HF0601",
                "Part of the language that this version of the engine doesn't do yet.",
            ),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Code;

    #[test]
    fn every_code_has_an_id_of_its_own_and_they_are_in_order() {
        let ids: Vec<&str> = Code::ALL.iter().map(|code| code.id()).collect();
        let sorted: Vec<&str> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        assert_eq!(ids, sorted);
    }
}
