//! From the parser's events to trees, within budgets.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use holdfast_expression::Span;

use super::recover::{self, Recovered};
use super::{Data, Key, Node, scalar};
use crate::anchor::Style;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::place::{Place, Source, count};

/// The longest text that is read, in bytes. The largest sets of resource definitions in use have about 3 MiB.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The most nodes of one file, those that aliases stand for included.
pub(super) const MAX_NODES: usize = 400_000;
/// The most nodes that the aliases of one file stand for.
const MAX_ALIASED: usize = 20_000;
/// The deepest nesting. Resource definitions nest about 40 deep.
pub(super) const MAX_DEPTH: usize = 100;
/// A text with more faults than this isn't the YAML that was meant.
const MAX_FAULTS: usize = 100;

/// What was read.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The documents that could be read.
    pub(crate) documents: Vec<Node>,
    /// What is wrong. With a fault, a document may lack a part.
    pub(crate) faults: Vec<Diagnostic>,
}

/// Reads all documents of `source`.
///
/// A line that isn't YAML because an expression in it isn't quoted is reported and left out, and the rest is read on,
/// so that all faults show at once.
pub(crate) fn parse(source: &Arc<Source>) -> Parsed {
    if source.text().len() > MAX_BYTES {
        let message = format!(
            "the file is larger than {} MiB",
            MAX_BYTES.div_euclid(1024 * 1024)
        );
        let fault = Diagnostic::error(Code::TooLarge, Place::of_file(source.name()), message);
        return Parsed {
            documents: Vec::new(),
            faults: vec![fault],
        };
    }
    let mut recovered = Recovered::new(source);
    loop {
        let mut builder = Builder::new(source, recovered.broken().to_vec());
        let stopped = builder.run(recovered.text());
        let Some((fault, offset)) = stopped else {
            builder.faults.extend(recovered.into_faults());
            return Parsed {
                documents: builder.documents,
                faults: builder.faults,
            };
        };
        if recovered.patch(fault, offset) {
            continue;
        }
        builder.faults.extend(recovered.into_faults());
        return Parsed {
            documents: Vec::new(),
            faults: builder.faults,
        };
    }
}

struct Builder<'s> {
    source: &'s Arc<Source>,
    broken: Vec<Span>,
    documents: Vec<Node>,
    faults: Vec<Diagnostic>,
    open: Vec<Open>,
    /// Anchored nodes, with how many nodes each is.
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    aliased: usize,
}

/// A collection that isn't closed yet.
struct Open {
    place: Place,
    anchor: usize,
    /// How many nodes there were when it was opened.
    before: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        seen: BTreeMap<String, Place>,
        key: Option<Key>,
        /// The key is a duplicate, or no text: its value is dropped.
        dropped: bool,
    },
}

pub(super) fn too_deep(place: Place) -> Diagnostic {
    Diagnostic::error(
        Code::TooDeep,
        place,
        format!("this is nested more than {MAX_DEPTH} deep"),
    )
}

/// Why reading stopped, and at which byte.
type Stopped = (Diagnostic, usize);

