//! XML as a tree of elements, read from what a server sent and written for it.
//!
//! Reading is strict, as a server may be hostile: no document type, no entities beside the five and numbers, bounded
//! depth and count. The size of the text is bounded before it comes here.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

/// How deep elements may nest; the service's documents end at eight.
const MAX_DEPTH: usize = 32;
/// How many elements a document may have; a page of a thousand buckets has some five thousand.
const MAX_ELEMENTS: usize = 100_000;
/// The namespace of the service's documents.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// One element: its local name, its attributes, its text, its children in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) children: Vec<Node>,
}

/// Why a text is no XML that is read here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("not UTF-8")]
    Encoding,
    #[error("malformed XML: {0}")]
    Malformed(String),
    #[error("XML with a {0}, which is not read here")]
    Refused(&'static str),
    #[error("XML with too many or too deeply nested elements")]
    TooLarge,
    #[error("no XML element")]
    Empty,
}

impl Node {
    /// An element without content.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// An element with text.
    pub(crate) fn with_text(name: &str, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::new(name)
        }
    }

    /// An element with children.
    pub(crate) fn with_children(name: &str, children: Vec<Node>) -> Self {
        Self {
            children,
            ..Self::new(name)
        }
    }

    /// The first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of that name.
    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// All children of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The attribute of that local name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The element as a document of the service.
    pub(crate) fn document(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
        self.write(&mut text, Some(NAMESPACE));
        text
    }

    fn write(&self, into: &mut String, namespace: Option<&str>) {
        into.push('<');
        into.push_str(&self.name);
        if let Some(namespace) = namespace {
            // Writing into a String can't fail.
            let _ = write!(into, " xmlns=\"{namespace}\"");
        }
        for (name, value) in &self.attributes {
            if name.starts_with("xsi:") {
                into.push_str(" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"");
            }
            let _ = write!(into, " {name}=\"{}\"", escaped(value));
        }
        into.push('>');
        into.push_str(&escaped(&self.text));
        for child in &self.children {
            child.write(into, None);
        }
        let _ = write!(into, "</{}>", self.name);
    }
}

/// Every control character, too, as a reader may fold line ends.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c if c.is_control() => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Reads a whole document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Node, XmlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Encoding)?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Node> = Vec::new();
    let mut root: Option<Node> = None;
    let mut count = 0_usize;
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(start) => {
                count += 1;
                if open.len() >= MAX_DEPTH || count > MAX_ELEMENTS {
                    return Err(XmlError::TooLarge);
                }
                if root.is_some() {
                    return Err(XmlError::Malformed("more than one root".to_owned()));
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => {
                count += 1;
                if count > MAX_ELEMENTS {
                    return Err(XmlError::TooLarge);
                }
                close(element(&start)?, &mut open, &mut root)?;
            }
            Event::End(_) => {
                // The reader has checked that it closes the last opened.
                let Some(node) = open.pop() else {
                    return Err(XmlError::Malformed("an element ends that never began".to_owned()));
                };
                close(node, &mut open, &mut root)?;
            }
            Event::Text(text) => add_text(&mut open, &text.xml10_content())?,
            Event::CData(text) => add_text(&mut open, &text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let resolved = match &*reference {
                    "lt" => '<',
                    "gt" => '>',
                    "amp" => '&',
                    "quot" => '"',
                    "apos" => '\'',
                    _ => reference
                        .resolve_char_ref()
                        .map_err(malformed)?
                        .ok_or(XmlError::Refused("general entity"))?,
                };
                add_text(&mut open, resolved.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err(XmlError::Refused("document type")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if !open.is_empty() {
        return Err(XmlError::Malformed("it ends in the middle".to_owned()));
    }
    root.ok_or(XmlError::Empty)
}

fn malformed(error: impl std::fmt::Display) -> XmlError {
    XmlError::Malformed(error.to_string())
}

fn element(start: &BytesStart<'_>) -> Result<Node, XmlError> {
    let mut node = Node::new(start.local_name().as_ref());
    for attribute in start.attributes() {
        let attribute = attribute.map_err(malformed)?;
        let name: &str = attribute.key.as_ref();
        if name == "xmlns" || name.starts_with("xmlns:") {
            continue;
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(malformed)?;
        let local: &str = attribute.key.local_name().into_inner();
        node.attributes.push((local.to_owned(), value.into_owned()));
    }
    Ok(node)
}

/// Text between elements is layout; text in an element without children is content.
fn add_text(open: &mut [Node], text: &str) -> Result<(), XmlError> {
    match open.last_mut() {
        Some(node) => {
            node.text.push_str(text);
            Ok(())
        }
        None if text.trim().is_empty() => Ok(()),
        None => Err(XmlError::Malformed("text outside of the root".to_owned())),
    }
}

fn close(mut node: Node, open: &mut [Node], root: &mut Option<Node>) -> Result<(), XmlError> {
    if !node.children.is_empty() {
        node.text.clear();
    }
    match open.last_mut() {
        Some(parent) => parent.children.push(node),
        None if root.is_none() => *root = Some(node),
        None => return Err(XmlError::Malformed("more than one root".to_owned())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_being_written_and_read() {
        let text = "a<b>&\"c'd\r\n\té 😀";
        let mut node = Node::with_text("A", text);
        node.attributes.push(("type".to_owned(), text.to_owned()));
        let root = Node::with_children("Root", vec![node.clone(), Node::new("B")]);
        let read = parse(root.document().as_bytes()).unwrap();
        assert_eq!(read.child_text("A"), Some(text));
        assert_eq!(read.child("A").and_then(|a| a.attribute("type")), Some(text));
        assert_eq!(read.child_text("B"), Some(""));
    }

    #[test]
    fn entities_split_no_text() {
        let read = parse(b"<a>x&amp;y&#65;&#x42;<![CDATA[<z>]]></a>").unwrap();
        assert_eq!(read.text, "x&yAB<z>");
    }

    #[test]
    fn names_are_told_without_their_prefix() {
        let read = parse(br#"<s:a xmlns:s="x"><s:b xsi:type="Group"/></s:a>"#).unwrap();
        assert_eq!(read.name, "a");
        assert_eq!(read.child("b").and_then(|b| b.attribute("type")), Some("Group"));
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
        let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS + 1));
        for text in [
            r#"<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>"#,
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
            "<a>&xxe;</a>",
            "<a b='&xxe;'/>",
            "<a>&#0;</a>",
            "<a>&#x110000;</a>",
            "<a>",
            "<a><b></a></b>",
            "</a>",
            "<a/><b/>",
            "<a></a><b></b>",
            "text",
            "",
            "  ",
            "<a/>text",
            "<a b='1' b='2'/>",
            "<a",
            "<a>&lt</a>",
            &deep,
            &wide,
        ] {
            assert!(
                parse(text.as_bytes()).is_err(),
                "{}",
                text.chars().take(60).collect::<String>()
            );
        }
        assert!(parse(b"<a>\xff</a>").is_err());
    }
}
