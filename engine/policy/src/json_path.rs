//! `JSONPath` (RFC 9535), for what facts select and for places in documents.

use std::fmt;

use holdfast_contract::{Path, Segment, Value};
use holdfast_expression::Span;
use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::{JpQuery, Segment as Step, Selector};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;

use crate::place::Place;

/// Longer paths aren't read.
const LONGEST: usize = 1024;

/// A path that finds places in a document.
#[derive(Clone)]
pub struct PathQuery {
    /// As it is written.
    pub text: String,
    /// Where it stands.
    pub place: Place,
    query: JpQuery,
}

/// What a fact picks from what it reads.
#[derive(Clone, Debug)]
pub struct Select {
    /// The path.
    pub path: PathQuery,
    /// Whether it gives the list of all that is found, written `[$..x]`, rather than the only one.
    pub multiple: bool,
}

/// A select that isn't written as a list found more than one value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` finds {count} values; write it as `[{path}]` to take them all")]
pub struct SeveralFound {
    /// The path.
    pub path: String,
    /// How many it found.
    pub count: usize,
}

/// Why a text isn't a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotAPath {
    /// Where in the text.
    pub(crate) span: Span,
    /// What to do about it.
    pub(crate) hint: String,
}

impl fmt::Debug for PathQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathQuery({} at {})", self.text, self.place)
    }
}

impl PathQuery {
    pub(crate) fn parse(text: &str, place: Place) -> Result<Self, NotAPath> {
        if text.len() > LONGEST || depth(text) > MAX_DEPTH {
            let hint = "a path is at most 1024 characters long and 16 brackets deep".to_owned();
            return Err(NotAPath {
                span: Span::new(0, text.len()),
                hint,
            });
        }
        if text.matches("..").count() > MAX_DESCENTS {
            let hint = format!("a path has `..` at most {MAX_DESCENTS} times: name the way instead");
            return Err(NotAPath {
                span: Span::new(0, text.len()),
                hint,
            });
        }
        match parse_json_path(text) {
            Ok(query) => Ok(Self {
                text: text.to_owned(),
                place,
                query,
            }),
            Err(error) => Err(NotAPath {
                span: location(text, &error),
                hint: hint(text),
            }),
        }
    }

    /// What it finds in `document`, in the document's order. Sensitive parts are looked into; what is unknown is
    /// not there.
    #[must_use]
    pub fn select<'d>(&self, document: &'d Value) -> Vec<(Path, &'d Value)> {
        let Some(json) = to_json(document) else {
            return Vec::new();
        };
        let found = js_path_process(&self.query, &json).unwrap_or_default();
        let paths = found.into_iter().filter_map(|one| parse_normalized(&one.path()));
        paths
            .filter_map(|path| Some((path.clone(), document.at_path(&path)?)))
            .collect()
    }

    /// The one place that it can mean, whether or not it is there: a path of names and indices only.
    #[must_use]
    pub fn singular(&self) -> Option<Path> {
        let segments = self.query.segments.iter().map(|step| match step {
            Step::Selector(Selector::Name(name)) => Some(Segment::Key(unquote(name))),
            Step::Selector(Selector::Index(index)) => Some(Segment::Index(usize::try_from(*index).ok()?)),
            _ => None,
        });
        segments.collect::<Option<Vec<_>>>().map(Path::from)
    }

    /// The names with which it starts: `["lifecycle", "rules"]` of `$.lifecycle.rules[*]`.
    #[must_use]
    pub fn leading_names(&self) -> Vec<String> {
        let names = self.query.segments.iter().map_while(|step| match step {
            Step::Selector(Selector::Name(name)) => Some(unquote(name)),
            _ => None,
        });
        names.collect()
    }
}

impl Select {
    /// What it picks from `document`. Nothing where nothing, or only null, is found.
    ///
    /// # Errors
    /// More than one value is found, and it isn't written as a list.
    pub fn pick(&self, document: &Value) -> Result<Option<Value>, SeveralFound> {
        let mut found = self.path.select(document);
        found.retain(|(_, value)| **value != Value::Null);
        if self.multiple {
            return Ok(Some(Value::List(
                found.into_iter().map(|(_, value)| value.clone()).collect(),
            )));
        }
        if found.len() > 1 {
            return Err(SeveralFound {
                path: self.path.text.clone(),
                count: found.len(),
            });
        }
        Ok(found.first().map(|(_, value)| (*value).clone()))
    }
}

/// Each further `..` multiplies what there is to look at by the document's size.
const MAX_DESCENTS: usize = 2;

/// Filters nest by recursion in the parser.
const MAX_DEPTH: usize = 16;