impl<'s> Builder<'s> {
    fn new(source: &'s Arc<Source>, broken: Vec<Span>) -> Self {
        Self {
            source,
            broken,
            documents: Vec::new(),
            faults: Vec::new(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            nodes: 0,
            aliased: 0,
        }
    }

    fn run(&mut self, text: &str) -> Option<Stopped> {
        for event in Parser::new_from_str(text) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => return Some(self.not_yaml(&error)),
            };
            if let Err(fault) = self.event(event, &span) {
                let offset = fault.place.span.start;
                return Some((*fault, offset));
            }
            if self.faults.len() > MAX_FAULTS {
                return self.faults.pop().map(|fault| (fault, 0));
            }
        }
        None
    }

    fn not_yaml(&self, error: &ScanError) -> Stopped {
        let offset = error
            .marker()
            .byte_offset()
            .unwrap_or_else(|| self.source.text().len());
        // The parser reads ahead, and may meet its own limit before ours is reached.
        if matches!(error.kind(), granit_parser::ErrorKind::RecursionLimitExceeded) {
            let place = self.source.place(offset, offset.saturating_add(1));
            return (too_deep(place), offset);
        }
        recover::not_yaml(self.source, offset, &error.info())
    }

    fn place(&self, span: &granit_parser::Span) -> Place {
        let range = span.byte_range().unwrap_or_default();
        // A block scalar ends after its last line's end, which isn't shown.
        let text = self.source.text().get(range.clone()).unwrap_or_default();
        let end = range.start.saturating_add(text.trim_end().len());
        Place {
            line: count(span.start.line()),
            column: count(span.start.col()).saturating_add(1),
            span: Span::new(range.start, end),
            ..self.source.whole()
        }
    }

    fn event(&mut self, event: Event<'_>, span: &granit_parser::Span) -> Result<(), Box<Diagnostic>> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, span)?;
                self.scalar(text, style, anchor, tag.as_deref(), span);
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", span);
                self.start(Content::List(Vec::new()), anchor, span)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", span);
                let content = Content::Map {
                    entries: Vec::new(),
                    seen: BTreeMap::new(),
                    key: None,
                    dropped: false,
                };
                self.start(content, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end(span);
                Ok(())
            }
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, nodes: usize, span: &granit_parser::Span) -> Result<(), Box<Diagnostic>> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("the file has more than {MAX_NODES} values");
        Err(Box::new(Diagnostic::error(
            Code::TooLarge,
            self.place(span),
            message,
        )))
    }

    fn start(
        &mut self,
        content: Content,
        anchor: usize,
        span: &granit_parser::Span,
    ) -> Result<(), Box<Diagnostic>> {
        self.count(1, span)?;
        let place = self.place(span);
        if self.open.len() >= MAX_DEPTH {
            return Err(Box::new(too_deep(place)));
        }
        self.open.push(Open {
            place,
            anchor,
            before: self.nodes,
            content,
        });
        Ok(())
    }

    fn end(&mut self, span: &granit_parser::Span) {
        let Some(Open {
            mut place,
            anchor,
            before,
            content,
        }) = self.open.pop()
        else {
            return;
        };
        let end = span.byte_range().map_or(place.span.end, |range| range.end);
        place.span.end = end.max(place.span.start);
        let data = match content {
            Content::List(items) => Data::List(items),
            Content::Map { entries, .. } => Data::Map(entries),
        };
        let size = self.nodes.saturating_sub(before).saturating_add(1);
        self.finish(
            Node {
                place,
                source: Arc::clone(self.source),
                data,
            },
            anchor,
            size,
        );
    }

    fn alias(&mut self, anchor: usize, span: &granit_parser::Span) -> Result<(), Box<Diagnostic>> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            let message = "this alias stands within what it stands for";
            return Err(Box::new(Diagnostic::error(
                Code::AliasBomb,
                self.place(span),
                message,
            )));
        };
        let size = *size;
        self.aliased = self.aliased.saturating_add(size);
        if self.aliased > MAX_ALIASED {
            let message = format!("aliases stand for more than {MAX_ALIASED} values");
            let hint = "write the values out, or compute them with variables";
            let fault = Diagnostic::error(Code::AliasBomb, self.place(span), message).with_hint(hint);
            return Err(Box::new(fault));
        }
        let node = node.clone();
        self.count(size, span)?;
        self.finish(node, 0, size);
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: &granit_parser::Span,
    ) {
        let style = match style {
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
            ScalarStyle::Plain => Style::Plain,
        };
        let place = self.place(span);
        if self.wants_key() && tag.is_none() {
            self.key(Key {
                text: text.into_owned(),
                place,
                style,
            });
            return;
        }
        let is_broken = self
            .broken
            .iter()
            .any(|span| span.start <= place.span.start && place.span.end <= span.end);
        let data = if is_broken {
            Data::Broken
        } else {
            self.tagged(text, style, tag, &place, span)
        };
        self.finish(
            Node {
                place,
                source: Arc::clone(self.source),
                data,
            },
            anchor,
            1,
        );
    }

    fn tagged(
        &mut self,
        text: Cow<'_, str>,
        style: Style,
        tag: Option<&Tag>,
        place: &Place,
        span: &granit_parser::Span,
    ) -> Data {
        let core = tag.and_then(Tag::core_suffix);
        match (tag, core) {
            (None, _) if style != Style::Plain => Data::Text(text.into_owned(), style),
            (Some(_), Some("str")) => Data::Text(text.into_owned(), style),
            (None, _) | (Some(_), Some("int" | "float" | "bool" | "null")) => scalar::resolve(&text)
                .unwrap_or_else(|why| {
                    self.faults.push(recover::scalar_fault(why, &text, place.clone()));
                    Data::Broken
                }),
            (Some(tag), _) => {
                self.tag_fault(tag, span, place);
                Data::Broken
            }
        }
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, core: &str, span: &granit_parser::Span) {
        if let Some(tag) = tag.filter(|tag| tag.core_suffix() != Some(core)) {
            let place = self.place(span);
            self.tag_fault(tag, span, &place);
        }
    }

    fn tag_fault(&mut self, tag: &Tag, span: &granit_parser::Span, node: &Place) {
        let written = tag.original();
        let place = span
            .tag_span()
            .map_or_else(|| node.clone(), |span| self.place(&span));
        self.faults.push(recover::tag_fault(self.source, place, &written));
    }

    /// Whether the next node is a map's key.
    fn wants_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                content: Content::Map {
                    key: None,
                    dropped: false,
                    ..
                },
                ..
            })
        )
    }

    fn key(&mut self, key: Key) {
        let Some(Open {
            content:
                Content::Map {
                    seen,
                    key: waiting,
                    dropped,
                    ..
                },
            ..
        }) = self.open.last_mut()
        else {
            return;
        };
        if let Some(first) = seen.get(&key.text) {
            let message = format!("`{}` is given twice", key.text);
            let fault =
                Diagnostic::error(Code::DuplicateKey, key.place, message).with_hint("given again here");
            self.faults
                .push(fault.with_secondary(first.clone(), "first given here"));
            *dropped = true;
            return;
        }
        if key.text == "<<" && key.style == Style::Plain {
            let fault = Diagnostic::error(Code::InvalidValue, key.place, "YAML 1.2 has no merge key `<<`");
            self.faults
                .push(fault.with_hint("write the fields out, or lay maps over one another with merge()"));
            *dropped = true;
            return;
        }
        seen.insert(key.text.clone(), key.place.clone());
        *waiting = Some(key);
    }

    /// A node is whole: it goes where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, size: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(Open { content, .. }) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        match content {
            Content::List(items) => items.push(node),
            Content::Map {
                entries,
                key,
                dropped,
                ..
            } => {
                if *dropped {
                    *dropped = false;
                } else if let Some(key) = key.take() {
                    entries.push((key, node));
                } else {
                    let fault = Diagnostic::error(Code::WrongType, node.place, "a key must be text");
                    self.faults
                        .push(fault.with_hint("an expression in braces must be quoted: \"${…}\""));
                    *dropped = true;
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::string_slice, clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let parsed = parse(&Source::new("p.yaml", text));
        parsed
            .faults
            .iter()
            .map(|fault| format!("{} {fault}", fault.code))
            .collect()
    }

    fn value(text: &str) -> String {
        let parsed = parse(&Source::new("p.yaml", text));
        assert!(parsed.faults.is_empty(), "{:?}", parsed.faults);
        parsed
            .documents
            .iter()
            .map(|node| node.to_value().to_string())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn documents_become_trees() {
        assert_eq!(
            value("a: [1, x, {b: ~}]\n80: yes\n---\nc"),
            r#"{"80":"yes","a":[1,"x",{"b":null}]} c"#
        );
        assert_eq!(value("a: &x {b: 1}\nc: *x"), r#"{"a":{"b":1},"c":{"b":1}}"#);
        assert_eq!(value("a: !!str 012\nb: !!int 12"), r#"{"a":"012","b":12}"#);
        assert_eq!(value(""), "");
    }

    #[test]
    fn every_node_knows_its_place() {
        let source = Source::new("p.yaml", "a:\n  - b: >-\n      one\n      two\n");
        let parsed = parse(&source);
        let node = parsed.documents[0].get("a").unwrap().items().unwrap()[0]
            .get("b")
            .unwrap();
        assert_eq!(node.place.to_string(), "p.yaml:3:7");
        assert_eq!(
            &source.text()[node.place.span.start..node.place.span.end],
            "one\n      two"
        );
        let two = node.anchor().place(Span::new(4, 7));
        assert_eq!(two.to_string(), "p.yaml:4:7");
    }

    #[test]
    fn a_duplicate_key_names_both_places() {
        let parsed = parse(&Source::new("p.yaml", "a: 1\nb: 2\na: {c: 3}\n"));
        assert_eq!(
            parsed.faults[0].to_string(),
            "p.yaml:3:1: `a` is given twice (given again here)"
        );
        assert_eq!(parsed.faults[0].secondary[0].0.to_string(), "p.yaml:1:1");
        assert_eq!(parsed.documents[0].to_value().to_string(), r#"{"a":1,"b":2}"#);
    }

    #[test]
    fn an_alias_bomb_ends_with_an_error() {
        let mut lines = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x]".to_owned()];
        for level in 1..12 {
            let items = vec![format!("*a{}", level - 1); 9].join(", ");
            lines.push(format!("a{level}: &a{level} [{items}]"));
        }
        let text = lines.join("\n");
        assert!(faults(&text)[0].contains("HF0112"), "{:?}", faults(&text));
        assert!(faults("a: &a [*a]")[0].contains("HF0112"));
    }

    #[test]
    fn depth_and_size_are_bounded() {
        assert!(faults(&format!("{}1{}", "[".repeat(101), "]".repeat(101)))[0].starts_with("HF0110"));
        assert!(faults(&"- ".repeat(200))[0].starts_with("HF0110"));
        assert!(faults(&"x".repeat(MAX_BYTES + 1))[0].starts_with("HF0111"));
        assert!(faults(&"- 1\n".repeat(MAX_NODES + 1))[0].starts_with("HF0111"));
    }
}
