//! Reading the fields of a map, and what is in them.

use std::time::Duration;

use holdfast_expression::{parse_duration, suggest};

use super::hints::{neighbour_field, neighbour_word};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::yaml::{Data, Key, Node};

/// The fields of a map of which all are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'n> {
    node: &'n Node,
    owner: &'static str,
}

/// Fields that tools write as null where a server hasn't set them yet.
const SERVERS: &[&str] = &["creationTimestamp", "status"];

impl<'n> Fields<'n> {
    /// Takes `node` for a map with the fields `known`, of what messages call `owner`, and reports others. Nothing where
    /// it isn't a map.
    pub(crate) fn of(
        node: &'n Node,
        owner: &'static str,
        known: &[&str],
        faults: &mut Diagnostics,
    ) -> Option<Self> {
        let entries = map(node, owner, faults)?;
        for (key, value) in entries {
            if !known.contains(&key.text.as_str()) {
                faults.push(unknown_field(key, owner, known));
            } else if matches!(value.data, Data::Null) && !SERVERS.contains(&key.text.as_str()) {
                faults.push(null(key));
            }
        }
        Some(Self { node, owner })
    }

    /// The map itself.
    pub(crate) const fn node(&self) -> &'n Node {
        self.node
    }

    /// The field `key`, if it is there and isn't null.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.node
            .get(key)
            .filter(|node| !matches!(node.data, Data::Null | Data::Broken))
    }

    /// The field `key`; that it isn't there is reported.
    pub(crate) fn required(&self, key: &str, faults: &mut Diagnostics) -> Option<&'n Node> {
        if self.node.get(key).is_none() {
            let message = format!("{} needs `{key}`", self.owner);
            faults.push(Diagnostic::error(
                Code::MissingField,
                self.node.head().clone(),
                message,
            ));
        }
        self.get(key)
    }

    /// The text of the field `key`.
    pub(crate) fn text(&self, key: &str, faults: &mut Diagnostics) -> Option<&'n str> {
        text(self.get(key)?, key, faults)
    }

    /// The boolean of the field `key`.
    pub(crate) fn boolean(&self, key: &str, faults: &mut Diagnostics) -> Option<bool> {
        let node = self.get(key)?;
        match node.data {
            Data::Bool(value) => Some(value),
            Data::Text(ref word, _) if is_older_boolean(word) => {
                let message = format!("`{key}` must be true or false, not text");
                let fault = Diagnostic::error(Code::WrongType, node.place.clone(), message);
                faults.push(fault.with_hint("YAML 1.2 has no yes, no, on and off"));
                None
            }
            _ => wrong_type(node, key, "true or false", faults),
        }
    }

    /// The whole number, 0 or more, of the field `key`.
    pub(crate) fn count(&self, key: &str, faults: &mut Diagnostics) -> Option<u64> {
        let node = self.get(key)?;
        match &node.data {
            Data::Number(number) if number.as_u64().is_some() => number.as_u64(),
            _ => wrong_type(node, key, "a whole number, 0 or more", faults),
        }
    }

    /// The number of the field `key`.
    pub(crate) fn number(&self, key: &str, faults: &mut Diagnostics) -> Option<f64> {
        let node = self.get(key)?;
        match &node.data {
            Data::Number(number) => number.as_f64(),
            _ => wrong_type(node, key, "a number", faults),
        }
    }

    /// The duration of the field `key`.
    pub(crate) fn duration(&self, key: &str, faults: &mut Diagnostics) -> Option<Duration> {
        let node = self.get(key)?;
        let parsed =
            text(node, key, faults).map(|text| parse_duration(text).and_then(|d| Duration::try_from(d).ok()));
        if parsed == Some(None) {
            let message = format!("`{key}` isn't a duration");
            let fault = Diagnostic::error(Code::InvalidValue, node.place.clone(), message);
            faults.push(fault.with_hint("durations look like 90s, 5m, 1h30m or 7d"));
        }
        parsed.flatten()
    }

    /// The texts of the field `key`, a list, each with its node.
    pub(crate) fn texts(&self, key: &str, faults: &mut Diagnostics) -> Vec<(&'n Node, &'n str)> {
        let Some(node) = self.get(key) else {
            return Vec::new();
        };
        let items = list(node, key, faults).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| Some((item, text(item, key, faults)?)))
            .collect()
    }

    /// The items of the field `key`, a list.
    pub(crate) fn items(&self, key: &str, faults: &mut Diagnostics) -> &'n [Node] {
        self.get(key)
            .and_then(|node| list(node, key, faults))
            .unwrap_or_default()
    }

    /// The entries of the field `key`, a map, without those that are null, which are reported.
    pub(crate) fn entries(&self, key: &str, faults: &mut Diagnostics) -> Vec<&'n (Key, Node)> {
        let Some(node) = self.get(key) else {
            return Vec::new();
        };
        if key == "rules" && node.items().is_some() {
            let fault = Diagnostic::error(
                Code::WrongType,
                node.place.clone(),
                "`rules` is a map from key to rule",
            );
            faults.push(fault.with_hint("give each rule a key: `rules: { bucket: { ensure: … } }`"));
            return Vec::new();
        }
        let Data::Map(entries) = &node.data else {
            wrong_type::<()>(node, key, "a map", faults);
            return Vec::new();
        };
        let mut found = Vec::new();
        for entry in entries {
            match entry.1.data {
                Data::Null => faults.push(null(&entry.0)),
                Data::Broken => {}
                _ => found.push(entry),
            }
        }
        found
    }

    /// One of the words `allowed` of the field `key`, given back as it stands there.
    pub(crate) fn choice(
        &self,
        key: &str,
        allowed: &'static [&'static str],
        faults: &mut Diagnostics,
    ) -> Option<&'n str> {
        let node = self.get(key)?;
        let word = text(node, key, faults)?;
        one_of(node, word, key, allowed, faults)
    }
}

