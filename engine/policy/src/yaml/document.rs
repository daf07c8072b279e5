//! From a resource's document, as a server gives it, to the same tree as from a file.

use std::sync::Arc;

use holdfast_contract::Path;
use serde_json::Value;

use super::parse::{MAX_BYTES, MAX_DEPTH, MAX_NODES, too_deep};
use super::{Data, Key, Node, Parsed};
use crate::anchor::Style;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::place::{Place, Source};

/// Takes `document` for that of the resource which messages call `name`. Each node's place is its path.
pub(crate) fn from_json(name: &Arc<str>, document: &Value) -> Parsed {
    let mut reader = Reader {
        name,
        nodes: 0,
        bytes: 0,
    };
    match reader.node(document, &Path::root(), 0) {
        Ok(node) => Parsed {
            documents: vec![node],
            faults: Vec::new(),
        },
        Err(fault) => Parsed {
            documents: Vec::new(),
            faults: vec![*fault],
        },
    }
}

struct Reader<'n> {
    name: &'n Arc<str>,
    nodes: usize,
    bytes: usize,
}

impl Reader<'_> {
    fn node(&mut self, value: &Value, path: &Path, depth: usize) -> Result<Node, Box<Diagnostic>> {
        let shown: Arc<str> = path.to_string().into();
        // A list or map can't be within itself here, so this alone bounds the recursion.
        if depth > MAX_DEPTH {
            let source = Source::of_value(self.name, &shown, "");
            return Err(Box::new(too_deep(source.whole())));
        }
        self.nodes = self.nodes.saturating_add(1);
        let below = depth.saturating_add(1);
        let mut text = "";
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(value) => Data::Bool(*value),
            Value::Number(number) => Data::Number(number.clone()),
            Value::String(value) => {
                text = value;
                Data::Text(value.clone(), Style::Block)
            }
            Value::Array(items) => Data::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.node(item, &path.index(index), below))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(fields) => Data::Map(
                fields
                    .iter()
                    .map(|(name, value)| {
                        let path = path.key(name);
                        Ok((self.key(name, &path), self.node(value, &path, below)?))
                    })
                    .collect::<Result<_, Box<Diagnostic>>>()?,
            ),
        };
        self.bytes = self.bytes.saturating_add(text.len());
        let source = Source::of_value(self.name, &shown, text);
        let place = source.whole();
        if self.nodes > MAX_NODES || self.bytes > MAX_BYTES {
            let message = "the policy has more in it than is read";
            let fault = Diagnostic::error(Code::TooLarge, Place::of_file(self.name), message);
            return Err(Box::new(fault.with_hint(format!(
                "at most {MAX_NODES} values, and {} MiB of text",
                MAX_BYTES.div_euclid(1024 * 1024)
            ))));
        }
        Ok(Node { place, source, data })
    }

    /// A key's place is its entry's, where expressions within a key have theirs too.
    fn key(&mut self, text: &str, path: &Path) -> Key {
        self.bytes = self.bytes.saturating_add(text.len());
        let source = Source::of_value(self.name, &path.to_string().into(), text);
        Key {
            text: text.to_owned(),
            place: source.whole(),
            style: Style::Block,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(document: &Value) -> Parsed {
        from_json(&"shop/one".into(), document)
    }

    #[test]
    fn every_node_is_told_by_its_path() {
        let parsed = parsed(&json!({"spec": {"rules": {"a": {"desired": [{"x/y": "one"}]}}}}));
        let desired = ["spec", "rules", "a", "desired"]
            .iter()
            .fold(&parsed.documents[0], |node, key| node.get(key).unwrap());
        let (key, node) = desired.items().unwrap()[0].entry("x/y").unwrap();
        assert_eq!(
            node.place.to_string(),
            r#"shop/one spec.rules.a.desired[0]["x/y"]"#
        );
        assert_eq!(key.place.path, node.place.path);
    }

    #[test]
    fn a_place_within_a_text_has_its_line_if_there_are_several() {
        use holdfast_expression::Span;

        let parsed = parsed(&json!({"one": "a b", "two": "a\nb"}));
        let place = |name: &str, at: usize| {
            let node = parsed.documents[0].get(name).unwrap();
            node.anchor().place(Span::new(at, at + 1)).to_string()
        };
        assert_eq!(place("one", 2), "shop/one one");
        assert_eq!(place("two", 0), "shop/one two:1");
        assert_eq!(place("two", 2), "shop/one two:2");
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let mut deep = json!(1);
        for _ in 0..=MAX_DEPTH {
            deep = json!([deep]);
        }
        assert_eq!(parsed(&deep).faults[0].code, Code::TooDeep);
        assert!(parsed(&deep[0]).faults.is_empty());
        let wide = json!(vec![0; MAX_NODES]);
        assert_eq!(parsed(&wide).faults[0].code, Code::TooLarge);
        let long = json!("x".repeat(MAX_BYTES + 1));
        assert_eq!(parsed(&long).faults[0].code, Code::TooLarge);
    }
}