fn depth(text: &str) -> usize {
    let mut deepest: usize = 0;
    let mut open: usize = 0;
    for character in text.chars() {
        match character {
            '[' | '(' | '!' => open = open.saturating_add(1),
            ']' | ')' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

fn location(text: &str, error: &JsonPathError) -> Span {
    // The library's own type for places isn't one of its exports, but its `Display` is.
    let JsonPathError::PestError(pest) = error else {
        return Span::new(0, text.len());
    };
    let printed = pest.to_string();
    let column = printed
        .split_once("--> ")
        .and_then(|(_, rest)| rest.split_once(':'))
        .and_then(|(_, rest)| rest.lines().next()?.trim().parse::<usize>().ok());
    let start = column.and_then(|column| text.char_indices().nth(column.saturating_sub(1)));
    match start {
        Some((start, character)) => Span::new(start, start.saturating_add(character.len_utf8())),
        None => Span::new(text.len().saturating_sub(1), text.len()),
    }
}

fn hint(text: &str) -> String {
    if text.trim() != text {
        return "a path has no blanks before or after it".to_owned();
    }
    if text.starts_with("[$") {
        return "a list of all matches is written with both brackets, as \"[$..x]\"".to_owned();
    }
    if !text.starts_with('$') {
        return format!("a path starts with `$`, as `$.{}`", text.trim_start_matches('.'));
    }
    if text.contains("[?") {
        return "a filter looks like `[?@.id=='x']`: compare with ==, and quote text".to_owned();
    }
    let odd = text
        .split(['.', '['])
        .skip(1)
        .find(|name| name.contains(['-', '/', ' ']) && !name.starts_with(['\'', '"']) && !name.contains(']'));
    match odd {
        Some(name) => format!("write this name as `['{name}']`"),
        None => "a path looks like `$.spec.items[0].name` or `$.metadata.labels['a/b']`".to_owned(),
    }
}

/// Plain JSON for the query to walk over: the parts that are unknown become null, which no filter finds.
fn to_json(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::Unknown(_) => serde_json::Value::Null,
        Value::Sensitive(sealed) => to_json(sealed.expose())?,
        Value::List(items) => serde_json::Value::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| Some((key.clone(), to_json(value)?)));
            serde_json::Value::Object(entries.collect::<Option<_>>()?)
        }
        other => other.expose_json()?,
    })
}

/// A name selector keeps its quotes, and its escapes, when it was written in brackets.
fn unquote(name: &str) -> String {
    let quoted = name.starts_with(['\'', '"']).then(|| take_quoted(name)).flatten();
    match quoted {
        Some((name, "")) => name,
        _ => name.to_owned(),
    }
}

/// A normalized path, `$['spec']['items'][0]`: how the library names what it found.
fn parse_normalized(text: &str) -> Option<Path> {
    let mut rest = text.strip_prefix('$')?;
    let mut segments = Vec::new();
    while !rest.is_empty() {
        rest = rest.strip_prefix('[')?;
        if rest.starts_with('\'') {
            let (key, after) = take_quoted(rest)?;
            segments.push(Segment::Key(key));
            rest = after.strip_prefix(']')?;
        } else {
            let (index, after) = rest.split_once(']')?;
            segments.push(Segment::Index(index.parse().ok()?));
            rest = after;
        }
    }
    Some(Path::from(segments))
}

/// The content of the quoted text at the start of `text`, and what follows it.
fn take_quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == quote {
            return Some((content, text.get(at.saturating_add(1)..)?));
        }
        if character != '\\' {
            content.push(character);
            continue;
        }
        content.push(match characters.next()?.1 {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let digits: String = characters.by_ref().take(4).map(|(_, digit)| digit).collect();
                char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
            }
            other => other,
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(text: &str) -> PathQuery {
        PathQuery::parse(text, Place::of_file("p.yaml")).unwrap()
    }

    fn printed(text: &str, document: serde_json::Value) -> Vec<String> {
        let document = Value::from_json(document);
        let found = path(text).select(&document);
        found
            .into_iter()
            .map(|(path, value)| format!("{path} = {value}"))
            .collect()
    }

    #[test]
    fn filters_and_wildcards_find_places() {
        let document = json!({"rules": [{"id": "a", "n": 1}, {"id": "b", "n": 2}]});
        assert_eq!(
            printed("$.rules[?@.id=='b'].n", document.clone()),
            ["rules[1].n = 2"]
        );
        assert_eq!(
            printed("$.rules[*].n", document),
            ["rules[0].n = 1", "rules[1].n = 2"]
        );
    }

    #[test]
    fn odd_keys_are_found_and_named() {
        let document = json!({"data": {"install-config": "x", "a.b/c": "y", "it's": "z", "a']['b": "w"}});
        assert_eq!(
            printed("$.data['install-config']", document.clone()),
            ["data.install-config = x"]
        );
        assert_eq!(
            printed("$.data['a.b/c']", document.clone()),
            [r#"data["a.b/c"] = y"#]
        );
        assert_eq!(printed("$.data.*", document).len(), 4);
    }

    #[test]
    fn a_path_of_names_means_one_place_even_where_it_is_not_there() {
        assert_eq!(path("$.a['b-c'][0]").singular().unwrap().to_string(), "a.b-c[0]");
        assert_eq!(path("$.a[*]").singular(), None);
        assert_eq!(path("$.a.b[*]").leading_names(), ["a", "b"]);
    }

    #[test]
    fn a_wrong_path_is_placed_and_hinted() {
        let error = |text: &str| PathQuery::parse(text, Place::of_file("p.yaml")).unwrap_err();
        assert_eq!(
            error("$.data.install-config").hint,
            "write this name as `['install-config']`"
        );
        assert_eq!(error("$.data.install-config").span, Span::new(14, 15));
        assert_eq!(error("spec.x").hint, "a path starts with `$`, as `$.spec.x`");
        assert!(error("$..a..b..c").hint.contains("at most 2 times"));
        assert!(PathQuery::parse(&"[".repeat(900), Place::of_file("p")).is_err());
    }

    #[test]
    fn several_matches_are_an_error_unless_all_are_wanted() {
        let document = Value::from_json(json!({"a": [1, 2, null]}));
        let select = |multiple| Select {
            path: path("$.a[*]"),
            multiple,
        };
        assert_eq!(select(false).pick(&document).unwrap_err().count, 2);
        assert_eq!(
            select(true).pick(&document).unwrap().unwrap().to_string(),
            "[1,2]"
        );
        let none = Select {
            path: path("$.b"),
            multiple: false,
        };
        assert_eq!(none.pick(&document), Ok(None));
    }
}