fn is_older_boolean(word: &str) -> bool {
    matches!(
        word.to_ascii_lowercase().as_str(),
        "yes" | "no" | "on" | "off" | "y" | "n"
    )
}

/// `word` if it is one of `allowed`; else that is reported.
pub(super) fn one_of<'n>(
    node: &Node,
    word: &'n str,
    key: &str,
    allowed: &'static [&'static str],
    faults: &mut Diagnostics,
) -> Option<&'n str> {
    if allowed.contains(&word) {
        return Some(word);
    }
    let message = format!("`{word}` isn't a value of `{key}`");
    let near = neighbour_word(word, allowed).or_else(|| suggest(word, allowed.iter().copied()));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of {}", allowed.join(", ")),
    };
    faults.push(Diagnostic::error(Code::InvalidValue, node.place.clone(), message).with_hint(hint));
    None
}

fn unknown_field(key: &Key, owner: &str, known: &[&str]) -> Diagnostic {
    let fault = Diagnostic::error(
        Code::UnknownField,
        key.place.clone(),
        format!("unknown field `{}`", key.text),
    );
    if let Some(hint) = neighbour_field(owner, &key.text) {
        return fault.with_hint(hint);
    }
    match suggest(&key.text, known.iter().copied()) {
        Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
        None if key.text.contains(['(', ')', '=', '!', '<', '>', '&', '|', '\'']) => {
            fault.with_hint("inside `{ … }` a comma ends a value: quote an expression that has one")
        }
        None => fault.with_hint(format!("{owner} has {}", some_of(known))),
    }
}

/// As many of `words`, in order, as can be read at a glance.
fn some_of(words: &[&str]) -> String {
    const AT_A_GLANCE: usize = 14;
    let shown = words
        .iter()
        .take(AT_A_GLANCE)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if words.len() > AT_A_GLANCE {
        format!("{shown}, …")
    } else {
        shown
    }
}

/// A key with null.
pub(super) fn null(key: &Key) -> Diagnostic {
    let fault = Diagnostic::error(Code::Null, key.place.clone(), format!("`{}` is null", key.text));
    fault.with_hint("give it a value, or leave the key out")
}

/// The entries of `node`, a map.
pub(super) fn map<'n>(node: &'n Node, owner: &str, faults: &mut Diagnostics) -> Option<&'n [(Key, Node)]> {
    match &node.data {
        Data::Map(entries) => Some(entries),
        Data::Broken => None,
        _ => {
            let message = format!("{owner} is a map, not {}", node.described());
            faults.push(Diagnostic::error(Code::WrongType, node.place.clone(), message));
            None
        }
    }
}

/// The items of `node`, a list.
pub(super) fn list<'n>(node: &'n Node, key: &str, faults: &mut Diagnostics) -> Option<&'n [Node]> {
    match &node.data {
        Data::List(items) => Some(items),
        Data::Broken => None,
        _ => wrong_type(node, key, "a list", faults),
    }
}

/// The text of `node`.
pub(super) fn text<'n>(node: &'n Node, key: &str, faults: &mut Diagnostics) -> Option<&'n str> {
    match &node.data {
        Data::Text(text, _) => Some(text),
        Data::Broken => None,
        Data::Bool(_) | Data::Number(_) => {
            let message = format!("`{key}` must be text, not {}", node.described());
            let fault = Diagnostic::error(Code::WrongType, node.place.clone(), message);
            faults.push(fault.with_hint("quote it"));
            None
        }
        _ => wrong_type(node, key, "text", faults),
    }
}

/// Reports that `node` isn't what `key` must be.
pub(super) fn wrong_type<T>(node: &Node, key: &str, expected: &str, faults: &mut Diagnostics) -> Option<T> {
    if !matches!(node.data, Data::Broken) {
        let message = format!("`{key}` must be {expected}, not {}", node.described());
        faults.push(Diagnostic::error(Code::WrongType, node.place.clone(), message));
    }
    None
}

/// Whether `key` is an identifier; that it isn't is reported.
pub(super) fn identifier(key: &Key, what: &str, faults: &mut Diagnostics) -> bool {
    let mut letters = key.text.chars();
    let fits = letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_alphanumeric());
    let reserved = matches!(key.text.as_str(), "true" | "false" | "null" | "in");
    if fits && !reserved {
        return true;
    }
    let message = format!("`{}` can't be the key of {what}", key.text);
    let fault = Diagnostic::error(Code::Identifier, key.place.clone(), message);
    faults.push(fault.with_hint(match as_identifier(&key.text) {
        Some(name) if !reserved => format!("keys match [a-z][A-Za-z0-9]*, as `{name}`"),
        _ => "keys match [a-z][A-Za-z0-9]*, so that expressions can name them".to_owned(),
    }));
    false
}

/// `my-bucket` as `myBucket`.
fn as_identifier(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut upper = false;
    for letter in text.chars() {
        if !letter.is_ascii_alphanumeric() {
            upper = !name.is_empty();
        } else if name.is_empty() {
            name.push(letter.to_ascii_lowercase());
        } else {
            name.push(if upper {
                letter.to_ascii_uppercase()
            } else {
                letter
            });
            upper = false;
        }
    }
    name.starts_with(|first: char| first.is_ascii_lowercase())
        .then_some(name)
}
